//! From configuration to doors: which kinds there are, what they make, and what is wrong, all at
//! once.
//!
//! The binary reads the file and knows where each key stands; this knows what the keys mean. A
//! [`Finding`] names its key, so that the two together name the line.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

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
use crate::simulator::PlantData;
use crate::simulator::PlantError;
use crate::simulator::SimulatorConfig;
use crate::simulator::SimulatorSource;
use crate::sink::Sink;
use crate::source::Source;

/// The kinds of sources, in name order.
pub const SOURCE_KINDS: [&str; 3] = ["file", "kafka", SIMULATOR];

/// The kind of source that is a whole village: it feeds all its streams, and needs no stream named.
pub const SIMULATOR: &str = "simulator";

/// The kinds of sinks, in name order.
pub const SINK_KINDS: [&str; 2] = ["file", "kafka"];

/// One source in the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SourceConfig {
    /// Its name; partitions and quarantine carry it.
    pub name: String,
    /// One of [`SOURCE_KINDS`].
    pub kind: String,
    /// The stream it feeds; empty where its kind feeds several.
    #[serde(default)]
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

/// Gives the data of a simulated village.
pub type PlantDataFrom = fn() -> Result<Arc<PlantData>, PlantError>;

/// What doors need besides their configuration.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Where relative paths start: the folder of the configuration file.
    pub base: PathBuf,
    /// The clock that paced sources go by.
    pub clock: Clock,
    /// Where the data of a simulated village comes from, for whoever has some.
    pub plant_data: Option<PlantDataFrom>,
    /// The instance whose doors these are.
    pub instance: String,
}

/// Makes a source, connected; `stream` is the one that it feeds, where its kind asks for one.
///
/// # Errors
/// Its configuration is wrong, with every mistake, or its door does not open.
pub fn open_source(
    config: &SourceConfig,
    stream: Option<&StreamDef>,
    around: &Surroundings,
) -> Result<Box<dyn Source>, ConnectorError> {
    let (name, options) = (config.name.as_str(), &config.options);
    named(name)?;
    let stream = || {
        let nowhere = Finding::at("stream", format!("there is no stream {:?}", config.stream));
        let connector = config.name.clone();
        stream.ok_or(ConnectorError::Config { connector, findings: vec![nowhere] })
    };
    match config.kind.as_str() {
        "file" => {
            let config = FileSourceConfig::read(name, options, &around.base)?;
            Ok(Box::new(FileSource::open(name, stream()?, config, around.clock.clone())?))
        }
        "kafka" => {
            let config = KafkaSourceConfig::read(name, options, &around.base)?;
            Ok(Box::new(KafkaSource::open(name, stream()?, config)?))
        }
        SIMULATOR => {
            let config = SimulatorConfig::read(name, options)?;
            let plant = config.plant(name, plant_data(name, around)?)?;
            Ok(Box::new(SimulatorSource::open(name, &config, plant, around.clock.clone())))
        }
        kind => Err(unknown(name, kind, "source", &SOURCE_KINDS)),
    }
}

/// The data of a simulated village.
fn plant_data(name: &str, around: &Surroundings) -> Result<Arc<PlantData>, ConnectorError> {
    let wrong = |message: String| {
        let findings = vec![Finding::at("kind", message)];
        ConnectorError::Config { connector: name.to_owned(), findings }
    };
    let read = around.plant_data.ok_or_else(|| wrong("there is no village here".to_owned()))?;
    read().map_err(|error| wrong(error.to_string()))
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
            let config = KafkaSinkConfig::read((&around.instance, name), options)?;
            Ok(Box::new(KafkaSink::open(name, schema, config)?))
        }
        kind => Err(unknown(name, kind, "sink", &SINK_KINDS)),
    }
}

/// What is wrong with a source: its configuration, and whether its door opens. Nothing is consumed.
pub fn check_source(
    config: &SourceConfig,
    stream: Option<&StreamDef>,
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
        // A transaction would end that of an instance that runs.
        "kafka" => KafkaSinkConfig::read((&around.instance, &config.name), &config.options)
            .map(|kafka| KafkaSinkConfig { transactional_id: None, ..kafka })
            .and_then(|kafka| KafkaSink::open(&config.name, schema, kafka).map(drop)),
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
        let base = folder.path().to_owned();
        let plant_data = Some(crate::simulator::tests::data as fn() -> _);
        Surroundings { base, clock: Clock::Wall, plant_data, instance: "test".to_owned() }
    }

    #[track_caller]
    fn check(config: Value, expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("switches.ndjson"), "").unwrap();
        let config: SourceConfig = serde_json::from_value(config).unwrap();
        let stream = StreamDef::append::<SwitchPosition>("changed_at");
        let found = check_source(&config, Some(&stream), &around(&folder));
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
            &["`kind`: there is no source kind \"kafak\"; there are file, kafka, simulator (did \
                 you mean \"kafka\"?)"],
        );
        check(
            json!({"name": "s", "kind": "carrier-pigeon", "stream": "switch_positions"}),
            &["`kind`: there is no source kind \"carrier-pigeon\"; there are file, kafka, \
                 simulator"],
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
    fn a_village_needs_no_stream_and_a_day_of_its_data() {
        check(json!({"name": "v", "kind": "simulator"}), &[]);
        check(
            json!({"name": "v", "kind": "simulator", "seed": -1, "day": "noon", "spedd": 60}),
            &[
                "`seed`: expected a whole number, 0 to 9223372036854775807, found -1",
                "`day`: \"noon\" is no day (write it as 2016-08-31)",
                "`spedd`: is not an option of this kind (did you mean `speed`?)",
            ],
        );
        check(
            json!({"name": "v", "kind": "simulator", "day": "2017-01-01"}),
            &["`day`: 2017-01-01T00:00:00Z is not in the data (it goes from \
                 2016-08-01T00:00:00Z to 2016-09-01T00:00:00Z)"],
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
