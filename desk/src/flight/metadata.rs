//! What Flight SQL's drivers ask about: schemas, tables, keys, types, and what the server can do.
//!
//! Tools ask these before they show anything, and believe the answers: what is claimed here must be
//! what the desk does. There is one database, nothing has a foreign key, and transactions are
//! denied.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Int32Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use arrow_flight::error::FlightError;
use arrow_flight::sql::CommandGetCatalogs;
use arrow_flight::sql::CommandGetDbSchemas;
use arrow_flight::sql::CommandGetPrimaryKeys;
use arrow_flight::sql::CommandGetTableTypes;
use arrow_flight::sql::CommandGetTables;
use arrow_flight::sql::Nullable;
use arrow_flight::sql::Searchable;
use arrow_flight::sql::SqlInfo;
use arrow_flight::sql::SqlNullOrdering;
use arrow_flight::sql::SqlSupportedCaseSensitivity;
use arrow_flight::sql::XdbcDataType;
use arrow_flight::sql::metadata::SqlInfoData;
use arrow_flight::sql::metadata::SqlInfoDataBuilder;
use arrow_flight::sql::metadata::XdbcTypeInfo;
use arrow_flight::sql::metadata::XdbcTypeInfoData;
use arrow_flight::sql::metadata::XdbcTypeInfoDataBuilder;
use tonic::Status;

use super::internal;
use crate::desk::Desk;
use crate::relations;
use crate::relations::DATABASE;
use crate::relations::Listed;
use crate::relations::Shown;

/// What is the same for every client.
pub(super) struct Metadata {
    pub(super) info: SqlInfoData,
    pub(super) types: XdbcTypeInfoData,
}

impl Metadata {
    /// What the server says of itself.
    ///
    /// # Errors
    /// It cannot be put into Arrow's form.
    pub(super) fn new() -> Result<Metadata, FlightError> {
        let mut info = SqlInfoDataBuilder::new();
        info.append(SqlInfo::FlightSqlServerName, "gridloom");
        info.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
        info.append(SqlInfo::FlightSqlServerArrowVersion, "1.3");
        info.append(SqlInfo::FlightSqlServerReadOnly, false);
        info.append(SqlInfo::FlightSqlServerSql, true);
        info.append(SqlInfo::FlightSqlServerSubstrait, false);
        info.append(SqlInfo::FlightSqlServerTransaction, 0);
        info.append(SqlInfo::FlightSqlServerCancel, false);
        info.append(SqlInfo::SqlDdlCatalog, false);
        info.append(SqlInfo::SqlDdlSchema, false);
        info.append(SqlInfo::SqlDdlTable, false);
        let lower = SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32;
        info.append(SqlInfo::SqlIdentifierCase, lower);
        info.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
        let exact = SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i32;
        info.append(SqlInfo::SqlQuotedIdentifierCase, exact);
        info.append(SqlInfo::SqlAllTablesAreSelectable, true);
        info.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
        let mut types = XdbcTypeInfoDataBuilder::new();
        for (name, kind, size, radix) in TYPES {
            types.append(described(name, kind, size, radix));
        }
        Ok(Metadata { info: info.build()?, types: types.build()? })
    }
}

/// The types of columns: name, code, size, radix of the size.
const TYPES: [(&str, XdbcDataType, i32, Option<i32>); 9] = [
    ("boolean", XdbcDataType::XdbcBit, 1, None),
    ("smallint", XdbcDataType::XdbcSmallint, 16, Some(2)),
    ("integer", XdbcDataType::XdbcInteger, 32, Some(2)),
    ("bigint", XdbcDataType::XdbcBigint, 64, Some(2)),
    ("double precision", XdbcDataType::XdbcDouble, 53, Some(2)),
    ("numeric", XdbcDataType::XdbcNumeric, 38, Some(10)),
    ("date", XdbcDataType::XdbcDate, 10, None),
    ("timestamp with time zone", XdbcDataType::XdbcTimestamp, 29, None),
    ("text", XdbcDataType::XdbcVarchar, i32::MAX, None),
];

fn described(name: &str, kind: XdbcDataType, size: i32, radix: Option<i32>) -> XdbcTypeInfo {
    let quote = radix.is_none() && name != "boolean";
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type: kind,
        column_size: Some(size),
        literal_prefix: quote.then(|| "'".to_owned()),
        literal_suffix: quote.then(|| "'".to_owned()),
        nullable: Nullable::NullabilityNullable,
        case_sensitive: name == "text",
        searchable: Searchable::Full,
        unsigned_attribute: radix.map(|_| false),
        auto_increment: Some(false),
        local_type_name: Some(name.to_owned()),
        sql_data_type: kind,
        num_prec_radix: radix,
        ..XdbcTypeInfo::default()
    }
}

fn listed(desk: &Desk) -> Vec<Listed> {
    relations::list(&desk.engine.catalog(), desk.tables.as_ref())
}

fn kind(shown: Shown) -> &'static str {
    match shown {
        Shown::Table => "TABLE",
        Shown::MaterializedView => "MATERIALIZED VIEW",
        Shown::View => "VIEW",
    }
}

/// The one database.
///
/// # Errors
/// It cannot be put into Arrow's form.
pub(super) fn catalogs(query: CommandGetCatalogs) -> Result<RecordBatch, Status> {
    let mut builder = query.into_builder();
    builder.append(DATABASE);
    builder.build().map_err(internal)
}

/// The schemas that have relations.
///
/// # Errors
/// The pattern is none.
pub(super) fn schemas(desk: &Desk, query: CommandGetDbSchemas) -> Result<RecordBatch, Status> {
    let mut names: Vec<String> = listed(desk).into_iter().map(|listed| listed.schema).collect();
    names.sort_unstable();
    names.dedup();
    let mut builder = query.into_builder();
    for name in names {
        builder.append(DATABASE, name);
    }
    builder.build().map_err(internal)
}

/// The relations.
///
/// # Errors
/// A pattern is none.
pub(super) fn tables(desk: &Desk, query: CommandGetTables) -> Result<RecordBatch, Status> {
    let mut builder = query.into_builder();
    for listed in listed(desk) {
        let kind = kind(listed.shown);
        let appended =
            builder.append(DATABASE, &listed.schema, &listed.name, kind, &listed.columns);
        appended.map_err(internal)?;
    }
    builder.build().map_err(internal)
}

/// What relations may be.
///
/// # Errors
/// It cannot be put into Arrow's form.
pub(super) fn table_types(query: CommandGetTableTypes) -> Result<RecordBatch, Status> {
    let mut builder = query.into_builder();
    for shown in [Shown::Table, Shown::MaterializedView, Shown::View] {
        builder.append(kind(shown));
    }
    builder.build().map_err(internal)
}

/// The columns of an answer about primary keys.
pub(super) fn primary_key_schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

/// The columns that tell a relation's rows apart.
///
/// # Errors
/// It cannot be put into Arrow's form.
pub(super) fn primary_keys(
    desk: &Desk,
    query: &CommandGetPrimaryKeys,
) -> Result<RecordBatch, Status> {
    let asked = |listed: &Listed| {
        let schema = query.db_schema.as_deref().is_none_or(|schema| schema == listed.schema);
        schema && listed.name == query.table
    };
    let mut rows = Vec::new();
    for relation in listed(desk).into_iter().filter(asked) {
        for (at, column) in relation.key.iter().enumerate() {
            let sequence = i32::try_from(at + 1).unwrap_or(i32::MAX);
            let key = format!("{}_pkey", relation.name);
            let (schema, name) = (relation.schema.clone(), relation.name.clone());
            rows.push((schema, name, column.clone(), key, sequence));
        }
    }
    let text = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
    let columns = vec![
        text(vec![DATABASE; rows.len()]),
        text(rows.iter().map(|row| row.0.as_str()).collect()),
        text(rows.iter().map(|row| row.1.as_str()).collect()),
        text(rows.iter().map(|row| row.2.as_str()).collect()),
        text(rows.iter().map(|row| row.3.as_str()).collect()),
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.4))),
    ];
    RecordBatch::try_new(primary_key_schema(), columns).map_err(internal)
}

/// The columns of an answer about foreign keys, of which there are none.
pub(super) fn foreign_key_schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let rule = |name: &str| Field::new(name, DataType::UInt8, false);
    Arc::new(Schema::new(vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        rule("update_rule"),
        rule("delete_rule"),
    ]))
}
