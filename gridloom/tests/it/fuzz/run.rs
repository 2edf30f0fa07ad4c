//! Runs one case: maintained with some workers, and asked anew at every tick.
//!
//! What batch answers is asked once a case; each number of workers is held against it. What comes
//! while they run is brought by [`midway`](super::midway), between two ticks.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::ops::Range;
use std::time::Duration;
use std::time::Instant;

use arrow::array::Array;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;
use arrow::datatypes::SchemaRef;
use arrow::datatypes::TimestampMillisecondType;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use pipeline::delta::DeltaBatch;
use pipeline::delta::Diffs;
use pipeline::flow::Flow;
use pipeline::views::store::Views;
use pipeline::workers::TickInput;
use pipeline::workers::TickOutput;
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
use super::midway::MADE;
use super::midway::Making;
use super::midway::Midway;
use super::midway::Plans;
use super::query::Query;

/// Relations, what happens to them, and what is asked of them.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) tables: Vec<Table>,
    pub(super) ticks: Vec<Vec<Change>>,
    pub(super) queries: Vec<Query>,
    /// Which of them becomes a view half-way, and what of it then.
    pub(super) midway: Option<Midway>,
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
    /// Those of views that came half-way.
    pub(super) midway: usize,
    /// Views that took another's place.
    pub(super) swapped: usize,
    /// Rows in the answers.
    pub(super) rows: usize,
}

impl AddAssign for Compared {
    fn add_assign(&mut self, other: Compared) {
        self.queries += other.queries;
        self.refused += other.refused;
        self.failed += other.failed;
        self.answers += other.answers;
        self.midway += other.midway;
        self.swapped += other.swapped;
        self.rows += other.rows;
    }
}

/// Where maintained and asked differ.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    /// The query, by position.
    pub(super) query: usize,
    /// Ticks after which it was seen.
    pub(super) ticks: usize,
    what: String,
}

impl Difference {
    pub(super) fn new(query: usize, ticks: usize, what: String) -> Difference {
        Difference { query, ticks, what }
    }
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
        self.midway.as_ref().map_or(Ok(()), |midway| writeln!(f, "{midway:?}"))
    }
}

/// What the tables hold after a tick.
pub(super) type Held = BTreeMap<String, Rows>;

/// What is said where a worker is gone.
pub(super) const PANICKED: &str = "a worker panicked";

/// A view, and what batch answers to its query.
pub(super) struct Planned {
    /// The query, by position.
    pub(super) query: usize,
    pub(super) plan: ViewPlan,
    /// By the number of ticks that are done.
    asked: BTreeMap<usize, Result<RecordBatch, String>>,
}

impl Planned {
    /// A view of this text, and what batch answers to it after these numbers of ticks.
    pub(super) fn new(
        query: usize,
        plan: ViewPlan,
        sql: &str,
        held: &[Held],
        ticks: Range<usize>,
    ) -> Planned {
        let ask = |done: usize| {
            let asked = queries::batch::query(&held[done - 1], sql, now(done - 1));
            (done, asked.map_err(|error| error.to_string()))
        };
        Planned { query, plan, asked: ticks.map(ask).collect() }
    }
}

/// The plan of a view of this name and query; none if the query is refused by name, or if batch
/// does not answer it either.
pub(super) fn plan(
    planner: &Planner,
    (name, query): (&str, &str),
    held: &[Held],
    compared: &mut Compared,
) -> Result<Option<ViewPlan>, String> {
    match planner.view(&format!("CREATE MATERIALIZED VIEW {name} AS {query}")) {
        Ok(plan) => Ok(Some(plan)),
        Err(PlanError::Refused { .. }) => {
            compared.refused += 1;
            Ok(None)
        }
        Err(error) => {
            let asked = held.first().map(|tables| queries::batch::query(tables, query, now(0)));
            if asked.is_some_and(|asked| asked.is_ok()) {
                return Err(format!("batch answers what cannot be planned: {error}\n{query}"));
            }
            compared.failed += 1;
            Ok(None)
        }
    }
}

/// Compares what views show with what batch answers.
pub(super) struct Watch<'a> {
    pub(super) store: Views,
    workers: usize,
    /// The query to name where none is known.
    query: usize,

    compared: &'a mut Compared,
}

impl Watch<'_> {
    /// What went wrong, and not with one query.
    pub(super) fn failed(&self, done: usize, what: &str) -> Difference {
        Difference::new(self.query, done, format!("{} workers, tick {done}: {what}", self.workers))
    }

    /// Notes that a view took another's place.
    pub(super) fn swapped(&mut self) {
        self.compared.swapped += 1;
    }

    /// Compares what a view shows after so many ticks with the answer that it stands for.
    pub(super) fn compare(
        &mut self,
        view: &str,
        of: &Planned,
        done: usize,
    ) -> Result<(), Difference> {
        let Some(Ok(asked)) = of.asked.get(&done) else {
            self.compared.failed += 1;
            return Ok(());
        };
        let shown = self.store.snapshot(view).expect("it can be read");
        let below = self.store.snapshot(&of.plan.name).expect("what is read can be read");
        // Named and set aside: a value so large that its sum would not be exact.
        let mut faults = shown.faults.iter().chain(&below.faults);
        if faults.any(|fault| fault.message.ends_with("exactly")) {
            self.compared.failed += 1;
            return Ok(());
        }
        let (maintained, expected) = (comparable(&shown.rows), comparable(asked));
        self.compared.answers += 1;
        self.compared.midway += usize::from(of.plan.name == MADE);
        self.compared.rows += expected.len();
        if equal(&maintained, &expected) {
            return Ok(());
        }
        let what = format!(
            "{} workers, tick {done}, view {view}\nmaintained {maintained:?}\nasked      \
             {expected:?}\nfaults {:?}\n{}\n{}",
            self.workers,
            shown.faults,
            of.plan.sql,
            of.plan.explain()
        );
        Err(Difference::new(of.query, done, what))
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

    pub(super) fn tick(n: usize) -> u64 {
        BEGIN_MS + (n as u64 + 1) * STEP_MS
    }

    /// What the tables hold after each tick.
    fn held(&self) -> Vec<Held> {
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
        let mut planner = Planner::new(catalog.clone());
        let mut compared = Compared::default();
        let mut plans: Vec<(usize, ViewPlan)> = Vec::new();
        for (index, query) in self.queries.iter().enumerate() {
            let (name, sql) = (format!("v{index}"), query.to_string());
            let plan = plan(&planner, (&name, &sql), &held, &mut compared);
            let plan = plan.map_err(|what| Difference::new(index, self.ticks.len(), what))?;
            plans.extend(plan.map(|plan| (index, plan)));
        }
        compared.queries = plans.len();
        let midway = match self.midway.as_ref().filter(|_| !plans.is_empty()) {
            None => None,
            Some(midway) => {
                let left_out = plans.remove(midway.left_out(&plans));
                let asked = (held.as_slice(), &mut compared);
                Some(Plans::new(self, midway, left_out, &mut planner, asked)?)
            }
        };
        let ask = |(query, plan): (usize, ViewPlan)| {
            let sql = self.queries[query].to_string();
            Planned::new(query, plan, &sql, &held, 1..held.len() + 1)
        };
        let planned: Vec<Planned> = plans.into_iter().map(ask).collect();
        let step = Step::from_millis(STEP_MS).unwrap();
        let maintained = planned.iter().map(|planned| planned.plan.clone()).collect();
        let flow = Flow::over(&catalog, maintained, None, step);
        for workers in workers {
            self.maintained(*workers, &flow, (&planned, midway.as_ref()), &mut compared)?;
        }
        Ok(compared)
    }

    fn maintained(
        &self,
        workers: usize,
        flow: &Flow,
        (planned, midway): (&[Planned], Option<&Plans>),
        compared: &mut Compared,
    ) -> Result<(), Difference> {
        let first = planned.first().map(|planned| planned.query);
        let Some(query) = first.or(midway.map(Plans::query)) else { return Ok(()) };
        let failed = |what: String| Difference::new(query, self.ticks.len(), what);
        let store = Views::new(&flow.views).map_err(|e| failed(format!("{e:?}")))?;
        let running = Workers::start(flow, workers);
        let mut running = running.map_err(|e| failed(format!("it cannot be rendered: {e:?}")))?;
        let mut watch = Watch { store, workers, query, compared };
        let watched = self.watched(flow, (planned, midway), &mut running, &mut watch);
        if watched.is_err() && running.listen().is_err() {
            // Its siblings wait for the worker that is gone for ever.
            std::mem::forget(running);
        }
        watched
    }

    fn watched(
        &self,
        flow: &Flow,
        (planned, midway): (&[Planned], Option<&Plans>),
        running: &mut Workers,
        watch: &mut Watch<'_>,
    ) -> Result<(), Difference> {
        let mut making = midway.map(|plans| Making::new(self, plans, flow));
        for (n, changes) in self.ticks.iter().enumerate() {
            let tick = Timestamp(Case::tick(n));
            let deltas = self.deltas(changes, &flow.inputs, tick);
            let submitted = running.submit(TickInput { tick, deltas });
            submitted.map_err(|_| watch.failed(n + 1, PANICKED))?;
            let output = self.finished(running).map_err(|what| watch.failed(n + 1, &what))?;
            watch.store.apply(output.tick, output.published);
            for planned in planned {
                watch.compare(&planned.plan.name, planned, n + 1)?;
            }
            if let Some(making) = &mut making {
                making.turn(n + 1, running, watch)?;
            }
        }
        Ok(())
    }

    /// The tick that is on its way.
    fn finished(&self, running: &mut Workers) -> Result<TickOutput, String> {
        let begun = Instant::now();
        loop {
            let output = running.finished(Duration::from_secs(1));
            if let Some(output) = output.map_err(|_| PANICKED.to_owned())? {
                return Ok(output);
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "a tick does not end:\n{self}");
        }
    }

    fn deltas(
        &self,
        changes: &[Change],
        inputs: &[(String, SchemaRef)],
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

    /// Whether a tick changes a table, which is no stream, among these relations.
    pub(super) fn brings_table(&self, names: &[String], n: usize) -> bool {
        let table = |index: usize| Some(&self.tables[index]).filter(|table| !table.stream);
        let mut changed = self.ticks[n].iter().filter_map(|change| table(change.table));
        changed.any(|table| names.contains(&table.name))
    }

    /// What the log holds of a relation in these ticks, as it is: what goes, then what comes.
    pub(super) fn logged(&self, name: &str, ticks: Range<usize>) -> Vec<DeltaBatch> {
        let index = self.tables.iter().position(|table| table.name == name);
        let index = index.expect("views read tables and streams");
        let changes = self.ticks[ticks].iter().flatten().filter(|c| c.table == index);
        let changes: Vec<&Change> = changes.collect();
        let mut logged = Vec::new();
        for diff in [-1, 1] {
            let of = changes.iter().filter(|c| c.diff == diff);
            let rows: Vec<&Row> = of.map(|c| &c.row).collect();
            if !rows.is_empty() {
                let (batch, diffs) = (self.tables[index].batch(&rows), Diffs::All(diff));
                logged.push(DeltaBatch { time: 0, batch, diffs });
            }
        }
        logged
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
