//! Power flow by current injection, `Y v = j + i(v)`, with what is factored kept from one solution
//! to the next.
//!
//! Sources are Norton equivalents in `Y` and `j`. Of each load the matrix holds a linear part, and
//! what its law draws beyond that comes in as a current at the last voltage:
//!
//! ```text
//! (Y + L) Δv = Δ(i(v) + L v)      v += Δv
//! ```
//!
//! At first `L` is the share of the load's admittance that reacts least to a change of the voltage
//! whatever its angle; a pass then contracts by about the voltage drop of the network per unit.
//! Where that is slow, `L` becomes the tangent of the load's law at the state reached (a two by two
//! real matrix, because a constant power is not linear over complex numbers) and everything is
//! factored once more: Newton's method with a Jacobian that is kept. From then on a change of loads
//! costs a few passes, each two triangular solutions and a walk over the loads (fixed `Y`:
//! R. C. Dugan, T. E. McDermott, *An Open Source Platform for Collaborating on Smart Grid
//! Research*, IEEE PES 2011; tangent: P. A. N. Garcia et al., *Three-phase power flow calculations
//! using the current injection method*, IEEE Trans. Power Systems 15, 2000).
//!
//! Passes are in differences, because what floats (an ungrounded delta is tied to ground by a
//! millionth of its rating) makes whole currents too coarse to end on.
//!
//! A closed switch is the impedance its data sheet has, which is harmless here: a flow solves for
//! the voltages directly. One without impedance is one node, and so are all where the settings say
//! so, as an estimator needs it. Nodes without a path to a source are dead and have zero voltage.
//!
//! # State
//!
//! The voltages stay, so that after [`Solver::set_load`] a solution begins where the last one
//! ended; a tap or a capacitor step has the matrix factored anew, on the same pattern. After
//! [`FRESH_EVERY`] solutions the sums of differences are replaced by whole currents.

mod leg;

use self::leg::Leg;
use self::leg::Real;
use self::leg::add;
use self::leg::bring;
use crate::complex::Complex;
use crate::sparse::Pattern;
use crate::three_phase::Element;
use crate::three_phase::Kind;
use crate::three_phase::Network;
use crate::three_phase::load::Curve;

/// How to solve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Solved when no voltage moves by more, per unit of its base.
    pub tolerance: f64,
    /// Most passes.
    pub passes: usize,
    /// True if closed switches are one node even where they have an impedance.
    pub merge_switches: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { tolerance: 1e-9, passes: 100, merge_switches: false }
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Solved.
    Solved {
        /// Passes it took.
        passes: usize,
    },
    /// Not solved in as many passes as were allowed, or not a number.
    Diverged {
        /// Passes done.
        passes: usize,
        /// The nodes that moved most in the last pass, with how far, per unit.
        worst: Vec<(usize, f64)>,
    },
    /// There is no source in service.
    NoSource,
    /// The matrix has no inverse.
    Singular {
        /// A node where it failed.
        node: usize,
    },
}

impl Outcome {
    /// True if solved.
    pub fn is_solved(&self) -> bool {
        matches!(self, Outcome::Solved { .. })
    }
}

/// Solutions after which whole currents are solved for again.
pub const FRESH_EVERY: u32 = 1000;

/// A pass that leaves more than this share of the last step asks for another linear part.
const SLOW: f64 = 0.15;

/// Fewest passes between two factorisations.
const PASSES_KEPT: usize = 3;

/// Passes of a solution after which a tangent at its end is worth its factorisation.
const MANY_PASSES: usize = 4;

/// Fewest solutions between two such factorisations, which bounds what they add to each.
const SOLUTIONS_KEPT: u32 = 8;

/// What is in the matrix for a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Linear {
    /// A share of its admittance at rated voltage.
    Share,
    /// The tangent of its law at the present voltage.
    Tangent,
}

/// A network that is solved again and again.
#[derive(Clone, Debug)]
pub struct Solver {
    network: Network,
    settings: Settings,

    pattern: Pattern,
    /// The place of each node; the last place is ground, where dead nodes are too.
    place: Vec<u32>,
    blocks: Vec<Real>,
    linear: Linear,
    legs: Vec<Leg>,
    /// Where each load's legs begin.
    leg_start: Vec<u32>,
    drives: Vec<Complex>,
    inverse_base: Vec<f64>,
    /// True if the matrix is to be factored before anything else.
    stale: bool,
    /// True if there is a state to begin with.
    warm: bool,
    /// Solutions since whole currents were solved for.
    age: u32,
    /// Solutions since the matrix was factored.
    kept: u32,
    /// By place, with ground.
    v: Vec<Complex>,
    step: Vec<[f64; 2]>,
}

impl Solver {
    /// Makes a network ready. Nothing is factored yet.
    pub fn new(network: Network, settings: Settings) -> Solver {
        let energised: Vec<bool> = network.islands().iter().map(Option::is_some).collect();
        let roots = network.merged_nodes(|element| is_merged(element, settings.merge_switches));
        let mut number = vec![usize::MAX; network.nodes.len()];
        let mut count = 0;
        for node in (0..roots.len()).filter(|&node| energised[node]) {
            if number[roots[node]] == usize::MAX {
                number[roots[node]] = count;
                count += 1;
            }
        }
        let of = |node: usize| if energised[node] { number[roots[node]] } else { count };
        let number: Vec<usize> = (0..roots.len()).map(of).collect();
        let pattern = Pattern::new(count, edges(&network, &number, count));
        let place = number.iter().map(|&n| if n == count { n } else { pattern.place(n) } as u32);
        let mut solver = Solver {
            place: place.collect(),
            blocks: Vec::new(),
            legs: Vec::new(),
            leg_start: vec![0],
            drives: vec![Complex::ZERO; count + 1],
            inverse_base: vec![0.0; count + 1],
            linear: Linear::Share,
            stale: true,
            warm: false,
            age: 0,
            kept: 0,
            v: vec![Complex::ZERO; count + 1],
            step: vec![[0.0; 2]; count + 1],
            pattern,
            network,
            settings,
        };
        solver.add_legs();
        for (node, &place) in solver.network.nodes.iter().zip(&solver.place) {
            if node.base_volt > 0.0 {
                solver.inverse_base[place as usize] = 1.0 / node.base_volt;
            }
        }
        solver
    }

    /// The network as it is now: loads, taps and steps as they were set.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Gives the network back.
    pub fn into_network(self) -> Network {
        self.network
    }

    /// Sets how close a solution has to be.
    pub fn set_tolerance(&mut self, tolerance: f64) {
        self.settings.tolerance = tolerance;
    }

    /// Sets what a load consumes at rated voltage, all legs together, in watts and var. The matrix
    /// stays.
    pub fn set_load(&mut self, load: usize, p_w: f64, q_var: f64) {
        let of = &mut self.network.loads[load];
        (of.p_w, of.q_var) = (p_w, q_var);
        let share = if of.in_service { 1.0 / of.legs.len() as f64 } else { 0.0 };
        let legs = self.leg_start[load] as usize..self.leg_start[load + 1] as usize;
        for leg in &mut self.legs[legs] {
            leg.s = Complex::new(p_w * share, q_var * share);
        }
    }

    /// Sets a winding's tap of a transformer, per unit; false where it is none, or has no such
    /// winding.
    pub fn set_tap(&mut self, element: usize, winding: usize, tap: f64) -> bool {
        let element = &mut self.network.elements[element];
        let Kind::Transformer(sheet) = &mut element.kind else { return false };
        let Some(winding) = sheet.windings.get_mut(winding) else { return false };
        winding.tap = tap;
        self.stale = true;
        element.refresh()
    }

    /// Closes the first `steps` steps of a capacitor and opens the others; false where it is none.
    pub fn set_steps(&mut self, element: usize, steps: usize) -> bool {
        let element = &mut self.network.elements[element];
        let Kind::Capacitor(sheet) = &mut element.kind else { return false };
        for (step, closed) in sheet.closed.iter_mut().enumerate() {
            *closed = step < steps;
        }
        self.stale = true;
        element.refresh()
    }

    /// Solves, from the last state if there is one.
    pub fn solve(&mut self) -> Outcome {
        if self.pattern.rows() == 0 {
            return Outcome::NoSource;
        }
        if self.stale {
            let linear = if self.warm { self.linear } else { Linear::Share };
            if let Err(singular) = self.factor(linear) {
                return singular;
            }
        }
        let mut outcome = self.iterate(true);
        if !outcome.is_solved() && self.linear == Linear::Tangent {
            // Too far from where the tangent leads: the slow way is the surer one.
            self.warm = false;
            outcome = match self.factor(Linear::Share) {
                Ok(()) => self.iterate(false),
                Err(singular) => singular,
            };
        }
        self.warm = outcome.is_solved();
        // A state that is none is no start for the next solution.
        self.stale |= !self.warm;
        outcome
    }

    /// Passes until nothing moves; with `may_factor` on a better linear part where they are slow.
    fn iterate(&mut self, may_factor: bool) -> Outcome {
        let limit = self.settings.tolerance * self.settings.tolerance;
        let mut since = 0;
        let mut passes = 0;
        let mut last = f64::INFINITY;
        for pass in 1..=self.settings.passes {
            let moved = self.pass();
            passes = pass;
            if moved <= limit {
                self.age += 1;
                self.kept += 1;
                // Whoever solves often is solved for faster; the state is the same.
                if may_factor && pass > MANY_PASSES && self.kept >= SOLUTIONS_KEPT {
                    self.stale = self.factor(Linear::Tangent).is_err();
                }
                return Outcome::Solved { passes: pass };
            }
            if !moved.is_finite() {
                break;
            }
            since += 1;
            let slow = moved > SLOW * SLOW * last;
            if may_factor && since >= PASSES_KEPT && slow {
                if let Err(singular) = self.factor(Linear::Tangent) {
                    return singular;
                }
                since = 0;
            }
            last = moved;
        }
        Outcome::Diverged { passes, worst: self.worst() }
    }

    /// The voltage of a node to ground in volts; zero where it is dead.
    #[inline]
    pub fn voltage(&self, node: usize) -> Complex {
        self.v[self.place[node] as usize]
    }

    /// True if a node has a path to a source.
    pub fn is_energised(&self, node: usize) -> bool {
        self.place[node] as usize != self.pattern.rows()
    }

    /// The current into an element at each of its conductors in amperes. Nothing for a closed
    /// switch that is merged: its current is what the others at its nodes leave over.
    pub fn currents(&self, element: usize) -> Option<Vec<Complex>> {
        let element = &self.network.elements[element];
        let merged =
            self.settings.merge_switches && element.kind == (Kind::Switch { closed: true });
        if !element.in_service || element.kind == (Kind::Switch { closed: false }) {
            return Some(vec![Complex::ZERO; element.nodes.len()]);
        }
        let voltage = |node: &Option<usize>| node.map_or(Complex::ZERO, |node| self.voltage(node));
        let voltages: Vec<Complex> = element.nodes.iter().map(voltage).collect();
        (!merged).then(|| element.currents(&voltages))
    }

    /// The current a load draws over each of its legs in amperes, from its first node.
    pub fn load_currents(&self, load: usize) -> Vec<Complex> {
        let legs = self.leg_start[load] as usize..self.leg_start[load + 1] as usize;
        self.legs[legs].iter().map(|leg| leg.current(&self.v).0).collect()
    }

    /// By how many amperes Kirchhoff's current law fails, at the node where it fails most: computed
    /// from the elements and not from the factored matrix.
    pub fn mismatch_ampere(&self) -> f64 {
        let mut sum = self.drives.clone();
        self.each_entry(|row, column, value| {
            let current = value * self.v[column];
            sum[row] -= current;
        });
        for leg in &self.legs {
            let (drawn, _) = leg.current(&self.v);
            sum[leg.from as usize] -= drawn;
            sum[leg.to as usize] += drawn;
        }
        sum.truncate(self.pattern.rows());
        sum.iter().map(|i| i.abs()).fold(0.0, f64::max)
    }

    fn add_legs(&mut self) {
        let ground = self.pattern.rows() as u32;
        let at = |node: Option<usize>| node.map_or(ground, |node| self.place[node]);
        for load in &self.network.loads {
            let share = if load.in_service { 1.0 / load.legs.len() as f64 } else { 0.0 };
            let s = Complex::new(load.p_w * share, load.q_var * share);
            let curve = Curve::new(load);
            for &[from, to] in &load.legs {
                let (from, to, linear, beyond) = (at(from), at(to), [[0.0; 2]; 2], Complex::ZERO);
                self.legs.push(Leg { from, to, s, linear, beyond, curve });
            }
            self.leg_start.push(self.legs.len() as u32);
        }
    }

    /// Every entry of the matrix of elements between places that are alive.
    fn each_entry(&self, mut entry: impl FnMut(usize, usize, Complex)) {
        let ground = self.pattern.rows();
        let merge = self.settings.merge_switches;
        for element in self.network.elements.iter().filter(|element| element.in_service) {
            if is_merged(element, merge) || element.kind == (Kind::Switch { closed: false }) {
                continue;
            }
            for (row, a) in element.nodes.iter().enumerate() {
                let Some(a) = a.map(|a| self.place[a] as usize).filter(|&a| a < ground) else {
                    continue;
                };
                for (column, b) in element.nodes.iter().enumerate() {
                    let value = element.y.get(row, column);
                    if let Some(b) = b.map(|b| self.place[b] as usize).filter(|&b| b < ground)
                        && value != Complex::ZERO
                    {
                        entry(a, b, value);
                    }
                }
            }
        }
    }

    /// Assembles and factors with this linear part of loads, and solves once for whole currents:
    /// at the state there is, or without loads beyond their linear part.
    fn factor(&mut self, linear: Linear) -> Result<(), Outcome> {
        let ground = self.pattern.rows();
        let mut blocks = vec![[[0.0; 2]; 2]; self.pattern.blocks()];
        let block = |row: usize, column: usize| {
            let (row, column) = (self.pattern.node(row), self.pattern.node(column));
            self.pattern.block(row, column).expect("the pattern holds every element")
        };
        self.each_entry(|row, column, y| {
            add(&mut blocks[block(row, column)], &[[y.re, -y.im], [y.im, y.re]], 1.0);
        });
        for leg in &mut self.legs {
            leg.linear = match linear {
                Linear::Share => leg.share(),
                Linear::Tangent => leg.tangent(&self.v),
            };
            let (from, to) = (leg.from as usize, leg.to as usize);
            for (row, column, sign) in
                [(from, from, 1.0), (to, to, 1.0), (from, to, -1.0), (to, from, -1.0)]
            {
                if row < ground && column < ground {
                    add(&mut blocks[block(row, column)], &leg.linear, sign);
                }
            }
        }
        let weakest = self.pattern.factor(&mut blocks);
        if weakest.share.is_nan() || weakest.share <= 0.0 {
            return Err(Outcome::Singular { node: self.network_node(weakest.node) });
        }
        self.blocks = blocks;
        self.linear = linear;
        self.stale = false;
        self.kept = 0;
        self.set_drives();
        if !self.warm && linear == Linear::Share {
            self.legs.iter_mut().for_each(|leg| leg.beyond = Complex::ZERO);
        } else {
            self.legs.iter_mut().for_each(|leg| leg.beyond = leg.beyond_now(&self.v));
        }
        self.solve_whole();
        Ok(())
    }

    /// Voltages from whole currents.
    fn solve_whole(&mut self) {
        let ground = self.pattern.rows();
        for (step, drive) in self.step.iter_mut().zip(&self.drives) {
            *step = [drive.re, drive.im];
        }
        for leg in &self.legs {
            bring(&mut self.step, leg, leg.beyond);
        }
        self.pattern.solve(&self.blocks, &mut self.step[..ground]);
        for (v, step) in self.v[..ground].iter_mut().zip(&self.step) {
            *v = Complex::new(step[0], step[1]);
        }
        self.age = 0;
    }

    /// A node of the network at a number of the pattern.
    fn network_node(&self, number: usize) -> usize {
        let place = self.pattern.place(number) as u32;
        self.place.iter().position(|&at| at == place).unwrap_or(0)
    }

    fn set_drives(&mut self) {
        let ground = self.pattern.rows();
        self.drives.fill(Complex::ZERO);
        for element in self.network.elements.iter().filter(|element| element.in_service) {
            for (node, &driven) in element.nodes.iter().zip(&element.drives) {
                if let Some(node) = node {
                    self.drives[self.place[*node] as usize] += driven;
                }
            }
        }
        self.drives[ground] = Complex::ZERO;
    }

    /// One pass; gives the square of the greatest move per unit.
    fn pass(&mut self) -> f64 {
        let ground = self.pattern.rows();
        if self.age >= FRESH_EVERY {
            self.solve_whole();
        }
        self.step.fill([0.0; 2]);
        for leg in &mut self.legs {
            let beyond = leg.beyond_now(&self.v);
            let more = beyond - leg.beyond;
            leg.beyond = beyond;
            bring(&mut self.step, leg, more);
        }
        self.pattern.solve(&self.blocks, &mut self.step[..ground]);
        let mut moved = 0.0_f64;
        for ((v, step), base) in self.v[..ground].iter_mut().zip(&self.step).zip(&self.inverse_base)
        {
            *v += Complex::new(step[0], step[1]);
            let size = (step[0] * step[0] + step[1] * step[1]) * base * base;
            // NaN stays.
            moved = if size > moved || size.is_nan() { size } else { moved };
        }
        moved
    }

    fn worst(&self) -> Vec<(usize, f64)> {
        let step = |node: usize| {
            let at = self.place[node] as usize;
            self.step[at][0].hypot(self.step[at][1]) * self.inverse_base[at]
        };
        let mut moved: Vec<(usize, f64)> =
            (0..self.place.len()).map(|node| (node, step(node))).collect();
        moved.sort_by(|a, b| b.1.total_cmp(&a.1));
        moved.truncate(WORST_NAMED);
        moved
    }
}

/// How many nodes are named where a solution diverges.
const WORST_NAMED: usize = 5;

/// True if an element is a closed switch whose ends are one node.
fn is_merged(element: &Element, all: bool) -> bool {
    let is_switch = element.kind == (Kind::Switch { closed: true });
    is_switch && (all || element.y.values().iter().all(|&y| y == Complex::ZERO))
}

/// The edges of the matrix among numbered nodes, `ground` left out.
fn edges(network: &Network, number: &[usize], ground: usize) -> Vec<(usize, usize)> {
    let mut edges = Vec::new();
    let mut add = |nodes: &[Option<usize>]| {
        let live: Vec<usize> =
            nodes.iter().flatten().map(|&n| number[n]).filter(|&n| n != ground).collect();
        for (at, &a) in live.iter().enumerate() {
            edges.extend(live[at + 1..].iter().map(|&b| (a, b)));
        }
    };
    for element in &network.elements {
        add(&element.nodes);
    }
    for load in &network.loads {
        load.legs.iter().for_each(|leg| add(leg));
    }
    edges
}
