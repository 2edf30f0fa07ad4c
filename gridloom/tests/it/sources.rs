//! Sources that come and go while an instance runs, and what is there of them after a restart.

use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use connectors::source::Polled;
use gridloom::wiring::bundled;
use gridloom::wiring::open::take_sources;
use pipeline::engine::Handle;
use pipeline::instance::Instance;
use pipeline::instance::reader::Heard;
use pipeline::instance::reader::Readers;
use queries::Planner;
use schemas::contract::ChangeError;
use schemas::contract::Engine;
use schemas::contract::ReadError;

use crate::restart::notes;
use crate::restart::tick;
use crate::restart::with_workers;

const COUNT: &str = "CREATE MATERIALIZED VIEW by_charger AS
    SELECT charger_id, count(*) AS n, sum(kw) AS kw FROM chargers GROUP BY charger_id";

/// An instance on `folder` that takes sources, and nothing to read yet.
pub(crate) fn instance(folder: &Path) -> (Instance, Readers) {
    let mut instance = with_workers(folder, notes(&["a"]), None, 2);
    take_sources(&mut instance, bundled::surroundings(folder, "sources"));
    (instance, Readers::start(Vec::new()).unwrap())
}

/// `CREATE SOURCE` over a file of readings, as an engineer writes it.
pub(crate) fn statement(envelope: &str) -> String {
    format!(
        "CREATE SOURCE chargers (charger_id TEXT NOT NULL, at TIMESTAMP NOT NULL, kw DOUBLE \
         PRECISION, PRIMARY KEY (charger_id)) WITH (kind = 'file', path = 'chargers.csv', \
         event_time = 'at', envelope = '{envelope}', lateness = '2 hours')"
    )
}

pub(crate) fn write(folder: &Path) {
    let rows = "charger_id,at,kw\nc1,2016-08-31T00:00:01Z,7.5\nc2,2016-08-31T00:00:02Z,11\n\
                c1,2016-08-31T00:00:03Z,3.5\n";
    std::fs::write(folder.join("chargers.csv"), rows).unwrap();
}

pub(crate) fn create(handle: &Handle, sql: &str) -> Result<(), ChangeError> {
    let source = queries::source::source(sql).unwrap_or_else(|e| panic!("{}", e.full()));
    handle.create_source(source.plan, "anna").map(drop)
}

/// Turns the instance, and reads what comes, until `holds`.
#[track_caller]
pub(crate) fn until(
    instance: &mut Instance,
    readers: &mut Readers,
    holds: impl Fn(&Handle) -> bool,
) {
    let began = Instant::now();
    while !holds(&instance.handle()) {
        let late = || {
            let read = instance.handle().read(&["by_charger"], None).map(|read| read[0].tick);
            format!("it does not come: {read:?}, {:?}", instance.handle().status())
        };
        assert!(began.elapsed() < Duration::from_secs(20), "{}", late());
        instance.turn(Duration::from_millis(5)).unwrap();
        instance.closed().iter().for_each(|source| readers.remove(source));
        for source in instance.opened() {
            readers.add(source).unwrap();
        }
        while let Some(heard) = readers.next(Duration::from_millis(5)) {
            instance.hear(heard);
        }
        instance.note_status();
    }
}

/// The readings that a view has counted, or none where it cannot be read.
pub(crate) fn counted(handle: &Handle) -> i64 {
    let Ok(mut read) = handle.read(&["by_charger"], None) else { return -1 };
    let rows = read.pop().unwrap().rows;
    rows.column_by_name("n").unwrap().as_primitive::<Int64Type>().iter().flatten().sum()
}

pub(crate) fn rows(handle: &Handle) -> usize {
    handle.read(&["chargers"], None).map_or(0, |read| read[0].rows.num_rows())
}

/// Reads the file to its end: once it has said something, ticks wait for it.
#[track_caller]
pub(crate) fn to_its_end(instance: &mut Instance, readers: &mut Readers) {
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not end");
        instance.turn(Duration::from_millis(5)).unwrap();
        instance.closed().iter().for_each(|source| readers.remove(source));
        for source in instance.opened() {
            readers.add(source).unwrap();
        }
        while let Some(heard) = readers.next(Duration::from_millis(5)) {
            let ended = matches!(heard, Heard::Piece(Polled::End { .. }));
            instance.hear(heard);
            if ended {
                return;
            }
        }
    }
}

/// Makes the view once the source is there.
pub(crate) fn maintain(handle: &Handle) {
    let plan = Planner::new(handle.catalog()).view(COUNT).unwrap_or_else(|e| panic!("{e}"));
    handle.create(plan, false, "anna").unwrap();
}

#[test]
fn a_source_that_comes_is_taken_logged_and_maintained_and_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    {
        let (mut instance, mut readers) = instance(folder.path());
        let handle = instance.handle();
        tick(&mut instance, 0);
        create(&handle, &statement("append")).unwrap();
        let again = create(&handle, &statement("append")).unwrap_err();
        assert_eq!(again.to_string(), "chargers is there already");
        maintain(&handle);
        to_its_end(&mut instance, &mut readers);
        for number in 1..5 {
            tick(&mut instance, number);
        }
        until(&mut instance, &mut readers, |handle| counted(handle) == 3);
        assert_eq!(rows(&handle), 3);
        let read = handle.remove_source("chargers", "anna").unwrap_err();
        assert_eq!(read.to_string(), "chargers is read by by_charger");
        instance.stop().unwrap();
    }
    let stated = pipeline::emit::definitions::stated_in(&folder.path().join("audit")).unwrap();
    assert_eq!(stated["chargers"].by, "anna");
    assert!(stated["chargers"].sql.starts_with("CREATE SOURCE chargers"));
    let (mut instance, _readers) = instance(folder.path());
    let handle = instance.handle();
    assert_eq!((counted(&handle), rows(&handle)), (3, 3));
    handle.remove("by_charger", "anna").unwrap();
    tick(&mut instance, 8);
    handle.remove_source("chargers", "anna").unwrap();
    tick(&mut instance, 9);
    assert_eq!(instance.closed(), ["chargers"]);
    let gone = handle.read(&["chargers"], None).unwrap_err();
    assert!(matches!(gone, ReadError::Unknown { .. }), "{gone}");
    instance.stop().unwrap();
    let stated = pipeline::emit::definitions::stated_in(&folder.path().join("audit")).unwrap();
    assert!(stated.is_empty(), "{stated:?}");
}

#[test]
fn where_rows_replace_each_other_the_last_of_a_key_counts() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let (mut instance, mut readers) = instance(folder.path());
    let handle = instance.handle();
    tick(&mut instance, 0);
    create(&handle, &statement("upsert")).unwrap();
    maintain(&handle);
    to_its_end(&mut instance, &mut readers);
    for number in 1..5 {
        tick(&mut instance, number);
    }
    until(&mut instance, &mut readers, |handle| counted(handle) == 2);
}

/// A number as Avro writes it: seven bits a byte, the lowest first.
fn long(number: i64) -> Vec<u8> {
    let mut bits = ((number << 1) ^ (number >> 63)) as u64;
    let mut bytes = Vec::new();
    while bits > 0x7f {
        bytes.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    bytes.push(bits as u8);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [long(text.len() as i64), text.as_bytes().to_vec()].concat()
}

/// An Avro file of one block, byte by byte.
pub(crate) fn avro(readings: &[(&str, i64, f64)]) -> Vec<u8> {
    let schema = r#"{"type":"record","name":"Reading","fields":[
        {"name":"charger_id","type":"string"},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"kw","type":["null","double"]}]}"#;
    let record = |(id, at, kw): &(&str, i64, f64)| {
        [text(id), long(*at), long(1), kw.to_le_bytes().to_vec()].concat()
    };
    let block: Vec<u8> = readings.iter().flat_map(record).collect();
    let mark = vec![7; 16];
    let head = [b"Obj\x01".to_vec(), long(1), text("avro.schema"), text(schema), long(0)].concat();
    let sizes = [long(readings.len() as i64), long(block.len() as i64)].concat();
    [head, mark.clone(), sizes, block, mark].concat()
}

#[test]
fn a_source_of_avro_brings_its_schema() {
    let folder = tempfile::tempdir().unwrap();
    let at = 1_472_601_601_000;
    let rows = [("c1", at, 7.5), ("c2", at + 1, f64::NAN), ("c1", at + 2, 3.5)];
    std::fs::write(folder.path().join("chargers.avro"), avro(&rows)).unwrap();
    let (mut instance, mut readers) = instance(folder.path());
    let handle = instance.handle();
    tick(&mut instance, 0);
    create(&handle, &statement("append").replace(".csv", ".avro")).unwrap();
    maintain(&handle);
    to_its_end(&mut instance, &mut readers);
    for number in 1..5 {
        tick(&mut instance, number);
    }
    // What is no number is quarantined, and the rest goes on.
    until(&mut instance, &mut readers, |handle| counted(handle) == 2);
    assert_eq!(self::rows(&handle), 2);
}

#[test]
fn a_door_that_does_not_open_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let (mut instance, _readers) = instance(folder.path());
    let handle = instance.handle();
    tick(&mut instance, 0);
    let refused = create(&handle, &statement("append")).unwrap_err().to_string();
    assert!(refused.contains("chargers.csv does not exist"), "{refused}");
    assert!(handle.catalog().get("chargers").is_none());
    let refused = handle.remove_source("chargers", "anna").unwrap_err();
    assert_eq!(refused.to_string(), "there is no source chargers that came by a statement");
    // One of the configuration is not a statement's to take away.
    let refused = handle.remove_source("meter_readings", "anna").unwrap_err();
    assert!(matches!(refused, ChangeError::NoSource { .. }));
}
