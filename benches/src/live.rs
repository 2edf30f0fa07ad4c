//! A running instance with its doors, on a workload that does not wait for it.
//!
//! Readings fall due by the clock, a second's worth each second, whether the instance has kept up
//! or not, and so do the readers' questions: what is measured is from when something was due to
//! when it was there, so a stall shows in every number behind it.

pub mod feed;
pub mod hydration;
pub mod readers;

use std::path::Path;
use std::time::Duration;

use pipeline::flow::Flow;
use pipeline::ingest::IngestSettings;
use pipeline::instance::Instance;
use pipeline::instance::InstanceSettings;
use pipeline::instance::Parts;
use pipeline::log::InstanceId;
use pipeline::log::Options;
use queries::Planner;
use schemas::catalog::Catalog;
use schemas::reference::Feeder;
use schemas::reference::Meter;
use schemas::relation::Relation;
use schemas::time::Clock;
use schemas::time::Step;

use crate::feeder_cost::feeders;
use crate::feeder_cost::meters;

/// The length of a tick, in milliseconds.
pub const STEP_MS: u64 = 1_000;

/// The view that readers look at: the last minute of each feeder, in bins of 5 s.
pub const LOAD: &str = "CREATE MATERIALIZED VIEW load_now AS
SELECT m.feeder_id, date_bin(INTERVAL '5 seconds', r.measured_at) AS bin_at,
       sum(r.active_power_kw) AS kw, count(*) AS n
FROM meter_readings r JOIN meters m USING (meter_id)
WHERE r.measured_at > now() - INTERVAL '1 minute'
GROUP BY 1, 2";

/// An instance in a folder of its own, with these views, which makes everything durable as always.
pub fn instance(folder: &Path, views: &[&str]) -> Instance {
    let catalog = Catalog::built_in();
    let mut planner = Planner::new(catalog.clone());
    let plan = |sql: &&str| {
        let plan = planner.view(sql).unwrap_or_else(|error| panic!("{}", error.full()));
        planner.add_view(&plan);
        plan
    };
    let views = views.iter().map(plan).collect();
    let step = Step::from_millis(STEP_MS).expect("not zero");
    let settings = InstanceSettings {
        instance: InstanceId::new("bench").expect("a name"),
        data_dir: folder.to_owned(),
        workers: 1,
        ticks_in_flight: 2,
        snapshot_every: 3_600,
        ingest: IngestSettings { step, patience_ms: None, ..IngestSettings::default() },
        log: Options::default(),
        clock: Clock::Wall,
    };
    let parts = Parts {
        flow: Flow::over(&catalog, views, None, step),
        catalog,
        tables: vec![(Meter::NAME.to_owned(), meters()), (Feeder::NAME.to_owned(), feeders())],
        partitions: vec![(feed::partition(), 0)],
        stated: std::collections::BTreeMap::new(),
        indexes: Vec::new(),
        outbox: None,
        hook: None,
    };
    Instance::open(settings, parts).expect("the instance opens")
}

/// Milliseconds.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
