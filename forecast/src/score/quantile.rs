//! Errors of a forecast that is a distribution, given by quantiles.
//!
//! With level `t`, quantile `q` and measured `y`, the pinball loss is `(1{y < q} - t)(q - y)`
//! (Koenker and Bassett, "Regression quantiles", Econometrica 1978). Twice its integral over all
//! levels is the continuous ranked probability score (Gneiting and Raftery, "Strictly proper
//! scoring rules", JASA 2007, section 4.2), which for a forecast of one number is the absolute
//! error. Between levels the quantile function is taken as a straight line and the integral is
//! exact; outside the outer levels the outer quantile is repeated, so a forecast that names P5 to
//! P95 is charged for what it left unsaid.

use serde::Deserialize;
use serde::Serialize;
use statrs::distribution::Beta;
use statrs::distribution::ContinuousCDF;

use crate::score::ScoreError;
use crate::score::Sum;

/// The pinball loss of quantile `q` at `level` when `actual` was measured, in the series' unit.
#[must_use]
pub fn pinball(actual: f64, level: f64, q: f64) -> f64 {
    let below = if actual < q { 1.0 } else { 0.0 };
    (below - level) * (q - actual)
}

/// The continuous ranked probability score of `quantiles` at ascending `levels`, in the unit of
/// the series. Both slices have one length; zero where they are empty.
#[must_use]
pub fn crps(actual: f64, levels: &[f64], quantiles: &[f64]) -> f64 {
    let (Some(&first), Some(&last)) = (quantiles.first(), quantiles.last()) else { return 0.0 };
    let mut total = segment(actual, (0.0, first), (levels[0], first));
    for index in 1..quantiles.len().min(levels.len()) {
        let from = (levels[index - 1], quantiles[index - 1]);
        total += segment(actual, from, (levels[index], quantiles[index]));
    }
    let level_last = levels[levels.len() - 1];
    2.0 * (total + segment(actual, (level_last, last), (1.0, last)))
}

/// The integral of the pinball loss between two points (level, quantile) of a straight quantile
/// function. The loss is a parabola on each side of the crossing, where Simpson's rule is exact.
fn segment(actual: f64, from: (f64, f64), to: (f64, f64)) -> f64 {
    let crosses = (from.1 < actual) != (to.1 < actual) && from.1 != to.1;
    if !crosses {
        return simpson(actual, from, to);
    }
    let level = from.0 + (to.0 - from.0) * (actual - from.1) / (to.1 - from.1);
    simpson(actual, from, (level, actual)) + simpson(actual, (level, actual), to)
}

fn simpson(actual: f64, from: (f64, f64), to: (f64, f64)) -> f64 {
    let middle = (f64::midpoint(from.0, to.0), f64::midpoint(from.1, to.1));
    let loss = |(level, q): (f64, f64)| pinball(actual, level, q);
    (to.0 - from.0) * (loss(from) + 4.0 * loss(middle) + loss(to)) / 6.0
}

/// How often what was measured fell into an interval, ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Measured below the interval.
    pub below: u64,
    /// Measured inside it.
    pub inside: u64,
    /// Measured above it.
    pub above: u64,
}

impl Coverage {
    /// Counts one interval; what is not finite is not counted.
    pub fn observe(&mut self, actual: f64, low: f64, high: f64) {
        if !(actual.is_finite() && low.is_finite() && high.is_finite()) {
            return;
        }
        if actual < low {
            self.below += 1;
        } else if actual > high {
            self.above += 1;
        } else {
            self.inside += 1;
        }
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: Self) {
        self.below += other.below;
        self.inside += other.inside;
        self.above += other.above;
    }

    /// How many were counted.
    #[must_use]
    pub fn n(self) -> u64 {
        self.below + self.inside + self.above
    }

    /// The share inside, absent where none was counted.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        (self.n() > 0).then(|| self.inside as f64 / self.n() as f64)
    }

    /// The interval that holds the true share with `confidence` (0 to 1), as if each of
    /// `n / dependence` outcomes were drawn anew: Clopper and Pearson, Biometrika 1934.
    ///
    /// Neighbouring hours miss together; `dependence` says how many of them are worth one draw
    /// (1 where they are independent). Absent where nothing was counted.
    #[must_use]
    pub fn bounds(self, confidence: f64, dependence: f64) -> Option<(f64, f64)> {
        let share = self.share()?;
        let n = (self.n() as f64 / dependence.max(1.0)).max(1.0);
        let (inside, outside) = (n * share, n * (1.0 - share));
        let tail = (1.0 - confidence) / 2.0;
        let beta = |a: f64, b: f64, p: f64| Beta::new(a, b).ok().map(|beta| beta.inverse_cdf(p));
        let low = if inside > 0.0 { beta(inside, outside + 1.0, tail)? } else { 0.0 };
        let high = if outside > 0.0 { beta(inside + 1.0, outside, 1.0 - tail)? } else { 1.0 };
        Some((low, high))
    }
}

/// Scores of forecasts given by quantiles at fixed levels, in the unit of the series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantileScore {
    levels: Vec<f64>,

    n: u64,
    skipped: u64,
    crps: Sum,
    pinball: Vec<Sum>,
    not_above: Vec<u64>,
    coverage: Coverage,
}

impl QuantileScore {
    /// Scores quantiles at `levels`, which ascend strictly between 0 and 1.
    ///
    /// # Errors
    ///
    /// [`ScoreError::LevelOrder`] where they do not.
    pub fn new(levels: &[f64]) -> Result<Self, ScoreError> {
        let within = levels.iter().all(|level| *level > 0.0 && *level < 1.0);
        let ascending = levels.windows(2).all(|pair| pair[0] < pair[1]);
        if levels.is_empty() || !within || !ascending {
            return Err(ScoreError::LevelOrder);
        }
        Ok(Self {
            levels: levels.to_vec(),
            n: 0,
            skipped: 0,
            crps: Sum::default(),
            pinball: vec![Sum::default(); levels.len()],
            not_above: vec![0; levels.len()],
            coverage: Coverage::default(),
        })
    }

    /// Scores one forecast. Quantiles that cross are put into order first (Chernozhukov,
    /// Fernández-Val and Galichon, Econometrica 2010: order never scores worse); what is not
    /// finite is counted as skipped.
    ///
    /// # Errors
    ///
    /// [`ScoreError::Levels`] where there are not as many quantiles as levels.
    pub fn observe(&mut self, actual: f64, quantiles: &[f64]) -> Result<(), ScoreError> {
        let (expected, given) = (self.levels.len(), quantiles.len());
        if expected != given {
            return Err(ScoreError::Levels { expected, given });
        }
        if !actual.is_finite() || quantiles.iter().any(|q| !q.is_finite()) {
            self.skipped += 1;
            return Ok(());
        }
        let mut ordered = quantiles.to_vec();
        ordered.sort_by(f64::total_cmp);
        self.n += 1;
        self.crps.add(crps(actual, &self.levels, &ordered));
        for (index, q) in ordered.iter().enumerate() {
            self.pinball[index].add(pinball(actual, self.levels[index], *q));
            self.not_above[index] += u64::from(actual <= *q);
        }
        if let Some((low, high)) = self.band() {
            self.coverage.observe(actual, ordered[low], ordered[high]);
        }
        Ok(())
    }

    /// Adds what another has scored; any order gives the same bits.
    ///
    /// # Errors
    ///
    /// [`ScoreError::Levels`] where its levels are others.
    pub fn merge(&mut self, other: &Self) -> Result<(), ScoreError> {
        if self.levels != other.levels {
            let (expected, given) = (self.levels.len(), other.levels.len());
            return Err(ScoreError::Levels { expected, given });
        }
        self.n += other.n;
        self.skipped += other.skipped;
        self.crps.merge(other.crps);
        for (mine, theirs) in self.pinball.iter_mut().zip(&other.pinball) {
            mine.merge(*theirs);
        }
        for (mine, theirs) in self.not_above.iter_mut().zip(&other.not_above) {
            *mine += theirs;
        }
        self.coverage.merge(other.coverage);
        Ok(())
    }

    /// Which levels are P10 and P90, where both are scored.
    fn band(&self) -> Option<(usize, usize)> {
        let at = |wanted: f64| self.levels.iter().position(|level| (level - wanted).abs() < 1e-9);
        at(0.1).zip(at(0.9))
    }

    /// The levels, ascending.
    #[must_use]
    pub fn levels(&self) -> &[f64] {
        &self.levels
    }

    /// How many forecasts were scored.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// How many were not, because a value was missing.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Mean continuous ranked probability score, in the unit of the series.
    #[must_use]
    pub fn crps(&self) -> Option<f64> {
        self.crps.mean(self.n)
    }

    /// Pinball loss, mean over forecasts and levels, in the unit of the series.
    #[must_use]
    pub fn pinball(&self) -> Option<f64> {
        let mut total = Sum::default();
        for sum in &self.pinball {
            total.merge(*sum);
        }
        total.mean(self.n * self.levels.len() as u64)
    }

    /// For each level the share of measured values that did not exceed the quantile: equal to the
    /// level where the forecast keeps its promise. Empty where nothing was scored.
    #[must_use]
    pub fn reliability(&self) -> Vec<f64> {
        if self.n == 0 {
            return Vec::new();
        }
        self.not_above.iter().map(|count| *count as f64 / self.n as f64).collect()
    }

    /// How often P10 to P90 held what was measured; of no count where they are not scored.
    #[must_use]
    pub fn coverage_80(&self) -> Coverage {
        self.coverage
    }
}
