//! Power flow: flat, warm, and many scenarios at once.

use std::time::Instant;

use grid::Complex;
use grid::Model;
use grid::model::SourceImpedance;
use grid::power_flow::Batch;
use grid::power_flow::Outcome;
use grid::power_flow::PowerFlow;
use grid::power_flow::Scenarios;
use grid::power_flow::Settings;
use grid::power_flow::Start;

use crate::physics::TOLERANCE_PU;
use crate::physics::case::Case;
use crate::physics::case::MachinesHold;
use crate::physics::ours::Stopwatch;
use crate::physics::race::Absent;
use crate::physics::race::Contestant;
use crate::physics::race::Turn;

/// A power flow that is solved again and again.
struct Flow {
    case: Case,
    flow: PowerFlow,
    start: Start,
    watch: Stopwatch,
}

/// Power flow from a flat start.
pub fn flat(case: &Case) -> Box<dyn Contestant> {
    contestant(case, Start::Flat, MachinesHold::Voltage)
}

/// Power flow from a flat start where machines hold the reactive power of the solved state.
pub fn frozen(case: &Case) -> Box<dyn Contestant> {
    contestant(case, Start::Flat, MachinesHold::Power)
}

/// Power flow from the last solution, after all loads have been redrawn.
pub fn warm(case: &Case) -> Box<dyn Contestant> {
    contestant(case, Start::Warm, MachinesHold::Voltage)
}

fn contestant(case: &Case, start: Start, machines: MachinesHold) -> Box<dyn Contestant> {
    match model(case, machines) {
        Ok(model) => Box::new(Flow {
            case: case.clone(),
            flow: PowerFlow::new(model),
            start,
            watch: Stopwatch::default(),
        }),
        Err(why) => Box::new(Absent(why)),
    }
}

/// Power flow of many scenarios on all cores, by the clock on the wall.
///
/// The problem is posed as the peer poses it: machines put out the reactive power that they have
/// in the solved state. Ours solves the base first, from flat, which is timed, and starts each
/// scenario there; the peer starts each anew and has no such way.
pub fn batch(case: &Case) -> Box<dyn Contestant> {
    match model(case, MachinesHold::Power) {
        Ok(model) => Box::new(Scenario { case: case.clone(), flow: PowerFlow::new(model) }),
        Err(why) => Box::new(Absent(why)),
    }
}

/// The model of a case.
pub(super) fn model(case: &Case, machines: MachinesHold) -> Result<Model, String> {
    Model::new(&case.network(machines), SourceImpedance::Kept).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        faults.join("; ")
    })
}

fn settings() -> Settings {
    Settings { tolerance_pu: TOLERANCE_PU, ..Settings::default() }
}

impl Flow {
    fn set_loads(&mut self, factors: &[f64]) {
        let load = &self.case.load;
        for (n, factor) in factors.iter().enumerate() {
            self.flow.set_power(n, Complex::new(load.p[n], load.q[n]).scale(*factor));
        }
    }
}

impl Contestant for Flow {
    fn run(&mut self, round: u64, repetitions: usize) -> Result<Turn, String> {
        let settings = settings();
        let mut turn = Turn::default();
        for k in 0..repetitions {
            if self.start == Start::Warm {
                let factors = self.case.load_factors(round * 1_000 + k as u64);
                self.set_loads(&factors);
            }
            let (flow, start) = (&mut self.flow, self.start);
            let (outcome, ms) = self.watch.time(|| flow.solve(start, &settings));
            match outcome {
                Outcome::Solved { .. } => turn.ms.push(ms),
                other => return Err(format!("{other:?}")),
            }
        }
        turn.voltages = self.flow.voltages();
        Ok(turn)
    }
}

/// Scenarios of loads on a power flow.
struct Scenario {
    case: Case,
    flow: PowerFlow,
}

impl Contestant for Scenario {
    fn run(&mut self, _: u64, repetitions: usize) -> Result<Turn, String> {
        let load = &self.case.load;
        let injections: Vec<usize> = (0..load.bus.len()).collect();
        let mut powers = Vec::with_capacity(repetitions * injections.len());
        for scenario in 0..repetitions {
            let factors = self.case.load_factors(scenario as u64);
            let base = load.p.iter().zip(&load.q).map(|(&p, &q)| Complex::new(p, q));
            powers.extend(base.zip(factors).map(|(s, factor)| s.scale(factor)));
        }
        let scenarios = Scenarios { injections: &injections, powers: &powers };
        let threads = std::thread::available_parallelism().map_err(|e| e.to_string())?;
        let begin = Instant::now();
        let solutions = Batch::new(&self.flow, settings()).solve(scenarios, threads);
        let took = begin.elapsed();
        let solutions = solutions.map_err(|e| e.to_string())?;
        let failed: Vec<_> = solutions.outcomes.iter().filter(|one| !one.solved()).collect();
        if let Some(first) = failed.first() {
            let failed = failed.len();
            return Err(format!("{failed} of {repetitions} scenarios fail, the first: {first:?}"));
        }
        let last = repetitions - 1;
        let buses = 0..self.case.buses();
        Ok(Turn {
            ms: vec![1e3 * took.as_secs_f64() / repetitions as f64],
            voltages: buses.map(|bus| solutions.voltage(last, bus)).collect(),
        })
    }
}
