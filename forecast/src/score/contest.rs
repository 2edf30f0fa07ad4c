//! Whether a challenger is better than the champion, or was lucky.
//!
//! Two models forecast the same targets; `d_t` is the loss of the champion less that of the
//! challenger. Diebold and Mariano ("Comparing predictive accuracy", JBES 1995) ask whether its
//! mean differs from zero when neighbouring `d_t` depend on each other, as forecasts `h` steps
//! ahead do over `h - 1` steps:
//!
//! ```text
//! V  = (g_0 + 2 Σ_{k=1}^{h-1} (1 - k/h) g_k) / n      (Newey and West 1987, Bartlett weights)
//! DM = mean(d) / sqrt(V)
//! S  = DM sqrt((n + 1 - 2h + h(h-1)/n) / n)           (Harvey, Leybourne and Newbold 1997, eq. 9)
//! ```
//!
//! with `g_k` the autocovariance at lag `k` over `n`, and `S` compared with Student's t of `n - 1`
//! degrees of freedom. [`Contest`] keeps the last `window` pairs, so a promotion asks the same
//! question at every instant and its state is bounded by `window` numbers.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::Serialize;
use statrs::distribution::ContinuousCDF;
use statrs::distribution::StudentsT;

/// The outcome of the paired test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DieboldMariano {
    /// Pairs compared.
    pub n: usize,
    /// Mean of the first loss less the second, in the unit of the loss.
    pub mean_difference: f64,
    /// `S` above: positive where the second is better.
    pub statistic: f64,
    /// Chance of so large a difference, either way, between equals.
    pub p_value: f64,
    /// Chance of so large a lead of the second between equals.
    pub p_second_better: f64,
}

/// Compares losses `first` and `second` of the same targets in order of time, made `horizon` steps
/// ahead (at least 1).
///
/// Absent where the lengths differ, where there are fewer than `2 horizon` and two pairs, where a
/// loss is not finite or where all differences are equal, so that nothing can be said of chance.
#[must_use]
pub fn diebold_mariano(first: &[f64], second: &[f64], horizon: usize) -> Option<DieboldMariano> {
    if first.len() != second.len() {
        return None;
    }
    let d: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    test(&d, horizon)
}

fn test(d: &[f64], horizon: usize) -> Option<DieboldMariano> {
    let (count, h) = (d.len(), horizon.max(1));
    if count < 2 || count < 2 * h || d.iter().any(|d| !d.is_finite()) {
        return None;
    }
    let n = count as f64;
    let mean = d.iter().sum::<f64>() / n;
    let covariance = |k: usize| {
        let pairs = d[k..].iter().zip(d);
        pairs.map(|(later, earlier)| (later - mean) * (earlier - mean)).sum::<f64>() / n
    };
    let weighted = (1..h).map(|k| 2.0 * (1.0 - k as f64 / h as f64) * covariance(k)).sum::<f64>();
    let variance = (covariance(0) + weighted) / n;
    if variance <= f64::EPSILON * mean * mean {
        return None;
    }
    let h = h as f64;
    let correction = ((n + 1.0 - 2.0 * h + h * (h - 1.0) / n) / n).sqrt();
    let statistic = mean / variance.sqrt() * correction;
    let student = StudentsT::new(0.0, 1.0, n - 1.0).ok()?;
    let p_value = 2.0 * student.cdf(-statistic.abs());
    let p_second_better = student.cdf(-statistic);
    Some(DieboldMariano { n: count, mean_difference: mean, statistic, p_value, p_second_better })
}

/// When a challenger is promoted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Share of the champion's loss that must be saved.
    pub gain_min: f64,
    /// Largest chance that the lead is luck.
    pub p_max: f64,
    /// Pairs that must have been seen.
    pub pairs_min: usize,
}

impl Default for Rule {
    /// Two percent better over 28 days of hours, with a chance of luck of at most one in twenty.
    fn default() -> Self {
        Self { gain_min: 0.02, p_max: 0.05, pairs_min: 28 * 24 }
    }
}

/// What a contest says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Standing {
    /// Fewer pairs than the rule asks for, or all differences equal.
    Undecided,
    /// The champion stays. `gain` is the share of its loss that the challenger would save.
    Keep {
        /// Share of the loss, negative where the challenger is worse.
        gain: f64,
        /// Chance that the challenger's lead is luck.
        p: f64,
    },
    /// The challenger takes over.
    Promote {
        /// Share of the loss that it saves.
        gain: f64,
        /// Chance that its lead is luck.
        p: f64,
    },
}

/// The last pairs of losses of a champion and a challenger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contest {
    window: usize,
    horizon: usize,

    pairs: VecDeque<(f64, f64)>,
}

impl Contest {
    /// Keeps the last `window` pairs of losses of forecasts `horizon` steps ahead.
    #[must_use]
    pub fn new(window: usize, horizon: usize) -> Self {
        Self { window: window.max(2), horizon: horizon.max(1), pairs: VecDeque::new() }
    }

    /// Takes the losses of both at the next target, in order of time; a pair of which one is not
    /// finite is left out.
    pub fn observe(&mut self, champion: f64, challenger: f64) {
        if !champion.is_finite() || !challenger.is_finite() {
            return;
        }
        if self.pairs.len() == self.window {
            self.pairs.pop_front();
        }
        self.pairs.push_back((champion, challenger));
    }

    /// The paired test over the window; absent as for [`diebold_mariano`].
    #[must_use]
    pub fn test(&self) -> Option<DieboldMariano> {
        let d: Vec<f64> = self.pairs.iter().map(|(a, b)| a - b).collect();
        test(&d, self.horizon)
    }

    /// Share of the champion's loss that the challenger saves; absent where it has none.
    #[must_use]
    pub fn gain(&self) -> Option<f64> {
        let champion = self.pairs.iter().map(|(loss, _)| loss).sum::<f64>();
        let challenger = self.pairs.iter().map(|(_, loss)| loss).sum::<f64>();
        (champion > 0.0).then(|| 1.0 - challenger / champion)
    }

    /// Whether `rule` promotes the challenger.
    #[must_use]
    pub fn standing(&self, rule: &Rule) -> Standing {
        let Some((gain, test)) = self.gain().zip(self.test()) else { return Standing::Undecided };
        let p = test.p_second_better;
        if self.pairs.len() < rule.pairs_min.min(self.window) {
            Standing::Undecided
        } else if gain > rule.gain_min && p <= rule.p_max {
            Standing::Promote { gain, p }
        } else {
            Standing::Keep { gain, p }
        }
    }
}
