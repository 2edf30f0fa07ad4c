//! Records as anybody may write them to a broker: bad ones among good, a device that vouches for
//! its own clock, values by key that are replaced and deleted, many rows in one message, and a kill
//! on the way.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use arrow::array::ArrayRef;
use arrow::array::Float64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::array::TimestampMillisecondArray;
use arrow::ipc::writer::StreamWriter;
use connectors::kafka::KafkaConfig;
use connectors::kafka::admin;
use connectors::kafka::admin::Plain;
use connectors::source::Polled;
use pipeline::instance::Instance;
use pipeline::instance::reader::Heard;
use pipeline::instance::reader::Readers;
use schemas::time::Timestamp;

use crate::bad_input;
use crate::bad_input::Kept;
use crate::bad_input::ask;
use crate::kafka::Process;
use crate::kafka::brokers;
use crate::recovery;
use crate::restart;
use crate::sources;

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

/// What chargers draw, as the message that holds it all; `at` names the column of the time.
fn arrow_message(at: &str, rows: &[(&str, u64, f64)]) -> Vec<u8> {
    let ids: StringArray = rows.iter().map(|(id, ..)| Some(*id)).collect();
    let times = rows.iter().map(|(_, time, _)| Some(*time as i64));
    let times: TimestampMillisecondArray = times.collect();
    let powers: Float64Array = rows.iter().map(|(.., kw)| Some(*kw)).collect();
    let batch = RecordBatch::try_from_iter([
        ("charger_id", Arc::new(ids) as ArrayRef),
        (at, Arc::new(times)),
        ("kw", Arc::new(powers)),
    ]);
    let batch = batch.unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// Writes messages that all arrive at this instant.
fn write_messages(topic: &KafkaConfig, at: Timestamp, messages: &[Vec<u8>]) {
    let plain = |message| Plain { at, payload: Some(message), ..Plain::default() };
    let plain: Vec<Plain<'_>> = messages.iter().map(|message| plain(message.as_slice())).collect();
    admin::write("tests", topic, &plain).unwrap();
}

#[test]
fn rows_of_one_message_enter_their_ticks_once_also_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (topic, lines) = topic("batches", 1);
    fs::create_dir(here.join("views")).unwrap();
    let view = "CREATE MATERIALIZED VIEW charging AS SELECT charger_id, kw FROM ev_sessions";
    fs::write(here.join("views/charging.sql"), view).unwrap();
    let config = format!(
        "[instance]\nname = \"batches\"\ndata_dir = \"data\"\npatience = \"off\"\n\
         views = \"views\"\nshipped_views = false\n[agents]\nenabled = false\n\
         [streams.ev_sessions]\nevent_time = \"started_at\"\nenvelope = \"append\"\n\
         columns = {{ charger_id = \"TEXT NOT NULL\", started_at = \"TIMESTAMP NOT NULL\", \
         kw = \"DOUBLE PRECISION\" }}\n\
         [[sources]]\nname = \"chargers\"\nstream = \"ev_sessions\"\n{lines}\
         format = \"arrow-ipc\"\n"
    );
    fs::write(here.join("gridloom.toml"), config).unwrap();
    // One message has a row for each of 36 ticks; wherever it is killed, it is amid those.
    let power = |n: u64| if n == 7 { f64::NAN } else { n as f64 };
    let rows: Vec<_> = (0..36).map(|n| ("a", BEGIN + n * 5_000, power(n))).collect();
    let message = |rows: &[(&str, u64, f64)]| arrow_message("started_at", rows);
    let last = [("a", BEGIN + 180_000, 36.0)];
    let messages = [message(&rows), b"{\"charger_id\":\"b\"}".to_vec(), message(&last)];
    write_messages(&topic, Timestamp(BEGIN + 180_000), &messages);

    let mut process = Process(Some(recovery::start(&here.join("gridloom.toml"), Some("synced:6"))));
    assert!(!process.child().wait().unwrap().success(), "it was killed");
    run_until(here, Timestamp(BEGIN + 180_000));
    // The sums of 0 to 35 and of their squares, without those of 7.
    let sql =
        "SELECT count(*), CAST(sum(kw) AS BIGINT), CAST(sum(kw * kw) AS BIGINT) FROM charging";
    assert_eq!(ask(here, sql), ["35,623,14861"]);
    let sql = "SELECT position, reason FROM audit.quarantine ORDER BY position";
    assert_eq!(ask(here, sql), ["7,not-finite", "1000000,malformed"]);
}

/// Turns the instance until so many rows were taken from its sources.
#[track_caller]
fn take_rows(instance: &mut Instance, readers: &mut Readers, enough: usize) {
    let (began, mut taken) = (Instant::now(), 0);
    while taken < enough {
        assert!(began.elapsed() < Duration::from_secs(20), "only {taken} rows come");
        instance.turn(Duration::from_millis(5)).unwrap();
        for source in instance.opened() {
            readers.add(source).unwrap();
        }
        while let Some(heard) = readers.next(Duration::from_millis(5)) {
            if let Heard::Piece(Polled::Batch(piece)) = &heard {
                taken += piece.rows.num_rows();
            }
            instance.hear(heard);
        }
    }
}

/// A source that a statement makes on a topic of these messages, which hold four readings: three
/// of the first five seconds, and one of a minute later.
#[track_caller]
fn check_statement(name: &str, format: &str, messages: &[Vec<u8>]) {
    let folder = tempfile::tempdir().unwrap();
    let (topic, _) = topic(name, 1);
    write_messages(&topic, Timestamp(restart::BEGIN + 61_000), messages);
    let (mut instance, mut readers) = sources::instance(folder.path());
    let handle = instance.handle();
    restart::tick(&mut instance, 0);
    let sql = format!(
        "CREATE SOURCE chargers (charger_id TEXT NOT NULL, at TIMESTAMP NOT NULL, kw DOUBLE \
         PRECISION) WITH (kind = 'kafka', brokers = '{}', topic = '{}', event_time = 'at', \
         lateness = '2 hours', {format})",
        topic.brokers, topic.topic
    );
    sources::create(&handle, &sql).unwrap();
    sources::maintain(&handle);
    take_rows(&mut instance, &mut readers, 4);
    for number in 1..5 {
        restart::tick(&mut instance, number);
    }
    sources::until(&mut instance, &mut readers, |handle| sources::counted(handle) == 3);
    assert_eq!(sources::rows(&handle), 3);
}

#[test]
fn a_statement_makes_a_source_of_csv() {
    let lines = [
        "2016-08-31T00:00:01Z,7.5,c1",
        "2016-08-31T00:00:02Z,11,c2\n",
        "2016-08-31T00:00:02Z,11,c2\n2016-08-31T00:00:02Z,11,c2\n",
        "1472601603000,,\"c1\"",
        "2016-08-31T00:01:01Z,1,c1",
    ];
    let messages = lines.map(|line| line.as_bytes().to_vec());
    check_statement("own-csv", "format = 'csv', header = 'at,kw,charger_id'", &messages);
}

#[test]
fn a_statement_makes_a_source_of_arrow_streams() {
    let at = restart::BEGIN;
    let three = [("c1", at + 1_000, 7.5), ("c2", at + 2_000, 11.0), ("c1", at + 3_000, 3.5)];
    let messages = [&three[..], &[("c1", at + 61_000, 1.0)]];
    let messages = messages.map(|rows| arrow_message("at", rows));
    check_statement("own-arrow", "format = 'arrow-ipc'", &messages);
}
