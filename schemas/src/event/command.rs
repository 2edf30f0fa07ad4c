//! What is asked of devices, what people answer, and what leaves for the devices.

use crate::relation;
use crate::relation::EXAMPLE_AT;
use crate::time::Timestamp;

relation! {
    /// What another agent asks of a device. Judged by `guard` like our own proposals; never sent as
    /// it came.
    pub struct Command in "commands" {
        /// The sender's name for it.
        pub command_id: String = "market-1",
        /// Who asks.
        pub actor: String = "flexibility-market",
        /// The device.
        pub asset_id: String = "battery-07",
        /// When it was asked (event time).
        pub requested_at: Timestamp = EXAMPLE_AT,
        /// The active power asked for in kW; injection into the grid is positive.
        pub active_power_kw: f64 = 2.5,
    }
}

relation! {
    /// A person's answer to an action that waits.
    pub struct Approval in "approvals" {
        /// The action.
        pub action_id: String = "1472666405000:battery-07:0",
        /// Who answers.
        pub operator: String = "ines",
        /// When (event time).
        pub answered_at: Timestamp = EXAMPLE_AT,
        /// `approved` or `rejected`.
        pub answer: String = "approved",
        /// Why, in the person's words.
        pub reason: Option<String> = "the feeder is near its limit".to_owned(),
    }
}

relation! {
    /// What leaves for a device. Only `emit` writes it, after the audit record is durable.
    pub struct Setpoint in "setpoints" {
        /// The action it carries out; the device treats a second one with the same id as the first.
        pub action_id: String = "1472666405000:battery-07:0",
        /// The device.
        pub asset_id: String = "battery-07",
        /// The tick that decided it.
        pub tick_at: Timestamp = EXAMPLE_AT.plus(5_000),
        /// Active power to hold in kW; injection into the grid is positive.
        pub active_power_kw: f64 = 2.5,
        /// Unless refreshed before, the device returns to 0 kW at this instant.
        pub valid_until_at: Timestamp = EXAMPLE_AT.plus(20_000),
    }
}
