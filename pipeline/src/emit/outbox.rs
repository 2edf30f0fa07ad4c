//! Sends setpoints, each once.
//!
//! A setpoint leaves only after the commit of its tick is durable, and carries its action's id.
//! What a crash left open between the two is closed at the next start: the sink's last records are
//! read back, and of the setpoints of the last commits exactly those are sent that are missing
//! there and still valid. Which those are does not depend on a wall clock: a setpoint that ran out
//! before the next tick would be obeyed by nobody.

use std::collections::BTreeSet;

use connectors::error::ConnectorError;
use connectors::sink::Sink;
use schemas::event::Setpoint;
use schemas::relation::Relation;
use schemas::time::Timestamp;

/// How many records are read back from each partition of the sink: the setpoints of all devices
/// over the ticks for which a setpoint is valid must fit, or one could be sent twice.
pub const TAIL_RECORDS: usize = 65_536;

/// The way out for setpoints.
pub struct Outbox {
    sink: Box<dyn Sink>,
}

impl Outbox {
    /// An outbox on `sink`.
    pub fn new(sink: Box<dyn Sink>) -> Outbox {
        Outbox { sink }
    }

    /// Sends the setpoints of a durable tick and waits until they are durable there too.
    ///
    /// # Errors
    /// The sink refused, or it is not known what arrived.
    pub fn send(&mut self, tick: Timestamp, setpoints: &[Setpoint]) -> Result<(), ConnectorError> {
        if !setpoints.is_empty() {
            self.sink.send(&Setpoint::to_batch(setpoints))?;
        }
        self.sink.mark(tick)?;
        self.sink.flush()
    }

    /// At a start, first: nothing that an earlier process sent is under way any more.
    ///
    /// # Errors
    /// The sink cannot be reached.
    pub fn take_over(&mut self) -> Result<(), ConnectorError> {
        self.sink.take_over()
    }

    /// After a restart: sends what the last commits decided, is valid beyond `tick`, and did not
    /// leave.
    ///
    /// # Errors
    /// The sink cannot be read or written.
    pub fn catch_up(
        &mut self,
        tick: Timestamp,
        decided: &[Setpoint],
    ) -> Result<usize, ConnectorError> {
        let valid: Vec<&Setpoint> = decided.iter().filter(|s| s.valid_until_at > tick).collect();
        if valid.is_empty() {
            return Ok(0);
        }
        let left = self.sink.tail(TAIL_RECORDS)?;
        let left = Setpoint::from_batch(&left).unwrap_or_default();
        let left: BTreeSet<String> = left.into_iter().map(|s| s.action_id).collect();
        let missing: Vec<Setpoint> =
            valid.into_iter().filter(|s| !left.contains(&s.action_id)).cloned().collect();
        if !missing.is_empty() {
            self.sink.send(&Setpoint::to_batch(&missing))?;
            self.sink.flush()?;
        }
        Ok(missing.len())
    }

    /// The sink.
    pub fn name(&self) -> &str {
        self.sink.name()
    }
}
