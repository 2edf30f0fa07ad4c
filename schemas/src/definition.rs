//! What an answer depends on besides readings: settings and views, as the log records their
//! changes.

use crate::relation;
use crate::relation::EXAMPLE_AT;
use crate::time::Timestamp;

relation! {
    /// A setting that took another value.
    pub struct ConfigChange in "configs" {
        /// The tick from which it holds.
        pub tick_at: Timestamp = EXAMPLE_AT,
        /// Its path: `agents.limit_share`, `streams.prices.retain_ms`.
        pub setting: String = "agents.limit_share",
        /// Its value as JSON; NULL where it holds no longer.
        pub setting_value: Option<String> = "0.96".to_owned(),
    }
}

relation! {
    /// A view that came, changed or went.
    pub struct ViewChange in "views" {
        /// The tick from which it holds.
        pub tick_at: Timestamp = EXAMPLE_AT,
        /// Its name.
        pub view: String = "feeder_load",
        /// `created`, `replaced` or `dropped`.
        pub change: String = "created",
        /// `file` where it stands in the folder of views, `statement` where somebody asked for it
        /// while the instance ran.
        pub origin: String = "statement",
        /// Who asked for it; `operator` where it stands in a file.
        pub by: String = "anna",
        /// The statement that makes it; NULL where it was dropped.
        pub sql: Option<String> =
            "CREATE MATERIALIZED VIEW feeder_load AS SELECT 1".to_owned(),
    }
}
