//! What an AS OF join keeps, and what one tick changes of its output.
//!
//! A tick's changes are worked off by key. Where no right row changes, every left change looks its
//! match up and that is all. Otherwise the left rows whose match may be another lie between the
//! first right time that changes and the next right time behind the last one; their output is
//! taken away as it was and put back as it is, and what is equal cancels.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use schemas::row::Row;
use schemas::row::Splice;

use super::Change;
use crate::delta::Diff;
use crate::delta::Time;
use crate::delta::add_to;
use crate::gauge::Gauge;
use crate::gauge::Kept;
use crate::gauge::MeanHeap;
use crate::stepwise::StepPair;

/// The rows of one key on both sides, by time.
#[derive(Default)]
struct Sides {
    left: BTreeMap<(Row, Row), Diff>,
    /// Rows of one time by their place among each other.
    right: BTreeMap<Row, BTreeMap<(Row, Row), Diff>>,
}

impl Sides {
    /// The latest right row at a time.
    fn latest(&self, at: &Row, before: bool) -> Option<&Row> {
        let until = if before { Bound::Excluded(at) } else { Bound::Included(at) };
        let mut times = self.right.range::<Row, _>((Bound::Unbounded, until)).rev();
        let (_, rows) = times.find(|(_, rows)| rows.values().any(|n| *n > 0))?;
        let mut rows = rows.iter().filter(|(_, n)| **n > 0);
        rows.next().map(|((_, row), _)| row)
    }

    /// The first right time behind this one.
    fn next(&self, at: &Row) -> Option<Row> {
        let mut behind = self.right.range::<Row, _>((Bound::Excluded(at), Bound::Unbounded));
        behind.next().map(|(at, _)| at.clone())
    }

    /// The left rows from a time until another, both with them.
    fn between<'a>(
        &'a self,
        from: &Row,
        until: Option<&'a Row>,
    ) -> impl Iterator<Item = (&'a (Row, Row), Diff)> {
        let rows = self.left.range((from.clone(), Row::empty())..);
        rows.take_while(move |((at, _), _)| until.is_none_or(|until| at <= until))
            .map(|(row, n)| (row, *n))
    }

    fn add_left(&mut self, change: Change, kept: &mut Counted) {
        kept.heap.see(&change.row);
        let before = self.left.len();
        add_to(&mut self.left, (change.at, change.row), change.diff);
        kept.rows = kept.rows + self.left.len() - before;
    }

    fn add_right(&mut self, change: Change, kept: &mut Counted) {
        kept.heap.see(&change.row);
        let rows = self.right.entry(change.at.clone()).or_default();
        let before = rows.len();
        add_to(rows, (change.tie, change.row), change.diff);
        kept.rows = kept.rows + rows.len() - before;
        if rows.is_empty() {
            self.right.remove(&change.at);
        }
    }
}

/// The rows of one side, over all keys.
#[derive(Default)]
struct Counted {
    rows: usize,
    heap: MeanHeap,
}

impl Counted {
    /// Rows, each with its time and its place.
    fn kept(&self) -> Kept {
        let bytes = self.rows * size_of::<((Row, Row), Diff)>() + self.heap.of(self.rows);
        Kept { rows: self.rows, bytes }
    }
}

/// The state of an AS OF join on one worker.
pub(super) struct Matched {
    splice: Splice,
    /// The right columns of a left row without a match, if it shows.
    missing: Option<Row>,
    before: bool,

    keys: HashMap<Row, Sides, FixedState>,
    /// Of the left side and of the right one.
    counted: [Counted; 2],
    gauges: [Arc<Gauge>; 2],
}

impl Matched {
    pub(super) fn new(
        splice: Splice,
        missing: Option<Row>,
        before: bool,
        gauges: [Arc<Gauge>; 2],
    ) -> Matched {
        let (keys, counted) = (HashMap::default(), Default::default());
        Matched { splice, missing, before, keys, counted, gauges }
    }

    /// What a left row shows, if it shows.
    fn shown(&mut self, sides: &Sides, at: &Row, row: &Row) -> Option<Row> {
        let right = sides.latest(at, self.before).or(self.missing.as_ref())?;
        Some(self.splice.row(&[row.as_bytes(), right.as_bytes()]))
    }

    /// Takes a tick's changes of one key.
    fn key(&mut self, sides: &mut Sides, changed: Changed, changes: &mut Vec<(Row, Diff)>) {
        let Changed { left, right } = changed;
        let times = right.iter().map(|change| &change.at);
        let Some((first, last)) = times.clone().min().cloned().zip(times.max().cloned()) else {
            for change in left {
                let shown = self.shown(sides, &change.at, &change.row);
                changes.extend(shown.map(|row| (row, change.diff)));
                sides.add_left(change, &mut self.counted[0]);
            }
            return;
        };
        let until = sides.next(&last);
        for ((at, row), n) in sides.between(&first, until.as_ref()) {
            changes.extend(self.shown(sides, at, row).map(|row| (row, -n)));
        }
        let concerned = |at: &Row| *at >= first && until.as_ref().is_none_or(|until| at <= until);
        for change in left {
            if !concerned(&change.at) {
                let shown = self.shown(sides, &change.at, &change.row);
                changes.extend(shown.map(|row| (row, change.diff)));
            }
            sides.add_left(change, &mut self.counted[0]);
        }
        right.into_iter().for_each(|change| sides.add_right(change, &mut self.counted[1]));
        for ((at, row), n) in sides.between(&first, until.as_ref()) {
            changes.extend(self.shown(sides, at, row).map(|row| (row, n)));
        }
    }
}

/// What one tick changes of a key.
#[derive(Default)]
struct Changed {
    left: Vec<Change>,
    right: Vec<Change>,
}

impl StepPair<Change, Change, (Row, Time, Diff)> for Matched {
    fn step(
        &mut self,
        at: Time,
        left: Vec<Change>,
        right: Vec<Change>,
        out: &mut Vec<(Row, Time, Diff)>,
    ) {
        let mut touched: BTreeMap<Row, Changed> = BTreeMap::new();
        for change in left {
            touched.entry(change.key.clone()).or_default().left.push(change);
        }
        for change in right {
            touched.entry(change.key.clone()).or_default().right.push(change);
        }
        let mut changes = Vec::new();
        for (key, changed) in touched {
            let mut sides = self.keys.remove(&key).unwrap_or_default();
            self.key(&mut sides, changed, &mut changes);
            if !sides.left.is_empty() || !sides.right.is_empty() {
                self.keys.insert(key, sides);
            }
            let mut sums: BTreeMap<Row, Diff> = BTreeMap::new();
            changes.drain(..).for_each(|(row, n)| add_to(&mut sums, row, n));
            out.extend(sums.into_iter().map(|(row, n)| (row, at, n)));
        }
        let sides = self.counted.iter().zip(&self.gauges);
        sides.for_each(|(counted, gauge)| gauge.tell(counted.kept()));
    }
}
