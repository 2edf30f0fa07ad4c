//! What energy costs, and when it is delivered.

use crate::relation;
use crate::relation::EXAMPLE_AT;
use crate::time::HOUR_MS;
use crate::time::Timestamp;

relation! {
    /// The price of one delivery period, as published.
    pub struct Price in "prices" {
        /// The bidding zone or tariff area.
        pub zone_id: String = "zone-1",
        /// The product, for example `tariff` or `day-ahead`.
        pub product: String = "tariff",
        /// When it was published (event time); a later publication corrects an earlier one.
        pub published_at: Timestamp = EXAMPLE_AT.minus(6 * HOUR_MS),
        /// Start of delivery, inclusive.
        pub delivery_start_at: Timestamp = EXAMPLE_AT,
        /// End of delivery, exclusive.
        pub delivery_end_at: Timestamp = EXAMPLE_AT.plus(HOUR_MS),
        /// The price per MWh, in the currency of the zone.
        pub price_per_mwh: f64 = 540.0,
    }
}
