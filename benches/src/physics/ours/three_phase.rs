//! Three phases: a feeder is solved again after its loads have changed.
//!
//! Taps and capacitors are put where the peer's controls left them, so that both solve the same
//! network; where controls go by themselves is what the tests of the solver ask.

use std::collections::BTreeMap;
use std::path::Path;

use grid::three_phase::Outcome;
use grid::three_phase::Settings;
use grid::three_phase::Solver;
use serde::Deserialize;
use serde_json::Value;

use crate::physics::SEED;
use crate::physics::draw::deviate;
use crate::physics::ours::Stopwatch;
use crate::physics::race::Contestant;
use crate::physics::race::Turn;

/// The feeder as the peer has it.
#[derive(Deserialize)]
struct Theirs {
    nodes: Vec<String>,
    /// Bases to ground in volts.
    volt: Vec<f64>,
    loads: Vec<String>,
    watts: Vec<f64>,
    vars: Vec<f64>,
    /// Transformer, winding from 1, and tap per unit.
    taps: Vec<(String, usize, f64)>,
    /// Capacitor and how many of its steps are closed.
    steps: Vec<(String, usize)>,
}

/// A feeder that is solved again and again.
struct Feeder {
    solver: Solver,
    theirs: Theirs,
    /// Ours of the peer's nodes and loads.
    nodes: Vec<usize>,
    loads: Vec<usize>,
    watch: Stopwatch,
}

/// A feeder from its script, as the peer has it.
///
/// # Errors
/// It cannot be read, or is not what the peer has.
pub fn feeder(path: &Path, theirs: &Value, tolerance: f64) -> Result<Box<dyn Contestant>, String> {
    let theirs: Theirs = serde_json::from_value(theirs.clone()).map_err(|e| e.to_string())?;
    let import = cases::opendss::read(path).map_err(|e| e.to_string())?;
    if !import.is_whole() {
        return Err(import.remarks.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
    }
    let network = import.network;
    let ids = network.nodes.iter().map(|node| node.id.to_lowercase());
    let nodes = found(ids, theirs.nodes.iter().cloned())?;
    let names = network.loads.iter().map(|load| load.name.to_lowercase());
    let loads = found(names, theirs.loads.iter().map(|name| format!("load.{name}")))?;
    let mut solver = Solver::new(network, Settings { tolerance, ..Settings::default() });
    for (transformer, winding, tap) in &theirs.taps {
        let name = format!("transformer.{}", transformer.to_lowercase());
        let element = solver.network().element_index(&name).ok_or(format!("no {name}"))?;
        if !solver.set_tap(element, winding - 1, *tap) {
            return Err(format!("{name} has no tap at winding {winding}"));
        }
    }
    for (capacitor, steps) in &theirs.steps {
        let name = format!("capacitor.{}", capacitor.to_lowercase());
        let element = solver.network().element_index(&name).ok_or(format!("no {name}"))?;
        if !solver.set_steps(element, *steps) {
            return Err(format!("{name} has no steps"));
        }
    }
    match solver.solve() {
        Outcome::Solved { .. } => {
            let watch = Stopwatch::default();
            Ok(Box::new(Feeder { solver, theirs, nodes, loads, watch }))
        }
        other => Err(format!("{other:?}")),
    }
}

/// Where each wanted name stands among ours.
fn found(
    ours: impl Iterator<Item = String>,
    wanted: impl Iterator<Item = String>,
) -> Result<Vec<usize>, String> {
    let ours: BTreeMap<String, usize> = ours.enumerate().map(|(at, name)| (name, at)).collect();
    let place = |name: String| ours.get(&name).copied().ok_or(format!("we have no {name}"));
    wanted.map(place).collect()
}

impl Contestant for Feeder {
    fn run(&mut self, round: u64, repetitions: usize) -> Result<Turn, String> {
        let mut turn = Turn::default();
        for k in 0..repetitions {
            let scenario = round * 1_000 + k as u64;
            for (n, &load) in self.loads.iter().enumerate() {
                let factor = 1.0 + 0.01 * deviate(SEED, scenario, n as u64);
                let (watts, vars) = (self.theirs.watts[n], self.theirs.vars[n]);
                self.solver.set_load(load, watts * factor, vars * factor);
            }
            let solver = &mut self.solver;
            let (outcome, ms) = self.watch.time(|| solver.solve());
            match outcome {
                Outcome::Solved { .. } => turn.ms.push(ms),
                other => return Err(format!("{other:?}")),
            }
        }
        let volts = self.nodes.iter().map(|&node| self.solver.voltage(node));
        turn.voltages = volts.zip(&self.theirs.volt).map(|(v, base)| v.scale(1.0 / base)).collect();
        Ok(turn)
    }
}
