//! Covariances: of the state, and of the residuals.
//!
//! Everything a row touches is in the pattern of the factor, so the selected inverse has all that
//! is needed. For a row of normal equations the variance of its residual is `R - h C hᵀ`. For a
//! balance it is `Σ Z Σ` with `-Z` the inverse's block of the multipliers, without a difference of
//! large numbers. (A. Monticelli, *State Estimation in Electric Power Systems*, 1999, section 7.)
//!
//! After a robust estimate a row counts with a share of its weight, as if its variance were
//! `S = R / share`, and `V = S - h C hᵀ`. Its residual is `V / S` times what the others contradict
//! it by, and its noise is still `R`:
//!
//! ```text
//! variance of the residual = (V / S)² (R + h C₋ hᵀ) = V - (V / S)² (S - R)
//! ```
//!
//! with `C₋` the covariance without the row. So a normalised residual is the same whatever the
//! share of its own row, and a row that counts for little is not taken for critical.

use crate::estimation::circuit::Terminal;
use crate::estimation::estimator::Estimator;
use crate::estimation::row::Row;
use crate::estimation::row::What;
use crate::sparse::Block;

/// A row whose residual's variance is below this share of its own is critical: it is always met.
pub const CRITICAL: f64 = 1e-6;

/// Standard deviations of a node's state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deviation {
    /// Of the magnitude, per unit.
    pub magnitude: f64,
    /// Of the angle in radians.
    pub angle: f64,
}

impl Estimator {
    /// Finds the inverse on the pattern, at the factor that is there. Takes about as long as a
    /// factorisation, and holds until the factor is renewed.
    fn invert(&mut self) {
        let blocks = self.system.blocks.len();
        self.inverse.resize(blocks, Block::ZERO);
        self.system.form.selected_inverse(&self.system.blocks, &mut self.inverse);
    }

    /// Standard deviations of the nodes' voltages at the last factor; call after a solution.
    /// Where an island has its reference at a node, angles are relative to it; what is not
    /// observable has no bound.
    pub fn deviations(&mut self) -> Vec<Deviation> {
        self.residual_variances();
        let pinned = self.pinned().to_vec();
        (0..self.nodes())
            .map(|node| {
                let place = self.system.form.place(node);
                let z = &self.inverse[self.system.form.diagonal(place)];
                let reference = pinned.iter().find(|&&of| self.island(of) == self.island(node));
                // The pin's own variance is in all angles of its island alike.
                let pin = reference
                    .map_or(0.0, |&of| 1.0 / self.system.own_squared[self.system.form.place(of)]);
                let deviation = |variance: f64, observable: bool| {
                    let known = (variance.max(0.0) * self.scale).sqrt();
                    if observable { known } else { f64::INFINITY }
                };
                Deviation {
                    magnitude: deviation(z[1][1], self.observability().magnitude[node]),
                    angle: deviation(z[0][0] - pin, self.observability().angle[node]),
                }
            })
            .collect()
    }

    /// Standard deviations of active power, reactive power and the magnitude of the current of any
    /// terminal whose nodes are connected with each other, per unit, at the last factor.
    /// Infinite where a node of it is not observable.
    ///
    /// # Panics
    /// Two of its nodes have no admittance between them.
    pub fn flow_deviations(&mut self, terminal: &Terminal) -> [f64; 3] {
        self.residual_variances();
        if terminal.merged().iter().any(|&(node, _)| !self.observability().is_observable(node)) {
            return [f64::INFINITY; 3];
        }
        let variances = self.system.flow_variances(terminal, &self.inverse);
        variances.map(|variance| (variance.max(0.0) * self.scale).sqrt())
    }

    /// The variance of each row's residual, per unit and radians squared; of a row that is left
    /// out, the variance of its value against an estimate that does not know it.
    ///
    /// Belongs to the factor: found once, and given again until the factor is renewed.
    pub fn residual_variances(&mut self) -> &[f64] {
        let inverted = self.inverse.len() == self.system.blocks.len();
        if !inverted || self.residual_variance.len() != self.rows.len() {
            self.invert();
            let mut variances = std::mem::take(&mut self.residual_variance);
            variances.clear();
            for (row, share) in self.rows.iter().zip(self.shares()) {
                let own = row.sigma * row.sigma;
                let variance = if row.active {
                    let counted = own / share;
                    let left = (counted - self.estimated_variance(row.what, counted)).max(0.0);
                    left - (left / counted).powi(2) * (counted - own)
                } else {
                    own + self.estimated_variance(row.what, own)
                };
                variances.push(variance.max(0.0));
            }
            self.residual_variance = variances;
        }
        &self.residual_variance
    }

    /// The variance of what a row's function is estimated to be.
    fn estimated_variance(&self, what: What, own: f64) -> f64 {
        let diagonal = |node: usize| {
            let place = self.system.form.place(node);
            (place, &self.inverse[self.system.form.diagonal(place)])
        };
        let balance = |node: usize, k: usize| {
            let (place, z) = diagonal(node);
            let meter = &self.system.meters[place];
            if meter.mask[k] == 0.0 {
                return f64::INFINITY;
            }
            // Σ - Σ Z Σ of all rows of this balance together, less what this row has more.
            let together = meter.variance[k] * self.scale;
            let residual = -z[2 + k][2 + k] * meter.variance[k] * together;
            own - ((own - together) + residual)
        };
        let flow =
            |at: usize, kind: usize| self.scale * self.system.spread(at, kind, &self.inverse);
        match what {
            What::Magnitude(node) => self.scale * diagonal(node).1[1][1],
            What::Angle(node) => self.scale * diagonal(node).1[0][0],
            What::ActiveInjection(node) => balance(node, 0),
            What::ReactiveInjection(node) => balance(node, 1),
            What::ActiveFlow(at) => flow(at, 0),
            What::ReactiveFlow(at) => flow(at, 1),
            What::Current(at) => flow(at, 2),
            What::CurrentAngle(at) => flow(at, 3),
            What::Agreement => 0.0,
        }
    }

    /// Rows whose residual is zero whatever they say: without them something is not observable.
    pub fn critical(&mut self) -> Vec<bool> {
        self.residual_variances();
        let critical = |row: usize| {
            let (of, variance) = (&self.rows[row], self.residual_variance[row]);
            of.active && self.is_determined(row) && variance < CRITICAL * of.sigma * of.sigma
        };
        (0..self.rows.len()).map(critical).collect()
    }

    /// The sum of squares, as [`Estimator::objective`] has it, and the size of the largest
    /// normalised residual: what is asked of every tick, in one pass over the rows.
    pub(super) fn misfit(&mut self) -> (f64, f64) {
        self.residual_variances();
        self.system.evaluate();
        let (mut squares, mut largest) = (0.0, 0.0_f64);
        for (at, (row, &variance)) in self.rows.iter().zip(&self.residual_variance).enumerate() {
            if row.active && self.is_determined(at) {
                let (residual, own) = (self.residual(row), row.sigma * row.sigma);
                let square = residual * residual;
                squares += square / own;
                if variance >= CRITICAL * own {
                    largest = largest.max(square / variance);
                }
            }
        }
        (squares, largest.sqrt())
    }

    /// Residuals over their standard deviations; zero for critical rows and those left out.
    pub fn normalised_residuals(&mut self) -> Vec<f64> {
        self.residual_variances();
        self.system.evaluate();
        let rows = self.rows.iter().zip(&self.residual_variance).enumerate();
        let normalised = |(at, (row, &variance)): (usize, (&Row, &f64))| {
            let weak = variance < CRITICAL * row.sigma * row.sigma;
            if !row.active || weak || !self.is_determined(at) {
                return 0.0;
            }
            self.residual(row) / variance.sqrt()
        };
        rows.map(normalised).collect()
    }
}
