//! Where the sun is.
//!
//! The low-precision formulas of the Astronomical Almanac as Michalsky gives them ("The
//! Astronomical Almanac's algorithm for approximate solar position (1950-2050)", Solar Energy 40,
//! 1988), which states an error of 0.01 degrees until 2050. Checked in the tests against the
//! worked example of Reda and Andreas (NREL/TP-560-34302, 2008). Refraction is that of Michalsky's
//! paper for a standard atmosphere.

use serde::Deserialize;
use serde::Serialize;

/// A place on Earth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Degrees north, negative south.
    pub latitude_deg: f64,
    /// Degrees east, negative west.
    pub longitude_deg: f64,
}

/// Where the sun stands, seen from a place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sun {
    /// Degrees above the horizon, as seen through air (refraction included).
    pub elevation_deg: f64,
    /// Degrees from north over east.
    pub azimuth_deg: f64,
    /// Irradiance outside the atmosphere on a surface that faces the sun, W/m².
    pub extraterrestrial_wm2: f64,
}

/// Days since noon of 2000-01-01 UTC.
fn days(at_ms: i64) -> f64 {
    (at_ms - 946_728_000_000) as f64 / 86_400_000.0
}

/// Declination, hour angle at longitude 0 (degrees) and the square of (mean distance / distance).
pub(super) fn ephemeris(at_ms: i64) -> (f64, f64, f64) {
    let n = days(at_ms);
    let mean_longitude = 280.460 + 0.985_647_4 * n;
    let anomaly = (357.528 + 0.985_600_3 * n).to_radians();
    let longitude =
        (mean_longitude + 1.915 * anomaly.sin() + 0.020 * (2.0 * anomaly).sin()).to_radians();
    let obliquity = (23.439 - 0.000_000_4 * n).to_radians();
    let ascension = (obliquity.cos() * longitude.sin()).atan2(longitude.cos()).to_degrees();
    let declination = (obliquity.sin() * longitude.sin()).asin();
    // Greenwich mean sidereal time in degrees, from the day and its fraction at once.
    let sidereal = 280.460_618_37 + 360.985_647_366_29 * n;
    let hour_angle = (sidereal - ascension).rem_euclid(360.0);
    let distance = 1.000_14 - 0.016_71 * anomaly.cos() - 0.000_14 * (2.0 * anomaly).cos();
    (declination.to_degrees(), hour_angle, distance.powi(-2))
}

/// Where the sun stands at `at_ms`, milliseconds since the epoch in UTC.
#[must_use]
pub fn sun(at_ms: i64, place: Place) -> Sun {
    let (declination, greenwich, nearness) = ephemeris(at_ms);
    let (dec, lat) = (declination.to_radians(), place.latitude_deg.to_radians());
    let hour = (greenwich + place.longitude_deg).to_radians();
    let up = lat.sin() * dec.sin() + lat.cos() * dec.cos() * hour.cos();
    let east = -dec.cos() * hour.sin();
    let north = dec.sin() * lat.cos() - dec.cos() * lat.sin() * hour.cos();
    let true_elevation = up.clamp(-1.0, 1.0).asin().to_degrees();
    Sun {
        elevation_deg: true_elevation + refraction(true_elevation),
        azimuth_deg: east.atan2(north).to_degrees().rem_euclid(360.0),
        extraterrestrial_wm2: SOLAR_CONSTANT_WM2 * nearness,
    }
}

/// Total irradiance at the mean distance (Gueymard 2018; WMO 1367 before).
const SOLAR_CONSTANT_WM2: f64 = 1361.1;

/// Degrees by which air lifts the sun (Michalsky 1988, eq. for -0.56 degrees and above).
fn refraction(elevation: f64) -> f64 {
    if elevation < -0.56 {
        return 0.0;
    }
    let e = elevation;
    3.515_61 * (0.1594 + 0.0196 * e + 0.000_02 * e * e) / (1.0 + 0.505 * e + 0.0845 * e * e)
}
