//! References to elements that are not there.

use super::Faults;
use super::branch_name;
use super::injection_name;
use super::named;
use crate::network::Connection;
use crate::network::Network;

pub(super) fn check(network: &Network, found: &mut Faults) {
    let buses = network.buses.len();
    let mut bus = |element: String, what: &str, bus: usize| {
        if bus >= buses {
            let problem = format!("{what} bus number {bus}, and there are {buses} buses");
            found.fatal(&element, problem, "the bus was removed or never read");
        }
    };
    for branch in &network.branches {
        bus(branch_name(branch), "begins at", branch.from.0);
        bus(branch_name(branch), "ends at", branch.to.0);
    }
    for transformer in &network.three_winding {
        for winding in &transformer.windings {
            let element = named("three-winding transformer", &transformer.id, &transformer.name);
            bus(element, "has a winding at", winding.bus.0);
        }
    }
    for shunt in &network.shunts {
        bus(named("shunt", &shunt.id, &shunt.name), "is at", shunt.bus);
    }
    for injection in &network.injections {
        bus(injection_name(injection), "is at", injection.bus.0);
    }
    check_switches(network, found);
    check_sensors(network, found);
}

fn check_switches(network: &Network, found: &mut Faults) {
    for switch in &network.switches {
        let element = named("switch", &switch.id, &switch.name);
        let (kind, number, there) = match switch.connection {
            Connection::Buses(a, b) => ("bus", a.0.max(b.0), network.buses.len()),
            Connection::BranchEnd(branch, _) => ("branch", branch.0, network.branches.len()),
            Connection::WindingEnd(transformer, winding) => {
                if winding > 2 {
                    let problem = format!("is at winding number {winding} of three");
                    found.fatal(&element, problem, "windings are numbered 0, 1, 2");
                }
                ("three-winding transformer", transformer, network.three_winding.len())
            }
        };
        if number >= there {
            let problem = format!("is at {kind} number {number}, and there are {there}");
            found.fatal(&element, problem, "what it switches was removed or never read");
        }
    }
}

fn check_sensors(network: &Network, found: &mut Faults) {
    for sensor in &network.sensors {
        let (kind, number, there) = sensor.target.place(network);
        if number >= there {
            let problem = format!("measures at {kind} number {number}, and there are {there}");
            let element = named("sensor", &sensor.id, &sensor.name);
            found.warn(&element, problem, "what it measures was removed or never read");
        }
    }
}
