//! Parquet files as tables of numbers over time.

use std::fs::File;
use std::path::Path;

use arrow::array::Array;
use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;
use arrow::datatypes::Int64Type;
use arrow::datatypes::TimeUnit;
use gridloom::problem::Problem;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::table;
use super::table::Column;
use super::time;
use super::time::Stamp;

/// Reads a file.
///
/// # Errors
/// It cannot be read, or has no times.
pub(super) fn read(path: &Path) -> Result<table::File, Problem> {
    let batch = batch(path)?;
    let schema = batch.schema();
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let reads = |at: usize| stamps(batch.column(at)).is_some_and(|read| read.is_ok());
    let at = table::time_column(&names, &reads).ok_or_else(|| table::no_times(path, &names))?;
    let times = match stamps(batch.column(at)) {
        Some(Ok(times)) => times,
        _ => return Err(table::no_times(path, &names)),
    };
    if times.is_empty() {
        return Err(Problem::new(path, "there are no rows").hint("write a row a step"));
    }
    let others = (0..names.len()).filter(|other| *other != at);
    let columns = others.map(|other| (names[other].clone(), numbers(path, batch.column(other))));
    let columns = columns.collect();
    Ok(table::File { path: path.to_owned(), time_name: names[at].clone(), times, columns })
}

fn batch(path: &Path) -> Result<RecordBatch, Problem> {
    let file = File::open(path).map_err(|error| {
        Problem::new(path, format!("cannot be opened: {error}")).hint("check the path")
    })?;
    let unreadable = |error: &dyn std::fmt::Display| {
        let hint = "Parquet is read uncompressed or with Snappy";
        Problem::new(path, format!("cannot be read: {error}")).hint(hint)
    };
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| unreadable(&error))?;
    let schema = builder.schema().clone();
    let reader = builder.build().map_err(|error| unreadable(&error))?;
    let batches: Result<Vec<_>, _> = reader.collect();
    let batches = batches.map_err(|error| unreadable(&error))?;
    concat_batches(&schema, &batches).map_err(|error| unreadable(&error))
}

/// The times of a column that may hold some; the row of the first that is none.
fn stamps(column: &ArrayRef) -> Option<Result<Vec<Stamp>, usize>> {
    match column.data_type() {
        DataType::Timestamp(_, zone) => {
            let ahead_ms = zone.as_ref().map(|_| 0);
            let unit = DataType::Timestamp(TimeUnit::Millisecond, zone.clone());
            let whole = cast(column, &unit).ok()?;
            let whole = cast(&whole, &DataType::Int64).ok()?;
            let whole = whole.as_primitive::<Int64Type>();
            let read = |row: usize| {
                let there = whole.is_valid(row);
                there.then(|| Stamp { wall_ms: whole.value(row), ahead_ms }).ok_or(row)
            };
            Some((0..whole.len()).map(read).collect())
        }
        DataType::Date32 | DataType::Date64 => {
            let unit = DataType::Timestamp(TimeUnit::Millisecond, None);
            stamps(&cast(column, &unit).ok()?)
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let text = cast(column, &DataType::Utf8).ok()?;
            let text = text.as_string::<i32>();
            let read = |row: usize| {
                let cell = text.is_valid(row).then(|| text.value(row));
                cell.and_then(time::parse).ok_or(row)
            };
            Some((0..text.len()).map(read).collect())
        }
        _ => None,
    }
}

fn numbers(path: &Path, column: &ArrayRef) -> Column {
    let kind = column.data_type();
    let numeric = kind.is_numeric() || *kind == DataType::Boolean;
    let whole = cast(column, &DataType::Float64).ok().filter(|_| numeric);
    let Some(whole) = whole else {
        let strange = Some((path.to_owned(), 0, kind.to_string()));
        return Column { values: vec![f64::NAN; column.len()], strange };
    };
    let whole = whole.as_primitive::<Float64Type>();
    let value = |row: usize| if whole.is_valid(row) { whole.value(row) } else { f64::NAN };
    Column { values: (0..whole.len()).map(value).collect(), strange: None }
}
