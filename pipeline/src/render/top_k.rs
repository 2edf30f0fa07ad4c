//! TopK: the first rows of each group by a total order.
//!
//! In place where the input is append-only: a row that falls out of the first `limit` can never
//! return, so it is forgotten, and the latest reading of each meter costs one row a meter.
//! Otherwise all rows are kept in order.
//!
//! With `expire` a kept row goes when its time is older than the stream retains. In place that is
//! right only when the order begins with that time, newest first: whatever was forgotten is older
//! still. The planner sees to it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use arrow_array::RecordBatch;
use arrow_schema::SortOptions;
use differential_dataflow::AsCollection;
use schemas::plan::Expiry;
use schemas::plan::OrderBy;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;
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
    let state = Groups { limit, in_place, groups: BTreeMap::new(), due: BTreeSet::new() };
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

/// The kept rows of one group, in order: the row, how often, until when.
type Kept = BTreeMap<Row, (Row, Diff, Time)>;

/// The groups of one worker.
struct Groups {
    limit: usize,
    in_place: bool,

    groups: BTreeMap<Row, Kept>,
    /// Groups by the first tick that forgets one of their rows.
    due: BTreeSet<(Time, Row)>,
}

impl Groups {
    /// The first `limit` rows of a group.
    fn shown(&self, group: &Row) -> Vec<(Row, Diff)> {
        let mut left = self.limit as Diff;
        let mut shown = Vec::new();
        for (row, count, _) in self.groups.get(group).into_iter().flat_map(BTreeMap::values) {
            if left <= 0 {
                break;
            }
            let count = (*count).min(left);
            if count > 0 {
                shown.push((row.clone(), count));
                left -= count;
            }
        }
        shown
    }

    fn add(&mut self, candidate: Candidate) {
        let kept = self.groups.entry(candidate.group).or_default();
        let order = candidate.order.clone();
        let entry = kept.entry(candidate.order);
        let entry = entry.or_insert((candidate.row, 0, candidate.until));
        entry.1 += candidate.diff;
        if entry.1 == 0 {
            kept.remove(&order);
        }
        while self.in_place && kept.len() > self.limit {
            kept.pop_last();
        }
    }

    /// Forgets rows whose time has come and asks to be woken for the next.
    fn forget(&mut self, group: &Row, at: Time) {
        let Some(kept) = self.groups.get_mut(group) else { return };
        kept.retain(|_, (_, _, until)| *until > at);
        match kept.values().map(|(_, _, until)| *until).min() {
            Some(Time::MAX) => {}
            Some(until) => {
                self.due.insert((until, group.clone()));
            }
            None => {
                self.groups.remove(group);
            }
        }
    }
}

impl Step<Candidate, (Row, Time, Diff)> for Groups {
    fn step(&mut self, at: Time, data: Vec<Candidate>, out: &mut Vec<(Row, Time, Diff)>) {
        let mut touched: BTreeSet<Row> = data.iter().map(|c| c.group.clone()).collect();
        while let Some((until, _)) = self.due.first()
            && *until <= at
        {
            touched.extend(self.due.pop_first().map(|(_, group)| group));
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
        self.due.first().map(|(until, _)| *until)
    }
}
