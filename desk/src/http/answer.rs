//! Rows as a body: JSON for people and scripts, an Arrow stream for those that compute.
//!
//! The first rows are waited for before the status is sent, so that what fails at once has a status
//! of its own. What fails later ends a JSON body with an `error` member, and breaks an Arrow stream
//! off.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use arrow::json::LineDelimitedWriter;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use axum::body::Body;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use futures::Stream;
use futures::StreamExt;
use serde_json::json;

use super::told;
use crate::error::DeskError;
use crate::error::Kind;
use crate::run::Answer;

/// The media type of an Arrow stream.
pub(super) const ARROW: &str = "application/vnd.apache.arrow.stream";

type First = Option<RecordBatch>;

async fn first(answer: &mut Answer) -> Result<First, DeskError> {
    answer.rows.next().await.transpose()
}

/// The rows as one JSON object.
///
/// # Errors
/// The first rows cannot be had.
pub(super) async fn json(mut answer: Answer) -> Result<Response, DeskError> {
    let first = first(&mut answer).await?;
    let columns: Vec<_> = answer
        .schema
        .fields()
        .iter()
        .map(|field| json!({ "name": field.name(), "type": field.data_type().to_string() }))
        .collect();
    let head = json!({
        "tick": answer.tick.to_string(),
        "notices": answer.notices,
        "columns": columns,
    });
    let head = head.to_string();
    let head = format!("{},\"rows\":[", head.trim_end_matches('}'));
    let body = json_body(head, first, answer);
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((kind, Body::from_stream(body)).into_response())
}

fn json_body(
    head: String,
    first: First,
    answer: Answer,
) -> impl Stream<Item = Result<Bytes, DeskError>> {
    let rows = futures::stream::iter(first.map(Ok)).chain(answer.rows);
    let mut any = false;
    let mut failed = false;
    let rows = rows.map(move |batch| {
        if failed {
            return Vec::new();
        }
        let lines = batch.and_then(|batch| objects(&batch));
        match lines {
            Ok(lines) if lines.is_empty() => Vec::new(),
            Ok(lines) => {
                let comma: &[u8] = if any { b",\n" } else { b"\n" };
                any = true;
                [comma, &lines].concat()
            }
            Err(error) => {
                failed = true;
                format!("],\"error\":{}}}\n", told(&error)).into_bytes()
            }
        }
    });
    // The array is closed once the rows ended well; an error has closed it already.
    let closed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = Arc::clone(&closed);
    let rows = rows.map(move |bytes| {
        if bytes.starts_with(b"],\"error\"") {
            seen.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        bytes
    });
    let tail = futures::stream::once(async move {
        let closed = closed.load(std::sync::atomic::Ordering::Relaxed);
        if closed { Vec::new() } else { b"]}\n".to_vec() }
    });
    let head = futures::stream::once(async move { head.into_bytes() });
    head.chain(rows).chain(tail).map(|bytes| Ok(Bytes::from(bytes)))
}

/// The rows of a batch as JSON objects with commas between.
pub(super) fn objects(batch: &RecordBatch) -> Result<Vec<u8>, DeskError> {
    let mut lines = Vec::new();
    let builder = WriterBuilder::new().with_explicit_nulls(true);
    let mut writer: LineDelimitedWriter<_> = builder.build::<_, LineDelimited>(&mut lines);
    let failed = |error| DeskError::new(Kind::Internal, format!("no JSON can be made: {error}"));
    writer.write(batch).map_err(failed)?;
    writer.finish().map_err(failed)?;
    drop(writer);
    while lines.last() == Some(&b'\n') {
        lines.pop();
    }
    // Texts hold no line ends of their own: JSON escapes them.
    let mut joined = Vec::with_capacity(lines.len() * 21 / 20);
    for byte in lines {
        if byte == b'\n' {
            joined.push(b',');
        }
        joined.push(byte);
    }
    Ok(joined)
}

/// The rows as an Arrow IPC stream.
///
/// # Errors
/// The first rows cannot be had.
pub(super) async fn arrow(mut answer: Answer) -> Result<Response, DeskError> {
    let first = first(&mut answer).await?;
    let tick = answer.tick.to_string();
    let body = arrow_body(first, answer)?;
    let head = [(header::CONTENT_TYPE, ARROW), (header::HeaderName::from_static("tick"), &tick)];
    Ok((head, Body::from_stream(body)).into_response())
}

fn arrow_body(
    first: First,
    answer: Answer,
) -> Result<impl Stream<Item = Result<Bytes, DeskError>>, DeskError> {
    let mut writer = Some(writer(&answer.schema)?);
    let rows = futures::stream::iter(first.map(Ok)).chain(answer.rows).map(Some);
    let rows = rows.chain(futures::stream::once(async { None }));
    Ok(rows.map(move |batch| {
        let failed = |error| DeskError::new(Kind::Internal, format!("no stream: {error}"));
        let Some(open) = writer.as_mut() else { return Ok(Bytes::new()) };
        match batch.transpose() {
            Ok(Some(batch)) => open.write(&batch).map_err(failed)?,
            Ok(None) => open.finish().map_err(failed)?,
            Err(error) => {
                writer = None;
                return Err(error);
            }
        }
        Ok(Bytes::from(std::mem::take(open.get_mut())))
    }))
}

fn writer(schema: &SchemaRef) -> Result<StreamWriter<Vec<u8>>, DeskError> {
    StreamWriter::try_new(Vec::new(), schema)
        .map_err(|error| DeskError::new(Kind::Internal, format!("no stream: {error}")))
}
