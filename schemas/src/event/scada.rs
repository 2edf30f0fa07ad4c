//! What the substation, the devices and the phasor measurement units say.

use crate::relation;
use crate::relation::EXAMPLE_AT;
use crate::time::Timestamp;

relation! {
    /// One measured value of one sensor (V, I, P, Q, frequency, tap).
    pub struct ScadaMeasurement in "scada_measurements" {
        /// The sensor; what it measures, where, and in which unit stands in `sensors`.
        pub sensor_id: String = "head-active-power",
        /// When it was measured (event time).
        pub measured_at: Timestamp = EXAMPLE_AT,
        /// The value, in the unit that `sensors.quantity` ends in.
        pub value: f64 = 112.4,
        /// Quality descriptor of IEC 60870-5-101/104, 7.2.6.3: bit 0 OV overflow, bit 4 BL blocked,
        /// bit 5 SB substituted, bit 6 NT not topical, bit 7 IV invalid; 0 is good.
        pub quality_bits: i64 = 0,
    }
}

relation! {
    /// What a controllable device says of itself.
    pub struct AssetTelemetry in "asset_telemetry" {
        /// The device.
        pub asset_id: String = "battery-07",
        /// When it was measured (event time).
        pub measured_at: Timestamp = EXAMPLE_AT,
        /// Its active power in kW; injection into the grid (discharge) is positive.
        pub active_power_kw: f64 = 2.5,
        /// Energy stored in kWh; NULL where it stores none.
        pub state_of_charge_kwh: Option<f64> = 3.2,
    }
}

relation! {
    /// One frame of a phasor measurement unit (IEEE C37.118.2).
    pub struct PmuPhasor in "pmu_phasors" {
        /// The unit's channel.
        pub pmu_id: String = "pmu-1-va",
        /// Time of the frame (event time).
        pub measured_at: Timestamp = EXAMPLE_AT,
        /// Phasor magnitude in V or A.
        pub magnitude: f64 = 230.9,
        /// Phasor angle in radians against UTC-synchronised nominal frequency.
        pub angle_rad: f64 = 0.12,
        /// Frequency in Hz.
        pub frequency_hz: f64 = 49.98,
        /// Rate of change of frequency in Hz/s.
        pub rocof_hz_per_s: f64 = -0.01,
        /// The STAT word of the frame.
        pub status_bits: i64 = 0,
    }
}
