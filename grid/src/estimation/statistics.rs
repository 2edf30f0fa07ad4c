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
