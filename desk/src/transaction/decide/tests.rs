//! What COMMIT does, as tables.

use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::contract::ViewStatus;

use super::*;

fn columns(names: &[&str]) -> SchemaRef {
    let field = |name: &&str| Field::new(*name, DataType::Utf8, false);
    Arc::new(Schema::new(names.iter().map(field).collect::<Vec<_>>()))
}

fn view(sql: &str, outside: Option<&str>) -> Option<View> {
    let outside = outside.map(str::to_owned);
    Some(View { sql: sql.to_owned(), columns: columns(&["a"]), outside })
}

fn wider() -> Option<View> {
    Some(View { sql: "new".to_owned(), columns: columns(&["z", "a"]), outside: None })
}

fn index(relation: &str) -> Option<Index> {
    Some(Index { relation: relation.to_owned(), columns: vec!["a".to_owned()] })
}

/// Views `v`, `w` which reads it, and `u`; indexes `i` on `v`, which nobody uses, and `j` on `v`,
/// which `w` uses.
fn stands() -> (Status, Catalog) {
    let text = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let view = |name: &str, reads: &[&str]| ViewStatus {
        name: name.to_owned(),
        reads: text(reads),
        ..ViewStatus::default()
    };
    let index = |name: &str, used_by: &[&str]| IndexStatus {
        name: name.to_owned(),
        relation: "v".to_owned(),
        columns: text(&["a"]),
        used_by: text(used_by),
        ..IndexStatus::default()
    };
    let views = vec![view("u", &["m"]), view("v", &["m"]), view("w", &["v"])];
    let indexes = vec![index("i", &[]), index("j", &["w"])];
    let mut catalog = Catalog::default();
    for view in &views {
        let info = RelationInfo { schema: columns(&["a"]), kind: RelationKind::View };
        catalog.add(&view.name, info);
    }
    (Status { views, indexes, ..Status::default() }, catalog)
}

#[track_caller]
fn check(views: Vec<(&str, Option<View>)>, indexes: Vec<(&str, Option<Index>)>, expected: &[&str]) {
    let left = Left {
        views: views.into_iter().map(|(name, view)| (name.to_owned(), view)).collect(),
        indexes: indexes.into_iter().map(|(name, index)| (name.to_owned(), index)).collect(),
        ..Left::default()
    };
    let (status, catalog) = stands();
    let said: Vec<String> = steps(left, &status, &catalog).iter().map(Step::to_string).collect();
    assert_eq!(said, expected);
}

#[test]
fn what_is_dropped_and_made_again_is_replaced() {
    check(vec![("v", view("new", None))], vec![], &["v replaced"]);
}

#[test]
fn two_renames_are_a_replacement() {
    check(
        vec![("v_tmp", None), ("v", view("new", None)), ("v_backup", None)],
        vec![],
        &["v replaced"],
    );
}

#[test]
fn a_rename_makes_and_drops() {
    check(vec![("u", None), ("x", view("old", Some("u")))], vec![], &["x made", "u dropped"]);
}

#[test]
fn what_comes_back_to_its_name_stays() {
    check(vec![("x", None), ("v", view("old", Some("v")))], vec![], &[]);
}

#[test]
fn what_reads_goes_before_what_it_reads() {
    let all = ["w dropped", "v dropped"];
    check(vec![("w", None), ("v", None), ("new", None)], vec![], &all);
    check(vec![("v", None), ("w", None)], vec![], &all);
}

#[test]
fn an_index_that_nobody_uses_goes_first_and_one_that_is_used_after_its_users() {
    check(
        vec![("v", None), ("w", None)],
        vec![("i", None), ("j", None)],
        &["i dropped", "w dropped", "j dropped", "v dropped"],
    );
}

#[test]
fn an_index_comes_after_its_view() {
    check(vec![("x", view("new", None))], vec![("k", index("x"))], &["x made", "k made"]);
    check(vec![], vec![("k", None)], &[]);
}

#[test]
fn an_index_that_is_dropped_and_made_again_stays_where_nothing_moved() {
    check(vec![], vec![("i", index("v"))], &[]);
    check(vec![("v", view("new", None))], vec![("i", index("v"))], &["v replaced"]);
    check(vec![("v", wider())], vec![("i", index("v"))], &["i dropped", "v replaced", "i made"]);
    check(vec![], vec![("i", index("u"))], &["i dropped", "i made"]);
}

#[test]
fn an_index_follows_its_view_to_another_name() {
    check(
        vec![("v", None), ("x", view("old", Some("v")))],
        vec![("i", index("x"))],
        &["i dropped", "x made", "v dropped", "i made"],
    );
}
