//! A robust estimate: Huber's, by reweighting.
//!
//! A row counts in full while its residual is within `threshold` sigmas, and beyond that linearly
//! instead of squared (P. J. Huber, *Robust estimation of a location parameter*, 1964; for grids
//! L. Mili et al., *Robust estimation based on projection statistics*, IEEE Trans. PWRS 11, 1996).
//! Each round is the ordinary estimate with the weight of such a row cut to `threshold / |r|`; the
//! rounds go on until the state stands.
//!
//! It bends where least squares breaks, and it bends a little for every good row that is far out;
//! it says nothing of which row is wrong. Rows of leverage, whose residual stays small whatever
//! they say, pull as ever: residuals are by their own sigma, not by that of the residual.

use crate::estimation::estimator::Estimator;
use crate::estimation::estimator::Outcome;
use crate::estimation::estimator::Settings;

/// Most rounds.
const ROUNDS: usize = 100;
/// The state stands when a round changes no weight by more than this share.
const STANDS: f64 = 1e-9;

impl Estimator {
    /// Estimates from flat with Huber's weights; `threshold` in sigmas, 1.5 to 3 as a rule.
    ///
    /// The outcome's passes are those of all rounds. [`Estimator::shares`] says afterwards how
    /// much of each row's weight was left; [`Estimator::solve`] gives all of it back.
    ///
    /// # Panics
    /// The threshold is not above zero.
    pub fn solve_robust(&mut self, settings: &Settings, threshold: f64) -> Outcome {
        assert!(threshold > 0.0, "a threshold is above zero");
        let mut outcome = self.solve(settings);
        let mut made = (0, 0);
        for _ in 0..ROUNDS {
            let Outcome::Solved { passes, factorisations, step } = outcome else { return outcome };
            made = (made.0 + passes, made.1 + factorisations);
            if self.share_out(threshold) < STANDS {
                let (passes, factorisations) = made;
                return Outcome::Solved { passes, factorisations, step };
            }
            outcome = self.track(settings);
        }
        Outcome::Diverged { passes: made.0, worst: Vec::new() }
    }

    /// Sets each row's share by its residual; gives the largest change of one.
    fn share_out(&mut self, threshold: f64) -> f64 {
        let residuals = self.residuals();
        let mut largest = 0.0_f64;
        let mut shares = Vec::with_capacity(residuals.len());
        for ((row, residual), before) in self.rows.iter().zip(residuals).zip(self.shares()) {
            let apart = (residual / row.sigma).abs();
            let share = if apart > threshold { threshold / apart } else { 1.0 };
            largest = largest.max((share - before).abs());
            shares.push(share);
        }
        self.set_shares(shares);
        largest
    }
}
