//! A group of scenarios that are solved side by side: the equations of [`system`](super::system)
//! and the steps of [`newton`](super::newton), each number once a scenario.
//!
//! All start from the base state and the base factor, which they share. Where that does not
//! serve, they get a factor each, all at once. A scenario that is done stands still while the
//! others go on; one that is lost does not touch the others, for lanes never mix.

use crate::complex::Complex;
use crate::power_flow::newton::CHORD_STEPS;
use crate::power_flow::newton::POOR_RATE;
use crate::power_flow::newton::SHRINK_MAX;
use crate::power_flow::newton::WEAK_PIVOT;
use crate::power_flow::system::Kind;
use crate::power_flow::system::Square;
use crate::power_flow::system::System;
use crate::sparse::Lanes;

/// Two numbers a place: real and imaginary part, or what belongs to angle and magnitude.
type Pair<const L: usize> = [Lanes<L>; 2];

/// Which factor the next step takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Factor {
    Shared,
    Own,
}

/// Scenarios side by side.
#[derive(Clone, Debug)]
pub(super) struct Group<const L: usize> {
    pub(super) v: Vec<Pair<L>>,
    /// Constant power into each place.
    pub(super) constant: Vec<Pair<L>>,
    /// Of what follows voltages: the parts that go with the magnitude and its square.
    pub(super) follows: Vec<[Pair<L>; 2]>,
    /// The largest mismatch of each.
    pub(super) largest: Lanes<L>,
    pub(super) iterations: [usize; L],
    s: Vec<Pair<L>>,
    x: Vec<Pair<L>>,
    blocks: Vec<[Pair<L>; 2]>,
    squares: Lanes<L>,
}

impl<const L: usize> Group<L> {
    pub(super) fn new(system: &System) -> Group<L> {
        let places = system.plan.pattern.rows();
        let zero = [Lanes::ZERO; 2];
        Group {
            v: vec![zero; places],
            constant: vec![zero; places],
            follows: vec![[zero; 2]; system.follows.len()],
            largest: Lanes::ZERO,
            iterations: [0; L],
            s: vec![zero; places],
            x: vec![zero; places],
            blocks: Vec::new(),
            squares: Lanes::ZERO,
        }
    }

    /// All scenarios as the base: what is injected and the state.
    pub(super) fn reset(&mut self, system: &System, v: &[Complex]) {
        let all = |z: Complex| [Lanes::all(z.re), Lanes::all(z.im)];
        for (own, v) in self.v.iter_mut().zip(v) {
            *own = all(*v);
        }
        for (own, s) in self.constant.iter_mut().zip(&system.constant) {
            *own = all(*s);
        }
        for (own, follows) in self.follows.iter_mut().zip(&system.follows) {
            *own = [all(follows.current), all(follows.impedance)];
        }
        self.iterations = [0; L];
    }

    /// Steps until each scenario is within the tolerance or beyond help; says which are within.
    pub(super) fn solve(
        &mut self,
        system: &System,
        shared: &[Square],
        tolerance_pu: f64,
        steps: usize,
    ) -> [bool; L] {
        self.s.copy_from_slice(&self.constant);
        let mut factor = Factor::Shared;
        let mut last: Option<Lanes<L>> = None;
        for step in 0..=steps {
            self.mismatch(system);
            let done = std::array::from_fn(|l| {
                let x = |place: usize| {
                    let [p, q]: Pair<L> = self.x[place];
                    p.0[l].abs().max(q.0[l].abs())
                };
                self.squares.0[l].is_finite() && system.settles(self.largest.0[l], tolerance_pu, x)
            });
            let active: [bool; L] =
                std::array::from_fn(|l| !done[l] && self.squares.0[l].is_finite());
            if step == steps || !active.contains(&true) {
                return done;
            }
            if !self.serves(last, active, tolerance_pu) {
                factor = Factor::Own;
                self.assemble(system);
                if system.plan.pattern.factor(&mut self.blocks).share < WEAK_PIVOT {
                    return done;
                }
            }
            last = Some(self.largest);
            for x in &mut self.x {
                for (l, active) in active.iter().enumerate() {
                    x[0].0[l] = if *active { x[0].0[l] } else { 0.0 };
                    x[1].0[l] = if *active { x[1].0[l] } else { 0.0 };
                }
            }
            match factor {
                Factor::Shared => system.plan.pattern.solve_lanes(shared, &mut self.x),
                Factor::Own => system.plan.pattern.solve(&self.blocks, &mut self.x),
            }
            self.turn_and_stretch();
            for (count, active) in self.iterations.iter_mut().zip(active) {
                *count += usize::from(active);
            }
        }
        [false; L]
    }

    /// True if the factor serves every scenario that is on its way.
    fn serves(&self, last: Option<Lanes<L>>, active: [bool; L], tolerance_pu: f64) -> bool {
        let Some(last) = last else { return true };
        (0..L).filter(|&l| active[l]).all(|l| {
            let (now, rate) = (self.largest.0[l], self.largest.0[l] / last.0[l]);
            rate < POOR_RATE && (tolerance_pu / now).ln() / rate.ln() <= CHORD_STEPS
        })
    }

    fn follow(&mut self, system: &System) {
        for (follows, _) in system.follows.iter().zip(&self.follows) {
            let place = follows.place as usize;
            self.s[place] = self.constant[place];
        }
        for (follows, [current, impedance]) in system.follows.iter().zip(&self.follows) {
            let place = follows.place as usize;
            let square = norm_sqr(self.v[place]);
            let vm = square.map(f64::sqrt);
            for part in 0..2 {
                self.s[place][part] += current[part] * vm + impedance[part] * square;
            }
        }
    }

    /// The current of each scenario from a place into the network.
    #[inline]
    fn current(&self, system: &System, place: usize) -> Pair<L> {
        let own = self.v[place];
        let entries = &system.entries[system.plan.row(place)];
        if system.stiff {
            let mut i = times(system.row_sum[place], own);
            for entry in entries {
                let far = self.v[entry.column as usize];
                let part = times(entry.y, [far[0] - own[0], far[1] - own[1]]);
                i = [i[0] + part[0], i[1] + part[1]];
            }
            return i;
        }
        let mut i = times(system.diagonal[place], own);
        for entry in entries {
            let part = times(entry.y, self.v[entry.column as usize]);
            i = [i[0] + part[0], i[1] + part[1]];
        }
        i
    }

    /// What each scenario's equations are off, into `x`.
    fn mismatch(&mut self, system: &System) {
        if !self.follows.is_empty() {
            self.follow(system);
        }
        let (mut largest, mut squares) = (Lanes::ZERO, Lanes::ZERO);
        for place in 0..self.x.len() {
            let i = self.current(system, place);
            let s = times_conj(self.v[place], i);
            let off = [self.s[place][0] - s[0], self.s[place][1] - s[1]];
            let x = match system.kind[place] {
                Kind::Power => off,
                Kind::Magnitude => [off[0], Lanes::ZERO],
                Kind::Voltage | Kind::Dead => [Lanes::ZERO; 2],
            };
            for x in x {
                largest = largest.zip(x, |most, x| most.max(x.abs()));
                squares += x * x;
            }
            self.x[place] = x;
        }
        (self.largest, self.squares) = (largest, squares);
    }

    /// The Jacobian of each scenario.
    fn assemble(&mut self, system: &System) {
        let zero = [[Lanes::ZERO; 2]; 2];
        self.blocks.resize(system.plan.pattern.blocks(), zero);
        for &fill in &system.plan.fill {
            self.blocks[fill as usize] = zero;
        }
        for place in 0..self.x.len() {
            self.assemble_row(system, place);
        }
        for (follows, [current, impedance]) in system.follows.iter().zip(&self.follows) {
            let place = follows.place as usize;
            let square = norm_sqr(self.v[place]);
            let vm = square.map(f64::sqrt);
            let slope = |part: usize| current[part] * vm + impedance[part] * square * 2.0;
            let own = &mut self.blocks[system.plan.pattern.diagonal(place)];
            if matches!(system.kind[place], Kind::Power | Kind::Magnitude) {
                own[0][1] -= slope(0);
            }
            if system.kind[place] == Kind::Power {
                own[1][1] -= slope(1);
            }
        }
    }

    fn assemble_row(&mut self, system: &System, place: usize) {
        let (one, zero) = (Lanes::ONE, Lanes::ZERO);
        let kind = system.kind[place];
        let given = matches!(kind, Kind::Voltage | Kind::Dead);
        let (own, y) = (self.v[place], system.diagonal[place]);
        let square = norm_sqr(own);
        let t = [square * y.re, -square * y.im];
        let mut s = t;
        for entry in &system.entries[system.plan.row(place)] {
            let t = times_conj(own, times(entry.y, self.v[entry.column as usize]));
            s = [s[0] + t[0], s[1] + t[1]];
            self.blocks[entry.block as usize] = match kind {
                Kind::Power => [[t[1], t[0]], [-t[0], t[1]]],
                Kind::Magnitude => [[t[1], t[0]], [zero; 2]],
                Kind::Voltage | Kind::Dead => [[zero; 2]; 2],
            };
        }
        let block = &mut self.blocks[system.plan.pattern.diagonal(place)];
        *block = [[t[1] - s[1], t[0] + s[0]], [s[0] - t[0], t[1] + s[1]]];
        if kind != Kind::Power {
            block[1] = [zero, one];
        }
        if given {
            block[0] = [one, zero];
        }
    }

    fn turn_and_stretch(&mut self) {
        for (v, [turn, stretch]) in self.v.iter_mut().zip(&self.x) {
            let half = *turn * 0.5;
            let square = half * half;
            let factor = (Lanes::ONE + stretch.map(|m| m.max(-SHRINK_MAX))) / (Lanes::ONE + square);
            let turned = [(Lanes::ONE - square) * factor, half * factor * 2.0];
            *v = [v[0] * turned[0] - v[1] * turned[1], v[0] * turned[1] + v[1] * turned[0]];
        }
    }
}

#[inline]
fn norm_sqr<const L: usize>(v: Pair<L>) -> Lanes<L> {
    v[0] * v[0] + v[1] * v[1]
}

/// A number that all scenarios share times one of each.
#[inline]
fn times<const L: usize>(y: Complex, v: Pair<L>) -> Pair<L> {
    [v[0] * y.re - v[1] * y.im, v[0] * y.im + v[1] * y.re]
}

/// `a` times the conjugate of `b`.
#[inline]
fn times_conj<const L: usize>(a: Pair<L>, b: Pair<L>) -> Pair<L> {
    [a[0] * b[0] + a[1] * b[1], a[1] * b[0] - a[0] * b[1]]
}
