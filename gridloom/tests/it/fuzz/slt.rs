//! A case as a file of `tests/slt`, so that what failed once is asked for ever.
//!
//! A file says less than a case: its tables have no decimals, its ticks follow each other fast and
//! its streams forget late, every statement is a tick of its own, and a query is asked once, after
//! all of them. What a case is within these limits is a case again ([`plain`]), so that shrinking
//! can find out whether it still fails.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use schemas::catalog::DEFAULT_LATENESS_MS;
use schemas::catalog::DEFAULT_RETAIN_MS;
use schemas::time::DEFAULT_STEP;
use schemas::time::Timestamp;

use super::data::BEGIN_MS;
use super::data::Change;
use super::data::Column;
use super::data::Pace;
use super::data::Row;
use super::data::Table;
use super::data::Type;
use super::data::Value;
use super::lookup::Lookup;
use super::query::Query;
use super::random::Random;
use super::run::Case;

/// What stands above a file that both engines agree on.
const AGREED: &str = "\
# As a file this does not fail. It takes what is not written here: time that passes, a decimal,
# several changes in one tick, or a view that is made half-way.
";

/// The pace of the files.
const PACE: Pace = Pace {
    step_ms: DEFAULT_STEP.millis(),
    lateness_ms: DEFAULT_LATENESS_MS,
    retain_ms: DEFAULT_RETAIN_MS,
};

/// The case within the limits of the dialect; of a case that is, the same.
pub(super) fn plain(case: &Case) -> Case {
    let mut live: Vec<BTreeMap<String, Vec<Row>>> = vec![BTreeMap::new(); case.tables.len()];
    let mut ticks = Vec::new();
    let tables: Vec<Table> = (0..case.tables.len()).map(|table| plain_table(case, table)).collect();
    // What rows of a stream look up comes before them.
    let mut order: Vec<usize> = (0..tables.len()).collect();
    order.sort_by_key(|table| tables[*table].stream);
    for changes in &case.ticks {
        for table in order.iter().copied() {
            let live = &mut live[table];
            let mut inserted = Vec::new();
            for (key, (come, gone)) in moved(changes, table) {
                let rows = live.entry(key).or_default();
                let whole = |rows: &[Row], diff: i64| -> Vec<Change> {
                    let one = |row: &Row| Change { table, row: row.clone(), diff };
                    rows.iter().map(one).collect()
                };
                if gone.is_empty() {
                    inserted.extend(whole(&come, 1));
                    rows.extend(come);
                    continue;
                }
                // DELETE takes equal rows at once, so those that stay are brought again.
                ticks.push(whole(rows, -1));
                rows.extend(come);
                for row in gone {
                    let text = format!("{row:?}");
                    let at = rows.iter().position(|one| format!("{one:?}") == text);
                    if let Some(at) = at {
                        rows.remove(at);
                    }
                }
                ticks.push(whole(rows, 1));
            }
            ticks.push(inserted);
        }
    }
    ticks.retain(|changes| !changes.is_empty());
    Case { tables, ticks, midway: None, pace: PACE, ..case.clone() }
}

/// The rows of a table that come and go in a tick; equal ones together.
fn moved(changes: &[Change], table: usize) -> BTreeMap<String, (Vec<Row>, Vec<Row>)> {
    let mut all: BTreeMap<String, (Vec<Row>, Vec<Row>)> = BTreeMap::new();
    for change in changes.iter().filter(|change| change.table == table) {
        let row: Row = change.row.iter().map(plain_value).collect();
        let one: Row = row.iter().map(zeroed).collect();
        let (come, gone) = all.entry(format!("{one:?}")).or_default();
        let moved = if change.diff > 0 { come } else { gone };
        moved.push(row);
    }
    all
}

/// A table of a case as a file has it: a stream is one if nothing is taken out of it.
fn plain_table(case: &Case, index: usize) -> Table {
    let table = &case.tables[index];
    let goes = |change: &Change| change.table == index && change.diff < 0;
    let column = |column: &Column| {
        let of = if column.of == Type::Decimal { Type::Float } else { column.of };
        Column { name: column.name.clone(), of, nullable: true }
    };
    let columns = table.columns.iter().map(column).collect();
    let stream = table.stream && !case.ticks.iter().flatten().any(goes);
    Table { name: table.name.clone(), columns, stream }
}

fn plain_value(value: &Value) -> Value {
    match value {
        Value::Decimal(hundredths) => Value::Float(*hundredths as f64 / 100.0),
        other => other.clone(),
    }
}

/// The value with the one zero that a relation has.
fn zeroed(value: &Value) -> Value {
    match value {
        Value::Float(x) => Value::Float(x + 0.0),
        other => other.clone(),
    }
}

/// The file: its tables, what comes and goes until the queries fail, and what they should give.
pub(super) fn text(case: &Case) -> String {
    let mut case = plain(case);
    let mut text = String::new();
    match case.run(&[1, 3]) {
        Ok(_) => text.push_str(AGREED),
        Err(difference) => case.ticks.truncate(difference.ticks),
    }
    let created = case.tables.iter().map(create);
    let changed = case.ticks.iter().map(|changes| statement(&case.tables, changes));
    for statement in created.chain(changed) {
        text += &format!("\nstatement ok\n{statement}\n");
    }
    for query in 0..case.queries.len() {
        text += &record(&case, query);
    }
    text
}

fn create(table: &Table) -> String {
    let of = |column: &Column| {
        let of = match column.of {
            Type::Int => "BIGINT",
            Type::Float | Type::Decimal => "DOUBLE",
            Type::Text => "TEXT",
            Type::Bool => "BOOLEAN",
            Type::Time => "TIMESTAMP",
        };
        format!("{} {of}", column.name)
    };
    let columns: Vec<String> = table.columns.iter().map(of).collect();
    let kind = if table.stream { "STREAM" } else { "TABLE" };
    format!("CREATE {kind} {} ({})", table.name, columns.join(", "))
}

/// The statement that does what a tick of a plain case does.
fn statement(tables: &[Table], changes: &[Change]) -> String {
    let Change { table, row, diff } = &changes[0];
    let table = &tables[*table];
    if *diff > 0 {
        let row = |change: &Change| {
            let values: Vec<String> = change.row.iter().map(literal).collect();
            format!("({})", values.join(", "))
        };
        let rows: Vec<String> = changes.iter().map(row).collect();
        return format!("INSERT INTO {} VALUES {}", table.name, rows.join(", "));
    }
    let equal = |(column, value): (&Column, &Value)| match value {
        Value::Null => format!("{} IS NULL", column.name),
        Value::Time(_) => format!("{} = TIMESTAMP {}", column.name, literal(value)),
        value => format!("{} = {}", column.name, literal(&zeroed(value))),
    };
    let all: Vec<String> = table.columns.iter().zip(row).map(equal).collect();
    format!("DELETE FROM {} WHERE {}", table.name, all.join(" AND "))
}

fn literal(value: &Value) -> String {
    match value {
        Value::Float(x) if x.is_finite() => format!("{x:?}"),
        Value::Float(x) => format!("CAST('{x}' AS DOUBLE)"),
        Value::Time(at) => format!("'{}'", Timestamp(*at as u64)),
        value => value.to_string(),
    }
}

/// A query with what batch answers to it.
fn record(case: &Case, query: usize) -> String {
    let asked = case.queries[query].to_string();
    // Asked once, rows meet the table of now.
    let looks_up = case.lookup.as_ref().is_some_and(|lookup| lookup.is_read(&asked));
    let only = if looks_up { "\nonlyif maintained" } else { "" };
    let sql = case.text(asked).written;
    let Some(last) = case.ticks.len().checked_sub(1) else { return String::new() };
    match case.asked(query, last) {
        Ok(rows) => {
            let kinds: String = rows.columns().iter().map(|c| kind(c.data_type())).collect();
            let mut record = format!("{only}\nquery {kinds} rowsort\n{sql}\n----\n");
            for row in shown(&rows) {
                record += &row;
                record.push('\n');
            }
            record
        }
        Err(error) => {
            let error = error.to_string();
            let error = error.lines().next().unwrap_or_default();
            format!("\n# {error}{only}\nquery error\n{sql}\n")
        }
    }
}

fn kind(of: &DataType) -> char {
    match of {
        of if of.is_integer() => 'I',
        of if of.is_floating() => 'R',
        DataType::Utf8 | DataType::Utf8View => 'T',
        _ => '?',
    }
}

/// The rows as the runner sorts and compares them.
fn shown(rows: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns = rows.columns().iter();
    let columns: Vec<ArrayFormatter<'_>> =
        columns.map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
    let value = |text: String| if text.is_empty() { "(empty)".to_owned() } else { text };
    let row = |row: usize| -> Vec<String> {
        columns.iter().map(|column| value(column.value(row).to_string())).collect()
    };
    let mut shown: Vec<Vec<String>> = (0..rows.num_rows()).map(row).collect();
    shown.sort_unstable();
    shown.iter().map(|row| row.join(" ")).collect()
}

#[test]
fn a_case_is_written_as_a_file() {
    let column = |name: &str, of: Type| Column { name: name.to_owned(), of, nullable: false };
    let columns = vec![
        column("k", Type::Int),
        column("x", Type::Decimal),
        column("y", Type::Float),
        column("s", Type::Text),
        column("at", Type::Time),
    ];
    let table = Table { name: "r".to_owned(), columns, stream: true };
    let at = Value::Time(BEGIN_MS as i64);
    let odd = vec![
        Value::Int(1),
        Value::Decimal(-25),
        Value::Float(f64::NAN),
        Value::Text(""),
        at.clone(),
    ];
    let even = vec![Value::Int(2), Value::Null, Value::Float(-0.0), Value::Text("a"), at];
    let change = |row: &Row, diff: i64| Change { table: 0, row: row.clone(), diff };
    let ticks = vec![
        vec![change(&odd, 1), change(&even, 1), change(&even, 1)],
        vec![],
        vec![change(&even, -1), change(&odd, -1)],
    ];
    let case = Case::new(vec![table], ticks, vec![Query::Text("SELECT k, x, y, s FROM r")]);
    let once = plain(&case);
    assert_eq!(once.to_string(), plain(&once).to_string());
    let expected = "
statement ok
CREATE TABLE r (k BIGINT, x DOUBLE, y DOUBLE, s TEXT, at TIMESTAMP)

statement ok
INSERT INTO r VALUES (1, -0.25, CAST('NaN' AS DOUBLE), '', '2016-08-31T20:00:00Z'), \
(2, NULL, -0.0, 'a', '2016-08-31T20:00:00Z'), (2, NULL, -0.0, 'a', '2016-08-31T20:00:00Z')

statement ok
DELETE FROM r WHERE k = 1 AND x = -0.25 AND y = CAST('NaN' AS DOUBLE) AND s = '' \
AND at = TIMESTAMP '2016-08-31T20:00:00Z'

statement ok
DELETE FROM r WHERE k = 2 AND x IS NULL AND y = 0.0 AND s = 'a' \
AND at = TIMESTAMP '2016-08-31T20:00:00Z'

statement ok
INSERT INTO r VALUES (2, NULL, -0.0, 'a', '2016-08-31T20:00:00Z')

query IRRT rowsort
SELECT k, x, y, s FROM r
----
2 NULL 0.0 a
";
    assert_eq!(text(&case), format!("{AGREED}{expected}"));
}

#[test]
fn a_lookup_is_written_as_one_of_a_stream() {
    let column = |name: &str, of: Type| Column { name: name.to_owned(), of, nullable: false };
    let table = |name: &str, second: Column, stream: bool| {
        let columns = vec![column("k", Type::Int), second];
        Table { name: name.to_owned(), columns, stream }
    };
    let tables = vec![
        table("r", column("at", Type::Time), true),
        table("m", column("s", Type::Text), false),
    ];
    let lookup = Lookup::random(&mut Random(7), &tables);
    let row = |table: usize, value: Value, diff: i64| {
        let row = vec![Value::Int(1), value];
        Change { table, row, diff }
    };
    let at = |seconds: i64| Value::Time(BEGIN_MS as i64 + seconds * 1_000);
    let ticks = vec![
        vec![row(0, at(1), 1), row(1, Value::Text("a"), 1)],
        vec![row(1, Value::Text("a"), -1), row(1, Value::Text("b"), 1)],
        vec![row(0, at(2), 1)],
    ];
    let case = Case::new(tables, ticks, vec![Query::Text("SELECT q.c0 FROM met AS q")]);
    let text = text(&Case { lookup, ..case });
    assert!(text.starts_with(AGREED), "{text}");
    let [table, stream] =
        ["INSERT INTO m VALUES (1, 'a')", "CREATE STREAM r (k BIGINT, at TIMESTAMP)"]
            .map(|part| text.find(part).unwrap_or_else(|| panic!("no {part} in\n{text}")));
    let row = text.find("INSERT INTO r").unwrap();
    assert!(stream < table && table < row, "a row comes before what it looks up\n{text}");
    let query = "\nonlyif maintained\nquery ? rowsort\nSELECT q.c0 FROM (SELECT s.at AS c0, ";
    assert!(text.contains(query), "{text}");
}
