//! Where readings come from: the one trait that every source keeps, and what it owes the engine.
//!
//! A source is one entry of the configuration and consists of *partitions*: sequences of records of
//! one stream that keep their order. A partition's records are numbered by [`Position`]; the engine
//! writes down with each tick how far it has read, so no source keeps its own bookkeeping of what
//! was consumed.
//!
//! # The contract
//!
//! 1. **Order.** A source MUST give each partition's records in the partition's order, and MUST
//!    give them in the same order on every run. How partitions interleave is free.
//! 2. **Once.** After [`Source::resume`] at a position it gave, a source MUST go on with exactly
//!    the record at that position: none lost, none twice. That holds for every position between two
//!    records, wherever a batch ended before. ([`Guarantee::ExactlyOnce`]; a source that cannot
//!    MUST say so.)
//! 3. **Nothing vanishes.** A record that cannot be read MUST be reported as [`Refused`], with its
//!    position, among the records of the batch it stands in. It MUST NOT stop those around it. A
//!    record that was read MUST be given with its bytes ([`RawRecords`]) where it has any: it may
//!    be refused later.
//! 4. **Typed.** `rows` MUST have exactly the columns of the stream's schema, no NULL where the
//!    schema forbids it, no NaN and no infinity, no instant before 1970. Where a medium can say
//!    that a key is gone, a source MUST say so of an upsert stream as [`Deletions`], and of any
//!    other as [`Refused`].
//! 5. **Pulled.** A source MUST NOT give anything that was not asked for by [`Source::poll`], and
//!    MUST bound what it prefetches. What is not polled waits where it is: a file, a broker. `poll`
//!    MAY wait up to `wait`, not longer.
//! 6. **Held.** `poll` MUST NOT give anything of a partition named in the last [`Source::hold`]; it
//!    goes on later where it was. So one partition can wait for another without either being lost.
//! 7. **Marks.** [`Polled::Mark`] says that nothing on time before `at` follows in that partition.
//!    Marks are part of the partition's order, and MUST be given again when it is read again.
//!    [`Polled::End`] is the last word of a partition: nothing follows at all. An ended partition's
//!    `poll` is idle.
//! 8. **Arrival.** Where the medium knows when a record arrived, that is its arrival; what the
//!    record says of itself MUST NOT count. Only where the medium does not know (a file) MAY a
//!    record say it.
//! 9. **Errors.** An `Err` means that the door is broken, not a record. The engine MAY poll again
//!    if [`ConnectorError::retry`] says so; nothing may be lost by that.
//!
//! This crate's `contract` tests hold every source to this.

mod raw;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use arrow_array::RecordBatch;
use schemas::time::Timestamp;

pub use self::raw::Kept;
pub(crate) use self::raw::RawBuilder;
pub use self::raw::RawRecords;
pub use self::raw::RecordDigest;
use crate::error::ConnectorError;
use crate::format::json;

/// The number of a record within its partition: an offset, a row, a line. Numbers grow from record
/// to record; there may be gaps. To *resume at* a position is to go on with that very record, or
/// the next that there is.
pub type Position = i64;

/// A partition of a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId {
    /// The source's name in the configuration; it holds no `/`.
    pub source: String,
    /// The partition's name within the source: a broker's partition number, a file's name.
    pub partition: String,
}

impl PartitionId {
    /// The partition `partition` of `source`.
    pub fn new(source: &str, partition: impl fmt::Display) -> PartitionId {
        PartitionId { source: source.to_owned(), partition: partition.to_string() }
    }

    /// Reads what `Display` wrote.
    pub fn parse(text: &str) -> Option<PartitionId> {
        let (source, partition) = text.split_once('/')?;
        Some(PartitionId::new(source, partition))
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source, self.partition)
    }
}

/// What a restart may do to the records of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guarantee {
    /// Records that came while nobody listened are lost. Obliges to nothing.
    None,
    /// Nothing is lost; some may come twice. Obliges to keep records until they are asked past.
    AtLeastOnce,
    /// Nothing is lost and nothing comes twice. Obliges to positions that mean the same record for
    /// ever.
    ExactlyOnce,
}

/// A source of records.
pub trait Source: Send {
    /// Its name in the configuration.
    fn name(&self) -> &str;

    /// The streams it feeds: one for most; a simulator has one for each partition.
    fn streams(&self) -> Vec<&str>;

    /// Its partitions, in order; the same as long as it lives.
    fn partitions(&self) -> Vec<PartitionId>;

    /// What a restart may do to its records.
    fn guarantee(&self) -> Guarantee;

    /// Goes on at these positions; a partition that is not named goes on at its beginning. Forgets
    /// what was held or ended.
    ///
    /// # Errors
    /// A position is no longer there ([`ConnectorError::Gone`]), a partition is unknown, or the
    /// door is broken.
    fn resume(&mut self, positions: &BTreeMap<PartitionId, Position>)
    -> Result<(), ConnectorError>;

    /// Names the partitions of which nothing is wanted for now, instead of those named before.
    fn hold(&mut self, partitions: &BTreeSet<PartitionId>);

    /// The next piece of some partition that is not held; waits for it up to `wait`.
    ///
    /// # Errors
    /// The door is broken.
    fn poll(&mut self, wait: Duration) -> Result<Polled, ConnectorError>;
}

/// What a source gives when it is polled.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "most are batches, and each is used up at once")]
pub enum Polled {
    /// Records.
    Batch(Fetched),
    /// Nothing on time before `at` follows in this partition.
    Mark {
        /// The partition.
        partition: PartitionId,
        /// The instant it promises.
        at: Timestamp,
        /// Where to resume after the mark.
        position: Position,
    },
    /// Nothing, for now.
    Idle,
    /// Nothing follows in this partition, ever.
    End {
        /// The partition.
        partition: PartitionId,
    },
}

/// A piece of one partition: records that follow one another, some of them refused.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The partition.
    pub partition: PartitionId,
    /// The stream the rows belong to.
    pub stream: String,
    /// The rows, with exactly the columns of the stream's schema.
    pub rows: RecordBatch,
    /// The position of each row's record; grows from row to row.
    pub positions: Vec<Position>,
    /// Where to resume after this piece.
    pub next: Position,
    /// When each row arrived, where that is known; as many as rows.
    pub arrived_at: Vec<Option<Timestamp>>,
    /// The record of each row, where rows have records.
    pub raw: RawRecords,
    /// The records of this piece that say that a key is gone.
    pub deleted: Option<Deletions>,
    /// The records of this piece that are neither, in order.
    pub refused: Vec<Refused>,
}

impl Fetched {
    /// Rows of which nothing else is known, the first at `first`, one after another.
    pub fn of_rows(
        partition: PartitionId,
        stream: &str,
        rows: RecordBatch,
        first: Position,
    ) -> Fetched {
        let count = rows.num_rows();
        Fetched {
            partition,
            stream: stream.to_owned(),
            positions: (first..).take(count).collect(),
            next: first + count as Position,
            arrived_at: vec![None; count],
            raw: RawRecords::default(),
            deleted: None,
            refused: Vec::new(),
            rows,
        }
    }

    /// What is kept of a row that is refused after it was read: its record, or the row as JSON
    /// where it never was one.
    pub fn kept(&self, row: usize) -> Kept {
        let record = self.raw.get(row).map_or_else(
            || {
                let mut text = String::new();
                json::encode_row(&self.rows, row, &mut text);
                Cow::Owned(text.into_bytes())
            },
            Cow::Borrowed,
        );
        Kept::of(&record)
    }
}

/// Records that say that a key is gone.
#[derive(Clone, Debug)]
pub struct Deletions {
    /// The keys, with exactly the stream's key columns in the order of its key.
    pub keys: RecordBatch,
    /// The position of each key's record; grows from key to key.
    pub positions: Vec<Position>,
}

/// Why a record is not a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It is not a record of the format at all.
    Malformed,
    /// A value is of another type than its column.
    WrongType,
    /// A column that must have a value has none.
    MissingColumn,
    /// NaN, an infinity, or a number too great to be one.
    NotFinite,
    /// No bytes.
    Empty,
    /// More bytes than a record may have.
    TooLong,
}

impl Reason {
    /// The word that stands in `quarantine.reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::WrongType => "wrong-type",
            Reason::MissingColumn => "missing-column",
            Reason::NotFinite => "not-finite",
            Reason::Empty => "empty",
            Reason::TooLong => "too-long",
        }
    }
}

/// Why a record is not a row, with the words for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why, in a word.
    pub reason: Reason,
    /// Why, in words, with how to mend it.
    pub detail: String,
}

/// A record that is not a row, and what is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its position.
    pub position: Position,
    /// Why, in a word.
    pub reason: Reason,
    /// Why, in words, with how to mend it.
    pub detail: String,
    /// What is kept of it.
    pub kept: Kept,
}

impl Refused {
    /// Keeps what is worth keeping of a refused record.
    pub fn new(position: Position, refusal: Refusal, record: &[u8]) -> Refused {
        Refused::kept(position, refusal, Kept::of(record))
    }

    /// A record of which only this was kept.
    pub fn kept(position: Position, refusal: Refusal, kept: Kept) -> Refused {
        let Refusal { reason, detail } = refusal;
        Refused { position, reason, detail, kept }
    }
}
