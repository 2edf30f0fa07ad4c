//! The report on a balanced network.
//!
//! Counts, voltage levels and the balance of power need no model, so that they are there also for
//! a network that no solver could live with; islands are told where there is a model.

use std::collections::BTreeMap;

use grid::Model;
use grid::Network;
use grid::Topology;
use grid::measurement::Quantity;
use grid::model::SourceImpedance;
use grid::network::BranchClass;
use grid::network::Control;
use grid::network::Injection;
use grid::network::InjectionClass;
use grid::network::Parameters;
use grid::network::Severity;
use grid::network::check;

use super::Page;
use super::few;
use super::power;
use crate::Import;

/// How many islands are told one by one.
const ISLANDS_TOLD: usize = 6;

pub(super) fn report(import: &Import) -> String {
    let network = &import.network;
    let mut page = Page::default();
    let name = if network.name.is_empty() { "A network" } else { network.name.as_str() };
    page.line(&format!(
        "{name}: balanced, {} Hz, per unit of {} MVA",
        network.frequency_hz, network.base_mva
    ));
    elements(network, &mut page);
    levels(import, &mut page);
    if let Ok(model) = Model::new(network, SourceImpedance::Omitted) {
        islands(network, &Topology::new(&model), &mut page);
    }
    balance(network, &mut page);
    measured(import, &mut page);
    let mut faults = check::check_but_for(network, &import.placeholders);
    faults.extend(check::check_measurements(network, &unknown_to_sensors(import)));
    faults.sort_by_key(|fault| fault.severity);
    page.faults(&faults);
    page.remarks(&import.remarks);
    let count = |severity: Severity| faults.iter().filter(|f| f.severity == severity).count();
    let left_out = import.remarks.iter().filter(|remark| remark.is_fatal()).count();
    let taken = import.remarks.iter().filter(|remark| remark.is_warning()).count();
    page.verdict(count(Severity::Fatal), left_out, count(Severity::Warning) + taken);
    page.0
}

/// Measurements that came otherwise than as sensors of the network, which check themselves.
fn unknown_to_sensors(import: &Import) -> Vec<grid::measurement::Measurement> {
    let known = !import.network.sensors.is_empty();
    if known { Vec::new() } else { import.measurements.clone() }
}

fn elements(network: &Network, page: &mut Page) {
    page.heading("Elements");
    let idle = |total: usize, in_service: usize| match total - in_service {
        0 => String::new(),
        idle => format!("{idle} out of service"),
    };
    let in_service = network.buses.iter().filter(|bus| bus.in_service).count();
    page.count("buses", network.buses.len(), &idle(network.buses.len(), in_service));
    let classes = [
        (BranchClass::Line, "lines and cables"),
        (BranchClass::Transformer, "transformers"),
        (BranchClass::Impedance, "impedances"),
    ];
    for (class, name) in classes {
        let of: Vec<_> = network.branches.iter().filter(|b| b.class == class).collect();
        let on = of.iter().filter(|branch| branch.in_service).count();
        page.count(name, of.len(), &idle(of.len(), on));
    }
    let three = &network.three_winding;
    let on = three.iter().filter(|transformer| transformer.in_service).count();
    page.count("three-winding transformers", three.len(), &idle(three.len(), on));
    let on = network.shunts.iter().filter(|shunt| shunt.in_service).count();
    page.count("shunts", network.shunts.len(), &idle(network.shunts.len(), on));
    let open: Vec<&str> =
        network.switches.iter().filter(|s| !s.closed).map(|s| s.id.as_str()).collect();
    let positions = match open.len() {
        0 => "all closed".to_owned(),
        1..=6 => format!("{} open: {}", open.len(), open.join(", ")),
        count => format!("{count} open"),
    };
    page.count("switches", network.switches.len(), &positions);
    let classes = [
        (InjectionClass::Load, "loads"),
        (InjectionClass::Generator, "generators"),
        (InjectionClass::StaticGenerator, "static generators"),
        (InjectionClass::Photovoltaic, "photovoltaic plants"),
        (InjectionClass::Storage, "storage"),
        (InjectionClass::Source, "sources"),
    ];
    for (class, name) in classes {
        let of: Vec<&Injection> =
            network.injections.iter().filter(|injection| injection.class == class).collect();
        let on = of.iter().filter(|injection| injection.in_service).count();
        page.count(name, of.len(), &idle(of.len(), on));
    }
}

/// What stands at one nominal voltage.
#[derive(Default)]
struct Level {
    kv: f64,
    buses: usize,
    lines: usize,
    load_mw: f64,
    generation_mw: f64,
    assumed: bool,
}

fn levels(import: &Import, page: &mut Page) {
    let network = &import.network;
    // By millivolts: nominal voltages are names, not measured values.
    let key = |kv: f64| if kv > 0.0 { (kv * 1e6).round() as u64 } else { 0 };
    let mut levels: BTreeMap<u64, Level> = BTreeMap::new();
    for (at, bus) in network.buses.iter().enumerate() {
        let level = levels.entry(key(bus.nominal_kv)).or_default();
        level.kv = bus.nominal_kv;
        level.assumed |= import.placeholders.contains(&at);
        level.buses += 1;
    }
    let mut at = |bus: usize, add: &mut dyn FnMut(&mut Level)| {
        let Some(bus) = network.buses.get(bus) else { return };
        if let Some(level) = levels.get_mut(&key(bus.nominal_kv)) {
            add(level);
        }
    };
    for branch in network.branches.iter().filter(|branch| branch.class == BranchClass::Line) {
        at(branch.to.0, &mut |level| level.lines += 1);
    }
    for injection in network.injections.iter().filter(|injection| injection.in_service) {
        at(injection.bus.0, &mut |level| {
            if is_load(injection) {
                level.load_mw -= injection.p_mw;
            } else {
                level.generation_mw += injection.p_mw;
            }
        });
    }
    page.heading("Voltage levels            buses    lines        load    generation");
    for level in levels.values().rev() {
        let assumed = if level.assumed { " (assumed)" } else { "" };
        let kv = format!("{} kV{assumed}", level.kv);
        let some = |mw: f64| if mw == 0.0 { "–".to_owned() } else { power(mw, "W") };
        page.line(&format!(
            "  {kv:<20}{:>9}{:>9}{:>12}{:>14}",
            level.buses,
            level.lines,
            some(level.load_mw),
            some(level.generation_mw)
        ));
    }
}

fn is_load(injection: &Injection) -> bool {
    injection.class == InjectionClass::Load
}

/// What an island has.
#[derive(Default)]
struct Island<'a> {
    buses: Vec<&'a str>,
    sources: Vec<String>,
    load_mw: f64,
}

fn islands(network: &Network, topology: &Topology, page: &mut Page) {
    let mut islands: BTreeMap<usize, Island<'_>> = BTreeMap::new();
    let of = |bus: usize| topology.island(topology.node(bus));
    for (at, bus) in network.buses.iter().enumerate().filter(|(_, bus)| bus.in_service) {
        islands.entry(of(at)).or_default().buses.push(&bus.id);
    }
    for injection in network.injections.iter().filter(|injection| injection.in_service) {
        let Some(island) = islands.get_mut(&of(injection.bus.0)) else { continue };
        if is_load(injection) {
            island.load_mw -= injection.p_mw;
        } else if matches!(injection.control, Control::Slack { .. }) {
            let bus = &network.buses[injection.bus.0].id;
            island.sources.push(format!("{} at {bus}", injection.id));
        }
    }
    let mut islands: Vec<Island<'_>> = islands.into_values().collect();
    islands
        .sort_by_key(|island| (island.sources.is_empty(), std::cmp::Reverse(island.buses.len())));
    let live = islands.iter().filter(|island| !island.sources.is_empty()).count();
    let nodes = topology.nodes() - network.three_winding.len();
    page.heading(&format!(
        "Islands: {live} fed, {} dead, with switches as they are; {nodes} electrical nodes",
        islands.len() - live
    ));
    for island in islands.iter().take(ISLANDS_TOLD) {
        let buses = match island.buses.len() {
            1 => format!("bus {}", island.buses[0]),
            count => format!("{count} buses"),
        };
        let fed = if island.sources.is_empty() {
            "not fed".to_owned()
        } else {
            format!("fed by {}", few(&island.sources))
        };
        page.line(&format!("  {buses:<14}{fed}, load {}", power(island.load_mw, "W")));
    }
    if islands.len() > ISLANDS_TOLD {
        page.line(&format!("  … and {} more", islands.len() - ISLANDS_TOLD));
    }
}

fn balance(network: &Network, page: &mut Page) {
    let on = || network.injections.iter().filter(|injection| injection.in_service);
    let sum = |of: &dyn Fn(&Injection) -> bool| {
        on().filter(|i| of(i)).fold((0.0, 0.0), |(p, q), i| (p + i.p_mw, q + i.q_mvar))
    };
    let fixed = |injection: &Injection| injection.control == Control::Power;
    let load = sum(&|injection| is_load(injection));
    let plants = sum(&|injection| !is_load(injection) && fixed(injection));
    let holding = |injection: &Injection| matches!(injection.control, Control::Voltage { .. });
    let machines = sum(&|injection| holding(injection));
    page.heading("Power as it stands in the file, at nominal voltage");
    let both = |(p, q): (f64, f64)| format!("{:>12}{:>14}", power(p, "W"), power(q, "var"));
    page.line(&format!("  load                  {}", both((-load.0, -load.1))));
    if plants != (0.0, 0.0) {
        page.line(&format!("  plants, storage       {}", both(plants)));
    }
    if on().any(holding) {
        page.line(&format!("  generators            {:>12}", power(machines.0, "W")));
    }
    let missing = -load.0 - plants.0 - machines.0;
    page.line(&format!("  left to the sources   {:>12}   and the losses", power(missing, "W")));
    let rated: f64 = network
        .branches
        .iter()
        .filter(|branch| branch.in_service)
        .filter_map(|branch| match &branch.parameters {
            // Converters write 9900 or 99999 where there is no rating.
            Parameters::Transformer(sheet) if sheet.rated_mva < 9_890.0 => {
                Some(sheet.rated_mva * f64::from(sheet.parallel.max(1)))
            }
            _ => None,
        })
        .sum();
    if rated > 0.0 {
        let share = 100.0 * load.0.hypot(load.1) / rated;
        page.line(&format!(
            "  transformers          {:>12}   all together; the load is {share:.0} % of it",
            power(rated, "VA")
        ));
    }
}

fn measured(import: &Import, page: &mut Page) {
    if import.measurements.is_empty() {
        return;
    }
    let kinds = [
        (Quantity::VoltageMagnitude, "voltages"),
        (Quantity::VoltageAngle, "voltage angles"),
        (Quantity::ActivePower, "active powers"),
        (Quantity::ReactivePower, "reactive powers"),
        (Quantity::CurrentMagnitude, "currents"),
        (Quantity::CurrentAngle, "current angles"),
    ];
    let count = |quantity: Quantity| {
        import.measurements.iter().filter(|one| one.quantity == quantity).count()
    };
    let parts: Vec<String> = kinds
        .iter()
        .map(|&(quantity, name)| (count(quantity), name))
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    page.heading(&format!("Measured: {}", parts.join(", ")));
}
