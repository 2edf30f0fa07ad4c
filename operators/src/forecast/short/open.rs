//! Quarters that are over and not yet in their series.
//!
//! # Bounds
//!
//! The newest [`KEPT`]: of a series that has not begun, more of the past is of no use.

use std::collections::BTreeMap;

use forecast::ridge::Factor;
use forecast::short::KEPT;
use serde::Deserialize;
use serde::Serialize;

use super::series::Series;

/// See [`self`]. In kW.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Open(BTreeMap<i64, f64>);

impl Open {
    /// A quarter that is over.
    pub(super) fn hear(&mut self, quarter: i64, kw: f64) {
        self.0.insert(quarter, kw);
        while self.0.len() > KEPT as usize {
            self.0.pop_first();
        }
    }

    /// The oldest.
    pub(super) fn first(&self) -> Option<i64> {
        self.0.first_key_value().map(|(quarter, _)| *quarter)
    }

    /// The series takes in the quarters before `next`, from `first` on where it has none. `counts`
    /// says what each counts as, of one that was heard and of one that was not: NaN is missing.
    pub(super) fn flow_into(
        &mut self,
        series: &mut Series,
        (first, next): (i64, i64),
        factor: &mut Factor,
        mut counts: impl FnMut(&Series, i64, Option<f64>) -> f64,
    ) {
        series.begin(first, next);
        for quarter in series.short.end()..next {
            let kw = counts(series, quarter, self.0.remove(&quarter));
            series.short.push(kw, factor);
        }
        self.0.clear();
    }
}
