//! What switches and relays say.

use crate::relation;
use crate::time::Timestamp;

relation! {
    /// A switch moved, or repeated where it stands.
    pub struct SwitchPosition in "switch_positions" {
        /// The switch.
        pub switch_id: String,
        /// When (event time).
        pub changed_at: Timestamp,
        /// `open`, `closed` or `intermediate`.
        pub position: String,
    }
}

relation! {
    /// A relay picked up, tripped or reset.
    pub struct ProtectionSignal in "protection_signals" {
        /// The relay.
        pub relay_id: String,
        /// When (event time).
        pub signalled_at: Timestamp,
        /// The function that acted, as an ANSI/IEEE C37.2 device number (`50`, `51`, `27`, …).
        pub function: String,
        /// `pick-up`, `trip` or `reset`.
        pub state: String,
    }
}
