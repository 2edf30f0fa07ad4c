//! Nodes with several meters: what is said of these adds up to what is said of their node, whatever
//! comes late or not at all.

use std::collections::BTreeMap;

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
use crate::forecast::feeder::Answer;
use crate::forecast::meters::Below;
use crate::forecast::rule;
use crate::forecast::rule::Point;
use crate::kernel::Change;
use crate::kernel::Kernel;
use crate::settings::Settings;

/// The meters of bus `flats`; bus `house` has one, of which nothing is told.
const FLATS: [&str; 3] = ["m0", "m1", "m2"];

/// What a meter draws, its hours unlike those of the others.
fn load_kw(meter: usize, hour: u64) -> f64 {
    let clock = ((hour + 7 * meter as u64) % 24) as f64 / 24.0;
    let mixed = (hour * 10 + meter as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let chance = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
    (1.0 + meter as f64) * (1.0 + (clock * std::f64::consts::TAU).sin().max(-0.5)) + 0.4 * chance
}

/// What is told at a tick.
#[derive(Clone, Default)]
struct Told {
    history: Vec<LoadHistory>,
    meters: Vec<SharedMeterHour>,
    /// Rows that go.
    left: Vec<SharedMeterHour>,
    nodes: Vec<NodeHour>,
    notes: Vec<LoadAnnotation>,
    orders: Vec<ModelOrder>,
}

impl Told {
    /// An hour of which these meters say so much, and the house so much.
    fn hour(hour: u64, loads: [Option<f64>; 3]) -> Told {
        let heard = FLATS.iter().zip(loads).filter_map(|(meter, kw)| Some((meter, kw?)));
        let row = |(meter, active_power_kw): (&&str, f64)| SharedMeterHour {
            meter_id: (*meter).to_owned(),
            bus_id: "flats".to_owned(),
            feeder_id: "f".to_owned(),
            hour_at: Timestamp(hour * HOUR_MS),
            active_power_kw,
        };
        let sum = |kw: f64| node_hour("flats", hour, kw);
        let some = loads.iter().any(Option::is_some);
        let mut nodes = vec![node_hour("house", hour, load_kw(5, hour))];
        nodes.extend(some.then(|| sum(loads.iter().flatten().sum())));
        Told { meters: heard.map(row).collect(), nodes, ..Told::default() }
    }

    fn whole(hour: u64) -> Told {
        Told::hour(hour, [0, 1, 2].map(|meter| Some(load_kw(meter, hour))))
    }

    fn and(mut self, other: Told) -> Told {
        self.meters.extend(other.meters);
        self.nodes.extend(other.nodes);
        self
    }
}

/// A kernel with what it said last.
struct House {
    kernel: ForecastKernel,
    forecasts: Vec<Forecast>,
    versions: Vec<ModelVersion>,
}

fn rows<R: Relation>(rows: &[R]) -> Change {
    Change::of(rows, vec![1; rows.len()])
}

impl House {
    fn new() -> House {
        let kernel = ForecastKernel::new(Settings::default());
        House { kernel, forecasts: Vec::new(), versions: Vec::new() }
    }

    fn step(&mut self, at_ms: u64, told: &Told) {
        let changes = [
            rows(&told.history),
            rows(&told.nodes),
            rows::<WeatherHour>(&[]),
            rows::<WeatherAhead>(&[]),
            rows(&told.notes),
            rows(&told.orders),
            {
                let all = [&told.meters[..], &told.left].concat();
                let diffs = [vec![1; told.meters.len()], vec![-1; told.left.len()]].concat();
                Change::of(&all, diffs)
            },
        ];
        let out = self.kernel.step(Timestamp(at_ms), &changes);
        self.forecasts = Forecast::from_batch(&out[0]).unwrap();
        self.versions = ModelVersion::from_batch(&out[2]).unwrap();
    }

    /// Lives through hours as they end.
    fn live(&mut self, hours: std::ops::Range<u64>) {
        hours.for_each(|hour| self.step((hour + 1) * HOUR_MS, &Told::whole(hour)));
    }

    /// The row of a subject's hour ahead.
    fn row(&self, subject: &str, ahead: usize) -> &Forecast {
        let mut of = self.forecasts.iter().filter(|row| row.subject_id == subject);
        of.nth(ahead).unwrap_or_else(|| panic!("nothing is said of {subject}"))
    }

    fn p50(&self, subject: &str) -> Vec<f64> {
        let of = self.forecasts.iter().filter(|row| row.subject_id == subject);
        of.map(|row| row.p50_kw).collect()
    }

    /// Meters add up to their node, nodes to the feeder, in all 24 hours.
    #[track_caller]
    fn adds_up(&self) {
        for ahead in 0..24 {
            let kw = |subject: &str| self.row(subject, ahead).p50_kw;
            let meters: f64 = FLATS.iter().map(|meter| kw(meter)).sum();
            assert!((meters - kw("flats")).abs() < 1e-9, "{meters} {}", kw("flats"));
            let nodes = kw("flats") + kw("house");
            assert!((nodes - kw("f")).abs() < 1e-9, "{nodes} {}", kw("f"));
        }
        for row in &self.forecasts {
            assert!(row.p10_kw <= row.p50_kw && row.p50_kw <= row.p90_kw, "{row:?}");
        }
    }

    fn who(&self) -> BTreeMap<&str, &str> {
        let rows = self.forecasts.iter();
        rows.map(|row| (row.subject_id.as_str(), row.model_version.as_str())).collect()
    }
}

#[test]
fn meters_begin_by_the_rule_have_models_from_the_ninth_day_and_always_add_up_12_days() {
    let mut house = House::new();
    let mut told = Vec::new();
    for hour in 0..12 * 24 {
        house.live(hour..hour + 1);
        told.extend(house.versions.iter().map(|row| (row.scope.clone(), row.subject_id.clone())));
        if hour >= 24 {
            house.adds_up();
        }
        if hour == 48 {
            assert_eq!(house.who()["m1"], "seasonal-naive-1");
        }
    }
    assert!(house.who().values().all(|who| *who == "ridge-1"), "{:?}", house.who());
    let meters = told.iter().filter(|(scope, _)| scope == "meter");
    let meters: Vec<&str> = meters.map(|(_, id)| id.as_str()).collect();
    assert_eq!(meters, FLATS, "each version is told, under its meter");
    let row = house.row("m2", 3);
    assert_eq!((row.scope.as_str(), row.feeder_id.as_str()), ("meter", "f"));
    assert!(row.saw.contains("shared_meter_hour@"), "{}", row.saw);
    // It speaks of its own meter: closer to it than a third of the node is.
    let off = |share: &dyn Fn(usize) -> f64| -> f64 {
        (0..24).map(|ahead| (share(ahead) - load_kw(0, 12 * 24 + ahead as u64)).abs()).sum()
    };
    let (own, third) = (house.p50("m0"), house.p50("flats"));
    let (own, third) = (off(&|ahead| own[ahead]), off(&|ahead| third[ahead] / 3.0));
    assert!(own < 0.5 * third, "{own} {third}");
}

#[test]
fn a_meter_is_forecast_better_than_by_the_rule() {
    let mut house = House::new();
    let (mut model, mut ruled) = (0.0, 0.0);
    for hour in 0..20 * 24 {
        house.live(hour..hour + 1);
        if hour < 12 * 24 || hour % 6 != 0 {
            continue;
        }
        for (meter, id) in FLATS.iter().enumerate() {
            let from = hour + 1 - rule::HISTORY_HOURS as u64;
            let past: Vec<f64> = (from..hour + 1).map(|hour| load_kw(meter, hour)).collect();
            for (said, point) in house.p50(id).iter().zip(rule::points(&past)) {
                let came = load_kw(meter, hour + 1 + point.hour as u64);
                model += (said - came).abs();
                ruled += (point.p50_kw - came).abs();
            }
        }
    }
    println!("{:.3} of the rule's error", model / ruled);
    assert!(model < 0.8 * ruled, "{model} {ruled}");
}

/// A node's hours as those above it have them: what it does not learn is missing there.
#[test]
fn a_node_does_not_learn_an_hour_in_which_a_meter_is_silent_until_it_comes() {
    let start = 10 * 24;
    let (mut all, mut late) = (House::new(), House::new());
    all.live(0..start);
    late.live(0..start);
    let kw = |meter| Some(load_kw(meter, start));
    all.step((start + 1) * HOUR_MS, &Told::whole(start));
    late.step((start + 1) * HOUR_MS, &Told::hour(start, [kw(0), None, kw(2)]));
    let missing = late.kernel.hour_kw("f", "flats", start);
    assert!(missing.is_nan(), "{missing} is not what the flats drew");
    late.adds_up();
    // It comes an hour later, and all is as if it had come in time.
    let came = Told::hour(start, [None, kw(1), None]);
    let node = Told { nodes: Told::whole(start).nodes, ..Told::default() };
    let came = Told { nodes: Vec::new(), ..came }.and(node).and(Told::whole(start + 1));
    all.step((start + 2) * HOUR_MS, &Told::whole(start + 1));
    late.step((start + 2) * HOUR_MS, &came);
    let known = late.kernel.hour_kw("f", "flats", start);
    assert_eq!(known, all.kernel.hour_kw("f", "flats", start));
    assert!(known.is_finite());
    late.adds_up();
}

#[test]
fn a_meter_that_is_silent_for_a_week_is_not_waited_for() {
    let start = 10 * 24;
    let mut house = House::new();
    house.live(0..start);
    for hour in start..start + 9 * 24 {
        let kw = |meter| Some(load_kw(meter, hour));
        house.step((hour + 1) * HOUR_MS, &Told::hour(hour, [kw(0), kw(1), None]));
        let known = house.kernel.hour_kw("f", "flats", hour).is_finite();
        assert_eq!(known, hour >= start + 7 * 24, "hour {}", hour - start);
    }
    assert!(house.p50("m2").is_empty(), "its newest hours are all stand-ins");
    assert_eq!(house.p50("m0").len(), 24);
}

#[test]
fn meters_of_a_closed_node_draw_nothing_and_of_a_busy_one_each_its_part() {
    let start = 10 * 24;
    let mut house = House::new();
    house.live(0..start);
    let usual: Vec<Vec<f64>> = FLATS.iter().map(|meter| house.p50(meter)).collect();
    let flats = house.p50("flats");
    let note = |id: &str, from: u64, kw: f64| LoadAnnotation {
        annotation_id: id.to_owned(),
        bus_id: "flats".to_owned(),
        feeder_id: "f".to_owned(),
        announced_at: Timestamp(start * HOUR_MS),
        from_at: Timestamp((start + from) * HOUR_MS),
        to_at: Timestamp((start + from + 1) * HOUR_MS),
        expected_kw: Some(kw),
        reason: "works".to_owned(),
    };
    let notes = vec![note("shut", 3, 0.0), note("feast", 5, 2.0 * flats[5])];
    house.step(start * HOUR_MS + 5_000, &Told { notes, ..Told::default() });
    house.adds_up();
    for (meter, usual) in FLATS.iter().zip(&usual) {
        let said = house.p50(meter);
        assert_eq!(said[3], 0.0);
        assert!((said[5] - 2.0 * usual[5]).abs() < 1e-9, "{} {}", said[5], usual[5]);
        assert_eq!(said[6], usual[6]);
        assert!(house.row(meter, 3).saw.contains("annotation_id=shut"));
    }
}

#[test]
fn an_order_holds_the_version_of_a_meter() {
    let start = 10 * 24;
    let mut house = House::new();
    house.live(0..start);
    let order = |subject: &str| ModelOrder {
        order_id: format!("o-{subject}"),
        scope: "meter".to_owned(),
        subject_id: subject.to_owned(),
        feeder_id: "f".to_owned(),
        word: "hold".to_owned(),
        ..ModelOrder::example()
    };
    let orders = vec![order("m1"), order("m9")];
    house.step(start * HOUR_MS + 5_000, &Told { orders, ..Told::default() });
    let told = |row: &ModelVersion| (row.subject_id.clone(), row.state.clone());
    let told: Vec<(String, String)> = house.versions.iter().map(told).collect();
    let expected = [("m1", "held"), ("m9", "refused")];
    assert_eq!(told, expected.map(|(id, state)| (id.to_owned(), state.to_owned())));
}

#[test]
fn a_restart_in_the_middle_says_the_same_to_the_bit() {
    let start = 11 * 24;
    let mut house = House::new();
    house.live(0..start);
    let mut other = House::new();
    other.kernel.restore(&house.kernel.save()).unwrap();
    for hour in start..start + 30 {
        let silent = hour % 5 == 0;
        let kw = |meter| (meter != 1 || !silent).then(|| load_kw(meter, hour));
        let mut told = Told::hour(hour, [kw(0), kw(1), kw(2)]);
        if hour % 5 == 1 {
            let late = Told::hour(hour - 1, [None, Some(load_kw(1, hour - 1)), None]);
            let node = Told { nodes: Told::whole(hour - 1).nodes, ..Told::default() };
            told = told.and(Told { nodes: Vec::new(), ..late }).and(node);
        }
        house.step((hour + 1) * HOUR_MS, &told);
        other.step((hour + 1) * HOUR_MS, &told);
        assert_eq!(house.forecasts, other.forecasts);
    }
}

/// What the view takes back when a meter shares its bus no more: all that it retains of it.
fn gone(meter: &str, present: u64) -> Vec<SharedMeterHour> {
    let number = FLATS.iter().position(|id| *id == meter).unwrap();
    let row = |hour| Told::hour(hour, [0, 1, 2].map(|m| (m == number).then(|| load_kw(m, hour))));
    (present - 48..present).flat_map(|hour| row(hour).meters).collect()
}

#[test]
fn a_meter_that_is_exchanged_is_not_waited_for_and_counts_no_more() {
    let start = 10 * 24;
    let mut house = House::new();
    house.live(0..start);
    for hour in start..start + 30 {
        // Another stands in the place of m2; the node is what it was.
        let mut told = Told::whole(hour);
        told.meters[2].meter_id = "new".to_owned();
        if hour == start {
            told.left = gone("m2", start);
        }
        house.step((hour + 1) * HOUR_MS, &told);
        assert!(house.kernel.hour_kw("f", "flats", hour).is_finite(), "hour {}", hour - start);
        assert!(house.p50("m2").is_empty());
    }
    for ahead in 0..24 {
        let kw = |subject: &str| house.row(subject, ahead).p50_kw;
        let meters = kw("m0") + kw("m1") + kw("new");
        assert!((meters - kw("flats")).abs() < 1e-9, "{meters} {}", kw("flats"));
    }
}

#[test]
fn where_a_battery_is_built_the_node_goes_on_and_its_meters_end() {
    let start = 10 * 24;
    let mut house = House::new();
    house.live(0..start);
    let left = FLATS.iter().flat_map(|meter| gone(meter, start)).collect();
    let told = Told { meters: Vec::new(), left, ..Told::whole(start) };
    house.step((start + 1) * HOUR_MS, &told);
    assert!(house.kernel.hour_kw("f", "flats", start).is_finite());
    assert_eq!((house.p50("m0").len(), house.p50("flats").len()), (0, 24));
}

#[test]
fn what_retention_takes_back_stays() {
    let start = 10 * 24;
    let mut house = House::new();
    house.live(0..start);
    let mut told = Told::whole(start);
    told.left = Told::whole(start - 49).meters;
    // A reading that comes late takes the mean of its hour back and puts another in its place.
    told.left.extend(Told::whole(start - 1).meters);
    told.meters.extend(Told::whole(start - 1).meters);
    house.step((start + 1) * HOUR_MS, &told);
    assert!(FLATS.iter().all(|meter| house.p50(meter).len() == 24));
}

/// What two meters say of an hour for which their node was to draw `before_kw`, and is announced
/// to draw `kw`.
#[track_caller]
fn check_announced(meters_kw: [f64; 2], kw: f64, expected: [f64; 2]) {
    let before_kw: f64 = meters_kw.iter().sum();
    let answer = |p50_kw: f64| Answer {
        scope: "meter",
        subject_id: "m".to_owned(),
        points: vec![Point { hour: 0, p10_kw: p50_kw - 1.0, p50_kw, p90_kw: p50_kw + 1.0 }],
        parts: vec![Vec::new()],
        shares: [0.0; rule::HORIZON_HOURS],
        model_version: "v".to_owned(),
        saw: String::new(),
    };
    let mut below = Below::agreeing(meters_kw.map(answer).to_vec(), &mut answer(before_kw));
    below.expect(0, before_kw, kw);
    for (answer, expected) in below.answers.iter().zip(expected) {
        let Point { p10_kw, p50_kw, p90_kw, .. } = answer.points[0];
        assert!((p50_kw - expected).abs() < 1e-9, "{p50_kw} {expected}");
        assert_eq!((p10_kw, p90_kw), (p50_kw, p50_kw));
    }
}

#[test]
fn what_is_announced_of_a_node_each_meter_takes_by_its_size_whatever_its_sign() {
    check_announced([3.0, 1.0], 8.0, [6.0, 2.0]);
    check_announced([-3.0, -1.0], -8.0, [-6.0, -2.0]);
    check_announced([5.0, -4.0], 10.0, [10.0, 0.0]);
    check_announced([5.0, -5.0], 0.0, [0.0, 0.0]);
    check_announced([0.0, 0.0], 3.0, [1.5, 1.5]);
}

#[test]
fn first_models_of_meters_are_spread_over_the_day() {
    let mut kernel = ForecastKernel::new(Settings::default());
    let mut begun: BTreeMap<u64, usize> = BTreeMap::new();
    for hour in 0..11 * 24 {
        let row = |n: u64| SharedMeterHour {
            meter_id: format!("m{n}"),
            bus_id: format!("b{}", n / 2),
            feeder_id: "f".to_owned(),
            hour_at: Timestamp(hour * HOUR_MS),
            active_power_kw: load_kw(n as usize, hour),
        };
        let meters: Vec<SharedMeterHour> = (0..48).map(row).collect();
        let nodes = (0..24).map(|bus| {
            let kw = meters[2 * bus..2 * bus + 2].iter().map(|row| row.active_power_kw).sum();
            node_hour(&format!("b{bus}"), hour, kw)
        });
        let nodes: Vec<NodeHour> = nodes.collect();
        let changes = [
            rows::<LoadHistory>(&[]),
            rows(&nodes),
            rows::<WeatherHour>(&[]),
            rows::<WeatherAhead>(&[]),
            rows::<LoadAnnotation>(&[]),
            rows::<ModelOrder>(&[]),
            rows(&meters),
        ];
        let out = kernel.step(Timestamp((hour + 1) * HOUR_MS), &changes);
        let versions = ModelVersion::from_batch(&out[2]).unwrap();
        let of_meters = versions.iter().filter(|row| row.scope == "meter").count();
        *begun.entry(hour).or_default() += of_meters;
    }
    assert_eq!(begun.values().sum::<usize>(), 48);
    assert_eq!(begun.values().max(), Some(&2), "{begun:?}");
}
