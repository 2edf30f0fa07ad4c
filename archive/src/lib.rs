//! The archive: the audit log's records as a Delta table that other tools read without us.
//!
//! The log of a running instance is made for one writer and a quick restart; nobody else reads its
//! frames. So its records are *sealed*: copied, a run of ticks at a time, into a table that Polars,
//! DuckDB, Spark or delta-rs open as it stands. What is below the sealed position is read from
//! there, what is above from the log, and to whoever asks both are one table a kind.
//!
//! ```text
//!  segments ──read_audit──▶ seal ──one commit──▶ Delta table  (day, record_kind)
//!     │                                │  └ the sealed position, by transaction id
//!     │                             maintain: compact, retire
//!     │ above the position             │ up to the position
//!     └──────────▶ AuditTable ◀────────┘
//!                  audit.actions, audit.alarms, …
//! ```
//!
//! **Invariants:**
//! - A record is in the table once, whatever crashed: rows and the position they lead to are one
//!   commit, and a seal begins at the position.
//! - A reader takes rows and position from the same version of the table, so it neither misses a
//!   record nor sees one twice while sealing runs.
//! - The hash chain runs through the table: [`verify`] computes every link again from the columns
//!   that anybody reads.
//!
//! It does not read the log: whoever asks brings the records ([`Commit`], [`Fresh`]). It removes
//! nothing from the log either, since a restart replays all of it.
//!
//! Read in this order: [`location`], `columns`, `table`, [`seal`], [`read`], [`maintain`],
//! [`verify`].
//!
//! # Bounds
//!
//! A seal holds [`seal::RECORDS_MAX`] records and one tick more; a verification one day's.

#![forbid(missing_docs)]

pub mod error;

pub mod location;

mod columns;

mod table;

pub mod seal;

pub mod read;

mod decide;

pub mod maintain;

pub mod verify;

pub use self::error::ArchiveError;
pub use self::location::Location;
pub use self::maintain::Maintained;
pub use self::maintain::Policy;
pub use self::read::AuditTable;
pub use self::read::Fresh;
pub use self::seal::Commit;
pub use self::seal::Seal;
pub use self::seal::Step;
pub use self::table::Archive;
pub use self::table::Position;
pub use self::verify::Report;

#[cfg(test)]
mod tests;
