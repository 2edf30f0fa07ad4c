//! From a checked configuration to an open instance and its sources, each where it must go on.
//!
//! What a configuration names becomes sources, a sink and a flow, with the views and sources that
//! came by statements of earlier starts among them: they stand in the audit log, and nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use connectors::error::ConnectorError;
use connectors::error::Finding;
use connectors::registry;
use connectors::registry::SIMULATOR;
use connectors::registry::SourceConfig;
use connectors::registry::Surroundings;
use connectors::source::Source;
use pipeline::emit::definitions::Defined;
use pipeline::emit::definitions::stated_in;
use pipeline::emit::outbox::Outbox;
use pipeline::flow::Flow;
use pipeline::instance::Hook;
use pipeline::instance::Instance;
use pipeline::instance::InstanceError;
use pipeline::instance::InstanceSettings;
use pipeline::instance::Parts;
use pipeline::instance::reader::Feed;
use pipeline::instance::reader::Positions;
use pipeline::log::LogError;
use pipeline::log::Options;
use queries::Planner;
use queries::index::index;
use queries::index::is_index;
use queries::source::is_source;
use schemas::catalog::Catalog;
use schemas::contract::IndexPlan;
use schemas::contract::SourcePlan;
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
    /// A source that was made by a statement cannot be opened any more.
    #[error("the source {source_name}, which was made by a statement, is none: {message}")]
    Source {
        /// The source.
        source_name: String,
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
    let stated: BTreeMap<&str, &str> = (stated.iter())
        .filter(|(_, of)| !is_source(&of.sql) && !is_index(&of.sql))
        .map(|(name, of)| (name.as_str(), of.sql.as_str()))
        .collect();
    if stated.is_empty() {
        return Ok(plans);
    }
    let in_files = plans.iter().filter(|plan| !stated.contains_key(plan.name.as_str()));
    let named = in_files.map(|plan| (plan.name.as_str(), plan.sql.as_str()));
    let named = named.chain(stated.iter().map(|(name, sql)| (*name, *sql)));
    let named: Vec<(&str, &str)> = named.collect();
    let texts: Vec<&str> = named.iter().map(|(_, sql)| *sql).collect();
    // They are planned anew, each after those it reads.
    let mut catalog = catalog.clone();
    plans.iter().for_each(|plan| catalog.remove(&plan.name));
    views::plan(&catalog, &texts).map_err(|failed| {
        let (at, error) = failed.into_iter().next().expect("at least one failed");
        OpenError::View { view: named[at].0.to_owned(), message: error.full() }
    })
}

/// The sources that were made by a statement; their streams are in the catalog then.
///
/// # Errors
/// One of them cannot be read any more, or its name is taken.
pub fn stated_sources(
    catalog: &mut Catalog,
    stated: &BTreeMap<String, Defined>,
) -> Result<Vec<SourcePlan>, OpenError> {
    let mut plans = Vec::new();
    for (name, of) in stated.iter().filter(|(_, of)| is_source(&of.sql)) {
        let failed = |message| OpenError::Source { source_name: name.clone(), message };
        let plan = queries::source::source(&of.sql).map_err(|error| failed(error.full()))?.plan;
        if catalog.get(name).is_some() {
            return Err(failed("there is a relation of its name in the configuration".to_owned()));
        }
        catalog.add_stream(plan.settings.clone());
        plans.push(plan);
    }
    Ok(plans)
}

/// The indexes that were made by a statement, over the relations of the catalog and these views.
/// One on what is not there any more is left out of `stated`, and so recorded as dropped: it
/// changes no answer, and must not keep an instance from starting.
pub fn stated_indexes(
    catalog: &Catalog,
    plans: &[ViewPlan],
    stated: &mut BTreeMap<String, Defined>,
) -> Vec<IndexPlan> {
    let mut planner = Planner::new(catalog.clone());
    plans.iter().for_each(|plan| planner.add_view(plan));
    let mut indexes = Vec::new();
    stated.retain(|name, of| {
        if !is_index(&of.sql) {
            return true;
        }
        match index(planner.catalog(), &of.sql) {
            Ok(index) => {
                indexes.push(index.plan);
                true
            }
            Err(error) => {
                tracing::warn!(index = %name, error = %error.full(), "the index is dropped");
                false
            }
        }
    });
    indexes
}

/// The door of a source that was made by a statement.
fn open_stated(
    plan: &SourcePlan,
    around: &Surroundings,
) -> Result<Box<dyn Source>, ConnectorError> {
    let SourcePlan { settings, kind, options, .. } = plan;
    if kind == SIMULATOR {
        // It would feed the built-in streams.
        let message = "a simulator is declared in the configuration".to_owned();
        let (connector, findings) = (settings.def.name.clone(), vec![Finding::at("kind", message)]);
        return Err(ConnectorError::Config { connector, findings });
    }
    let (name, stream) = (settings.def.name.clone(), settings.def.name.clone());
    let config = SourceConfig { name, kind: kind.clone(), stream, options: options.clone() };
    registry::open_source(&config, Some(&settings.def), around)
}

/// Lets sources come by statements while the instance runs.
pub fn take_sources(instance: &mut Instance, around: Surroundings) {
    instance.take_sources_with(Arc::new(move |plan, positions| {
        let mut source = open_stated(plan, &around)?;
        // One that has no past here begins where its kind begins.
        source.resume(positions)?;
        Ok(source)
    }));
}

/// Opens what a configuration describes. Sources that came by statements are among those that the
/// instance has [opened](Instance::opened): one whose door does not open is no reason not to start.
///
/// # Errors
/// A connector is broken, the data folder is not the instance's, or the log cannot be replayed.
pub fn open(
    config: &Config,
    catalog: &Catalog,
    plans: Vec<ViewPlan>,
    tables: Vec<(String, RecordBatch)>,
    hook: Option<Hook>,
) -> Result<(Instance, Vec<Feed>), OpenError> {
    let around = bundled::surroundings(config.base(), config.instance.name.as_str());
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
    let mut stated = stated_in(&config.instance.data_dir.join("audit"))?;
    let mut catalog = catalog.clone();
    let own = stated_sources(&mut catalog, &stated)?;
    let outbox = match &config.setpoints {
        Some(door) => {
            let sink = registry::open_sink(&door.registry(), &Setpoint::schema(), &around)?;
            Some(Outbox::new(sink))
        }
        None => None,
    };
    let plans = with_stated(&catalog, plans, &stated)?;
    let indexes = stated_indexes(&catalog, &plans, &mut stated);
    let flow = Flow::over(&catalog, plans, config.agents.clone(), config.instance.ingest.step);
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
    let parts = Parts { flow, catalog, tables, partitions, stated, indexes, outbox, hook };
    let mut instance = Instance::open(settings, parts)?;
    take_sources(&mut instance, around);
    instance.reopen_sources(own);
    let positions = instance.positions();
    let mut feeds = Vec::new();
    for mut source in sources {
        let of = positions.iter().filter(|(partition, _)| partition.source == source.name());
        let of: Positions = of.map(|(partition, at)| (partition.clone(), *at)).collect();
        source.resume(&of)?;
        feeds.push(Feed::new(source, of));
    }
    Ok((instance, feeds))
}
