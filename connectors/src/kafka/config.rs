//! What the configuration says of a broker and a topic.
//!
//! Every option of the client library can be given under `options` and is passed through (TLS,
//! SASL, buffers), except those on which the contract of sources and sinks stands.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::error::KafkaError;
use serde_json::Value;

use crate::error::ConnectorError;
use crate::error::Finding;
use crate::file::config::DEFAULT_BATCH_ROWS;
use crate::format::RECORD_BYTES_LIMIT;
use crate::format::RECORD_BYTES_MAX;
use crate::kafka::client;
use crate::options::Options;
use crate::options::nearest;

/// How long a broker may take to answer unless told otherwise, in milliseconds.
const DEFAULT_TIMEOUT_MS: usize = 10_000;

/// Options that are ours to set, with the reason.
const OURS: [(&str, &str); 11] = [
    ("bootstrap.servers", "give it as `brokers`"),
    ("metadata.broker.list", "give it as `brokers`"),
    ("enable.auto.commit", "positions are kept with each tick"),
    ("enable.auto.offset.store", "positions are kept with each tick"),
    ("auto.offset.reset", "a position that is gone must be an error"),
    ("enable.partition.eof", "the source watches its own end"),
    ("enable.idempotence", "nothing may be sent twice"),
    ("acks", "what is sent must be durable"),
    ("message.timeout.ms", "what was not sent must not be passed over"),
    ("transactional.id", "give `transactions = true`, and it is made of the instance's name"),
    ("isolation.level", "what a killed producer did not finish must not be read"),
];

/// Options that people give most, for finding what a mistyped one should be.
const COMMON: [&str; 16] = [
    "security.protocol",
    "sasl.mechanism",
    "sasl.username",
    "sasl.password",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.endpoint.identification.algorithm",
    "enable.ssl.certificate.verification",
    "client.id",
    "fetch.wait.max.ms",
    "fetch.min.bytes",
    "queued.max.messages.kbytes",
    "compression.type",
    "linger.ms",
];

/// Where a topic is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaConfig {
    /// The brokers, `host:port` with commas between.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// How long a broker may take to answer.
    pub timeout: Duration,
    /// Options of the client library, passed through.
    pub options: BTreeMap<String, String>,
}

impl KafkaConfig {
    /// A topic on brokers that need nothing special.
    pub fn topic(brokers: &str, topic: &str) -> KafkaConfig {
        KafkaConfig {
            brokers: brokers.to_owned(),
            topic: topic.to_owned(),
            timeout: Duration::from_millis(DEFAULT_TIMEOUT_MS as u64),
            options: BTreeMap::new(),
        }
    }

    fn take(options: &mut Options<'_>) -> KafkaConfig {
        let brokers = options.required_text("brokers", "the brokers' addresses, host:port");
        let topic = options.required_text("topic", "the topic's name");
        let timeout = options.count("timeout_ms", DEFAULT_TIMEOUT_MS, 100..=600_000);
        let table = options.table("options");
        for finding in mistakes(&table) {
            options.find(finding);
        }
        let timeout = Duration::from_millis(timeout as u64);
        KafkaConfig { brokers, topic, timeout, options: table }
    }
}

/// Each option that the client library does not take, or that is not the user's.
fn mistakes(table: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, value) in table {
        let key = format!("options.{name}");
        if let Some((_, why)) = OURS.iter().find(|(ours, _)| ours == name) {
            let finding = Finding::at(&key, "is not yours to set".to_owned());
            findings.push(finding.hint((*why).to_owned()));
            continue;
        }
        match client::check_option(name, value) {
            Ok(()) => {}
            Err(KafkaError::ClientConfig(_, said, ..)) => {
                let finding = Finding::at(&key, said);
                findings.push(match nearest(name, COMMON).filter(|near| near != name) {
                    Some(near) => finding.hint(format!("did you mean `{near}`?")),
                    None => finding,
                });
            }
            Err(other) => findings.push(Finding::at(&key, other.to_string())),
        }
    }
    findings
}

/// What the configuration says of a Kafka source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSourceConfig {
    /// The topic.
    pub kafka: KafkaConfig,
    /// Most rows of one piece.
    pub batch_rows: usize,
    /// Longest record that is looked into, in bytes.
    pub record_bytes_max: usize,
}

impl KafkaSourceConfig {
    /// A topic, read as usual.
    pub fn topic(kafka: KafkaConfig) -> KafkaSourceConfig {
        let (batch_rows, record_bytes_max) = (DEFAULT_BATCH_ROWS, RECORD_BYTES_MAX);
        KafkaSourceConfig { kafka, batch_rows, record_bytes_max }
    }

    /// Reads the options of the source `name`.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn read(
        name: &str,
        values: &BTreeMap<String, Value>,
    ) -> Result<KafkaSourceConfig, ConnectorError> {
        let mut options = Options::new(values);
        let kafka = KafkaConfig::take(&mut options);
        options.choice("format", &[("json", ())]);
        let batch_rows = options.count("batch_rows", DEFAULT_BATCH_ROWS, 1..=1 << 20);
        let record_bytes_max =
            options.count("record_bytes_max", RECORD_BYTES_MAX, 1..=RECORD_BYTES_LIMIT);
        options.finish(name)?;
        Ok(KafkaSourceConfig { kafka, batch_rows, record_bytes_max })
    }
}

/// What the configuration says of a Kafka sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSinkConfig {
    /// The topic.
    pub kafka: KafkaConfig,
    /// The text column whose rows keep their order: equal values go to one partition.
    pub key: Option<String>,
    /// The column that becomes the message's timestamp; the clock's time where there is none.
    pub timestamp: Option<String>,
    /// Under which name transactions are made, if they are: whoever takes over a name that
    /// another holds ends the other's.
    pub transactional_id: Option<String>,
}

impl KafkaSinkConfig {
    /// A topic, written as usual.
    pub fn topic(kafka: KafkaConfig) -> KafkaSinkConfig {
        KafkaSinkConfig { kafka, key: None, timestamp: None, transactional_id: None }
    }

    /// Reads the options of the sink `name` of an instance.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn read(
        (instance, name): (&str, &str),
        values: &BTreeMap<String, Value>,
    ) -> Result<KafkaSinkConfig, ConnectorError> {
        let mut options = Options::new(values);
        let kafka = KafkaConfig::take(&mut options);
        options.choice("format", &[("json", ())]);
        let key = options.text("key");
        let timestamp = options.text("timestamp");
        let transactions = options.flag("transactions", true);
        options.finish(name)?;
        let transactional_id = transactions.then(|| format!("gridloom-{instance}-{}", kafka.topic));
        Ok(KafkaSinkConfig { kafka, key, timestamp, transactional_id })
    }
}
