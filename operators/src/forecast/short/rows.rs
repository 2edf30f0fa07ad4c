//! What [`short`](super) says upwards, from its agent by feeder to that in one place.
//!
//! None of it is a view: it goes from one to the other within a tick.

use forecast::short::QUARTER_MS;
use schemas::decision::ShortForecast;
use schemas::relation;
use schemas::time::Timestamp;

relation! {
    /// What a feeder issues of a coming quarter.
    pub struct QuarterOutlook in "feeder_quarter_outlooks" {
        /// The feeder.
        pub feeder_id: String,
        /// Start of the quarter.
        pub target_at: Timestamp,
        /// As in `short_forecasts`.
        pub p10_kw: f64,
        /// As in `short_forecasts`.
        pub p50_kw: f64,
        /// As in `short_forecasts`.
        pub p90_kw: f64,
        /// Who says it.
        pub model_version: String,
    }
}

relation! {
    /// A quarter of a feeder's own series, new or otherwise than it was told before.
    pub struct FeederQuarter in "feeder_quarters" {
        /// The feeder.
        pub feeder_id: String,
        /// Start of the quarter.
        pub quarter_at: Timestamp,
        /// Mean net load in kW; none where too few of its nodes were heard.
        pub net_load_kw: Option<f64>,
    }
}

impl QuarterOutlook {
    /// Of a row of a feeder.
    pub(super) fn of(row: &ShortForecast) -> QuarterOutlook {
        QuarterOutlook {
            feeder_id: row.subject_id.clone(),
            target_at: row.target_at,
            p10_kw: row.p10_kw,
            p50_kw: row.p50_kw,
            p90_kw: row.p90_kw,
            model_version: row.model_version.clone(),
        }
    }
}

impl FeederQuarter {
    /// A quarter counted from the epoch; NaN: missing.
    pub(super) fn new(feeder_id: &str, quarter: i64, kw: f64) -> FeederQuarter {
        FeederQuarter {
            feeder_id: feeder_id.to_owned(),
            quarter_at: Timestamp(quarter.max(0) as u64 * QUARTER_MS),
            net_load_kw: Some(kw).filter(|kw| kw.is_finite()),
        }
    }
}
