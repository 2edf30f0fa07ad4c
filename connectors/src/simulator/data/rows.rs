//! The columns of the bundled files, as relations: what they are called and in which unit.
//!
//! `gridloom/data/SOURCE.md` says where each comes from.

use schemas::relation;
use schemas::time::Timestamp;

relation! {
    /// A bus, and which load hangs on it.
    pub struct BusRow in "buses" {
        /// The bus.
        pub bus_id: String,
        /// The feeder it hangs on.
        pub feeder_id: String,
        /// Nominal line-to-line voltage in kV.
        pub nominal_kv: f64,
        /// Lower voltage limit, per unit.
        pub voltage_pu_min: f64,
        /// Upper voltage limit, per unit.
        pub voltage_pu_max: f64,
        /// The load that stands here, from 0.
        pub load_index: Option<i64>,
    }
}

relation! {
    /// A cable.
    pub struct BranchRow in "branches" {
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
    /// A transformer.
    pub struct TransformerRow in "transformers" {
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
        /// Rated voltage of the high-voltage winding in kV.
        pub hv_kv: f64,
        /// Rated voltage of the low-voltage winding in kV.
        pub lv_kv: f64,
        /// Short-circuit voltage in percent.
        pub vk_percent: f64,
        /// Resistive part of the short-circuit voltage in percent.
        pub vkr_percent: f64,
        /// Iron losses in kW.
        pub pfe_kw: f64,
        /// No-load current in percent.
        pub i0_percent: f64,
        /// How far the low-voltage side lags, in degrees.
        pub shift_deg: f64,
    }
}

relation! {
    /// One hour of one measured home.
    pub struct HomeRow in "homes_hourly" {
        /// The home, from 1.
        pub home: i64,
        /// Start of the hour.
        pub hour_at: Timestamp,
        /// Mean load in kW.
        pub load_kw: f64,
        /// Mean PV generation in kW.
        pub pv_kw: f64,
    }
}

relation! {
    /// One hour of weather.
    pub struct WeatherRow in "weather_hourly" {
        /// Start of the hour.
        pub hour_at: Timestamp,
        /// Air temperature in degrees Celsius.
        pub temperature_c: f64,
        /// Relative humidity in percent.
        pub humidity_percent: f64,
        /// Diffuse irradiance in W/m².
        pub diffuse_w_m2: f64,
        /// Direct irradiance in W/m².
        pub direct_w_m2: f64,
    }
}

relation! {
    /// One hour of the tariff.
    pub struct TariffRow in "tariff_hourly" {
        /// Start of the hour.
        pub hour_at: Timestamp,
        /// Price in USD/MWh.
        pub price_usd_per_mwh: f64,
    }
}
