//! The standard's schema about relations, with PostgreSQL's names of types.
//!
//! DataFusion has a schema of this name, with Arrow's names of types and without keys; Grafana and
//! dbt read the names of types, so this one takes its place in statements about the catalog.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow_pg::datatypes::field_into_pg_type;
use datafusion::common::Result;
use pgwire::api::Type;
use schemas::contract::Status;

use super::build::Columns;
use crate::relations::DATABASE;
use crate::relations::Listed;
use crate::relations::Shown;
use crate::users::ADMIN;

/// All tables, with the names under which they are registered.
pub(super) fn all(
    listed: &[Listed],
    schemas: &[String],
    status: &Status,
) -> Result<Vec<(&'static str, RecordBatch)>> {
    Ok(vec![
        ("schemata", schemata(schemas)?),
        ("tables", tables(listed)?),
        ("columns", columns(listed)?),
        ("views", views(listed, status)?),
        ("table_constraints", constraints(listed)?),
        ("key_column_usage", keys(listed)?),
        ("referential_constraints", references()?),
        ("role_table_grants", grants()?),
        ("table_privileges", grants()?),
        ("routines", routines()?),
    ])
}

fn schemata(schemas: &[String]) -> Result<RecordBatch> {
    Columns::of(schemas.len())
        .all_text("catalog_name", DATABASE)
        .text("schema_name", schemas)
        .all_text("schema_owner", ADMIN)
        .nothing("default_character_set_catalog", &DataType::Utf8)
        .nothing("default_character_set_schema", &DataType::Utf8)
        .nothing("default_character_set_name", &DataType::Utf8)
        .nothing("sql_path", &DataType::Utf8)
        .build()
}

/// What a relation is called. Materialized views are not in PostgreSQL's own list, and clients that
/// offer what they find here would not offer them.
fn kind(listed: &Listed) -> &'static str {
    match listed.shown {
        Shown::Table => "BASE TABLE",
        Shown::MaterializedView => "MATERIALIZED VIEW",
        Shown::View => "VIEW",
    }
}

fn tables(listed: &[Listed]) -> Result<RecordBatch> {
    Columns::of(listed.len())
        .all_text("table_catalog", DATABASE)
        .text("table_schema", listed.iter().map(|l| &l.schema))
        .text("table_name", listed.iter().map(|l| &l.name))
        .text("table_type", listed.iter().map(kind))
        .all_text("is_insertable_into", "NO")
        .all_text("is_typed", "NO")
        .build()
}

fn columns(listed: &[Listed]) -> Result<RecordBatch> {
    let all = || {
        listed.iter().flat_map(|relation| {
            let fields = relation.columns.fields().iter().enumerate();
            fields.map(move |(at, field)| (relation, at, field))
        })
    };
    let types: Vec<Type> =
        all().map(|(_, _, field)| field_into_pg_type(field).unwrap_or(Type::TEXT)).collect();
    let number = |at: usize| i32::try_from(at + 1).unwrap_or(i32::MAX);
    let nullable = |nullable: bool| if nullable { "YES" } else { "NO" };
    Columns::of(types.len())
        .all_text("table_catalog", DATABASE)
        .text("table_schema", all().map(|(relation, ..)| &relation.schema))
        .text("table_name", all().map(|(relation, ..)| &relation.name))
        .text("column_name", all().map(|(_, _, field)| field.name()))
        .int("ordinal_position", all().map(|(_, at, _)| number(at)))
        .nothing("column_default", &DataType::Utf8)
        .text("is_nullable", all().map(|(_, _, field)| nullable(field.is_nullable())))
        .text("data_type", types.iter().map(standard_name))
        .nothing("character_maximum_length", &DataType::Int32)
        .nothing("character_octet_length", &DataType::Int32)
        .maybe_int("numeric_precision", types.iter().map(precision))
        .maybe_int("numeric_precision_radix", types.iter().map(|kind| precision(kind).map(|_| 2)))
        .maybe_int("numeric_scale", types.iter().map(scale))
        .nothing("datetime_precision", &DataType::Int32)
        .all_text("udt_catalog", DATABASE)
        .all_text("udt_schema", super::PG_CATALOG)
        .text("udt_name", types.iter().map(Type::name))
        .all_text("is_identity", "NO")
        .all_text("is_generated", "NEVER")
        .all_text("is_updatable", "NO")
        .build()
}

/// The standard's name of a type, as PostgreSQL writes it.
fn standard_name(kind: &Type) -> &str {
    match *kind {
        Type::BOOL => "boolean",
        Type::INT2 => "smallint",
        Type::INT4 => "integer",
        Type::INT8 => "bigint",
        Type::FLOAT4 => "real",
        Type::FLOAT8 => "double precision",
        Type::VARCHAR => "character varying",
        Type::TIMESTAMP => "timestamp without time zone",
        Type::TIMESTAMPTZ => "timestamp with time zone",
        Type::TIME => "time without time zone",
        _ if kind.name().starts_with('_') => "ARRAY",
        _ => kind.name(),
    }
}

/// Binary digits of a number.
fn precision(kind: &Type) -> Option<i32> {
    match *kind {
        Type::INT2 => Some(16),
        Type::INT4 => Some(32),
        Type::INT8 => Some(64),
        Type::FLOAT4 => Some(24),
        Type::FLOAT8 => Some(53),
        _ => None,
    }
}

fn scale(kind: &Type) -> Option<i32> {
    matches!(*kind, Type::INT2 | Type::INT4 | Type::INT8).then_some(0)
}

fn views(listed: &[Listed], status: &Status) -> Result<RecordBatch> {
    let views: Vec<&Listed> = listed.iter().filter(|l| l.shown != Shown::Table).collect();
    let definition = |listed: &&Listed| {
        let view = status.views.iter().find(|view| view.name == listed.name);
        view.map(|view| view.sql.clone()).unwrap_or_default()
    };
    Columns::of(views.len())
        .all_text("table_catalog", DATABASE)
        .text("table_schema", views.iter().map(|l| &l.schema))
        .text("table_name", views.iter().map(|l| &l.name))
        .text("view_definition", views.iter().map(definition))
        .all_text("check_option", "NONE")
        .all_text("is_updatable", "NO")
        .all_text("is_insertable_into", "NO")
        .build()
}

/// The name of the constraint that a relation's key would be.
fn key_name(listed: &Listed) -> String {
    format!("{}_pkey", listed.name)
}

fn constraints(listed: &[Listed]) -> Result<RecordBatch> {
    let keyed: Vec<&Listed> = listed.iter().filter(|l| !l.key.is_empty()).collect();
    Columns::of(keyed.len())
        .all_text("constraint_catalog", DATABASE)
        .text("constraint_schema", keyed.iter().map(|l| &l.schema))
        .text("constraint_name", keyed.iter().map(|l| key_name(l)))
        .all_text("table_catalog", DATABASE)
        .text("table_schema", keyed.iter().map(|l| &l.schema))
        .text("table_name", keyed.iter().map(|l| &l.name))
        .all_text("constraint_type", "PRIMARY KEY")
        .all_text("is_deferrable", "NO")
        .all_text("initially_deferred", "NO")
        .build()
}

fn keys(listed: &[Listed]) -> Result<RecordBatch> {
    let all = || {
        let columns = |listed| -> Vec<(&Listed, usize, &String)> {
            let listed: &Listed = listed;
            listed.key.iter().enumerate().map(|(at, column)| (listed, at, column)).collect()
        };
        listed.iter().flat_map(columns)
    };
    let number = |at: usize| i32::try_from(at + 1).unwrap_or(i32::MAX);
    Columns::of(all().count())
        .all_text("constraint_catalog", DATABASE)
        .text("constraint_schema", all().map(|(l, ..)| &l.schema))
        .text("constraint_name", all().map(|(l, ..)| key_name(l)))
        .all_text("table_catalog", DATABASE)
        .text("table_schema", all().map(|(l, ..)| &l.schema))
        .text("table_name", all().map(|(l, ..)| &l.name))
        .text("column_name", all().map(|(_, _, column)| column))
        .int("ordinal_position", all().map(|(_, at, _)| number(at)))
        .build()
}

/// There are no foreign keys.
fn references() -> Result<RecordBatch> {
    Columns::of(0)
        .text("constraint_catalog", [""; 0])
        .text("constraint_schema", [""; 0])
        .text("constraint_name", [""; 0])
        .text("unique_constraint_schema", [""; 0])
        .text("unique_constraint_name", [""; 0])
        .text("update_rule", [""; 0])
        .text("delete_rule", [""; 0])
        .build()
}

/// Who may do what is a matter of roles, not of grants.
fn grants() -> Result<RecordBatch> {
    Columns::of(0)
        .text("grantor", [""; 0])
        .text("grantee", [""; 0])
        .text("table_catalog", [""; 0])
        .text("table_schema", [""; 0])
        .text("table_name", [""; 0])
        .text("privilege_type", [""; 0])
        .text("is_grantable", [""; 0])
        .build()
}

/// There are no functions of a user's own.
fn routines() -> Result<RecordBatch> {
    Columns::of(0)
        .text("specific_schema", [""; 0])
        .text("specific_name", [""; 0])
        .text("routine_schema", [""; 0])
        .text("routine_name", [""; 0])
        .text("routine_type", [""; 0])
        .text("data_type", [""; 0])
        .build()
}
