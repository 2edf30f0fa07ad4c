//! Sealing: the records of the log that come next, as one commit of the table a portion.
//!
//! ```text
//! refresh ─▶ read on from the position ─▶ check links ─▶ write files ─▶ commit files + position
//! ```
//!
//! A crash before the commit leaves files that nobody knows of, to be swept later; a crash after it
//! leaves nothing to do. There is no third case, since the position is in the commit. Two that seal
//! at once read the same position; the second commit would move a position that the first has
//! moved, and Delta refuses it.
//!
//! Links are checked before they are sealed: an archive of a log that does not hold would look
//! sound.
//!
//! **Invariant:** the position a commit carries is that of the last record in it, and the log's
//! count there.
//!
//! # Bounds
//!
//! [`RECORDS_MAX`] records and one tick more in memory.

use std::collections::BTreeMap;

use arrow::array::Array;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use deltalake_core::kernel::Action;
use deltalake_core::kernel::Add;
use deltalake_core::protocol::DeltaOperation;
use deltalake_core::protocol::SaveMode;
use deltalake_core::writer::DeltaWriter;
use deltalake_core::writer::RecordBatchWriter;
use schemas::audit::Hash;
use schemas::audit::Head;
use schemas::audit::Kind;
use schemas::audit::PREVIOUS_HASH;
use schemas::audit::RecordId;
use schemas::audit::check;

use crate::columns;
use crate::error::ArchiveError;
use crate::error::Outside;
use crate::table::Archive;
use crate::table::Position;
use crate::table::sealed_to;

/// Records after which a portion is committed. 100,000 records of a kilobyte are 100 MB; fewer make
/// more files.
pub const RECORDS_MAX: u64 = 100_000;

/// The records of one commit of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// The chain after it.
    pub head: Head,
    /// Its records, linked, in the chain's order, with both hash columns.
    pub audit: Vec<(Kind, RecordBatch)>,
}

/// A moment of a seal between two writes, for tests that end there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The table has the columns that it needs.
    Widened,
    /// The files are written, and nobody knows of them.
    Written,
    /// The files and the position are committed.
    Committed,
}

/// What a seal did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seal {
    /// Records sealed.
    pub records: u64,
    /// Commits of the table that it took.
    pub commits: u64,
    /// How far the archive is sealed now.
    pub sealed: Position,
}

/// Records that become one commit.
#[derive(Default)]
struct Portion {
    rows: BTreeMap<Kind, Vec<RecordBatch>>,
    records: u64,
    head: Option<Head>,
}

/// The links that were checked last.
#[derive(Default)]
struct Chain {
    hash: Option<Hash>,
    last: Option<RecordId>,
}

impl Archive {
    /// Seals `commits`: those of the log after [`Archive::sealed`], in order. `at` is told of each
    /// step.
    ///
    /// # Errors
    /// The commits do not follow what is sealed, their links do not hold, or the table cannot be
    /// written. What was committed before stays sealed.
    pub fn seal(
        &mut self,
        commits: impl Iterator<Item = Result<Commit, Outside>>,
        at: &mut dyn FnMut(Step),
    ) -> Result<Seal, ArchiveError> {
        let mut seal = Seal { sealed: self.sealed(), ..Seal::default() };
        let mut chain = Chain::default();
        let mut portion = Portion::default();
        for commit in commits {
            let commit = commit.map_err(ArchiveError::Log)?;
            if commit.head.tick <= self.sealed().tick {
                continue;
            }
            portion.add(commit, &mut chain)?;
            if portion.records >= RECORDS_MAX {
                self.seal_portion(std::mem::take(&mut portion), &mut seal, at)?;
            }
        }
        self.seal_portion(portion, &mut seal, at)?;
        Ok(seal)
    }

    fn seal_portion(
        &mut self,
        portion: Portion,
        seal: &mut Seal,
        at: &mut dyn FnMut(Step),
    ) -> Result<(), ArchiveError> {
        let (Some(head), 1..) = (portion.head, portion.records) else { return Ok(()) };
        let sealed = self.sealed();
        if sealed.count + portion.records != head.count {
            let location = self.location().to_string();
            return Err(ArchiveError::Gap { location, sealed, found: head });
        }
        self.widen(&portion)?;
        at(Step::Widened);
        let mut rows = Vec::new();
        for (kind, batches) in portion.rows {
            rows.extend(joined(&batches)?.into_iter().map(|batch| (kind, batch)));
        }
        let adds = self.write(&rows)?;
        self.durable_files(&adds)?;
        at(Step::Written);
        let position = Position { count: head.count, tick: head.tick };
        let transactions = sealed_to(&self.place.instance, position);
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(columns::PARTITION.map(str::to_owned).to_vec()),
            predicate: None,
        };
        self.commit(adds.into_iter().map(Action::Add).collect(), transactions, operation)?;
        assert!(self.sealed().count >= position.count, "a committed position is read back");
        at(Step::Committed);
        seal.records += portion.records;
        seal.commits += 1;
        seal.sealed = self.sealed();
        Ok(())
    }

    /// Gives the table the columns that it lacks. Rows that are there have NULL in them.
    fn widen(&mut self, portion: &Portion) -> Result<(), ArchiveError> {
        let batches = portion.rows.iter().flat_map(|(kind, all)| all.iter().map(|b| (*kind, b)));
        for (kind, batch) in batches {
            let state = self.loaded.table.snapshot().map_err(self.cannot("opened"))?;
            let fields = columns::missing(kind, batch.schema_ref(), state.schema().as_ref())?;
            if fields.is_empty() {
                continue;
            }
            let widened = self.loaded.table.clone().add_columns().with_fields(fields);
            self.wait(async { widened.await }).map_err(self.cannot("widened"))?;
            self.refresh()?;
        }
        Ok(())
    }

    /// Writes rows into files that nobody knows of yet.
    pub(crate) fn write(&self, rows: &[(Kind, RecordBatch)]) -> Result<Vec<Add>, ArchiveError> {
        let mut writer =
            RecordBatchWriter::for_table(&self.loaded.table).map_err(self.cannot("written"))?;
        let schema = writer.arrow_schema();
        for (kind, batch) in rows {
            let rows = columns::to_rows(*kind, batch, &schema)?;
            self.wait(writer.write(rows)).map_err(self.cannot("written"))?;
        }
        self.wait(writer.flush()).map_err(self.cannot("written"))
    }
}

impl Portion {
    /// Adds a commit whose links hold.
    fn add(&mut self, commit: Commit, chain: &mut Chain) -> Result<(), ArchiveError> {
        for (kind, batch) in commit.audit {
            let before = match chain.hash {
                Some(hash) => hash,
                // The first that is seen: whether it follows from what is sealed, `verify` tells.
                None => first_link(&batch)?,
            };
            let checked = check(&before, chain.last.as_ref(), kind, &batch)?;
            if let Some(broken) = checked.breaks.first() {
                return Err(ArchiveError::Broken { record: broken.record.to_string() });
            }
            *chain = Chain { hash: Some(checked.hash), last: checked.last };
            self.records += batch.num_rows() as u64;
            self.rows.entry(kind).or_default().push(batch);
        }
        if chain.hash.is_some_and(|hash| hash != commit.head.hash) {
            let record = format!("the head of tick {}", commit.head.tick);
            return Err(ArchiveError::Broken { record });
        }
        self.head = Some(commit.head);
        Ok(())
    }
}

/// Neighbours with the same columns as one batch: a tick has few rows of a kind.
fn joined(batches: &[RecordBatch]) -> Result<Vec<RecordBatch>, ArchiveError> {
    let same = batches.chunk_by(|a, b| a.schema_ref() == b.schema_ref());
    let joined = same.map(|run| concat_batches(run[0].schema_ref(), run));
    let joined: Result<Vec<_>, ArrowError> = joined.collect();
    joined.map_err(|error| ArchiveError::Log(error.into()))
}

/// The link before a batch's first record, as it says itself.
fn first_link(batch: &RecordBatch) -> Result<Hash, ArchiveError> {
    let texts = batch.column_by_name(PREVIOUS_HASH).and_then(|c| c.as_string_opt::<i32>());
    let first = texts.filter(|texts| !texts.is_empty()).map(|texts| texts.value(0));
    let hash = first.and_then(|text| text.parse().ok());
    hash.ok_or_else(|| ArchiveError::Broken { record: "a record without a link".to_owned() })
}
