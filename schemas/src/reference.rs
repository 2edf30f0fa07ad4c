//! The reference tables: what stands in the field and how it hangs together.
//!
//! They are loaded before the first tick and changed by tick, so that history joins the network of
//! its day. A relation of this module is small against the streams: the planner joins reference
//! tables with each other before it joins a stream with them.

use arrow_schema::SchemaRef;

use crate::relation;
use crate::relation::Relation;
use crate::time::Timestamp;

relation! {
    /// A node of the network.
    pub struct Bus in "buses" {
        /// The bus.
        pub bus_id: String,
        /// The feeder it hangs on.
        pub feeder_id: String,
        /// Nominal line-to-line voltage in kV.
        pub nominal_kv: f64,
        /// Lower voltage limit, per unit of nominal.
        pub voltage_pu_min: f64,
        /// Upper voltage limit, per unit of nominal.
        pub voltage_pu_max: f64,
    }
}

relation! {
    /// A line or cable.
    pub struct Branch in "branches" {
        /// The branch.
        pub branch_id: String,
        /// The end nearer to the source.
        pub from_bus_id: String,
        /// The other end.
        pub to_bus_id: String,
        /// The feeder it belongs to.
        pub feeder_id: String,
        /// Length in km.
        pub length_km: f64,
        /// Series resistance in ohm/km.
        pub r_ohm_per_km: f64,
        /// Series reactance in ohm/km.
        pub x_ohm_per_km: f64,
        /// Capacitance to ground in nF/km.
        pub c_nf_per_km: f64,
        /// Rated current in A.
        pub rated_a: f64,
    }
}

relation! {
    /// A two-winding transformer.
    pub struct Transformer in "transformers" {
        /// The transformer.
        pub transformer_id: String,
        /// Its high-voltage bus.
        pub hv_bus_id: String,
        /// Its low-voltage bus.
        pub lv_bus_id: String,
        /// The feeder it feeds.
        pub feeder_id: String,
        /// Rated power in kVA.
        pub rated_kva: f64,
    }
}

relation! {
    /// A switch or breaker.
    pub struct Switch in "switches" {
        /// The switch.
        pub switch_id: String,
        /// The branch it opens.
        pub branch_id: String,
        /// The feeder it belongs to.
        pub feeder_id: String,
        /// Where it stands when nothing was heard: `open` or `closed`.
        pub normal_position: String,
    }
}

relation! {
    /// Everything behind one head.
    pub struct Feeder in "feeders" {
        /// The feeder.
        pub feeder_id: String,
        /// The price zone it lies in.
        pub zone_id: String,
        /// The branch or transformer at its head.
        pub head_branch_id: String,
        /// The most it may draw, in kW.
        pub limit_kw: f64,
    }
}

relation! {
    /// A meter at a connection point.
    pub struct Meter in "meters" {
        /// The meter.
        pub meter_id: String,
        /// The bus it stands at.
        pub bus_id: String,
        /// The feeder that bus hangs on.
        pub feeder_id: String,
        /// Where its readings come from: `measured`, or `copy` where they are made from another
        /// home's.
        pub origin: String,
    }
}

relation! {
    /// A sensor whose values arrive in `scada_measurements`.
    pub struct Sensor in "sensors" {
        /// The sensor.
        pub sensor_id: String,
        /// The bus it stands at.
        pub bus_id: String,
        /// The feeder that bus hangs on.
        pub feeder_id: String,
        /// What it measures, unit last: `voltage_pu`, `head_active_power_kw`,
        /// `head_reactive_power_kvar`, ….
        pub quantity: String,
        /// How long it may be silent before it is called stale, in milliseconds.
        pub stale_after_ms: i64,
    }
}

relation! {
    /// A device that can be told what to do.
    pub struct Asset in "assets" {
        /// The device.
        pub asset_id: String,
        /// `battery`, `ev-charger`, `flexible-load`, `pv`, `wind` or `generator`.
        pub kind: String,
        /// The bus it is connected to.
        pub bus_id: String,
        /// The feeder that bus hangs on.
        pub feeder_id: String,
        /// Least active power in kW (charging is negative).
        pub power_kw_min: f64,
        /// Greatest active power in kW.
        pub power_kw_max: f64,
        /// Greatest change of power between two ticks in kW.
        pub ramp_kw_max: f64,
        /// Energy it can hold in kWh; 0 where it stores none.
        pub energy_kwh_max: f64,
        /// Share of energy that survives one way, 0 to 1.
        pub efficiency: f64,
    }
}

relation! {
    /// A price zone.
    pub struct Zone in "zones" {
        /// The zone.
        pub zone_id: String,
        /// Its name.
        pub name: String,
        /// The currency of its prices, as in ISO 4217.
        pub currency: String,
    }
}

relation! {
    /// Who buys at a meter, and on which product.
    pub struct Contract in "contracts" {
        /// The contract.
        pub contract_id: String,
        /// The meter it is for.
        pub meter_id: String,
        /// The product its energy is priced by.
        pub product: String,
    }
}

relation! {
    /// Hourly net load of the days before the instance began, for forecasts and their quantiles.
    pub struct LoadHistory in "load_history" {
        /// The bus.
        pub bus_id: String,
        /// The feeder it hangs on.
        pub feeder_id: String,
        /// Start of the hour.
        pub hour_at: Timestamp,
        /// Mean net load over the hour in kW, without what batteries did.
        pub net_load_kw: f64,
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
        table::<Asset>(),
        table::<Zone>(),
        table::<Contract>(),
        table::<LoadHistory>(),
    ];
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    tables
}
