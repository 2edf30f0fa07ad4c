//! The confirmation: a window that shrinks when its two ends no longer agree.
//!
//! ADWIN2 (Bifet and Gavaldà, "Learning from time-changing data with adaptive windowing", SDM
//! 2007): the window is kept as buckets of 1, 2, 4, … values, at most [`PER_SIZE_MAX`] of each
//! size. Between any two buckets the older and the newer part are compared; the older is dropped
//! when
//!
//! ```text
//! |mean_0 - mean_1| > sqrt(2/m variance ln(2/d)) + 2/(3m) ln(2/d)
//! 1/m = 1/n_0 + 1/n_1,   d = delta / ln n
//! ```
//!
//! The bound holds for values in [0, 1]; others are cut off there.
//!
//! # Bounds
//!
//! At most [`PER_SIZE_MAX`] + 1 buckets of each of [`SIZES_MAX`] sizes: 192 of three numbers. Older
//! values are dropped beyond.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::Serialize;

/// Buckets of one size; more make the cut finer and the memory larger (5 in the paper).
pub const PER_SIZE_MAX: usize = 5;

/// Sizes of buckets: windows of up to five times 2^31 values.
pub const SIZES_MAX: usize = 32;

/// Values on each side of a cut, at least; fewer say nothing of a mean.
const SIDE_MIN: f64 = 5.0;

/// A change that was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Mean of what was dropped.
    pub before: f64,
    /// Mean of what is kept.
    pub after: f64,
    /// How far the means had to be apart.
    pub bound: f64,
}

/// An adaptive window over values in [0, 1].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adwin {
    delta: f64,

    /// Oldest first; sizes descend.
    buckets: VecDeque<Bucket>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Bucket {
    /// The bucket holds `2^size` values.
    size: u8,
    sum: f64,
    /// Sum of squared distances to the mean of the bucket.
    scatter: f64,
}

/// Count, sum and scatter of neighbouring buckets.
#[derive(Clone, Copy, Default)]
struct Part {
    n: f64,
    sum: f64,
    scatter: f64,
}

impl Part {
    /// Joined with another (Chan, Golub and LeVeque 1979).
    fn with(self, other: Self) -> Self {
        if self.n == 0.0 {
            return other;
        }
        let n = self.n + other.n;
        let apart = self.sum / self.n - other.sum / other.n;
        let scatter = self.scatter + other.scatter + apart * apart * self.n * other.n / n;
        Self { n, sum: self.sum + other.sum, scatter }
    }
}

impl Bucket {
    fn part(self) -> Part {
        Part { n: f64::from(1u32 << self.size), sum: self.sum, scatter: self.scatter }
    }
}

impl Adwin {
    /// A window that cuts by chance with probability `delta` at most, by the paper's bound.
    #[must_use]
    pub fn new(delta: f64) -> Self {
        Self { delta, buckets: VecDeque::new() }
    }

    /// Takes the next value, cut off to [0, 1], and returns the change that it made certain. What
    /// is not a number is ignored.
    pub fn observe(&mut self, value: f64) -> Option<Change> {
        if value.is_nan() {
            return None;
        }
        self.buckets.push_back(Bucket { size: 0, sum: value.clamp(0.0, 1.0), scatter: 0.0 });
        self.compress();
        let mut found: Option<Change> = None;
        while let Some(change) = self.cut() {
            found = Some(Change { before: found.map_or(change.before, |f| f.before), ..change });
        }
        found
    }

    /// Values in the window.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.buckets.iter().map(|bucket| 1u64 << bucket.size).sum()
    }

    /// Whether nothing was observed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Mean of the window; absent where it is empty.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let whole = self.whole();
        (whole.n > 0.0).then(|| whole.sum / whole.n)
    }

    fn whole(&self) -> Part {
        self.buckets.iter().fold(Part::default(), |whole, bucket| whole.with(bucket.part()))
    }

    /// Joins the two oldest buckets of every size of which there are too many.
    fn compress(&mut self) {
        for size in 0..SIZES_MAX as u8 {
            let mut of_size = self.buckets.iter().enumerate().filter(|(_, b)| b.size == size);
            let Some((oldest, _)) = of_size.next() else { return };
            if of_size.count() < PER_SIZE_MAX {
                return;
            }
            if usize::from(size) + 1 == SIZES_MAX {
                self.buckets.pop_front();
                return;
            }
            let joined = self.buckets[oldest].part().with(self.buckets[oldest + 1].part());
            self.buckets.remove(oldest + 1);
            let (sum, scatter) = (joined.sum, joined.scatter);
            self.buckets[oldest] = Bucket { size: size + 1, sum, scatter };
        }
    }

    /// Drops the oldest bucket where some cut shows two means, as often as one does.
    fn cut(&mut self) -> Option<Change> {
        let whole = self.whole();
        if whole.n < 2.0 * SIDE_MIN {
            return None;
        }
        let log = (2.0 * whole.n.ln() / self.delta).ln();
        let variance = whole.scatter / whole.n;
        let mut old = Part::default();
        for bucket in &self.buckets {
            old = old.with(bucket.part());
            let (n, sum) = (whole.n - old.n, whole.sum - old.sum);
            if n < SIDE_MIN {
                return None;
            }
            if old.n < SIDE_MIN {
                continue;
            }
            let inverse = 1.0 / old.n + 1.0 / n;
            let bound = (2.0 * inverse * variance * log).sqrt() + 2.0 / 3.0 * inverse * log;
            let (before, after) = (old.sum / old.n, sum / n);
            if (before - after).abs() > bound {
                self.buckets.pop_front();
                return Some(Change { before, after, bound });
            }
        }
        None
    }
}
