//! What weather stations saw and what weather services expect.

use crate::relation;
use crate::relation::EXAMPLE_AT;
use crate::time::HOUR_MS;
use crate::time::Timestamp;

relation! {
    /// What a station saw.
    pub struct WeatherObservation in "weather_observations" {
        /// The station.
        pub station_id: String = "station-1",
        /// When (event time).
        pub observed_at: Timestamp = EXAMPLE_AT,
        /// Air temperature in degrees Celsius.
        pub temperature_c: f64 = 31.5,
        /// Relative humidity in percent.
        pub humidity_percent: Option<f64> = 38.0,
        /// Diffuse horizontal irradiance in W/m².
        pub diffuse_w_per_m2: Option<f64> = 84.0,
        /// Direct irradiance in W/m².
        pub direct_w_per_m2: Option<f64> = 412.0,
        /// Wind speed in m/s.
        pub wind_m_per_s: Option<f64> = None,
    }
}

relation! {
    /// What a service expects.
    pub struct WeatherForecast in "weather_forecasts" {
        /// The station or grid point.
        pub station_id: String = "station-1",
        /// When the forecast was issued (event time).
        pub issued_at: Timestamp = EXAMPLE_AT.minus(6 * HOUR_MS),
        /// The instant it speaks of.
        pub target_at: Timestamp = EXAMPLE_AT,
        /// Air temperature in degrees Celsius.
        pub temperature_c: f64 = 32.0,
        /// Global horizontal irradiance in W/m².
        pub global_w_per_m2: Option<f64> = 350.0,
        /// Wind speed in m/s.
        pub wind_m_per_s: Option<f64> = 2.5,
    }
}
