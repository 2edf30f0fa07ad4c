//! Errors of a forecast that is one number.

use serde::Deserialize;
use serde::Serialize;

use crate::score::Sum;

/// Share of the mean absolute value below which a measured value counts as near zero, so that no
/// MAPE is given.
///
/// Lower, and the one hour of an outage (GEFCom2012 zone 4, where WAPE is 4.7 %) makes a MAPE of
/// 20 %; higher, and a feeder that is merely quiet at night would lose its own.
pub const NEAR_ZERO_SHARE: f64 = 0.05;

/// Errors of point forecasts of one series, in the unit of the series.
///
/// With `y` measured, `f` forecast, `e = f - y`: `MAE = mean |e|`, `RMSE = sqrt(mean e²)`,
/// `WAPE = Σ|e| / Σ|y|`, `nMAE = MAE / capacity`, `MAPE = mean |e / y|` (Hyndman and Koehler,
/// "Another look at measures of forecast accuracy", IJF 2006, section 2). Shares are fractions,
/// not percent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointScore {
    n: u64,
    skipped: u64,
    error: Sum,
    error_absolute: Sum,
    error_squared: Sum,
    error_share: Sum,
    actual_absolute: Sum,
    actual_min: f64,
    actual_max: f64,
    actual_absolute_min: f64,
}

impl Default for PointScore {
    fn default() -> Self {
        Self {
            n: 0,
            skipped: 0,
            error: Sum::default(),
            error_absolute: Sum::default(),
            error_squared: Sum::default(),
            error_share: Sum::default(),
            actual_absolute: Sum::default(),
            // Finite, since a saved state may be JSON, which knows no infinity.
            actual_min: f64::MAX,
            actual_max: f64::MIN,
            actual_absolute_min: f64::MAX,
        }
    }
}

impl PointScore {
    /// Scores one forecast. A pair of which one is not finite is counted as skipped, no more.
    pub fn observe(&mut self, actual: f64, forecast: f64) {
        if !actual.is_finite() || !forecast.is_finite() {
            self.skipped += 1;
            return;
        }
        let error = forecast - actual;
        self.n += 1;
        self.error.add(error);
        self.error_absolute.add(error.abs());
        self.error_squared.add(error * error);
        if actual != 0.0 {
            self.error_share.add((error / actual).abs());
        }
        self.actual_absolute.add(actual.abs());
        self.actual_min = self.actual_min.min(actual);
        self.actual_max = self.actual_max.max(actual);
        self.actual_absolute_min = self.actual_absolute_min.min(actual.abs());
    }

    /// Adds what another has scored of the same series; any order gives the same bits.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.skipped += other.skipped;
        self.error.merge(other.error);
        self.error_absolute.merge(other.error_absolute);
        self.error_squared.merge(other.error_squared);
        self.error_share.merge(other.error_share);
        self.actual_absolute.merge(other.actual_absolute);
        self.actual_min = self.actual_min.min(other.actual_min);
        self.actual_max = self.actual_max.max(other.actual_max);
        self.actual_absolute_min = self.actual_absolute_min.min(other.actual_absolute_min);
    }

    /// How many forecasts were scored.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// How many were not, because the measured or the forecast value was missing.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Mean of forecast less measured, in the unit of the series: positive forecasts too much.
    #[must_use]
    pub fn bias(&self) -> Option<f64> {
        self.error.mean(self.n)
    }

    /// Mean absolute error, in the unit of the series.
    #[must_use]
    pub fn mae(&self) -> Option<f64> {
        self.error_absolute.mean(self.n)
    }

    /// Root of the mean squared error, in the unit of the series.
    #[must_use]
    pub fn rmse(&self) -> Option<f64> {
        self.error_squared.mean(self.n).map(f64::sqrt)
    }

    /// Sum of absolute errors over sum of absolute values; absent where all values are zero.
    #[must_use]
    pub fn wape(&self) -> Option<f64> {
        let total = self.actual_absolute.value();
        (total > 0.0).then(|| self.error_absolute.value() / total)
    }

    /// Mean absolute error over `capacity`, or over the largest absolute value where none is given.
    #[must_use]
    pub fn nmae(&self, capacity: Option<f64>) -> Option<f64> {
        let largest = self.actual_max.abs().max(self.actual_min.abs());
        let divisor = capacity.unwrap_or(largest);
        self.mae().filter(|_| divisor > 0.0).map(|mae| mae / divisor)
    }

    /// Mean absolute share of the measured value; absent where the series changes its sign or one
    /// value lies within [`NEAR_ZERO_SHARE`] of its mean absolute value.
    #[must_use]
    pub fn mape(&self) -> Option<f64> {
        let mean = self.actual_absolute.mean(self.n)?;
        let crosses = self.actual_min < 0.0 && self.actual_max > 0.0;
        let near = self.actual_absolute_min <= NEAR_ZERO_SHARE * mean;
        if crosses || near {
            return None;
        }
        self.error_share.mean(self.n)
    }
}

/// What `model` saves of the error of `reference`: `1 - MAE / MAE of the reference`.
///
/// One is perfect, zero no better, negative worse. Absent where they did not score equally many
/// targets (the ratio would compare different hours) or the reference never errs.
#[must_use]
pub fn skill(model: &PointScore, reference: &PointScore) -> Option<f64> {
    let reference_mae = reference.mae().filter(|mae| *mae > 0.0)?;
    (model.n == reference.n).then(|| model.mae()).flatten().map(|mae| 1.0 - mae / reference_mae)
}
