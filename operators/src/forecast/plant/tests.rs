//! When plants are forecast, from what, and that a corrected past is as if it had been known.

use std::collections::BTreeMap;

use schemas::decision::Alarm;
use schemas::decision::Forecast;
use schemas::decision::ModelVersion;
use schemas::event::ModelOrder;
use schemas::reference::Asset;
use schemas::relation::Relation;
use schemas::state::PlantHour;
use schemas::state::WeatherAhead;
use schemas::state::WeatherHour;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::PlantKernel;
use crate::forecast::because::added_up;
use crate::kernel::Change;
use crate::kernel::Kernel;
use crate::settings::Settings;

mod governed;
mod learned;
mod real;

/// Hours since the epoch at which the tests begin to forecast: midnight.
const NOW: u64 = 2_400;

fn asset(asset_id: &str, kind: &str, power_kw_max: f64) -> Asset {
    Asset {
        asset_id: asset_id.to_owned(),
        kind: kind.to_owned(),
        bus_id: "b".to_owned(),
        feeder_id: "f".to_owned(),
        power_kw_min: 0.0,
        power_kw_max,
        ramp_kw_max: 0.0,
        energy_kwh_max: 0.0,
        efficiency: 1.0,
    }
}

fn plant_hour(asset_id: &str, hour: u64, origin: &str, power_kw: f64) -> PlantHour {
    PlantHour {
        asset_id: asset_id.to_owned(),
        feeder_id: "f".to_owned(),
        hour_at: Timestamp(hour * HOUR_MS),
        origin: origin.to_owned(),
        power_kw,
    }
}

/// Light from 6 to 18, another height each day, at most 4 kW.
fn sunny(hour: u64) -> f64 {
    let height = 6.0 - ((hour % 24) as f64 - 12.0).abs();
    let day = hour / 24;
    height.max(0.0) / 6.0 * (2.0 + (day * day % 5) as f64 / 2.0)
}

/// What is told at a tick.
#[derive(Default)]
struct Told {
    assets: Vec<(Asset, i64)>,
    hours: Vec<PlantHour>,
    seen: Vec<WeatherHour>,
    ahead: Vec<WeatherAhead>,
    orders: Vec<ModelOrder>,
}

fn step(
    kernel: &mut PlantKernel,
    at: Timestamp,
    told: &Told,
) -> (Vec<Forecast>, Vec<ModelVersion>) {
    let (forecasts, versions, _) = step_and_watch(kernel, at, told);
    (forecasts, versions)
}

fn step_and_watch(
    kernel: &mut PlantKernel,
    at: Timestamp,
    told: &Told,
) -> (Vec<Forecast>, Vec<ModelVersion>, Vec<Alarm>) {
    let (assets, diffs): (Vec<Asset>, Vec<i64>) = told.assets.iter().cloned().unzip();
    let changes = [
        Change::of(&assets, diffs),
        Change::of(&told.hours, vec![1; told.hours.len()]),
        Change::of(&told.seen, vec![1; told.seen.len()]),
        Change::of(&told.ahead, vec![1; told.ahead.len()]),
        Change::of(&told.orders, vec![1; told.orders.len()]),
    ];
    let out = kernel.step(at, &changes);
    let forecasts = Forecast::from_batch(&out[0]).unwrap();
    for row in &forecasts {
        let made_kw = added_up(&row.because);
        assert!((made_kw - row.p50_kw).abs() < 0.05, "{made_kw} kW is not all of {row:?}");
    }
    let versions = ModelVersion::from_batch(&out[1]).unwrap();
    (forecasts, versions, Alarm::from_batch(&out[2]).unwrap())
}

/// The history of a plant before [`NOW`].
fn history(asset_id: &str, hours: u64, kw: fn(u64) -> f64) -> Vec<PlantHour> {
    (NOW - hours..NOW).map(|hour| plant_hour(asset_id, hour, "history", kw(hour))).collect()
}

/// A kernel that knows one PV plant of 5 kW with so many hours of past.
fn begun(hours: u64) -> (PlantKernel, Told) {
    let told = Told {
        assets: vec![(asset("p", "pv", 5.0), 1)],
        hours: history("p", hours, sunny),
        ..Told::default()
    };
    (PlantKernel::new(Settings::default()), told)
}

fn p50(rows: &[Forecast], asset_id: &str) -> BTreeMap<u64, f64> {
    let of = rows.iter().filter(|row| row.subject_id == asset_id);
    of.map(|row| (row.target_at.0 / HOUR_MS, row.p50_kw)).collect()
}

#[test]
fn a_plant_is_forecast_when_an_hour_is_over_and_not_each_quarter() {
    let (mut kernel, told) = begun(8 * 24);
    let start = Timestamp(NOW * HOUR_MS);
    let (rows, _) = step(&mut kernel, start, &told);
    assert_eq!(rows.len(), 24);
    let row = &rows[12];
    assert_eq!((row.scope.as_str(), row.subject_id.as_str()), ("plant", "p"));
    assert_eq!((row.feeder_id.as_str(), row.issued_at), ("f", start));
    assert_eq!(row.model_version, "yesterday-1");
    assert_eq!(row.saw, format!("plant_hour@{} hours=192 last_hour_kw=0.000", start.0));
    assert_eq!(row.p50_kw, sunny(NOW - 12));
    let issued: Vec<u64> = (1..=1440)
        .filter(|tick| !step(&mut kernel, start.plus(tick * 5_000), &Told::default()).0.is_empty())
        .collect();
    assert_eq!(issued, [720, 1440]);
}

#[test]
fn what_is_no_plant_is_not_forecast_and_what_ceases_to_be_one_no_longer() {
    let (mut kernel, mut told) = begun(8 * 24);
    told.assets.push((asset("battery", "battery", 5.0), 1));
    told.hours.extend(history("battery", 48, sunny));
    let start = Timestamp(NOW * HOUR_MS);
    assert!(step(&mut kernel, start, &told).0.iter().all(|row| row.subject_id == "p"));
    let gone = Told { assets: vec![(asset("p", "pv", 5.0), -1)], ..Told::default() };
    assert!(step(&mut kernel, start.plus(HOUR_MS), &gone).0.is_empty());
    // A row that goes as another comes is an asset that changed.
    let other = vec![(asset("p", "pv", 1.0), 1), (asset("p", "pv", 5.0), -1)];
    let told = Told { assets: other, ..Told::default() };
    let (rows, _) = step(&mut kernel, start.plus(2 * HOUR_MS), &told);
    assert_eq!(rows.len(), 24);
    assert!(rows.iter().all(|row| row.p90_kw <= 1.0));
}

#[test]
fn the_future_and_the_hour_under_way_are_not_looked_at() {
    let (mut kernel, mut told) = begun(8 * 24);
    let (rows, _) = step(&mut kernel, Timestamp(NOW * HOUR_MS), &told);
    let (mut other, _) = begun(0);
    told.hours.extend((NOW..NOW + 48).map(|hour| plant_hour("p", hour, "measured", 4.9)));
    assert_eq!(rows, step(&mut other, Timestamp(NOW * HOUR_MS), &told).0);
}

#[test]
fn what_was_measured_goes_before_history() {
    let (mut kernel, mut told) = begun(8 * 24);
    told.hours.insert(0, plant_hour("p", NOW - 12, "measured", 3.5));
    let (rows, _) = step(&mut kernel, Timestamp(NOW * HOUR_MS), &told);
    assert_eq!(p50(&rows, "p")[&(NOW + 12)], 3.5);
}

#[test]
fn a_plant_without_a_yesterday_is_as_the_others_for_its_size() {
    let (mut kernel, mut told) = begun(8 * 24);
    for other in ["q", "r"] {
        told.assets.push((asset(other, "pv", 5.0), 1));
        told.hours.extend(history(other, 8 * 24, sunny));
    }
    told.assets.push((asset("new", "pv", 10.0), 1));
    told.hours.push(plant_hour("new", NOW - 1, "measured", 0.0));
    let (rows, _) = step(&mut kernel, Timestamp(NOW * HOUR_MS), &told);
    let (new, old) = (p50(&rows, "new"), p50(&rows, "p"));
    assert_eq!(new.len(), 24);
    for (hour, kw) in new {
        assert!((kw - 2.0 * old[&hour]).abs() < 1e-9, "{hour}: {kw}");
    }
    let version = rows.iter().find(|row| row.subject_id == "new").map(|row| &row.model_version);
    assert_eq!(version.map(String::as_str), Some("class-prior-1"));
}

#[test]
fn an_hour_that_comes_late_is_forecast_from_at_once_and_a_little_is_not() {
    let (mut kernel, mut told) = begun(8 * 24);
    told.hours.retain(|row| row.hour_at.0 != (NOW - 12) * HOUR_MS);
    let start = Timestamp(NOW * HOUR_MS);
    let (rows, _) = step(&mut kernel, start, &told);
    // The newest that is known of that hour is of the day before.
    assert_eq!(p50(&rows, "p")[&(NOW + 12)], sunny(NOW - 36));
    let late = |kw: f64| Told {
        hours: vec![plant_hour("p", NOW - 12, "measured", kw)],
        ..Told::default()
    };
    let (rows, _) = step(&mut kernel, start.plus(5_000), &late(3.25));
    assert_eq!(p50(&rows, "p")[&(NOW + 12)], 3.25);
    assert!(step(&mut kernel, start.plus(10_000), &late(3.375)).0.is_empty());
    let (rows, _) = step(&mut kernel, start.plus(HOUR_MS), &Told::default());
    assert_eq!(p50(&rows, "p")[&(NOW + 12)], 3.375);
}

#[test]
fn saved_and_restored_it_goes_on_alike_at_every_tick() {
    let (mut kernel, told) = begun(20 * 24);
    let start = Timestamp(NOW * HOUR_MS);
    step(&mut kernel, start, &told);
    let mut said = 0;
    for tick in 1..=40 {
        let mut other = PlantKernel::new(Settings::default());
        other.restore(&kernel.save()).unwrap();
        let at = start.plus(tick * HOUR_MS / 8);
        let hours = match tick % 8 {
            0 => vec![plant_hour("p", NOW + tick / 8 - 1, "measured", sunny(NOW + tick / 8))],
            3 => vec![plant_hour("p", NOW - 7 * tick, "measured", 1.5)],
            _ => Vec::new(),
        };
        let told = Told { hours, ..Told::default() };
        let one = step(&mut kernel, at, &told);
        assert_eq!(one, step(&mut other, at, &told), "tick {tick}");
        said += one.0.len() + one.1.len();
        kernel = other;
    }
    assert!(said > 24 * 5, "{said}");
}
