//! A network file and its point map, opened: what the estimator runs on, and its rows of the
//! reference tables.
//!
//! The estimator takes the network itself, cut into parts that nothing can connect ([`split`]);
//! each stands for a feeder. What the streams need to find their way to it (which sensor, meter,
//! phasor measurement unit or switch is what) becomes rows of `points`, `switches`, `meters` and
//! `sensors` beside the configured ones, and its buses rows of `buses`, so that views join them as
//! any others. `feeders` gets none: no file knows the limit of a head.
//!
//! Everything that is wrong is said at once, with file, line and element: what the importer left
//! out, what no solver can live with, what the map names wrongly.

mod unbalanced;

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use cases::Found;
use cases::Import;
use cases::Remark;
use cases::point_map;
use cases::point_map::Averaging;
use cases::point_map::Measures;
use cases::point_map::PointMap;
use cases::point_map::Sigma;
use grid::Network;
use grid::measurement::Quantity;
use grid::measurement::Source;
use grid::measurement::Target;
use grid::network::BranchClass;
use grid::network::Fault;
use grid::network::Lookup;
use grid::network::Side;
use grid::network::check;
use grid::per_unit::base_ka;
use operators::estimate::networks::AnyNetwork;
use operators::estimate::networks::Networks;
use operators::estimate::networks::Part;
use operators::estimate::networks::split;
use operators::estimate::plan::opens;
use schemas::reference::Bus;
use schemas::reference::Meter;
use schemas::reference::Point;
use schemas::reference::Sensor;
use schemas::reference::Switch;
use schemas::relation::Relation;
use schemas::state::ANGLE;
use schemas::time::DAY_MS;

use crate::config::Config;
use crate::config::NetworkFile;
use crate::problem::Problem;

/// What stands for "never" where an age in milliseconds is wanted: a century.
const NEVER_MS: i64 = 36_525 * DAY_MS as i64;

/// Without a drift, a value loses its standard deviation in so many seconds.
const DRIFT_S: f64 = 60.0;

/// The relative standard deviation of the stated ratio of a transformer whose ratio is estimated: a
/// tap changer's whole range, so that it only holds what nothing measures.
pub const TOLD_RATIO_SIGMA: f64 = 0.1;

/// Limits of a bus's voltage per unit (EN 50160), where a file says none.
const VOLTAGE_PU: (f64, f64) = (0.9, 1.1);

/// A network that was opened.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// For the estimator, by feeder.
    pub networks: Networks,
    /// Rows of reference tables.
    pub tables: Vec<(String, RecordBatch)>,
    /// What the importer assumed and noted, in words.
    pub remarks: Vec<String>,
    /// How many points and positions the map has.
    pub points: usize,
}

/// Opens what `[network]` names; nothing where it names nothing. What is wrong is all there is
/// where there is something.
pub fn open(config: &Config) -> (Option<Opened>, Vec<Problem>) {
    let Some(said) = &config.network else { return (None, Vec::new()) };
    let mut problems = Vec::new();
    let import = match cases::open(&said.path) {
        Ok(Found::Balanced(import)) => *import,
        Ok(Found::Unbalanced(import)) => return unbalanced::open(config, said, *import),
        Err(error) => {
            let source = std::error::Error::source(&error);
            let source = source.map(|source| format!(": {source}")).unwrap_or_default();
            let problem = Problem::new(&config.file, format!("{error}{source}"));
            return (None, vec![problem.at(said.lines[0], "network.file")]);
        }
    };
    let Import { mut network, remarks, placeholders, .. } = import;
    problems.extend(fatal(&said.path, &remarks));
    let mut faults = check::check_but_for(&network, &placeholders);
    faults.retain(Fault::is_fatal);
    problems.extend(faults.iter().map(|fault| Problem::new(&said.path, fault.to_string())));
    if !faults.is_empty() {
        return (None, problems);
    }
    problems.extend(stand(config, said, &mut network));
    let map = map(config, said, |path| point_map::read(path, &network), &mut problems);
    let ids: Vec<&str> = network.switches.iter().map(|switch| switch.id.as_str()).collect();
    let names = names(said, &ids, &map, &mut problems);
    let taps = taps(config, said, &network, &mut problems);
    if !problems.is_empty() {
        return (None, problems);
    }
    let parts = parts(said, &network, &names, &taps);
    let tables = rows(&network, &map, &parts, &names);
    let remarks = remarks.iter().chain(&map.remarks).map(ToString::to_string).collect();
    let networks = Networks::new(parts);
    (Some(Opened { networks, tables, remarks, points: map.points.len() }), problems)
}

/// The point map, if there is one, and what is wrong with it.
fn map<T>(
    config: &Config,
    said: &NetworkFile,
    read: impl Fn(&Path) -> Result<PointMap<T>, cases::Error>,
    problems: &mut Vec<Problem>,
) -> PointMap<T> {
    let Some(path) = &said.points else { return PointMap::default() };
    match read(path) {
        Ok(map) => {
            problems.extend(fatal(path, &map.remarks));
            map
        }
        Err(error) => {
            let problem = Problem::new(&config.file, format!("{error}"));
            problems.push(problem.at(said.lines[1], "network.points"));
            PointMap::default()
        }
    }
}

/// Adds rows to the tables that there are; a feeder that the tables have buses of already is a
/// problem.
pub fn join(
    config: &Config,
    opened: &Opened,
    tables: &mut Vec<(String, RecordBatch)>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, rows) in &opened.tables {
        let Some((_, known)) = tables.iter_mut().find(|(known, _)| known == name) else {
            tables.push((name.clone(), rows.clone()));
            continue;
        };
        let feeders = known.column_by_name("feeder_id").map(|column| column.as_string::<i32>());
        let taken = feeders.and_then(|feeders| {
            feeders.iter().flatten().find(|feeder| opened.networks.get(feeder).is_some())
        });
        if let (Some(feeder), true) = (taken, name == Bus::NAME) {
            let message = format!("there are buses of a feeder {feeder} in the tables already");
            let hint = "call the network otherwise: network.name = \"…\"";
            let problem = Problem::new(&config.file, message).hint(hint);
            let line = config.network.as_ref().map_or(0, |said| said.lines[0]);
            problems.push(problem.at(line, "network.name"));
            continue;
        }
        let schema = known.schema();
        *known = concat_batches(&schema, [&*known, rows]).expect("a table has its columns");
    }
    problems
}

/// What of an import or a map is left out: the network is not the one in the file without it.
fn fatal(file: &Path, remarks: &[Remark]) -> Vec<Problem> {
    let fatal = remarks.iter().filter(|remark| remark.is_fatal());
    fatal.map(|remark| Problem::new(file, remark.to_string())).collect()
}

/// Puts the switches where the scenario has them.
fn stand(config: &Config, said: &NetworkFile, network: &mut Network) -> Vec<Problem> {
    let Some(scenario) = &said.scenario else { return Vec::new() };
    let file = said.path.join(scenario).join("switch_status.csv");
    match cases::folder::switch_positions(&file, network) {
        Ok(positions) => {
            for (switch, closed) in network.switches.iter_mut().zip(&positions.closed) {
                switch.closed = *closed;
            }
            fatal(&file, &positions.remarks)
        }
        Err(error) => {
            let message = format!("there is no scenario {scenario}: {error}");
            let problem = Problem::new(&config.file, message);
            vec![problem.at(said.lines[2], "network.scenario")]
        }
    }
}

/// The name under which each switch is heard of: the map's, else its identifier.
fn names<T>(
    said: &NetworkFile,
    ids: &[&str],
    map: &PointMap<T>,
    problems: &mut Vec<Problem>,
) -> Vec<String> {
    let file = said.points.as_deref().unwrap_or(&said.path);
    let mut names: Vec<Option<&str>> = vec![None; ids.len()];
    for point in &map.points {
        let Measures::Position { switch, .. } = point.measures else { continue };
        let id = ids[switch];
        match names[switch] {
            Some(known) => {
                let message = format!("the switch {id} is both {known} and {}", point.name);
                problems.push(Problem::new(file, message).hint("give it one name"));
            }
            None => names[switch] = Some(&point.name),
        }
    }
    names.into_iter().zip(ids).map(|(name, id)| name.unwrap_or(id).to_owned()).collect()
}

/// The transformers whose ratio is estimated.
fn taps(
    config: &Config,
    said: &NetworkFile,
    network: &Network,
    problems: &mut Vec<Problem>,
) -> Vec<String> {
    let lookup = Lookup::new(network);
    let mut taps = Vec::new();
    for key in &said.taps {
        let found = lookup.branch(key).map(|branch| &network.branches[branch]);
        match found.filter(|branch| branch.class == BranchClass::Transformer) {
            Some(branch) => taps.push(branch.id.clone()),
            None => {
                let transformers = network.branches.iter();
                let transformers =
                    transformers.filter(|branch| branch.class == BranchClass::Transformer);
                let known = transformers.map(|branch| branch.id.as_str());
                let message = format!("there is no two-winding transformer {key:?}");
                let problem = Problem::new(&config.file, message)
                    .hint(crate::problem::nearest(key, known))
                    .at(said.lines[3], "network.taps");
                problems.push(problem);
            }
        }
    }
    taps
}

/// The feeder that a network stands for, which calls itself so.
fn feeder_name(said: &NetworkFile, own: &str) -> String {
    let stem = said.path.file_stem().unwrap_or_default().to_string_lossy();
    let own = Some(own.to_owned()).filter(|name| !name.is_empty());
    said.name.clone().or(own).unwrap_or_else(|| stem.into_owned())
}

fn parts(said: &NetworkFile, network: &Network, names: &[String], taps: &[String]) -> Vec<Part> {
    let name = feeder_name(said, &network.name);
    let named: BTreeMap<&str, &String> =
        network.switches.iter().map(|switch| switch.id.as_str()).zip(names).collect();
    let part = |(feeder_id, network): (String, Network)| {
        let name = |switch: &grid::network::Switch| named[switch.id.as_str()].clone();
        let switches = network.switches.iter().map(name).collect();
        let has = |id: &&String| network.branches.iter().any(|branch| branch.id == **id);
        let free = taps.iter().filter(has).map(|id| (id.clone(), Some(TOLD_RATIO_SIGMA)));
        let free_ratios = free.collect();
        let network = AnyNetwork::Balanced(network);
        Part { feeder_id, network, switches, free_ratios }
    };
    split(network, &name).into_iter().map(part).collect()
}

/// The rows of the reference tables.
fn rows(
    network: &Network,
    map: &PointMap,
    parts: &[Part],
    names: &[String],
) -> Vec<(String, RecordBatch)> {
    let parts = || parts.iter().filter_map(|part| Some((part, part.balanced()?)));
    let feeder_of: BTreeMap<&str, &str> = parts()
        .flat_map(|(part, network)| network.buses.iter().map(move |bus| (part, bus)))
        .map(|(part, bus)| (bus.id.as_str(), part.feeder_id.as_str()))
        .collect();
    let buses: Vec<Bus> = (network.buses.iter())
        .map(|bus| Bus {
            bus_id: bus.id.clone(),
            feeder_id: feeder_of[bus.id.as_str()].to_owned(),
            nominal_kv: bus.nominal_kv,
            voltage_pu_min: VOLTAGE_PU.0,
            voltage_pu_max: VOLTAGE_PU.1,
        })
        .collect();
    let mut switches = Vec::new();
    for (part, network) in parts() {
        for (switch, name) in network.switches.iter().zip(&part.switches) {
            switches.push(Switch {
                switch_id: name.clone(),
                branch_id: opens(network, switch.connection),
                feeder_id: part.feeder_id.clone(),
                normal_position: if switch.closed { "closed" } else { "open" }.to_owned(),
            });
        }
    }
    let feeder_of_switch: BTreeMap<&str, &str> = switches
        .iter()
        .map(|switch| (switch.switch_id.as_str(), switch.feeder_id.as_str()))
        .collect();
    let (mut points, mut meters, mut sensors) = (Vec::new(), Vec::new(), Vec::new());
    for point in &map.points {
        match point.measures {
            Measures::Position { switch, inverted } => {
                let feeder_id = feeder_of_switch[names[switch].as_str()];
                points.push(position(
                    &point.name,
                    feeder_id,
                    &network.switches[switch].id,
                    inverted,
                ));
            }
            Measures::Tap { .. } => unreachable!("no map of a balanced network has one"),
            Measures::Value { target, quantity, .. } => {
                let bus = &network.buses[target.bus(network).0];
                let feeder_id = feeder_of[bus.id.as_str()];
                let row = value(network, point, feeder_id);
                if point.source == Source::Meter && quantity == Quantity::ActivePower {
                    meters.push(meter(&point.name, &bus.id, feeder_id));
                } else if point.source != Source::Pmu {
                    // Ingest takes values of known sensors only.
                    sensors.push(sensor(&row, &bus.id));
                }
                points.push(row);
            }
        }
    }
    vec![table(&buses), table(&switches), table(&points), table(&meters), table(&sensors)]
}

fn table<R: Relation>(rows: &[R]) -> (String, RecordBatch) {
    (R::NAME.to_owned(), R::to_batch(rows))
}

fn position(name: &str, feeder_id: &str, switch: &str, inverted: bool) -> Point {
    Point {
        point_id: name.to_owned(),
        feeder_id: feeder_id.to_owned(),
        element: "switch".to_owned(),
        element_id: switch.to_owned(),
        side: None,
        quantity: "position".to_owned(),
        scale: if inverted { -1.0 } else { 1.0 },
        sigma: 0.0,
        drift_per_s: 0.0,
        averaged_over_ms: 0,
        stale_after_ms: NEVER_MS,
        sigma_share: None,
        value_min: None,
        value_max: None,
    }
}

/// A point of the map in the units of the table.
fn value(network: &Network, point: &point_map::Point, feeder_id: &str) -> Point {
    let Measures::Value { target, .. } = point.measures else {
        unreachable!("positions have rows of another kind");
    };
    let kv = network.buses[target.bus(network).0].nominal_kv;
    // One of the power base in kW; the base of currents in A.
    let (kw, ampere) = (1e3 * network.base_mva, 1e3 * base_ka(network.base_mva, kv));
    let place = match target {
        Target::Bus(bus) => Place::of("bus", &network.buses[bus.0].id),
        Target::Injection(at) => Place::of("injection", &network.injections[at.0].id),
        Target::BranchEnd(at, side) => match target.as_winding(network) {
            Some((of, winding)) => {
                let id = &network.three_winding[of].id;
                Place::of("winding", &format!("{id}/{}", winding + 1))
            }
            None => {
                let side = if side == Side::From { "from" } else { "to" };
                Place {
                    side: Some(side.to_owned()),
                    ..Place::of("branch", &network.branches[at.0].id)
                }
            }
        },
    };
    row(point, place, feeder_id, (kw, ampere))
}

/// Where a point is, as the table says it.
struct Place {
    element: &'static str,
    element_id: String,
    side: Option<String>,
}

impl Place {
    fn of(element: &'static str, id: &str) -> Place {
        Place { element, element_id: id.to_owned(), side: None }
    }
}

/// The row of a point; one of the map's powers is so many kW, one of its currents so many A.
fn row<T>(
    point: &point_map::Point<T>,
    place: Place,
    feeder_id: &str,
    (kw, ampere): (f64, f64),
) -> Point {
    let Measures::Value { quantity, factor, sigma, drift_per_s, range, .. } = &point.measures
    else {
        unreachable!("positions have rows of another kind");
    };
    let (name, unit) = match quantity {
        Quantity::VoltageMagnitude => ("voltage_pu", 1.0),
        Quantity::VoltageAngle => ("voltage_angle_rad", 1.0),
        Quantity::ActivePower => ("active_power_kw", kw),
        Quantity::ReactivePower => ("reactive_power_kvar", kw),
        Quantity::CurrentMagnitude => ("current_a", ampere),
        Quantity::CurrentAngle => ("current_angle_rad", 1.0),
    };
    let angle = matches!(quantity, Quantity::VoltageAngle | Quantity::CurrentAngle);
    let phasor = angle && point.source == Source::Pmu;
    let (sigma, sigma_share) = match *sigma {
        Sigma::Absolute(sigma) => (sigma * unit, None),
        Sigma::Share(share, least) => (least * unit, Some(share)),
    };
    let milliseconds = |seconds: f64| (1e3 * seconds).round() as i64;
    // An angle turns with the frequency: that of a tick before says nothing.
    let never = if phasor { 0 } else { NEVER_MS };
    let bound = |bound: f64| Some(bound * unit).filter(|bound| bound.is_finite());
    Point {
        point_id: if phasor { format!("{}{ANGLE}", point.name) } else { point.name.clone() },
        feeder_id: feeder_id.to_owned(),
        element: place.element.to_owned(),
        element_id: place.element_id,
        side: place.side,
        quantity: name.to_owned(),
        scale: factor * unit,
        sigma,
        drift_per_s: drift_per_s.map_or(sigma / DRIFT_S, |drift| drift * unit),
        averaged_over_ms: match point.averaging {
            Averaging::Instant => 0,
            Averaging::Mean(seconds) => milliseconds(seconds),
        },
        stale_after_ms: point.stale_after_s.map_or(never, milliseconds),
        sigma_share,
        value_min: bound(range.0),
        value_max: bound(range.1),
    }
}

fn meter(name: &str, bus_id: &str, feeder_id: &str) -> Meter {
    Meter {
        meter_id: name.to_owned(),
        bus_id: bus_id.to_owned(),
        feeder_id: feeder_id.to_owned(),
        origin: "measured".to_owned(),
    }
}

/// A sensor of the table for a point of it; its quantity is in the unit of the raw value, so only a
/// voltage that comes per unit is called one.
fn sensor(point: &Point, bus_id: &str) -> Sensor {
    let raw = if point.scale == 1.0 { "" } else { "_raw" };
    Sensor {
        sensor_id: point.point_id.clone(),
        bus_id: bus_id.to_owned(),
        feeder_id: point.feeder_id.clone(),
        quantity: format!("{}{raw}", point.quantity),
        stale_after_ms: point.stale_after_ms,
    }
}
