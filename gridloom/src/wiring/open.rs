//! From a checked configuration to an open instance and its sources, each where it must go on.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use connectors::error::ConnectorError;
use connectors::registry;
use connectors::source::Source;
use pipeline::emit::definitions::Defined;
use pipeline::emit::definitions::stated_in;
use pipeline::emit::outbox::Outbox;
use pipeline::instance::Hook;
use pipeline::instance::Instance;
use pipeline::instance::InstanceError;
use pipeline::instance::InstanceSettings;
use pipeline::instance::Parts;
use pipeline::log::LogError;
use pipeline::log::Options;
use schemas::catalog::Catalog;
use schemas::event::Setpoint;
use schemas::plan::ViewPlan;
use schemas::relation::Relation;
use schemas::time::Clock;

use super::bundled;
use super::views;
use crate::config::Config;

/// Why an instance does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The engine does not start.
    #[error("the instance does not start")]
    Instance(#[from] InstanceError),
    /// A view that was made by a statement cannot be planned any more.
    #[error(
        "the view {view}, which was made by a statement, cannot be planned any more: {message}. \
         Put back what it reads, or put a file {view}.sql that takes its place in the folder of \
         views"
    )]
    View {
        /// The view.
        view: String,
        /// Why not.
        message: String,
    },
}

impl From<ConnectorError> for OpenError {
    fn from(error: ConnectorError) -> OpenError {
        OpenError::Instance(error.into())
    }
}

impl From<LogError> for OpenError {
    fn from(error: LogError) -> OpenError {
        OpenError::Instance(error.into())
    }
}

/// The views of the files, and those that were made by a statement in the place of their
/// namesakes or beside them, each after those it reads.
///
/// # Errors
/// One of them cannot be planned any more.
pub fn with_stated(
    catalog: &Catalog,
    plans: Vec<ViewPlan>,
    stated: &BTreeMap<String, Defined>,
) -> Result<Vec<ViewPlan>, OpenError> {
    if stated.is_empty() {
        return Ok(plans);
    }
    let in_files = plans.iter().filter(|plan| !stated.contains_key(&plan.name));
    let named = in_files.map(|plan| (plan.name.as_str(), plan.sql.as_str()));
    let named = named.chain(stated.iter().map(|(name, of)| (name.as_str(), of.sql.as_str())));
    let named: Vec<(&str, &str)> = named.collect();
    let texts: Vec<&str> = named.iter().map(|(_, sql)| *sql).collect();
    views::plan(catalog, &texts).map_err(|failed| {
        let (at, error) = failed.into_iter().next().expect("at least one failed");
        OpenError::View { view: named[at].0.to_owned(), message: error.full() }
    })
}

/// Opens what a configuration describes.
///
/// # Errors
/// A connector is broken, the data folder is not the instance's, or the log cannot be replayed.
pub fn open(
    config: &Config,
    catalog: &Catalog,
    plans: Vec<ViewPlan>,
    tables: Vec<(String, RecordBatch)>,
    hook: Option<Hook>,
) -> Result<(Instance, Vec<Box<dyn Source>>), OpenError> {
    let around = bundled::surroundings(config.base());
    let mut sources = Vec::new();
    let mut partitions = Vec::new();
    for source in &config.sources {
        let stream = catalog.streams().find(|s| Some(&s.def.name) == source.stream.as_ref());
        let stream = stream.map(|stream| &stream.def);
        let opened = registry::open_source(&source.registry(), stream, &around)?;
        let of = opened.partitions().into_iter();
        partitions.extend(of.map(|partition| (partition, source.out_of_order_ms)));
        sources.push(opened);
    }
    let outbox = match &config.setpoints {
        Some(door) => {
            let sink = registry::open_sink(&door.registry(), &Setpoint::schema(), &around)?;
            Some(Outbox::new(sink))
        }
        None => None,
    };
    let stated = stated_in(&config.instance.data_dir.join("audit"))?;
    let plans = with_stated(catalog, plans, &stated)?;
    let flow = views::flow(catalog, plans, config.agents.clone(), config.instance.ingest.step);
    let settings = InstanceSettings {
        instance: config.instance.name.clone(),
        data_dir: config.instance.data_dir.clone(),
        workers: config.instance.workers,
        ticks_in_flight: config.instance.ticks_in_flight,
        snapshot_every: config.instance.snapshot_every,
        ingest: config.instance.ingest.clone(),
        log: Options::default(),
        clock: Clock::Wall,
    };
    let catalog = catalog.clone();
    let parts = Parts { flow, catalog, tables, partitions, stated, outbox, hook };
    let mut instance = Instance::open(settings, parts)?;
    let positions = instance.positions();
    for source in &mut sources {
        let own = positions.iter().filter(|(partition, _)| partition.source == source.name());
        source.resume(&own.map(|(partition, at)| (partition.clone(), *at)).collect())?;
    }
    Ok((instance, sources))
}
