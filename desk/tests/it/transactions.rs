//! Views within transactions, and sources, asked through psql.

use crate::desk::Open;
use crate::psql::ask;
use crate::psql::refused;
use crate::psql::rows;

/// psql's answer to one text of several statements.
#[track_caller]
fn text(open: &Open, statements: &str) -> String {
    ask(open, &[statements])
}

#[test]
fn a_view_that_is_dropped_and_made_again_is_replaced_under_its_readers() {
    let open = Open::new();
    ask(&open, &["CREATE MATERIALIZED VIEW big AS SELECT * FROM meters WHERE limit_kw > 6"]);
    ask(&open, &["CREATE MATERIALIZED VIEW bigger AS SELECT meter_id FROM big"]);
    let drop = "DROP MATERIALIZED VIEW big";
    assert!(refused(&open, drop).contains("2BP01"));
    let again = "CREATE MATERIALIZED VIEW big AS SELECT * FROM meters WHERE limit_kw > 8";
    text(&open, &format!("{drop}; {again}"));
    assert_eq!(rows(&open, "SELECT * FROM bigger"), "m3");
    ask(&open, &["BEGIN", drop, &again.replace('8', "1"), "COMMIT"]);
    assert_eq!(rows(&open, "SELECT count(*) FROM bigger"), "3");
}

#[test]
fn nothing_happens_before_commit_or_after_rollback() {
    let open = Open::new();
    let make = "CREATE MATERIALIZED VIEW v AS SELECT * FROM meters";
    let said = ask(&open, &["BEGIN", make, "SELECT count(*) AS n FROM gridloom.views", "ROLLBACK"]);
    assert!(said.contains("v takes effect at COMMIT"), "{said}");
    assert!(said.contains("| 1") || said.contains(" 1\n"), "{said}");
    assert!(refused(&open, "SELECT * FROM v").contains("42P01"));
    ask(&open, &["BEGIN", make, "ALTER MATERIALIZED VIEW v RENAME TO w", "COMMIT"]);
    assert_eq!(rows(&open, "SELECT count(*) FROM w"), "3");
    assert!(refused(&open, "SELECT * FROM v").contains("42P01"));
}

#[test]
fn a_view_gets_another_name() {
    let open = Open::new();
    ask(&open, &["ALTER MATERIALIZED VIEW feeder_kw RENAME TO \"Feeder kW\""]);
    assert_eq!(rows(&open, "SELECT count(*) FROM \"Feeder kW\""), "2");
    let views = rows(&open, "SELECT name FROM gridloom.views");
    assert_eq!(views, "Feeder kW");
    let said = refused(&open, "ALTER MATERIALIZED VIEW gone RENAME TO x");
    assert!(said.contains("42P01"), "{said}");
}

#[test]
fn after_a_refusal_only_the_end_is_answered() {
    let open = Open::new();
    let make = "CREATE MATERIALIZED VIEW v AS SELECT * FROM meters";
    let commands = ["BEGIN", make, "SELECT * FROM nowhere", "SELECT 7 AS seven", "COMMIT"];
    let output = crate::psql::among(&open, &commands);
    assert!(output.contains("42P01") && output.contains("25P02"), "{output}");
    assert!(!output.contains("seven"), "{output}");
    assert!(refused(&open, "SELECT * FROM v").contains("42P01"));
}

#[test]
fn what_reads_a_view_goes_with_it_if_that_is_asked_for() {
    let open = Open::new();
    ask(&open, &["CREATE MATERIALIZED VIEW a AS SELECT * FROM meters"]);
    ask(&open, &["CREATE MATERIALIZED VIEW b AS SELECT * FROM a"]);
    let said = ask(&open, &["DROP MATERIALIZED VIEW a CASCADE"]);
    assert!(said.contains("b read a and is dropped too"), "{said}");
    assert_eq!(rows(&open, "SELECT name FROM gridloom.views"), "feeder_kw");
}

const CHARGERS: &str = "CREATE SOURCE chargers (charger_id TEXT NOT NULL, at TIMESTAMP NOT NULL, \
     kw DOUBLE PRECISION) WITH (kind = 'file', path = 'chargers.csv', format = 'csv', \
     event_time = 'at', lateness = '1 hour')";

#[test]
fn sources_come_and_go() {
    let open = Open::new();
    ask(&open, &[CHARGERS]);
    let again = refused(&open, CHARGERS);
    assert!(again.contains("42P07"), "{again}");
    ask(&open, &[&CHARGERS.replace("SOURCE", "SOURCE IF NOT EXISTS")]);
    let sql = "SELECT kind, lateness_ms FROM gridloom.relations WHERE name = 'chargers'";
    assert_eq!(rows(&open, sql), "stream|3600000");
    assert!(ask(&open, &["\\d chargers"]).contains("timestamp with time zone"));
    ask(
        &open,
        &["CREATE MATERIALIZED VIEW by_charger AS SELECT DISTINCT charger_id FROM chargers"],
    );
    let read = refused(&open, "DROP SOURCE chargers");
    assert!(read.contains("2BP01") && read.contains("by_charger"), "{read}");
    ask(&open, &["DROP MATERIALIZED VIEW by_charger", "DROP SOURCE chargers"]);
    assert!(refused(&open, "SELECT * FROM chargers").contains("42P01"));
    ask(&open, &["DROP SOURCE IF EXISTS chargers"]);
    assert!(refused(&open, "DROP SOURCE readings").contains("42P01"));
    assert!(ask(&open, &["SHOW SOURCES"]).contains("meters"));
}

#[test]
fn only_an_admin_makes_the_process_open_files() {
    let open = Open::new();
    let token = open.desk.users().add("erika", desk::Role::Engineer).unwrap();
    let as_engineer = |sql: &str| crate::psql::as_user(&open, "erika", &token, sql);
    let kafka = CHARGERS.replace("'file'", "'kafka'");
    assert!(as_engineer(CHARGERS).contains("42501"));
    let with_options = kafka.replace("path =", "\"options.ssl.ca.location\" = '/etc/x', path =");
    assert!(as_engineer(&with_options).contains("42501"));
    // The small engine has no such door, and says so: the role was enough.
    let said = as_engineer(&kafka);
    assert!(said.contains("there is no kind kafka"), "{said}");
}

#[test]
fn a_door_that_does_not_open_and_what_is_no_source_are_refused() {
    let open = Open::new();
    let said = refused(&open, &CHARGERS.replace("'file'", "'pigeon'"));
    assert!(said.contains("there is no kind pigeon"), "{said}");
    let said = refused(&open, &CHARGERS.replace("'at', lat", "'att', lat"));
    assert!(said.contains("att is no instant") && said.contains("did you mean at?"), "{said}");
    let said = refused(&open, &CHARGERS.replace("DOUBLE PRECISION", "JSON"));
    assert!(said.contains("there are TEXT"), "{said}");
}
