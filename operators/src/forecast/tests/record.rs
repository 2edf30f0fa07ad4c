//! A version can be had again from its row and the history, to the bit.

use std::collections::BTreeSet;

use forecast::adaptive::Adaptive;
use forecast::calendar::Holidays;
use forecast::model::Model;
use forecast::model::P10;
use forecast::model::P50;
use forecast::model::P90;
use forecast::model::Said;
use schemas::decision::ModelVersion;
use schemas::relation::Relation;
use schemas::state::WeatherAhead;
use schemas::state::WeatherHour;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use crate::adapt;
use crate::adapt::Record;
use crate::adapt::Subject;
use crate::forecast::feeder::OF_FEEDER;
use crate::forecast::feeder::OF_NODE;
use crate::forecast::rule::Point;
use crate::forecast::series::Series;
use crate::forecast::series::Turn;
use crate::forecast::weather::Weather;

/// A number in -1..1 that depends on these two alone.
fn chance(what: u64, hour: u64) -> f64 {
    let mixed = (hour * 1_000 + what + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// By station: only the second is where the load is.
fn temperature_c(station: u64, hour: u64) -> f64 {
    let turn = std::f64::consts::TAU * (hour % 24) as f64 / 24.0;
    15.0 + 6.0 * chance(7 + station, hour / 24) - 5.0 * turn.cos()
}

fn load_kw(hour: u64) -> f64 {
    let clock = if (17..23).contains(&(hour % 24)) { 40.0 } else { 25.0 };
    let weekend = if (hour / 24 + 3) % 7 >= 5 { -4.0 } else { 0.0 };
    clock + weekend + 1.5 * (temperature_c(1, hour) - 15.0) + chance(3, hour)
}

/// A series in an instance, with all that it was told, and its rows.
struct Lived {
    scope: &'static str,
    series: Series,
    weather: Weather,
    /// By hour: what was said of the weather before its reading, and that.
    past: Vec<(Vec<Said>, f64)>,
    rows: Vec<ModelVersion>,
}

const HOLIDAY: &str = "1970-02-03";

fn holidays() -> Holidays {
    Holidays::of_list(HOLIDAY).expect("a date")
}

impl Lived {
    fn new(scope: &'static str) -> Lived {
        let policy = if scope == "node" { OF_NODE } else { OF_FEEDER };
        let (series, weather) = (Series::new(policy), Weather::default());
        Lived { scope, series, weather, past: Vec::new(), rows: Vec::new() }
    }

    /// Lives through an hour; what it says then.
    fn live(&mut self, hour: u64) -> Option<Vec<Point>> {
        for station in 0..2 {
            let at = Timestamp((hour + 1) * HOUR_MS);
            let seen = WeatherHour {
                station_id: format!("s{station}"),
                hour_at: Timestamp(hour * HOUR_MS),
                temperature_c: temperature_c(station, hour),
                global_w_per_m2: None,
                wind_m_per_s: None,
                ..WeatherHour::example()
            };
            self.weather.see(at, &seen);
            for ahead in (hour + 1..hour + 31).filter(|_| hour.is_multiple_of(6)) {
                let off = 0.5 * chance(50 + station, ahead);
                let expected = WeatherAhead {
                    station_id: format!("s{station}"),
                    hour_at: Timestamp(ahead * HOUR_MS),
                    issued_at: at,
                    temperature_c: temperature_c(station, ahead) + off,
                    global_w_per_m2: None,
                    wind_m_per_s: None,
                    ..WeatherAhead::example()
                };
                self.weather.expect(at, &expected);
            }
        }
        let said = self.weather.advance(hour + 1);
        self.series.know(&self.weather, &said);
        self.series.push(0, load_kw(hour));
        let had_none = self.series.version().is_none();
        self.past.push((said, load_kw(hour)));
        let turn = Turn { place: 0, scope: self.scope, id: "x" };
        self.series.settle(&self.weather, turn, &holidays());
        if had_none && self.series.version().is_some() {
            // The first model is told the whole weather that there was, and then the load.
            self.past.iter_mut().for_each(|(said, _)| said.clear());
            self.past[0].0 = self.weather.said(hour, 0..self.weather.told());
        }
        let said = self.series.answer().map(|(points, _)| points);
        let at = Timestamp((hour + 1) * HOUR_MS);
        let subject = Subject { at, scope: self.scope, id: "x", feeder_id: "f" };
        let news = self.series.take_news();
        let quantities = self.weather.quantities();
        self.rows.extend(adapt::versions(subject, &news.versions, &quantities));
        said
    }
}

fn said(model: &mut Adaptive) -> Vec<Point> {
    let points = model.outlook().points.into_iter().enumerate();
    let point = |(hour, point): (usize, forecast::model::Point)| Point {
        hour,
        p10_kw: point.quantiles[P10],
        p50_kw: point.quantiles[P50],
        p90_kw: point.quantiles[P90],
    };
    points.map(point).collect()
}

/// Each version that began to answer, had again from its row, says what was said of it, as long as
/// it answered: this many versions.
#[track_caller]
fn check(scope: &'static str, days: u64, versions: usize) {
    let mut lived = Lived::new(scope);
    let all: Vec<Option<Vec<Point>>> = (0..days * 24).map(|hour| lived.live(hour)).collect();
    let began: Vec<&ModelVersion> =
        lived.rows.iter().filter(|row| row.state == "promoted").collect();
    let told: Vec<(&str, &str)> =
        began.iter().map(|row| (row.model.as_str(), row.reason.as_str())).collect();
    assert_eq!(began.len(), versions, "{told:?}");
    let mut compared = 0;
    for (n, row) in began.iter().enumerate() {
        let record = Record::read(row).expect("the row of a version that began to answer");
        assert!(record.quantities.iter().any(|quantity| quantity.name == "s1 temperature"));
        let days_off: BTreeSet<i64> = holidays().days(0, (days as i64 + 30) * 86_400_000);
        let mut again = record.again((days_off, 0), lived.past.iter().cloned());
        let until = began
            .get(n + 1)
            .map_or(days as i64 * 24, |next| (next.window_to_at.0 / HOUR_MS) as i64);
        // A version that was held beside answers from the hour after its window.
        if n == 0 {
            assert_eq!(Some(said(&mut again)), all[record.end as usize - 1]);
        }
        for hour in record.end..until {
            let (words, kw) = &lived.past[hour as usize];
            again.know(words);
            again.observe(*kw);
            assert_eq!(Some(said(&mut again)), all[hour as usize], "version {n}, hour {hour}");
            compared += 1;
        }
    }
    assert!(compared > 24 * 24, "{compared}");
}

#[test]
fn each_version_of_a_node_is_had_again_from_its_row() {
    check("node", 110, 2);
}

#[test]
fn each_version_of_a_feeder_is_had_again_from_its_row() {
    // The third has trees, and won in the review that the second won.
    check("feeder", 110, 3);
}

#[test]
fn a_row_that_tells_of_no_beginning_is_no_record() {
    let mut lived = Lived::new("node");
    (0..10 * 24).for_each(|hour| drop(lived.live(hour)));
    let row = lived.rows[0].clone();
    assert!(Record::read(&row).is_some());
    let retired = ModelVersion { parameters: String::new(), ..row.clone() };
    assert_eq!(Record::read(&retired), None);
    // Its structure counts more stations than the row names.
    let features = row.features.replace(", s1 temperature", "");
    assert_eq!(Record::read(&ModelVersion { features, ..row }), None);
}
