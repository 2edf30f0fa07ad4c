//! [`Table`]: a view as a kernel sees it, one row a key, kept current by changes.
//!
//! A view that an agent reads has at most one row a key (a bus, a device, a feeder). Within a tick
//! the old row goes and the new one comes; goings are applied first, so that the order of the rows
//! in a change is of no consequence.
//!
//! # Bounds
//!
//! As many rows as the view has keys.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use schemas::relation::Relation;

use crate::kernel::Change;

/// The rows of one input, by key.
#[derive(Clone, Debug)]
pub struct Table<K, R> {
    key: fn(&R) -> K,

    rows: BTreeMap<K, R>,
}

impl<K: Ord + Clone, R: Relation> Table<K, R> {
    /// An empty table with this key.
    pub fn new(key: fn(&R) -> K) -> Table<K, R> {
        Table { key, rows: BTreeMap::new() }
    }

    /// Applies a change.
    pub fn apply(&mut self, change: &Change) {
        self.change(change, |_| {});
    }

    /// Applies a change; gives the keys that it touched, in order.
    pub fn apply_touched(&mut self, change: &Change) -> BTreeSet<K> {
        let mut touched = BTreeSet::new();
        self.change(change, |key| {
            touched.insert(key.clone());
        });
        touched
    }

    fn change(&mut self, change: &Change, mut touched: impl FnMut(&K)) {
        let came: Vec<(K, R)> = change.events::<R>().map(|row| ((self.key)(&row), row)).collect();
        // One row a key: if each that came replaces one and as many went, it is those that went,
        // and nobody need read them.
        let replaced = change.diffs.len() == 2 * came.len()
            && came.iter().all(|(key, _)| self.rows.contains_key(key));
        if !replaced {
            for row in change.gone::<R>() {
                let key = (self.key)(&row);
                self.rows.remove(&key);
                touched(&key);
            }
        }
        for (key, row) in came {
            touched(&key);
            self.rows.insert(key, row);
        }
    }

    /// The row of a key.
    pub fn get(&self, key: &K) -> Option<&R> {
        self.rows.get(key)
    }

    /// All rows, in key order.
    pub fn rows(&self) -> impl Iterator<Item = &R> {
        self.rows.values()
    }

    /// All keys and rows, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &R)> {
        self.rows.iter()
    }
}

/// A key within a feeder: the feeder, then the device or bus.
pub type InFeeder = (String, String);

impl<R: Relation> Table<InFeeder, R> {
    /// The rows of one feeder, in key order.
    pub fn of_feeder<'a>(&'a self, feeder_id: &'a str) -> impl Iterator<Item = &'a R> {
        let from = (feeder_id.to_owned(), String::new());
        self.rows.range(from..).take_while(move |(key, _)| key.0 == feeder_id).map(|(_, row)| row)
    }
}

#[cfg(test)]
mod tests {
    use schemas::state::FeederNow;
    use schemas::time::Timestamp;

    use super::*;

    fn row(feeder: &str, head_kw: f64) -> FeederNow {
        let measured_at = Timestamp(5_000);
        FeederNow { feeder_id: feeder.to_owned(), measured_at, head_kw, limit_kw: 114.0 }
    }

    #[test]
    fn the_new_row_stands_whatever_the_order_in_the_change() {
        for order in [[0, 1], [1, 0]] {
            let mut table = Table::new(|r: &FeederNow| r.feeder_id.clone());
            table.apply(&Change::of(&[row("f", 1.0), row("g", 9.0)], vec![1, 1]));
            let (rows, diffs) = ([row("f", 1.0), row("f", 2.0)], [-1, 1]);
            let rows = order.map(|i| rows[i].clone());
            let touched = table.apply_touched(&Change::of(&rows, order.map(|i| diffs[i]).to_vec()));
            assert_eq!(touched.into_iter().collect::<Vec<_>>(), ["f"]);
            assert_eq!(table.get(&"f".to_owned()), Some(&row("f", 2.0)));
            assert_eq!(table.rows().count(), 2);
        }
    }

    #[test]
    fn a_row_that_goes_is_gone() {
        let mut table = Table::new(|r: &FeederNow| r.feeder_id.clone());
        table.apply(&Change::of(&[row("f", 1.0)], vec![1]));
        table.apply(&Change::of(&[row("f", 1.0)], vec![-1]));
        assert_eq!(table.rows().count(), 0);
    }
}
