//! What the configuration says of a broker and a topic.
//!
//! Every option of the client library can be given under `options` and is passed through (TLS,
//! SASL, buffers), except those on which the contract of sources and sinks stands.
//!
//! The schema of Avro records is asked of no registry: it stands in the configuration, or in a file
//! beside it, so that the same records are the same rows whenever they are read.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use rdkafka::error::KafkaError;
use serde_json::Value;

use crate::error::ConnectorError;
use crate::error::Finding;
use crate::file::config::DEFAULT_BATCH_ROWS;
use crate::format::RECORD_BYTES_LIMIT;
use crate::format::RECORD_BYTES_MAX;
use crate::format::avro::AvroConfig;
use crate::format::avro::AvroSchema;
use crate::format::avro::Framing;
use crate::format::csv;
use crate::kafka::client;
use crate::options::Options;
use crate::options::nearest;

/// How long a broker may take to answer unless told otherwise, in milliseconds.
const DEFAULT_TIMEOUT_MS: usize = 10_000;

/// The longest Avro schema, in bytes. One of a hundred fields with their docs has some 20 KiB.
const SCHEMA_BYTES_MAX: usize = 1 << 20;

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

/// A format as it is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Json,
    Csv,
    Avro,
    ArrowIpc,
}

/// The formats by their names, which are those of files.
const FORMATS: [(&str, Named); 4] = [
    ("json", Named::Json),
    ("csv", Named::Csv),
    ("avro", Named::Avro),
    ("arrow-ipc", Named::ArrowIpc),
];

/// Options that go with one format alone: with which, what is said where it is another, and how
/// that is mended.
const OF_FORMAT: [(&str, Named, &str, &str); 4] = [
    ("header", Named::Csv, "is for CSV records", "say format = \"csv\""),
    ("avro_schema", Named::Avro, "is for Avro records", "say format = \"avro\""),
    ("avro_framing", Named::Avro, "is for Avro records", "say format = \"avro\""),
    ("avro_schema_id", Named::Avro, "is for Avro records", "say format = \"avro\""),
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

/// How a record's payload is read. Its key, where it deletes, is JSON always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KafkaFormat {
    /// One JSON object.
    Json,
    /// One line.
    Csv {
        /// The columns' names as a header line; without it, they are the stream's in their order.
        header: Option<String>,
    },
    /// One Avro datum.
    Avro(AvroConfig),
    /// A whole Arrow IPC stream, whose rows are all taken.
    ArrowIpc,
}

/// What the configuration says of a Kafka source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSourceConfig {
    /// The topic.
    pub kafka: KafkaConfig,
    /// How a record's payload is read.
    pub format: KafkaFormat,
    /// Most rows of one piece.
    pub batch_rows: usize,
    /// Longest record that is looked into, in bytes.
    pub record_bytes_max: usize,
}

impl KafkaSourceConfig {
    /// A topic of JSON, read as usual.
    pub fn topic(kafka: KafkaConfig) -> KafkaSourceConfig {
        let (batch_rows, record_bytes_max) = (DEFAULT_BATCH_ROWS, RECORD_BYTES_MAX);
        KafkaSourceConfig { kafka, format: KafkaFormat::Json, batch_rows, record_bytes_max }
    }

    /// Reads the options of the source `name`; relative paths start at `base`.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn read(
        name: &str,
        values: &BTreeMap<String, Value>,
        base: &Path,
    ) -> Result<KafkaSourceConfig, ConnectorError> {
        let mut options = Options::new(values);
        let kafka = KafkaConfig::take(&mut options);
        let format = KafkaFormat::take(&mut options, base);
        let batch_rows = options.count("batch_rows", DEFAULT_BATCH_ROWS, 1..=1 << 20);
        let record_bytes_max =
            options.count("record_bytes_max", RECORD_BYTES_MAX, 1..=RECORD_BYTES_LIMIT);
        options.finish(name)?;
        Ok(KafkaSourceConfig { kafka, format, batch_rows, record_bytes_max })
    }
}

impl KafkaFormat {
    fn take(options: &mut Options<'_>, base: &Path) -> KafkaFormat {
        let chosen = options.choice("format", &FORMATS);
        // Of a format that there is not nothing is known that goes with it.
        let unknown = chosen.is_none() && options.given("format");
        let format = chosen.unwrap_or(Named::Json);
        for (key, of, message, hint) in OF_FORMAT {
            if options.given(key) && of != format && !unknown {
                options.find(Finding::at(key, message.to_owned()).hint(hint.to_owned()));
            }
        }
        match format {
            Named::Json => KafkaFormat::Json,
            Named::Csv => KafkaFormat::Csv { header: header(options) },
            Named::Avro => KafkaFormat::avro(options, base),
            Named::ArrowIpc => KafkaFormat::ArrowIpc,
        }
    }

    fn avro(options: &mut Options<'_>, base: &Path) -> KafkaFormat {
        let what = "the schema of the records, as a path of a file or as its JSON";
        let given = options.required_text("avro_schema", what);
        let framing = framing(options);
        if given.is_empty() {
            return KafkaFormat::Json;
        }
        match schema(&given, base) {
            Ok(schema) => KafkaFormat::Avro(AvroConfig { schema, framing }),
            Err(finding) => {
                options.find(finding);
                KafkaFormat::Json
            }
        }
    }
}

/// The header line that records have in mind.
fn header(options: &mut Options<'_>) -> Option<String> {
    let header = options.text("header")?;
    if let Err(message) = csv::names(header.as_bytes()) {
        options.find(Finding::at("header", message));
    }
    Some(header)
}

/// What stands before each datum.
fn framing(options: &mut Options<'_>) -> Framing {
    let choices = [
        ("none", Framing::Bare),
        ("confluent", Framing::Confluent(None)),
        ("single-object", Framing::SingleObject),
    ];
    let framing = options.choice("avro_framing", &choices);
    let id = options.number("avro_schema_id", 0..=u32::MAX as usize);
    let id = id.and_then(|id| u32::try_from(id).ok());
    match (framing, id) {
        (None | Some(Framing::Confluent(_)), Some(id)) => Framing::Confluent(Some(id)),
        (framing, None) => framing.unwrap_or(Framing::Any),
        (Some(framing), Some(_)) => {
            let message = "only records of Confluent's wire format have one".to_owned();
            let hint = "leave it out, or say avro_framing = \"confluent\"".to_owned();
            options.find(Finding::at("avro_schema_id", message).hint(hint));
            framing
        }
    }
}

/// The schema that stands in the configuration, or in the file that it names. What begins with a
/// brace is never a path: statements rely on that.
fn schema(given: &str, base: &Path) -> Result<AvroSchema, Finding> {
    let at = |message: String| Finding::at("avro_schema", message);
    if given.trim_start().starts_with('{') {
        return AvroSchema::parse(given).map_err(at);
    }
    let path = base.join(given);
    let shown = path.display();
    let mut text = String::new();
    let opened = std::fs::File::open(&path);
    let read =
        opened.and_then(|file| file.take(SCHEMA_BYTES_MAX as u64 + 1).read_to_string(&mut text));
    match read {
        Ok(bytes) if bytes <= SCHEMA_BYTES_MAX => {
            AvroSchema::parse(&text).map_err(|detail| at(format!("{shown}: {detail}")))
        }
        Ok(_) => Err(at(format!("{shown} has more than {SCHEMA_BYTES_MAX} bytes"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let hint = "relative paths start at the folder of the configuration file; the schema's \
                        JSON may stand here too";
            Err(at(format!("{shown} does not exist")).hint(hint.to_owned()))
        }
        Err(error) => Err(at(format!("{shown} cannot be read: {error}"))),
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

#[cfg(test)]
mod tests;
