//! Names as types, so that a meter is not handed over as a bus.
//!
//! Columns hold plain text; these wrap it where Rust code passes identifiers on.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

macro_rules! id {
    ($( $(#[$doc:meta])* $name:ident; )*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> $name {
                $name(text.to_owned())
            }
        }
    )* };
}

id! {
    /// A node of the network.
    BusId;
    /// A feeder.
    FeederId;
    /// A controllable device.
    AssetId;
    /// One action.
    ActionId;
}
