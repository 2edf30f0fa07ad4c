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

use arrow_array::RecordBatch;
use arrow_schema::SortOptions;
use differential_dataflow::AsCollection;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use schemas::plan::Expiry;
use schemas::plan::OrderBy;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use smallvec::SmallVec;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Operator;

use super::RenderError;
use super::codec;
use super::convert::OF_SCHEMA;
use super::convert::to_batches;
use super::get::millis;
use super::project;
use crate::delta::Diff;
use crate::delta::Edge;
use crate::delta::Oks;
use crate::delta::Time;
use crate::stepwise::Step;
use crate::stepwise::stepwise;

/// One change of one row, on its way to its group.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Candidate {
    time: Time,
    group: Row,
    order: Row,
    row: Row,
    /// The tick that forgets it; `u64::MAX` for never.
    until: Time,
    diff: Diff,
}

/// Renders a TopK.
pub(crate) fn top_k<'s>(
    input: Edge<'s>,
    group: &[usize],
    order: &[OrderBy],
    limit: usize,
    expire: Option<Expiry>,
    in_place: bool,
) -> Result<Edge<'s>, RenderError> {
    let schema = input.schema.clone();
    let faults = input.faults.clone();
    let columns: Vec<usize> = order.iter().map(|o| o.column).collect();
    let options: Vec<SortOptions> = (order.iter())
        .map(|o| SortOptions { descending: o.descending, nulls_first: o.nulls_first })
        .collect();
    let ordered = RowCodec::ordered(project(&schema, &columns), &options);
    let ordered = ordered.map_err(|e| RenderError::Type { node: "TopK", source: Some(e) })?;
    let mut encoder = Encoder {
        group: (group.to_vec(), codec(&project(&schema, group), "TopK")?),
        order: (columns, ordered),
        row: ((0..schema.fields().len()).collect(), codec(&schema, "TopK")?),
        expire,
    };
    let candidates = to_batches(input)?.unary::<CapacityContainerBuilder<Vec<Candidate>>, _, _, _>(
        Pipeline,
        "TopK: encode",
        |_, _| {
            move |input, output| {
                input.for_each(|cap, data| {
                    let mut session = output.session(&cap);
                    for delta in data.drain(..) {
                        let diff = |row: usize| delta.diffs.at(row);
                        let rows = encoder.encode(&delta.batch, delta.time, diff);
                        session.give_iterator(rows.into_iter());
                    }
                });
            }
        },
    );
    let state = Groups { limit, in_place, groups: HashMap::default(), due: BTreeMap::new() };
    let route = Exchange::new(|c: &Candidate| crate::route(c.group.as_bytes()));
    let oks = stepwise(candidates, route, "TopK", |c: &Candidate| c.time, state);
    Ok(Edge { schema, oks: Oks::Rows(oks.as_collection()), faults })
}

struct Encoder {
    group: (Vec<usize>, RowCodec),
    order: (Vec<usize>, RowCodec),
    row: (Vec<usize>, RowCodec),
    expire: Option<Expiry>,
}

impl Encoder {
    fn encode(
        &mut self,
        batch: &RecordBatch,
        time: Time,
        diff: impl Fn(usize) -> Diff,
    ) -> Vec<Candidate> {
        let one = |(columns, codec): &mut (Vec<usize>, RowCodec)| {
            let columns: Vec<_> = columns.iter().map(|c| batch.column(*c).clone()).collect();
            let mut rows = Vec::with_capacity(batch.num_rows());
            codec
                .encode(&columns, batch.num_rows(), |_, bytes| rows.push(Row::new(bytes)))
                .expect(OF_SCHEMA);
            rows
        };
        let (groups, orders) = (one(&mut self.group), one(&mut self.order));
        let rows = one(&mut self.row);
        let times = self.expire.map(|e| (e, millis(batch.column(e.column))));
        let until = |row: usize| match &times {
            Some((expiry, times)) => expiry.at(Timestamp(times.value(row).max(0) as u64)).0,
            None => Time::MAX,
        };
        (groups.into_iter().zip(orders).zip(rows).enumerate())
            .map(|(i, ((group, order), row))| Candidate {
                time,
                group,
                order,
                row,
                until: until(i),
                diff: diff(i),
            })
            .collect()
    }
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
}

impl Groups {
    /// The first `limit` rows of a group.
    fn shown(&self, group: &Row) -> Vec<(Row, Diff)> {
        self.groups.get(group).map_or_else(Vec::new, |group| group.kept.shown(self.limit))
    }

    fn add(&mut self, candidate: Candidate) {
        let Candidate { group, order, row, until, diff, .. } = candidate;
        let empty = || Group { kept: Kept::Few(SmallVec::new()), due: Time::MAX };
        let group = self.groups.entry(group).or_insert_with(empty);
        group.kept.add(Entry { order, row, count: diff, until });
        if self.in_place {
            group.kept.truncate(self.limit);
        }
    }

    /// Forgets rows whose time has come and asks to be woken for the next.
    fn forget(&mut self, key: &Row, at: Time) {
        let Some(group) = self.groups.get_mut(key) else { return };
        match group.kept.forget(at) {
            None => {
                self.groups.remove(key);
            }
            Some(until) if until < group.due || group.due <= at => {
                group.due = until;
                if until < Time::MAX {
                    self.due.entry(until).or_default().push(key.clone());
                }
            }
            Some(_) => {}
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
