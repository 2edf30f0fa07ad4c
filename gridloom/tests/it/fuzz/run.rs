//! Runs one case: maintained with some workers, and asked anew at every tick.
//!
//! What batch answers is asked once a case; each number of workers is held against it. What batch
//! answers depends on the rows that a query reads and on the tick, so of a query that does not look
//! at the clock, and of which no relation has changed, it is not asked twice. What comes while the
//! workers run is brought by [`midway`](super::midway), between two ticks.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
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
use schemas::plan::ViewPlan;
use schemas::time::Step;
use schemas::time::Timestamp;

use super::compared::Compared;
use super::compared::Difference;
use super::data::BEGIN_MS;
use super::data::Change;
use super::data::Column;
use super::data::PACE;
use super::data::Pace;
use super::data::Row;
use super::data::Table;
use super::feature::Deed;
use super::lookup::Lookup;
use super::midway::MADE;
use super::midway::Making;
use super::midway::Midway;
use super::midway::Plans;
use super::query::Query;
use super::shown::Shown;
use super::shown::comparable;
use super::shown::equal;
use super::shown::retained;

/// Relations, what happens to them, and what is asked of them.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) tables: Vec<Table>,
    pub(super) ticks: Vec<Vec<Change>>,
    pub(super) queries: Vec<Query>,
    /// A relation of what rows of a stream met.
    pub(super) lookup: Option<Lookup>,
    /// Which of the queries becomes a view half-way, and what of it then.
    pub(super) midway: Option<Midway>,
    pub(super) pace: Pace,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pace { step_ms, retain_ms, .. } = self.pace;
        writeln!(f, "a tick is {step_ms} ms, streams retain {retain_ms} ms")?;
        for table in &self.tables {
            let column = |c: &Column| {
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
            writeln!(f, "{}", self.text(query.to_string()).written)?;
        }
        self.midway.as_ref().map_or(Ok(()), |midway| writeln!(f, "{midway:?}"))
    }
}

/// What the tables hold after a tick.
pub(super) type Held = BTreeMap<String, Rows>;

/// What is said where a worker is gone.
pub(super) const PANICKED: &str = "a worker panicked";

/// A query as batch is asked it, and as it is maintained: with lookups in the place of what was
/// met.
pub(super) struct Text {
    pub(super) asked: String,
    pub(super) written: String,
}

/// What batch answers: rows, or why there are none. Ticks may share it.
type Answer = Rc<Result<Vec<Shown>, String>>;

/// A view, and what batch answers to its query.
pub(super) struct Planned {
    /// The query, by position.
    pub(super) query: usize,
    pub(super) plan: ViewPlan,
    /// By the number of ticks that are done.
    asked: BTreeMap<usize, Answer>,
}

impl Planned {
    /// A view, and what batch answers to its query after these numbers of ticks.
    pub(super) fn new(
        (query, plan): (usize, ViewPlan),
        sql: &str,
        (case, held): (&Case, &[Held]),
        ticks: Range<usize>,
    ) -> Planned {
        let mut asked: BTreeMap<usize, Answer> = BTreeMap::new();
        for done in ticks {
            let before = asked.get(&(done - 1)).filter(|_| same(sql, &held[done - 2..done]));
            let answer = before.cloned().unwrap_or_else(|| {
                let answer = queries::batch::query(&held[done - 1], sql, case.now(done - 1));
                Rc::new(match answer {
                    Ok(rows) => Ok(comparable(&rows)),
                    Err(error) => Err(error.to_string()),
                })
            });
            asked.insert(done, answer);
        }
        Planned { query, plan, asked }
    }
}

/// Whether a query has the same answer after two ticks: it asks no clock, and what it names is the
/// same.
fn same(sql: &str, held: &[Held]) -> bool {
    let [before, after] = held else { return false };
    let unchanged = |(name, rows): (&String, &Rows)| {
        !sql.contains(name.as_str())
            || before.get(name).is_some_and(|before| before.batches == rows.batches)
    };
    !sql.contains("now()") && before.len() == after.len() && after.iter().all(unchanged)
}

/// The plan of a view of this name and query; none if the query is refused by name, or if batch
/// does not answer it either.
pub(super) fn plan(
    planner: &Planner,
    (name, text): (&str, &Text),
    (case, held): (&Case, &[Held]),
    compared: &mut Compared,
) -> Result<Option<ViewPlan>, String> {
    let Text { asked, written } = text;
    match planner.view(&format!("CREATE MATERIALIZED VIEW {name} AS {written}")) {
        Ok(plan) => Ok(Some(plan)),
        Err(PlanError::Refused { .. }) => {
            compared.refused += 1;
            Ok(None)
        }
        // Neither way plans it, unless it is seen to be empty before that.
        Err(PlanError::DuplicateColumn { .. }) if written.contains("LATERAL") => {
            compared.refused += 1;
            Ok(None)
        }
        Err(error) => {
            let answer = held.first().map(|held| queries::batch::query(held, asked, case.now(0)));
            if answer.is_some_and(|answer| answer.is_ok()) {
                return Err(format!("batch answers what cannot be planned: {error}\n{written}"));
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
    /// The views that have shown what they count for.
    counted: BTreeSet<String>,
}

impl<'a> Watch<'a> {
    fn new(
        store: Views,
        (workers, query): (usize, usize),
        compared: &'a mut Compared,
    ) -> Watch<'a> {
        Watch { store, workers, query, compared, counted: BTreeSet::new() }
    }

    /// What went wrong, and not with one query.
    pub(super) fn failed(&self, done: usize, what: &str) -> Difference {
        Difference::new(self.query, done, format!("{} workers, tick {done}: {what}", self.workers))
    }

    /// Notes that a view took another's place.
    pub(super) fn swapped(&mut self) {
        self.compared.swapped += 1;
    }

    /// Notes what was done, once.
    pub(super) fn did(&mut self, deed: Deed) {
        if self.counted.insert(format!("{deed:?}")) {
            self.compared.features.did(deed, self.workers);
        }
    }

    /// Compares what a view shows after so many ticks with the answer that it stands for; whether
    /// that has rows.
    pub(super) fn compare(
        &mut self,
        view: &str,
        of: &Planned,
        done: usize,
    ) -> Result<bool, Difference> {
        let Some(Ok(expected)) = of.asked.get(&done).map(|answer| &**answer) else {
            self.compared.failed += 1;
            return Ok(false);
        };
        let shown = self.store.snapshot(view).expect("it can be read");
        let below = self.store.snapshot(&of.plan.name).expect("what is read can be read");
        // Named and set aside: a value so large that its sum would not be exact.
        let mut faults = shown.faults.iter().chain(&below.faults);
        if faults.any(|fault| fault.message.ends_with("exactly")) {
            self.compared.failed += 1;
            return Ok(false);
        }
        let maintained = comparable(&shown.rows);
        self.compared.answers += 1;
        self.compared.midway += usize::from(of.plan.name == MADE);
        self.compared.rows += expected.len();
        if equal(&maintained, expected) {
            if !expected.is_empty() && !self.counted.contains(&of.plan.sql) {
                self.counted.insert(of.plan.sql.clone());
                self.compared.features.of_query(&of.plan.sql, self.workers);
            }
            return Ok(!expected.is_empty());
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

    /// Compares two views of one query, also where batch has no answer.
    pub(super) fn agree(
        &self,
        views: [&str; 2],
        of: &Planned,
        done: usize,
    ) -> Result<(), Difference> {
        let [a, b] =
            views.map(|view| comparable(&self.store.snapshot(view).expect("it can be read").rows));
        if equal(&a, &b) {
            return Ok(());
        }
        let [a_name, b_name] = views;
        let what = format!(
            "{} workers, tick {done}\n{a_name} {a:?}\n{b_name} {b:?}\n{}\n{}",
            self.workers,
            of.plan.sql,
            of.plan.explain()
        );
        Err(Difference::new(of.query, done, what))
    }
}

impl Case {
    /// A case without anything beside its flow.
    pub(super) fn new(tables: Vec<Table>, ticks: Vec<Vec<Change>>, queries: Vec<Query>) -> Case {
        Case { tables, ticks, queries, lookup: None, midway: None, pace: PACE }
    }

    /// A query of the case as it is asked and as it is maintained.
    pub(super) fn text(&self, asked: String) -> Text {
        let written = self.lookup.as_ref().map(|lookup| lookup.written(&asked));
        Text { written: written.unwrap_or_else(|| asked.clone()), asked }
    }

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
                let Pace { lateness_ms, retain_ms, .. } = self.pace;
                catalog.add_stream(StreamSettings { def, lateness_ms, retain_ms });
            } else {
                catalog.add(&table.name, RelationInfo { schema, kind: RelationKind::Table });
            }
        }
        catalog
    }

    /// The tick of a number, from 0 on.
    pub(super) fn now(&self, n: usize) -> Timestamp {
        Timestamp(BEGIN_MS + (n as u64 + 1) * self.pace.step_ms)
    }

    /// What the tables hold after each tick, and what was met by then.
    fn held(&self) -> Vec<Held> {
        let mut live: Vec<Vec<&Row>> = vec![Vec::new(); self.tables.len()];
        let mut after: Vec<Held> = Vec::new();
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
                let (batch, retain_ms) = (table.batch(rows), self.pace.retain_ms);
                let batch = match table.columns.len().checked_sub(1).filter(|_| table.stream) {
                    Some(time) => retained(&batch, time, self.now(n), retain_ms),
                    None => batch,
                };
                (table.name.clone(), Rows::of(batch))
            });
            after.push(held.collect());
        }
        let read =
            |lookup: &&Lookup| self.queries.iter().any(|query| lookup.is_read(&query.to_string()));
        if let Some(lookup) = self.lookup.as_ref().filter(read) {
            lookup.add(self, &mut after);
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
        queries::batch::query(&self.held()[n], &self.queries[query].to_string(), self.now(n))
    }

    /// Runs it with each of these numbers of workers.
    pub(super) fn run(&self, workers: &[usize]) -> Result<Compared, Difference> {
        let (catalog, held) = (self.catalog(), self.held());
        let mut planner = Planner::new(catalog.clone());
        let mut compared = Compared::default();
        let texts = self.queries.iter().map(|query| self.text(query.to_string()));
        let texts: Vec<Text> = texts.collect();
        let mut plans: Vec<(usize, ViewPlan)> = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let named = format!("v{index}");
            let plan = plan(&planner, (&named, text), (self, &held), &mut compared);
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
            let sql = &texts[query].asked;
            Planned::new((query, plan), sql, (self, &held), 1..held.len() + 1)
        };
        let planned: Vec<Planned> = plans.into_iter().map(ask).collect();
        let step = Step::from_millis(self.pace.step_ms).unwrap();
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
        let mut watch = Watch::new(store, (workers, query), compared);
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
            let tick = self.now(n);
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
