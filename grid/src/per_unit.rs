//! Per unit: every quantity as a share of its base, so that a transformer's ratio disappears.
//!
//! One power base for the whole network and, at each bus, its nominal voltage as the voltage base.
//! With `s` the power base in kVA and `v` the voltage base in kV (line to line):
//!
//! ```text
//! current base    i = s / (√3 v)           in A
//! impedance base  z = v² / (s / 1000)      in Ω
//! ```

/// The power base of every network in kVA.
///
/// Any value gives the same answer; this one keeps low-voltage currents and impedances near one,
/// where a tolerance in per unit means the same for both.
pub const BASE_KVA: f64 = 100.0;

/// The current base at a bus in A.
pub fn base_a(nominal_kv: f64) -> f64 {
    BASE_KVA / (3.0_f64.sqrt() * nominal_kv)
}

/// The impedance base at a bus in Ω.
pub fn base_ohm(nominal_kv: f64) -> f64 {
    nominal_kv * nominal_kv * 1000.0 / BASE_KVA
}

/// Active or reactive power per unit from kW or kvar.
pub fn pu_from_kw(power_kw: f64) -> f64 {
    power_kw / BASE_KVA
}

/// Active or reactive power in kW or kvar from per unit.
pub fn kw_from_pu(power_pu: f64) -> f64 {
    power_pu * BASE_KVA
}
