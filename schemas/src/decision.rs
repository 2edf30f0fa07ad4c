//! What the agents say: forecasts, alarms and the life of every action.
//!
//! Each is a collection like any other: views can be built on it, and each row is also an audit
//! record.

use crate::relation;
use crate::time::Timestamp;

relation! {
    /// One hour of one issued forecast of net load.
    pub struct Forecast in "forecasts" {
        /// What is forecast: `node` or `feeder`.
        pub scope: String,
        /// The bus or feeder.
        pub subject_id: String,
        /// The feeder it belongs to.
        pub feeder_id: String,
        /// The tick that issued it.
        pub issued_at: Timestamp,
        /// Start of the hour it speaks of.
        pub target_at: Timestamp,
        /// The value that one in ten outcomes stays below, mean kW over the hour.
        pub p10_kw: f64,
        /// The middle of the outcomes, mean kW over the hour.
        pub p50_kw: f64,
        /// The value that nine in ten outcomes stay below, mean kW over the hour.
        pub p90_kw: f64,
        /// The model and its version.
        pub model_version: String,
    }
}

relation! {
    /// An alarm was raised or cleared.
    pub struct Alarm in "alarms" {
        /// `kind:subject:tick` of its raising; the same when it is cleared.
        pub alarm_id: String,
        /// The tick that saw it.
        pub tick_at: Timestamp,
        /// `voltage-low`, `voltage-high`, `feeder-overload`, `stale-sensor`, `command-refused`.
        pub kind: String,
        /// The bus, feeder, sensor or command it is about.
        pub subject: String,
        /// The feeder it lies in.
        pub feeder_id: String,
        /// `raised` or `cleared`.
        pub state: String,
        /// What was measured.
        pub value: f64,
        /// The limit it crossed.
        pub limit_value: f64,
        /// In words.
        pub reason: String,
    }
}

relation! {
    /// One step in the life of an action.
    pub struct Action in "actions" {
        /// `tick:asset:sequence` of its proposal.
        pub action_id: String,
        /// The tick of this step.
        pub tick_at: Timestamp,
        /// The device.
        pub asset_id: String,
        /// The feeder it lies in.
        pub feeder_id: String,
        /// Who proposed it: `dispatch`, or the sender of a command.
        pub actor: String,
        /// `proposed`, `cleared`, `refused`, `sent`, `confirmed`, `superseded` or `failed`.
        pub state: String,
        /// Active power in kW; injection into the grid is positive.
        pub active_power_kw: f64,
        /// When the device returns to 0 kW unless refreshed.
        pub valid_until_at: Timestamp,
        /// The rule that decided this step.
        pub rule: String,
        /// Why, in words.
        pub reason: String,
        /// What was looked at: `view@tick column=value …`.
        pub saw: String,
    }
}

/// The tables of decisions, in name order.
pub const DECISIONS: [&str; 3] = ["actions", "alarms", "forecasts"];

/// The identifier of an action: the same input gives the same one, so a replay sends nothing twice.
pub fn action_id(tick: Timestamp, asset_id: &str, sequence: u32) -> String {
    format!("{}:{asset_id}:{sequence}", tick.0)
}
