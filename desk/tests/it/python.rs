//! Python's clients: ADBC over Flight SQL, psycopg, and dbt. `cargo xtask test` installs them.

use std::path::PathBuf;
use std::process::Command;

use crate::desk::Open;
use crate::psql::rows;

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

/// A dbt project in a folder of its own.
struct Project<'a> {
    open: &'a Open,
    folder: tempfile::TempDir,
}

impl Project<'_> {
    fn new(open: &Open) -> Project<'_> {
        let project = Project { open, folder: tempfile::tempdir().unwrap() };
        project.write("dbt_project.yml", PROJECT);
        project.write("profiles.yml", PROFILES);
        project.write("models/schema.yml", SCHEMA);
        project.write("models/big.sql", "select * from {{ source('grid', 'meters') }}");
        let by_feeder = "select feeder_id, count(*) as n from {{ ref('big') }} group by feeder_id";
        project.write("models/by_feeder.sql", by_feeder);
        project
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn dbt(&self, arguments: &[&str]) -> Command {
        let mut dbt = Command::new(program("dbt"));
        dbt.args(["--no-use-colors", "--no-send-anonymous-usage-stats"]).args(arguments);
        dbt.args(["--profiles-dir", "."]).current_dir(self.folder.path());
        dbt.env("TOKEN", &self.open.admin).env("DO_NOT_TRACK", "1");
        dbt.env("PG_PORT", self.open.doors.postgres.unwrap().port().to_string());
        dbt
    }

    #[track_caller]
    fn check(&self, arguments: &[&str], said: &str) {
        let output = run(&mut self.dbt(arguments));
        assert!(output.contains(said), "{output}");
    }
}

const PROJECT: &str = r#"
name: grid
version: "1.0"
profile: gridloom
model-paths: ["models"]
models:
  +materialized: materialized_view
"#;

const PROFILES: &str = r#"
gridloom:
  target: dev
  outputs:
    dev:
      type: postgres
      host: 127.0.0.1
      port: "{{ env_var('PG_PORT') | int }}"
      user: admin
      password: "{{ env_var('TOKEN') }}"
      dbname: gridloom
      schema: public
      threads: 1
"#;

const SCHEMA: &str = r#"
sources:
  - name: grid
    schema: public
    tables: [{ name: meters }]
models:
  - name: big
    columns:
      - name: meter_id
        data_tests: [not_null, unique]
  - name: by_feeder
    columns:
      - name: feeder_id
        data_tests: [not_null]
"#;

#[test]
fn dbt_makes_and_replaces_views() {
    let open = Open::new();
    let project = Project::new(&open);
    project.check(&["debug"], "All checks passed!");
    project.check(&["run"], "PASS=2 ");
    // Unchanged models are refreshed, which they always are.
    project.check(&["run"], "PASS=2 ");
    project.check(&["test"], "PASS=3 ");
    project.check(&["docs", "generate"], "Catalog written");
    // A changed model is dropped and made again within a transaction, though another reads it.
    let changed = "select * from {{ source('grid', 'meters') }} where limit_kw > 6";
    project.write("models/big.sql", changed);
    project.check(&["run", "--full-refresh", "--select", "big"], "PASS=1 ");
    let said = script(
        &open,
        r#"
import os
import psycopg
where = f"host=127.0.0.1 port={os.environ['PG_PORT']} user=admin dbname=gridloom"
with psycopg.connect(where, password=os.environ["TOKEN"]) as c:
    print(c.execute("SELECT * FROM by_feeder ORDER BY 1").fetchall())
"#,
    );
    assert_eq!(said.trim(), "[('f1', 1), ('f2', 1)]");
    // A model that would not be maintained is refused with the way round.
    project.write("models/plain.sql", "{{ config(materialized='view') }} select 1 as x");
    let output = project.dbt(&["run", "--select", "plain"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("CREATE VIEW is not done here"), "{said}");
    assert!(said.contains("materialized: materialized_view"), "{said}");
}

#[test]
fn dbt_makes_and_changes_indexes() {
    let open = Open::new();
    let project = Project::new(&open);
    let by = |column: &str| {
        let config = "{{ config(indexes=[{'columns': ['BY']}]) }}".replace("BY", column);
        project.write("models/big.sql", &(config + "select * from {{ source('grid', 'meters') }}"));
    };
    let indexes = || rows(&open, "SELECT relation, columns FROM gridloom.indexes");
    by("feeder_id");
    project.check(&["run", "--select", "big"], "PASS=1 ");
    assert_eq!(indexes(), "big|feeder_id");
    let name = rows(&open, "SELECT name FROM gridloom.indexes");
    project.check(&["run", "--select", "big"], "PASS=1 ");
    assert_eq!(rows(&open, "SELECT name FROM gridloom.indexes"), name);
    by("meter_id");
    project.check(&["run", "--select", "big"], "PASS=1 ");
    assert_eq!(indexes(), "big|meter_id");
    project.check(&["run", "--full-refresh", "--select", "big"], "PASS=1 ");
    assert_eq!(indexes(), "big|meter_id");
}
