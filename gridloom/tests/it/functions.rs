//! Every scalar function that a query may call: maintained, against batch.
//!
//! `functions.txt` calls each of them. A function that comes with a new version of DataFusion fails
//! the test until it has a line there, and so does a line whose function is gone. Many calls make
//! one view, over a table whose rows come, go and are corrected. If one differs from batch, or
//! breaks, its functions are gone through one by one, so that the failure names them.
//!
//! The tables of functions in `docs/sql.md` are made here; see [`sql_table`](crate::sql_table).

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::BooleanArray;
use arrow::array::Float64Array;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::array::TimestampMillisecondArray;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use queries::PlanError;
use queries::Planner;
use queries::batch::Rows;
use schemas::catalog::Catalog;
use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::plan::ViewPlan;
use schemas::relation::timestamp_type;
use schemas::time::Timestamp;

use crate::oracle;
use crate::oracle::Change;
use crate::oracle::STEP_MS;
use crate::sql_table::row;

const TICKS: u64 = 6;

/// Keys of the table, of which most stand after a tick.
const KEYS: i64 = 24;

/// Functions in one view; each view costs a plan, and at each tick a query of batch.
const FUNCTIONS_PER_VIEW: usize = 30;

/// Where functions are that DataFusion's documentation does not have.
const OURS: &str = "gridloom";

/// The values of the table's columns, behind its key.
const COUNTS: [i64; 6] = [1, 2, 3, 4, 5, 6];
const WORDS: [&str; 5] = ["ab", "b", "", "Straße", "ü"];
const POSITIVES: [f64; 8] = [1.5, -0.0, 2.5, 0.25, 9.5, 7.0, 3.0, 64.0];
const INTS: [Option<i64>; 9] =
    [Some(3), Some(-7), None, Some(0), Some(12), Some(1), Some(2), None, Some(-1)];
const FLOATS: [Option<f64>; 11] = [
    Some(1.5),
    Some(-0.0),
    None,
    Some(f64::NAN),
    Some(-2.25),
    Some(7.0),
    Some(0.0),
    Some(f64::INFINITY),
    Some(1e-3),
    Some(-64.0),
    Some(2.5),
];
const TEXTS: [Option<&str>; 10] = [
    Some("Straße"),
    Some(""),
    None,
    Some("a,b,,c"),
    Some("Grüße 東京 42"),
    Some("B b"),
    Some("b"),
    Some("2016-08-31"),
    Some("as long as it takes to be no longer within the first block"),
    Some("ab"),
];
const BOOLS: [Option<bool>; 3] = [Some(true), Some(false), None];
/// 31 August 2016, just before 1970, and 29 February 2024.
const TIMES: [Option<i64>; 4] = [Some(1_472_673_601_250), None, Some(-1), Some(1_709_209_800_000)];

/// A line of `functions.txt`.
struct Function {
    name: &'static str,
    /// Calls of it, as a SELECT list.
    calls: String,
    /// What the planner says of it.
    refused: Option<&'static str>,
    /// What is said of every row.
    fails: Option<&'static str>,
    /// Why, in the document.
    because: Option<&'static str>,
}

impl Function {
    fn has_value(&self) -> bool {
        self.refused.is_none() && self.fails.is_none()
    }
}

fn functions() -> Vec<Function> {
    let mut functions: Vec<Function> = Vec::new();
    let lines = include_str!("functions.txt").lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some(more) = line.strip_prefix("  ") else {
            let (name, calls) = line.split_once(": ").expect("a name, and calls");
            let (calls, none) = (calls.to_owned(), None);
            functions.push(Function { name, calls, refused: none, fails: none, because: none });
            continue;
        };
        let function = functions.last_mut().expect("a line goes on");
        match more.split_once(": ") {
            Some(("refused", text)) => function.refused = Some(text),
            Some(("fails", text)) => function.fails = Some(text),
            Some(("because", text)) => function.because = Some(text),
            _ => function.calls.extend([" ", more]),
        }
    }
    functions
}

/// A function of the session.
#[derive(Default)]
struct Known {
    aliases: BTreeSet<String>,
    /// Where DataFusion's documentation has it.
    section: Option<&'static str>,
    /// Whether the same arguments always give the same value.
    pure: bool,
}

impl Known {
    /// Its names, as the document writes them.
    fn names(&self, name: &str) -> String {
        let aliases: Vec<String> = self.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        match aliases.is_empty() {
            true => format!("`{name}`"),
            false => format!("`{name}` ({})", aliases.join(", ")),
        }
    }
}

/// The functions of the session that queries are planned in.
fn session() -> BTreeMap<String, Known> {
    let state = queries::session::state();
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    let mut add = |called: &str, name: &str, section, volatility: &str| {
        let function = known.entry(name.to_owned()).or_default();
        (function.section, function.pure) = (section, volatility == "Immutable");
        if called != name {
            function.aliases.insert(called.to_owned());
        }
    };
    for (called, of) in state.scalar_functions() {
        let section = of.documentation().map(|documentation| documentation.doc_section.label);
        add(called, of.name(), section, &format!("{:?}", of.signature().volatility));
    }
    for (called, of) in state.higher_order_functions() {
        let section = of.documentation().map(|documentation| documentation.doc_section.label);
        add(called, of.name(), section, &format!("{:?}", of.signature().volatility));
    }
    known
}

fn schema() -> SchemaRef {
    let columns = [
        ("k", DataType::Int64, false),
        ("n", DataType::Int64, false),
        ("w", DataType::Utf8, false),
        ("y", DataType::Float64, false),
        ("i", DataType::Int64, true),
        ("x", DataType::Float64, true),
        ("s", DataType::Utf8, true),
        ("b", DataType::Boolean, true),
        ("at", timestamp_type(), true),
    ];
    let field = |(name, of, nullable): (&str, DataType, bool)| Field::new(name, of, nullable);
    Arc::new(Schema::new(columns.into_iter().map(field).collect::<Vec<_>>()))
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    catalog.add("t", RelationInfo { schema: schema(), kind: RelationKind::Table });
    catalog
}

/// The rows that stand after a tick, by key and version: some are corrected, some go and come back,
/// and after the last tick there is none.
fn standing(tick: u64) -> BTreeSet<(i64, i64)> {
    if tick == 0 || tick == TICKS {
        return BTreeSet::new();
    }
    let tick = tick as i64;
    let keys = (1..=KEYS).filter(|key| (key + tick) % 5 != 0);
    keys.map(|key| (key, (key + tick) / 3)).collect()
}

/// Which of so many values a row has.
fn place((key, version): (i64, i64), values: usize) -> usize {
    (7 * key + 5 * version) as usize % values
}

fn batch<'a>(rows: impl IntoIterator<Item = &'a (i64, i64)>) -> RecordBatch {
    fn of<T: Copy>(values: &[T], rows: &[(i64, i64)]) -> Vec<T> {
        rows.iter().map(|row| values[place(*row, values.len())]).collect()
    }
    let rows: Vec<(i64, i64)> = rows.into_iter().copied().collect();
    let times = TimestampMillisecondArray::from(of(&TIMES, &rows)).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|(key, _)| *key))),
        Arc::new(Int64Array::from(of(&COUNTS, &rows))),
        Arc::new(StringArray::from(of(&WORDS, &rows))),
        Arc::new(Float64Array::from(of(&POSITIVES, &rows))),
        Arc::new(Int64Array::from(of(&INTS, &rows))),
        Arc::new(Float64Array::from(of(&FLOATS, &rows))),
        Arc::new(StringArray::from(of(&TEXTS, &rows))),
        Arc::new(BooleanArray::from(of(&BOOLS, &rows))),
        Arc::new(times),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// What comes and goes, by tick.
fn input() -> Vec<(u64, Vec<Change>)> {
    let changes = |tick: u64| {
        let (before, after) = (standing(tick - 1), standing(tick));
        let gone = ("t".to_owned(), batch(before.difference(&after)), -1);
        let come = ("t".to_owned(), batch(after.difference(&before)), 1);
        let changes = [gone, come].into_iter().filter(|(_, rows, _)| rows.num_rows() > 0);
        (tick * STEP_MS, changes.collect())
    };
    (1..=TICKS).map(changes).collect()
}

/// What batch answers after a tick.
fn asked(sql: &str, tick: u64) -> Result<RecordBatch, PlanError> {
    let tables = BTreeMap::from([("t".to_owned(), Rows::of(batch(&standing(tick))))]);
    queries::batch::query(&tables, sql, Timestamp(tick * STEP_MS))
}

fn select(functions: &[&Function]) -> String {
    let calls: Vec<&str> = functions.iter().map(|function| function.calls.as_str()).collect();
    format!("SELECT k, {} FROM t", calls.join(", "))
}

fn plan(planner: &Planner, name: &str, sql: &str) -> Result<ViewPlan, PlanError> {
    planner.view(&format!("CREATE MATERIALIZED VIEW {name} AS {sql}"))
}

/// Functions in one view, and what batch answers after each tick.
struct Group {
    plan: ViewPlan,
    asked: Vec<RecordBatch>,
}

impl Group {
    fn new(planner: &Planner, name: &str, functions: &[&Function]) -> Result<Group, String> {
        let sql = select(functions);
        let plan = plan(planner, name, &sql).map_err(|error| error.full())?;
        let ask = |tick| asked(&sql, tick).map_err(|error| format!("batch: {}", error.full()));
        // One zero and one NaN, in floats of any width.
        let ask = |tick| ask(tick).map(|rows| schemas::row::canonical(&rows));
        Ok(Group { plan, asked: (1..=TICKS).map(ask).collect::<Result<_, String>>()? })
    }
}

/// Holds what the views of these groups show against what batch answers, at every tick.
fn compare(groups: &[Group], workers: usize) -> Result<(), String> {
    let plans: Vec<ViewPlan> = groups.iter().map(|group| group.plan.clone()).collect();
    let shown = oracle::maintained(workers, &catalog(), &plans, &input())?;
    for (tick, image) in (1..).zip(&shown) {
        let when = format!("{workers} workers, tick {tick}");
        if let Some(error) = image.errors.first() {
            return Err(format!("{when}: {error:?}"));
        }
        for group in groups {
            let rows = image.views.iter().find(|(name, _)| *name == group.plan.name);
            let (_, rows) = rows.expect("every view is shown");
            let asked = &group.asked[tick as usize - 1];
            if let Some(difference) = oracle::difference(rows, asked, &[]) {
                return Err(format!("{when}: {difference}"));
            }
            // An oracle that compares nothing with nothing proves nothing.
            if rows.num_rows() != standing(tick).len() {
                return Err(format!("{when}: {} rows", rows.num_rows()));
            }
        }
    }
    Ok(())
}

/// What is wrong with these functions, each part of them in a view.
fn wrong(parts: &[&[&Function]]) -> Option<String> {
    let planner = Planner::new(catalog());
    let run = || {
        let parts = parts.iter().enumerate();
        let groups = parts.map(|(n, part)| Group::new(&planner, &format!("v{n}"), part));
        let groups = groups.collect::<Result<Vec<Group>, String>>()?;
        (1..=3).try_for_each(|workers| compare(&groups, workers))
    };
    // A panic would name no function.
    let run = catch_unwind(AssertUnwindSafe(run));
    run.unwrap_or_else(|_| Err("it panics, as is said above".to_owned())).err()
}

#[test]
fn every_function_equals_batch_6_ticks_3_workers() {
    let functions = functions();
    let functions: Vec<&Function> = functions.iter().filter(|f| f.has_value()).collect();
    let parts: Vec<&[&Function]> = functions.chunks(FUNCTIONS_PER_VIEW).collect();
    let Some(together) = wrong(&parts) else { return };
    let alone = |function: &&Function| {
        let what = wrong(&[std::slice::from_ref(function)])?;
        Some(format!("{}: {what}\n  {}", function.name, function.calls))
    };
    let alone: Vec<String> = functions.iter().filter_map(alone).collect();
    match alone.is_empty() {
        true => panic!("together, but none of them alone: {together}"),
        false => panic!("{}", alone.join("\n")),
    }
}

#[test]
fn every_function_has_a_line() {
    let lines: Vec<&str> = functions().iter().map(|function| function.name).collect();
    let names: BTreeSet<String> = lines.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(names.len(), lines.len(), "a function has two lines");
    let known: BTreeSet<String> = session().into_keys().collect();
    let new: Vec<&String> = known.difference(&names).collect();
    let gone: Vec<&String> = names.difference(&known).collect();
    assert!(new.is_empty() && gone.is_empty(), "no line: {new:?}; no function: {gone:?}");
}

#[test]
fn what_depends_on_more_than_its_arguments_is_refused_by_name() {
    let (session, planner) = (session(), Planner::new(catalog()));
    let mut wrong = Vec::new();
    for function in functions() {
        let Function { name, refused, .. } = function;
        let said = plan(&planner, "v", &select(&[&function])).err().map(|error| error.full());
        let pure = session.get(name).is_some_and(|known| known.pure);
        let right = match (&said, refused) {
            (None, None) => pure,
            (Some(said), Some(part)) => said.contains(part) && (pure || part.contains(name)),
            _ => false,
        };
        if !right {
            wrong.push(format!("{name}: {refused:?} is expected, and {said:?} is said"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_has_no_value_fails_for_each_row_by_itself() {
    let planner = Planner::new(catalog());
    for function in functions() {
        let Some(text) = function.fails else { continue };
        let (name, sql) = (function.name, select(&[&function]));
        let plan = plan(&planner, "v", &sql).unwrap();
        let shown = oracle::maintained(2, &catalog(), &[plan], &input()).unwrap();
        for (tick, image) in (1..).zip(&shown) {
            let (_, rows) = &image.views[0];
            let said = image.errors.iter().all(|error| error.message.contains(text));
            assert!(said && rows.num_rows() == 0, "{name}, tick {tick}: {:?}", image.errors);
            let failed: i64 = image.errors.iter().map(|error| error.count).sum();
            let stand = standing(tick).len();
            assert_eq!(failed, stand as i64, "{name}, tick {tick}: rows that cannot be computed");
            let asked = asked(&sql, tick).map_err(|error| error.full());
            let same = asked.as_ref().map_or_else(|said| said.contains(text), |_| stand == 0);
            assert!(same, "{name}, tick {tick}: {asked:?}");
        }
    }
}

#[test]
fn every_value_stands_in_some_row() {
    let rows: Vec<(i64, i64)> = (1..TICKS).flat_map(standing).collect();
    let columns = [
        COUNTS.len(),
        WORDS.len(),
        POSITIVES.len(),
        INTS.len(),
        FLOATS.len(),
        TEXTS.len(),
        BOOLS.len(),
        TIMES.len(),
    ];
    for values in columns {
        let places: BTreeSet<usize> = rows.iter().map(|row| place(*row, values)).collect();
        assert_eq!(places.len(), values, "of {values} values");
    }
}

/// The functions that a view may call, by where DataFusion's documentation has them.
pub(crate) fn table() -> String {
    let session = session();
    let mut sections: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    for function in functions().iter().filter(|function| function.has_value()) {
        let Some(known) = session.get(function.name) else { continue };
        let section = sections.entry(known.section.unwrap_or(OURS)).or_default();
        section.insert(function.name, known.names(function.name));
    }
    let mut table = row(&["of", "functions"]) + &row(&["---"; 2]);
    for (section, functions) in sections {
        let functions: Vec<String> = functions.into_values().collect();
        table += &row(&[section.trim_end_matches(" Functions"), &functions.join(", ")]);
    }
    table
}

/// The functions that it may not, by the reason.
pub(crate) fn refused_table() -> String {
    let (session, planner) = (session(), Planner::new(catalog()));
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for function in functions().iter().filter(|function| !function.has_value()) {
        let Some(known) = session.get(function.name) else { continue };
        let hint = || {
            let error = plan(&planner, "v", &select(&[function])).err()?;
            error.hint().map(str::to_owned)
        };
        let because = function.because.map(str::to_owned);
        let because = because.or_else(hint).expect("what is refused has a reason");
        let names = known.names(function.name);
        match rows.iter_mut().find(|(reason, _)| *reason == because) {
            Some((_, functions)) => functions.push(names),
            None => rows.push((because, vec![names])),
        }
    }
    let mut table = row(&["function", "why"]) + &row(&["---"; 2]);
    for (because, functions) in rows {
        table += &row(&[&functions.join(", "), &because]);
    }
    table
}
