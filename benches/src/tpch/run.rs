//! Maintains one query over the batches, and asks it anew after each.
//!
//! Both are measured in one run over the same rows, and compared: a fast wrong answer must not be a
//! number. Processor time is that of the whole process, state the live heap once the input is gone.

use std::collections::BTreeMap;

use arrow::array::Array;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use pipeline::delta::DeltaBatch;
use pipeline::delta::Diffs;
use pipeline::flow::Built;
use pipeline::flow::Flow;
use pipeline::views::publish::Publisher;
use pipeline::views::store::Views;
use queries::PlanError;
use queries::Planner;
use queries::batch::Rows;
use schemas::catalog::Catalog;
use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::contract::ViewReader;
use schemas::plan::ViewPlan;
use schemas::time::Step;
use schemas::time::Timestamp;

use super::data::Change;
use super::data::Database;
use crate::meter::cpu_seconds;
use crate::meter::live_bytes;
use crate::meter::quantile;

const BEGIN_MS: u64 = 1_472_673_600_000;
const STEP_MS: u64 = 5_000;

/// What came of one query.
pub enum Outcome {
    /// It cannot be maintained, and this says why.
    Refused(PlanError),
    /// It was maintained.
    Maintained(Measured),
}

/// What was measured of a maintained query.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// The first batch after which it did not show what batch answers, and how they differ.
    pub different: Option<String>,
    /// Rows that it showed in the end.
    pub rows: usize,
    /// Batches at which it showed any.
    pub shown: usize,
    /// Processor time of the first tick, in which everything comes, in milliseconds.
    pub load_ms: f64,
    /// Processor time of a later batch, the median, in milliseconds.
    pub batch_ms: f64,
    /// The same, the 99th percentile.
    pub batch_p99_ms: f64,
    /// Rows that come or go in a batch, the mean.
    pub changes: usize,
    /// Such rows by the processor time of their batches, in seconds.
    pub changes_per_cpu_second: f64,
    /// Processor time of asking the query anew, the median, in milliseconds.
    pub asked_ms: f64,
    /// Live heap of the dataflow in the end, by the rows of its relations.
    pub state_bytes_per_row: f64,
}

/// Maintains the query at this scale over `batches` batches.
pub fn run(sql: &str, scale: f64, batches: usize) -> Outcome {
    let before = live_bytes();
    let database = Database::new(scale, batches);
    let mut catalog = Catalog::default();
    for relation in &database.relations {
        let (schema, kind) = (relation.rows.schema(), RelationKind::Table);
        catalog.add(relation.name, RelationInfo { schema, kind });
    }
    let text = format!("CREATE MATERIALIZED VIEW q AS {sql}");
    match Planner::new(catalog.clone()).view(&text) {
        Ok(plan) => {
            Outcome::Maintained(maintained(&catalog, plan, sql, database, (batches, before)))
        }
        Err(error) => Outcome::Refused(error),
    }
}

fn maintained(
    catalog: &Catalog,
    plan: ViewPlan,
    sql: &str,
    mut database: Database,
    (batches, before): (usize, usize),
) -> Measured {
    let step = Step::from_millis(STEP_MS).expect("not zero");
    let inputs = catalog.iter().map(|(name, info)| (name.to_owned(), info.schema.clone()));
    let flow = Flow { step, inputs: inputs.collect(), views: vec![plan], agents: None };
    let views = Views::new(&flow.views).expect("a view has plain columns");
    let sql = sql.to_owned();
    timely::execute_directly(move |worker| {
        let (publish, published) = crossbeam_channel::unbounded();
        let built = worker.dataflow(|scope| flow.build(scope, &Publisher::new(publish)));
        let Built { mut inputs, mut clock, probe } = built.expect("the plan can be rendered");
        let mut measured = Measured::default();
        let (mut costs, mut asked_costs, mut changed) = (Vec::new(), Vec::new(), 0);
        for n in 0..=batches {
            let changes = database.step(n);
            let time = BEGIN_MS + (n as u64 + 1) * STEP_MS;
            let rows: usize = changes.iter().map(|(_, rows, _)| rows.num_rows()).sum();
            let begin = cpu_seconds();
            feed(&mut inputs, changes, time);
            clock.advance_to(time + STEP_MS);
            while probe.less_than(&(time + STEP_MS)) {
                worker.step();
            }
            let cost = (cpu_seconds() - begin) * 1e3;
            views.apply(Timestamp(time), published.try_iter().collect());
            match n {
                0 => measured.load_ms = cost,
                _ => {
                    costs.push(cost);
                    changed += rows;
                }
            }
            let begin = cpu_seconds();
            let asked = asked(&database, &sql, time);
            asked_costs.push((cpu_seconds() - begin) * 1e3);
            let shown = views.snapshot("q").expect("the only view");
            let (maintained, expected) = (comparable(&shown.rows), comparable(&asked));
            measured.rows = expected.len();
            measured.shown += usize::from(!expected.is_empty());
            if measured.different.is_none() && !equal(&maintained, &expected) {
                measured.different = Some(difference(n, &maintained, &expected));
            }
        }
        let there: usize = database.relations.iter().map(|r| r.now().num_rows()).sum();
        drop(database);
        let kept = live_bytes() as f64 - before as f64;
        measured.state_bytes_per_row = kept / there as f64;
        measured.batch_ms = quantile(&costs, 0.5);
        measured.batch_p99_ms = quantile(&costs, 0.99);
        measured.changes = changed / batches.max(1);
        measured.changes_per_cpu_second = changed as f64 * 1e3 / costs.iter().sum::<f64>();
        measured.asked_ms = quantile(&asked_costs, 0.5);
        measured
    })
}

fn feed(inputs: &mut [pipeline::flow::Input1], changes: Vec<Change>, time: u64) {
    inputs.iter_mut().for_each(|input| input.advance_to(time));
    for (relation, batch, diff) in changes {
        inputs[relation].send(DeltaBatch { time, batch, diffs: Diffs::All(diff) });
    }
    inputs.iter_mut().for_each(|input| input.advance_to(time + STEP_MS));
}

fn asked(database: &Database, sql: &str, time: u64) -> RecordBatch {
    let tables: BTreeMap<String, Rows> = database
        .relations
        .iter()
        .map(|relation| (relation.name.to_owned(), Rows::of(relation.now())))
        .collect();
    queries::batch::query(&tables, sql, Timestamp(time)).expect("batch answers the query")
}

/// A row as text for what must be equal, and as numbers for what may differ in its last digits.
type Shown = (String, Vec<f64>);

fn comparable(rows: &RecordBatch) -> Vec<Shown> {
    let options = FormatOptions::default().with_null("NULL");
    let mut all: Vec<Shown> = (0..rows.num_rows())
        .map(|row| {
            let (mut text, mut numbers) = (String::new(), Vec::new());
            for column in rows.columns() {
                if *column.data_type() == DataType::Float64 && column.is_valid(row) {
                    numbers.push(column.as_primitive::<Float64Type>().value(row));
                } else {
                    let shown = ArrayFormatter::try_new(column.as_ref(), &options);
                    text.push_str(&shown.expect("it prints").value(row).to_string());
                }
                text.push('|');
            }
            (text, numbers)
        })
        .collect();
    all.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    all
}

fn equal(a: &[Shown], b: &[Shown]) -> bool {
    let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * (a.abs() + b.abs() + 1.0);
    let same = |(a, b): (&Shown, &Shown)| a.0 == b.0 && a.1.iter().zip(&b.1).all(close);
    a.len() == b.len() && a.iter().zip(b).all(same)
}

fn difference(n: usize, maintained: &[Shown], asked: &[Shown]) -> String {
    let only = |a: &[Shown], b: &[Shown]| {
        a.iter().filter(|row| !b.contains(row)).take(3).cloned().collect::<Vec<_>>()
    };
    format!(
        "batch {n}: {} rows maintained, {} asked; only maintained {:?}; only asked {:?}",
        maintained.len(),
        asked.len(),
        only(maintained, asked),
        only(asked, maintained)
    )
}
