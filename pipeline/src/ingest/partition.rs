//! One partition's watermark, and how far its records are committed.
//!
//! Records of one batch may belong to several ticks, so what is committed is not always a prefix. A
//! partition keeps the batches that are not wholly committed; its [`Progress`] names the record to
//! go on with, what was known just before it, and which records behind it are committed already and
//! must be skipped when they are read again.

use std::collections::VecDeque;

use connectors::source::PartitionId;
use connectors::source::Position;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

/// How far a partition is committed. Written into every commit; read by every later version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// `source/partition`.
    pub partition: String,
    /// The record to go on with.
    pub resume: Position,
    /// The watermark just before that record, in milliseconds since the epoch.
    pub watermark: Option<Timestamp>,
    /// Committed records at or behind `resume`, as inclusive ranges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<(Position, Position)>,
    /// Nothing follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
}

/// A batch that is not wholly committed.
#[derive(Debug)]
struct Chunk {
    watermark_before: Option<Timestamp>,
    first: Position,
    next: Position,
    /// Its records with the ticks they entered, in order.
    records: Vec<(Position, Timestamp)>,
}

/// The state of one partition.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) id: PartitionId,
    /// How much earlier than the greatest seen a reading on time may be, in milliseconds.
    out_of_order_ms: u64,
    /// Ticks wait for it before it has said when it is.
    promised: bool,

    pub(super) watermark: Option<Timestamp>,
    pub(super) ended: bool,
    /// Its door is broken.
    pub(super) broken: bool,
    /// When it was last kept waiting for others, or for its door.
    pub(super) held_at: Option<Timestamp>,
    /// Where rows replace each other: the greatest tick that one entered.
    entered: Timestamp,
    /// The record to go on with; `None` until something of the partition is known.
    next: Option<Position>,
    chunks: VecDeque<Chunk>,
    /// Committed before a restart, to be skipped when read again.
    skip: Vec<(Position, Position)>,
}

impl Partition {
    pub(super) fn new(id: PartitionId, out_of_order_ms: u64) -> Partition {
        Partition {
            id,
            out_of_order_ms,
            promised: true,
            watermark: None,
            ended: false,
            broken: false,
            held_at: None,
            entered: Timestamp(0),
            next: None,
            chunks: VecDeque::new(),
            skip: Vec::new(),
        }
    }

    /// The same, but nothing is expected of it before it has said when it is.
    pub(super) fn joining(self) -> Partition {
        Partition { promised: false, ..self }
    }

    /// Whether it has a say in when a tick closes.
    pub(super) fn counts(&self) -> bool {
        !self.ended && (self.promised || self.watermark.is_some())
    }

    /// Goes on where a commit left off.
    pub(super) fn restore(&mut self, progress: &Progress) {
        self.watermark = progress.watermark;
        self.next = Some(progress.resume);
        self.skip.clone_from(&progress.taken);
        self.ended = progress.ended;
    }

    /// Whether a record is committed already.
    pub(super) fn skips(&self, position: Position) -> bool {
        self.skip.iter().any(|(from, to)| (*from..=*to).contains(&position))
    }

    /// Moves the watermark for an event that was taken.
    pub(super) fn saw(&mut self, event: Timestamp) {
        let watermark = event.minus(self.out_of_order_ms);
        self.watermark = Some(self.watermark.map_or(watermark, |w| w.max(watermark)));
    }

    /// The tick of a row that replaces those before it: not before any of theirs, or an earlier
    /// word would beat a later one.
    ///
    /// Nothing of this survives a restart, nor need it: what lies before the record to go on with
    /// entered ticks that are closed.
    pub(super) fn follows(&mut self, tick: Timestamp) -> Timestamp {
        self.entered = self.entered.max(tick);
        self.entered
    }

    /// Moves the watermark to a mark.
    pub(super) fn marked(&mut self, at: Timestamp, next: Position) {
        let before = self.watermark;
        self.watermark = Some(self.watermark.map_or(at, |w| w.max(at)));
        self.passed(before, next, Vec::new());
    }

    /// Notes a batch whose records entered these ticks.
    ///
    /// The first batch of a partition begins where it begins: a topic that was trimmed before we
    /// came has no record 0.
    pub(super) fn passed(
        &mut self,
        watermark_before: Option<Timestamp>,
        next: Position,
        records: Vec<(Position, Timestamp)>,
    ) {
        let begins = records.first().map_or(next, |(position, _)| *position);
        let first = self.next.unwrap_or(begins);
        self.next = Some(next);
        if !records.is_empty() || !self.chunks.is_empty() {
            self.chunks.push_back(Chunk { watermark_before, first, next, records });
        }
    }

    /// How far it is committed once `tick` is; `None` while nothing of it is known.
    pub(super) fn commit(&mut self, tick: Timestamp) -> Option<Progress> {
        let next = self.next?;
        let whole = |chunk: &Chunk| chunk.records.iter().all(|(_, at)| *at <= tick);
        while self.chunks.front().is_some_and(whole) {
            self.chunks.pop_front();
        }
        let (resume, watermark) = match self.chunks.front() {
            Some(chunk) => (chunk.first, chunk.watermark_before),
            None => (next, self.watermark),
        };
        // Skipped records are in no chunk: they stay committed until nothing before them is open.
        self.skip.retain(|(_, to)| *to >= resume);
        let committed = self.chunks.iter().flat_map(|chunk| &chunk.records);
        let mut taken = self.skip.clone();
        for (position, _) in committed.filter(|(_, at)| *at <= tick) {
            match taken.last_mut() {
                Some((_, to)) if *to + 1 == *position => *to = *position,
                _ => taken.push((*position, *position)),
            }
        }
        taken.retain(|(_, to)| *to >= resume);
        debug_assert!(self.chunks.back().is_none_or(|chunk| chunk.next == next));
        let ended = self.ended && self.chunks.is_empty();
        Some(Progress { partition: self.id.to_string(), resume, watermark, taken, ended })
    }
}
