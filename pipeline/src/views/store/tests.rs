//! Views over which rows and faults come and go by hand.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::Int64Array;
use arrow_schema::DataType;
use arrow_schema::Field;
use arrow_schema::Schema;
use schemas::plan::Node;
use schemas::plan::Op;

use super::*;

/// A view of one column `x`.
fn plan(name: &str, on_error: OnError, reads: &[&str]) -> ViewPlan {
    let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]));
    let op = Op::Get { relation: reads[0].to_owned(), columns: vec![0], expire: None };
    ViewPlan {
        name: name.to_owned(),
        sql: String::new(),
        root: Node { schema, append_only: false, op },
        on_error,
        retain_ms: None,
        reads: reads.iter().map(|read| (*read).to_owned()).collect(),
    }
}

/// `plain`, `strict`, and two views that read them.
pub(in crate::views) fn views() -> Views {
    Views::new(&[
        plan("plain", OnError::Quarantine, &["t"]),
        plan("strict", OnError::Fail, &["t"]),
        plan("above", OnError::Quarantine, &["plain", "strict"]),
        plan("top", OnError::Null, &["above"]),
    ])
    .unwrap()
}

/// Changes of the view at `relation`, at a tick.
pub(in crate::views) fn change(
    views: &Views,
    tick: u64,
    relation: usize,
    rows: &[(i64, Diff)],
    faults: &[(&str, Diff)],
) {
    let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]));
    let mut codec = RowCodec::new(schema.clone()).unwrap();
    let values: ArrayRef = Arc::new(rows.iter().map(|(x, _)| Some(*x)).collect::<Int64Array>());
    let encoded = codec.rows(&RecordBatch::try_new(schema, vec![values]).unwrap()).unwrap();
    let rows = encoded.into_iter().zip(rows).map(|(row, (_, diff))| (row, *diff)).collect();
    let faults = faults.iter().map(|(row, diff)| (fault(row), *diff)).collect();
    views.apply(Timestamp(tick), vec![Published { relation, tick, rows, faults }]);
}

fn fault(row: &str) -> Fault {
    let (expression, message) = ("1 / x".to_owned(), "division by zero".to_owned());
    Fault { expression, message, row: row.to_owned() }
}

#[track_caller]
fn check_readable(views: &Views, readable: &[&str]) {
    let all = ["above", "plain", "strict", "top"];
    let found: Vec<&str> = all.into_iter().filter(|view| views.read(view).is_ok()).collect();
    assert_eq!(found, readable);
    let failing: Vec<String> = views.image().failing.into_iter().map(|f| f.view).collect();
    let not: Vec<&str> = all.into_iter().filter(|view| !readable.contains(view)).collect();
    assert_eq!(failing, not, "what is written to disk says the same");
}

#[test]
fn faults_are_counted_and_go() {
    let views = views();
    change(&views, 1, 1, &[(1, 1)], &[("x=0", 2)]);
    change(&views, 2, 0, &[], &[("x=0", 1), ("x=-0", 1)]);
    let listed = |views: &Views| -> Vec<(String, String, i64)> {
        views.errors().into_iter().map(|e| (e.view, e.row, e.count)).collect()
    };
    let row = |view: &str, row: &str, count| (view.to_owned(), row.to_owned(), count);
    assert_eq!(
        listed(&views),
        [row("plain", "x=-0", 1), row("plain", "x=0", 1), row("strict", "x=0", 2)]
    );
    change(&views, 3, 1, &[], &[("x=0", -2)]);
    change(&views, 3, 0, &[], &[("x=0", -1)]);
    assert_eq!(listed(&views), [row("plain", "x=-0", 1)]);
}

#[test]
fn a_strict_view_and_what_reads_it_fail_while_a_fault_stands() {
    let views = views();
    change(&views, 1, 0, &[], &[("x=0", 1)]);
    check_readable(&views, &["above", "plain", "strict", "top"]);
    change(&views, 2, 1, &[(1, 1)], &[("x=0", 1)]);
    check_readable(&views, &["plain"]);
    let why = views.read("top").unwrap_err().to_string();
    let wanted = "top cannot be read: 1 row of strict cannot be computed, and strict has \
                  on_error = 'fail': SELECT * FROM view_errors WHERE view = 'strict'";
    assert_eq!(why, wanted);
    change(&views, 3, 1, &[], &[("x=0", -1)]);
    check_readable(&views, &["above", "plain", "strict", "top"]);
    assert_eq!(views.read("strict").unwrap().rows.num_rows(), 1);
    let unknown = ReadError::Unknown { name: "other".to_owned() };
    assert_eq!(views.read("other").unwrap_err(), unknown);
}

#[test]
fn a_view_is_told_of_once_when_it_turns() {
    let views = views();
    let turned =
        |view: &str, row: Option<&str>| Turned { view: view.to_owned(), fault: row.map(fault) };
    assert_eq!(views.turned(), []);
    change(&views, 1, 0, &[], &[("x=0", 1)]);
    assert_eq!(views.turned(), [turned("plain", Some("x=0"))]);
    change(&views, 2, 0, &[], &[("x=00", 1)]);
    assert_eq!(views.turned(), [], "one more is nothing new");
    change(&views, 3, 0, &[], &[("x=0", -1), ("x=00", -1)]);
    assert_eq!(views.turned(), [turned("plain", None)]);
    change(&views, 4, 0, &[], &[("x=0", 1)]);
    change(&views, 5, 0, &[], &[("x=0", -1)]);
    assert_eq!(views.turned(), [], "what came and went unasked is not told");
}
