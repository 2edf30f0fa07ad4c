//! Nodes, feeders, zones and the system through all three agents: what is issued adds up, and is
//! what one who hears everything at once would issue.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use schemas::decision::Forecast;
use schemas::decision::ModelVersion;
use schemas::event::LoadAnnotation;
use schemas::event::ModelOrder;
use schemas::reference::LoadHistory;
use schemas::relation::Relation;
use schemas::state::NodeHour;
use schemas::state::SharedMeterHour;
use schemas::state::WeatherAhead;
use schemas::state::WeatherHour;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use crate::forecast::ForecastKernel;
use crate::forecast::SpreadKernel;
use crate::forecast::ZoneKernel;
use crate::forecast::because::added_up;
use crate::forecast::rows::FeederPlace;
use crate::kernel::Change;
use crate::kernel::Kernel;
use crate::settings::Settings;

/// Feeders with their zones; the last lies in none, and the one before is alone in its.
const PLACES: [(&str, &str); 5] = [("f0", "z"), ("f1", "z"), ("f2", "z"), ("f3", "y"), ("f4", "")];

/// A number in 0..1 that depends on these alone.
fn chance(what: u64, hour: u64) -> f64 {
    let mixed = (hour * 1_000 + what + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// What node `node` of feeder `feeder` draws.
fn load_kw(feeder: usize, node: usize, hour: u64) -> f64 {
    let clock = 1.0 + ((hour + 3 * feeder as u64) % 24) as f64 / 12.0;
    let what = (10 * feeder + node) as u64;
    (1.0 + feeder as f64) * clock + chance(what, hour) + 0.5 * chance(99, hour)
}

fn bus(feeder: usize, node: usize) -> String {
    format!("b{feeder}-{node}")
}

/// The three agents, with what they said last.
struct Grid {
    kernels: (ForecastKernel, ZoneKernel, SpreadKernel),
    forecasts: Vec<Forecast>,
    versions: Vec<ModelVersion>,
    /// The newest median by scope, subject and hour.
    newest: BTreeMap<(String, String, u64), f64>,
}

/// What is told at a tick.
#[derive(Clone, Default)]
struct Told {
    places: Vec<(FeederPlace, i64)>,
    history: Vec<LoadHistory>,
    hours: Vec<(NodeHour, i64)>,
    seen: Vec<WeatherHour>,
    notes: Vec<LoadAnnotation>,
    orders: Vec<ModelOrder>,
    meters: Vec<SharedMeterHour>,
}

fn came<R: Relation>(rows: &[R]) -> Change {
    Change::of(rows, vec![1; rows.len()])
}

fn changed<R: Relation + Clone>(rows: &[(R, i64)]) -> Change {
    let (rows, diffs): (Vec<R>, Vec<i64>) = rows.iter().cloned().unzip();
    Change::of(&rows, diffs)
}

fn place(feeder: &str, zone: &str, diff: i64) -> (FeederPlace, i64) {
    (FeederPlace { feeder_id: feeder.to_owned(), zone_id: zone.to_owned() }, diff)
}

fn places() -> Vec<(FeederPlace, i64)> {
    PLACES.iter().map(|(feeder, zone)| place(feeder, zone, 1)).collect()
}

fn node_hour(feeder: usize, node: usize, hour: u64, net_load_kw: f64) -> NodeHour {
    NodeHour {
        bus_id: bus(feeder, node),
        feeder_id: format!("f{feeder}"),
        hour_at: Timestamp(hour * HOUR_MS),
        net_load_kw,
    }
}

fn history(feeders: std::ops::Range<usize>, hours: std::ops::Range<u64>) -> Vec<LoadHistory> {
    let mut rows = Vec::new();
    for (feeder, node) in feeders.flat_map(|f| [(f, 0), (f, 1)]) {
        rows.extend(hours.clone().map(|hour| LoadHistory {
            bus_id: bus(feeder, node),
            feeder_id: format!("f{feeder}"),
            hour_at: Timestamp(hour * HOUR_MS),
            net_load_kw: load_kw(feeder, node, hour),
        }));
    }
    rows
}

impl Grid {
    fn new() -> Grid {
        let settings = Settings::default();
        let zones = ZoneKernel::new(settings.clone());
        let kernels = (ForecastKernel::new(settings.clone()), zones, SpreadKernel::new(settings));
        let (forecasts, versions, newest) = Default::default();
        Grid { kernels, forecasts, versions, newest }
    }

    /// Steps all three; gives how long each took.
    fn step(&mut self, at_ms: u64, told: &Told) -> [Duration; 3] {
        let at = Timestamp(at_ms);
        let (forecast, zones, spread) = &mut self.kernels;
        let seen = came(&told.seen);
        let changes = [
            came(&told.history),
            changed(&told.hours),
            seen.clone(),
            Change::none(WeatherAhead::schema()),
            came(&told.notes),
            came(&told.orders),
            came(&told.meters),
        ];
        let began = Instant::now();
        let below = forecast.step(at, &changes);
        let forecasting = began.elapsed();
        let changes = [
            changed(&told.places),
            seen,
            Change::none(WeatherAhead::schema()),
            came(&told.orders),
            Change::came(below[3].clone()),
            Change::came(below[4].clone()),
        ];
        let began = Instant::now();
        let above = zones.step(at, &changes);
        let summing = began.elapsed();
        let down = [Change::came(below[0].clone()), Change::came(above[1].clone())];
        let began = Instant::now();
        let down = spread.step(at, &down);
        let spreading = began.elapsed();
        self.forecasts = Forecast::from_batch(&down[0]).unwrap();
        self.forecasts.extend(Forecast::from_batch(&above[0]).unwrap());
        self.versions = ModelVersion::from_batch(&below[2]).unwrap();
        self.versions.extend(ModelVersion::from_batch(&above[3]).unwrap());
        for row in &self.forecasts {
            assert_eq!(row.issued_at, at);
            assert!(row.p10_kw <= row.p50_kw && row.p50_kw <= row.p90_kw, "{row:?}");
            // A hundredth of a kW is rounded in each of a dozen parts.
            let made_kw = added_up(&row.because);
            assert!((made_kw - row.p50_kw).abs() < 0.07, "{made_kw} kW is not all of {row:?}");
            let key = (row.scope.clone(), row.subject_id.clone(), row.target_at.0 / HOUR_MS);
            self.newest.insert(key, row.p50_kw);
        }
        [forecasting, summing, spreading]
    }

    /// All feeders with a past up to `start`, in their places.
    fn known(first: u64, start: u64) -> Grid {
        let mut grid = Grid::new();
        let history = history(0..PLACES.len(), first..start);
        grid.step(start * HOUR_MS, &Told { places: places(), history, ..Told::default() });
        grid
    }

    /// The medians of a subject in the newest rows of this tick, by hour.
    fn p50(&self, scope: &str, subject: &str) -> BTreeMap<u64, f64> {
        let of = |row: &&Forecast| row.scope == scope && row.subject_id == subject;
        let rows = self.forecasts.iter().filter(of);
        rows.map(|row| (row.target_at.0 / HOUR_MS, row.p50_kw)).collect()
    }

    /// Who said what of a subject.
    fn who(&self, subject: &str) -> &str {
        let row = self.forecasts.iter().find(|row| row.subject_id == subject);
        &row.unwrap_or_else(|| panic!("nothing is said of {subject}")).model_version
    }

    fn at(&self, scope: &str, subject: &str, hour: u64) -> f64 {
        self.newest[&(scope.to_owned(), subject.to_owned(), hour)]
    }

    /// Everything that was said last of these hours adds up.
    #[track_caller]
    fn adds_up(&self, zone_of: &[(&str, &str)], hours: std::ops::Range<u64>) {
        for hour in hours {
            let (mut system, mut zones) = (0.0, BTreeMap::<&str, f64>::new());
            for (feeder, (id, zone)) in zone_of.iter().enumerate() {
                let kw = self.at("feeder", id, hour);
                let nodes: f64 = (0..2).map(|n| self.at("node", &bus(feeder, n), hour)).sum();
                assert!((kw - nodes).abs() < 1e-9, "{id} is {kw}, its nodes {nodes}");
                system += kw;
                *zones.entry(zone).or_default() += kw;
            }
            for (zone, kw) in zones.into_iter().filter(|(zone, _)| !zone.is_empty()) {
                let said = self.at("zone", zone, hour);
                assert!((said - kw).abs() < 1e-9, "{zone} is {said}, its feeders {kw}");
            }
            let said = self.at("system", "system", hour);
            assert!((said - system).abs() < 1e-9, "the system is {said}, its feeders {system}");
        }
    }
}

/// What all nodes say of an hour.
fn heard(hour: u64) -> Vec<(NodeHour, i64)> {
    let nodes = (0..PLACES.len()).flat_map(|feeder| [(feeder, 0), (feeder, 1)]);
    nodes.map(|(f, n)| (node_hour(f, n, hour, load_kw(f, n, hour)), 1)).collect()
}

/// What nodes say of an hour, told as it ends; some are silent.
fn ended(hour: u64) -> Vec<(NodeHour, i64)> {
    let nodes = (0..PLACES.len()).flat_map(|feeder| [(feeder, 0), (feeder, 1)]);
    let heard =
        nodes.filter(|(feeder, node)| chance((50 + 10 * feeder + node) as u64, hour) > 0.03);
    heard.map(|(f, n)| (node_hour(f, n, hour, load_kw(f, n, hour)), 1)).collect()
}

/// A late or restated hour of some node: what was said of it goes, and something else comes.
fn corrected(tick: u64, hour: u64, back: u64) -> Vec<(NodeHour, i64)> {
    let pick = |what: u64, n: usize| (chance(what, tick) * n as f64) as usize;
    let (feeder, node) = (pick(71, PLACES.len()), pick(72, 2));
    let hour = hour - 1 - pick(73, back as usize) as u64;
    let before = node_hour(feeder, node, hour, load_kw(feeder, node, hour));
    let after = node_hour(feeder, node, hour, load_kw(feeder, node, hour) + 3.0 * chance(74, tick));
    vec![(before, -1), (after, 1)]
}

#[test]
fn what_is_issued_adds_up_at_every_tick_5_feeders_30_hours_with_corrections() {
    let start = 15 * 24;
    let mut grid = Grid::known(0, start);
    assert_eq!(grid.forecasts.len(), 24 * (10 + 5 + 2 + 1));
    assert_eq!(grid.who("z"), "ridge-1");
    assert_eq!(grid.who("system"), "ridge-1");
    let told: Vec<(&str, &str)> = (grid.versions.iter())
        .filter(|row| row.feeder_id.is_empty())
        .map(|row| (row.scope.as_str(), row.subject_id.as_str()))
        .collect();
    assert_eq!(told, [("zone", "z"), ("system", "system")], "y has one feeder and no model");
    grid.adds_up(&PLACES, start..start + 24);
    let mut anew = 0;
    for quarter in 1..120 {
        let (hour, at_ms) = (start + quarter / 4, start * HOUR_MS + quarter * 900_000);
        let mut told = Told::default();
        if quarter % 4 == 0 {
            told.hours = ended(hour - 1);
        }
        grid.step(at_ms, &told);
        grid.adds_up(&PLACES, hour..hour + 24);
        // Between two quarters something is restated.
        told.hours = corrected(quarter, hour, 60);
        grid.step(at_ms + 300_000, &told);
        if !grid.forecasts.is_empty() {
            anew += 1;
            let subjects: BTreeSet<&str> =
                grid.forecasts.iter().map(|row| row.subject_id.as_str()).collect();
            assert!(subjects.contains("system"), "{subjects:?}");
            assert!(subjects.len() <= 5, "one feeder, two nodes, a zone, the system: {subjects:?}");
        }
        grid.adds_up(&PLACES, hour..hour + 24);
    }
    assert!(anew > 60, "{anew} of 119 corrections issued anew");
}

/// Everything that was ever said of nodes' hours.
#[derive(Default)]
struct Heard(BTreeMap<(String, u64), NodeHour>);

impl Heard {
    fn add(&mut self, rows: &[(NodeHour, i64)]) {
        for (row, _) in rows.iter().filter(|(_, diff)| *diff > 0) {
            self.0.insert((row.bus_id.clone(), row.hour_at.0), row.clone());
        }
    }
}

/// Rows without what they were looked at with, in one order.
fn plain(grid: &Grid) -> Vec<(String, String, u64, [f64; 3], String)> {
    let plain = |row: &Forecast| {
        let Forecast { scope, subject_id, target_at, p10_kw, p50_kw, p90_kw, .. } = row.clone();
        (scope, subject_id, target_at.0, [p10_kw, p50_kw, p90_kw], row.model_version.clone())
    };
    let mut rows: Vec<_> = grid.forecasts.iter().map(plain).collect();
    rows.sort_by(|a, b| (&a.0, &a.1, a.2).cmp(&(&b.0, &b.1, b.2)));
    rows
}

#[track_caller]
fn alike(grid: &Grid, other: &Grid) {
    let (rows, expected) = (plain(grid), plain(other));
    assert_eq!(rows.len(), expected.len());
    for (row, expected) in rows.iter().zip(&expected) {
        assert_eq!(
            (&row.0, &row.1, row.2, &row.4),
            (&expected.0, &expected.1, expected.2, &expected.4)
        );
        let far = row.3.iter().zip(expected.3).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(far < 1e-9, "{row:?} {expected:?}");
    }
}

/// While the rule answers, a forecast is a function of the hours as they stand.
#[test]
fn who_hears_all_hours_at_once_issues_the_same_5_feeders_80_hours_with_corrections() {
    let start = 110;
    let mut grid = Grid::known(0, start);
    let mut heard = Heard::default();
    let mut compared = 0;
    for tick in 1..4 * 80 {
        let (hour, at_ms) = (start + tick / 4, start * HOUR_MS + tick * 900_000);
        let mut hours = if tick % 4 == 0 { ended(hour - 1) } else { Vec::new() };
        if tick % 3 == 0 {
            hours.extend(corrected(tick, hour, 40));
        }
        heard.add(&hours);
        grid.step(at_ms, &Told { hours, ..Told::default() });
        if tick % 4 == 1 {
            let mut other = Grid::new();
            let hours = heard.0.values().map(|row| (row.clone(), 1)).collect();
            let history = history(0..PLACES.len(), 0..start);
            other.step(at_ms, &Told { places: places(), history, hours, ..Told::default() });
            alike(&grid, &other);
            assert_eq!(grid.who("z"), "seasonal-naive-1");
            compared += grid.forecasts.len();
        }
    }
    assert!(compared > 80 * 24 * 10, "{compared} rows");
}

/// What the series of zones and the system hold, from what nodes said: the sums of feeders of which
/// all nodes were heard.
#[test]
fn what_zones_have_learned_from_is_the_sum_of_their_feeders_as_corrected_50_hours() {
    let start = 15 * 24;
    let mut grid = Grid::known(0, start);
    let mut now: BTreeMap<(usize, usize, u64), f64> = BTreeMap::new();
    for hour in start..start + 50 {
        let mut hours = heard(hour);
        hours.extend(corrected(hour, hour, 200));
        for (row, _) in hours.iter().filter(|(_, diff)| *diff > 0) {
            let digits = |at: usize| row.bus_id.as_bytes()[at] as usize - usize::from(b'0');
            now.insert((digits(1), digits(3), row.hour_at.0 / HOUR_MS), row.net_load_kw);
        }
        grid.step((hour + 1) * HOUR_MS, &Told { hours, ..Told::default() });
    }
    let kw = |f: usize, n: usize, hour: u64| {
        now.get(&(f, n, hour)).copied().unwrap_or_else(|| load_kw(f, n, hour))
    };
    for hour in start - 200..start + 50 {
        for (scope, id, feeders) in [("zone", "z", 0..3), ("system", "system", 0..5)] {
            let sum: f64 = feeders.map(|f| kw(f, 0, hour) + kw(f, 1, hour)).sum();
            let kept = f64::from(grid.kernels.1.hour_kw(scope, id, hour));
            assert!((kept - sum).abs() < 1e-4, "{id} in {hour}: {kept} {sum}");
        }
    }
    assert!(grid.kernels.1.hour_kw("zone", "y", start).is_nan(), "its feeder has the hours");
}

#[test]
fn a_feeder_that_moves_takes_its_past_along() {
    let start = 15 * 24;
    let mut grid = Grid::known(0, start);
    let moved = [("f0", "z"), ("f1", "z"), ("f2", "y"), ("f3", "y"), ("f4", "")];
    let told = Told { places: vec![place("f2", "z", -1), place("f2", "y", 1)], ..Told::default() };
    grid.step(start * HOUR_MS + 900_000, &told);
    grid.adds_up(&moved, start..start + 24);
    let anew: Vec<&str> = grid.versions.iter().map(|row| row.subject_id.as_str()).collect();
    assert_eq!(anew, ["y", "z"]);
    for (zone, feeders) in [("z", [0, 1]), ("y", [2, 3])] {
        for hour in 0..start {
            let nodes = feeders.iter().flat_map(|f| [(*f, 0), (*f, 1)]);
            let sum: f64 = nodes.map(|(f, n)| load_kw(f, n, hour)).sum();
            let kept = f64::from(grid.kernels.1.hour_kw("zone", zone, hour));
            assert!(hour + 25 * 24 < start || (kept - sum).abs() < 1e-4, "{zone} in {hour}");
        }
    }
    // Back again, and it is as if nothing had been.
    let mut still = Grid::known(0, start);
    still.step(start * HOUR_MS + 900_000, &Told::default());
    let told = Told { places: vec![place("f2", "y", -1), place("f2", "z", 1)], ..Told::default() };
    grid.step(start * HOUR_MS + 1_800_000, &told);
    still.step(start * HOUR_MS + 1_800_000, &Told::default());
    alike(&grid, &still);
}

#[test]
fn a_feeder_that_comes_is_summed_from_its_first_hour_on_and_the_models_go_on() {
    let start = 15 * 24;
    let mut grid = Grid::new();
    let history = history(0..4, 0..start);
    grid.step(start * HOUR_MS, &Told { places: places(), history, ..Told::default() });
    let before = grid.p50("system", "system");
    for hour in start..start + 30 {
        let hours = heard(hour).into_iter();
        let hours = hours.filter(|(row, _)| row.feeder_id != "f4" || hour > start + 2);
        grid.step((hour + 1) * HOUR_MS, &Told { hours: hours.collect(), ..Told::default() });
        assert!(grid.versions.iter().all(|row| !row.feeder_id.is_empty()), "{:?}", grid.versions);
    }
    assert_eq!(grid.who("system"), "ridge-1");
    let end = start + 30;
    grid.adds_up(&PLACES, end..end + 20);
    assert!(grid.at("system", "system", end + 10) > before[&(start + 16)] + 2.0);
}

#[test]
fn a_silent_feeder_is_not_waited_for_longer_than_a_week() {
    let start = 10 * 24;
    let mut grid = Grid::known(0, start);
    let all = start..start + 9 * 24;
    for hour in all.clone() {
        let hours = ended(hour).into_iter().filter(|(row, _)| row.feeder_id != "f1");
        grid.step((hour + 1) * HOUR_MS, &Told { hours: hours.collect(), ..Told::default() });
        assert_eq!(grid.p50("zone", "z").len(), 24, "in hour {hour}");
    }
    let kw = |hour: u64| grid.kernels.1.hour_kw("zone", "z", hour);
    assert!(kw(start + 100).is_nan() && kw(all.end - 1).is_finite());
    let left = [("f0", "z"), ("f2", "z"), ("f3", "y"), ("f4", "")];
    for hour in all.end..all.end + 24 {
        let sum: f64 = left.iter().map(|(id, _)| grid.p50("feeder", id)[&hour]).sum();
        assert!((grid.p50("system", "system")[&hour] - sum).abs() < 1e-9, "hour {hour}");
    }
}

#[test]
fn where_there_is_one_feeder_zone_and_system_say_what_it_says() {
    let start = 15 * 24;
    let mut grid = Grid::new();
    let told = Told {
        places: vec![place("f0", "z", 1)],
        history: history(0..1, 0..start),
        ..Told::default()
    };
    grid.step(start * HOUR_MS, &told);
    let of = |scope: &str| -> Vec<[f64; 3]> {
        let rows = grid.forecasts.iter().filter(|row| row.scope == scope);
        rows.map(|row| [row.p10_kw, row.p50_kw, row.p90_kw]).collect()
    };
    assert_eq!(of("feeder").len(), 24);
    assert_eq!(of("zone"), of("feeder"));
    assert_eq!(of("system"), of("feeder"));
    assert_eq!((grid.who("z"), grid.who("system")), ("ridge-1", "ridge-1"));
    assert_eq!(grid.versions.len(), 3, "two nodes and their feeder");
    let (row, feeder) = (grid.forecasts.last().unwrap(), "forecasts@1296000000 feeders=1");
    assert_eq!(row.saw, feeder);
}

#[test]
fn a_closure_moves_everything_above_it_by_as_much_and_nothing_beside_it() {
    let start = 15 * 24;
    let mut grid = Grid::known(0, start);
    let mut usual = Grid::known(0, start);
    let note = LoadAnnotation {
        annotation_id: "w".to_owned(),
        bus_id: bus(1, 0),
        feeder_id: "f1".to_owned(),
        announced_at: Timestamp(start * HOUR_MS),
        from_at: Timestamp((start + 5) * HOUR_MS),
        to_at: Timestamp((start + 9) * HOUR_MS),
        expected_kw: Some(0.0),
        reason: "works".to_owned(),
    };
    // At once, as new sums; and at the next quarter, with all others.
    for minutes in [5, 15] {
        let at_ms = start * HOUR_MS + minutes * 60_000;
        let notes = if minutes == 5 { vec![note.clone()] } else { Vec::new() };
        grid.step(at_ms, &Told { notes, ..Told::default() });
        usual.step(at_ms, &Told::default());
        grid.adds_up(&PLACES, start..start + 24);
        for hour in start..start + 24 {
            let closed = (start + 5..start + 9).contains(&hour);
            let of = |grid: &Grid, node: usize| grid.at("node", &bus(1, node), hour);
            let node = of(&usual, 0);
            assert_eq!(of(&grid, 0), if closed { 0.0 } else { node }, "hour {hour}");
            let less = |scope: &str, id: &str| usual.at(scope, id, hour) - grid.at(scope, id, hour);
            let moved = if closed { node } else { 0.0 };
            for (scope, id) in [("feeder", "f1"), ("zone", "z"), ("system", "system")] {
                assert!((less(scope, id) - moved).abs() < 1e-9, "{id} in {hour}");
            }
            assert!(less("node", &bus(1, 1)).abs() < 1e-9 && less("feeder", "f0").abs() < 1e-9);
        }
    }
}

fn order(scope: &str, subject: &str, word: &str) -> ModelOrder {
    ModelOrder {
        scope: scope.to_owned(),
        subject_id: subject.to_owned(),
        feeder_id: String::new(),
        word: word.to_owned(),
        ..ModelOrder::example()
    }
}

#[test]
fn models_of_zones_and_the_system_take_orders() {
    let start = 15 * 24;
    let mut grid = Grid::known(0, start);
    let orders = [
        (order("zone", "z", "hold"), "held", "operator-1 says hold"),
        (order("zone", "y", "hold"), "refused", "it has no model yet"),
        (order("zone", "x", "hold"), "refused", "there is no zone x; operator-1"),
        (order("system", "system", "hold"), "held", "operator-1 says hold"),
        (order("system", "grid", "hold"), "refused", "there is no system grid;"),
    ];
    for (n, (order, state, reason)) in orders.into_iter().enumerate() {
        let at_ms = start * HOUR_MS + 5_000 * (n as u64 + 1);
        grid.step(at_ms, &Told { orders: vec![order], ..Told::default() });
        assert_eq!(grid.versions.len(), 1);
        assert_eq!(grid.versions[0].state, state);
        let why = &grid.versions[0].reason;
        assert!(why.starts_with(reason), "{why}");
    }
}

/// What a feeder hears of a station.
fn air(feeder: &str, station: &str, hours: std::ops::Range<u64>) -> Vec<WeatherHour> {
    let row = |hour| WeatherHour {
        station_id: station.to_owned(),
        feeder_id: feeder.to_owned(),
        hour_at: Timestamp(hour * HOUR_MS),
        origin: "history".to_owned(),
        temperature_c: 10.0 + 5.0 * chance(station.len() as u64, hour),
        global_w_per_m2: None,
        wind_m_per_s: None,
    };
    hours.map(row).collect()
}

#[test]
fn a_feeder_that_moves_takes_the_weather_that_it_heard_along() {
    let start = 15 * 24;
    // f2 is where f3 is, and the weather of f4 is nobody's else.
    let stations =
        [("f0", "here"), ("f1", "here"), ("f2", "far off"), ("f3", "far off"), ("f4", "there")];
    let seen: Vec<WeatherHour> =
        stations.iter().flat_map(|(id, station)| air(id, station, 0..start)).collect();
    let known = |to_places: Vec<(FeederPlace, i64)>| {
        let mut grid = Grid::new();
        let history = history(0..PLACES.len(), 0..start);
        let told = Told { places: to_places, history, seen: seen.clone(), ..Told::default() };
        grid.step(start * HOUR_MS, &told);
        grid
    };
    let (mut grid, mut still) = (known(places()), known(places()));
    let mut moved = places();
    moved[2] = place("f2", "y", 1);
    let there = known(moved);
    let at_ms = |quarter: u64| start * HOUR_MS + quarter * 900_000;
    let moves = |from: &str, to: &str| Told {
        places: vec![place("f2", from, -1), place("f2", to, 1)],
        ..Told::default()
    };
    grid.step(at_ms(1), &moves("z", "y"));
    let hears = |grid: &Grid, zone: &str| grid.kernels.1.quantities("zone", zone);
    assert_eq!(hears(&grid, "y"), ["far off temperature"]);
    // Both zones are what they are where they were so from the beginning.
    let features = |grid: &Grid, zone: &str| {
        let row = grid.versions.iter().find(|row| row.subject_id == zone).unwrap();
        (row.features.clone(), row.parameters.clone())
    };
    assert!(features(&grid, "y").0.ends_with(", far off temperature"));
    assert_eq!(features(&grid, "y"), features(&there, "y"));
    // Back again, and it is as if nothing had been.
    grid.step(at_ms(2), &moves("y", "z"));
    for quarter in [1, 2] {
        still.step(at_ms(quarter), &Told::default());
    }
    assert!(grid.who("z").starts_with("ridge"));
    alike(&grid, &still);
}

#[test]
fn the_weather_of_a_zone_is_what_its_feeders_hear() {
    let start = 15 * 24;
    let mut grid = Grid::new();
    // f4 lies in no zone: only the system hears its station.
    let stations = [("f0", "here"), ("f1", "here"), ("f4", "there")];
    let seen = stations.iter().flat_map(|(id, station)| air(id, station, 0..start)).collect();
    let told = Told {
        places: places(),
        history: history(0..PLACES.len(), 0..start),
        seen,
        ..Told::default()
    };
    grid.step(start * HOUR_MS, &told);
    assert_eq!(grid.kernels.1.quantities("zone", "z"), ["here temperature"]);
    assert_eq!(grid.kernels.1.quantities("zone", "y"), Vec::<String>::new());
    let all = grid.kernels.1.quantities("system", "system");
    assert_eq!(all, ["here temperature", "there temperature"]);
    let row = grid.forecasts.iter().find(|row| row.subject_id == "z").unwrap();
    assert!(row.saw.contains("weather_hour@"), "{}", row.saw);
}

#[test]
fn restarted_in_the_middle_they_say_the_same_to_the_bit() {
    let start = 15 * 24;
    let mut grid = Grid::known(0, start);
    let live = |grid: &mut Grid, hour: u64| {
        grid.step((hour + 1) * HOUR_MS, &Told { hours: ended(hour), ..Told::default() });
        let hours = corrected(hour, hour, 30);
        grid.step((hour + 1) * HOUR_MS + 5_000, &Told { hours, ..Told::default() });
    };
    (start..start + 5).for_each(|hour| live(&mut grid, hour));
    let mut other = Grid::new();
    other.kernels.0.restore(&grid.kernels.0.save()).unwrap();
    other.kernels.1.restore(&grid.kernels.1.save()).unwrap();
    let memory = grid.kernels.1.save();
    assert_eq!(memory.keys().collect::<Vec<_>>(), ["system"]);
    // The views' rows come again, and a correction before the next quarter finds what was said.
    let hours = corrected(900, start + 5, 3);
    let at_ms = (start + 5) * HOUR_MS + 10_000;
    grid.step(at_ms, &Told { hours: hours.clone(), ..Told::default() });
    other.step(at_ms, &Told { hours, places: places(), ..Told::default() });
    assert!(grid.forecasts.iter().any(|row| row.scope == "system"));
    assert_eq!(grid.forecasts, other.forecasts);
    for hour in start + 5..start + 20 {
        live(&mut grid, hour);
        live(&mut other, hour);
        assert_eq!(grid.forecasts, other.forecasts, "hour {hour}");
    }
}

/// What a quarter of an hour costs each of the three, 200 feeders of five nodes in ten zones:
/// `cargo test -p gridloom-operators --lib -- --ignored --nocapture a_quarter_of_an_hour_costs`.
#[test]
#[ignore = "a measurement"]
fn what_a_quarter_of_an_hour_costs() {
    const FEEDERS: usize = 200;
    const NODES: usize = 5;
    let start = 15 * 24;
    let kw = |feeder: usize, node: usize, hour: u64| {
        load_kw(feeder % 5, node, hour) + chance((7 * feeder + node) as u64, hour)
    };
    let nodes = || (0..FEEDERS).flat_map(|feeder| (0..NODES).map(move |node| (feeder, node)));
    let past = nodes().flat_map(|(feeder, node)| {
        (0..start).map(move |hour| LoadHistory {
            bus_id: bus(feeder, node),
            feeder_id: format!("f{feeder}"),
            hour_at: Timestamp(hour * HOUR_MS),
            net_load_kw: kw(feeder, node, hour),
        })
    });
    let places = (0..FEEDERS).map(|f| place(&format!("f{f}"), &format!("z{}", f % 10), 1));
    let mut told = Told { places: places.collect(), history: past.collect(), ..Told::default() };
    let mut grid = Grid::new();
    for quarter in 0..12 {
        if quarter > 0 && quarter % 4 == 0 {
            let hour = start + quarter / 4 - 1;
            let heard = nodes().map(|(f, n)| (node_hour(f, n, hour, kw(f, n, hour)), 1));
            told.hours = heard.collect();
        }
        let took = grid.step(start * HOUR_MS + quarter * 900_000, &std::mem::take(&mut told));
        let rows = grid.forecasts.len();
        println!("quarter {quarter}: by feeder, zones, spread {took:.1?}, {rows} rows");
    }
}
