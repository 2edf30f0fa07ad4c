//! Linking the records of a tick.
//!
//! A link is `SHA-256(previous link, text(kind), sequence, canonical encoding of the other
//! columns)`, the sequence as eight little-endian bytes and `text` as in
//! [`canonical`](super::canonical). The sequence stands apart because it may be given here: records
//! of one tick, kind and subject that come without one are ordered by their own encoding, so that
//! the number does not depend on who was first.
//!
//! **Invariant:** what comes out is in the chain's order, and each record's identity is its own.
//!
//! Checking links is [`check`](super::check())'s work.

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::ArrayRef;
use arrow_array::FixedSizeBinaryArray;
use arrow_array::Int64Array;
use arrow_array::RecordBatch;
use arrow_array::StringArray;
use arrow_array::UInt64Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::types::TimestampMillisecondType;
use arrow_schema::ArrowError;
use arrow_schema::DataType;
use arrow_schema::Field;
use arrow_schema::Schema;
use arrow_select::concat::concat_batches;
use arrow_select::take::take;
use sha2::Digest;
use sha2::Sha256;

use super::HASH;
use super::Hash;
use super::HashError;
use super::Head;
use super::Kind;
use super::PREVIOUS_HASH;
use super::RecordId;
use super::SEQUENCE;
use super::SUBJECT;
use super::canonical::CanonicalError;
use super::canonical::Encoder;
use super::common_fields;
use crate::time::Timestamp;

/// The linked records of a tick.
#[derive(Clone, Debug)]
pub struct Links {
    /// One batch a kind that has records, kinds in the chain's order, rows too, with both hash
    /// columns.
    pub batches: Vec<(Kind, RecordBatch)>,
    /// The same as a store keeps them: with the link before each batch, as [`compact`] would give.
    ///
    /// [`compact`]: super::compact()
    pub stored: Vec<(Kind, Hash, RecordBatch)>,
    /// Where the chain stands now.
    pub head: Head,
}

/// Why records could not be linked or read.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// A common column is not where it should be.
    #[error("audit batch of kind {kind}: column {position} must be {expected}, not {found}")]
    Column {
        /// The batch's kind.
        kind: Kind,
        /// Counted from 0.
        position: usize,
        /// Name and type wanted.
        expected: String,
        /// Name and type met.
        found: String,
    },
    /// NULL in a common column that may not hold it.
    #[error("audit batch of kind {kind}: column {column} holds NULL")]
    Null {
        /// The batch's kind.
        kind: Kind,
        /// The column.
        column: String,
    },
    /// A payload column named like a common one, or like another.
    #[error("audit batch of kind {kind} has two columns named {column}")]
    Repeated {
        /// The batch's kind.
        kind: Kind,
        /// The name.
        column: String,
    },
    /// A record of another tick than the commit's.
    #[error("a record of kind {kind} has tick {found} in the commit of tick {tick}")]
    Tick {
        /// The record's kind.
        kind: Kind,
        /// The commit's tick.
        tick: Timestamp,
        /// The record's.
        found: Timestamp,
    },
    /// The chain is already past the tick.
    #[error("tick {tick} does not follow tick {last} of the chain's head")]
    TickOrder {
        /// The tick to link.
        tick: Timestamp,
        /// The head's tick.
        last: Timestamp,
    },
    /// Two records with one identity.
    #[error("two audit records are {0}")]
    Duplicate(RecordId),
    /// A linked batch where an unlinked one is wanted, or the reverse.
    #[error("audit batch of kind {kind}: column {column} is {state}")]
    HashColumn {
        /// The batch's kind.
        kind: Kind,
        /// The column.
        column: &'static str,
        /// Missing or present.
        state: &'static str,
    },
    /// A hash column holds something else.
    #[error("audit batch of kind {kind}: a hash cannot be read")]
    Hash {
        /// The batch's kind.
        kind: Kind,
        /// What was found.
        #[source]
        source: HashError,
    },
    /// A column cannot be hashed.
    #[error("audit batch of kind {kind} cannot be hashed")]
    Canonical {
        /// The batch's kind.
        kind: Kind,
        /// Which column and why.
        #[source]
        source: CanonicalError,
    },
    /// Arrow could not join or reorder rows.
    #[error("audit batch of kind {kind} cannot be arranged")]
    Arrow {
        /// The batch's kind.
        kind: Kind,
        /// What Arrow said.
        #[source]
        source: ArrowError,
    },
}

/// Links the records of one tick to `head`: orders them, numbers those without a sequence, hashes.
///
/// # Errors
/// A tick that does not follow, a record of another tick, a batch without the common columns first,
/// two records with one identity, a column that cannot be hashed.
pub fn chain(
    head: &Head,
    tick: Timestamp,
    batches: &[(Kind, RecordBatch)],
) -> Result<Links, ChainError> {
    if tick <= head.tick {
        return Err(ChainError::TickOrder { tick, last: head.tick });
    }
    let head = Head { tick, ..*head };
    let mut links = Links { batches: Vec::new(), stored: Vec::new(), head };
    for kind in Kind::ALL {
        let mut of_kind = batches
            .iter()
            .filter(|(other, batch)| *other == kind && batch.num_rows() > 0)
            .map(|(_, batch)| batch);
        let Some(first) = of_kind.next() else { continue };
        let rest: Vec<&RecordBatch> = of_kind.collect();
        let batch = if rest.is_empty() {
            first.clone()
        } else {
            concat_batches(&first.schema(), std::iter::once(first).chain(rest))
                .map_err(|source| ChainError::Arrow { kind, source })?
        };
        link_kind(tick, kind, &batch, &mut links)?;
    }
    Ok(links)
}

/// Links one kind's records of one tick.
fn link_kind(
    tick: Timestamp,
    kind: Kind,
    batch: &RecordBatch,
    links: &mut Links,
) -> Result<(), ChainError> {
    check_common(tick, kind, batch)?;
    let contents = Contents::new(kind, batch)?;
    let subjects = batch.column_by_name(SUBJECT).expect("checked above").as_string::<i32>();
    let given = batch.column_by_name(SEQUENCE).expect("checked above").as_primitive::<Int64Type>();

    // Numbered records first, then the others by content.
    let key = |row: usize| {
        let number = given.is_valid(row).then(|| given.value(row));
        let content = if number.is_some() { &[] } else { contents.row(row) };
        (subjects.value(row), number.is_none(), number, content)
    };
    let mut order: Vec<usize> = (0..batch.num_rows()).collect();
    order.sort_by(|a, b| key(*a).cmp(&key(*b)));

    let mut sequences = Vec::with_capacity(order.len());
    let mut hashes = Vec::with_capacity(order.len());
    let mut last: Option<(usize, i64)> = None;
    let mut hash = links.head.hash;
    for &row in &order {
        let before = last.filter(|(other, _)| subjects.value(*other) == subjects.value(row));
        let sequence = match (given.is_valid(row).then(|| given.value(row)), before) {
            (Some(number), Some((_, earlier))) if number <= earlier => {
                let subject = subjects.value(row).to_owned();
                let record = RecordId { tick, kind, subject, sequence: number };
                return Err(ChainError::Duplicate(record));
            }
            (Some(number), _) => number,
            (None, Some((_, earlier))) => earlier + 1,
            (None, None) => 0,
        };
        hash = link(&hash, kind, sequence, contents.row(row));
        sequences.push(sequence);
        hashes.push(hash);
        last = Some((row, sequence));
    }
    let arrow = |source| ChainError::Arrow { kind, source };
    let previous = links.head.hash;
    let (fields, columns) = in_order(batch, &order, sequences).map_err(arrow)?;
    let shown = shown(fields.clone(), columns.clone(), &previous, &hashes).map_err(arrow)?;
    links.batches.push((kind, shown));
    let stored = stored(fields, columns, &hashes).map_err(arrow)?;
    links.stored.push((kind, previous, stored));
    links.head.count += hashes.len() as u64;
    links.head.hash = hash;
    Ok(())
}

/// The common columns are there, first, typed, without NULL where none may be, all of `tick`.
fn check_common(tick: Timestamp, kind: Kind, batch: &RecordBatch) -> Result<(), ChainError> {
    let schema = batch.schema_ref();
    for (position, expected) in common_fields().into_iter().enumerate() {
        let found = schema.fields().get(position);
        let describe = |field: &Field| format!("{}: {}", field.name(), field.data_type());
        let matches = found.is_some_and(|field| {
            field.name() == expected.name() && field.data_type() == expected.data_type()
        });
        if !matches {
            let found = found.map_or_else(|| "missing".to_owned(), |field| describe(field));
            let expected = describe(&expected);
            return Err(ChainError::Column { kind, position, expected, found });
        }
        if !expected.is_nullable() && batch.column(position).null_count() > 0 {
            return Err(ChainError::Null { kind, column: expected.name().clone() });
        }
    }
    for column in [PREVIOUS_HASH, HASH] {
        if schema.column_with_name(column).is_some() {
            return Err(ChainError::HashColumn { kind, column, state: "present already" });
        }
    }
    for (position, field) in schema.fields().iter().enumerate() {
        if schema.index_of(field.name()).is_ok_and(|first| first < position) {
            return Err(ChainError::Repeated { kind, column: field.name().clone() });
        }
    }
    let ticks = batch.column(0).as_primitive::<TimestampMillisecondType>();
    match ticks.values().iter().find(|found| **found != tick.0 as i64) {
        Some(found) => Err(ChainError::Tick { kind, tick, found: Timestamp(*found as u64) }),
        None => Ok(()),
    }
}

/// Columns with their fields.
pub(super) type Columns = (Vec<Arc<Field>>, Vec<ArrayRef>);

/// The columns with their rows in `order`, numbered.
fn in_order(
    batch: &RecordBatch,
    order: &[usize],
    sequences: Vec<i64>,
) -> Result<Columns, ArrowError> {
    let sorted = order.windows(2).all(|pair| pair[0] < pair[1]);
    let indices = UInt64Array::from_iter_values(order.iter().map(|row| *row as u64));
    let mut fields: Vec<Arc<Field>> = Vec::with_capacity(batch.num_columns() + 2);
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns() + 2);
    let mut sequences = Some(sequences);
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if field.name() == SEQUENCE
            && let Some(numbers) = sequences.take()
        {
            fields.push(Arc::new(Field::new(SEQUENCE, DataType::Int64, false)));
            columns.push(Arc::new(Int64Array::from(numbers)));
            continue;
        }
        fields.push(field.clone());
        columns.push(if sorted { column.clone() } else { take(column, &indices, None)? });
    }
    Ok((fields, columns))
}

/// The readers' spelling: both links in hexadecimal.
pub(super) fn shown(
    mut fields: Vec<Arc<Field>>,
    mut columns: Vec<ArrayRef>,
    previous: &Hash,
    hashes: &[Hash],
) -> Result<RecordBatch, ArrowError> {
    let texts: Vec<String> =
        std::iter::once(previous).chain(hashes).map(|hash| hash.to_string()).collect();
    for (name, shown) in [(PREVIOUS_HASH, &texts[..hashes.len()]), (HASH, &texts[1..])] {
        fields.push(Arc::new(Field::new(name, DataType::Utf8, false)));
        columns.push(Arc::new(StringArray::from_iter_values(shown)));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The store's spelling: the link as bytes, the previous one left out.
pub(super) fn stored(
    mut fields: Vec<Arc<Field>>,
    mut columns: Vec<ArrayRef>,
    hashes: &[Hash],
) -> Result<RecordBatch, ArrowError> {
    let links = FixedSizeBinaryArray::try_from_iter(hashes.iter().map(|hash| hash.0))?;
    fields.push(Arc::new(Field::new(HASH, links.data_type().clone(), false)));
    columns.push(Arc::new(links));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The canonical encodings of a batch's rows, without sequence and hashes, in one buffer.
pub(super) struct Contents {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Contents {
    pub(super) fn new(kind: Kind, batch: &RecordBatch) -> Result<Contents, ChainError> {
        let encoder = Encoder::new(batch, &[SEQUENCE, PREVIOUS_HASH, HASH])
            .map_err(|source| ChainError::Canonical { kind, source })?;
        let mut contents = Contents { bytes: Vec::new(), ends: vec![0] };
        for row in 0..batch.num_rows() {
            encoder.encode(row, &mut contents.bytes);
            contents.ends.push(contents.bytes.len());
        }
        Ok(contents)
    }

    pub(super) fn row(&self, row: usize) -> &[u8] {
        &self.bytes[self.ends[row]..self.ends[row + 1]]
    }
}

pub(super) fn link(previous: &Hash, kind: Kind, sequence: i64, content: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(previous.0);
    hasher.update((kind.name().len() as u32).to_le_bytes());
    hasher.update(kind.name());
    hasher.update(sequence.to_le_bytes());
    hasher.update(content);
    Hash(hasher.finalize().into())
}
