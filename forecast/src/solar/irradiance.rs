//! How much light arrives, and how much of it a plant makes use of.

use serde::Deserialize;
use serde::Serialize;

use crate::solar::Sun;

/// Relative air mass at sea level (Kasten and Young, Applied Optics 28, 1989); absent where the
/// sun is below the horizon.
#[must_use]
pub fn air_mass(sun: Sun) -> Option<f64> {
    let e = sun.elevation_deg;
    (e > 0.0).then(|| 1.0 / (e.to_radians().sin() + 0.505_72 * (e + 6.079_95).powf(-1.6364)))
}

/// Global horizontal irradiance under a clear sky, W/m² (Haurwitz, J. Meteorology 2, 1945, with the
/// 0.059 that pvlib has): it needs neither altitude nor turbidity.
#[must_use]
pub fn haurwitz_wm2(sun: Sun) -> f64 {
    let z = sun.elevation_deg.to_radians().sin();
    if z > 0.0 { 1098.0 * z * (-0.059 / z).exp() } else { 0.0 }
}

/// Global horizontal irradiance under a clear sky, W/m² (Ineichen and Perez, Solar Energy 73,
/// 2002, without the enhancement near the horizon), at an altitude in metres and a Linke turbidity
/// (2 clean and dry, 3 usual, 5 hazy).
#[must_use]
pub fn ineichen_wm2(sun: Sun, altitude_m: f64, turbidity: f64) -> f64 {
    let Some(relative) = air_mass(sun) else { return 0.0 };
    // Pressure over that at sea level: the standard atmosphere.
    let mass = relative * (1.0 - 2.255_77e-5 * altitude_m).powf(5.255_88);
    let (f1, f2) = ((-altitude_m / 8000.0).exp(), (-altitude_m / 1250.0).exp());
    let a = 5.09e-5 * altitude_m + 0.868;
    let b = 3.92e-5 * altitude_m + 0.0387;
    let z = sun.elevation_deg.to_radians().sin();
    let through = (-b * mass * (f1 + f2 * (turbidity - 1.0))).exp();
    (a * sun.extraterrestrial_wm2 * z * through).max(0.0)
}

/// Irradiance on the ground, W/m²: beam towards the sun, diffuse and global on the horizontal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Irradiance {
    /// On the horizontal, all of it.
    pub global_wm2: f64,
    /// On the horizontal, from the sky.
    pub diffuse_wm2: f64,
    /// On a surface that faces the sun, from it.
    pub beam_wm2: f64,
}

/// Splits global irradiance by clearness (Erbs, Klein and Duffie, Solar Energy 28, 1982).
///
/// Below 3 degrees of elevation all is taken as diffuse: dividing by the sine of so little would
/// make a beam out of the error of a sensor.
#[must_use]
pub fn erbs(sun: Sun, global_wm2: f64) -> Irradiance {
    let global = global_wm2.max(0.0);
    let z = sun.elevation_deg.to_radians().sin();
    if sun.elevation_deg < 3.0 {
        return Irradiance { global_wm2: global, diffuse_wm2: global, beam_wm2: 0.0 };
    }
    let k = (global / (sun.extraterrestrial_wm2 * z)).min(1.0);
    let share = match k {
        k if k <= 0.22 => 1.0 - 0.09 * k,
        k if k <= 0.80 => {
            0.9511 - 0.1604 * k + 4.388 * k.powi(2) - 16.638 * k.powi(3) + 12.336 * k.powi(4)
        }
        _ => 0.165,
    };
    let diffuse = share * global;
    Irradiance { global_wm2: global, diffuse_wm2: diffuse, beam_wm2: (global - diffuse) / z }
}

/// How an array stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Array {
    /// Degrees from the horizontal.
    pub tilt_deg: f64,
    /// Degrees from north over east that it faces.
    pub azimuth_deg: f64,
    /// Power at 1000 W/m² and 25 °C, kW (or any unit: the power comes in it).
    pub dc_kw: f64,
    /// What the inverter can give, in the same unit.
    pub ac_max_kw: f64,
    /// Share lost in dirt, wires and mismatch (PVWatts: 0.14).
    pub losses: f64,
    /// Share lost in the inverter at its rating (PVWatts: 0.04).
    pub inverter_losses: f64,
    /// Change of power a kelvin, usually about -0.004.
    pub temperature_coefficient: f64,
}

/// Share of light that the ground throws back: grass.
const ALBEDO: f64 = 0.2;

/// Irradiance on the plane of an array, W/m² (Hay and Davies 1980: the sky around the sun is as
/// bright as the beam, the rest is even; the ground is grass).
#[must_use]
pub fn on_plane_wm2(sun: Sun, light: Irradiance, array: &Array) -> f64 {
    let (tilt, turned) = (array.tilt_deg.to_radians(), sun.azimuth_deg - array.azimuth_deg);
    let e = sun.elevation_deg.to_radians();
    let facing = e.sin() * tilt.cos() + e.cos() * tilt.sin() * turned.to_radians().cos();
    let facing = if sun.elevation_deg > 0.0 { facing.max(0.0) } else { 0.0 };
    let around_sun = (light.beam_wm2 / sun.extraterrestrial_wm2).clamp(0.0, 1.0);
    // Near the horizon the ratio grows without bound: 3 degrees is where beams begin.
    let ratio = facing / e.sin().max(3f64.to_radians().sin());
    let sky = (1.0 - around_sun) * (1.0 + tilt.cos()) / 2.0 + around_sun * ratio;
    let ground = ALBEDO * (1.0 - tilt.cos()) / 2.0;
    light.beam_wm2 * facing + light.diffuse_wm2 * sky + light.global_wm2 * ground
}

/// Temperature of the cells, °C, of an open rack in still air (Ross, 14th IEEE PVSC 1980, with
/// the 0.03 K m²/W of a nominal cell temperature of 44 °C).
#[must_use]
pub fn cell_temperature_c(air_c: f64, on_plane_wm2: f64) -> f64 {
    air_c + 0.03 * on_plane_wm2
}

/// Power at the meter, in the unit of the array (Dobos, "PVWatts version 5 manual",
/// NREL/TP-6A20-62641, 2014, sections 8 and 11).
///
/// The inverter is one constant share and a limit; PVWatts' curve at part load is within 1 % of it
/// above a fifth of the rating.
#[must_use]
pub fn power_kw(array: &Array, on_plane_wm2: f64, cell_c: f64) -> f64 {
    let warm = 1.0 + array.temperature_coefficient * (cell_c - 25.0);
    let dc = array.dc_kw * on_plane_wm2 / 1000.0 * warm * (1.0 - array.losses);
    (dc * (1.0 - array.inverter_losses)).clamp(0.0, array.ac_max_kw)
}
