//! Watches limits: voltages, feeders, silent sensors.
//!
//! | alarm | raised | cleared |
//! |---|---|---|
//! | `voltage-low`, `voltage-high` | outside the bus's band | 0.5 % of nominal back inside |
//! | `feeder-overload` | the head above its limit | 2 % of the limit below it |
//! | `stale-sensor` | in `stale_sensors` | speaks again, or is no longer listed |
//!
//! Each is raised once and cleared once, both under one `alarm_id`. Where a voltage or a head is
//! no longer measured its alarm is cleared too, and says so: that is another matter
//! (`stale-sensor`).
//!
//! Silence is not over because its beginning is forgotten: a sensor whose last word is older than
//! what is retained stays in `stale_sensors`, without a time, and its alarm stays open. Who leaves
//! that view while `sensor_listed` still lists him has said something newer; who is not listed
//! either was taken out of the reference tables, and the reason says so. Who never spoke raises
//! nothing, for there is no time since when.
//!
//! # Bounds
//!
//! One open alarm a kind and subject.

pub mod kernel;

pub use self::kernel::DetectKernel;
use crate::error::HostError;
use crate::face::Scene;
use crate::host::Rows;

/// The face of this agent.
pub trait DetectLimits<'s> {
    /// Rows of `alarms`, from `bus_voltage`, `feeder_now`, `stale_sensors` and `sensor_listed`.
    ///
    /// # Errors
    /// A view is missing, or lacks a column that the agent reads.
    fn detect(&self) -> Result<Rows<'s>, HostError>;
}

impl<'s> DetectLimits<'s> for Scene<'_, 's> {
    fn detect(&self) -> Result<Rows<'s>, HostError> {
        let [alarms] = self.host("detect", DetectKernel::new, &[])?;
        Ok(alarms)
    }
}

#[cfg(test)]
mod tests;
