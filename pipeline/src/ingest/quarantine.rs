//! What is written down of a record that does not become a row: where it stood, why, and what it
//! was.
//!
//! Length, hash and beginning are those of the record as it came, also where a row was refused long
//! after it was read: a sender looks for what it sent, not for what we made of it.

use connectors::source::Fetched;
use connectors::source::Kept;
use connectors::source::Position;
use connectors::source::Refused;
use schemas::quarantine::Quarantined;
use schemas::time::Timestamp;

/// A record that its door could not read.
pub(super) fn unreadable(fetched: &Fetched, tick: Timestamp, refused: &Refused) -> Quarantined {
    let Refused { position, reason, detail, kept } = refused.clone();
    quarantined(fetched, position, tick, reason.as_str(), detail, kept)
}

/// A row whose event time its arrival contradicts.
pub(super) fn too_far_ahead(
    fetched: &Fetched,
    row: usize,
    tick: Timestamp,
    event: Timestamp,
    max_ahead_ms: u64,
) -> Quarantined {
    let arrived = fetched.arrived_at.get(row).copied().flatten().unwrap_or_default();
    let detail = format!(
        "its time {event} is more than {} s ahead of its arrival at {arrived}; correct the \
         sender's clock, or raise max_ahead",
        max_ahead_ms / 1_000
    );
    of_row(fetched, row, tick, "too-far-ahead", detail)
}

/// A row that is too old to correct anything.
pub(super) fn too_late(
    fetched: &Fetched,
    row: usize,
    tick: Timestamp,
    event: Timestamp,
    lateness_ms: u64,
) -> Quarantined {
    let detail = format!(
        "its time {event} is more than {} s before the open tick {tick}; raise the stream's \
         lateness to take it",
        lateness_ms / 1_000
    );
    of_row(fetched, row, tick, "too-late", detail)
}

/// A row about something that no reference table knows.
pub(super) fn unknown(fetched: &Fetched, row: usize, tick: Timestamp, name: &str) -> Quarantined {
    let detail = format!(
        "{name} is not in the reference table that {} refers to; add it there, or correct the \
         sender",
        fetched.stream
    );
    of_row(fetched, row, tick, "unknown-key", detail)
}

fn of_row(
    fetched: &Fetched,
    row: usize,
    tick: Timestamp,
    reason: &str,
    detail: String,
) -> Quarantined {
    quarantined(fetched, fetched.positions[row], tick, reason, detail, fetched.kept(row))
}

fn quarantined(
    fetched: &Fetched,
    position: Position,
    tick: Timestamp,
    reason: &str,
    detail: String,
    kept: Kept,
) -> Quarantined {
    let Kept { bytes, sha256, head } = kept;
    Quarantined {
        tick_at: tick,
        source: fetched.partition.source.clone(),
        partition: fetched.partition.partition.clone(),
        position,
        stream: fetched.stream.clone(),
        reason: reason.to_owned(),
        detail,
        bytes,
        sha256,
        head,
    }
}
