//! TopK: the first rows of each group by a total order.
//!
//! In place where the input is append-only: a row that falls out of the first `limit` can never
//! return, so it is forgotten, and the latest reading of each meter costs one row a meter.
//! Otherwise all rows are kept in order. A group of one row lies in its map's entry: where the last
//! word on each interval is asked for, there are as many groups as readings.
//!
//! With `expire` a kept row goes when its time is older than the stream retains. In place that is
//! right only when the order begins with that time, newest first: whatever was forgotten is older
//! still. The planner sees to it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use differential_dataflow::AsCollection;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map;
use schemas::plan::Expiry;
use schemas::plan::OrderBy;
use schemas::row::Row;
use smallvec::SmallVec;
use timely::dataflow::channels::pact::Exchange;

use super::RenderError;
use super::candidate::Candidate;
use super::candidate::candidates;
use crate::delta::Diff;
use crate::delta::Edge;
use crate::delta::Oks;
use crate::delta::Time;
use crate::gauge;
use crate::gauge::Gauge;
use crate::gauge::Gauged;
use crate::gauge::Keeps;
use crate::gauge::MeanHeap;
use crate::stepwise::Step;
use crate::stepwise::stepwise;

/// Renders a TopK.
pub(crate) fn top_k<'s>(
    input: Edge<'s>,
    group: &[usize],
    order: &[OrderBy],
    limit: usize,
    in_place: bool,
    (expire, gauge): (Option<Expiry>, Arc<Gauge>),
) -> Result<Edge<'s>, RenderError> {
    let schema = input.schema.clone();
    let faults = input.faults.clone();
    let candidates = candidates(input, group, order, expire, "TopK")?;
    let state = Gauged::new(Groups::new(limit, in_place), gauge);
    let route = Exchange::new(|c: &Candidate| crate::route(c.group.as_bytes()));
    let oks = stepwise(candidates, route, "TopK", |c: &Candidate| c.time, state);
    Ok(Edge { schema, oks: Oks::Rows(oks.as_collection()), faults })
}

/// A kept row.
#[derive(Debug)]
struct Entry {
    order: Row,
    row: Row,
    count: Diff,
    /// The tick that forgets it.
    until: Time,
}

/// Up to so many rows of a group stand in one vector, in order.
const FEW_MAX: usize = 64;

/// The kept rows of one group, in order. One row, the rule for latest rows, lies in place.
#[derive(Debug)]
enum Kept {
    Few(SmallVec<[Entry; 1]>),
    Many(BTreeMap<Row, Entry>),
}

impl Kept {
    /// Adds a change; a row with a count of zero is not kept.
    fn add(&mut self, entry: Entry) {
        match self {
            Kept::Few(few) => match few.binary_search_by(|kept| kept.order.cmp(&entry.order)) {
                Ok(at) => {
                    few[at].count += entry.count;
                    if few[at].count == 0 {
                        few.remove(at);
                    }
                }
                Err(_) if entry.count == 0 => {}
                Err(at) => {
                    few.insert(at, entry);
                    if few.len() > FEW_MAX {
                        let many = few.drain(..).map(|kept| (kept.order.clone(), kept));
                        *self = Kept::Many(many.collect());
                    }
                }
            },
            Kept::Many(many) => {
                let order = entry.order.clone();
                match many.get_mut(&order) {
                    Some(kept) => {
                        kept.count += entry.count;
                        if kept.count == 0 {
                            many.remove(&order);
                        }
                    }
                    None if entry.count == 0 => {}
                    None => {
                        many.insert(order, entry);
                    }
                }
                if many.len() <= FEW_MAX / 2 {
                    *self = Kept::Few(std::mem::take(many).into_values().collect());
                }
            }
        }
    }

    /// Rows that differ.
    fn len(&self) -> usize {
        match self {
            Kept::Few(few) => few.len(),
            Kept::Many(many) => many.len(),
        }
    }

    /// Forgets all rows but the first `limit`.
    fn truncate(&mut self, limit: usize) {
        match self {
            Kept::Few(few) => few.truncate(limit),
            Kept::Many(many) => {
                while many.len() > limit {
                    many.pop_last();
                }
            }
        }
    }

    /// Forgets what `at` ends; the first tick that ends one of the others.
    fn forget(&mut self, at: Time) -> Option<Time> {
        match self {
            Kept::Few(few) => few.retain(|kept| kept.until > at),
            Kept::Many(many) => many.retain(|_, kept| kept.until > at),
        }
        self.iter().map(|kept| kept.until).min()
    }

    fn iter(&self) -> impl Iterator<Item = &Entry> {
        let (few, many) = match self {
            Kept::Few(few) => (Some(few), None),
            Kept::Many(many) => (None, Some(many)),
        };
        few.into_iter().flatten().chain(many.into_iter().flat_map(BTreeMap::values))
    }

    /// The first `limit` rows.
    fn shown(&self, limit: usize) -> Vec<(Row, Diff)> {
        let mut left = limit as Diff;
        let mut shown = Vec::new();
        for kept in self.iter() {
            if left <= 0 {
                break;
            }
            let count = kept.count.min(left);
            if count > 0 {
                shown.push((kept.row.clone(), count));
                left -= count;
            }
        }
        shown
    }
}

/// One group.
struct Group {
    kept: Kept,
    /// The tick at which to look for what is to be forgotten; `u64::MAX` for none.
    due: Time,
}

/// The groups of one worker.
struct Groups {
    limit: usize,
    in_place: bool,

    groups: HashMap<Row, Group, FixedState>,
    /// Groups by the first tick that forgets one of their rows; some of it may be out of date.
    due: BTreeMap<Time, Vec<Row>>,
    rows: usize,
    heap: MeanHeap,
}

impl Keeps for Groups {
    fn kept(&self) -> gauge::Kept {
        let groups = self.groups.len() * size_of::<(Row, Group)>();
        // The first row of a group lies in it.
        let more = self.rows.saturating_sub(self.groups.len()) * size_of::<Entry>();
        // Its place in the order and the row itself.
        let heap = 2 * self.heap.of(self.rows);
        gauge::Kept { rows: self.rows, bytes: groups + more + heap }
    }
}

impl Groups {
    fn new(limit: usize, in_place: bool) -> Groups {
        let (groups, due) = (HashMap::default(), BTreeMap::new());
        Groups { limit, in_place, groups, due, rows: 0, heap: MeanHeap::default() }
    }

    /// The first `limit` rows of a group.
    fn shown(&self, group: &Row) -> Vec<(Row, Diff)> {
        self.groups.get(group).map_or_else(Vec::new, |group| group.kept.shown(self.limit))
    }

    fn add(&mut self, candidate: Candidate) {
        let Candidate { group, order, row, until, diff, .. } = candidate;
        let empty = || Group { kept: Kept::Few(SmallVec::new()), due: Time::MAX };
        let mut held = match self.groups.entry(group) {
            hash_map::Entry::Occupied(held) => held,
            hash_map::Entry::Vacant(place) => place.insert_entry(empty()),
        };
        let group = held.get_mut();
        self.heap.see(&order);
        self.heap.see(&row);
        let before = group.kept.len();
        group.kept.add(Entry { order, row, count: diff, until });
        if self.in_place {
            group.kept.truncate(self.limit);
        }
        self.rows = self.rows + group.kept.len() - before;
        if until < group.due {
            group.due = until;
            self.due.entry(until).or_default().push(held.key().clone());
        }
    }

    /// Forgets rows whose time has come and asks to be woken for the next. Where none has, no row
    /// is looked at.
    fn forget(&mut self, key: &Row, at: Time) {
        let Some(group) = self.groups.get_mut(key) else { return };
        if group.due <= at {
            let before = group.kept.len();
            group.due = group.kept.forget(at).unwrap_or(Time::MAX);
            self.rows = self.rows + group.kept.len() - before;
            if group.due < Time::MAX {
                self.due.entry(group.due).or_default().push(key.clone());
            }
        }
        if group.kept.len() == 0 {
            self.groups.remove(key);
        }
    }
}

impl Step<Candidate, (Row, Time, Diff)> for Groups {
    fn step(&mut self, at: Time, data: Vec<Candidate>, out: &mut Vec<(Row, Time, Diff)>) {
        let mut touched: BTreeSet<Row> = data.iter().map(|c| c.group.clone()).collect();
        while let Some(due) = self.due.first_entry()
            && *due.key() <= at
        {
            touched.extend(due.remove());
        }
        let before: Vec<(Row, Vec<(Row, Diff)>)> =
            touched.into_iter().map(|group| (group.clone(), self.shown(&group))).collect();
        for candidate in data {
            if candidate.until > at {
                self.add(candidate);
            }
        }
        for (group, before) in before {
            self.forget(&group, at);
            let after = self.shown(&group);
            if before != after {
                out.extend(before.into_iter().map(|(row, n)| (row, at, -n)));
                out.extend(after.into_iter().map(|(row, n)| (row, at, n)));
            }
        }
    }

    fn wake_at(&self) -> Option<Time> {
        self.due.keys().next().copied()
    }
}
