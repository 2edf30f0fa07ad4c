//! The contract of [`crate::source`], as a test that every source passes.
//!
//! A test says what its source holds, partition by partition, and how to open it; everything else
//! is the same for all doors: order, nothing lost, nothing twice after resuming at any position,
//! refusals, deletions and marks where they stand, holding, and positions that are gone.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use arrow_schema::SchemaRef;
use schemas::time::Timestamp;

use crate::error::ConnectorError;
use crate::format::json;
use crate::source::Deletions;
use crate::source::Fetched;
use crate::source::Guarantee;
use crate::source::PartitionId;
use crate::source::Polled;
use crate::source::Position;
use crate::source::Source;

/// One record as a source should give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// A row, as JSON, and its arrival.
    Row(Position, String, Option<Timestamp>),
    /// A refused record, by its reason.
    Refused(Position, &'static str),
    /// A key that is gone, as JSON.
    Deleted(Position, String),
    /// A mark that stands at a position.
    Mark(Position, Timestamp),
}

impl Told {
    fn position(&self) -> Position {
        match self {
            Told::Row(position, ..)
            | Told::Refused(position, _)
            | Told::Deleted(position, _)
            | Told::Mark(position, _) => *position,
        }
    }
}

/// What a source holds.
pub(crate) struct Held {
    /// The columns of each partition's stream.
    pub(crate) schema: fn(&PartitionId) -> SchemaRef,
    /// What each partition tells, in order.
    pub(crate) told: BTreeMap<PartitionId, Vec<Told>>,
    /// Whether partitions end.
    pub(crate) ends: bool,
}

/// How long nothing may come before it is taken that nothing does.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long is listened for what should not come.
const SILENCE: Duration = Duration::from_millis(50);

/// Holds a source to the contract. `open` opens it anew, at its beginning.
#[track_caller]
pub(crate) fn assert_source_contract(open: impl Fn() -> Box<dyn Source>, held: &Held) {
    let mut source = open();
    assert_eq!(source.guarantee(), Guarantee::ExactlyOnce);
    assert_eq!(source.partitions(), held.told.keys().cloned().collect::<Vec<_>>());
    assert!(source.partitions().iter().all(|id| id.source == source.name()));
    assert!(!source.streams().is_empty());
    let everything = read(&mut *source, held, &BTreeMap::new());
    assert_eq!(everything, held.told, "at first sight");

    resumes_anywhere(&mut *source, held);
    holds_what_is_held(&open, held);
    refuses_what_is_gone(&mut *source, held);
}

/// Resumes at each record in turn, in all partitions at once, and reads to the end.
fn resumes_anywhere(source: &mut dyn Source, held: &Held) {
    let longest = held.told.values().map(Vec::len).max().unwrap_or(0);
    for skipped in 0..=longest {
        let mut positions = BTreeMap::new();
        for (id, told) in &held.told {
            let at = match told.get(skipped) {
                Some(next) => next.position(),
                None => told.last().map_or(0, |last| last.position() + 1),
            };
            positions.insert(id.clone(), at);
        }
        source.resume(&positions).expect("every record can be resumed at");
        let rest = read(source, held, &positions);
        for (id, told) in &held.told {
            let expected = &told[skipped.min(told.len())..];
            assert_eq!(rest[id], expected, "{id} after resuming at {}", positions[id]);
        }
    }
}

/// Holds each partition in turn after its first piece.
fn holds_what_is_held(open: &impl Fn() -> Box<dyn Source>, held: &Held) {
    for id in held.told.keys() {
        let mut source = open();
        source.hold(&BTreeSet::from([id.clone()]));
        let mut others = held.told.clone();
        others.insert(id.clone(), Vec::new());
        let mut reading = Reading::new(held, &BTreeMap::new());
        reading.held = Some(id.clone());
        reading.read(&mut *source, &others);
        source.hold(&BTreeSet::new());
        reading.held = None;
        reading.read(&mut *source, &held.told);
        assert_eq!(reading.told, held.told, "after {id} was held");
    }
}

/// Positions beyond the end, and partitions that are not there, are errors and not silence.
fn refuses_what_is_gone(source: &mut dyn Source, held: &Held) {
    for (id, told) in &held.told {
        let beyond = told.last().map_or(0, Told::position) + 1_000;
        let error = source.resume(&BTreeMap::from([(id.clone(), beyond)])).unwrap_err();
        assert!(
            matches!(error, ConnectorError::Gone { wanted, .. } if wanted == beyond),
            "{error}"
        );
    }
    let unknown = PartitionId::new(source.name(), "no-such-partition");
    assert!(source.resume(&BTreeMap::from([(unknown, 0)])).is_err(), "an unknown partition");
}

fn read(
    source: &mut dyn Source,
    held: &Held,
    from: &BTreeMap<PartitionId, Position>,
) -> BTreeMap<PartitionId, Vec<Told>> {
    let mut reading = Reading::new(held, from);
    let expected = held.told.iter().map(|(id, told)| {
        let from = from.get(id).copied().unwrap_or(0);
        (id.clone(), told.iter().filter(|t| t.position() >= from).cloned().collect())
    });
    reading.read(source, &expected.collect());
    reading.told
}

/// What a source told so far.
struct Reading<'a> {
    what: &'a Held,
    told: BTreeMap<PartitionId, Vec<Told>>,
    next: BTreeMap<PartitionId, Position>,
    ended: BTreeSet<PartitionId>,
    held: Option<PartitionId>,
}

impl<'a> Reading<'a> {
    fn new(what: &'a Held, from: &BTreeMap<PartitionId, Position>) -> Reading<'a> {
        let mut next = from.clone();
        for id in what.told.keys() {
            next.entry(id.clone()).or_insert(0);
        }
        let told = what.told.keys().map(|id| (id.clone(), Vec::new())).collect();
        Reading { what, told, next, ended: BTreeSet::new(), held: None }
    }

    /// Polls until as much was told as is expected, then listens whether more comes.
    fn read(&mut self, source: &mut dyn Source, expected: &BTreeMap<PartitionId, Vec<Told>>) {
        let mut waited = Duration::ZERO;
        loop {
            let enough = expected.iter().all(|(id, told)| self.told[id].len() >= told.len())
                && (!self.what.ends || self.open().next().is_none());
            let wait = match (enough, self.what.ends) {
                (true, true) => Duration::ZERO,
                (true, false) => SILENCE,
                (false, _) => Duration::from_millis(200),
            };
            match source.poll(wait).expect("the door is whole") {
                Polled::Idle if enough => return,
                Polled::Idle => {
                    waited += wait;
                    assert!(waited < PATIENCE, "only {:?} was told", self.told);
                }
                Polled::Batch(piece) => self.piece(&piece),
                Polled::Mark { partition, at, position } => self.mark(&partition, at, position),
                Polled::End { partition } => {
                    assert!(self.what.ends, "{partition} has no end");
                    assert_ne!(self.held.as_ref(), Some(&partition), "ended while held");
                    assert!(self.ended.insert(partition), "ended twice");
                }
            }
        }
    }

    fn open(&self) -> impl Iterator<Item = &PartitionId> {
        let live = self.told.keys().filter(|id| !self.ended.contains(*id));
        live.filter(|id| self.held.as_ref() != Some(*id))
    }

    fn live(&self, id: &PartitionId) {
        assert_ne!(self.held.as_ref(), Some(id), "something came while held");
        assert!(!self.ended.contains(id), "something came after the end");
    }

    fn piece(&mut self, piece: &Fetched) {
        self.live(&piece.partition);
        assert_eq!(piece.rows.schema(), (self.what.schema)(&piece.partition));
        assert_eq!(piece.rows.num_rows(), piece.positions.len());
        assert_eq!(piece.rows.num_rows(), piece.arrived_at.len());
        let rows = json::encode(&piece.rows).into_iter().zip(&piece.positions);
        let mut told: Vec<Told> = rows
            .zip(&piece.arrived_at)
            .map(|((row, position), arrived_at)| Told::Row(*position, row, *arrived_at))
            .collect();
        assert!(told.is_sorted_by_key(Told::position), "rows keep their order");
        let refused = piece.refused.iter();
        told.extend(refused.map(|r| Told::Refused(r.position, r.reason.as_str())));
        if let Some(Deletions { keys, positions }) = &piece.deleted {
            assert_eq!(keys.num_rows(), positions.len());
            let keys = json::encode(keys).into_iter().zip(positions);
            told.extend(keys.map(|(key, position)| Told::Deleted(*position, key)));
        }
        told.sort_by_key(Told::position);
        assert!(!told.is_empty(), "a piece holds something");
        for record in told {
            self.record(&piece.partition, record);
        }
        let next = self.next.get_mut(&piece.partition).expect("a known partition");
        assert!(piece.next >= *next, "a piece ends after its records");
        *next = piece.next;
    }

    fn mark(&mut self, id: &PartitionId, at: Timestamp, position: Position) {
        self.live(id);
        let before = self.told[id].iter().rev().find_map(|told| match told {
            Told::Mark(_, before) => Some(*before),
            _ => None,
        });
        assert!(before.is_none_or(|before| before <= at), "marks go forward");
        self.record(id, Told::Mark(position - 1, at));
    }

    fn record(&mut self, id: &PartitionId, record: Told) {
        let next = self.next.get_mut(id).expect("a known partition");
        assert!(record.position() >= *next, "{record:?} comes again: {next} was next");
        *next = record.position() + 1;
        self.told.get_mut(id).expect("a known partition").push(record);
    }
}
