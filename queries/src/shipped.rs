//! The views that come with gridloom: what operators read, and what the agents decide on.

/// One shipped view: its name, and the text of `queries/views/NAME.sql`.
macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../views/", $name, ".sql")))),*]
    };
}

/// The shipped views, in name order.
static SHIPPED: [(&str, &str); 32] = shipped![
    "asset_efficiency",
    "asset_latest",
    "asset_state",
    "bus_assets",
    "bus_voltage",
    "feeder_bin",
    "feeder_cost",
    "feeder_load",
    "feeder_now",
    "forecast_error",
    "forecast_error_by_lead",
    "grid_state",
    "meter_hour",
    "meter_latest",
    "node_hour",
    "node_load",
    "node_quarter",
    "plant_hour",
    "plant_quarter",
    "point_values",
    "price_latest",
    "price_now",
    "response_delay",
    "sensor_latest",
    "sensor_listed",
    "shared_meter_hour",
    "short_forecast_error",
    "stale_sensors",
    "switch_state",
    "weather_ahead",
    "weather_hour",
    "weather_now",
];

/// The name and text of each shipped view, in name order.
pub fn shipped() -> &'static [(&'static str, &'static str)] {
    &SHIPPED
}
