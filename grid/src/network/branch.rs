//! A branch: a line or cable between two buses of the same nominal voltage.
//!
//! It is a π: the series impedance in the middle, half of the capacitance at each end.
//!
//! ```text
//! z = (r + jx) · length / z_base          b = 2π f c · length · z_base
//! ```

use std::f64::consts::TAU;

use crate::complex::Complex;
use crate::network::BusIndex;
use crate::network::NetworkError;
use crate::network::check_value;
use crate::per_unit::base_ohm;

/// A line or cable.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// Its name.
    pub id: String,
    /// One end.
    pub from: BusIndex,
    /// The other end.
    pub to: BusIndex,
    /// Length in km.
    pub length_km: f64,
    /// Series resistance in Ω/km.
    pub r_ohm_per_km: f64,
    /// Series reactance in Ω/km.
    pub x_ohm_per_km: f64,
    /// Capacitance to ground in nF/km.
    pub c_nf_per_km: f64,
    /// Rated current in A.
    pub rated_a: f64,
}

impl Branch {
    /// Series impedance per unit at a nominal voltage.
    pub fn series_z_pu(&self, nominal_kv: f64) -> Complex {
        let scale = self.length_km / base_ohm(nominal_kv);
        Complex::new(self.r_ohm_per_km, self.x_ohm_per_km).scale(scale)
    }

    /// Shunt admittance of one end (half of the whole) per unit at a nominal voltage.
    pub fn end_y_pu(&self, nominal_kv: f64, frequency_hz: f64) -> Complex {
        let farad = self.c_nf_per_km * 1e-9 * self.length_km;
        Complex::new(0.0, TAU * frequency_hz * farad * base_ohm(nominal_kv) / 2.0)
    }

    pub(super) fn check(&self, from_kv: f64, to_kv: f64) -> Result<(), NetworkError> {
        if from_kv != to_kv {
            let element = self.id.clone();
            return Err(NetworkError::VoltageMismatch { element, from_kv, to_kv });
        }
        check_value(&self.id, "length_km", self.length_km, 0.0)?;
        check_value(&self.id, "r_ohm_per_km", self.r_ohm_per_km, 0.0)?;
        check_value(&self.id, "x_ohm_per_km", self.x_ohm_per_km, f64::MIN)?;
        check_value(&self.id, "c_nf_per_km", self.c_nf_per_km, 0.0)?;
        check_value(&self.id, "rated_a", self.rated_a, f64::MIN_POSITIVE)
    }
}
