//! What kind of series it is, where nobody says so.

use std::path::Path;

use forecast::model::Kind;
use forecast::series::DAY_MS;

use super::Grid;
use crate::cli::forecast::columns;

/// Share of the largest value below which a plant makes nothing.
const DARK_SHARE: f64 = 0.02;

/// Hours of a day that are dark everywhere but near the poles.
const DARK_HOURS_MIN: usize = 5;

/// By name (`wf1_pu`, `pv_…`, `net_load_mw`), by nights in which nothing is made, or by values
/// below zero; a load otherwise.
pub(super) fn infer(target: &str, path: &Path, training: &[f64], grid: Grid) -> Kind {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let own = columns::words(target);
    let has =
        |words: &[String], names: &[&str]| words.iter().any(|word| names.contains(&word.as_str()));
    let farm = |word: &String| {
        word.strip_prefix("wf").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()))
    };
    if has(&own, &["net"]) {
        return Kind::NetLoad;
    }
    if has(&own, &["pv", "solar"]) {
        return Kind::Pv;
    }
    if has(&own, &["wind"]) || own.iter().any(farm) {
        return Kind::Wind;
    }
    if !has(&own, &["load", "demand", "consumption"]) {
        let file = columns::words(&stem);
        if has(&file, &["wind"]) {
            return Kind::Wind;
        }
        if has(&file, &["pv", "solar"]) || dark_at_night(training, grid) {
            return Kind::Pv;
        }
    }
    let file = columns::words(&stem);
    let net = training.iter().any(|value| *value < 0.0) || has(&file, &["substation", "netload"]);
    if net { Kind::NetLoad } else { Kind::Load }
}

/// Whether at some hours of the day next to nothing is ever made, and at others much is.
fn dark_at_night(training: &[f64], grid: Grid) -> bool {
    let mut most = [0.0_f64; 24];
    for (index, value) in (grid.first..).zip(training).filter(|(_, value)| value.is_finite()) {
        let of_day_ms = (index * grid.step_ms).rem_euclid(DAY_MS);
        let hour = (of_day_ms * 24 / DAY_MS) as usize;
        most[hour] = most[hour].max(value.abs());
    }
    let largest = most.iter().copied().fold(0.0, f64::max);
    let dark = most.iter().filter(|value| **value <= DARK_SHARE * largest).count();
    largest > 0.0 && dark >= DARK_HOURS_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &str, file: &str, value: impl Fn(i64) -> f64, expected: Kind) {
        let training: Vec<f64> = (0..24 * 30).map(value).collect();
        let grid = Grid { step_ms: 3_600_000, first: 0, steps: 0, ahead_ms: 0, begin_ms: 0 };
        assert_eq!(infer(target, Path::new(file), &training, grid), expected, "{target}");
    }

    #[test]
    fn names_tell_what_is_made_and_what_is_used() {
        check("wf1_pu", "x.csv", |_| 0.5, Kind::Wind);
        check("R80711_kw", "wind_lahauteborne.csv", |_| 0.5, Kind::Wind);
        check("b01_pv_w_per_kwp", "homes.csv", |_| 0.5, Kind::Pv);
        check("net_load_mw", "x.csv", |_| 0.5, Kind::NetLoad);
        check("load_mw", "substation_openstef_nl_pid287.csv", |_| 0.5, Kind::NetLoad);
        check("load_mw", "load_vic.csv", |_| 0.5, Kind::Load);
    }

    #[test]
    fn nights_without_power_are_a_photovoltaic_plant() {
        let day = |index: i64| if (6..18).contains(&(index % 24)) { 0.7 } else { 0.001 };
        check("power_pu", "x.csv", day, Kind::Pv);
        check("power_pu", "x.csv", |index| day(index) + 0.1, Kind::Load);
    }

    #[test]
    fn a_load_below_zero_is_a_net_load() {
        check("load_mw", "x.csv", |index| (index % 24) as f64 - 3.0, Kind::NetLoad);
    }
}
