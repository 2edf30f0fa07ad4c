//! Tests of the Kafka door against a real broker.
//!
//! `cargo xtask test` starts one and names it in `GRIDLOOM_TEST_KAFKA`; `cargo xtask kafka start`
//! prints the variables for use by hand. Without a broker these tests fail: what was not tried does
//! not work.

mod formats;
mod outage;

use std::collections::BTreeMap;
use std::time::Duration;

use arrow_array::RecordBatch;
use rdkafka::ClientConfig;
use rdkafka::message::Header;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::BaseProducer;
use rdkafka::producer::BaseRecord;
use rdkafka::producer::Producer;
use schemas::event::Envelope;
use schemas::event::Setpoint;
use schemas::event::StreamDef;
use schemas::event::SwitchPosition;
use schemas::relation::Relation;
use schemas::time::Timestamp;

use super::*;
use crate::contract::Held;
use crate::contract::Told;
use crate::contract::assert_source_contract;
use crate::error::ConnectorError;
use crate::format::avro::AvroConfig;
use crate::format::avro::AvroSchema;
use crate::format::avro::Framing;
use crate::format::avro::written;
use crate::format::json;
use crate::kafka::admin::make_topic;
use crate::sink::Sink;
use crate::source::PartitionId;
use crate::source::Polled;
use crate::source::Reason;
use crate::source::Source;

const STEP_MS: u64 = 5_000;
const WAIT: Duration = Duration::from_secs(10);

/// What the test run says of its broker.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: these tests need a Kafka broker. Run them with `cargo xtask test`, \
             or start one with `cargo xtask kafka start` and export what it prints."
        )
    })
}

/// A new topic on the test's broker.
fn topic(name: &str, partitions: u32) -> KafkaConfig {
    let config = there(name);
    make_topic("tests", &config, partitions).unwrap();
    config
}

/// A topic of this run on the test's broker, not made.
fn there(name: &str) -> KafkaConfig {
    let name = format!("connectors-{name}-{}", std::process::id());
    KafkaConfig::topic(&variable("GRIDLOOM_TEST_KAFKA"), &name)
}

/// Writes records as any producer may.
struct Writer {
    topic: String,
    producer: BaseProducer,
}

impl Writer {
    #[expect(clippy::disallowed_methods, reason = "it stands for somebody else's producer")]
    fn to(config: &KafkaConfig) -> Writer {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &config.brokers).set("message.max.bytes", "20000000");
        Writer { topic: config.topic.clone(), producer: client.create().unwrap() }
    }

    /// A record with its timestamp, or a mark.
    fn write(&self, partition: i32, at: i64, payload: Option<&[u8]>, mark: Option<&str>) {
        let mut record =
            BaseRecord::<[u8], [u8]>::to(&self.topic).partition(partition).timestamp(at);
        if let Some(payload) = payload {
            record = record.payload(payload);
        }
        if let Some(mark) = mark {
            let other = Header { key: "trace", value: Some("7") };
            let mark = Header { key: MARK_HEADER, value: Some(mark) };
            record = record.headers(OwnedHeaders::new().insert(other).insert(mark));
        }
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
    }

    /// A record with a key; without payload it takes the key away.
    fn write_key(&self, key: Option<&[u8]>, payload: Option<&[u8]>) {
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic).partition(0).timestamp(1);
        record.key = key;
        record.payload = payload;
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
    }

    fn flush(&self) {
        self.producer.flush(WAIT).unwrap();
    }
}

fn stream() -> StreamDef {
    StreamDef::append::<SwitchPosition>("changed_at")
}

fn switches(from: u64, to: u64) -> RecordBatch {
    let rows: Vec<SwitchPosition> = (from..to)
        .map(|n| SwitchPosition {
            switch_id: format!("switch-{n}"),
            changed_at: Timestamp(n * STEP_MS),
            position: if n % 2 == 0 { "open" } else { "closed" }.to_owned(),
        })
        .collect();
    SwitchPosition::to_batch(&rows)
}

fn open(config: &KafkaConfig, batch_rows: usize) -> KafkaSource {
    let config = KafkaSourceConfig { batch_rows, ..KafkaSourceConfig::topic(config.clone()) };
    KafkaSource::open("switches", &stream(), config).unwrap()
}

/// Polls until `enough` rows came.
fn read(source: &mut KafkaSource, enough: usize) -> Vec<Polled> {
    let (mut polled, mut rows, mut idle) = (Vec::new(), 0, 0);
    while rows < enough {
        match source.poll(Duration::from_millis(500)).unwrap() {
            Polled::Idle => idle += 1,
            Polled::Batch(piece) => {
                rows += piece.rows.num_rows();
                polled.push(Polled::Batch(piece));
            }
            other => polled.push(other),
        }
        assert!(idle < 40, "only {rows} rows came");
    }
    polled
}

#[test]
fn the_contract_is_kept_with_marks_and_bad_records_among_good_ones() {
    let config = topic("contract", 3);
    let writer = Writer::to(&config);
    let rows = json::encode(&switches(0, 6));
    let good = |n: usize| Some(rows[n].as_bytes());
    let long = vec![b'x'; crate::format::RECORD_BYTES_MAX + 1];
    let first: [(Option<&[u8]>, Option<&str>); 11] = [
        (good(0), None),
        (None, Some("5000")),
        (Some(b"no json"), None),
        (good(1), None),
        (None, None),
        (Some(b""), None),
        (None, Some("10000")),
        (None, Some("10000")),
        (None, Some("soon")),
        (Some(&long), None),
        (good(2), None),
    ];
    for (n, (payload, mark)) in first.into_iter().enumerate() {
        writer.write(0, n as i64 * 100 + 7, payload, mark);
    }
    for n in 3..6 {
        writer.write(1, n * 100, good(n as usize), None);
    }
    writer.flush();
    let row = |position: i64, n: usize, at: u64| {
        Told::Row(position, rows[n].clone(), Some(Timestamp(at)))
    };
    let told_0 = vec![
        row(0, 0, 7),
        Told::Mark(1, Timestamp(5_000)),
        Told::Refused(2, "malformed"),
        row(3, 1, 307),
        Told::Refused(4, "empty"),
        Told::Refused(5, "empty"),
        Told::Mark(6, Timestamp(10_000)),
        Told::Mark(7, Timestamp(10_000)),
        Told::Refused(8, "malformed"),
        Told::Refused(9, "too-long"),
        row(10, 2, 1_007),
    ];
    let told_1 = vec![row(0, 3, 300), row(1, 4, 400), row(2, 5, 500)];
    for batch_rows in [1, 8_192] {
        let told = [told_0.clone(), told_1.clone(), Vec::new()].into_iter().enumerate();
        let told = told.map(|(n, told)| (PartitionId::new("switches", n), told)).collect();
        let held = Held { schema: |_| SwitchPosition::schema(), told, ends: false };
        assert_source_contract(|| Box::new(open(&config, batch_rows)), &held);
    }
}

#[test]
fn the_contract_is_kept_with_keys_that_are_deleted() {
    let config = topic("deletions", 1);
    let writer = Writer::to(&config);
    let rows = json::encode(&switches(0, 3));
    let row = |n: usize| Some(rows[n].as_bytes());
    let key = |key: &'static [u8]| Some(key);
    writer.write_key(key(b"switch-0"), row(0));
    writer.write_key(key(b"switch-0"), None);
    writer.write_key(key(br#"{"switch_id":"switch-1"}"#), None);
    writer.write_key(key(b"switch-1"), row(1));
    // No bytes are not no payload.
    writer.write_key(key(b"switch-1"), Some(b""));
    writer.write_key(None, None);
    writer.write_key(key(br#"{"switch":"1"}"#), None);
    writer.write(0, 1, None, Some("5000"));
    writer.write_key(key(b"switch-2"), row(2));
    writer.flush();
    let at = Some(Timestamp(1));
    let told = vec![
        Told::Row(0, rows[0].clone(), at),
        Told::Deleted(1, r#"{"switch_id":"switch-0"}"#.to_owned()),
        Told::Deleted(2, r#"{"switch_id":"switch-1"}"#.to_owned()),
        Told::Row(3, rows[1].clone(), at),
        Told::Refused(4, "empty"),
        Told::Refused(5, "empty"),
        Told::Refused(6, "missing-column"),
        Told::Mark(7, Timestamp(5_000)),
        Told::Row(8, rows[2].clone(), at),
    ];
    let told = BTreeMap::from([(PartitionId::new("switches", 0), told)]);
    let held = Held { schema: |_| SwitchPosition::schema(), told, ends: false };
    for batch_rows in [1, 3, 8_192] {
        let upsert = || StreamDef {
            key: vec!["switch_id".to_owned()],
            envelope: Envelope::Upsert,
            ..stream()
        };
        let open = || {
            let config =
                KafkaSourceConfig { batch_rows, ..KafkaSourceConfig::topic(config.clone()) };
            KafkaSource::open("switches", &upsert(), config).unwrap()
        };
        assert_source_contract(|| Box::new(open()), &held);
    }
}

#[test]
fn the_contract_is_kept_by_avro_with_heads_and_deletions() {
    let config = topic("avro", 1);
    let writer = Writer::to(&config);
    let batch = switches(0, 3);
    let rows = json::encode(&batch);
    let text = written::schema_of(&batch.schema());
    let data: Vec<Vec<u8>> =
        written::values_of(&batch).into_iter().map(|value| written::datum(&text, value)).collect();
    let schema = AvroSchema::parse(&text).unwrap();
    let fingerprint = schema.fingerprint().to_le_bytes();
    let confluent = [&[0, 0, 0, 0, 9][..], &data[1]].concat();
    let single = [&[0xc3, 0x01][..], &fingerprint, &data[2]].concat();
    let other = [&[0xc3, 0x01][..], &[7; 8], &data[2]].concat();
    writer.write_key(None, Some(&data[0]));
    writer.write_key(None, Some(rows[0].as_bytes()));
    writer.write_key(Some(b"switch-0"), None);
    writer.write_key(None, Some(&confluent));
    writer.write_key(None, Some(&other));
    writer.write_key(None, Some(&single));
    writer.write_key(None, Some(&data[2][..5]));
    writer.flush();
    let at = Some(Timestamp(1));
    let told = vec![
        Told::Row(0, rows[0].clone(), at),
        Told::Refused(1, "malformed"),
        Told::Deleted(2, r#"{"switch_id":"switch-0"}"#.to_owned()),
        Told::Row(3, rows[1].clone(), at),
        Told::Refused(4, "malformed"),
        Told::Row(5, rows[2].clone(), at),
        Told::Refused(6, "malformed"),
    ];
    let told = BTreeMap::from([(PartitionId::new("switches", 0), told)]);
    let held = Held { schema: |_| SwitchPosition::schema(), told, ends: false };
    let key = vec!["switch_id".to_owned()];
    let upsert = StreamDef { key, envelope: Envelope::Upsert, ..stream() };
    for batch_rows in [1, 8_192] {
        let open = || {
            let avro = AvroConfig { schema: schema.clone(), framing: Framing::Any };
            let plain = KafkaSourceConfig::topic(config.clone());
            let format = KafkaFormat::Avro(avro);
            let config = KafkaSourceConfig { format, batch_rows, ..plain };
            KafkaSource::open("switches", &upsert, config).unwrap()
        };
        assert_source_contract(|| Box::new(open()), &held);
    }
}

#[test]
fn an_arrival_in_the_payload_does_not_count() {
    let config = topic("arrival", 1);
    let writer = Writer::to(&config);
    let row = r#"{"switch_id":"s","changed_at":86400000,"position":"open","arrived_at":86400000}"#;
    writer.write(0, 7, Some(row.as_bytes()), None);
    writer.flush();
    let polled = read(&mut open(&config, 100), 1);
    let [Polled::Batch(piece)] = &polled[..] else { panic!("{polled:?}") };
    assert_eq!(piece.arrived_at, [Some(Timestamp(7))], "the medium knows");
    assert_eq!(piece.raw.get(0), Some(row.as_bytes()));
}

#[test]
fn a_long_topic_is_read_whole_while_one_partition_waits() {
    const ROWS: u64 = 20_000;
    let config = topic("long", 2);
    let writer = Writer::to(&config);
    for (n, row) in json::encode(&switches(0, ROWS)).iter().enumerate() {
        writer.write(n as i32 % 2, 0, Some(row.as_bytes()), None);
        if n % 1_000 == 0 {
            writer.flush();
        }
    }
    writer.flush();
    let mut source = open(&config, 1_000);
    let half = PartitionId::new("switches", 0);
    source.hold(&[half.clone()].into());
    let first = read(&mut source, ROWS as usize / 2);
    source.hold(&[].into());
    let second = read(&mut source, ROWS as usize / 2);
    for (polled, remainder) in [(first, 1), (second, 0)] {
        let mut expected = remainder;
        for piece in polled {
            let Polled::Batch(piece) = piece else { panic!("only rows were written") };
            for row in SwitchPosition::from_batch(&piece.rows).unwrap() {
                assert_eq!(row.changed_at, Timestamp(expected * STEP_MS));
                expected += 2;
            }
        }
        assert_eq!(expected, ROWS + remainder);
    }
}

#[test]
fn ten_megabytes_are_refused_and_what_follows_is_read() {
    let config = topic("huge", 1);
    let writer = Writer::to(&config);
    let huge = vec![b'{'; 10 << 20];
    writer.write(0, 0, Some(&huge), None);
    writer.write(0, 0, Some(json::encode(&switches(0, 1))[0].as_bytes()), None);
    writer.flush();
    let polled = read(&mut open(&config, 100), 1);
    let refused: Vec<_> = polled
        .iter()
        .filter_map(|polled| match polled {
            Polled::Batch(piece) => Some(&piece.refused),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!((refused[0].position, refused[0].reason), (0, Reason::TooLong));
    assert_eq!((refused[0].kept.bytes, refused[0].kept.head.len()), (10 << 20, 4096));
}

fn setpoints(from: u64, to: u64) -> RecordBatch {
    let rows: Vec<Setpoint> = (from..to)
        .map(|n| Setpoint {
            action_id: format!("action-{n:06}"),
            asset_id: format!("battery-{}", n % 7),
            tick_at: Timestamp(n * STEP_MS),
            active_power_kw: n as f64 / 7.0,
            valid_until_at: Timestamp((n + 3) * STEP_MS),
        })
        .collect();
    Setpoint::to_batch(&rows)
}

fn sink(config: &KafkaConfig) -> KafkaSink {
    let timestamp = Some("tick_at".to_owned());
    let config = KafkaSinkConfig { timestamp, ..KafkaSinkConfig::topic(config.clone()) };
    KafkaSink::open("setpoints", &Setpoint::schema(), config).unwrap()
}

/// The rows in the order of their ids, since partitions come one after another.
fn sorted(rows: &RecordBatch) -> Vec<Setpoint> {
    let mut rows = Setpoint::from_batch(rows).unwrap();
    rows.sort_by(|a, b| a.action_id.cmp(&b.action_id));
    rows
}

#[test]
fn a_sink_reads_back_what_arrived_past_marks_and_foreign_records() {
    let config = topic("tail", 3);
    let mut sink = sink(&config);
    assert_eq!(sink.tail(10).unwrap().num_rows(), 0);
    sink.send(&setpoints(0, 500)).unwrap();
    sink.flush().unwrap();
    let all = sorted(&setpoints(0, 500));
    assert_eq!(sorted(&sink.tail(500).unwrap()), all);
    let some = sorted(&sink.tail(2).unwrap());
    assert!(some.len() <= 6 && some.contains(&all[499]), "{some:?}");

    let writer = Writer::to(&config);
    for partition in 0..3 {
        writer.write(partition, 0, Some(b"what is this"), None);
    }
    writer.flush();
    for n in 0..50 {
        sink.mark(Timestamp(n)).unwrap();
    }
    sink.flush().unwrap();
    assert_eq!(sorted(&sink.tail(2).unwrap()), some, "marks and foreign records are no rows");
    assert_eq!(sorted(&sink.tail(usize::MAX).unwrap()), all);
}

#[test]
fn whoever_takes_over_ends_what_another_had_under_way() {
    let topic = topic("fenced", 2);
    let open = || {
        let id = Some(format!("id-{}", topic.topic));
        let plain = KafkaSinkConfig::topic(topic.clone());
        let config = KafkaSinkConfig { transactional_id: id, ..plain };
        KafkaSink::open("setpoints", &Setpoint::schema(), config).unwrap()
    };
    let mut first = open();
    first.take_over().unwrap();
    for n in 0..3 {
        first.send(&setpoints(n * 10, n * 10 + 10)).unwrap();
        first.mark(Timestamp(n)).unwrap();
        first.flush().unwrap();
    }
    let durable = sorted(&setpoints(0, 30));
    assert_eq!(sorted(&first.tail(100).unwrap()), durable);

    // On its way when another takes over: it arrived, or will, and is never read.
    first.send(&setpoints(30, 40)).unwrap();
    first.wait().unwrap();
    let mut second = open();
    second.take_over().unwrap();
    assert_eq!(sorted(&second.tail(100).unwrap()), durable);
    second.send(&setpoints(40, 50)).unwrap();
    second.flush().unwrap();
    let durable = [durable, sorted(&setpoints(40, 50))].concat();
    assert_eq!(sorted(&second.tail(100).unwrap()), durable);

    // The first one is told so, and writes nothing from then on.
    assert!(first.flush().is_err());
    let again = first.send(&setpoints(50, 60)).and_then(|()| first.flush());
    assert!(again.is_err(), "a fenced producer wrote");
    assert_eq!(sorted(&second.tail(100).unwrap()), durable);
}

#[test]
fn what_a_sink_sends_a_source_reads_in_order_of_each_key() {
    let config = topic("loop", 3);
    let mut sink = sink(&config);
    // Not from 0: to the client library a timestamp of 0 is none.
    sink.send(&setpoints(1, 301)).unwrap();
    sink.mark(Timestamp(1_500_000)).unwrap();
    sink.flush().unwrap();
    let stream = StreamDef::append::<Setpoint>("tick_at");
    let source = KafkaSourceConfig::topic(config);
    let mut source = KafkaSource::open("setpoints", &stream, source).unwrap();
    let mut last: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut rows = 0;
    for polled in read(&mut source, 300) {
        let Polled::Batch(piece) = polled else { continue };
        let setpoints = Setpoint::from_batch(&piece.rows).unwrap();
        for (setpoint, arrived_at) in setpoints.into_iter().zip(&piece.arrived_at) {
            assert_eq!(*arrived_at, Some(setpoint.tick_at), "the timestamp is the column's");
            let here = (piece.partition.partition.clone(), setpoint.action_id);
            if let Some(before) = last.insert(setpoint.asset_id, here.clone()) {
                assert_eq!(before.0, here.0, "a key stays in its partition");
                assert!(before.1 < here.1, "{} before {}", before.1, here.1);
            }
            rows += 1;
        }
    }
    assert_eq!((rows, last.len()), (300, 7));
}

fn error_of(config: KafkaConfig) -> ConnectorError {
    let config = KafkaSourceConfig::topic(config);
    KafkaSource::open("switches", &stream(), config).err().expect("the door does not open")
}

#[test]
fn an_unknown_topic_is_missing_and_the_nearest_is_named() {
    let config = topic("readings", 1);
    let typo =
        KafkaConfig { topic: config.topic.replace("readings", "raedings"), ..config.clone() };
    let error = error_of(typo.clone());
    assert_eq!(
        error.to_string(),
        format!("switches: topic {:?} on {} does not exist", typo.topic, typo.brokers)
    );
    assert!(error.hint().starts_with(&format!("did you mean the topic {:?}?", config.topic)));
}

#[test]
fn a_broker_that_is_not_there_does_not_answer() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut config = KafkaConfig::topic(&address, "t");
    config.timeout = Duration::from_millis(1_500);
    let error = error_of(config.clone());
    let text = error.to_string();
    assert!(text.starts_with(&format!("switches: {address} does not answer: ")), "{text}");
    assert!(text.contains("Connection refused"), "{text}");
    assert!(error.retry());
    let sink = KafkaSinkConfig::topic(config);
    let error = KafkaSink::open("setpoints", &Setpoint::schema(), sink).err().unwrap();
    assert!(matches!(error, ConnectorError::Unreachable { .. }), "{error}");
}

/// The secure door of the test's broker with everything that it asks for.
fn secure(topic: &str) -> KafkaConfig {
    let mut config = KafkaConfig::topic(&variable("GRIDLOOM_TEST_KAFKA_SECURE"), topic);
    config.timeout = Duration::from_secs(4);
    config.options = [
        ("security.protocol", "sasl_ssl".to_owned()),
        ("sasl.mechanism", "SCRAM-SHA-512".to_owned()),
        ("sasl.username", variable("GRIDLOOM_TEST_KAFKA_USER")),
        ("sasl.password", variable("GRIDLOOM_TEST_KAFKA_PASSWORD")),
        ("ssl.ca.location", variable("GRIDLOOM_TEST_KAFKA_CA")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    config
}

#[test]
fn tls_and_sasl_are_passed_through() {
    let plain = topic("secure", 1);
    let config = secure(&plain.topic);
    let mut sink = sink(&config);
    sink.send(&setpoints(0, 3)).unwrap();
    sink.flush().unwrap();
    assert_eq!(sink.tail(9).unwrap(), setpoints(0, 3));
}

#[test]
fn a_wrong_password_and_an_untrusted_certificate_are_refusals() {
    let plain = topic("refused", 1);
    let mut config = secure(&plain.topic);
    config.options.insert("sasl.password".to_owned(), "guess".to_owned());
    let error = error_of(config);
    let text = error.to_string();
    assert!(matches!(error, ConnectorError::Forbidden { .. }), "{text}");
    assert!(text.contains("uthentication failed"), "{text}");
    assert!(!text.contains("guess"), "a password is not told: {text}");

    let mut config = secure(&plain.topic);
    config.options.remove("ssl.ca.location");
    let error = error_of(config);
    assert!(matches!(error, ConnectorError::Forbidden { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[test]
fn records_deleted_before_they_were_read_are_gone_and_not_skipped() {
    let config = topic("deleted", 1);
    let writer = Writer::to(&config);
    for row in json::encode(&switches(0, 10)) {
        writer.write(0, 0, Some(row.as_bytes()), None);
    }
    writer.flush();
    admin::delete_records("tests", &config, 0, 4).unwrap();
    let id = PartitionId::new("switches", 0);
    let mut source = open(&config, 100);
    let error = source.resume(&BTreeMap::from([(id.clone(), 3)])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "switches: partition 0 should go on at 3, but holds only records 4 to 10"
    );
    source.resume(&BTreeMap::from([(id, 4)])).unwrap();
    let polled = read(&mut source, 6);
    assert!(matches!(&polled[0], Polled::Batch(piece) if piece.positions[0] == 4));
}
