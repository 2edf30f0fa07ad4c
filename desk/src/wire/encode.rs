//! Rows as PostgreSQL's clients read them, and as COPY writes them.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::array::cast::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::datatypes::Schema;
use arrow::datatypes::TimeUnit;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use arrow::temporal_conversions::timestamp_us_to_datetime;
use arrow_pg::datatypes::arrow_schema_to_pg_fields;
use arrow_pg::encode_recordbatch;
use arrow_pg::encoder::encode_value;
use bytes::BufMut;
use bytes::BytesMut;
use futures::Stream;
use futures::StreamExt;
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::CopyCsvOptions;
use pgwire::api::results::CopyEncoder;
use pgwire::api::results::CopyTextOptions;
use pgwire::api::results::FieldFormat;
use pgwire::api::results::FieldInfo;
use pgwire::error::PgWireResult;
use pgwire::messages::copy::CopyData;
use pgwire::messages::data::DataRow;

use super::sent;
use crate::error::DeskError;
use crate::error::Kind;
use crate::run::RowStream;
use crate::statement::CopyForm;

/// The columns as a client is told of them.
pub(super) fn fields(schema: &Schema, format: &Format) -> PgWireResult<Vec<FieldInfo>> {
    let format = &match format {
        // A client that says too little means text.
        Format::Individual(codes) if codes.len() < schema.fields().len() => {
            let mut codes = codes.clone();
            codes.resize(schema.fields().len(), 0);
            Format::Individual(codes)
        }
        other => other.clone(),
    };
    let fields = arrow_schema_to_pg_fields(schema, format, None)?;
    let sized = fields.into_iter().map(|field| {
        let size = size(field.datatype());
        field.with_type_size(size)
    });
    Ok(sized.collect())
}

/// Bytes of a type; -1 where they differ.
fn size(kind: &Type) -> i16 {
    match *kind {
        Type::BOOL | Type::CHAR => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::OID | Type::FLOAT4 | Type::DATE => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::TIME => 8,
        Type::INTERVAL => 16,
        _ => -1,
    }
}

/// The batch with the instants that are sent as text written as PostgreSQL does: without zeros at
/// the end.
fn written(batch: RecordBatch, fields: &[FieldInfo]) -> Result<RecordBatch, DeskError> {
    let is_text = |at: usize| fields[at].format() == FieldFormat::Text;
    let is_instant = |kind: &DataType| matches!(kind, DataType::Timestamp(..));
    let schema = batch.schema();
    let mut columns = batch.columns().to_vec();
    let mut changed = Vec::new();
    for (at, field) in schema.fields().iter().enumerate() {
        if is_text(at) && is_instant(field.data_type()) {
            columns[at] = instants(&columns[at])?;
            changed.push(Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)));
        } else {
            changed.push(Arc::clone(field));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(changed)), columns).map_err(|error| internal(&error))
}

fn internal(error: &ArrowError) -> DeskError {
    DeskError::new(Kind::Internal, error.to_string())
}

/// Instants as text: `2026-01-02 03:04:05.6+00`.
fn instants(column: &ArrayRef) -> Result<ArrayRef, DeskError> {
    let zone = match column.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let micros = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
    let column = cast(column, &micros).map_err(|error| internal(&error))?;
    let column = column.as_primitive::<TimestampMicrosecondType>();
    let offset = if zone.is_some() { "+00" } else { "" };
    let text = |us: i64| {
        let at = timestamp_us_to_datetime(us)?;
        let text = at.format("%Y-%m-%d %H:%M:%S%.6f").to_string();
        let text = text.trim_end_matches('0').trim_end_matches('.');
        Some(format!("{text}{offset}"))
    };
    let texts = column.iter().map(|us| us.and_then(text));
    Ok(Arc::new(texts.collect::<StringArray>()))
}

/// The rows of a stream, one by one.
pub(super) fn rows(
    stream: RowStream,
    fields: Arc<Vec<FieldInfo>>,
) -> impl Stream<Item = PgWireResult<DataRow>> + Send + 'static {
    stream.flat_map(move |batch| {
        let batch = batch.and_then(|batch| written(batch, &fields));
        let rows: Vec<PgWireResult<DataRow>> = match batch {
            Ok(batch) => encode_recordbatch(Arc::clone(&fields), batch).collect(),
            Err(error) => vec![Err(sent(error))],
        };
        futures::stream::iter(rows)
    })
}

/// The first line of a COPY that names its columns.
pub(super) fn header(schema: &Schema, form: &CopyForm) -> CopyData {
    let mut line = BytesMut::new();
    for (at, field) in schema.fields().iter().enumerate() {
        if at > 0 {
            line.put_slice(form.delimiter.to_string().as_bytes());
        }
        let name = field.name();
        let quoted = form.csv && name.contains([form.delimiter, '"', '\n', '\r']);
        let name = if quoted { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.clone() };
        line.put_slice(name.as_bytes());
    }
    line.put_u8(b'\n');
    CopyData::new(line.freeze())
}

/// The rows of a batch as COPY writes them.
pub(super) fn copied(
    batch: RecordBatch,
    fields: &Arc<Vec<FieldInfo>>,
    form: &CopyForm,
) -> PgWireResult<Vec<CopyData>> {
    let batch = written(batch, fields).map_err(sent)?;
    let (delimiter, null) = (form.delimiter.to_string(), form.null.clone());
    let mut encoder = if form.csv {
        let mut options = CopyCsvOptions::default();
        options.delimiter = delimiter.into();
        options.null_string = null.into();
        CopyEncoder::new_csv(Arc::clone(fields), options)
    } else {
        let mut options = CopyTextOptions::default();
        options.delimiter = delimiter.into();
        options.null_string = null.into();
        CopyEncoder::new_text(Arc::clone(fields), options)
    };
    let schema = batch.schema();
    let mut lines = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        for (at, column) in batch.columns().iter().enumerate() {
            encode_value(&mut encoder, column, row, schema.field(at), &fields[at])?;
        }
        lines.push(encoder.take_copy());
    }
    Ok(lines)
}
