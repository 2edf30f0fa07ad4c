//! What switches and relays say.

use crate::relation;
use crate::relation::EXAMPLE_AT;
use crate::time::Timestamp;

relation! {
    /// A switch moved, or repeated where it stands.
    pub struct SwitchPosition in "switch_positions" {
        /// The switch.
        pub switch_id: String = "switch-12",
        /// When (event time).
        pub changed_at: Timestamp = EXAMPLE_AT,
        /// `open`, `closed` or `intermediate`.
        pub position: String = "open",
    }
}

relation! {
    /// A relay picked up, tripped or reset.
    pub struct ProtectionSignal in "protection_signals" {
        /// The relay.
        pub relay_id: String = "relay-1",
        /// When (event time).
        pub signalled_at: Timestamp = EXAMPLE_AT,
        /// The function that acted, as an ANSI/IEEE C37.2 device number (`50`, `51`, `27`, …).
        pub function: String = "51",
        /// `pick-up`, `trip` or `reset`.
        pub state: String = "pick-up",
    }
}
