//! What one statement sees: every relation that it names, all at one tick.
//!
//! The names are taken from the text before it is planned, the engine is asked for all of them in
//! one call, and the statement is planned over what came back. So no statement sees half a tick,
//! and none can make the engine wait: what it reads is already there.
//!
//! A statement about the catalog sees all relations, with their columns; it reads rows only of
//! those that it names.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::CatalogProvider;
use datafusion::catalog::MemTable;
use datafusion::catalog::MemoryCatalogProvider;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use queries::PlanError;
use queries::plan::refuse::nearest;
use queries::plan::statement;
use schemas::catalog::Catalog;
use schemas::catalog::RelationKind;
use schemas::contract::Engine;
use schemas::contract::Snapshot;
use schemas::contract::Status;
use schemas::plan::OnError;
use schemas::time::Timestamp;

use crate::error::DeskError;
use crate::error::Kind;
use crate::system;
use crate::tables::Tables;

/// The database's name, as PostgreSQL's clients see it.
pub(crate) const DATABASE: &str = "gridloom";

/// The schema of the engine's relations.
pub(crate) const PUBLIC: &str = "public";

/// Where records that were set aside stand, if the binary brings them.
const QUARANTINE: &str = "audit.quarantine";

/// Bytes of a hint that somebody reads.
const HINT_MAX: usize = 300;

/// Functions that give rows.
const TABLE_FUNCTIONS: [&str; 3] = ["generate_series", "range", "pg_get_keywords"];

/// What kind of relation PostgreSQL's catalog calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// A table: streams, reference tables, decisions, audit.
    Table,
    /// A maintained view.
    MaterializedView,
    /// A view: the tables of the schema `gridloom`.
    View,
}

/// A relation that can be read.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// The schema it is in.
    pub(crate) schema: String,
    /// Its name there.
    pub(crate) name: String,
    /// Its columns.
    pub(crate) columns: SchemaRef,
    /// What it is shown as.
    pub(crate) shown: Shown,
    /// The columns that tell its rows apart, where there are such.
    pub(crate) key: Vec<String>,
    /// A sentence about it.
    pub(crate) comment: &'static str,
}

impl Listed {
    /// The name as it is written in a statement.
    pub(crate) fn full(&self) -> String {
        if self.schema == PUBLIC {
            self.name.clone()
        } else {
            format!("{}.{}", self.schema, self.name)
        }
    }
}

/// Everything that can be read.
pub(crate) fn list(catalog: &Catalog, tables: &dyn Tables) -> Vec<Listed> {
    let mut listed = Vec::new();
    for (name, info) in catalog.iter() {
        let (shown, comment) = match &info.kind {
            RelationKind::Stream(_) => (Shown::Table, "stream: the rows that it retains"),
            RelationKind::Table => (Shown::Table, "reference table"),
            RelationKind::View => (Shown::MaterializedView, "maintained view"),
            RelationKind::Decision { .. } => (Shown::Table, "what an agent decided"),
            RelationKind::State => (Shown::Table, "what an agent keeps current"),
            // The binary brings them as tables.
            RelationKind::Audit(_) => continue,
        };
        let key = match &info.kind {
            RelationKind::Stream(s) if s.def.envelope == schemas::event::Envelope::Upsert => {
                s.def.key.clone()
            }
            _ => Vec::new(),
        };
        let columns = Arc::clone(&info.schema);
        let (schema, name) = match info.kind {
            RelationKind::State => parts(name),
            _ => (PUBLIC.to_owned(), name.to_owned()),
        };
        listed.push(Listed { schema, name, columns, shown, key, comment });
    }
    for (name, columns) in tables.list() {
        if name == QUARANTINE {
            // Most look for it beside the errors.
            listed.push(Listed {
                schema: system::SCHEMA.to_owned(),
                name: "quarantine".to_owned(),
                columns: Arc::clone(&columns),
                shown: Shown::View,
                key: Vec::new(),
                comment: "records that were set aside",
            });
        }
        let (schema, name) = parts(&name);
        let (shown, key, comment) = (Shown::Table, Vec::new(), "from the audit log");
        listed.push(Listed { schema, name, columns, shown, key, comment });
    }
    for (name, columns) in system::list() {
        listed.push(Listed {
            schema: system::SCHEMA.to_owned(),
            name: name.to_owned(),
            columns,
            shown: Shown::View,
            key: Vec::new(),
            comment: "how the engine stands",
        });
    }
    listed
}

/// The schema of a full name, and the name within it.
fn parts(name: &str) -> (String, String) {
    let (schema, name) = name.split_once('.').unwrap_or((PUBLIC, name));
    (schema.to_owned(), name.to_owned())
}

/// Whether it is what an agent keeps, in a schema of its own; records are brought by others.
fn is_state(relations: &Catalog, name: &str) -> bool {
    relations.get(name).is_some_and(|info| info.kind == RelationKind::State)
}

/// What a statement sees.
pub(crate) struct Sight {
    /// The tick.
    pub(crate) tick: Timestamp,
    /// The relations, as DataFusion plans over them.
    pub(crate) catalog: Arc<MemoryCatalogProvider>,
    /// What the reader should know.
    pub(crate) notices: Vec<String>,
    /// Everything that can be read.
    pub(crate) listed: Vec<Listed>,
    /// How the engine stands.
    pub(crate) status: Status,
}

/// What is asked to be seen.
pub(crate) struct Wanted<'a> {
    /// The statement's text, for places.
    pub(crate) sql: &'a str,
    /// The relations that it names.
    pub(crate) names: &'a [TableReference],
    /// The moment it asks about.
    pub(crate) at: Option<Timestamp>,
    /// Whether all relations are to be seen, with their columns.
    pub(crate) all: bool,
    /// Whether rows are to be read, or columns will do.
    pub(crate) rows: bool,
}

/// Reads what a statement names.
///
/// # Errors
/// It names what there is not, or what cannot be read at that tick.
pub(crate) fn see(
    engine: &dyn Engine,
    tables: &dyn Tables,
    wanted: &Wanted<'_>,
) -> Result<Sight, DeskError> {
    let relations = engine.catalog();
    let status = engine.status();
    let listed = list(&relations, tables);
    let mut named: BTreeMap<String, &Listed> = BTreeMap::new();
    for reference in wanted.names {
        if let Some(found) = find(&listed, reference, wanted.sql)? {
            named.insert(found.full(), found);
        }
    }
    let of_engine: Vec<&str> = named
        .iter()
        .filter(|(name, found)| found.schema == PUBLIC || is_state(&relations, name))
        .filter(|(name, _)| relations.get(name).is_some())
        .map(|(name, _)| name.as_str())
        .collect();
    let mut notices = Vec::new();
    let mut read: BTreeMap<String, Arc<dyn TableProvider>> = BTreeMap::new();
    let mut tick = wanted.at.unwrap_or(status.tick);
    if wanted.rows && !of_engine.is_empty() {
        let snapshots = engine.read(&of_engine, wanted.at)?;
        tick = snapshots.first().map_or(tick, |snapshot| snapshot.tick);
        for (name, snapshot) in of_engine.iter().zip(snapshots) {
            notices.extend(faults(name, &snapshot, &status)?);
            read.insert((*name).to_owned(), table(snapshot.rows)?);
        }
    }
    for (name, found) in &named {
        if read.contains_key(name) || !wanted.rows {
            continue;
        }
        let of_status = (found.schema == system::SCHEMA)
            .then(|| system::rows(&found.name, &status, &relations))
            .flatten();
        let provider = match of_status {
            Some(rows) => table(rows)?,
            None => {
                let name = if found.schema == system::SCHEMA { QUARANTINE } else { name };
                let opened = tables.open(name, tick);
                opened.map_err(|error| DeskError::computed(&error, wanted.sql))?
            }
        };
        read.insert(name.clone(), provider);
    }
    let shown = listed.iter().filter(|l| wanted.all || named.contains_key(&l.full()));
    let catalog = catalog(shown, &read)?;
    Ok(Sight { tick, catalog, notices, listed, status })
}

/// The catalog of these relations: those that were read with rows, the others with columns.
fn catalog<'a>(
    shown: impl Iterator<Item = &'a Listed>,
    read: &BTreeMap<String, Arc<dyn TableProvider>>,
) -> Result<Arc<MemoryCatalogProvider>, DeskError> {
    let failed = |error| DeskError::computed(&error, "");
    let catalog = MemoryCatalogProvider::new();
    let public = Arc::new(MemorySchemaProvider::new());
    catalog.register_schema(PUBLIC, public).map_err(failed)?;
    for relation in shown {
        let schema = match catalog.schema(&relation.schema) {
            Some(schema) => schema,
            None => {
                let schema = Arc::new(MemorySchemaProvider::new());
                let name = relation.schema.as_str();
                catalog.register_schema(name, schema.clone()).map_err(failed)?;
                schema
            }
        };
        let provider = match read.get(&relation.full()) {
            Some(provider) => Arc::clone(provider),
            None => empty(&relation.columns)?,
        };
        schema.register_table(relation.name.clone(), provider).map_err(failed)?;
    }
    Ok(Arc::new(catalog))
}

fn table(rows: arrow::array::RecordBatch) -> Result<Arc<dyn TableProvider>, DeskError> {
    let table = MemTable::try_new(rows.schema(), vec![vec![rows]]);
    Ok(Arc::new(table.map_err(|error| DeskError::computed(&error, ""))?))
}

fn empty(columns: &SchemaRef) -> Result<Arc<dyn TableProvider>, DeskError> {
    let table = MemTable::try_new(Arc::clone(columns), vec![vec![]]);
    Ok(Arc::new(table.map_err(|error| DeskError::computed(&error, ""))?))
}

/// The relation that is meant; `None` for what PostgreSQL's catalog or DataFusion has.
fn find<'a>(
    listed: &'a [Listed],
    reference: &TableReference,
    sql: &str,
) -> Result<Option<&'a Listed>, DeskError> {
    let schema = reference.schema().unwrap_or(PUBLIC);
    if ["information_schema", "pg_catalog"].contains(&schema) {
        return Ok(None);
    }
    // A call of a function stands where a name may stand, and a relation may have its name.
    let called = reference.schema().is_none() && TABLE_FUNCTIONS.contains(&reference.table());
    let of_us = reference.catalog().is_none_or(|catalog| catalog == DATABASE);
    let found = listed.iter().find(|l| l.schema == schema && l.name == reference.table());
    if let Some(found) = found.filter(|_| of_us) {
        return Ok(Some(found));
    }
    if called {
        return Ok(None);
    }
    let name = match reference.catalog() {
        Some(catalog) => format!("{catalog}.{schema}.{}", reference.table()),
        None if schema == PUBLIC => reference.table().to_owned(),
        None => format!("{schema}.{}", reference.table()),
    };
    let query = statement::query(sql).ok();
    let named = query.map(|query| statement::relations(&query)).unwrap_or_default();
    let at = named.into_iter().find(|named| named.name == name).and_then(|named| named.at);
    let names: Vec<String> = listed.iter().map(Listed::full).collect();
    let hint = nearest(&name, names.iter().map(String::as_str));
    // Where nothing is near, all are named; that helps as long as it can be read.
    let short = hint.len() <= HINT_MAX;
    let hint = if short { hint } else { "gridloom.relations lists what there is".to_owned() };
    Err(DeskError::planned(&PlanError::UnknownRelation { name, hint, at }, sql))
}

/// What is said of a view with rows that could not be computed.
fn faults(name: &str, snapshot: &Snapshot, status: &Status) -> Result<Option<String>, DeskError> {
    let n = snapshot.faults.len();
    if n == 0 {
        return Ok(None);
    }
    let rows = if n == 1 { "1 row" } else { &format!("{n} rows") };
    let message = format!("{name} has {rows} that could not be computed");
    let sql = status.views.iter().find(|view| view.name == name).map(|view| view.sql.as_str());
    let on_error = sql.and_then(|sql| statement::view(sql).ok()).map(|view| view.on_error);
    if on_error == Some(OnError::Fail) {
        let hint = "they stand in gridloom.errors; it was made WITH (on_error = 'fail')";
        return Err(DeskError::new(Kind::Data, message).hint(hint));
    }
    Ok(Some(format!("{message}; see gridloom.errors")))
}
