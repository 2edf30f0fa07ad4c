//! What trees learn from: the rows that were learned, with what the ridges missed.

use serde::Deserialize;
use serde::Serialize;

use crate::boost::Booster;
use crate::boost::Objective;
use crate::boost::Params;

/// Rows that trees learn from at least.
pub(super) const ROWS_MIN: usize = 1_200;

/// Rows that trees learn from at most: the newest.
pub(super) const ROWS_MAX: usize = 40_000;

/// Rows by column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tape {
    #[serde(with = "crate::bits::nested")]
    columns: Vec<Vec<f32>>,
    #[serde(with = "crate::bits")]
    missed: Vec<f32>,
}

impl Tape {
    /// Adds a row; the oldest go when there are too many.
    pub(super) fn note(&mut self, row: Vec<f32>, missed: f32) {
        if self.columns.is_empty() {
            self.columns = vec![Vec::new(); row.len()];
        }
        self.columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        self.missed.push(missed);
        if self.missed.len() > ROWS_MAX + ROWS_MAX / 8 {
            let gone = self.missed.len() - ROWS_MAX;
            self.columns.iter_mut().for_each(|column| drop(column.drain(..gone)));
            self.missed.drain(..gone);
        }
    }

    /// Trees from all rows; none from too few.
    pub(super) fn grow(&self) -> Option<Booster> {
        if self.missed.len() < ROWS_MIN {
            return None;
        }
        Booster::fit(&self.columns, &self.missed, None, &params()).ok()
    }
}

/// Many small steps: what is left over after the ridges is mostly noise.
fn params() -> Params {
    Params {
        objective: Objective::Absolute,
        trees: 300,
        leaves: 31,
        learning_rate: 0.04,
        rows_leaf_min: 30,
        l2: 1.0,
        feature_fraction: 0.5,
        row_fraction: 0.7,
        row_fraction_every: 1,
        early_stop: None,
        seed: 1,
        ..Params::default()
    }
}
