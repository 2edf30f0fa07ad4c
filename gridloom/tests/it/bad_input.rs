//! Input as it should not be, through the whole instance: what is bad is kept and can be queried,
//! what is good goes on, and the clock is not dragged. Here from files; `kafka_input` has the same
//! from a broker.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use schemas::event::MeterReading;
use schemas::reference::Meter;
use schemas::relation::Relation;
use schemas::time::Timestamp;

use crate::recovery::write_parquet;

fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridloom"));
    command.current_dir(folder).args(args).env("GRIDLOOM_LOG", "error").output().unwrap()
}

#[track_caller]
pub(crate) fn ask(folder: &Path, sql: &str) -> Vec<String> {
    let output = run(folder, &["sql", sql, "--output", "csv", "--data-dir", "data"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

/// A reading as it should be, at this second.
pub(crate) fn good(second: u32) -> String {
    format!(
        "{{\"meter_id\":\"meter-1\",\"measured_at\":\"2026-01-01T00:00:{second:02}Z\",\
         \"active_power_kw\":1.5,\"quality\":\"good\",\"revision\":0,\
         \"arrived_at\":\"2026-01-01T00:00:{second:02}Z\"}}"
    )
}

/// Records as they should not be, each with the word for what is wrong with it, and a part of the
/// sentence.
pub(crate) fn bad() -> Vec<(&'static str, &'static str, String)> {
    vec![
        ("malformed", "not JSON", "this is not JSON".to_owned()),
        ("wrong-type", "active_power_kw", good(12).replace("1.5", "\"much\"")),
        ("unknown-key", "meter-9", good(12).replace("meter-1", "meter-9")),
        ("not-finite", "NaN", good(12).replace("1.5", "NaN")),
        ("missing-column", "quality", good(12).replace("quality", "kwality")),
        ("too-long", "record_bytes_max", good(12).replace("meter-1", &"m".repeat(10 << 20))),
        ("empty", "no bytes", String::new()),
    ]
}

/// A reading a day ahead, by its own word or not.
pub(crate) fn ahead(word: bool) -> String {
    let reading = good(12).replace("measured_at\":\"2026-01-01", "measured_at\":\"2026-01-02");
    if word {
        reading.replace("arrived_at\":\"2026-01-01", "arrived_at\":\"2026-01-02")
    } else {
        reading
    }
}

/// A record that was kept, as the table shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kept {
    pub(crate) position: i64,
    pub(crate) source: String,
    pub(crate) partition: String,
    pub(crate) stream: String,
    pub(crate) reason: String,
    pub(crate) bytes: i64,
    pub(crate) sha256: String,
    pub(crate) head: String,
}

impl Kept {
    /// What must be kept of a record. The hash is another program's word.
    pub(crate) fn of(partition: &str, position: i64, reason: &str, record: &[u8]) -> Kept {
        let mut sum = Command::new("sha256sum");
        let mut sum = sum.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        sum.stdin.take().unwrap().write_all(record).unwrap();
        let sha256 = String::from_utf8(sum.wait_with_output().unwrap().stdout).unwrap();
        Kept {
            position,
            source: "meters".to_owned(),
            partition: partition.to_owned(),
            stream: "meter_readings".to_owned(),
            reason: reason.to_owned(),
            bytes: record.len() as i64,
            sha256: sha256.split_whitespace().next().unwrap().to_owned(),
            head: String::from_utf8_lossy(&record[..record.len().min(4_096)]).into_owned(),
        }
    }
}

/// Everything in quarantine, in order of position, with the sentence of each.
#[track_caller]
pub(crate) fn quarantine(folder: &Path) -> Vec<(Kept, String)> {
    let sql = "SELECT position, source, \"partition\", stream, reason, bytes, sha256, head, detail \
               FROM audit.quarantine ORDER BY position";
    let output = run(folder, &["sql", sql, "--output", "json", "--data-dir", "data"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let row = |row: &serde_json::Value| {
        let text = |name: &str| row[name].as_str().unwrap_or_else(|| panic!("{name}")).to_owned();
        let kept = Kept {
            position: row["position"].as_i64().unwrap(),
            source: text("source"),
            partition: text("partition"),
            stream: text("stream"),
            reason: text("reason"),
            bytes: row["bytes"].as_i64().unwrap(),
            sha256: text("sha256"),
            head: text("head"),
        };
        (kept, text("detail"))
    };
    rows.iter().map(row).collect()
}

/// The table that knows one meter, and the beginning of a configuration.
pub(crate) fn write_setting(folder: &Path, name: &str) -> String {
    let meter = Meter {
        meter_id: "meter-1".to_owned(),
        bus_id: "bus-1".to_owned(),
        feeder_id: "feeder-1".to_owned(),
        origin: "measured".to_owned(),
    };
    write_parquet(&folder.join("meters.parquet"), &Meter::to_batch(&[meter]));
    format!(
        "[instance]\nname = \"{name}\"\ndata_dir = \"data\"\npatience = \"off\"\n\
         [tables]\nmeters = \"meters.parquet\"\n[agents]\nenabled = false\n\
         [[sources]]\nname = \"meters\"\nstream = \"meter_readings\"\nout_of_order = \"5s\"\n"
    )
}

/// Where what is bad begins among ten readings of one meter, every 5 s.
const FIRST_BAD: usize = 3;

/// Ten readings in a file, in between which stands what should not.
fn write(folder: &Path, name: &str) {
    let mut lines: Vec<String> = (0..10).map(|n| good(n * 5)).collect();
    let bad = bad().into_iter().map(|(_, _, record)| record).chain([ahead(false)]);
    lines.splice(FIRST_BAD..FIRST_BAD, bad);
    fs::write(folder.join("readings.ndjson"), lines.join("\n") + "\n").unwrap();
    let config = write_setting(folder, name) + "kind = \"file\"\npath = \"readings.ndjson\"\n";
    fs::write(folder.join("gridloom.toml"), config).unwrap();
}

#[test]
fn what_is_bad_is_kept_and_what_is_good_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write(here, "bad-input");
    let output = run(here, &["run", "--config", "gridloom.toml"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    // Each column, of each record: where it stood, why, and what it was, byte by byte.
    let mut expected = bad();
    expected.push(("too-far-ahead", "ahead of its arrival", ahead(false)));
    let found = quarantine(here);
    assert_eq!(found.len(), expected.len());
    for (n, ((reason, part, record), (kept, detail))) in expected.iter().zip(&found).enumerate() {
        let position = (FIRST_BAD + n) as i64;
        assert_eq!(*kept, Kept::of("readings.ndjson", position, reason, record.as_bytes()));
        assert!(detail.contains(part), "{reason}: {detail}");
    }
    let sql = "SELECT reason, count(*) FROM quarantine GROUP BY 1 ORDER BY 1 LIMIT 1";
    assert_eq!(ask(here, sql), ["empty,1"], "refusals can be counted by their word");
    let sql = "SELECT measured_at, active_power_kw FROM meter_latest";
    assert_eq!(ask(here, sql), ["2026-01-01T00:00:45Z,1.5"]);
    assert_eq!(ask(here, "SELECT sum(n) FROM feeder_bin"), ["10"], "no good reading is lost");
}

#[test]
fn a_row_of_columns_is_kept_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let reading = |meter: &str, second: u64| MeterReading {
        meter_id: meter.to_owned(),
        measured_at: Timestamp(1_767_225_600_000 + second * 1_000),
        active_power_kw: 0.5,
        energy_import_kwh: None,
        energy_export_kwh: None,
        quality: "good".to_owned(),
        revision: 0,
    };
    let rows = [reading("meter-1", 0), reading("meter-9", 5), reading("meter-1", 20)];
    write_parquet(&here.join("readings.parquet"), &MeterReading::to_batch(&rows));
    let config = write_setting(here, "columns") + "kind = \"file\"\npath = \"readings.parquet\"\n";
    fs::write(here.join("gridloom.toml"), config).unwrap();
    let output = run(here, &["run"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rendered = "{\"meter_id\":\"meter-9\",\"measured_at\":\"2026-01-01T00:00:05Z\",\
                    \"active_power_kw\":0.5,\"energy_import_kwh\":null,\
                    \"energy_export_kwh\":null,\"quality\":\"good\",\"revision\":0}";
    let expected = Kept::of("readings.parquet", 1, "unknown-key", rendered.as_bytes());
    let kept: Vec<_> = quarantine(here).into_iter().map(|(kept, _)| kept).collect();
    assert_eq!(kept, [expected]);
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
