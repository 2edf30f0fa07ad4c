//! The sun, as far as it is known without being told: where it stands, what it would give under a
//! clear sky, and what a plant would make of it.
//!
//! Read in this order: [`sun`] (position), [`haurwitz_wm2`] and [`ineichen_wm2`] (clear sky),
//! [`erbs`] (what of it is beam), [`on_plane_wm2`] and [`power_kw`] (a plant), [`locate`] (for
//! users who did not say where their plant stands).
//!
//! Instants are milliseconds since the epoch in UTC: the sun keeps no other clock. A value that is
//! a mean over an interval belongs to the middle of it, and the caller says where that is; half an
//! hour is seven and a half degrees.
//!
//! # Errors
//!
//! Position: under 0.01 degrees against the worked example of NREL's SPA. Formulas of light: those
//! of pvlib to its last printed digit. Clear sky against the product of NREL for Golden, 104 days
//! of 2016 in quarter hours (which it interpolates): mean absolute error over mean 3.5 % by
//! Haurwitz, 5.9 % by Ineichen and Perez with the turbidity of pvlib's map. Place: within 4
//! degrees.

mod irradiance;
mod locate;
mod position;

pub use self::irradiance::Array;
pub use self::irradiance::Irradiance;
pub use self::irradiance::air_mass;
pub use self::irradiance::cell_temperature_c;
pub use self::irradiance::erbs;
pub use self::irradiance::haurwitz_wm2;
pub use self::irradiance::ineichen_wm2;
pub use self::irradiance::on_plane_wm2;
pub use self::irradiance::power_kw;
pub use self::locate::Located;
pub use self::locate::locate;
pub use self::position::Place;
pub use self::position::Sun;
pub use self::position::sun;
