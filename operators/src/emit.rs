//! Follows each cleared action to its one end, and says what may leave for the devices.
//!
//! ```text
//! cleared ──▶ sent ──▶ confirmed | superseded | failed
//! ```
//!
//! A cleared action is `sent` at the tick that cleared it, with a row for `setpoints`. At each tick
//! after, in this order, the first that holds ends it:
//!
//! 1. **confirmed**: the device's telemetry, measured at or after the send, is within 0.2 kW of the
//!    setpoint;
//! 2. **superseded**: a newer action for the device is sent at this tick;
//! 3. **failed**: two ticks have passed since the send; of a device that has shown to be slower, as
//!    many as it takes ([`pace`](crate::pace)), at most twelve.
//!
//! So every action that is sent ends in exactly one of the three, at the latest then. What a device
//! does after that is still listened to: who is late is given more time the next time.
//!
//! # Frontiers
//!
//! Telemetry that comes later than those ticks confirms nothing.
//!
//! # Bounds
//!
//! At most one open action a device, and how long its newest sixteen answers took.
//!
//! # What it does not do
//!
//! It does not send: whoever writes the audit log sends a `setpoints` row once the tick is durable,
//! and knows by its `action_id` what was sent before a restart.

pub mod kernel;

use schemas::decision::Action;

pub use self::kernel::EmitKernel;
use crate::error::HostError;
use crate::face::Scene;
use crate::face::said;
use crate::host::Rows;

/// The face of this agent.
pub trait EmitSetpoints<'s> {
    /// What becomes of each cleared action, as rows of `actions`, by what `asset_state` shows;
    /// beside them rows of `setpoints`.
    ///
    /// # Errors
    /// A view is missing, or lacks a column that the agent reads.
    fn emit(&self, judged: &Rows<'s>) -> Result<(Rows<'s>, Rows<'s>), HostError>;
}

impl<'s> EmitSetpoints<'s> for Scene<'_, 's> {
    fn emit(&self, judged: &Rows<'s>) -> Result<(Rows<'s>, Rows<'s>), HostError> {
        let judged = said::<Action>(judged);
        let [followed, setpoints] = self.host("emit", EmitKernel::new, &[judged])?;
        Ok((followed, setpoints))
    }
}

#[cfg(test)]
mod tests;
