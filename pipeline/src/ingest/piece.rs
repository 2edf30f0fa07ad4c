//! A piece of a partition, record by record, and what becomes of each.
//!
//! A door gives rows, deletions and refusals as three lists with positions; [`in_order`] is the
//! one order that they stood in. What is judged is gathered by tick as *runs*: rows that follow one
//! another, or keys that are deleted one after another. So where a key is written, deleted and
//! written again within a tick, the order survives, and where nothing is deleted a tick's rows are
//! one batch.

use std::collections::BTreeMap;
use std::iter::Peekable;

use arrow_array::RecordBatch;
use arrow_array::UInt32Array;
use arrow_select::take::take_record_batch;
use connectors::source::Fetched;
use connectors::source::Position;
use connectors::source::Refused;
use schemas::quarantine::Quarantined;
use schemas::time::Timestamp;

use super::partition::Partition;

/// What stands at a position.
#[derive(Clone, Copy, Debug)]
pub(super) enum Record<'a> {
    /// A row, by its number.
    Row(usize),
    /// A key that is gone, by its number.
    Deleted(usize),
    /// What its door could not read.
    Refused(&'a Refused),
}

/// The records of a piece in the order of their positions.
pub(super) fn in_order(fetched: &Fetched) -> impl Iterator<Item = (Position, Record<'_>)> {
    let mut rows = numbered(&fetched.positions);
    let mut deleted = numbered(fetched.deleted.as_ref().map_or(&[], |d| d.positions.as_slice()));
    let mut refused = fetched.refused.iter().peekable();
    std::iter::from_fn(move || {
        let row = rows.peek().map_or(Position::MAX, |(_, position)| *position);
        let gone = deleted.peek().map_or(Position::MAX, |(_, position)| *position);
        if let Some(refused) = refused.next_if(|refused| refused.position < row.min(gone)) {
            return Some((refused.position, Record::Refused(refused)));
        }
        if row < gone {
            return rows.next().map(|(row, position)| (position, Record::Row(row)));
        }
        deleted.next().map(|(key, position)| (position, Record::Deleted(key)))
    })
}

fn numbered(positions: &[Position]) -> Peekable<impl Iterator<Item = (usize, Position)>> {
    positions.iter().copied().enumerate().peekable()
}

/// Rows or deleted keys that follow one another and enter the same tick.
#[derive(Debug)]
pub(super) struct Run {
    /// The position of the first.
    pub(super) first: Position,
    /// Whether they are keys that are gone.
    pub(super) deleted: bool,
    rows: Vec<u32>,
}

impl Run {
    /// The rows, or the keys.
    pub(super) fn batch(self, fetched: &Fetched) -> RecordBatch {
        let whole = match &fetched.deleted {
            Some(deletions) if self.deleted => &deletions.keys,
            _ => &fetched.rows,
        };
        if self.rows.len() == whole.num_rows() {
            return whole.clone();
        }
        take_record_batch(whole, &UInt32Array::from(self.rows)).expect("numbers of this batch")
    }
}

/// What became of a piece's records.
#[derive(Default)]
pub(super) struct Judged {
    /// Each record that is not committed yet, with the tick it belongs to.
    pub(super) records: Vec<(Position, Timestamp)>,
    /// What entered, by tick.
    pub(super) runs: BTreeMap<Timestamp, Vec<Run>>,
    /// What was refused.
    pub(super) quarantine: Vec<Quarantined>,
}

impl Judged {
    /// A row or a deleted key enters at a tick, unless it is committed already.
    pub(super) fn enter(
        &mut self,
        partition: &Partition,
        position: Position,
        tick: Timestamp,
        deleted: bool,
        row: usize,
    ) {
        if partition.skips(position) {
            return;
        }
        self.records.push((position, tick));
        let runs = self.runs.entry(tick).or_default();
        match runs.last_mut().filter(|run| run.deleted == deleted) {
            Some(run) => run.rows.push(row as u32),
            None => runs.push(Run { first: position, deleted, rows: vec![row as u32] }),
        }
    }

    /// A record is refused at a tick, unless that is committed already.
    pub(super) fn refuse(
        &mut self,
        partition: &Partition,
        position: Position,
        tick: Timestamp,
        why: impl FnOnce() -> Quarantined,
    ) {
        if !partition.skips(position) {
            self.records.push((position, tick));
            self.quarantine.push(why());
        }
    }
}
