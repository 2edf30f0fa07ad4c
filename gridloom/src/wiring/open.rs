//! From a checked configuration to an open instance and its sources, each where it must go on.

use arrow::array::RecordBatch;
use connectors::registry;
use connectors::registry::SinkConfig;
use connectors::registry::SourceConfig;
use connectors::registry::Surroundings;
use connectors::source::Source;
use pipeline::emit::outbox::Outbox;
use pipeline::instance::Hook;
use pipeline::instance::Instance;
use pipeline::instance::InstanceError;
use pipeline::instance::InstanceSettings;
use pipeline::instance::Parts;
use pipeline::log::Options;
use schemas::catalog::Catalog;
use schemas::event::Setpoint;
use schemas::plan::ViewPlan;
use schemas::relation::Relation;
use schemas::time::Clock;

use super::views;
use crate::config::Config;

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
) -> Result<(Instance, Vec<Box<dyn Source>>), InstanceError> {
    let around = Surroundings { base: config.base().to_owned(), clock: Clock::Wall };
    let mut sources = Vec::new();
    let mut partitions = Vec::new();
    for source in &config.sources {
        let Some(stream) = catalog.streams().find(|s| Some(&s.def.name) == source.stream.as_ref())
        else {
            continue;
        };
        let door = &source.door;
        let described = SourceConfig {
            name: door.name.clone(),
            kind: door.kind.clone(),
            stream: stream.def.name.clone(),
            options: door.options.clone(),
        };
        let opened = registry::open_source(&described, &stream.def, &around)?;
        let of = opened.partitions().into_iter();
        partitions.extend(of.map(|partition| (partition, source.out_of_order_ms)));
        sources.push(opened);
    }
    let outbox = match &config.setpoints {
        Some(door) => {
            let described = SinkConfig {
                name: door.name.clone(),
                kind: door.kind.clone(),
                options: door.options.clone(),
            };
            let sink = registry::open_sink(&described, &Setpoint::schema(), &around)?;
            Some(Outbox::new(sink))
        }
        None => None,
    };
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
    let parts = Parts { flow, catalog, tables, partitions, outbox, hook };
    let mut instance = Instance::open(settings, parts)?;
    let positions = instance.positions();
    for source in &mut sources {
        let own = positions.iter().filter(|(partition, _)| partition.source == source.name());
        source.resume(&own.map(|(partition, at)| (partition.clone(), *at)).collect())?;
    }
    Ok((instance, sources))
}
