//! The archive: what a reader sees, what a crash leaves, what tampering shows, what upkeep keeps.

mod crash;
mod reading;
mod tamper;
mod upkeep;

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;

use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::Float64Array;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::array::TimestampMillisecondArray;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use schemas::audit;
use schemas::audit::Entry;
use schemas::audit::Head;
use schemas::audit::Kind;
use schemas::audit::Records;
use schemas::audit::chain;
use schemas::audit::common_fields;
use schemas::audit::payload_of;
use schemas::relation::UTC;
use schemas::relation::timestamp_type;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use crate::error::Outside;
use crate::read::Reader;
use crate::*;

/// Nine hours a tick, so that a few ticks are a few days.
const STEP: u64 = 9 * HOUR_MS;

const NORTH: &str = "north";

fn tick(number: u64) -> Timestamp {
    Timestamp(number * STEP)
}

/// Values that a format may lose: NULL, NaN, -0.0, the greatest integer, text beyond ASCII, and an
/// instant between two milliseconds is none of ours.
fn payload(number: u64, rows: usize) -> Vec<(Field, ArrayRef)> {
    let odd = [Some(-0.0), Some(f64::NAN), None, Some(f64::MIN_POSITIVE), Some(1.0 / 3.0)];
    let kw: Float64Array = (0..rows).map(|row| odd[(number as usize + row) % odd.len()]).collect();
    let large: Int64Array = (0..rows).map(|row| Some(i64::MAX - row as i64)).collect();
    let until = TimestampMillisecondArray::from_iter_values(
        (0..rows).map(|row| tick(number).0 as i64 + row as i64),
    );
    let text = StringArray::from_iter_values((0..rows).map(|row| format!("Grünau·{row}")));
    vec![
        (Field::new("power_kw", DataType::Float64, true), Arc::new(kw)),
        (Field::new("large", DataType::Int64, true), Arc::new(large)),
        (Field::new("until_at", timestamp_type(), false), Arc::new(until.with_timezone(UTC))),
        (Field::new("place", DataType::Utf8, false), Arc::new(text)),
    ]
}

fn records(number: u64, subjects: &[&str], payload: Vec<(Field, ArrayRef)>) -> RecordBatch {
    let mut records = Records::new(tick(number));
    for subject in subjects {
        let entry = Entry { subject, actor: "guard", reason: "peak", ..Entry::default() };
        records.push_numbered(0, &entry);
    }
    records.finish(payload).unwrap()
}

/// A log in memory: ticks `1..`, three actions each, an alarm in each second, none in each fifth.
#[derive(Clone, Debug)]
struct Log(Arc<Mutex<Vec<Commit>>>);

impl Log {
    fn of(ticks: u64) -> Log {
        let log = Log(Arc::default());
        (1..=ticks).for_each(|number| log.append(number));
        log
    }

    fn append(&self, number: u64) {
        let mut audit = Vec::new();
        if !number.is_multiple_of(5) {
            let subjects = ["bat-1", "bat-2", "bat-3"];
            audit.push((Kind::Action, records(number, &subjects, payload(number, 3))));
        }
        if number.is_multiple_of(2) {
            // An alarm has a column of its own that is called as the table's might be.
            let kind: ArrayRef = Arc::new(StringArray::from(vec!["voltage-low"]));
            let kind = (Field::new("kind", DataType::Utf8, false), kind);
            audit.push((Kind::Alarm, records(number, &["bus-7"], vec![kind])));
        }
        let mut commits = self.0.lock().unwrap();
        let head = commits.last().map_or(Head::genesis(NORTH), |commit| commit.head);
        let links = chain(&head, tick(number), &audit).unwrap();
        commits.push(Commit { head: links.head, audit: links.batches });
    }

    fn head(&self) -> Head {
        self.0.lock().unwrap().last().unwrap().head
    }

    fn upto(&self, ticks: usize) -> impl Iterator<Item = Result<Commit, Outside>> + use<> {
        let commits: Vec<Commit> = self.0.lock().unwrap().iter().take(ticks).cloned().collect();
        commits.into_iter().map(Ok)
    }

    fn all(&self) -> impl Iterator<Item = Result<Commit, Outside>> + use<> {
        self.upto(usize::MAX)
    }
}

impl Fresh for Log {
    fn records(&self, kind: Kind, after: Timestamp) -> Result<Vec<RecordBatch>, Outside> {
        let commits = self.0.lock().unwrap();
        let after = commits.iter().filter(|commit| commit.head.tick > after);
        let of = after.flat_map(|commit| commit.audit.iter().filter(|(other, _)| *other == kind));
        Ok(of.map(|(_, batch)| batch.clone()).collect())
    }
}

fn room() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn at(dir: &Path) -> Location {
    Location::folder(&dir.join("archive")).unwrap()
}

fn open(dir: &Path) -> Archive {
    Archive::open(at(dir), NORTH).unwrap()
}

/// Nobody listens.
fn quietly(_: Step) {}

/// A log of `ticks` and its archive, sealed in portions of `each` ticks.
fn sealed(dir: &Path, ticks: u64, each: usize) -> (Log, Archive) {
    let log = Log::of(ticks);
    let mut archive = open(dir);
    for upto in (each..=ticks as usize).step_by(each) {
        archive.seal(log.upto(upto), &mut quietly).unwrap();
    }
    (log, archive)
}

/// The columns of a kind's table.
fn columns(kind: Kind) -> Schema {
    let payload = match kind {
        Kind::Action => payload_of(&records(1, &[], payload(1, 0)), &[]),
        Kind::Alarm => {
            let none: ArrayRef = Arc::new(StringArray::from(Vec::<&str>::new()));
            vec![(Field::new("kind", DataType::Utf8, false), none)]
        }
        _ => Vec::new(),
    };
    let hash = |name: &str| Field::new(name, DataType::Utf8, false);
    let own = payload.into_iter().map(|(field, _)| field);
    let end = [hash(audit::PREVIOUS_HASH), hash(audit::HASH)];
    Schema::new(common_fields().into_iter().chain(own).chain(end).collect::<Vec<_>>())
}

fn table(kind: Kind, location: &Location, log: &Log) -> AuditTable {
    let reader = Arc::new(Reader::new(location.clone(), NORTH));
    AuditTable::new(kind, &columns(kind), Some(reader), Arc::new(log.clone()))
}

/// The hash of every record of `kind`, in order: what a reader sees, each record by name.
fn hashes(kind: Kind, location: &Location, log: &Log) -> Vec<String> {
    let (_, batches) = table(kind, location, log).rows().unwrap();
    of_column(&batches, audit::HASH)
}

fn of_column(batches: &[RecordBatch], name: &str) -> Vec<String> {
    let column = |batch: &RecordBatch| {
        let column = batch.column_by_name(name).unwrap().as_string::<i32>().clone();
        column.iter().map(|text| text.unwrap().to_owned()).collect::<Vec<_>>()
    };
    batches.iter().flat_map(column).collect()
}

/// The same of the log alone.
fn expected(kind: Kind, log: &Log) -> Vec<String> {
    of_column(&log.records(kind, Timestamp(0)).unwrap(), audit::HASH)
}

/// A reader sees what the log holds, and the archive verifies up to where it is sealed.
#[track_caller]
fn assert_whole(archive: &mut Archive, log: &Log) {
    let location = archive.location().clone();
    for kind in [Kind::Action, Kind::Alarm, Kind::Tick] {
        assert_eq!(hashes(kind, &location, log), expected(kind, log), "{kind}");
    }
    let report = archive.verify().unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(report.head.count, archive.sealed().count);
    for mark in report.marks() {
        let commits = log.0.lock().unwrap();
        let there = commits.iter().find(|commit| commit.head.tick == mark.tick);
        assert_eq!(there.map(|commit| commit.head), Some(mark));
    }
}
