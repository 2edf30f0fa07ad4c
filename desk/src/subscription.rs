//! `SUBSCRIBE`: the changes of a view as rows without an end.
//!
//! Each row says its tick, how often it comes (or, below zero, goes), and the view's own columns.
//! A row with `progress` true has none of the view's columns and says that everything up to its
//! tick was told; it comes only where asked for.
//!
//! The engine keeps the changes that a subscriber has not taken yet, up to its own bound, and ends
//! the subscription beyond it. So a client that stops reading costs that much and no more.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::ArrayRef;
use arrow::array::BooleanArray;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::TimestampMillisecondArray;
use arrow::array::new_null_array;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use schemas::contract::Changes;
use schemas::contract::SubscribeFrom;
use schemas::contract::Told;
use schemas::relation::UTC;
use schemas::relation::timestamp_type;
use schemas::time::Timestamp;

use crate::desk::Desk;
use crate::error::DeskError;
use crate::run;
use crate::run::Answer;
use crate::text::AsOf;
use crate::text::Subscribe;

/// How often it is looked whether something changed; a tick is seldom shorter than a second.
const LOOK: Duration = Duration::from_millis(20);

/// Begins a subscription.
///
/// # Errors
/// The view is not there, or not kept as far back.
pub(crate) fn begin(
    desk: &Desk,
    asked: &Subscribe,
    at: Option<AsOf>,
) -> Result<Box<dyn Changes>, DeskError> {
    let step_ms = desk.engine.status().step_ms;
    let at = at.map(|at| at.tick(step_ms));
    let from = SubscribeFrom { at, snapshot: asked.snapshot };
    Ok(desk.engine.subscribe(&asked.view, &from)?)
}

/// The columns of a subscription to a view with these columns.
pub(crate) fn schema(view: &SchemaRef) -> SchemaRef {
    let mut fields = vec![
        Field::new("tick_at", timestamp_type(), false),
        Field::new("progress", DataType::Boolean, false),
        Field::new("diff", DataType::Int64, false),
    ];
    fields.extend(view.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)));
    Arc::new(Schema::new(fields))
}

/// Begins a subscription and gives its rows.
///
/// # Errors
/// The view is not there, or not kept as far back.
pub(crate) fn answer(
    desk: &Arc<Desk>,
    asked: &Subscribe,
    at: Option<AsOf>,
) -> Result<Answer, DeskError> {
    let mut changes = begin(desk, asked, at)?;
    let schema = schema(&changes.schema());
    let (progress, columns) = (asked.progress, Arc::clone(&schema));
    let counting = Arc::clone(desk);
    let rows = run::start(desk.runtime(), run::unguarded(), |put| async move {
        let _open = counting.counters.subscribed();
        loop {
            let next = match changes.next(Duration::ZERO) {
                Ok(None) => {
                    // Who reads may be gone while nothing changes.
                    tokio::select! {
                        () = tokio::time::sleep(LOOK) => continue,
                        () = put.closed() => return,
                    }
                }
                Ok(Some(Told::Progress { .. })) if !progress => continue,
                Ok(Some(told)) => Ok(batch(&columns, told)),
                Err(end) => Err(DeskError::from(end)),
            };
            let last = next.is_err();
            if put.send(next).await.is_err() || last {
                return;
            }
        }
    });
    Ok(Answer { schema, tick: desk.engine.tick(), notices: Vec::new(), rows })
}

/// What was told as rows.
fn batch(schema: &SchemaRef, told: Told) -> RecordBatch {
    let (tick, progress, diffs, rows) = match told {
        Told::Snapshot { tick, rows } => (tick, false, vec![1; rows.num_rows()], Some(rows)),
        Told::Changes { tick, rows, diffs } => (tick, false, diffs, Some(rows)),
        Told::Progress { tick } => (tick, true, vec![0], None),
    };
    let n = diffs.len();
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(instants(tick, n)),
        Arc::new(BooleanArray::from(vec![progress; n])),
        Arc::new(Int64Array::from(diffs)),
    ];
    match rows {
        Some(rows) => columns.extend(rows.columns().iter().cloned()),
        None => {
            let own = schema.fields().iter().skip(columns.len());
            columns.extend(own.map(|field| new_null_array(field.data_type(), n)));
        }
    }
    RecordBatch::try_new(Arc::clone(schema), columns).expect("the columns are the view's own")
}

fn instants(tick: Timestamp, n: usize) -> TimestampMillisecondArray {
    let ms = i64::try_from(tick.0).unwrap_or(i64::MAX);
    TimestampMillisecondArray::from(vec![ms; n]).with_timezone(UTC)
}
