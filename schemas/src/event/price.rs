//! What energy costs, and when it is delivered.

use crate::relation;
use crate::time::Timestamp;

relation! {
    /// The price of one delivery period, as published.
    pub struct Price in "prices" {
        /// The bidding zone or tariff area.
        pub zone_id: String,
        /// The product, for example `tariff` or `day-ahead`.
        pub product: String,
        /// When it was published (event time); a later publication corrects an earlier one.
        pub published_at: Timestamp,
        /// Start of delivery, inclusive.
        pub delivery_start_at: Timestamp,
        /// End of delivery, exclusive.
        pub delivery_end_at: Timestamp,
        /// The price per MWh, in the currency of the zone.
        pub price_per_mwh: f64,
    }
}
