//! The schema `gridloom`: how the engine and everything in it stands, as tables.
//!
//! All are made of one [`Status`], so that those that one statement reads agree with each other.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use schemas::catalog::Catalog;
use schemas::catalog::RelationKind;
use schemas::contract::Status;
use schemas::relation;
use schemas::relation::Relation;
use schemas::time::Timestamp;

/// The name of the schema.
pub(crate) const SCHEMA: &str = "gridloom";

relation! {
    /// The instance.
    pub struct Instance in "instance" {
        /// Its name.
        pub name: String,
        /// The last complete tick.
        pub tick_at: Timestamp,
        /// The length of a tick in milliseconds.
        pub step_ms: i64,
        /// Ticks since the process started.
        pub ticks: i64,
        /// Readings taken since the process started.
        pub readings: i64,
        /// Records refused since the process started.
        pub refused: i64,
        /// Ticks that the dataflow works on.
        pub ticks_in_flight: i64,
        /// From a tick's last reading to every view past it, median.
        pub tick_latency_p50_ms: f64,
        /// The same, 99th percentile.
        pub tick_latency_p99_ms: f64,
        /// Records in the audit chain.
        pub audit_records: i64,
    }
}

relation! {
    /// A relation that can be read.
    pub struct Listed in "relations" {
        /// Its name.
        pub name: String,
        /// `stream`, `table`, `view` or `decision`.
        pub kind: String,
        /// Its columns, in order.
        pub columns: i64,
        /// How long rows are kept, where that is limited.
        pub retain_ms: Option<i64>,
        /// How late a row may be, for streams.
        pub lateness_ms: Option<i64>,
    }
}

relation! {
    /// A maintained view.
    pub struct View in "views" {
        /// Its name.
        pub name: String,
        /// The tick its rows show.
        pub tick_at: Timestamp,
        /// Its rows.
        pub rows: i64,
        /// Rows that could not be computed.
        pub faults: i64,
        /// How much of its history is worked off, in percent.
        pub hydrated_percent: i64,
        /// The relations it reads.
        pub reads: String,
        /// The statement that made it.
        pub sql: String,
    }
}

relation! {
    /// An index.
    pub struct Index in "indexes" {
        /// Its name.
        pub name: String,
        /// The relation that it arranges.
        pub relation: String,
        /// The columns by which.
        pub columns: String,
        /// How much of its history is worked off, in percent; views may use it from 100 on.
        pub hydrated_percent: i64,
        /// The views that use it.
        pub used_by: String,
        /// The statement that made it.
        pub sql: String,
    }
}

relation! {
    /// What one node of a view, or an index, keeps.
    pub struct Arrangement in "arrangements" {
        /// The view or the index.
        pub view: String,
        /// The node, as EXPLAIN prints it.
        pub node: String,
        /// What bounds it.
        pub bound: String,
        /// Rows kept.
        pub rows: i64,
        /// Bytes kept, estimated.
        pub bytes: i64,
        /// Other views that use the same.
        pub shared_with: String,
    }
}

relation! {
    /// How far something has come.
    pub struct Frontier in "frontiers" {
        /// A view, or `source/partition`.
        pub name: String,
        /// `view` or `source`.
        pub kind: String,
        /// What it has passed.
        pub at: Option<Timestamp>,
        /// How far that is behind the last complete tick; less than nothing where it is ahead.
        pub lag_ms: Option<i64>,
    }
}

relation! {
    /// One partition of a source.
    pub struct Source in "sources" {
        /// The source.
        pub source: String,
        /// The partition within it.
        pub partition: String,
        /// The record to go on with.
        pub position: i64,
        /// What it has passed.
        pub watermark_at: Option<Timestamp>,
        /// Ticks that were closed without it.
        pub missed_ticks: i64,
        /// Nothing follows.
        pub ended: bool,
        /// Why its door is broken, and how to mend it; NULL while it is open.
        pub error: Option<String>,
    }
}

relation! {
    /// A row of a view that could not be computed.
    pub struct Fault in "errors" {
        /// The view.
        pub view: String,
        /// What failed, as EXPLAIN prints it.
        pub expression: String,
        /// What the evaluator said.
        pub message: String,
        /// The row it was given.
        pub row: String,
    }
}

/// The tables with their columns, in name order.
pub(crate) fn list() -> Vec<(&'static str, SchemaRef)> {
    vec![
        (Arrangement::NAME, Arrangement::schema()),
        (Fault::NAME, Fault::schema()),
        (Frontier::NAME, Frontier::schema()),
        (Index::NAME, Index::schema()),
        (Instance::NAME, Instance::schema()),
        (Listed::NAME, Listed::schema()),
        (Source::NAME, Source::schema()),
        (View::NAME, View::schema()),
    ]
}

/// The rows of one of them.
pub(crate) fn rows(name: &str, status: &Status, catalog: &Catalog) -> Option<RecordBatch> {
    Some(match name {
        Arrangement::NAME => Arrangement::to_batch(&arrangements(status)),
        Fault::NAME => Fault::to_batch(&faults(status)),
        Frontier::NAME => Frontier::to_batch(&frontiers(status)),
        Index::NAME => Index::to_batch(&indexes(status)),
        Instance::NAME => Instance::to_batch(&[instance(status)]),
        Listed::NAME => Listed::to_batch(&relations(catalog)),
        Source::NAME => Source::to_batch(&sources(status)),
        View::NAME => View::to_batch(&views(status)),
        _ => return None,
    })
}

/// A count as SQL has it.
fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn instance(status: &Status) -> Instance {
    Instance {
        name: status.instance.clone(),
        tick_at: status.tick,
        step_ms: count(status.step_ms),
        ticks: count(status.ticks),
        readings: count(status.readings),
        refused: count(status.refused),
        ticks_in_flight: count(status.ticks_in_flight),
        tick_latency_p50_ms: status.tick_latency_p50_ms,
        tick_latency_p99_ms: status.tick_latency_p99_ms,
        audit_records: count(status.audit_records),
    }
}

fn relations(catalog: &Catalog) -> Vec<Listed> {
    let listed = catalog.iter().map(|(name, info)| {
        let (kind, settings) = match &info.kind {
            RelationKind::Stream(settings) => ("stream", Some(settings)),
            RelationKind::Table => ("table", None),
            RelationKind::View => ("view", None),
            RelationKind::Decision { .. } => ("decision", None),
            RelationKind::State => ("state", None),
            RelationKind::Audit(_) => ("audit", None),
        };
        Listed {
            name: name.to_owned(),
            kind: kind.to_owned(),
            columns: count(info.schema.fields().len() as u64),
            retain_ms: settings.filter(|s| s.retain_ms > 0).map(|s| count(s.retain_ms)),
            lateness_ms: settings.map(|s| count(s.lateness_ms)),
        }
    });
    listed.collect()
}

fn views(status: &Status) -> Vec<View> {
    let views = status.views.iter().map(|view| View {
        name: view.name.clone(),
        tick_at: view.tick,
        rows: count(view.rows),
        faults: count(view.faults.len() as u64),
        hydrated_percent: i64::from(view.hydrated),
        reads: view.reads.join(", "),
        sql: view.sql.clone(),
    });
    views.collect()
}

fn indexes(status: &Status) -> Vec<Index> {
    let indexes = status.indexes.iter().map(|index| Index {
        name: index.name.clone(),
        relation: index.relation.clone(),
        columns: index.columns.join(", "),
        hydrated_percent: i64::from(index.hydrated),
        used_by: index.used_by.join(", "),
        sql: index.sql.clone(),
    });
    indexes.collect()
}

fn arrangements(status: &Status) -> Vec<Arrangement> {
    let arrangements = status.arrangements.iter().map(|kept| Arrangement {
        view: kept.view.clone(),
        node: kept.node.clone(),
        bound: kept.bound.clone(),
        rows: count(kept.rows),
        bytes: count(kept.bytes),
        shared_with: kept.shared_with.join(", "),
    });
    arrangements.collect()
}

fn frontiers(status: &Status) -> Vec<Frontier> {
    let lag = |at: Timestamp| count(status.tick.0) - count(at.0);
    let views = status.views.iter().map(|view| Frontier {
        name: view.name.clone(),
        kind: "view".to_owned(),
        at: Some(view.tick),
        lag_ms: Some(lag(view.tick)),
    });
    let partitions = status.sources.iter().filter(|source| !source.partition.is_empty());
    let sources = partitions.map(|source| Frontier {
        name: format!("{}/{}", source.source, source.partition),
        kind: "source".to_owned(),
        at: source.watermark,
        lag_ms: source.watermark.map(lag),
    });
    views.chain(sources).collect()
}

fn sources(status: &Status) -> Vec<Source> {
    let sources = status.sources.iter().map(|source| Source {
        source: source.source.clone(),
        partition: source.partition.clone(),
        position: source.position,
        watermark_at: source.watermark,
        missed_ticks: count(source.missed),
        ended: source.ended,
        error: source.error.clone(),
    });
    sources.collect()
}

fn faults(status: &Status) -> Vec<Fault> {
    let faults = status.views.iter().flat_map(|view| {
        view.faults.iter().map(|fault| Fault {
            view: view.name.clone(),
            expression: fault.expression.clone(),
            message: fault.message.clone(),
            row: fault.row.clone(),
        })
    });
    faults.collect()
}
