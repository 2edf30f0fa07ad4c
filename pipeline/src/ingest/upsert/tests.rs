//! Tests of upserts: what replaces what, what is deleted, what is forgotten, and who wins when the
//! order of arrival is not that of event times.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::Float64Array;
use arrow_array::StringArray;
use arrow_array::TimestampMillisecondArray;
use arrow_schema::DataType;
use arrow_schema::Field;
use arrow_schema::Schema;
use connectors::source::Deletions;
use connectors::source::Fetched;
use connectors::source::PartitionId;
use connectors::source::Polled;
use connectors::source::Position;
use proptest::prelude::ProptestConfig;
use proptest::proptest;
use schemas::event::Envelope;
use schemas::event::StreamDef;
use schemas::relation::UTC;
use schemas::relation::timestamp_type;
use schemas::time::HOUR_MS;

use super::*;
use crate::ingest::ClosedTick;
use crate::ingest::IngestSettings;
use crate::ingest::Session;
use crate::ingest::session::DELETED;

const BEGIN: u64 = 1_472_601_600_000;

/// A row: key, seconds after the beginning, value.
type Said = (&'static str, u64, f64);

fn stream(retain_ms: u64) -> StreamSettings {
    let schema = Schema::new(vec![
        Field::new("charger_id", DataType::Utf8, false),
        Field::new("started_at", timestamp_type(), false),
        Field::new("kw", DataType::Float64, true),
    ]);
    let def = StreamDef {
        name: "ev_sessions".to_owned(),
        schema: Arc::new(schema),
        event_time: "started_at".to_owned(),
        key: vec!["charger_id".to_owned()],
        envelope: Envelope::Upsert,
    };
    StreamSettings { def, lateness_ms: HOUR_MS, retain_ms }
}

fn rows(said: &[Said]) -> RecordBatch {
    let keys: StringArray = said.iter().map(|(key, _, _)| Some(*key)).collect();
    let times = said.iter().map(|(_, s, _)| Some((BEGIN + s * 1_000) as i64));
    let times: TimestampMillisecondArray = times.collect();
    let kw: Float64Array = said.iter().map(|(_, _, kw)| Some(*kw)).collect();
    let columns: Vec<arrow_array::ArrayRef> =
        vec![Arc::new(keys), Arc::new(times.with_timezone(UTC)), Arc::new(kw)];
    RecordBatch::try_new(stream(0).def.schema, columns).unwrap()
}

fn keys(keys: &[&'static str]) -> RecordBatch {
    let said: Vec<Said> = keys.iter().map(|key| (*key, 0, 0.0)).collect();
    rows(&said).project(&[0]).unwrap()
}

/// The rows that came and went, as `+key kw` and `-key kw`.
fn told((batch, diffs): (RecordBatch, Diffs)) -> Vec<String> {
    let (keys, kw) = (batch.column(0).as_string::<i32>(), batch.column(2));
    let kw = kw.as_primitive::<arrow_array::types::Float64Type>();
    let sign = |row| if diffs.at(row) > 0 { '+' } else { '-' };
    (0..batch.num_rows())
        .map(|row| format!("{}{} {}", sign(row), keys.value(row), kw.value(row)))
        .collect()
}

fn upsert(retain_ms: u64) -> Upsert {
    Upsert::new(&stream(retain_ms)).unwrap()
}

#[test]
fn a_row_replaces_the_one_before_it() {
    let mut upsert = upsert(0);
    let mut put = |said: &[Said]| told(upsert.put(Timestamp(BEGIN), &rows(said)).unwrap());
    assert_eq!(put(&[("a", 1, 1.0), ("b", 1, 2.0)]), ["+a 1", "+b 2"]);
    assert_eq!(put(&[("b", 2, 3.0)]), ["-b 2", "+b 3"]);
    assert_eq!(put(&[("b", 3, 2.0), ("c", 3, 0.5)]), ["-b 3", "+b 2", "+c 0.5"]);
    assert_eq!(upsert.len(), 3);
}

#[test]
fn of_a_key_that_comes_twice_in_a_tick_only_the_last_row_shows() {
    let mut upsert = upsert(0);
    let mut put = |said: &[Said]| told(upsert.put(Timestamp(BEGIN), &rows(said)).unwrap());
    assert_eq!(put(&[("a", 1, 1.0), ("a", 2, 2.0), ("a", 1, 3.0)]), ["+a 3"]);
    assert_eq!(put(&[("a", 4, 4.0), ("a", 1, 3.0)]), Vec::<String>::new(), "there and back");
}

#[test]
fn a_row_that_changes_nothing_is_no_change() {
    let mut upsert = upsert(0);
    let mut put = |said: &[Said]| told(upsert.put(Timestamp(BEGIN), &rows(said)).unwrap());
    put(&[("a", 1, 1.0)]);
    assert_eq!(put(&[("a", 1, 1.0)]), Vec::<String>::new());
}

#[test]
fn a_key_that_is_deleted_is_gone_until_it_comes_again() {
    let mut upsert = upsert(0);
    let tick = Timestamp(BEGIN);
    upsert.put(tick, &rows(&[("a", 1, 1.0), ("b", 1, 2.0)])).unwrap();
    assert_eq!(told(upsert.delete(tick, &keys(&["a", "nobody", "a"])).unwrap()), ["-a 1"]);
    assert_eq!(told(upsert.delete(tick, &keys(&["a"])).unwrap()), Vec::<String>::new());
    assert_eq!(told(upsert.put(tick, &rows(&[("a", 1, 1.0)])).unwrap()), ["+a 1"]);
}

#[test]
fn what_the_dataflow_has_taken_away_is_forgotten() {
    // The rows of the first hour go two hours after it.
    let mut upsert = upsert(2 * HOUR_MS);
    let at = |hours: u64| Timestamp(BEGIN + hours * HOUR_MS);
    upsert.put(at(1), &rows(&[("a", 60, 1.0), ("b", 60, 2.0), ("c", 7_200, 3.0)])).unwrap();
    assert_eq!(told(upsert.put(at(2), &rows(&[("b", 7_200, 4.0)])).unwrap()), ["-b 2", "+b 4"]);
    assert_eq!(told(upsert.put(at(3), &rows(&[])).unwrap()), Vec::<String>::new());
    assert_eq!(upsert.len(), 2, "a went at the third hour, b lives on in its new row");
    assert_eq!(told(upsert.put(at(3), &rows(&[("a", 7_300, 5.0)])).unwrap()), ["+a 5"]);
    assert_eq!(told(upsert.delete(at(5), &keys(&["b"])).unwrap()), Vec::<String>::new());
    assert!(upsert.is_empty() && upsert.ends.is_empty(), "all went at the fifth hour");
}

fn partition() -> PartitionId {
    PartitionId::new("chargers", 0)
}

/// One record of a partition: a row, or a key without one.
type Record = (&'static str, Option<(u64, f64)>);

/// Records `from..to` of a partition.
fn piece(records: &[Record], from: usize, to: usize) -> Polled {
    let (mut said, mut gone) = (Vec::new(), Vec::new());
    let (mut positions, mut deleted) = (Vec::new(), Vec::new());
    for (at, (key, value)) in records.iter().enumerate().take(to).skip(from) {
        match value {
            Some((seconds, kw)) => {
                said.push((*key, *seconds, *kw));
                positions.push(at as Position);
            }
            None => {
                gone.push(*key);
                deleted.push(at as Position);
            }
        }
    }
    let fetched = Fetched::of_rows(partition(), "ev_sessions", rows(&said), 0);
    let deletions = Deletions { keys: keys(&gone), positions: deleted };
    Polled::Batch(Fetched { positions, next: to as Position, deleted: Some(deletions), ..fetched })
}

fn session() -> Session {
    let settings = IngestSettings { patience_ms: None, ..IngestSettings::default() };
    let mut session = Session::new(settings, [&stream(0)]);
    session.add_partition(partition(), 60_000);
    session
}

/// The values that a closed tick leaves behind, and how many records it holds.
fn apply(upsert: &mut Upsert, shown: &mut BTreeMap<String, f64>, closed: &ClosedTick) -> usize {
    let mut records = 0;
    for (name, batch) in &closed.streams {
        records += batch.num_rows();
        let changes = match name.strip_prefix(DELETED) {
            Some(_) => upsert.delete(closed.tick, batch),
            None => upsert.put(closed.tick, batch),
        };
        let (batch, diffs) = changes.unwrap();
        let kw = batch.column(2).as_primitive::<arrow_array::types::Float64Type>();
        for (row, key) in batch.column(0).as_string::<i32>().iter().enumerate() {
            let key = key.unwrap().to_owned();
            if diffs.at(row) > 0 {
                assert!(shown.insert(key, kw.value(row)).is_none(), "the old row stands");
            } else {
                assert_eq!(shown.remove(&key), Some(kw.value(row)), "another row goes");
            }
        }
    }
    records
}

/// The values of the first `count` records: the last word on each key.
fn last_words(records: &[Record], count: usize) -> BTreeMap<String, f64> {
    let mut values = BTreeMap::new();
    for (key, value) in &records[..count] {
        match value {
            Some((_, kw)) => values.insert((*key).to_owned(), *kw),
            None => values.remove(*key),
        };
    }
    values
}

/// Reads a partition in pieces and compares, after each tick, with the last words so far; with
/// `restarts`, a new session goes on now and then where a tick left off.
fn check(records: &[Record], seed: u64, restarts: bool) {
    let mut random = seed | 1;
    let mut next = move |n: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % n
    };
    let (mut session, mut upsert, mut shown) = (session(), upsert(0), BTreeMap::new());
    let (mut at, mut entered, mut ended) = (0, 0, false);
    while !(ended && session.finished()) {
        let to = (at + 1 + next(4) as usize).min(records.len());
        if at < to {
            session.take(piece(records, at, to));
            at = to;
        } else {
            session.take(Polled::End { partition: partition() });
            ended = true;
        }
        let mut last = None;
        while let Some(closed) = session.close(Timestamp(0)) {
            entered += apply(&mut upsert, &mut shown, &closed);
            assert_eq!(shown, last_words(records, entered), "after {entered} of {records:?}");
            last = Some(closed);
        }
        if let (true, 0, Some(closed)) = (restarts, next(3), last) {
            session = self::session();
            session.restore(closed.tick, &closed.progress);
            at = closed.progress[0].resume as usize;
            ended = false;
        }
    }
    assert_eq!(entered, records.len(), "a record was lost or came twice");
}

#[test]
fn what_arrived_later_counts_though_its_time_is_earlier() {
    // The second row belongs to an earlier tick by its own time.
    check(&[("a", Some((50, 1.0))), ("a", Some((3, 2.0))), ("b", Some((200, 0.0)))], 1, false);
    let mut session = session();
    session.take(piece(&[("a", Some((50, 1.0))), ("a", Some((3, 2.0)))], 0, 2));
    session.take(Polled::End { partition: partition() });
    let closed = session.close(Timestamp(0)).unwrap();
    assert_eq!(closed.tick, Timestamp(BEGIN + 55_000));
    assert_eq!(closed.streams[0].1.num_rows(), 2, "it enters no tick before the first row's");
}

#[test]
fn a_key_that_is_deleted_and_written_again_in_one_tick_keeps_its_order() {
    let put = |kw: f64| ("a", Some((1, kw)));
    check(&[put(1.0), ("a", None), put(2.0), ("b", Some((100, 0.0)))], 3, false);
    check(&[put(1.0), put(2.0), ("a", None), ("b", Some((100, 0.0)))], 3, false);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_each_tick_the_last_words_so_far_stand(
        steps in proptest::collection::vec((0usize..4, 0u64..20, 0u64..90, 0u8..4), 1..60),
        seed in 1u64..,
    ) {
        // Time moves on; rows may be earlier than those before by more than is in order.
        let mut now = 100;
        let records: Vec<Record> = (steps.iter().enumerate())
            .map(|(n, (key, ahead, back, deleted))| {
                now += ahead;
                let value = (*deleted > 0).then_some((now.saturating_sub(*back), n as f64));
                (["a", "b", "c", "d"][*key], value)
            })
            .collect();
        check(&records, seed, false);
        check(&records, seed, true);
    }
}
