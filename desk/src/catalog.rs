//! PostgreSQL's own catalog, as far as its clients ask for it.
//!
//! psql, JDBC, Grafana and dbt learn what relations there are from `pg_catalog`. The tables that
//! depend on what is here are made for each statement that asks ([`tables`]); those that are the
//! same everywhere (types, operators, languages) come from `datafusion-pg-catalog`, and so do the
//! rewritings of what DataFusion does not plan, beside our own ([`rewrite`]). A statement that does
//! not ask for the catalog meets none of this: it is parsed and planned as a view would be.

mod build;
mod functions;
mod indexes;
mod rewrite;
mod standard;
mod tables;

use std::sync::Arc;

use datafusion::catalog::CatalogProvider;
use datafusion::catalog::MemTable;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::catalog::SchemaProvider;
use datafusion::common::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion_pg_catalog::pg_catalog::ArrowTable;
use datafusion_pg_catalog::pg_catalog::PgCatalogStaticTables;
use datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;
use sha2::Digest;
use sha2::Sha256;

use crate::relations::Sight;
use crate::text::Word;
use crate::users::Users;

pub(crate) use rewrite::parse;
pub(crate) use rewrite::tell_apart;

/// The schema of the catalog.
pub(crate) const PG_CATALOG: &str = "pg_catalog";

/// The standard's schema about relations.
pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";

/// Who owns what is here: PostgreSQL's first user.
pub(crate) const OWNER: i32 = 10;

/// The first number that is nobody's in PostgreSQL.
const FIRST_OID: u32 = 16_384;

/// Words that only make sense with the catalog at hand, beside names that begin with `pg_`.
const OF_CATALOG: [&str; 17] = [
    "information_schema",
    "quote_ident",
    "quote_literal",
    "current_catalog",
    "current_database",
    "current_role",
    "current_schema",
    "current_schemas",
    "current_setting",
    "current_user",
    "format_type",
    "has_schema_privilege",
    "has_table_privilege",
    "regclass",
    "session_user",
    "user",
    "version",
];

/// Whether a statement asks for PostgreSQL's catalog.
pub(crate) fn asks_catalog(words: &[Word]) -> bool {
    words
        .iter()
        .filter_map(Word::name)
        .any(|name| name.starts_with("pg_") || OF_CATALOG.contains(&name.as_str()))
}

/// The number of a relation, the same in every statement and every process.
pub(crate) fn oid(schema: &str, name: &str) -> i32 {
    let fixed = match (schema, name) {
        (PG_CATALOG, "pg_type") => 1247,
        (PG_CATALOG, "pg_attribute") => 1249,
        (PG_CATALOG, "pg_proc") => 1255,
        (PG_CATALOG, "pg_class") => 1259,
        (PG_CATALOG, "pg_database") => 1262,
        (PG_CATALOG, "pg_constraint") => 2606,
        (PG_CATALOG, "pg_namespace") => 2615,
        _ => 0,
    };
    if fixed > 0 { fixed } else { hashed(&format!("{schema}.{name}")) }
}

/// The number of a schema.
pub(crate) fn namespace_oid(schema: &str) -> i32 {
    match schema {
        PG_CATALOG => 11,
        "public" => 2200,
        INFORMATION_SCHEMA => 13_000,
        other => hashed(other),
    }
}

/// The number of a user.
pub(crate) fn role_oid(name: &str) -> i32 {
    if name == crate::users::ADMIN { OWNER } else { hashed(&format!("role {name}")) }
}

/// A number above PostgreSQL's own, from a name. 30 bits: among 1,000 names two are alike once in
/// 2,000 catalogs, and then a client mixes up their columns.
fn hashed(name: &str) -> i32 {
    let hash = Sha256::digest(name.as_bytes());
    let bits = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) >> 2;
    i32::try_from(bits.max(FIRST_OID)).expect("30 bits fit")
}

/// What is the same for all statements that ask for the catalog.
pub(crate) struct Catalogs {
    fixed: Vec<(&'static str, Arc<ArrowTable>)>,
    keywords: Arc<ArrowTable>,
}

impl Catalogs {
    /// Reads the tables that are the same everywhere.
    ///
    /// # Errors
    /// They are damaged.
    pub(crate) fn new() -> Result<Catalogs> {
        let tables = PgCatalogStaticTables::try_new()?;
        Ok(Catalogs { fixed: fixed(&tables), keywords: Arc::clone(&tables.pg_get_keywords) })
    }

    /// Adds the catalog of what is seen to a state.
    ///
    /// # Errors
    /// The tables cannot be made.
    pub(crate) fn add(
        &self,
        state: SessionState,
        sight: &Sight,
        user: &str,
        users: &Users,
    ) -> Result<SessionState> {
        let schema = MemorySchemaProvider::new();
        for (name, table) in &self.fixed {
            schema.register_table((*name).to_owned(), table.try_into_memtable()?)?;
        }
        for (name, rows) in tables::all(&sight.listed, &sight.status, users, &self.fixed)? {
            let table = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
            schema.register_table(name.to_owned(), Arc::new(table))?;
        }
        sight.catalog.register_schema(PG_CATALOG, Arc::new(schema))?;
        let schema = MemorySchemaProvider::new();
        let schemas = tables::schemas(&sight.listed);
        for (name, rows) in standard::all(&sight.listed, &schemas, &sight.status)? {
            let table = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
            schema.register_table(name.to_owned(), Arc::new(table))?;
        }
        sight.catalog.register_schema(INFORMATION_SCHEMA, Arc::new(schema))?;
        // DataFusion's own schema of this name would come first.
        let config = state.config().clone().with_information_schema(false);
        let mut state = SessionStateBuilder::new_from_existing(state)
            .with_config(config)
            .with_type_planner(Arc::new(PgOidTypePlanner))
            .build();
        let context = datafusion::prelude::SessionContext::new_with_state(state);
        context.register_udtf("pg_get_keywords", Arc::clone(&self.keywords) as _);
        datafusion_pg_catalog::pg_catalog::generate_series_arg_coercion::CoerceIntArgsToBigInt
            ::widen(&context);
        state = context.state();
        for function in functions::all(sight, user, users) {
            state.register_udf(Arc::new(function))?;
        }
        Ok(state)
    }
}

/// The tables that `datafusion-pg-catalog` has and that are true of us as well: types, operators,
/// languages, and what there is none of. Its rows about relations, columns, constraints and users
/// speak of a PostgreSQL that is not here, and are not taken.
fn fixed(t: &PgCatalogStaticTables) -> Vec<(&'static str, Arc<ArrowTable>)> {
    vec![
        ("pg_aggregate", Arc::clone(&t.pg_aggregate)),
        ("pg_am", Arc::clone(&t.pg_am)),
        ("pg_amop", Arc::clone(&t.pg_amop)),
        ("pg_amproc", Arc::clone(&t.pg_amproc)),
        ("pg_cast", Arc::clone(&t.pg_cast)),
        ("pg_collation", Arc::clone(&t.pg_collation)),
        ("pg_conversion", Arc::clone(&t.pg_conversion)),
        ("pg_default_acl", Arc::clone(&t.pg_default_acl)),
        ("pg_depend", Arc::clone(&t.pg_depend)),
        ("pg_enum", Arc::clone(&t.pg_enum)),
        ("pg_event_trigger", Arc::clone(&t.pg_event_trigger)),
        ("pg_foreign_data_wrapper", Arc::clone(&t.pg_foreign_data_wrapper)),
        ("pg_foreign_server", Arc::clone(&t.pg_foreign_server)),
        ("pg_foreign_table", Arc::clone(&t.pg_foreign_table)),
        ("pg_inherits", Arc::clone(&t.pg_inherits)),
        ("pg_language", Arc::clone(&t.pg_language)),
        ("pg_opclass", Arc::clone(&t.pg_opclass)),
        ("pg_operator", Arc::clone(&t.pg_operator)),
        ("pg_opfamily", Arc::clone(&t.pg_opfamily)),
        ("pg_partitioned_table", Arc::clone(&t.pg_partitioned_table)),
        ("pg_policy", Arc::clone(&t.pg_policy)),
        ("pg_proc", Arc::clone(&t.pg_proc)),
        ("pg_publication", Arc::clone(&t.pg_publication)),
        ("pg_publication_namespace", Arc::clone(&t.pg_publication_namespace)),
        ("pg_publication_rel", Arc::clone(&t.pg_publication_rel)),
        ("pg_range", Arc::clone(&t.pg_range)),
        ("pg_seclabel", Arc::clone(&t.pg_seclabel)),
        ("pg_sequence", Arc::clone(&t.pg_sequence)),
        ("pg_shdescription", Arc::clone(&t.pg_shdescription)),
        ("pg_subscription", Arc::clone(&t.pg_subscription)),
        ("pg_tablespace", Arc::clone(&t.pg_tablespace)),
        ("pg_trigger", Arc::clone(&t.pg_trigger)),
        ("pg_type", Arc::clone(&t.pg_type)),
    ]
}
