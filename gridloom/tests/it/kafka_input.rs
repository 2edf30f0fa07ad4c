//! Records as anybody may write them to a broker: bad ones among good, a device that vouches for
//! its own clock, values by key that are replaced and deleted, and a kill on the way.

use std::fs;
use std::path::Path;

use connectors::kafka::KafkaConfig;
use connectors::kafka::admin;
use connectors::kafka::admin::Plain;
use schemas::time::Timestamp;

use crate::bad_input;
use crate::bad_input::Kept;
use crate::bad_input::ask;
use crate::kafka::Process;
use crate::kafka::brokers;
use crate::recovery;

/// 1 January 2026, 00:00.
const BEGIN: u64 = 1_767_225_600_000;

/// A topic that no other test and no earlier run has, and the lines that configure a source on it.
fn topic(name: &str, partitions: u32) -> (KafkaConfig, String) {
    let name = format!("gridloom-{name}-{}", std::process::id());
    let mut topic = KafkaConfig::topic(&brokers(), &name);
    admin::make_topic("tests", &topic, partitions).unwrap();
    topic.options.insert("message.max.bytes".to_owned(), "20000000".to_owned());
    let lines = format!("kind = \"kafka\"\nbrokers = \"{}\"\ntopic = \"{name}\"\n", topic.brokers);
    (topic, lines)
}

/// Runs an instance until a tick is durable, and asks it to stop.
#[track_caller]
fn run_until(folder: &Path, tick: Timestamp) {
    let config = folder.join("gridloom.toml");
    let mut process = Process(Some(recovery::start(&config, None)));
    process.wait_for(&folder.join("data/audit"), tick);
    let said = process.stop();
    let unexpected: Vec<_> = (said.lines())
        .filter(|line| line.contains("ERROR") || line.contains("WARN"))
        .filter(|line| !line.contains("dropped an uncommitted tail"))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

#[test]
fn bad_records_on_a_broker_are_kept_and_a_wrong_clock_does_not_drag_the_tick() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (topic, lines) = topic("bad-input", 1);
    let config = bad_input::write_setting(here, "broker") + &lines;
    fs::write(here.join("gridloom.toml"), config).unwrap();

    let good: Vec<String> = (0..12).map(|n| bad_input::good(n * 5)).collect();
    let mut bad = bad_input::bad();
    // It says that it arrived when it says that it was measured. The broker knows better.
    bad.push(("too-far-ahead", "its arrival at 2026-01-01T00:00:12Z", bad_input::ahead(true)));
    let mut records: Vec<(u64, Option<String>)> = Vec::new();
    records.extend(good[..3].iter().zip(0..).map(|(row, n)| (n * 5, Some(row.clone()))));
    records.extend(bad.iter().map(|(_, _, row)| (12, Some(row.clone()))));
    // No payload at all: nothing to delete in a stream of readings.
    records.push((12, None));
    records.extend(good[3..].iter().zip(3..).map(|(row, n)| (n * 5, Some(row.clone()))));
    let plain: Vec<Plain<'_>> = (records.iter())
        .map(|(second, payload)| Plain {
            at: Timestamp(BEGIN + second * 1_000),
            payload: payload.as_ref().map(String::as_bytes),
            ..Plain::default()
        })
        .collect();
    admin::write("tests", &topic, &plain).unwrap();

    // The last reading is of 55 s and others may be 5 s earlier: the tick of 50 s is closed, and
    // none after it, though a reading claimed to be of tomorrow.
    run_until(here, Timestamp(BEGIN + 50_000));
    let sql = "SELECT max(tick_at), count(*) FROM audit.quarantine";
    assert_eq!(ask(here, sql), [format!("2026-01-01T00:00:15Z,{}", bad.len() + 1)]);
    let sql = "SELECT measured_at, active_power_kw FROM meter_latest";
    assert_eq!(ask(here, sql), ["2026-01-01T00:00:45Z,1.5"]);

    let mut expected: Vec<Kept> = (bad.iter().zip(3..))
        .map(|((reason, _, record), at)| Kept::of("0", at, reason, record.as_bytes()))
        .collect();
    expected.push(Kept::of("0", 3 + bad.len() as i64, "empty", b""));
    let found = bad_input::quarantine(here);
    let kept: Vec<Kept> = found.iter().map(|(kept, _)| kept.clone()).collect();
    assert_eq!(kept, expected);
    let sentences = bad.iter().map(|(_, part, _)| *part).chain(["has no payload"]);
    for ((kept, detail), part) in found.iter().zip(sentences) {
        assert!(detail.contains(part), "{}: {detail}", kept.reason);
    }
}

/// Values by key: what is said of a charger at a second, or that it is gone.
fn said(charger: &str, second: u64, kw: Option<f64>) -> (u64, String, Option<String>) {
    let at = Timestamp(BEGIN + second * 1_000);
    let row = |kw| format!("{{\"charger_id\":\"{charger}\",\"started_at\":\"{at}\",\"kw\":{kw}}}");
    (second, charger.to_owned(), kw.map(row))
}

#[test]
fn keys_on_a_broker_are_replaced_and_deleted_also_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (topic, lines) = topic("chargers", 1);
    fs::create_dir(here.join("views")).unwrap();
    let view = "CREATE MATERIALIZED VIEW charging AS SELECT charger_id, kw FROM ev_sessions";
    fs::write(here.join("views/charging.sql"), view).unwrap();
    let config = format!(
        "[instance]\nname = \"chargers\"\ndata_dir = \"data\"\npatience = \"off\"\n\
         views = \"views\"\nshipped_views = false\n[agents]\nenabled = false\n\
         [streams.ev_sessions]\nevent_time = \"started_at\"\nkey = [\"charger_id\"]\n\
         envelope = \"upsert\"\ncolumns = {{ charger_id = \"TEXT NOT NULL\", \
         started_at = \"TIMESTAMP NOT NULL\", kw = \"DOUBLE PRECISION\" }}\n\
         [[sources]]\nname = \"chargers\"\nstream = \"ev_sessions\"\n{lines}"
    );
    fs::write(here.join("gridloom.toml"), config).unwrap();
    let records = [
        said("a", 1, Some(1.0)),
        said("b", 2, Some(2.0)),
        said("c", 3, Some(3.0)),
        said("a", 12, None),
        // Set right, with an older time: it arrived later, so it counts.
        said("b", 1, Some(2.5)),
        said("c", 23, None),
        said("c", 24, Some(3.5)),
        said("d", 31, Some(4.0)),
        said("d", 32, None),
        said("e", 60, Some(5.0)),
    ];
    let plain: Vec<Plain<'_>> = (records.iter())
        .map(|(second, charger, payload)| Plain {
            at: Timestamp(BEGIN + second * 1_000),
            key: Some(charger.as_bytes()),
            payload: payload.as_ref().map(String::as_bytes),
            ..Plain::default()
        })
        .collect();
    admin::write("tests", &topic, &plain).unwrap();

    // Killed when half of it is durable; the deletions before are replayed from the log.
    let mut process = Process(Some(recovery::start(&here.join("gridloom.toml"), Some("synced:6"))));
    assert!(!process.child().wait().unwrap().success(), "it was killed");
    run_until(here, Timestamp(BEGIN + 60_000));
    let sql = "SELECT charger_id, kw FROM charging ORDER BY 1";
    assert_eq!(ask(here, sql), ["b,2.5", "c,3.5"]);
    assert_eq!(ask(here, "SELECT count(*) FROM audit.quarantine"), ["0"]);
}
