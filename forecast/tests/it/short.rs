//! The next hour by quarters: on real substations against the hourly forecast and persistence, and
//! against a past in which corrections had come in time.

use forecast::adaptive::Adaptive;
use forecast::adaptive::Policy;
use forecast::model::Kind;
use forecast::model::Model;
use forecast::model::P10;
use forecast::model::P50;
use forecast::model::P90;
use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Said;
use forecast::model::Setup;
use forecast::ridge::Factor;
use forecast::short::KEPT;
use forecast::short::LEADS;
use forecast::short::QUARTER_MS;
use forecast::short::SETTLED_AFTER;
use forecast::short::Short;
use forecast::short::quarters;

use crate::watch_data::Column;
use crate::watch_data::Dice;
use crate::watch_data::column;

pub(crate) const HOUR_MS: i64 = 3_600_000;

/// Mean absolute deviations of a normal distribution between its tenth and ninetieth percentile.
pub(crate) const BAND_DEVIATIONS: f64 = 3.212;

/// Days before what is said is scored.
pub(crate) const BEGIN_DAYS: i64 = 14;

/// Mean absolute errors by lead, and the share of outcomes within P10 to P90.
#[derive(Debug, Default)]
struct Scored {
    short: [f64; LEADS],
    hourly: [f64; LEADS],
    persistence: [f64; LEADS],
    inside: [f64; LEADS],
    count: [f64; LEADS],
}

impl Scored {
    fn mean(&self, of: impl Fn(&Scored) -> [f64; LEADS]) -> [f64; LEADS] {
        std::array::from_fn(|ahead| of(self)[ahead] / self.count[ahead])
    }
}

/// By quarter from the first whole hour on; rows that are not there are missing.
pub(crate) fn by_quarter(column: &Column) -> (i64, Vec<f64>) {
    let step = QUARTER_MS as i64;
    // A row bears the end of its quarter.
    let quarter = |at: i64| at / step - 1;
    let first = quarter(column[0].0).div_euclid(4) * 4 + 4;
    let last = quarter(column[column.len() - 1].0);
    let mut values = vec![f64::NAN; (last - first + 1) as usize];
    for (at, value) in column {
        if let (Ok(place), Some(value)) = (usize::try_from(quarter(*at) - first), value) {
            values[place] = *value;
        }
    }
    (first, values)
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// An hourly model with the weather as it was, asked at each hour.
pub(crate) struct Hourly {
    model: Adaptive,
    weather: Vec<Vec<f64>>,
    hour: i64,
    first: i64,
}

impl Hourly {
    pub(crate) fn new(first: i64, weather: Vec<(Role, Vec<f64>)>) -> Hourly {
        let quantities = weather
            .iter()
            .map(|(role, _)| Quantity { name: format!("{role:?}"), role: *role })
            .collect();
        let setup = Setup {
            kind: Kind::NetLoad,
            step_ms: HOUR_MS,
            horizon: 24,
            quantities,
            holidays: Default::default(),
            clock_ahead: 0,
            capacity: None,
            place: None,
        };
        let weather = weather.into_iter().map(|(_, values)| values).collect();
        let model = Adaptive::new(setup, first, Policy { trees: false, ..Policy::default() });
        Hourly { model, weather, hour: first, first }
    }

    /// An hour is over; gives the next three.
    /// Medians of the coming hours, and how far they usually are off.
    pub(crate) fn step(&mut self, value: f64) -> [[f64; 3]; 2] {
        let at = self.hour - self.first;
        let known = if at == 0 { 0..26 } else { at + 25..at + 26 };
        let mut said = Vec::new();
        for (quantity, values) in self.weather.iter().enumerate() {
            for at in known.clone() {
                let of = values.get(at as usize * 4..at as usize * 4 + 4);
                let value = of.map_or(f64::NAN, mean) as f32;
                let index = self.first + at;
                said.push(Said { issued: self.hour, quantity, index, value });
            }
        }
        said.retain(|said| said.value.is_finite());
        self.model.know(&said);
        self.model.observe(value);
        self.hour += 1;
        let points = self.model.outlook().points;
        let of = |quantiles: &[f64; 11]| {
            [quantiles[P50], (quantiles[P90] - quantiles[P10]) / BAND_DEVIATIONS]
        };
        let of = |at: usize| points.get(at).map_or([f64::NAN, 0.0], |p| of(&p.quantiles));
        [0, 1].map(|what| std::array::from_fn(|at| of(at)[what]))
    }
}

fn score(load: &Column, weather: Vec<(Role, Vec<f64>)>) -> Scored {
    let (first, values) = by_quarter(load);
    let mut hourly = Hourly::new(first / 4, weather);
    let (mut short, mut factor) = (Short::new(first), Factor::default());
    let (mut scored, mut hours, mut spreads) = (Scored::default(), [f64::NAN; 3], [0.0; 3]);
    for (at, value) in values.iter().enumerate() {
        short.push(*value, &mut factor);
        let index = first + at as i64;
        if (index + 1) % 4 == 0 {
            [hours, spreads] = hourly.step(mean(&values[at - 3..=at]));
        }
        let Some(said) = short.issue(hours, spreads) else { continue };
        if at as i64 <= BEGIN_DAYS * 96 || !hours[0].is_finite() || !value.is_finite() {
            continue;
        }
        let present = ((index + 1).rem_euclid(4)) as usize;
        let last = if at >= 7 + present {
            mean(&values[at - 3 - present..=at - present])
        } else {
            f64::NAN
        };
        let base: Vec<f64> =
            [[last, hours[0], hours[1]], hours].into_iter().flat_map(quarters).collect();
        for ahead in 0..LEADS {
            let Some(actual) = values.get(at + 1 + ahead).filter(|v| v.is_finite()) else {
                continue;
            };
            let base = base[present + ahead];
            if !base.is_finite() {
                continue;
            }
            scored.count[ahead] += 1.0;
            scored.short[ahead] += (said[ahead].p50 - actual).abs();
            scored.hourly[ahead] += (base - actual).abs();
            scored.persistence[ahead] += (value - actual).abs();
            let inside = said[ahead].p10 <= *actual && *actual <= said[ahead].p90;
            scored.inside[ahead] += f64::from(u8::from(inside));
        }
    }
    scored
}

/// A substation: what is said is better, at each lead, than both of what it is made of.
#[track_caller]
#[expect(clippy::print_stdout, reason = "the figures are asked for with --nocapture")]
fn check(file: &str, load: &str, weather: &[(&str, Role)]) {
    let Some(loads) = column(file, load) else { return };
    let (_, values) = by_quarter(&loads);
    let of = |(name, role): &(&str, Role)| {
        let (_, mut other) = by_quarter(&column(file, name).expect("it is there"));
        other.resize(values.len(), f64::NAN);
        (*role, other)
    };
    let scored = score(&loads, weather.iter().map(of).collect());
    let [short, hourly, persistence, inside] = [
        scored.mean(|s| s.short),
        scored.mean(|s| s.hourly),
        scored.mean(|s| s.persistence),
        scored.mean(|s| s.inside),
    ];
    let told = |of: [f64; LEADS]| of.map(|value| format!("{value:.3}")).join(" | ");
    println!("| {file} | {} | {} | {} |", told(short), told(hourly), told(persistence));
    println!("|   within P10-P90 | {} |", told(inside));
    for ahead in 0..LEADS {
        assert!(short[ahead] < hourly[ahead] && short[ahead] < persistence[ahead], "{scored:?}");
        assert!((0.78..0.87).contains(&inside[ahead]), "{inside:?}");
    }
}

const OPENSTEF: [(&str, Role); 3] = [
    ("temp_c", Role::Temperature),
    ("radiation_raw", Role::Radiation),
    ("wind100m_ms", Role::WindSpeed),
];

pub(crate) const SPLIT: [(&str, Role); 2] =
    [("radiation", Role::Radiation), ("wind100m_ms", Role::WindSpeed)];

#[test]
fn substation_287() {
    check("substation_openstef_nl_pid287_15min_2020_2021.csv", "load_mw", &OPENSTEF);
}

#[test]
fn substation_307() {
    check("substation_openstef_nl_pid307_15min_2020_2021.csv", "load_mw", &OPENSTEF);
}

#[test]
fn substations_with_sun_and_wind_behind_them() {
    for name in ["LLS", "MNZL", "OWD", "WEW"] {
        let file = format!("substation_netload_split_nl_{name}_15min_2021.csv");
        check(&file, "net_load_mw", &SPLIT);
    }
}

#[test]
fn quarters_of_an_hour_have_its_mean_and_follow_a_parabola() {
    let area = |from: f64| {
        // The mean of 3 x² − 2 x + 1 over a quarter.
        let whole = |x: f64| x.powi(3) - x.powi(2) + x;
        (whole(from + 0.25) - whole(from)) / 0.25
    };
    let hour = |from: f64| (0..4).map(|q| area(from + 0.25 * f64::from(q))).sum::<f64>() / 4.0;
    let found = quarters([hour(-1.0), hour(0.0), hour(1.0)]);
    for (at, found) in found.iter().enumerate() {
        assert!((found - area(0.25 * at as f64)).abs() < 1e-12, "{found:?}");
    }
}

/// A made series: a day's rhythm, noise that lasts, and now and then a hole.
fn made(seed: u64, count: i64) -> Vec<f64> {
    let (mut dice, mut drift) = (Dice::new(seed), 0.0);
    (0..count)
        .map(|at| {
            drift = 0.9 * drift + dice.normal();
            let day = (at as f64 / 96.0 * std::f64::consts::TAU).sin();
            if dice.even() < 0.02 { f64::NAN } else { 30.0 + 12.0 * day + drift }
        })
        .collect()
}

/// What somebody who knows nothing of the noise forecasts, told anew at each hour.
fn hours(quarter: i64) -> [f64; 3] {
    let hour = (quarter + 1).div_euclid(4);
    std::array::from_fn(|ahead| {
        let middle = (hour + ahead as i64) as f64 * 4.0 + 1.5;
        30.0 + 11.0 * (middle / 96.0 * std::f64::consts::TAU).sin()
    })
}

/// What was learned, as text: everything but the bands.
fn learned(short: &Short) -> serde_json::Value {
    let mut all = serde_json::to_value(short).expect("it can be written");
    let of = all.as_object_mut().expect("it has fields");
    of.remove("bands");
    of.remove("issues");
    all
}

#[test]
fn a_quarter_restated_within_the_hour_teaches_as_if_it_had_come_so_1000_quarters_8_seeds() {
    for seed in 0..8 {
        let truth = made(seed, 1_000);
        let mut dice = Dice::new(seed + 100);
        let (mut late, mut ideal) = (Short::new(0), Short::new(0));
        let mut factor = Factor::default();
        let mut due: Vec<(i64, i64)> = Vec::new();
        for (at, value) in truth.iter().enumerate() {
            let at = at as i64;
            // A third of all quarters are wrong or missing at first, and stand corrected some
            // quarters later: at the latest before the push that learns from them.
            let wrong = at < 980 && dice.even() < 0.33;
            if wrong {
                due.push((at, at + (dice.even() * (SETTLED_AFTER - 1) as f64) as i64));
            }
            let first = match wrong {
                true if dice.even() < 0.5 => f64::NAN,
                true => value + 50.0,
                false => *value,
            };
            late.push(first, &mut factor);
            ideal.push(*value, &mut factor);
            late.issue(hours(at), [0.0; 3]);
            ideal.issue(hours(at), [0.0; 3]);
            for (quarter, _) in due.extract_if(.., |(_, when)| *when <= at) {
                late.restate(quarter, truth[quarter as usize]);
            }
        }
        assert_eq!(learned(&late), learned(&ideal), "seed {seed}");
    }
}

#[test]
fn later_than_that_it_is_looked_at_and_not_learned_from() {
    let truth = made(3, 300);
    let mut factor = Factor::default();
    let run = |restated: Option<i64>, factor: &mut Factor| {
        let mut short = Short::new(0);
        for (at, value) in truth.iter().enumerate() {
            short.push(*value, factor);
            short.issue(hours(at as i64), [0.0; 3]);
        }
        let changed = restated.map(|quarter| short.restate(quarter, 99.0));
        (short, changed)
    };
    let (untouched, _) = run(None, &mut factor);
    let (mut touched, changed) = run(Some(300 - 20), &mut factor);
    assert_eq!(changed, Some(true));
    let text = |short: &Short| serde_json::to_string(short).unwrap();
    assert_ne!(text(&touched), text(&untouched));
    touched.restate(280, truth[280]);
    assert_eq!(text(&touched), text(&untouched), "it leaves no trace but itself");
    assert_eq!(run(Some(300 - KEPT - 1), &mut factor).1, Some(false), "that one is not kept");
}

#[test]
fn saved_and_read_back_it_goes_on_the_same() {
    let truth = made(5, 500);
    let (mut short, mut factor) = (Short::new(0), Factor::default());
    let mut other: Option<Short> = None;
    for (at, value) in truth.iter().enumerate() {
        let at = at as i64;
        short.push(*value, &mut factor);
        let said = short.issue(hours(at), [0.0; 3]);
        if let Some(other) = &mut other {
            other.push(*value, &mut factor);
            assert_eq!(other.issue(hours(at), [0.0; 3]), said);
        }
        if at == 250 {
            let text = serde_json::to_string(&short).unwrap();
            assert!(text.len() < 10_000, "{} bytes", text.len());
            other = Some(serde_json::from_str(&text).unwrap());
        }
    }
    let text = |short: &Short| serde_json::to_string(short).unwrap();
    assert_eq!(other.as_ref().map(text), Some(text(&short)));
}

#[test]
fn without_an_hourly_forecast_the_newest_quarter_stays_and_of_nothing_nothing_is_said() {
    let (mut short, mut factor) = (Short::new(0), Factor::default());
    short.push(f64::NAN, &mut factor);
    assert_eq!(short.issue([f64::NAN; 3], [0.0; 3]), None);
    short.push(7.0, &mut factor);
    let said = short.issue([f64::NAN; 3], [0.0; 3]).unwrap();
    assert_eq!(said.map(|quarter| quarter.p50), [7.0; 4]);
    assert!(said.iter().all(|quarter| quarter.p10 < 7.0 && quarter.p90 > 7.0));
    for _ in 0..4 {
        short.push(f64::NAN, &mut factor);
    }
    assert_eq!(short.issue([f64::NAN; 3], [0.0; 3]), None, "an hour without a word");
}

#[test]
fn what_rests_most_of_the_day_is_learned_from_too() {
    // An hour of work each day at ten, which nobody forecasts.
    let (mut short, mut factor) = (Short::new(0), Factor::default());
    let mut within = Vec::new();
    for at in 0..96 * 40 {
        let works = |at: i64| if (40..44).contains(&(at % 96)) { 11.0 } else { 0.0 };
        short.push(works(at), &mut factor);
        let said = short.issue([0.0; 3], [0.0; 3]).unwrap()[0];
        if at % 96 == 40 && at > 96 * 30 {
            within.push(said.p50);
        }
    }
    assert!(within.iter().all(|kw| (7.0..15.0).contains(kw)), "it goes on: {within:?}");
}

#[test]
fn one_absurd_reading_is_forgotten_three_hours_later() {
    let truth = made(7, 800);
    let mut factor = Factor::default();
    let run = |absurd: bool, factor: &mut Factor| {
        let mut short = Short::new(0);
        let mut said = Vec::new();
        for (at, value) in truth.iter().enumerate() {
            let value = if absurd && at == 600 { 1e6 } else { *value };
            short.push(value, factor);
            said.push(short.issue(hours(at as i64), [0.0; 3]));
        }
        said
    };
    let (usual, with) = (run(false, &mut factor), run(true, &mut factor));
    let apart = |at: usize| (with[at].unwrap()[0].p50 - usual[at].unwrap()[0].p50).abs();
    // Its hour is drawn on for two more, and it is tomorrow's yesterday.
    let later = (612..800).filter(|at| !(691..697).contains(at)).map(|at| (apart(at), at));
    let (most, at) = later.fold((0.0, 0), |most, one| if one.0 > most.0 { one } else { most });
    assert!(most < 1.0, "{most} at {at}");
}
