//! The reference tables: what stands in the field and how it hangs together.
//!
//! They are loaded before the first tick and changed by tick, so that history joins the network of
//! its day. A relation of this module is small against the streams: the planner joins reference
//! tables with each other before it joins a stream with them.

use arrow_schema::SchemaRef;

use crate::relation;
use crate::relation::EXAMPLE_AT;
use crate::relation::Relation;
use crate::time::HOUR_MS;
use crate::time::Timestamp;

relation! {
    /// A node of the network.
    pub struct Bus in "buses" {
        /// The bus.
        pub bus_id: String = "bus-17",
        /// The feeder it hangs on.
        pub feeder_id: String = "feeder-1",
        /// Nominal line-to-line voltage in kV.
        pub nominal_kv: f64 = 0.4,
        /// Lower voltage limit, per unit of nominal.
        pub voltage_pu_min: f64 = 0.9,
        /// Upper voltage limit, per unit of nominal.
        pub voltage_pu_max: f64 = 1.1,
    }
}

relation! {
    /// A line or cable.
    pub struct Branch in "branches" {
        /// The branch.
        pub branch_id: String = "line-17",
        /// The end nearer to the source.
        pub from_bus_id: String = "bus-16",
        /// The other end.
        pub to_bus_id: String = "bus-17",
        /// The feeder it belongs to.
        pub feeder_id: String = "feeder-1",
        /// Length in km.
        pub length_km: f64 = 0.02,
        /// Series resistance in ohm/km.
        pub r_ohm_per_km: f64 = 0.2067,
        /// Series reactance in ohm/km.
        pub x_ohm_per_km: f64 = 0.0804,
        /// Capacitance to ground in nF/km.
        pub c_nf_per_km: f64 = 829.0,
        /// Rated current in A.
        pub rated_a: f64 = 275.0,
    }
}

relation! {
    /// A two-winding transformer.
    pub struct Transformer in "transformers" {
        /// The transformer.
        pub transformer_id: String = "transformer-1",
        /// Its high-voltage bus.
        pub hv_bus_id: String = "bus-0",
        /// Its low-voltage bus.
        pub lv_bus_id: String = "bus-1",
        /// The feeder it feeds.
        pub feeder_id: String = "feeder-1",
        /// Rated power in kVA.
        pub rated_kva: f64 = 400.0,
        /// Rated voltage of the high-voltage winding in kV. This and what follows is its name
        /// plate; where a part of it is NULL, the state of its feeder is not estimated.
        pub hv_kv: Option<f64> = 10.0,
        /// Rated voltage of the low-voltage winding in kV.
        pub lv_kv: Option<f64> = 0.4,
        /// Short-circuit voltage in percent.
        pub vk_percent: Option<f64> = 4.0,
        /// Resistive part of the short-circuit voltage in percent.
        pub vkr_percent: Option<f64> = 1.325,
        /// Iron losses in kW.
        pub pfe_kw: Option<f64> = 0.95,
        /// No-load current in percent of the rated current.
        pub i0_percent: Option<f64> = 0.2375,
        /// How far the low-voltage side lags, in degrees: 30 times its clock number.
        pub shift_deg: Option<f64> = 150.0,
    }
}

relation! {
    /// A switch or breaker.
    pub struct Switch in "switches" {
        /// The switch.
        pub switch_id: String = "switch-12",
        /// The branch it opens.
        pub branch_id: String = "line-17",
        /// The feeder it belongs to.
        pub feeder_id: String = "feeder-1",
        /// Where it stands when nothing was heard: `open` or `closed`.
        pub normal_position: String = "closed",
    }
}

relation! {
    /// Everything behind one head.
    pub struct Feeder in "feeders" {
        /// The feeder.
        pub feeder_id: String = "feeder-1",
        /// The price zone it lies in.
        pub zone_id: String = "zone-1",
        /// The branch or transformer at its head.
        pub head_branch_id: String = "transformer-1",
        /// The most it may draw, in kW.
        pub limit_kw: f64 = 114.0,
    }
}

relation! {
    /// A meter at a connection point.
    pub struct Meter in "meters" {
        /// The meter.
        pub meter_id: String = "meter-07",
        /// The bus it stands at.
        pub bus_id: String = "bus-17",
        /// The feeder that bus hangs on.
        pub feeder_id: String = "feeder-1",
        /// Where its readings come from: `measured`, or `copy` where they are made from another
        /// home's.
        pub origin: String = "copy",
    }
}

relation! {
    /// A sensor whose values arrive in `scada_measurements`.
    pub struct Sensor in "sensors" {
        /// The sensor.
        pub sensor_id: String = "head-active-power",
        /// The bus it stands at.
        pub bus_id: String = "bus-1",
        /// The feeder that bus hangs on.
        pub feeder_id: String = "feeder-1",
        /// What it measures, unit last: `voltage_pu`, `head_active_power_kw`,
        /// `head_reactive_power_kvar`, ….
        pub quantity: String = "head_active_power_kw",
        /// How long it may be silent before it is called stale, in milliseconds.
        pub stale_after_ms: i64 = 30_000,
    }
}

relation! {
    /// The point map: what of the network a sensor or meter measures, and how well.
    ///
    /// An injection into a bus is positive, a flow from the bus into the branch is; a meter's value
    /// and a head's are of the other sign, which `scale` turns.
    pub struct Point in "points" {
        /// The name under which its values come: a sensor's, a meter's, a phasor measurement unit's
        /// (of its angle, with `/angle` behind it).
        pub point_id: String = "head-active-power",
        /// The feeder that it helps to estimate.
        pub feeder_id: String = "feeder-1",
        /// What `element_id` names: `bus`, `branch` (or transformer), `meter`, which is what is
        /// connected behind it, or, of a network file, `injection`, `winding` or `switch`. Of an
        /// unbalanced file a bus is a node and a branch a conductor, as the estimates call them,
        /// and there is `tap`, of a winding.
        pub element: String = "branch",
        /// The element.
        pub element_id: String = "transformer-1",
        /// Of a branch, the end: `from` (of a transformer, its high-voltage side) or `to`; of a
        /// conductor also the number of a terminal.
        pub side: Option<String> = "to".to_owned(),
        /// `voltage_pu`, `active_power_kw`, `reactive_power_kvar`, `current_a`, `voltage_angle_rad`
        /// or `current_angle_rad`; of a switch `position`, 1 where closed; of a tap `tap_step`,
        /// from the middle of its range, or `tap_pu`.
        pub quantity: String = "active_power_kw",
        /// What a value is multiplied by to become that quantity; its sign is part of it.
        pub scale: f64 = -1.0,
        /// Standard deviation of a fresh value, in the quantity's unit.
        pub sigma: f64 = 0.2,
        /// What a value that is not renewed loses a second, in the quantity's unit: the variance at
        /// an age is sigma² + (drift · age)².
        pub drift_per_s: f64 = 0.1,
        /// The time that a value is the mean of, beginning at its `measured_at`, in milliseconds;
        /// 0 for a value of an instant.
        pub averaged_over_ms: i64 = 0,
        /// The age at which a value no longer counts, in milliseconds.
        pub stale_after_ms: i64 = 30_000,
        /// Standard deviation as a share of the value, where that is more than `sigma`; NULL for
        /// none.
        pub sigma_share: Option<f64> = None,
        /// The least value that its instrument or element can have, in the quantity's unit: what
        /// lies below is implausible and does not count. NULL for any.
        pub value_min: Option<f64> = -500.0,
        /// The greatest value, in the same way.
        pub value_max: Option<f64> = 500.0,
    }
}

relation! {
    /// A device that can be told what to do.
    pub struct Asset in "assets" {
        /// The device.
        pub asset_id: String = "battery-07",
        /// `battery`, `ev-charger`, `flexible-load`, `pv`, `wind` or `generator`.
        pub kind: String = "battery",
        /// The bus it is connected to.
        pub bus_id: String = "bus-17",
        /// The feeder that bus hangs on.
        pub feeder_id: String = "feeder-1",
        /// Least active power in kW (charging is negative).
        pub power_kw_min: f64 = -5.0,
        /// Greatest active power in kW.
        pub power_kw_max: f64 = 5.0,
        /// Greatest change of power between two ticks in kW.
        pub ramp_kw_max: f64 = 5.0,
        /// Energy it can hold in kWh; 0 where it stores none.
        pub energy_kwh_max: f64 = 6.4,
        /// Share of energy that survives one way, 0 to 1.
        pub efficiency: f64 = 0.95,
    }
}

relation! {
    /// A price zone.
    pub struct Zone in "zones" {
        /// The zone.
        pub zone_id: String = "zone-1",
        /// Its name.
        pub name: String = "Fontana, California",
        /// The currency of its prices, as in ISO 4217.
        pub currency: String = "USD",
    }
}

relation! {
    /// Who buys at a meter, and on which product.
    pub struct Contract in "contracts" {
        /// The contract.
        pub contract_id: String = "contract-07",
        /// The meter it is for.
        pub meter_id: String = "meter-07",
        /// The product its energy is priced by.
        pub product: String = "tariff",
    }
}

relation! {
    /// Hourly net load of the days before the instance began, for forecasts and their quantiles.
    pub struct LoadHistory in "load_history" {
        /// The bus.
        pub bus_id: String = "bus-17",
        /// The feeder it hangs on.
        pub feeder_id: String = "feeder-1",
        /// Start of the hour.
        pub hour_at: Timestamp = EXAMPLE_AT.minus(24 * HOUR_MS),
        /// Mean net load over the hour in kW, without what batteries did.
        pub net_load_kw: f64 = 1.75,
    }
}

relation! {
    /// Hourly power of PV and wind plants of the days before the instance began.
    pub struct PlantHistory in "plant_history" {
        /// The plant, as in `assets`.
        pub asset_id: String = "pv-07",
        /// Start of the hour.
        pub hour_at: Timestamp = EXAMPLE_AT.minus(24 * HOUR_MS),
        /// Mean active power over the hour in kW; injection is positive.
        pub power_kw: f64 = 2.25,
    }
}

relation! {
    /// Hourly weather of the days before the instance began, so that forecasts know what the load
    /// of those days answered to.
    pub struct WeatherHistory in "weather_history" {
        /// The station.
        pub station_id: String = "station-1",
        /// Start of the hour.
        pub hour_at: Timestamp = EXAMPLE_AT.minus(24 * HOUR_MS),
        /// Mean air temperature in degrees Celsius.
        pub temperature_c: f64 = 28.0,
        /// Mean global irradiance in W/m².
        pub global_w_per_m2: Option<f64> = 410.0,
        /// Mean wind speed in m/s.
        pub wind_m_per_s: Option<f64> = None,
    }
}

/// A reference table as the engine sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDef {
    /// The SQL name.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
}

/// The built-in reference tables, in name order.
pub fn tables() -> Vec<TableDef> {
    fn table<R: Relation>() -> TableDef {
        TableDef { name: R::NAME.to_owned(), schema: R::schema() }
    }
    let mut tables = vec![
        table::<Bus>(),
        table::<Branch>(),
        table::<Transformer>(),
        table::<Switch>(),
        table::<Feeder>(),
        table::<Meter>(),
        table::<Sensor>(),
        table::<Point>(),
        table::<Asset>(),
        table::<Zone>(),
        table::<Contract>(),
        table::<LoadHistory>(),
        table::<PlantHistory>(),
        table::<WeatherHistory>(),
    ];
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    tables
}
