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
//! corrections came.
//!
//! # Bounds
//!
//! A slot holds p(p+1)/2 + p settled sums (4 bytes) and its young rows of p numbers (2 bytes).

use std::collections::VecDeque;

use serde::Deserialize;
use serde::Serialize;

use crate::ridge::Factor;
use crate::ridge::add_row;
use crate::ridge::packed_len;

/// Days within which a reading may still be corrected.
pub const YOUNG_DAYS: i64 = 15;

/// One unit of a scaled feature in fixed point; a feature lies within ±8 (less one step).
pub const UNIT: f32 = 4096.0;

/// A target that was learned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The target's index.
    pub index: i64,
    /// Its features in fixed point, see [`UNIT`].
    #[serde(with = "crate::bits")]
    pub x: Vec<i16>,
    /// Its value, over the series' scale.
    pub y: f32,
}

/// One slot's sums.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    #[serde(with = "crate::bits")]
    gram: Vec<f32>,
    #[serde(with = "crate::bits")]
    right: Vec<f32>,
    young: VecDeque<Sample>,
    settled: u32,
}

impl Slot {
    /// A slot that has seen nothing of `p` features.
    pub fn new(p: usize) -> Slot {
        let (gram, right) = (vec![0.0; packed_len(p)], vec![0.0; p]);
        Slot { gram, right, young: VecDeque::new(), settled: 0 }
    }

    /// Samples that were learned.
    pub fn count(&self) -> usize {
        self.settled as usize + self.young.len()
    }

    /// Learns a target, in its place in time: the one that stood there is replaced.
    pub fn learn(&mut self, sample: Sample) {
        match self.young.binary_search_by_key(&sample.index, |young| young.index) {
            Ok(at) => self.young[at] = sample,
            Err(at) => self.young.insert(at, sample),
        }
    }

    /// Unlearns a young target; `false` where there was none.
    pub fn unlearn(&mut self, index: i64) -> bool {
        let found = self.young.binary_search_by_key(&index, |young| young.index);
        found.is_ok_and(|at| self.young.remove(at).is_some())
    }

    /// Settles what is older than `before`.
    pub fn settle(&mut self, before: i64, decay: f32) {
        while self.young.front().is_some_and(|sample| sample.index < before) {
            let sample = self.young.pop_front().expect("there is a front");
            self.gram.iter_mut().for_each(|entry| *entry *= decay);
            self.right.iter_mut().for_each(|entry| *entry *= decay);
            let row: Vec<f32> = sample.x.iter().map(|x| f32::from(*x) / UNIT).collect();
            add_row(&mut self.gram, &mut self.right, &row, sample.y, 1.0);
            self.settled += 1;
        }
    }

    /// The targets that may still be corrected, oldest first.
    pub fn young(&self) -> impl Iterator<Item = &Sample> {
        self.young.iter()
    }

    /// The same, to be corrected.
    pub fn young_mut(&mut self) -> impl Iterator<Item = &mut Sample> {
        self.young.iter_mut()
    }

    /// Adds its sums, weighted, to others.
    pub fn add_to(&self, sums: &mut Packed, weight: f64, row: &mut Vec<f64>) {
        for (sum, entry) in sums.gram.iter_mut().zip(&self.gram) {
            *sum += weight * f64::from(*entry);
        }
        for (sum, entry) in sums.right.iter_mut().zip(&self.right) {
            *sum += weight * f64::from(*entry);
        }
        for sample in &self.young {
            row.clear();
            row.extend(sample.x.iter().map(|x| f64::from(*x) / f64::from(UNIT)));
            add_row(&mut sums.gram, &mut sums.right, row, f64::from(sample.y), weight);
        }
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
}

impl Packed {
    /// Empties it for `p` features.
    pub fn clear(&mut self, p: usize) {
        self.gram.clear();
        self.gram.resize(packed_len(p), 0.0);
        self.right.clear();
        self.right.resize(p, 0.0);
    }

    /// The packed triangle and the right side, as they were added up.
    pub fn sums(&self) -> (&[f64], &[f64]) {
        (&self.gram, &self.right)
    }

    /// The coefficients of the `chosen` features, in ascending order; those of the others are 0.
    /// The first feature, the constant, is next to free of the ridge.
    pub fn solve(&mut self, chosen: &[usize], ridge: f64, beta: &mut Vec<f32>) {
        self.chosen_gram.clear();
        for (i, ci) in chosen.iter().enumerate() {
            let row = &self.gram[packed_len(*ci)..packed_len(*ci) + ci + 1];
            self.chosen_gram.extend(chosen[..=i].iter().map(|cj| row[*cj]));
            let ridge = if *ci == 0 { 1e-3 } else { ridge };
            *self.chosen_gram.last_mut().expect("the diagonal") += ridge;
        }
        self.factor.set(&self.chosen_gram, chosen.len(), 1e-10);
        self.chosen_right.clear();
        self.chosen_right.extend(chosen.iter().map(|c| self.right[*c]));
        self.factor.solve(&mut self.chosen_right);
        beta.clear();
        beta.resize(self.right.len(), 0.0);
        for (c, value) in chosen.iter().zip(&self.chosen_right) {
            beta[*c] = *value as f32;
        }
    }

    /// How far features lie from what was last solved; see [`Factor::leverage`].
    pub fn leverage(&self, chosen: &[usize], x: &[i16]) -> f64 {
        let scaled = |c: &usize| f64::from(x[*c]) / f64::from(UNIT);
        let x: Vec<f64> = chosen.iter().map(scaled).collect();
        self.factor.leverage(&x)
    }
}
