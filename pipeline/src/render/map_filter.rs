//! MapFilterProject: expressions on batches; the bad rows, and only they, go to the faults.
//!
//! A batch is evaluated whole. If that fails it is halved until the failing rows stand alone: one
//! bad row in 8,192 costs 13 extra evaluations, not 8,192.
//!
//! A fault is a change as its row is: what takes the row back takes the fault back. Where a node
//! above forgets rows instead of having them retracted (`forget`), the fault's end is put out with
//! it, at the tick that forgets the row. Faults go nowhere but to their view's publisher, which
//! waits for the tick.

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::ArrayRef;
use arrow_array::BooleanArray;
use arrow_array::RecordBatch;
use arrow_array::RecordBatchOptions;
use arrow_array::cast::AsArray;
use arrow_array::new_null_array;
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;
use differential_dataflow::AsCollection;
use schemas::contract::Fault;
use schemas::plan::EvalError;
use schemas::plan::Expiry;
use schemas::plan::ExprRef;
use schemas::plan::OnError;
use schemas::row::Splice;
use schemas::time::Timestamp;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::RenderError;
use super::convert::to_batches;
use super::get::millis;
use super::layout;
use crate::delta::Batches;
use crate::delta::DeltaBatch;
use crate::delta::Diff;
use crate::delta::Diffs;
use crate::delta::Edge;
use crate::delta::Faults;
use crate::delta::Oks;
use crate::delta::Time;
use crate::delta::fail_until;

/// Filters, computes and projects.
pub(crate) fn map_filter<'s>(
    input: Edge<'s>,
    evaluator: Evaluator,
) -> Result<Edge<'s>, RenderError> {
    let schema = evaluator.schema.clone();
    let picks: Option<Vec<usize>> = evaluator.projections.iter().map(|p| p.column()).collect();
    if let (Some(picks), true, Oks::Rows(rows)) = (&picks, evaluator.filters.is_empty(), &input.oks)
    {
        let mut splice = Splice::new(vec![layout(&input.schema, "Project")?], picks);
        let oks = Oks::Rows(rows.clone().map(move |row| splice.row(&[row.as_bytes()])));
        return Ok(Edge { schema, oks, faults: input.faults });
    }
    let mut faults = input.faults.clone();
    let run = move |delta: &DeltaBatch, done: &mut _, failed: &mut _| {
        evaluator.run(delta, done, failed);
    };
    let (oks, failed) = fallible(to_batches(input)?, "MapFilterProject", run);
    faults.push(failed);
    Ok(Edge { schema, oks: Oks::Batches(oks), faults })
}

/// An operator without state that takes batches apart into what could be computed and what could
/// not.
pub(crate) fn fallible<'s, D: Clone + 'static>(
    batches: Batches<'s>,
    name: &str,
    mut run: impl FnMut(&DeltaBatch, &mut Vec<D>, &mut Vec<(Fault, Time, Diff)>) + 'static,
) -> (StreamVec<'s, Time, D>, Faults<'s>) {
    let mut builder = OperatorBuilder::new(name.to_owned(), batches.scope());
    let mut input = builder.new_input(batches, Pipeline);
    builder.set_notify_for(0, timely::progress::operate::FrontierInterest::Never);
    let (oks, oks_stream) = builder.new_output();
    let (faults, faults_stream) = builder.new_output();
    let mut oks = OutputBuilder::from(oks);
    let mut faults = OutputBuilder::from(faults);
    builder.build(move |_| {
        let mut failed: Vec<(Fault, Time, Diff)> = Vec::new();
        let mut done: Vec<D> = Vec::new();
        move |_| {
            let (mut oks, mut faults) = (oks.activate(), faults.activate());
            input.for_each(|cap, data| {
                for delta in data.drain(..) {
                    run(&delta, &mut done, &mut failed);
                }
                if !done.is_empty() {
                    oks.session(&cap).give_container(&mut done);
                    done.clear();
                }
                if !failed.is_empty() {
                    faults.session(&cap).give_container(&mut failed);
                    failed.clear();
                }
            });
        }
    });
    (oks_stream, faults_stream.as_collection())
}

/// The compiled expressions of one node.
pub(crate) struct Evaluator {
    pub(crate) filters: Vec<ExprRef>,
    pub(crate) projections: Vec<ExprRef>,
    /// The columns that come out.
    pub(crate) schema: SchemaRef,
    pub(crate) on_error: OnError,
    /// When a failing row is forgotten, unless it is retracted.
    pub(crate) forget: Option<Expiry>,
}

impl Evaluator {
    /// Evaluates a batch; rows that fail become faults.
    pub(crate) fn run(
        &self,
        delta: &DeltaBatch,
        done: &mut Vec<DeltaBatch>,
        failed: &mut Vec<(Fault, Time, Diff)>,
    ) {
        let rows = delta.batch.num_rows();
        if rows == 0 {
            return;
        }
        match self.evaluate(delta) {
            Ok(Some(delta)) => done.push(delta),
            Ok(None) => {}
            Err(_) if rows > 1 => {
                let half = rows / 2;
                self.run(&delta.slice(0, half), done, failed);
                self.run(&delta.slice(half, rows - half), done, failed);
            }
            Err((expression, error)) if self.on_error == OnError::Null => {
                tracing::debug!(%expression, %error, "a value that cannot be computed is NULL");
                done.extend(self.nulls(delta));
            }
            Err((expression, error)) => {
                let row = describe(&delta.batch);
                let fault = Fault { expression, message: error.message, row };
                let until = self.forget.map_or(Time::MAX, |expiry| {
                    let at = millis(delta.batch.column(expiry.column)).value(0);
                    expiry.at(Timestamp(at.max(0) as u64)).0
                });
                fail_until(failed, fault, (delta.time, until), delta.diffs.at(0));
            }
        }
    }

    fn evaluate(&self, delta: &DeltaBatch) -> Result<Option<DeltaBatch>, (String, EvalError)> {
        let mut batch = delta.batch.clone();
        let mut diffs = delta.diffs.clone();
        for filter in &self.filters {
            let named = |e: EvalError| (filter.to_string(), e);
            let keep = filter.evaluate(&batch).map_err(named)?;
            let keep = definite(keep.as_boolean());
            match keep.true_count() {
                0 => return Ok(None),
                all if all == batch.num_rows() => {}
                _ => {
                    batch = filter_record_batch(&batch, &keep)
                        .expect("a filter is as long as its batch");
                    diffs = diffs.filter(&keep);
                }
            }
        }
        let named = |at: usize, e: EvalError| (self.projections[at].to_string(), e);
        let columns = (0..self.projections.len())
            .map(|at| self.value(at, &batch).map_err(|e| named(at, e)))
            .collect::<Result<Vec<ArrayRef>, _>>()?;
        let batch = self.batch(columns, batch.num_rows());
        Ok(Some(DeltaBatch { time: delta.time, batch, diffs }))
    }

    /// The value of a projection, of the type that the plan gives its column.
    fn value(&self, at: usize, batch: &RecordBatch) -> Result<ArrayRef, EvalError> {
        let value = self.projections[at].evaluate(batch)?;
        let (found, planned) = (value.data_type(), self.schema.field(at).data_type());
        if found == planned {
            return Ok(value);
        }
        Err(EvalError { message: format!("it is {found}, and {planned} was planned") })
    }

    fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> RecordBatch {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .expect("the values are of the columns' types")
    }

    /// One row with NULL for every value that fails; a filter that fails is not true.
    fn nulls(&self, delta: &DeltaBatch) -> Option<DeltaBatch> {
        for filter in &self.filters {
            let keep = filter.evaluate(&delta.batch).ok()?;
            if definite(keep.as_boolean()).true_count() == 0 {
                return None;
            }
        }
        let columns = (self.schema.fields().iter().enumerate())
            .map(|(at, field)| {
                let value = self.value(at, &delta.batch);
                value.unwrap_or_else(|_| new_null_array(field.data_type(), 1))
            })
            .collect();
        let batch = self.batch(columns, 1);
        Some(DeltaBatch { time: delta.time, batch, diffs: Diffs::All(delta.diffs.at(0)) })
    }
}

/// NULL is not true.
fn definite(keep: &BooleanArray) -> BooleanArray {
    match keep.nulls() {
        None => keep.clone(),
        Some(nulls) => BooleanArray::new(keep.values() & nulls.inner(), None),
    }
}

/// A one-row batch as `column=value` text.
pub(crate) fn describe(batch: &RecordBatch) -> String {
    let options = arrow_cast::display::FormatOptions::default().with_null("NULL");
    let schema = batch.schema();
    let values = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let column: &Arc<dyn Array> = column;
        let value = arrow_cast::display::ArrayFormatter::try_new(column.as_ref(), &options)
            .map_or_else(|e| e.to_string(), |f| f.value(0).to_string());
        format!("{}={value}", field.name())
    });
    values.collect::<Vec<_>>().join(" ")
}
