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
use crate::estimation::row::What;

/// Most rounds.
const ROUNDS: usize = 100;
/// The state stands when a round changes no weight by more than this share.
const STANDS: f64 = 1e-9;
/// How many nodes are named where it does not.
const NAMED: usize = 5;

impl Estimator {
    /// Estimates from flat with Huber's weights; `threshold` in sigmas, 1.5 to 3 as a rule.
    ///
    /// The outcome's passes are those of all rounds. [`Estimator::shares`] says afterwards how
    /// much of each row's weight was left; [`Estimator::solve`] gives all of it back. Where weights
    /// do not come to rest, the worst nodes are those of the rows whose weights still move most.
    ///
    /// # Panics
    /// The threshold is not above zero.
    pub fn solve_robust(&mut self, settings: &Settings, threshold: f64) -> Outcome {
        assert!(threshold > 0.0, "a threshold is above zero");
        let mut outcome = self.solve(settings);
        let (mut made, mut changes) = ((0, 0), Vec::new());
        for _ in 0..ROUNDS {
            let Outcome::Solved { passes, factorisations, step } = outcome else { return outcome };
            made = (made.0 + passes, made.1 + factorisations);
            changes = self.share_out(threshold);
            if changes.iter().all(|change| *change < STANDS) {
                let (passes, factorisations) = made;
                return Outcome::Solved { passes, factorisations, step };
            }
            outcome = self.track(settings);
        }
        Outcome::Diverged { passes: made.0, worst: self.unsettled(&changes) }
    }

    /// The nodes of the rows whose weights changed most, worst first.
    fn unsettled(&self, changes: &[f64]) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..changes.len()).filter(|&r| changes[r] >= STANDS).collect();
        rows.sort_by(|&a, &b| changes[b].total_cmp(&changes[a]));
        let mut worst = Vec::new();
        for node in rows.into_iter().filter_map(|row| self.node_of(self.rows[row].what)) {
            if worst.len() < NAMED && !worst.contains(&node) {
                worst.push(node);
            }
        }
        worst
    }

    /// A node that a row is at.
    fn node_of(&self, what: What) -> Option<usize> {
        match what {
            What::Magnitude(node)
            | What::Angle(node)
            | What::ActiveInjection(node)
            | What::ReactiveInjection(node) => Some(node),
            What::ActiveFlow(at)
            | What::ReactiveFlow(at)
            | What::Current(at)
            | What::CurrentAngle(at) => {
                let terms = self.system.terminals[at].terms();
                let first = self.system.terms[terms].first()?;
                Some(self.system.form.node(first.place as usize))
            }
            What::Agreement => None,
        }
    }

    /// Sets each row's share by its residual; gives how much each changed.
    fn share_out(&mut self, threshold: f64) -> Vec<f64> {
        let residuals = self.residuals();
        let mut changes = Vec::with_capacity(residuals.len());
        let mut shares = Vec::with_capacity(residuals.len());
        for ((row, residual), before) in self.rows.iter().zip(residuals).zip(self.shares()) {
            let apart = (residual / row.sigma).abs();
            let share = if apart > threshold { threshold / apart } else { 1.0 };
            changes.push((share - before).abs());
            shares.push(share);
        }
        self.set_shares(shares);
        changes
    }
}
