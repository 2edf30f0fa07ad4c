//! Reference tables on their way in: whole before the first tick, then only what changed since.
//!
//! A table's rows are logged with the tick that brings them, so a replay needs no file. Rows that
//! are taken away are logged under the table's name with a `-` before it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use arrow_array::Array;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;

use crate::delta::Diff;

/// What marks rows that are taken away.
const AWAY: &str = "-";

/// The tables as the dataflow has them.
#[derive(Default)]
pub(super) struct Tables {
    current: BTreeMap<String, RecordBatch>,
    due: Vec<(String, RecordBatch)>,
}

impl Tables {
    /// Notes what a replayed commit brought.
    pub(super) fn replayed(&mut self, name: &str, batch: &RecordBatch) {
        match signed(name) {
            (name, diff) if diff > 0 => self.current.insert(name.to_owned(), batch.clone()),
            (name, _) => self.current.remove(name),
        };
    }

    /// Makes the tables be these from the next tick on.
    pub(super) fn expect(&mut self, tables: Vec<(String, RecordBatch)>) {
        for (name, batch) in tables {
            let old = self.current.get(&name);
            if old == Some(&batch) {
                continue;
            }
            if let Some(old) = old {
                tracing::info!(table = %name, rows = batch.num_rows(), "the table changed");
                self.due.push((format!("{AWAY}{name}"), old.clone()));
            }
            self.current.insert(name.clone(), batch.clone());
            self.due.push((name, batch));
        }
    }

    /// The tables' rows.
    pub(super) fn rows(&self) -> BTreeMap<String, RecordBatch> {
        self.current.clone()
    }

    /// What goes with the next tick.
    pub(super) fn due(&mut self) -> Vec<(String, RecordBatch)> {
        std::mem::take(&mut self.due)
    }
}

/// The table of a logged name, and whether its rows come or go.
pub(super) fn signed(name: &str) -> (&str, Diff) {
    match name.strip_prefix(AWAY) {
        Some(name) => (name, -1),
        None => (name, 1),
    }
}

/// The values of a text column, or `None` if there is no such column.
pub(super) fn names(rows: &RecordBatch, column: &str) -> Option<BTreeSet<String>> {
    let column = rows.column_by_name(column)?.as_string_opt::<i32>()?;
    let valid = (0..column.len()).filter(|row| column.is_valid(*row));
    Some(valid.map(|row| column.value(row).to_owned()).collect())
}
