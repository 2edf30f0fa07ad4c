//! Runs one case: maintained with some workers, and asked anew at every tick.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use std::time::Instant;

use arrow::array::Array;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;
use arrow::datatypes::TimestampMillisecondType;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use gridloom::wiring::views;
use pipeline::delta::DeltaBatch;
use pipeline::delta::Diffs;
use pipeline::views::store::Views;
use pipeline::workers::TickInput;
use pipeline::workers::Workers;
use queries::PlanError;
use queries::Planner;
use queries::batch::Rows;
use schemas::catalog::Catalog;
use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::catalog::StreamSettings;
use schemas::contract::ViewReader;
use schemas::event::Envelope;
use schemas::event::StreamDef;
use schemas::plan::Expiry;
use schemas::plan::ViewPlan;
use schemas::time::Step;
use schemas::time::Timestamp;

use super::data::BEGIN_MS;
use super::data::Change;
use super::data::LATENESS_MS;
use super::data::RETAIN_MS;
use super::data::Row;
use super::data::STEP_MS;
use super::data::Table;
use super::query::Query;

/// Relations, what happens to them, and what is asked of them.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) tables: Vec<Table>,
    pub(super) ticks: Vec<Vec<Change>>,
    pub(super) queries: Vec<Query>,
}

/// What a run has compared.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Compared {
    /// Queries maintained.
    pub(super) queries: usize,
    /// Queries refused by name.
    pub(super) refused: usize,
    /// Answers that batch could not give.
    pub(super) failed: usize,
    /// Answers compared.
    pub(super) answers: usize,
    /// Rows in them.
    pub(super) rows: usize,
}

/// Where maintained and asked differ.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    /// The query, by position.
    pub(super) query: usize,
    what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in &self.tables {
            let column = |c: &super::data::Column| {
                format!("{} {:?}{}", c.name, c.of, if c.nullable { "" } else { " NOT NULL" })
            };
            let columns: Vec<String> = table.columns.iter().map(column).collect();
            let kind = if table.stream { "stream" } else { "table" };
            writeln!(f, "{kind} {} ({})", table.name, columns.join(", "))?;
        }
        for (n, changes) in self.ticks.iter().enumerate() {
            for change in changes {
                let row: Vec<String> = change.row.iter().map(ToString::to_string).collect();
                let (name, diff) = (&self.tables[change.table].name, change.diff);
                writeln!(f, "tick {}: {diff:+} {name} ({})", n + 1, row.join(", "))?;
            }
        }
        for query in &self.queries {
            writeln!(f, "{query}")?;
        }
        Ok(())
    }
}

impl Case {
    fn catalog(&self) -> Catalog {
        let mut catalog = Catalog::default();
        for table in &self.tables {
            let schema = table.schema();
            if table.stream {
                let def = StreamDef {
                    name: table.name.clone(),
                    schema,
                    event_time: "at".to_owned(),
                    key: Vec::new(),
                    envelope: Envelope::Append,
                };
                let (lateness_ms, retain_ms) = (LATENESS_MS, RETAIN_MS);
                catalog.add_stream(StreamSettings { def, lateness_ms, retain_ms });
            } else {
                catalog.add(&table.name, RelationInfo { schema, kind: RelationKind::Table });
            }
        }
        catalog
    }

    fn tick(n: usize) -> u64 {
        BEGIN_MS + (n as u64 + 1) * STEP_MS
    }

    /// What the tables hold after each tick.
    fn held(&self) -> Vec<BTreeMap<String, Rows>> {
        let mut live: Vec<Vec<&Row>> = vec![Vec::new(); self.tables.len()];
        let mut after = Vec::new();
        for (n, changes) in self.ticks.iter().enumerate() {
            for change in changes.iter().filter(|c| c.diff > 0) {
                live[change.table].push(&change.row);
            }
            for change in changes.iter().filter(|c| c.diff < 0) {
                let rows = &mut live[change.table];
                let text = format!("{:?}", change.row);
                let at = rows.iter().position(|row| format!("{row:?}") == text);
                rows.swap_remove(at.expect("only what is there goes"));
            }
            let held = self.tables.iter().zip(&live).map(|(table, rows)| {
                let batch = table.batch(rows);
                let batch = if table.stream { retained(&batch, Case::tick(n)) } else { batch };
                (table.name.clone(), Rows::of(batch))
            });
            after.push(held.collect());
        }
        after
    }

    /// Whether what goes was there.
    pub(super) fn sound(&self) -> bool {
        let mut counts: BTreeMap<(usize, String), i64> = BTreeMap::new();
        self.ticks.iter().all(|changes| {
            for change in changes {
                let key = (change.table, format!("{:?}", change.row));
                *counts.entry(key).or_default() += change.diff;
            }
            counts.values().all(|n| *n >= 0)
        })
    }

    /// What batch answers to one of the queries after one of the ticks.
    pub(super) fn asked(&self, query: usize, n: usize) -> Result<RecordBatch, PlanError> {
        queries::batch::query(&self.held()[n], &self.queries[query].to_string(), now(n))
    }

    /// Runs it with each of these numbers of workers.
    pub(super) fn run(&self, workers: &[usize]) -> Result<Compared, Difference> {
        let (catalog, held) = (self.catalog(), self.held());
        let mut compared = Compared::default();
        let mut plans: Vec<(usize, ViewPlan)> = Vec::new();
        for (index, query) in self.queries.iter().enumerate() {
            let sql = format!("CREATE MATERIALIZED VIEW v{index} AS {query}");
            match Planner::new(catalog.clone()).view(&sql) {
                Ok(plan) => plans.push((index, plan)),
                Err(PlanError::Refused { .. }) => compared.refused += 1,
                Err(error) => {
                    let asked = queries::batch::query(&held[0], &query.to_string(), now(0));
                    if asked.is_ok() {
                        let what = format!("batch answers what cannot be planned: {error}");
                        return Err(Difference { query: index, what });
                    }
                    compared.failed += 1;
                }
            }
        }
        compared.queries = plans.len();
        let mut asked = Vec::new();
        for (n, tables) in held.iter().enumerate() {
            let one = |(index, _): &(usize, ViewPlan)| {
                let sql = self.queries[*index].to_string();
                queries::batch::query(tables, &sql, now(n)).map_err(|e| e.to_string())
            };
            asked.push(plans.iter().map(one).collect::<Vec<_>>());
        }
        for workers in workers {
            self.maintained(*workers, &catalog, &plans, &asked, &mut compared)?;
        }
        Ok(compared)
    }

    fn maintained(
        &self,
        workers: usize,
        catalog: &Catalog,
        plans: &[(usize, ViewPlan)],
        asked: &[Vec<Result<RecordBatch, String>>],
        compared: &mut Compared,
    ) -> Result<(), Difference> {
        let Some((first, _)) = plans.first() else { return Ok(()) };
        let step = Step::from_millis(STEP_MS).unwrap();
        let flow = views::flow(catalog, plans.iter().map(|(_, p)| p.clone()).collect(), None, step);
        let failed = |what: String| Difference { query: *first, what };
        let store = Views::new(&flow.views).map_err(|e| failed(format!("{e:?}")))?;
        let running = Workers::start(&flow, workers);
        let mut running = running.map_err(|e| failed(format!("it cannot be rendered: {e:?}")))?;
        for (n, changes) in self.ticks.iter().enumerate() {
            let tick = Timestamp(Case::tick(n));
            let deltas = self.deltas(changes, &flow.inputs, tick);
            running.submit(TickInput { tick, deltas }).unwrap();
            let begun = Instant::now();
            let output = loop {
                let Ok(output) = running.finished(Duration::from_secs(1)) else {
                    // Its siblings wait for the worker that is gone for ever.
                    std::mem::forget(running);
                    return Err(failed("a worker panicked".to_owned()));
                };
                if let Some(output) = output {
                    break output;
                }
                assert!(begun.elapsed() < Duration::from_secs(60), "a tick does not end:\n{self}");
            };
            store.apply(output.tick, output.published);
            for ((index, plan), asked) in plans.iter().zip(&asked[n]) {
                let Ok(asked) = asked else {
                    compared.failed += 1;
                    continue;
                };
                let shown = store.snapshot(&plan.name).unwrap();
                // Named and set aside: a value so large that its sum would not be exact.
                if shown.faults.iter().any(|fault| fault.message.ends_with("exactly")) {
                    compared.failed += 1;
                    continue;
                }
                let (maintained, expected) = (comparable(&shown.rows), comparable(asked));
                compared.answers += 1;
                compared.rows += expected.len();
                if !equal(&maintained, &expected) {
                    let what = format!(
                        "{workers} workers, tick {}\nmaintained {maintained:?}\nasked      \
                         {expected:?}\nfaults {:?}\n{}",
                        n + 1,
                        shown.faults,
                        plan.explain()
                    );
                    return Err(Difference { query: *index, what });
                }
            }
        }
        Ok(())
    }

    fn deltas(
        &self,
        changes: &[Change],
        inputs: &[(String, arrow::datatypes::SchemaRef)],
        tick: Timestamp,
    ) -> Vec<(usize, DeltaBatch)> {
        let mut deltas = Vec::new();
        for (index, table) in self.tables.iter().enumerate() {
            let of: Vec<&Change> = changes.iter().filter(|c| c.table == index).collect();
            let input = inputs.iter().position(|(name, _)| *name == table.name);
            let (false, Some(input)) = (of.is_empty(), input) else { continue };
            let rows: Vec<&Row> = of.iter().map(|c| &c.row).collect();
            let diffs = Diffs::Each(of.iter().map(|c| c.diff).collect());
            deltas.push((input, DeltaBatch { time: tick.0, batch: table.batch(&rows), diffs }));
        }
        deltas
    }
}

fn now(n: usize) -> Timestamp {
    Timestamp(Case::tick(n))
}

/// The rows that the retention of a stream has not taken yet.
fn retained(rows: &RecordBatch, tick: u64) -> RecordBatch {
    let column = rows.num_columns() - 1;
    let expiry = Expiry { column, retain_ms: RETAIN_MS, lateness_ms: None };
    let times = rows.column(column).as_primitive::<TimestampMillisecondType>();
    let stands = |at: &i64| Some(expiry.at(Timestamp(*at as u64)).0 > tick);
    filter_record_batch(rows, &times.values().iter().map(stands).collect()).unwrap()
}

/// A row as text for what must be equal, and as numbers for what may differ in its last digits.
type Shown = (String, Vec<Option<f64>>);

fn comparable(rows: &RecordBatch) -> Vec<Shown> {
    let options = FormatOptions::default().with_null("NULL");
    let mut all: Vec<Shown> = (0..rows.num_rows())
        .map(|row| {
            let (mut text, mut numbers) = (String::new(), Vec::new());
            for column in rows.columns() {
                if *column.data_type() == DataType::Float64 {
                    let floats = column.as_primitive::<Float64Type>();
                    let one = |x: f64| if x.is_nan() { f64::NAN } else { x + 0.0 };
                    numbers.push(floats.is_valid(row).then(|| one(floats.value(row))));
                } else {
                    let shown = ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
                    text.push_str(&shown.value(row).to_string());
                    text.push('|');
                }
            }
            (text, numbers)
        })
        .collect();
    let total = |a: &Option<f64>, b: &Option<f64>| match (a, b) {
        (Some(a), Some(b)) => a.total_cmp(b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    };
    all.sort_by(|a, b| {
        let numbers = a.1.iter().zip(&b.1).map(|(a, b)| total(a, b));
        a.0.cmp(&b.0).then(numbers.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then))
    });
    all
}

fn equal(a: &[Shown], b: &[Shown]) -> bool {
    let close = |(a, b): (&Option<f64>, &Option<f64>)| match (a, b) {
        (Some(a), Some(b)) => {
            a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-9 * (a.abs() + b.abs() + 1.0)
        }
        (a, b) => a.is_none() && b.is_none(),
    };
    let same = |(a, b): (&Shown, &Shown)| a.0 == b.0 && a.1.iter().zip(&b.1).all(close);
    a.len() == b.len() && a.iter().zip(b).all(same)
}
