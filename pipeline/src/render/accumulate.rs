//! Accumulators that add and subtract exactly.
//!
//! A sum of floats in a register drifts: adding and retracting the same reading does not return to
//! where it began. So the accumulator is an integer: x is held as `round(x · 2^56)` in 128 bits,
//! NaN and the infinities are counted beside it, and a sum is the same whatever the order of
//! arrival. With |x| ≤ 2^44, 2^27 readings fit before the sum leaves 2^127; what is larger is
//! refused as a fault, not wrapped.
//!
//! Sums of squares (for variances) allow |x| ≤ 2^22, so that 2^27 squares fit likewise.
//!
//! Multiples of 2^-10 below 2^20 are held and summed without any rounding, so SUM and AVG of such
//! values equal a batch computation bit for bit.

use arrow_buffer::i256;
use schemas::plan::AggregateFunction;
use serde::Deserialize;
use serde::Serialize;
use smallvec::SmallVec;

use crate::delta::Diff;

/// Fraction bits of a float in an accumulator.
pub const FRACTION_BITS: i32 = 56;

/// The greatest magnitude of a float that can be summed: 2^44.
pub const SUM_MAX: f64 = (1u64 << 44) as f64;

/// The greatest magnitude of a float whose square can be summed: 2^22.
pub const SQUARE_MAX: f64 = (1u64 << 22) as f64;

// 2^27 rows of the greatest magnitude must fit into the 127 bits of a sum, and so must their
// squares.
const _: () = assert!(44 + FRACTION_BITS + 27 <= 127);
const _: () = assert!(2 * 22 + FRACTION_BITS + 27 <= 127);

/// 2^56.
const SCALE: f64 = (1u64 << FRACTION_BITS) as f64;

/// What one argument column adds up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slot {
    /// The sum: fixed point for floats, plain for integers and decimals.
    pub sum: i128,
    /// Values that are not NULL.
    pub n: i64,
    /// Values that are NaN.
    pub nan: i32,
    /// Values that are +∞.
    pub above: i32,
    /// Values that are −∞.
    pub below: i32,
}

impl Slot {
    /// Adds a float `diff` times.
    ///
    /// # Errors
    /// The magnitude, which is finite, exceeds `max`.
    #[inline]
    pub fn add_float(&mut self, x: f64, diff: Diff, max: f64) -> Result<(), f64> {
        if x.abs() <= max {
            self.sum += fixed(x) * i128::from(diff);
        } else if x.is_nan() {
            self.nan += diff as i32;
        } else if x == f64::INFINITY {
            self.above += diff as i32;
        } else if x == f64::NEG_INFINITY {
            self.below += diff as i32;
        } else {
            return Err(x);
        }
        self.n += diff;
        Ok(())
    }

    /// Adds an integer `diff` times.
    #[inline]
    pub fn add_int(&mut self, x: i128, diff: Diff) {
        self.sum = self.sum.wrapping_add(x.wrapping_mul(i128::from(diff)));
        self.n += diff;
    }

    /// Adds another slot.
    #[inline]
    pub fn add(&mut self, other: &Slot) {
        self.sum = self.sum.wrapping_add(other.sum);
        self.n += other.n;
        self.nan += other.nan;
        self.above += other.above;
        self.below += other.below;
    }

    /// The sum as a float, or `None` of nothing.
    pub fn float(&self) -> Option<f64> {
        match self {
            Slot { n: 0, .. } => None,
            Slot { nan: 0, above: 0, below: 0, sum, .. } => Some(*sum as f64 / SCALE),
            Slot { nan: 0, above, below: 0, .. } if *above != 0 => Some(f64::INFINITY),
            Slot { nan: 0, above: 0, below, .. } if *below != 0 => Some(f64::NEG_INFINITY),
            _ => Some(f64::NAN),
        }
    }
}

/// `x · 2^56`, rounded to the nearest integer.
#[inline]
fn fixed(x: f64) -> i128 {
    let scaled = x * SCALE;
    // Above 2^52 every float is an integer: no rounding, and the cast is exact.
    if scaled.abs() < 9.0e15 { scaled.round_ties_even() as i64 as i128 } else { scaled as i128 }
}

/// *Σx² − (Σx)²/n* as *(n·Σx² − (Σx)²)/n*: the difference is taken in 256-bit integers, where
/// nothing cancels that was there. *n·Σx²* has at most 27 + 127 + 56 bits, *(Σx)²* 254.
fn squared_deviations(slot: &Slot, squares: &Slot) -> Option<f64> {
    let sums = [slot.float()?, squares.float()?];
    if let Some(odd) = sums.into_iter().find(|sum| !sum.is_finite()) {
        return Some(if odd.is_nan() { odd } else { f64::NAN });
    }
    let wide = i256::from_i128;
    let scale = wide(1 << FRACTION_BITS);
    let of_squares = wide(squares.sum).wrapping_mul(wide(slot.n.into())).wrapping_mul(scale);
    let difference = of_squares.wrapping_sub(wide(slot.sum).wrapping_mul(wide(slot.sum)));
    // Each square was rounded, and so may be a little less than the square of the mean.
    let difference = if difference.is_negative() { i256::ZERO } else { difference };
    let (low, high) = difference.to_parts();
    let difference = high as f64 * 2f64.powi(128) + low as f64;
    Some(difference / SCALE / SCALE / slot.n as f64)
}

/// The accumulators of one group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Accumulators {
    /// Rows in the group.
    pub rows: i64,
    /// One per argument column.
    pub slots: SmallVec<[Slot; 1]>,
}

impl Accumulators {
    /// Nothing, for `slots` argument columns.
    pub fn new(slots: usize) -> Accumulators {
        Accumulators { rows: 0, slots: SmallVec::from_elem(Slot::default(), slots) }
    }

    /// Adds others of the same shape.
    pub fn add(&mut self, other: &Accumulators) {
        self.rows += other.rows;
        for (slot, other) in self.slots.iter_mut().zip(&other.slots) {
            slot.add(other);
        }
    }
}

/// The value of a float aggregate; `slot` sums the values, `squares` their squares where needed.
pub fn float_value(
    function: &AggregateFunction,
    slot: &Slot,
    squares: Option<&Slot>,
) -> Option<f64> {
    match function {
        AggregateFunction::Sum => slot.float(),
        AggregateFunction::Avg => slot.float().map(|sum| sum / slot.n as f64),
        AggregateFunction::Variance { sample, root } => {
            let divisor = if *sample { slot.n - 1 } else { slot.n };
            if slot.n == 0 || divisor <= 0 {
                return None;
            }
            let variance = squared_deviations(slot, squares?)? / divisor as f64;
            Some(if *root { variance.sqrt() } else { variance })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_away_leaves_nothing() {
        let mut slot = Slot::default();
        let values = [0.1, 1e12, -3.7e-9, f64::NAN, f64::INFINITY, 113.9999];
        values.iter().for_each(|x| slot.add_float(*x, 1, SUM_MAX).unwrap());
        assert!(slot.float().unwrap().is_nan());
        values.iter().rev().for_each(|x| slot.add_float(*x, -1, SUM_MAX).unwrap());
        assert_eq!(slot, Slot::default());
    }

    #[test]
    fn binary_fractions_are_summed_exactly() {
        let (mut slot, mut float, mut seed) = (Slot::default(), 0.0, 7u64);
        for _ in 0..1_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
            let x = (seed >> 34) as f64 / 1024.0 - 500_000.0;
            slot.add_float(x, 1, SUM_MAX).unwrap();
            float += x;
        }
        assert_eq!(slot.float().unwrap().to_bits(), f64::to_bits(float));
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let mut slot = Slot::default();
        assert_eq!(slot.add_float(1e300, 1, SUM_MAX), Err(1e300));
        assert_eq!(slot, Slot::default());
    }
}
