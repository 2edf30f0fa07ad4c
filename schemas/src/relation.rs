//! What a relation is: a name, typed columns, and how Rust values become Arrow batches and return.
//!
//! Every stream, reference table and operator output is declared once, with [`relation!`]: a struct
//! whose fields are its columns. The macro derives the Arrow schema, a builder (`to_batch`) and a
//! reader (`from_batch`), so that the three cannot disagree. Columns are matched by **name** when
//! read: a view that stands in for a relation may order its columns as it likes and carry more of
//! them.
//!
//! Each relation has an example, one row as it might be, so that whoever writes a sender, a file or
//! a test has something to begin with, and every encoding is tried on every relation. A column's
//! part of it stands behind the column's type; one that says nothing has its type's.
//!
//! It does not keep data; see [`crate::contract`] for that.

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::ArrayRef;
use arrow_array::BooleanArray;
use arrow_array::Float64Array;
use arrow_array::Int64Array;
use arrow_array::RecordBatch;
use arrow_array::StringArray;
use arrow_array::TimestampMillisecondArray;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use arrow_schema::Field;
use arrow_schema::Schema;
use arrow_schema::SchemaRef;
use arrow_schema::TimeUnit;

use crate::time::Timestamp;

/// A typed relation: its columns are its fields.
pub trait Relation: Sized {
    /// The SQL name.
    const NAME: &'static str;

    /// The Arrow schema, columns in field order.
    fn schema() -> SchemaRef;

    /// One row as it might be.
    fn example() -> Self;

    /// The rows as one batch.
    fn to_batch(rows: &[Self]) -> RecordBatch;

    /// The batch as rows; columns are found by name.
    ///
    /// # Errors
    /// A column that is missing, of another type, or NULL where the field may not be.
    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, ColumnError> {
        Self::from_rows(batch, 0..batch.num_rows())
    }

    /// Some rows of the batch, in the order in which they are named.
    ///
    /// # Errors
    /// As [`Relation::from_batch`].
    fn from_rows(
        batch: &RecordBatch,
        rows: impl Iterator<Item = usize>,
    ) -> Result<Vec<Self>, ColumnError>;
}

/// Why a batch does not hold the relation it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// No such column.
    #[error("column {column} is missing")]
    Missing {
        /// Its name.
        column: String,
    },
    /// Another type than the relation says.
    #[error("column {column} is {found}, not {expected}")]
    Type {
        /// Its name.
        column: String,
        /// The type it should have.
        expected: DataType,
        /// The type it has.
        found: DataType,
    },
    /// NULL where a value is needed.
    #[error("column {column} is NULL in row {row}")]
    Null {
        /// Its name.
        column: String,
        /// The row within the batch.
        row: usize,
    },
}

/// The Arrow type of every instant: milliseconds, UTC.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::from(UTC)))
}

/// The instant of every example: 31 August 2016, 18:00, when the village's evening begins.
pub const EXAMPLE_AT: Timestamp = Timestamp(1_472_666_400_000);

/// The time zone of every instant.
pub const UTC: &str = "UTC";

/// A Rust type that can be a column.
pub trait Column: Sized {
    /// Its Arrow type.
    fn data_type() -> DataType;

    /// Whether NULL is one of its values.
    const NULLABLE: bool = false;

    /// A value where nothing better is known.
    fn example() -> Self;

    /// The values as an array.
    fn to_array<'a>(values: impl Iterator<Item = &'a Self>) -> ArrayRef
    where
        Self: 'a;

    /// The value in `row`, or `None` where it is NULL and may not be. The array is of
    /// [`Column::data_type`].
    fn read(array: &dyn Array, row: usize) -> Option<Self>;
}

macro_rules! column {
    ($rust:ty, $type:expr, $example:expr, $to:expr, $read:expr) => {
        impl Column for $rust {
            fn data_type() -> DataType {
                $type
            }

            fn example() -> Self {
                $example
            }

            fn to_array<'a>(values: impl Iterator<Item = &'a Self>) -> ArrayRef {
                let to: fn(Vec<Option<&Self>>) -> ArrayRef = $to;
                to(values.map(Some).collect())
            }

            fn read(array: &dyn Array, row: usize) -> Option<Self> {
                let read: fn(&dyn Array, usize) -> Self = $read;
                array.is_valid(row).then(|| read(array, row))
            }
        }

        impl Column for Option<$rust> {
            const NULLABLE: bool = true;

            fn data_type() -> DataType {
                $type
            }

            fn example() -> Self {
                Some($example)
            }

            fn to_array<'a>(values: impl Iterator<Item = &'a Self>) -> ArrayRef {
                let to: fn(Vec<Option<&$rust>>) -> ArrayRef = $to;
                to(values.map(Option::as_ref).collect())
            }

            fn read(array: &dyn Array, row: usize) -> Option<Self> {
                Some(<$rust as Column>::read(array, row))
            }
        }
    };
}

column!(
    String,
    DataType::Utf8,
    "text".to_owned(),
    |values| Arc::new(values.into_iter().collect::<StringArray>()),
    |array, row| array.as_string::<i32>().value(row).to_owned()
);
column!(
    f64,
    DataType::Float64,
    1.5,
    |values| Arc::new(values.into_iter().map(|v| v.copied()).collect::<Float64Array>()),
    |array, row| array.as_primitive::<arrow_array::types::Float64Type>().value(row)
);
column!(
    i64,
    DataType::Int64,
    1,
    |values| Arc::new(values.into_iter().map(|v| v.copied()).collect::<Int64Array>()),
    |array, row| array.as_primitive::<arrow_array::types::Int64Type>().value(row)
);
column!(
    bool,
    DataType::Boolean,
    true,
    |values| Arc::new(values.into_iter().map(|v| v.copied()).collect::<BooleanArray>()),
    |array, row| array.as_boolean().value(row)
);
column!(
    Timestamp,
    timestamp_type(),
    EXAMPLE_AT,
    |values| {
        let ms = values.into_iter().map(|v| v.map(|at| at.0 as i64));
        Arc::new(ms.collect::<TimestampMillisecondArray>().with_timezone(UTC))
    },
    |array, row| {
        let ms = array.as_primitive::<arrow_array::types::TimestampMillisecondType>().value(row);
        Timestamp(ms.max(0) as u64)
    }
);

/// A column of a batch by name, checked against the type it should have.
///
/// # Errors
/// The column is missing or of another type.
pub fn column<'a, C: Column>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a ArrayRef, ColumnError> {
    let column = name.to_owned();
    let Some(array) = batch.column_by_name(name) else {
        return Err(ColumnError::Missing { column });
    };
    if *array.data_type() != C::data_type() {
        let (expected, found) = (C::data_type(), array.data_type().clone());
        return Err(ColumnError::Type { column, expected, found });
    }
    Ok(array)
}

/// The value of a checked column in one row.
///
/// # Errors
/// The value is NULL and may not be.
pub fn value<C: Column>(array: &ArrayRef, name: &str, row: usize) -> Result<C, ColumnError> {
    C::read(array.as_ref(), row).ok_or_else(|| ColumnError::Null { column: name.to_owned(), row })
}

/// The field of one column.
pub fn field<C: Column>(name: &str) -> Field {
    Field::new(name, C::data_type(), C::NULLABLE)
}

/// A schema of fields.
pub fn schema_of(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

/// A column's part of an example.
#[doc(hidden)]
#[macro_export]
macro_rules! example_value {
    ($type:ty) => {
        <$type as $crate::relation::Column>::example()
    };
    ($type:ty, $value:expr) => {
        <$type>::from($value)
    };
}

/// Declares a relation: a struct, its SQL name, and its columns, each with its part of the example.
#[macro_export]
macro_rules! relation {
    (
        $(#[$outer:meta])*
        pub struct $name:ident in $sql:literal {
            $( $(#[$inner:meta])* pub $field:ident: $type:ty $(= $example:expr)?, )*
        }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $( $(#[$inner])* pub $field: $type, )*
        }

        impl $crate::relation::Relation for $name {
            const NAME: &'static str = $sql;

            fn schema() -> arrow_schema::SchemaRef {
                static SCHEMA: std::sync::OnceLock<arrow_schema::SchemaRef> =
                    std::sync::OnceLock::new();
                SCHEMA
                    .get_or_init(|| {
                        $crate::relation::schema_of(vec![
                            $( $crate::relation::field::<$type>(stringify!($field)), )*
                        ])
                    })
                    .clone()
            }

            fn example() -> Self {
                $name {
                    $( $field: $crate::example_value!($type $(, $example)?), )*
                }
            }

            fn to_batch(rows: &[Self]) -> arrow_array::RecordBatch {
                let columns = vec![
                    $( <$type as $crate::relation::Column>::to_array(
                        rows.iter().map(|row| &row.$field),
                    ), )*
                ];
                arrow_array::RecordBatch::try_new(Self::schema(), columns)
                    .expect("the macro makes columns and schema from the same fields")
            }

            fn from_rows(
                batch: &arrow_array::RecordBatch,
                rows: impl Iterator<Item = usize>,
            ) -> Result<Vec<Self>, $crate::relation::ColumnError> {
                $( let $field = $crate::relation::column::<$type>(batch, stringify!($field))?; )*
                rows.map(|row| {
                        Ok($name {
                            $( $field: $crate::relation::value(
                                $field, stringify!($field), row,
                            )?, )*
                        })
                    })
                    .collect()
            }
        }
    };
}
