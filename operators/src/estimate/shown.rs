//! Rows that hold the present, one a key: what comes, and with it what goes.
//!
//! An element has one row at most; a new one takes the old one's place when it differs by enough to
//! be worth saying, and an element that is no longer there has none.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use schemas::decision::Alarm;
use schemas::estimate::EstimateCorrection;
use schemas::estimate::EstimateObservability;
use schemas::estimate::EstimateResidual;
use schemas::estimate::EstimatedBranch;
use schemas::estimate::EstimatedBus;
use schemas::relation::Relation;
use serde::Deserialize;
use serde::Serialize;

use crate::kernel::Change;

/// Changes of one output.
#[derive(Debug)]
pub struct Out<R> {
    rows: Vec<R>,
    diffs: Vec<i64>,
}

impl<R> Default for Out<R> {
    fn default() -> Out<R> {
        Out { rows: Vec::new(), diffs: Vec::new() }
    }
}

impl<R: Relation + Clone + PartialEq> Out<R> {
    fn push(&mut self, row: R, diff: i64) {
        self.rows.push(row);
        self.diffs.push(diff);
    }

    /// Puts a row in the place of its key's; `None` takes it away.
    pub fn set<K: Ord>(&mut self, shown: &mut BTreeMap<K, R>, key: K, row: Option<R>) {
        let before = match row.clone() {
            Some(row) => shown.insert(key, row),
            None => shown.remove(&key),
        };
        if before == row {
            return;
        }
        before.into_iter().for_each(|before| self.push(before, -1));
        row.into_iter().for_each(|row| self.push(row, 1));
    }

    /// Takes rows away.
    pub fn gone(&mut self, rows: impl IntoIterator<Item = R>) {
        rows.into_iter().for_each(|row| self.push(row, -1));
    }

    fn change(self) -> Change {
        Change::of(&self.rows, self.diffs)
    }
}

/// Changes of all outputs.
#[derive(Debug, Default)]
pub struct Outs {
    /// Of `estimates.branches`.
    pub branches: Out<EstimatedBranch>,
    /// Of `estimates.buses`.
    pub buses: Out<EstimatedBus>,
    /// Of `estimates.corrections`.
    pub corrections: Out<EstimateCorrection>,
    /// Of `estimates.observability`.
    pub observability: Out<EstimateObservability>,
    /// Of `estimates.residuals`.
    pub residuals: Out<EstimateResidual>,
    /// New rows of `alarms`.
    pub alarms: Vec<Alarm>,
}

impl Outs {
    /// As changes, in the order of the outputs.
    pub fn changes(self) -> Vec<Change> {
        vec![
            self.branches.change(),
            self.buses.change(),
            self.corrections.change(),
            self.observability.change(),
            self.residuals.change(),
            Change::came(Alarm::to_batch(&self.alarms)),
        ]
    }
}

/// The rows of a feeder that stand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// By branch.
    pub branches: BTreeMap<String, EstimatedBranch>,
    /// By bus.
    pub buses: BTreeMap<String, EstimatedBus>,
    /// By the tick they speak of, then by bus.
    pub corrections: BTreeMap<u64, BTreeMap<String, EstimateCorrection>>,
    /// One, by the feeder's name.
    pub observability: BTreeMap<String, EstimateObservability>,
    /// By point.
    pub residuals: BTreeMap<String, EstimateResidual>,
}

impl Shown {
    /// Takes away the state of elements, where there is none at this tick.
    pub fn clear(&mut self, out: &mut Outs) {
        out.branches.gone(std::mem::take(&mut self.branches).into_values());
        out.buses.gone(std::mem::take(&mut self.buses).into_values());
        out.residuals.gone(std::mem::take(&mut self.residuals).into_values());
    }

    /// Takes away the state of elements other than these.
    pub fn keep(&mut self, buses: &[String], branches: &[String], out: &mut Outs) {
        out.buses.gone(others(&mut self.buses, buses));
        out.branches.gone(others(&mut self.branches, branches));
    }

    /// Takes away corrections of ticks before this one.
    pub fn forget_corrections(&mut self, before_ms: u64, out: &mut Outs) {
        let kept = self.corrections.split_off(&before_ms);
        let gone = std::mem::replace(&mut self.corrections, kept);
        out.corrections.gone(gone.into_values().flat_map(BTreeMap::into_values));
    }
}

/// Takes out the rows of all but these.
fn others<R>(rows: &mut BTreeMap<String, R>, names: &[String]) -> Vec<R> {
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let (kept, gone): (BTreeMap<String, R>, BTreeMap<String, R>) =
        std::mem::take(rows).into_iter().partition(|(name, _)| names.contains(name.as_str()));
    *rows = kept;
    gone.into_values().collect()
}

/// Whether two values are further apart than `by`, or one of them is missing.
pub fn apart(a: Option<f64>, b: Option<f64>, by: f64) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() > by,
        (None, None) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_before_goes_with_the_row_that_comes() {
        let (mut shown, mut out) = (BTreeMap::new(), Out::default());
        let row = |vm_pu| EstimatedBus { vm_pu: Some(vm_pu), ..EstimatedBus::example() };
        out.set(&mut shown, "b", Some(row(1.0)));
        out.set(&mut shown, "b", Some(row(1.0)));
        out.set(&mut shown, "b", Some(row(0.9)));
        out.set(&mut shown, "b", None);
        assert_eq!(out.diffs, [1, -1, 1, -1]);
        assert_eq!(out.rows, [row(1.0), row(1.0), row(0.9), row(0.9)]);
        assert!(shown.is_empty());
    }

    #[test]
    fn the_rows_of_other_elements_go() {
        let (mut shown, mut out) = (Shown::default(), Outs::default());
        for bus_id in ["a", "b", "c"] {
            let row = EstimatedBus { bus_id: bus_id.to_owned(), ..EstimatedBus::example() };
            shown.buses.insert(bus_id.to_owned(), row);
        }
        shown.keep(&["a".to_owned(), "c".to_owned(), "d".to_owned()], &[], &mut out);
        assert_eq!(shown.buses.into_keys().collect::<Vec<String>>(), ["a", "c"]);
        assert_eq!(out.buses.diffs, [-1]);
        assert_eq!(out.buses.rows[0].bus_id, "b");
    }

    #[test]
    fn what_is_missing_is_apart_from_what_is_there() {
        assert!(apart(Some(1.0), None, 9.0) && apart(Some(1.0), Some(1.2), 0.1));
        assert!(!apart(None, None, 0.0) && !apart(Some(1.0), Some(1.05), 0.1));
    }
}
