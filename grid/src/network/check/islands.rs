//! What is connected with what: islands without a source, machines that contradict each other.

use std::collections::BTreeMap;

use super::Faults;
use super::bus_id;
use super::few;
use super::injection_name;
use super::named;
use crate::model::Acts;
use crate::model::Model;
use crate::model::SourceImpedance;
use crate::network::Connection;
use crate::network::Control;
use crate::network::Injection;
use crate::network::Network;
use crate::topology::Topology;

/// Set points of one node that differ by less than this, per unit, are the same.
const SAME_SET_PU: f64 = 1e-6;

/// How many islands without a source are told one by one.
const ISLANDS_TOLD: usize = 8;

pub(super) fn check(network: &Network, found: &mut Faults) {
    let model = Model::unchecked(network, SourceImpedance::Omitted);
    let topology = Topology::new(&model);
    check_dead(network, &model, &topology, found);
    check_out_of_service(network, found);
    check_contradictions(network, &topology, found);
    check_couplers(network, found);
}

/// Islands that no source feeds.
fn check_dead(network: &Network, model: &Model, topology: &Topology, found: &mut Faults) {
    let mut dead: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (bus, there) in network.buses.iter().enumerate() {
        let node = topology.node(bus);
        if there.in_service && !topology.energised(node) {
            dead.entry(topology.island(node)).or_default().push(bus);
        }
    }
    let buses = network.buses.iter().filter(|bus| bus.in_service).count();
    if dead.values().map(Vec::len).sum::<usize>() == buses && buses > 0 {
        let hint = "a source with a voltage and an angle is needed: an external grid";
        found.fatal("network", "has no source: nothing in it is fed".to_owned(), hint);
        return;
    }
    if dead.len() > ISLANDS_TOLD {
        let rest: Vec<&str> =
            dead.values().skip(ISLANDS_TOLD).flatten().map(|&bus| bus_id(network, bus)).collect();
        let count = dead.len() - ISLANDS_TOLD;
        let problem = format!(
            "has {count} more islands without a source, of {} buses: {}",
            rest.len(),
            few(&rest)
        );
        found.warn("network", problem, "");
    }
    for (&island, buses) in dead.iter().take(ISLANDS_TOLD) {
        let names: Vec<&str> = buses.iter().map(|&bus| bus_id(network, bus)).collect();
        let element = if names.len() == 1 { "bus" } else { "island of buses" };
        let on_it = |injection: &&Injection| {
            injection.in_service && buses.binary_search(&injection.bus.0).is_ok()
        };
        let cut: Vec<&Injection> = network.injections.iter().filter(on_it).collect();
        let mut problem = "has no way to a source".to_owned();
        if !cut.is_empty() {
            let mw: f64 = cut.iter().map(|injection| injection.p_mw).sum();
            problem += &format!("; {} injections of {mw:.3} MW are cut off with it", cut.len());
        }
        let hint = hint_of(&feeding(network, model, topology, island));
        found.warn(&format!("{element} {}", few(&names)), problem, &hint);
    }
}

fn hint_of(switches: &[&str]) -> String {
    if switches.is_empty() {
        return String::new();
    }
    format!("closing {} would feed it", switches.join(" or "))
}

/// Open switches that connect an island with one that is fed, a few at most.
fn feeding<'a>(
    network: &'a Network,
    model: &Model,
    topology: &Topology,
    island: usize,
) -> Vec<&'a str> {
    const SHOWN: usize = 3;
    let mut switches = Vec::new();
    for (at, switch) in model.switches.iter().enumerate() {
        let (a, b) = match switch.acts {
            Acts::Joins(a, b) => (a, b),
            Acts::Connects(branch, _) => (model.branches[branch].from, model.branches[branch].to),
        };
        let (a, b) = (topology.node(a), topology.node(b));
        let here = (topology.island(a) == island, topology.island(b) == island);
        let other = match here {
            (true, false) => b,
            (false, true) => a,
            _ => continue,
        };
        if !topology.closed()[at] && topology.energised(other) {
            switches.push(network.switches[at].id.as_str());
        }
    }
    switches.truncate(SHOWN);
    switches
}

/// Injections in service at buses that are not.
fn check_out_of_service(network: &Network, found: &mut Faults) {
    for injection in network.injections.iter().filter(|injection| injection.in_service) {
        let bus = &network.buses[injection.bus.0];
        if !bus.in_service {
            let problem = format!("is in service at bus {}, which is not", bus.id);
            found.warn(&injection_name(injection), problem, "it takes no part");
        }
    }
}

/// Machines at one node that hold different voltages.
fn check_contradictions(network: &Network, topology: &Topology, found: &mut Faults) {
    let mut held: BTreeMap<usize, Vec<&Injection>> = BTreeMap::new();
    for injection in network.injections.iter().filter(|injection| set_of(injection).is_some()) {
        held.entry(topology.node(injection.bus.0)).or_default().push(injection);
    }
    for at_node in held.values() {
        let first = at_node[0];
        let Some((vm_pu, va_deg)) = set_of(first) else { continue };
        for injection in &at_node[1..] {
            let Some((other_pu, other_deg)) = set_of(injection) else { continue };
            let angles = va_deg.zip(other_deg).map_or(0.0, |(a, b)| (a - b).abs());
            if (vm_pu - other_pu).abs() > SAME_SET_PU || angles > SAME_SET_PU {
                let problem = format!(
                    "holds {other_pu} pu at the node where {} holds {vm_pu} pu",
                    injection_name(first)
                );
                let hint = "closed switches make one node of their buses; give both one voltage";
                found.warn(&injection_name(injection), problem, hint);
            }
        }
    }
}

/// What an injection in service holds at its bus: voltage and, if it is a source, angle.
fn set_of(injection: &Injection) -> Option<(f64, Option<f64>)> {
    match injection.control {
        _ if !injection.in_service => None,
        Control::Power => None,
        Control::Voltage { vm_pu } => Some((vm_pu, None)),
        // Behind an impedance it holds nothing at the bus.
        Control::Slack { impedance_pu: Some(_), .. } => None,
        Control::Slack { vm_pu, va_deg, .. } => Some((vm_pu, Some(va_deg))),
    }
}

/// Couplers between voltage levels or from a bus to itself.
fn check_couplers(network: &Network, found: &mut Faults) {
    for switch in &network.switches {
        let Connection::Buses(a, b) = switch.connection else { continue };
        let element = named("switch", &switch.id, &switch.name);
        let (bus_a, bus_b) = (&network.buses[a.0], &network.buses[b.0]);
        if a == b {
            found.warn(&element, format!("connects bus {} with itself", bus_a.id), "");
        } else if (bus_a.nominal_kv / bus_b.nominal_kv - 1.0).abs() > 0.01 {
            let problem = format!(
                "joins bus {} of {} kV and bus {} of {} kV",
                bus_a.id, bus_a.nominal_kv, bus_b.id, bus_b.nominal_kv
            );
            let hint = "a transformer is missing, or a bus has the wrong nominal voltage";
            found.warn(&element, problem, hint);
        }
    }
}
