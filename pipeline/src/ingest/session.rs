//! The session: partitions in, closed ticks out.
//!
//! # Bounds
//!
//! At most [`IngestSettings::ticks_ahead`] ticks wait between the open tick and the furthest
//! partition: one that is further ahead is held (its records wait where they are). A gap in the
//! data longer than a day is skipped in one step.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use arrow_array::RecordBatch;
use arrow_array::UInt32Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use connectors::source::Fetched;
use connectors::source::PartitionId;
use connectors::source::Polled;
use connectors::source::Position;
use schemas::catalog::StreamSettings;
use schemas::quarantine::Quarantined;
use schemas::time::DAY_MS;
use schemas::time::Step;
use schemas::time::Timestamp;

use super::decide::Rules;
use super::decide::Verdict;
use super::decide::closed_by;
use super::decide::judge;
use super::partition::Partition;
use super::partition::Progress;

/// How records become ticks.
#[derive(Clone, Debug, PartialEq)]
pub struct IngestSettings {
    /// The length of a tick.
    pub step: Step,
    /// Close a tick this long after the first partition passed it, though others have not; `None`
    /// waits for all.
    pub patience_ms: Option<u64>,
    /// Refuse rows further ahead of their arrival than this.
    pub max_ahead_ms: u64,
    /// How many ticks a partition may be ahead of the open one before it is held.
    pub ticks_ahead: u64,
}

/// How far ahead of its arrival a reading may be: clocks drift by minutes, not by hours.
pub const DEFAULT_MAX_AHEAD_MS: u64 = 300_000;

/// How long a silent partition may stop the grid.
pub const DEFAULT_PATIENCE_MS: u64 = 10_000;

/// How many ticks a partition may be ahead: enough to keep reading while the dataflow works, at
/// most a minute.
pub const DEFAULT_TICKS_AHEAD: u64 = 12;

impl Default for IngestSettings {
    fn default() -> IngestSettings {
        IngestSettings {
            step: schemas::time::DEFAULT_STEP,
            patience_ms: Some(DEFAULT_PATIENCE_MS),
            max_ahead_ms: DEFAULT_MAX_AHEAD_MS,
            ticks_ahead: DEFAULT_TICKS_AHEAD,
        }
    }
}

/// A tick whose input is complete.
#[derive(Clone, Debug)]
pub struct ClosedTick {
    /// The tick.
    pub tick: Timestamp,
    /// Its rows by stream, in name order, each in order of partition and position.
    pub streams: Vec<(String, RecordBatch)>,
    /// What was refused.
    pub quarantine: Vec<Quarantined>,
    /// How far every partition is committed with it.
    pub progress: Vec<Progress>,
    /// `patience` closed it: the partitions that had not passed it.
    pub missing: Vec<PartitionId>,
}

/// What waits for a tick to close.
#[derive(Default)]
struct Waiting {
    rows: Vec<(String, PartitionId, Position, RecordBatch)>,
    quarantine: Vec<Quarantined>,
}

/// Turns records into ticks.
pub struct Session {
    settings: IngestSettings,
    streams: BTreeMap<String, StreamSettings>,
    /// By stream: the column that names something known, and what is known.
    known: BTreeMap<String, (usize, BTreeSet<String>)>,

    partitions: BTreeMap<PartitionId, Partition>,
    waiting: BTreeMap<Timestamp, Waiting>,
    closed: Option<Timestamp>,
    /// When the first partition was seen to have passed the next tick.
    passed: Option<(Timestamp, Timestamp)>,
}

impl Session {
    /// A session over these streams.
    pub fn new<'a>(
        settings: IngestSettings,
        streams: impl IntoIterator<Item = &'a StreamSettings>,
    ) -> Session {
        let streams = streams.into_iter().map(|s| (s.def.name.clone(), s.clone())).collect();
        Session {
            settings,
            streams,
            known: BTreeMap::new(),
            partitions: BTreeMap::new(),
            waiting: BTreeMap::new(),
            closed: None,
            passed: None,
        }
    }

    /// Refuses rows of `stream` whose `column` is not one of `known`.
    pub fn expect_known(&mut self, stream: &str, column: &str, known: BTreeSet<String>) {
        if let Some(settings) = self.streams.get(stream)
            && let Ok(column) = settings.def.schema.index_of(column)
        {
            self.known.insert(stream.to_owned(), (column, known));
        }
    }

    /// Adds a partition whose readings may be `out_of_order_ms` earlier than the greatest seen.
    pub fn add_partition(&mut self, id: PartitionId, out_of_order_ms: u64) {
        let partition = Partition::new(id.clone(), out_of_order_ms);
        self.partitions.entry(id).or_insert(partition);
    }

    /// Goes on after `tick`, whose commit wrote this progress.
    pub fn restore(&mut self, tick: Timestamp, progress: &[Progress]) {
        self.closed = Some(tick);
        for progress in progress {
            let id = PartitionId::parse(&progress.partition);
            if let Some(partition) = id.and_then(|id| self.partitions.get_mut(&id)) {
                partition.restore(progress);
            }
        }
    }

    /// How far every partition is committed once `tick` is.
    pub fn progress(&mut self, tick: Timestamp) -> Vec<Progress> {
        self.partitions.values_mut().map(|p| p.commit(tick)).collect()
    }

    /// The partitions that must wait for others.
    pub fn held(&self) -> BTreeSet<PartitionId> {
        let open = self.open();
        let limit = open.plus(self.settings.ticks_ahead * self.settings.step.millis());
        let ahead = |p: &&Partition| open.0 > 0 && p.watermark.is_some_and(|w| w > limit);
        self.partitions.values().filter(ahead).map(|p| p.id.clone()).collect()
    }

    /// Whether every partition has ended and every tick is closed.
    pub fn finished(&self) -> bool {
        self.waiting.is_empty() && self.partitions.values().all(|p| p.ended)
    }

    /// The first tick that is not closed, or the epoch before any.
    fn open(&self) -> Timestamp {
        let step = self.settings.step.millis();
        let first = || self.waiting.keys().find(|t| t.0 > 0).copied().unwrap_or_default();
        self.closed.map_or_else(first, |closed| closed.plus(step))
    }

    /// Takes what a source gave.
    pub fn take(&mut self, polled: Polled) {
        match polled {
            Polled::Batch(fetched) => self.batch(&fetched),
            Polled::Mark { partition, at, position } => {
                if let Some(partition) = self.partitions.get_mut(&partition) {
                    partition.marked(at, position);
                }
            }
            Polled::Idle => {}
            Polled::End { partition } => {
                if let Some(partition) = self.partitions.get_mut(&partition) {
                    partition.ended = true;
                }
            }
        }
    }

    fn batch(&mut self, fetched: &Fetched) {
        let Some(stream) = self.streams.get(&fetched.stream) else {
            tracing::error!(stream = %fetched.stream, "a source feeds an undeclared stream");
            return;
        };
        let Some(partition) = self.partitions.get_mut(&fetched.partition) else {
            tracing::error!(partition = %fetched.partition, "a source gave an unknown partition");
            return;
        };
        let step = self.settings.step;
        let open = self.closed.map_or(Timestamp(0), |closed| closed.plus(step.millis()));
        let (lateness_ms, max_ahead_ms) = (stream.lateness_ms, self.settings.max_ahead_ms);
        let rules = Rules { step, lateness_ms, max_ahead_ms };
        let before = partition.watermark;
        let mut judged = Judged::default();
        let times = fetched.rows.column_by_name(&stream.def.event_time).expect("a declared column");
        let times = times.as_primitive::<TimestampMillisecondType>();
        let known = self.known.get(&fetched.stream);
        let mut refused = fetched.refused.iter().peekable();
        for row in 0..=fetched.rows.num_rows() {
            let position = fetched.positions.get(row).copied().unwrap_or(Position::MAX);
            while let Some(record) = refused.next_if(|record| record.position < position) {
                let at = partition.watermark.map_or(open, |w| step.tick_of(w).max(open));
                judged.refuse(partition, record.position, at, || quarantined(fetched, at, record));
            }
            if row == fetched.rows.num_rows() {
                break;
            }
            let event = Timestamp(times.value(row).max(0) as u64);
            let arrived = fetched.arrived_at.get(row).copied().flatten();
            let verdict = judge(&rules, event, arrived, partition.watermark, open);
            let stranger = known.and_then(|(column, known)| {
                let names = fetched.rows.column(*column).as_string::<i32>();
                (!known.contains(names.value(row))).then(|| names.value(row))
            });
            let at = partition.watermark.map_or(open, |w| step.tick_of(w).max(open));
            match (verdict, stranger) {
                (Verdict::TooFarAhead, _) => judged.refuse(partition, position, at, || {
                    too_far_ahead(fetched, row, at, event, arrived, max_ahead_ms)
                }),
                (Verdict::TooLate(tick), _) => judged.refuse(partition, position, tick, || {
                    too_late(fetched, row, tick, event, lateness_ms)
                }),
                (Verdict::Enters(tick), Some(name)) => {
                    partition.saw(event);
                    judged.refuse(partition, position, tick, || unknown(fetched, row, tick, name));
                }
                (Verdict::Enters(tick), None) => {
                    if !partition.skips(position) {
                        judged.enter(position, tick, row);
                    }
                    partition.saw(event);
                }
            }
        }
        partition.passed(before, fetched.next, judged.records);
        for (tick, rows) in judged.rows {
            let whole = rows.len() == fetched.rows.num_rows();
            let first = fetched.positions[rows[0] as usize];
            let batch = if whole {
                fetched.rows.clone()
            } else {
                take_record_batch(&fetched.rows, &UInt32Array::from(rows))
                    .expect("indices are of this batch")
            };
            let waiting = self.waiting.entry(tick).or_default();
            waiting.rows.push((fetched.stream.clone(), fetched.partition.clone(), first, batch));
        }
        for refused in judged.quarantine {
            self.waiting.entry(refused.tick_at).or_default().quarantine.push(refused);
        }
    }

    /// Closes the next tick if it may be closed.
    pub fn close(&mut self, now: Timestamp) -> Option<ClosedTick> {
        let step = self.settings.step;
        let live = || self.partitions.values().filter(|p| !p.ended);
        let passed_by = |p: &Partition| p.watermark.map_or(Timestamp(0), |w| closed_by(step, w));
        let all = live().map(passed_by).min();
        let last = self.waiting.keys().next_back().copied();
        // Where no partition is live, nothing more can come: everything that waits may close.
        let complete = all.or(last)?;
        let next = self.next_tick(complete.max(live().map(passed_by).max().unwrap_or_default()))?;
        let mut missing = Vec::new();
        if next > complete {
            let patience = self.settings.patience_ms?;
            if !live().any(|p| passed_by(p) >= next) {
                return None;
            }
            match self.passed {
                Some((tick, since)) if tick == next => {
                    if now < since.plus(patience) {
                        return None;
                    }
                }
                _ => {
                    self.passed = Some((next, now));
                    return None;
                }
            }
            missing = live().filter(|p| passed_by(p) < next).map(|p| p.id.clone()).collect();
        }
        Some(self.seal(next, missing))
    }

    /// The tick to close next, given that none after `until` can be.
    fn next_tick(&self, until: Timestamp) -> Option<Timestamp> {
        let step = self.settings.step.millis();
        let waits = self.waiting.keys().find(|t| t.0 > 0).copied();
        let Some(closed) = self.closed else { return waits.filter(|t| *t <= until) };
        let next = closed.plus(step);
        if next > until {
            return None;
        }
        let target = waits.unwrap_or(until).min(until);
        if target.0 > next.0 + DAY_MS { Some(target) } else { Some(next) }
    }

    fn seal(&mut self, tick: Timestamp, missing: Vec<PartitionId>) -> ClosedTick {
        let later = self.waiting.split_off(&tick.plus(1));
        let closing = std::mem::replace(&mut self.waiting, later);
        let mut rows = Vec::new();
        let mut quarantine = Vec::new();
        for (_, mut waiting) in closing {
            rows.append(&mut waiting.rows);
            quarantine.append(&mut waiting.quarantine);
        }
        rows.sort_by(|a, b| (&a.0, &a.1, a.2).cmp(&(&b.0, &b.1, b.2)));
        quarantine.iter_mut().for_each(|q| q.tick_at = tick);
        quarantine.sort_by(|a, b| {
            (&a.source, &a.partition, a.position).cmp(&(&b.source, &b.partition, b.position))
        });
        let mut pieces: BTreeMap<String, Vec<RecordBatch>> = BTreeMap::new();
        for (stream, _, _, batch) in rows {
            pieces.entry(stream).or_default().push(batch);
        }
        let streams = (pieces.into_iter())
            .map(|(stream, pieces)| {
                let schema = self.streams[&stream].def.schema.clone();
                let batch = concat_batches(&schema, &pieces).expect("pieces of one stream");
                (stream, batch)
            })
            .collect();
        self.closed = Some(tick);
        let progress = self.progress(tick);
        ClosedTick { tick, streams, quarantine, progress, missing }
    }
}

/// What became of a batch's records.
#[derive(Default)]
struct Judged {
    records: Vec<(Position, Timestamp)>,
    rows: BTreeMap<Timestamp, Vec<u32>>,
    quarantine: Vec<Quarantined>,
}

impl Judged {
    fn enter(&mut self, position: Position, tick: Timestamp, row: usize) {
        self.records.push((position, tick));
        self.rows.entry(tick).or_default().push(row as u32);
    }

    fn refuse(
        &mut self,
        partition: &Partition,
        position: Position,
        tick: Timestamp,
        why: impl FnOnce() -> Quarantined,
    ) {
        if !partition.skips(position) {
            self.records.push((position, tick));
            self.quarantine.push(why());
        }
    }
}

fn quarantined(
    fetched: &Fetched,
    tick: Timestamp,
    record: &connectors::source::Refused,
) -> Quarantined {
    Quarantined {
        tick_at: tick,
        source: fetched.partition.source.clone(),
        partition: fetched.partition.partition.clone(),
        position: record.position,
        stream: fetched.stream.clone(),
        reason: record.reason.as_str().to_owned(),
        detail: record.detail.clone(),
        bytes: record.bytes,
        sha256: record.sha256.clone(),
        head: record.head.clone(),
    }
}

/// A typed row that is refused: kept as text, like the record it came from.
fn row_refused(
    fetched: &Fetched,
    row: usize,
    tick: Timestamp,
    reason: &str,
    detail: String,
) -> Quarantined {
    let text = crate::render::map_filter::describe(&fetched.rows.slice(row, 1));
    let refusal = connectors::source::Refusal {
        reason: connectors::source::Reason::Malformed,
        detail: String::new(),
    };
    let kept = connectors::source::Refused::new(fetched.positions[row], refusal, text.as_bytes());
    let kept = quarantined(fetched, tick, &kept);
    Quarantined { reason: reason.to_owned(), detail, ..kept }
}

fn too_far_ahead(
    fetched: &Fetched,
    row: usize,
    tick: Timestamp,
    event: Timestamp,
    arrived: Option<Timestamp>,
    max_ahead_ms: u64,
) -> Quarantined {
    let arrived = arrived.unwrap_or_default();
    let detail = format!(
        "its time {event} is more than {} s ahead of its arrival at {arrived}; \
         correct the sender's clock, or \
         raise max_ahead",
        max_ahead_ms / 1_000
    );
    row_refused(fetched, row, tick, "too-far-ahead", detail)
}

fn too_late(
    fetched: &Fetched,
    row: usize,
    tick: Timestamp,
    event: Timestamp,
    lateness_ms: u64,
) -> Quarantined {
    let detail = format!(
        "its time {event} is more than {} s before the open tick {tick}; raise the \
         stream's lateness to take it",
        lateness_ms / 1_000
    );
    row_refused(fetched, row, tick, "too-late", detail)
}

fn unknown(fetched: &Fetched, row: usize, tick: Timestamp, name: &str) -> Quarantined {
    let detail = format!(
        "{name} is not in the reference table that {} refers to; add it there, or correct the \
         sender",
        fetched.stream
    );
    row_refused(fetched, row, tick, "unknown-key", detail)
}
