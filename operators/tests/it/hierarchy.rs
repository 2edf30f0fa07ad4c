//! Forecasts of nodes, feeders, zones and the system in the dataflow: the kernels' own words, for
//! any number of workers, with models, late corrections and a feeder that moves to another zone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use differential_dataflow::input::Input;
use differential_dataflow::input::InputSession;
use operators::control;
use operators::forecast::rows::FeederPlace;
use operators::host::HostInput;
use operators::kernel::Change;
use operators::settings::Settings;
use schemas::decision::Forecast;
use schemas::decision::ModelVersion;
use schemas::reference::Feeder;
use schemas::reference::LoadHistory;
use schemas::relation::Relation;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::state::NodeHour;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;
use timely::dataflow::ProbeHandle;

use crate::hosted::Feed;
use crate::hosted::Said;
use crate::hosted::as_view;
use crate::hosted::collect;
use crate::hosted::drive;
use crate::hosted::schemas;
use crate::hosted::texts;
use crate::hosted::view_schema;
use crate::path::Foresight;
use crate::path::came;
use crate::plant::Chance;

const FEEDERS: usize = 5;
const STEP_MS: u64 = 300_000;
const TICKS: u64 = 12 * 9;

/// The hour at which it begins, of which two weeks were before.
const START: u64 = 14 * 24;

fn settings() -> Settings {
    Settings::of_step(STEP_MS)
}

/// The zones of the feeders; from the fifth hour on the third lies in another.
fn feeders(hour: u64) -> Vec<Feeder> {
    let third = if hour < START + 5 { "a" } else { "b" };
    let row = |(feeder, zone): (usize, &str)| Feeder {
        feeder_id: format!("feeder-{feeder}"),
        zone_id: zone.to_owned(),
        ..Feeder::example()
    };
    ["a", "a", third, "b", ""].into_iter().enumerate().map(row).collect()
}

fn load_kw(feeder: usize, hour: u64, chance: &mut Chance) -> f64 {
    (1.0 + feeder as f64) * (2.0 + ((hour + feeder as u64) % 24) as f64 / 6.0) + chance.even()
}

/// What changes of a view at one time.
#[derive(Clone)]
struct Told {
    feeders: Vec<(Feeder, i64)>,
    hours: Vec<(NodeHour, i64)>,
}

fn node_hour(feeder: usize, hour: u64, net_load_kw: f64) -> NodeHour {
    NodeHour {
        bus_id: format!("bus-{feeder}"),
        feeder_id: format!("feeder-{feeder}"),
        hour_at: Timestamp(hour * HOUR_MS),
        net_load_kw,
    }
}

/// The past, and what is told at each tick.
fn story(seed: u64) -> (Vec<LoadHistory>, BTreeMap<u64, Told>) {
    let mut chance = Chance::new(seed);
    let mut past = Vec::new();
    for (feeder, hour) in (0..FEEDERS).flat_map(|feeder| (0..START).map(move |h| (feeder, h))) {
        past.push(LoadHistory {
            bus_id: format!("bus-{feeder}"),
            feeder_id: format!("feeder-{feeder}"),
            hour_at: Timestamp(hour * HOUR_MS),
            net_load_kw: load_kw(feeder, hour, &mut chance),
        });
    }
    let mut shown: BTreeMap<(usize, u64), f64> = BTreeMap::new();
    let mut story = BTreeMap::new();
    for tick in 0..TICKS {
        let (at, hour) = (START * HOUR_MS + tick * STEP_MS, START + tick / 12);
        let mut told = Told { feeders: Vec::new(), hours: Vec::new() };
        if tick == 5 * 12 {
            told.feeders.extend(feeders(START).into_iter().map(|row| (row, -1)));
            told.feeders.extend(feeders(hour).into_iter().map(|row| (row, 1)));
        }
        let mut say = |feeder: usize, hour: u64, kw: f64| {
            let before = shown.insert((feeder, hour), kw);
            told.hours.extend(before.map(|kw| (node_hour(feeder, hour, kw), -1)));
            told.hours.push((node_hour(feeder, hour, kw), 1));
        };
        if tick % 12 == 0 && hour > START {
            for feeder in (0..FEEDERS).filter(|f| !(f + hour as usize).is_multiple_of(7)) {
                say(feeder, hour - 1, load_kw(feeder, hour - 1, &mut chance));
            }
        }
        // Late, or restated; now and then enough to be issued anew at once.
        if chance.even() < 0.3 && hour > START + 1 {
            let back = 1 + (chance.even() * 2.0) as u64;
            let feeder = (chance.even() * FEEDERS as f64) as usize;
            say(feeder, hour - back, load_kw(feeder, hour - back, &mut chance));
        }
        story.insert(at, told);
    }
    (past, story)
}

fn changed<R: Relation + Clone>(rows: &[(R, i64)]) -> Change {
    let (rows, diffs): (Vec<R>, Vec<i64>) = rows.iter().cloned().unzip();
    Change::of(&rows, diffs)
}

fn place((row, diff): &(Feeder, i64)) -> (FeederPlace, i64) {
    let (feeder_id, zone_id) = (row.feeder_id.clone(), row.zone_id.clone());
    (FeederPlace { feeder_id, zone_id }, *diff)
}

/// The kernels by hand.
fn by_hand(past: &[LoadHistory], story: &BTreeMap<u64, Told>) -> Said {
    let mut foresight = Foresight::new(&settings());
    let mut said = Said::new();
    for (at, told) in story {
        let first = *at == START * HOUR_MS;
        let mut places: Vec<(FeederPlace, i64)> = told.feeders.iter().map(place).collect();
        if first {
            places.extend(feeders(START).into_iter().map(|row| place(&(row, 1))));
        }
        let past = came(if first { past } else { &[] });
        let step = (&changed(&places), &past, &changed(&told.hours));
        let (forecasts, versions) = foresight.step(Timestamp(*at), step.0, step.1, step.2);
        forecasts.into_iter().for_each(|rows| texts(*at, rows, &mut said));
        texts(*at, versions, &mut said);
    }
    said.sort();
    said
}

fn feed(past: &[LoadHistory], story: &BTreeMap<u64, Told>) -> Feed {
    let mut feed = Feed::new();
    let mut add = |name: &'static str, at: u64, change: &Change| {
        let view = as_view(&change.batch);
        let rows = RowCodec::new(view.schema()).unwrap().rows(&view).unwrap();
        let updates = rows.into_iter().zip(&change.diffs).map(|(row, diff)| (at, row, *diff));
        feed.entry(name).or_default().extend(updates);
    };
    add(LoadHistory::NAME, 0, &came(past));
    add(Feeder::NAME, 0, &came(&feeders(START)));
    for (at, told) in story {
        add(Feeder::NAME, *at, &changed(&told.feeders));
        add(NodeHour::NAME, *at, &changed(&told.hours));
    }
    feed
}

fn hosted(feed: &Feed, workers: usize) -> Said {
    let said = Arc::new(Mutex::new(Said::new()));
    let (feed, into) = (feed.clone(), said.clone());
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
        let probe = ProbeHandle::new();
        let mut sessions: BTreeMap<&str, InputSession<u64, Row, i64>> = BTreeMap::new();
        worker.dataflow::<u64, _, _>(|scope| {
            let mut views = BTreeMap::new();
            for (name, relation) in schemas() {
                let (session, rows) = scope.new_collection::<Row, i64>();
                sessions.insert(name, session);
                let schema = view_schema(&relation);
                views.insert(name.to_owned(), HostInput { rows, schema });
            }
            let first = Some(START * HOUR_MS);
            let out = control::build(scope, &views, &settings(), first).unwrap();
            collect::<Forecast>(&out.forecasts, &into, &probe);
            collect::<ModelVersion>(&out.versions, &into, &probe);
        });
        let stops = (0..=TICKS).map(|tick| START * HOUR_MS + tick * STEP_MS);
        drive(worker, &mut sessions, &feed, &probe, stops);
    });
    guards.unwrap().join().into_iter().for_each(|worker| worker.unwrap());
    let mut said = std::mem::take(&mut *said.lock().unwrap());
    said.sort();
    said
}

#[test]
fn one_two_and_three_workers_forecast_the_same_tree_108_ticks_5_feeders() {
    let (past, story) = story(3);
    let expected = by_hand(&past, &story);
    let count = |part: &str| expected.iter().filter(|(_, _, text)| text.contains(part)).count();
    assert!(count("scope: \"zone\"") > 24 * 2 * 36, "{}", count("scope: \"zone\""));
    // Beyond the quarters there are ticks at which something was issued anew.
    let (quarters, rows) = (TICKS / 3, count("Forecast { scope: \"system\""));
    assert!(rows as u64 > 24 * (quarters + 8), "{rows} in {quarters} quarters");
    assert!(count("model: \"ridge\"") > 0);
    let feed = feed(&past, &story);
    for workers in 1..=3 {
        let said = hosted(&feed, workers);
        assert_eq!(said.len(), expected.len(), "{workers} workers");
        for (got, wanted) in said.iter().zip(&expected) {
            assert_eq!(got, wanted, "{workers} workers");
        }
    }
}
