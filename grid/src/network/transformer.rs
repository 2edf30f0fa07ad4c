//! A two-winding transformer as a T: half of the short-circuit impedance on each side of a star
//! point, the magnetising branch at the star point.
//!
//! From the data sheet, with `s` the rated power and `s_base` the power base:
//!
//! ```text
//! |z| = vk/100 · s_base/s       r = vkr/100 · s_base/s       x = √(|z|² - r²)
//! |y| = i0/100 · s/s_base       g = pfe/s_base               b = -√(|y|² - g²)
//! ```
//!
//! This is the `t` model of pandapower (its documentation, *Transformer*, equivalent circuit),
//! which is also the model of IEC 60909's data sheets. The vector group turns the low-voltage side
//! back by `shift_deg`. The tap stands in its neutral position, and rated voltages must be those of
//! the buses: an off-nominal ratio is refused, not approximated.

use crate::complex::Complex;
use crate::network::BusIndex;
use crate::network::NetworkError;
use crate::network::check_value;
use crate::per_unit::BASE_KVA;

/// A two-winding transformer.
#[derive(Clone, Debug, PartialEq)]
pub struct Transformer {
    /// Its name.
    pub id: String,
    /// The bus of the high-voltage winding.
    pub hv: BusIndex,
    /// The bus of the low-voltage winding.
    pub lv: BusIndex,
    /// Rated power in kVA.
    pub rated_kva: f64,
    /// Rated voltage of the high-voltage winding in kV.
    pub hv_kv: f64,
    /// Rated voltage of the low-voltage winding in kV.
    pub lv_kv: f64,
    /// Short-circuit voltage in percent.
    pub vk_percent: f64,
    /// Resistive part of the short-circuit voltage in percent.
    pub vkr_percent: f64,
    /// Iron losses in kW.
    pub pfe_kw: f64,
    /// No-load current in percent of the rated current.
    pub i0_percent: f64,
    /// How far the low-voltage side lags the high-voltage side, in degrees.
    pub shift_deg: f64,
}

impl Transformer {
    /// Short-circuit impedance per unit, both halves together.
    pub fn series_z_pu(&self) -> Complex {
        let scale = BASE_KVA / self.rated_kva / 100.0;
        let (z, r) = (self.vk_percent * scale, self.vkr_percent * scale);
        Complex::new(r, (z * z - r * r).sqrt())
    }

    /// Magnetising admittance per unit.
    pub fn magnetising_y_pu(&self) -> Complex {
        let y = self.i0_percent / 100.0 * self.rated_kva / BASE_KVA;
        let g = self.pfe_kw / BASE_KVA;
        Complex::new(g, -(y * y - g * g).max(0.0).sqrt())
    }

    pub(super) fn check(&self, hv_nominal_kv: f64, lv_nominal_kv: f64) -> Result<(), NetworkError> {
        let sides = [("hv", self.hv_kv, hv_nominal_kv), ("lv", self.lv_kv, lv_nominal_kv)];
        for (side, winding_kv, nominal_kv) in sides {
            if winding_kv != nominal_kv {
                let element = self.id.clone();
                return Err(NetworkError::OffNominalRatio {
                    element,
                    side,
                    winding_kv,
                    nominal_kv,
                });
            }
        }
        check_value(&self.id, "rated_kva", self.rated_kva, f64::MIN_POSITIVE)?;
        check_value(&self.id, "vkr_percent", self.vkr_percent, 0.0)?;
        check_value(&self.id, "vk_percent", self.vk_percent, self.vkr_percent)?;
        check_value(&self.id, "pfe_kw", self.pfe_kw, 0.0)?;
        check_value(&self.id, "i0_percent", self.i0_percent, 0.0)?;
        check_value(&self.id, "shift_deg", self.shift_deg, f64::MIN)
    }
}
