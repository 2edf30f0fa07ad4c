//! Subscriptions: the changes of a view, told tick by tick to a reader at its own pace.
//!
//! The store hands over rows as bytes; the reader's thread turns them into a batch. A reader that
//! does not keep up is not waited for: once [`WAITING_MAX`] ticks wait for it, its subscription is
//! over, and says why.
//!
//! # Bounds
//!
//! [`WAITING_MAX`] ticks of changes a subscriber, shared with the view's own past.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::TrySendError;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use schemas::contract::Changes;
use schemas::contract::SubscriptionEnd;
use schemas::contract::Told;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::time::Timestamp;

use crate::delta::Diff;

/// Ticks that may wait for a reader: five minutes of 5 s ticks, or as long as a slow client takes
/// to swallow the day's replay for a second.
pub(super) const WAITING_MAX: usize = 1_024;

/// What one tick changed of a view.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) tick: Timestamp,
    pub(super) changes: Arc<Vec<(Row, Diff)>>,
}

/// The store's end.
pub(super) struct Subscriber {
    codec: Arc<RowCodec>,
    to: SyncSender<Piece>,
    /// Told to the reader when the store lets go.
    end: Arc<std::sync::Mutex<Option<SubscriptionEnd>>>,
}

impl Subscriber {
    /// Hands a tick over; whether the subscription goes on.
    pub(super) fn tell(&mut self, piece: &Piece) -> bool {
        match self.to.try_send(piece.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.ends(SubscriptionEnd::TooSlow { ticks: WAITING_MAX });
                false
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }

    /// Whether it can go on with a view of these columns.
    pub(super) fn becomes(&self, codec: &RowCodec) -> bool {
        codec.schema() == self.codec.schema()
    }

    fn ends(&self, why: SubscriptionEnd) {
        *self.end.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(why);
    }
}

/// The reader's end.
struct Subscription {
    name: String,
    codec: Arc<RowCodec>,

    first: Option<(Timestamp, RecordBatch)>,
    missed: VecDeque<Piece>,
    from: Receiver<Piece>,
    end: Arc<std::sync::Mutex<Option<SubscriptionEnd>>>,
}

/// A subscription that begins after tick `at`.
pub(super) fn subscription(
    name: &str,
    codec: &Arc<RowCodec>,
    at: Timestamp,
    first: Option<RecordBatch>,
    missed: Vec<Piece>,
) -> (Subscriber, Box<dyn Changes>) {
    let (to, from) = sync_channel(WAITING_MAX);
    let end = Arc::new(std::sync::Mutex::new(None));
    let subscriber = Subscriber { codec: codec.clone(), to, end: end.clone() };
    let subscription = Subscription {
        name: name.to_owned(),
        codec: codec.clone(),
        first: first.map(|rows| (at, rows)),
        missed: missed.into(),
        from,
        end,
    };
    (subscriber, Box::new(subscription))
}

impl Subscription {
    fn told(&self, piece: &Piece) -> Told {
        let tick = piece.tick;
        if piece.changes.is_empty() {
            return Told::Progress { tick };
        }
        // Several workers may have changed one row.
        let mut changes: Vec<&(Row, Diff)> = piece.changes.iter().collect();
        changes.sort_unstable();
        let mut rows: Vec<(&Row, Diff)> = Vec::with_capacity(changes.len());
        for (row, diff) in changes {
            match rows.last_mut() {
                Some((last, n)) if *last == row => *n += diff,
                _ => rows.push((row, *diff)),
            }
        }
        rows.retain(|(_, diff)| *diff != 0);
        if rows.is_empty() {
            return Told::Progress { tick };
        }
        let bytes = rows.iter().map(|(row, _)| row.as_bytes());
        let batch = self.codec.decode(bytes).expect("the view's own rows");
        Told::Changes { tick, rows: batch, diffs: rows.iter().map(|(_, diff)| *diff).collect() }
    }
}

impl Changes for Subscription {
    fn schema(&self) -> SchemaRef {
        self.codec.schema().clone()
    }

    fn next(&mut self, wait: Duration) -> Result<Option<Told>, SubscriptionEnd> {
        if let Some((tick, rows)) = self.first.take() {
            return Ok(Some(Told::Snapshot { tick, rows }));
        }
        if let Some(piece) = self.missed.pop_front() {
            return Ok(Some(self.told(&piece)));
        }
        match self.from.recv_timeout(wait) {
            Ok(piece) => Ok(Some(self.told(&piece))),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                let end = self.end.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                Err(end
                    .clone()
                    .unwrap_or_else(|| SubscriptionEnd::Gone { name: self.name.clone() }))
            }
        }
    }
}
