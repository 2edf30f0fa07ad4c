//! The views that agents read, as contracts: columns, types, units.
//!
//! A data engineer may redefine how a view is made; as long as these columns are there, the agents
//! run. Extra columns are welcome and ignored.

use crate::relation;
use crate::relation::EXAMPLE_AT;
use crate::time::HOUR_MS;
use crate::time::Timestamp;

/// What stands behind the name of a phasor measurement unit in `point_values` and `points` where
/// its angle is meant; its magnitude has the bare name.
pub const ANGLE: &str = "/angle";

relation! {
    /// Mean net load of a bus over an hour, without what its battery did.
    pub struct NodeHour in "node_hour" {
        /// The bus.
        pub bus_id: String = "bus-17",
        /// The feeder it hangs on.
        pub feeder_id: String = "feeder-1",
        /// Start of the hour.
        pub hour_at: Timestamp = EXAMPLE_AT,
        /// Mean net load in kW so far; import is positive.
        pub net_load_kw: f64 = 1.75,
    }
}

relation! {
    /// Mean power of a meter that shares its bus with others, over an hour that is over.
    pub struct SharedMeterHour in "shared_meter_hour" {
        /// The meter.
        pub meter_id: String = "meter-07",
        /// The bus it stands at.
        pub bus_id: String = "bus-17",
        /// The feeder that bus hangs on.
        pub feeder_id: String = "feeder-1",
        /// Start of the hour.
        pub hour_at: Timestamp = EXAMPLE_AT,
        /// Mean active power in kW; import is positive.
        pub active_power_kw: f64 = 0.75,
    }
}

relation! {
    /// Mean net load of a bus over a quarter of an hour that is over, without what its battery did.
    pub struct NodeQuarter in "node_quarter" {
        /// The bus.
        pub bus_id: String = "bus-17",
        /// The feeder it hangs on.
        pub feeder_id: String = "feeder-1",
        /// Start of the quarter.
        pub quarter_at: Timestamp = EXAMPLE_AT,
        /// Mean net load in kW; import is positive.
        pub net_load_kw: f64 = 1.75,
    }
}

relation! {
    /// Mean power of a PV or wind plant over an hour.
    pub struct PlantHour in "plant_hour" {
        /// The plant, as in `assets`.
        pub asset_id: String = "pv-07",
        /// The feeder it lies in.
        pub feeder_id: String = "feeder-1",
        /// Start of the hour.
        pub hour_at: Timestamp = EXAMPLE_AT,
        /// `measured`, or `history` where it comes from the table `plant_history`.
        pub origin: String = "measured",
        /// Mean active power in kW so far; injection is positive.
        pub power_kw: f64 = 2.25,
    }
}

relation! {
    /// Mean power of a PV or wind plant over a quarter of an hour that is over.
    pub struct PlantQuarter in "plant_quarter" {
        /// The plant, as in `assets`.
        pub asset_id: String = "pv-07",
        /// The feeder it lies in.
        pub feeder_id: String = "feeder-1",
        /// Start of the quarter.
        pub quarter_at: Timestamp = EXAMPLE_AT,
        /// Mean active power in kW; injection is positive.
        pub power_kw: f64 = 2.25,
    }
}

relation! {
    /// What a weather station saw over an hour, for each feeder: a feeder sees every station.
    pub struct WeatherHour in "weather_hour" {
        /// The station.
        pub station_id: String = "station-1",
        /// The feeder that it is told to.
        pub feeder_id: String = "feeder-1",
        /// Start of the hour.
        pub hour_at: Timestamp = EXAMPLE_AT,
        /// `measured`, or `history` where it comes from the table `weather_history`.
        pub origin: String = "measured",
        /// Mean air temperature in degrees Celsius so far.
        pub temperature_c: f64 = 31.5,
        /// Mean global irradiance in W/m² so far: diffuse and direct.
        pub global_w_per_m2: Option<f64> = 496.0,
        /// Mean wind speed in m/s so far.
        pub wind_m_per_s: Option<f64> = None,
    }
}

relation! {
    /// What was last expected of an hour's weather, for each feeder.
    pub struct WeatherAhead in "weather_ahead" {
        /// The station or grid point.
        pub station_id: String = "station-1",
        /// The feeder that it is told to.
        pub feeder_id: String = "feeder-1",
        /// Start of the hour that it speaks of.
        pub hour_at: Timestamp = EXAMPLE_AT,
        /// When it was issued.
        pub issued_at: Timestamp = EXAMPLE_AT.minus(6 * HOUR_MS),
        /// Air temperature in degrees Celsius.
        pub temperature_c: f64 = 32.0,
        /// Global irradiance in W/m².
        pub global_w_per_m2: Option<f64> = 350.0,
        /// Wind speed in m/s.
        pub wind_m_per_s: Option<f64> = 2.5,
    }
}

relation! {
    /// What a feeder draws now.
    pub struct FeederNow in "feeder_now" {
        /// The feeder.
        pub feeder_id: String = "feeder-1",
        /// When its head was measured last.
        pub measured_at: Timestamp = EXAMPLE_AT,
        /// Active power at the head in kW; import is positive.
        pub head_kw: f64 = 112.4,
        /// The most it may draw, in kW.
        pub limit_kw: f64 = 114.0,
    }
}

relation! {
    /// A controllable device and what it said last.
    pub struct AssetState in "asset_state" {
        /// The device.
        pub asset_id: String = "battery-07",
        /// The feeder it lies in.
        pub feeder_id: String = "feeder-1",
        /// Its kind, as in `assets`.
        pub kind: String = "battery",
        /// Least active power in kW.
        pub power_kw_min: f64 = -5.0,
        /// Greatest active power in kW.
        pub power_kw_max: f64 = 5.0,
        /// Greatest change of power between two ticks in kW.
        pub ramp_kw_max: f64 = 5.0,
        /// Energy it can hold in kWh.
        pub energy_kwh_max: f64 = 6.4,
        /// Share of energy that survives one way.
        pub efficiency: f64 = 0.95,
        /// When it spoke last; NULL while it has not.
        pub measured_at: Option<Timestamp> = EXAMPLE_AT,
        /// Its active power in kW; injection is positive.
        pub active_power_kw: Option<f64> = 2.5,
        /// Energy stored in kWh.
        pub state_of_charge_kwh: Option<f64> = 3.2,
    }
}

relation! {
    /// The voltage at a bus and its limits.
    pub struct BusVoltage in "bus_voltage" {
        /// The bus.
        pub bus_id: String = "bus-17",
        /// The feeder it hangs on.
        pub feeder_id: String = "feeder-1",
        /// When it was measured last.
        pub measured_at: Timestamp = EXAMPLE_AT,
        /// Voltage magnitude, per unit of nominal.
        pub voltage_pu: f64 = 0.982,
        /// Lower limit, per unit.
        pub voltage_pu_min: f64 = 0.9,
        /// Upper limit, per unit.
        pub voltage_pu_max: f64 = 1.1,
    }
}

relation! {
    /// A sensor, meter or device that has been silent for longer than it may be.
    pub struct StaleSensor in "stale_sensors" {
        /// The sensor, meter or device.
        pub sensor_id: String = "meter-07",
        /// The feeder it lies in.
        pub feeder_id: String = "feeder-1",
        /// When it spoke last; NULL where nothing that it said is retained.
        pub last_seen_at: Option<Timestamp> = EXAMPLE_AT.minus(90_000),
        /// How long it may be silent, in milliseconds.
        pub stale_after_ms: i64 = 60_000,
    }
}

relation! {
    /// A sensor, meter or device that stands in the reference tables.
    pub struct SensorListed in "sensor_listed" {
        /// The sensor, meter or device.
        pub sensor_id: String = "meter-07",
        /// The feeder it lies in.
        pub feeder_id: String = "feeder-1",
    }
}

relation! {
    /// Where a switch stands.
    pub struct SwitchState in "switch_state" {
        /// The switch.
        pub switch_id: String = "switch-12",
        /// The branch it opens.
        pub branch_id: String = "line-17",
        /// The feeder it belongs to.
        pub feeder_id: String = "feeder-1",
        /// `open`, `closed` or `intermediate`.
        pub position: String = "open",
        /// Since when; NULL where nothing was heard.
        pub changed_at: Option<Timestamp> = EXAMPLE_AT,
    }
}

relation! {
    /// A value of a point of the point map: the last one, and those of the last minutes.
    pub struct PointValue in "point_values" {
        /// The sensor or meter.
        pub point_id: String = "head-active-power",
        /// The feeder that it helps to estimate.
        pub feeder_id: String = "feeder-1",
        /// Its event time: of a mean, the start of its interval.
        pub measured_at: Timestamp = EXAMPLE_AT,
        /// As it was said, in the sensor's unit.
        pub value: f64 = 112.4,
        /// Counts corrections of the same value; 0 is the first word.
        pub revision: i64 = 0,
        /// Of an angle the frequency at that instant in Hz, by which it turns; else NULL.
        pub frequency_hz: Option<f64> = None,
    }
}
