//! Partitions of one topic, assigned by hand, each with a queue of its own.
//!
//! A queue of its own means that a partition that is not asked is not read: the library stops
//! fetching it when its queue is full, and nothing of it is thrown away while it waits. Records
//! that the library had already put into the common queue before the queues were split come first;
//! they are put aside here.
//!
//! # Bounds
//!
//! Each queue holds what `queued.max.messages.kbytes` says (16 MiB unless set otherwise).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use rdkafka::Message;
use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::Consumer;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::KafkaError;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Headers;
use rdkafka::message::OwnedMessage;
use schemas::time::Timestamp;

use crate::error::ConnectorError;
use crate::kafka::MARK_HEADER;
use crate::kafka::client;
use crate::kafka::client::Ear;
use crate::kafka::config::KafkaConfig;
use crate::source::Position;

/// How often what a client was told is listened to while nothing arrives.
const LISTEN_EVERY: Duration = Duration::from_millis(100);

/// How many events are listened to at once.
const EVENTS_AT_ONCE: usize = 64;

/// A record as it lies in the topic.
pub(crate) struct Raw<'a> {
    pub(crate) offset: Position,
    /// The message's timestamp, where it has one.
    pub(crate) arrived_at: Option<Timestamp>,
    /// `None` where there is no key at all.
    pub(crate) key: Option<&'a [u8]>,
    /// `None` where there is no payload at all.
    pub(crate) payload: Option<&'a [u8]>,
    /// What the mark's header holds, if it has that header.
    pub(crate) mark: Option<&'a [u8]>,
}

/// Partitions being read.
pub(crate) struct Reading {
    connector: String,
    config: KafkaConfig,

    parts: Vec<Part>,
    // After the queues: they must go first.
    consumer: Arc<BaseConsumer<Ear>>,
    woken: Receiver<()>,
}

/// One partition being read.
struct Part {
    partition: i32,
    queue: PartitionQueue<Ear>,
    /// Records that were in the common queue.
    early: VecDeque<OwnedMessage>,
    /// The offset that comes next, at least.
    next: Position,
    at_end: bool,
}

impl Reading {
    /// Starts reading each partition at its offset.
    pub(crate) fn assign(
        connector: &str,
        config: &KafkaConfig,
        positions: &[(i32, Position)],
    ) -> Result<Reading, ConnectorError> {
        let consumer = Arc::new(client::consumer(connector, config)?);
        let tell = |error: KafkaError| {
            client::tell(connector, config, consumer.client().context(), &error)
        };
        let mut assignment = TopicPartitionList::new();
        for (partition, offset) in positions {
            let offset = Offset::Offset(*offset);
            assignment.add_partition_offset(&config.topic, *partition, offset).map_err(tell)?;
        }
        consumer.assign(&assignment).map_err(tell)?;
        let (wake, woken) = crossbeam_channel::bounded(1);
        let mut parts = Vec::new();
        for (partition, next) in positions {
            let queue = consumer.split_partition_queue(&config.topic, *partition);
            let Some(mut queue) = queue else {
                return Err(tell(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::UnknownPartition,
                )));
            };
            let wake = wake.clone();
            // A full channel means that somebody is woken already.
            queue.set_nonempty_callback(move || {
                wake.try_send(()).ok();
            });
            let (partition, next) = (*partition, *next);
            parts.push(Part { partition, queue, early: VecDeque::new(), next, at_end: false });
        }
        let (connector, config) = (connector.to_owned(), config.clone());
        Ok(Reading { connector, config, parts, consumer, woken })
    }

    /// How many partitions there are.
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    /// The offset that comes next in a partition, at least.
    pub(crate) fn next_offset(&self, part: usize) -> Position {
        self.parts[part].next
    }

    /// Whether a partition was read to its present end.
    pub(crate) fn at_end(&self, part: usize) -> bool {
        self.parts[part].at_end
    }

    /// Listens to what the client was told.
    pub(crate) fn listen(&mut self) -> Result<(), ConnectorError> {
        for _ in 0..EVENTS_AT_ONCE {
            match self.consumer.poll(Duration::ZERO) {
                None => break,
                Some(Ok(message)) => {
                    let partition = message.partition();
                    let part = self.parts.iter_mut().find(|part| part.partition == partition);
                    part.expect("only what was assigned is fetched")
                        .early
                        .push_back(message.detach());
                }
                Some(Err(error)) => self.judge(&error)?,
            }
        }
        Ok(())
    }

    /// Waits until something arrives or `wait` is over, whichever is first; not longer than it
    /// takes until one should listen again.
    pub(crate) fn wait(&self, wait: Duration) {
        // Both outcomes mean: look again.
        self.woken.recv_timeout(wait.min(LISTEN_EVERY)).ok();
    }

    /// The next record of a partition, if one is here.
    pub(crate) fn take<R>(
        &mut self,
        at: usize,
        read: impl FnOnce(&Raw<'_>) -> R,
    ) -> Result<Option<R>, ConnectorError> {
        let part = &mut self.parts[at];
        if let Some(message) = part.early.pop_front() {
            return Ok(give(&message, &mut part.next, read));
        }
        let error = match part.queue.poll(Duration::ZERO) {
            None => return Ok(None),
            Some(Ok(message)) => {
                part.at_end = false;
                return Ok(give(&message, &mut part.next, read));
            }
            Some(Err(error)) => error,
        };
        if matches!(error, KafkaError::PartitionEOF(_)) {
            part.at_end = true;
            return Ok(None);
        }
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) {
            return Err(self.gone(at)?);
        }
        self.judge(&error)?;
        Ok(None)
    }

    /// Errors that only an attendant can mend stop the reading; the rest mend themselves, and were
    /// logged.
    fn judge(&self, error: &KafkaError) -> Result<(), ConnectorError> {
        if matches!(error, KafkaError::PartitionEOF(_)) {
            return Ok(());
        }
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        let told =
            client::tell(&self.connector, &self.config, self.consumer.client().context(), error);
        if fatal || !told.retry() {
            return Err(told);
        }
        tracing::debug!(connector = %self.connector, "kafka: {told}");
        Ok(())
    }

    fn gone(&self, at: usize) -> Result<ConnectorError, ConnectorError> {
        let Part { partition, next: wanted, .. } = self.parts[at];
        let bounds = client::bounds(&self.connector, &self.config, &self.consumer, partition)?;
        let (connector, partition) = (self.connector.clone(), partition.to_string());
        Ok(ConnectorError::Gone { connector, partition, wanted, first: bounds.0, next: bounds.1 })
    }
}

/// Hands a record on, unless the library gave it before.
fn give<M: Message, R>(
    message: &M,
    next: &mut Position,
    read: impl FnOnce(&Raw<'_>) -> R,
) -> Option<R> {
    let offset = message.offset();
    if offset < *next {
        return None;
    }
    *next = offset + 1;
    let mark = message.headers().and_then(|headers| {
        let mark = (0..headers.count()).map(|at| headers.get(at)).find(|h| h.key == MARK_HEADER);
        mark.map(|header| header.value.unwrap_or_default())
    });
    let arrived_at = message.timestamp().to_millis().filter(|ms| *ms >= 0);
    let arrived_at = arrived_at.map(|ms| Timestamp(ms as u64));
    let (key, payload) = (message.key(), message.payload());
    Some(read(&Raw { offset, arrived_at, key, payload, mark }))
}
