//! Quantiles keep what they promise, also when the errors change.

use forecast::conformal::Cell;
use forecast::conformal::Conformal;
use forecast::model::P10;
use forecast::model::P90;

/// Whole numbers that look like chance (Vigna's splitmix64).
struct Chance(u64);

impl Chance {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let (a, b) = (self.uniform(), self.uniform());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }
}

/// The share of outcomes between P10 and P90 over a year of hourly outcomes after 40 days, whose
/// errors are `error(day, hour, noise)`, is near 0.8.
#[track_caller]
fn check(error: impl Fn(usize, usize, f64) -> f64) {
    let mut quantiles = Conformal::new(1, 24, 24.0, 1.0, (f64::NEG_INFINITY, f64::INFINITY));
    let mut chance = Chance(7);
    let (mut inside, mut n) = (0, 0);
    for day in 0..405 {
        for hour in 0..24 {
            let cell = Cell { horizon: 0, class: hour };
            let given = quantiles.quantiles(cell, 100.0);
            let spread = quantiles.spread(cell);
            let actual = 100.0 + error(day, hour, chance.normal());
            quantiles.learn(cell, 100.0, spread, actual);
            assert!(given.is_sorted(), "{given:?}");
            if day >= 40 {
                n += 1;
                inside += u32::from((given[P10]..=given[P90]).contains(&actual));
            }
        }
    }
    let coverage = f64::from(inside) / f64::from(n);
    assert!((0.78..=0.82).contains(&coverage), "{coverage}");
}

#[test]
fn plain_noise_is_covered() {
    check(|_, _, noise| 3.0 * noise);
}

#[test]
fn a_lopsided_forecast_is_covered() {
    check(|_, _, noise| noise.exp() - 1.0);
}

#[test]
fn noisy_afternoons_are_covered() {
    check(|_, hour, noise| if hour > 12 { 9.0 * noise } else { noise });
}

#[test]
fn errors_that_triple_overnight_are_covered() {
    check(|day, _, noise| if day < 200 { noise } else { 3.0 * noise });
}

#[test]
fn errors_that_grow_all_year_are_covered() {
    check(|day, _, noise| noise * (day as f64 / 100.0).exp());
}

#[test]
fn quantiles_stay_within_the_bounds() {
    let quantiles = Conformal::new(1, 1, 24.0, 0.5, (0.0, 1.0));
    let given = quantiles.quantiles(Cell { horizon: 0, class: 0 }, 0.9);
    assert!(given.iter().all(|q| (0.0..=1.0).contains(q)), "{given:?}");
    assert_eq!(given[P90], 1.0);
}

#[test]
fn a_missing_outcome_teaches_nothing() {
    let mut quantiles = Conformal::new(1, 1, 24.0, 0.5, (0.0, 1.0));
    let before = quantiles.clone();
    quantiles.learn(Cell { horizon: 0, class: 0 }, 0.4, 0.5, f64::NAN);
    assert_eq!(quantiles, before);
}
