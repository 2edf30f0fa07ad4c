//! Topology errors: switches that do not stand where they are said to.
//!
//! The sum of squares misses many of them (a load moved to another feeder over a tie may change
//! less than the noise), and where much is wrong there is no estimate to have residuals. So they
//! have their own tests:
//!
//! - **open end**: a flow or a current is measured at an end that is said to be open;
//! - **dead bus**: something that is said to be dead reports a voltage or a power, or everything
//!   behind a closed switch reports zero, or nothing although it should;
//! - **residual cluster**: what does not fit lies around one switch.
//!
//! They say which switches to ask ([`screen`]). Each is asked by estimating anew with the switch
//! moved; so are pairs of one opened and one closed, which is what a transfer is. What an answer is
//! worth is its [`Evidence`]: the sum of squares, what is measured where nothing can be, and buses
//! that are silent though alive. A change is *named* if it beats every other of as many switches by
//! the margin; else all that come that near are given, because nothing measured tells them apart.
//! Switches in series are one change ([`Change::switches`]).
//! (A. Monticelli, *Modeling circuit breakers in weighted least squares state estimation*, IEEE
//! PWRS-8, 1993, has the problem; testing hypotheses by estimating anew is the plainest answer to
//! it, and affordable here.)
//!
//! # Bounds
//!
//! At most [`OPENED`] openings and [`CLOSED`] closings are asked alone, and every pair of them: an
//! estimation each, of some hundred microseconds in a network of a hundred buses.

use crate::estimation::bad_data;
use crate::estimation::bad_data::ChiSquare;
use crate::estimation::estimator;
use crate::estimation::estimator::Estimator;
use crate::estimation::measurement::WhyUnused;
use crate::estimation::statistics::chi_square_limit;
use crate::measurement::Measurement;
use crate::measurement::Quantity;
use crate::model::Model;
use crate::network::Network;
use crate::topology::Topology;

mod action;

mod screen;

mod reason;

pub use self::action::Change;
pub use self::reason::Reason;
use self::screen::Screen;

/// Most openings that are asked: more cost time, fewer lose weak cases.
pub const OPENED: usize = 48;
/// Most closings that are asked. Networks have few open switches.
pub const CLOSED: usize = 16;

/// How many of the best hypotheses are asked once more, meters being allowed to lie.
const AGAIN: usize = 8;

/// How wrong switches are looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How estimations are made. Hypotheses that are right converge in few passes.
    pub solve: estimator::Settings,
    /// By how much a change must beat the others to be named (6.63: the 99 percent point of
    /// chi-square with one degree of freedom), and what one switch more must be worth.
    pub margin: f64,
    /// What a bus counts that is alive and silent though it should report: `2 ln(1/p)`, `p` the
    /// share of such buses that are silent for other reasons.
    pub silent: f64,
    /// What a row counts that has to be rejected as bad: a wrong switch spoils many, a lying meter
    /// one.
    pub rejected: f64,
    /// The probability with which a good set stays below the limit of the sum of squares.
    pub confidence: f64,
    /// True to ask every switch and every pair: slow, and what the screening is tested against.
    pub exhaustive: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            solve: estimator::Settings { tolerance: 1e-8, passes: 30 },
            margin: 6.63,
            silent: 9.21,
            rejected: 20.0,
            confidence: 0.99,
            exhaustive: false,
        }
    }
}

/// What speaks against given switch positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// The sum of squared residuals; infinite where there is no estimate.
    pub fit: ChiSquare,
    /// The squares of what is measured on dead buses and open ends, each by its sigma.
    pub impossible: f64,
    /// How many measurements that are.
    pub impossible_count: usize,
    /// Buses that are alive and silent though they should report.
    pub silent: usize,
    /// Rows that would have to be bad, if that was asked; the sum of squares is without them.
    pub rejected: usize,
    /// All together, less what is expected by chance: one a redundant row.
    pub total: f64,
}

/// Switch positions other than those stated.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// What is changed: one thing, or one opened and one closed.
    pub changes: Vec<Change>,
    /// What speaks against it.
    pub evidence: Evidence,
    /// Why each change is suspected, in the order of the changes.
    pub reasons: Vec<Reason>,
}

impl Evidence {
    fn add_up(&mut self, settings: &Settings) {
        let expected = (self.fit.freedom + self.impossible_count) as f64;
        self.total = self.fit.objective
            + self.impossible
            + self.silent as f64 * settings.silent
            + self.rejected as f64 * settings.rejected
            - expected;
    }

    /// True if nothing is left that does not fit.
    fn explains(&self, settings: &Settings) -> bool {
        let limit = chi_square_limit(self.impossible_count, settings.confidence);
        !self.fit.alarms() && (self.impossible_count == 0 || self.impossible <= limit)
    }
}

impl Hypothesis {
    /// Says it in a sentence a change, by the network's identifiers and the measurements'.
    pub fn describe(&self, network: &Network, measurements: &[Measurement]) -> String {
        let pairs = self.changes.iter().zip(&self.reasons);
        let said: Vec<String> =
            pairs.map(|(change, reason)| reason.describe(change, network, measurements)).collect();
        said.join("; ")
    }
}

/// What came of looking for wrong switches.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspicion {
    /// What speaks against the positions that are stated.
    pub stated: Evidence,
    /// The changes that explain things best and cannot be told apart, best first. Where the stated
    /// positions are among what cannot be told apart, [`Suspicion::stated_stands`] is true.
    pub alike: Vec<Hypothesis>,
    /// True if the stated positions are as good as any change.
    pub stated_stands: bool,
    /// True if the first of `alike` is better than anything else of as many changes, and leaves
    /// nothing that does not fit.
    pub named: bool,
    /// How many hypotheses were estimated.
    pub asked: usize,
}

impl Suspicion {
    /// The change that is named: the switches are wrong, these ones, and so.
    pub fn culprit(&self) -> Option<&Hypothesis> {
        if self.named { self.alike.first() } else { None }
    }
}

/// In-service injections' buses that have no measurement of their own, ascending. Where every
/// customer is known to report (or to be forecast), these are the silent ones; where some never
/// do, the caller has to know which those are.
pub fn buses_without_measurements(model: &Model, measurements: &[Measurement]) -> Vec<usize> {
    let mut heard = vec![false; model.bus_kv.len()];
    for measurement in measurements {
        if let Some(bus) = screen::own_bus(model, measurement) {
            heard[bus] = true;
        }
    }
    let serving = model.injections.iter().filter(|injection| injection.in_service);
    let mut silent: Vec<usize> =
        serving.map(|injection| injection.bus).filter(|&bus| !heard[bus]).collect();
    silent.sort_unstable();
    silent.dedup();
    silent
}

/// Looks for wrong switches.
///
/// `silent` are buses that report nothing though they should, by position. Everything is estimated
/// from flat, so nothing is asked of an estimator that may have no estimate.
pub fn suspect(
    model: &Model,
    topology: &Topology,
    measurements: &[Measurement],
    silent: &[usize],
    settings: &Settings,
) -> Suspicion {
    let mut court = Court { model, topology, measurements, silent, settings, asked: 0 };
    let mut estimator = Estimator::new(model, topology, measurements);
    let mut stated = court.evidence(topology, &mut estimator);
    let screen = Screen::new(&court, &mut estimator, &stated);
    let mut tried: Vec<Tried> = Vec::new();
    let single: Vec<Vec<usize>> = screen.singles().iter().map(|&at| vec![at]).collect();
    court.ask(&screen, single, &mut tried);
    let enough = |of: &Tried| {
        of.evidence.total < stated.total - settings.margin && of.evidence.explains(settings)
    };
    if settings.exhaustive || !tried.iter().any(enough) {
        court.ask(&screen, screen.pairs(), &mut tried);
    }
    tried.sort_by(|a, b| a.evidence.total.total_cmp(&b.evidence.total));
    court.with_bad_data(&mut estimator, &mut stated);
    for of in tried.iter_mut().take(AGAIN) {
        let mut estimator =
            Estimator::new(model, &screen.topology(&court, &of.changes), measurements);
        estimator.solve(&settings.solve);
        court.with_bad_data(&mut estimator, &mut of.evidence);
    }
    tried.sort_by(|a, b| a.evidence.total.total_cmp(&b.evidence.total));
    conclude(&court, &screen, stated, &tried)
}

/// Everything that is needed to judge switch positions.
struct Court<'a> {
    model: &'a Model,
    topology: &'a Topology,
    measurements: &'a [Measurement],
    silent: &'a [usize],
    settings: &'a Settings,
    asked: usize,
}

/// A hypothesis and what it is worth.
struct Tried {
    /// Numbers of the screen's changes.
    changes: Vec<usize>,
    evidence: Evidence,
}

impl Court<'_> {
    fn evidence(&self, topology: &Topology, estimator: &mut Estimator) -> Evidence {
        let outcome = estimator.solve(&self.settings.solve);
        let mut fit = ChiSquare::of(estimator, self.settings.confidence);
        if !outcome.is_solved() {
            fit.objective = f64::INFINITY;
        }
        let (mut impossible, mut impossible_count) = (0.0, 0);
        for unused in estimator.unused() {
            if matches!(unused.why, WhyUnused::Dead | WhyUnused::OpenEnd) {
                impossible += self.square(unused.measurement);
                impossible_count += 1;
            }
        }
        let alive = |bus: &&usize| topology.energised(topology.node(**bus));
        let silent = self.silent.iter().filter(alive).count();
        let rejected = 0;
        let mut evidence =
            Evidence { fit, impossible, impossible_count, silent, rejected, total: 0.0 };
        evidence.add_up(self.settings);
        evidence
    }

    /// The evidence if meters may lie, where something does not fit.
    fn with_bad_data(&self, estimator: &mut Estimator, evidence: &mut Evidence) {
        if !evidence.fit.alarms() || !evidence.fit.objective.is_finite() {
            return;
        }
        let settings = bad_data::Settings {
            solve: self.settings.solve,
            confidence: self.settings.confidence,
            ..bad_data::Settings::default()
        };
        let verdict = bad_data::identify(estimator, &settings);
        if verdict.outcome.is_solved() {
            evidence.fit = verdict.after;
            evidence.rejected = verdict.suspects.len();
            evidence.add_up(self.settings);
        }
    }

    /// The square of a measurement by its sigma, where it should be zero. The angle of nothing is
    /// no evidence.
    fn square(&self, measurement: usize) -> f64 {
        let of = &self.measurements[measurement];
        match of.quantity {
            Quantity::VoltageAngle | Quantity::CurrentAngle => 0.0,
            _ => (of.value / of.sigma) * (of.value / of.sigma),
        }
    }

    /// Estimates each hypothesis that is not beaten already by what it makes impossible.
    fn ask(&mut self, screen: &Screen, hypotheses: Vec<Vec<usize>>, tried: &mut Vec<Tried>) {
        let mut best = f64::INFINITY;
        for changes in hypotheses {
            let topology = screen.topology(self, &changes);
            if screen.impossible(&topology) > best + self.settings.margin + screen.rows as f64 {
                continue;
            }
            let mut estimator = Estimator::new(self.model, &topology, self.measurements);
            let evidence = self.evidence(&topology, &mut estimator);
            self.asked += 1;
            best = best.min(evidence.total);
            tried.push(Tried { changes, evidence });
        }
    }
}

/// How many switches the best explanation takes, and what comes near it.
fn conclude(court: &Court, screen: &Screen, stated: Evidence, tried: &[Tried]) -> Suspicion {
    let margin = court.settings.margin;
    let best_of = |size: usize| {
        let of = tried.iter().find(|of| of.changes.len() == size);
        of.map_or(f64::INFINITY, |of| of.evidence.total)
    };
    let (mut size, mut best) = (0, stated.total);
    for more in 1..=2 {
        if best_of(more) < best - margin {
            (size, best) = (more, best_of(more));
        }
    }
    let near = |evidence: &Evidence| evidence.total < best + margin;
    let rivals = tried.iter().filter(|of| of.changes.len() == size && near(&of.evidence)).count();
    let first = tried.iter().find(|of| of.changes.len() == size);
    let explained = first.is_some_and(|of| of.evidence.explains(court.settings));
    let named = size > 0 && rivals == 1 && explained;
    let mut alike = Vec::new();
    for of in tried.iter().filter(|of| near(&of.evidence)) {
        // With more switches than it takes, everything can be explained as well.
        if size > 0 && of.changes.len() > size {
            continue;
        }
        let changes: Vec<Change> =
            of.changes.iter().map(|&at| screen.changes[at].clone()).collect();
        let reasons = reason::of(court.model, court.topology, court.silent, screen, &changes);
        alike.push(Hypothesis { changes, evidence: of.evidence, reasons });
    }
    alike.sort_by_key(|of| usize::from(of.changes.len() != size));
    Suspicion { stated, alike, stated_stands: near(&stated), named, asked: court.asked }
}
