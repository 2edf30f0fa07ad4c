//! The log: what is read back, what a crash leaves, what tampering shows, who may write.

mod crash;
mod fidelity;
mod folder;
mod tamper;

use std::path::Path;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::Float64Array;
use arrow_array::RecordBatch;
use arrow_array::StringArray;
use arrow_schema::DataType;
use arrow_schema::Field;
use arrow_schema::Schema;
use schemas::audit::Entry;
use schemas::audit::Hash;
use schemas::audit::Records;

use super::*;

const STEP: u64 = 5_000;

fn tick(number: u64) -> Timestamp {
    Timestamp(number * STEP)
}

fn north() -> InstanceId {
    InstanceId::new("north").unwrap()
}

/// A folder in memory where there is one: these tests sync thousands of times.
fn room() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let builder = tempfile::Builder::new();
    if memory.is_dir() { builder.tempdir_in(memory).unwrap() } else { builder.tempdir().unwrap() }
}

/// Options whose clock stands still: the head is signed at each sync, and synced at open and close.
fn options() -> Options {
    Options { clock: Clock::held(Timestamp(0)), head_ms: 0, ..Options::default() }
}

fn open(dir: &Path) -> (Log, Recovered) {
    Log::open(dir, &north(), options()).unwrap()
}

fn readings(number: u64, rows: usize) -> RecordBatch {
    let ids: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("meter-{row}"))));
    let kw: ArrayRef = Arc::new(Float64Array::from_iter(
        (0..rows).map(|row| (row != 1).then_some(number as f64 + row as f64 / 8.0)),
    ));
    let fields = vec![
        Field::new("meter_id", DataType::Utf8, false),
        Field::new("kw", DataType::Float64, true),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![ids, kw]).unwrap()
}

/// One record a subject, in chain order and numbered, so that reading back gives the same rows.
fn records(tick: Timestamp, subjects: &[&str], reason: &str) -> RecordBatch {
    let mut records = Records::new(tick);
    for subject in subjects {
        records.push_numbered(0, &Entry { subject, actor: "guard", reason, ..Entry::default() });
    }
    let kw: Float64Array = (0..subjects.len()).map(|row| Some(row as f64 - 0.5)).collect();
    let field = Field::new("power_kw", DataType::Float64, true);
    records.finish(vec![(field, Arc::new(kw))]).unwrap()
}

/// The commit of the tick with that number: readings, offsets, two kinds of records.
fn commit(number: u64) -> TickCommit {
    let tick = tick(number);
    let mut commit = TickCommit::new(tick);
    commit.inputs.push(("meter_readings".to_owned(), readings(number, 3)));
    commit.inputs.push(("prices".to_owned(), readings(number, 1)));
    commit.set_offsets(&[("meters/0", number * 3)]).unwrap();
    commit.audit.push((Kind::Action, records(tick, &["bat-1", "bat-2", "bat-3"], "peak")));
    if number.is_multiple_of(2) {
        commit.meta = b"closed by patience".to_vec();
        commit.audit.push((Kind::Alarm, records(tick, &["bus-7"], "voltage-low")));
    }
    commit
}

/// A log of ticks `1..=ticks`, closed.
fn written(dir: &Path, ticks: u64) -> Head {
    let (mut log, _) = open(dir);
    for number in 1..=ticks {
        log.append(&commit(number)).unwrap();
    }
    log.close().unwrap()
}

/// A commit as read back, without the hash columns.
fn unlinked(committed: Committed) -> TickCommit {
    let mut commit = committed.commit;
    for (_, batch) in &mut commit.audit {
        let keep: Vec<usize> = (0..batch.num_columns() - 2).collect();
        *batch = batch.project(&keep).unwrap();
    }
    commit
}

/// Whether two commits hold the same values; numbering makes `sequence` NOT NULL.
#[track_caller]
fn assert_same(found: &TickCommit, expected: &TickCommit) {
    let plain = |commit: &TickCommit| TickCommit { audit: Vec::new(), ..commit.clone() };
    assert_eq!(plain(found), plain(expected));
    assert_eq!(found.audit.len(), expected.audit.len());
    for ((kind, batch), (other, wanted)) in found.audit.iter().zip(&expected.audit) {
        assert_eq!(kind, other);
        assert_eq!(batch.columns(), wanted.columns());
    }
}

#[track_caller]
fn assert_replays(recovered: &Recovered, ticks: std::ops::RangeInclusive<u64>) {
    let from = tick(*ticks.start());
    let found: Vec<TickCommit> =
        recovered.replay(from).map(|committed| unlinked(committed.unwrap())).collect();
    assert_eq!(found.len() as u64, ticks.end() + 1 - ticks.start());
    for (found, number) in found.iter().zip(ticks) {
        assert_same(found, &commit(number));
    }
}

fn segment_files(dir: &Path) -> Vec<PathBuf> {
    segment::list(dir).unwrap().into_iter().map(|(_, path)| path).collect()
}

/// Copies a folder's files, not its lock.
fn copied(dir: &Path) -> tempfile::TempDir {
    let copy = room();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}
