//! The table's columns, and how a kind's records become rows of it and return.
//!
//! One table holds every kind, so that a seal is one commit and has one position. A row has the
//! columns of its kind and NULL in the others'; a link leaves NULLs out, so the hash a row carries
//! is that of its record. Two columns are the table's own and not hashed: the day of the tick, and
//! the kind, by which files are found. Links are hexadecimal text, as readers of the log see them.
//!
//! Delta has fewer types than Arrow: instants become microseconds, integers are signed and 64 bits
//! wide. The canonical encoding speaks of values, so a link does not notice.
//!
//! **Invariant:** what [`to_rows`] takes apart, [`from_rows`] gives back with the same canonical
//! encoding.

use std::sync::Arc;

use arrow::array::Array;
use arrow::array::ArrayRef;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::array::new_null_array;
use arrow::compute::CastOptions;
use arrow::compute::cast_with_options;
use arrow::datatypes::DataType as Arrow;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use arrow::datatypes::TimeUnit;
use deltalake_core::kernel::DataType;
use deltalake_core::kernel::StructField;
use deltalake_core::kernel::StructType;
use schemas::audit::HASH;
use schemas::audit::Kind;
use schemas::audit::PREVIOUS_HASH;
use schemas::audit::TICK_AT;
use schemas::audit::common_fields;
use schemas::relation::timestamp_type;

use crate::error::ArchiveError;

/// The day of the record's tick, UTC. Files are kept by it.
pub(crate) const DAY: &str = "day";

/// The record's kind, by its name. Files are kept by it, too. `kind` would be an alarm's own.
pub(crate) const RECORD_KIND: &str = "record_kind";

/// The columns by which files are kept.
pub(crate) const PARTITION: [&str; 2] = [DAY, RECORD_KIND];

/// The columns of a table that holds nothing yet. Each kind adds its own when it comes.
pub(crate) fn first() -> Vec<StructField> {
    let hash = |name: &str| Field::new(name, Arrow::Utf8, false);
    let common = common_fields().into_iter().chain([hash(PREVIOUS_HASH), hash(HASH)]);
    let common = common.map(|field| {
        let delta = delta_type(field.data_type()).expect("common columns have plain types");
        StructField::nullable(field.name(), delta)
    });
    let own = [(DAY, DataType::DATE), (RECORD_KIND, DataType::STRING)];
    own.map(|(name, delta)| StructField::nullable(name, delta)).into_iter().chain(common).collect()
}

/// The columns of a kind's batch that the table does not have yet.
///
/// # Errors
/// A column of a type that the table cannot hold, or of another than the table's of that name.
pub(crate) fn missing(
    kind: Kind,
    batch: &Schema,
    table: &StructType,
) -> Result<Vec<StructField>, ArchiveError> {
    let mut missing = Vec::new();
    for field in batch.fields() {
        let wrong =
            |problem: String| ArchiveError::Column { kind, column: field.name().clone(), problem };
        if PARTITION.contains(&field.name().as_str()) {
            return Err(wrong("the table has a column of its own of that name".to_owned()));
        }
        let found = field.data_type();
        let Some(delta) = delta_type(found) else {
            return Err(wrong(format!("Delta has no type for {found}")));
        };
        match table.field(field.name()) {
            None => missing.push(StructField::nullable(field.name(), delta)),
            Some(there) if *there.data_type() == delta => {}
            Some(there) => {
                let is = there.data_type();
                return Err(wrong(format!("it is {delta}, and {is} where another kind has it")));
            }
        }
    }
    Ok(missing)
}

/// The type that values of an Arrow type have in the table: what the canonical encoding makes no
/// difference of is one type.
fn delta_type(arrow: &Arrow) -> Option<DataType> {
    Some(match arrow {
        Arrow::Boolean => DataType::BOOLEAN,
        Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Utf8View => DataType::STRING,
        Arrow::Binary | Arrow::LargeBinary | Arrow::BinaryView | Arrow::FixedSizeBinary(_) => {
            DataType::BINARY
        }
        Arrow::Float16 | Arrow::Float32 | Arrow::Float64 => DataType::DOUBLE,
        Arrow::Timestamp(TimeUnit::Nanosecond, _) => return None,
        Arrow::Timestamp(..) => DataType::TIMESTAMP,
        Arrow::Date32 => DataType::DATE,
        Arrow::Dictionary(_, values) => return delta_type(values),
        integer if integer.is_integer() => DataType::LONG,
        _ => return None,
    })
}

/// A kind's linked batch as rows with exactly the columns of `table`.
///
/// # Errors
/// A value that its column in the table cannot hold.
pub(crate) fn to_rows(
    kind: Kind,
    batch: &RecordBatch,
    table: &SchemaRef,
) -> Result<RecordBatch, ArchiveError> {
    let rows = batch.num_rows();
    let column = |field: &Arc<Field>| -> Result<ArrayRef, ArchiveError> {
        let name = field.name().as_str();
        let values = match name {
            DAY => batch.column_by_name(TICK_AT).cloned(),
            RECORD_KIND => {
                Some(Arc::new(StringArray::from_iter_values((0..rows).map(|_| kind.name()))) as _)
            }
            name => batch.column_by_name(name).cloned(),
        };
        match values {
            None => Ok(new_null_array(field.data_type(), rows)),
            Some(values) => exact(kind, name, &values, field.data_type()),
        }
    };
    let columns: Result<Vec<_>, _> = table.fields().iter().map(column).collect();
    Ok(RecordBatch::try_new(Arc::clone(table), columns?).expect("each column was cast to its type"))
}

/// The kind's columns of `rows`, with the types that canonical encoding reads without casting; a
/// column in which all are NULL is left out.
///
/// # Errors
/// A value that cannot be one of the log's.
pub(crate) fn from_rows(kind: Kind, rows: &RecordBatch) -> Result<RecordBatch, ArchiveError> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, values) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        let name = field.name().as_str();
        let bare = values.null_count() == values.len() && name != TICK_AT;
        if PARTITION.contains(&name) || bare {
            continue;
        }
        let plain = match values.data_type() {
            Arrow::Utf8View | Arrow::LargeUtf8 => Arrow::Utf8,
            Arrow::BinaryView | Arrow::LargeBinary => Arrow::Binary,
            _ if name == TICK_AT => timestamp_type(),
            other => other.clone(),
        };
        let values = exact(kind, name, values, &plain)?;
        fields.push(Field::new(name, plain, true));
        columns.push(values);
    }
    let schema = Arc::new(Schema::new(fields));
    Ok(RecordBatch::try_new(schema, columns).expect("each column was cast to its type"))
}

/// The columns of `schema`, found in `batch` by name; NULL where it has none.
///
/// # Errors
/// A value that its column cannot hold.
pub(crate) fn fit(
    kind: Kind,
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArchiveError> {
    let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        Some(values) => exact(kind, field.name(), values, field.data_type()),
    };
    let columns: Result<Vec<_>, _> = schema.fields().iter().map(column).collect();
    Ok(RecordBatch::try_new(Arc::clone(schema), columns?)
        .expect("each column was cast to its type"))
}

/// The columns of `schema`, each of which may be NULL: an old record lacks what was added since.
pub(crate) fn open(schema: &Schema) -> SchemaRef {
    let open = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
    Arc::new(Schema::new(schema.fields().iter().map(open).collect::<Vec<_>>()))
}

/// The values as another type, none of them lost in silence.
fn exact(
    kind: Kind,
    column: &str,
    values: &ArrayRef,
    to: &Arrow,
) -> Result<ArrayRef, ArchiveError> {
    if values.data_type() == to {
        return Ok(Arc::clone(values));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(values, to, &options).map_err(|error| ArchiveError::Column {
        kind,
        column: column.to_owned(),
        problem: error.to_string(),
    })
}
