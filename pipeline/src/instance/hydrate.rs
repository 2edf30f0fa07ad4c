//! The past of a view that is made while the instance runs: what the log holds of the relations it
//! reads, in parts.
//!
//! A thread of its own reads the log beside the writer, gathers commits into parts and waits while
//! two of them are on their way, so that neither the dataflow nor memory notices how long the past
//! is. Within a part the ticks are not told apart: what a view holds at the end is the same. Only a
//! lookup tells what a table was when a row came, so a part ends before a table changes.
//!
//! Rows of other views are no part of the log; they stand in the store as of the tick from which
//! the view lives, and go with the last part.
//!
//! # Bounds
//!
//! Two parts, each of [`PART_ROWS`] rows or [`PART_TICKS`] ticks.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::TryRecvError;
use std::sync::mpsc::sync_channel;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use schemas::audit::Kind;
use schemas::audit::table;
use schemas::row::RowCodec;
use schemas::time::Timestamp;

use super::tables;
use crate::delta::DeltaBatch;
use crate::delta::Diff;
use crate::delta::Diffs;
use crate::emit::records;
use crate::ingest::upsert::Upsert;
use crate::log::TickCommit;
use crate::log::read_commits;
use crate::workers::PastRows;
use schemas::row::Row;

/// Rows of a part: what a worker adds to a view's state in some ten milliseconds.
const PART_ROWS: usize = 16_384;

/// Ticks of a part: an hour of 5 s ticks.
const PART_TICKS: usize = 720;

/// What of the log one input takes.
pub(super) enum Takes {
    /// A stream of appended rows.
    Rows(SchemaRef),
    /// A reference table.
    Table(SchemaRef),
    /// A stream in which a row takes the place of the one before it.
    Upserts(Box<Upsert>),
    /// What an agent said, from the audit records of this kind.
    Said(Kind, SchemaRef),
    /// The audit records of this kind, as rows of their table.
    Audit(Kind, SchemaRef),
    /// Nothing: a view, or what an index has.
    Nothing,
}

/// A part of the past.
pub(super) struct Part {
    pub(super) until: Timestamp,
    pub(super) deltas: Vec<(usize, PastRows)>,
    pub(super) last: bool,
}

/// A past that is being read.
pub(super) struct PastReader {
    parts: Receiver<Result<Part, String>>,
    until: Timestamp,

    /// The first tick there is, and how far it has been read.
    first: Option<Timestamp>,
    at: Timestamp,
    pub(super) sent: u64,
}

impl PastReader {
    /// Reads the commits in `dir` up to `until`; what stands there of a stream before its tick in
    /// `since` is another's of its name.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(super) fn start(
        dir: PathBuf,
        until: Timestamp,
        takes: Vec<(String, Takes)>,
        since: BTreeMap<String, Timestamp>,
    ) -> std::io::Result<PastReader> {
        let (to, parts) = sync_channel(1);
        let thread = std::thread::Builder::new().name("past".to_owned());
        thread.spawn(move || read(&dir, until, (takes, &since), &to))?;
        Ok(PastReader { parts, until, first: None, at: Timestamp(0), sent: 0 })
    }

    /// The next part, if one is ready.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Part>, String> {
        match self.parts.try_recv() {
            Ok(part) => {
                let part = part?;
                self.first.get_or_insert(part.until);
                self.at = part.until;
                self.sent += 1;
                Ok(Some(part))
            }
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err("its reader ended".to_owned()),
        }
    }

    /// How much of it has been read, in percent; 99 at most, until it is worked off.
    pub(super) fn percent(&self) -> u8 {
        let Some(first) = self.first else { return 0 };
        let whole = self.until.0.saturating_sub(first.0).max(1);
        let read = self.at.0.saturating_sub(first.0);
        u8::try_from(read * 99 / whole).unwrap_or(99).min(99)
    }
}

/// What has been gathered of a part.
#[derive(Default)]
struct Gathered {
    /// Pieces of appended rows, by input.
    rows: BTreeMap<usize, Vec<RecordBatch>>,
    /// Everything else, in order.
    deltas: Vec<(usize, PastRows)>,
    count: usize,
    ticks: usize,
}

impl Gathered {
    fn part(self, takes: &[(String, Takes)], until: Timestamp, last: bool) -> Part {
        let mut deltas = self.deltas;
        for (input, pieces) in self.rows {
            let (Takes::Rows(schema) | Takes::Table(schema) | Takes::Audit(_, schema)) =
                &takes[input].1
            else {
                continue;
            };
            let batch = concat_batches(schema, &pieces).expect("pieces of one relation");
            deltas.push((input, PastRows::Batch(whole(until, batch, Diffs::All(1)))));
        }
        Part { until, deltas, last }
    }
}

fn whole(until: Timestamp, batch: RecordBatch, diffs: Diffs) -> DeltaBatch {
    DeltaBatch { time: until.0, batch, diffs }
}

fn read(
    dir: &Path,
    until: Timestamp,
    (mut takes, since): (Vec<(String, Takes)>, &BTreeMap<String, Timestamp>),
    to: &SyncSender<Result<Part, String>>,
) {
    let logged = takes.iter().any(|(_, takes)| !matches!(takes, Takes::Nothing));
    let mut gathered = Gathered::default();
    let commits = if logged { until } else { Timestamp(0) };
    let mut before = Timestamp(0);
    for committed in read_commits(dir, Timestamp(0), commits) {
        let commit = match committed {
            Ok(committed) => committed.commit,
            Err(error) => {
                to.send(Err(error.to_string())).unwrap_or_default();
                return;
            }
        };
        if gathered.ticks > 0 && brings_table(&takes, &commit) {
            let part = std::mem::take(&mut gathered).part(&takes, before, false);
            if to.send(Ok(part)).is_err() {
                return;
            }
        }
        before = commit.tick;
        if let Err(why) = take((&mut takes[..], since), &commit, &mut gathered) {
            to.send(Err(why)).unwrap_or_default();
            return;
        }
        gathered.ticks += 1;
        let full = gathered.count >= PART_ROWS || gathered.ticks >= PART_TICKS;
        if full && commit.tick < until {
            let part = std::mem::take(&mut gathered).part(&takes, commit.tick, false);
            // The other side lets go where the view was taken away.
            if to.send(Ok(part)).is_err() {
                return;
            }
        }
    }
    // If nobody takes it, nobody wants it.
    to.send(Ok(gathered.part(&takes, until, true))).unwrap_or_default();
}

/// Whether a commit changes a table that is taken.
fn brings_table(takes: &[(String, Takes)], commit: &TickCommit) -> bool {
    let table = |of: &str| takes.iter().any(|(name, t)| name == of && matches!(t, Takes::Table(_)));
    commit.inputs.iter().any(|(logged, _)| table(tables::signed(logged).0))
}

/// Gathers what a commit holds of the inputs.
fn take(
    (takes, since): (&mut [(String, Takes)], &BTreeMap<String, Timestamp>),
    commit: &TickCommit,
    gathered: &mut Gathered,
) -> Result<(), String> {
    let TickCommit { tick, inputs, audit, .. } = commit;
    let tick = *tick;
    for (index, (name, takes)) in takes.iter_mut().enumerate() {
        if since.get(name).is_some_and(|since| tick < *since) {
            continue;
        }
        match takes {
            Takes::Rows(_) | Takes::Table(_) => {
                for (logged, batch) in inputs {
                    match tables::signed(logged) {
                        (of, 1) if of == name => {
                            gathered.rows.entry(index).or_default().push(batch.clone());
                        }
                        (of, diff) if of == name => {
                            let gone = whole(Timestamp(0), batch.clone(), Diffs::All(diff));
                            gathered.deltas.push((index, PastRows::Batch(gone)));
                        }
                        _ => continue,
                    }
                    gathered.count += batch.num_rows();
                }
            }
            Takes::Upserts(upsert) => {
                for (logged, batch) in inputs {
                    let changes = upsert.apply(tick, name, (logged, batch));
                    let Some((batch, diffs)) = changes.map_err(|e| e.to_string())? else {
                        continue;
                    };
                    gathered.count += batch.num_rows();
                    let delta = whole(Timestamp(0), batch, diffs);
                    gathered.deltas.push((index, PastRows::Batch(delta)));
                }
            }
            Takes::Said(kind, schema) => {
                for (_, records) in audit.iter().filter(|(of, _)| of == kind) {
                    let rows = said(*kind, records, schema)?;
                    gathered.count += rows.len();
                    gathered.deltas.push((index, PastRows::Rows(rows.into())));
                }
            }
            Takes::Audit(kind, _) => {
                for (_, records) in audit.iter().filter(|(of, _)| of == kind) {
                    let rows = table::rows(*kind, records).map_err(|e| e.to_string())?;
                    gathered.count += rows.num_rows();
                    gathered.rows.entry(index).or_default().push(rows);
                }
            }
            Takes::Nothing => {}
        }
    }
    Ok(())
}

/// What agents said, from its records.
fn said(kind: Kind, records: &RecordBatch, schema: &SchemaRef) -> Result<Vec<(Row, Diff)>, String> {
    let batch = records::as_said(kind, records, schema).map_err(|e| e.to_string())?;
    let mut codec = RowCodec::new(schema.clone()).map_err(|e| e.to_string())?;
    let rows = codec.rows(&batch).map_err(|e| e.to_string())?;
    Ok(rows.into_iter().map(|row| (row, 1)).collect())
}
