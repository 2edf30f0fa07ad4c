//! The catalog's tables that say what is here.
//!
//! Numbers of relations, schemas and users are made of their names, so that what a client learned
//! in one statement holds in the next.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::SchemaRef;
use arrow::datatypes::TimeUnit;
use arrow_pg::datatypes::field_into_pg_type;
use datafusion::common::Result;
use datafusion_pg_catalog::pg_catalog::ArrowTable;
use pgwire::api::Type;
use schemas::contract::Status;

use super::INFORMATION_SCHEMA;
use super::OWNER;
use super::PG_CATALOG;
use super::build::Columns;
use super::indexes;
use super::indexes::Index;
use super::namespace_oid;
use super::oid;
use super::role_oid;
use crate::relations::DATABASE;
use crate::relations::Listed;
use crate::relations::PUBLIC;
use crate::relations::Shown;
use crate::role::Role;
use crate::users::ADMIN;
use crate::users::Users;

/// Number of the one database.
const DATABASE_OID: i32 = 5;

/// Number of the access method of tables, and of indexes.
const HEAP: i32 = 2;
const BTREE: i32 = 403;

/// A relation as the catalog has it.
struct Entry {
    oid: i32,
    schema: String,
    name: String,
    columns: SchemaRef,
    kind: &'static str,
    indexed: bool,
    comment: String,
    definition: String,
}

/// All tables, with the names under which they are registered.
pub(super) fn all(
    listed: &[Listed],
    status: &Status,
    users: &Users,
    fixed: &[(&'static str, Arc<ArrowTable>)],
) -> Result<Vec<(&'static str, RecordBatch)>> {
    let indexes = indexes::all(listed, status);
    let ours = entries(listed, &indexes, status);
    let schemas = schemas(listed);
    let mut made = vec![
        ("pg_namespace", namespaces(&schemas)?),
        ("pg_database", databases()?),
        ("pg_index", indexes::rows(&indexes)?),
        ("pg_constraint", indexes::constraints(&indexes)?),
        ("pg_indexes", indexes::texts(&indexes)?),
        ("pg_tables", tables(&ours)?),
        ("pg_views", views(&ours)?),
        ("pg_matviews", materialized_views(&ours)?),
        ("pg_description", descriptions(&ours)?),
        ("pg_settings", settings()?),
        ("pg_stat_activity", activity()?),
        ("pg_auth_members", auth_members()?),
        ("pg_attrdef", defaults()?),
        ("pg_rewrite", rewrites()?),
        ("pg_extension", extensions()?),
        ("pg_db_role_setting", role_settings()?),
        ("pg_stat_user_tables", user_tables(&ours)?),
        ("pg_statistic_ext", extended_statistics()?),
    ];
    made.extend(roles(users)?);
    let mut described = ours;
    let own = made.iter().map(|(name, rows)| (*name, rows.schema()));
    let fixed = fixed.iter().map(|(name, table)| (*name, table.schema()));
    described.extend(own.chain(fixed).map(|(name, columns)| of_catalog(name, columns)));
    made.push(("pg_class", classes(&described, &indexes)?));
    made.push(("pg_attribute", attributes(&described, &indexes)?));
    Ok(made)
}

/// The schemas that there are, in order.
pub(super) fn schemas(listed: &[Listed]) -> Vec<String> {
    let mut schemas: Vec<String> = listed.iter().map(|l| l.schema.clone()).collect();
    schemas.extend([PG_CATALOG, INFORMATION_SCHEMA, PUBLIC].map(str::to_owned));
    schemas.sort_unstable();
    schemas.dedup();
    schemas
}

fn entries(listed: &[Listed], indexes: &[Index<'_>], status: &Status) -> Vec<Entry> {
    let indexed: BTreeSet<i32> = indexes.iter().map(Index::on_oid).collect();
    let entry = |relation: &Listed| {
        let number = oid(&relation.schema, &relation.name);
        let view = status.views.iter().find(|view| view.name == relation.name);
        Entry {
            oid: number,
            schema: relation.schema.clone(),
            name: relation.name.clone(),
            columns: Arc::clone(&relation.columns),
            kind: match relation.shown {
                Shown::Table => "r",
                Shown::MaterializedView => "m",
                Shown::View => "v",
            },
            indexed: indexed.contains(&number),
            comment: relation.comment.to_owned(),
            definition: view.map(|view| view.sql.clone()).unwrap_or_default(),
        }
    };
    listed.iter().map(entry).collect()
}

fn of_catalog(name: &str, columns: SchemaRef) -> Entry {
    Entry {
        oid: oid(PG_CATALOG, name),
        schema: PG_CATALOG.to_owned(),
        name: name.to_owned(),
        columns,
        kind: "r",
        indexed: false,
        comment: String::new(),
        definition: String::new(),
    }
}

/// A row of `pg_class`: a relation or an index.
struct Class<'a> {
    oid: i32,
    schema: &'a str,
    name: &'a str,
    kind: &'static str,
    columns: usize,
    indexed: bool,
}

fn classes(entries: &[Entry], indexes: &[Index<'_>]) -> Result<RecordBatch> {
    let relations = entries.iter().map(|entry| Class {
        oid: entry.oid,
        schema: &entry.schema,
        name: &entry.name,
        kind: entry.kind,
        columns: entry.columns.fields().len(),
        indexed: entry.indexed,
    });
    let indexes = indexes.iter().map(|index| Class {
        oid: index.oid(),
        schema: &index.on.schema,
        name: &index.name,
        kind: "i",
        columns: index.columns.len(),
        indexed: false,
    });
    let rows: Vec<Class<'_>> = relations.chain(indexes).collect();
    let attributes = |class: &Class<'_>| i16::try_from(class.columns).unwrap_or(i16::MAX);
    let method = |class: &Class<'_>| if class.kind == "i" { BTREE } else { HEAP };
    Columns::of(rows.len())
        .oid("oid", rows.iter().map(|class| class.oid))
        .text("relname", rows.iter().map(|class| class.name))
        .oid("relnamespace", rows.iter().map(|class| namespace_oid(class.schema)))
        .all_oid("reltype", 0)
        .all_oid("reloftype", 0)
        .all_oid("relowner", OWNER)
        .oid("relam", rows.iter().map(method))
        .all_oid("relfilenode", 0)
        .all_oid("reltablespace", 0)
        .all_int("relpages", 0)
        .all_real("reltuples", -1.0)
        .all_int("relallvisible", 0)
        .all_oid("reltoastrelid", 0)
        .truth("relhasindex", rows.iter().map(|class| class.indexed))
        .all_truth("relisshared", false)
        .all_text("relpersistence", "p")
        .text("relkind", rows.iter().map(|class| class.kind))
        .small("relnatts", rows.iter().map(attributes))
        .all_small("relchecks", 0)
        .all_truth("relhasrules", false)
        .all_truth("relhastriggers", false)
        .all_truth("relhassubclass", false)
        .all_truth("relrowsecurity", false)
        .all_truth("relforcerowsecurity", false)
        .all_truth("relispopulated", true)
        .all_text("relreplident", "d")
        .all_truth("relispartition", false)
        .all_oid("relrewrite", 0)
        .all_int("relfrozenxid", 0)
        .all_int("relminmxid", 0)
        .nothing("relacl", &texts())
        .nothing("reloptions", &texts())
        .nothing("relpartbound", &DataType::Utf8)
        .build()
}

/// A list of texts.
fn texts() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))
}

/// A row of `pg_attribute`.
struct Attribute<'a> {
    relation: i32,
    number: i16,
    field: &'a Arc<Field>,
    kind: Type,
}

fn attributes(entries: &[Entry], indexes: &[Index<'_>]) -> Result<RecordBatch> {
    let mut rows = Vec::new();
    let mut add = |relation, at: usize, field| {
        let number = i16::try_from(at + 1).unwrap_or(i16::MAX);
        let kind = field_into_pg_type(field).unwrap_or(Type::TEXT);
        rows.push(Attribute { relation, number, field, kind });
    };
    for entry in entries {
        for (at, field) in entry.columns.fields().iter().enumerate() {
            add(entry.oid, at, field);
        }
    }
    for index in indexes {
        for (at, field) in index.fields().into_iter().enumerate() {
            add(index.oid(), at, field);
        }
    }
    Columns::of(rows.len())
        .oid("attrelid", rows.iter().map(|row| row.relation))
        .text("attname", rows.iter().map(|row| row.field.name()))
        .oid("atttypid", rows.iter().map(|row| row.kind.oid().cast_signed()))
        .all_int("attstattarget", -1)
        .small("attlen", rows.iter().map(|row| length(&row.kind)))
        .small("attnum", rows.iter().map(|row| row.number))
        .all_int("attndims", 0)
        .all_int("attcacheoff", -1)
        .all_int("atttypmod", -1)
        .truth("attbyval", rows.iter().map(|row| (1..=8).contains(&length(&row.kind))))
        .all_text("attalign", "i")
        .all_text("attstorage", "p")
        .all_text("attcompression", "")
        .truth("attnotnull", rows.iter().map(|row| !row.field.is_nullable()))
        .all_truth("atthasdef", false)
        .all_truth("atthasmissing", false)
        .all_text("attidentity", "")
        .all_text("attgenerated", "")
        .all_truth("attisdropped", false)
        .all_truth("attislocal", true)
        .all_int("attinhcount", 0)
        .all_oid("attcollation", 0)
        .nothing("attacl", &texts())
        .nothing("attoptions", &texts())
        .nothing("attfdwoptions", &texts())
        .nothing("attmissingval", &DataType::Utf8)
        .build()
}

/// Bytes of a type; -1 where they differ.
fn length(kind: &Type) -> i16 {
    match *kind {
        Type::BOOL | Type::CHAR => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::OID | Type::FLOAT4 | Type::DATE => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::TIME => 8,
        Type::INTERVAL => 16,
        _ => -1,
    }
}

fn namespaces(schemas: &[String]) -> Result<RecordBatch> {
    Columns::of(schemas.len())
        .oid("oid", schemas.iter().map(|name| namespace_oid(name)))
        .text("nspname", schemas)
        .all_oid("nspowner", OWNER)
        .nothing("nspacl", &texts())
        .build()
}

fn databases() -> Result<RecordBatch> {
    Columns::of(1)
        .all_oid("oid", DATABASE_OID)
        .all_text("datname", DATABASE)
        .all_oid("datdba", OWNER)
        .all_int("encoding", 6)
        .all_text("datlocprovider", "c")
        .all_truth("datistemplate", false)
        .all_truth("datallowconn", true)
        .all_int("datconnlimit", -1)
        .all_int("datfrozenxid", 0)
        .all_int("datminmxid", 0)
        .all_oid("dattablespace", 1663)
        .all_text("datcollate", "C")
        .all_text("datctype", "C")
        .nothing("daticulocale", &DataType::Utf8)
        .nothing("daticurules", &DataType::Utf8)
        .nothing("datcollversion", &DataType::Utf8)
        .nothing("datacl", &texts())
        .build()
}

fn tables(entries: &[Entry]) -> Result<RecordBatch> {
    let rows: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == "r").collect();
    Columns::of(rows.len())
        .text("schemaname", rows.iter().map(|entry| &entry.schema))
        .text("tablename", rows.iter().map(|entry| &entry.name))
        .all_text("tableowner", ADMIN)
        .nothing("tablespace", &DataType::Utf8)
        .truth("hasindexes", rows.iter().map(|entry| entry.indexed))
        .all_truth("hasrules", false)
        .all_truth("hastriggers", false)
        .all_truth("rowsecurity", false)
        .build()
}

fn views(entries: &[Entry]) -> Result<RecordBatch> {
    let rows: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == "v").collect();
    Columns::of(rows.len())
        .text("schemaname", rows.iter().map(|entry| &entry.schema))
        .text("viewname", rows.iter().map(|entry| &entry.name))
        .all_text("viewowner", ADMIN)
        .text("definition", rows.iter().map(|entry| &entry.definition))
        .build()
}

fn materialized_views(entries: &[Entry]) -> Result<RecordBatch> {
    let rows: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == "m").collect();
    Columns::of(rows.len())
        .text("schemaname", rows.iter().map(|entry| &entry.schema))
        .text("matviewname", rows.iter().map(|entry| &entry.name))
        .all_text("matviewowner", ADMIN)
        .nothing("tablespace", &DataType::Utf8)
        .truth("hasindexes", rows.iter().map(|entry| entry.indexed))
        .all_truth("ispopulated", true)
        .text("definition", rows.iter().map(|entry| &entry.definition))
        .build()
}

fn descriptions(entries: &[Entry]) -> Result<RecordBatch> {
    Columns::of(entries.len())
        .oid("objoid", entries.iter().map(|entry| entry.oid))
        .all_oid("classoid", oid(PG_CATALOG, "pg_class"))
        .all_int("objsubid", 0)
        .text("description", entries.iter().map(|entry| &entry.comment))
        .build()
}

fn roles(users: &Users) -> Result<Vec<(&'static str, RecordBatch)>> {
    let users = users.list();
    let names = || users.iter().map(|user| user.user.as_str());
    let oids = || users.iter().map(|user| role_oid(&user.user));
    let admin = || users.iter().map(|user| user.role == Role::Admin);
    let until = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")));
    let role = |columns: Columns| {
        columns
            .text("rolname", names())
            .truth("rolsuper", admin())
            .all_truth("rolinherit", true)
            .truth("rolcreaterole", admin())
            .all_truth("rolcreatedb", false)
            .all_truth("rolcanlogin", true)
            .all_truth("rolreplication", false)
            .all_int("rolconnlimit", -1)
            .nothing("rolpassword", &DataType::Utf8)
            .nothing("rolvaliduntil", &until)
            .all_truth("rolbypassrls", false)
    };
    let user = Columns::of(users.len())
        .text("usename", names())
        .oid("usesysid", oids())
        .all_truth("usecreatedb", false)
        .truth("usesuper", admin())
        .all_truth("userepl", false)
        .all_truth("usebypassrls", false)
        .nothing("passwd", &DataType::Utf8)
        .nothing("valuntil", &until)
        .nothing("useconfig", &texts())
        .build()?;
    let groups = Columns::of(0).text("groname", [""; 0]).oid("grosysid", []).build()?;
    let listed =
        role(Columns::of(users.len())).nothing("rolconfig", &texts()).oid("oid", oids()).build()?;
    let kept = role(Columns::of(users.len()).oid("oid", oids())).build()?;
    Ok(vec![("pg_roles", listed), ("pg_authid", kept), ("pg_user", user), ("pg_group", groups)])
}

fn settings() -> Result<RecordBatch> {
    let nobody = crate::role::Principal::new(ADMIN, Role::Viewer);
    let settings = crate::settings::Settings::of(&nobody);
    let rows: Vec<(&str, &str)> = settings.iter().collect();
    Columns::of(rows.len())
        .text("name", rows.iter().map(|(name, _)| name))
        .text("setting", rows.iter().map(|(_, value)| value))
        .nothing("unit", &DataType::Utf8)
        .all_text("category", "")
        .all_text("short_desc", "")
        .nothing("extra_desc", &DataType::Utf8)
        .all_text("context", "user")
        .all_text("vartype", "string")
        .all_text("source", "default")
        .nothing("min_val", &DataType::Utf8)
        .nothing("max_val", &DataType::Utf8)
        .nothing("enumvals", &texts())
        .text("boot_val", rows.iter().map(|(_, value)| value))
        .text("reset_val", rows.iter().map(|(_, value)| value))
        .all_truth("pending_restart", false)
        .build()
}

fn activity() -> Result<RecordBatch> {
    Columns::of(0)
        .oid("datid", [])
        .text("datname", [""; 0])
        .int("pid", [])
        .text("usename", [""; 0])
        .text("application_name", [""; 0])
        .text("state", [""; 0])
        .text("query", [""; 0])
        .build()
}

fn auth_members() -> Result<RecordBatch> {
    Columns::of(0)
        .oid("roleid", [])
        .oid("member", [])
        .oid("grantor", [])
        .truth("admin_option", [])
        .build()
}

fn defaults() -> Result<RecordBatch> {
    Columns::of(0)
        .oid("oid", [])
        .oid("adrelid", [])
        .small("adnum", [])
        .text("adbin", [""; 0])
        .build()
}

fn rewrites() -> Result<RecordBatch> {
    Columns::of(0)
        .oid("oid", [])
        .text("rulename", [""; 0])
        .oid("ev_class", [])
        .text("ev_type", [""; 0])
        .text("ev_enabled", [""; 0])
        .truth("is_instead", [])
        .text("ev_qual", [""; 0])
        .text("ev_action", [""; 0])
        .build()
}

fn extensions() -> Result<RecordBatch> {
    Columns::of(0)
        .oid("oid", [])
        .text("extname", [""; 0])
        .oid("extowner", [])
        .oid("extnamespace", [])
        .truth("extrelocatable", [])
        .text("extversion", [""; 0])
        .build()
}

fn role_settings() -> Result<RecordBatch> {
    let none = Columns::of(0).oid("setdatabase", []).oid("setrole", []);
    none.nothing("setconfig", &texts()).build()
}

fn extended_statistics() -> Result<RecordBatch> {
    Columns::of(0)
        .oid("oid", [])
        .oid("stxrelid", [])
        .text("stxname", [""; 0])
        .oid("stxnamespace", [])
        .oid("stxowner", [])
        .int("stxstattarget", [])
        .numbers("stxkeys", [])
        .nothing("stxkind", &texts())
        .nothing("stxexprs", &DataType::Utf8)
        .build()
}

fn user_tables(entries: &[Entry]) -> Result<RecordBatch> {
    Columns::of(entries.len())
        .oid("relid", entries.iter().map(|entry| entry.oid))
        .text("schemaname", entries.iter().map(|entry| &entry.schema))
        .text("relname", entries.iter().map(|entry| &entry.name))
        .nothing("n_live_tup", &DataType::Int64)
        .build()
}
