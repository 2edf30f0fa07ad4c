//! Temporal: rows that show from one tick until another.
//!
//! `WHERE ts > now() - INTERVAL '1 hour'` is two changes per row: one now, one later. What is later
//! is parked here by tick, not in a differential batcher, which would merge everything parked again
//! at every tick. A row that is replaced before it was due cancels in the park.

use std::collections::BTreeMap;

use arrow_array::Array;
use arrow_array::Int64Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use differential_dataflow::AsCollection;
use schemas::plan::ExprRef;
use schemas::row::Row;
use schemas::time;
use schemas::time::Timestamp;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Operator;

use super::Context;
use super::RenderError;
use super::codec;
use super::convert::OF_SCHEMA;
use super::convert::to_batches;
use super::map_filter;
use crate::delta::DeltaBatch;
use crate::delta::Diff;
use crate::delta::Edge;
use crate::delta::Oks;
use crate::delta::Time;
use crate::delta::add_to;
use crate::stepwise::Step;
use crate::stepwise::stepwise;

/// A change with the span of ticks in which it shows.
type Spanned = (Row, Time, Time, Time, Diff);

/// Renders a Temporal.
pub(crate) fn temporal<'s>(
    context: &Context<'_, 's>,
    input: Edge<'s>,
    from: Option<&ExprRef>,
    until: Option<&ExprRef>,
) -> Result<Edge<'s>, RenderError> {
    let (schema, faults) = (input.schema.clone(), input.faults.clone());
    let mut codec = codec(&schema, "Temporal")?;
    let (from, until, step) = (from.cloned(), until.cloned(), context.step);
    let spanned = to_batches(input)?.unary::<CapacityContainerBuilder<Vec<Spanned>>, _, _, _>(
        Pipeline,
        "Temporal: bounds",
        |_, _| {
            move |input, output| {
                input.for_each(|cap, data| {
                    let mut session = output.session(&cap);
                    for delta in data.drain(..) {
                        let from = bound(from.as_ref(), &delta, step, 0);
                        let until = bound(until.as_ref(), &delta, step, Time::MAX);
                        let rows = delta.batch.num_rows();
                        codec
                            .encode(delta.batch.columns(), rows, |i, bytes| {
                                if let (Some(from), Some(until)) = (from[i], until[i])
                                    && from < until
                                {
                                    let diff = delta.diffs.at(i);
                                    session.give((Row::new(bytes), delta.time, from, until, diff));
                                }
                            })
                            .expect(OF_SCHEMA);
                    }
                });
            }
        },
    );
    let state = Parked::default();
    let oks = stepwise(spanned, Pipeline, "Temporal", |s: &Spanned| s.1, state);
    Ok(Edge { schema, oks: Oks::Rows(oks.as_collection()), faults })
}

/// The first tick at or after each row's bound; `None` where it is NULL or cannot be computed.
fn bound(
    expr: Option<&ExprRef>,
    delta: &DeltaBatch,
    step: time::Step,
    default: Time,
) -> Vec<Option<Time>> {
    let rows = delta.batch.num_rows();
    let Some(expr) = expr else { return vec![Some(default); rows] };
    let tick = |ms: &Int64Array, row: usize| {
        let at = Timestamp(ms.value(row).max(0) as u64);
        ms.is_valid(row).then(|| step.tick_at_or_after(at).0)
    };
    match expr.evaluate(&delta.batch) {
        Ok(ms) => {
            let ms = ms.as_primitive::<Int64Type>();
            (0..rows).map(|row| tick(ms, row)).collect()
        }
        Err(_) => (0..rows)
            .map(|row| {
                let one = delta.batch.slice(row, 1);
                match expr.evaluate(&one) {
                    Ok(ms) => tick(ms.as_primitive::<Int64Type>(), 0),
                    Err(error) => {
                        let row = map_filter::describe(&one);
                        tracing::warn!(%expr, %error, %row, "a time bound cannot be computed");
                        None
                    }
                }
            })
            .collect(),
    }
}

/// Changes by the tick in which they take effect.
#[derive(Default)]
struct Parked {
    ticks: BTreeMap<Time, BTreeMap<Row, Diff>>,
}

impl Parked {
    fn park(&mut self, at: Time, row: Row, diff: Diff) {
        let tick = self.ticks.entry(at).or_default();
        add_to(tick, row, diff);
        if self.ticks.get(&at).is_some_and(BTreeMap::is_empty) {
            self.ticks.remove(&at);
        }
    }
}

impl Step<Spanned, (Row, Time, Diff)> for Parked {
    fn step(&mut self, at: Time, data: Vec<Spanned>, out: &mut Vec<(Row, Time, Diff)>) {
        for (row, _, from, until, diff) in data {
            if until <= at {
                continue;
            }
            self.park(from.max(at), row.clone(), diff);
            if until != Time::MAX {
                self.park(until, row, -diff);
            }
        }
        while let Some(due) = self.ticks.first_entry()
            && *due.key() <= at
        {
            out.extend(due.remove().into_iter().map(|(row, diff)| (row, at, diff)));
        }
    }

    fn wake_at(&self) -> Option<Time> {
        self.ticks.keys().next().copied()
    }
}
