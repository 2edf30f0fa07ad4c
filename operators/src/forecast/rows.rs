//! What the three agents of [`forecast`](super) tell each other.
//!
//! None of it is a view: it goes from one to the other within a tick.

use std::collections::BTreeMap;

use schemas::relation;
use schemas::time::Timestamp;

relation! {
    /// A forecast of a meter, a node or a feeder that agrees within its feeder, and not yet with
    /// what lies above: the columns of `forecasts`, and one more.
    pub struct Draft in "forecast_drafts" {
        /// `meter`, `node` or `feeder`.
        pub scope: String,
        /// The bus or feeder.
        pub subject_id: String,
        /// The feeder it belongs to.
        pub feeder_id: String,
        /// The tick that issued it.
        pub issued_at: Timestamp,
        /// Start of the hour it speaks of.
        pub target_at: Timestamp,
        /// As in `forecasts`.
        pub p10_kw: f64,
        /// As in `forecasts`.
        pub p50_kw: f64,
        /// As in `forecasts`.
        pub p90_kw: f64,
        /// The model and its version.
        pub model_version: String,
        /// What so many kW of the median are made of ([`super::because`]).
        pub because: String,
        /// So many kW.
        pub because_kw: f64,
        /// What was looked at.
        pub saw: String,
        /// Which share of what its feeder is moved by from above it moves by.
        pub share: f64,
    }
}

relation! {
    /// What a feeder says upwards of an hour ([`super::rise`]), and what it is about to issue.
    pub struct Outlook in "feeder_outlooks" {
        /// The feeder.
        pub feeder_id: String,
        /// Start of the hour.
        pub target_at: Timestamp,
        /// What it and its nodes agreed on, in kW.
        pub base_kw: f64,
        /// The variance of that in kW²; 0 where no band says anything.
        pub variance_kw2: f64,
        /// Its forecast: the same, moved by what is expected of nodes that are not as usual.
        pub p10_kw: f64,
        /// Its median.
        pub p50_kw: f64,
        /// The other end of its band.
        pub p90_kw: f64,
        /// Which share of a move from above reaches it: the rest is of nodes that do not move.
        pub share: f64,
        /// The model and its version.
        pub model_version: String,
    }
}

relation! {
    /// An hour of a feeder's own series, new or otherwise than it was told before.
    pub struct FeederHour in "feeder_hours" {
        /// The feeder.
        pub feeder_id: String,
        /// Start of the hour.
        pub hour_at: Timestamp,
        /// Mean net load in kW; none where too few of its nodes were heard.
        pub net_load_kw: Option<f64>,
    }
}

relation! {
    /// By how much what lies above a feeder moves it in an hour.
    pub struct FeederMove in "feeder_moves" {
        /// The feeder.
        pub feeder_id: String,
        /// Start of the hour.
        pub target_at: Timestamp,
        /// By so many kW.
        pub moved_kw: f64,
    }
}

relation! {
    /// Where a feeder lies: all of `feeders` that is needed here.
    pub struct FeederPlace in "feeders" {
        /// The feeder.
        pub feeder_id: String,
        /// Its zone; empty where it lies in none.
        pub zone_id: String,
    }
}

impl FeederPlace {
    /// The feeder lies in this zone now, or no longer; in none where that has no name.
    pub fn apply(self, zone_of: &mut BTreeMap<String, String>, here: bool) {
        let FeederPlace { feeder_id, zone_id } = self;
        if here && !zone_id.is_empty() {
            zone_of.insert(feeder_id, zone_id);
        } else if zone_of.get(&feeder_id) == Some(&zone_id) {
            zone_of.remove(&feeder_id);
        }
    }
}
