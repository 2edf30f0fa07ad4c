//! The past of one series as it is known: readings, weather, kinds of days.
//!
//! A series has a fixed step; its values are counted from the epoch on the **series' own clock**
//! (`index = milliseconds / step`), which has no summer time: a day has the same number of steps
//! throughout. Whoever owns the series says what that clock is (UTC, or standard time).
//!
//! A missing reading is NaN. Features need *some* number there, so each reading is also kept
//! *filled*: with what was forecast for it, which rests on the past alone. What was filled is never
//! learned from.
//!
//! # Bounds
//!
//! A track keeps what it is told to (`keep` steps), beyond that the oldest go.

use serde::Deserialize;
use serde::Serialize;

use crate::bits::Bits;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// Values by index, the newest of them kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "T: Bits")]
pub struct Track<T> {
    first: i64,
    #[serde(with = "crate::bits")]
    values: Vec<T>,
}

impl<T: Copy> Track<T> {
    /// An empty track whose first value will be that of `first`.
    pub fn new(first: i64) -> Track<T> {
        Track { first, values: Vec::new() }
    }

    /// The index of the oldest value that is kept.
    pub fn first(&self) -> i64 {
        self.first
    }

    /// The index after the newest value.
    pub fn end(&self) -> i64 {
        self.first + self.values.len() as i64
    }

    /// The value at an index, where it is kept.
    pub fn get(&self, index: i64) -> Option<T> {
        usize::try_from(index - self.first).ok().and_then(|at| self.values.get(at)).copied()
    }

    /// The value of the next index.
    pub fn push(&mut self, value: T) {
        self.values.push(value);
    }

    /// Replaces a value that is kept; `false` where it is not.
    pub fn set(&mut self, index: i64, value: T) -> bool {
        let at = usize::try_from(index - self.first).ok();
        let entry = at.and_then(|at| self.values.get_mut(at));
        entry.map(|entry| *entry = value).is_some()
    }

    /// Forgets what is older than `first`.
    pub fn forget_before(&mut self, first: i64) {
        let gone = usize::try_from(first - self.first).unwrap_or(0).min(self.values.len());
        if gone > 0 {
            self.values.drain(..gone);
            self.first += gone as i64;
            self.values.shrink_to(self.values.len() + slack(self.values.len()));
        }
    }

    /// The oldest of the newest `keep` values, where so many more are kept that it is time to
    /// forget them: now and then, not at every step.
    pub fn outgrown(&self, keep: usize) -> Option<i64> {
        (self.values.len() >= keep + slack(keep)).then(|| self.end() - keep as i64)
    }

    /// Forgets what is older than the newest `keep` values, now and then.
    pub fn bound(&mut self, keep: usize) {
        if let Some(first) = self.outgrown(keep) {
            self.forget_before(first);
        }
    }

    /// Forgets `index` and what follows it.
    pub fn cut(&mut self, index: i64) {
        self.values.truncate(usize::try_from(index - self.first).unwrap_or(0));
    }

    /// The values that are kept, oldest first.
    pub fn values(&self) -> &[T] {
        &self.values
    }
}

/// Values above what is to be kept before the oldest are forgotten.
fn slack(keep: usize) -> usize {
    keep / 16 + 32
}

/// Steps between two running sums that are kept.
///
/// More, and a mean adds up more values; fewer, and a fleet's memory is full of sums.
const STRIDE: i64 = 8;

/// One unit in fixed point: 2⁻²⁴ of the series' scale.
const FIXED: f64 = 16_777_216.0;

fn fixed(value: f32) -> i64 {
    (f64::from(value) * FIXED).round() as i64
}

/// Running sums in fixed point, so that a mean does not depend on the path by which it was reached.
///
/// The values themselves (in units of the series' scale, within ±1e9) are kept elsewhere, and are
/// asked of the caller as `of`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// The first index that is summed, and the one after the last.
    span: (i64, i64),
    /// By stride: the sum of what came before its first index, or before the first of all.
    marks: Track<i64>,
    total: i64,
}

impl Sums {
    /// No sums before `first`.
    pub fn new(first: i64) -> Sums {
        let mut marks = Track::new(first.div_euclid(STRIDE));
        marks.push(0);
        Sums { span: (first, first), marks, total: 0 }
    }

    /// Adds the next value.
    pub fn push(&mut self, value: f32) {
        self.total = self.total.wrapping_add(fixed(value));
        self.span.1 += 1;
        if self.span.1 % STRIDE == 0 {
            self.marks.push(self.total);
        }
    }

    /// The sum of all before `index`, which is within the span or at its end.
    fn before(&self, index: i64, of: &impl Fn(i64) -> f32) -> i64 {
        let stride = index.div_euclid(STRIDE);
        let mark = self.marks.get(stride).expect("a mark a stride of the span");
        let start = (stride * STRIDE).max(self.span.0);
        (start..index).fold(mark, |sum, at| sum.wrapping_add(fixed(of(at))))
    }

    /// The mean of the `count` values that end with `index`; of those there are, where there are
    /// fewer; 0 of none.
    pub fn mean(&self, index: i64, count: i64, of: impl Fn(i64) -> f32) -> f64 {
        let (first, end) = self.span;
        if index < first || index >= end {
            return 0.0;
        }
        let from = (index + 1 - count).max(first);
        let sum = self.before(index + 1, &of).wrapping_sub(self.before(from, &of));
        sum as f64 / FIXED / (index + 1 - from) as f64
    }

    /// Forgets `index`, if it is within the span, and what follows it.
    pub fn cut(&mut self, index: i64, of: impl Fn(i64) -> f32) {
        let index = index.max(self.span.0);
        if index < self.span.1 {
            self.total = self.before(index, &of);
            self.span.1 = index;
            self.marks.cut(index.div_euclid(STRIDE) + 1);
        }
    }

    /// Forgets what is older than `first`, while the values are still there.
    pub fn forget_before(&mut self, first: i64, of: impl Fn(i64) -> f32) {
        let first = first.min(self.span.1);
        if first > self.span.0 {
            let before = self.before(first, &of);
            self.marks.forget_before(first.div_euclid(STRIDE));
            self.marks.set(first.div_euclid(STRIDE), before);
            self.span.0 = first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_that_of_its_values_after_cuts_and_oblivion() {
        let of = |index: i64| ((index * 37) % 101) as f32 / 8.0;
        for first in [-11, 0, 5] {
            let mut sums = Sums::new(first);
            (first..first + 100).for_each(|index| sums.push(of(index)));
            sums.cut(first + 61, of);
            (first + 61..first + 90).for_each(|index| sums.push(of(index)));
            for forgotten in [0, 3, 8, 30] {
                sums.forget_before(first + forgotten, of);
                for index in first + forgotten..first + 90 {
                    for count in [1, 7, 8, 24, 200] {
                        let from = (index + 1 - count).max(first + forgotten);
                        let sum: f64 = (from..=index).map(|at| f64::from(of(at))).sum();
                        let mean = sum / (index + 1 - from) as f64;
                        assert_eq!(sums.mean(index, count, of), mean, "{first} {index} {count}");
                    }
                }
                assert_eq!(sums.mean(first + forgotten - 1, 3, of), 0.0);
                assert_eq!(sums.mean(first + 90, 3, of), 0.0);
            }
        }
    }
}
