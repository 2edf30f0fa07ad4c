//! Estimation: from a flat start, and as a tick from where the state stands.

use grid::Complex;
use grid::Model;
use grid::Topology;
use grid::estimation::Estimator;
use grid::estimation::Outcome;
use grid::estimation::Settings;
use grid::estimation::bad_data;
use grid::measurement::Measurement;
use grid::measurement::Quantity;
use grid::measurement::Source;
use grid::measurement::Target;
use grid::model::SourceImpedance;
use grid::network::BranchIndex;
use grid::network::BusIndex;
use grid::network::Side;

use crate::physics::TOLERANCE_PU;
use crate::physics::case::Case;
use crate::physics::case::MachinesHold;
use crate::physics::case::P_FLOW;
use crate::physics::case::P_INJECTION;
use crate::physics::case::Q_FLOW;
use crate::physics::case::Q_INJECTION;
use crate::physics::ours::Stopwatch;
use crate::physics::race::Absent;
use crate::physics::race::Contestant;
use crate::physics::race::Turn;

/// What is done with an estimator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// Estimates from flat, the values as they are.
    Flat,
    /// Takes new values and estimates from where the state stands.
    Tick,
    /// The same, and tests for bad data: the sum of squares and every normalised residual, whose
    /// denominators belong to the factor that is there.
    Judged,
    /// The same with a fresh factor, and denominators of it.
    JudgedAfresh,
}

/// An estimator that is given new values again and again.
struct Estimates {
    case: Case,
    estimator: Estimator,
    does: Does,
    watch: Stopwatch,
}

/// Estimation from a flat start, of exact values: as the peer's single calculations.
pub fn flat(case: &Case) -> Box<dyn Contestant> {
    contestant(case, Does::Flat)
}

/// Estimation as a tick: new values of all measurements, which is timed, on the last state.
pub fn tick(case: &Case) -> Box<dyn Contestant> {
    contestant(case, Does::Tick)
}

/// A tick with the tests for bad data, on the factor that is there.
pub fn judged(case: &Case) -> Box<dyn Contestant> {
    contestant(case, Does::Judged)
}

/// A tick with the tests for bad data, on a fresh factor.
pub fn judged_afresh(case: &Case) -> Box<dyn Contestant> {
    contestant(case, Does::JudgedAfresh)
}

fn contestant(case: &Case, does: Does) -> Box<dyn Contestant> {
    match estimator(case) {
        Ok(estimator) => {
            let watch = Stopwatch::default();
            Box::new(Estimates { case: case.clone(), estimator, does, watch })
        }
        Err(why) => Box::new(Absent(why)),
    }
}

fn settings() -> Settings {
    Settings { tolerance: TOLERANCE_PU, ..Settings::default() }
}

/// An estimator of a case, at the optimum of exact values.
fn estimator(case: &Case) -> Result<Estimator, String> {
    let network = case.network(MachinesHold::Voltage);
    let model = Model::new(&network, SourceImpedance::Omitted).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        faults.join("; ")
    })?;
    let topology = Topology::new(&model);
    let mut estimator = Estimator::new(&model, &topology, &measurements(case));
    if let Some(unused) = estimator.unused().first() {
        return Err(format!("a measurement is not used: {unused:?}"));
    }
    match estimator.solve(&settings()) {
        Outcome::Solved { .. } => Ok(estimator),
        other => Err(format!("{other:?}")),
    }
}

fn measurements(case: &Case) -> Vec<Measurement> {
    let m = &case.measurement;
    let measurement = |row: usize| {
        let at = m.at[row];
        let quantity = match m.kind[row] {
            P_INJECTION | P_FLOW => Quantity::ActivePower,
            Q_INJECTION | Q_FLOW => Quantity::ReactivePower,
            _ => Quantity::VoltageMagnitude,
        };
        let target = match m.kind[row] {
            P_FLOW | Q_FLOW => Target::BranchEnd(BranchIndex(at), Side::From),
            _ => Target::Bus(BusIndex(at)),
        };
        Measurement {
            id: format!("M{row}"),
            source: Source::Meter,
            quantity,
            target,
            value: m.truth[row],
            sigma: m.sigma[row],
        }
    };
    (0..m.truth.len()).map(measurement).collect()
}

/// One estimate. What is rejected by chance is taken in again, so that every tick has all rows.
fn once(estimator: &mut Estimator, does: Does, values: &[f64]) -> Outcome {
    if does == Does::Flat {
        return estimator.solve(&settings());
    }
    estimator.set_values(values);
    if does == Does::Tick {
        return estimator.track(&settings());
    }
    if does == Does::JudgedAfresh {
        estimator.refresh();
    }
    let settings = bad_data::Settings { solve: settings(), ..bad_data::Settings::default() };
    let verdict = bad_data::identify(estimator, &settings);
    if !verdict.suspects.is_empty() {
        verdict.take_back(estimator);
    }
    verdict.outcome
}

impl Contestant for Estimates {
    fn run(&mut self, round: u64, repetitions: usize) -> Result<Turn, String> {
        let mut turn = Turn::default();
        for k in 0..repetitions {
            let values = self.case.readings(round * 1_000 + k as u64);
            let (estimator, does) = (&mut self.estimator, self.does);
            let (outcome, ms) = self.watch.time(|| once(estimator, does, &values));
            match outcome {
                Outcome::Solved { .. } => turn.ms.push(ms),
                other => return Err(format!("{other:?}")),
            }
        }
        let voltage = |bus: usize| {
            let unknown = Complex::new(f64::NAN, f64::NAN);
            self.estimator.voltage(bus).unwrap_or(unknown)
        };
        turn.voltages = (0..self.case.buses()).map(voltage).collect();
        Ok(turn)
    }
}
