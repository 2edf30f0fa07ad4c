//! Rows on their way to groups in which they have an order: what [`super::top_k`] and
//! [`super::window`] keep.

use arrow_array::RecordBatch;
use arrow_schema::SortOptions;
use schemas::plan::Expiry;
use schemas::plan::OrderBy;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Operator;

use super::RenderError;
use super::convert::Picked;
use super::convert::to_batches;
use super::get::millis;
use super::project;
use crate::delta::Diff;
use crate::delta::Edge;
use crate::delta::Time;

/// One change of one row, on its way to its group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Candidate {
    pub(super) time: Time,
    pub(super) group: Row,
    pub(super) order: Row,
    pub(super) row: Row,
    /// The tick that forgets it; `u64::MAX` for never.
    pub(super) until: Time,
    pub(super) diff: Diff,
}

/// The rows of an edge as candidates, on the worker where they are.
pub(super) fn candidates<'s>(
    input: Edge<'s>,
    group: &[usize],
    order: &[OrderBy],
    expire: Option<Expiry>,
    node: &'static str,
) -> Result<StreamVec<'s, Time, Candidate>, RenderError> {
    let schema = input.schema.clone();
    let columns: Vec<usize> = order.iter().map(|o| o.column).collect();
    let all: Vec<usize> = (0..schema.fields().len()).collect();
    let mut encoder = Encoder {
        group: Picked::new(&schema, group, node)?,
        order: Picked::with(columns, ordered(&schema, order, node)?),
        row: Picked::new(&schema, &all, node)?,
        expire,
    };
    Ok(to_batches(input)?.unary::<CapacityContainerBuilder<Vec<Candidate>>, _, _, _>(
        Pipeline,
        &format!("{node}: encode"),
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
    ))
}

/// A codec whose rows are in this order.
pub(super) fn ordered(
    schema: &arrow_schema::SchemaRef,
    order: &[OrderBy],
    node: &'static str,
) -> Result<RowCodec, RenderError> {
    let columns: Vec<usize> = order.iter().map(|o| o.column).collect();
    let options: Vec<SortOptions> = (order.iter())
        .map(|o| SortOptions { descending: o.descending, nulls_first: o.nulls_first })
        .collect();
    let ordered = RowCodec::ordered(project(schema, &columns), &options);
    ordered.map_err(|e| RenderError::Type { node, source: Some(e) })
}

struct Encoder {
    group: Picked,
    order: Picked,
    row: Picked,
    expire: Option<Expiry>,
}

impl Encoder {
    fn encode(
        &mut self,
        batch: &RecordBatch,
        time: Time,
        diff: impl Fn(usize) -> Diff,
    ) -> Vec<Candidate> {
        let (groups, orders) = (self.group.rows(batch), self.order.rows(batch));
        let rows = self.row.rows(batch);
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
