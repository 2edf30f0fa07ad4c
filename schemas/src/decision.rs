//! What the agents say: forecasts, alarms and the life of every action.
//!
//! Each is a collection like any other: views can be built on it, and each row is also an audit
//! record.

use crate::relation;
use crate::relation::EXAMPLE_AT;
use crate::time::HOUR_MS;
use crate::time::Timestamp;

relation! {
    /// One hour of one issued forecast of net load.
    pub struct Forecast in "forecasts" {
        /// What is forecast: `node` or `feeder`.
        pub scope: String = "feeder",
        /// The bus or feeder.
        pub subject_id: String = "feeder-1",
        /// The feeder it belongs to.
        pub feeder_id: String = "feeder-1",
        /// The tick that issued it.
        pub issued_at: Timestamp = EXAMPLE_AT,
        /// Start of the hour it speaks of.
        pub target_at: Timestamp = EXAMPLE_AT.plus(HOUR_MS),
        /// The value that one in ten outcomes stays below, mean kW over the hour.
        pub p10_kw: f64 = 104.0,
        /// The middle of the outcomes, mean kW over the hour.
        pub p50_kw: f64 = 118.0,
        /// The value that nine in ten outcomes stay below, mean kW over the hour.
        pub p90_kw: f64 = 131.0,
        /// The model and its version.
        pub model_version: String = "seasonal-1",
        /// What was looked at: `view@tick column=value …`.
        pub saw: String = "node_hour@1472666400000",
    }
}

relation! {
    /// An alarm was raised or cleared.
    pub struct Alarm in "alarms" {
        /// `kind:subject:tick` of its raising; the same when it is cleared.
        pub alarm_id: String = "feeder-overload:feeder-1:1472666405000",
        /// The tick that saw it.
        pub tick_at: Timestamp = EXAMPLE_AT.plus(5_000),
        /// `voltage-low`, `voltage-high`, `feeder-overload`, `stale-sensor`, `bad-data`,
        /// `topology-error`, `command-refused`.
        pub kind: String = "feeder-overload",
        /// The bus, feeder, sensor, switch or command it is about.
        pub subject: String = "feeder-1",
        /// The feeder it lies in.
        pub feeder_id: String = "feeder-1",
        /// `raised` or `cleared`.
        pub state: String = "raised",
        /// What was measured.
        pub value: f64 = 115.2,
        /// The limit it crossed.
        pub limit_value: f64 = 114.0,
        /// In words.
        pub reason: String = "feeder-1 draws 115.2 kW, more than its 114.0 kW",
        /// What was looked at: `view@tick column=value …`.
        pub saw: String = "feeder_now@1472666405000 head_kw=115.2",
    }
}

relation! {
    /// One step in the life of an action.
    pub struct Action in "actions" {
        /// `tick:asset:sequence` of its proposal.
        pub action_id: String = "1472666405000:battery-07:0",
        /// The tick of this step.
        pub tick_at: Timestamp = EXAMPLE_AT.plus(5_000),
        /// The device.
        pub asset_id: String = "battery-07",
        /// The feeder it lies in.
        pub feeder_id: String = "feeder-1",
        /// Who proposed it: `dispatch`, or the sender of a command.
        pub actor: String = "dispatch",
        /// `proposed`, `cleared`, `refused`, `sent`, `confirmed`, `superseded` or `failed`.
        pub state: String = "proposed",
        /// Active power in kW; injection into the grid is positive.
        pub active_power_kw: f64 = 2.5,
        /// When the device returns to 0 kW unless refreshed.
        pub valid_until_at: Timestamp = EXAMPLE_AT.plus(20_000),
        /// The rule that decided this step.
        pub rule: String = "shave",
        /// Why, in words.
        pub reason: String = "feeder-1 is above 0.96 of its limit",
        /// What was looked at: `view@tick column=value …`.
        pub saw: String = "feeder_now@1472666405000 head_kw=112.400",
    }
}

/// The kind of alarm that the guard raises.
pub const COMMAND_REFUSED: &str = "command-refused";

/// The kind of alarm that the estimator raises about a switch that does not stand where it is said
/// to.
pub const TOPOLOGY_ERROR: &str = "topology-error";

/// The kind of alarm that it raises about a point; all others are detect's.
pub const BAD_DATA: &str = "bad-data";

/// The tables of decisions, in name order.
pub const DECISIONS: [&str; 3] = ["actions", "alarms", "forecasts"];

/// The identifier of an action: the same input gives the same one, so a replay sends nothing twice.
pub fn action_id(tick: Timestamp, asset_id: &str, sequence: u32) -> String {
    format!("{}:{asset_id}:{sequence}", tick.0)
}
