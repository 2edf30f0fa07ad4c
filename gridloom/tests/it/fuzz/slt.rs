//! A case as a file of `tests/slt`, so that what failed once is asked for ever.
//!
//! A file says less than a case: its tables have no decimals, its streams forget by other times
//! than ours and are written as tables, every statement is a tick of its own, and a query is asked
//! once, after all of them. What a case is within these limits is a case again ([`plain`]), so that
//! shrinking can find out whether it still fails.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use schemas::time::Timestamp;

use super::data::BEGIN_MS;
use super::data::Change;
use super::data::Column;
use super::data::Row;
use super::data::Table;
use super::data::Type;
use super::data::Value;
use super::query::Query;
use super::run::Case;

/// What stands above a file that both engines agree on.
const AGREED: &str = "\
# As a file this does not fail. It takes what is not written here: a stream, a decimal, several
# changes in one tick, or a view that is made half-way.
";

/// The case within the limits of the dialect; of a case that is, the same.
pub(super) fn plain(case: &Case) -> Case {
    let mut live: Vec<BTreeMap<String, Vec<Row>>> = vec![BTreeMap::new(); case.tables.len()];
    let mut ticks = Vec::new();
    for changes in &case.ticks {
        for (table, live) in live.iter_mut().enumerate() {
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
    let tables = case.tables.iter().map(plain_table).collect();
    Case { tables, ticks, queries: case.queries.clone(), midway: None }
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

fn plain_table(table: &Table) -> Table {
    let column = |column: &Column| {
        let of = if column.of == Type::Decimal { Type::Float } else { column.of };
        Column { name: column.name.clone(), of, nullable: true }
    };
    let columns = table.columns.iter().map(column).collect();
    Table { name: table.name.clone(), columns, stream: false }
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
    format!("CREATE TABLE {} ({})", table.name, columns.join(", "))
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
    let sql = &case.queries[query];
    let Some(last) = case.ticks.len().checked_sub(1) else { return String::new() };
    match case.asked(query, last) {
        Ok(rows) => {
            let kinds: String = rows.columns().iter().map(|c| kind(c.data_type())).collect();
            let mut record = format!("\nquery {kinds} rowsort\n{sql}\n----\n");
            for row in shown(&rows) {
                record += &row;
                record.push('\n');
            }
            record
        }
        Err(error) => {
            let error = error.to_string();
            let error = error.lines().next().unwrap_or_default();
            format!("\n# {error}\nquery error\n{sql}\n")
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
    let case = Case {
        tables: vec![table],
        ticks: vec![
            vec![change(&odd, 1), change(&even, 1), change(&even, 1)],
            vec![],
            vec![change(&even, -1), change(&odd, -1)],
        ],
        queries: vec![Query::Text("SELECT k, x, y, s FROM r")],
        midway: None,
    };
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
