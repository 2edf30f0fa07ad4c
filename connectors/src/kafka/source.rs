//! A topic as a source: each of its partitions is one of ours, named by its number; a position is
//! an offset, or a row of the message at one (the module `payload` says how).
//!
//! The partitions are those that the topic had when it was opened; ones added later are read from
//! the next start on. A record's arrival is the message's timestamp, whatever the record says. A
//! broker that goes away while reading is waited for: nothing comes, and a warning is logged; it is
//! an error only when the source is opened.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::Consumer;
use schemas::event::StreamDef;
use schemas::time::Timestamp;

use crate::error::ConnectorError;
use crate::error::Finding;
use crate::format::Decoded;
use crate::format::PIECE_BYTES_MAX;
use crate::kafka::client;
use crate::kafka::client::Ear;
use crate::kafka::config::KafkaSourceConfig;
use crate::kafka::deletion::Keys;
use crate::kafka::payload::Payloads;
use crate::kafka::read::Raw;
use crate::kafka::read::Reading;
use crate::source::Fetched;
use crate::source::Guarantee;
use crate::source::PartitionId;
use crate::source::Polled;
use crate::source::Position;
use crate::source::Reason;
use crate::source::Refusal;
use crate::source::Source;

/// A source that reads one topic.
pub struct KafkaSource {
    name: String,
    stream: String,
    config: KafkaSourceConfig,
    /// The topic's partitions, in order.
    partitions: Vec<i32>,
    /// Asked for offsets and metadata; reads nothing.
    consumer: BaseConsumer<Ear>,

    payloads: Payloads,
    /// Where keys can be deleted.
    keys: Option<Keys>,
    /// `None` until the first poll or resume.
    reading: Option<Reading>,
    /// Where each partition was to go on: it may be amid the rows of a message.
    from: Vec<Position>,
    held: Vec<bool>,
    /// What follows the piece that a partition gave: a mark ends a piece, and so does an error.
    follows: Vec<Option<Result<Polled, ConnectorError>>>,
    /// The partition that is asked first.
    turn: usize,
}

/// What one record turned out to be.
enum Took {
    Record(usize),
    Mark(Timestamp),
}

impl KafkaSource {
    /// Connects and asks for the topic's partitions.
    ///
    /// # Errors
    /// The brokers do not answer or refuse us, or there is no such topic.
    pub fn open(
        name: &str,
        stream: &StreamDef,
        config: KafkaSourceConfig,
    ) -> Result<KafkaSource, ConnectorError> {
        let wrong = |finding: Finding| ConnectorError::Config {
            connector: name.to_owned(),
            findings: vec![finding],
        };
        let payloads = Payloads::of(stream, &config).map_err(wrong)?;
        let keys = Keys::of(stream, config.record_bytes_max)
            .map_err(|message| wrong(Finding::at("stream", message)))?;
        let consumer = client::consumer(name, &config.kafka)?;
        let serve = |wait| client::serve(&consumer, wait);
        let partitions = client::partitions(name, &config.kafka, consumer.client(), serve)?;
        let held = vec![false; partitions.len()];
        let follows = partitions.iter().map(|_| None).collect();
        Ok(KafkaSource {
            name: name.to_owned(),
            stream: stream.name.clone(),
            config,
            partitions,
            consumer,
            payloads,
            keys,
            reading: None,
            from: vec![0; held.len()],
            held,
            follows,
            turn: 0,
        })
    }

    fn id(&self, part: usize) -> PartitionId {
        PartitionId::new(&self.name, self.partitions[part])
    }

    /// Reads on from these positions.
    fn start(&mut self, positions: &BTreeMap<PartitionId, Position>) -> Result<(), ConnectorError> {
        let known = self.partitions();
        if let Some(unknown) = positions.keys().find(|id| !known.contains(id)) {
            return Err(ConnectorError::Missing {
                connector: self.name.clone(),
                what: format!(
                    "partition {} of topic {:?}, which was read before,",
                    unknown.partition, self.config.kafka.topic
                ),
                hint: "the topic was made anew; start with an empty data folder".to_owned(),
            });
        }
        let (mut from, mut offsets) = (Vec::new(), Vec::new());
        for (id, partition) in known.iter().zip(&self.partitions) {
            let (first, next) = self.bounds(*partition)?;
            let wanted = positions.get(id).copied().unwrap_or(first);
            if !(first..=next).contains(&wanted) {
                let (connector, partition) = (self.name.clone(), partition.to_string());
                return Err(ConnectorError::Gone { connector, partition, wanted, first, next });
            }
            from.push(wanted);
            offsets.push((*partition, wanted / self.payloads.span()));
        }
        self.reading = None;
        self.reading = Some(Reading::assign(&self.name, &self.config.kafka, &offsets)?);
        self.from = from;
        self.follows.fill_with(|| None);
        drop(self.payloads.finish());
        drop(self.keys.as_mut().map(Keys::finish));
        Ok(())
    }

    /// The position at which a partition begins, and that of its next record.
    fn bounds(&self, partition: i32) -> Result<(Position, Position), ConnectorError> {
        let kafka = &self.config.kafka;
        let (first, next) = client::bounds(&self.name, kafka, &self.consumer, partition)?;
        let span = self.payloads.span();
        if next > Position::MAX / 2 / span {
            return Err(ConnectorError::Unreadable {
                connector: self.name.clone(),
                place: format!("partition {partition} of topic {:?}", kafka.topic),
                detail: format!("its offsets have come to {next}, and positions end before"),
            });
        }
        Ok((first * span, next * span))
    }

    /// The next piece of one partition, if anything of it is here.
    fn piece(&mut self, part: usize) -> Result<Option<Polled>, ConnectorError> {
        if let Some(follows) = self.follows[part].take() {
            return follows.map(Some);
        }
        let partition = self.id(part);
        let reading = self.reading.as_mut().expect("poll starts the reading");
        let (payloads, keys, mut bytes) = (&mut self.payloads, &mut self.keys, 0);
        let (span, from) = (payloads.span(), self.from[part]);
        let records = |payloads: &Payloads, keys: &Option<Keys>| {
            payloads.records() + keys.as_ref().map_or(0, Keys::records)
        };
        while records(payloads, keys) < self.config.batch_rows && bytes < PIECE_BYTES_MAX {
            let took = reading.take(part, |raw| take(payloads, keys.as_mut(), raw, from));
            let follows = match took {
                Ok(None) => break,
                Ok(Some(Took::Record(length))) => {
                    bytes += length;
                    continue;
                }
                Ok(Some(Took::Mark(at))) => {
                    let position = reading.next_offset(part) * span;
                    Ok(Polled::Mark { partition: partition.clone(), at, position })
                }
                Err(error) => Err(in_positions(error, span)),
            };
            if records(payloads, keys) == 0 {
                return follows.map(Some);
            }
            self.follows[part] = Some(follows);
            break;
        }
        if records(payloads, keys) == 0 {
            return Ok(None);
        }
        let next = match &self.follows[part] {
            Some(Ok(Polled::Mark { position, .. })) => position - span,
            _ => reading.next_offset(part) * span,
        };
        Ok(Some(Polled::Batch(self.finish(partition, next))))
    }

    /// What was taken in, as a piece.
    fn finish(&mut self, partition: PartitionId, next: Position) -> Fetched {
        let Decoded { rows, positions, arrived_at, raw, mut refused } = self.payloads.finish();
        let (deleted, nameless) = self.keys.as_mut().map(Keys::finish).unwrap_or_default();
        refused.extend(nameless);
        refused.sort_by_key(|refused| refused.position);
        let stream = self.stream.clone();
        Fetched { partition, stream, rows, positions, next, arrived_at, raw, deleted, refused }
    }
}

/// Takes in one record of the topic, and of it what is not before `from`; `keys` where one without
/// payload deletes.
fn take(payloads: &mut Payloads, keys: Option<&mut Keys>, raw: &Raw<'_>, from: Position) -> Took {
    let first = raw.offset * payloads.span();
    let payload = raw.payload.unwrap_or_default();
    let Some(mark) = raw.mark else {
        match (raw.payload, keys) {
            (Some(payload), _) => return Took::Record(payloads.push(raw, payload, from)),
            (None, _) if first < from => {}
            (None, Some(keys)) => keys.push(first, raw.key),
            (None, None) => {
                let detail = "the record has no payload; only in a stream with `envelope = \
                              \"upsert\"` does that delete its key";
                payloads.refuse(first, Refusal::new(Reason::Empty, detail), payload);
            }
        }
        return Took::Record(payload.len());
    };
    let at = std::str::from_utf8(mark).ok().and_then(|text| text.trim().parse().ok());
    match at {
        Some(at) if payload.is_empty() => return Took::Mark(Timestamp(at)),
        _ if first < from => {}
        _ => {
            let detail = "a mark's header must hold milliseconds since the epoch, and a mark has \
                          no payload";
            payloads.refuse(first, Refusal::new(Reason::Malformed, detail), payload);
        }
    }
    Took::Record(payload.len())
}

/// What went wrong at an offset, told of the positions that the engine knows.
fn in_positions(error: ConnectorError, span: Position) -> ConnectorError {
    match error {
        ConnectorError::Gone { connector, partition, wanted, first, next } => {
            let (wanted, first, next) = (wanted * span, first * span, next * span);
            ConnectorError::Gone { connector, partition, wanted, first, next }
        }
        other => other,
    }
}

impl Source for KafkaSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn streams(&self) -> Vec<&str> {
        vec![&self.stream]
    }

    fn partitions(&self) -> Vec<PartitionId> {
        (0..self.partitions.len()).map(|part| self.id(part)).collect()
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn resume(
        &mut self,
        positions: &BTreeMap<PartitionId, Position>,
    ) -> Result<(), ConnectorError> {
        self.held.fill(false);
        self.start(positions)
    }

    fn hold(&mut self, partitions: &BTreeSet<PartitionId>) {
        for part in 0..self.held.len() {
            self.held[part] = partitions.contains(&self.id(part));
        }
    }

    fn poll(&mut self, wait: Duration) -> Result<Polled, ConnectorError> {
        if self.reading.is_none() {
            self.start(&BTreeMap::new())?;
        }
        let began = Instant::now();
        loop {
            let reading = self.reading.as_mut().expect("just started");
            reading.listen()?;
            let count = reading.len();
            for step in 0..count {
                let part = (self.turn + step) % count;
                if self.held[part] {
                    continue;
                }
                if let Some(polled) = self.piece(part)? {
                    self.turn = part + 1;
                    return Ok(polled);
                }
            }
            let left = wait.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(Polled::Idle);
            }
            self.reading.as_ref().expect("just started").wait(left);
        }
    }
}
