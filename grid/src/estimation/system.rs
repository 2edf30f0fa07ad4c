//! The matrix and the gradient of an estimation, and the state they are taken at.
//!
//! Everything here is in order of places (see [`Symmetric`]), so that a pass walks memory forwards.
//! Rows of one quantity have been drawn together into one value and weight, which gives the same
//! estimate and makes the hot loop independent of how many meters there are.
//!
//! Weights are divided by one reference weight, so that the numbers in the matrix are of the size
//! of admittances and not of inverse variances.
//!
//! # Pivots
//!
//! No pivot is sought across blocks. Where a node has no balance of its own, its block would be
//! empty although its neighbours' rows determine it; so its state is held where it is by a small
//! weight ([`HOLD`]). That bends no result: it pulls towards the current state, the gradient is the
//! true one, and at the optimum the step is zero with it or without.

use crate::complex::Complex;
use crate::estimation::circuit::Circuit;
use crate::estimation::circuit::Terminal;
use crate::estimation::row::What;
use crate::estimation::row::wrapped;
use crate::sparse::Pattern;
use crate::sparse::Symmetric;
use crate::sparse::Weakest;
use crate::sparse::symmetric::Square;

/// The weight that holds a node without a balance, as a share of its own admittance squared. More
/// slows convergence (a pass leaves `h/(c + h)` of the step before, `h` this and `c` what the rows
/// know of the node), less costs digits of the solution.
pub(super) const HOLD: f64 = 1e-8;

/// The least, for where the other slows convergence, as it does where a voltmeter is all that is
/// known beside admittances of ten thousand per unit. Variances would be too small there too. Less
/// than this and the factor has no three digits left; the gradient has all in any case.
pub(super) const HOLD_LEAST: f64 = 1e-13;

/// The same where a node cannot be observed and nothing else holds it.
pub(super) const HOLD_UNOBSERVABLE: f64 = 1e-2;

/// From so many blocks on (1 MiB of them), passes with an old factor take it in single precision.
/// They wait for memory there, and do with any factor that contracts: their gradient is exact.
const SINGLE_FROM: usize = 8_192;

/// Most terms of a terminal on the fast path.
const FEW: usize = 2;
/// Most terms of a terminal.
pub(crate) const MOST: usize = 16;

/// Derivatives of a row by the states of its terms: angle, magnitude.
type Gradient = [[f64; 2]; MOST];

/// The state of a node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Node {
    pub v: Complex,
    pub magnitude: f64,
    pub inverse: f64,
    pub angle: f64,
    pub multiplier: [f64; 2],
}

impl Node {
    pub(super) fn at(angle: f64, magnitude: f64) -> Node {
        let v = Complex::from_polar(magnitude, angle);
        Node { v, magnitude, inverse: 1.0 / magnitude, angle, multiplier: [0.0; 2] }
    }

    /// Moves by a step; the phasor is turned by a series, not made anew, where the step is small.
    ///
    /// A call of its own: made part of the loop over nodes, eight are gathered from memory and
    /// scattered back at once where the processor can, which costs a fifth of a tick.
    #[inline(never)]
    fn step(&mut self, angle: f64, magnitude: f64) {
        self.angle += angle;
        self.magnitude += magnitude;
        if angle.abs() < 0.02 {
            let a2 = angle * angle;
            let cos = 1.0 - a2 * (0.5 - a2 * (1.0 / 24.0 - a2 * (1.0 / 720.0)));
            let sin = angle * (1.0 - a2 * (1.0 / 6.0 - a2 * (1.0 / 120.0 - a2 * (1.0 / 5040.0))));
            let grown = self.magnitude * self.inverse;
            self.v = self.v * Complex::new(cos * grown, sin * grown);
        } else {
            self.v = Complex::from_polar(self.magnitude, self.angle);
        }
        self.inverse = 1.0 / self.magnitude;
    }
}

/// What is measured at a node, drawn together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    /// Values: magnitude, angle, active and reactive injection.
    pub z: [f64; 4],
    /// Weights of angle and magnitude (in the order of the state), over the reference weight.
    pub weight: [f64; 2],
    /// Variances of the injections times the reference weight; one where there is no row.
    pub variance: [f64; 2],
    /// One where there is a balance, zero where there is none.
    pub mask: [f64; 2],
    /// One for a balance of powers, zero for one of currents.
    pub own: f64,
    /// What holds angle and magnitude where they are.
    pub hold: [f64; 2],
}

/// What is measured at a terminal, drawn together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TerminalMeter {
    /// Values: active and reactive power, magnitude and angle of the current.
    pub z: [f64; 4],
    /// Weights, over the reference weight.
    pub weight: [f64; 4],
    first_term: u32,
    terms: u32,
    own: u32,
    first_block: u32,
}

impl TerminalMeter {
    pub(super) fn terms(&self) -> std::ops::Range<usize> {
        self.first_term as usize..(self.first_term + self.terms) as usize
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    pub place: u32,
    pub y: Complex,
}

#[derive(Clone, Debug)]
pub(super) struct System {
    pub form: Symmetric,
    /// For each block `(k, j)`: the admittances `y_kj` and `y_jk`.
    y: Vec<[Complex; 2]>,
    pub nodes: Vec<Node>,
    pub meters: Vec<Meter>,
    pub terminals: Vec<TerminalMeter>,
    pub terms: Vec<Term>,
    term_blocks: Vec<u32>,
    /// The squares of nodes' own admittances, what holds are measured by.
    pub own_squared: Vec<f64>,
    nowhere: Nowhere,

    pub blocks: Vec<Square<4>>,
    single: Single,
    pub rhs: Vec<[f64; 4]>,
    /// Powers into the nodes at the last linearisation.
    pub powers: Vec<Complex>,
}

impl System {
    pub(super) fn new(circuit: &Circuit) -> System {
        let count = circuit.nodes;
        let entries = circuit.admittances.iter().map(|&(row, column, _)| (row, column));
        let terminals: Vec<Vec<(usize, Complex)>> =
            circuit.terminals.iter().map(|terminal| terminal.merged()).collect();
        let pairs = terminals.iter().flat_map(|terms| {
            terms.iter().flat_map(|&(a, _)| terms.iter().map(move |&(b, _)| (a, b)))
        });
        let form = Symmetric::new(&Pattern::new(count, entries.chain(pairs)));
        let mut y = vec![[Complex::ZERO; 2]; form.blocks()];
        for &(row, column, value) in &circuit.admittances {
            let (row, column) = (form.place(row), form.place(column));
            let block = form.block(row.min(column), row.max(column));
            y[block.expect("the pattern has every entry")][usize::from(row > column)] += value;
        }
        let own_squared = (0..count)
            .map(|place| {
                let own = y[form.diagonal(place)][0].norm_sqr();
                if own > 0.0 { own } else { 1.0 }
            })
            .collect();
        let mut system = System {
            y,
            nodes: (0..count)
                .map(|place| {
                    let start = circuit.start[form.node(place)];
                    Node::at(start.arg(), start.abs())
                })
                .collect(),
            meters: vec![Meter::default(); count],
            terminals: Vec::with_capacity(terminals.len()),
            terms: Vec::new(),
            term_blocks: Vec::new(),
            own_squared,
            nowhere: Nowhere::default(),
            blocks: vec![[[0.0; 4]; 4]; form.blocks()],
            single: Single::default(),
            rhs: vec![[0.0; 4]; count],
            powers: vec![Complex::ZERO; count],
            form,
        };
        for (terminal, terms) in circuit.terminals.iter().zip(terminals) {
            system.add_terminal(terminal.node, terms);
        }
        system
    }

    fn add_terminal(&mut self, node: usize, terms: Vec<(usize, Complex)>) {
        assert!(terms.len() <= MOST, "a terminal has at most {MOST} terms");
        let mut terms: Vec<Term> = terms
            .into_iter()
            .map(|(node, y)| Term { place: self.form.place(node) as u32, y })
            .collect();
        terms.sort_by_key(|term| term.place);
        let place = self.form.place(node) as u32;
        let own = terms.iter().position(|term| term.place == place);
        self.terminals.push(TerminalMeter {
            first_term: self.terms.len() as u32,
            terms: terms.len() as u32,
            own: own.expect("its own node is among the terms") as u32,
            first_block: self.term_blocks.len() as u32,
            ..TerminalMeter::default()
        });
        for (at, a) in terms.iter().enumerate() {
            for b in &terms[at..] {
                let block = self.form.block(a.place as usize, b.place as usize);
                self.term_blocks.push(block.expect("the pattern has all pairs") as u32);
            }
        }
        self.terms.extend(terms);
    }

    /// The matrix and the right-hand side at the state; with `MATRIX` false only the latter.
    pub(super) fn linearise<const MATRIX: bool>(&mut self) {
        self.rhs.fill([0.0; 4]);
        self.powers.fill(Complex::ZERO);
        for place in 0..self.nodes.len() {
            self.couple::<MATRIX>(place);
            self.balance::<MATRIX>(place);
        }
        for at in 0..self.terminals.len() {
            if self.terminals[at].terms as usize == FEW {
                self.add_flows::<MATRIX, FEW>(at);
            } else {
                self.add_flows::<MATRIX, MOST>(at);
            }
        }
    }

    /// What a node and those after it do to each other.
    #[inline]
    fn couple<const MATRIX: bool>(&mut self, place: usize) {
        let a = self.nodes[place];
        let mask_a = self.meters[place].mask;
        let mut power = self.powers[place];
        let mut gradient = [self.rhs[place][0], self.rhs[place][1]];
        let [la, lb] = a.multiplier;
        for block in self.form.right(place) {
            let other = self.form.column(block);
            let c = &self.nodes[other];
            let [y_there, y_back] = self.y[block];
            // Power into each end that the other's voltage drives, and all derivatives of it.
            let s = a.v * (y_there * c.v).conj();
            let r = c.v * (y_back * a.v).conj();
            power += s;
            self.powers[other] += r;
            let [lc, ld] = c.multiplier;
            let rhs = &mut self.rhs[other];
            rhs[0] -= s.im * la - s.re * lb;
            rhs[1] -= (s.re * la + s.im * lb) * c.inverse;
            gradient[0] -= r.im * lc - r.re * ld;
            gradient[1] -= (r.re * lc + r.im * ld) * a.inverse;
            if MATRIX {
                let mask_c = self.meters[other].mask;
                self.blocks[block] = [
                    [0.0, 0.0, r.im * mask_c[0], -r.re * mask_c[1]],
                    [0.0, 0.0, r.re * a.inverse * mask_c[0], r.im * a.inverse * mask_c[1]],
                    [s.im * mask_a[0], s.re * c.inverse * mask_a[0], 0.0, 0.0],
                    [-s.re * mask_a[1], s.im * c.inverse * mask_a[1], 0.0, 0.0],
                ];
            }
        }
        self.powers[place] = power;
        self.rhs[place][0] = gradient[0];
        self.rhs[place][1] = gradient[1];
    }

    /// A node's own block and the rest of its right-hand side; what others do to it is there.
    #[inline]
    fn balance<const MATRIX: bool>(&mut self, place: usize) {
        let a = &self.nodes[place];
        let meter = &self.meters[place];
        let diagonal = self.form.diagonal(place);
        let own = self.y[diagonal][0].conj().scale(a.magnitude * a.magnitude);
        self.powers[place] += own;
        let s = self.powers[place];
        let turned = s.scale(meter.own);
        let active = [own.im - turned.im, (own.re + turned.re) * a.inverse];
        let reactive = [turned.re - own.re, (own.im + turned.im) * a.inverse];
        let [la, lb] = a.multiplier;
        let rhs = &mut self.rhs[place];
        rhs[0] -= active[0] * la + reactive[0] * lb;
        rhs[1] -= active[1] * la + reactive[1] * lb;
        rhs[2] = meter.mask[0] * (meter.z[2] - s.re) + meter.variance[0] * la;
        rhs[3] = meter.mask[1] * (meter.z[3] - s.im) + meter.variance[1] * lb;
        rhs[1] += meter.weight[1] * (meter.z[0] - a.magnitude);
        if meter.weight[0] > 0.0 {
            rhs[0] += meter.weight[0] * wrapped(meter.z[1] - a.angle);
        }
        if MATRIX {
            let [p, q] = meter.mask;
            let (a0, a1, r0, r1) = (active[0] * p, active[1] * p, reactive[0] * q, reactive[1] * q);
            let held = [meter.weight[0] + meter.hold[0], meter.weight[1] + meter.hold[1]];
            self.blocks[diagonal] = [
                [held[0], 0.0, a0, r0],
                [0.0, held[1], a1, r1],
                [a0, a1, -meter.variance[0], 0.0],
                [r0, r1, 0.0, -meter.variance[1]],
            ];
        }
    }

    /// What a terminal adds: normal equations, one hop.
    #[inline]
    fn add_flows<const MATRIX: bool, const N: usize>(&mut self, at: usize) {
        let meter = self.terminals[at];
        let count = if N == FEW { FEW } else { meter.terms as usize };
        let mut gradient = [[[0.0; 2]; N]; 4];
        let [p, q, i, angle] = meter.weight;
        let wanted = [p != 0.0 || q != 0.0, i != 0.0 || angle != 0.0];
        let value = self.terminal_rows(at, wanted, &mut gradient);
        for (kind, gradient) in gradient.iter().enumerate() {
            let weight = meter.weight[kind];
            if weight == 0.0 {
                continue;
            }
            let mut difference = meter.z[kind] - value[kind];
            if kind == 3 {
                difference = wrapped(difference);
            }
            let mut block = meter.first_block as usize;
            for i in 0..count {
                let place = self.terms[meter.first_term as usize + i].place as usize;
                let pulled = [gradient[i][0] * weight, gradient[i][1] * weight];
                self.rhs[place][0] += pulled[0] * difference;
                self.rhs[place][1] += pulled[1] * difference;
                if MATRIX {
                    for other in &gradient[i..count] {
                        let target = &mut self.blocks[self.term_blocks[block] as usize];
                        target[0][0] += pulled[0] * other[0];
                        target[0][1] += pulled[0] * other[1];
                        target[1][0] += pulled[1] * other[0];
                        target[1][1] += pulled[1] * other[1];
                        block += 1;
                    }
                }
            }
        }
    }

    /// Values of a terminal's four quantities and their derivatives by the state, of powers and
    /// of the current where they are wanted.
    #[inline]
    fn terminal_rows<const N: usize>(
        &self,
        at: usize,
        [powers, currents]: [bool; 2],
        gradient: &mut [[[f64; 2]; N]; 4],
    ) -> [f64; 4] {
        let meter = &self.terminals[at];
        let count = if N == FEW { FEW } else { meter.terms as usize };
        let terms = &self.terms[meter.first_term as usize..][..count];
        let mut part = [Complex::ZERO; N];
        let mut current = Complex::ZERO;
        for (part, term) in part.iter_mut().zip(terms) {
            *part = term.y * self.nodes[term.place as usize].v;
            current += *part;
        }
        let own = meter.own as usize;
        let node = &self.nodes[terms[own].place as usize];
        let power = node.v * current.conj();
        if powers {
            for i in 0..count {
                let s = node.v * part[i].conj();
                let inverse = self.nodes[terms[i].place as usize].inverse;
                gradient[0][i] = [s.im, s.re * inverse];
                gradient[1][i] = [-s.re, s.im * inverse];
            }
            gradient[0][own][0] -= power.im;
            gradient[0][own][1] += power.re * node.inverse;
            gradient[1][own][0] += power.re;
            gradient[1][own][1] += power.im * node.inverse;
        }
        if !currents {
            return [power.re, power.im, 0.0, 0.0];
        }
        let magnitude = current.abs();
        let along = current.conj().scale(1.0 / magnitude.max(f64::MIN_POSITIVE));
        let across = 1.0 / magnitude.max(f64::MIN_POSITIVE);
        for i in 0..count {
            let inverse = self.nodes[terms[i].place as usize].inverse;
            let c = along * part[i];
            gradient[2][i] = [-c.im, c.re * inverse];
            gradient[3][i] = [c.re * across, c.im * across * inverse];
        }
        [power.re, power.im, magnitude, current.arg()]
    }

    /// Powers into the nodes at the state.
    pub(super) fn evaluate(&mut self) {
        self.powers.fill(Complex::ZERO);
        for place in 0..self.nodes.len() {
            let a = self.nodes[place];
            let mut power =
                self.y[self.form.diagonal(place)][0].conj().scale(a.magnitude * a.magnitude);
            for block in self.form.right(place) {
                let other = self.form.column(block);
                let v = self.nodes[other].v;
                power += a.v * (self.y[block][0] * v).conj();
                self.powers[other] += v * (self.y[block][1] * a.v).conj();
            }
            self.powers[place] += power;
        }
    }

    /// What a row's function is at the state; powers are those of the last evaluation.
    pub(super) fn value(&self, what: What) -> f64 {
        let node = |node: usize| &self.nodes[self.form.place(node)];
        match what {
            What::Magnitude(of) => node(of).magnitude,
            What::Angle(of) => node(of).angle,
            What::ActiveInjection(of) => self.powers[self.form.place(of)].re,
            What::ReactiveInjection(of) => self.powers[self.form.place(of)].im,
            What::ActiveFlow(at) => self.flow(at).0.re,
            What::ReactiveFlow(at) => self.flow(at).0.im,
            What::Current(at) => self.flow(at).1.abs(),
            What::CurrentAngle(at) => self.flow(at).1.arg(),
            What::Agreement => 0.0,
        }
    }

    /// Power and current into a terminal.
    pub(super) fn flow(&self, at: usize) -> (Complex, Complex) {
        let meter = &self.terminals[at];
        let terms = &self.terms[meter.terms()];
        let mut current = Complex::ZERO;
        for term in terms {
            current += term.y * self.nodes[term.place as usize].v;
        }
        let v = self.nodes[terms[meter.own as usize].place as usize].v;
        (v * current.conj(), current)
    }

    /// The gradient of one of a terminal's quantities (active, reactive, current, its angle).
    pub(super) fn terminal_gradient(&self, at: usize, kind: usize) -> Gradient {
        let mut gradient = [[[0.0; 2]; MOST]; 4];
        self.terminal_rows(at, [kind < 2, kind >= 2], &mut gradient);
        gradient[kind]
    }

    /// `gᵀ Z g` for the gradient of one of a terminal's quantities, metered or not, with `Z` on
    /// the pattern.
    pub(super) fn spread(&self, at: usize, kind: usize, inverse: &[Square<4>]) -> f64 {
        if self.terminals[at].terms as usize == FEW {
            self.spread_over::<FEW>(at, kind, inverse)
        } else {
            self.spread_over::<MOST>(at, kind, inverse)
        }
    }

    #[inline]
    fn spread_over<const N: usize>(&self, at: usize, kind: usize, inverse: &[Square<4>]) -> f64 {
        let meter = &self.terminals[at];
        let count = if N == FEW { FEW } else { meter.terms as usize };
        let mut gradients = [[[0.0; 2]; N]; 4];
        self.terminal_rows(at, [kind < 2, kind >= 2], &mut gradients);
        let gradient = &gradients[kind];
        let mut block = meter.first_block as usize;
        let mut sum = 0.0;
        for i in 0..count {
            for (j, other) in gradient[..count].iter().enumerate().skip(i) {
                let z = &inverse[self.term_blocks[block] as usize];
                let own = gradient[i];
                let product = own[0] * (z[0][0] * other[0] + z[0][1] * other[1])
                    + own[1] * (z[1][0] * other[0] + z[1][1] * other[1]);
                sum += if i == j { product } else { 2.0 * product };
                block += 1;
            }
        }
        sum
    }

    /// `g Z gᵀ` of active power, reactive power and current of a terminal that has no meter.
    pub(super) fn flow_variances(&self, terminal: &Terminal, inverse: &[Square<4>]) -> [f64; 3] {
        let terms = terminal.merged();
        let node = |of: usize| &self.nodes[self.form.place(of)];
        let own = node(terminal.node);
        let current = terms.iter().fold(Complex::ZERO, |sum, &(of, y)| sum + y * node(of).v);
        let power = own.v * current.conj();
        let along = current.conj().scale(1.0 / current.abs().max(f64::MIN_POSITIVE));
        let mut gradients = [[[0.0; 2]; MOST]; 3];
        for (i, &(of, y)) in terms.iter().enumerate() {
            let part = y * node(of).v;
            let (s, c, inverse) = (own.v * part.conj(), along * part, node(of).inverse);
            gradients[0][i] = [s.im, s.re * inverse];
            gradients[1][i] = [-s.re, s.im * inverse];
            gradients[2][i] = [-c.im, c.re * inverse];
        }
        // The terminal's own node is the first of the merged terms.
        gradients[0][0][0] -= power.im;
        gradients[0][0][1] += power.re * own.inverse;
        gradients[1][0][0] += power.re;
        gradients[1][0][1] += power.im * own.inverse;
        gradients.map(|gradient| {
            let mut sum = 0.0;
            for (&(a, _), ga) in terms.iter().zip(&gradient) {
                for (&(b, _), gb) in terms.iter().zip(&gradient) {
                    let (a, b) = (self.form.place(a), self.form.place(b));
                    let block = self.form.block(a.min(b), a.max(b));
                    let z = &inverse[block.expect("its nodes are connected with each other")];
                    for i in 0..2 {
                        for j in 0..2 {
                            let z = if a <= b { z[i][j] } else { z[j][i] };
                            sum += ga[i] * z * gb[j];
                        }
                    }
                }
            }
            sum
        })
    }

    pub(super) fn factor(&mut self) -> Weakest {
        self.single.known = false;
        self.form.factor(&mut self.blocks)
    }

    /// Makes the factor in single precision, if it is worth it and as good. What holds a node
    /// lightly lives in digits that single precision does not have.
    fn has_single(&mut self) -> bool {
        if self.blocks.len() < SINGLE_FROM {
            return false;
        }
        if !self.single.known {
            let held = |(meter, own): (&Meter, &f64)| {
                let share = meter.hold[0] / own;
                share > 0.0 && share < HOLD_UNOBSERVABLE
            };
            let fit = !self.meters.iter().zip(&self.own_squared).any(held);
            let rounded = self.blocks.iter().map(|block| block.map(|row| row.map(|x| x as f32)));
            self.single.blocks.clear();
            self.single.blocks.extend(rounded.filter(|_| fit));
            let finite = |block: &Square32| block.iter().flatten().all(|x| x.is_finite());
            self.single.fit = fit && self.single.blocks.iter().all(finite);
            self.single.known = true;
        }
        self.single.fit
    }

    /// Solves for the step and takes it; gives the largest change of angle or magnitude among the
    /// nodes for which `counts` holds, before it is cut to `most`. `fresh` says that the factor was
    /// made at this state.
    pub(super) fn step(&mut self, most: f64, counts: &[bool], fresh: bool) -> f64 {
        if !fresh && self.has_single() {
            self.form.solve(&self.single.blocks, &mut self.rhs);
        } else {
            self.form.solve(&self.blocks, &mut self.rhs);
        }
        let largest = largest(&self.rhs, counts);
        if !largest.is_finite() {
            return f64::NAN;
        }
        let scale = if largest > most { most / largest } else { 1.0 };
        for (node, x) in self.nodes.iter_mut().zip(&self.rhs) {
            node.step(scale * x[0], scale * x[1]);
            node.multiplier[0] += scale * x[2];
            node.multiplier[1] += scale * x[3];
        }
        largest
    }

    /// Adds to an admittance between two places.
    pub(super) fn change_admittance(&mut self, row: usize, column: usize, by: Complex) {
        let block = self.form.block(row.min(column), row.max(column));
        self.y[block.expect("the pattern has every entry")][usize::from(row > column)] += by;
    }

    /// The admittance of a block: zero where it is fill.
    pub(super) fn admittance(&self, block: usize) -> [Complex; 2] {
        self.y[block]
    }
}

/// A block in single precision.
type Square32 = [[f32; 4]; 4];

/// The factor in single precision.
#[derive(Clone, Debug, Default)]
struct Single {
    /// True while it has been asked for since the factor was made.
    known: bool,
    /// Whether it can be had.
    fit: bool,
    blocks: Vec<Square32>,
}

/// The largest change of angle or magnitude where `counts` holds; not finite if any change is not.
/// Several maxima at once: one alone would wait for itself at every node.
fn largest(step: &[[f64; 4]], counts: &[bool]) -> f64 {
    const AT_ONCE: usize = 4;
    let mut most = [[0.0; 2]; AT_ONCE];
    let mut sum = [[0.0; 2]; AT_ONCE];
    for (step, counts) in step.chunks(AT_ONCE).zip(counts.chunks(AT_ONCE)) {
        for (at, (x, &counts)) in step.iter().zip(counts).enumerate() {
            for k in 0..2 {
                let size = if counts { x[k].abs() } else { 0.0 };
                most[at][k] = if size > most[at][k] { size } else { most[at][k] };
                sum[at][k] += x[k];
            }
        }
    }
    // What is infinite or not a number stays so in a sum.
    let finite = sum.iter().flatten().sum::<f64>().is_finite();
    let largest = most.iter().flatten().fold(0.0, |largest, &size| f64::max(largest, size));
    if finite { largest } else { f64::NAN }
}

/// Where agreements are kept, which say nothing of the state.
#[derive(Clone, Copy, Debug, Default)]
struct Nowhere(f64, f64);

impl System {
    /// The value and the weight of a row's quantity; of a closed balance the variance.
    #[inline]
    fn quantity(&mut self, what: What) -> (&mut f64, &mut f64) {
        match what {
            What::Magnitude(of) => {
                let meter = &mut self.meters[self.form.place(of)];
                (&mut meter.z[0], &mut meter.weight[1])
            }
            What::Angle(of) => {
                let meter = &mut self.meters[self.form.place(of)];
                (&mut meter.z[1], &mut meter.weight[0])
            }
            What::ActiveInjection(of) => {
                let meter = &mut self.meters[self.form.place(of)];
                (&mut meter.z[2], &mut meter.variance[0])
            }
            What::ReactiveInjection(of) => {
                let meter = &mut self.meters[self.form.place(of)];
                (&mut meter.z[3], &mut meter.variance[1])
            }
            What::ActiveFlow(at) => self.of_terminal(at, 0),
            What::ReactiveFlow(at) => self.of_terminal(at, 1),
            What::Current(at) => self.of_terminal(at, 2),
            What::CurrentAngle(at) => self.of_terminal(at, 3),
            What::Agreement => (&mut self.nowhere.0, &mut self.nowhere.1),
        }
    }

    #[inline]
    fn of_terminal(&mut self, at: usize, kind: usize) -> (&mut f64, &mut f64) {
        let meter = &mut self.terminals[at];
        (&mut meter.z[kind], &mut meter.weight[kind])
    }

    /// The value of a row's quantity.
    #[inline]
    pub(super) fn measured(&mut self, what: What) -> &mut f64 {
        self.quantity(what).0
    }

    /// The weight of a row's quantity, all its rows together; zero of an agreement.
    pub(super) fn weight(&mut self, what: What) -> f64 {
        let weight = *self.quantity(what).1;
        let balance = matches!(what, What::ActiveInjection(_) | What::ReactiveInjection(_));
        if balance { 1.0 / weight } else { weight }
    }

    /// Draws a row into its quantity.
    #[inline]
    pub(super) fn add_row(&mut self, what: What, value: f64, weight: f64) {
        if what == What::Agreement {
            return;
        }
        let (z, sum) = self.quantity(what);
        if *sum == 0.0 {
            (*z, *sum) = (value, weight);
            return;
        }
        let mut apart = value - *z;
        if what.is_angle() {
            apart = wrapped(apart);
        }
        *sum += weight;
        *z += apart * weight / *sum;
    }

    /// Makes variances of a balance's weights, and an empty row of a balance that is not measured.
    #[inline]
    pub(super) fn close_balance(&mut self, place: usize) {
        let meter = &mut self.meters[place];
        for k in 0..2 {
            if meter.own == 0.0 && meter.mask[k] > 0.0 {
                meter.variance[k] = 0.0;
            } else if meter.variance[k] > 0.0 {
                meter.variance[k] = 1.0 / meter.variance[k];
                meter.mask[k] = 1.0;
            } else {
                meter.variance[k] = 1.0;
                meter.mask[k] = 0.0;
                self.nodes[place].multiplier[k] = 0.0;
            }
        }
    }
}
