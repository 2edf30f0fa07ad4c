//! The files of `tests/slt`, each asked once and maintained, by the runner of sqllogictest.
//!
//! A file makes tables, brings rows and takes rows away; each such statement is one tick. A query
//! is then answered twice: by the batch path over the rows that are left (engine `batch`), and by a
//! view that has been maintained from the first tick on, with one worker and with three (engine
//! `maintained`). All must give what the file says. Where they must differ, because a view is
//! refused, the file says so with `onlyif` and `skipif`.
//!
//! Comments that begin with `clause:` are the rows of a table in `docs/sql.md`; see
//! [`sql_table`](crate::sql_table).

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::Array;
use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use pipeline::delta::DeltaBatch;
use pipeline::delta::Diffs;
use pipeline::flow::Flow;
use pipeline::views::store::Views;
use pipeline::workers::TickInput;
use pipeline::workers::Workers;
use queries::Planner;
use queries::batch::Rows;
use schemas::catalog::Catalog;
use schemas::catalog::DEFAULT_LATENESS_MS;
use schemas::catalog::DEFAULT_RETAIN_MS;
use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::catalog::StreamSettings;
use schemas::contract::ViewReader;
use schemas::event::Envelope;
use schemas::event::StreamDef;
use schemas::relation::timestamp_type;
use schemas::time::DEFAULT_STEP;
use schemas::time::Timestamp;
use sqllogictest::DB;
use sqllogictest::DBOutput;
use sqllogictest::DefaultColumnType;
use sqllogictest::Runner;

/// The first tick: 31 August 2016, 20:00.
const BEGIN_MS: u64 = 1_472_673_600_000;

/// Why a record is not as the file says.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Wrong(String);

fn wrong(error: impl std::fmt::Display) -> Wrong {
    Wrong(error.to_string())
}

/// Rows of one table that come (1) or go (-1) in one tick.
struct Change {
    table: String,
    rows: RecordBatch,
    diff: i64,
}

/// Tables, and who answers: the batch path, or views with so many workers.
struct Engine {
    workers: Option<usize>,
    tables: BTreeMap<String, RecordBatch>,
    /// Those of them that are streams, to which rows are only added.
    streams: BTreeSet<String>,
    ticks: Vec<Change>,
}

impl Engine {
    fn new(workers: Option<usize>) -> Engine {
        Engine { workers, tables: BTreeMap::new(), streams: BTreeSet::new(), ticks: Vec::new() }
    }

    fn now(&self) -> Timestamp {
        Timestamp(BEGIN_MS + self.ticks.len() as u64 * DEFAULT_STEP.millis())
    }

    fn asked(&self, sql: &str) -> Result<RecordBatch, Wrong> {
        let rows = |rows: &RecordBatch| Rows::of(rows.clone());
        let tables = self.tables.iter().map(|(name, of)| (name.clone(), rows(of))).collect();
        queries::batch::query(&tables, sql, self.now()).map_err(|error| wrong(error.full()))
    }

    /// `CREATE TABLE name (column TYPE, …)`, or `CREATE STREAM`, whose last column is the time.
    fn create(&mut self, sql: &str) -> Result<(), Wrong> {
        let (head, columns) = sql.split_once('(').ok_or_else(|| wrong("no columns"))?;
        let name = head.split_whitespace().last().ok_or_else(|| wrong("no name"))?;
        let field = |column: &str| {
            let (name, kind) = column.trim().split_once(' ').ok_or_else(|| wrong(column))?;
            let kind = match kind.trim() {
                "BIGINT" => DataType::Int64,
                "DOUBLE" => DataType::Float64,
                "TEXT" => DataType::Utf8,
                "BOOLEAN" => DataType::Boolean,
                "TIMESTAMP" => timestamp_type(),
                other => return Err(wrong(format!("no type {other}"))),
            };
            Ok(Field::new(name, kind, true))
        };
        let columns = columns.trim_end().trim_end_matches(')');
        let fields = columns.split(',').map(field).collect::<Result<Vec<_>, _>>()?;
        let rows = RecordBatch::new_empty(Arc::new(Schema::new(fields)));
        self.tables.insert(name.to_owned(), rows);
        if head.contains("STREAM") {
            self.streams.insert(name.to_owned());
        }
        Ok(())
    }

    /// `INSERT INTO name VALUES (…), …`.
    fn insert(&mut self, sql: &str) -> Result<u64, Wrong> {
        let (head, values) = sql.split_once("VALUES").ok_or_else(|| wrong("no VALUES"))?;
        let name = head.split_whitespace().last().unwrap_or_default();
        let given = self.asked(&format!("SELECT * FROM (VALUES {values}) AS given"))?;
        let schema = self.tables.get(name).ok_or_else(|| wrong(name))?.schema();
        let columns = given.columns().iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type()));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        let rows = RecordBatch::try_new(schema, columns).map_err(wrong)?;
        self.change(name, rows, 1)
    }

    /// `DELETE FROM name WHERE …`.
    fn delete(&mut self, sql: &str) -> Result<u64, Wrong> {
        let (head, condition) = sql.split_once("WHERE").ok_or_else(|| wrong("no WHERE"))?;
        let name = head.split_whitespace().last().unwrap_or_default();
        if self.streams.contains(name) {
            return Err(wrong("nothing is taken out of a stream"));
        }
        let gone = self.asked(&format!("SELECT * FROM {name} WHERE {condition}"))?;
        let rest = format!("SELECT * FROM {name} WHERE ({condition}) IS NOT TRUE");
        let rest = self.asked(&rest)?;
        let n = self.change(name, gone, -1)?;
        self.tables.insert(name.to_owned(), rest);
        Ok(n)
    }

    fn change(&mut self, table: &str, rows: RecordBatch, diff: i64) -> Result<u64, Wrong> {
        let n = rows.num_rows() as u64;
        if diff > 0 {
            let of = self.tables.get_mut(table).ok_or_else(|| wrong(table))?;
            let all = arrow::compute::concat_batches(&of.schema(), [&*of, &rows]);
            *of = all.map_err(wrong)?;
        }
        self.ticks.push(Change { table: table.to_owned(), rows, diff });
        Ok(n)
    }

    /// What a view of this query shows after all ticks.
    fn maintained(&self, sql: &str, workers: usize) -> Result<RecordBatch, Wrong> {
        let mut catalog = Catalog::default();
        for (name, rows) in &self.tables {
            let schema = rows.schema();
            if self.streams.contains(name) {
                catalog.add_stream(stream(name, schema));
            } else {
                catalog.add(name, RelationInfo { schema, kind: RelationKind::Table });
            }
        }
        let text = format!("CREATE MATERIALIZED VIEW asked AS {sql}");
        let plan = Planner::new(catalog.clone()).view(&text).map_err(|e| wrong(e.full()))?;
        let flow = Flow::over(&catalog, vec![plan], None, DEFAULT_STEP);
        let store = Views::new(&flow.views).map_err(wrong)?;
        let mut running = Workers::start(&flow, workers).map_err(wrong)?;
        for (n, change) in self.ticks.iter().enumerate() {
            let tick = Timestamp(BEGIN_MS + (n as u64 + 1) * DEFAULT_STEP.millis());
            let input = flow.inputs.iter().position(|(name, _)| *name == change.table);
            let (batch, diffs) = (change.rows.clone(), Diffs::All(change.diff));
            let delta = DeltaBatch { time: tick.0, batch, diffs };
            let deltas = input.map(|input| (input, delta)).into_iter().collect();
            running.submit(TickInput { tick, deltas }).map_err(wrong)?;
            let output = running.finished(Duration::from_secs(60)).map_err(wrong)?;
            let output = output.ok_or_else(|| wrong("a tick does not end"))?;
            store.apply(output.tick, output.published);
        }
        let shown = store.snapshot("asked").ok_or_else(|| wrong("the view is not there"))?;
        match shown.faults.first() {
            Some(fault) => Err(wrong(format!("{}: {}", fault.expression, fault.message))),
            None => Ok(shown.rows),
        }
    }
}

/// A stream of appended rows, timed by its last column.
fn stream(name: &str, schema: SchemaRef) -> StreamSettings {
    let event_time = schema.fields().last().map_or(String::new(), |f| f.name().clone());
    let (name, key) = (name.to_owned(), Vec::new());
    let def = StreamDef { name, schema, event_time, key, envelope: Envelope::Append };
    let (lateness_ms, retain_ms) = (DEFAULT_LATENESS_MS, DEFAULT_RETAIN_MS);
    StreamSettings { def, lateness_ms, retain_ms }
}

impl DB for Engine {
    type Error = Wrong;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Wrong> {
        let sql = sql.trim();
        let first = sql.split_whitespace().next().unwrap_or_default();
        let changed = match first {
            "CREATE" => self.create(sql).map(|()| 0)?,
            "INSERT" => self.insert(sql)?,
            "DELETE" => self.delete(sql)?,
            _ => {
                let rows = match self.workers {
                    None => self.asked(sql)?,
                    Some(workers) => self.maintained(sql, workers)?,
                };
                return shown(&rows);
            }
        };
        Ok(DBOutput::StatementComplete(changed))
    }

    fn engine_name(&self) -> &str {
        if self.workers.is_some() { "maintained" } else { "batch" }
    }
}

/// Rows as the runner compares them.
fn shown(rows: &RecordBatch) -> Result<DBOutput<DefaultColumnType>, Wrong> {
    let options = FormatOptions::default().with_null("NULL");
    let kind = |column: &Arc<dyn Array>| match column.data_type() {
        kind if kind.is_integer() => DefaultColumnType::Integer,
        kind if kind.is_floating() => DefaultColumnType::FloatingPoint,
        DataType::Utf8 | DataType::Utf8View => DefaultColumnType::Text,
        _ => DefaultColumnType::Any,
    };
    let types = rows.columns().iter().map(kind).collect();
    let formatters = rows.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options));
    let formatters = formatters.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    let value = |text: String| if text.is_empty() { "(empty)".to_owned() } else { text };
    let row = |row| formatters.iter().map(|f| value(f.value(row).to_string())).collect();
    Ok(DBOutput::Rows { types, rows: (0..rows.num_rows()).map(row).collect() })
}

/// Where the files are.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/slt")
}

/// The files, in the order of their tests here.
pub(crate) fn files() -> impl Iterator<Item = &'static str> {
    let checks = include_str!("slt.rs").split("\n    check(\"").skip(1);
    checks.filter_map(|rest| rest.split('"').next())
}

#[track_caller]
fn check(file: &str) {
    for workers in [None, Some(1), Some(3)] {
        let mut runner = Runner::new(move || async move { Ok(Engine::new(workers)) });
        let done = runner.run_file(folder().join(file));
        done.unwrap_or_else(|error| panic!("{workers:?} workers: {}", error.display(false)));
    }
}

#[test]
fn expressions_and_conditions() {
    check("select.slt");
}

#[test]
fn joins() {
    check("join.slt");
}

#[test]
fn joins_with_other_conditions() {
    check("residual.slt");
}

#[test]
fn subqueries() {
    check("subquery.slt");
}

#[test]
fn subqueries_below_or_and_lateral() {
    check("exists.slt");
}

#[test]
fn groups() {
    check("group.slt");
}

#[test]
fn aggregates_of_groups_that_empty() {
    check("aggregate.slt");
}

#[test]
fn grouping_sets() {
    check("grouping.slt");
}

#[test]
fn sets() {
    check("set.slt");
}

#[test]
fn limits() {
    check("limit.slt");
}

#[test]
fn first_rows_that_go_and_come() {
    check("first.slt");
}

#[test]
fn windows() {
    check("window.slt");
}

#[test]
fn conditions_on_windows() {
    check("qualify.slt");
}

#[test]
fn as_of_joins() {
    check("asof.slt");
}

#[test]
fn lookups() {
    check("lookup.slt");
}

#[test]
fn recursion() {
    check("recursive.slt");
}

#[test]
fn lists() {
    check("list.slt");
}

#[test]
fn queries_in_from() {
    check("from.slt");
}

#[test]
fn time() {
    check("time.slt");
}

#[test]
fn windows_of_time() {
    check("clock.slt");
}

#[test]
fn every_file_is_checked() {
    let found = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name());
    let found: BTreeSet<String> = found.map(|name| name.to_string_lossy().into_owned()).collect();
    assert_eq!(found, files().map(str::to_owned).collect());
}
