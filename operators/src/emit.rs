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
//! 3. **failed**: two ticks have passed since the send.
//!
//! So every action that is sent ends in exactly one of the three, at the latest two ticks later.
//!
//! # Frontiers
//!
//! Telemetry that comes later than those two ticks confirms nothing.
//!
//! # Bounds
//!
//! At most one open action a device.
//!
//! # What it does not do
//!
//! It does not send: whoever writes the audit log sends a `setpoints` row once the tick is durable,
//! and knows by its `action_id` what was sent before a restart.

pub mod kernel;

pub use self::kernel::EmitKernel;

#[cfg(test)]
mod tests;
