//! Where readings come from: the one trait that every source keeps, and what it owes the engine.
//!
//! A source is one entry of the configuration, feeds one stream, and consists of *partitions*:
//! sequences of records that keep their order. A partition's records are numbered by [`Position`];
//! the engine writes down with each tick how far it has read, so no source keeps its own
//! bookkeeping of what was consumed.
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
//!    position, among the records of the batch it stands in. It MUST NOT stop those around it.
//! 4. **Typed.** `rows` MUST have exactly the columns of the stream's schema, no NULL where the
//!    schema forbids it, no NaN and no infinity, no instant before 1970.
//! 5. **Pulled.** A source MUST NOT give anything that was not asked for by [`Source::poll`], and
//!    MUST bound what it prefetches. What is not polled waits where it is: a file, a broker. `poll`
//!    MAY wait up to `wait`, not longer.
//! 6. **Held.** `poll` MUST NOT give anything of a partition named in the last [`Source::hold`]; it
//!    goes on later where it was. So one partition can wait for another without either being lost.
//! 7. **Marks.** [`Polled::Mark`] says that nothing on time before `at` follows in that partition.
//!    Marks are part of the partition's order, and MUST be given again when it is read again.
//!    [`Polled::End`] is the last word of a partition: nothing follows at all. An ended partition's
//!    `poll` is idle.
//! 8. **Errors.** An `Err` means that the door is broken, not a record. The engine MAY poll again
//!    if [`ConnectorError::retry`] says so; nothing may be lost by that.
//!
//! This crate's `contract` tests hold every source to this.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use arrow_array::RecordBatch;
use schemas::quarantine::QUARANTINE_BYTES_MAX;
use schemas::time::Timestamp;
use sha2::Digest;
use sha2::Sha256;

use crate::error::ConnectorError;

/// The number of a record within its partition: offset, row or line, counted from 0. To *resume at*
/// a position is to go on with that very record.
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

    /// The stream it feeds.
    fn stream(&self) -> &str;

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
    /// When each row arrived, where the medium knows; as many as rows.
    pub arrived_at: Vec<Option<Timestamp>>,
    /// The records of this piece that are not rows, in order.
    pub refused: Vec<Refused>,
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
    /// Its length in bytes.
    pub bytes: i64,
    /// SHA-256 of all of it, in hexadecimal.
    pub sha256: String,
    /// Its first [`QUARANTINE_BYTES_MAX`] bytes, invalid UTF-8 replaced.
    pub head: String,
}

impl Refused {
    /// Keeps what is worth keeping of a refused record.
    pub fn new(position: Position, refusal: Refusal, record: &[u8]) -> Refused {
        let mut digest = RecordDigest::default();
        digest.update(record);
        digest.finish(position, refusal)
    }
}

/// Length, hash and head of a record that passes by in pieces because it is too long to keep.
#[derive(Clone, Debug, Default)]
pub struct RecordDigest {
    bytes: i64,
    sha256: Sha256,
    head: Vec<u8>,
}

impl RecordDigest {
    /// Takes in the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as i64;
        self.sha256.update(piece);
        let room = QUARANTINE_BYTES_MAX.saturating_sub(self.head.len());
        self.head.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// The refused record.
    pub fn finish(self, position: Position, refusal: Refusal) -> Refused {
        use fmt::Write;
        let mut sha256 = String::with_capacity(64);
        for byte in self.sha256.finalize() {
            write!(sha256, "{byte:02x}").expect("a String takes what is written");
        }
        let head = String::from_utf8_lossy(&self.head).into_owned();
        let Refusal { reason, detail } = refusal;
        Refused { position, reason, detail, bytes: self.bytes, sha256, head }
    }
}
