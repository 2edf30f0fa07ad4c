//! Quantiles: how large a sum of squares or a residual may be by chance.

use statrs::distribution::ChiSquared;
use statrs::distribution::ContinuousCDF;
use statrs::distribution::Normal;

/// What a chi-square variable with `freedom` degrees stays below with a probability, strictly
/// between zero and one. Zero where there is no freedom: a sum of nothing is zero.
///
/// # Panics
/// The probability is not between zero and one.
pub fn chi_square_limit(freedom: usize, probability: f64) -> f64 {
    assert!(probability > 0.0 && probability < 1.0, "{probability} is no probability");
    match ChiSquared::new(freedom as f64) {
        Ok(distribution) => distribution.inverse_cdf(probability),
        Err(_) => 0.0,
    }
}

/// The size a normalised residual has to have before it is held to be bad, so that a good row is
/// rejected in a share of `2 false_alarm` of estimations at most: `z(false_alarm / rows)`, the
/// normal quantile with that share in each tail (Bonferroni; residuals are correlated, which makes
/// it rarer). With 0.0005: 4.2 at 38 rows, 4.65 at 300; a flat 3.0 would reject something good in
/// a third of all estimations of 150 rows.
///
/// # Panics
/// The share is not between zero and one.
pub fn residual_limit(rows: usize, false_alarm: f64) -> f64 {
    assert!(false_alarm > 0.0 && false_alarm < 1.0, "{false_alarm} is no share");
    -Normal::standard().inverse_cdf(false_alarm / rows.max(1) as f64)
}

/// The limits that were asked for last. To find one is a search that costs more than a small
/// estimation; they change when rows come and go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    chi_square: Option<(usize, f64, f64)>,
    residual: Option<(usize, f64, f64)>,
}

impl Limits {
    /// As [`chi_square_limit`].
    pub(super) fn chi_square(&mut self, freedom: usize, probability: f64) -> f64 {
        let find = || chi_square_limit(freedom, probability);
        remembered(&mut self.chi_square, freedom, probability, find)
    }

    /// As [`residual_limit`].
    pub(super) fn residual(&mut self, rows: usize, false_alarm: f64) -> f64 {
        let find = || residual_limit(rows, false_alarm);
        remembered(&mut self.residual, rows, false_alarm, find)
    }
}

fn remembered(
    last: &mut Option<(usize, f64, f64)>,
    count: usize,
    share: f64,
    find: impl FnOnce() -> f64,
) -> f64 {
    match *last {
        Some((of, with, limit)) if (of, with) == (count, share) => limit,
        _ => last.insert((count, share, find())).2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembered_limits_are_those_of_what_is_asked() {
        let mut limits = Limits::default();
        for (count, share) in [(5, 0.99), (5, 0.99), (6, 0.99), (6, 0.95), (5, 0.99)] {
            assert_eq!(limits.chi_square(count, share), chi_square_limit(count, share));
            assert_eq!(limits.residual(count, 1.0 - share), residual_limit(count, 1.0 - share));
        }
    }
}
