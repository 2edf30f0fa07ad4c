//! Rows sent to a topic as JSON records, none twice, none out of order within its key.
//!
//! The producer is idempotent and never gives a record up by itself: what a broker does not take is
//! tried again until [`Sink::flush`] has waited for `timeout_ms`, and is then reported as not
//! written, though it may still arrive. [`Sink::tail`] reads the ends of all partitions as they are
//! at that moment.
//!
//! With a transactional id, what is sent between two flushes is one transaction. Taking over fences
//! off whoever had that id: what a killed process had handed to the network is then either
//! committed and in the topic, or will never be read, and the tail is final. Readers must read what
//! is committed alone (`isolation.level = read_committed`). Without an id, what a killed producer
//! had sent can still arrive in the moments after its end.

use std::time::Duration;
use std::time::Instant;

use arrow_array::Array;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use rdkafka::error::KafkaError;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Header;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::BaseProducer;
use rdkafka::producer::BaseRecord;
use rdkafka::producer::Producer;
use schemas::relation::timestamp_type;
use schemas::time::Timestamp;

use crate::error::ConnectorError;
use crate::error::Finding;
use crate::format::Arrival;
use crate::format::Decoder;
use crate::format::RECORD_BYTES_MAX;
use crate::format::json;
use crate::kafka::MARK_HEADER;
use crate::kafka::client;
use crate::kafka::client::Ear;
use crate::kafka::config::KafkaSinkConfig;
use crate::kafka::read::Reading;
use crate::options::nearest;
use crate::sink::Sink;
use crate::source::Position;

/// The column that keys rows if the relation has it and the configuration names none.
const DEFAULT_KEY: &str = "asset_id";

/// How long is waited between two looks at whether everything has arrived.
const FLUSH_POLL: Duration = Duration::from_millis(1);

/// By how much the piece that is read back grows while it holds too few rows.
const WINDOW_GROWTH: i64 = 4;

/// A sink that writes to one topic.
pub struct KafkaSink {
    name: String,
    config: KafkaSinkConfig,
    schema: SchemaRef,
    /// The column that keys rows.
    key: Option<usize>,
    /// The column that becomes the message's timestamp.
    timestamp: Option<usize>,
    /// The topic's partitions.
    partitions: Vec<i32>,

    producer: BaseProducer<Ear>,
    /// Whether a transaction has begun that no flush has ended.
    in_transaction: bool,
}

impl KafkaSink {
    /// Connects and asks for the topic's partitions.
    ///
    /// # Errors
    /// The brokers do not answer or refuse us, there is no such topic, or the columns named are not
    /// there.
    pub fn open(
        name: &str,
        schema: &SchemaRef,
        config: KafkaSinkConfig,
    ) -> Result<KafkaSink, ConnectorError> {
        let mut findings = Vec::new();
        if let Err(message) = Decoder::json(schema, RECORD_BYTES_MAX, Arrival::OfMedium) {
            findings.push(Finding { key: None, message, hint: None });
        }
        let mut column = |key: &str, name: &Option<String>, is_time: bool| {
            let name = name.as_ref()?;
            match schema.index_of(name) {
                Ok(index) if (*schema.field(index).data_type() == timestamp_type()) == is_time => {
                    return Some(index);
                }
                Ok(_) if is_time => {
                    findings.push(Finding::at(key, format!("column {name} is no timestamp")));
                }
                Ok(_) => findings.push(Finding::at(key, format!("column {name} is no text"))),
                Err(_) => {
                    let names = schema.fields().iter().map(|field| field.name().as_str());
                    let finding = Finding::at(key, format!("there is no column {name}"));
                    findings.push(match nearest(name, names) {
                        Some(near) => finding.hint(format!("did you mean `{near}`?")),
                        None => finding,
                    });
                }
            }
            None
        };
        let key = column("key", &config.key, false);
        let timestamp = column("timestamp", &config.timestamp, true);
        let key = key.or_else(|| schema.index_of(DEFAULT_KEY).ok());
        if !findings.is_empty() {
            return Err(ConnectorError::Config { connector: name.to_owned(), findings });
        }
        let id = config.transactional_id.as_deref();
        let producer = client::producer(name, &config.kafka, id)?;
        let serve = |wait: Duration| {
            producer.poll(wait);
        };
        let partitions = client::partitions(name, &config.kafka, producer.client(), serve)?;
        let (name, schema) = (name.to_owned(), schema.clone());
        let in_transaction = false;
        Ok(KafkaSink { name, config, schema, key, timestamp, partitions, producer, in_transaction })
    }

    /// Tries a step of a transaction until it is done, refused, or takes too long.
    fn tried(&self, step: impl Fn() -> Result<(), KafkaError>) -> Result<(), ConnectorError> {
        let began = Instant::now();
        loop {
            let Err(error) = step() else { return Ok(()) };
            let retriable = match &error {
                KafkaError::Transaction(error) => error.is_retriable(),
                KafkaError::Flush(_) => true,
                _ => false,
            };
            if !retriable || began.elapsed() >= self.config.kafka.timeout {
                return Err(self.told(&error));
            }
            self.producer.poll(FLUSH_POLL);
        }
    }

    fn told(&self, error: &KafkaError) -> ConnectorError {
        match client::tell(&self.name, &self.config.kafka, self.producer.context(), error) {
            ConnectorError::Unreachable { detail, .. } => self.not_written(detail),
            other => other,
        }
    }

    /// What is sent from here on is of one transaction.
    fn begin(&mut self) -> Result<(), ConnectorError> {
        if self.config.transactional_id.is_some() && !self.in_transaction {
            self.producer.begin_transaction().map_err(|error| self.told(&error))?;
            self.in_transaction = true;
        }
        Ok(())
    }

    /// Waits until the broker has everything that was sent.
    pub(super) fn wait(&self) -> Result<(), ConnectorError> {
        // The library's poll lasts as long as it may, whatever arrives, and its own flush polls for
        // 100 ms at a time: with a topic a stream that is most of a second a step.
        let (began, mut flushed) = (Instant::now(), Ok(()));
        while self.producer.in_flight_count() > 0 {
            if began.elapsed() >= self.config.kafka.timeout {
                flushed = Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut));
                break;
            }
            self.producer.poll(FLUSH_POLL);
        }
        if let Some(detail) = self.producer.context().take_undelivered() {
            return Err(self.not_written(detail));
        }
        flushed.map_err(|error| self.told(&error))
    }

    fn not_written(&self, detail: String) -> ConnectorError {
        ConnectorError::NotWritten {
            connector: self.name.clone(),
            place: format!("topic {:?} on {}", self.config.kafka.topic, self.config.kafka.brokers),
            detail,
        }
    }

    /// Sends one record, making room first if there is none.
    fn send_one(&self, record: BaseRecord<'_, [u8], [u8]>) -> Result<(), ConnectorError> {
        let began = Instant::now();
        let mut record = record;
        loop {
            record = match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => back,
                Err((error, _)) => return Err(self.not_written(error.to_string())),
            };
            if began.elapsed() > self.config.kafka.timeout {
                return Err(self.not_written("the broker takes nothing more".to_owned()));
            }
            self.producer.poll(Duration::from_millis(10));
        }
    }

    /// The last `records` rows of one partition that ends at `end`, read back in growing pieces.
    fn tail_of(
        &self,
        partition: i32,
        (first, end): (Position, Position),
        records: usize,
    ) -> Result<RecordBatch, ConnectorError> {
        let mut window = i64::try_from(records).unwrap_or(i64::MAX).max(1);
        loop {
            let start = end.saturating_sub(window).max(first);
            let rows = self.read_back(partition, start, end)?;
            if rows.num_rows() >= records || start == first {
                let kept = rows.num_rows().min(records);
                return Ok(rows.slice(rows.num_rows() - kept, kept));
            }
            window = window.saturating_mul(WINDOW_GROWTH);
        }
    }

    fn read_back(
        &self,
        partition: i32,
        start: Position,
        end: Position,
    ) -> Result<RecordBatch, ConnectorError> {
        let mut decoder = Decoder::json(&self.schema, RECORD_BYTES_MAX, Arrival::OfMedium)
            .expect("the schema was tried when the sink was opened");
        let mut reading = Reading::assign(&self.name, &self.config.kafka, &[(partition, start)])?;
        let mut heard_at = Instant::now();
        // Records may be missing at the end of what was written (a compacted topic): its end tells
        // as well.
        while reading.next_offset(0) < end && !reading.at_end(0) {
            reading.listen()?;
            let taken = reading.take(0, |raw| {
                if raw.mark.is_none() && raw.offset < end {
                    decoder.push(raw.offset, None, raw.payload.unwrap_or_default());
                }
            })?;
            if taken.is_some() {
                heard_at = Instant::now();
            } else if heard_at.elapsed() > self.config.kafka.timeout {
                return Err(ConnectorError::Unreachable {
                    connector: self.name.clone(),
                    place: self.config.kafka.brokers.clone(),
                    detail: format!("partition {partition} could not be read back to {end}"),
                });
            } else if !reading.at_end(0) {
                reading.wait(Duration::from_millis(20));
            }
        }
        Ok(decoder.finish().rows)
    }
}

impl Sink for KafkaSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn take_over(&mut self) -> Result<(), ConnectorError> {
        if self.config.transactional_id.is_none() {
            return Ok(());
        }
        let timeout = self.config.kafka.timeout;
        let refused = match self.tried(|| self.producer.init_transactions(timeout)) {
            Err(ConnectorError::NotWritten { detail, .. }) => detail,
            other => return other,
        };
        Err(self.not_written(format!(
            "{refused}: brokers that know no transactions want `transactions = false`"
        )))
    }

    fn send(&mut self, rows: &RecordBatch) -> Result<(), ConnectorError> {
        self.begin()?;
        let column = |index: Option<usize>| index.and_then(|index| rows.columns().get(index));
        let keys = column(self.key).map(|column| column.as_string::<i32>());
        let times =
            column(self.timestamp).map(|column| column.as_primitive::<TimestampMillisecondType>());
        let topic = self.config.kafka.topic.as_str();
        let mut payload = String::new();
        for row in 0..rows.num_rows() {
            payload.clear();
            json::encode_row(rows, row, &mut payload);
            let mut record = BaseRecord::<[u8], [u8]>::to(topic).payload(payload.as_bytes());
            if let Some(keys) = keys.filter(|keys| keys.is_valid(row)) {
                record = record.key(keys.value(row).as_bytes());
            }
            if let Some(times) = times.filter(|times| times.is_valid(row)) {
                record = record.timestamp(times.value(row));
            }
            self.send_one(record)?;
        }
        // Lets the library tell of what has arrived.
        self.producer.poll(Duration::ZERO);
        Ok(())
    }

    fn mark(&mut self, at: Timestamp) -> Result<(), ConnectorError> {
        self.begin()?;
        let value = at.millis().to_string();
        for partition in &self.partitions {
            let header = Header { key: MARK_HEADER, value: Some(value.as_bytes()) };
            let record = BaseRecord::<[u8], [u8]>::to(&self.config.kafka.topic)
                .partition(*partition)
                .headers(OwnedHeaders::new().insert(header));
            self.send_one(record)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ConnectorError> {
        let arrived = self.wait();
        if !std::mem::take(&mut self.in_transaction) {
            return arrived;
        }
        let timeout = self.config.kafka.timeout;
        let commit = || self.tried(|| self.producer.commit_transaction(timeout));
        arrived.and_then(|()| commit()).inspect_err(|_| {
            // What was not committed goes as a whole. If this fails too, the broker ends the
            // transaction by itself when its time is up; nobody reads it meanwhile.
            if let Err(error) = self.tried(|| self.producer.abort_transaction(timeout)) {
                tracing::warn!(sink = %self.name, "the transaction could not be aborted: {error}");
            }
        })
    }

    fn tail(&mut self, records: usize) -> Result<RecordBatch, ConnectorError> {
        let consumer = client::consumer(&self.name, &self.config.kafka)?;
        let mut tails = Vec::new();
        for partition in &self.partitions {
            let bounds = client::bounds(&self.name, &self.config.kafka, &consumer, *partition)?;
            if bounds.0 < bounds.1 && records > 0 {
                tails.push(self.tail_of(*partition, bounds, records)?);
            }
        }
        Ok(concat_batches(&self.schema, &tails).expect("all are batches of one schema"))
    }
}
