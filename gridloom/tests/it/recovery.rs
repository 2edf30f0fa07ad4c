//! `kill -9` at any moment, then start again: equal to a run that nobody disturbed.
//!
//! Half an hour of the village's evening stands in files, two partitions of readings among them,
//! and beside it a stream of values by key that replace each other. An undisturbed `gridloom run`
//! gives the reference: views row by row, the audit chain's head, the setpoints that left. Then the
//! same run is killed, by a signal at a seeded random moment or by itself between two system calls
//! (appended but not synced, synced but not sent, sent), and started again until it ends. One run
//! is killed again while it replays.
//!
//! Sources without `patience` make a tick a function of the files alone, so even the heads must be
//! equal.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::array::UInt64Array;
use arrow::compute::take_record_batch;
use arrow::json::LineDelimitedWriter;
use connectors::simulator::Plant;
use connectors::simulator::PlantConfig;
use connectors::simulator::plant::DEMO_START_AT;
use gridloom::wiring::bundled;
use pipeline::log;
use pipeline::views::snapshot;
use pipeline::views::snapshot::OnDisk;
use schemas::relation::Relation;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

/// Steps of the plant in the files: half an hour.
const STEPS: usize = 360;

/// Kills by signal, each in a run of its own.
const SIGNALS: u64 = 12;

/// Kills between two system calls: the point and how often it is reached first.
const POINTS: [&str; 8] = [
    "synced:3",
    "synced:60",
    "synced:111",
    "synced:200",
    "synced:299",
    "appended:45",
    "appended:170",
    "sent:90",
];

/// Setpoints that a signal may let run out: those of one tick, one a battery.
const RUN_OUT_MAX: usize = 57;

// What was asked for: twenty kills, at least five of them between sync and send.
const _: () = assert!(SIGNALS as usize + POINTS.len() >= 20);

/// Writes the plant's readings and tables; every stream that it feeds.
pub(crate) fn write_input(folder: &Path, steps: usize) {
    let start_at = Timestamp(DEMO_START_AT.0 + 18 * HOUR_MS);
    let config = PlantConfig { start_at, ..PlantConfig::default() };
    let mut plant = Plant::new(bundled::plant_data().unwrap(), config).unwrap();
    for (name, rows) in bundled::tables(&plant) {
        write_parquet(&folder.join(format!("{name}.parquet")), &rows);
    }
    let mut files: BTreeMap<&str, Vec<RecordBatch>> = BTreeMap::new();
    for _ in 0..steps {
        let step = plant.step(plant.next_at(), &[]);
        let readings = Relation::to_batch(&step.meter_readings);
        let half = |odd: u64| {
            let rows = (0..readings.num_rows() as u64).filter(|row| row % 2 == odd);
            take_record_batch(&readings, &UInt64Array::from_iter_values(rows)).unwrap()
        };
        let batches = [
            ("meter_readings-0", half(0)),
            ("meter_readings-1", half(1)),
            ("scada_measurements", Relation::to_batch(&step.scada_measurements)),
            ("asset_telemetry", Relation::to_batch(&step.asset_telemetry)),
            ("weather_observations", Relation::to_batch(&step.weather_observations)),
            ("prices", Relation::to_batch(&step.prices)),
            ("switch_positions", Relation::to_batch(&step.switch_positions)),
        ];
        for (name, batch) in batches {
            files.entry(name).or_default().push(batch);
        }
    }
    fs::write(folder.join("ev_sessions.ndjson"), chargers(start_at, steps).join("\n")).unwrap();
    for (name, batches) in files {
        let file = fs::File::create(folder.join(format!("{name}.ndjson"))).unwrap();
        let mut writer = LineDelimitedWriter::new(std::io::BufWriter::new(file));
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
    }
}

/// Values by key: what chargers report, often with an earlier time than what they reported before.
fn chargers(start_at: Timestamp, steps: usize) -> Vec<String> {
    let mut seed = 7u64;
    let mut draw = |n: u64| {
        seed = next(seed);
        (seed >> 33) % n
    };
    let mut report = |step: usize| {
        let at = start_at.plus(step as u64 * 5_000).minus(draw(60_000));
        let (charger, kw) = (draw(20), draw(11_264) as f64 / 1_024.0);
        let site = charger % 4;
        format!(
            "{{\"charger_id\":\"charger-{charger:02}\",\"site\":\"site-{site}\",\
             \"started_at\":\"{at}\",\"kw\":{kw}}}"
        )
    };
    (0..steps).flat_map(|step| [step; 3]).map(&mut report).collect()
}

/// The next of a row of seeds.
pub(crate) fn next(seed: u64) -> u64 {
    seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}

/// Views over what chargers report: the values themselves, and sums that must take them back.
const CHARGER_VIEWS: [(&str, &str); 2] = [
    (
        "charging",
        "CREATE MATERIALIZED VIEW charging AS SELECT charger_id, started_at, kw FROM ev_sessions",
    ),
    (
        "site_load",
        "CREATE MATERIALIZED VIEW site_load AS
         SELECT site, count(*) AS n, sum(kw) AS kw FROM ev_sessions GROUP BY site",
    ),
];

pub(crate) fn write_parquet(path: &Path, rows: &RecordBatch) {
    let file = fs::File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, rows.schema(), None).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

/// Writes the configuration of one run, with its own data folder and sink.
pub(crate) fn write_config(input: &Path, run: &Path) -> PathBuf {
    fs::create_dir_all(run).unwrap();
    let mut text = String::from(
        "[instance]\nname = \"recovery\"\ndata_dir = \"data\"\npatience = \"off\"\n\
         ticks_in_flight = 2\n",
    );
    fs::create_dir_all(run.join("views")).unwrap();
    for (name, sql) in CHARGER_VIEWS {
        fs::write(run.join(format!("views/{name}.sql")), sql).unwrap();
    }
    text.push_str("snapshot_every = 100\nviews = \"views\"\n");
    text.push_str(
        "[streams.ev_sessions]\nevent_time = \"started_at\"\nkey = [\"charger_id\"]\n\
         envelope = \"upsert\"\ncolumns = { charger_id = \"TEXT NOT NULL\", \
         site = \"TEXT NOT NULL\", started_at = \"TIMESTAMP NOT NULL\", \
         kw = \"DOUBLE PRECISION NOT NULL\" }\n[tables]\n",
    );
    for table in schemas::reference::tables() {
        let path = input.join(format!("{}.parquet", table.name));
        text.push_str(&format!("{} = {path:?}\n", table.name));
    }
    let sources: [(&str, &[&str]); 7] = [
        ("meter_readings", &["meter_readings-0", "meter_readings-1"]),
        ("scada_measurements", &["scada_measurements"]),
        ("asset_telemetry", &["asset_telemetry"]),
        ("weather_observations", &["weather_observations"]),
        ("prices", &["prices"]),
        ("switch_positions", &["switch_positions"]),
        ("ev_sessions", &["ev_sessions"]),
    ];
    for (stream, files) in sources {
        let paths: Vec<_> = files
            .iter()
            .map(|file| format!("{:?}", input.join(format!("{file}.ndjson"))))
            .collect();
        text.push_str(&format!(
            "[[sources]]\nname = \"{stream}\"\nkind = \"file\"\nstream = \"{stream}\"\n\
             path = [{}]\nbatch_rows = 97\nout_of_order = \"20s\"\n",
            paths.join(", ")
        ));
    }
    text.push_str("[sinks.setpoints]\nkind = \"file\"\npath = \"setpoints.ndjson\"\n");
    let path = run.join("gridloom.toml");
    fs::write(&path, text).unwrap();
    path
}

pub(crate) fn start(config: &Path, abort: Option<&str>) -> Child {
    run_command(config, abort).spawn().unwrap()
}

fn run_command(config: &Path, abort: Option<&str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridloom"));
    command.args(["run", "--config"]).arg(config);
    command.env("GRIDLOOM_LOG", "warn").env("RUST_BACKTRACE", "0");
    match abort {
        Some(abort) => command.env("GRIDLOOM_TEST_ABORT", abort),
        None => command.env_remove("GRIDLOOM_TEST_ABORT"),
    };
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

#[track_caller]
fn finish(config: &Path) {
    let output = start(config, None).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // Only what a kill may leave behind may be said.
    let unexpected: Vec<_> = (said.lines())
        .filter(|line| line.contains("ERROR") || line.contains("WARN"))
        .filter(|line| !line.contains("dropped an uncommitted tail"))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

/// What a run left behind.
#[derive(Debug, PartialEq)]
struct Outcome {
    tick: Timestamp,
    views: BTreeMap<String, RecordBatch>,
    records: u64,
    head: String,
    setpoints: Vec<String>,
}

#[track_caller]
fn outcome(run: &Path) -> Outcome {
    let OnDisk { tick, views, .. } =
        snapshot::read(&run.join("data")).unwrap().expect("a snapshot");
    let report = log::verify(&run.join("data/audit")).unwrap();
    assert!(report.intact(), "{report:?}");
    let sent = fs::read_to_string(run.join("setpoints.ndjson")).unwrap();
    let sent: Vec<String> = sent.lines().map(str::to_owned).collect();
    let mut once = sent.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), sent.len(), "a setpoint left twice");
    Outcome {
        tick,
        views,
        records: report.head.count,
        head: report.head.hash.to_string(),
        setpoints: once,
    }
}

#[test]
fn killed_at_any_moment_on_files_360_ticks_20_kills() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::create_dir_all(&input).unwrap();
    write_input(&input, STEPS);
    let undisturbed = folder.path().join("undisturbed");
    let config = write_config(&input, &undisturbed);
    let began = std::time::Instant::now();
    finish(&config);
    let took = began.elapsed();
    let expected = outcome(&undisturbed);
    assert!(expected.views["grid_state"].num_rows() > 100);
    assert!(expected.setpoints.len() > 100, "only {} setpoints", expected.setpoints.len());

    check_last_words(&input, &expected);

    let mut kills = 0;
    for point in POINTS {
        let run = folder.path().join(point.replace(':', "-"));
        let config = write_config(&input, &run);
        let status = start(&config, Some(point)).wait().unwrap();
        assert!(!status.success(), "{point} was never reached");
        kills += 1;
        finish(&config);
        check_same(point, &outcome(&run), &expected);
    }
    let mut seed = 20_160_831u64;
    let mut signal = 0;
    while kills < POINTS.len() as u64 + SIGNALS {
        signal += 1;
        assert!(signal <= 10 * SIGNALS, "most runs ended before they were killed");
        seed = next(seed);
        let run = folder.path().join(format!("signal-{signal}"));
        let config = write_config(&input, &run);
        let mut child = start(&config, None);
        let share = (seed >> 33) as f64 / (1u64 << 31) as f64;
        std::thread::sleep(Duration::from_secs_f64(took.as_secs_f64() * (0.1 + 0.7 * share)));
        // It may have ended just before: then another moment is drawn.
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            continue;
        }
        kills += 1;
        finish(&config);
        check_same(&format!("signal {signal}, seed {seed}"), &outcome(&run), &expected);
    }
}

/// Of what chargers reported the last word on each counts, in the order of the file.
#[track_caller]
fn check_last_words(input: &Path, outcome: &Outcome) {
    let mut last = BTreeMap::new();
    for line in fs::read_to_string(input.join("ev_sessions.ndjson")).unwrap().lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let kw = row["kw"].as_f64().unwrap();
        last.insert(row["charger_id"].as_str().unwrap().to_owned(), kw);
    }
    let shown = &outcome.views["charging"];
    let ids = shown.column(0).as_string::<i32>();
    let kw = shown.column(2).as_primitive::<arrow::datatypes::Float64Type>();
    let shown: BTreeMap<String, f64> =
        ids.iter().flatten().map(str::to_owned).zip(kw.values().iter().copied()).collect();
    assert_eq!(shown, last);
    assert_eq!(outcome.views["site_load"].num_rows(), 4);
}

/// A process that was killed once is killed again before it has replayed what it had done.
#[test]
fn killed_again_while_it_replays_360_ticks() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::create_dir_all(&input).unwrap();
    write_input(&input, STEPS);
    let undisturbed = folder.path().join("undisturbed");
    finish(&write_config(&input, &undisturbed));
    let expected = outcome(&undisturbed);

    let run = folder.path().join("run");
    let config = write_config(&input, &run);
    assert!(!start(&config, Some("synced:299")).wait().unwrap().success(), "the first kill");
    let mut while_replaying = 0;
    for wait_ms in [10, 40, 160] {
        let mut child = run_command(&config, None).env("GRIDLOOM_LOG", "info").spawn().unwrap();
        wait_for_workers(child.id());
        std::thread::sleep(Duration::from_millis(wait_ms));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "it ended by itself: {said}");
        while_replaying += usize::from(!said.contains("replayed the log"));
    }
    assert!(while_replaying > 0, "every kill came after the replay");
    finish(&config);
    check_same("killed again", &outcome(&run), &expected);
}

/// Waits until the dataflow's threads run: from then on the log is replayed.
fn wait_for_workers(pid: u32) {
    let runs = || {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let names = threads.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.into_iter().any(|name| name.starts_with("timely:"))
    };
    let began = std::time::Instant::now();
    while !runs() {
        assert!(began.elapsed() < Duration::from_secs(60), "no worker started");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[track_caller]
fn check_same(what: &str, outcome: &Outcome, expected: &Outcome) {
    assert_eq!(outcome.tick, expected.tick, "{what}: last tick");
    for (name, rows) in &expected.views {
        assert_eq!(&outcome.views[name], rows, "{what}: view {name}");
    }
    // What had run out when the process came back would be obeyed by nobody, and is not sent.
    let stray = outcome.setpoints.iter().find(|s| !expected.setpoints.contains(s));
    assert_eq!(stray, None, "{what}: a setpoint that nobody decided");
    let missing = expected.setpoints.len() - outcome.setpoints.len();
    assert!(missing <= RUN_OUT_MAX, "{what}: {missing} setpoints never left");
    assert_eq!(outcome.records, expected.records, "{what}: audit records");
    assert_eq!(outcome.head, expected.head, "{what}: audit head");
}
