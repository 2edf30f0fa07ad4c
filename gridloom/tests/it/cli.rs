//! The binary as a person meets it: what it prints where, and how it exits.

use std::path::Path;
use std::process::Command;
use std::process::Output;

use gridloom::config::duration;
use schemas::time::Clock;
use schemas::time::HOUR_MS;

pub(crate) fn gridloom(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridloom"));
    command.current_dir(folder).args(args).env_remove("GRIDLOOM_LOG").output().unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs, and gives stdout of a command that must succeed.
#[track_caller]
pub(crate) fn good(folder: &Path, args: &[&str]) -> String {
    let output = gridloom(folder, args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", err(&output));
    out(&output)
}

/// Runs a command that must fail with `code`, and gives stderr.
#[track_caller]
pub(crate) fn bad(folder: &Path, args: &[&str], code: i32) -> String {
    let output = gridloom(folder, args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}{}", out(&output), err(&output));
    err(&output)
}

#[test]
fn check_lists_three_mistakes_and_exits_2() {
    let args = ["check", "--config", "gridloom/tests/config/three-mistakes.toml"];
    let output = gridloom(root(), &args);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(out(&output), "");
    assert_eq!(
        err(&output),
        "error: there is no column activ_power_kw\n  \
         --> gridloom/tests/config/three-mistakes/evening_load.sql:3: column 12\n  \
         hint: did you mean active_power_kw?\n\
         error: unknown key\n  \
         --> gridloom/tests/config/three-mistakes.toml:7: instance.patince\n  \
         hint: did you mean patience?\n\
         error: there is no source kind \"kafak\"\n  \
         --> gridloom/tests/config/three-mistakes.toml:12: sources[0].kind\n  \
         hint: did you mean kafka?\n\
         3 errors\n"
    );
}

#[test]
fn check_finds_tables_views_and_files_that_are_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("views")).unwrap();
    write("views/a.sql", "CREATE MATERIALIZED VIEW a AS SELECT bus_id FROM busses");
    write("views/b.sql", "CREATE MATERIALIZED VIEW b AS SELECT bus_id FROM a");
    write("views/c.sql", "CREATE MATERIALIZED VIEW c AS SELECT FROM WHERE");
    write("views/d.sql", "CREATE MATERIALIZED VIEW d AS SELECT x FROM c");
    write(
        "views/feeder_now.sql",
        "-- Takes the place of the shipped one.\n\nCREATE MATERIALIZED VIEW feeder_now AS\n\
         SELECT feeder_id, zone_id AS head_kw, limit_kw, 1 AS measure_at FROM feeders",
    );
    write("views/notes.txt", "not a view");
    write("meters.parquet", "not a table");
    write(
        "g.toml",
        "[instance]\nviews = \"views\"\n[tables]\nmeters = \"meters.parquet\"\n\
         prices = \"p.parquet\"\n[[sources]]\nname = \"m\"\nkind = \"file\"\n\
         stream = \"meter_readings\"\npath = \"absent.csv\"\nfromat = \"csv\"\n",
    );
    let told = bad(folder.path(), &["check", "--config", "g.toml"], 2);
    for wanted in [
        "g.toml:4: tables.meters",
        "error: prices is no reference table\n  --> g.toml:5: tables.prices",
        "error: there is no relation busses\n  --> views/a.sql:1",
        "did you mean buses?",
        "--> views/c.sql:1",
        "error: column head_kw is Utf8, and the agents read it as Float64\n  \
         --> views/feeder_now.sql:3: view feeder_now\n",
        "error: the agents read column measured_at, which is not there\n  \
         --> views/feeder_now.sql:3: view feeder_now\n  hint: did you mean measure_at?",
        "--> g.toml:10: sources[0].path",
        "--> g.toml:11: sources[0].fromat",
        "9 errors",
    ] {
        assert!(told.contains(wanted), "{wanted} is not in\n{told}");
    }
    for blameless in ["b.sql", "d.sql"] {
        assert!(!told.contains(blameless), "what reads a broken view is not to blame\n{told}");
    }
}

#[test]
fn check_finds_views_that_agents_miss_and_says_which_key() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[instance]\nname = \"g\"\nshipped_views = false\n";
    std::fs::write(folder.path().join("g.toml"), text).unwrap();
    let told = bad(folder.path(), &["check", "--config", "g.toml"], 2);
    let wanted = "error: the agents read the view feeder_now, which is not there\n  \
                  --> g.toml:3: instance.shipped_views\n  hint: write shipped_views = true";
    assert!(told.contains(wanted), "{told}");
}

#[test]
fn a_missing_configuration_is_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let told = bad(folder.path(), &["check"], 2);
    assert!(told.starts_with("error: cannot be read: "), "{told}");
    assert!(told.contains("--> gridloom.toml\n  hint: name the configuration with --config"));
}

#[test]
fn questions_without_data_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["sql", "SELECT 1"][..], &["audit", "verify"], &["why", "1:a:0"]] {
        assert_eq!(
            bad(folder.path(), args, 1),
            "error: there is neither ./gridloom-demo nor ./gridloom-data here\n\
             hint: run `gridloom demo` first, or name a folder with --data-dir\n"
        );
    }
    let told = bad(folder.path(), &["audit", "verify", "--data-dir", "x"], 1);
    assert!(told.starts_with("error: x holds no data of an instance\nhint: "), "{told}");
}

#[test]
fn explain_shows_what_a_view_keeps() {
    let folder = tempfile::tempdir().unwrap();
    let plan = good(folder.path(), &["explain", "meter_latest"]);
    assert!(plan.starts_with("view meter_latest (on_error = quarantine)\n"), "{plan}");
    assert!(plan.contains("bound: "), "{plan}");
    let select = "SELECT feeder_id, count(*) FROM meters GROUP BY 1";
    let plan = good(folder.path(), &["explain", select]);
    assert!(plan.contains("Reduce by (feeder_id)"), "{plan}");
    assert_eq!(
        bad(folder.path(), &["explain", "meter_lates"], 1),
        "error: there is no view meter_lates\nhint: did you mean meter_latest?\n"
    );
    let told = bad(folder.path(), &["explain", "SELECT bus_id FROM node_load ORDER BY 1"], 1);
    assert!(told.contains("ORDER BY without LIMIT cannot be maintained"), "{told}");
    assert!(told.contains("hint: "), "{told}");
}

/// The demo's first minutes, and everything that can be asked of them.
#[test]
fn a_short_demo_can_be_asked_verified_and_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let ticks = ["demo", "--ticks", "60", "--seed", "7"];
    let summary = good(here, &ticks);
    let first = good(here, &["audit", "verify"]);
    let intact = first.lines().next().unwrap();
    assert!(intact.starts_with("audit intact: ") && intact.ends_with(" records"), "{first}");
    assert!(summary.lines().any(|line| line.starts_with(&format!("{intact}, head "))), "{summary}");

    let output = gridloom(here, &["sql", "SELECT count(*) AS n FROM grid_state", "-o", "csv"]);
    assert_eq!(out(&output), "n\n116\n", "{}", err(&output));
    let told = err(&output);
    assert!(told.starts_with("gridloom-demo (written last): tick 2016-08-31T"), "{told}");
    assert!(told.contains(": tick 2016-") && told.contains(", the last of the log; "), "{told}");
    let (_, age) = told.trim_end().rsplit_once("; written ").unwrap();
    let age = duration::parse(age.strip_suffix(" ago").unwrap()).unwrap();
    assert!(age < 600_000, "{told}");

    let yesterday = Clock::Wall.now().minus(26 * HOUR_MS + 60_000);
    let head =
        std::fs::File::options().append(true).open(here.join("gridloom-demo/audit/head.json"));
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(yesterday.0);
    head.unwrap().set_modified(at).unwrap();
    let told = err(&gridloom(here, &["sql", "SELECT 1"]));
    assert!(told.ends_with("the last of the log; written 1d2h ago\n"), "{told}");

    let sql = "SELECT action_id, state FROM audit.actions ORDER BY tick_at, action_id LIMIT 1";
    let json: serde_json::Value =
        serde_json::from_str(&good(here, &["sql", sql, "--output", "json"])).unwrap();
    let action = json[0]["action_id"].as_str().unwrap();
    let why = good(here, &["why", action]);
    assert!(why.starts_with(&format!("action {action}\n")), "{why}");
    for wanted in ["proposed", "rule ", "reason ", "saw ", "feeder_now at 2016-08-31T", "record "] {
        assert!(why.contains(wanted), "{wanted} is not in\n{why}");
    }

    assert!(why.contains("asset_telemetry: asset_id battery-"), "{why}");
    assert!(why.contains("scada_measurements: sensor_id "), "{why}");
    assert!(why.contains("sources then: plant/asset_telemetry at "), "{why}");

    let told = bad(here, &["sql", "SELECT bus_idd FROM grid_state"], 1);
    assert!(told.contains("bus_idd"), "{told}");
    let told = bad(here, &["why", "1:nobody:0"], 1);
    assert!(told.contains("error: there is no action 1:nobody:0\nhint: there are "), "{told}");

    good(here, &["demo", "--ticks", "60", "--seed", "7", "--data-dir", "again", "--workers", "2"]);
    let second = good(here, &["audit", "verify", "--data-dir", "again"]);
    let head = |report: &str| report.lines().nth(1).unwrap().to_owned();
    assert_eq!(head(&first), head(&second), "the same day has the same head");

    tamper(&here.join("again/audit"));
    let output = gridloom(here, &["audit", "verify", "--data-dir", "again"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(out(&output).starts_with("audit NOT intact: "), "{}", out(&output));
}

/// Changes one byte in the middle of the first segment.
fn tamper(audit: &Path) {
    let segment = audit.join("00000000.segment");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
}
