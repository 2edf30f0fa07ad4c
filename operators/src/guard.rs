//! Judges every proposed action before it may leave: ours and what others ask alike.
//!
//! One rule after the other, and the first that is broken names the refusal:
//!
//! | rule | refuses |
//! |---|---|
//! | `unknown-asset` | a device that is not in `asset_state` under this feeder |
//! | `not-a-number` | a power that is not finite |
//! | `expired` | an action whose time is over before it could act |
//! | `box` | a power outside the device's least and greatest |
//! | `age` | a device not heard lately; where the action draws more, a head not heard lately |
//! | `soc` | a power for which energy, or room for it, does not last until the action runs out |
//! | `ramp` | a change of power that is greater than the device's ramp |
//! | `one-per-tick` | a second action for the device at this tick; dispatch goes first |
//! | `feeder-limit` | what adds to an excess once all left is summed, others' commands first |
//!
//! There is no slack above the limit. A command of another that draws more is cleared only if the
//! head, with everything that was cleared, stays under the limit; what dispatch asks, taken
//! together, may not draw more than the head does where that is above the limit. Renewals of
//! dispatch's own are the exception, which adds nothing: see [`kernel`].
//!
//! A refused command of another agent also raises an alarm `command-refused`. It tells of a
//! happening, not of a condition that lasts, so it is raised and never cleared.
//!
//! # Frontiers
//!
//! An action is judged at the tick it was planned for, against the views of that tick.
//!
//! # Bounds
//!
//! It remembers nothing: its tables are the views.

pub mod kernel;
pub mod rules;

use schemas::decision::Action;

pub use self::kernel::GuardKernel;
use crate::error::HostError;
use crate::face::Scene;
use crate::face::said;
use crate::host::Rows;

/// The face of this agent.
pub trait GuardActions<'s> {
    /// Cleared and refused rows of `actions` for each of `proposed`, against `feeder_now` and
    /// `asset_state`; beside them rows of `alarms`.
    ///
    /// # Errors
    /// A view is missing, or lacks a column that the agent reads.
    fn guard(&self, proposed: &Rows<'s>) -> Result<(Rows<'s>, Rows<'s>), HostError>;
}

impl<'s> GuardActions<'s> for Scene<'_, 's> {
    fn guard(&self, proposed: &Rows<'s>) -> Result<(Rows<'s>, Rows<'s>), HostError> {
        let proposed = said::<Action>(proposed);
        let [judged, alarms] = self.host("guard", GuardKernel::new, &[proposed])?;
        Ok((judged, alarms))
    }
}

#[cfg(test)]
mod tests;
