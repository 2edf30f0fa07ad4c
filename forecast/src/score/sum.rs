//! A sum that does not depend on the order of its terms.

use serde::Deserialize;
use serde::Serialize;

/// Binary digits after the point.
///
/// Terms are rounded to 2^-48 (3.6e-15), so squares of errors of a per-unit series keep nine
/// digits; sums reach 2^79 (6e23): a million squared errors of 1e8 W and more.
const FRACTION_BITS: i32 = 48;

/// A sum of numbers in fixed point: terms may come in any order, be merged in any order, and be
/// taken away again, and the bits are the same.
///
/// A term is rounded once to 2^-48. Beyond ±6e23 the sum stays at its end (it saturates), which no
/// load of this world reaches. Saved as two integers, since not every format knows 128 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i64, u64)", into = "(i64, u64)")]
pub struct Sum(i128);

impl Sum {
    /// Adds `term`; what is not finite is left out and must be counted by the caller.
    pub fn add(&mut self, term: f64) {
        self.0 = self.0.saturating_add(fixed(term));
    }

    /// Takes `term` away again, to the bit.
    pub fn subtract(&mut self, term: f64) {
        self.0 = self.0.saturating_sub(fixed(term));
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }

    /// The sum as a number, rounded once.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0 as f64 / 2f64.powi(FRACTION_BITS)
    }

    /// The mean over `n` terms, absent where there is none.
    #[must_use]
    pub fn mean(self, n: u64) -> Option<f64> {
        (n > 0).then(|| self.value() / n as f64)
    }
}

/// `term` times 2^48, rounded to even; zero for what is not a number (a cast saturates).
fn fixed(term: f64) -> i128 {
    (term * 2f64.powi(FRACTION_BITS)).round_ties_even() as i128
}

impl From<(i64, u64)> for Sum {
    fn from((high, low): (i64, u64)) -> Self {
        Self((i128::from(high) << 64) | i128::from(low))
    }
}

impl From<Sum> for (i64, u64) {
    fn from(sum: Sum) -> Self {
        // Truncation to each half is what is meant.
        ((sum.0 >> 64) as i64, sum.0 as u64)
    }
}
