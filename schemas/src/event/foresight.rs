//! What people tell the forecasts.

use crate::relation;
use crate::relation::EXAMPLE_AT;
use crate::time::HOUR_MS;
use crate::time::Timestamp;

relation! {
    /// A node will not be, or was not, as usual: a closure, a planned outage.
    pub struct LoadAnnotation in "load_annotations" {
        /// Tells it from others; a later row of the same identifier takes its place.
        pub annotation_id: String = "works-2016-17",
        /// The node.
        pub bus_id: String = "bus-030",
        /// The feeder it belongs to.
        pub feeder_id: String = "feeder-1",
        /// When it was announced (event time).
        pub announced_at: Timestamp = EXAMPLE_AT.minus(24 * HOUR_MS),
        /// From when on. Not before its end: it is withdrawn.
        pub from_at: Timestamp = EXAMPLE_AT,
        /// Until when.
        pub to_at: Timestamp = EXAMPLE_AT.plus(4 * HOUR_MS),
        /// The node's mean net load in that time in kW, where it is known: 0 in an outage.
        pub expected_kw: Option<f64> = 0.0,
        /// Why, in words.
        pub reason: String = "cable works",
    }
}

relation! {
    /// A person's word on which version of a model answers.
    pub struct ModelOrder in "model_orders" {
        /// Tells it from others.
        pub order_id: String = "order-1",
        /// What is forecast: `meter`, `node`, `feeder`, `zone`, `system` or `plant`.
        pub scope: String = "feeder",
        /// The meter, bus, feeder, zone or asset; of the system, `system`.
        pub subject_id: String = "feeder-1",
        /// The feeder it belongs to; empty for zones and the system.
        pub feeder_id: String = "feeder-1",
        /// When (event time).
        pub ordered_at: Timestamp = EXAMPLE_AT,
        /// `hold`: no other version takes over; `release`: others may again; `roll-back`: the
        /// version before answers, and is held.
        pub word: String = "hold",
        /// Who says so.
        pub actor: String = "operator-1",
        /// Why, in words.
        pub reason: String = "a trial is under way",
    }
}
