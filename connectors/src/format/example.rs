//! The columns of a small stream, one of each kind: what the tests of all formats read.

use std::sync::Arc;

use arrow_schema::DataType;
use arrow_schema::Field;
use arrow_schema::Schema;
use arrow_schema::SchemaRef;
use schemas::relation::timestamp_type;

/// The first two must have a value.
pub(crate) fn schema() -> SchemaRef {
    schema_with(&[])
}

/// The same columns and more behind them.
pub(crate) fn schema_with(more: &[Field]) -> SchemaRef {
    let fields = [
        Field::new("id", DataType::Utf8, false),
        Field::new("at", timestamp_type(), false),
        Field::new("kw", DataType::Float64, true),
        Field::new("n", DataType::Int64, true),
        Field::new("ok", DataType::Boolean, true),
    ];
    Arc::new(Schema::new([&fields[..], more].concat()))
}
