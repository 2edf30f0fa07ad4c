//! The plant on a broker: a process of its own that knows an instance only by topics.
//!
//! Each stream has a topic, named by a prefix and the stream; records are keyed by what they are
//! about, so that one meter's readings keep their order, and carry their event's time as the
//! message's. After each step a mark goes to every partition: nothing on time before the step's end
//! follows. What the link delays comes later, as a correction. Setpoints come back by the topic
//! `setpoints` and are obeyed in the step that begins next.
//!
//! A plant begins its day anew at each start. A setpoint about a step that it has not lived through
//! yet was meant for another plant on the same topics, and is passed over.
//!
//! It does not pace itself; who drives it says when a step is due.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use arrow::array::RecordBatch;
use connectors::error::ConnectorError;
use connectors::kafka::KafkaConfig;
use connectors::kafka::KafkaSink;
use connectors::kafka::KafkaSinkConfig;
use connectors::kafka::KafkaSource;
use connectors::kafka::KafkaSourceConfig;
use connectors::kafka::admin;
use connectors::simulator;
use connectors::simulator::Plant;
use connectors::simulator::PlantStep;
use connectors::sink::Sink;
use connectors::source::Polled;
use connectors::source::Source;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use schemas::event::Setpoint;
use schemas::event::StreamDef;
use schemas::relation::Relation;
use schemas::time::Timestamp;

use super::bundled;

/// The topic that setpoints come by.
pub const SETPOINTS: &str = "setpoints";

/// The streams that a plant feeds: the column that keys a record, and the partitions of a topic
/// that is made.
const STREAMS: [(&str, &str, u32); 8] = [
    ("asset_telemetry", "asset_id", 2),
    ("commands", "asset_id", 1),
    ("meter_readings", "meter_id", 3),
    ("prices", "zone_id", 1),
    ("scada_measurements", "sensor_id", 2),
    ("switch_positions", "switch_id", 1),
    ("weather_forecasts", "station_id", 1),
    ("weather_observations", "station_id", 1),
];

/// Partitions of the topic of setpoints.
const SETPOINT_PARTITIONS: u32 = 2;

/// Where a plant meets an instance: brokers, and what the names of its topics begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The brokers, `host:port` with commas between.
    pub brokers: String,
    /// What stands before the stream's name in a topic's.
    pub prefix: String,
}

impl Place {
    /// The topic of a stream.
    pub fn topic(&self, stream: &str) -> KafkaConfig {
        KafkaConfig::topic(&self.brokers, &format!("{}{stream}", self.prefix))
    }

    /// Makes the topics; those that are there are left as they are.
    ///
    /// # Errors
    /// The brokers do not answer, or refuse.
    pub fn make_topics(&self) -> Result<(), ConnectorError> {
        for (stream, _, partitions) in STREAMS {
            admin::make_topic("plant", &self.topic(stream), partitions)?;
        }
        admin::make_topic("plant", &self.topic(SETPOINTS), SETPOINT_PARTITIONS)
    }
}

/// What a step says, by stream.
pub fn said(step: &PlantStep) -> BTreeMap<&'static str, RecordBatch> {
    simulator::STREAMS.into_iter().zip(step.rows()).collect()
}

/// Writes what a plant says to its topics.
pub struct Publisher {
    sinks: BTreeMap<&'static str, KafkaSink>,
}

impl Publisher {
    /// Opens the topics.
    ///
    /// # Errors
    /// The brokers do not answer, or a topic is not there.
    pub fn open(place: &Place) -> Result<Publisher, ConnectorError> {
        let streams = schemas::event::streams();
        let mut sinks = BTreeMap::new();
        for (name, key, _) in STREAMS {
            let stream = streams.iter().find(|stream| stream.name == name);
            let stream = stream.expect("a plant feeds built-in streams");
            let config = KafkaSinkConfig {
                key: Some(key.to_owned()),
                timestamp: Some(stream.event_time.clone()),
                ..KafkaSinkConfig::topic(place.topic(name))
            };
            sinks.insert(name, KafkaSink::open(name, &stream.schema, config)?);
        }
        Ok(Publisher { sinks })
    }

    /// Sends what a step says and, behind it, its mark to every partition.
    ///
    /// # Errors
    /// The brokers take nothing more.
    pub fn send(&mut self, step: &PlantStep) -> Result<(), ConnectorError> {
        let mut said = said(step);
        for (stream, sink) in &mut self.sinks {
            let rows = said.remove(stream).expect("each sink is a stream of the plant");
            sink.send(&rows)?;
            sink.mark(step.at)?;
        }
        Ok(())
    }

    /// Waits until all that was sent is with the brokers.
    ///
    /// # Errors
    /// Something did not arrive in time.
    pub fn flush(&mut self) -> Result<(), ConnectorError> {
        self.sinks.values_mut().try_for_each(KafkaSink::flush)
    }
}

/// A plant between its topics.
pub struct KafkaPlant {
    plant: Plant,
    publisher: Publisher,
    setpoints: KafkaSource,

    arrived: Vec<Setpoint>,
}

impl KafkaPlant {
    /// A plant at its start, connected.
    ///
    /// # Errors
    /// The brokers do not answer, or a topic is not there.
    pub fn open(place: &Place, plant: Plant) -> Result<KafkaPlant, ConnectorError> {
        let publisher = Publisher::open(place)?;
        let stream = StreamDef::append::<Setpoint>("tick_at");
        let config = KafkaSourceConfig::topic(place.topic(SETPOINTS));
        let setpoints = KafkaSource::open(SETPOINTS, &stream, config)?;
        Ok(KafkaPlant { plant, publisher, setpoints, arrived: Vec::new() })
    }

    /// The plant.
    pub fn plant(&self) -> &Plant {
        &self.plant
    }

    /// Takes in setpoints for that long; without any time, those that are here.
    ///
    /// # Errors
    /// The door is broken for good.
    pub fn listen(&mut self, wait: Duration) -> Result<(), ConnectorError> {
        let began = Instant::now();
        loop {
            let left = wait.saturating_sub(began.elapsed());
            match self.setpoints.poll(left) {
                Ok(Polled::Batch(piece)) => {
                    for refused in &piece.refused {
                        let detail = &refused.detail;
                        tracing::warn!(position = refused.position, %detail, "no setpoint");
                    }
                    let rows = Setpoint::from_batch(&piece.rows).expect("the source's own columns");
                    let next_at = self.plant.next_at();
                    self.arrived.extend(rows.into_iter().filter(|row| row.tick_at < next_at));
                }
                Ok(Polled::Idle | Polled::End { .. }) if left.is_zero() => return Ok(()),
                Ok(_) => {}
                Err(error) if error.retry() => {
                    tracing::warn!(%error, "will listen again");
                    std::thread::sleep(left);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Lives through the next step with the setpoints that arrived, and says what came of it.
    /// `None` when the data has ended.
    ///
    /// # Errors
    /// The brokers did not take it.
    pub fn step(&mut self) -> Result<Option<PlantStep>, ConnectorError> {
        let at = self.plant.next_at();
        if at > self.plant.ends_at() {
            return Ok(None);
        }
        let step = self.plant.step(at, &std::mem::take(&mut self.arrived));
        self.publisher.send(&step)?;
        self.publisher.flush()?;
        Ok(Some(step))
    }
}

/// Why a configuration cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file system refused.
    #[error("{} cannot be written", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A table cannot be written.
    #[error("{} cannot be written", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ParquetError,
    },
}

/// Writes the plant's reference tables and a configuration with which an instance runs around it;
/// gives the configuration's path.
///
/// # Errors
/// The file system refused.
pub fn write_config(folder: &Path, place: &Place, plant: &Plant) -> Result<PathBuf, WriteError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| WriteError::Io { path, source }
    };
    fs::create_dir_all(folder).map_err(io(folder))?;
    let tables = bundled::tables(plant);
    for (name, rows) in &tables {
        let path = folder.join(format!("{name}.parquet"));
        let file = fs::File::create(&path).map_err(io(&path))?;
        write_table(file, rows).map_err(|source| WriteError::Table { path, source })?;
    }
    let names: Vec<&str> = tables.iter().map(|(name, _)| name.as_str()).collect();
    let path = folder.join("gridloom.toml");
    fs::write(&path, config_text(place, &names, plant.config().start_at)).map_err(io(&path))?;
    Ok(path)
}

fn write_table(file: fs::File, rows: &RecordBatch) -> Result<(), ParquetError> {
    let mut writer = ArrowWriter::try_new(file, rows.schema(), None)?;
    writer.write(rows)?;
    writer.close().map(drop)
}

/// The configuration of an instance around this plant.
fn config_text(place: &Place, tables: &[&str], start_at: Timestamp) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let brokers = quoted(&place.brokers);
    let mut text = format!(
        "# An instance around a simulated neighbourhood that starts at {start_at}.\n\
         # The plant begins anew at each start: give both new topics (--prefix) and the instance\n\
         # an empty data folder then.\n\n\
         [instance]\nname = \"village\"\ndata_dir = \"data\"\n\n[tables]\n"
    );
    for table in tables {
        text.push_str(&format!("{table} = \"{table}.parquet\"\n"));
    }
    text.push_str(
        "\n# The plant marks the end of each step, so no reading on time is out of order.\n",
    );
    for (stream, ..) in STREAMS {
        let topic = quoted(&place.topic(stream).topic);
        text.push_str(&format!(
            "[[sources]]\nname = \"{stream}\"\nkind = \"kafka\"\nstream = \"{stream}\"\n\
             brokers = {brokers}\ntopic = {topic}\n\n"
        ));
    }
    let topic = quoted(&place.topic(SETPOINTS).topic);
    text.push_str(&format!(
        "[sinks.setpoints]\nkind = \"kafka\"\nbrokers = {brokers}\ntopic = {topic}\n"
    ));
    text
}

#[cfg(test)]
mod tests {
    use connectors::simulator::PlantConfig;

    use super::*;
    use crate::config::Config;

    #[test]
    fn the_configuration_that_is_written_has_no_mistake() {
        let data = bundled::plant_data().unwrap();
        let plant = Plant::new(data, PlantConfig::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let place = Place { brokers: "127.0.0.1:9092".to_owned(), prefix: "v-".to_owned() };
        let path = write_config(folder.path(), &place, &plant).unwrap();
        let config = Config::read(&path).unwrap();
        let streams: Vec<_> = config.sources.iter().filter_map(|s| s.stream.as_deref()).collect();
        assert_eq!(streams, STREAMS.map(|(stream, ..)| stream));
        assert_eq!(config.setpoints.unwrap().options["topic"], "v-setpoints");
        let (_, tables, problems) = crate::tables::load(&Config::read(&path).unwrap());
        assert_eq!(problems, []);
        assert_eq!(tables.len(), bundled::tables(&plant).len());
    }

    #[test]
    fn every_stream_that_a_step_feeds_has_a_topic() {
        let streams: Vec<_> = said(&PlantStep::default()).into_keys().collect();
        assert_eq!(streams, STREAMS.map(|(stream, ..)| stream));
    }
}
