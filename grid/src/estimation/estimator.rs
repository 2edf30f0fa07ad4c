//! The estimator: rows in, state out.
//!
//! [`Estimator::solve`] starts flat (angles from the vector groups) and refactors while steps are
//! large; [`Estimator::track`] starts from where the state stands, with the factor that is there.
//! Both end where the step is below the tolerance, which is the optimum in either case, because the
//! right-hand side is exact. A factor is renewed where a pass does not bring the step below a fifth
//! of the one before. Where not even a fresh one does, it may be the weight that holds nodes
//! without a balance: then it is made the least there is, until the next start from flat.
//!
//! # Bounds
//!
//! Memory is in proportion to the admittance pattern with its fill and to the rows. Neither
//! [`Estimator::set_values`] nor a pass allocates.

use crate::complex::Complex;
use crate::estimation::circuit::Circuit;
use crate::estimation::measurement;
use crate::estimation::measurement::Unused;
use crate::estimation::observability::Observability;
use crate::estimation::row::Row;
use crate::estimation::row::What;
use crate::estimation::row::wrapped;
use crate::estimation::statistics::Limits;
use crate::estimation::system::HOLD;
use crate::estimation::system::HOLD_LEAST;
use crate::estimation::system::HOLD_UNOBSERVABLE;
use crate::estimation::system::Node;
use crate::estimation::system::System;
use crate::estimation::tap::Tap;
use crate::measurement::Measurement;
use crate::model::Model;
use crate::network::Side;
use crate::sparse::symmetric::Square;
use crate::topology::Topology;

/// A pass that leaves more than this share of the step before it wants a fresh factor.
const CONTRACTION: f64 = 0.2;
/// After a larger step than this a factor is not reused.
const NEAR: f64 = 1e-2;
/// Steps below this that do not shrink any more are rounding: some voltage is held only by
/// admittances this much smaller than others, as behind an ungrounded transformer.
const ROUNDED: f64 = 1e-7;
/// How often they must not shrink.
const STALLED: usize = 3;
/// The longest step in radians or per unit; a longer one is cut.
const LONGEST: f64 = 0.5;
/// A pass after which ampere rows count: their derivative is undefined where no current flows.
const CURRENTS_FROM: usize = 1;

/// How to estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The step, in radians and per unit, below which the state is the optimum.
    pub tolerance: f64,
    /// Most passes.
    pub passes: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { tolerance: 1e-10, passes: 60 }
    }
}

/// What came of an estimation.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The state is the optimum, as far as it is observable.
    Solved {
        /// Passes made.
        passes: usize,
        /// How many of them with a fresh factor.
        factorisations: usize,
        /// The last step in radians or per unit: below the tolerance, or where rounding ends it.
        step: f64,
    },
    /// The steps do not become small.
    Diverged {
        /// Passes made.
        passes: usize,
        /// The circuit nodes whose balance or state moved most in the last pass, worst first.
        worst: Vec<usize>,
    },
    /// Nothing can be observed.
    Unobservable,
    /// Nothing is under voltage.
    NoSource,
}

impl Outcome {
    /// True if the state is the optimum.
    pub fn is_solved(&self) -> bool {
        matches!(self, Outcome::Solved { .. })
    }
}

/// The estimation of a circuit from rows.
#[derive(Clone, Debug)]
pub struct Estimator {
    start: Vec<Complex>,
    zero_injection: Vec<bool>,
    island: Vec<usize>,
    references: Vec<usize>,
    unused: Vec<Unused>,
    node_of_bus: Vec<Option<usize>>,
    ends: Vec<(usize, Side)>,

    pub(super) rows: Vec<Row>,
    pub(super) system: System,
    observability: Observability,
    /// By place: true where the state is observable.
    counts: Vec<bool>,
    /// By terminal: true where one of its nodes is not observable.
    blind: Vec<bool>,
    /// By place: true where the node or one it is connected with is not observable.
    open: Vec<bool>,
    /// The reference variance: all weights are multiplied by it.
    pub(super) scale: f64,
    /// True while the factor belongs to the weights and the rows that are active.
    factored: bool,
    /// True while rows' weights have changed and are not drawn together yet.
    stale: bool,
    /// True while there are values that are not drawn together yet.
    moved: bool,
    /// Where each row's members begin, and all of them: as the rows have them, in one piece.
    member_start: Vec<u32>,
    members: Vec<(u32, f64)>,
    /// What of each row's weight counts; empty where all of it does.
    shares: Vec<f64>,
    /// Ratios that are unknown.
    pub(super) taps: Vec<Tap>,
    /// For each row: true if no other active row is of its quantity.
    alone: Vec<bool>,
    /// One node an island without a measured angle.
    pinned: Vec<usize>,
    /// The weight that holds nodes without a balance, as a share of their admittance squared.
    held: f64,
    /// True while ampere rows are held back.
    without_currents: bool,
    /// Blocks of the inverse, where they have been asked for, and variances of the rows' residuals.
    pub(super) inverse: Vec<Square<4>>,
    pub(super) residual_variance: Vec<f64>,
    pub(super) limits: Limits,
}

impl Estimator {
    /// An estimator of a model as it is switched, from measurements.
    ///
    /// Observability is found here, once.
    pub fn new(model: &Model, topology: &Topology, measurements: &[Measurement]) -> Estimator {
        let compiled = measurement::compile(model, topology, measurements);
        let mut estimator = Estimator::of_circuit(&compiled.circuit, compiled.rows);
        estimator.unused = compiled.unused;
        estimator.node_of_bus = compiled.node_of_bus;
        estimator.ends = compiled.ends;
        estimator
    }

    /// An estimator of any circuit, from rows that refer to its nodes and terminals.
    ///
    /// # Panics
    /// A row refers to what is not there, or the circuit's lists are not one entry a node.
    pub fn of_circuit(circuit: &Circuit, rows: Vec<Row>) -> Estimator {
        assert_eq!(circuit.start.len(), circuit.nodes, "one start a node");
        assert_eq!(circuit.island.len(), circuit.nodes, "one island a node");
        assert_eq!(circuit.zero_injection.len(), circuit.nodes, "one mark a node");
        let system = System::new(circuit);
        let mut member_start = vec![0];
        let mut members = Vec::with_capacity(rows.len());
        for row in &rows {
            members.extend(row.members.iter().map(|&(at, factor)| (at as u32, factor)));
            member_start.push(members.len() as u32);
        }
        let mut estimator = Estimator {
            start: circuit.start.clone(),
            zero_injection: circuit.zero_injection.clone(),
            island: circuit.island.clone(),
            references: circuit.references.clone(),
            unused: Vec::new(),
            node_of_bus: (0..circuit.nodes).map(Some).collect(),
            ends: Vec::new(),
            scale: reference_variance(&rows),
            rows,
            system,
            observability: Observability::default(),
            counts: vec![true; circuit.nodes],
            blind: vec![false; circuit.terminals.len()],
            open: vec![false; circuit.nodes],
            factored: false,
            stale: true,
            moved: true,
            member_start,
            members,
            alone: Vec::new(),
            shares: Vec::new(),
            taps: Vec::new(),
            pinned: Vec::new(),
            held: HOLD,
            without_currents: false,
            inverse: Vec::new(),
            residual_variance: Vec::new(),
            limits: Limits::default(),
        };
        estimator.observe();
        estimator
    }

    /// The rows, in the order in which everything a row has is given.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Measurements that are in no row, by position.
    pub fn unused(&self) -> &[Unused] {
        &self.unused
    }

    /// What can be observed.
    pub fn observability(&self) -> &Observability {
        &self.observability
    }

    /// The circuit's node of a bus; none where the bus is dead. (Of a circuit: the node itself.)
    pub fn node(&self, bus: usize) -> Option<usize> {
        self.node_of_bus[bus]
    }

    /// How many nodes are under voltage.
    pub fn nodes(&self) -> usize {
        self.start.len()
    }

    /// The branch end of a terminal, of an estimator of a model.
    pub fn branch_end(&self, terminal: usize) -> (usize, Side) {
        self.ends[terminal]
    }

    /// The voltage of a bus per unit; zero where dead, none where it cannot be observed.
    pub fn voltage(&self, bus: usize) -> Option<Complex> {
        match self.node_of_bus[bus] {
            None => Some(Complex::ZERO),
            Some(node) => self.node_voltage(node),
        }
    }

    /// The voltage of a node per unit; none where it cannot be observed.
    pub fn node_voltage(&self, node: usize) -> Option<Complex> {
        let place = self.system.form.place(node);
        self.counts[place].then(|| self.system.nodes[place].v)
    }

    /// The power into a node per unit, everything that stands there.
    pub fn node_power(&mut self, node: usize) -> Complex {
        self.system.evaluate();
        self.system.powers[self.system.form.place(node)]
    }

    /// Power per unit and current per unit from its node into a terminal.
    pub fn flow(&self, terminal: usize) -> (Complex, Complex) {
        self.system.flow(terminal)
    }

    /// Gives all measurements new values, in the order of the constructor. The factor stands.
    /// Where several meters make one value, their shares are those of the sigmas they came with.
    ///
    /// # Panics
    /// There are fewer values than measurements.
    pub fn set_values(&mut self, values: &[f64]) {
        for (row, ends) in self.rows.iter_mut().zip(self.member_start.windows(2)) {
            let members = &self.members[ends[0] as usize..ends[1] as usize];
            if !members.is_empty() {
                row.value = members.iter().map(|&(at, factor)| factor * values[at as usize]).sum();
            }
        }
        self.moved = true;
    }

    /// Gives one row another value and sigma. The factor is renewed at the next pass if the sigma
    /// is another; see [`Estimator::reweigh`].
    pub fn set_row(&mut self, row: usize, value: f64, sigma: f64) {
        let row = &mut self.rows[row];
        row.value = value;
        self.moved = true;
        if row.sigma != sigma {
            row.sigma = sigma;
            self.stale = true;
            self.factored = false;
        }
    }

    /// Gives one row another value and sigma, and keeps the factor: right while the sigma is near
    /// the factor's, because the right-hand side is exact; passes only contract a little less.
    pub fn reweigh(&mut self, row: usize, value: f64, sigma: f64) {
        let row = &mut self.rows[row];
        (row.value, row.sigma) = (value, sigma);
        self.stale = true;
    }

    /// Makes the reference variance that of the rows that are active.
    pub(crate) fn weigh_anew(&mut self) {
        self.scale = reference_variance(&self.rows);
        self.stale = true;
        self.factored = false;
    }

    /// True while there is a factor that belongs to the rows that are active.
    pub fn is_factored(&self) -> bool {
        self.factored
    }

    /// The state to the bit, for [`Estimator::set_state`].
    pub(super) fn state(&self) -> Vec<[f64; 7]> {
        let nodes = self.system.nodes.iter();
        let bits = |node: &Node| {
            let [active, reactive] = node.multiplier;
            let (v, polar) = (node.v, [node.magnitude, node.inverse, node.angle]);
            [v.re, v.im, polar[0], polar[1], polar[2], active, reactive]
        };
        nodes.map(bits).collect()
    }

    /// Takes a state back; the factor is as it was.
    pub(super) fn set_state(&mut self, state: &[[f64; 7]]) {
        for (node, &[re, im, magnitude, inverse, angle, active, reactive]) in
            self.system.nodes.iter_mut().zip(state)
        {
            let (v, multiplier) = (Complex::new(re, im), [active, reactive]);
            *node = Node { v, magnitude, inverse, angle, multiplier };
        }
        self.without_currents = false;
    }

    /// Adds a row, on a node or a terminal that is there, and gives its position: a prior, a
    /// forecast that stands in. One without members keeps its value when measurements are set.
    pub fn add_row(&mut self, row: Row) -> usize {
        self.members.extend(row.members.iter().map(|&(at, factor)| (at as u32, factor)));
        self.member_start.push(self.members.len() as u32);
        self.rows.push(row);
        if !self.shares.is_empty() {
            self.shares.push(1.0);
        }
        self.find_pinned();
        self.stale = true;
        self.factored = false;
        self.rows.len() - 1
    }

    /// What of each row's weight counts, by position: one, but after a robust estimate.
    pub fn shares(&self) -> Vec<f64> {
        if self.shares.is_empty() { vec![1.0; self.rows.len()] } else { self.shares.clone() }
    }

    pub(super) fn set_shares(&mut self, shares: Vec<f64>) {
        self.shares = shares;
        self.stale = true;
        self.factored = false;
    }

    /// Takes a row in or leaves it out.
    pub fn set_active(&mut self, row: usize, active: bool) {
        if self.rows[row].active != active {
            self.rows[row].active = active;
            self.factored = false;
            self.stale = true;
            if self.rows[row].what.is_angle() {
                self.find_pinned();
            }
        }
    }

    /// Finds anew what can be observed with the rows that are active.
    pub fn observe(&mut self) {
        self.find_pinned();
        self.draw_together();
        self.observability = self.find_observable();
        for place in 0..self.counts.len() {
            let node = self.system.form.node(place);
            self.counts[place] = self.observability.is_observable(node);
        }
        for (blind, terminal) in self.blind.iter_mut().zip(&self.system.terminals) {
            let mut terms = self.system.terms[terminal.terms()].iter();
            *blind = terms.any(|term| !self.counts[term.place as usize]);
        }
        for place in 0..self.counts.len() {
            self.open[place] = !self.counts[place];
        }
        for place in 0..self.counts.len() {
            for block in self.system.form.right(place) {
                let other = self.system.form.column(block);
                if self.system.admittance(block) != [Complex::ZERO; 2] {
                    self.open[place] |= !self.counts[other];
                    self.open[other] |= !self.counts[place];
                }
            }
        }
        self.stale = true;
        self.factored = false;
    }

    /// Estimates from flat.
    pub fn solve(&mut self, settings: &Settings) -> Outcome {
        for place in 0..self.system.nodes.len() {
            let start = self.start[self.system.form.node(place)];
            self.system.nodes[place] = Node::at(start.arg(), start.abs());
        }
        self.reset_ratios();
        if !self.shares.is_empty() {
            self.shares.clear();
            self.stale = true;
        }
        self.factored = false;
        self.hold_with(HOLD);
        self.without_currents = self.rows.iter().any(is_current);
        self.pass_until(settings)
    }

    /// Estimates from where the state stands, with the factor that is there.
    pub fn track(&mut self, settings: &Settings) -> Outcome {
        self.pass_until(settings)
    }

    /// Factors anew at the state, so that what is asked of the factor next belongs to the state.
    pub fn refresh(&mut self) {
        if self.stale || self.moved {
            self.draw_together();
        }
        self.system.linearise::<true>();
        self.system.factor();
        self.factored = true;
        self.residual_variance.clear();
    }

    fn pass_until(&mut self, settings: &Settings) -> Outcome {
        if self.start.is_empty() {
            return Outcome::NoSource;
        }
        if !self.counts.contains(&true) {
            return Outcome::Unobservable;
        }
        if self.stale || self.without_currents {
            self.draw_together();
        } else if self.moved {
            self.draw_values();
        }
        let (mut before, mut factorisations, mut stalled) = (f64::INFINITY, 0, 0);
        for pass in 0..settings.passes {
            if self.without_currents && pass == CURRENTS_FROM {
                self.without_currents = false;
                self.draw_together();
                self.factored = false;
            }
            let fresh = !self.factored;
            if self.factored {
                self.system.linearise::<false>();
            } else {
                self.system.linearise::<true>();
                self.system.factor();
                self.factored = true;
                factorisations += 1;
                self.residual_variance.clear();
            }
            let moved = self.step_ratios();
            let step = self.system.step(LONGEST, &self.counts, fresh);
            if !step.is_finite() {
                break;
            }
            let step = step.max(moved);
            if step < settings.tolerance && !self.without_currents {
                return Outcome::Solved { passes: pass + 1, factorisations, step };
            }
            if step > NEAR || step > CONTRACTION * before {
                self.factored = false;
                stalled += usize::from(step < ROUNDED);
                if stalled == STALLED && !self.without_currents {
                    return Outcome::Solved { passes: pass + 1, factorisations, step };
                }
                if fresh && (ROUNDED..NEAR).contains(&step) && self.ease() {
                    before = f64::INFINITY;
                    continue;
                }
            }
            before = step;
        }
        self.factored = false;
        Outcome::Diverged { passes: settings.passes, worst: self.worst() }
    }

    /// Holds nodes without a balance as lightly as can be; false where none is held, or so already.
    fn ease(&mut self) -> bool {
        let mut places = self.counts.iter().zip(&self.system.meters);
        let held = places.any(|(&counts, meter)| counts && meter.mask != [1.0; 2]);
        let eases = held && self.held > HOLD_LEAST;
        if eases {
            self.hold_with(HOLD_LEAST);
        }
        eases
    }

    /// What holds nodes without a balance, as a share of their admittance squared.
    pub(super) fn held(&self) -> f64 {
        self.held
    }

    pub(super) fn hold_with(&mut self, share: f64) {
        if self.held != share {
            self.held = share;
            self.hold();
        }
    }

    /// The nodes that moved most in the last pass.
    fn worst(&self) -> Vec<usize> {
        const NAMED: usize = 5;
        let moved = |place: usize| {
            let x = &self.system.rhs[place];
            let moved = x[0].abs().max(x[1].abs());
            if moved.is_nan() { f64::INFINITY } else { moved }
        };
        let mut places: Vec<usize> = (0..self.nodes()).collect();
        places.sort_by(|&a, &b| moved(b).total_cmp(&moved(a)));
        places.iter().take(NAMED).map(|&place| self.system.form.node(place)).collect()
    }

    /// What each row's function is at the state, per unit and radians.
    pub fn values(&mut self) -> Vec<f64> {
        self.system.evaluate();
        self.rows.iter().map(|row| self.system.value(row.what)).collect()
    }

    /// Measured minus estimated, for each row, per unit and radians.
    pub fn residuals(&mut self) -> Vec<f64> {
        self.system.evaluate();
        let mut residuals = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            residuals.push(self.residual(row));
        }
        residuals
    }

    pub(super) fn residual(&self, row: &Row) -> f64 {
        let difference = row.value - self.system.value(row.what);
        if row.what.is_angle() { wrapped(difference) } else { difference }
    }

    /// True if everything that a row's function depends on is observable. A row of which that is
    /// not so says nothing of what is, and is in no statistic: it bends what nobody sees.
    pub fn is_determined(&self, row: usize) -> bool {
        self.depends_on_seen(self.rows[row].what)
    }

    /// The sum of squared residuals over the active rows, each by its sigma.
    pub fn objective(&mut self) -> f64 {
        self.system.evaluate();
        let rows = self.rows.iter().enumerate();
        let counted = rows.filter(|&(at, row)| row.active && self.is_determined(at));
        counted.map(|(_, row)| (self.residual(row) / row.sigma).powi(2)).sum()
    }

    /// How many rows there are more than are needed: active rows, and two equations a zero
    /// injection, less two unknowns a node and one less in each island without a measured angle.
    /// Not below zero; of what is unobservable it says nothing.
    pub fn degrees_of_freedom(&self) -> usize {
        let seen = |node: usize| self.counts[self.system.form.place(node)];
        let rows = (0..self.rows.len())
            .filter(|&row| self.rows[row].active && self.is_determined(row))
            .count();
        let exact = (0..self.nodes())
            .filter(|&node| self.zero_injection[node] && !self.open[self.system.form.place(node)]);
        let nodes = self.counts.iter().filter(|&&counts| counts).count();
        let pinned = self.pinned.iter().filter(|&&node| seen(node)).count();
        let unknown = 2 * nodes - pinned + self.free_ratios();
        (rows + 2 * exact.count()).saturating_sub(unknown)
    }

    /// The islands whose angles are absolute because one is measured in them.
    fn with_angle(&self) -> Vec<usize> {
        let mut islands: Vec<usize> = self
            .rows
            .iter()
            .filter(|row| row.active)
            .filter_map(|row| match row.what {
                What::Angle(node) => Some(self.island[node]),
                What::CurrentAngle(at) => Some(self.island[self.terminal_node(at)]),
                _ => None,
            })
            .collect();
        islands.sort_unstable();
        islands.dedup();
        islands
    }

    /// A node a terminal is in the island of.
    fn terminal_node(&self, terminal: usize) -> usize {
        let first = self.system.terminals[terminal].terms().start;
        self.system.form.node(self.system.terms[first].place as usize)
    }

    /// The nodes whose angle is the reference: one an island without a measured angle.
    pub fn pinned(&self) -> &[usize] {
        &self.pinned
    }

    fn find_pinned(&mut self) {
        let measured = self.with_angle();
        let free = |node: &usize| !measured.contains(&self.island[*node]);
        self.pinned = self.references.iter().copied().filter(free).collect();
    }

    /// Draws the active rows together into one value and weight a quantity.
    fn draw_together(&mut self) {
        let scale = self.scale;
        for (place, meter) in self.system.meters.iter_mut().enumerate() {
            let zero = self.zero_injection[self.system.form.node(place)];
            *meter = Default::default();
            meter.own = if zero { 0.0 } else { 1.0 };
            // A balance with somebody whom nobody sees is met by them, whatever the others do.
            if zero && !self.open[place] {
                meter.mask = [1.0; 2];
            }
        }
        for terminal in &mut self.system.terminals {
            terminal.weight = [0.0; 4];
            terminal.z = [0.0; 4];
        }
        for (at, row) in self.rows.iter().enumerate() {
            if row.active && !self.held_back(row.what) {
                let share = self.shares.get(at).copied().unwrap_or(1.0);
                let weight = share * scale / (row.sigma * row.sigma);
                self.system.add_row(row.what, row.value, weight);
            }
        }
        for place in 0..self.system.meters.len() {
            self.system.close_balance(place);
        }
        self.hold();
        self.find_alone();
        self.stale = false;
        self.moved = false;
    }

    /// True of ampere rows in the first pass, and of what hangs on nodes that nobody sees: it
    /// bends those and nothing else, and only in the end.
    fn held_back(&self, what: What) -> bool {
        let ampere = matches!(what, What::Current(_) | What::CurrentAngle(_));
        ampere && self.without_currents || !self.depends_on_seen(what)
    }

    fn depends_on_seen(&self, what: What) -> bool {
        let place = |node: usize| self.system.form.place(node);
        match what {
            What::Magnitude(node) | What::Angle(node) => self.counts[place(node)],
            What::ActiveInjection(node) | What::ReactiveInjection(node) => !self.open[place(node)],
            What::ActiveFlow(at)
            | What::ReactiveFlow(at)
            | What::Current(at)
            | What::CurrentAngle(at) => !self.blind[at],
            What::Agreement => true,
        }
    }

    fn find_alone(&mut self) {
        self.alone.clear();
        for (at, row) in self.rows.iter().enumerate() {
            let share = self.shares.get(at).copied().unwrap_or(1.0);
            let weight = share * self.scale / (row.sigma * row.sigma);
            let held_back = self.held_back(row.what);
            let all = self.system.weight(row.what);
            let only = (all - weight).abs() < 1e-9 * all || row.what == What::Agreement;
            self.alone.push(row.active && !held_back && only);
        }
    }

    /// The same where only values have changed.
    fn draw_values(&mut self) {
        for at in 0..self.rows.len() {
            if self.alone[at] {
                let row = &self.rows[at];
                *self.system.measured(row.what) = row.value;
            } else if self.rows[at].active {
                return self.draw_together();
            }
        }
        self.moved = false;
    }

    fn hold(&mut self) {
        for place in 0..self.system.meters.len() {
            let own = self.system.own_squared[place];
            let meter = &mut self.system.meters[place];
            let share = match (self.counts[place], meter.mask) {
                (false, _) => HOLD_UNOBSERVABLE,
                (true, [1.0, 1.0]) => 0.0,
                (true, _) => self.held,
            };
            meter.hold = [share * own; 2];
        }
        for &node in &self.pinned {
            // As if the angle were measured: nothing contradicts it, so it is met exactly.
            let place = self.system.form.place(node);
            let meter = &mut self.system.meters[place];
            meter.z[1] = self.start[node].arg();
            meter.weight[0] = self.system.own_squared[place];
        }
    }

    /// The island of a node, as the circuit calls it.
    pub fn island(&self, node: usize) -> usize {
        self.island[node]
    }

    pub(super) fn is_zero_injection(&self, node: usize) -> bool {
        self.zero_injection[node]
    }
}

fn is_current(row: &Row) -> bool {
    matches!(row.what, What::Current(_) | What::CurrentAngle(_))
}

/// The median variance of injections, else of everything, among the rows that are active.
fn reference_variance(rows: &[Row]) -> f64 {
    let of = |wanted: &dyn Fn(What) -> bool| {
        let active = rows.iter().filter(|row| row.active && wanted(row.what));
        let mut variances: Vec<f64> = active.map(|row| row.sigma * row.sigma).collect();
        let middle = variances.len() / 2;
        (!variances.is_empty()).then(|| *variances.select_nth_unstable_by(middle, f64::total_cmp).1)
    };
    let injection = |what| matches!(what, What::ActiveInjection(_) | What::ReactiveInjection(_));
    of(&injection).or_else(|| of(&|_| true)).unwrap_or(1.0)
}
