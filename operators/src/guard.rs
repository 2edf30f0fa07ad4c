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

pub use self::kernel::GuardKernel;

#[cfg(test)]
mod tests;
