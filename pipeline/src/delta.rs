//! What flows between operators: batches of changes, and rows with their changes.
//!
//! Stateless work stays in [`DeltaBatch`]es, vectorised; rows are made where an arrangement begins.
//! Differences are `i64` everywhere, times are ticks in milliseconds.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use differential_dataflow::VecCollection;
use schemas::contract::Fault;
use schemas::row::Row;
use timely::dataflow::StreamVec;

/// A dataflow timestamp: the end of a tick, in milliseconds since the epoch.
pub type Time = u64;

/// How often a row is added (positive) or taken away.
pub type Diff = i64;

/// Rows and their changes.
pub type Rows<'s> = VecCollection<'s, Time, Row, Diff>;

/// Batches and their changes.
pub type Batches<'s> = StreamVec<'s, Time, DeltaBatch>;

/// Rows that could not be computed, and their changes.
pub type Faults<'s> = VecCollection<'s, Time, Fault, Diff>;

/// Changes of one time as columns.
#[derive(Clone, Debug)]
pub struct DeltaBatch {
    /// When they became known.
    pub time: Time,
    /// The rows.
    pub batch: RecordBatch,
    /// How often each is added or taken away.
    pub diffs: Diffs,
}

/// The differences of a batch's rows.
#[derive(Clone, Debug)]
pub enum Diffs {
    /// One for all.
    All(Diff),
    /// One each.
    Each(Arc<[Diff]>),
}

impl Diffs {
    /// The difference of one row.
    #[inline]
    pub fn at(&self, row: usize) -> Diff {
        match self {
            Diffs::All(diff) => *diff,
            Diffs::Each(diffs) => diffs[row],
        }
    }

    /// The differences of the rows for which `keep` holds.
    pub fn filter(&self, keep: &arrow_array::BooleanArray) -> Diffs {
        match self {
            Diffs::All(diff) => Diffs::All(*diff),
            Diffs::Each(diffs) => {
                let kept = diffs.iter().zip(keep.values().iter());
                Diffs::Each(kept.filter_map(|(diff, keep)| keep.then_some(*diff)).collect())
            }
        }
    }

    /// The differences of `len` rows from `from` on.
    pub fn slice(&self, from: usize, len: usize) -> Diffs {
        match self {
            Diffs::All(diff) => Diffs::All(*diff),
            Diffs::Each(diffs) => Diffs::Each(diffs[from..from + len].into()),
        }
    }
}

impl DeltaBatch {
    /// `len` of its rows from `from` on.
    pub fn slice(&self, from: usize, len: usize) -> DeltaBatch {
        let diffs = self.diffs.slice(from, len);
        DeltaBatch { time: self.time, batch: self.batch.slice(from, len), diffs }
    }
}

/// What a rendered node puts out: rows beside the faults of everything below it.
#[derive(Clone)]
pub struct Edge<'s> {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows.
    pub oks: Oks<'s>,
    /// What could not be computed on the way.
    pub faults: Vec<Faults<'s>>,
}

/// The rows of an edge, in the form in which they came out.
#[derive(Clone)]
pub enum Oks<'s> {
    /// As columns.
    Batches(Batches<'s>),
    /// As bytes.
    Rows(Rows<'s>),
}

/// Adds the change of a fault that stands until a tick, be it `u64::MAX` for as long as its row:
/// where the row is forgotten instead of retracted, its fault must be retracted by itself.
pub(crate) fn fail_until(
    failed: &mut Vec<(Fault, Time, Diff)>,
    fault: Fault,
    (time, until): (Time, Time),
    diff: Diff,
) {
    if until <= time {
        return;
    }
    if until != Time::MAX {
        failed.push((fault.clone(), until, -diff));
    }
    failed.push((fault, time, diff));
}

/// Adds a change to a multiset; what adds up to nothing is not kept.
pub(crate) fn add_to<K: Ord>(multiset: &mut BTreeMap<K, Diff>, key: K, diff: Diff) {
    match multiset.entry(key) {
        Entry::Vacant(entry) => {
            if diff != 0 {
                entry.insert(diff);
            }
        }
        Entry::Occupied(mut entry) => {
            *entry.get_mut() += diff;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}
