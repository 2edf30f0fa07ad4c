//! Rows as they are compared: what must be equal as text, doubles as numbers.
//!
//! Rows have no order. A double that is computed may differ in its last digits, since a view adds
//! up in another order than batch does; everything else must be the same to the last letter.

use std::cmp::Ordering;

use arrow::array::Array;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;
use arrow::datatypes::TimestampMillisecondType;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use schemas::plan::Expiry;
use schemas::time::Timestamp;

/// A row as text for what must be equal, and as numbers for what may differ in its last digits.
pub(super) type Shown = (String, Vec<Option<f64>>);

/// The rows in an order that does not depend on theirs.
pub(super) fn comparable(rows: &RecordBatch) -> Vec<Shown> {
    let options = FormatOptions::default().with_null("NULL");
    let texts = rows.columns().iter().map(|column| {
        let text = *column.data_type() != DataType::Float64;
        text.then(|| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
    });
    let texts: Vec<Option<ArrayFormatter<'_>>> = texts.collect();
    let one = |x: f64| if x.is_nan() { f64::NAN } else { x + 0.0 };
    let mut all: Vec<Shown> = Vec::with_capacity(rows.num_rows());
    for row in 0..rows.num_rows() {
        let (mut text, mut numbers) = (String::new(), Vec::new());
        for (column, formatter) in rows.columns().iter().zip(&texts) {
            if let Some(formatter) = formatter {
                text.push_str(&formatter.value(row).to_string());
                text.push('|');
            } else {
                let floats = column.as_primitive::<Float64Type>();
                numbers.push(floats.is_valid(row).then(|| one(floats.value(row))));
            }
        }
        all.push((text, numbers));
    }
    let total = |a: &Option<f64>, b: &Option<f64>| match (a, b) {
        (Some(a), Some(b)) => a.total_cmp(b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    };
    all.sort_by(|a, b| {
        let numbers = a.1.iter().zip(&b.1).map(|(a, b)| total(a, b));
        a.0.cmp(&b.0).then(numbers.fold(Ordering::Equal, Ordering::then))
    });
    all
}

/// Whether two answers are the same.
pub(super) fn equal(a: &[Shown], b: &[Shown]) -> bool {
    let close = |(a, b): (&Option<f64>, &Option<f64>)| match (a, b) {
        (Some(a), Some(b)) => {
            a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-9 * (a.abs() + b.abs() + 1.0)
        }
        (a, b) => a.is_none() && b.is_none(),
    };
    let same = |(a, b): (&Shown, &Shown)| a.0 == b.0 && a.1.iter().zip(&b.1).all(close);
    a.len() == b.len() && a.iter().zip(b).all(same)
}

/// The rows that the retention of a stream has not taken yet, by the column of its event time.
pub(super) fn retained(
    rows: &RecordBatch,
    column: usize,
    tick: Timestamp,
    retain_ms: u64,
) -> RecordBatch {
    let expiry = Expiry { column, retain_ms, lateness_ms: None };
    let times = rows.column(column).as_primitive::<TimestampMillisecondType>();
    let stands = |at: &i64| Some(expiry.at(Timestamp(*at as u64)) > tick);
    filter_record_batch(rows, &times.values().iter().map(stands).collect()).unwrap()
}
