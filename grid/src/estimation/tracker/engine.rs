//! The estimator under given switch positions, with its slots.
//!
//! Equations are compiled once for all slots; a slot that nobody fills is a row that counts for
//! nothing.
//! Only another position of a switch makes another engine.

use crate::complex::Complex;
use crate::estimation::covariance::Deviation;
use crate::estimation::estimator::Estimator;
use crate::estimation::estimator::Outcome;
use crate::estimation::tracker::Point;
use crate::estimation::tracker::SIGMA_SHARE;
use crate::estimation::tracker::Settings;
use crate::estimation::tracker::slot::Filling;
use crate::estimation::tracker::slot::Slot;
use crate::measurement::Measurement;
use crate::measurement::Quantity;
use crate::measurement::Source;
use crate::measurement::Target;
use crate::model::Model;
use crate::network::BusIndex;
use crate::network::InjectionIndex;
use crate::network::Side;
use crate::topology::Topology;

/// An engine as plain numbers.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Numbers {
    closed: Vec<bool>,
    started: bool,
    state: Vec<[f64; 7]>,
    factor_state: Vec<[f64; 7]>,
    /// Value, sigma, and whether it counts.
    rows: Vec<(f64, f64, bool)>,
    factor_sigma: Vec<f64>,
    /// Stated over estimated ratios, and those that the factor has.
    ratios: Vec<f64>,
    factor_ratios: Vec<f64>,
    /// What holds nodes without a balance.
    held: f64,
}

/// Slots on rows, and the estimator that solves them.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    // Made once.
    pub topology: Option<Topology>,
    pub slots: Vec<Slot>,

    // State.
    pub estimator: Option<Estimator>,
    /// Sigmas of the rows as the factor has them.
    pub factor_sigma: Vec<f64>,
    /// The state that the factor belongs to.
    factor_state: Vec<[f64; 7]>,
    /// The free ratios that it belongs to.
    factor_ratios: Vec<f64>,
    /// True once there is a state to track from.
    pub started: bool,
    /// True while the factor is that of the present state and rows.
    pub settled: bool,
    /// Deviations of the nodes at the factor, where they have been asked for.
    deviations: Vec<Deviation>,
}

impl Engine {
    /// No engine: what stands in its place for a moment.
    pub(super) fn empty() -> Engine {
        Engine {
            topology: None,
            slots: Vec::new(),
            estimator: None,
            factor_sigma: Vec::new(),
            factor_state: Vec::new(),
            factor_ratios: Vec::new(),
            started: false,
            settled: false,
            deviations: Vec::new(),
        }
    }

    pub(super) fn new(
        model: &Model,
        points: &[Point],
        closed: &[bool],
        free_ratios: &[(usize, Option<f64>)],
    ) -> Engine {
        let topology = Topology::with_positions(model, closed);
        let slots = Slot::all(model, points);
        let measurements: Vec<Measurement> =
            slots.iter().map(|slot| placeholder(slot, points)).collect();
        let mut estimator = Estimator::new(model, &topology, &measurements);
        for &(branch, told) in free_ratios {
            estimator.free_ratio(model, &topology, branch, told);
        }
        for row in 0..estimator.rows().len() {
            estimator.set_active(row, false);
        }
        let rows = estimator.rows().len();
        Engine {
            topology: Some(topology),
            slots,
            estimator: Some(estimator),
            factor_sigma: vec![0.0; rows],
            factor_state: Vec::new(),
            factor_ratios: Vec::new(),
            started: false,
            settled: false,
            deviations: Vec::new(),
        }
    }

    pub(super) fn closed(&self) -> &[bool] {
        self.topology.as_ref().map_or(&[], |topology| topology.closed())
    }

    pub(super) fn energised(&self, bus: usize) -> bool {
        self.topology.as_ref().is_some_and(|t| t.energised(t.node(bus)))
    }

    pub(super) fn voltage(&self, bus: usize) -> Option<Complex> {
        if !self.energised(bus) {
            return Some(Complex::ZERO);
        }
        let estimator = self.estimator.as_ref().filter(|_| self.started)?;
        estimator.voltage(bus)
    }

    /// Puts fillings into rows; true if rows came or went.
    pub(super) fn put(&mut self, fillings: &[Option<Filling>]) -> bool {
        let Some(estimator) = &mut self.estimator else { return false };
        let mut changed = false;
        for number in 0..estimator.rows().len() {
            let row = &estimator.rows()[number];
            let mut sums = Some((0.0, 0.0));
            for &(slot, factor) in &row.members {
                sums = match (sums, fillings[slot]) {
                    (Some((value, variance)), Some(filling)) => {
                        let sigma = factor * filling.sigma;
                        Some((value + factor * filling.value, variance + sigma * sigma))
                    }
                    _ => None,
                };
            }
            let was_active = row.active;
            if let Some((value, variance)) = sums {
                let sigma = variance.sqrt();
                let share = sigma / self.factor_sigma[number];
                if was_active && (1.0 - SIGMA_SHARE..=1.0 + SIGMA_SHARE).contains(&share) {
                    estimator.reweigh(number, value, sigma);
                } else {
                    estimator.set_row(number, value, sigma);
                }
            }
            estimator.set_active(number, sums.is_some());
            changed |= was_active != sums.is_some();
        }
        if changed {
            estimator.observe();
        }
        changed
    }

    /// Solves from where the state stands, from flat where that does not lead anywhere.
    pub(super) fn solve(&mut self, settings: &Settings) -> Outcome {
        self.settled = false;
        let Some(estimator) = &mut self.estimator else { return Outcome::NoSource };
        let mut outcome = if self.started {
            estimator.track(&settings.solver)
        } else {
            estimator.solve(&settings.solver)
        };
        if self.started && !outcome.is_solved() {
            outcome = estimator.solve(&settings.solver);
        }
        self.started = outcome.is_solved();
        outcome
    }

    /// Makes the factor that of the present state, so that it is one that can be found again.
    pub(super) fn settle(&mut self) {
        let Some(estimator) = self.estimator.as_mut().filter(|_| self.started) else { return };
        estimator.refresh();
        let sigmas = estimator.rows().iter().map(|row| row.sigma);
        self.factor_sigma.clear();
        self.factor_sigma.extend(sigmas);
        self.factor_state = estimator.state();
        self.factor_ratios = estimator.ratios();
        estimator.residual_variances();
        self.deviations.clear();
        self.settled = true;
    }

    pub(super) fn save(&self) -> Numbers {
        let Some(estimator) = &self.estimator else { return Numbers::default() };
        let rows = estimator.rows().iter();
        Numbers {
            closed: self.closed().to_vec(),
            started: self.started,
            state: estimator.state(),
            factor_state: self.factor_state.clone(),
            rows: rows.map(|row| (row.value, row.sigma, row.active)).collect(),
            factor_sigma: self.factor_sigma.clone(),
            ratios: estimator.ratios(),
            factor_ratios: self.factor_ratios.clone(),
            held: estimator.held(),
        }
    }

    /// An engine as it was saved.
    pub(super) fn restore(
        model: &Model,
        points: &[Point],
        free_ratios: &[(usize, Option<f64>)],
        numbers: &Numbers,
    ) -> Option<Engine> {
        if numbers.closed.len() != model.switches.len() {
            return None;
        }
        let mut engine = Engine::new(model, points, &numbers.closed, free_ratios);
        let estimator = engine.estimator.as_mut()?;
        let counts = [numbers.rows.len(), numbers.factor_sigma.len()];
        if counts != [estimator.rows().len(); 2] || numbers.state.len() != estimator.nodes() {
            return None;
        }
        for (number, &(value, sigma, active)) in numbers.rows.iter().enumerate() {
            let factor_sigma = numbers.factor_sigma[number];
            estimator.set_row(number, value, if active { factor_sigma } else { sigma });
            estimator.set_active(number, active);
        }
        estimator.observe();
        estimator.hold_with(numbers.held);
        if !estimator.set_ratios(&numbers.ratios) {
            return None;
        }
        engine.factor_sigma.clone_from(&numbers.factor_sigma);
        engine.started = numbers.started;
        if numbers.started {
            estimator.set_state(&numbers.factor_state);
            estimator.set_ratios(&numbers.factor_ratios);
            engine.settle();
            engine.factor_sigma.clone_from(&numbers.factor_sigma);
            let estimator = engine.estimator.as_mut()?;
            for (number, &(value, sigma, _)) in numbers.rows.iter().enumerate() {
                estimator.reweigh(number, value, sigma);
            }
            estimator.set_ratios(&numbers.ratios);
            estimator.set_state(&numbers.state);
        }
        Some(engine)
    }

    pub(super) fn deviation(&mut self, bus: usize) -> (f64, f64) {
        if !self.energised(bus) {
            return (0.0, 0.0);
        }
        let Some(estimator) = self.estimator.as_mut().filter(|_| self.started) else {
            return (f64::INFINITY, f64::INFINITY);
        };
        if self.deviations.is_empty() {
            self.deviations = estimator.deviations();
        }
        let node = estimator.node(bus).expect("an energised bus has a node");
        (self.deviations[node].magnitude, self.deviations[node].angle)
    }

    pub(super) fn currents(&self, model: &Model, branch: usize) -> Option<[Complex; 2]> {
        let topology = self.topology.as_ref()?;
        let line = &model.branches[branch];
        let [ff, ft, tf, tt] = topology.two_port(model, branch);
        // An estimated ratio stands at the from end.
        let estimator = self.estimator.as_ref();
        let ratio = estimator.and_then(|of| of.ratio(branch)).map_or(1.0, |of| 1.0 / of.relative);
        let [ff, ft, tf] = [ff.scale(ratio * ratio), ft.scale(ratio), tf.scale(ratio)];
        let at = |bus: usize, needed: bool| {
            if needed { self.voltage(bus) } else { Some(Complex::ZERO) }
        };
        let from = at(line.from, ff != Complex::ZERO || tf != Complex::ZERO)?;
        let to = at(line.to, tt != Complex::ZERO || ft != Complex::ZERO)?;
        Some([ff * from + ft * to, tf * from + tt * to])
    }

    pub(super) fn flows(&self, model: &Model, branch: usize) -> Option<[Complex; 2]> {
        let currents = self.currents(model, branch)?;
        let line = &model.branches[branch];
        let power = |bus: usize, current: Complex| match self.voltage(bus) {
            Some(v) => v * current.conj(),
            // An end that is open, at a bus that nobody sees: nothing flows.
            None => Complex::ZERO,
        };
        Some([power(line.from, currents[0]), power(line.to, currents[1])])
    }
}

/// A measurement of a slot's quantity, before anything is known of it.
fn placeholder(slot: &Slot, points: &[Point]) -> Measurement {
    let (id, quantity, target) = match slot {
        Slot::Point(point) => {
            let point = &points[*point];
            (point.id.clone(), point.quantity, point.target)
        }
        Slot::Injection { injection, reactive, .. } => {
            let quantity = if *reactive { Quantity::ReactivePower } else { Quantity::ActivePower };
            (String::new(), quantity, Target::Injection(InjectionIndex(*injection)))
        }
        Slot::Prior(bus) => {
            (String::new(), Quantity::VoltageMagnitude, Target::Bus(BusIndex(*bus)))
        }
    };
    Measurement { id, source: Source::Meter, quantity, target, value: 1.0, sigma: 1.0 }
}

/// True of a quantity that is zero where there is no voltage.
pub(super) fn vanishes_when_dead(quantity: Quantity) -> bool {
    !matches!(quantity, Quantity::VoltageAngle | Quantity::CurrentAngle)
}

/// The bus that a target is at.
pub(super) fn bus_of(model: &Model, target: Target) -> usize {
    match target {
        Target::Bus(bus) => bus.0,
        Target::Injection(injection) => model.injections[injection.0].bus,
        Target::BranchEnd(branch, Side::From) => model.branches[branch.0].from,
        Target::BranchEnd(branch, Side::To) => model.branches[branch.0].to,
    }
}
