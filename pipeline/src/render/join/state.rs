//! What a join keeps, and what one tick changes of its output.
//!
//! With *L* and *R* the rows of a key on both sides, the output of the key is *L × R*, and for a
//! left join *L × {NULL}* while *R* is empty. A tick changes it in one of two ways, whichever is
//! less: by the product rule, *ΔL × R + (L + ΔL) × ΔR*, or by taking all of it away and putting all
//! of it back. The second is right in every case, and the only one where *R* becomes or ceases to
//! be empty under a left join.
//!
//! A semi, anti or mark join asks only whether *R* is empty: it keeps a count of *R*, and what
//! comes and goes on the right changes nothing until the count comes to or leaves zero.
//!
//! Readings that meet a table only ever grow the left side, and nobody looks at it until the table
//! changes. Ticks that only add there are kept as they came, and are put under their keys when
//! they are asked for: when the right side changes, or a row goes.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use schemas::row::Row;
use smallvec::SmallVec;

use super::paste::Matched;
use super::paste::Paste;
use super::values::Side;
use super::values::Values;
use crate::delta::Diff;
use crate::delta::Time;
use crate::gauge::Gauge;
use crate::gauge::Kept;
use crate::stepwise::StepPair;

/// A change of one side: key, value, how often.
pub(super) type Change = (Row, Row, Diff);

/// The state of a join on one worker.
pub(super) struct Joined {
    paste: Paste,

    left: Side,
    right: Side,
    /// Rows of the left side that are not under their keys yet.
    added: Vec<Vec<Change>>,
    /// How many those are, and what they have on the heap.
    waiting: Kept,
    /// Of the left side and of the right one.
    gauges: [Arc<Gauge>; 2],
    /// Empty between ticks; kept for its memory.
    touched: HashMap<Row, Touched, FixedState>,
    /// Empty between keys; kept for its memory.
    changes: Vec<(Row, Time, Diff)>,
}

/// What one tick changes of a key.
#[derive(Default)]
struct Touched {
    left: SmallVec<[(Row, Diff); 2]>,
    right: SmallVec<[(Row, Diff); 2]>,
}

impl Joined {
    pub(super) fn new(paste: Paste, gauges: [Arc<Gauge>; 2]) -> Joined {
        Joined {
            paste,
            left: Side::default(),
            right: Side::default(),
            added: Vec::new(),
            waiting: Kept::default(),
            gauges,
            touched: HashMap::default(),
            changes: Vec::new(),
        }
    }

    /// Tells the gauges.
    fn tell(&self) {
        let [of_left, of_right] = &self.gauges;
        let (kept, waiting) = (self.left.kept(), self.waiting);
        let bytes = kept.bytes + waiting.bytes + waiting.rows * size_of::<Change>();
        of_left.tell(Kept { rows: kept.rows + waiting.rows, bytes });
        of_right.tell(self.right.kept());
    }

    /// Takes a tick that only adds to the left side.
    fn left_adds(&mut self, at: Time, mut adds: Vec<Change>, out: &mut Vec<(Row, Time, Diff)>) {
        for (key, value, diff) in &adds {
            left_row(&mut self.paste, self.right.get(key), (key, value), at, *diff, out);
        }
        adds.shrink_to_fit();
        let heap = |(key, value, _): &Change| key.heap_bytes() + value.heap_bytes();
        self.waiting.rows += adds.len();
        self.waiting.bytes += adds.iter().map(heap).sum::<usize>();
        self.added.push(adds);
    }

    /// Puts everything under its key.
    fn settle(&mut self) {
        self.waiting = Kept::default();
        for (key, value, diff) in self.added.drain(..).flatten() {
            self.left.add(&key, value, diff);
        }
    }

    /// Takes changes of the left side while the right one stands.
    fn left_only(&mut self, at: Time, changes: Vec<Change>, out: &mut Vec<(Row, Time, Diff)>) {
        for (key, value, diff) in changes {
            left_row(&mut self.paste, self.right.get(&key), (&key, &value), at, diff, out);
            self.left.add(&key, value, diff);
        }
    }

    /// Takes changes of the right side of an inner join while the left one stands.
    fn right_only(&mut self, at: Time, changes: Vec<Change>, out: &mut Vec<(Row, Time, Diff)>) {
        for (key, value, diff) in changes {
            if let Some(left) = self.left.get(&key) {
                left.each(|row, n| {
                    push(out, self.paste.matched(&key, row, &value), at, diff * n);
                });
            }
            self.right.add(&key, value, diff);
        }
    }

    fn key(&mut self, at: Time, key: &Row, touched: Touched, out: &mut Vec<(Row, Time, Diff)>) {
        let Touched { left, right } = touched;
        let lefts = |side: &Side| side.get(key).map_or(0, Values::len);
        let (l, r) = (lefts(&self.left), lefts(&self.right));
        let whole = l * r.max(1) + (l + left.len()) * (r + right.len()).max(1);
        let rule = left.len() * r + (l + left.len()) * right.len();
        let emptied = !self.paste.inner() && (r == 0 || right.len() >= r);
        let key_of = || key.clone();
        let lefts = |left: SmallVec<[(Row, Diff); 2]>| -> Vec<Change> {
            left.into_iter().map(|(v, n)| (key_of(), v, n)).collect()
        };
        if right.is_empty() || self.paste.pairs() && !emptied && rule < whole {
            self.left_only(at, lefts(left), out);
            self.right_only(at, lefts(right), out);
            return;
        }
        if !self.paste.pairs() && self.stays(key, &right) {
            right.into_iter().for_each(|(value, n)| self.right.add(key, value, n));
            return self.left_only(at, lefts(left), out);
        }
        // Apart, because a change that undoes the last one takes it away.
        let mut changes = std::mem::take(&mut self.changes);
        self.product(at, key, -1, &mut changes);
        left.into_iter().for_each(|(value, n)| self.left.add(key, value, n));
        right.into_iter().for_each(|(value, n)| self.right.add(key, value, n));
        self.product(at, key, 1, &mut changes);
        consolidate(&mut changes);
        out.append(&mut changes);
        self.changes = changes;
    }

    /// Whether a key has right rows after these changes if and only if it has some now; the right
    /// rows of a key are all equal here.
    fn stays(&self, key: &Row, changes: &[(Row, Diff)]) -> bool {
        let mut now = 0;
        if let Some(right) = self.right.get(key) {
            right.each(|_, n| now += n);
        }
        let then = now + changes.iter().map(|(_, n)| n).sum::<Diff>();
        (now == 0) == (then == 0)
    }

    /// All output rows of a key, `sign` times.
    fn product(&mut self, at: Time, key: &Row, sign: Diff, out: &mut Vec<(Row, Time, Diff)>) {
        let (Some(left), right) = (self.left.get(key), self.right.get(key)) else { return };
        left.each(|l, n| left_row(&mut self.paste, right, (key, l), at, sign * n, out));
    }
}

/// What a left row gives beside the right rows of its key.
#[inline]
fn left_row(
    paste: &mut Paste,
    right: Option<&Values>,
    (key, left): (&Row, &Row),
    at: Time,
    diff: Diff,
    out: &mut Vec<(Row, Time, Diff)>,
) {
    let Some(right) = right else {
        if let Some(alone) = &mut paste.alone {
            push(out, alone.row(key, left), at, diff);
        }
        return;
    };
    match &paste.matched {
        Matched::Pairs => right.each(|row, n| {
            push(out, paste.matched(key, left, row), at, diff * n);
        }),
        Matched::Once(mark) => {
            let mark = mark.clone();
            push(out, paste.matched(key, left, &mark), at, diff);
        }
        Matched::Nothing => {}
    }
}

/// Appends a change; one that undoes the last takes it away instead.
#[inline]
fn push(out: &mut Vec<(Row, Time, Diff)>, row: Row, at: Time, diff: Diff) {
    if let Some((last, _, n)) = out.last()
        && *n == -diff
        && *last == row
    {
        out.pop();
    } else {
        out.push((row, at, diff));
    }
}

/// Adds up equal rows.
fn consolidate(changes: &mut Vec<(Row, Time, Diff)>) {
    changes.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    changes.dedup_by(|next, kept| {
        let equal = next.0 == kept.0;
        kept.2 += if equal { next.2 } else { 0 };
        equal
    });
    changes.retain(|(_, _, diff)| *diff != 0);
}

impl StepPair<Change, Change, (Row, Time, Diff)> for Joined {
    fn step(
        &mut self,
        at: Time,
        left: Vec<Change>,
        right: Vec<Change>,
        out: &mut Vec<(Row, Time, Diff)>,
    ) {
        self.changed(at, left, right, out);
        self.tell();
    }
}

impl Joined {
    /// Takes what changes of both sides in one tick.
    fn changed(
        &mut self,
        at: Time,
        left: Vec<Change>,
        right: Vec<Change>,
        out: &mut Vec<(Row, Time, Diff)>,
    ) {
        if right.is_empty() && left.iter().all(|(_, _, diff)| *diff > 0) {
            return self.left_adds(at, left, out);
        }
        self.settle();
        if right.is_empty() {
            return self.left_only(at, left, out);
        }
        if left.is_empty() && self.paste.inner() {
            return self.right_only(at, right, out);
        }
        let mut touched = std::mem::take(&mut self.touched);
        for (key, value, diff) in left {
            touched.entry(key).or_default().left.push((value, diff));
        }
        for (key, value, diff) in right {
            touched.entry(key).or_default().right.push((value, diff));
        }
        for (key, changes) in touched.drain() {
            self.key(at, &key, changes, out);
        }
        self.touched = touched;
    }
}
