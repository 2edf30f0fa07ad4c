//! Whether the archive says what was sealed: every link again, from the columns that anybody reads.
//!
//! The chain of the log runs through the table, day by day, from its genesis (or from where a
//! policy let it begin) to the sealed position. A table is a set of rows, so order on disk means
//! nothing; rows are put in the chain's order and must then follow from each other. An edited
//! record, one that is missing, one too many, and two that changed places are found at the first
//! record that does not follow, as in the log.
//!
//! The end is a head: count, link, tick. The log had that head at that tick, and its own
//! verification is told so ([`Report::marks`]); a table rewritten from some record to its end, all
//! links computed anew, agrees with itself and fails there.
//!
//! **Invariant:** an archive that [`seal`](crate::seal) wrote and nobody touched has no findings,
//! whatever was compacted or retired since.
//!
//! # Bounds
//!
//! The rows of one day in memory.

use std::collections::BTreeSet;
use std::fmt;

use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampMillisecondType;
use datafusion::logical_expr::lit;
use schemas::audit::Break;
use schemas::audit::BreakKind;
use schemas::audit::Hash;
use schemas::audit::Head;
use schemas::audit::Kind;
use schemas::audit::PREVIOUS_HASH;
use schemas::audit::RecordId;
use schemas::audit::SEQUENCE;
use schemas::audit::SUBJECT;
use schemas::audit::TICK_AT;
use schemas::audit::check;
use schemas::time::Timestamp;

use crate::columns;
use crate::columns::DAY;
use crate::columns::RECORD_KIND;
use crate::error::ArchiveError;
use crate::maintain::date;
use crate::maintain::day_number;
use crate::maintain::of_day;
use crate::read::column;
use crate::table::Archive;
use crate::table::Position;

/// Findings kept: beyond these an archive is beyond naming.
const FINDINGS_MAX: usize = 32;

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The record's columns were changed after it was linked.
    Edited,
    /// Records before this one are missing, or more are here than were sealed.
    Missing,
    /// The record is not where it was, or is there twice.
    Moved,
    /// The table has another number of records than its position says.
    Count {
        /// What its position says.
        sealed: Position,
        /// Records up to there.
        found: u64,
    },
    /// Rows that cannot be read.
    Unreadable(String),
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The day whose files it is in.
    pub day: Option<u64>,
    /// The first bad record, if it is about records.
    pub record: Option<RecordId>,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Edited => write!(f, "edited")?,
            Problem::Missing => write!(f, "records deleted or added before")?,
            Problem::Moved => write!(f, "moved")?,
            Problem::Count { sealed, found } => {
                write!(f, "records deleted or added at the end: sealed are {sealed}; ")?;
                write!(f, "there are {found}")?;
            }
            Problem::Unreadable(what) => write!(f, "{what}")?,
        }
        if let Some(record) = &self.record {
            write!(f, ": {record}")?;
        }
        match self.day {
            Some(day) => write!(f, " (archive, {DAY}={})", date(day)),
            None => write!(f, " (archive)"),
        }
    }
}

/// What [`Archive::verify`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Where the archive lies.
    pub location: String,
    /// Where its chain begins: the genesis, or after what a policy retired.
    pub start: Head,
    /// Where its chain ends.
    pub head: Head,
    /// Files.
    pub files: usize,
    /// What is wrong, in the order of the chain.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is wrong within.
    pub fn intact(&self) -> bool {
        self.findings.is_empty()
    }

    /// Records in it.
    pub fn records(&self) -> u64 {
        self.head.count.saturating_sub(self.start.count)
    }

    /// The heads that the log's own chain must have passed. None of an archive that is not intact:
    /// one finding is enough.
    pub fn marks(&self) -> Vec<Head> {
        let marks = [self.start, self.head].into_iter().filter(|head| head.count > 0);
        if self.intact() { marks.collect() } else { Vec::new() }
    }
}

/// Walks records in the chain's order and checks that each follows from the one before.
struct Walk {
    count: u64,
    /// The link before the next record; unknown at the beginning of a chain that was retired.
    hash: Option<Hash>,
    start: Option<Hash>,
    last: Option<RecordId>,
    /// The link that the record before should have had, if it has another.
    mended: Option<Hash>,
    findings: Vec<Finding>,
}

impl Archive {
    /// Checks every link.
    ///
    /// # Errors
    /// The table's log cannot be read; what is wrong with its rows is a finding.
    pub fn verify(&mut self) -> Result<Report, ArchiveError> {
        self.refresh()?;
        let (sealed, retired) = (self.sealed(), self.retired());
        let genesis = Head::genesis(&self.place.instance);
        let known = (retired.count == 0).then_some(genesis.hash);
        let mut walk = Walk {
            count: retired.count,
            hash: known,
            start: known,
            last: None,
            mended: None,
            findings: Vec::new(),
        };
        for day in self.days()? {
            // A file that is gone or no Parquet is a finding, and the days after it still count.
            if let Err(error) = self.walk_day(day, &mut walk) {
                walk.found(Some(day), None, Problem::Unreadable(chain_of(&error)));
            }
        }
        if walk.findings.is_empty() && walk.count != sealed.count {
            walk.found(None, None, Problem::Count { sealed, found: walk.count });
        }
        let start = Head {
            count: retired.count,
            hash: walk.start.unwrap_or(genesis.hash),
            tick: retired.tick,
        };
        Ok(Report {
            location: self.location().to_string(),
            start,
            head: Head {
                count: walk.count,
                hash: walk.hash.unwrap_or(start.hash),
                tick: sealed.tick,
            },
            files: self.files()?,
            findings: walk.findings,
        })
    }

    /// The days that have rows.
    fn days(&self) -> Result<BTreeSet<u64>, ArchiveError> {
        let state = self.loaded.table.snapshot().map_err(self.cannot("opened"))?;
        let mut days = BTreeSet::new();
        for file in state.log_data().iter() {
            let day = file.partition_values_map().get(DAY).cloned().flatten();
            days.extend(day.and_then(|day| day_number(&day)));
        }
        Ok(days)
    }

    fn walk_day(&self, day: u64, walk: &mut Walk) -> Result<(), ArchiveError> {
        let mut runs = Vec::new();
        for kind in Kind::ALL {
            if let Some(records) = self.records(day, kind)? {
                let bounds = ticks(&records);
                runs.extend(
                    bounds
                        .into_iter()
                        .map(|(tick, from, to)| (tick, kind, records.slice(from, to - from))),
                );
            }
        }
        // The chain's order: within a tick, kinds by name.
        runs.sort_by_key(|(tick, kind, _)| (*tick, *kind));
        for (_, kind, records) in runs {
            walk.records(day, kind, &records)?;
        }
        Ok(())
    }

    /// A kind's records of a day in order, as the log has them.
    fn records(&self, day: u64, kind: Kind) -> Result<Option<RecordBatch>, ArchiveError> {
        let order = [TICK_AT, SUBJECT, SEQUENCE];
        let order = order.map(|name| column(name).sort(true, false)).to_vec();
        let wanted = of_day(day).and(column(RECORD_KIND).eq(lit(kind.name())));
        let batches = self.ask(|frame| frame.filter(wanted)?.sort(order))?;
        let Some(first) = batches.first() else { return Ok(None) };
        let rows = concat_batches(&first.schema(), &batches);
        let rows =
            rows.map_err(|error| ArchiveError::query(&self.location().to_string())(error.into()))?;
        if rows.num_rows() == 0 {
            return Ok(None);
        }
        columns::from_rows(kind, &rows).map(Some)
    }
}

/// The runs of one tick: tick, first row, row after the last.
fn ticks(records: &RecordBatch) -> Vec<(Timestamp, usize, usize)> {
    let column = records.column_by_name(TICK_AT).expect("every kind has its tick");
    let ticks = column.as_primitive::<TimestampMillisecondType>().values();
    let mut runs = Vec::new();
    let mut from = 0;
    for run in ticks.chunk_by(|a, b| a == b) {
        runs.push((Timestamp(run[0].max(0) as u64), from, from + run.len()));
        from += run.len();
    }
    runs
}

impl Walk {
    fn found(&mut self, day: Option<u64>, record: Option<RecordId>, problem: Problem) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { day, record, problem });
        }
    }

    /// Checks the records of one tick and kind.
    fn records(&mut self, day: u64, kind: Kind, records: &RecordBatch) -> Result<(), ArchiveError> {
        let previous = previous_links(records);
        let before = *self.hash.get_or_insert_with(|| previous[0].unwrap_or(Hash([0; Hash::LEN])));
        self.start.get_or_insert(before);
        let checked = match check(&before, self.last.as_ref(), kind, records) {
            Ok(checked) => checked,
            Err(error) => {
                self.found(Some(day), None, Problem::Unreadable(error.to_string()));
                return Ok(());
            }
        };
        let mut breaks = checked.breaks.into_iter().peekable();
        #[expect(clippy::needless_range_loop, reason = "the row counts in several columns")]
        for row in 0..records.num_rows() {
            let mut here = Vec::new();
            while let Some(found) = breaks.next_if(|found| found.row == row) {
                here.push(found);
            }
            self.judge(day, here, previous[row]);
        }
        self.count += records.num_rows() as u64;
        self.hash = Some(checked.hash);
        self.last = checked.last;
        Ok(())
    }

    /// What is wrong with one record, told at most once.
    fn judge(&mut self, day: u64, breaks: Vec<Break>, previous: Option<Hash>) {
        let mended = self.mended.take();
        let mut problem = None;
        let mut record = None;
        for found in breaks {
            let here = match found.kind {
                BreakKind::Order { .. } => Problem::Moved,
                BreakKind::Previous { .. } => Problem::Missing,
                BreakKind::Hash { computed, .. } => {
                    // If the next record builds on this, the link was edited: nothing is missing.
                    self.mended = Some(computed);
                    Problem::Edited
                }
            };
            // What was moved, or follows something else, does not have its own link either.
            if problem.is_none() {
                problem = Some(here);
            }
            record = Some(found.record);
        }
        let only_the_link_before = mended.is_some() && mended == previous;
        if let Some(problem) = problem
            && !(only_the_link_before && problem == Problem::Missing)
        {
            self.found(Some(day), record, problem);
        }
    }
}

/// The link before each record as it says itself.
fn previous_links(records: &RecordBatch) -> Vec<Option<Hash>> {
    let texts = records.column_by_name(PREVIOUS_HASH).and_then(|c| c.as_string_opt::<i32>());
    let read = |row: usize| texts.and_then(|texts| texts.value(row).parse().ok());
    (0..records.num_rows()).map(read).collect()
}

/// An error with its causes in one line.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
