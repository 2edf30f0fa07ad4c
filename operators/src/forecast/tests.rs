//! When forecasts are issued, from which hours, and for whom.

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

use super::ForecastKernel;
use crate::kernel::Change;
use crate::kernel::Kernel;
use crate::settings::Settings;

pub(in crate::forecast) mod data;
mod days_off;
mod doubts;
mod homes;
mod late;
mod meters;
mod model;
mod people;
mod record;
mod tree;
mod watched;

/// Hours since the epoch at which the tests begin to forecast: eight days are known before.
const NOW: u64 = 192;

fn history(bus: &str, hours: std::ops::Range<u64>, kw: fn(u64) -> f64) -> Vec<LoadHistory> {
    let row = |hour| LoadHistory {
        bus_id: bus.to_owned(),
        feeder_id: "f".to_owned(),
        hour_at: Timestamp(hour * HOUR_MS),
        net_load_kw: kw(hour),
    };
    hours.map(row).collect()
}

fn node_hour(bus: &str, hour: u64, net_load_kw: f64) -> NodeHour {
    NodeHour {
        bus_id: bus.to_owned(),
        feeder_id: "f".to_owned(),
        hour_at: Timestamp(hour * HOUR_MS),
        net_load_kw,
    }
}

fn step(
    kernel: &mut ForecastKernel,
    at: Timestamp,
    history: &[LoadHistory],
    hours: &[NodeHour],
) -> Vec<Forecast> {
    let changes = [
        Change::of(history, vec![1; history.len()]),
        Change::of(hours, vec![1; hours.len()]),
        Change::none(WeatherHour::schema()),
        Change::none(WeatherAhead::schema()),
        Change::none(LoadAnnotation::schema()),
        Change::none(ModelOrder::schema()),
        Change::none(SharedMeterHour::schema()),
    ];
    Forecast::from_batch(&kernel.step(at, &changes)[0]).unwrap()
}

fn daily(hour: u64) -> f64 {
    (hour % 24) as f64
}

fn p50(rows: &[Forecast], subject: &str, hour: u64) -> f64 {
    let target_at = Timestamp(hour * HOUR_MS);
    let row = rows.iter().find(|row| row.subject_id == subject && row.target_at == target_at);
    row.unwrap_or_else(|| panic!("{subject} has no forecast for hour {hour}")).p50_kw
}

#[test]
fn a_forecast_is_issued_each_quarter_of_an_hour() {
    let mut kernel = ForecastKernel::new(Settings::default());
    let past = history("b", 0..NOW, daily);
    let start = Timestamp(NOW * HOUR_MS);
    let first = step(&mut kernel, start, &past, &[]);
    assert_eq!(first.len(), 48, "24 hours of a node and of its feeder");
    assert_eq!(first[0].model_version, "seasonal-naive-1");
    assert_eq!(first[0].issued_at, start);
    let issued: Vec<u64> = (1..=720)
        .filter(|tick| !step(&mut kernel, start.plus(tick * 5_000), &[], &[]).is_empty())
        .collect();
    assert_eq!(issued, [180, 360, 540, 720]);
}

#[test]
fn a_step_that_does_not_divide_the_quarter_issues_once_a_quarter() {
    let settings = Settings { step_ms: 7_000, ..Settings::default() };
    let mut kernel = ForecastKernel::new(settings);
    let past = history("b", 0..NOW, daily);
    let first = (NOW * HOUR_MS).div_ceil(7_000);
    let issued = (first..first + 516).filter(|tick| {
        let past = if *tick == first { &past[..] } else { &[] };
        !step(&mut kernel, Timestamp(tick * 7_000), past, &[]).is_empty()
    });
    assert_eq!(issued.count(), 5, "an hour has the quarters 0, 15, 30, 45 and 60");
}

#[test]
fn the_feeder_is_the_sum_of_its_nodes() {
    let mut kernel = ForecastKernel::new(Settings::default());
    let mut past = history("a", 0..NOW, daily);
    past.extend(history("b", 0..NOW, |hour| 3.0 - daily(hour) / 2.0));
    let rows = step(&mut kernel, Timestamp(NOW * HOUR_MS), &past, &[]);
    for hour in NOW..NOW + 24 {
        assert_eq!(p50(&rows, "a", hour) + p50(&rows, "b", hour), p50(&rows, "f", hour));
    }
}

#[test]
fn a_nodes_silent_hour_does_not_silence_its_feeder() {
    let mut kernel = ForecastKernel::new(Settings::default());
    let mut past = history("a", 0..NOW, daily);
    past.extend(history("b", 0..NOW, daily).into_iter().filter(|r| r.hour_at.0 != 170 * HOUR_MS));
    let rows = step(&mut kernel, Timestamp(NOW * HOUR_MS), &past, &[]);
    assert_eq!(p50(&rows, "f", 194), 4.0, "the silent hour is taken from the day before");
    assert!(rows.iter().all(|r| r.subject_id != "b" || r.target_at.0 != 194 * HOUR_MS));
}

#[test]
fn what_was_measured_goes_before_history_and_the_present_hour_does_not_count() {
    let mut kernel = ForecastKernel::new(Settings::default());
    let past = history("b", 0..NOW, daily);
    let hours = [node_hour("b", NOW - 1, 26.0), node_hour("b", NOW, 99.0)];
    let at = Timestamp(NOW * HOUR_MS + 900_000);
    let rows = step(&mut kernel, at, &past, &hours);
    assert_eq!(p50(&rows, "b", NOW), 0.0 + 3.0, "the last hour was 3 kW above its yesterday");
}

#[test]
fn a_forecast_names_the_views_it_rests_on_and_the_hours_of_each() {
    let mut kernel = ForecastKernel::new(Settings::default());
    let mut past = history("a", 0..NOW - 1, daily);
    past.extend(history("b", 0..NOW, daily));
    let hours = [node_hour("a", NOW - 1, 2.5), node_hour("b", NOW - 1, 26.0)];
    let at = Timestamp(NOW * HOUR_MS);
    let rows = step(&mut kernel, at, &past, &hours);
    let saw = |subject: &str| {
        let of: Vec<&Forecast> = rows.iter().filter(|row| row.subject_id == subject).collect();
        assert!(of.iter().all(|row| row.saw == of[0].saw), "all points rest on the same");
        of[0].saw.clone()
    };
    let views = |history: usize, measured: usize, last: &str| {
        format!(
            "load_history@{0} hours={history}; node_hour@{0} hours={measured} last_hour_kw={last}",
            at.0
        )
    };
    assert_eq!(saw("a"), views(191, 1, "2.500"));
    assert_eq!(saw("b"), views(191, 1, "26.000"));
    assert_eq!(saw("f"), views(382, 2, "28.500"));
}

#[test]
fn the_future_is_not_looked_at() {
    let mut kernel = ForecastKernel::new(Settings::default());
    let past = history("b", 0..NOW + 24, |hour| if hour < NOW { 1.0 } else { 50.0 });
    let rows = step(&mut kernel, Timestamp(NOW * HOUR_MS), &past, &[]);
    assert!(rows.iter().all(|row| row.p50_kw == 1.0 && row.p90_kw == 1.0));
}

#[test]
fn eight_days_are_kept_though_the_view_lets_go_earlier() {
    let mut kernel = ForecastKernel::new(Settings::default());
    let past = history("b", 0..NOW, daily);
    step(&mut kernel, Timestamp(NOW * HOUR_MS), &past, &[]);
    let gone: Vec<NodeHour> = (0..NOW).map(|hour| node_hour("b", hour, daily(hour))).collect();
    let changes = [
        Change::none(LoadHistory::schema()),
        Change::of(&gone, vec![-1; gone.len()]),
        Change::none(WeatherHour::schema()),
        Change::none(WeatherAhead::schema()),
        Change::none(LoadAnnotation::schema()),
        Change::none(ModelOrder::schema()),
        Change::none(SharedMeterHour::schema()),
    ];
    let rows = kernel.step(Timestamp(NOW * HOUR_MS + 900_000), &changes);
    assert_eq!(rows[0].num_rows(), 48);
    // Seventeen days on, nothing of it is left.
    let rows = step(&mut kernel, Timestamp((NOW + 17 * 24) * HOUR_MS), &[], &[]);
    assert!(rows.is_empty());
    assert!(kernel.save().is_empty());
}

#[test]
fn saved_and_restored_it_issues_the_same() {
    let mut kernel = ForecastKernel::new(Settings::default());
    let past = history("b", 0..NOW, |hour| f64::from((hour * hour % 17) as u32) / 7.0);
    step(&mut kernel, Timestamp(NOW * HOUR_MS), &past, &[]);
    let mut other = ForecastKernel::new(Settings::default());
    other.restore(&kernel.save()).unwrap();
    let at = Timestamp(NOW * HOUR_MS + 900_000);
    assert_eq!(step(&mut kernel, at, &[], &[]), step(&mut other, at, &[], &[]));
}
