//! Temporal: rows that show from one tick until another.
//!
//! `WHERE ts > now() - INTERVAL '1 hour'` is two changes per row: one now, one later. What is later
//! is parked here by tick, not in a differential batcher, which would merge everything parked again
//! at every tick. A row that is replaced before it was due cancels in the park. A row whose bound
//! cannot be computed is a fault of the view.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use differential_dataflow::AsCollection;
use schemas::contract::Fault;
use schemas::plan::EvalError;
use schemas::plan::ExprRef;
use schemas::plan::OnError;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::time;
use schemas::time::Timestamp;
use timely::dataflow::channels::pact::Pipeline;

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
use crate::gauge::Gauge;
use crate::gauge::Gauged;
use crate::gauge::Keeps;
use crate::gauge::Kept;
use crate::gauge::MeanHeap;
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
    gauge: Arc<Gauge>,
) -> Result<Edge<'s>, RenderError> {
    let schema = input.schema.clone();
    let mut faults = input.faults.clone();
    let mut bounds = Bounds {
        from: from.cloned(),
        until: until.cloned(),
        step: context.step,
        on_error: context.on_error,
        codec: codec(&schema, "Temporal")?,
    };
    let run = move |delta: &DeltaBatch, done: &mut _, failed: &mut _| {
        bounds.run(delta, done, failed);
    };
    let (spanned, failed) = map_filter::fallible(to_batches(input)?, "Temporal: bounds", run);
    faults.push(failed);
    let state = Gauged::new(Parked::default(), gauge);
    let oks = stepwise(spanned, Pipeline, "Temporal", |s: &Spanned| s.1, state);
    Ok(Edge { schema, oks: Oks::Rows(oks.as_collection()), faults })
}

/// The bounds of one node, ready to be evaluated.
struct Bounds {
    from: Option<ExprRef>,
    until: Option<ExprRef>,
    step: time::Step,
    on_error: OnError,
    codec: RowCodec,
}

/// The ticks of a bound, one a row; `None` where it is NULL, so that nothing compares with it.
type Ticks = Vec<Option<Time>>;

impl Bounds {
    /// Spans the rows of a batch; those whose bounds cannot be computed become faults.
    fn run(
        &mut self,
        delta: &DeltaBatch,
        done: &mut Vec<Spanned>,
        failed: &mut Vec<(Fault, Time, Diff)>,
    ) {
        let rows = delta.batch.num_rows();
        if rows == 0 {
            return;
        }
        let from = self.ticks(self.from.as_ref(), delta, 0);
        let until = self.ticks(self.until.as_ref(), delta, Time::MAX);
        match from.and_then(|from| Ok((from, until?))) {
            Ok((from, until)) => self.span(delta, &from, &until, done),
            Err(_) if rows > 1 => {
                let half = rows / 2;
                self.run(&delta.slice(0, half), done, failed);
                self.run(&delta.slice(half, rows - half), done, failed);
            }
            // A comparison with NULL is not true.
            Err(_) if self.on_error == OnError::Null => {}
            Err((expression, error)) => {
                let row = map_filter::describe(&delta.batch);
                let fault = Fault { expression, message: error.message, row };
                failed.push((fault, delta.time, delta.diffs.at(0)));
            }
        }
    }

    fn span(
        &mut self,
        delta: &DeltaBatch,
        from: &[Option<Time>],
        until: &[Option<Time>],
        done: &mut Vec<Spanned>,
    ) {
        self.codec
            .encode(delta.batch.columns(), delta.batch.num_rows(), |i, bytes| {
                if let (Some(from), Some(until)) = (from[i], until[i])
                    && from < until
                {
                    done.push((Row::new(bytes), delta.time, from, until, delta.diffs.at(i)));
                }
            })
            .expect(OF_SCHEMA);
    }

    /// The first tick at or after each row's bound.
    fn ticks(
        &self,
        bound: Option<&ExprRef>,
        delta: &DeltaBatch,
        default: Time,
    ) -> Result<Ticks, (String, EvalError)> {
        let rows = delta.batch.num_rows();
        let Some(bound) = bound else { return Ok(vec![Some(default); rows]) };
        let ms = bound.evaluate(&delta.batch).map_err(|error| (bound.to_string(), error))?;
        let ms = ms.as_primitive::<Int64Type>();
        let tick = |row: usize| {
            let at = Timestamp(ms.value(row).max(0) as u64);
            ms.is_valid(row).then(|| self.step.tick_at_or_after(at).0)
        };
        Ok((0..rows).map(tick).collect())
    }
}

/// Changes by the tick in which they take effect.
#[derive(Default)]
struct Parked {
    ticks: BTreeMap<Time, BTreeMap<Row, Diff>>,
    rows: usize,
    heap: MeanHeap,
}

impl Keeps for Parked {
    fn kept(&self) -> Kept {
        let bytes = self.rows * size_of::<(Row, Diff)>() + self.heap.of(self.rows);
        Kept { rows: self.rows, bytes }
    }
}

impl Parked {
    fn park(&mut self, at: Time, row: Row, diff: Diff) {
        let tick = self.ticks.entry(at).or_default();
        self.heap.see(&row);
        let before = tick.len();
        add_to(tick, row, diff);
        self.rows = self.rows + tick.len() - before;
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
            let due = due.remove();
            self.rows -= due.len();
            out.extend(due.into_iter().map(|(row, diff)| (row, at, diff)));
        }
    }

    fn wake_at(&self) -> Option<Time> {
        self.ticks.keys().next().copied()
    }
}
