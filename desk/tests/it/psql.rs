//! psql, the real one (Debian's `postgresql-client`).

use std::io::Write;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use desk::Limits;
use desk::Opening;
use desk::Openings;

use crate::desk::Open;

/// psql as somebody, quiet, stopping at errors.
fn psql(open: &Open, user: &str, password: &str) -> Command {
    let address = open.doors.postgres.unwrap();
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"]);
    command.env("PGHOST", address.ip().to_string()).env("PGPORT", address.port().to_string());
    command.env("PGUSER", user).env("PGPASSWORD", password).env("PGDATABASE", "gridloom");
    command.env("PGCONNECT_TIMEOUT", "10").env_remove("PGSSLMODE");
    command
}

/// psql as the admin.
pub(crate) fn admin(open: &Open) -> Command {
    psql(open, "admin", &open.admin)
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// What psql prints for these commands; all must succeed.
#[track_caller]
pub(crate) fn ask(open: &Open, commands: &[&str]) -> String {
    let mut psql = admin(open);
    for command in commands {
        psql.args(["-c", command]);
    }
    let output = psql.output().expect("psql is on the machine");
    assert!(output.status.success(), "{commands:?}: {}", said(&output));
    said(&output)
}

/// What psql prints for these commands, of which some are refused.
pub(crate) fn among(open: &Open, commands: &[&str]) -> String {
    let mut psql = admin(open);
    psql.args(["-v", "ON_ERROR_STOP=0"]);
    for command in commands {
        psql.args(["-c", command]);
    }
    said(&psql.output().unwrap())
}

/// What psql prints for a statement of somebody, whatever becomes of it.
pub(crate) fn as_user(open: &Open, user: &str, password: &str, sql: &str) -> String {
    said(&psql(open, user, password).args(["-c", sql]).output().unwrap())
}

/// The rows alone, one a line, columns between bars.
#[track_caller]
pub(crate) fn rows(open: &Open, sql: &str) -> String {
    let output = admin(open).args(["-A", "-t", "-c", sql]).output().unwrap();
    assert!(output.status.success(), "{sql}: {}", said(&output));
    said(&output).trim_end().to_owned()
}

/// What psql says of a statement that is refused.
#[track_caller]
pub(crate) fn refused(open: &Open, sql: &str) -> String {
    let output = admin(open).args(["-c", sql]).output().unwrap();
    assert!(!output.status.success(), "{sql}: {}", said(&output));
    said(&output)
}

#[test]
fn rows_are_of_one_tick() {
    let open = Open::new();
    open.engine.step();
    open.engine.step();
    assert_eq!(rows(&open, "SELECT * FROM feeder_kw ORDER BY 1"), "f1|2|6.5\nf2|1|");
    let sql = "SELECT max(n) FROM readings AS OF TICK 1767225605000";
    assert_eq!(rows(&open, sql), "1");
    let sql = "SELECT max(n) FROM readings AS OF TIMESTAMP '2026-01-01 00:00:07'";
    assert_eq!(rows(&open, sql), "1");
    let sql = "SELECT now(), max(at) FROM readings";
    assert_eq!(rows(&open, sql), "2026-01-01 00:00:10+00|2026-01-01 00:00:10+00");
    let said = refused(&open, "SELECT * FROM readings AS OF TICK 5000");
    assert!(said.contains("55000") && said.contains("is kept from tick"), "{said}");
}

#[test]
fn every_type_is_written_as_postgresql_does() {
    let open = Open::new();
    let sql = "SELECT true, 1::smallint, 2, 3::bigint, 0.1::double precision, 'a\nb', NULL, \
               '2026-01-02'::date, TIMESTAMP '2026-01-02 03:04:05.006', \
               1.50::numeric(10,2), ARRAY[1,2], 'NaN'::double precision, INTERVAL '1 hour'";
    let expected = "t|1|2|3|0.1|a\nb||2026-01-02|2026-01-02 03:04:05.006|1.50|{1,2}|NaN|01:00:00";
    assert_eq!(rows(&open, sql), expected);
}

#[test]
fn psql_describes_everything() {
    let open = Open::new();
    let all = ask(&open, &["\\d"]);
    for name in ["feeder_kw", "meters", "readings"] {
        assert!(all.contains(name), "{all}");
    }
    let tables = ask(&open, &["\\dt"]);
    assert!(tables.contains("meters") && !tables.contains("feeder_kw"), "{tables}");
    let tables = ask(&open, &["\\dt+"]);
    assert!(tables.contains("reference table"), "{tables}");
    let views = ask(&open, &["\\dm"]);
    assert!(views.contains("feeder_kw") && !views.contains("meters"), "{views}");
    ask(&open, &["\\dv"]);
    let view = ask(&open, &["\\d+ feeder_kw"]);
    for part in ["feeder_id", "bigint", "double precision", "GROUP BY"] {
        assert!(view.contains(part), "{view}");
    }
    let stream = ask(&open, &["\\d readings"]);
    for part in ["timestamp with time zone", "not null", "PRIMARY KEY", "meter_id"] {
        assert!(stream.contains(part), "{stream}");
    }
    let users = ask(&open, &["\\du"]);
    assert!(users.contains("admin") && users.contains("vera"), "{users}");
    ask(&open, &["\\df"]);
    let databases = ask(&open, &["\\l"]);
    assert!(databases.contains("gridloom"), "{databases}");
    let schemas = ask(&open, &["\\dn"]);
    assert!(schemas.contains("audit") && schemas.contains("public"), "{schemas}");
    ask(&open, &["\\di"]);
    ask(&open, &["\\dp"]);
    ask(&open, &["\\d audit.actions"]);
    ask(&open, &["\\d gridloom.views"]);
}

#[test]
fn no_materialized_view_is_an_empty_list() {
    let open = Open::new();
    ask(&open, &["DROP MATERIALIZED VIEW feeder_kw"]);
    assert!(!ask(&open, &["\\dm"]).contains("feeder_kw"));
}

#[test]
fn views_come_and_go() {
    let open = Open::new();
    let made =
        ask(&open, &["CREATE MATERIALIZED VIEW big AS SELECT * FROM meters WHERE limit_kw > 6"]);
    assert!(made.contains("takes effect at tick"), "{made}");
    assert_eq!(rows(&open, "SELECT count(*) FROM big"), "2");
    let again = refused(&open, "CREATE MATERIALIZED VIEW big AS SELECT * FROM meters");
    assert!(again.contains("42P07"), "{again}");
    ask(&open, &["CREATE OR REPLACE MATERIALIZED VIEW big AS SELECT * FROM meters"]);
    assert_eq!(rows(&open, "SELECT count(*) FROM public.big"), "3");
    ask(&open, &["CREATE MATERIALIZED VIEW bigger AS SELECT meter_id FROM big"]);
    let used = refused(&open, "DROP MATERIALIZED VIEW big");
    assert!(used.contains("2BP01") && used.contains("bigger"), "{used}");
    let circle = refused(&open, "CREATE OR REPLACE MATERIALIZED VIEW big AS SELECT * FROM bigger");
    assert!(circle.contains("in a circle"), "{circle}");
    ask(&open, &["DROP MATERIALIZED VIEW bigger", "DROP MATERIALIZED VIEW IF EXISTS big, gone"]);
    assert!(refused(&open, "SELECT * FROM big").contains("42P01"));
}

#[test]
fn refusals_have_a_code_a_place_and_a_hint() {
    let open = Open::new();
    let said = refused(&open, "SELECT 1;\nSELECT * FROM meter");
    assert!(said.contains("42P01"), "{said}");
    assert!(said.contains("LINE 2") && said.contains("did you mean meters?"), "{said}");
    let said = refused(&open, "SELEC 1");
    assert!(said.contains("42601"), "{said}");
    let said = refused(&open, "SELECT 1/0 FROM meters");
    assert!(said.contains("22"), "{said}");
    let said = refused(&open, "CREATE MATERIALIZED VIEW v AS SELECT * FROM meters ORDER BY 1");
    assert!(said.contains("0A000") && said.contains("a view has no order"), "{said}");
}

#[test]
fn nothing_is_written_and_no_file_is_touched() {
    let open = Open::new();
    for sql in [
        "COPY meters TO '/tmp/gridloom-copy-test'",
        "COPY (SELECT 1) TO PROGRAM 'cat'",
        "COPY meters FROM '/etc/passwd'",
        "CREATE EXTERNAL TABLE t (a int) STORED AS CSV LOCATION '/etc/passwd'",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "INSERT INTO meters VALUES ('m4', 'f1', 1)",
        "DELETE FROM meters",
        "CREATE TABLE t AS SELECT 1",
        "SELECT 1 INTO t",
        "WITH x AS (DELETE FROM meters RETURNING *) SELECT * FROM x",
        "EXPLAIN ANALYZE INSERT INTO meters VALUES ('m4', 'f1', 1)",
    ] {
        refused(&open, sql);
    }
    assert!(!std::path::Path::new("/tmp/gridloom-copy-test").exists());
    assert_eq!(rows(&open, "SELECT count(*) FROM meters"), "3");
}

#[test]
fn rows_are_copied_out() {
    let open = Open::new();
    let sql = "COPY (SELECT meter_id, kw FROM readings ORDER BY 1) TO STDOUT";
    assert_eq!(rows(&open, sql), "m1\t0.5\nm2\t0\nm3\t\\N");
    let sql = "COPY (SELECT 'a,\"b' AS x, NULL AS y) TO STDOUT WITH (FORMAT csv, HEADER)";
    assert_eq!(rows(&open, sql), "x,y\n\"a,\"\"b\",");
    let sql = "COPY meters (meter_id) TO STDOUT CSV";
    assert_eq!(rows(&open, sql), "m1\nm2\nm3");
}

#[test]
fn sessions_are_set_and_reset() {
    let open = Open::new();
    let said = ask(
        &open,
        &[
            "BEGIN",
            "SET statement_timeout = '5s'",
            "SHOW statement_timeout",
            "RESET statement_timeout",
            "SHOW ALL",
            "COMMIT",
            "DISCARD ALL",
            "SELECT current_user, version(), current_database()",
        ],
    );
    for part in ["5s", "server_version", "admin", "PostgreSQL 15.9"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(refused(&open, "SET nonsense = 1").contains("42704"));
}

#[test]
fn faults_are_a_notice_and_a_table() {
    let open = Open::new();
    open.engine.fault("feeder_kw");
    let said = ask(&open, &["SELECT * FROM feeder_kw"]);
    assert!(said.contains("NOTICE") && said.contains("1 row that could not be computed"), "{said}");
    assert_eq!(
        rows(&open, "SELECT view, message FROM gridloom.errors"),
        "feeder_kw|Divide by zero"
    );
}

#[test]
fn the_engine_stands_in_tables() {
    let open = Open::new();
    let sql = "SELECT name, rows, hydrated_percent, reads FROM gridloom.views";
    assert_eq!(rows(&open, sql), "feeder_kw|2|100|meters, readings");
    let sql = "SELECT source, partition, position FROM gridloom.sources";
    assert_eq!(rows(&open, sql), "meters|0|7");
    let sql = "SELECT name, kind, lag_ms FROM gridloom.frontiers ORDER BY kind";
    assert_eq!(rows(&open, sql), "meters/0|source|0\nfeeder_kw|view|0");
    assert_eq!(
        rows(&open, "SELECT view, rows, bytes FROM gridloom.arrangements"),
        "feeder_kw|2|96"
    );
    assert_eq!(rows(&open, "SELECT name, step_ms FROM gridloom.instance"), "test|5000");
    assert_eq!(rows(&open, "SELECT count(*) FROM audit.actions"), "200000");
    let sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' \
               ORDER BY 1";
    assert_eq!(rows(&open, sql), "feeder_kw\nmeters\nreadings");
    open.engine.hydrating("feeder_kw", 43);
    let said = refused(&open, "SELECT * FROM feeder_kw");
    assert!(said.contains("hydrating (43 %)"), "{said}");
}

#[test]
fn plans_are_explained() {
    let open = Open::new();
    let said = ask(&open, &["EXPLAIN VIEW feeder_kw"]);
    assert!(said.contains("view feeder_kw") && said.contains("Reduce"), "{said}");
    let said = ask(&open, &["EXPLAIN ANALYZE VIEW feeder_kw"]);
    assert!(said.contains("bound: groups in") && said.contains("now: 2 rows, 96 bytes"), "{said}");
    assert!(said.contains("in all it keeps 2 rows, 96 bytes"), "{said}");
    let said = ask(&open, &["EXPLAIN MAINTAINED SELECT count(*) FROM meters"]);
    assert!(said.contains("Get meters"), "{said}");
    let said = ask(&open, &["EXPLAIN SELECT count(*) FROM meters"]);
    assert!(said.contains("Aggregate"), "{said}");
    let said = ask(&open, &["SHOW CREATE MATERIALIZED VIEW feeder_kw"]);
    assert!(said.contains("CREATE MATERIALIZED VIEW feeder_kw"), "{said}");
}

#[test]
fn changes_are_followed() {
    let open = Open::new();
    let mut psql = admin(&open);
    psql.args(["-c", "COPY (SUBSCRIBE feeder_kw WITH (progress)) TO STDOUT"]);
    let child = psql.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    open.engine.step();
    std::thread::sleep(Duration::from_millis(700));
    // psql writes what it has once the subscription ends.
    ask(&open, &["DROP MATERIALIZED VIEW feeder_kw"]);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("57P01") && text.contains("feeder_kw is gone"), "{text}");
    let said = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 7, "{said}");
    assert_eq!(lines[0], "2026-01-01 00:00:00+00\tf\t1\tf1\t2\t0.5");
    assert_eq!(lines[2], "2026-01-01 00:00:05+00\tf\t-1\tf1\t2\t0.5");
    assert_eq!(lines[4], "2026-01-01 00:00:05+00\tf\t1\tf1\t2\t3.5");
    assert!(lines[6].starts_with("2026-01-01 00:00:05+00\tt\t0\t\\N"), "{said}");
}

#[test]
fn who_may_not_is_refused() {
    let open = Open::new();
    let ask = |user: &str, password: &str, sql: &str| {
        said(&psql(&open, user, password).args(["-c", sql]).output().unwrap())
    };
    let wrong = ask("admin", "wrong", "SELECT 1");
    assert!(wrong.contains("there is no user admin with this password"), "{wrong}");
    let nobody = ask("eve", &open.admin, "SELECT 1");
    assert!(nobody.contains("there is no user eve with this password"), "{nobody}");
    let none = ask("admin", "", "SELECT 1");
    assert!(!none.contains("(1 row)"), "{none}");
    assert!(ask("vera", &open.viewer, "SELECT 7 AS seven").contains("seven"));
    let denied = ask("vera", &open.viewer, "DROP MATERIALIZED VIEW feeder_kw");
    assert!(denied.contains("42501"), "{denied}");
    let denied = ask("vera", &open.viewer, "CREATE MATERIALIZED VIEW v AS SELECT * FROM meters");
    assert!(denied.contains("42501"), "{denied}");
}

fn tight() -> Limits {
    Limits {
        statement_time: Duration::from_secs(3),
        answer_rows: 300_000,
        memory_bytes: 64 << 20,
        ..Limits::default()
    }
}

fn postgres_alone() -> Openings {
    Openings { postgres: Some(Opening::loopback(0)), ..Openings::default() }
}

#[test]
fn what_asks_for_too_much_is_stopped_with_a_reason() {
    let open = Open::with(tight(), &postgres_alone());
    let began = Instant::now();
    let sql =
        "SELECT count(*) FROM audit.actions a, audit.actions b WHERE a.sequence < b.sequence * 2";
    let said = refused(&open, sql);
    assert!(said.contains("57014") && said.contains("took longer than 3 s"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    let said = refused(&open, "SELECT * FROM audit.actions a, audit.actions b");
    assert!(said.contains("54000") && said.contains("more than 300000 rows"), "{said}");
    let sql = "SELECT array_agg(a.sequence + b.sequence) FROM audit.actions a, \
               (SELECT * FROM audit.actions LIMIT 1000) b";
    let said = refused(&open, sql);
    assert!(said.contains("53200") && said.contains("more memory"), "{said}");
    assert_eq!(rows(&open, "SELECT count(*) FROM meters"), "3");
}

#[test]
fn a_statement_of_five_megabytes_is_refused_with_a_reason() {
    let open = Open::with(tight(), &postgres_alone());
    let mut child = admin(&open)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let sql = format!("SELECT '{}';\n", "x".repeat(5 << 20));
    child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    let said = said(&child.wait_with_output().unwrap());
    assert!(said.contains("54000") && said.contains("more than 1048576"), "{said}");
}

/// Whether a statement computes just now: the desk's threads are busy.
fn permits(open: &Open) -> usize {
    open.desk.computing()
}

#[track_caller]
fn within_a_second(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(1), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

const LONG: &str =
    "SELECT count(*) FROM audit.actions a, audit.actions b WHERE a.sequence < b.sequence * 2";

#[test]
fn a_cancel_stops_the_work() {
    let open = Open::new();
    let child = admin(&open).args(["-c", LONG]).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1_000));
    assert_eq!(permits(&open), 1);
    let pid = child.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    within_a_second("the work goes on after a cancel", || permits(&open) == 0);
    let output = child.wait_with_output().unwrap();
    assert!(said(&output).contains("57014"), "{}", said(&output));
}

#[test]
fn a_client_that_is_gone_stops_the_work() {
    let open = Open::new();
    let mut child = admin(&open).args(["-c", LONG]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1_000));
    assert_eq!(permits(&open), 1);
    child.kill().unwrap();
    within_a_second("the work goes on after its client left", || permits(&open) == 0);
    child.wait().unwrap();
}
