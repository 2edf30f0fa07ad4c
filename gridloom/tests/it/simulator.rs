//! An instance on a simulated village: nothing to connect, nothing to load, and a restart that goes
//! on with the very record that was next.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Output;

use pipeline::log;
use schemas::audit::Head;
use schemas::time::Timestamp;

const STEPS: u64 = 60;

fn gridloom(folder: &Path, args: &[&str], abort: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridloom"));
    command.current_dir(folder).args(args).env("GRIDLOOM_LOG", "warn").env("RUST_BACKTRACE", "0");
    match abort {
        Some(abort) => command.env("GRIDLOOM_TEST_ABORT", abort),
        None => command.env_remove("GRIDLOOM_TEST_ABORT"),
    };
    command.output().unwrap()
}

#[track_caller]
fn ask(folder: &Path, sql: &str) -> String {
    let output = gridloom(folder, &["sql", sql, "-o", "csv", "--data-dir", "data"], None);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A folder with an instance on a village of some minutes.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[instance]\nname = \"village\"\ndata_dir = \"data\"\npatience = \"off\"\n\
         [[sources]]\nname = \"village\"\nkind = \"simulator\"\nseed = 3\nsteps = {STEPS}\n"
    );
    fs::write(folder.path().join("gridloom.toml"), config).unwrap();
    folder
}

#[track_caller]
fn finish(folder: &Path) -> Head {
    let output = gridloom(folder, &["run"], None);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let unexpected: Vec<_> = (said.lines())
        .filter(|line| !line.contains("dropped an uncommitted tail"))
        .filter(|line| line.contains("WARN") || line.contains("ERROR"))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    let report = log::verify(&folder.join("data/audit")).unwrap();
    assert!(report.intact(), "{report}");
    report.head
}

const GRID: &str = "SELECT * FROM grid_state ORDER BY bus_id";

#[test]
fn a_village_runs_without_a_broker_and_is_the_same_after_kills_60_ticks() {
    let undisturbed = folder();
    let head = finish(undisturbed.path());
    // One more tick for what was on its way at the end.
    let end = Timestamp(1_472_601_600_000 + (STEPS + 1) * 5_000);
    assert_eq!(head.tick, end);
    let grid = ask(undisturbed.path(), GRID);
    assert_eq!(grid.lines().count(), 117, "each bus, and the header");
    let counts = ask(undisturbed.path(), "SELECT count(*) FROM audit.quarantine");
    assert_eq!(counts.lines().last(), Some("0"), "the village's tables know its meters");

    let killed = folder();
    for point in ["synced:7", "appended:20"] {
        let output = gridloom(killed.path(), &["run"], Some(point));
        assert!(!output.status.success(), "{point} was never reached");
    }
    assert_eq!(finish(killed.path()), head, "the audit head");
    assert_eq!(ask(killed.path(), GRID), grid);
}
