//! Which switches to ask.
//!
//! A change is asked if one of its own tests speaks for it, or if what does not fit lies around
//! it. Own tests come first; the rest are in the order of the squares of normalised residuals at
//! and beside the switch. Where the stated positions have no estimate, those are the residuals one
//! step from flat gives.

use std::collections::BTreeMap;

use crate::estimation::bad_data::ChiSquare;
use crate::estimation::estimator::Estimator;
use crate::estimation::influence::Influence;
use crate::estimation::row::What;
use crate::estimation::topology_error::CLOSED;
use crate::estimation::topology_error::Court;
use crate::estimation::topology_error::Evidence;
use crate::estimation::topology_error::OPENED;
use crate::estimation::topology_error::action;
use crate::estimation::topology_error::action::Change;
use crate::measurement::Measurement;
use crate::measurement::Quantity;
use crate::measurement::Target;
use crate::model::Acts;
use crate::model::Model;
use crate::network::Side;
use crate::topology::Topology;

/// A reading below this many sigma is zero.
const ZERO: f64 = 4.0;

/// The changes, and what the measurements say about places.
pub(super) struct Screen {
    pub changes: Vec<Change>,
    /// How many measurements there are.
    pub rows: usize,
    /// Of each bus: the squares of what is measured there, by sigma, voltages and powers.
    square_of_bus: Vec<f64>,
    /// Of each bus: the squares of normalised residuals.
    off: Vec<f64>,
    /// Measurements of each bus that are not zero, and that are.
    pub reading: Vec<Vec<usize>>,
    pub zero: Vec<Vec<usize>>,
    /// Flows and currents that are not zero, by branch end.
    pub flow: BTreeMap<(usize, Side), Vec<usize>>,
    /// Measurements whose residuals are large, by bus.
    pub odd: Vec<Vec<usize>>,
    openings: Vec<usize>,
    closings: Vec<usize>,
}

/// The bus of a voltage or an injection that is measured.
pub(super) fn own_bus(model: &Model, measurement: &Measurement) -> Option<usize> {
    match measurement.target {
        Target::Bus(bus) => Some(bus.0),
        Target::Injection(at) => Some(model.injections[at.0].bus),
        Target::BranchEnd(..) => None,
    }
}

impl Screen {
    pub(super) fn new(court: &Court, estimator: &mut Estimator, stated: &Evidence) -> Screen {
        let buses = court.model.bus_kv.len();
        let mut screen = Screen {
            changes: action::all(court.model, court.topology),
            rows: court.measurements.len(),
            square_of_bus: vec![0.0; buses],
            off: vec![0.0; buses],
            reading: vec![Vec::new(); buses],
            zero: vec![Vec::new(); buses],
            flow: BTreeMap::new(),
            odd: vec![Vec::new(); buses],
            openings: Vec::new(),
            closings: Vec::new(),
        };
        screen.read(court);
        screen.find_clusters(court, estimator, &stated.fit);
        screen.rank(court);
        screen
    }

    fn read(&mut self, court: &Court) {
        for (at, measurement) in court.measurements.iter().enumerate() {
            let angle = Quantity::VoltageAngle == measurement.quantity
                || Quantity::CurrentAngle == measurement.quantity;
            if angle || !(measurement.sigma > 0.0 && measurement.value.is_finite()) {
                continue;
            }
            let nonzero = measurement.value.abs() > ZERO * measurement.sigma;
            if let Some(bus) = own_bus(court.model, measurement) {
                self.square_of_bus[bus] += court.square(at);
                if nonzero {
                    self.reading[bus].push(at);
                } else {
                    self.zero[bus].push(at);
                }
            } else if let (Target::BranchEnd(branch, side), true) = (measurement.target, nonzero) {
                self.flow.entry((branch.0, side)).or_default().push(at);
            }
        }
    }

    /// The residuals of each bus's rows, and of the flows at it.
    fn find_clusters(&mut self, court: &Court, estimator: &mut Estimator, fit: &ChiSquare) {
        const ODD: f64 = 3.0;
        let solved = fit.objective.is_finite();
        if !solved {
            *estimator = Estimator::new(court.model, court.topology, court.measurements);
        }
        if estimator.nodes() == 0 {
            return;
        }
        let influence = Influence::new(estimator);
        let critical = estimator.critical();
        let mut of_node: Vec<Option<usize>> = vec![None; estimator.nodes()];
        for bus in (0..self.off.len()).rev() {
            if let Some(node) = estimator.node(bus) {
                of_node[node] = Some(bus);
            }
        }
        for (at, row) in estimator.rows().iter().enumerate() {
            let normalised = influence.residual[at] / influence.variance[at].sqrt();
            if critical[at] || !normalised.is_finite() {
                continue;
            }
            let buses = match row.what {
                What::Magnitude(node) | What::Angle(node) => [of_node[node], None],
                What::ActiveInjection(node) | What::ReactiveInjection(node) => {
                    [of_node[node], None]
                }
                What::ActiveFlow(end)
                | What::ReactiveFlow(end)
                | What::Current(end)
                | What::CurrentAngle(end) => {
                    let line = &court.model.branches[estimator.branch_end(end).0];
                    [Some(line.from), Some(line.to)]
                }
                What::Agreement => [None, None],
            };
            for bus in buses.into_iter().flatten() {
                self.off[bus] += normalised * normalised;
                if normalised.abs() > ODD {
                    self.odd[bus].extend(row.members.iter().map(|&(meter, _)| meter));
                }
            }
        }
        self.spread(estimator, &of_node);
    }

    /// Buses that are one node share what was found at its first.
    fn spread(&mut self, estimator: &Estimator, of_node: &[Option<usize>]) {
        for bus in 0..self.off.len() {
            if let Some(first) = estimator.node(bus).and_then(|node| of_node[node]) {
                self.off[bus] = self.off[first].max(self.off[bus]);
                if first != bus {
                    self.odd[bus] = self.odd[first].clone();
                }
            }
        }
    }

    /// The topology with some changes made.
    pub(super) fn topology(&self, court: &Court, changes: &[usize]) -> Topology {
        let mut topology = court.topology.clone();
        changes.iter().for_each(|&at| self.changes[at].apply(court.model, &mut topology));
        topology
    }

    /// The two buses a change lies between.
    pub(super) fn ends(model: &Model, change: &Change) -> [usize; 2] {
        match change.acts {
            Acts::Joins(a, b) => [a, b],
            Acts::Connects(branch, _) => {
                let line = &model.branches[branch];
                [line.from, line.to]
            }
        }
    }

    /// The squares of what is measured on buses that are dead.
    pub(super) fn impossible(&self, topology: &Topology) -> f64 {
        let squares = self.square_of_bus.iter().enumerate();
        let dead = squares.filter(|&(bus, _)| !topology.energised(topology.node(bus)));
        dead.map(|(_, square)| square).sum()
    }

    fn rank(&mut self, court: &Court) {
        let dead_now = self.impossible(court.topology);
        let mut ranked: Vec<(bool, f64, usize)> = Vec::with_capacity(self.changes.len());
        for (at, change) in self.changes.iter().enumerate() {
            let [a, b] = Screen::ends(court.model, change);
            let mut topology = court.topology.clone();
            change.apply(court.model, &mut topology);
            let spoken_for = if change.closes {
                let own = match change.acts {
                    Acts::Connects(branch, side) => self.flow.contains_key(&(branch, side)),
                    Acts::Joins(..) => false,
                };
                own || self.impossible(&topology) < dead_now
            } else {
                self.dies_quietly(court, &topology)
            };
            ranked.push((spoken_for, self.off[a] + self.off[b], at));
        }
        ranked.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)));
        let limit = |most: usize| if court.settings.exhaustive { usize::MAX } else { most };
        for (_, _, at) in ranked {
            let (list, most) = if self.changes[at].closes {
                (&mut self.closings, limit(CLOSED))
            } else {
                (&mut self.openings, limit(OPENED))
            };
            if list.len() < most {
                list.push(at);
            }
        }
    }

    /// True if buses die by a change that are silent or read zero, and not more that do report.
    fn dies_quietly(&self, court: &Court, topology: &Topology) -> bool {
        let (mut quiet, mut loud) = (0, 0);
        for bus in 0..self.reading.len() {
            let alive = |of: &Topology| of.energised(of.node(bus));
            if !alive(court.topology) || alive(topology) {
                continue;
            }
            loud += usize::from(!self.reading[bus].is_empty());
            let zero = self.reading[bus].is_empty() && !self.zero[bus].is_empty();
            quiet += usize::from(zero || court.silent.contains(&bus));
        }
        quiet > loud
    }

    /// The changes to ask alone.
    pub(super) fn singles(&self) -> Vec<usize> {
        self.openings.iter().chain(&self.closings).copied().collect()
    }

    /// One opened and one closed.
    pub(super) fn pairs(&self) -> Vec<Vec<usize>> {
        let openings = self.openings.iter();
        openings.flat_map(|&a| self.closings.iter().map(move |&b| vec![a, b])).collect()
    }
}
