//! Topology processing: one switch moves, and nodes and islands are found anew.
//!
//! Every line has a breaker at its from end, and every hundredth bus a second busbar section behind
//! a coupler. A breaker of a radial network takes everything behind it out of service or back;
//! a coupler makes one node of two, which renumbers all. Switches are moved in turn and moved back.

use grid::BusIndex;
use grid::Model;
use grid::Topology;
use grid::model::SourceImpedance;
use grid::network::BranchIndex;
use grid::network::Bus;
use grid::network::Connection;
use grid::network::Network;
use grid::network::Side;
use grid::network::Switch;

use crate::physics::case::Case;
use crate::physics::case::MachinesHold;
use crate::physics::ours::Stopwatch;
use crate::physics::race::Absent;
use crate::physics::race::Contestant;
use crate::physics::race::Turn;

/// Every so many buses have a second section.
const SECTION_EVERY: usize = 100;

/// Switches in turn are so many apart: no neighbours, and prime to all counts here.
const STRIDE: usize = 7_919;

struct Moves {
    model: Model,
    topology: Topology,
    switches: Vec<usize>,
    watch: Stopwatch,
}

/// A breaker at the end of a line opens, then closes.
pub fn breaker(case: &Case) -> Box<dyn Contestant> {
    contestant(case, |connection| matches!(connection, Connection::BranchEnd(..)))
}

/// A coupler between two sections of a busbar opens, then closes.
pub fn coupler(case: &Case) -> Box<dyn Contestant> {
    contestant(case, |connection| matches!(connection, Connection::Buses(..)))
}

fn contestant(case: &Case, moved: impl Fn(&Connection) -> bool) -> Box<dyn Contestant> {
    let network = with_switches(case.network(MachinesHold::Voltage));
    let all = network.switches.iter().enumerate();
    let switches = all.filter(|(_, of)| moved(&of.connection)).map(|(at, _)| at).collect();
    match Model::new(&network, SourceImpedance::Omitted) {
        Ok(model) => {
            let topology = Topology::new(&model);
            Box::new(Moves { model, topology, switches, watch: Stopwatch::default() })
        }
        Err(faults) => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Box::new(Absent(faults.join("; ")))
        }
    }
}

fn with_switches(mut network: Network) -> Network {
    let switch = |connection, at: usize| {
        let id = format!("S{at}");
        Switch { id, name: String::new(), connection, closed: true }
    };
    let mut switches = Vec::new();
    for branch in 0..network.branches.len() {
        let end = Connection::BranchEnd(BranchIndex(branch), Side::From);
        switches.push(switch(end, switches.len()));
    }
    for bus in (0..network.buses.len()).step_by(SECTION_EVERY) {
        let section = BusIndex(network.buses.len());
        network.buses.push(Bus { id: format!("section {bus}"), ..network.buses[bus].clone() });
        switches.push(switch(Connection::Buses(BusIndex(bus), section), switches.len()));
    }
    network.switches = switches;
    network
}

impl Contestant for Moves {
    fn run(&mut self, round: u64, repetitions: usize) -> Result<Turn, String> {
        let mut ms = Vec::with_capacity(repetitions);
        for k in 0..repetitions {
            // Twice each: it opens and it closes.
            let at = (round as usize * 1_000 + k) / 2 * STRIDE % self.switches.len();
            let switch = self.switches[at];
            let closed = !self.topology.closed()[switch];
            let Moves { model, topology, watch, .. } = self;
            let (change, took) = watch.time(|| topology.set(model, switch, closed));
            if !(change.renumbered || change.islands || change.branch.is_some()) {
                return Err(format!("switch {switch} moved and nothing changed"));
            }
            ms.push(took);
        }
        Ok(Turn { ms, voltages: Vec::new() })
    }
}
