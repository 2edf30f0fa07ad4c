//! Per unit: every quantity as a share of its base, so that a transformer's ratio disappears.
//!
//! One power base `s` in MVA for the whole network and, at each bus, its nominal voltage `v` in kV
//! (line to line) as the voltage base:
//!
//! ```text
//! current base    i = s / (√3 v)    in kA
//! impedance base  z = v² / s        in ohm
//! ```

/// The current base at a bus in kA.
pub fn base_ka(base_mva: f64, nominal_kv: f64) -> f64 {
    base_mva / (3.0_f64.sqrt() * nominal_kv)
}

/// The impedance base at a bus in ohm.
pub fn base_ohm(base_mva: f64, nominal_kv: f64) -> f64 {
    nominal_kv * nominal_kv / base_mva
}
