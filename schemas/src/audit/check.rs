//! Checking links, and the two spellings of a linked batch.
//!
//! A store keeps the link as 32 bytes and leaves the previous one out, since rows of a kind and
//! tick are neighbours in the chain; a reader shows both as hexadecimal text. [`compact`] and
//! [`expand`] lead from one to the other.
//!
//! **Invariant:** [`check`] finds no break in what [`chain`](super::chain()) made, in either
//! spelling.
//!
//! It does not say who did it: a break names the first record at which the chain does not hold. A
//! record taken out shows at the one that followed it.

use arrow_array::Array;
use arrow_array::ArrayRef;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::types::TimestampMillisecondType;
use arrow_cast::cast;
use arrow_schema::DataType;

use super::HASH;
use super::Hash;
use super::HashError;
use super::Kind;
use super::PREVIOUS_HASH;
use super::RecordId;
use super::SEQUENCE;
use super::SUBJECT;
use super::TICK_AT;
use super::chain::ChainError;
use super::chain::Columns;
use super::chain::Contents;
use super::chain::link;
use super::chain::shown;
use super::chain::stored;
use crate::relation::timestamp_type;
use crate::time::Timestamp;

/// What is wrong with a record's link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BreakKind {
    /// The link does not follow from the previous one and the record's columns.
    Hash {
        /// The link that follows from them.
        computed: Hash,
        /// The link that stands there.
        stored: Hash,
    },
    /// The previous link that stands there is not the one before.
    Previous {
        /// The link before.
        before: Hash,
        /// The previous link that stands there.
        stored: Hash,
    },
    /// The record does not come after the one before it.
    Order {
        /// The one before it.
        after: RecordId,
    },
}

/// A record at which the chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// Its row in the batch.
    pub row: usize,
    /// Which record.
    pub record: RecordId,
    /// What is wrong.
    pub kind: BreakKind,
}

/// What [`check`] found in a run of records.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Where the chain does not hold, in row order.
    pub breaks: Vec<Break>,
    /// The run's last link, as stored.
    pub hash: Hash,
    /// The run's last record.
    pub last: Option<RecordId>,
}

/// Checks a run of neighbours in the chain, all of one kind, in either spelling, against the link
/// before them.
///
/// `last` is the record before them, if any: order is checked too. After a break the stored link is
/// believed, so that one edit is one break.
///
/// # Errors
/// A batch that is not a linked audit batch at all.
pub fn check(
    previous: &Hash,
    last: Option<&RecordId>,
    kind: Kind,
    batch: &RecordBatch,
) -> Result<Checked, ChainError> {
    let ids = record_ids(kind, batch)?;
    let stored = hashes(kind, batch, HASH)?.ok_or(ChainError::HashColumn {
        kind,
        column: HASH,
        state: "missing",
    })?;
    let stored_previous = hashes(kind, batch, PREVIOUS_HASH)?;
    let contents = Contents::new(kind, batch)?;
    let mut breaks = Vec::new();
    let mut before = *previous;
    let mut earlier = last;
    for (row, record) in ids.iter().enumerate() {
        let mut found = |kind| breaks.push(Break { row, record: record.clone(), kind });
        if let Some(after) = earlier.filter(|after| *after >= record) {
            found(BreakKind::Order { after: after.clone() });
        }
        if let Some(stored) = stored_previous.as_ref().map(|p| p[row]).filter(|p| *p != before) {
            found(BreakKind::Previous { before, stored });
        }
        let computed = link(&before, kind, record.sequence, contents.row(row));
        if computed != stored[row] {
            found(BreakKind::Hash { computed, stored: stored[row] });
        }
        before = stored[row];
        earlier = Some(record);
    }
    Ok(Checked { breaks, hash: before, last: ids.last().or(last).cloned() })
}

/// The identities of a batch's records.
///
/// # Errors
/// A common column is missing or of a type that cannot be read as it should.
pub fn record_ids(kind: Kind, batch: &RecordBatch) -> Result<Vec<RecordId>, ChainError> {
    let ticks = column_as(kind, batch, TICK_AT, &timestamp_type())?;
    let subjects = column_as(kind, batch, SUBJECT, &DataType::Utf8)?;
    let sequences = column_as(kind, batch, SEQUENCE, &DataType::Int64)?;
    let ticks = ticks.as_primitive::<TimestampMillisecondType>();
    let subjects = subjects.as_string::<i32>();
    let sequences = sequences.as_primitive::<Int64Type>();
    Ok((0..batch.num_rows())
        .map(|row| RecordId {
            tick: Timestamp(ticks.value(row) as u64),
            kind,
            subject: subjects.value(row).to_owned(),
            sequence: sequences.value(row),
        })
        .collect())
}

fn column_as(
    kind: Kind,
    batch: &RecordBatch,
    name: &str,
    data_type: &DataType,
) -> Result<ArrayRef, ChainError> {
    let Some((position, _)) = batch.schema_ref().column_with_name(name) else {
        return Err(ChainError::Column {
            kind,
            position: 0,
            expected: format!("{name}: {data_type}"),
            found: "missing".to_owned(),
        });
    };
    let values = batch.column(position);
    let values = cast(values, data_type).map_err(|source| ChainError::Arrow { kind, source })?;
    if values.null_count() > 0 {
        return Err(ChainError::Null { kind, column: name.to_owned() });
    }
    Ok(values)
}

/// A hash column in either spelling, if it is there.
fn hashes(kind: Kind, batch: &RecordBatch, name: &str) -> Result<Option<Vec<Hash>>, ChainError> {
    let Some(column) = batch.column_by_name(name) else { return Ok(None) };
    if let Some(binary) = column.as_fixed_size_binary_opt()
        && binary.value_length() == Hash::LEN as i32
    {
        let read = |bytes: &[u8]| Hash(bytes.try_into().expect("the length was checked"));
        return Ok(Some((0..binary.len()).map(|row| read(binary.value(row))).collect()));
    }
    let texts = column_as(kind, batch, name, &DataType::Utf8)?;
    let read = |text: Option<&str>| text.unwrap_or_default().parse::<Hash>();
    let read: Result<Vec<Hash>, HashError> = texts.as_string::<i32>().iter().map(read).collect();
    read.map(Some).map_err(|source| ChainError::Hash { kind, source })
}

/// The store's spelling of a linked batch, and the link before its first row.
///
/// # Errors
/// A batch without hash columns, or with something else in them.
pub fn compact(kind: Kind, batch: &RecordBatch) -> Result<(Hash, RecordBatch), ChainError> {
    let missing = |column| ChainError::HashColumn { kind, column, state: "missing" };
    let previous = hashes(kind, batch, PREVIOUS_HASH)?.ok_or_else(|| missing(PREVIOUS_HASH))?;
    let links = hashes(kind, batch, HASH)?.ok_or_else(|| missing(HASH))?;
    let first = previous.first().copied().ok_or_else(|| missing(PREVIOUS_HASH))?;
    let (fields, columns) = without_hashes(batch);
    let batch = stored(fields, columns, &links);
    Ok((first, batch.map_err(|source| ChainError::Arrow { kind, source })?))
}

/// The readers' spelling of a batch that [`compact`] made, with the link before its first row.
///
/// # Errors
/// A batch without links.
pub fn expand(kind: Kind, previous: &Hash, batch: &RecordBatch) -> Result<RecordBatch, ChainError> {
    let missing = ChainError::HashColumn { kind, column: HASH, state: "missing" };
    let links = hashes(kind, batch, HASH)?.ok_or(missing)?;
    let (fields, columns) = without_hashes(batch);
    let batch = shown(fields, columns, previous, &links);
    batch.map_err(|source| ChainError::Arrow { kind, source })
}

fn without_hashes(batch: &RecordBatch) -> Columns {
    batch
        .schema_ref()
        .fields()
        .iter()
        .zip(batch.columns())
        .filter(|(field, _)| field.name() != HASH && field.name() != PREVIOUS_HASH)
        .map(|(field, column)| (field.clone(), column.clone()))
        .unzip()
}
