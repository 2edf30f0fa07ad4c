//! Tests of the file door: the contract in every format, pacing, mistakes in files, and the sink.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use apache_avro::Codec;
use apache_avro::types::Value;
use arrow_array::ArrayRef;
use arrow_array::RecordBatch;
use arrow_array::TimestampMillisecondArray;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use schemas::event::Setpoint;
use schemas::event::StreamDef;
use schemas::event::WeatherObservation;
use schemas::relation::Relation;
use schemas::relation::UTC;
use schemas::time::Clock;
use schemas::time::Timestamp;

use super::*;
use crate::contract::Held;
use crate::contract::Told;
use crate::contract::assert_source_contract;
use crate::error::ConnectorError;
use crate::format::avro::written;
use crate::format::json;
use crate::sink::Sink;
use crate::source::Kept;
use crate::source::PartitionId;
use crate::source::Polled;
use crate::source::Source;

const STEP_MS: u64 = 5_000;

fn stream() -> StreamDef {
    StreamDef::append::<WeatherObservation>("observed_at")
}

fn observations(station: &str, count: u64) -> RecordBatch {
    let rows: Vec<WeatherObservation> = (0..count)
        .map(|n| WeatherObservation {
            station_id: station.to_owned(),
            observed_at: Timestamp(n * STEP_MS),
            temperature_c: 20.0 + n as f64 / 3.0,
            humidity_percent: (n % 2 == 0).then_some(55.5),
            diffuse_w_per_m2: None,
            direct_w_per_m2: None,
            wind_m_per_s: None,
        })
        .collect();
    WeatherObservation::to_batch(&rows)
}

/// The rows with a column that says when they arrived: a second after they were observed.
fn with_arrival(rows: &RecordBatch) -> RecordBatch {
    let arrived = (0..rows.num_rows() as i64).map(|n| n * STEP_MS as i64 + 1_000);
    let arrived = TimestampMillisecondArray::from_iter_values(arrived).with_timezone(UTC);
    let schema = rows.schema();
    let mut columns: Vec<(String, ArrayRef, bool)> = schema
        .fields()
        .iter()
        .zip(rows.columns())
        .map(|(field, column)| (field.name().clone(), column.clone(), field.is_nullable()))
        .collect();
    columns.push(("arrived_at".to_owned(), Arc::new(arrived), true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn told(rows: &RecordBatch, arrived: bool) -> Vec<Told> {
    let row = |(n, row)| {
        let arrived_at = arrived.then(|| Timestamp(n as u64 * STEP_MS + 1_000));
        Told::Row(n as i64, row, arrived_at)
    };
    json::encode(rows).into_iter().enumerate().map(row).collect()
}

fn config(files: &[&Path], batch_rows: usize) -> FileSourceConfig {
    let files = files.iter().map(|path| (path.to_path_buf(), FileFormat::of(path).unwrap()));
    FileSourceConfig { files: files.collect(), speed: None, batch_rows, record_bytes_max: 300 }
}

fn open(config: &FileSourceConfig) -> Box<dyn Source> {
    Box::new(FileSource::open("weather", &stream(), config.clone(), Clock::Wall).unwrap())
}

fn partition(file: &Path) -> PartitionId {
    PartitionId::new("weather", file.file_name().unwrap().to_string_lossy())
}

/// Holds two files to the contract, read in pieces of 1, 3 and all rows.
#[track_caller]
fn check(files: &[(&Path, Vec<Told>); 2]) {
    for batch_rows in [1, 3, 8_192] {
        let config = config(&files.each_ref().map(|(path, _)| *path), batch_rows);
        let told = files.iter().map(|(path, told)| (partition(path), told.clone())).collect();
        let held = Held { schema: |_| WeatherObservation::schema(), told, ends: true };
        assert_source_contract(|| open(&config), &held);
    }
}

#[test]
fn ndjson_keeps_the_contract_with_bad_records_among_good_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.ndjson"), folder.path().join("b.ndjson"));
    let rows = json::encode(&observations("s1", 4));
    let long = "x".repeat(1_000);
    let arrived = r#"{"station_id":"s2","observed_at":5000,"temperature_c":1,"arrived_at":7000}"#;
    let lines = [&rows[0], "no json", "", &rows[1], &long, &rows[2], arrived];
    fs::write(&a, lines.join("\n")).unwrap();
    fs::write(&b, format!("{}\n", json::encode(&observations("s3", 2)).join("\r\n"))).unwrap();
    let s2 = concat!(
        r#"{"station_id":"s2","observed_at":"1970-01-01T00:00:05Z","temperature_c":1.0,"#,
        r#""humidity_percent":null,"diffuse_w_per_m2":null,"direct_w_per_m2":null,"#,
        r#""wind_m_per_s":null}"#,
    );
    let told_a = vec![
        Told::Row(0, rows[0].clone(), None),
        Told::Refused(1, "malformed"),
        Told::Refused(2, "empty"),
        Told::Row(3, rows[1].clone(), None),
        Told::Refused(4, "too-long"),
        Told::Row(5, rows[2].clone(), None),
        Told::Row(6, s2.to_owned(), Some(Timestamp(7_000))),
    ];
    check(&[(&a, told_a), (&b, told(&observations("s3", 2), false))]);
}

#[test]
fn csv_keeps_the_contract_with_bad_records_among_good_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.csv"), folder.path().join("b.csv"));
    let header = "observed_at,station_id,temperature_c,humidity_percent,arrived_at";
    fs::write(&b, format!("{header}\n")).unwrap();
    let lines = [
        header,
        "1970-01-01T00:00:00Z,s1,20,55.5,1000",
        "1970-01-01T00:00:05Z,s1,nan,,6000",
        "1970-01-01T00:00:05Z,s1",
        "5000,\"s1\",20.333333333333332,,1970-01-01T00:00:06Z",
    ];
    fs::write(&a, lines.join("\n")).unwrap();
    let rows = json::encode(&observations("s1", 2));
    let told_a = vec![
        Told::Row(0, rows[0].clone(), Some(Timestamp(1_000))),
        Told::Refused(1, "not-finite"),
        Told::Refused(2, "malformed"),
        Told::Row(3, rows[1].clone(), Some(Timestamp(6_000))),
    ];
    check(&[(&a, told_a), (&b, Vec::new())]);
}

fn write_parquet(path: &Path, rows: &RecordBatch) {
    let mut writer =
        ArrowWriter::try_new(fs::File::create(path).unwrap(), rows.schema(), None).unwrap();
    for start in (0..rows.num_rows()).step_by(4) {
        writer.write(&rows.slice(start, 4.min(rows.num_rows() - start))).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn parquet_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
    let (rows_a, rows_b) = (observations("s1", 10), observations("s2", 1));
    write_parquet(&a, &with_arrival(&rows_a));
    write_parquet(&b, &rows_b);
    check(&[(&a, told(&rows_a, true)), (&b, told(&rows_b, false))]);
}

fn write_ipc(path: &Path, rows: &RecordBatch, footer: bool) {
    let file = fs::File::create(path).unwrap();
    let pieces =
        (0..rows.num_rows()).step_by(4).map(|at| rows.slice(at, 4.min(rows.num_rows() - at)));
    if footer {
        let mut writer = arrow_ipc::writer::FileWriter::try_new(file, &rows.schema()).unwrap();
        pieces.for_each(|piece| writer.write(&piece).unwrap());
        writer.finish().unwrap();
    } else {
        let mut writer = arrow_ipc::writer::StreamWriter::try_new(file, &rows.schema()).unwrap();
        pieces.for_each(|piece| writer.write(&piece).unwrap());
        writer.finish().unwrap();
    }
}

#[test]
fn arrow_ipc_keeps_the_contract_as_file_and_as_stream() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.arrow"), folder.path().join("b.arrows"));
    let (rows_a, rows_b) = (observations("s1", 10), observations("s2", 5));
    write_ipc(&a, &with_arrival(&rows_a), true);
    write_ipc(&b, &rows_b, false);
    check(&[(&a, told(&rows_a, true)), (&b, told(&rows_b, false))]);
}

/// A record of [`observations`] with something else in one field.
fn with(record: &Value, name: &str, value: &Value) -> Value {
    let Value::Record(mut fields) = record.clone() else { panic!("a record") };
    fields.iter_mut().filter(|(field, _)| field == name).for_each(|field| field.1 = value.clone());
    Value::Record(fields)
}

#[test]
fn avro_keeps_the_contract_with_bad_records_among_good_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.avro"), folder.path().join("b.avro"));
    let (rows_a, rows_b) = (observations("s1", 10), observations("s2", 5));
    let schema = written::schema_of(&WeatherObservation::schema());
    let mut values = written::values_of(&rows_a);
    values[2] = with(&values[2], "temperature_c", &Value::Double(f64::NAN));
    values[7] = with(&values[7], "observed_at", &Value::TimestampMillis(-1));
    values[8] = with(&values[8], "station_id", &Value::String("x".repeat(1_000)));
    fs::write(&a, written::container(&schema, &values, Codec::Snappy, 4)).unwrap();
    let mut told_a = told(&rows_a, false);
    told_a[2] = Told::Refused(2, "not-finite");
    told_a[7] = Told::Refused(7, "wrong-type");
    told_a[8] = Told::Refused(8, "too-long");

    let rows_b = with_arrival(&rows_b);
    let schema = written::schema_of(&rows_b.schema());
    let values = written::values_of(&rows_b);
    fs::write(&b, written::container(&schema, &values, Codec::Null, 100)).unwrap();
    check(&[(&a, told_a), (&b, told(&observations("s2", 5), true))]);
}

#[test]
fn a_torn_avro_file_gives_what_is_whole_and_then_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.avro");
    let schema = written::schema_of(&WeatherObservation::schema());
    let values = written::values_of(&observations("s1", 8));
    let bytes = written::container(&schema, &values, Codec::Null, 4);
    fs::write(&file, &bytes[..bytes.len() - 20]).unwrap();
    let mut source = open(&config(&[&file], 100));
    assert!(
        matches!(source.poll(Duration::ZERO).unwrap(), Polled::Batch(piece) if piece.next == 4)
    );
    for _ in 0..2 {
        let error = source.poll(Duration::ZERO).unwrap_err().to_string();
        assert!(error.ends_with("at record 4 cannot be read: the file is cut off"), "{error}");
    }
}

#[test]
fn unpaced_files_go_side_by_side_in_event_time() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
    write_parquet(&a, &observations("s1", 6));
    write_parquet(&b, &observations("s2", 6));
    let mut source = open(&config(&[&a, &b], 2));
    let mut order = Vec::new();
    while let Polled::Batch(piece) = source.poll(Duration::ZERO).unwrap() {
        order.push((piece.partition.partition, piece.next));
    }
    let expected = [("a", 2), ("b", 2), ("a", 4), ("b", 4), ("a", 6)];
    assert_eq!(order, expected.map(|(file, next)| (format!("{file}.parquet"), next)));
}

#[test]
fn paced_rows_wait_for_their_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.ndjson");
    let mut lines = json::encode(&observations("s1", 4));
    lines.insert(2, "bad".to_owned());
    fs::write(&file, lines.join("\n")).unwrap();
    let clock = Clock::held(Timestamp(1_000_000));
    let config = FileSourceConfig { speed: Some(10.0), ..config(&[&file], 100) };
    let mut source = FileSource::open("weather", &stream(), config, clock.clone()).unwrap();
    let mut poll = || match source.poll(Duration::ZERO).unwrap() {
        Polled::Batch(piece) => {
            let refused: Vec<_> = piece.refused.iter().map(|r| r.position).collect();
            format!("{:?} {refused:?} next {}", piece.positions, piece.next)
        }
        other => format!("{other:?}"),
    };
    assert_eq!(poll(), "[0] [] next 1");
    assert_eq!(poll(), "Idle");
    clock.advance(499);
    assert_eq!(poll(), "Idle");
    clock.advance(1);
    assert_eq!(poll(), "[1] [2] next 3", "10 times as fast: 5 s of events in 500 ms");
    clock.advance(10_000);
    assert_eq!(poll(), "[3, 4] [] next 5");
    assert!(poll().starts_with("End"));
    assert_eq!(poll(), "Idle");
}

#[test]
fn rows_keep_their_records_and_columns_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let records = [
        r#"{"station_id":"s1", "observed_at":0, "temperature_c":1e0}"#,
        "bad",
        r#"{"temperature_c":2,"station_id":"s1","observed_at":5000,"more":[]}"#,
    ];
    fs::write(path("a.ndjson"), records.join("\r\n")).unwrap();
    let clock = Clock::held(Timestamp(0));
    let config = FileSourceConfig { speed: Some(1.0), ..config(&[&path("a.ndjson")], 10) };
    let mut source = FileSource::open("weather", &stream(), config, clock.clone()).unwrap();
    let mut piece = || match source.poll(Duration::ZERO).unwrap() {
        Polled::Batch(piece) => piece,
        other => panic!("{other:?}"),
    };
    // Cut where time has not come: the rest keeps its records as well.
    assert_eq!(piece().raw.get(0), Some(records[0].as_bytes()));
    clock.advance(5_000);
    let second = piece();
    assert_eq!(second.raw.get(0), Some(records[2].as_bytes()));
    assert_eq!(second.kept(0), Kept::of(records[2].as_bytes()));

    write_parquet(&path("b.parquet"), &observations("s1", 1));
    let mut source = open(&self::config(&[&path("b.parquet")], 10));
    let Polled::Batch(piece) = source.poll(Duration::ZERO).unwrap() else { panic!("a row") };
    assert_eq!(piece.raw.get(0), None);
    let rendered = json::encode(&observations("s1", 1)).remove(0);
    assert_eq!(piece.kept(0), Kept::of(rendered.as_bytes()));
}

#[test]
fn long_records_end_a_piece_before_many_rows_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.ndjson");
    let long = "x".repeat(4 << 20);
    let record = format!(r#"{{"station_id":"{long}","observed_at":0,"temperature_c":1}}"#);
    fs::write(&file, [record.as_str(); 9].join("\n")).unwrap();
    let config = FileSourceConfig { record_bytes_max: 5 << 20, ..config(&[&file], 8_192) };
    let mut source = open(&config);
    let mut pieces = Vec::new();
    while let Polled::Batch(piece) = source.poll(Duration::ZERO).unwrap() {
        pieces.push(piece.rows.num_rows());
    }
    assert_eq!(pieces, [4, 4, 1]);
}

#[track_caller]
fn error_of(file: &Path, expected: &str) {
    let error = FileSource::open("weather", &stream(), config(&[file], 10), Clock::Wall).err();
    let text = error.expect("the file cannot be opened").to_string();
    let text = text.replace(&file.display().to_string(), "FILE");
    assert_eq!(text, expected);
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    error_of(&path("none.csv"), "weather: file FILE does not exist");
    fs::write(path("empty.csv"), "").unwrap();
    error_of(
        &path("empty.csv"),
        "weather: FILE cannot be read: the file is empty; expected a header line",
    );
    fs::write(path("other.csv"), "station_id,temperature_c\n").unwrap();
    error_of(
        &path("other.csv"),
        "weather: FILE cannot be read: the header lacks column observed_at \
         (it has: station_id, temperature_c)",
    );
    write_parquet(&path("other.parquet"), &observations("s1", 1).project(&[0, 1]).unwrap());
    error_of(
        &path("other.parquet"),
        "weather: FILE cannot be read: column temperature_c is missing",
    );
    let rows = observations("s1", 1).project(&[0, 1]).unwrap();
    let schema = written::schema_of(&rows.schema());
    let values = written::values_of(&rows);
    let other = written::container(&schema, &values, Codec::Null, 1);
    fs::write(path("other.avro"), other).unwrap();
    error_of(
        &path("other.avro"),
        "weather: FILE cannot be read: the Avro schema lacks column temperature_c \
         (it has: station_id, observed_at)",
    );
    fs::write(path("bad.parquet"), "PAR1 not really").unwrap();
    let bad = config(&[&path("bad.parquet")], 10);
    assert!(matches!(
        FileSource::open("weather", &stream(), bad, Clock::Wall),
        Err(ConnectorError::Unreadable { .. })
    ));
}

#[test]
fn a_torn_arrow_stream_gives_what_is_whole_and_then_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.arrows");
    write_ipc(&file, &observations("s1", 8), false);
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 200]).unwrap();
    let mut source = open(&config(&[&file], 100));
    assert!(
        matches!(source.poll(Duration::ZERO).unwrap(), Polled::Batch(piece) if piece.next == 4)
    );
    let error = source.poll(Duration::ZERO).unwrap_err();
    assert!(error.to_string().contains("at record 4"), "{error}");
}

#[test]
fn options_are_read_with_every_mistake() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("b.csv"), "x").unwrap();
    fs::write(folder.path().join("a.ndjson"), "x").unwrap();
    fs::write(folder.path().join("notes.txt"), "x").unwrap();
    let read = |values: serde_json::Value| {
        let values: BTreeMap<_, _> = serde_json::from_value(values).unwrap();
        FileSourceConfig::read("weather", &values, folder.path())
    };
    let config = read(serde_json::json!({"path": ".", "speed": 60})).unwrap();
    let names: Vec<PathBuf> =
        config.files.iter().map(|(path, _)| path.file_name().unwrap().into()).collect();
    assert_eq!(names, [PathBuf::from("a.ndjson"), PathBuf::from("b.csv")]);
    assert_eq!(config.speed, Some(60.0));
    let error = read(serde_json::json!({
        "path": ["none.csv", "notes.txt", "b.csv", "./b.csv"], "sped": 2
    }));
    let error = error.unwrap_err().to_string().replace(&folder.path().display().to_string(), "DIR");
    assert_eq!(
        error,
        "weather: `path`: DIR/none.csv does not exist (relative paths start at the folder of the \
         configuration file); `path`: the name DIR/notes.txt does not tell a format (add `format`: \
         csv, ndjson, parquet, arrow-ipc or avro); `path`: two files are named b.csv \
         (partitions are named by their files: rename one); `sped`: is not an option of this kind \
         (did you mean `speed`?)"
    );
}

fn setpoints(from: u64, to: u64) -> RecordBatch {
    let rows: Vec<Setpoint> = (from..to)
        .map(|n| Setpoint {
            action_id: format!("action-{n}"),
            asset_id: format!("battery-{}", n % 3),
            tick_at: Timestamp(n * STEP_MS),
            active_power_kw: n as f64 / 7.0,
            valid_until_at: Timestamp((n + 3) * STEP_MS),
        })
        .collect();
    Setpoint::to_batch(&rows)
}

fn schema() -> SchemaRef {
    Setpoint::schema()
}

#[test]
fn a_sink_reads_back_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let config = FileSinkConfig { path: folder.path().join("setpoints.ndjson") };
    let open = || FileSink::open("setpoints", &schema(), config.clone()).unwrap();
    let mut sink = open();
    assert_eq!(sink.tail(5).unwrap().num_rows(), 0);
    sink.send(&setpoints(0, 3)).unwrap();
    assert_eq!(sink.tail(5).unwrap().num_rows(), 0, "not before it is flushed");
    sink.flush().unwrap();
    sink.send(&setpoints(3, 1_000)).unwrap();
    sink.flush().unwrap();
    for mut sink in [sink, open()] {
        assert_eq!(sink.tail(2).unwrap(), setpoints(998, 1_000));
        assert_eq!(sink.tail(900).unwrap(), setpoints(100, 1_000));
        assert_eq!(sink.tail(5_000).unwrap(), setpoints(0, 1_000));
    }
}

#[test]
fn a_torn_last_line_is_cut_wherever_the_crash_fell() {
    let folder = tempfile::tempdir().unwrap();
    let config = FileSinkConfig { path: folder.path().join("setpoints.ndjson") };
    let open = || FileSink::open("setpoints", &schema(), config.clone()).unwrap();
    let mut sink = open();
    sink.send(&setpoints(0, 2)).unwrap();
    sink.flush().unwrap();
    let whole = fs::read(&config.path).unwrap();
    let first_line = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for length in 0..=whole.len() {
        fs::write(&config.path, &whole[..length]).unwrap();
        let mut sink = open();
        let kept = match length {
            _ if length < first_line => 0,
            _ if length < whole.len() => 1,
            _ => 2,
        };
        assert_eq!(sink.tail(10).unwrap(), setpoints(0, kept), "cut after {length} bytes");
        sink.send(&setpoints(kept, 3)).unwrap();
        sink.flush().unwrap();
        assert_eq!(open().tail(10).unwrap(), setpoints(0, 3), "cut after {length} bytes");
    }
}
