//! Get: the rows of a relation, and their end.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::Array;
use arrow_array::Int64Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use schemas::plan::Expiry;
use schemas::row::Splice;
use schemas::time::Timestamp;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Operator;

use super::Context;
use super::RenderError;
use super::convert::to_batches;
use super::layout;
use super::project;
use crate::delta::Batches;
use crate::delta::DeltaBatch;
use crate::delta::Diffs;
use crate::delta::Edge;
use crate::delta::Oks;
use crate::delta::Time;
use crate::gauge::Gauge;
use crate::gauge::Gauged;
use crate::gauge::Keeps;
use crate::gauge::Kept;
use crate::stepwise::Step;
use crate::stepwise::stepwise;

/// Reads `columns` of a relation; with an end of its rows, takes each away when the stream no
/// longer retains it.
pub(crate) fn get<'s>(
    context: &Context<'_, 's>,
    relation: &str,
    columns: &[usize],
    expire: Option<(Expiry, Arc<Gauge>)>,
    schema: &arrow_schema::SchemaRef,
) -> Result<Edge<'s>, RenderError> {
    let edge = context.relations.get(relation).cloned();
    let mut edge = edge.ok_or_else(|| RenderError::Relation { relation: relation.to_owned() })?;
    if let Some((expiry, gauge)) = expire {
        let batches = to_batches(edge.clone())?;
        edge.oks = Oks::Batches(retain(batches, expiry, columns.to_vec(), gauge));
        edge.schema = project(schema, &(0..columns.len()).collect::<Vec<_>>());
        return Ok(edge);
    }
    picked(edge, columns)
}

/// These columns of an edge.
pub(super) fn picked<'s>(mut edge: Edge<'s>, columns: &[usize]) -> Result<Edge<'s>, RenderError> {
    let whole = columns.iter().copied().eq(0..edge.schema.fields().len());
    if whole {
        return Ok(edge);
    }
    edge.oks = match edge.oks {
        Oks::Batches(batches) => Oks::Batches(pick(batches, columns.to_vec())),
        Oks::Rows(rows) => {
            let mut splice = Splice::new(vec![layout(&edge.schema, "Get")?], columns);
            Oks::Rows(rows.map(move |row| splice.row(&[row.as_bytes()])))
        }
    };
    edge.schema = project(&edge.schema, columns);
    Ok(edge)
}

/// Keeps some columns of every batch.
fn pick(batches: Batches<'_>, columns: Vec<usize>) -> Batches<'_> {
    batches.unary::<CapacityContainerBuilder<Vec<DeltaBatch>>, _, _, _>(
        Pipeline,
        "Project",
        |_, _| {
            move |input, output| {
                input.for_each(|cap, data| {
                    let mut session = output.session(&cap);
                    for mut delta in data.drain(..) {
                        delta.batch =
                            delta.batch.project(&columns).expect("the planner knows the columns");
                        session.give(delta);
                    }
                });
            }
        },
    )
}

/// Milliseconds of a timestamp column; NULL is the epoch.
pub(crate) fn millis(column: &dyn Array) -> Int64Array {
    column.as_primitive::<TimestampMillisecondType>().reinterpret_cast()
}

/// Passes `columns` of batches on and takes their rows away at the end of their retention.
pub(super) fn retain(
    batches: Batches<'_>,
    expiry: Expiry,
    columns: Vec<usize>,
    gauge: Arc<Gauge>,
) -> Batches<'_> {
    let (parked, kept) = (BTreeMap::new(), Kept::default());
    let state = Gauged::new(Retain { expiry, columns, parked, kept }, gauge);
    stepwise(batches, Pipeline, "Retain", |delta: &DeltaBatch| delta.time, state)
}

/// Rows by the tick that takes them away.
struct Retain {
    expiry: Expiry,
    columns: Vec<usize>,

    parked: BTreeMap<Time, Vec<DeltaBatch>>,
    kept: Kept,
}

/// What a part of a batch keeps: the batch itself may be longer, and is gone with its last part.
fn weight(delta: &DeltaBatch) -> Kept {
    let column = |column: &arrow_array::ArrayRef| {
        // A type without a size of its own counts as what it shares with other parts.
        column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())
    };
    let bytes = delta.batch.columns().iter().map(column).sum();
    Kept { rows: delta.batch.num_rows(), bytes }
}

impl Keeps for Retain {
    fn kept(&self) -> Kept {
        self.kept
    }
}

impl Step<DeltaBatch, DeltaBatch> for Retain {
    fn step(&mut self, at: Time, data: Vec<DeltaBatch>, out: &mut Vec<DeltaBatch>) {
        while let Some(due) = self.parked.first_entry()
            && *due.key() <= at
        {
            for mut delta in due.remove() {
                let Kept { rows, bytes } = weight(&delta);
                self.kept.rows -= rows;
                self.kept.bytes -= bytes;
                delta.time = at;
                delta.diffs = match delta.diffs {
                    Diffs::All(diff) => Diffs::All(-diff),
                    Diffs::Each(diffs) => Diffs::Each(diffs.iter().map(|d| -d).collect()),
                };
                out.push(delta);
            }
        }
        for delta in data {
            let times = millis(delta.batch.column(self.expiry.column));
            let due = |row: usize| self.expiry.at(Timestamp(times.value(row).max(0) as u64)).0;
            let picked = delta.batch.project(&self.columns).expect("the planner knows the columns");
            let delta = DeltaBatch { batch: picked, ..delta };
            let rows = delta.batch.num_rows();
            let mut from = 0;
            while from < rows {
                let until = due(from);
                let len = (from..rows).take_while(|row| due(*row) == until).count();
                if until > at {
                    let part = delta.slice(from, len);
                    let Kept { rows, bytes } = weight(&part);
                    self.kept.rows += rows;
                    self.kept.bytes += bytes;
                    self.parked.entry(until).or_default().push(part.clone());
                    out.push(part);
                }
                from += len;
            }
        }
    }

    fn wake_at(&self) -> Option<Time> {
        self.parked.keys().next().copied()
    }
}
