//! The contract with CSV and with Arrow IPC, where a message is a line, or many rows at once.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::StringArray;
use arrow_ipc::writer::StreamWriter;

use super::*;

/// Rows as the message that holds them all.
fn stream_of(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

/// The same stream, where a row takes the place of the one before it.
fn upsert() -> StreamDef {
    let key = vec!["switch_id".to_owned()];
    StreamDef { key, envelope: Envelope::Upsert, ..stream() }
}

fn open_as(config: &KafkaConfig, format: &KafkaFormat, batch_rows: usize) -> KafkaSource {
    let (format, plain) = (format.clone(), KafkaSourceConfig::topic(config.clone()));
    let config = KafkaSourceConfig { format, batch_rows, ..plain };
    KafkaSource::open("switches", &upsert(), config).unwrap()
}

#[track_caller]
fn check(config: &KafkaConfig, format: &KafkaFormat, told: Vec<Told>) {
    let told = BTreeMap::from([(PartitionId::new("switches", 0), told)]);
    let held = Held { schema: |_| SwitchPosition::schema(), told, ends: false };
    for batch_rows in [1, 3, 8_192] {
        assert_source_contract(|| Box::new(open_as(config, format, batch_rows)), &held);
    }
}

#[test]
fn the_contract_is_kept_by_csv_with_and_without_a_header() {
    let rows = json::encode(&switches(0, 3));
    let at = Some(Timestamp(1));
    let told = vec![
        Told::Row(0, rows[0].clone(), at),
        Told::Refused(1, "malformed"),
        Told::Deleted(2, r#"{"switch_id":"switch-0"}"#.to_owned()),
        Told::Row(3, rows[1].clone(), at),
        Told::Refused(4, "wrong-type"),
        Told::Refused(5, "empty"),
        Told::Mark(6, Timestamp(5_000)),
        Told::Row(7, rows[2].clone(), at),
    ];
    // What a record says of its arrival does not count, and is not even read.
    let header = "position,arrived_at,switch_id,changed_at";
    let messages = [
        [
            "switch-0,1970-01-01T00:00:00Z,open",
            "switch-1,5000,closed\nswitch-2,10000,open",
            "\"switch-1\",5000,closed\r\n",
            "switch-2,soon,open",
            "switch-2,10000,open\n",
        ],
        [
            "open,86400000,switch-0,0",
            "position,arrived_at,switch_id,changed_at\nclosed,,switch-1,5000",
            "closed,never,switch-1,1970-01-01T00:00:05Z",
            "open,,switch-2,soon",
            "open,,switch-2,10000",
        ],
    ];
    for (name, header, lines) in
        [("csv", None, messages[0]), ("csv-header", Some(header), messages[1])]
    {
        let config = topic(name, 1);
        let writer = Writer::to(&config);
        let line = |n: usize| Some(lines[n].as_bytes());
        writer.write_key(None, line(0));
        writer.write_key(None, line(1));
        writer.write_key(Some(b"switch-0"), None);
        writer.write_key(None, line(2));
        writer.write_key(None, line(3));
        writer.write_key(None, Some(b""));
        writer.write(0, 1, None, Some("5000"));
        writer.write_key(None, line(4));
        writer.flush();
        check(&config, &KafkaFormat::Csv { header: header.map(str::to_owned) }, told.clone());
    }
}

#[test]
fn the_contract_is_kept_by_arrow_where_a_message_is_many_rows() {
    const SPAN: i64 = 1_000_000;
    let config = topic("arrow", 1);
    let writer = Writer::to(&config);
    let batch = switches(0, 6);
    let rows = json::encode(&batch);
    let positions = Arc::new(StringArray::from(vec![Some("closed"), None])) as ArrayRef;
    let some = batch.slice(3, 2);
    let some = [("switch_id", some.column(0)), ("changed_at", some.column(1))]
        .map(|(name, column)| (name, column.clone(), true));
    let lacking = some.into_iter().chain([("position", positions, true)]);
    let lacking = RecordBatch::try_from_iter_with_nullable(lacking).unwrap();
    let whole = stream_of(&[batch.slice(0, 2), batch.slice(2, 1)]);
    writer.write_key(None, Some(&whole));
    writer.write_key(None, Some(rows[0].as_bytes()));
    writer.write_key(Some(b"switch-0"), None);
    writer.write_key(None, Some(&stream_of(&[lacking])));
    writer.write_key(None, Some(&stream_of(&[batch.slice(0, 0)])));
    writer.write_key(None, Some(&whole[..whole.len() / 2]));
    writer.write_key(None, None);
    writer.write(0, 1, Some(b"x"), Some("soon"));
    writer.write(0, 1, Some(&stream_of(&[batch.slice(5, 1)])), None);
    writer.write(0, 1, None, Some("5000"));
    writer.flush();
    let at = Some(Timestamp(1));
    let row = |position: i64, row: usize| Told::Row(position, rows[row].clone(), at);
    let told = vec![
        row(0, 0),
        row(1, 1),
        row(2, 2),
        Told::Refused(SPAN, "malformed"),
        Told::Deleted(2 * SPAN, r#"{"switch_id":"switch-0"}"#.to_owned()),
        row(3 * SPAN, 3),
        Told::Refused(3 * SPAN + 1, "missing-column"),
        // A message of no rows says nothing.
        Told::Refused(5 * SPAN, "malformed"),
        Told::Refused(6 * SPAN, "empty"),
        Told::Refused(7 * SPAN, "malformed"),
        row(8 * SPAN, 5),
        // A mark is the last that its message has.
        Told::Mark(10 * SPAN - 1, Timestamp(5_000)),
    ];
    check(&config, &KafkaFormat::ArrowIpc, told);

    // Of a topic whose first messages are gone, it is told in the same numbers.
    admin::delete_records("tests", &config, 0, 4).unwrap();
    let mut source = open_as(&config, &KafkaFormat::ArrowIpc, 100);
    let id = PartitionId::new("switches", 0);
    let error = source.resume(&BTreeMap::from([(id, 3 * SPAN + 1)])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "switches: partition 0 should go on at 3000001, but holds only records 4000000 to 10000000"
    );
}

#[test]
fn a_header_that_cannot_be_the_streams_is_found_before_a_broker_is_asked() {
    let config = KafkaConfig::topic("127.0.0.1:1", "t");
    let format = KafkaFormat::Csv { header: Some("switch_id,changed".to_owned()) };
    let config = KafkaSourceConfig { format, ..KafkaSourceConfig::topic(config) };
    let error = KafkaSource::open("switches", &stream(), config).err().unwrap();
    let found: Vec<String> = error.findings().iter().map(ToString::to_string).collect();
    let expected = "`header`: the header lacks column changed_at (it has: switch_id, changed)";
    assert_eq!(found, [expected]);
}
