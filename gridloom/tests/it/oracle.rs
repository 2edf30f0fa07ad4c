//! Every shipped view and one for each clause that may be written, maintained, against the same SQL
//! asked once in batch DataFusion over the input so far: at every tick, with one, two and three
//! workers.
//!
//! The input is random by seed ([`input`]). What a view cannot compute it leaves out, and the batch
//! query is asked of the input without it; how many rows that are at each tick is asked as well, so
//! errors that stay too long or go too soon are found like rows that do. Powers are multiples of
//! 2^-10 kW up to 2^20, so sums, means and what is made of them must be equal bit for bit; columns
//! for which that cannot be say why, by name ([`views`]).

mod compare;
mod input;
mod views;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use arrow::datatypes::TimestampMillisecondType;
use gridloom::wiring;
use pipeline::delta::DeltaBatch;
use pipeline::delta::Diffs;
use pipeline::flow::Flow;
use pipeline::views::store::Image;
use pipeline::views::store::Views;
use pipeline::workers::TickInput;
use pipeline::workers::Workers;
use proptest::prelude::ProptestConfig;
use proptest::prelude::any;
use proptest::proptest;
use queries::batch::Rows;
use schemas::catalog::Catalog;
use schemas::catalog::RelationKind;
use schemas::decision::Action;
use schemas::decision::Forecast;
use schemas::decision::ShortForecast;
use schemas::plan::Expiry;
use schemas::plan::OnError;
use schemas::plan::ViewPlan;
use schemas::relation::Relation;
use schemas::time::Step;
use schemas::time::Timestamp;

pub(crate) use self::compare::difference;
pub(crate) use self::compare::rough_difference;
pub(crate) use self::input::Change;
pub(crate) use self::input::STEP_MS;
use self::views::Case;

/// What is true at one tick.
struct Asked {
    views: BTreeMap<String, RecordBatch>,
    /// How many rows each view cannot compute.
    faults: BTreeMap<String, i64>,
}

fn plans(catalog: &Catalog, cases: &[Case]) -> Vec<ViewPlan> {
    let texts: Vec<&str> = cases.iter().map(|case| case.sql).collect();
    wiring::views::plan(catalog, &texts).unwrap_or_else(|failed| {
        let failed = failed.iter().map(|(i, e)| format!("{}: {}", cases[*i].name, e.full()));
        panic!("{}", failed.collect::<Vec<_>>().join("\n"))
    })
}

/// The views after each tick, maintained by `workers` workers; or why there are none.
pub(crate) fn maintained(
    workers: usize,
    catalog: &Catalog,
    plans: &[ViewPlan],
    input: &[(u64, Vec<Change>)],
) -> Result<Vec<Image>, String> {
    let step = Step::from_millis(STEP_MS).unwrap();
    let mut flow = Flow::over(catalog, plans.to_vec(), None, step);
    let decisions = [
        (Action::NAME.to_owned(), Action::schema()),
        (Forecast::NAME.to_owned(), Forecast::schema()),
        (ShortForecast::NAME.to_owned(), ShortForecast::schema()),
    ];
    flow.inputs.extend(decisions);
    let store = Views::new(&flow.views).map_err(|error| format!("{error:?}"))?;
    let mut running = Workers::start(&flow, workers).map_err(|error| format!("{error:?}"))?;
    let mut after = Vec::new();
    for (tick, changes) in input {
        let mut deltas = Vec::new();
        for (name, batch, diff) in changes {
            if let Some(index) = flow.inputs.iter().position(|(input, _)| input == name) {
                let (batch, diffs) = (batch.clone(), Diffs::All(*diff));
                deltas.push((index, DeltaBatch { time: *tick, batch, diffs }));
            }
        }
        running.submit(TickInput { tick: Timestamp(*tick), deltas }).unwrap();
        let output = loop {
            match running.finished(Duration::from_secs(10)) {
                Ok(Some(output)) => break output,
                Ok(None) => {}
                Err(error) => {
                    // Its siblings are not told and would be waited for.
                    std::mem::forget(running);
                    return Err(format!("{workers} workers, tick {tick}: {error}"));
                }
            }
        };
        store.apply(output.tick, output.published);
        after.push(store.image());
    }
    Ok(after)
}

/// The rows of a relation that its retention has not taken yet.
fn retained(catalog: &Catalog, name: &str, rows: &RecordBatch, tick: u64) -> RecordBatch {
    let (column, retain_ms) = match &catalog.get(name).unwrap().kind {
        RelationKind::Stream(s) => {
            (rows.schema().index_of(&s.def.event_time).unwrap(), s.retain_ms)
        }
        _ => return rows.clone(),
    };
    if retain_ms == 0 {
        return rows.clone();
    }
    let expiry = Expiry { column, retain_ms, lateness_ms: None };
    let times = rows.column(column).as_primitive::<TimestampMillisecondType>();
    let stands = |at: i64| expiry.at(Timestamp(at as u64)).0 > tick;
    let keep = times.values().iter().map(|at| Some(stands(*at))).collect();
    filter_record_batch(rows, &keep).unwrap()
}

/// Applies changes. Only rows of tables are ever taken away, and their first column is their key.
fn apply(so_far: &mut BTreeMap<String, Vec<RecordBatch>>, changes: &[Change]) {
    for (name, batch, diff) in changes {
        let rows = so_far.entry(name.clone()).or_default();
        if *diff > 0 {
            rows.push(batch.clone());
            continue;
        }
        let gone = batch.column(0).as_string::<i32>();
        for rows in rows.iter_mut() {
            let names = rows.column(0).as_string::<i32>();
            let stays = |name: Option<&str>| Some(!gone.iter().any(|gone| gone == name));
            *rows = filter_record_batch(rows, &names.iter().map(stays).collect()).unwrap();
        }
    }
}

/// The views after each tick, asked once over everything so far.
fn ask(catalog: &Catalog, cases: &[Case], input: &[(u64, Vec<Change>)]) -> Vec<Asked> {
    let plans = plans(catalog, cases);
    let case_of = |name: &str| cases.iter().find(|case| case.name == name).unwrap();
    let mut so_far: BTreeMap<String, Vec<RecordBatch>> = BTreeMap::new();
    let mut after = Vec::new();
    for (tick, changes) in input {
        apply(&mut so_far, changes);
        let now = Timestamp(*tick);
        let mut tables: BTreeMap<String, Rows> = BTreeMap::new();
        for (name, info) in catalog.iter() {
            let pieces = so_far.get(name).cloned().unwrap_or_default();
            let rows = concat_batches(&info.schema, &pieces).unwrap();
            tables.insert(name.to_owned(), Rows::of(retained(catalog, name, &rows, *tick)));
        }
        let mut asked = Asked { views: BTreeMap::new(), faults: BTreeMap::new() };
        for plan in &plans {
            let case = case_of(&plan.name);
            let rows = batch(case, plan, &tables, now);
            if let Some(sql) = case.faults {
                let count = query(case.name, &tables, sql, now);
                let count = count.column(0).as_primitive::<Int64Type>().value(0);
                asked.faults.insert(plan.name.clone(), count);
            }
            tables.insert(plan.name.clone(), Rows::of(rows.clone()));
            asked.views.insert(plan.name.clone(), rows);
        }
        after.push(asked);
    }
    after
}

/// A view asked once, of the input without what it leaves out.
fn batch(
    case: &Case,
    plan: &ViewPlan,
    tables: &BTreeMap<String, Rows>,
    now: Timestamp,
) -> RecordBatch {
    let mut left = tables.clone();
    for (relation, holds) in case.without {
        let sql = format!("SELECT * FROM {relation} WHERE {holds}");
        let mut rows = query(case.name, tables, &sql, now);
        if rows.num_columns() == 0 {
            rows = RecordBatch::new_empty(tables[*relation].schema.clone());
        }
        left.insert((*relation).to_owned(), Rows::of(rows));
    }
    let rows = query(case.name, &left, case.batch.unwrap_or(case.sql), now);
    match rows.num_columns() {
        0 => RecordBatch::new_empty(plan.root.schema.clone()),
        _ => rows,
    }
}

fn query(what: &str, tables: &BTreeMap<String, Rows>, sql: &str, now: Timestamp) -> RecordBatch {
    queries::batch::query(tables, sql, now).unwrap_or_else(|e| panic!("{what}: {}", e.full()))
}

/// The shipped views after each tick, asked once over everything so far.
pub(crate) fn asked(
    catalog: &Catalog,
    input: &[(u64, Vec<Change>)],
) -> Vec<BTreeMap<String, RecordBatch>> {
    ask(catalog, &views::shipped(), input).into_iter().map(|asked| asked.views).collect()
}

/// Compares a view of real readings with what batch says.
#[track_caller]
pub(crate) fn check_equal(what: &str, maintained: &RecordBatch, asked: &RecordBatch) {
    if let Some(difference) = rough_difference(maintained, asked) {
        panic!("{what}: {difference}");
    }
}

/// Compares rows, errors and refusals of one tick.
fn check_tick(when: &str, cases: &[Case], plans: &[ViewPlan], shown: &Image, asked: &Asked) {
    for (view, rows) in &shown.views {
        let case = cases.iter().find(|case| case.name == view).unwrap();
        let errors = shown.errors.iter().filter(|error| error.view == *view);
        if let Some(difference) = compare::difference(rows, &asked.views[view], case.loose) {
            let errors: Vec<_> = errors.take(3).collect();
            panic!("{when}, {view}: {difference}\n  errors {errors:?}");
        }
        let count: i64 = errors.clone().map(|error| error.count).sum();
        let wanted = asked.faults.get(view).copied().unwrap_or(0);
        assert_eq!(count, wanted, "{when}, {view}: rows that cannot be computed");
        for error in errors {
            assert!(error.count > 0 && error.row.contains(case.of_row), "{when}: {error:?}");
        }
    }
    let strict = |plan: &&ViewPlan| plan.on_error == OnError::Fail;
    let mut failing: BTreeSet<&str> = (plans.iter().filter(strict))
        .map(|plan| plan.name.as_str())
        .filter(|name| asked.faults[*name] > 0)
        .collect();
    for plan in plans {
        if plan.reads.iter().any(|read| failing.contains(read.as_str())) {
            failing.insert(&plan.name);
        }
    }
    let found = shown.failing.iter().map(|failing| failing.view.as_str());
    assert_eq!(found.collect::<BTreeSet<_>>(), failing, "{when}: views that may not be read");
}

fn check_all(seed: u64, ticks: u64) {
    let (catalog, input) = (input::catalog(), input::input(seed, ticks));
    let cases: Vec<Case> = views::shipped().into_iter().chain(views::OURS).collect();
    let plans = plans(&catalog, &cases);
    let asked = ask(&catalog, &cases, &input);
    for workers in 1..=3 {
        let shown = maintained(workers, &catalog, &plans, &input);
        let shown = shown.unwrap_or_else(|what| panic!("{what}"));
        for (n, (shown, asked)) in shown.iter().zip(&asked).enumerate() {
            let when = format!("seed {seed}, {workers} workers, tick {}", n + 1);
            check_tick(&when, &cases, &plans, shown, asked);
        }
    }
    // An oracle that compares nothing with nothing proves nothing.
    if ticks >= 30 {
        let rows =
            |view: &str| asked.iter().map(|asked| asked.views[view].num_rows()).sum::<usize>();
        let empty: Vec<_> = cases.iter().filter(|case| rows(case.name) == 0).collect();
        let empty: Vec<_> = empty.iter().map(|case| case.name).collect();
        assert!(empty.is_empty(), "views without a single row in the whole run: {empty:?}");
        for case in cases.iter().filter(|case| case.faults.is_some()) {
            let faults = asked.iter().map(|asked| asked.faults[case.name]);
            let turns = faults.clone().zip(faults.skip(1));
            let fewer = turns.filter(|(before, after)| before > after).count();
            assert!(fewer > 0, "{}: no error ever went", case.name);
        }
    }
}

#[test]
fn views_equal_batch_40_ticks_3_workers() {
    check_all(11, 40);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 6, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn views_equal_batch_random_3_workers(seed in any::<u64>(), ticks in 1u64..20) {
        check_all(seed, ticks);
    }
}
