//! AsOf: each left row with the latest right row of its key at or before its time.
//!
//! Both sides are kept by key in the order of time, each row once, so that the state does not
//! multiply as that of a join on `<=` would. A left row that comes looks its match up. A right row
//! that comes, changes or goes, however late, concerns the left rows from its time until the next
//! right row that stays: those are shown anew.
//!
//! Rows with a NULL key or time never match; of an inner join they are not kept.
//!
//! # Bounds
//!
//! One entry a row on each side, for as long as the row stands.

mod state;

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use differential_dataflow::AsCollection;
use schemas::plan::Node;
use schemas::plan::Op;
use schemas::plan::OrderBy;
use schemas::row::Row;
use schemas::row::Splice;
use serde::Deserialize;
use serde::Serialize;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Operator;

use self::state::Matched;
use super::RenderError;
use super::candidate::ordered;
use super::convert::Picked;
use super::convert::to_batches;
use super::join::nulls;
use super::layout;
use super::nullable;
use crate::delta::Diff;
use crate::delta::Edge;
use crate::delta::Oks;
use crate::delta::Time;
use crate::gauge::Gauge;
use crate::stepwise::stepwise_pair;

/// A change of one side on its way to its key.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Change {
    time: Time,
    key: Row,
    /// The row's own time.
    at: Row,
    /// Its place among right rows of the same time; empty on the left.
    tie: Row,
    row: Row,
    diff: Diff,
}

/// Renders an AS OF join.
pub(crate) fn as_of<'s>(
    left: Edge<'s>,
    right: Edge<'s>,
    node: &Node,
    gauges: [Arc<Gauge>; 2],
) -> Result<Edge<'s>, RenderError> {
    let Op::AsOf { left_key, right_key, times, before, ties, outer, outputs, .. } = &node.op else {
        unreachable!("the caller matched an AS OF join")
    };
    let schema = nullable(&node.schema);
    let faults = left.faults.iter().chain(&right.faults).cloned().collect();
    let parts = vec![layout(&left.schema, NODE)?, layout(&right.schema, NODE)?];
    let missing = if *outer { Some(nulls(&right.schema)?) } else { None };
    let state = Matched::new(Splice::new(parts, outputs), missing, *before, gauges);
    let left = changes(left, left_key, times.0, &[], *outer)?;
    let right = changes(right, right_key, times.1, ties, false)?;
    let route = || Exchange::new(|change: &Change| crate::route(change.key.as_bytes()));
    let timed = |change: Change| Some((change.time, change));
    let (left, right) = ((left, route(), timed), (right, route(), timed));
    let oks = stepwise_pair(left, right, NODE, state);
    Ok(Edge { schema, oks: Oks::Rows(oks.as_collection()), faults })
}

const NODE: &str = "AsOf";

/// The rows of one side as changes; those that never match only if `alone`.
fn changes<'s>(
    edge: Edge<'s>,
    key: &[usize],
    time: usize,
    ties: &[OrderBy],
    alone: bool,
) -> Result<StreamVec<'s, Time, Change>, RenderError> {
    let mut encoder = Encoder::new(&edge.schema, key, time, ties)?;
    Ok(to_batches(edge)?.unary::<CapacityContainerBuilder<Vec<Change>>, _, _, _>(
        Pipeline,
        "AsOf: encode",
        |_, _| {
            move |input, output| {
                input.for_each(|cap, data| {
                    let mut session = output.session(&cap);
                    for delta in data.drain(..) {
                        let rows = encoder.rows(&delta.batch).into_iter().enumerate();
                        for (place, [key, at, tie, row]) in rows {
                            if alone || encoder.matches(&delta.batch, place) {
                                let (time, diff) = (delta.time, delta.diffs.at(place));
                                session.give(Change { time, key, at, tie, row, diff });
                            }
                        }
                    }
                });
            }
        },
    ))
}

struct Encoder {
    /// Key, time, tie and all columns.
    parts: [Picked; 4],
}

impl Encoder {
    fn new(
        schema: &SchemaRef,
        key: &[usize],
        time: usize,
        ties: &[OrderBy],
    ) -> Result<Encoder, RenderError> {
        let part = |columns: &[usize]| Picked::new(schema, columns, NODE);
        let tied = ties.iter().map(|o| o.column).collect();
        let tied = Picked::with(tied, ordered(schema, ties, NODE)?);
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        Ok(Encoder { parts: [part(key)?, part(&[time])?, tied, part(&all)?] })
    }

    /// Key, time, tie and bytes of every row.
    fn rows(&mut self, batch: &RecordBatch) -> Vec<[Row; 4]> {
        let mut rows = vec![<[Row; 4]>::default(); batch.num_rows()];
        for (part, picked) in self.parts.iter_mut().enumerate() {
            picked.each(batch, |row, bytes| rows[row][part] = Row::new(bytes));
        }
        rows
    }

    /// Whether a row can match: neither its key nor its time is NULL.
    fn matches(&self, batch: &RecordBatch, row: usize) -> bool {
        let [key, time, ..] = &self.parts;
        let mut columns = key.columns().iter().chain(time.columns());
        columns.all(|column| batch.column(*column).is_valid(row))
    }
}
