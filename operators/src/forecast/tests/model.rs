//! Once a series has nine days of past: models, weather, corrections, restarts.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use forecast::adaptive::Adaptive;
use forecast::adaptive::Policy;
use forecast::feature::Group;
use forecast::forecaster::explain::Parts;
use forecast::model::Kind;
use forecast::model::Model;
use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Said;
use forecast::model::Setup;
use schemas::decision::Alarm;
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

use super::node_hour;
use crate::forecast::ForecastKernel;
use crate::forecast::because;
use crate::forecast::rows::FeederHour;
use crate::kernel::Change;
use crate::kernel::Kernel;
use crate::settings::Settings;

/// The hour at which the village is looked at first.
pub(super) const START: u64 = 50 * 24;

/// A number in 0..1 that depends on these two alone.
fn chance(what: u64, hour: u64) -> f64 {
    let mixed = (hour * 1_000 + what + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

fn temperature_c(hour: u64) -> f64 {
    let of_day = 12.0 * chance(7, hour / 24);
    let turn = std::f64::consts::TAU * (hour % 24) as f64 / 24.0;
    18.0 + of_day - 6.0 * turn.cos()
}

/// A home that cools above 20 °C: 0.2 kW a degree, on 1 to 2 kW that come by the clock.
pub(super) fn load_kw(bus: u64, hour: u64) -> f64 {
    let clock = if (17..23).contains(&(hour % 24)) { 2.0 } else { 1.0 };
    let cooling = 0.2 * (temperature_c(hour) - 20.0).max(0.0);
    (1.0 + 0.1 * bus as f64) * (clock + cooling) + 0.1 * chance(20 + bus, hour)
}

/// A kernel with what it said last.
pub(super) struct Village {
    pub(super) kernel: ForecastKernel,
    buses: u64,
    sky: Sky,
    pub(super) forecasts: Vec<Forecast>,
    pub(super) versions: Vec<ModelVersion>,
    pub(super) alarms: Vec<Alarm>,
    /// What those above are told of the feeder's hours.
    pub(super) hours: Vec<FeederHour>,
}

fn rows<R: Relation>(rows: &[R]) -> Change {
    Change::of(rows, vec![1; rows.len()])
}

fn seen(hour: u64, origin: &str) -> WeatherHour {
    WeatherHour {
        station_id: "s".to_owned(),
        feeder_id: "f".to_owned(),
        hour_at: Timestamp(hour * HOUR_MS),
        origin: origin.to_owned(),
        temperature_c: temperature_c(hour),
        global_w_per_m2: None,
        wind_m_per_s: None,
    }
}

fn ahead(from: u64, warmer_c: f64) -> Vec<WeatherAhead> {
    let row = |hour: u64| WeatherAhead {
        station_id: "s".to_owned(),
        feeder_id: "f".to_owned(),
        hour_at: Timestamp(hour * HOUR_MS),
        issued_at: Timestamp(from * HOUR_MS),
        temperature_c: temperature_c(hour) + warmer_c,
        global_w_per_m2: None,
        wind_m_per_s: None,
    };
    (from..from + 30).map(row).collect()
}

impl Village {
    /// Homes that are known from `first` to [`START`], told at the latter.
    pub(super) fn new(buses: u64, first: u64) -> Village {
        Village::told(buses, first, Sky::Forecast)
    }

    /// The same, told nothing of the weather until it is seen.
    pub(super) fn blind(buses: u64) -> Village {
        Village::told(buses, 0, Sky::Nothing)
    }

    /// From here on the weather is seen and forecast.
    pub(super) fn look_up(&mut self) {
        self.sky = Sky::Forecast;
    }

    /// The same, where homes drew this.
    pub(super) fn of(buses: u64, first: u64, load_kw: impl Fn(u64, u64) -> f64 + Copy) -> Village {
        Village::drew(buses, first, Sky::Forecast, load_kw)
    }

    /// The same, told so much of the weather.
    fn told(buses: u64, first: u64, sky: Sky) -> Village {
        Village::drew(buses, first, sky, load_kw)
    }

    fn drew(buses: u64, first: u64, sky: Sky, load_kw: impl Fn(u64, u64) -> f64 + Copy) -> Village {
        let kernel = ForecastKernel::new(Settings::default());
        let mut village = Village {
            kernel,
            buses,
            sky,
            forecasts: vec![],
            versions: vec![],
            alarms: vec![],
            hours: vec![],
        };
        let load = |bus: u64| {
            (first..START).map(move |hour| LoadHistory {
                bus_id: format!("b{bus}"),
                feeder_id: "f".to_owned(),
                hour_at: Timestamp(hour * HOUR_MS),
                net_load_kw: load_kw(bus, hour),
            })
        };
        let load: Vec<LoadHistory> = (0..buses).flat_map(load).collect();
        let past = if sky == Sky::Nothing { START..START } else { first..START };
        let past: Vec<WeatherHour> = past.map(|hour| seen(hour, "history")).collect();
        let ahead = if sky == Sky::Forecast { ahead(START, 0.0) } else { Vec::new() };
        village.tell(START * HOUR_MS, &load, &[], &past, &ahead);
        village
    }

    fn tell(
        &mut self,
        at_ms: u64,
        load: &[LoadHistory],
        hours: &[NodeHour],
        sky: &[WeatherHour],
        ahead: &[WeatherAhead],
    ) {
        let changes = [
            rows(load),
            rows(hours),
            rows(sky),
            rows(ahead),
            rows::<LoadAnnotation>(&[]),
            rows::<ModelOrder>(&[]),
            rows::<SharedMeterHour>(&[]),
        ];
        self.step(at_ms, &changes);
    }

    /// Tells what people say, and nothing else.
    pub(super) fn hear(&mut self, at_ms: u64, notes: &[LoadAnnotation], orders: &[ModelOrder]) {
        let changes = [
            rows::<LoadHistory>(&[]),
            rows::<NodeHour>(&[]),
            rows::<WeatherHour>(&[]),
            rows::<WeatherAhead>(&[]),
            rows(notes),
            rows(orders),
            rows::<SharedMeterHour>(&[]),
        ];
        self.step(at_ms, &changes);
    }

    fn step(&mut self, at_ms: u64, changes: &[Change]) {
        let out: Vec<RecordBatch> = self.kernel.step(Timestamp(at_ms), changes);
        self.forecasts = Forecast::from_batch(&out[0]).unwrap();
        self.alarms = Alarm::from_batch(&out[1]).unwrap();
        self.versions = ModelVersion::from_batch(&out[2]).unwrap();
        self.hours = FeederHour::from_batch(&out[4]).unwrap();
    }

    /// Lives through an hour, without what `silent` should have said of it.
    fn live(&mut self, hour: u64, silent: &[u64]) {
        let heard = (0..self.buses).filter(|bus| !silent.contains(bus));
        let heard = heard.map(|bus| (bus, load_kw(bus, hour))).collect();
        self.hear_of(hour, heard);
    }

    /// Lives through an hour in which homes draw this.
    pub(super) fn live_at(&mut self, hour: u64, load_kw: impl Fn(u64) -> f64) {
        self.hear_of(hour, (0..self.buses).map(|bus| (bus, load_kw(bus))).collect());
    }

    /// How far a feeder's past moved since its forecasts were issued.
    pub(super) fn moved_kw(&self, feeder: &str) -> f64 {
        self.kernel.moved_kw(feeder)
    }

    /// One home more.
    pub(super) fn settle_in(&mut self) {
        self.buses += 1;
    }

    fn hear_of(&mut self, hour: u64, loads: Vec<(u64, f64)>) {
        let row = |(bus, kw): (u64, f64)| node_hour(&format!("b{bus}"), hour, kw);
        let hours: Vec<NodeHour> = loads.into_iter().map(row).collect();
        let due = self.sky == Sky::Forecast && hour.is_multiple_of(6);
        let expected = if due { ahead(hour + 1, 0.0) } else { Vec::new() };
        let told = if self.sky == Sky::Nothing { Vec::new() } else { vec![seen(hour, "measured")] };
        self.tell((hour + 1) * HOUR_MS, &[], &hours, &told, &expected);
    }

    pub(super) fn p50(&self, subject: &str) -> Vec<f64> {
        let of = self.forecasts.iter().filter(|row| row.subject_id == subject);
        of.map(|row| row.p50_kw).collect()
    }

    pub(super) fn who(&self) -> BTreeMap<String, String> {
        let who = |row: &Forecast| (row.subject_id.clone(), row.model_version.clone());
        self.forecasts.iter().map(who).collect()
    }
}

/// Who answers for a home and for its feeder.
#[track_caller]
fn check(village: &Village, home: &str, feeder: &str) {
    let who = village.who();
    assert_eq!((who["b0"].as_str(), who["f"].as_str()), (home, feeder));
}

#[test]
fn the_rule_answers_until_nine_days_are_known() {
    check(&Village::new(1, START - 9 * 24 + 1), "seasonal-naive-1", "seasonal-naive-1");
    check(&Village::new(1, START - 9 * 24), "ridge-1", "ridge-1");
}

#[test]
fn a_version_is_told_once_with_all_that_it_is_made_of() {
    let mut village = Village::new(2, 0);
    let told: Vec<(&str, &str, i64)> = (village.versions.iter())
        .map(|row| (row.subject_id.as_str(), row.state.as_str(), row.version))
        .collect();
    assert_eq!(told, [("b0", "promoted", 1), ("b1", "promoted", 1), ("f", "promoted", 1)]);
    let row = &village.versions[2];
    assert_eq!(row.window_from_at, Timestamp(0));
    assert_eq!(row.window_to_at, Timestamp(START * HOUR_MS));
    assert!(row.features.ends_with("s temperature"), "{}", row.features);
    let structure: forecast::structure::Structure = serde_json::from_str(&row.parameters).unwrap();
    assert!(!structure.design.columns.is_empty());
    village.live(START, &[]);
    assert!(village.versions.is_empty());
}

#[test]
fn medians_add_up_to_the_bit_5_homes() {
    let village = Village::new(5, 0);
    let homes: Vec<Vec<f64>> = (0..5).map(|bus| village.p50(&format!("b{bus}"))).collect();
    let feeder = village.p50("f");
    assert_eq!(feeder.len(), 24);
    for (hour, kw) in feeder.into_iter().enumerate() {
        assert_eq!(homes.iter().map(|home| home[hour]).sum::<f64>(), kw, "hour {hour}");
    }
}

/// What is told of the weather.
#[derive(Clone, Copy, PartialEq)]
enum Sky {
    Forecast,
    Measured,
    Nothing,
}

/// Mean absolute error of the feeder's 24 hours over ten days of origins; and that of the rule.
fn errors(sky: Sky) -> (f64, f64) {
    let mut village = Village::told(2, 0, sky);
    let total = |hour: u64| load_kw(0, hour) + load_kw(1, hour);
    let past = |end: u64| (end - 192..end).map(total).collect::<Vec<f64>>();
    let (mut sum, mut rule, mut count) = (0.0, 0.0, 0.0);
    for hour in START..START + 240 {
        village.live(hour, &[]);
        for row in village.forecasts.iter().filter(|row| row.scope == "feeder") {
            sum += (row.p50_kw - total(row.target_at.0 / HOUR_MS)).abs();
            count += 1.0;
        }
        for point in super::super::rule::points(&past(hour + 1)) {
            rule += (point.p50_kw - total(hour + 1 + point.hour as u64)).abs();
        }
    }
    (sum / count, rule / count)
}

#[test]
fn who_is_told_the_weather_errs_a_fifth_of_the_rule() {
    let (told, rule) = errors(Sky::Forecast);
    let (seen, blind) = (errors(Sky::Measured).0, errors(Sky::Nothing).0);
    println!("mean absolute error in kW: {told:.3} told the weather ahead, {seen:.3} as measured");
    println!("{blind:.3} told nothing, {rule:.3} the rule");
    assert!(told < 0.2 * rule && told < 0.3 * blind, "{told} {blind} {rule}");
    assert!(blind < rule, "{blind} {rule}");
}

#[test]
fn a_warmer_day_ahead_is_a_greater_load_ahead() {
    let mut village = Village::new(1, 0);
    let before = village.p50("f");
    village.tell(START * HOUR_MS + 900_000, &[], &[], &[], &ahead(START, 5.0));
    // 15:00 is above 20 °C on any day.
    assert!(village.p50("f")[15] > before[15] + 0.3, "{:?} {before:?}", village.p50("f"));
}

/// A part in kW of the median that is forecast of a subject `ahead` hours after the present one.
fn part(village: &Village, subject: &str, ahead: usize, name: &str) -> f64 {
    let mut rows = village.forecasts.iter().filter(|row| row.subject_id == subject);
    let words = &rows.nth(ahead).unwrap().because;
    let mut parts = words.split(", ").filter_map(|part| part.strip_prefix(name));
    parts.next().map_or(0.0, |kw| kw.trim().parse().unwrap())
}

#[test]
fn what_a_warmer_day_adds_is_told_as_temperature() {
    let mut village = Village::new(1, 0);
    let told = |village: &Village| {
        let temperature = |subject| part(village, subject, 15, "temperature");
        (temperature("b0"), temperature("f"), village.p50("f")[15])
    };
    let (home, feeder, before) = told(&village);
    village.tell(START * HOUR_MS + 900_000, &[], &[], &[], &ahead(START, 5.0));
    let (warm_home, warm_feeder, after) = told(&village);
    assert!(warm_home > home + 0.3 && warm_feeder > feeder + 0.3, "{warm_home} {warm_feeder}");
    let (told, moved) = (warm_feeder - feeder, after - before);
    assert!((told - moved).abs() < 0.1 * moved, "{told} kW are told of {moved} kW");
}

/// What a reason costs beside the forecast that it explains, a node, 24 hours:
/// `cargo test --release -p gridloom-operators --lib -- --ignored --nocapture what_a_reason_costs`.
#[test]
#[ignore = "a measurement"]
fn what_a_reason_costs_one_node() {
    const TIMES: u32 = 2_000;
    let setup = Setup {
        kind: Kind::NetLoad,
        step_ms: HOUR_MS as i64,
        horizon: 24,
        quantities: vec![Quantity { name: "s".to_owned(), role: Role::Temperature }],
        holidays: Default::default(),
        clock_ahead: 0,
        capacity: None,
        place: None,
    };
    let mut model = Adaptive::new(setup, 0, Policy { trees: false, ..Policy::default() });
    for hour in 0..400 * 24 {
        let said = |index: u64| {
            let (issued, value) = (hour as i64, temperature_c(index) as f32);
            Said { issued, quantity: 0, index: index as i64, value }
        };
        model.know(&(hour..hour + 28).map(said).collect::<Vec<_>>());
        model.observe(load_kw(1, hour));
    }
    model.outlook();
    let outlook = took(TIMES, || model.outlook().points.len());
    let parts = took(TIMES, || model.parts().len());
    let parts_24 = model.parts();
    let made = |parts: &Parts| {
        Group::ALL.map(Group::word).into_iter().zip(*parts).collect::<because::Parts>()
    };
    let words = took(TIMES, || {
        parts_24.iter().map(|parts| because::words(&made(parts)).len()).sum::<usize>()
    });
    println!("µs: outlook {outlook:.1}, its parts {parts:.1}, in words {words:.1}");
}

/// Microseconds that a run takes.
fn took<T>(times: u32, mut run: impl FnMut() -> T) -> f64 {
    let began = std::time::Instant::now();
    (0..times).for_each(|_| drop(std::hint::black_box(run())));
    began.elapsed().as_secs_f64() * 1e6 / f64::from(times)
}

#[test]
fn a_missing_hour_is_missing_and_not_nothing() {
    let (mut whole, mut holed) = (Village::new(2, 0), Village::new(2, 0));
    for hour in START..START + 12 {
        whole.live(hour, &[]);
        holed.live(hour, if hour == START + 9 { &[0, 1] } else { &[] });
    }
    let far = whole.p50("b0").into_iter().zip(holed.p50("b0")).map(|(a, b)| (a - b).abs());
    let far = far.fold(0.0, f64::max);
    assert!(far > 0.0 && far < 0.3, "{far} kW for an hour that nobody heard");
}

#[test]
fn a_restated_hour_is_a_new_forecast_at_that_tick_and_a_little_one_waits() {
    let mut village = Village::new(2, 0);
    (START..START + 3).for_each(|hour| village.live(hour, &[]));
    let issued = village.p50("f");
    let at_ms = (START + 3) * HOUR_MS;
    let told = |village: &mut Village, tick: u64, more_kw: f64| {
        let row = node_hour("b0", START + 1, load_kw(0, START + 1) + more_kw);
        village.tell(at_ms + tick * 5_000, &[], &[row], &[], &[]);
        village.p50("f")
    };
    assert_eq!(told(&mut village, 1, 0.01), Vec::<f64>::new());
    let anew = told(&mut village, 2, 1.0);
    assert_eq!(anew.len(), 24);
    assert_ne!(anew, issued);
    assert_eq!(village.forecasts[0].issued_at, Timestamp(at_ms + 10_000));
    // What is said again is no news.
    assert_eq!(told(&mut village, 3, 1.0), Vec::<f64>::new());
}

#[test]
fn history_that_is_told_again_does_not_replace_what_was_measured() {
    let mut village = Village::new(1, 0);
    (START..START + 3).for_each(|hour| village.live(hour, &[]));
    let before = village.p50("f");
    let again = LoadHistory {
        bus_id: "b0".to_owned(),
        feeder_id: "f".to_owned(),
        hour_at: Timestamp((START + 1) * HOUR_MS),
        net_load_kw: 40.0,
    };
    village.tell((START + 3) * HOUR_MS + 900_000, &[again], &[], &[], &[]);
    assert_eq!(village.p50("f"), before);
}

#[test]
fn one_of_many_homes_is_silent_and_the_feeder_goes_on() {
    let mut village = Village::new(6, 0);
    (START..START + 4).for_each(|hour| village.live(hour, &[]));
    let mut other = Village::new(6, 0);
    (START..START + 4).for_each(|hour| other.live(hour, &[3]));
    let far = village.p50("f").into_iter().zip(other.p50("f")).map(|(a, b)| (a - b).abs());
    assert!(far.fold(0.0, f64::max) < 2.0);
    // A home whose meter comes back late is a correction of both.
    let late: Vec<NodeHour> =
        (START..START + 4).map(|hour| node_hour("b3", hour, load_kw(3, hour))).collect();
    let before = other.p50("f");
    other.tell((START + 4) * HOUR_MS + 5_000, &[], &late, &[], &[]);
    assert_eq!(other.forecasts.len(), 7 * 24);
    assert_ne!(other.p50("f"), before);
}

#[test]
fn restarted_in_the_middle_it_says_the_same_to_the_bit() {
    let mut village = Village::new(3, 0);
    (START..START + 30).for_each(|hour| village.live(hour, &[]));
    // Something is missing, something restated and not told to the models yet.
    village.live(START + 30, &[1]);
    let row = node_hour("b2", START + 20, load_kw(2, START + 20) + 0.1);
    village.tell((START + 31) * HOUR_MS + 5_000, &[], &[row], &[], &[]);
    let memory = village.kernel.save();
    let bytes: usize = memory.values().map(Vec::len).sum();
    println!("memory of 4 series, 81 days: {bytes} bytes");
    assert!(bytes < 4 * 700_000, "{bytes} bytes for four series");
    let mut other = Village::new(3, START - 40 * 24);
    other.kernel = ForecastKernel::new(Settings::default());
    other.kernel.restore(&memory).unwrap();
    for hour in START + 31..START + 80 {
        let silent = if hour % 11 == 0 { &[0][..] } else { &[] };
        village.live(hour, silent);
        other.live(hour, silent);
        assert_eq!(village.forecasts.len(), 4 * 24);
        assert_eq!(village.forecasts, other.forecasts, "hour {hour}");
    }
}
