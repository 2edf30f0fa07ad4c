//! A stretch of the day over a real broker, as long as a test may take.
//!
//! Two and a half hours of the evening, from 17:30: the feeder goes above its limit and the agents
//! act, homes change from selling to buying, an outage begins and ends. The whole day takes ten
//! times as long, most of it hour after hour the same; `GRIDLOOM_WHOLE_DAY=1` runs it.
//!
//! Every view must be what one batch computation over the same rows gives. The audit log must be,
//! record by record, that of an instance which gets the same steps in its own process: one chain,
//! one hash. (That the agents say what they would over views made by batch is shown tick by tick
//! where the stretch is shorter, in `kafka`.)

use std::path::Path;

use gridloom::wiring::lockstep::Lockstep;
use gridloom::wiring::views;
use operators::settings::Settings;
use pipeline::flow::Flow;
use pipeline::ingest::IngestSettings;
use pipeline::instance::DEFAULT_SNAPSHOT_EVERY;
use pipeline::instance::InstanceSettings;
use pipeline::log::InstanceId;
use pipeline::log::Options;
use schemas::audit::Head;
use schemas::catalog::Catalog;
use schemas::time::Clock;
use schemas::time::DEFAULT_STEP;

use crate::kafka::Input;
use crate::kafka::check_batch;
use crate::kafka::ids;
use crate::kafka::place;
use crate::kafka::sent_ids;
use crate::kafka::totals;
use crate::kafka::village;

/// The evening begins at 17:30.
const EVENING_MS: u64 = (17 * 60 + 30) * 60_000;

/// Steps of 5 s of an evening, and of a day.
const EVENING_STEPS: u64 = 1_795;
const DAY_STEPS: u64 = 17_280;

/// When the stretch begins, in milliseconds behind midnight, and its steps.
fn stretch() -> (u64, u64) {
    match std::env::var_os("GRIDLOOM_WHOLE_DAY") {
        Some(_) => (0, DAY_STEPS),
        None => (EVENING_MS, EVENING_STEPS),
    }
}

/// The same steps in one process, with nobody at the controls; the head of its log.
fn in_process(folder: &Path, (start_ms, steps): (u64, u64)) -> Head {
    let catalog = Catalog::built_in();
    let texts: Vec<&str> = queries::shipped().iter().map(|(_, text)| *text).collect();
    let plans = views::plan(&catalog, &texts).unwrap_or_else(|failed| panic!("{failed:?}"));
    let flow = Flow::over(&catalog, plans, Some(Settings::default()), DEFAULT_STEP);
    let settings = InstanceSettings {
        // As the configuration of the other says: the name is part of the chain.
        instance: InstanceId::new("village").unwrap(),
        data_dir: folder.to_owned(),
        workers: 1,
        ticks_in_flight: 1,
        snapshot_every: DEFAULT_SNAPSHOT_EVERY,
        ingest: IngestSettings { patience_ms: None, ..IngestSettings::default() },
        log: Options::default(),
        clock: Clock::Wall,
    };
    let mut day = Lockstep::open(settings, village(start_ms), flow, catalog, false).unwrap();
    for _ in 0..steps {
        day.step().unwrap();
    }
    day.stop().unwrap()
}

#[test]
fn an_evening_in_several_topics_equals_batch_1795_ticks() {
    let folder = tempfile::tempdir().unwrap();
    let (start_ms, steps) = stretch();
    let input = Input::write(place("day"), start_ms, steps);
    let run = input.run(folder.path(), "run");
    run.finish();
    let outcome = run.outcome();
    assert_eq!((outcome.tick, outcome.commits), (input.last, steps));
    assert_eq!(ids(&outcome.setpoints), sent_ids(&run.audit()), "what left is what was logged");
    let asked = check_batch(&input, &run, &outcome);
    // No two meters of the village share a bus.
    let asked = asked.iter().filter(|(name, _)| *name != "shared_meter_hour");
    let empty: Vec<_> = asked.filter(|(_, rows)| rows.num_rows() == 0).collect();
    assert!(empty.len() <= 1, "views without a row: {empty:?}");

    let other = folder.path().join("in-process");
    let head = in_process(&other, (start_ms, steps));
    let counted = totals(&run.audit());
    assert_eq!(counted, totals(&other.join("audit")));
    assert_eq!(outcome.head, head, "record by record");
    let kinds =
        ["action sent", "action superseded", "alarm feeder-overload raised", "forecast feeder"];
    let missing: Vec<_> = kinds.iter().filter(|kind| !counted.contains_key(**kind)).collect();
    assert!(missing.is_empty(), "{missing:?} of {counted:?}");
}
