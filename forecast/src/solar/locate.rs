//! Where a plant stands, from when it is light there.
//!
//! Each reading is bright or dark (above or below a hundredth of the highest). For a place and a
//! twilight elevation `e0`, a bright reading should have the sun above `e0` and a dark one below;
//! the misfit is the mean of how many degrees it is wrong, cut off at [`WRONG_MAX_DEG`], so that a
//! day under snow counts little. The length of days and how it changes give the latitude, their
//! middle the longitude. The search starts on a grid around the longitude at which the readings
//! balance about noon and halves its steps; it involves no chance.
//!
//! # What it does not do
//!
//! It does not see hills: a mountain in the west ends the day early and moves the place east. What
//! was measured, from 104 days in quarter hours at Golden: 2.3 degrees too far south by irradiance
//! and 3.6 by power, 1.6 and 1.8 too far east; from thirteen months of hours near Canberra: 0.8 and
//! 3.0 too far south, 2.9 and 0.2 too far east. That is enough for clear-sky geometry, which the
//! online model corrects; it is not an address.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;

use crate::series::DAY_MS;
use crate::solar::Place;
use crate::solar::position::ephemeris;

/// Days with both light and darkness that are needed.
const DAYS_MIN: usize = 30;

/// Readings that are looked at: a year of hours. A longer history is thinned evenly.
const READINGS_MAX: usize = 8784;

/// Degrees at which a reading cannot be more wrong.
const WRONG_MAX_DEG: f64 = 10.0;

/// Mean misfit beyond which the series does not follow the sun.
const MISFIT_MAX_DEG: f64 = 1.0;

/// An estimated place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Located {
    /// The place.
    pub place: Place,
    /// Elevation of the sun at which the readings begin, degrees.
    pub twilight_deg: f64,
    /// Mean misfit, degrees.
    pub misfit_deg: f64,
}

/// A reading, reduced to what the search needs.
struct Reading {
    sin_declination: f64,
    cos_declination: f64,
    /// Hour angle at longitude 0, radians.
    greenwich: f64,
    bright: bool,
}

/// Estimates the place of a series of PV power or irradiance (any unit, not negative but for
/// noise), given as instants in UTC at the middle of the interval that each value is a mean of.
///
/// Absent where fewer than 30 days have light and darkness or the series does not follow the sun.
#[must_use]
pub fn locate(series: &[(i64, f64)]) -> Option<Located> {
    let values = || series.iter().filter(|(_, value)| value.is_finite());
    let mut sorted: Vec<f64> = values().map(|(_, value)| *value).collect();
    sorted.sort_by(f64::total_cmp);
    let high = *sorted.get(sorted.len() * 99 / 100)?;
    let threshold = 0.01 * high;
    let with = |bright: bool| -> BTreeSet<i64> {
        let wanted = values().filter(|(_, value)| (*value > threshold) == bright);
        wanted.map(|(at_ms, _)| at_ms.div_euclid(DAY_MS)).collect()
    };
    if high <= 0.0 || with(true).intersection(&with(false)).count() < DAYS_MIN {
        return None;
    }
    let thinned = values().step_by(series.len().div_ceil(READINGS_MAX));
    let readings: Vec<Reading> =
        thinned.map(|(at_ms, value)| Reading::new(*at_ms, *value > threshold)).collect();
    let found = search(&readings, balance(&readings)?);
    (found.misfit_deg <= MISFIT_MAX_DEG).then_some(found)
}

impl Reading {
    fn new(at_ms: i64, bright: bool) -> Self {
        let (declination, greenwich, _) = ephemeris(at_ms);
        let (sin_declination, cos_declination) = declination.to_radians().sin_cos();
        Self { sin_declination, cos_declination, greenwich: greenwich.to_radians(), bright }
    }
}

/// The longitude at which bright readings balance about noon, degrees.
fn balance(readings: &[Reading]) -> Option<f64> {
    let bright = readings.iter().filter(|reading| reading.bright);
    let (east, north) = bright.fold((0.0, 0.0), |(sin, cos), reading| {
        (sin + reading.greenwich.sin(), cos + reading.greenwich.cos())
    });
    (east != 0.0 || north != 0.0).then(|| -east.atan2(north).to_degrees())
}

fn search(readings: &[Reading], longitude: f64) -> Located {
    let try_at = |latitude_deg: f64, longitude_deg: f64, twilight_deg: f64| {
        let place = Place { latitude_deg, longitude_deg };
        let misfit_deg = misfit(readings, place, twilight_deg);
        Located { place, twilight_deg, misfit_deg }
    };
    let mut best = try_at(0.0, longitude, 0.0);
    let mut step = 6.0;
    let tried = |best: &mut Located, (latitude, longitude, twilight): (f64, f64, f64)| {
        let other = try_at(latitude.clamp(-66.0, 66.0), longitude, twilight.clamp(-6.0, 12.0));
        if other.misfit_deg < best.misfit_deg {
            *best = other;
        }
    };
    for latitude in -11..=11 {
        for twilight in -1..=2 {
            tried(&mut best, (step * f64::from(latitude), longitude, 4.0 * f64::from(twilight)));
        }
    }
    while step > 0.05 {
        let from = best;
        for move_ in 0..27 {
            let by = |place: i32| step * f64::from(move_ / place % 3 - 1);
            let Place { latitude_deg, longitude_deg } = from.place;
            let to = (latitude_deg + by(1), longitude_deg + by(3), from.twilight_deg + by(9));
            tried(&mut best, to);
        }
        if best == from {
            step /= 2.0;
        }
    }
    best.place.longitude_deg = (best.place.longitude_deg + 180.0).rem_euclid(360.0) - 180.0;
    best
}

/// By how many degrees the readings are wrong, on average.
fn misfit(readings: &[Reading], place: Place, twilight_deg: f64) -> f64 {
    let (sin_lat, cos_lat) = place.latitude_deg.to_radians().sin_cos();
    let east = place.longitude_deg.to_radians();
    let wrong = |reading: &Reading| {
        let along = reading.cos_declination * (reading.greenwich + east).cos();
        let up = sin_lat * reading.sin_declination + cos_lat * along;
        let above = up.clamp(-1.0, 1.0).asin().to_degrees() - twilight_deg;
        let wrong = if reading.bright { -above } else { above };
        wrong.clamp(0.0, WRONG_MAX_DEG)
    };
    readings.iter().map(wrong).sum::<f64>() / readings.len() as f64
}
