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
        self.values.drain(..gone);
        self.first += gone as i64;
        self.values.shrink_to(self.values.len() + self.values.len() / 8 + 32);
    }

    /// Forgets what is older than the newest `keep` values; now and then, not at every step.
    pub fn bound(&mut self, keep: usize) {
        let slack = keep / 16 + 32;
        if self.values.len() >= keep + slack {
            let gone = self.values.len() - keep;
            self.values.drain(..gone);
            self.first += gone as i64;
            self.values.shrink_to(keep + slack);
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

/// Running sums in fixed point, so that a mean does not depend on the path by which it was reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sums(Track<i64>);

/// One unit in fixed point: 2⁻²⁴ of the series' scale.
const FIXED: f64 = 16_777_216.0;

impl Sums {
    /// No sums before `first`.
    pub fn new(first: i64) -> Sums {
        Sums(Track::new(first))
    }

    /// Adds the next value (in units of the series' scale, within ±1e9).
    pub fn push(&mut self, value: f64) {
        let before = self.0.values.last().copied().unwrap_or(0);
        self.0.push(before.wrapping_add((value * FIXED).round() as i64));
    }

    /// The mean of the `count` values that end with `index`; of those there are, where there are
    /// fewer; 0 of none.
    pub fn mean(&self, index: i64, count: i64) -> f64 {
        let Some(upto) = self.0.get(index) else { return 0.0 };
        let from = index - count;
        let (before, count) = match self.0.get(from) {
            Some(before) => (before, count),
            None => (0, index - self.0.first + 1),
        };
        upto.wrapping_sub(before) as f64 / FIXED / count as f64
    }

    /// Forgets `index` and what follows it.
    pub fn cut(&mut self, index: i64) {
        self.0.cut(index);
    }

    /// As [`Track::bound`]. Sums that reach further back than what is kept are of what is kept.
    pub fn bound(&mut self, keep: usize) {
        self.0.bound(keep);
    }
}
