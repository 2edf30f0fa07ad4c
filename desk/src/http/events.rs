//! `GET /subscribe?view=…`: the changes of a view as server-sent events.
//!
//! Each event is what one tick changed (or the rows at the beginning): its `id` is the tick in
//! milliseconds, its name `change` or `progress`, its data one JSON array of rows with `tick_at`,
//! `progress`, `diff` and the view's own columns. A subscription that ends says why in an event
//! named `end`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::array::cast::AsArray;
use arrow::datatypes::TimestampMillisecondType;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::Event;
use axum::response::sse::KeepAlive;
use futures::Stream;
use futures::StreamExt;

use super::Asks;
use super::Refusal;
use super::answer::objects;
use super::told;
use super::who;
use crate::desk::Desk;
use crate::error::DeskError;
use crate::session::Outcome;

/// How often a quiet subscription shows that it lives.
const ALIVE: Duration = Duration::from_secs(15);

/// Tells the changes of a view.
pub(super) async fn subscribe(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    asks: Asks,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let session = desk.session(who(&desk, &headers)?);
    let (snapshot, progress) = (asks.snapshot, asks.progress);
    let view = asks.view.replace('"', "\"\"");
    let at = match &asks.as_of {
        None => String::new(),
        Some(at) if at.bytes().all(|byte| byte.is_ascii_digit()) => format!(" AS OF TICK {at}"),
        Some(at) => format!(" AS OF TIMESTAMP '{}'", at.replace('\'', "''")),
    };
    let sql =
        format!("SUBSCRIBE \"{view}\" WITH (snapshot = {snapshot}, progress = {progress}){at}");
    let Outcome::Changes(answer) = session.ask(&sql).await? else {
        unreachable!("SUBSCRIBE gives changes");
    };
    let events = answer.rows.map(|batch| Ok(event(batch)));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)))
}

fn event(batch: Result<RecordBatch, DeskError>) -> Event {
    let data = batch.and_then(|batch| Ok((objects(&batch)?, batch)));
    match data {
        Err(error) => Event::default().event("end").data(told(&error).to_string()),
        Ok((rows, batch)) => {
            let rows = String::from_utf8_lossy(&rows).replace('\n', "");
            let event = Event::default().data(format!("[{rows}]"));
            let event = event.event(if says_progress(&batch) { "progress" } else { "change" });
            match tick(&batch) {
                Some(tick) => event.id(tick.to_string()),
                None => event,
            }
        }
    }
}

fn says_progress(batch: &RecordBatch) -> bool {
    let column = batch.column(1).as_boolean();
    !column.is_empty() && column.value(0)
}

fn tick(batch: &RecordBatch) -> Option<i64> {
    let ticks = batch.column(0).as_primitive_opt::<TimestampMillisecondType>()?;
    (!ticks.is_empty()).then(|| ticks.value(0))
}
