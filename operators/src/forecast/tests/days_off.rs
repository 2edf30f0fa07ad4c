//! Holidays: what a model learned of them is what it says of the next one.

use std::collections::BTreeMap;

use schemas::decision::Forecast;
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
use crate::kernel::Change;
use crate::kernel::Kernel;
use crate::settings::Settings;

/// Working days of 1970 that are off, by their day since the epoch; the last is a Thursday.
const DAYS: [(&str, u64); 8] = [
    ("1970-01-19", 18),
    ("1970-02-04", 34),
    ("1970-02-16", 46),
    ("1970-03-03", 61),
    ("1970-03-19", 77),
    ("1970-03-31", 89),
    ("1970-04-17", 106),
    ("1970-04-30", 119),
];

/// The day that is ahead.
const AHEAD: u64 = DAYS[7].1;

/// A works that stands still on weekends and days off.
fn load_kw(hour: u64) -> f64 {
    let (day, of_day) = (hour / 24, hour % 24);
    let off = matches!((day + 3) % 7, 5 | 6) || DAYS.iter().any(|(_, off)| *off == day);
    let shift = if (6..18).contains(&of_day) { 1.0 } else { 0.3 };
    let noise = (hour.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / (1_u64 << 24) as f64;
    0.2 * noise + if off { 2.0 } else { 10.0 * shift }
}

/// A list of so many of the days.
fn list(days: usize) -> String {
    let dates: Vec<&str> = DAYS[..days].iter().map(|(date, _)| *date).collect();
    if dates.is_empty() { "none".to_owned() } else { dates.join(", ") }
}

fn kernel(holidays: &str) -> ForecastKernel {
    on_clock(holidays, "+00:00")
}

fn on_clock(holidays: &str, offset: &str) -> ForecastKernel {
    let (forecast_holidays, forecast_utc_offset) = (holidays.to_owned(), offset.to_owned());
    let settings = Settings { forecast_holidays, forecast_utc_offset, ..Settings::default() };
    ForecastKernel::new(settings)
}

/// The medians of the feeder by hour, issued at hour `present`.
fn issued(kernel: &mut ForecastKernel, present: u64, hours: &[NodeHour]) -> Vec<f64> {
    issued_of(kernel, present, hours, load_kw)
}

/// The same of a works that draws this.
fn issued_of(
    kernel: &mut ForecastKernel,
    present: u64,
    hours: &[NodeHour],
    load_kw: impl Fn(u64) -> f64,
) -> Vec<f64> {
    let row = |hour: u64| LoadHistory {
        bus_id: "b".to_owned(),
        feeder_id: "f".to_owned(),
        hour_at: Timestamp(hour * HOUR_MS),
        net_load_kw: load_kw(hour),
    };
    let past: Vec<LoadHistory> =
        if hours.is_empty() { (0..present).map(row).collect() } else { Vec::new() };
    let changes = [
        Change::of(&past, vec![1; past.len()]),
        Change::of(hours, vec![1; hours.len()]),
        Change::none(WeatherHour::schema()),
        Change::none(WeatherAhead::schema()),
        Change::none(LoadAnnotation::schema()),
        Change::none(ModelOrder::schema()),
        Change::none(SharedMeterHour::schema()),
    ];
    let rows = kernel.step(Timestamp(present * HOUR_MS), &changes);
    let rows = Forecast::from_batch(&rows[0]).unwrap();
    let of_feeder = rows.iter().filter(|row| row.scope == "feeder");
    let by_hour: BTreeMap<u64, f64> =
        of_feeder.map(|row| (row.target_at.0 / HOUR_MS, row.p50_kw)).collect();
    assert!(rows.iter().all(|row| row.model_version.starts_with("ridge")), "{:?}", rows[0]);
    by_hour.into_values().collect()
}

/// Mean absolute error of what was forecast of the day ahead.
fn missed(p50: &[f64]) -> f64 {
    let hours = (24 * AHEAD..).zip(p50);
    hours.map(|(hour, kw)| (load_kw(hour) - kw).abs()).sum::<f64>() / p50.len() as f64
}

#[test]
fn a_day_off_is_forecast_as_the_days_off_that_were() {
    let (mut told, mut blind) = (kernel(&list(8)), kernel("none"));
    let of = |kernel: &mut ForecastKernel| issued(kernel, 24 * AHEAD, &[]);
    let (told, blind) = (of(&mut told), of(&mut blind));
    println!("missed {:.2} kW told, {:.2} kW not", missed(&told), missed(&blind));
    assert!(missed(&told) < 0.25 * missed(&blind), "{told:?} {blind:?}");
    // The works stands still, and the forecast of noon is nearer to that than to a working day.
    assert!(told[12] < 4.0 && blind[12] > 6.0, "{told:?} {blind:?}");
}

#[test]
fn restored_with_other_days_off_the_days_ahead_are_others_and_what_was_learned_stays() {
    let mut kept = kernel(&list(8));
    issued(&mut kept, 24 * AHEAD - 1, &[]);
    let memory = kept.save();
    let hours = [node_hour("b", 24 * AHEAD - 1, load_kw(24 * AHEAD - 1))];
    let restored = |holidays: &str| {
        let mut kernel = kernel(holidays);
        kernel.restore(&memory).unwrap();
        issued(&mut kernel, 24 * AHEAD, &hours)
    };
    let (same, without, none) = (restored(&list(8)), restored(&list(7)), restored("none"));
    assert_eq!(issued(&mut kept, 24 * AHEAD, &hours), same, "nothing is other than it was");
    assert!(same[12] < 4.0 && without[12] > 8.0, "{same:?} {without:?}");
    // The days off that were are learned, whatever they are called now.
    let far = without.iter().zip(&none).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(far < 0.5, "{without:?} {none:?}");
}

/// A works whose midnight is 14:00 UTC: told its clock it is as one whose midnight is that of UTC.
#[test]
fn days_begin_by_the_clock_that_is_told() {
    let there = |hour: u64| load_kw(hour + 10);
    let of = |offset: &str, days: u64| {
        let mut kernel = on_clock(&list(8), offset);
        issued_of(&mut kernel, 24 * days - 10, &[], there)
    };
    let told = of("+10:00", AHEAD);
    // The first ten hours of its past lie before the epoch, where nothing is told.
    let here = issued(&mut kernel(&list(8)), 24 * AHEAD, &[]);
    assert!((missed(&told) - missed(&here)).abs() < 0.1, "{told:?} {here:?}");
    // Hour by hour a model learns what a day off is by any clock. What a young one knows of the
    // kinds of days goes by the clock that it is told: here of Saturday.
    let weekend = 5 * 7 - 5;
    let off = |p50: Vec<f64>| {
        let hours = (24 * weekend..).zip(&p50);
        hours.map(|(hour, kw)| (load_kw(hour) - kw).abs()).sum::<f64>() / 24.0
    };
    let (told, blind) = (off(of("+10:00", weekend)), off(of("+00:00", weekend)));
    println!("young: missed {told:.2} kW told, {blind:.2} kW not");
    assert!(told < 0.6 * blind, "{told} {blind}");
}
