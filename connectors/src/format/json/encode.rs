//! Rows as JSON: one object a row, columns in schema order, as a decoder reads them back.
//!
//! Numbers are written with the fewest digits that read back to the same double; instants as ISO
//! 8601. JSON has no NaN: it is written as the text `"NaN"`, which every decoder of ours refuses by
//! name.

use std::fmt::Write;

use arrow_array::Array;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::types::Int64Type;
use arrow_array::types::TimestampMillisecondType;
use schemas::time::Timestamp;

use crate::format::rows::Kind;

/// Every row as one JSON object, without line ends.
///
/// # Panics
/// If a column is of a type that no relation of ours has.
pub fn encode(rows: &RecordBatch) -> Vec<String> {
    (0..rows.num_rows())
        .map(|row| {
            let mut line = String::with_capacity(rows.num_columns() * 32);
            encode_row(rows, row, &mut line);
            line
        })
        .collect()
}

/// Appends one row as a JSON object to `line`.
///
/// # Panics
/// If a column is of a type that no relation of ours has.
pub fn encode_row(rows: &RecordBatch, row: usize, line: &mut String) {
    line.push('{');
    for (index, field) in rows.schema_ref().fields().iter().enumerate() {
        if index > 0 {
            line.push(',');
        }
        text(field.name(), line);
        line.push(':');
        value(rows.column(index).as_ref(), row, line);
    }
    line.push('}');
}

fn value(array: &dyn Array, row: usize, line: &mut String) {
    if array.is_null(row) {
        line.push_str("null");
        return;
    }
    let kind = Kind::of(array.data_type()).expect("relations hold five types");
    let written = match kind {
        Kind::Bool => write!(line, "{}", array.as_boolean().value(row)),
        Kind::Int => write!(line, "{}", array.as_primitive::<Int64Type>().value(row)),
        Kind::Float => float(array.as_primitive::<Float64Type>().value(row), line),
        Kind::Text => {
            text(array.as_string::<i32>().value(row), line);
            Ok(())
        }
        Kind::Time => {
            let ms = array.as_primitive::<TimestampMillisecondType>().value(row);
            write!(line, "\"{}\"", Timestamp(ms.max(0) as u64))
        }
    };
    written.expect("a String takes what is written");
}

fn float(number: f64, line: &mut String) -> std::fmt::Result {
    match serde_json::Number::from_f64(number) {
        Some(number) => write!(line, "{number}"),
        None if number.is_nan() => write!(line, "\"NaN\""),
        None if number > 0.0 => write!(line, "\"Infinity\""),
        None => write!(line, "\"-Infinity\""),
    }
}

fn text(text: &str, line: &mut String) {
    let quoted = serde_json::to_string(text).expect("a str is always JSON text");
    line.push_str(&quoted);
}
