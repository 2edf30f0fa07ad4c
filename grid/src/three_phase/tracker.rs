//! The tracker of an unbalanced network: a state at every tick, from whatever was last heard.
//!
//! A tick takes each point's latest word with the variance `sigma² + (drift · age)²`, and past its
//! `stale_after` what stands in at its node, as [`crate::estimation::tracker`] does for a balanced
//! network, whose report it gives. Unlike that one it carries no state: every tick is an estimate
//! that begins without load, and bad data are looked for anew
//! ([`identify`](bad_data::identify)). So a past tick is estimated from what is known of it now and
//! from nothing else, the same words give the same bits whatever their order, and a restart needs
//! the words alone. It costs some factorisations a tick where the other has none.
//!
//! # Angles
//!
//! Nothing but a measured angle ties the phases of a source to one another. While none is measured
//! in an island, each node of its sources has the angle that it has without load, within
//! [`SOURCE_ANGLE_RAD`](crate::three_phase::estimate::SOURCE_ANGLE_RAD); while one is, angles are
//! absolute and those of the file say nothing: then the phases of one bus at least must be
//! measured.
//!
//! # What it does not do
//!
//! Switches and taps move when it is said so, and stand where the network has them until then;
//! capacitor steps always do. A value is not held against its own past, and one that was left out
//! is judged like any other at the next tick.
//!
//! # Bounds
//!
//! Words of `history_ms`, at most [`WORDS_MAX`](crate::estimation::tracker::WORDS_MAX) a point; the
//! equations of [`BLANKS_MAX`] sets of positions; one state.

mod slot;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::complex::Complex;
use crate::estimation::bad_data;
use crate::estimation::covariance::Deviation;
use crate::estimation::tracker::BLANKS_MAX;
use crate::estimation::tracker::History;
use crate::estimation::tracker::Report;
use crate::estimation::tracker::StandIn;
use crate::estimation::tracker::Suspect;
use crate::estimation::tracker::Verdict;
use crate::measurement::Quantity;
use crate::three_phase::Estimate;
use crate::three_phase::Kind;
use crate::three_phase::Network;
use crate::three_phase::measurement::Measurement;
use crate::three_phase::measurement::Target;
use crate::three_phase::system::Current;

use self::slot::Filling;
use self::slot::Origin;
use self::slot::Slot;

/// Standard deviations from zero at which a value at a dead node speaks of life.
const SPEAKS: f64 = 5.0;

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
}

impl Point {
    fn node(&self) -> usize {
        match self.target {
            Target::Node(node) | Target::Conductor { node, .. } => node,
        }
    }
}

/// How to track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The power base of a phase in VA.
    pub base_va: f64,
    /// How each tick is solved and bad data are looked for.
    pub judging: bad_data::Settings,
    /// How long values are kept for revisions, in ms.
    pub history_ms: u64,
}

/// The state of an unbalanced network, tick by tick. Per unit is of the power base of a phase and
/// of each node's voltage base.
#[derive(Clone, Debug)]
pub struct Tracker {
    // Settings.
    network: Network,
    points: Vec<Point>,
    settings: Settings,
    /// Elements that are switches, in the network's order.
    switches: Vec<usize>,
    slots: Vec<Slot>,
    fingerprint: u64,

    // State.
    /// Values with their standard deviations.
    values: Vec<History<(f64, f64)>>,
    positions: Vec<History<bool>>,
    /// Taps by element and winding.
    taps: BTreeMap<(usize, usize), History<f64>>,
    stand_ins: BTreeMap<usize, StandIn>,
    /// Equations that nothing was put into, by positions; the last used ones last.
    blanks: Vec<Blank>,
    now: Option<Now>,
}

/// Where everything stands that moves: switches, in order, and taps that were told.
#[derive(Clone, Debug, PartialEq)]
struct Positions {
    closed: Vec<bool>,
    taps: Vec<((usize, usize), f64)>,
}

/// The equations under some positions.
#[derive(Clone, Debug)]
struct Blank {
    positions: Positions,
    estimate: Estimate,
    /// Angles without load, by node.
    angles: Arc<[f64]>,
    /// Currents by conductor.
    conductors: Arc<[Current]>,
}

/// The state of the last tick.
#[derive(Clone, Debug)]
struct Now {
    estimate: Estimate,
    conductors: Arc<[Current]>,
    solved: bool,
    deviations: Vec<Deviation>,
}

impl Tracker {
    /// A tracker that has heard nothing yet; switches stand as the network says.
    ///
    /// # Errors
    /// The network cannot be estimated: everything that is wrong, in words
    /// ([`Network::unfit`]).
    ///
    /// # Panics
    /// A point refers to what is not in the network.
    pub fn new(
        network: Network,
        points: Vec<Point>,
        settings: Settings,
    ) -> Result<Tracker, Vec<String>> {
        let unfit = network.unfit();
        if !unfit.is_empty() {
            return Err(unfit);
        }
        Ok(Tracker {
            switches: network.switches(),
            slots: Slot::all(&network, &points),
            fingerprint: fingerprint(&network, &points),
            values: vec![History::default(); points.len()],
            positions: vec![History::default(); network.switches().len()],
            taps: BTreeMap::new(),
            stand_ins: BTreeMap::new(),
            blanks: Vec::new(),
            now: None,
            network,
            points,
            settings,
        })
    }

    /// The network, its switches as it has them.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Hears what a point says of an instant, with its standard deviation; of two words of one
    /// instant the later one stands. What is not a number is not heard.
    pub fn observe_within(&mut self, point: usize, value_pu: f64, sigma: f64, at_ms: u64) {
        if value_pu.is_finite() && sigma > 0.0 {
            self.values[point].put(at_ms, (value_pu, sigma));
        }
    }

    /// Sets what stands in for everything that is injected at a node while no point of it is
    /// heard, or nothing.
    pub fn stand_in(&mut self, node: usize, stand_in: Option<StandIn>) {
        match stand_in {
            Some(stand_in) => self.stand_ins.insert(node, stand_in),
            None => self.stand_ins.remove(&node),
        };
    }

    /// Hears that a switch moved.
    pub fn set_switch(&mut self, switch: usize, closed: bool, at_ms: u64) {
        self.positions[switch].put(at_ms, closed);
    }

    /// Hears where the tap of a transformer's winding stands, per unit of its rated voltage.
    pub fn set_tap(&mut self, (element, winding): (usize, usize), tap: f64, at_ms: u64) {
        self.taps.entry((element, winding)).or_default().put(at_ms, tap);
    }

    /// Where the switches stood at an instant, as far as is known now.
    pub fn closed_at(&self, at_ms: u64) -> Vec<bool> {
        let switches = self.switches.iter().zip(&self.positions);
        let stands = |(&element, history): (&usize, &History<bool>)| {
            let stated = self.network.elements[element].kind == (Kind::Switch { closed: true });
            history.at(at_ms).map_or(stated, |(_, closed)| closed)
        };
        switches.map(stands).collect()
    }

    /// Estimates the present instant.
    pub fn estimate(&mut self, at_ms: u64) -> Report {
        let (now, report) = self.run(at_ms);
        self.now = Some(now);
        let before = at_ms.saturating_sub(self.settings.history_ms);
        self.values.iter_mut().for_each(|history| history.forget(before));
        self.positions.iter_mut().for_each(|history| history.forget(before));
        self.taps.values_mut().for_each(|history| history.forget(before));
        report
    }

    /// Estimates a past instant from what is known of it now; the present state stays. The voltages
    /// are in [`Report::voltages`].
    pub fn revise(&mut self, at_ms: u64) -> Report {
        let (now, mut report) = self.run(at_ms);
        report.voltages = (0..self.network.nodes.len()).map(|node| now.voltage(node)).collect();
        report
    }

    /// The voltage of a node after the last tick, per unit: zero where dead, none where it cannot
    /// be observed or nothing was estimated.
    pub fn voltage(&self, node: usize) -> Option<Complex> {
        self.now.as_ref()?.voltage(node)
    }

    /// True if a source reaches the node.
    pub fn energised(&self, node: usize) -> bool {
        self.now.as_ref().is_some_and(|now| now.estimate.is_energised(node))
    }

    /// Standard deviations of a node's magnitude and angle, per unit and radians; infinite where it
    /// cannot be observed, zero where dead.
    pub fn deviation(&mut self, node: usize) -> (f64, f64) {
        const UNKNOWN: (f64, f64) = (f64::INFINITY, f64::INFINITY);
        let Some(now) = &mut self.now else { return UNKNOWN };
        let Some(place) = now.estimate.place(node) else { return (0.0, 0.0) };
        if !now.solved {
            return UNKNOWN;
        }
        if now.deviations.is_empty() {
            now.deviations = now.estimate.estimator().deviations();
        }
        (now.deviations[place].magnitude, now.deviations[place].angle)
    }

    /// Power and current per unit from the node into a conductor of [`Network::conductors`]; none
    /// where a node that it depends on cannot be observed.
    pub fn flow(&self, conductor: usize) -> Option<(Complex, Complex)> {
        let Current { node, coefficients } = &self.now.as_ref()?.conductors[conductor];
        let volt =
            |node: usize| Some(self.voltage(node)?.scale(self.network.nodes[node].base_volt));
        let mut ampere = Complex::ZERO;
        for &(other, y) in coefficients {
            ampere += y * volt(other)?;
        }
        let watt = volt(*node)? * ampere.conj();
        let base_va = self.settings.base_va;
        let base_ampere = base_va / self.network.nodes[*node].base_volt;
        Some((watt.scale(1.0 / base_va), ampere.scale(1.0 / base_ampere)))
    }

    /// A number that tells networks and lists of points apart: of everything in the network, and
    /// of the points their identifiers and places (FNV-1a, 64 bit).
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    fn run(&mut self, at_ms: u64) -> (Now, Report) {
        let Blank { positions: _, mut estimate, angles, conductors } = self.blank(at_ms);
        let fillings = self.fillings(&estimate, &angles, at_ms);
        put(&mut estimate, &fillings);
        let verdict = bad_data::identify(estimate.estimator(), &self.settings.judging);
        let solved = verdict.outcome.is_solved();
        let mut now = Now { estimate, conductors, solved, deviations: Vec::new() };
        let mut suspects = self.live_on_dead(&now.estimate, &fillings, at_ms);
        suspects.extend(self.contradicted(&mut now.estimate, &verdict, &fillings));
        suspects.sort_by_key(|suspect| (suspect.point, suspect.verdict));
        suspects.dedup_by_key(|suspect| (suspect.point, suspect.verdict));
        let blind = |node: &usize| now.estimate.is_energised(*node) && now.voltage(*node).is_none();
        let mut stood_in: Vec<usize> =
            fillings.iter().flatten().filter_map(|filling| filling.origin.stand_in()).collect();
        stood_in.dedup();
        let after = verdict.after;
        let report = Report {
            at_ms,
            moved: Vec::new(),
            voltages: Vec::new(),
            objective: if solved { after.objective } else { f64::NAN },
            degrees_of_freedom: if solved { after.freedom } else { 0 },
            objective_limit: if solved { after.limit } else { 0.0 },
            suspects,
            unobservable: (0..self.network.nodes.len()).filter(blind).collect(),
            stood_in,
            refreshed: true,
            outcome: verdict.outcome,
        };
        (now, report)
    }

    /// The equations at an instant, with nothing in them.
    fn blank(&mut self, at_ms: u64) -> Blank {
        let told = self.taps.iter();
        let taps = told.filter_map(|(winding, history)| Some((*winding, history.at(at_ms)?.1)));
        let positions = Positions { closed: self.closed_at(at_ms), taps: taps.collect() };
        let known = self.blanks.iter().position(|blank| blank.positions == positions);
        let blank = match known {
            Some(known) => self.blanks.remove(known),
            None => self.compile(positions),
        };
        self.blanks.push(blank.clone());
        if self.blanks.len() > BLANKS_MAX {
            self.blanks.remove(0);
        }
        blank
    }

    fn compile(&self, positions: Positions) -> Blank {
        let mut network = self.network.clone();
        for (&switch, &closed) in self.switches.iter().zip(&positions.closed) {
            network.elements[switch].kind = Kind::Switch { closed };
        }
        for &((element, winding), tap) in &positions.taps {
            let element = &mut network.elements[element];
            if let Kind::Transformer(sheet) = &mut element.kind {
                sheet.windings[winding].tap = tap;
                element.refresh();
            }
        }
        let base_va = self.settings.base_va;
        let placeholder = |slot: &Slot| {
            let (quantity, target, sigma) = slot.measures(&self.points);
            Measurement::of_unit(&network, base_va, quantity, target, sigma)
        };
        let placeholders: Vec<Measurement> = self.slots.iter().map(placeholder).collect();
        let estimate = Estimate::new(&network, &placeholders, base_va)
            .expect("no switch makes a node live that the network cannot");
        let angles = (0..network.nodes.len()).map(|node| estimate.start(node).arg()).collect();
        let conductors = network.conductors().into_iter().map(|(element, node)| {
            let currents = network.terminal_currents(element, 0).into_iter();
            let mut here = currents.filter(|current| current.node == node);
            here.next().expect("a conductor that is listed is at its node")
        });
        Blank { positions, estimate, angles, conductors: conductors.collect() }
    }

    /// Points that the others contradict: those that were left out, and those that would explain
    /// it as well, which count.
    fn contradicted(
        &self,
        estimate: &mut Estimate,
        verdict: &bad_data::Verdict,
        fillings: &[Option<Filling>],
    ) -> Vec<Suspect> {
        if verdict.suspects.is_empty() {
            return Vec::new();
        }
        let estimator = estimate.estimator();
        let residuals = estimator.residuals();
        let variances = estimator.residual_variances().to_vec();
        let rows = estimator.rows();
        let accused = |row: usize, error: f64, deviations: f64, verdict: Verdict| {
            // Of several meters that make one total, the least certain one is the likeliest.
            let filled = rows[row].members.iter().filter_map(|&(slot, _)| fillings[slot]);
            let filling = filled.max_by(|a, b| a.sigma.total_cmp(&b.sigma))?;
            let Origin::Point(point, _) = filling.origin else { return None };
            let (value, deviations) = (filling.value, deviations.abs());
            Some(Suspect { point, verdict, value, expected: value - error, deviations })
        };
        let mut suspects = Vec::new();
        for suspect in &verdict.suspects {
            let deviations = suspect.normalised();
            suspects.extend(accused(suspect.row, suspect.error, deviations, Verdict::Residual));
            for &rival in &suspect.instead {
                let deviations = residuals[rival] / variances[rival].max(f64::MIN_POSITIVE).sqrt();
                suspects.extend(accused(rival, residuals[rival], deviations, Verdict::Undecided));
            }
        }
        suspects
    }

    /// Voltage, current or power where the switches leave none.
    fn live_on_dead(
        &self,
        estimate: &Estimate,
        fillings: &[Option<Filling>],
        at_ms: u64,
    ) -> Vec<Suspect> {
        let moves = self.positions.iter().filter_map(|history| history.at(at_ms));
        let switched_at = moves.map(|(at, _)| at).max().unwrap_or(0);
        let speaks = |filling: &Filling| {
            let Origin::Point(point, said_at) = filling.origin else { return None };
            let of = &self.points[point];
            let dead = !estimate.is_energised(of.node());
            let angle = matches!(of.quantity, Quantity::VoltageAngle | Quantity::CurrentAngle);
            let deviations = filling.value.abs() / filling.sigma;
            let (value, verdict) = (filling.value, Verdict::DeadButLive);
            let suspect = Suspect { point, verdict, value, expected: 0.0, deviations };
            let counts = dead && !angle && said_at >= switched_at && deviations > SPEAKS;
            counts.then_some(suspect)
        };
        fillings.iter().flatten().filter_map(speaks).collect()
    }
}

impl Now {
    fn voltage(&self, node: usize) -> Option<Complex> {
        if !self.estimate.is_energised(node) {
            return Some(Complex::ZERO);
        }
        self.estimate.voltage(node).filter(|_| self.solved)
    }
}

/// Puts fillings into rows: a row counts where all its members are filled.
fn put(estimate: &mut Estimate, fillings: &[Option<Filling>]) {
    let estimator = estimate.estimator();
    for number in 0..estimator.rows().len() {
        let members = &estimator.rows()[number].members;
        let filled: Option<Vec<(Filling, f64)>> =
            members.iter().map(|&(slot, factor)| Some((fillings[slot]?, factor))).collect();
        if let Some(filled) = &filled {
            let value = filled.iter().map(|(of, factor)| factor * of.value).sum();
            let square = |(of, factor): &(Filling, f64)| (factor * of.sigma).powi(2);
            let variance: f64 = filled.iter().map(square).sum();
            estimator.set_row(number, value, variance.sqrt());
        }
        estimator.set_active(number, filled.is_some());
    }
    estimator.weigh_anew();
    estimator.observe();
}

/// FNV-1a, 64 bit, of everything as text.
fn fingerprint(network: &Network, points: &[Point]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |text: &str| {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    add(&format!("{network:?}"));
    for point in points {
        add(&format!("{} {:?} {:?}", point.id, point.quantity, point.target));
    }
    hash
}
