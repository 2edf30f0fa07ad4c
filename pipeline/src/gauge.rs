//! What the operators keep, as they count it themselves.
//!
//! A node that keeps state tells a [`Gauge`] after each step how many rows and bytes it holds; the
//! numbers are kept as rows come and go, so telling them costs two stores. Whoever asks adds up the
//! gauges of all workers and takes no part in the dataflow.
//!
//! Rows are exact. Bytes are an estimate: the size of what stands in memory for each row, with the
//! mean of what rows of that node have on the heap; what the allocator adds is not known.
//!
//! # Bounds
//!
//! One entry an arrangement, view and worker, until the view is gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use schemas::contract::ArrangementStatus;
use schemas::plan::explain::Arranged;
use schemas::row::Row;

use crate::delta::Diff;
use crate::delta::Time;
use crate::stepwise::Step;

/// Rows and bytes that something keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Rows.
    pub rows: usize,
    /// Bytes, estimated.
    pub bytes: usize,
}

impl Kept {
    /// Adds a row of so many bytes as often as `diff` says, or takes it away. A row may come at one
    /// worker and go at another, so only the sum of all is more than nothing.
    pub(crate) fn add(&mut self, diff: Diff, bytes: usize) {
        let times = diff as usize;
        self.rows = self.rows.wrapping_add(times);
        self.bytes = self.bytes.wrapping_add(times.wrapping_mul(bytes));
    }
}

/// What one arrangement on one worker keeps just now.
#[derive(Debug, Default)]
pub struct Gauge {
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl Gauge {
    /// Tells it. Whoever reads may see the rows of one step with the bytes of the next.
    pub fn tell(&self, kept: Kept) {
        self.rows.store(kept.rows as u64, Ordering::Relaxed);
        self.bytes.store(kept.bytes as u64, Ordering::Relaxed);
    }

    fn read(&self) -> (u64, u64) {
        (self.rows.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

/// State that knows what it keeps.
pub(crate) trait Keeps {
    /// What it keeps just now.
    fn kept(&self) -> Kept;
}

/// State that tells a gauge after each step.
pub(crate) struct Gauged<S> {
    state: S,
    gauge: Arc<Gauge>,
}

impl<S> Gauged<S> {
    pub(crate) fn new(state: S, gauge: Arc<Gauge>) -> Gauged<S> {
        Gauged { state, gauge }
    }
}

impl<D, O, S: Step<D, O> + Keeps> Step<D, O> for Gauged<S> {
    fn step(&mut self, at: Time, data: Vec<D>, out: &mut Vec<O>) {
        self.state.step(at, data, out);
        self.gauge.tell(self.state.kept());
    }

    fn wake_at(&self) -> Option<Time> {
        self.state.wake_at()
    }
}

/// The mean of what rows have on the heap, over all that were ever seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MeanHeap {
    rows: u64,
    bytes: u64,
}

impl MeanHeap {
    /// Sees a row.
    #[inline]
    pub(crate) fn see(&mut self, row: &Row) {
        self.rows += 1;
        self.bytes += row.heap_bytes() as u64;
    }

    /// What so many rows have on the heap.
    pub(crate) fn of(self, rows: usize) -> usize {
        let rows = rows as u64 * self.bytes;
        usize::try_from(rows.checked_div(self.rows).unwrap_or(0)).unwrap_or(usize::MAX)
    }
}

/// An arrangement of a view, with its gauge on one worker.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What it is.
    pub arranged: Arranged,
    /// What it keeps.
    pub gauge: Arc<Gauge>,
}

/// The arrangements of all views, by the number of the view and of the worker.
type Listed = BTreeMap<usize, BTreeMap<usize, Vec<Measured>>>;

/// The gauges of an instance, for its workers and for whoever asks.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    listed: Arc<Mutex<Listed>>,
}

impl Gauges {
    fn listed(&self) -> MutexGuard<'_, Listed> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists what a view keeps on a worker, in the order in which EXPLAIN prints it.
    pub fn list(&self, relation: usize, worker: usize, measured: Vec<Measured>) {
        self.listed().entry(relation).or_default().insert(worker, measured);
    }

    /// Forgets a view.
    pub fn forget(&self, relation: usize) {
        self.listed().remove(&relation);
    }

    /// What the views of these numbers and names keep now, over all workers.
    pub fn read(&self, views: &[(usize, &str)]) -> Vec<ArrangementStatus> {
        let listed = self.listed();
        let mut users: BTreeMap<*const Gauge, Vec<&str>> = BTreeMap::new();
        for (relation, name) in views {
            let workers = listed.get(relation).into_iter().flat_map(BTreeMap::values);
            for measured in workers.flatten() {
                let of = users.entry(Arc::as_ptr(&measured.gauge)).or_default();
                // A view may ask twice for the same.
                if of.last() != Some(name) {
                    of.push(name);
                }
            }
        }
        let mut read = Vec::new();
        for (relation, name) in views {
            let Some(workers) = listed.get(relation) else { continue };
            let most = workers.values().map(Vec::len).max().unwrap_or(0);
            for place in 0..most {
                let of_workers = workers.values().filter_map(|measured| measured.get(place));
                read.extend(added_up(name, of_workers, &users));
            }
        }
        read
    }
}

/// One arrangement of a view over all workers.
fn added_up<'a>(
    view: &str,
    workers: impl Iterator<Item = &'a Measured>,
    users: &BTreeMap<*const Gauge, Vec<&str>>,
) -> Option<ArrangementStatus> {
    let mut status = None;
    for Measured { arranged, gauge } in workers {
        let status = status.get_or_insert_with(|| ArrangementStatus {
            view: view.to_owned(),
            node: arranged.node.clone(),
            bound: arranged.bound.clone(),
            shared_with: users
                .get(&Arc::as_ptr(gauge))
                .into_iter()
                .flatten()
                .filter(|user| **user != view)
                .map(|user| (*user).to_owned())
                .collect(),
            ..ArrangementStatus::default()
        });
        let (rows, bytes) = gauge.read();
        status.rows = status.rows.wrapping_add(rows);
        status.bytes = status.bytes.wrapping_add(bytes);
    }
    // While a tick is worked off, what has gone may be told before what has come.
    let told = |n: u64| if n > u64::MAX / 2 { 0 } else { n };
    status.map(|status| ArrangementStatus {
        rows: told(status.rows),
        bytes: told(status.bytes),
        ..status
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(node: &str, rows: usize) -> Measured {
        let gauge = Arc::new(Gauge::default());
        gauge.tell(Kept { rows, bytes: rows * 24 });
        let (node, bound) = (node.to_owned(), "1 h".to_owned());
        Measured { arranged: Arranged { node, bound }, gauge }
    }

    #[test]
    fn workers_add_up_and_shared_state_is_named() {
        let gauges = Gauges::default();
        let (own, shared) = (measured("Reduce", 2), measured("Join", 5));
        gauges.list(0, 0, vec![own, shared.clone()]);
        gauges.list(0, 1, vec![measured("Reduce", 3), measured("Join", 1)]);
        gauges.list(7, 0, vec![shared]);
        let read = gauges.read(&[(0, "a"), (7, "b")]);
        let shown: Vec<_> = read.iter().map(|s| (&*s.view, &*s.node, s.rows, s.bytes)).collect();
        assert_eq!(shown, [("a", "Reduce", 5, 120), ("a", "Join", 6, 144), ("b", "Join", 5, 120)]);
        assert_eq!(read[1].shared_with, ["b"]);
        assert!(read[0].shared_with.is_empty());
        gauges.forget(7);
        assert!(gauges.read(&[(7, "b")]).is_empty());
    }
}
