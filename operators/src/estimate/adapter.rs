//! The estimator of [`grid`], as this agent uses it: the one place that knows its names.
//!
//! Everything here is per unit of the model's power base and the buses' nominal voltages,
//! injections into a bus positive, angles against the source (absolute while one is measured).
//! Instants are ticks: what is said of a step counts at the tick that ends it.
//!
//! Balanced and unbalanced networks have a tracker each, with one report. Of an unbalanced one a
//! bus is a node, a branch a conductor, an injection what is connected at a node.

use grid::Complex;
use grid::Topology;
use grid::estimation::Outcome;
use grid::estimation::statistics::residual_limit;
use grid::estimation::topology_error;
use grid::estimation::tracker::Point;
use grid::estimation::tracker::Report;
use grid::estimation::tracker::Saved;
use grid::estimation::tracker::Settings;
use grid::estimation::tracker::StandIn;
use grid::estimation::tracker::Tracker;
use grid::estimation::tracker::Verdict;
use grid::measurement::Measurement;
use grid::three_phase;
use serde::Deserialize;
use serde::Serialize;

use super::plan::Physics;
use super::plan::Plan;
use super::plan::PlannedPoint;

mod unbalanced;

/// What an estimator remembers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Memory {
    /// Of a balanced network; see its type for what is promised of it.
    Balanced(Box<Saved>),
    /// Of an unbalanced one the words alone, which are in the history: and whose they are.
    Unbalanced(u64),
}

/// A tracker of either kind.
enum Either {
    Balanced(Box<Tracker>),
    Unbalanced(Box<three_phase::tracker::Tracker>),
}

/// The estimator of one feeder.
pub struct Estimator {
    tracker: Either,
    /// The normalised residual beyond which a point is accused: the limit for as many rows as there
    /// are points. The tracker's own is that of the rows that count at a tick, which may be more
    /// (stand-ins, buses without injection) or less (points that are stale); as the limit grows
    /// slowly with the number, the two differ by little.
    threshold: f64,
}

/// What an estimate came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Whether there is one.
    pub solved: bool,
    /// `estimated`, or why there is none.
    pub status: &'static str,
    /// The sum of squared weighted residuals.
    pub objective: f64,
    /// Values less unknowns.
    pub degrees_of_freedom: usize,
    /// What the objective stays below in 99 of 100 cases without gross errors.
    pub chi_square_limit: f64,
    /// Points that do not fit.
    pub suspects: Vec<Suspect>,
    /// Buses that are alive and not determined, ascending.
    pub unobservable: Vec<usize>,
}

/// Switches of which one, or all, do not stand where they are said to.
#[derive(Clone, Debug, PartialEq)]
pub struct WrongSwitches {
    /// Whether it is these; else one of them, and nothing measured tells which.
    pub named: bool,
    /// The switches, by their places in the model.
    pub switches: Vec<usize>,
    /// What the best of them, moved, lowers the sum of squares by, with what else speaks against
    /// the stated positions.
    pub better: f64,
    /// What that must be at least.
    pub margin: f64,
    /// Each in a sentence.
    pub words: Vec<String>,
}

/// A point that does not fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    /// The point, by its place among those that the estimator was made with.
    pub point: usize,
    /// Value less what everything else lets expect.
    pub residual: f64,
    /// The same in standard deviations.
    pub normalised: f64,
    /// The normalised residual beyond which a point is accused: of the number of points, and not
    /// the tracker's own limit at this tick, which is of the rows that count.
    pub threshold: f64,
    /// Whether it was left out.
    pub removed: bool,
    /// What the estimator calls it.
    pub verdict: &'static str,
    /// The same in words.
    pub words: String,
}

impl Estimator {
    /// The estimator of a plan; what is older than `history_ms` is not
    /// estimated anew.
    ///
    /// # Errors
    /// An unbalanced network cannot be estimated; why, in words.
    pub fn new(plan: &Plan, history_ms: u64) -> Result<Estimator, Vec<String>> {
        let settings = Settings { history_ms, ..Settings::default() };
        let threshold = residual_limit(plan.points.len(), settings.false_alarms);
        let tracker = match &plan.physics {
            Physics::Balanced(balanced) => {
                let points: Vec<Point> = plan.points.iter().map(point).collect();
                let mut tracker = Tracker::new(balanced.1.clone(), points, settings);
                for &(branch, told) in &plan.free_ratios {
                    tracker.free_ratio(branch, told);
                }
                Either::Balanced(Box::new(tracker))
            }
            Physics::Unbalanced(network) => {
                let points = plan.points.iter().map(unbalanced::point).collect();
                let settings = unbalanced::settings(plan, settings.false_alarms, history_ms);
                let network = (**network).clone();
                let tracker = three_phase::tracker::Tracker::new(network, points, settings)?;
                Either::Unbalanced(Box::new(tracker))
            }
        };
        Ok(Estimator { tracker, threshold })
    }

    /// Takes what a point says of the step that ends at a tick, also of a past one, with its
    /// standard deviation; of two words of one tick the later one stands.
    pub fn observe(&mut self, point: usize, (value_pu, sigma_pu): (f64, f64), tick_ms: u64) {
        match &mut self.tracker {
            Either::Balanced(of) => of.observe_within(point, value_pu, sigma_pu, tick_ms),
            Either::Unbalanced(of) => of.observe_within(point, value_pu, sigma_pu, tick_ms),
        }
    }

    /// What an injection is thought to be while nothing that is believed measures it, and its
    /// standard deviation, of active and reactive power each by itself.
    pub fn stand_in(&mut self, injection: usize, stand_in: Option<(Complex, Complex)>) {
        let stand_in = stand_in.map(|(s, sigma)| StandIn { s, sigma });
        match &mut self.tracker {
            Either::Balanced(of) => of.stand_in(injection, stand_in),
            Either::Unbalanced(of) => of.stand_in(injection, stand_in),
        }
    }

    /// Where a switch stands from a tick on.
    pub fn set_switch(&mut self, switch: usize, closed: bool, tick_ms: u64) {
        match &mut self.tracker {
            Either::Balanced(of) => of.set_switch(switch, closed, tick_ms),
            Either::Unbalanced(of) => of.set_switch(switch, closed, tick_ms),
        }
    }

    /// Where a tap of an unbalanced network stands from a tick on: of an element's winding, per
    /// unit of its rated voltage.
    pub fn set_tap(&mut self, winding: (usize, usize), tap: f64, tick_ms: u64) {
        if let Either::Unbalanced(of) = &mut self.tracker {
            of.set_tap(winding, tap, tick_ms);
        }
    }

    /// The estimate of a tick.
    pub fn estimate(&mut self, tick_ms: u64) -> Estimate {
        let report = match &mut self.tracker {
            Either::Balanced(of) => of.estimate(tick_ms),
            Either::Unbalanced(of) => of.estimate(tick_ms),
        };
        self.said(&report)
    }

    /// The estimate of a past tick as it is known now, with the voltages of all buses: zero where
    /// dead, nothing where not determined. The present one stays.
    pub fn revise(&mut self, tick_ms: u64) -> (Estimate, Vec<Option<Complex>>) {
        let mut report = match &mut self.tracker {
            Either::Balanced(of) => of.revise(tick_ms),
            Either::Unbalanced(of) => of.revise(tick_ms),
        };
        let voltages = std::mem::take(&mut report.voltages);
        (self.said(&report), voltages)
    }

    fn said(&self, report: &Report) -> Estimate {
        let (solved, status) = match report.outcome {
            Outcome::Solved { .. } => (true, "estimated"),
            Outcome::Diverged { .. } => (false, "not-converged"),
            Outcome::Unobservable => (false, "no-values"),
            Outcome::NoSource => (false, "no-source"),
        };
        let suspects = report.suspects.iter().map(|suspect| Suspect {
            point: suspect.point,
            residual: suspect.value - suspect.expected,
            normalised: suspect.deviations,
            threshold: self.threshold,
            removed: matches!(suspect.verdict, Verdict::Residual | Verdict::HeldOut),
            verdict: suspect.verdict.as_str(),
            words: suspect.verdict.to_string(),
        });
        Estimate {
            solved,
            status,
            objective: report.objective,
            degrees_of_freedom: report.degrees_of_freedom,
            chi_square_limit: report.objective_limit,
            suspects: suspects.collect(),
            unobservable: report.unobservable.clone(),
        }
    }

    /// The voltage of a bus; zero where it is dead, nothing where it is not determined.
    pub fn voltage(&self, bus: usize) -> Option<Complex> {
        match &self.tracker {
            Either::Balanced(of) => of.voltage(bus),
            Either::Unbalanced(of) => of.voltage(bus),
        }
    }

    /// The ratio of a branch over the one that is stated, with its standard deviation, where it is
    /// estimated.
    pub fn ratio(&self, branch: usize) -> Option<(f64, f64)> {
        let Either::Balanced(of) = &self.tracker else { return None };
        of.ratio(branch).map(|ratio| (ratio.relative, ratio.deviation))
    }

    /// Where the switches stood at a tick, in the model's order.
    pub fn closed_at(&self, tick_ms: u64) -> Vec<bool> {
        match &self.tracker {
            Either::Balanced(of) => of.closed_at(tick_ms),
            Either::Unbalanced(of) => of.closed_at(tick_ms),
        }
    }

    /// Looks for switches that do not stand where they are said to at a tick; `silent` are buses
    /// that report nothing though they should. Nothing where the stated positions are as good as
    /// any, and of an unbalanced network.
    pub fn wrong_switches(
        &self,
        plan: &Plan,
        tick_ms: u64,
        measurements: &[Measurement],
        silent: &[usize],
    ) -> Option<WrongSwitches> {
        let Physics::Balanced(balanced) = &plan.physics else { return None };
        let (network, model) = &**balanced;
        let topology = Topology::with_positions(model, &self.closed_at(tick_ms));
        let settings = topology_error::Settings::default();
        let found = topology_error::suspect(model, &topology, measurements, silent, &settings);
        if found.stated_stands {
            return None;
        }
        let alike = match found.culprit() {
            Some(culprit) => vec![culprit],
            None => found.alike.iter().collect(),
        };
        let better = found.stated.total - alike.first()?.evidence.total;
        let words: Vec<String> =
            alike.iter().map(|of| of.describe(network, measurements)).collect();
        let switches = alike.iter().flat_map(|of| of.changes.iter().map(|c| c.switches[0]));
        let mut switches: Vec<usize> = switches.collect();
        switches.sort_unstable();
        switches.dedup();
        let named = found.culprit().is_some();
        Some(WrongSwitches { named, switches, better, margin: settings.margin, words })
    }

    /// Whether a source reaches a bus.
    pub fn energised(&self, bus: usize) -> bool {
        match &self.tracker {
            Either::Balanced(of) => of.energised(bus),
            Either::Unbalanced(of) => of.energised(bus),
        }
    }

    /// The standard deviations of the magnitudes of so many buses; not finite where nothing bounds
    /// one.
    pub fn sigmas(&mut self, buses: usize) -> Vec<f64> {
        let of = |bus: usize| match &mut self.tracker {
            Either::Balanced(of) => of.deviation(bus).0,
            Either::Unbalanced(of) => of.deviation(bus).0,
        };
        (0..buses).map(of).collect()
    }

    /// The powers and the currents from the buses into both ends of a branch; nothing where an end
    /// is not determined. Of a conductor those at its far end are zero: they are other conductors'.
    pub fn flows(&self, branch: usize) -> Option<([Complex; 2], [Complex; 2])> {
        match &self.tracker {
            Either::Balanced(of) => of.flows(branch).zip(of.currents(branch)),
            Either::Unbalanced(of) => {
                let (power, current) = of.flow(branch)?;
                Some(([power, Complex::ZERO], [current, Complex::ZERO]))
            }
        }
    }

    /// What it remembers.
    pub fn save(&self) -> Memory {
        match &self.tracker {
            Either::Balanced(of) => Memory::Balanced(Box::new(of.save())),
            Either::Unbalanced(of) => Memory::Unbalanced(of.fingerprint()),
        }
    }

    /// Takes back what was saved; false if that is of another network or other points.
    pub fn restore(&mut self, memory: &Memory) -> bool {
        match (&mut self.tracker, memory) {
            (Either::Balanced(of), Memory::Balanced(saved)) => of.restore(saved).is_ok(),
            (Either::Unbalanced(of), Memory::Unbalanced(saved)) => of.fingerprint() == *saved,
            _ => false,
        }
    }
}

fn point(planned: &PlannedPoint) -> Point {
    Point {
        id: planned.id.clone(),
        quantity: planned.quantity,
        target: planned.target,
        sigma: planned.sigma_pu,
        drift_per_s: planned.drift_pu_per_s,
        stale_after_ms: planned.stale_after_ms,
        averaged_over_ms: planned.averaged_over_ms,
        range: (f64::NEG_INFINITY, f64::INFINITY),
    }
}
