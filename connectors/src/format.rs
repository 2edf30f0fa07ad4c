//! What records mean: bytes become rows of a stream, rows become bytes.
//!
//! There are two families. In a *record* format ([`json`], [`csv`], [`avro`]) one record is a run
//! of bytes, and a [`Decoder`] takes in record after record and gives a batch: typed rows, and
//! beside them every record that is not one. In a *column* format ([`arrow_ipc`], [`parquet`])
//! whole batches are read and fitted to the stream's columns. Both give a [`Decoded`]. A record may
//! also be a batch in itself: a message that holds a whole Arrow IPC stream.
//!
//! **Invariant:** every record pushed is either a row or refused, never both, never neither, and so
//! is every row of a batch; rows never hold what the schema forbids. Nothing is rounded to fit: a
//! number that a column cannot hold exactly as an integer is refused.
//!
//! What a record's columns are is matched by name. Fields that the stream does not have are
//! ignored, except [`ARRIVED_AT`] where the medium does not know ([`Arrival`]).

pub mod arrow_ipc;
pub mod avro;
pub(crate) mod columns;
pub mod csv;
pub(crate) mod instant;
pub mod json;
pub mod parquet;
pub(crate) mod rows;

#[cfg(test)]
pub(crate) mod example;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use schemas::time::Timestamp;

use self::avro::AvroConfig;
use self::rows::Rows;
use crate::source::Position;
use crate::source::RawBuilder;
use crate::source::RawRecords;
use crate::source::Reason;
use crate::source::Refusal;
use crate::source::Refused;

/// A column that no stream has, but a file may: when the record arrived. Future event times are
/// judged by it.
pub const ARRIVED_AT: &str = "arrived_at";

/// Whose word counts on when a record arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The medium's. A field [`ARRIVED_AT`] is one more that the stream does not have: a device
    /// whose clock is wrong would vouch for itself.
    OfMedium,
    /// The record's, for a medium that does not know: whoever wrote the file noted it.
    OfRecord,
}

/// The longest record that is looked into, in bytes. A reading has some hundreds; a greater one is
/// a mistake or an attack, and is kept out of memory.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// How many bytes of records make a piece, even if they are few rows.
pub(crate) const PIECE_BYTES_MAX: usize = 16 << 20;

/// The greatest limit on one record that may be asked for, in bytes.
pub(crate) const RECORD_BYTES_LIMIT: usize = 1 << 28;

// A record's place in its piece is kept in 32 bits.
const _: () = assert!(PIECE_BYTES_MAX + RECORD_BYTES_LIMIT <= u32::MAX as usize);

/// Records made into rows.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The rows.
    pub rows: RecordBatch,
    /// The position of each row's record.
    pub positions: Vec<Position>,
    /// When each row arrived, where that is known.
    pub arrived_at: Vec<Option<Timestamp>>,
    /// The record of each row, where rows have records and they were asked for.
    pub raw: RawRecords,
    /// The records that are not rows.
    pub refused: Vec<Refused>,
}

/// How one record is read.
trait RecordFormat: Send {
    /// Puts the record's values into `rows` and returns its arrival; the caller commits.
    fn read(&mut self, record: &[u8], rows: &mut Rows) -> Result<Option<Timestamp>, Refusal>;
}

/// Takes in records, gives batches.
pub struct Decoder {
    /// Longer records are refused unread.
    record_bytes_max: usize,
    format: Box<dyn RecordFormat>,
    /// Whether the records of rows are kept.
    keeps: bool,

    rows: Rows,
    positions: Vec<Position>,
    arrived_at: Vec<Option<Timestamp>>,
    raw: RawBuilder,
    refused: Vec<Refused>,
}

impl Decoder {
    /// A decoder of JSON records for a stream with these columns.
    ///
    /// # Errors
    /// A column's type is not one that streams have.
    pub fn json(
        schema: &SchemaRef,
        record_bytes_max: usize,
        arrival: Arrival,
    ) -> Result<Decoder, String> {
        let format = json::Json { arrival };
        Ok(Decoder::new(Rows::new(schema)?, Box::new(format), record_bytes_max))
    }

    /// A decoder of CSV records under this header line; without one, they have the stream's
    /// columns in their order.
    ///
    /// # Errors
    /// A column's type is not one that streams have, or the header lacks a column that must have a
    /// value.
    pub fn csv(
        schema: &SchemaRef,
        header: Option<&[u8]>,
        record_bytes_max: usize,
        arrival: Arrival,
    ) -> Result<Decoder, String> {
        let format = csv::Csv::under(header, schema, arrival)?;
        Ok(Decoder::new(Rows::new(schema)?, Box::new(format), record_bytes_max))
    }

    /// A decoder of Avro records for a stream with these columns.
    ///
    /// # Errors
    /// A column's type is not one that streams have, or a field of the Avro schema can never be the
    /// column of its name, or it has none for a column that must have a value.
    pub fn avro(
        schema: &SchemaRef,
        config: AvroConfig,
        record_bytes_max: usize,
        arrival: Arrival,
    ) -> Result<Decoder, String> {
        let rows = Rows::new(schema)?;
        let format = avro::Avro::of(config, &rows, schema, arrival)?;
        Ok(Decoder::new(rows, Box::new(format), record_bytes_max))
    }

    fn new(rows: Rows, format: Box<dyn RecordFormat>, record_bytes_max: usize) -> Decoder {
        Decoder {
            record_bytes_max,
            format,
            keeps: false,
            rows,
            positions: Vec::new(),
            arrived_at: Vec::new(),
            raw: RawBuilder::default(),
            refused: Vec::new(),
        }
    }

    /// The same, but it keeps the records of rows, for a source whose rows may yet be refused.
    #[must_use]
    pub fn keeping_records(self) -> Decoder {
        Decoder { keeps: true, ..self }
    }

    /// Takes in one record. `arrived_at` is what the medium knows.
    pub fn push(&mut self, position: Position, arrived_at: Option<Timestamp>, record: &[u8]) {
        if let Err(refusal) = self.take(position, arrived_at, record) {
            self.refuse(Refused::new(position, refusal, record));
        }
    }

    /// Takes in one record unless it is none; then nothing is noted of it.
    pub(crate) fn take(
        &mut self,
        position: Position,
        arrived_at: Option<Timestamp>,
        record: &[u8],
    ) -> Result<(), Refusal> {
        let own = self.read(record)?;
        self.positions.push(position);
        self.arrived_at.push(arrived_at.or(own));
        if self.keeps {
            self.raw.push(record);
        }
        Ok(())
    }

    fn read(&mut self, record: &[u8]) -> Result<Option<Timestamp>, Refusal> {
        of_a_length(record, self.record_bytes_max)?;
        self.rows.begin();
        let arrived_at = self.format.read(record, &mut self.rows)?;
        self.rows.commit()?;
        Ok(arrived_at)
    }

    /// Takes in a record that was refused before it could be read.
    pub fn refuse(&mut self, refused: Refused) {
        self.refused.push(refused);
    }

    /// The number of records taken in since the last [`Decoder::finish`].
    pub fn records(&self) -> usize {
        self.positions.len() + self.refused.len()
    }

    /// Bytes of records that are kept since then.
    pub(crate) fn bytes(&self) -> usize {
        self.raw.len()
    }

    /// What was taken in; the decoder is empty again.
    pub fn finish(&mut self) -> Decoded {
        Decoded {
            rows: self.rows.finish(),
            positions: std::mem::take(&mut self.positions),
            arrived_at: std::mem::take(&mut self.arrived_at),
            raw: self.raw.finish(),
            refused: std::mem::take(&mut self.refused),
        }
    }
}

impl Refusal {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Refusal {
        Refusal { reason, detail: detail.into() }
    }
}

/// Refuses a record that has no bytes, or more than it may.
fn of_a_length(record: &[u8], record_bytes_max: usize) -> Result<(), Refusal> {
    match record.len() {
        0 => Err(Refusal::new(Reason::Empty, "the record has no bytes")),
        length if length > record_bytes_max => Err(too_long(record_bytes_max)),
        _ => Ok(()),
    }
}

/// The refusal of a record above the limit.
pub(crate) fn too_long(record_bytes_max: usize) -> Refusal {
    let detail = format!(
        "the record is longer than {record_bytes_max} bytes; send smaller records or raise \
         `record_bytes_max`"
    );
    Refusal::new(Reason::TooLong, detail)
}
