//! What weather stations saw and what weather services expect.

use crate::relation;
use crate::time::Timestamp;

relation! {
    /// What a station saw.
    pub struct WeatherObservation in "weather_observations" {
        /// The station.
        pub station_id: String,
        /// When (event time).
        pub observed_at: Timestamp,
        /// Air temperature in degrees Celsius.
        pub temperature_c: f64,
        /// Relative humidity in percent.
        pub humidity_percent: Option<f64>,
        /// Diffuse horizontal irradiance in W/m².
        pub diffuse_w_per_m2: Option<f64>,
        /// Direct irradiance in W/m².
        pub direct_w_per_m2: Option<f64>,
        /// Wind speed in m/s.
        pub wind_m_per_s: Option<f64>,
    }
}

relation! {
    /// What a service expects.
    pub struct WeatherForecast in "weather_forecasts" {
        /// The station or grid point.
        pub station_id: String,
        /// When the forecast was issued (event time).
        pub issued_at: Timestamp,
        /// The instant it speaks of.
        pub target_at: Timestamp,
        /// Air temperature in degrees Celsius.
        pub temperature_c: f64,
        /// Global horizontal irradiance in W/m².
        pub global_w_per_m2: Option<f64>,
        /// Wind speed in m/s.
        pub wind_m_per_s: Option<f64>,
    }
}
