//! Transformer ratios as unknowns.
//!
//! Where a tap position is not told, or not believed, the ratio is one more unknown of its branch.
//! It stays outside the matrix, as its border: a pass solves once more for each free ratio with the
//! factor that is there, and a small dense matrix of theirs (the Schur complement) says how far
//! they move. That is the full Gauss-Newton step of both, not an alternation, and leaves the blocks
//! and the pattern as they are. (A. Monticelli, *State Estimation in Electric Power Systems*, 1999,
//! section 9.6.)
//!
//! With `k` the told ratio over the estimated one, the two-port of the branch is
//! `[k² y_ff, k y_ft, k y_tf, y_tt]`: the ratio at the from end scales. Nothing else of the branch
//! may stand at that end outside the ratio.
//!
//! Covariances and variances of residuals are those of a known ratio.

use crate::complex::Complex;
use crate::estimation::estimator::Estimator;
use crate::estimation::row::wrapped;
use crate::estimation::system::System;
use crate::model::Model;
use crate::network::Side;
use crate::topology::Topology;

/// The longest step of a ratio, as a share of it.
const LONGEST: f64 = 0.05;
/// A pivot below this share of what measures the ratio directly leaves it where it is.
const UNSEEN: f64 = 1e-10;

/// A free ratio.
#[derive(Clone, Debug)]
pub(super) struct Tap {
    branch: usize,
    /// Places of its ends.
    ends: [usize; 2],
    /// The two-port at the ratio that was told: `y_ff, y_ft, y_tf`.
    y: [Complex; 3],
    /// Told over estimated ratio.
    k: f64,
    /// The weight of the told ratio over the reference weight; zero where it is not believed.
    told: f64,
    /// The variance of `k` times the reference weight, at the last pass.
    variance: f64,
    /// The terminals at its ends.
    terminals: Vec<(usize, Side)>,
    /// Its column of the matrix, and what the factor makes of it.
    column: Vec<[f64; 4]>,
    solved: Vec<[f64; 4]>,
}

/// An estimated ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The estimated ratio over the one the model has.
    pub relative: f64,
    /// Its standard deviation, as a share of it; infinite where nothing measures it.
    pub deviation: f64,
}

impl Estimator {
    /// Makes the ratio of a branch unknown, with the model's as a value of the relative standard
    /// deviation `told`, or as no value at all. False where the branch does not connect two nodes
    /// under voltage. For estimators of a model.
    pub fn free_ratio(
        &mut self,
        model: &Model,
        topology: &Topology,
        branch: usize,
        told: Option<f64>,
    ) -> bool {
        let line = &model.branches[branch];
        let (Some(from), Some(to)) = (self.node(line.from), self.node(line.to)) else {
            return false;
        };
        if from == to || !topology.connects(model, branch) {
            return false;
        }
        let [ff, ft, tf, _] = topology.two_port(model, branch);
        let at_ends = (0..self.system.terminals.len()).filter_map(|terminal| {
            let (of, side) = self.branch_end(terminal);
            (of == branch).then_some((terminal, side))
        });
        let terminals = at_ends.collect();
        let nodes = self.nodes();
        self.taps.push(Tap {
            branch,
            ends: [self.system.form.place(from), self.system.form.place(to)],
            y: [ff, ft, tf],
            k: 1.0,
            told: told.map_or(0.0, |sigma| self.scale / (sigma * sigma)),
            variance: f64::INFINITY,
            terminals,
            column: vec![[0.0; 4]; nodes],
            solved: vec![[0.0; 4]; nodes],
        });
        true
    }

    /// The estimated ratio of a branch, if it is free.
    pub fn ratio(&self, branch: usize) -> Option<Ratio> {
        let tap = self.taps.iter().find(|tap| tap.branch == branch)?;
        let deviation = (tap.variance * self.scale).sqrt() / tap.k;
        Some(Ratio { relative: 1.0 / tap.k, deviation })
    }

    /// The free ratios to the bit, for [`Estimator::set_ratios`].
    pub(super) fn ratios(&self) -> Vec<f64> {
        self.taps.iter().map(|tap| tap.k).collect()
    }

    /// Takes ratios back; false if they are of other branches.
    pub(super) fn set_ratios(&mut self, ratios: &[f64]) -> bool {
        let same = ratios.len() == self.taps.len();
        for (tap, &k) in self.taps.iter_mut().zip(ratios).filter(|_| same) {
            self.system.scale_branch(tap, k);
            tap.k = k;
        }
        same
    }

    /// Free ratios that no told value holds: unknowns for the degrees of freedom.
    pub(super) fn free_ratios(&self) -> usize {
        self.taps.iter().filter(|tap| tap.told == 0.0).count()
    }

    /// Moves the free ratios, and turns the right-hand side into that of the state beside them.
    /// Gives the largest move.
    pub(super) fn step_ratios(&mut self) -> f64 {
        if self.taps.is_empty() {
            return 0.0;
        }
        let mut taps = std::mem::take(&mut self.taps);
        let count = taps.len();
        let mut pull = vec![0.0; count];
        let mut schur = vec![vec![0.0; count]; count];
        for (i, tap) in taps.iter_mut().enumerate() {
            let (direct, gradient) = self.system.ratio_column(tap);
            schur[i][i] = direct;
            pull[i] = gradient;
            tap.solved.copy_from_slice(&tap.column);
            self.system.form.solve(&self.system.blocks, &mut tap.solved);
        }
        let direct: Vec<f64> = (0..count).map(|i| schur[i][i]).collect();
        for i in 0..count {
            pull[i] -= dot(&taps[i].solved, &self.system.rhs);
            for (j, other) in taps.iter().enumerate() {
                schur[i][j] -= dot(&taps[i].solved, &other.column);
            }
        }
        let variances = solve_small(&mut schur, &mut pull, &direct);
        let mut largest = 0.0_f64;
        for (i, tap) in taps.iter_mut().enumerate() {
            let step = pull[i].clamp(-LONGEST, LONGEST);
            largest = largest.max(step.abs());
            for (rhs, column) in self.system.rhs.iter_mut().zip(&tap.column) {
                for (x, c) in rhs.iter_mut().zip(column) {
                    *x -= c * step;
                }
            }
            tap.variance = variances[i];
            self.system.scale_branch(tap, tap.k + step);
            tap.k += step;
        }
        self.taps = taps;
        largest
    }

    /// Puts all free ratios back to what the model has.
    pub(super) fn reset_ratios(&mut self) {
        for tap in &mut self.taps {
            self.system.scale_branch(tap, 1.0);
            tap.k = 1.0;
        }
    }
}

impl System {
    /// The column of a ratio; what measures it directly, and its gradient.
    fn ratio_column(&self, tap: &mut Tap) -> (f64, f64) {
        tap.column.fill([0.0; 4]);
        let [from, to] = tap.ends;
        let (a, b) = (&self.nodes[from], &self.nodes[to]);
        let current = [tap.y[0].scale(2.0 * tap.k) * a.v + tap.y[1] * b.v, tap.y[2] * a.v];
        let mut direct = tap.told;
        let mut gradient = tap.told * (1.0 - tap.k);
        for (place, current) in [from, to].into_iter().zip(current) {
            let node = &self.nodes[place];
            let power = node.v * current.conj();
            let mask = self.meters[place].mask;
            tap.column[place][2] += mask[0] * power.re;
            tap.column[place][3] += mask[1] * power.im;
            gradient -= node.multiplier[0] * power.re + node.multiplier[1] * power.im;
        }
        for &(terminal, side) in &tap.terminals {
            let (place, moved) =
                if side == Side::From { (from, current[0]) } else { (to, current[1]) };
            let meter = &self.terminals[terminal];
            let power = self.nodes[place].v * moved.conj();
            let (flow, through) = self.flow(terminal);
            let relative = moved / through;
            let by_ratio = [power.re, power.im, relative.re * through.abs(), relative.im];
            let value = [flow.re, flow.im, through.abs(), through.arg()];
            for kind in (0..4).filter(|&kind| meter.weight[kind] > 0.0) {
                let weight = meter.weight[kind];
                let mut residual = meter.z[kind] - value[kind];
                if kind == 3 {
                    residual = wrapped(residual);
                }
                direct += weight * by_ratio[kind] * by_ratio[kind];
                gradient += weight * by_ratio[kind] * residual;
                let by_state = self.terminal_gradient(terminal, kind);
                for (term, by_state) in self.terms[meter.terms()].iter().zip(&by_state) {
                    let column = &mut tap.column[term.place as usize];
                    column[0] += weight * by_ratio[kind] * by_state[0];
                    column[1] += weight * by_ratio[kind] * by_state[1];
                }
            }
        }
        (direct, gradient)
    }

    /// Gives a branch another ratio: its admittances and the terms of its terminals follow.
    fn scale_branch(&mut self, tap: &Tap, k: f64) {
        let [from, to] = tap.ends;
        let change = [
            tap.y[0].scale(k * k - tap.k * tap.k),
            tap.y[1].scale(k - tap.k),
            tap.y[2].scale(k - tap.k),
        ];
        self.change_admittance(from, from, change[0]);
        self.change_admittance(from, to, change[1]);
        self.change_admittance(to, from, change[2]);
        for &(terminal, side) in &tap.terminals {
            let range = self.terminals[terminal].terms();
            for term in &mut self.terms[range] {
                term.y += match (side, term.place as usize == from) {
                    (Side::From, true) => change[0],
                    (Side::From, false) => change[1],
                    (Side::To, true) => change[2],
                    (Side::To, false) => Complex::ZERO,
                };
            }
        }
    }
}

fn dot(a: &[[f64; 4]], b: &[[f64; 4]]) -> f64 {
    let rows = a.iter().zip(b);
    rows.map(|(a, b)| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>()).sum()
}

/// Solves a small symmetric system in place and gives the diagonal of the inverse; what hardly has
/// a pivot is left at zero, with an infinite variance.
fn solve_small(a: &mut [Vec<f64>], x: &mut [f64], direct: &[f64]) -> Vec<f64> {
    let count = x.len();
    let mut inverse: Vec<Vec<f64>> =
        (0..count).map(|i| (0..count).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    let mut seen = vec![true; count];
    for c in 0..count {
        let pivot = a[c][c];
        if pivot.is_nan() || pivot <= UNSEEN * direct[c].max(f64::MIN_POSITIVE) {
            seen[c] = false;
            x[c] = 0.0;
            for row in a.iter_mut() {
                row[c] = 0.0;
            }
            continue;
        }
        for r in (0..count).filter(|&r| r != c) {
            let factor = a[r][c] / pivot;
            for k in 0..count {
                let (own, own_inverse) = (a[c][k], inverse[c][k]);
                a[r][k] -= factor * own;
                inverse[r][k] -= factor * own_inverse;
            }
            x[r] -= factor * x[c];
        }
    }
    (0..count)
        .map(|c| {
            if !seen[c] {
                x[c] = 0.0;
                return f64::INFINITY;
            }
            x[c] /= a[c][c];
            inverse[c][c] / a[c][c]
        })
        .collect()
}
