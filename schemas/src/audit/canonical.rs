//! Which bytes of a record are hashed.
//!
//! The encoding speaks of values, not of how Arrow holds them: a column read back from another file
//! format, with a dictionary, a wider integer or microseconds for milliseconds, encodes the same.
//! These bytes are promised:
//!
//! ```text
//! record  = column*                  columns in order of name; NULL columns are left out
//! column  = text(name) tag:u8 bytes    text, bytes = length:u32 little-endian, then the bytes
//! tag     = 1 bool     1 byte, 0 or 1
//!           2 integer  8 bytes, signed, little-endian
//!           3 integer  8 bytes, unsigned, where a signed one cannot hold it
//!           4 float    8 bytes, IEEE 754 binary64, little-endian; one NaN
//!           5 text     UTF-8
//!           6 binary
//!           7 instant  8 bytes, microseconds since the Unix epoch, signed
//!           8 date     8 bytes, days since the Unix epoch, signed
//! ```
//!
//! A NULL is encoded by its absence, which no value is: so a column that a later version adds, NULL
//! in old records, does not break their links. Every length is written, so no two records share an
//! encoding.
//!
//! **Invariant:** two records encode alike exactly if their named values are alike.
//!
//! It does not encode nested columns: an audit payload is flat.

use arrow_array::Array;
use arrow_array::ArrayRef;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Date32Type;
use arrow_array::types::Float64Type;
use arrow_array::types::Int64Type;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::types::UInt64Type;
use arrow_cast::CastOptions;
use arrow_cast::cast_with_options;
use arrow_schema::ArrowError;
use arrow_schema::DataType;
use arrow_schema::TimeUnit;

/// Why a batch has no canonical encoding.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// A type that the encoding does not name.
    #[error("audit column {column} is {found}, which has no canonical encoding")]
    Type {
        /// The column.
        column: String,
        /// Its type.
        found: DataType,
    },
    /// A value outside what the encoding holds.
    #[error("audit column {column} holds a value that has no canonical encoding")]
    Value {
        /// The column.
        column: String,
        /// What Arrow said.
        #[source]
        source: ArrowError,
    },
}

/// The columns of a batch, ready to be encoded row by row.
#[derive(Debug)]
pub struct Encoder {
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    /// `text(name) tag`, the same in every row.
    prefix: Vec<u8>,
    tag: Tag,
    values: ArrayRef,
}

#[derive(Clone, Copy, Debug)]
enum Tag {
    Bool = 1,
    Integer = 2,
    Unsigned = 3,
    Float = 4,
    Text = 5,
    Binary = 6,
    Instant = 7,
    Date = 8,
}

impl Encoder {
    /// An encoder of every column of `batch` that is not named in `without`.
    ///
    /// # Errors
    /// A column of a type, or with a value, that the encoding does not know.
    pub fn new(batch: &RecordBatch, without: &[&str]) -> Result<Encoder, CanonicalError> {
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (field, values) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if !without.contains(&field.name().as_str()) {
                columns.push(Column::new(field.name(), values)?);
            }
        }
        columns.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(Encoder { columns })
    }

    /// Appends the encoding of `row` to `out`.
    pub fn encode(&self, row: usize, out: &mut Vec<u8>) {
        for column in &self.columns {
            if column.values.is_valid(row) {
                column.encode(row, out);
            }
        }
    }
}

impl Column {
    fn new(name: &str, values: &ArrayRef) -> Result<Column, CanonicalError> {
        let (tag, data_type) = canonical_type(values.data_type()).ok_or_else(|| {
            CanonicalError::Type { column: name.to_owned(), found: values.data_type().clone() }
        })?;
        // `safe` would make NULL of what does not fit; a record must not lose a value in silence.
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let values = if *values.data_type() == data_type {
            values.clone()
        } else {
            cast_with_options(values, &data_type, &options)
                .map_err(|source| CanonicalError::Value { column: name.to_owned(), source })?
        };
        let mut prefix = Vec::with_capacity(name.len() + 5);
        put_bytes(&mut prefix, name.as_bytes());
        prefix.push(tag as u8);
        Ok(Column { prefix, tag, values })
    }

    fn name(&self) -> &[u8] {
        &self.prefix[4..self.prefix.len() - 1]
    }

    fn encode(&self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
        match self.tag {
            Tag::Bool => put_bytes(out, &[u8::from(self.values.as_boolean().value(row))]),
            Tag::Integer => {
                put_bytes(out, &self.values.as_primitive::<Int64Type>().value(row).to_le_bytes());
            }
            Tag::Unsigned => self.encode_unsigned(row, out),
            Tag::Float => {
                let value = self.values.as_primitive::<Float64Type>().value(row);
                let value = if value.is_nan() { f64::NAN } else { value };
                put_bytes(out, &value.to_le_bytes());
            }
            Tag::Text => put_bytes(out, self.values.as_string::<i32>().value(row).as_bytes()),
            Tag::Binary => put_bytes(out, self.values.as_binary::<i32>().value(row)),
            Tag::Instant => {
                let values = self.values.as_primitive::<TimestampMicrosecondType>();
                put_bytes(out, &values.value(row).to_le_bytes());
            }
            Tag::Date => {
                let days = i64::from(self.values.as_primitive::<Date32Type>().value(row));
                put_bytes(out, &days.to_le_bytes());
            }
        }
    }

    /// An unsigned value that a signed integer holds is encoded as one: other formats know no
    /// other.
    fn encode_unsigned(&self, row: usize, out: &mut Vec<u8>) {
        let value = self.values.as_primitive::<UInt64Type>().value(row);
        if i64::try_from(value).is_ok() {
            let tag = out.last_mut().expect("the prefix ends with the tag");
            *tag = Tag::Integer as u8;
        }
        put_bytes(out, &value.to_le_bytes());
    }
}

/// The tag of a type and the one type it is read as.
fn canonical_type(data_type: &DataType) -> Option<(Tag, DataType)> {
    Some(match data_type {
        DataType::Boolean => (Tag::Bool, DataType::Boolean),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            (Tag::Integer, DataType::Int64)
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            (Tag::Unsigned, DataType::UInt64)
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            (Tag::Float, DataType::Float64)
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => (Tag::Text, DataType::Utf8),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => (Tag::Binary, DataType::Binary),
        // Nanoseconds are refused: other formats would cut them.
        DataType::Timestamp(TimeUnit::Nanosecond, _) => return None,
        DataType::Timestamp(_, zone) => {
            (Tag::Instant, DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))
        }
        DataType::Date32 => (Tag::Date, DataType::Date32),
        DataType::Dictionary(_, values) => return canonical_type(values),
        _ => return None,
    })
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}
