//! The archive as people meet it: sealed by hand and by a running instance that is killed, asked in
//! SQL, verified, and read and tampered with by other people's libraries.
//!
//! `cargo xtask test` makes the Python with those libraries; without it these tests fail.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

use archive::Archive;
use archive::Location;
use gridloom::audit_tables;
use gridloom::sealed;
use gridloom::wiring::bundled;
use gridloom::wiring::day::Day;
use pipeline::log;
use schemas::audit::Kind;
use schemas::time::Timestamp;

use crate::recovery;

/// Ticks of the day: a quarter of an hour has actions, forecasts and alarms.
const TICKS: u64 = 200;

fn gridloom(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gridloom")).current_dir(folder).args(args).output().unwrap()
}

/// Runs, and gives stdout of a command that must end with `code`.
#[track_caller]
fn ends(folder: &Path, args: &[&str], code: i32) -> String {
    let output = gridloom(folder, args);
    let (out, err) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
    let out = String::from_utf8(out).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {out}{err}");
    out
}

#[track_caller]
fn python(args: &[&str]) -> String {
    let bin = std::env::var("GRIDLOOM_TEST_PYTHON")
        .expect("GRIDLOOM_TEST_PYTHON names a Python with clients: run `cargo xtask test`");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/archive.py");
    let python = Path::new(&bin).join("python");
    let output = Command::new(python).arg(script).args(args).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {err}");
    String::from_utf8(output.stdout).unwrap()
}

/// A log of the day's first ticks in `data`, not sealed.
fn recorded(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    let day = Day::new(data.clone());
    let mut lockstep = day.open(bundled::plant_data().unwrap()).unwrap();
    for _ in 0..TICKS {
        lockstep.step().unwrap();
    }
    lockstep.stop().unwrap();
    data
}

const QUESTIONS: [&str; 4] = [
    "SELECT state, count(*), sum(active_power_kw) FROM audit.actions GROUP BY 1 ORDER BY 1",
    "SELECT * FROM audit.actions ORDER BY tick_at, subject, sequence LIMIT 7",
    "SELECT count(*), min(tick_at), max(target_at), sum(p50_kw) FROM audit.forecasts",
    "SELECT a.kind, count(*) FROM audit.alarms a GROUP BY 1 ORDER BY 1",
];

fn answers(folder: &Path) -> Vec<String> {
    let ask = |sql| ends(folder, &["sql", sql, "-o", "csv", "--data-dir", "data"], 0);
    QUESTIONS.map(ask).to_vec()
}

fn counted(data: &Path) -> Vec<usize> {
    let rows = |kind| audit_tables::rows(data, kind).unwrap();
    Kind::ALL.map(|kind| rows(kind).batches.iter().map(|b| b.num_rows()).sum()).to_vec()
}

#[test]
fn a_sealed_log_gives_the_same_answers_and_others_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let data = recorded(here);
    let (fresh, counts) = (answers(here), counted(&data));
    assert!(counts.iter().sum::<usize>() > 1_000, "{counts:?}");

    let said = ends(here, &["audit", "seal", "--data-dir", "data"], 0);
    let records: usize = counts.iter().sum();
    assert!(said.starts_with(&format!("sealed {records} records: now {records} ")), "{said}");
    assert_eq!(answers(here), fresh);
    assert_eq!(counted(&data), counts);
    let said = ends(here, &["audit", "seal", "--data-dir", "data"], 0);
    assert!(said.starts_with(&format!("sealed 0 records: now {records} ")), "{said}");
    let said = ends(here, &["audit", "verify", "--data-dir", "data"], 0);
    assert!(said.starts_with(&format!("audit intact: {records} records\n")), "{said}");
    assert!(said.contains(&format!("\narchive: {records} records to tick ")), "{said}");

    // Without us.
    let table = data.join("archive").display().to_string();
    let read: serde_json::Value = serde_json::from_str(&python(&["read", &table])).unwrap();
    assert_eq!(read["instance"], "demo");
    assert_eq!(read["partitions"], serde_json::json!(["day", "record_kind"]));
    for (at, kind) in Kind::ALL.into_iter().enumerate().filter(|(at, _)| counts[*at] > 0) {
        assert_eq!(read["polars"][kind.name()], counts[at], "{kind}");
        assert_eq!(read["duckdb"][kind.name()], counts[at], "{kind}");
    }
    for total in ["delta-rs", "sealed"] {
        assert_eq!(read[total], records, "{total}");
    }
    assert_eq!(read["chained"], records - 1);
    let by_state: Vec<String> = read["states"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(state, n)| format!("{state},{n}"))
        .collect();
    let ours: Vec<String> = (fresh[0].lines().skip(1))
        .map(|line| line.rsplit_once(',').unwrap().0.to_owned())
        .collect();
    assert_eq!(by_state, ours);
    let first: Vec<&str> = fresh[1].lines().nth(1).unwrap().split(',').collect();
    assert!(first.contains(&read["first"]["hash"].as_str().unwrap()), "{first:?}");
    assert!(first.contains(&read["first"]["action_id"].as_str().unwrap()), "{first:?}");
}

#[test]
fn what_others_do_to_the_archive_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let data = recorded(here);
    ends(here, &["audit", "seal", "--data-dir", "data"], 0);
    let table = data.join("archive").display().to_string();
    let verify = ["audit", "verify", "--data-dir", "data"];

    python(&["compact", &table]);
    ends(here, &verify, 0);

    let sql = "SELECT action_id, subject FROM audit.actions WHERE state = 'proposed' LIMIT 1";
    let rows = ends(here, &["sql", sql, "-o", "csv", "--data-dir", "data"], 0);
    let (action, subject) = rows.lines().nth(1).unwrap().split_once(',').unwrap();
    python(&["edit", &table, action]);
    let said = ends(here, &verify, 1);
    assert!(said.starts_with(&format!("audit NOT intact: edited: action {subject:?} ")), "{said}");
    assert!(!said.contains("also:"), "one edit is one finding: {said}");

    python(&["delete", &table, action]);
    let said = ends(here, &verify, 1);
    let wanted = "audit NOT intact: records deleted or added before: action ";
    assert!(said.starts_with(wanted), "{said}");
}

#[test]
fn an_archive_with_another_history_is_found_where_the_log_passes() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let data = recorded(here);
    ends(here, &["audit", "seal", "--data-dir", "data"], 0);
    // A day that went otherwise, sealed by the same program under the same name.
    let other = here.join("other");
    fs::create_dir(&other).unwrap();
    let day = Day { seed: 2, ..Day::new(other.join("data")) };
    let mut lockstep = day.open(bundled::plant_data().unwrap()).unwrap();
    (0..TICKS).for_each(|_| drop(lockstep.step().unwrap()));
    lockstep.stop().unwrap();
    ends(&other, &["audit", "seal", "--data-dir", "data"], 0);
    fs::remove_dir_all(data.join("archive")).unwrap();
    fs::rename(other.join("data/archive"), data.join("archive")).unwrap();
    let said = ends(here, &["audit", "verify", "--data-dir", "data"], 1);
    assert!(said.starts_with("audit NOT intact: the chain is not that of the archive"), "{said}");
}

/// A configuration that seals every few ticks, elsewhere than in the data folder.
fn sealing_config(input: &Path, run: &Path) -> PathBuf {
    let config = recovery::write_config(input, run);
    let mut text = fs::read_to_string(&config).unwrap();
    text.push_str("[archive]\npath = \"elsewhere\"\nseal_every = 12\ncompact_files = 2\n");
    fs::write(&config, text).unwrap();
    config
}

#[track_caller]
fn run(config: &Path, abort: Option<&str>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridloom"));
    command.args(["run", "--config"]).arg(config).env("GRIDLOOM_LOG", "warn");
    if let Some(abort) = abort {
        command.env("GRIDLOOM_TEST_SEAL_ABORT", abort);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), abort.is_none(), "{abort:?}: {said}");
    said
}

#[test]
fn an_instance_seals_while_it_runs_and_survives_being_killed_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::create_dir_all(&input).unwrap();
    recovery::write_input(&input, 120);
    let mut heads = Vec::new();
    for abort in [None, Some("written:1"), Some("committed:1"), Some("widened:1")] {
        let home = folder.path().join(abort.unwrap_or("undisturbed").replace(':', "-"));
        let config = sealing_config(&input, &home);
        if abort.is_some() {
            run(&config, abort);
        }
        let said = run(&config, None);
        let strange = said.lines().find(|line| {
            (line.contains("WARN") || line.contains("ERROR"))
                && !line.contains("dropped an uncommitted tail")
        });
        assert_eq!(strange, None);
        let data = home.join("data");
        let elsewhere = Location::folder(&home.join("elsewhere")).unwrap();
        let archive = Archive::existing(elsewhere, "recovery").unwrap().expect("an archive");
        let sealed = archive.sealed();
        let verified = sealed::verify(&data).unwrap();
        assert!(verified.intact(), "{verified}");
        let report = verified.archive.as_ref().unwrap();
        assert_eq!((report.records(), report.head.tick), (sealed.count, sealed.tick));
        // All but the last few ticks were due.
        let behind = verified.log.head.tick.0 - sealed.tick.0;
        assert!(sealed.tick > Timestamp(0) && behind < 12 * 5_000, "{behind} ms behind");
        let all: usize = counted(&data).iter().sum();
        assert_eq!(all as u64, verified.log.head.count, "fresh and sealed are all");
        let config = config.display().to_string();
        let said = ends(&home, &["audit", "seal", "--config", &config], 0);
        let total = format!(": now {} records", verified.log.head.count);
        assert!(said.starts_with("sealed ") && said.contains(&total), "{said}");
        assert_eq!(counted(&data).iter().sum::<usize>(), all);
        heads.push(log::verify(&data.join("audit")).unwrap().head);
    }
    assert!(heads.iter().all(|head| *head == heads[0]), "{heads:?}");
}
