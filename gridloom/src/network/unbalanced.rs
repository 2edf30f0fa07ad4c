//! An unbalanced network file, opened: conductors where a balanced one has buses and branches.
//!
//! A node is a bus of the tables, by its own name (`671.1`); a conductor of an element a branch
//! (`line.650632.1`), as in the estimates. The file is one feeder.

use arrow::array::RecordBatch;
use cases::UnbalancedImport;
use cases::point_map;
use cases::point_map::Measures;
use cases::point_map::PointMap;
use grid::measurement::Quantity;
use grid::measurement::Source;
use grid::three_phase::Kind;
use grid::three_phase::Network;
use grid::three_phase::measurement::Target;
use operators::estimate::networks::AnyNetwork;
use operators::estimate::networks::Networks;
use operators::estimate::networks::Part;
use operators::estimate::plan::conductor_name;
use schemas::reference::Bus;
use schemas::reference::Point;
use schemas::reference::Switch;

use super::Opened;
use super::Place;
use super::VOLTAGE_PU;
use super::fatal;
use super::feeder_name;
use super::map;
use super::meter;
use super::names;
use super::position;
use super::row;
use super::sensor;
use super::table;
use crate::config::Config;
use crate::config::NetworkFile;
use crate::problem::Problem;

/// Opens an unbalanced network with its map.
pub(super) fn open(
    config: &Config,
    said: &NetworkFile,
    import: UnbalancedImport,
) -> (Option<Opened>, Vec<Problem>) {
    let UnbalancedImport { network, remarks, .. } = import;
    let mut problems = fatal(&said.path, &remarks);
    let unfit = network.unfit();
    problems.extend(unfit.iter().map(|problem| Problem::new(&said.path, problem.clone())));
    for (said_it, key, line) in [
        (said.scenario.is_some(), "scenario", said.lines[2]),
        (!said.taps.is_empty(), "taps", said.lines[3]),
    ] {
        if said_it {
            let message = format!("{key} is for balanced networks; this one is three-phase");
            let problem = Problem::new(&config.file, message);
            problems.push(problem.at(line, format!("network.{key}")));
        }
    }
    if !unfit.is_empty() {
        return (None, problems);
    }
    let read = |path: &std::path::Path| point_map::read_unbalanced(path, &network);
    let map = map(config, said, read, &mut problems);
    let switches = network.switches();
    let ids: Vec<&str> = switches.iter().map(|&at| network.elements[at].name.as_str()).collect();
    let names = names(said, &ids, &map, &mut problems);
    if !problems.is_empty() {
        return (None, problems);
    }
    let feeder_id = feeder_name(said, &network.name);
    let tables = rows(&network, &map, &feeder_id, &names);
    let remarks = remarks.iter().chain(&map.remarks).map(ToString::to_string).collect();
    let part = Part {
        feeder_id,
        network: AnyNetwork::Unbalanced(Box::new(network)),
        switches: names,
        ..Part::default()
    };
    let networks = Networks::new(vec![part]);
    (Some(Opened { networks, tables, remarks, points: map.points.len() }), problems)
}

/// The rows of the reference tables.
fn rows(
    network: &Network,
    map: &PointMap<Target>,
    feeder_id: &str,
    names: &[String],
) -> Vec<(String, RecordBatch)> {
    let bus = |node: &grid::three_phase::Node| Bus {
        bus_id: node.id.clone(),
        feeder_id: feeder_id.to_owned(),
        // Line to line, as of any other bus.
        nominal_kv: node.base_volt * 3.0_f64.sqrt() / 1e3,
        voltage_pu_min: VOLTAGE_PU.0,
        voltage_pu_max: VOLTAGE_PU.1,
    };
    let buses: Vec<Bus> = network.nodes.iter().map(bus).collect();
    let elements: Vec<usize> = network.switches();
    let switch = |(&at, name): (&usize, &String)| {
        let element = &network.elements[at];
        let closed = element.kind == (Kind::Switch { closed: true });
        Switch {
            switch_id: name.clone(),
            branch_id: element.name.clone(),
            feeder_id: feeder_id.to_owned(),
            normal_position: if closed { "closed" } else { "open" }.to_owned(),
        }
    };
    let switches: Vec<Switch> = elements.iter().zip(names).map(switch).collect();
    let (mut points, mut meters, mut sensors): (Vec<Point>, _, _) =
        (Vec::new(), Vec::new(), Vec::new());
    for point in &map.points {
        match point.measures {
            Measures::Position { switch, inverted } => {
                let element = &network.elements[elements[switch]].name;
                points.push(position(&point.name, feeder_id, element, inverted));
            }
            Measures::Tap { element, winding, factor, steps } => {
                let of = &network.elements[element];
                let id = format!("{}/{}", of.name, winding + 1);
                let quantity = if steps { "tap_step" } else { "tap_pu" };
                let row = Point {
                    element: "tap".to_owned(),
                    quantity: quantity.to_owned(),
                    scale: factor,
                    ..position(&point.name, feeder_id, &id, false)
                };
                let node = of.terminal(winding).iter().flatten().next();
                let bus_id = node.map_or("", |&node| &network.nodes[node].id);
                sensors.push(sensor(&row, bus_id));
                points.push(row);
            }
            Measures::Value { target, quantity, .. } => {
                let (place, node) = place(network, target);
                let row = row(point, place, feeder_id, (1e-3, 1.0));
                let bus_id = &network.nodes[node].id;
                if point.source == Source::Meter && quantity == Quantity::ActivePower {
                    meters.push(meter(&point.name, bus_id, feeder_id));
                } else if point.source != Source::Pmu {
                    sensors.push(sensor(&row, bus_id));
                }
                points.push(row);
            }
        }
    }
    vec![table(&buses), table(&switches), table(&points), table(&meters), table(&sensors)]
}

/// Where a point is, and at which node.
fn place(network: &Network, target: Target) -> (Place, usize) {
    match target {
        Target::Node(node) => (Place::of("bus", &network.nodes[node].id), node),
        Target::Conductor { element, terminal, node } => {
            let name = conductor_name(network, element, node);
            let side = match terminal {
                0 => "from".to_owned(),
                1 => "to".to_owned(),
                other => (other + 1).to_string(),
            };
            (Place { side: Some(side), ..Place::of("branch", &name) }, node)
        }
    }
}
