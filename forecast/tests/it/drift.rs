//! What is alarmed, how soon, and how often by chance.
//!
//! One made-up series is bent on one day, and the days until the alert are counted; the same
//! series unbent, over many seeds, gives the rate of false alarms.

use std::collections::BTreeMap;

use forecast::drift::Adwin;
use forecast::drift::Alert;
use forecast::drift::AlertKind;
use forecast::drift::Marker;
use forecast::drift::Outcome;
use forecast::drift::PageHinkley;
use forecast::drift::Settings;
use forecast::drift::Watch;

use crate::watch_data::Dice;
use crate::watch_data::column;

const HOUR_MS: i64 = 3_600_000;

/// Hours of a series of level 100 whose day-ahead forecast errs by 3 %, half of it by the day and
/// carried over to the next day by a half; its naive forecast errs by 8 %. `bend` changes each.
fn watched(seed: u64, days: i64, bend: impl Fn(i64, &mut Outcome)) -> Vec<Alert> {
    let mut dice = Dice::new(seed);
    let mut watch = Watch::new(Settings::default());
    let mut alerts = Vec::new();
    let mut of_day = 0.0;
    for hour in 0..24 * days {
        if hour % 24 == 0 {
            of_day = 0.5 * of_day + 0.866 * dice.normal();
        }
        let error = 2.12 * of_day + 2.12 * dice.normal();
        let forecast = 100.0 + 20.0 * ((hour % 24) as f64 / 3.8).sin();
        let naive = Some(forecast + error + 8.0 * dice.normal());
        let band = Some((forecast - 1.2816 * 3.0, forecast + 1.2816 * 3.0));
        let leverage = Some(0.02 * (1.0 + 0.2 * dice.normal().abs()));
        let (at_ms, actual) = (hour * HOUR_MS, forecast + error);
        let mut outcome = Outcome { at_ms, actual, forecast, naive, band, leverage };
        bend(hour / 24, &mut outcome);
        alerts.extend(watch.observe(&outcome));
    }
    alerts
}

/// Days from `from` to the first alert of a kind.
fn delay(alerts: &[Alert], kind: AlertKind, from: i64) -> Option<i64> {
    let days = alerts.iter().filter(|alert| alert.kind == kind).map(|a| a.at_ms / (24 * HOUR_MS));
    days.filter(|day| *day >= from).map(|day| day - from).next()
}

#[track_caller]
fn check(kind: AlertKind, days_max: i64, bend: impl Fn(i64, &mut Outcome)) {
    let alerts = watched(5, 500, |day, outcome| {
        if day >= 400 {
            bend(day, outcome);
        }
    });
    let found = delay(&alerts, kind, 400);
    assert!(found.is_some_and(|days| days <= days_max), "{kind:?} after {found:?}: {alerts:#?}");
}

#[test]
fn a_doubled_level_is_a_bias_within_a_day() {
    check(AlertKind::Bias, 1, |_, outcome| outcome.actual *= 2.0);
}

#[test]
fn a_level_a_tenth_lower_is_a_bias_within_three_weeks() {
    check(AlertKind::Bias, 21, |_, outcome| outcome.actual *= 0.9);
}

#[test]
fn errors_four_times_as_large_are_confirmed_within_six_weeks() {
    let grow = |_, outcome: &mut Outcome| {
        outcome.actual = outcome.forecast + 4.0 * (outcome.actual - outcome.forecast);
    };
    check(AlertKind::Error, 42, grow);
}

#[test]
fn a_model_that_loses_against_last_week_is_named_after_three_days() {
    check(AlertKind::Skill, 4, |_, outcome| {
        outcome.naive = Some(outcome.actual + 0.1);
        outcome.forecast = outcome.actual + 2.0 * (outcome.forecast - outcome.actual);
    });
}

#[test]
fn a_band_that_became_too_narrow_is_named_within_the_window() {
    let narrow = |_, outcome: &mut Outcome| {
        outcome.band = Some((outcome.forecast - 1.2, outcome.forecast + 1.2));
    };
    check(AlertKind::Coverage, 28, narrow);
}

#[test]
fn a_heat_wave_beyond_all_that_was_learned_is_named_at_once() {
    check(AlertKind::Extrapolation, 0, |_, outcome| outcome.leverage = Some(0.2));
}

#[test]
fn only_grown_errors_ask_for_retraining() {
    let alerts = watched(5, 500, |day, outcome| {
        if day >= 400 {
            outcome.actual *= 2.0;
        }
    });
    for alert in &alerts {
        assert_eq!(alert.retrain, alert.kind == AlertKind::Error, "{alert:?}");
    }
    assert!(alerts.iter().any(|alert| alert.retrain));
}

#[test]
fn one_lost_day_is_no_bias() {
    let alerts = watched(5, 500, |day, outcome| {
        if day == 400 {
            outcome.actual = 0.0;
        }
    });
    assert_eq!(delay(&alerts, AlertKind::Bias, 400), None, "{alerts:#?}");
}

#[test]
fn a_year_of_noise_is_quiet() {
    let mut count: BTreeMap<AlertKind, f64> = BTreeMap::new();
    let years = 400;
    for seed in 0..years {
        for alert in watched(1000 + seed, 365, |_, _| {}) {
            *count.entry(alert.kind).or_default() += 1.0 / years as f64;
        }
    }
    println!("false alarms a year: {count:?}");
    assert!(count.values().sum::<f64>() < 0.1, "{count:?}");
}

#[test]
fn a_watch_goes_on_where_it_was_saved() {
    let mut dice = Dice::new(9);
    let (mut kept, mut moved) = (Watch::new(Settings::default()), Watch::new(Settings::default()));
    let mut told = 0;
    for hour in 0..24 * 200 {
        let drift = if hour > 24 * 150 { 1.3 } else { 1.0 };
        let (at_ms, actual) = (hour * HOUR_MS, drift * (100.0 + 3.0 * dice.normal()));
        let outcome = Outcome { at_ms, actual, forecast: 100.0, ..Outcome::default() };
        let alerts = kept.observe(&outcome);
        told += alerts.len();
        assert_eq!(alerts, moved.observe(&outcome));
        if hour % 1000 == 0 {
            let text = serde_json::to_string(&moved).unwrap();
            assert!(text.len() < 16_000, "{}", text.len());
            moved = serde_json::from_str(&text).unwrap();
        }
    }
    assert!(told > 0);
}

#[test]
fn page_hinkley_forgives_what_is_within_delta() {
    let mut test = PageHinkley::new(0.01, 1.0);
    assert!((0..10_000).all(|_| test.observe(0.0099, 1.0).is_none()));
    assert_eq!((0..200).position(|_| test.observe(-0.04, 1.0).is_some()), Some(33));
}

#[test]
fn adwin_forgets_what_is_no_longer_so_and_stays_small() {
    let mut dice = Dice::new(4);
    let mut window = Adwin::new(0.002);
    assert!((0..20_000).all(|_| window.observe(0.2 + 0.05 * dice.normal()).is_none()));
    assert_eq!(window.len(), 20_000);
    let after = (0..1000).position(|_| window.observe(0.3 + 0.05 * dice.normal()).is_some());
    assert!(after.is_some_and(|steps| steps < 100), "{after:?}");
    for _ in 0..2000 {
        window.observe(0.3 + 0.05 * dice.normal());
    }
    assert!((window.mean().unwrap() - 0.3).abs() < 0.01, "{:?}", window.mean());
}

#[test]
fn a_marker_follows_a_high_quantile() {
    let mut dice = Dice::new(2);
    let mut marker = Marker::new(0.99);
    (0..100_000).for_each(|_| marker.observe(dice.even()));
    assert!((marker.quantile().unwrap() - 0.99).abs() < 0.002, "{:?}", marker.quantile());
}

#[test]
fn the_jump_of_zone_10_is_alarmed_within_48_hours() {
    let file = "load_gefcom2012_us_zones01-10_hourly_2004_2008.csv";
    let Some(column) = column(file, "z10_kw") else { return };
    let mut watch = Watch::new(Settings::default());
    let jump = 1_199_145_600_000;
    let mut first = None;
    // Last week's value at the level of the last day: no model, but one that follows the level.
    for hours in column.windows(8 * 24 + 1) {
        let mean = |from: usize| {
            let day = hours[from..from + 24].iter().filter_map(|(_, value)| *value);
            day.sum::<f64>() / 24.0
        };
        let (Some(actual), Some(week)) = (hours[192].1, hours[24].1) else { continue };
        let forecast = week * mean(168) / mean(0);
        let at_ms = hours[192].0;
        let outcome = Outcome { at_ms, actual, forecast, ..Outcome::default() };
        for alert in watch.observe(&outcome) {
            println!("{} {:?} {}", (alert.at_ms - jump) / HOUR_MS, alert.kind, alert.words);
            if alert.at_ms >= jump && alert.kind == AlertKind::Bias {
                first = first.or(Some(alert.at_ms - jump));
            }
        }
    }
    assert!(first.is_some_and(|after| after <= 48 * HOUR_MS), "{first:?}");
}
