//! Where statements compute: threads and memory of their own, and an end to each.
//!
//! A statement is one task of the desk's runtime. It hands its rows over a short channel, so that
//! it computes no faster than its client reads; it ends at its limits, when it is cancelled, and
//! when whoever reads the rows lets go of them ([`crate::guard`] sees to it where it computes
//! long).
//!
//! **Bounds:** a statement holds [`HANDED`] batches beside what DataFusion accounts for in the
//! memory pool that all share.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use futures::Stream;
use futures::StreamExt;
use schemas::time::Timestamp;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::error::DeskError;
use crate::error::Kind;
use crate::guard::Guard;
use crate::limits::Limits;

/// Longer than any process lives.
const NEVER: std::time::Duration = std::time::Duration::from_secs(400 * 86_400);

/// Batches that wait between a statement and its client.
const HANDED: usize = 2;

/// Rows, with what there is to know of them.
pub struct Answer {
    /// The columns.
    pub schema: SchemaRef,
    /// The tick that the rows show.
    pub tick: Timestamp,
    /// What the reader should know.
    pub notices: Vec<String>,
    /// The rows.
    pub rows: RowStream,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema).field("tick", &self.tick).finish()
    }
}

/// Stops a statement from outside, with a reason.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    task: AbortHandle,
    guard: Arc<Guard>,
}

impl Stop {
    /// Stops it; the first reason is the one that is told.
    pub(crate) fn stop(&self, reason: DeskError) {
        self.guard.stop(reason);
        self.task.abort();
    }

    /// Why it was stopped, if it was.
    pub(crate) fn reason(&self) -> Option<DeskError> {
        self.guard.reason().cloned()
    }
}

/// The rows of a statement, as they come. Letting go of it ends the statement.
pub struct RowStream {
    rows: mpsc::Receiver<Result<RecordBatch, DeskError>>,
    stop: Stop,
    ended: bool,
}

impl RowStream {
    /// How to stop it.
    pub(crate) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// All rows at once.
    ///
    /// # Errors
    /// The statement failed on the way.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, DeskError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }
}

impl Stream for RowStream {
    type Item = Result<RecordBatch, DeskError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = match self.rows.poll_recv(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(next) => next,
        };
        match next {
            Some(Ok(batch)) => Poll::Ready(Some(Ok(batch))),
            Some(Err(error)) => {
                self.ended = true;
                Poll::Ready(Some(Err(error)))
            }
            None => {
                self.ended = true;
                // A task that ends by itself says so with its last word; silence has a reason.
                Poll::Ready(self.stop.reason().map(Err))
            }
        }
    }
}

impl Drop for RowStream {
    fn drop(&mut self) {
        self.stop.stop(DeskError::new(Kind::Cancelled, "nobody reads the rows any more"));
    }
}

/// Where a statement puts its rows.
pub(crate) type Rows = mpsc::Sender<Result<RecordBatch, DeskError>>;

/// Starts a task that puts rows, under a guard; the reader gets them from what is given back.
pub(crate) fn start<F>(
    runtime: &tokio::runtime::Handle,
    guard: Arc<Guard>,
    task: impl FnOnce(Rows) -> F,
) -> RowStream
where
    F: Future<Output = ()> + Send + 'static,
{
    let (put, rows) = mpsc::channel(HANDED);
    let task = runtime.spawn(task(put)).abort_handle();
    let stop = Stop { task, guard };
    RowStream { rows, stop, ended: false }
}

/// A guard for what takes no time of its own.
pub(crate) fn unguarded() -> Arc<Guard> {
    let never = std::time::Instant::now() + NEVER;
    Arc::new(Guard::until(never, DeskError::new(Kind::Timeout, "it took longer than a year")))
}

/// An answer of rows that are there already.
pub(crate) fn at_hand(
    runtime: &tokio::runtime::Handle,
    tick: Timestamp,
    rows: RecordBatch,
) -> Answer {
    let schema = rows.schema();
    let rows = start(runtime, unguarded(), |put| async move {
        // A reader that left needs no rows.
        put.send(Ok(rows)).await.ok();
    });
    Answer { schema, tick, notices: Vec::new(), rows }
}

/// Hands rows over until they end or a limit is met.
pub(crate) async fn hand_over(
    mut stream: SendableRecordBatchStream,
    put: &Rows,
    limits: &Limits,
    deadline: Instant,
    sql: &str,
) {
    let (mut rows, mut bytes) = (0, 0);
    loop {
        let next = match tokio::time::timeout_at(deadline, stream.next()).await {
            Err(_) => Some(Err(too_long(limits))),
            Ok(None) => None,
            Ok(Some(Ok(batch))) => {
                rows += batch.num_rows();
                bytes += batch.get_array_memory_size();
                Some(within(limits, rows, bytes).map(|()| batch))
            }
            Ok(Some(Err(error))) => Some(Err(DeskError::computed(&error, sql))),
        };
        let Some(next) = next else { return };
        let last = next.is_err();
        let sent = tokio::time::timeout_at(deadline, put.send(next)).await;
        if last || !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

/// Whether an answer may still grow.
fn within(limits: &Limits, rows: usize, bytes: usize) -> Result<(), DeskError> {
    let hint = "ask for fewer: add WHERE or LIMIT, or aggregate";
    if rows > limits.answer_rows {
        let message = format!("the answer has more than {} rows", limits.answer_rows);
        return Err(DeskError::new(Kind::TooLarge, message).hint(hint));
    }
    if bytes > limits.answer_bytes {
        let message = format!("the answer has more than {} bytes", limits.answer_bytes);
        return Err(DeskError::new(Kind::TooLarge, message).hint(hint));
    }
    Ok(())
}

/// What is said of a statement that took too long.
pub(crate) fn too_long(limits: &Limits) -> DeskError {
    let seconds = limits.statement_time.as_secs_f64();
    let message = format!("the statement took longer than {seconds} s and was stopped");
    DeskError::new(Kind::Timeout, message).hint("ask for less, or make a view of it")
}
