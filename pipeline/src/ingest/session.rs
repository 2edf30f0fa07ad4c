//! The session: partitions in, closed ticks out.
//!
//! # Bounds
//!
//! At most [`IngestSettings::ticks_ahead`] ticks wait between the open tick and the furthest
//! partition: one that is further ahead is held (its records wait where they are). A gap in the
//! data longer than a day is skipped in one step. One instant is remembered for each tick that
//! some partition passed and that is not closed, so that `patience` is counted from there for each.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_select::concat::concat_batches;
use connectors::source::Fetched;
use connectors::source::PartitionId;
use connectors::source::Polled;
use connectors::source::Position;
use schemas::catalog::StreamSettings;
use schemas::event::Envelope;
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
use super::piece::Judged;
use super::piece::Record;
use super::piece::in_order;
use super::quarantine;

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

/// What stands before a stream's name where keys of it are gone.
pub const DELETED: &str = "-";

/// A tick whose input is complete.
#[derive(Clone, Debug)]
pub struct ClosedTick {
    /// The tick.
    pub tick: Timestamp,
    /// Its rows by stream, in name order, each in order of partition and position. Keys that are
    /// gone stand among the rows of their stream, in their place, under its name behind
    /// [`DELETED`].
    pub streams: Vec<(String, RecordBatch)>,
    /// What was refused.
    pub quarantine: Vec<Quarantined>,
    /// How far every partition is committed with it.
    pub progress: Vec<Progress>,
    /// The partitions that had not passed it: `patience` closed it, or their doors are broken.
    pub missing: Vec<PartitionId>,
    /// Those of them whose doors are broken.
    pub broken: BTreeSet<PartitionId>,
}

/// Where rows stand: stream, partition, and position of the first.
type Place = (String, PartitionId, Position);

/// What waits for a tick to close.
#[derive(Default)]
struct Waiting {
    /// Rows by stream, partition and position of the first; or, if so marked, keys that are gone.
    rows: Vec<(Place, bool, RecordBatch)>,
    quarantine: Vec<Quarantined>,
}

/// Whether a partition, as it is written, is one of this source.
fn of_source(partition: &str, source: &str) -> bool {
    PartitionId::parse(partition).is_some_and(|id| id.source == source)
}

/// Turns records into ticks.
pub struct Session {
    settings: IngestSettings,
    streams: BTreeMap<String, StreamSettings>,
    /// By stream: the column that names something known, and what is known.
    known: BTreeMap<String, (usize, BTreeSet<String>)>,

    partitions: BTreeMap<PartitionId, Partition>,
    waiting: BTreeMap<Timestamp, Waiting>,
    /// Partitions of which a commit tells and that nobody reads now: they go on where they were
    /// when they are read again.
    absent: Vec<Progress>,
    closed: Option<Timestamp>,
    /// Ticks that some partition was seen to have passed, rising, and when that was.
    passed: VecDeque<(Timestamp, Timestamp)>,
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
            absent: Vec::new(),
            closed: None,
            passed: VecDeque::new(),
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

    /// Adds a stream while others run.
    pub fn add_stream(&mut self, settings: &StreamSettings) {
        let name = settings.def.name.clone();
        // Another source of this name began anew.
        self.absent.retain(|progress| !of_source(&progress.partition, &name));
        self.streams.insert(name, settings.clone());
    }

    /// Takes a stream and the partitions of its source away, and the rows that wait for their tick:
    /// another of its name may come before that closes, and they are none of its own.
    pub fn remove_stream(&mut self, name: &str) {
        self.streams.remove(name);
        self.partitions.retain(|id, _| id.source != name);
        self.absent.retain(|progress| !of_source(&progress.partition, name));
        self.waiting.retain(|_, waiting| {
            waiting.rows.retain(|((stream, ..), ..)| stream != name);
            !waiting.rows.is_empty() || !waiting.quarantine.is_empty()
        });
    }

    /// Adds a partition whose readings may be `out_of_order_ms` earlier than the greatest seen.
    pub fn add_partition(&mut self, id: PartitionId, out_of_order_ms: u64) {
        let partition = Partition::new(id.clone(), out_of_order_ms);
        self.partitions.entry(id).or_insert(partition);
    }

    /// Adds a partition that nobody waits for until it has said something: nothing was promised of
    /// it. Where a commit tells of it, it goes on there.
    pub fn join_partition(&mut self, id: PartitionId, out_of_order_ms: u64) {
        if self.partitions.contains_key(&id) {
            return;
        }
        let mut partition = Partition::new(id.clone(), out_of_order_ms).joining();
        let written = id.to_string();
        for progress in self.absent.extract_if(.., |progress| progress.partition == written) {
            partition.restore(&progress);
        }
        self.partitions.insert(id, partition);
    }

    /// Says whether the door of a source is broken: nobody waits for its partitions then.
    pub fn broken(&mut self, source: &str, broken: bool) {
        let of = self.partitions.values_mut().filter(|partition| partition.id.source == source);
        of.for_each(|partition| partition.broken = broken);
    }

    /// The sources whose partitions are read.
    pub fn sources(&self) -> BTreeSet<String> {
        self.partitions.keys().map(|id| id.source.clone()).collect()
    }

    /// Goes on after `tick`, whose commit wrote this progress.
    pub fn restore(&mut self, tick: Timestamp, progress: &[Progress]) {
        self.closed = Some(tick);
        for progress in progress {
            let id = PartitionId::parse(&progress.partition);
            match id.and_then(|id| self.partitions.get_mut(&id)) {
                Some(partition) => partition.restore(progress),
                None => self.absent.push(progress.clone()),
            }
        }
    }

    /// How far every partition is committed once `tick` is.
    pub fn progress(&mut self, tick: Timestamp) -> Vec<Progress> {
        let read = self.partitions.values_mut().filter_map(|p| p.commit(tick));
        let mut all: Vec<Progress> = read.chain(self.absent.iter().cloned()).collect();
        all.sort_by(|a, b| a.partition.cmp(&b.partition));
        all
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
        // A source that was taken away may have given more before it heard of it.
        let Some(stream) = self.streams.get(&fetched.stream) else {
            tracing::warn!(stream = %fetched.stream, "rows of a stream that is not there");
            return;
        };
        let Some(partition) = self.partitions.get_mut(&fetched.partition) else {
            tracing::warn!(partition = %fetched.partition, "rows of an unknown partition");
            return;
        };
        let step = self.settings.step;
        let open = self.closed.map_or(Timestamp(0), |closed| closed.plus(step.millis()));
        let (lateness_ms, max_ahead_ms) = (stream.lateness_ms, self.settings.max_ahead_ms);
        let rules = Rules { step, lateness_ms, max_ahead_ms };
        let replaces = stream.def.envelope == Envelope::Upsert;
        let before = partition.watermark;
        let mut judged = Judged::default();
        let times = fetched.rows.column_by_name(&stream.def.event_time).expect("a declared column");
        let times = times.as_primitive::<TimestampMillisecondType>();
        let known = self.known.get(&fetched.stream);
        for (position, record) in in_order(fetched) {
            let at = partition.watermark.map_or(open, |w| step.tick_of(w).max(open));
            let row = match record {
                Record::Row(row) => row,
                Record::Deleted(key) => {
                    let tick = partition.follows(at);
                    judged.enter(partition, position, tick, true, key);
                    continue;
                }
                Record::Refused(refused) => {
                    let why = || quarantine::unreadable(fetched, at, refused);
                    judged.refuse(partition, position, at, why);
                    continue;
                }
            };
            let event = Timestamp(times.value(row).max(0) as u64);
            let arrived = fetched.arrived_at.get(row).copied().flatten();
            let verdict = judge(&rules, event, arrived, partition.watermark, open);
            let stranger = known.and_then(|(column, known)| {
                let names = fetched.rows.column(*column).as_string::<i32>();
                (!known.contains(names.value(row))).then(|| names.value(row))
            });
            match (verdict, stranger) {
                (Verdict::TooFarAhead, _) => judged.refuse(partition, position, at, || {
                    quarantine::too_far_ahead(fetched, row, at, event, max_ahead_ms)
                }),
                (Verdict::TooLate(tick), _) => judged.refuse(partition, position, tick, || {
                    quarantine::too_late(fetched, row, tick, event, lateness_ms)
                }),
                (Verdict::Enters(tick), Some(name)) => {
                    partition.saw(event);
                    let why = || quarantine::unknown(fetched, row, tick, name);
                    judged.refuse(partition, position, tick, why);
                }
                (Verdict::Enters(tick), None) => {
                    let tick = if replaces { partition.follows(tick) } else { tick };
                    judged.enter(partition, position, tick, false, row);
                    partition.saw(event);
                }
            }
        }
        partition.passed(before, fetched.next, judged.records);
        for (tick, runs) in judged.runs {
            let waiting = self.waiting.entry(tick).or_default();
            for run in runs {
                let (first, deleted) = (run.first, run.deleted);
                let place = (fetched.stream.clone(), fetched.partition.clone(), first);
                waiting.rows.push((place, deleted, run.batch(fetched)));
            }
        }
        for refused in judged.quarantine {
            self.waiting.entry(refused.tick_at).or_default().quarantine.push(refused);
        }
    }

    /// Closes the next tick if it may be closed.
    pub fn close(&mut self, now: Timestamp) -> Option<ClosedTick> {
        let held = self.held();
        for partition in self.partitions.values_mut() {
            if partition.broken || held.contains(&partition.id) {
                partition.held_at = Some(now);
            }
        }
        let step = self.settings.step;
        let passed_by = |p: &Partition| p.watermark.map_or(Timestamp(0), |w| closed_by(step, w));
        let passed: Vec<Timestamp> = self.live().into_iter().map(passed_by).collect();
        let (all, furthest) = (passed.iter().min().copied(), passed.iter().max().copied());
        let last = self.waiting.keys().next_back().copied();
        // Where nobody is waited for, everything that waits may close.
        let complete = all.or(last)?;
        if all.is_none() && complete.0 == 0 && self.closed.is_none() {
            // Only what could not be read, and so has no time, waits: it gets the first tick, once
            // nothing more can come.
            let over = self.partitions.values().all(|p| p.ended);
            return over.then(|| self.seal(Timestamp(step.millis()), Vec::new()));
        }
        let furthest = furthest.unwrap_or_default();
        if self.passed.back().is_none_or(|(tick, _)| *tick < furthest) {
            self.passed.push_back((furthest, now));
        }
        let next = self.next_tick(complete.max(furthest))?;
        let lacks = |p: &Partition| passed_by(p) < next;
        if next > complete {
            let patience = self.settings.patience_ms?;
            let (_, since) = self.passed.iter().find(|(tick, _)| *tick >= next)?;
            // Whom we keep waiting is not silent, nor who cannot speak; its time begins when it may
            // speak again.
            let since = |p: &Partition| p.held_at.map_or(*since, |held| held.max(*since));
            if self.live().into_iter().any(|p| lacks(p) && now < since(p).plus(patience)) {
                return None;
            }
        }
        let missing = self.partitions.values().filter(|p| p.counts() && lacks(p));
        let missing = missing.map(|p| p.id.clone()).collect();
        Some(self.seal(next, missing))
    }

    /// The partitions that a tick waits for: those that count and whose doors are open. Where all
    /// doors are broken, nobody else tells the time, and it stands still.
    fn live(&self) -> Vec<&Partition> {
        let counting = || self.partitions.values().filter(|p| p.counts());
        let open: Vec<&Partition> = counting().filter(|p| !p.broken).collect();
        if open.is_empty() { counting().collect() } else { open }
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
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        quarantine.iter_mut().for_each(|q| q.tick_at = tick);
        quarantine.sort_by(|a, b| {
            (&a.source, &a.partition, a.position).cmp(&(&b.source, &b.partition, b.position))
        });
        let streams = together(rows);
        self.closed = Some(tick);
        while self.passed.front().is_some_and(|(passed, _)| *passed <= tick) {
            self.passed.pop_front();
        }
        let progress = self.progress(tick);
        let of = |id: &&PartitionId| self.partitions.get(*id).is_some_and(|p| p.broken);
        let broken = missing.iter().filter(of).cloned().collect();
        ClosedTick { tick, streams, quarantine, progress, missing, broken }
    }
}

/// One batch for what follows one another: rows of one stream, or keys of it that are gone.
fn together(rows: Vec<(Place, bool, RecordBatch)>) -> Vec<(String, RecordBatch)> {
    let mut streams = Vec::new();
    let mut rows = rows.into_iter().peekable();
    while let Some(((stream, ..), deleted, first)) = rows.next() {
        let mut pieces = vec![first];
        while let Some((_, _, next)) =
            rows.next_if(|(place, other, _)| place.0 == stream && *other == deleted)
        {
            pieces.push(next);
        }
        let schema = pieces[0].schema();
        let batch = concat_batches(&schema, &pieces).expect("pieces of one stream");
        let name = if deleted { format!("{DELETED}{stream}") } else { stream };
        streams.push((name, batch));
    }
    streams
}
