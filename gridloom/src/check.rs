//! Everything that can be found wrong before a start: configuration, tables, views, connections.
//!
//! Each part is checked with what the parts before could give, and nothing stops at the first
//! mistake. `gridloom run` goes through the same door, so what starts was checked.

use std::collections::BTreeSet;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use connectors::error::ConnectorError;
use connectors::error::Finding;
use connectors::file::FileSinkConfig;
use connectors::file::FileSourceConfig;
use connectors::kafka::KafkaSinkConfig;
use connectors::kafka::KafkaSourceConfig;
use connectors::registry;
use connectors::registry::SIMULATOR;
use connectors::registry::SINK_KINDS;
use connectors::registry::SOURCE_KINDS;
use connectors::simulator::SimulatorConfig;
use schemas::catalog::Catalog;
use schemas::event::Setpoint;
use schemas::plan::ViewPlan;
use schemas::relation::Relation;
use schemas::state::AssetState;
use schemas::state::BusVoltage;
use schemas::state::FeederNow;
use schemas::state::NodeHour;
use schemas::state::NodeQuarter;
use schemas::state::PlantHour;
use schemas::state::PlantQuarter;
use schemas::state::SensorListed;
use schemas::state::SharedMeterHour;
use schemas::state::StaleSensor;

use crate::config::Config;
use crate::config::Door;
use crate::config::Source;
use crate::network;
use crate::network::Opened;
use crate::problem::Problem;
use crate::problem::Problems;
use crate::problem::nearest;
use crate::tables;
use crate::view_files;
use crate::view_files::Planned;
use crate::view_files::ViewText;
use crate::wiring::bundled;

/// A configuration that was checked, with what was made of it on the way.
#[derive(Debug)]
pub struct Checked {
    /// The configuration.
    pub config: Config,
    /// Everything a view may read, the views among it.
    pub catalog: Catalog,
    /// The views, each after those it reads.
    pub plans: Vec<ViewPlan>,
    /// The configured reference tables, with the rows of a network file.
    pub tables: Vec<(String, RecordBatch)>,
    /// The network file, if one is configured; the agents' settings hold its network.
    pub network: Option<Opened>,
}

/// Checks a file and all it names. With `connect`, brokers and files are asked, too.
///
/// # Errors
/// All mistakes.
pub fn check(file: &Path, connect: bool) -> Result<Checked, Problems> {
    let (config, mut problems) = Config::read_all(file);
    let Some(mut config) = config else {
        Problems::none(problems)?;
        unreachable!("a file without mistakes is a configuration");
    };
    let (catalog, mut tables, wrong) = tables::load(&config);
    problems.extend(wrong);
    let (network, wrong) = network::open(&config);
    problems.extend(wrong);
    if let Some(network) = &network {
        problems.extend(network::join(&config, network, &mut tables));
    }
    if let (Some(network), Some(settings)) = (&network, &mut config.agents) {
        settings.networks = network.networks.clone();
    }
    let (texts, wrong) = view_files::gather(&config);
    problems.extend(wrong);
    let Planned { plans, broken, problems: wrong } = view_files::plan(&catalog, &texts);
    problems.extend(wrong);
    if config.agents.is_some() {
        problems.extend(contracts(&config, &texts, &plans, &broken));
    }
    for source in &config.sources {
        problems.extend(source_problems(&config, source, connect));
    }
    if let Some(sink) = &config.setpoints {
        problems.extend(sink_problems(&config, sink, connect));
    }
    Problems::none(problems)?;
    let catalog = view_files::with_views(&catalog, &plans);
    Ok(Checked { config, catalog, plans, tables, network })
}

/// The views that agents read, with the columns they need.
fn needed() -> [(&'static str, SchemaRef); 10] {
    [
        (AssetState::NAME, AssetState::schema()),
        (BusVoltage::NAME, BusVoltage::schema()),
        (FeederNow::NAME, FeederNow::schema()),
        (NodeHour::NAME, NodeHour::schema()),
        (NodeQuarter::NAME, NodeQuarter::schema()),
        (PlantHour::NAME, PlantHour::schema()),
        (PlantQuarter::NAME, PlantQuarter::schema()),
        (SensorListed::NAME, SensorListed::schema()),
        (SharedMeterHour::NAME, SharedMeterHour::schema()),
        (StaleSensor::NAME, StaleSensor::schema()),
    ]
}

/// What the agents miss in the views. Of those that are broken, nothing more is said.
fn contracts(
    config: &Config,
    texts: &[ViewText],
    plans: &[ViewPlan],
    broken: &BTreeSet<String>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, schema) in needed().into_iter().filter(|(name, _)| !broken.contains(*name)) {
        let text = texts.iter().find(|text| text.name() == name);
        let plan = plans.iter().find(|plan| plan.name == name);
        let (Some(text), Some(plan)) = (text, plan) else {
            let message = format!("the agents read the view {name}, which is not there");
            let hint = "write shipped_views = true, or [agents] enabled = false";
            let problem = Problem::new(&config.file, message).hint(hint);
            problems.push(problem.at(config.shipped_views_line, "instance.shipped_views"));
            continue;
        };
        let lacks = |(message, hint): (String, String)| {
            Problem::new(&text.file, message).at(text.line(), format!("view {name}")).hint(hint)
        };
        problems.extend(lacking(&plan.root.schema, &schema).into_iter().map(lacks));
    }
    problems
}

/// What `has` is without of what agents read, and what to do about it.
fn lacking(has: &SchemaRef, read: &SchemaRef) -> Vec<(String, String)> {
    let mut lacking = Vec::new();
    for field in read.fields() {
        let column = field.name();
        match has.field_with_name(column) {
            Ok(found) if found.data_type() == field.data_type() => {}
            Ok(found) => {
                let (is, should) = (found.data_type(), field.data_type());
                let message =
                    format!("column {column} is {is}, and the agents read it as {should}");
                lacking.push((message, format!("CAST it to what they read: {should}")));
            }
            Err(_) => {
                let names = has.fields().iter().map(|field| field.name().as_str());
                let message = format!("the agents read column {column}, which is not there");
                lacking.push((message, nearest(column, names)));
            }
        }
    }
    lacking
}

/// What is wrong with a source, in itself and, with `connect`, at the other end.
fn source_problems(config: &Config, source: &Source, connect: bool) -> Vec<Problem> {
    let entry = source.registry();
    let stream = config.catalog.streams().find(|stream| stream.def.name == entry.stream);
    let (name, options, base) = (entry.name.as_str(), &entry.options, config.base());
    let kind = entry.kind.as_str();
    let read = || match kind {
        "file" => FileSourceConfig::read(name, options, base).err(),
        "kafka" => KafkaSourceConfig::read(name, options, base).err(),
        SIMULATOR => SimulatorConfig::read(name, options).err(),
        _ => None,
    };
    let opens = SOURCE_KINDS.contains(&kind) && (stream.is_some() || kind == SIMULATOR);
    let findings = if connect && opens {
        let around = bundled::surroundings(base, config.instance.name.as_str());
        let stream = stream.map(|stream| &stream.def);
        registry::check_source(&entry, stream, &around)
    } else {
        read().map(ConnectorError::findings).unwrap_or_default()
    };
    let mut problems = kind_problem(config, &source.door, "source", &SOURCE_KINDS);
    problems.extend(placed(config, &source.door, findings));
    problems
}

/// What is wrong with the sink for setpoints.
fn sink_problems(config: &Config, sink: &Door, connect: bool) -> Vec<Problem> {
    let entry = sink.registry();
    let (name, options, base) = (entry.name.as_str(), &entry.options, config.base());
    let around = bundled::surroundings(base, config.instance.name.as_str());
    let findings = match entry.kind.as_str() {
        kind if connect && SINK_KINDS.contains(&kind) => {
            registry::check_sink(&entry, &Setpoint::schema(), &around)
        }
        kind => {
            let wrong = match kind {
                "file" => FileSinkConfig::read(name, options, base).err(),
                "kafka" => KafkaSinkConfig::read((&around.instance, name), options).err(),
                _ => None,
            };
            wrong.map(ConnectorError::findings).unwrap_or_default()
        }
    };
    let mut problems = kind_problem(config, sink, "sink", &SINK_KINDS);
    problems.extend(placed(config, sink, findings));
    problems
}

/// A kind that there is not. A missing one was reported where it was read.
fn kind_problem(config: &Config, door: &Door, what: &str, kinds: &[&str]) -> Vec<Problem> {
    let kind = door.kind.as_str();
    if kind.is_empty() || kinds.contains(&kind) {
        return Vec::new();
    }
    let message = format!("there is no {what} kind {kind:?}");
    let problem = Problem::new(&config.file, message)
        .at(door.line_of("kind"), door.key(Some("kind")))
        .hint(nearest(kind, kinds.iter().copied()));
    vec![problem]
}

/// A connector's findings, at their lines.
fn placed(config: &Config, door: &Door, findings: Vec<Finding>) -> Vec<Problem> {
    let place = |finding: Finding| {
        let key = finding.key.as_deref();
        let line = key.map_or(door.line, |key| door.line_of(key));
        let problem = Problem::new(&config.file, finding.message).at(line, door.key(key));
        match finding.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    };
    findings.into_iter().map(place).collect()
}
