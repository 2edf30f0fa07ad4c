//! Where rows leave to: the one trait that every sink keeps, and what it owes `emit`.
//!
//! # The contract
//!
//! 1. **Durable.** When [`Sink::flush`] returns `Ok`, everything sent before MUST survive a crash
//!    of this process and of whatever it was sent to. When it returns `Err`, it is not known what
//!    arrived; [`Sink::tail`] tells.
//! 2. **Order.** Rows with the same key MUST arrive in the order in which they were sent, and
//!    without gaps: if a row did not arrive, none sent after it with that key did.
//! 3. **Read back.** [`Sink::tail`] MUST return the last records that arrived, whoever wrote them,
//!    so that after a crash exactly the action ids that are missing are sent. A record torn by a
//!    crash MUST NOT be returned, and MUST NOT damage what is written after it.

use arrow_array::RecordBatch;
use schemas::time::Timestamp;

use crate::error::ConnectorError;

/// A sink for rows of one relation.
pub trait Sink: Send {
    /// Its name in the configuration.
    fn name(&self) -> &str;

    /// Ends what another that had this sink's name before still has under way; from here on
    /// [`Sink::tail`] is final. Called once, by whoever may call itself the only one; a medium in
    /// which nothing is under way does nothing.
    ///
    /// # Errors
    /// The medium cannot be reached, or knows no such thing.
    fn take_over(&mut self) -> Result<(), ConnectorError> {
        Ok(())
    }

    /// Sends the rows; they may be under way until [`Sink::flush`].
    ///
    /// # Errors
    /// The rows cannot be sent.
    fn send(&mut self, rows: &RecordBatch) -> Result<(), ConnectorError>;

    /// Promises the readers that nothing before `at` follows. A medium that knows no marks does
    /// nothing.
    ///
    /// # Errors
    /// The mark cannot be sent.
    fn mark(&mut self, at: Timestamp) -> Result<(), ConnectorError>;

    /// Waits until everything sent is durable at the other end.
    ///
    /// # Errors
    /// Something did not arrive, or it is not known whether it did.
    fn flush(&mut self) -> Result<(), ConnectorError>;

    /// The last `records` records of each partition, in each partition's order; foreign records
    /// among them that are not rows of the relation are left out.
    ///
    /// # Errors
    /// The medium cannot be read.
    fn tail(&mut self, records: usize) -> Result<RecordBatch, ConnectorError>;
}
