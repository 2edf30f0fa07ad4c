//! What the agents say: forecasts, alarms and the life of every action.
//!
//! Each is a collection like any other: views can be built on it, and each row is also an audit
//! record.

use crate::relation;
use crate::relation::EXAMPLE_AT;
use crate::time::HOUR_MS;
use crate::time::Timestamp;

relation! {
    /// One hour of one issued forecast: of net load, import positive, or of a plant's power,
    /// injection positive.
    pub struct Forecast in "forecasts" {
        /// What is forecast: `meter`, `node`, `feeder`, `zone` or `system` (net load), or `plant`
        /// (its power, which the net load of its node holds already). A `meter` is one of several
        /// at its bus.
        pub scope: String = "feeder",
        /// The meter, bus, feeder, zone or asset; of the system, `system`.
        pub subject_id: String = "feeder-1",
        /// The feeder it belongs to; empty for zones and the system.
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
        /// What the middle is made of, in kW: parts that add up to it within rounding, the largest
        /// first; last, as `tree`, what adding up with what lies above and below it added.
        pub because: String = "same hour yesterday 117.00, missed of late +1.00",
        /// What was looked at: `view@tick column=value …`.
        pub saw: String = "node_hour@1472666400000",
    }
}

relation! {
    /// What is expected of one of the coming four quarters of an hour: issued each time one ends,
    /// for the control loop.
    pub struct ShortForecast in "short_forecasts" {
        /// What is forecast: `node`, `feeder`, `zone`, `system` or `plant`.
        pub scope: String = "feeder",
        /// The bus, feeder, zone or asset; of the system, `system`.
        pub subject_id: String = "feeder-1",
        /// The feeder it belongs to; empty for zones and the system.
        pub feeder_id: String = "feeder-1",
        /// The tick that issued it.
        pub issued_at: Timestamp = EXAMPLE_AT,
        /// Start of the quarter it speaks of.
        pub target_at: Timestamp = EXAMPLE_AT.plus(HOUR_MS / 4),
        /// Mean net load in kW that one outcome in ten lies below; of a plant, mean power, and
        /// injection is positive.
        pub p10_kw: f64 = 52.0,
        /// The same that half of the outcomes lie below.
        pub p50_kw: f64 = 57.0,
        /// The same that nine outcomes in ten lie below.
        pub p90_kw: f64 = 62.0,
        /// Who says it: `short-1`; `persistence-1` where no hour was forecast; `sum-1` of a zone or
        /// the system, whose median is the sum of those below.
        pub model_version: String = "short-1",
        /// What was looked at: `view@tick column=value …`.
        pub saw: String = "node_quarter@1472666400000",
    }
}

relation! {
    /// A version of a model began to answer, or ceased to.
    pub struct ModelVersion in "model_versions" {
        /// The bus, feeder, zone or asset that it forecasts; of the system, `system`.
        pub subject_id: String = "feeder-1",
        /// What that is: `meter`, `node`, `feeder`, `zone`, `system` or `plant`.
        pub scope: String = "feeder",
        /// The feeder it belongs to; empty for zones and the system.
        pub feeder_id: String = "feeder-1",
        /// The tick at which it did.
        pub tick_at: Timestamp = EXAMPLE_AT,
        /// Its number among the versions for this subject, from 1.
        pub version: i64 = 1,
        /// What kind of model it is: `ridge`, or `ridge+trees`; of a plant `pv-ridge`,
        /// `wind-cosines`, ….
        pub model: String = "ridge",
        /// `promoted`: it answers from now on; `retired`: another does; `rolled-back`: an earlier
        /// one does again; `held`, `released`, `refused`: what came of a row of `model_orders`.
        pub state: String = "promoted",
        /// The first hour that it has learned from.
        pub window_from_at: Timestamp = EXAMPLE_AT.minus(720 * HOUR_MS),
        /// The end of the last hour that it had learned from when it began.
        pub window_to_at: Timestamp = EXAMPLE_AT,
        /// What it looks at, in words; empty where it ceased.
        pub features: String = "53 columns: calendar, past load, station-1 temperature",
        /// Its structure as JSON, from which and from the hours it can be learned again; empty
        /// where it ceased.
        pub parameters: String = "{}",
        /// Mean absolute error in kW of the version before, over the days that decided.
        pub champion_mae_kw: Option<f64> = 8.4,
        /// The same of this one.
        pub challenger_mae_kw: Option<f64> = 7.9,
        /// The chance that the difference is luck.
        pub p_luck: Option<f64> = 0.01,
        /// The version of the program that made it.
        pub code_version: String = "0.1.0",
        /// Why, in words.
        pub reason: String = "the first with enough history",
        /// What was looked at: `view@tick column=value …`.
        pub saw: String = "load_history@1472666400000",
    }
}

relation! {
    /// An alarm was raised or cleared.
    pub struct Alarm in "alarms" {
        /// `kind:subject:tick` of its raising, with what else tells it from others of its kind
        /// between them; the same when it is cleared.
        pub alarm_id: String = "feeder-overload:feeder-1:1472666405000",
        /// The tick that saw it.
        pub tick_at: Timestamp = EXAMPLE_AT.plus(5_000),
        /// `voltage-low`, `voltage-high`, `feeder-overload`, `stale-sensor`, `bad-data`,
        /// `topology-error`, `command-refused`, `forecast-drift`, `load-doubtful`.
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

/// The kind of alarm that it raises about a point; all others but [`FORECAST_DRIFT`] and
/// [`LOAD_DOUBTFUL`] are detect's.
pub const BAD_DATA: &str = "bad-data";

/// The kind of alarm that is raised about a model which no longer describes its series. It is about
/// a bus or feeder, and not cleared.
pub const FORECAST_DRIFT: &str = "forecast-drift";

/// The kind of alarm about a measured load, or power of a plant, that a forecast does not learn
/// from, or about a load whose level moved.
pub const LOAD_DOUBTFUL: &str = "load-doubtful";

/// The tables of decisions, in name order.
pub const DECISIONS: [&str; 5] =
    ["actions", "alarms", "forecasts", "model_versions", "short_forecasts"];

/// The identifier of an action: the same input gives the same one, so a replay sends nothing twice.
pub fn action_id(tick: Timestamp, asset_id: &str, sequence: u32) -> String {
    format!("{}:{asset_id}:{sequence}", tick.0)
}
