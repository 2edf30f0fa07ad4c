//! What could not be taken in, kept where it can be queried.

use crate::relation;
use crate::relation::EXAMPLE_AT;
use crate::time::Timestamp;

/// How much of a refused record is kept, in bytes: enough to see what it was, small enough to
/// survive a flood.
pub const QUARANTINE_BYTES_MAX: usize = 4096;

relation! {
    /// One record or row that was refused.
    pub struct Quarantined in "quarantine" {
        /// The tick it was refused in.
        pub tick_at: Timestamp = EXAMPLE_AT.plus(5_000),
        /// The source it came from.
        pub source: String = "meters",
        /// Its partition within the source.
        pub partition: String = "0",
        /// Its position within the partition (offset, line or row).
        pub position: i64 = 4_711,
        /// The stream it was meant for.
        pub stream: String = "meter_readings",
        /// Why, in a word: `malformed`, `wrong-type`, `missing-column`, `not-finite`, `empty`,
        /// `too-long`, `unknown-key`, `too-late`, `too-far-ahead`.
        pub reason: String = "unknown-key",
        /// Why, in words, with how to mend it.
        pub detail: String = "meter-99 is not in the reference table that meter_readings refers to",
        /// Length of the whole record in bytes, as it came. Of a row of a column format, which
        /// never was a record, its rendering as JSON; of a record without payload, its key.
        pub bytes: i64 = 96,
        /// SHA-256 of the same, in hexadecimal.
        pub sha256: String = "3f7a…",
        /// Its first 4 KiB, invalid UTF-8 replaced.
        pub head: String = "{\"meter_id\":\"meter-99\",…}",
    }
}
