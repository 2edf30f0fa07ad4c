//! One ridge regression per time of day, forgetting slowly, exact under correction.
//!
//! ```text
//! G_s = Σ_k w_k x x ᵀ + D      over the days k of slot s, g_s likewise; w_k falls with age
//! ```
//!
//! The sums of a slot are kept in two parts. **Young** rows, of the last [`YOUNG_DAYS`], are kept
//! one by one in fixed point, weigh 1, and are added up at each solution. A row that grows older
//! is **settled**: what was settled before is decayed once, and the row is added to it. So the sums
//! are a function of the rows and of their order in time alone. A correction of a young reading
//! replaces rows; the sums are then those of the corrected history, to the bit, in whatever order
//! corrections came. The row of a missing reading is kept as well, without any weight: when the
//! reading comes late, the weather may be known otherwise than it was then.
//!
//! # Bounds
//!
//! A slot holds p(p-1)/2 settled sums of 3 bytes and 2p of 4 ([`gram`](crate::gram)), and its young
//! rows of p numbers (2 bytes), one after the other: a fleet's slots are read from memory, not from
//! a cache, and every jump is paid.

use serde::Deserialize;
use serde::Serialize;

use crate::gram::Gram;
use crate::ridge::Factor;
use crate::ridge::add_rows;
use crate::ridge::packed_len;

/// Days within which a reading may still be corrected.
pub const YOUNG_DAYS: i64 = 15;

/// One unit of a scaled feature in fixed point; a feature lies within ±8 (less one step).
pub const UNIT: f32 = 4096.0;

/// Young rows that are added up at a time: so many lie in the nearest cache as numbers of 8 bytes.
const BATCH: usize = 16;

/// A target that was learned from.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The target's index.
    pub index: i64,
    /// Its features in fixed point, see [`UNIT`].
    pub x: Vec<i16>,
    /// Its value, over the series' scale; NaN where it is missing.
    pub y: f32,
}

/// One slot's sums.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    gram: Gram,
    #[serde(with = "crate::bits")]
    right: Vec<f32>,
    young: Young,
    settled: u32,
}

/// Targets that may still be corrected, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Young {
    #[serde(with = "crate::bits")]
    index: Vec<i64>,
    /// Row by row.
    #[serde(with = "crate::bits")]
    x: Vec<i16>,
    #[serde(with = "crate::bits")]
    y: Vec<f32>,
}

impl Young {
    /// Makes room for a row, and for no more: most slots are full for good.
    fn insert(&mut self, at: usize, index: i64, x: &[i16], y: f32) {
        let p = x.len();
        self.index.reserve_exact(1);
        self.index.insert(at, index);
        self.y.reserve_exact(1);
        self.y.insert(at, y);
        self.x.reserve_exact(p);
        self.x.splice(at * p..at * p, x.iter().copied());
    }

    fn remove(&mut self, rows: std::ops::Range<usize>, p: usize) {
        self.index.drain(rows.clone());
        self.y.drain(rows.clone());
        self.x.drain(rows.start * p..rows.end * p);
    }
}

impl Slot {
    /// A slot that has seen nothing of `p` features.
    pub fn new(p: usize) -> Slot {
        Slot { gram: Gram::new(p), right: vec![0.0; p], young: Young::default(), settled: 0 }
    }

    /// Samples that were learned: those whose value is known.
    pub fn count(&self) -> usize {
        self.settled as usize + self.young.y.iter().filter(|y| y.is_finite()).count()
    }

    /// Learns a target, in its place in time: the one that stood there is replaced. Of one whose
    /// value is missing the features are kept until it comes.
    pub fn learn(&mut self, sample: Sample) {
        let Sample { index, x, y } = sample;
        let p = self.right.len();
        match self.young.index.binary_search(&index) {
            Ok(at) => {
                self.young.y[at] = y;
                self.young.x[at * p..(at + 1) * p].copy_from_slice(&x);
            }
            Err(at) => self.young.insert(at, index, &x, y),
        }
    }

    /// Settles what is older than `before`.
    pub fn settle(&mut self, before: i64, decay: f32) {
        let p = self.right.len();
        let old = self.young.index.partition_point(|index| *index < before);
        for at in (0..old).filter(|at| self.young.y[*at].is_finite()) {
            let x = &self.young.x[at * p..(at + 1) * p];
            let row: Vec<f32> = x.iter().map(|x| f32::from(*x) / UNIT).collect();
            self.gram.settle(f64::from(decay), &row);
            let y = self.young.y[at];
            self.right.iter_mut().zip(row).for_each(|(sum, x)| *sum = *sum * decay + x * y);
            self.settled += 1;
        }
        self.young.remove(0..old, p);
    }

    /// Corrects the value of a young target, NaN: it is missing; `false` where there is none.
    pub fn correct(&mut self, index: i64, y: f32) -> bool {
        let found = self.young.index.binary_search(&index);
        found.map(|at| self.young.y[at] = y).is_ok()
    }

    /// The young targets after `index` with their rows, to be corrected.
    pub fn rows_after(&mut self, index: i64) -> impl Iterator<Item = (i64, &mut [i16])> {
        let at = self.young.index.partition_point(|young| *young <= index);
        let p = self.right.len();
        self.young.index[at..].iter().copied().zip(self.young.x[at * p..].chunks_exact_mut(p))
    }

    /// Adds its sums, weighted, to others.
    pub fn add_to(&self, sums: &mut Packed, weight: f64, rows: &mut Vec<f64>) {
        sums.solved.clear();
        self.gram.add_to(&mut sums.gram, weight);
        for (sum, entry) in sums.right.iter_mut().zip(&self.right) {
            *sum += weight * f64::from(*entry);
        }
        let (mut values, mut held) = ([0.0; BATCH], 0);
        rows.clear();
        for (x, y) in self.young.x.chunks_exact(self.right.len()).zip(&self.young.y) {
            if !y.is_finite() {
                continue;
            }
            rows.extend(x.iter().map(|x| f64::from(*x) / f64::from(UNIT)));
            values[held] = *y;
            held += 1;
            if held == BATCH {
                add_rows(&mut sums.gram, &mut sums.right, rows, &values, weight);
                rows.clear();
                held = 0;
            }
        }
        add_rows(&mut sums.gram, &mut sums.right, rows, &values[..held], weight);
    }
}

/// Sums in the making, and what is needed to solve them; kept between solutions.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    gram: Vec<f64>,
    right: Vec<f64>,
    chosen_gram: Vec<f64>,
    chosen_right: Vec<f64>,
    factor: Factor,
    /// The features of the factor, and its ridge.
    solved: Vec<usize>,
    ridge: f64,
}

impl Packed {
    /// Empties it for `p` features.
    pub fn clear(&mut self, p: usize) {
        self.gram.clear();
        self.gram.resize(packed_len(p), 0.0);
        self.right.clear();
        self.right.resize(p, 0.0);
        self.solved.clear();
    }

    /// The packed triangle and the right side, as they were added up.
    pub fn sums(&self) -> (&[f64], &[f64]) {
        (&self.gram, &self.right)
    }

    /// The coefficients of the `chosen` features, in ascending order, up to the last of them; those
    /// between are 0. The first feature, the constant, is next to free of the ridge.
    ///
    /// What is chosen often begins what was chosen before. Its factor is then the beginning of that
    /// one, and costs nothing.
    pub fn solve(&mut self, chosen: &[usize], ridge: f64, beta: &mut Vec<f32>) {
        if self.ridge != ridge || !self.solved.starts_with(chosen) {
            self.factorise(chosen, ridge);
        }
        self.chosen_right.clear();
        self.chosen_right.extend(chosen.iter().map(|c| self.right[*c]));
        self.factor.solve(&mut self.chosen_right);
        let end = chosen.last().map_or(0, |last| last + 1);
        beta.clear();
        beta.reserve_exact(end);
        beta.resize(end, 0.0);
        for (c, value) in chosen.iter().zip(&self.chosen_right) {
            beta[*c] = *value as f32;
        }
    }

    fn factorise(&mut self, chosen: &[usize], ridge: f64) {
        self.chosen_gram.clear();
        for (i, ci) in chosen.iter().enumerate() {
            let row = &self.gram[packed_len(*ci)..packed_len(*ci) + ci + 1];
            self.chosen_gram.extend(chosen[..=i].iter().map(|cj| row[*cj]));
            let ridge = if *ci == 0 { 1e-3 } else { ridge };
            *self.chosen_gram.last_mut().expect("the diagonal") += ridge;
        }
        self.factor.set(&self.chosen_gram, chosen.len(), 1e-10);
        self.solved.clear();
        self.solved.extend_from_slice(chosen);
        self.ridge = ridge;
    }

    /// How far features lie from what was last solved, if the `chosen` ones begin it; see
    /// [`Factor::leverage`].
    pub fn leverage(&self, chosen: &[usize], x: &[i16]) -> f64 {
        debug_assert!(self.solved.starts_with(chosen), "of what was last solved");
        let scaled = |c: &usize| f64::from(x[*c]) / f64::from(UNIT);
        let x: Vec<f64> = chosen.iter().map(scaled).collect();
        self.factor.leverage(&x)
    }
}
