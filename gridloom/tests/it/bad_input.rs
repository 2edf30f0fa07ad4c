//! Input as it should not be, through the whole instance: what is bad is kept and can be queried,
//! what is good goes on, and the clock is not dragged.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Output;

use schemas::reference::Meter;
use schemas::relation::Relation;

use crate::recovery::write_parquet;

fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridloom"));
    command.current_dir(folder).args(args).env("GRIDLOOM_LOG", "error").output().unwrap()
}

#[track_caller]
fn ask(folder: &Path, sql: &str) -> Vec<String> {
    let output = run(folder, &["sql", sql, "--output", "csv", "--data-dir", "data"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

/// Ten readings of one meter, every 5 s, in between which stands what should not.
fn write(folder: &Path, name: &str) {
    let good = |second: u32| {
        format!(
            "{{\"meter_id\":\"meter-1\",\"measured_at\":\"2026-01-01T00:00:{second:02}Z\",\
             \"active_power_kw\":1.5,\"quality\":\"good\",\"revision\":0,\
             \"arrived_at\":\"2026-01-01T00:00:{second:02}Z\"}}"
        )
    };
    let mut lines: Vec<String> = (0..10).map(|n| good(n * 5)).collect();
    let bad = [
        "this is not JSON".to_owned(),
        good(12).replace("1.5", "\"much\""),
        good(12).replace("meter-1", "meter-9"),
        good(12).replace("1.5", "NaN"),
        // A day ahead of its arrival.
        good(12).replace("\"measured_at\":\"2026-01-01", "\"measured_at\":\"2026-01-02"),
        good(12).replace("meter-1", &"m".repeat(10 << 20)),
        String::new(),
    ];
    for (n, line) in bad.into_iter().enumerate() {
        lines.insert(3 + n, line);
    }
    fs::write(folder.join("readings.ndjson"), lines.join("\n") + "\n").unwrap();
    let meter = Meter {
        meter_id: "meter-1".to_owned(),
        bus_id: "bus-1".to_owned(),
        feeder_id: "feeder-1".to_owned(),
        origin: "measured".to_owned(),
    };
    write_parquet(&folder.join("meters.parquet"), &Meter::to_batch(&[meter]));
    let config = format!(
        "[instance]\nname = \"{name}\"\ndata_dir = \"data\"\npatience = \"off\"\n\
         [tables]\nmeters = \"meters.parquet\"\n[agents]\nenabled = false\n\
         [[sources]]\nname = \"meters\"\nkind = \"file\"\nstream = \"meter_readings\"\n\
         path = \"readings.ndjson\"\nout_of_order = \"5s\"\n"
    );
    fs::write(folder.join("gridloom.toml"), config).unwrap();
}

#[test]
fn what_is_bad_is_kept_and_what_is_good_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write(here, "bad-input");
    let output = run(here, &["run", "--config", "gridloom.toml"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let sql = "SELECT split_part(reason, ':', 1) AS why, count(*) FROM audit.quarantine \
               GROUP BY 1 ORDER BY 1";
    let kept = ask(here, sql);
    let expected = [
        "empty,1",
        "malformed,1",
        "not-finite,1",
        "too-far-ahead,1",
        "too-long,1",
        "unknown-key,1",
        "wrong-type,1",
    ];
    assert_eq!(kept, expected);
    // The whole is known by length and hash, its beginning is kept.
    let sql = "SELECT bytes > 10000000, octet_length(head), length(sha256) FROM audit.quarantine \
               WHERE reason LIKE 'too-long%'";
    assert_eq!(ask(here, sql), ["true,4096,64"]);
    let sql = "SELECT measured_at, active_power_kw FROM meter_latest";
    assert_eq!(ask(here, sql), ["2026-01-01T00:00:45Z,1.5"]);
    assert_eq!(ask(here, "SELECT sum(n) FROM feeder_bin"), ["10"], "no good reading is lost");
}

#[test]
fn a_folder_of_another_instance_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write(here, "first");
    assert!(run(here, &["run"]).status.success());
    write(here, "second");
    let output = run(here, &["run"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("first") && told.contains("second"), "{told}");
    assert!(told.contains("give this instance a data_dir of its own"), "{told}");
}
