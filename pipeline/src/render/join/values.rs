//! The rows of one key on one side of a join: a multiset that is small when it holds little.
//!
//! Most keys hold one row (a device, a bus), some a few hundred (the readings of a meter in an
//! hour), a few very many. Each has its form; none leaves a gap of more than a factor of two.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use schemas::row::Row;

use crate::delta::Diff;
use crate::gauge::Kept;

/// Up to so many rows stand in one sorted vector: a row that comes or goes moves half of it, which
/// costs less than a tree's nodes until then.
const FEW_MAX: usize = 256;

/// One side of a join, by key.
#[derive(Debug, Default)]
pub(super) struct Side {
    keys: HashMap<Row, Values, FixedState>,
    /// Different rows, over all keys.
    rows: usize,
    /// What rows and keys have on the heap.
    heap: usize,
}

/// Rows and how often each is there; never with a count of zero.
#[derive(Debug, Default)]
pub(super) enum Values {
    /// Nothing.
    #[default]
    None,
    /// One row.
    One(Row, Diff),
    /// In order.
    Few(Vec<(Row, Diff)>),
    /// In order.
    Many(BTreeMap<Row, Diff>),
}

impl Values {
    /// Adds a change.
    pub(super) fn add(&mut self, row: Row, diff: Diff) {
        if diff == 0 {
            return;
        }
        match self {
            Values::None => *self = Values::One(row, diff),
            Values::One(one, count) if *one == row => {
                *count += diff;
                if *count == 0 {
                    *self = Values::None;
                }
            }
            Values::One(..) => {
                let Values::One(one, count) = std::mem::take(self) else { return };
                let mut few = vec![(one, count), (row, diff)];
                few.sort_unstable();
                *self = Values::Few(few);
            }
            // Readings mostly come in the order of their time: look at the end before searching.
            Values::Few(few) if few.last().is_some_and(|(last, _)| *last < row) => {
                few.push((row, diff));
                if few.len() > FEW_MAX {
                    *self = Values::Many(std::mem::take(few).into_iter().collect());
                }
            }
            Values::Few(few) => {
                match few.binary_search_by(|(one, _)| one.cmp(&row)) {
                    Ok(at) => {
                        few[at].1 += diff;
                        if few[at].1 == 0 {
                            few.remove(at);
                        }
                    }
                    Err(at) => few.insert(at, (row, diff)),
                }
                match few.len() {
                    0 => *self = Values::None,
                    1 => *self = few.pop().map_or(Values::None, |(row, n)| Values::One(row, n)),
                    len if len > FEW_MAX => {
                        *self = Values::Many(std::mem::take(few).into_iter().collect());
                    }
                    _ => {}
                }
            }
            Values::Many(many) => {
                crate::delta::add_to(many, row, diff);
                if many.len() <= FEW_MAX / 2 {
                    *self = Values::Few(std::mem::take(many).into_iter().collect());
                }
            }
        }
    }

    /// Calls `each` with every row and its count, in order.
    #[inline]
    pub(super) fn each(&self, mut each: impl FnMut(&Row, Diff)) {
        match self {
            Values::None => {}
            Values::One(row, count) => each(row, *count),
            Values::Few(few) => few.iter().for_each(|(row, count)| each(row, *count)),
            Values::Many(many) => many.iter().for_each(|(row, count)| each(row, *count)),
        }
    }

    /// Different rows.
    pub(super) fn len(&self) -> usize {
        match self {
            Values::None => 0,
            Values::One(..) => 1,
            Values::Few(few) => few.len(),
            Values::Many(many) => many.len(),
        }
    }
}

impl Side {
    /// The rows of a key.
    #[inline]
    pub(super) fn get(&self, key: &Row) -> Option<&Values> {
        self.keys.get(key)
    }

    /// Adds a change; a key without rows is not kept.
    pub(super) fn add(&mut self, key: &Row, value: Row, diff: Diff) {
        let heap = value.heap_bytes();
        match self.keys.get_mut(key) {
            Some(values) => {
                let before = values.len();
                values.add(value, diff);
                let after = values.len();
                self.rows = self.rows + after - before;
                match after.cmp(&before) {
                    Ordering::Greater => self.heap += heap,
                    Ordering::Less => self.heap -= heap,
                    Ordering::Equal => {}
                }
                if after == 0 {
                    self.heap -= key.heap_bytes();
                    self.keys.remove(key);
                }
            }
            None if diff == 0 => {}
            None => {
                self.rows += 1;
                self.heap += heap + key.heap_bytes();
                self.keys.insert(key.clone(), Values::One(value, diff));
            }
        }
    }

    /// Rows and bytes; a key's only row lies in its entry.
    pub(super) fn kept(&self) -> Kept {
        let keys = self.keys.len();
        let entries = keys * size_of::<(Row, Values)>();
        let more = (self.rows - keys) * size_of::<(Row, Diff)>();
        Kept { rows: self.rows, bytes: entries + more + self.heap }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_side_counts_what_it_keeps() {
        let long = Row::new(&[7; 100]);
        let mut side = Side::default();
        side.add(&long, Row::new(b"a"), 1);
        side.add(&long, Row::new(b"b"), 2);
        side.add(&long, Row::new(&[8; 50]), 1);
        side.add(&Row::new(b"k"), Row::new(b"a"), 1);
        let (entry, row) = (size_of::<(Row, Values)>(), size_of::<(Row, Diff)>());
        assert_eq!(side.kept(), Kept { rows: 4, bytes: 2 * entry + 2 * row + 150 });
        side.add(&long, Row::new(&[8; 50]), -1);
        side.add(&long, Row::new(b"b"), -1);
        assert_eq!(side.kept(), Kept { rows: 3, bytes: 2 * entry + row + 100 });
        side.add(&long, Row::new(b"b"), -1);
        side.add(&long, Row::new(b"a"), -1);
        side.add(&Row::new(b"k"), Row::new(b"a"), -1);
        assert_eq!(side.kept(), Kept::default());
    }

    proptest! {
        #[test]
        fn every_form_is_the_same_multiset(
            changes in prop::collection::vec((0u16..400, -2i64..3), 0..2_000),
        ) {
            let mut values = Values::default();
            let mut plain: BTreeMap<Row, Diff> = BTreeMap::new();
            for (n, diff) in changes {
                let row = Row::new(&n.to_be_bytes());
                values.add(row.clone(), diff);
                crate::delta::add_to(&mut plain, row, diff);
                prop_assert_eq!(values.len(), plain.len());
            }
            let mut found = Vec::new();
            values.each(|row, n| found.push((row.clone(), n)));
            prop_assert!(found.iter().map(|(r, n)| (r, n)).eq(plain.iter()));
        }
    }
}
