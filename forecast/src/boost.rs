//! Gradient-boosted regression trees of our own, in the manner of LightGBM.
//!
//! Each tree is grown on the gradient of the loss at the sum of the trees before it (Friedman 2001,
//! *Greedy function approximation: a gradient boosting machine*). What makes it fast is what Ke et
//! al. 2017 (*LightGBM: a highly efficient gradient boosting decision tree*) describe: a value is
//! known only by its bin (one byte), a split is searched in a histogram of gradients, the leaf that
//! gains most is split next, and the histogram of the larger child is that of the parent less that
//! of the smaller.
//!
//! Sums of gradients are kept as whole numbers (see `boost/histogram.rs`). So no order of addition
//! and no subtraction can change a bit, and one addition a value carries gradient and count
//! together.
//!
//! # Invariants
//!
//! The same columns, targets, weights and [`Params`] give the same [`Booster`], to the bit, and a
//! booster read back from its record predicts the same bits. No thread, clock or hash is asked.
//!
//! # Bounds
//!
//! Fitting holds two bytes a value, and `leaves` histograms of 2 kB a feature (4 kB with weights).
//! A booster holds 32 bytes a node, at most `trees * (2 * leaves - 1)` nodes.
//!
//! # What it does not do
//!
//! Categories are not split as sets: give them as numbers or as columns of 0 and 1. The path
//! attribution of [`Booster::contributions`] is that of Saabas (2014), which is exact in its sum
//! but, unlike Shapley values, credits the features near the root less than those below.

use serde::Deserialize;
use serde::Serialize;

mod bins;
pub(crate) mod chance;
mod fit;
mod grow;
mod histogram;
mod loss;
mod tree;

use tree::Tree;

/// Rows that a fit takes at most.
///
/// A sum of gradients and a count share 64 bits: with 2^24 rows, 15 bits are left to tell one
/// gradient from another, and fewer would show in the splits.
pub const ROWS_MAX: usize = (1 << 24) - 1;

/// Features that a fit takes at most: a node's code (feature and direction) is 16 bits.
pub const FEATURES_MAX: usize = (1 << 15) - 1;

/// Leaves that a tree has at most: a node's number is 16 bits, and there are two nodes a leaf.
pub const LEAVES_MAX: usize = 1 << 15;

const _: () = assert!(2 * LEAVES_MAX - 1 <= u16::MAX as usize);

/// What a fit makes small, in the units of the target.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Half of the squared error: predicts the mean.
    Squared,
    /// The absolute error: predicts the median. A leaf's value is the median of its residuals, as
    /// in LightGBM's `regression_l1`, since the gradient knows only signs.
    Absolute,
    /// Huber's loss (Huber 1964): squared up to `delta`, linear beyond. A tree moves a prediction
    /// by `learning_rate * delta` at most, so that all trees together must span the targets.
    Huber {
        /// Where squared turns into linear, in the units of the target, above 0.
        delta: f64,
    },
    /// The pinball loss (Koenker and Bassett 1978): predicts the quantile `level`. Leaves are
    /// renewed with that quantile of their residuals.
    Quantile {
        /// Share of the outcomes that shall lie below, between 0 and 1, both excluded.
        level: f64,
    },
}

/// When to stop before the last tree: the last rows are kept aside to judge by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlyStop {
    /// Rows at the end that are not learned from, fewer than there are.
    pub rows_tail: usize,
    /// Trees without a better loss on the tail after which the fit ends, at least 1. The booster
    /// keeps the trees up to the best.
    pub patience: usize,
}

/// How to fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Params {
    /// What is made small.
    pub objective: Objective,
    /// Trees at most.
    pub trees: usize,
    /// Leaves a tree at most, 2 to [`LEAVES_MAX`].
    pub leaves: usize,
    /// Share of a leaf's value that is taken, above 0 and at most 1.
    pub learning_rate: f64,
    /// Rows that each leaf must hold at least, at least 1.
    pub rows_leaf_min: usize,
    /// Added to the sum of weights of a leaf, at least 0: draws small leaves to 0.
    pub l2: f64,
    /// Bins a feature at most, the one for missing values included, 3 to 255.
    pub bins_max: usize,
    /// Share of the features that each tree sees, above 0 and at most 1.
    pub feature_fraction: f64,
    /// Share of the rows that each tree sees, above 0 and at most 1.
    pub row_fraction: f64,
    /// Trees after which the rows are drawn anew, at least 1.
    pub row_fraction_every: usize,
    /// When to stop before the last tree.
    pub early_stop: Option<EarlyStop>,
    /// Where the draws of rows and features start. The same seed draws the same.
    pub seed: u64,
}

impl Default for Params {
    /// LightGBM's defaults, but 300 trees.
    fn default() -> Params {
        Params {
            objective: Objective::Squared,
            trees: 300,
            leaves: 31,
            learning_rate: 0.1,
            rows_leaf_min: 20,
            l2: 0.0,
            bins_max: 255,
            feature_fraction: 1.0,
            row_fraction: 1.0,
            row_fraction_every: 1,
            early_stop: None,
            seed: 1,
        }
    }
}

/// Why a booster could not be fitted, or not be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BoostError {
    /// A column, the targets or the weights have another length than the rest.
    #[error("{what} has {rows} rows where the first column has {expected}")]
    Shape {
        /// Which of them.
        what: String,
        /// Its rows.
        rows: usize,
        /// The rows of the first column.
        expected: usize,
    },
    /// Nothing to learn from, or more than a fit can hold.
    #[error("{rows} rows of {features} features cannot be fitted")]
    Size {
        /// Rows that would be learned from.
        rows: usize,
        /// Columns given.
        features: usize,
    },
    /// A target that is not finite, or a weight that is not finite and above 0.
    #[error("row {row}: {what} is {value}")]
    Value {
        /// `target` or `weight`.
        what: &'static str,
        /// Which row.
        row: usize,
        /// What stands there.
        value: f32,
    },
    /// A parameter outside its range.
    #[error("parameter {name} is out of range")]
    Parameter {
        /// Its name in [`Params`].
        name: &'static str,
    },
    /// A record of a booster that no booster wrote.
    #[error("record of tree {tree} is broken")]
    Record {
        /// Which tree.
        tree: usize,
    },
}

/// Trees and what they start from: what was learned.
///
/// Its record (`serde`) holds, a tree, one code and one value a node in preorder and the rows of
/// each leaf; children follow from the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct Booster {
    base: f64,
    gains: Vec<f64>,
    trees: Vec<Tree>,
}

/// What is written of a booster.
#[derive(Serialize, Deserialize)]
struct Record {
    base: f64,
    gains: Vec<f64>,
    trees: Vec<tree::Record>,
}

impl From<Booster> for Record {
    fn from(booster: Booster) -> Record {
        let trees = booster.trees.iter().map(Tree::record).collect();
        Record { base: booster.base, gains: booster.gains, trees }
    }
}

impl TryFrom<Record> for Booster {
    type Error = BoostError;

    fn try_from(record: Record) -> Result<Booster, BoostError> {
        let features = record.gains.len();
        let trees = (record.trees.iter().enumerate())
            .map(|(tree, record)| Tree::read(record, features).ok_or(BoostError::Record { tree }))
            .collect::<Result<Vec<Tree>, BoostError>>()?;
        Ok(Booster { base: record.base, gains: record.gains, trees })
    }
}

impl Booster {
    /// Learns `targets` from `columns` (one a feature, each with a value a row).
    ///
    /// A value that is not finite counts as missing, and each split learns to which side missing
    /// values go; where it saw none, they go with the more rows. Weights count rows: a row of
    /// weight 2 is learned as if it stood there twice, except that `rows_leaf_min` counts it once.
    ///
    /// # Errors
    ///
    /// [`BoostError::Shape`], [`BoostError::Size`], [`BoostError::Value`] and
    /// [`BoostError::Parameter`], each before anything is learned.
    pub fn fit<C: AsRef<[f32]>>(
        columns: &[C],
        targets: &[f32],
        weights: Option<&[f32]>,
        params: &Params,
    ) -> Result<Booster, BoostError> {
        let columns: Vec<&[f32]> = columns.iter().map(AsRef::as_ref).collect();
        fit::fit(&columns, targets, weights, params)
    }

    /// Features a row has.
    pub fn features(&self) -> usize {
        self.gains.len()
    }

    /// Trees that were kept.
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// The value predicted for one row (a value a feature), in the units of the target.
    ///
    /// # Panics
    ///
    /// When the row has another number of features than the fit.
    pub fn predict(&self, row: &[f32]) -> f64 {
        let mut out = [0.0];
        self.predict_into(row, &mut out);
        out[0]
    }

    /// Predicts many rows, written one after the other in `rows`, into `out`: the same bits as
    /// [`Booster::predict`] row by row, but several rows walk down a tree at once.
    ///
    /// # Panics
    ///
    /// When `rows` does not hold `out.len()` rows of as many features as the fit had.
    pub fn predict_into(&self, rows: &[f32], out: &mut [f64]) {
        let features = self.features();
        assert_eq!(rows.len(), out.len() * features, "a value a feature and row");
        let mut block = Vec::with_capacity(tree::BLOCK.min(out.len()) * features);
        let parts = rows.chunks(tree::BLOCK * features).zip(out.chunks_mut(tree::BLOCK));
        for (rows, out) in parts {
            block.clear();
            block.extend(rows.iter().map(|&x| if x.is_finite() { x } else { f32::NAN }));
            out.fill(self.base);
            for tree in &self.trees {
                tree.add_to(&block, features, out);
            }
        }
    }

    /// What each feature contributed to the prediction of `row`, and last the base.
    ///
    /// Their sum is the prediction up to rounding. On the way from the root to the leaf, the change
    /// of the mean prediction at each split is credited to the feature asked there (Saabas 2014).
    ///
    /// # Panics
    ///
    /// When the row has another number of features than the fit.
    pub fn contributions(&self, row: &[f32]) -> Vec<f64> {
        assert_eq!(row.len(), self.features(), "a value a feature");
        let mut contributions = vec![0.0; row.len() + 1];
        contributions[row.len()] = self.base;
        for tree in &self.trees {
            tree.contribute(row, &mut contributions);
        }
        contributions
    }

    /// Loss that the splits on each feature took away in all while fitting: a figure to compare
    /// features by, in squared units of the gradient.
    pub fn importance(&self) -> &[f64] {
        &self.gains
    }
}
