//! What a view cannot compute, from the reading to the question: left out, listed, told once, and
//! where the view says so, no answer.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Output;

fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridloom"));
    command.current_dir(folder).args(args).env("GRIDLOOM_LOG", "warn").output().unwrap()
}

fn ask(folder: &Path, sql: &str) -> Output {
    run(folder, &["sql", sql, "--output", "csv", "--data-dir", "data"])
}

#[track_caller]
fn answer(folder: &Path, sql: &str) -> Vec<String> {
    let output = ask(folder, sql);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

#[track_caller]
fn refusal(folder: &Path, sql: &str) -> String {
    let output = ask(folder, sql);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

/// Ten readings, of which the fourth and the seventh have nothing to divide by.
fn write(folder: &Path) {
    let reading = |n: u32| {
        let revision = u32::from(!matches!(n, 3 | 6));
        let second = n * 5;
        format!(
            "{{\"meter_id\":\"meter-1\",\"measured_at\":\"2026-01-01T00:00:{second:02}Z\",\
             \"active_power_kw\":1.5,\"quality\":\"good\",\"revision\":{revision}}}\n"
        )
    };
    fs::write(folder.join("readings.ndjson"), (0..10).map(reading).collect::<String>()).unwrap();
    fs::create_dir(folder.join("views")).unwrap();
    let view = |name: &str, options: &str, select: &str| {
        let sql = format!("CREATE MATERIALIZED VIEW {name} {options} AS {select}");
        fs::write(folder.join("views").join(format!("{name}.sql")), sql).unwrap();
    };
    let shares = "SELECT measured_at, 6 / revision AS share FROM meter_readings";
    view("shares", "", shares);
    view("lenient", "WITH (on_error = 'null')", shares);
    view("strict", "WITH (on_error = 'fail')", shares);
    view("above", "", "SELECT count(*) AS n FROM strict");
    let config = "[instance]\nname = \"errors\"\ndata_dir = \"data\"\npatience = \"off\"\n\
                  views = \"views\"\nshipped_views = false\n[agents]\nenabled = false\n\
                  [[sources]]\nname = \"meters\"\nkind = \"file\"\nstream = \"meter_readings\"\n\
                  path = \"readings.ndjson\"\nout_of_order = \"5s\"\n";
    fs::write(folder.join("gridloom.toml"), config).unwrap();
}

#[test]
fn what_a_view_cannot_compute_is_listed_told_once_and_fails_where_it_must() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write(here);
    let output = run(here, &["run", "--config", "gridloom.toml"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    let warned = told.lines().filter(|line| line.contains("rows of a view cannot be computed"));
    assert_eq!(warned.count(), 2, "once for shares, once for strict\n{told}");

    let errors = answer(
        here,
        "SELECT view, expression, count, row, message FROM view_errors ORDER BY view, row",
    );
    assert_eq!(errors.len(), 4, "{errors:?}");
    for (error, view) in errors.iter().zip(["shares", "shares", "strict", "strict"]) {
        assert!(error.starts_with(&format!("{view},6 / revision,1,measured_at=2026-")), "{error}");
        assert!(error.contains("revision=0,"), "{error}");
        assert!(error.to_lowercase().contains("divide by zero"), "{error}");
    }
    assert_eq!(answer(here, "SELECT count(*), sum(share) FROM shares"), ["8,48"]);
    assert_eq!(answer(here, "SELECT count(*), count(share) FROM lenient"), ["10,8"]);

    for view in ["strict", "above"] {
        let told = refusal(here, &format!("SELECT * FROM {view}"));
        let why = "2 rows of strict cannot be computed, and strict has on_error = 'fail'";
        assert!(told.contains(&format!("error: {view} cannot be read: {why}")), "{told}");
        assert!(told.contains("hint: SELECT * FROM view_errors WHERE view = 'strict'"), "{told}");
    }
}
