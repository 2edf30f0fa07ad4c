//! Models of plants that are watched, challenged, held and gone back from.

use schemas::decision::Alarm;
use schemas::decision::FORECAST_DRIFT;
use schemas::decision::Forecast;
use schemas::decision::LOAD_DOUBTFUL;
use schemas::decision::ModelVersion;
use schemas::event::ModelOrder;
use schemas::relation::Relation;
use schemas::state::WeatherAhead;
use schemas::state::WeatherHour;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::NOW;
use super::Told;
use super::asset;
use super::history;
use super::plant_hour;
use super::step_and_watch;
use crate::forecast::plant::PlantKernel;
use crate::kernel::Kernel;
use crate::settings::Settings;

const RATED_KW: f64 = 5.0;

/// A number of [0, 1) by its counter.
fn chance(counter: u64) -> f64 {
    let mixed = counter.wrapping_add(77).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 40) as f64 / (1_u64 << 24) as f64
}

/// Light from 6 to 18, other clouds each day and hour.
fn sunny(hour: u64) -> f64 {
    let height = (6.0 - ((hour % 24) as f64 - 12.0).abs()).max(0.0) / 6.0;
    let clouds = 0.5 * chance(hour / 24) + 0.2 * chance(1_000_000 + hour);
    RATED_KW * height * (0.95 - clouds)
}

/// What a station says of light, off by as much as its number says.
#[derive(Clone, Copy)]
struct Station {
    id: &'static str,
    /// Of what it measured, and of what was forecast for it.
    off: (f64, f64),
    /// The hour from which on it is heard.
    from: u64,
    /// The hour from which on nothing is forecast for it.
    until: u64,
}

impl Station {
    fn light(&self, hour: u64, off: f64) -> Option<f64> {
        let salt = u64::from(self.id.as_bytes()[0]) << 32;
        let other = sunny((hour % 24) + 24 * (40 + (salt + hour / 24 * 7) % 50));
        Some(200.0 * ((1.0 - off) * sunny(hour) + off * other))
    }

    fn seen(&self, hour: u64) -> WeatherHour {
        WeatherHour {
            station_id: self.id.to_owned(),
            feeder_id: "f".to_owned(),
            hour_at: Timestamp(hour * HOUR_MS),
            origin: if hour < self.from { "history" } else { "measured" }.to_owned(),
            temperature_c: f64::NAN,
            global_w_per_m2: self.light(hour, self.off.0),
            wind_m_per_s: None,
        }
    }

    fn ahead(&self, present: u64) -> Vec<WeatherAhead> {
        let row = |hour: u64| WeatherAhead {
            station_id: self.id.to_owned(),
            feeder_id: "f".to_owned(),
            hour_at: Timestamp(hour * HOUR_MS),
            issued_at: Timestamp(present * HOUR_MS),
            temperature_c: f64::NAN,
            global_w_per_m2: self.light(hour, self.off.1),
            wind_m_per_s: None,
        };
        (present..present + 48).map(row).collect()
    }
}

/// A plant that is lived for so many days.
struct Life {
    past_days: u64,
    days: u64,
    stations: Vec<Station>,
    /// What is ordered at which hour.
    orders: Vec<(u64, &'static str)>,
    /// What the plant gives of what it should, at an hour.
    gives: fn(u64) -> f64,
    /// What its telemetry says instead.
    says: fn(u64) -> Option<f64>,
    /// From which hour on it is rated at half.
    halved: u64,
    /// Whether an hour of each ten days is told again otherwise, a day late.
    restated: bool,
    /// Whether it is saved and restored each seventeenth hour.
    restarts: bool,
}

impl Default for Life {
    fn default() -> Life {
        let (stations, orders) = (Vec::new(), Vec::new());
        Life {
            past_days: 30,
            days: 10,
            stations,
            orders,
            gives: |_| 1.0,
            says: |_| None,
            halved: u64::MAX,
            restated: false,
            restarts: false,
        }
    }
}

/// What was said in a life.
#[derive(Debug, Default, PartialEq)]
struct Said {
    forecasts: Vec<Forecast>,
    versions: Vec<ModelVersion>,
    alarms: Vec<Alarm>,
}

impl Said {
    /// Of each row of a version: its name and state.
    fn states(&self) -> Vec<String> {
        let word = |v: &ModelVersion| format!("{}-{} {}", v.model, v.version, v.state);
        self.versions.iter().map(word).collect()
    }
}

impl Life {
    fn told(&self, present: u64) -> Told {
        let mut told = Told::default();
        if present == NOW {
            told.assets = vec![(asset("p", "pv", RATED_KW), 1)];
            told.hours = history("p", self.past_days * 24, sunny);
        } else {
            let kw = sunny(present - 1) * (self.gives)(present - 1);
            let kw = (self.says)(present - 1).unwrap_or(kw);
            told.hours = vec![plant_hour("p", present - 1, "measured", kw)];
        }
        if present == self.halved {
            let (half, whole) = (asset("p", "pv", 0.5 * RATED_KW), asset("p", "pv", RATED_KW));
            told.assets = vec![(half, 1), (whole, -1)];
        }
        if self.restated && present % 240 == 37 {
            told.hours.push(plant_hour("p", present - 24, "measured", 0.5));
        }
        for station in &self.stations {
            if present == station.from {
                let past = NOW - self.past_days * 24..present;
                told.seen.extend(past.map(|hour| station.seen(hour)));
            }
            if present > station.from {
                told.seen.push(station.seen(present - 1));
            }
            if (station.from..station.until).contains(&present) && present.is_multiple_of(6) {
                told.ahead.extend(station.ahead(present));
            }
        }
        let orders = self.orders.iter().filter(|(hour, _)| *hour == present);
        let order = |(_, word): &(u64, &str)| ModelOrder {
            scope: "plant".to_owned(),
            subject_id: "p".to_owned(),
            feeder_id: "f".to_owned(),
            word: (*word).to_owned(),
            ..ModelOrder::example()
        };
        told.orders = orders.map(order).collect();
        told
    }

    fn live(&self) -> Said {
        let mut kernel = PlantKernel::new(Settings::default());
        let mut said = Said::default();
        for present in NOW..NOW + self.days * 24 {
            let first = self.told(present);
            for tick in 0..12 {
                let told = if tick == 0 { &first } else { &Told::default() };
                let at = Timestamp(present * HOUR_MS).plus(tick * 5_000);
                let (forecasts, versions, alarms) = step_and_watch(&mut kernel, at, told);
                said.forecasts.extend(forecasts);
                said.versions.extend(versions);
                said.alarms.extend(alarms);
                if self.restarts && (present * 12 + tick) % 53 == 0 {
                    let mut other = PlantKernel::new(Settings::default());
                    other.restore(&kernel.save()).unwrap();
                    kernel = other;
                }
            }
        }
        said
    }
}

const POOR: Station = Station { id: "poor", off: (0.45, 0.45), from: NOW, until: u64::MAX };

/// Two stations, of which the second is heard five days later.
fn two(second: Station) -> Life {
    let stations = vec![POOR, Station { from: NOW + 5 * 24, ..second }];
    Life { past_days: 60, days: 64, stations, ..Life::default() }
}

#[test]
fn a_station_that_would_have_been_better_takes_over_and_says_by_how_much() {
    let said = two(Station { id: "good", off: (0.05, 0.05), from: NOW, until: u64::MAX }).live();
    assert_eq!(said.states(), ["pv-ridge-1 promoted", "pv-ridge-1 retired", "pv-ridge-2 promoted"]);
    let won = &said.versions[2];
    assert_eq!(won.features, "hour of the day, past power, good radiation");
    let (before, after) = (won.champion_mae_kw.unwrap(), won.challenger_mae_kw.unwrap());
    assert!(after < 0.8 * before, "{after} kW after {before}");
    assert!(won.p_luck.unwrap() < 0.1);
    assert!(won.reason.starts_with("a monthly review: "), "{}", won.reason);
    assert!(won.tick_at.0 / HOUR_MS > NOW + 30 * 24, "not before a month");
}

#[test]
fn a_station_that_measures_well_and_is_forecast_badly_does_not() {
    let said = two(Station { id: "good", off: (0.05, 0.95), from: NOW, until: u64::MAX }).live();
    assert_eq!(said.states(), ["pv-ridge-1 promoted"]);
}

#[test]
fn a_version_that_is_held_is_not_challenged() {
    let good = Station { id: "good", off: (0.05, 0.05), from: NOW, until: u64::MAX };
    let life = Life { orders: vec![(NOW + 24, "hold")], ..two(good) };
    assert_eq!(life.live().states(), ["pv-ridge-1 promoted", "pv-ridge-1 held"]);
}

#[test]
fn a_model_whose_weather_is_no_longer_forecast_is_replaced_without_a_contest_unless_it_is_held() {
    let ends = Station { id: "s", off: (0.1, 0.1), from: NOW, until: NOW + 3 * 24 };
    let life = Life { past_days: 80, stations: vec![ends], ..Life::default() };
    let said = life.live();
    assert_eq!(said.states(), ["pv-ridge-1 promoted", "pv-ridge-1 retired", "pv-ridge-2 promoted"]);
    let blind = &said.versions[2];
    assert_eq!(blind.reason, "other weather is forecast, or none");
    assert_eq!(blind.features, "hour of the day, past power");
    assert_eq!((blind.champion_mae_kw, blind.p_luck), (None, None), "nobody was judged");
    let held = Life { orders: vec![(NOW + 24, "hold")], ..life }.live();
    assert_eq!(held.states(), ["pv-ridge-1 promoted", "pv-ridge-1 held"]);
}

#[test]
fn restarts_in_contests_and_on_the_way_back_change_nothing() {
    let good = Station { id: "good", off: (0.05, 0.05), from: NOW, until: u64::MAX };
    let orders = vec![(NOW + 62 * 24, "roll-back")];
    let life = Life { orders, ..two(good) };
    let said = life.live();
    assert!(said.versions.len() > 3, "{:?}", said.states());
    let other = Life { restarts: true, ..life }.live();
    assert_eq!(said, other);
}

#[test]
fn orders_are_answered_and_obeyed() {
    // Weather comes on the second day, to a plant too young for a contest.
    let stations = vec![Station { id: "s", off: (0.1, 0.1), from: NOW + 30, until: u64::MAX }];
    let day = |day: u64| NOW + day * 24;
    let orders = vec![
        (NOW, "hold"),
        (day(1), "roll-back"),
        (day(4), "roll-back"),
        (day(6), "roll-back"),
        (day(7), "dance"),
        (day(8), "release"),
    ];
    let said = Life { stations, orders, days: 9, ..Life::default() }.live();
    assert_eq!(
        said.states(),
        [
            "-0 refused",
            "pv-ridge-1 promoted",
            "pv-ridge-1 refused",
            "pv-ridge-1 retired",
            "pv-ridge-2 promoted",
            "pv-ridge-2 rolled-back",
            "pv-ridge-3 promoted",
            "pv-ridge-3 refused",
            "pv-ridge-3 refused",
            "pv-ridge-3 released",
            "pv-ridge-3 retired",
            "pv-ridge-4 promoted",
        ]
    );
    let reasons: Vec<&str> = said.versions.iter().map(|v| v.reason.as_str()).collect();
    assert!(reasons[0].starts_with("it has no model yet; "), "{reasons:#?}");
    assert!(reasons[2].starts_with("there is no version before; "), "{reasons:#?}");
    assert_eq!(reasons[6], "rolled back to version 1");
    assert!(reasons[8].starts_with("the word is none of hold"), "{reasons:#?}");
    assert_eq!(said.versions[6].features, "hour of the day, past power");
}

#[test]
fn an_order_for_a_plant_that_there_is_not_is_refused() {
    let mut kernel = PlantKernel::new(Settings::default());
    let order = |scope: &str| ModelOrder { scope: scope.to_owned(), ..ModelOrder::example() };
    let told = Told { orders: vec![order("plant"), order("node")], ..Told::default() };
    let (_, versions, _) = step_and_watch(&mut kernel, Timestamp(NOW * HOUR_MS), &told);
    assert_eq!(versions.len(), 1, "nodes are the business of others");
    let reason = "there is no plant feeder-1 in feeder-1; ";
    assert!(versions[0].reason.starts_with(reason), "{}", versions[0].reason);
}

#[test]
fn a_plant_that_gives_nothing_is_alarmed_within_days_and_one_that_is_well_is_not() {
    let stations = vec![Station { id: "s", off: (0.1, 0.1), from: NOW, until: u64::MAX }];
    let well = Life { past_days: 60, days: 20, stations, ..Life::default() };
    assert_eq!(well.live().alarms, []);
    let none = |hour: u64| if hour < NOW + 12 * 24 { 1.0 } else { 0.0 };
    let said = Life { gives: none, ..well }.live();
    let drift = said.alarms.iter().find(|alarm| alarm.kind == FORECAST_DRIFT);
    let alarm = drift.expect("it is told");
    assert_eq!((alarm.kind.as_str(), alarm.subject.as_str()), ("forecast-drift", "p"));
    assert!(alarm.alarm_id.starts_with("forecast-drift:plant:p:"), "{}", alarm.alarm_id);
    assert!(alarm.saw.starts_with("plant_hour@"), "{}", alarm.saw);
    let days = (alarm.tick_at.0 / HOUR_MS - NOW) as f64 / 24.0 - 12.0;
    assert!((0.0..6.0).contains(&days), "{days} days");
}

#[test]
fn a_hold_is_let_go_aloud_when_the_plant_is_another() {
    let life = Life { orders: vec![(NOW + 24, "hold")], halved: NOW + 60, ..Life::default() };
    let said = life.live();
    let row = said.versions.iter().find(|row| row.state == "released").expect("it is told");
    assert_eq!((row.subject_id.as_str(), row.version), ("p", 1));
    let reason = "the rated power or the kind is another: who held it held another plant's";
    assert_eq!(row.reason, reason);
    let states = [
        "pv-ridge-1 promoted",
        "pv-ridge-1 held",
        "pv-ridge-1 released",
        "pv-ridge-1 retired",
        "pv-ridge-2 promoted",
    ];
    assert_eq!(said.states(), states);
    // One that nobody held is not released.
    let free = Life { orders: Vec::new(), ..life }.live();
    assert!(free.versions.iter().all(|row| row.state != "released"), "{:?}", free.states());
}

/// An inverter that hangs at 2.5 kW from the second noon on for a day, and says 9 MW at an hour.
fn odd(hour: u64) -> Option<f64> {
    match hour.saturating_sub(NOW) {
        36..60 => Some(2.5),
        108 => Some(9_000.0),
        _ => None,
    }
}

#[test]
fn what_a_plant_sets_aside_is_told_once_and_not_when_it_is_learned_again() {
    let life = Life { past_days: 40, says: odd, ..Life::default() };
    let doubtful = |said: Said| -> Vec<Alarm> {
        said.alarms.into_iter().filter(|alarm| alarm.kind == LOAD_DOUBTFUL).collect()
    };
    let told = doubtful(life.live());
    let words = ["frozen: 2.500 kW for", "outlier: 9000.000 kW where 2.500 were due"];
    assert_eq!(told.len(), words.len(), "{told:#?}");
    for (alarm, words) in told.iter().zip(words) {
        assert!(alarm.reason.starts_with(words), "{alarm:?}");
        assert!(alarm.alarm_id.starts_with("load-doubtful:plant:p:"), "{alarm:?}");
    }
    let saw = format!("plant_hour@{} hour_at={}", (NOW + 109) * HOUR_MS, (NOW + 108) * HOUR_MS);
    assert_eq!(told[1].saw, saw);
    // The past is learned again for weather that comes, on the way back, after what is corrected
    // and after restarts.
    let stations = vec![Station { id: "s", off: (0.1, 0.1), from: NOW + 50, until: u64::MAX }];
    let orders = vec![(NOW + 5 * 24, "roll-back")];
    let life = Life { stations, orders, restated: true, restarts: true, ..life };
    let again = life.live();
    assert!(again.states().contains(&"pv-ridge-3 promoted".to_owned()), "{:?}", again.states());
    let ids = |alarms: &[Alarm]| -> Vec<String> {
        alarms.iter().map(|alarm| alarm.alarm_id.clone()).collect()
    };
    assert_eq!(ids(&doubtful(again)), ids(&told));
}
