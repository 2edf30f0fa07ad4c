//! The tracker: a state at every tick, from whatever was last heard of each point.
//!
//! Telemetry does not come in snapshots. Each [`Point`] has its own clock: the tracker keeps what
//! it said with the time it said it of, and a tick takes its latest word with the variance
//!
//! ```text
//! sigma² + (drift · age)² + (drift · T)²/12      age to the middle of the T that was averaged over
//! ```
//!
//! An average over an interval is not an instant: it is taken as one at the interval's middle, less
//! certain by what the quantity does within the interval. Past `stale_after` a point is no longer
//! heard; an injection then has its stand-in (a forecast, or what the feeder's head leaves over)
//! with the sigma of that, and any other quantity has nothing.
//!
//! # What a tick costs
//!
//! New values run on the factor that is there ([`Estimator::track`]): two to four passes over the
//! admittances. The factor is renewed when a sigma has left it by more than [`SIGMA_SHARE`], when a
//! row came or went, or when the passes contract badly; the denominators of normalised residuals
//! belong to it and are reused as long. Only nodes that moved are named.
//!
//! # Tracking
//!
//! The previous state enters as a prior on the magnitude at each source: loads move with every tick
//! and are metered, the voltage the feeder is fed with moves slowly and is measured by everybody a
//! little. It is a random walk of [`Settings::source_walk`]; where it contradicts the measurements
//! it is dropped for the tick and starts anew. A prior on every node would count one error, that of
//! the common level, once a node.
//!
//! Two tests see what residuals cannot: a value that is far from what its point's own history or
//! forecast lets expect ([`Verdict::Innovation`]), and one outside what its element can do
//! ([`Verdict::Implausible`]). Both are said and held against nobody: a load may well change.
//!
//! # Late data
//!
//! [`Tracker::revise`] estimates a past instant from what is known now of that instant, with the
//! prior of the tick before it and without what was held out then, not moving the present state.
//! Values are kept for [`Settings::history_ms`].
//!
//! Revisions of instants with equal switch positions share what is compiled once for these
//! ([`BLANKS_MAX`]); they begin flat, so that it is not felt in the answer.
//!
//! What was said before a switch moved is of another network: at a dead bus it is not held against
//! the switch.
//!
//! **Invariant:** the same observations in the same order give the same bits, also across
//! [`Tracker::save`] and [`Tracker::restore`]: the factor always belongs to a state between ticks.
//! With ratios that are unknown it is to rounding: they are added up step by step.

mod engine;
mod held_out;
mod history;
mod report;
mod saved;
mod screen;
mod slot;

use std::collections::BTreeMap;

use crate::complex::Complex;
use crate::estimation::estimator;
use crate::estimation::tap::Ratio;
use crate::estimation::tracker::engine::Engine;
use crate::estimation::tracker::held_out::HeldOut;
use crate::measurement::Quantity;
use crate::measurement::Target;
use crate::model::Model;

pub(crate) use self::history::History;
pub use self::report::Report;
pub use self::report::Suspect;
pub use self::report::Verdict;
pub use self::saved::AnotherNetwork;
pub use self::saved::Saved;
pub(crate) use self::slot::aged;

/// A sigma that differs from the factor's by more than this share asks for a new factor.
pub const SIGMA_SHARE: f64 = 0.25;

/// Most words kept of one point or switch; the oldest go first.
pub const WORDS_MAX: usize = 4096;

/// Sets of switch positions whose compiled equations are kept: those of now, and those before the
/// last switch that is being told of late.
pub const BLANKS_MAX: usize = 2;

/// A measuring point: what it measures, how well, and how long its word holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Its identifier.
    pub id: String,
    /// What it measures.
    pub quantity: Quantity,
    /// Where.
    pub target: Target,
    /// Standard deviation of a fresh value, per unit or radians.
    pub sigma: f64,
    /// How much the quantity may have moved after a second, per unit or radians.
    pub drift_per_s: f64,
    /// Age in ms past which it is not heard any more.
    pub stale_after_ms: u64,
    /// The interval in ms that a value is the average of, ending at its time; 0 for an instant.
    pub averaged_over_ms: u64,
    /// What the element can do at least and at most, per unit; infinite where nothing is known.
    pub range: (f64, f64),
}

/// How to track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How each tick is solved.
    pub solver: estimator::Settings,
    /// A node that moved less than this since it was last named is not named, per unit and radians.
    pub moved: f64,
    /// How the magnitude at a source walks: its standard deviation after a second, per unit; that
    /// after `t` seconds is `√t` times as much. Zero turns the prior off.
    pub source_walk: f64,
    /// The chance that a tick without bad data names some row: the threshold on normalised
    /// residuals is the normal quantile of this over the number of rows.
    pub false_alarms: f64,
    /// How many standard deviations a value may be off what its history or forecast lets expect.
    pub innovation: f64,
    /// How long values are kept for revisions, in ms.
    pub history_ms: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            solver: estimator::Settings { tolerance: 1e-8, ..estimator::Settings::default() },
            moved: 1e-5,
            source_walk: 3e-5,
            false_alarms: 0.0005,
            innovation: 5.0,
            history_ms: 24 * 3_600_000,
        }
    }
}

/// What stands in for an injection that nobody measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StandIn {
    /// Power into the bus, per unit.
    pub s: Complex,
    /// Standard deviations of both parts, per unit.
    pub sigma: Complex,
}

/// The state of a network, tick by tick.
#[derive(Clone, Debug)]
pub struct Tracker {
    // Settings.
    model: Model,
    points: Vec<Point>,
    settings: Settings,
    /// Branches whose ratio is unknown.
    free_ratios: Vec<(usize, Option<f64>)>,

    // State.
    /// Values with their standard deviations.
    values: Vec<History<(f64, f64)>>,
    positions: Vec<History<bool>>,
    stand_ins: BTreeMap<usize, StandIn>,
    /// Slots that are not believed, and how often in a row they have agreed since.
    held_out: BTreeMap<usize, u32>,
    /// Slots that were not believed after each tick.
    held_out_then: History<HeldOut>,
    /// Magnitude and variance at each source's bus after each tick.
    sources: BTreeMap<usize, History<(f64, f64)>>,
    last_at: Option<u64>,
    /// What was last said of each bus: magnitude and angle; none where it is not observable.
    named: Vec<Option<(f64, f64)>>,
    engine: Engine,
    /// Engines that have estimated nothing yet, the last used one last.
    blanks: Vec<Engine>,
}

impl Tracker {
    /// A tracker that has heard nothing yet; switches stand as the model says.
    ///
    /// # Panics
    /// A point refers to what is not in the model.
    pub fn new(model: Model, points: Vec<Point>, settings: Settings) -> Tracker {
        let closed: Vec<bool> = model.switches.iter().map(|switch| switch.closed).collect();
        let engine = Engine::new(&model, &points, &closed, &[]);
        Tracker {
            values: vec![History::default(); points.len()],
            positions: vec![History::default(); model.switches.len()],
            stand_ins: BTreeMap::new(),
            held_out: BTreeMap::new(),
            held_out_then: History::default(),
            sources: BTreeMap::new(),
            last_at: None,
            named: vec![None; model.bus_kv.len()],
            blanks: vec![engine.clone()],
            engine,
            model,
            points,
            settings,
            free_ratios: Vec::new(),
        }
    }

    /// Makes the ratio of a branch unknown from now on, as [`estimator::Estimator::free_ratio`] has
    /// it. To be said before anything is estimated.
    pub fn free_ratio(&mut self, branch: usize, told: Option<f64>) {
        self.free_ratios.push((branch, told));
        self.blanks.clear();
        let closed = self.engine.closed().to_vec();
        self.engine = self.blank(&closed);
    }

    /// The ratio of a branch after the last tick, if it is unknown.
    pub fn ratio(&self, branch: usize) -> Option<Ratio> {
        self.engine.estimator.as_ref().filter(|_| self.engine.started)?.ratio(branch)
    }

    /// An engine under these positions that has estimated nothing yet.
    fn blank(&mut self, closed: &[bool]) -> Engine {
        let known = self.blanks.iter().position(|engine| engine.closed() == closed);
        let blank = match known {
            Some(known) => self.blanks.remove(known),
            None => Engine::new(&self.model, &self.points, closed, &self.free_ratios),
        };
        self.blanks.push(blank.clone());
        if self.blanks.len() > BLANKS_MAX {
            self.blanks.remove(0);
        }
        blank
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The points, in the order in which they are observed.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Hears what a point says of an instant; of two words of one instant the later one stands.
    /// What is not a number is not heard.
    pub fn observe(&mut self, point: usize, value_pu: f64, at_ms: u64) {
        self.observe_within(point, value_pu, self.points[point].sigma, at_ms);
    }

    /// The same with a standard deviation of its own: that of a meter is a share of what it shows.
    pub fn observe_within(&mut self, point: usize, value_pu: f64, sigma: f64, at_ms: u64) {
        if value_pu.is_finite() && sigma > 0.0 {
            self.values[point].put(at_ms, (value_pu, sigma));
        }
    }

    /// Sets what stands in for an injection while its own points are silent, or nothing.
    pub fn stand_in(&mut self, injection: usize, stand_in: Option<StandIn>) {
        match stand_in {
            Some(stand_in) => self.stand_ins.insert(injection, stand_in),
            None => self.stand_ins.remove(&injection),
        };
    }

    /// Hears that a switch moved.
    pub fn set_switch(&mut self, switch: usize, closed: bool, at_ms: u64) {
        self.positions[switch].put(at_ms, closed);
    }

    /// When a switch last moved, by an instant; the beginning if none did.
    pub(super) fn switched_at(&self, at_ms: u64) -> u64 {
        let moves = self.positions.iter().filter_map(|history| history.at(at_ms));
        moves.map(|(at, _)| at).max().unwrap_or(0)
    }

    /// Where the switches stood at an instant, as far as is known now.
    pub fn closed_at(&self, at_ms: u64) -> Vec<bool> {
        let switches = self.model.switches.iter().zip(&self.positions);
        switches
            .map(|(switch, history)| history.at(at_ms).map_or(switch.closed, |(_, closed)| closed))
            .collect()
    }

    /// Estimates the present instant.
    pub fn estimate(&mut self, at_ms: u64) -> Report {
        let closed = self.closed_at(at_ms);
        if self.engine.closed() != closed {
            self.engine = self.blank(&closed);
            self.held_out.clear();
        }
        let mut engine = std::mem::replace(&mut self.engine, Engine::empty());
        let mut report = self.run(&mut engine, at_ms, true);
        self.engine = engine;
        self.note_held_out(at_ms);
        report.moved = self.find_moved();
        self.last_at = Some(at_ms);
        self.forget(at_ms);
        report
    }

    /// Estimates a past instant from what is known of it now; the present state stays. `moved` is
    /// every bus, the voltages are in [`Report::voltages`].
    pub fn revise(&mut self, at_ms: u64) -> Report {
        let closed = self.closed_at(at_ms);
        let mut engine = self.blank(&closed);
        let held_out_then = self.held_out_at(at_ms, &closed);
        let held_out = std::mem::replace(&mut self.held_out, held_out_then);
        let mut report = self.run(&mut engine, at_ms, false);
        self.held_out = held_out;
        report.moved = (0..self.model.bus_kv.len()).collect();
        report.voltages = report.moved.iter().map(|&bus| engine.voltage(bus)).collect();
        report
    }

    /// The voltage of a bus after the last tick, per unit: zero where dead, none where it cannot be
    /// observed or nothing was estimated.
    pub fn voltage(&self, bus: usize) -> Option<Complex> {
        self.engine.voltage(bus)
    }

    /// True if a source reaches the bus.
    pub fn energised(&self, bus: usize) -> bool {
        self.engine.energised(bus)
    }

    /// Standard deviations of a bus's magnitude and angle, per unit and radians, at the factor that
    /// is in use; infinite where it cannot be observed, zero where dead.
    pub fn deviation(&mut self, bus: usize) -> (f64, f64) {
        self.engine.deviation(bus)
    }

    /// Powers into a branch at its from and its to end, per unit; none where an end is not
    /// observable.
    pub fn flows(&self, branch: usize) -> Option<[Complex; 2]> {
        self.engine.flows(&self.model, branch)
    }

    /// Currents into a branch at its from and its to end, per unit.
    pub fn currents(&self, branch: usize) -> Option<[Complex; 2]> {
        self.engine.currents(&self.model, branch)
    }

    /// Buses that moved since they were last named; they are named now.
    fn find_moved(&mut self) -> Vec<usize> {
        let mut moved = Vec::new();
        for bus in 0..self.model.bus_kv.len() {
            let now = self.engine.voltage(bus).map(|v| (v.abs(), v.arg()));
            let far = |a: f64, b: f64| (a - b).abs() > self.settings.moved;
            let stays = match (now, self.named[bus]) {
                (Some(a), Some(b)) => !far(a.0, b.0) && !far(a.1, b.1),
                (None, None) => self.last_at.is_some(),
                _ => false,
            };
            if !stays {
                self.named[bus] = now;
                moved.push(bus);
            }
        }
        moved
    }

    /// Lets go of what no revision can ask for any more.
    fn forget(&mut self, at_ms: u64) {
        let before = at_ms.saturating_sub(self.settings.history_ms);
        self.values.iter_mut().for_each(|history| history.forget(before));
        self.positions.iter_mut().for_each(|history| history.forget(before));
        self.sources.values_mut().for_each(|history| history.forget(before));
        self.held_out_then.forget(before);
    }
}
