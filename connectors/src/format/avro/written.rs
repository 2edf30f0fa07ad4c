//! Avro as somebody else writes it, for tests: the crate `apache-avro` is the oracle of what we
//! read.

use apache_avro::Codec;
use apache_avro::Schema;
use apache_avro::Writer;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use arrow_array::Array;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::types::Int64Type;
use arrow_array::types::TimestampMillisecondType;
use arrow_schema::SchemaRef;

use crate::format::rows::Kind;

/// The schema of a stream's rows, what may be NULL as a union with null.
pub(crate) fn schema_of(columns: &SchemaRef) -> String {
    let fields: Vec<String> = (columns.fields().iter())
        .map(|field| {
            let kind = match Kind::of(field.data_type()).unwrap() {
                Kind::Bool => r#""boolean""#,
                Kind::Int => r#""long""#,
                Kind::Float => r#""double""#,
                Kind::Text => r#""string""#,
                Kind::Time => r#"{"type":"long","logicalType":"timestamp-millis"}"#,
            };
            let (name, nullable) = (field.name(), field.is_nullable());
            let kind = if nullable { format!(r#"["null",{kind}]"#) } else { kind.to_owned() };
            format!(r#"{{"name":"{name}","type":{kind}}}"#)
        })
        .collect();
    format!(r#"{{"type":"record","name":"Row","fields":[{}]}}"#, fields.join(","))
}

/// Rows as values of [`schema_of`] their columns.
pub(crate) fn values_of(rows: &RecordBatch) -> Vec<Value> {
    let field = |row: usize, at: usize| {
        let (schema, array) = (rows.schema(), rows.column(at));
        let field = schema.field(at);
        let value = match Kind::of(field.data_type()).unwrap() {
            _ if array.is_null(row) => Value::Null,
            Kind::Bool => Value::Boolean(array.as_boolean().value(row)),
            Kind::Int => Value::Long(array.as_primitive::<Int64Type>().value(row)),
            Kind::Float => Value::Double(array.as_primitive::<Float64Type>().value(row)),
            Kind::Text => Value::String(array.as_string::<i32>().value(row).to_owned()),
            Kind::Time => {
                let instants = array.as_primitive::<TimestampMillisecondType>();
                Value::TimestampMillis(instants.value(row))
            }
        };
        let branch = u32::from(!array.is_null(row));
        let nullable = field.is_nullable();
        let value = if nullable { Value::Union(branch, Box::new(value)) } else { value };
        (field.name().clone(), value)
    };
    let row = |row| Value::Record((0..rows.num_columns()).map(|at| field(row, at)).collect());
    (0..rows.num_rows()).map(row).collect()
}

/// A value by itself.
pub(crate) fn datum(schema: &str, value: Value) -> Vec<u8> {
    let schema = Schema::parse_str(schema).unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    writer.write_value_to_vec(value).unwrap()
}

/// A file of values, in blocks of so many.
pub(crate) fn container(schema: &str, values: &[Value], codec: Codec, block: usize) -> Vec<u8> {
    let schema = Schema::parse_str(schema).unwrap();
    let mut writer = Writer::with_codec(&schema, Vec::new(), codec).unwrap();
    for values in values.chunks(block) {
        for value in values {
            writer.append_value_ref(value).unwrap();
        }
        writer.flush().unwrap();
    }
    writer.into_inner().unwrap()
}
