//! The views that agents read, as contracts: columns, types, units.
//!
//! A data engineer may redefine how a view is made; as long as these columns are there, the agents
//! run. Extra columns are welcome and ignored.

use crate::relation;
use crate::time::Timestamp;

relation! {
    /// Mean net load of a bus over an hour, without what its battery did.
    pub struct NodeHour in "node_hour" {
        /// The bus.
        pub bus_id: String,
        /// The feeder it hangs on.
        pub feeder_id: String,
        /// Start of the hour.
        pub hour_at: Timestamp,
        /// Mean net load in kW so far; import is positive.
        pub net_load_kw: f64,
    }
}

relation! {
    /// What a feeder draws now.
    pub struct FeederNow in "feeder_now" {
        /// The feeder.
        pub feeder_id: String,
        /// When its head was measured last.
        pub measured_at: Timestamp,
        /// Active power at the head in kW; import is positive.
        pub head_kw: f64,
        /// The most it may draw, in kW.
        pub limit_kw: f64,
    }
}

relation! {
    /// A controllable device and what it said last.
    pub struct AssetState in "asset_state" {
        /// The device.
        pub asset_id: String,
        /// The feeder it lies in.
        pub feeder_id: String,
        /// Its kind, as in `assets`.
        pub kind: String,
        /// Least active power in kW.
        pub power_kw_min: f64,
        /// Greatest active power in kW.
        pub power_kw_max: f64,
        /// Greatest change of power between two ticks in kW.
        pub ramp_kw_max: f64,
        /// Energy it can hold in kWh.
        pub energy_kwh_max: f64,
        /// Share of energy that survives one way.
        pub efficiency: f64,
        /// When it spoke last; NULL while it has not.
        pub measured_at: Option<Timestamp>,
        /// Its active power in kW; injection is positive.
        pub active_power_kw: Option<f64>,
        /// Energy stored in kWh.
        pub state_of_charge_kwh: Option<f64>,
    }
}

relation! {
    /// The voltage at a bus and its limits.
    pub struct BusVoltage in "bus_voltage" {
        /// The bus.
        pub bus_id: String,
        /// The feeder it hangs on.
        pub feeder_id: String,
        /// When it was measured last.
        pub measured_at: Timestamp,
        /// Voltage magnitude, per unit of nominal.
        pub voltage_pu: f64,
        /// Lower limit, per unit.
        pub voltage_pu_min: f64,
        /// Upper limit, per unit.
        pub voltage_pu_max: f64,
    }
}

relation! {
    /// A sensor or meter that has been silent for longer than it may be.
    pub struct StaleSensor in "stale_sensors" {
        /// The sensor, meter or device.
        pub sensor_id: String,
        /// The feeder it lies in.
        pub feeder_id: String,
        /// When it spoke last.
        pub last_seen_at: Timestamp,
        /// How long it may be silent, in milliseconds.
        pub stale_after_ms: i64,
    }
}
