//! Batches from elsewhere, fitted to a stream: columns by name, types without loss, bad rows set
//! aside.
//!
//! They may hold 32-bit numbers, other text layouts, or instants in other units and of no zone
//! (read as UTC); those are widened. What would lose something (a double into a whole number, text
//! into a number) is refused before the first row, since it concerns them all. Instants finer than
//! a millisecond are cut, as everywhere.
//!
//! A row of columns was never a record of its own. Where one is refused, its rendering as JSON is
//! kept in a record's place: columns in the order of the stream.

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::ArrayRef;
use arrow_array::BooleanArray;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::new_null_array;
use arrow_array::types::Float64Type;
use arrow_array::types::TimestampMillisecondType;
use arrow_schema::DataType;
use arrow_schema::Field;
use arrow_schema::Schema;
use arrow_schema::SchemaRef;
use arrow_schema::TimeUnit;
use arrow_select::filter::filter_record_batch;
use schemas::relation::UTC;
use schemas::relation::timestamp_type;
use schemas::time::Timestamp;

use crate::format::ARRIVED_AT;
use crate::format::Decoded;
use crate::format::instant;
use crate::format::json;
use crate::format::rows::Kind;
use crate::source::Position;
use crate::source::RawRecords;
use crate::source::Reason;
use crate::source::Refusal;
use crate::source::Refused;

/// Whether these columns can be a stream's; says why not.
pub(crate) fn fits(found: &Schema, wanted: &SchemaRef) -> Result<(), Refusal> {
    for field in wanted.fields() {
        match found.column_with_name(field.name()) {
            None if field.is_nullable() => {}
            None => {
                let detail = format!("column {} is missing", field.name());
                return Err(Refusal::new(Reason::MissingColumn, detail));
            }
            Some((_, column)) if widens(column.data_type(), field.data_type()) => {}
            Some((_, column)) => return Err(lossy(field, column.data_type())),
        }
    }
    match found.column_with_name(ARRIVED_AT) {
        Some((_, column)) if !matches!(column.data_type(), DataType::Timestamp(..)) => {
            let detail = format!("column {ARRIVED_AT} is {}, not a timestamp", column.data_type());
            Err(Refusal::new(Reason::WrongType, detail))
        }
        _ => Ok(()),
    }
}

/// Says of a column that it is none of the stream's.
pub(crate) fn lossy(wanted: &Field, found: impl std::fmt::Display) -> Refusal {
    let (name, kind) = (wanted.name(), wanted.data_type());
    let detail = format!("column {name} is {found}, which is no {kind} without loss");
    Refusal::new(Reason::WrongType, detail)
}

/// Whether every value of one type is a value of the other.
fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::*;
    if let Dictionary(_, values) = from {
        return widens(values, to);
    }
    match Kind::of(to) {
        Some(Kind::Bool) => matches!(from, Boolean),
        Some(Kind::Int) => {
            matches!(from, Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32)
        }
        Some(Kind::Float) => matches!(
            from,
            Float16 | Float32 | Float64 | Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32
        ),
        Some(Kind::Text) => matches!(from, Utf8 | LargeUtf8 | Utf8View),
        Some(Kind::Time) => matches!(from, Timestamp(..)),
        None => false,
    }
}

/// The rows of a batch whose schema [`fits`]; the first row is at `first`.
pub(crate) fn fit(
    batch: &RecordBatch,
    wanted: &SchemaRef,
    first: Position,
) -> Result<Decoded, String> {
    let count = batch.num_rows();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(wanted.fields().len());
    let mut refusals = vec![None; count];
    for field in wanted.fields() {
        columns.push(match batch.column_by_name(field.name()) {
            Some(column) => {
                let fitted = cast(column, field.data_type())?;
                refuse_lost(column, &fitted, field, &mut refusals);
                fitted
            }
            None => new_null_array(field.data_type(), count),
        });
    }
    let arrived_at = match batch.column_by_name(ARRIVED_AT) {
        Some(column) if wanted.index_of(ARRIVED_AT).is_err() => {
            let column = cast(column, &timestamp_type())?;
            let at = column.as_primitive::<TimestampMillisecondType>();
            at.iter().map(|ms| ms.map(|ms| Timestamp(ms.max(0) as u64))).collect()
        }
        _ => vec![None; count],
    };
    refuse(&columns, wanted, &mut refusals);
    let positions: Vec<Position> = (first..).take(count).collect();
    // NULL may stand in what is about to be left out, so that it cannot yet be a batch of the
    // stream.
    let loose = Arc::new(Schema::new(
        wanted
            .fields()
            .iter()
            .map(|f| f.as_ref().clone().with_nullable(true))
            .collect::<Vec<Field>>(),
    ));
    let loose = RecordBatch::try_new(loose, columns).map_err(|error| error.to_string())?;
    if refusals.iter().all(Option::is_none) {
        let rows = strict(&loose, wanted)?;
        let (raw, refused) = (RawRecords::default(), Vec::new());
        return Ok(Decoded { rows, positions, arrived_at, raw, refused });
    }
    let keep: BooleanArray = refusals.iter().map(|refusal| Some(refusal.is_none())).collect();
    let kept = filter_record_batch(&loose, &keep).map_err(|error| error.to_string())?;
    let mut decoded = Decoded {
        rows: strict(&kept, wanted)?,
        positions: Vec::with_capacity(count),
        arrived_at: Vec::with_capacity(count),
        raw: RawRecords::default(),
        refused: Vec::new(),
    };
    for (row, refusal) in refusals.into_iter().enumerate() {
        match refusal {
            None => {
                decoded.positions.push(positions[row]);
                decoded.arrived_at.push(arrived_at[row]);
            }
            Some(refusal) => {
                let mut record = String::new();
                json::encode_row(&loose, row, &mut record);
                decoded.refused.push(Refused::new(positions[row], refusal, record.as_bytes()));
            }
        }
    }
    Ok(decoded)
}

/// An instant keeps its value: one without a zone is UTC, one with another zone is the same
/// instant.
fn cast(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    if *to != timestamp_type() {
        return arrow_cast::cast(column, to).map_err(|error| error.to_string());
    }
    let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
    let cast = arrow_cast::cast(column, &millis).map_err(|error| error.to_string())?;
    let instants = cast.as_primitive::<TimestampMillisecondType>().clone();
    Ok(Arc::new(instants.with_timezone(UTC)))
}

fn strict(loose: &RecordBatch, wanted: &SchemaRef) -> Result<RecordBatch, String> {
    RecordBatch::try_new(wanted.clone(), loose.columns().to_vec()).map_err(|e| e.to_string())
}

/// Refuses rows whose value did not survive the widening: an instant too far out for milliseconds.
fn refuse_lost(
    from: &ArrayRef,
    fitted: &ArrayRef,
    field: &Field,
    refusals: &mut [Option<Refusal>],
) {
    if fitted.null_count() == from.logical_null_count() {
        return;
    }
    let nulls = from.logical_nulls();
    for (row, refusal) in refusals.iter_mut().enumerate() {
        let was_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        if fitted.is_null(row) && !was_null {
            let detail = format!("{}: the value does not fit {}", field.name(), field.data_type());
            *refusal = Some(Refusal::new(Reason::WrongType, detail));
        }
    }
}

/// Refuses rows that hold what a stream must not.
fn refuse(columns: &[ArrayRef], wanted: &SchemaRef, refusals: &mut [Option<Refusal>]) {
    let count = refusals.len();
    for (column, field) in columns.iter().zip(wanted.fields()) {
        let name = field.name();
        if !field.is_nullable() && column.null_count() > 0 {
            for row in (0..count).filter(|row| column.is_null(*row)) {
                let detail = format!("{name} is null and must have a value");
                refusals[row].get_or_insert(Refusal::new(Reason::MissingColumn, detail));
            }
        }
        match Kind::of(field.data_type()) {
            Some(Kind::Float) => {
                for (row, value) in column.as_primitive::<Float64Type>().iter().enumerate() {
                    if let Some(value) = value.filter(|value| !value.is_finite()) {
                        let detail = format!("{name}: {value} is not a finite number; write NULL");
                        refusals[row].get_or_insert(Refusal::new(Reason::NotFinite, detail));
                    }
                }
            }
            Some(Kind::Time) => {
                let instants = column.as_primitive::<TimestampMillisecondType>();
                for (row, ms) in instants.iter().enumerate() {
                    if let Some(Err(detail)) = ms.map(instant::from_millis) {
                        let detail = format!("{name}: {detail}");
                        refusals[row].get_or_insert(Refusal::new(Reason::WrongType, detail));
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Float32Array;
    use arrow_array::StringViewArray;
    use arrow_array::TimestampMicrosecondArray;
    use arrow_array::TimestampSecondArray;
    use schemas::event::SwitchPosition;
    use schemas::event::WeatherObservation;
    use schemas::relation::Relation;

    use super::*;

    fn foreign(temperature: Vec<Option<f32>>, at: Vec<Option<i64>>) -> RecordBatch {
        let stations: StringViewArray = temperature.iter().map(|_| Some("s1")).collect();
        let arrived = TimestampSecondArray::from(vec![7; temperature.len()]);
        RecordBatch::try_from_iter_with_nullable([
            ("more", Arc::new(Float32Array::from(temperature.clone())) as ArrayRef, true),
            ("observed_at", Arc::new(TimestampMicrosecondArray::from(at)), true),
            ("station_id", Arc::new(stations), true),
            ("temperature_c", Arc::new(Float32Array::from(temperature)), true),
            ("arrived_at", Arc::new(arrived), true),
        ])
        .unwrap()
    }

    #[test]
    fn narrower_types_are_widened_and_bad_rows_set_aside() {
        let wanted = WeatherObservation::schema();
        let batch = foreign(
            vec![Some(20.5), Some(f32::NAN), None, Some(21.0)],
            vec![Some(5_000_000), Some(5_000_000), Some(5_000_000), Some(-1_000)],
        );
        fits(batch.schema_ref(), &wanted).unwrap();
        let decoded = fit(&batch, &wanted, 100).unwrap();
        let rows = WeatherObservation::from_batch(&decoded.rows).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].temperature_c, rows[0].observed_at), (20.5, Timestamp(5_000)));
        assert_eq!(decoded.positions, [100]);
        assert_eq!(decoded.arrived_at, [Some(Timestamp(7_000))]);
        let why: Vec<_> = decoded.refused.iter().map(|r| (r.position, r.reason)).collect();
        let expected =
            [(101, Reason::NotFinite), (102, Reason::MissingColumn), (103, Reason::WrongType)];
        assert_eq!(why, expected);
        assert!(
            decoded.refused[0].kept.head.contains("\"NaN\""),
            "{}",
            decoded.refused[0].kept.head
        );
    }

    #[test]
    fn lossy_columns_are_refused_as_a_whole() {
        let wanted = SwitchPosition::schema();
        let schema = |at: DataType, position: DataType| {
            Schema::new(vec![
                Field::new("switch_id", DataType::Utf8, false),
                Field::new("changed_at", at, false),
                Field::new("position", position, false),
            ])
        };
        let second = DataType::Timestamp(TimeUnit::Second, None);
        assert!(fits(&schema(second.clone(), DataType::LargeUtf8), &wanted).is_ok());
        let why = fits(&schema(DataType::Int64, DataType::Utf8), &wanted).unwrap_err();
        assert_eq!(why.reason, Reason::WrongType);
        assert!(why.detail.starts_with("column changed_at is Int64"), "{}", why.detail);
        let why =
            fits(&Schema::new(schema(second, DataType::Utf8).fields()[..2].to_vec()), &wanted);
        let missing = Refusal::new(Reason::MissingColumn, "column position is missing");
        assert_eq!(why.unwrap_err(), missing);
    }
}
