//! From records to ticks: which tick a reading belongs to, when a tick is closed, and what is
//! refused.
//!
//! [`Session`] is a pure decision: it is told what was read and what the wall clock says, and
//! answers with closed ticks. It owns one watermark a partition. Workers do not assign ticks: a
//! tick's rows, its end and its offsets become one durable commit, so they are decided in one
//! place.
//!
//! **Invariant:** without `patience`, a reading's tick is a function of its partition's prefix
//! alone. Two runs over the same partitions make the same ticks, however the partitions interleave,
//! and so does a run that was interrupted anywhere. A partition that joins while ticks close has
//! its say from its first reading on, and one whose door is broken has none until it opens: what
//! comes late by that enters the open tick. Which tick that was is in the log, and a replay asks
//! nothing else.
//!
//! **Invariant:** where rows replace each other by key, no row enters an earlier tick than the row
//! before it in its partition: order of arrival decides, not event time.

pub mod decide;
pub mod partition;
mod piece;
mod quarantine;
pub mod session;
pub mod upsert;

#[cfg(test)]
mod tests;

pub use self::partition::Progress;
pub use self::session::ClosedTick;
pub use self::session::IngestSettings;
pub use self::session::Session;
