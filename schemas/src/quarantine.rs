//! What could not be taken in, kept where it can be queried.

use crate::relation;
use crate::time::Timestamp;

/// How much of a refused record is kept, in bytes: enough to see what it was, small enough to
/// survive a flood.
pub const QUARANTINE_BYTES_MAX: usize = 4096;

relation! {
    /// One record or row that was refused.
    pub struct Quarantined in "quarantine" {
        /// The tick it was refused in.
        pub tick_at: Timestamp,
        /// The source it came from.
        pub source: String,
        /// Its partition within the source.
        pub partition: String,
        /// Its position within the partition (offset, line or row).
        pub position: i64,
        /// The stream it was meant for.
        pub stream: String,
        /// Why, in a word: `malformed`, `wrong-type`, `missing-column`, `not-finite`,
        /// `unknown-key`,
        /// `too-late`, `too-far-ahead`, `empty`, `too-long`.
        pub reason: String,
        /// Why, in words, with how to mend it.
        pub detail: String,
        /// Length of the whole record in bytes.
        pub bytes: i64,
        /// SHA-256 of the whole record, in hexadecimal.
        pub sha256: String,
        /// The first 4 KiB, invalid UTF-8 replaced.
        pub head: String,
    }
}
