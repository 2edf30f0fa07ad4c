//! From configuration to doors: which kinds there are, what they make, and what is wrong, all at
//! once.
//!
//! The binary reads the file and knows where each key stands; this knows what the keys mean. A
//! [`Finding`] names its key, so that the two together name the line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow_schema::SchemaRef;
use schemas::event::StreamDef;
use schemas::time::Clock;
use serde::Deserialize;
use serde_json::Value;

use crate::error::ConnectorError;
use crate::error::Finding;
use crate::file::FileSink;
use crate::file::FileSinkConfig;
use crate::file::FileSource;
use crate::file::FileSourceConfig;
use crate::kafka::KafkaSink;
use crate::kafka::KafkaSinkConfig;
use crate::kafka::KafkaSource;
use crate::kafka::KafkaSourceConfig;
use crate::options::nearest;
use crate::sink::Sink;
use crate::source::Source;

/// The kinds of sources, in name order.
pub const SOURCE_KINDS: [&str; 2] = ["file", "kafka"];

/// The kinds of sinks, in name order.
pub const SINK_KINDS: [&str; 2] = ["file", "kafka"];

/// One source in the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SourceConfig {
    /// Its name; partitions and quarantine carry it.
    pub name: String,
    /// One of [`SOURCE_KINDS`].
    pub kind: String,
    /// The stream it feeds.
    pub stream: String,
    /// What its kind asks for.
    #[serde(flatten)]
    pub options: BTreeMap<String, Value>,
}

/// One sink in the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SinkConfig {
    /// Its name.
    pub name: String,
    /// One of [`SINK_KINDS`].
    pub kind: String,
    /// What its kind asks for.
    #[serde(flatten)]
    pub options: BTreeMap<String, Value>,
}

/// What doors need besides their configuration.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Where relative paths start: the folder of the configuration file.
    pub base: PathBuf,
    /// The clock that paced sources go by.
    pub clock: Clock,
}

/// Makes a source, connected.
///
/// # Errors
/// Its configuration is wrong, with every mistake, or its door does not open.
pub fn open_source(
    config: &SourceConfig,
    stream: &StreamDef,
    around: &Surroundings,
) -> Result<Box<dyn Source>, ConnectorError> {
    let (name, options) = (config.name.as_str(), &config.options);
    named(name)?;
    match config.kind.as_str() {
        "file" => {
            let config = FileSourceConfig::read(name, options, &around.base)?;
            Ok(Box::new(FileSource::open(name, stream, config, around.clock.clone())?))
        }
        "kafka" => {
            let config = KafkaSourceConfig::read(name, options)?;
            Ok(Box::new(KafkaSource::open(name, stream, config)?))
        }
        kind => Err(unknown(name, kind, "source", &SOURCE_KINDS)),
    }
}

/// Makes a sink for rows with these columns, connected.
///
/// # Errors
/// Its configuration is wrong, with every mistake, or its door does not open.
pub fn open_sink(
    config: &SinkConfig,
    schema: &SchemaRef,
    around: &Surroundings,
) -> Result<Box<dyn Sink>, ConnectorError> {
    let (name, options) = (config.name.as_str(), &config.options);
    named(name)?;
    match config.kind.as_str() {
        "file" => {
            let config = FileSinkConfig::read(name, options, &around.base)?;
            Ok(Box::new(FileSink::open(name, schema, config)?))
        }
        "kafka" => {
            let config = KafkaSinkConfig::read(name, options)?;
            Ok(Box::new(KafkaSink::open(name, schema, config)?))
        }
        kind => Err(unknown(name, kind, "sink", &SINK_KINDS)),
    }
}

/// What is wrong with a source: its configuration, and whether its door opens. Nothing is consumed.
pub fn check_source(
    config: &SourceConfig,
    stream: &StreamDef,
    around: &Surroundings,
) -> Vec<Finding> {
    open_source(config, stream, around).err().map(ConnectorError::findings).unwrap_or_default()
}

/// What is wrong with a sink: its configuration, and whether its door opens. Nothing is written, no
/// file is made.
pub fn check_sink(config: &SinkConfig, schema: &SchemaRef, around: &Surroundings) -> Vec<Finding> {
    let checked = named(&config.name).and_then(|()| match config.kind.as_str() {
        "file" => FileSinkConfig::read(&config.name, &config.options, &around.base)
            .and_then(|file| FileSink::check(&config.name, schema, &file)),
        _ => open_sink(config, schema, around).map(drop),
    });
    checked.err().map(ConnectorError::findings).unwrap_or_default()
}

/// A name becomes part of partitions' names, which are parted by `/`.
fn named(name: &str) -> Result<(), ConnectorError> {
    if !name.is_empty() && !name.contains('/') {
        return Ok(());
    }
    let finding = Finding::at("name", format!("{name:?} is no name"))
        .hint("a name is not empty and holds no `/`".to_owned());
    Err(ConnectorError::Config { connector: name.to_owned(), findings: vec![finding] })
}

fn unknown(name: &str, kind: &str, what: &str, kinds: &[&str]) -> ConnectorError {
    let list = kinds.join(", ");
    let finding =
        Finding::at("kind", format!("there is no {what} kind {kind:?}; there are {list}"));
    let finding = match nearest(kind, kinds.iter().copied()) {
        Some(near) => finding.hint(format!("did you mean {near:?}?")),
        None => finding,
    };
    ConnectorError::Config { connector: name.to_owned(), findings: vec![finding] }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use schemas::event::Setpoint;
    use schemas::event::SwitchPosition;
    use schemas::relation::Relation;
    use serde_json::json;

    use super::*;

    fn around(folder: &tempfile::TempDir) -> Surroundings {
        Surroundings { base: folder.path().to_owned(), clock: Clock::Wall }
    }

    #[track_caller]
    fn check(config: Value, expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("switches.ndjson"), "").unwrap();
        let config: SourceConfig = serde_json::from_value(config).unwrap();
        let stream = StreamDef::append::<SwitchPosition>("changed_at");
        let found = check_source(&config, &stream, &around(&folder));
        let found: Vec<String> = found
            .iter()
            .map(|finding| finding.to_string().replace(&folder.path().display().to_string(), "DIR"))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_right_source_has_no_findings() {
        check(
            json!({"name": "s", "kind": "file", "stream": "switch_positions",
                "path": "switches.ndjson"}),
            &[],
        );
    }

    #[test]
    fn an_unknown_kind_names_the_kinds_and_the_nearest() {
        check(
            json!({"name": "s", "kind": "kafak", "stream": "switch_positions"}),
            &["`kind`: there is no source kind \"kafak\"; there are file, kafka (did you mean \
                 \"kafka\"?)"],
        );
        check(
            json!({"name": "s", "kind": "carrier-pigeon", "stream": "switch_positions"}),
            &["`kind`: there is no source kind \"carrier-pigeon\"; there are file, kafka"],
        );
    }

    #[test]
    fn all_mistakes_of_a_source_are_found_at_once() {
        check(
            json!({"name": "s", "kind": "file", "stream": "switch_positions",
                "path": "gone.csv", "sped": 1}),
            &[
                "`path`: DIR/gone.csv does not exist (relative paths start at the folder of \
                 the configuration file)",
                "`sped`: is not an option of this kind (did you mean `speed`?)",
            ],
        );
        check(
            json!({"name": "a/b", "kind": "file", "stream": "switch_positions"}),
            &["`name`: \"a/b\" is no name (a name is not empty and holds no `/`)"],
        );
    }

    #[test]
    fn broker_options_are_checked_without_a_broker() {
        check(
            json!({"name": "s", "kind": "kafka", "stream": "switch_positions", "brokers": "x:1",
                "timeout_ms": 5, "options": {
                    "acks": "1", "sasl.mechanisn": "PLAIN", "security.protocol": "tls"}}),
            &[
                "`topic`: is missing: the topic's name",
                "`timeout_ms`: expected a whole number, 100 to 600000, found 5",
                "`options.acks`: is not yours to set (what is sent must be durable)",
                "`options.sasl.mechanisn`: No such configuration property: \"sasl.mechanisn\" \
                 (did you mean `sasl.mechanism`?)",
                "`options.security.protocol`: Invalid value \"tls\" for configuration property \
                 \"security.protocol\"",
            ],
        );
    }

    #[test]
    fn checking_a_sink_makes_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let sink = |path: &str| -> SinkConfig {
            serde_json::from_value(json!({"name": "out", "kind": "file", "path": path})).unwrap()
        };
        let schema = Setpoint::schema();
        assert_eq!(check_sink(&sink("out.ndjson"), &schema, &around(&folder)), []);
        assert!(!folder.path().join("out.ndjson").exists());
        let found = check_sink(&sink("no/such/out.ndjson"), &schema, &around(&folder));
        assert!(found[0].message.contains("does not exist"), "{}", found[0]);
    }
}
