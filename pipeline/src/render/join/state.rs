//! What a join keeps, and what one tick changes of its output.
//!
//! With *L* and *R* the rows of a key on both sides, the output of the key is *L × R*, and for a
//! left join *L × {NULL}* while *R* is empty. A tick changes it in one of two ways, whichever is
//! less: by the product rule, *ΔL × R + (L + ΔL) × ΔR*, or by taking all of it away and putting all
//! of it back. The second is right in every case, and the only one where *R* becomes or ceases to
//! be empty under a left join.
//!
//! Readings that meet a table only ever grow the left side, and nobody looks at it until the table
//! changes. Ticks that only add there are kept as they came, and are put under their keys when
//! they are asked for: when the right side changes, or a row goes.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use schemas::row::Row;
use schemas::row::Splice;
use smallvec::SmallVec;

use super::values;
use super::values::Side;
use super::values::Values;
use crate::delta::Diff;
use crate::delta::Time;
use crate::stepwise::StepPair;

/// A change of one side: key, value, how often.
pub(super) type Change = (Row, Row, Diff);

/// What becomes of a left row without a right one.
pub(super) struct Pad {
    /// Columns of key, left value, right value, and a key of NULLs.
    pub(super) splice: Splice,
    pub(super) null_right: Row,
    pub(super) null_key: Row,
}

/// Makes output rows.
pub(super) struct Paste {
    pub(super) splice: Splice,
    /// For a left join.
    pub(super) pad: Option<Pad>,
}

impl Paste {
    #[inline]
    fn matched(&mut self, key: &Row, left: &Row, right: &Row) -> Row {
        self.splice.row(&[key.as_bytes(), left.as_bytes(), right.as_bytes()])
    }

    fn padded(&mut self, key: &Row, left: &Row) -> Row {
        let pad = self.pad.as_mut().expect("only a left join pads");
        pad.splice.row(&[
            key.as_bytes(),
            left.as_bytes(),
            pad.null_right.as_bytes(),
            pad.null_key.as_bytes(),
        ])
    }
}

/// The state of a join on one worker.
pub(super) struct Joined {
    paste: Paste,

    left: Side,
    right: Side,
    /// Rows of the left side that are not under their keys yet.
    added: Vec<Vec<Change>>,
    /// Empty between ticks; kept for its memory.
    touched: HashMap<Row, Touched, FixedState>,
}

/// What one tick changes of a key.
#[derive(Default)]
struct Touched {
    left: SmallVec<[(Row, Diff); 2]>,
    right: SmallVec<[(Row, Diff); 2]>,
}

impl Joined {
    pub(super) fn new(paste: Paste) -> Joined {
        let (left, right, touched) = (Side::default(), Side::default(), HashMap::default());
        Joined { paste, left, right, added: Vec::new(), touched }
    }

    /// Takes a tick that only adds to the left side.
    fn left_adds(&mut self, at: Time, mut adds: Vec<Change>, out: &mut Vec<(Row, Time, Diff)>) {
        let pads = self.paste.pad.is_some();
        for (key, value, diff) in &adds {
            match self.right.get(key) {
                Some(right) => right.each(|row, n| {
                    out.push((self.paste.matched(key, value, row), at, diff * n));
                }),
                None if pads => out.push((self.paste.padded(key, value), at, *diff)),
                None => {}
            }
        }
        adds.shrink_to_fit();
        self.added.push(adds);
    }

    /// Puts everything under its key.
    fn settle(&mut self) {
        for (key, value, diff) in self.added.drain(..).flatten() {
            values::add(&mut self.left, &key, value, diff);
        }
    }

    /// Takes changes of the left side while the right one stands.
    fn left_only(&mut self, at: Time, changes: Vec<Change>, out: &mut Vec<(Row, Time, Diff)>) {
        let pads = self.paste.pad.is_some();
        for (key, value, diff) in changes {
            match self.right.get(&key) {
                Some(right) => right.each(|row, n| {
                    push(out, self.paste.matched(&key, &value, row), at, diff * n);
                }),
                None if pads => push(out, self.paste.padded(&key, &value), at, diff),
                None => {}
            }
            values::add(&mut self.left, &key, value, diff);
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
            values::add(&mut self.right, &key, value, diff);
        }
    }

    fn key(&mut self, at: Time, key: &Row, touched: Touched, out: &mut Vec<(Row, Time, Diff)>) {
        let Touched { left, right } = touched;
        let lefts = |side: &Side| side.get(key).map_or(0, Values::len);
        let (l, r) = (lefts(&self.left), lefts(&self.right));
        let whole = l * r.max(1) + (l + left.len()) * (r + right.len()).max(1);
        let rule = left.len() * r + (l + left.len()) * right.len();
        let emptied = self.paste.pad.is_some() && (r == 0 || right.len() >= r);
        if right.is_empty() || !emptied && rule < whole {
            let key = || key.clone();
            self.left_only(at, left.into_iter().map(|(v, n)| (key(), v, n)).collect(), out);
            self.right_only(at, right.into_iter().map(|(v, n)| (key(), v, n)).collect(), out);
            return;
        }
        let from = out.len();
        self.product(at, key, -1, out);
        left.into_iter().for_each(|(value, n)| values::add(&mut self.left, key, value, n));
        right.into_iter().for_each(|(value, n)| values::add(&mut self.right, key, value, n));
        self.product(at, key, 1, out);
        consolidate_tail(out, from);
    }

    /// All output rows of a key, `sign` times.
    fn product(&mut self, at: Time, key: &Row, sign: Diff, out: &mut Vec<(Row, Time, Diff)>) {
        let Some(left) = self.left.get(key) else { return };
        let pads = self.paste.pad.is_some();
        match self.right.get(key) {
            Some(right) => left.each(|l, n| {
                right.each(|r, m| {
                    out.push((self.paste.matched(key, l, r), at, sign * n * m));
                });
            }),
            None if pads => left.each(|l, n| {
                out.push((self.paste.padded(key, l), at, sign * n));
            }),
            None => {}
        }
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

/// Adds up equal rows from `from` on.
fn consolidate_tail(out: &mut Vec<(Row, Time, Diff)>, from: usize) {
    let tail = &mut out[from..];
    tail.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut kept = 0;
    for at in 0..tail.len() {
        if kept > 0 && tail[kept - 1].0 == tail[at].0 {
            tail[kept - 1].2 += tail[at].2;
        } else {
            if kept > 0 && tail[kept - 1].2 == 0 {
                kept -= 1;
            }
            tail.swap(kept, at);
            kept += 1;
        }
    }
    if kept > 0 && tail[kept - 1].2 == 0 {
        kept -= 1;
    }
    out.truncate(from + kept);
}

impl StepPair<Change, Change, (Row, Time, Diff)> for Joined {
    fn step(
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
        if left.is_empty() && self.paste.pad.is_none() {
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
