//! Python's clients: ADBC over Flight SQL, and psycopg. `cargo xtask test` installs them.

use std::path::PathBuf;
use std::process::Command;

use crate::desk::Open;

/// A program of the Python environment.
fn program(name: &str) -> PathBuf {
    let bin = std::env::var("GRIDLOOM_TEST_PYTHON").expect(
        "GRIDLOOM_TEST_PYTHON is not set: run `cargo xtask test`, or `cargo xtask clients`",
    );
    PathBuf::from(bin).join(name)
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{said}");
    said
}

/// Runs a script that knows where the doors are.
#[track_caller]
fn script(open: &Open, script: &str) -> String {
    let mut python = Command::new(program("python"));
    python.args(["-c", script]).env("TOKEN", &open.admin);
    python.env("FLIGHT", open.doors.flight.unwrap().to_string());
    python.env("PG_PORT", open.doors.postgres.unwrap().port().to_string());
    run(&mut python)
}

#[test]
fn adbc_reads_over_flight_sql() {
    let open = Open::new();
    let said = script(
        &open,
        r#"
import os
import adbc_driver_flightsql.dbapi as flight
from adbc_driver_flightsql import DatabaseOptions
token = "Bearer " + os.environ["TOKEN"]
uri = "grpc://" + os.environ["FLIGHT"]
options = {DatabaseOptions.AUTHORIZATION_HEADER.value: token}
with flight.connect(uri, db_kwargs=options, autocommit=True) as c:
    with c.cursor() as q:
        q.execute("SELECT * FROM feeder_kw ORDER BY feeder_id")
        assert q.fetchall() == [("f1", 2, 0.5), ("f2", 1, None)], "rows"
        q.execute("SELECT count(*) FROM audit.actions")
        assert q.fetchone() == (200000,)
        q.execute("SELECT sequence FROM audit.actions")
        assert q.fetch_arrow_table().num_rows == 200000
        q.execute("SELECT meter_id FROM meters WHERE limit_kw > $1 AND feeder_id = $2", (6.0, "f1"))
        assert q.fetchall() == [("m2",)], "parameters"
        q.execute("CREATE MATERIALIZED VIEW v AS SELECT * FROM meters")
        q.execute("SELECT count(*) FROM v")
        assert q.fetchone() == (3,)
        try:
            q.execute("SELECT * FROM nowhere")
            raise SystemExit("nowhere was found")
        except flight.Error as error:
            assert "there is no relation nowhere" in str(error), error
    schema = c.adbc_get_table_schema("meters")
    assert schema.names == ["meter_id", "feeder_id", "limit_kw"], schema
    found = c.adbc_get_objects(depth="tables").read_all().to_pylist()
    names = {t["table_name"] for s in found[0]["catalog_db_schemas"] for t in s["db_schema_tables"]}
    assert {"meters", "readings", "feeder_kw", "views", "actions"} <= names, names
    assert "TABLE" in c.adbc_get_table_types()
    assert c.adbc_get_info()["vendor_name"] == "gridloom"
try:
    with flight.connect(uri, autocommit=True) as c, c.cursor() as q:
        q.execute("SELECT 1")
    raise SystemExit("somebody without a token was let in")
except flight.Error as error:
    assert "token" in str(error), error
print("done")
"#,
    );
    assert!(said.contains("done"), "{said}");
}

#[test]
fn psycopg_binds_values_and_fetches_in_parts() {
    let open = Open::new();
    let said = script(
        &open,
        r#"
import os
import psycopg
where = f"host=127.0.0.1 port={os.environ['PG_PORT']} user=admin dbname=gridloom"
for binary in (False, True):
    with psycopg.connect(where, password=os.environ["TOKEN"], autocommit=True) as c:
        with c.cursor(binary=binary) as q:
            bound = "SELECT meter_id FROM meters WHERE limit_kw > %s AND feeder_id = %s"
            q.execute(bound, (6.0, "f1"))
            assert q.fetchall() == [("m2",)]
            q.execute("SELECT n, kw, at, meter_id FROM readings ORDER BY meter_id LIMIT %s", (1,))
            n, kw, at, meter = q.fetchone()
            assert (n, kw, meter) == (0, 0.5, "m1") and at.timestamp() == 1767225600, (n, kw, at)
            assert [d.type_code for d in q.description] == [20, 701, 1184, 25], q.description
            q.execute("SELECT 1.50::numeric(10,2), true, DATE '2026-01-02', ARRAY[1,2]")
            row = q.fetchone()
            assert str(row[0]) == "1.50" and row[1] is True and row[3] == [1, 2], row
        try:
            c.execute("SELECT * FROM nowhere")
            raise SystemExit("nowhere was found")
        except psycopg.errors.UndefinedTable as error:
            assert error.diag.message_hint, error
        rows = list(c.cursor().stream("SELECT * FROM feeder_kw"))
        assert len(rows) == 2
        for i in range(10):
            assert c.execute("SELECT %s::bigint + 1", (i,), prepare=True).fetchone() == (i + 1,)
        with c.transaction():
            assert c.execute("SELECT count(*) FROM meters").fetchone() == (3,)
print("done")
"#,
    );
    assert!(said.contains("done"), "{said}");
}

#[test]
fn two_hundred_idle_clients_are_nothing() {
    let open = Open::new();
    let said = script(
        &open,
        r#"
import os, time
import psycopg
where = f"host=127.0.0.1 port={os.environ['PG_PORT']} user=admin dbname=gridloom"
open_ = [psycopg.connect(where, password=os.environ["TOKEN"], autocommit=True) for _ in range(200)]
began = time.time()
assert open_[77].execute("SELECT count(*) FROM meters").fetchone() == (3,)
assert time.time() - began < 5
print("done")
"#,
    );
    assert!(said.contains("done"), "{said}");
}
