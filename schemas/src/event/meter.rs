//! What a smart meter says about one connection point over one interval.

use crate::relation;
use crate::relation::EXAMPLE_AT;
use crate::time::Timestamp;

relation! {
    /// One interval of a meter.
    pub struct MeterReading in "meter_readings" {
        /// The meter.
        pub meter_id: String = "meter-07",
        /// Start of the interval that the reading describes (event time).
        pub measured_at: Timestamp = EXAMPLE_AT,
        /// Mean active power over the interval in kW; import from the grid is positive.
        pub active_power_kw: f64 = 1.25,
        /// Register of imported energy in kWh, where the meter reports it.
        pub energy_import_kwh: Option<f64> = 5_321.5,
        /// Register of exported energy in kWh, where the meter reports it.
        pub energy_export_kwh: Option<f64> = None,
        /// How good it is: `good`, `estimated` or `suspect`.
        pub quality: String = "good",
        /// Counts corrections of the same interval; 0 is the first word.
        pub revision: i64 = 0,
    }
}
