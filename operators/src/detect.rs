//! Watches limits: voltages, feeders, silent sensors.
//!
//! | alarm | raised | cleared |
//! |---|---|---|
//! | `voltage-low`, `voltage-high` | outside the bus's band | 0.5 % of nominal back inside |
//! | `feeder-overload` | the head above its limit | 2 % of the limit below it |
//! | `stale-sensor` | in `stale_sensors` | no longer there |
//!
//! Each is raised once and cleared once, both under one `alarm_id`. An alarm whose row leaves its
//! view is cleared too, and says so: what is not measured any more is another matter
//! (`stale-sensor`).
//!
//! # Bounds
//!
//! One open alarm a kind and subject.

pub mod kernel;

pub use self::kernel::DetectKernel;

#[cfg(test)]
mod tests;
