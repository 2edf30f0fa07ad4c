//! Tampering by someone who can write the table as well as we can, but not the log.

use arrow::array::Array;
use arrow::compute::concat_batches;
use deltalake_core::kernel::Action;
use deltalake_core::protocol::DeltaOperation;
use deltalake_core::protocol::SaveMode;
use schemas::audit::Hash;
use schemas::audit::REASON;
use schemas::audit::SUBJECT;

use super::*;
use crate::maintain::of_day;

/// Rows of the day whose rows are changed: ticks 3, 4 and 5, of which the fifth is quiet.
const DAY: u64 = 1;

/// Replaces the actions of [`DAY`] by what `change` makes of them, as any Delta client could.
fn tamper(archive: &mut Archive, change: impl FnOnce(RecordBatch) -> RecordBatch) {
    let kind = Kind::Action;
    let wanted =
        of_day(DAY).and(crate::read::column("record_kind").eq(datafusion::prelude::lit("action")));
    let order = [audit::TICK_AT, audit::SUBJECT];
    let order = order.map(|name| crate::read::column(name).sort(true, false)).to_vec();
    let rows = archive.ask(|frame| frame.filter(wanted)?.sort(order)).unwrap();
    let rows = concat_batches(&rows[0].schema(), &rows).unwrap();
    let rows = crate::columns::fit(kind, &rows, &Arc::new(columns(kind))).unwrap();
    assert_eq!(rows.num_rows(), 6, "three of each of two ticks");
    let changed = change(rows);
    let mut actions: Vec<Action> = Vec::new();
    let groups = archive.groups().unwrap();
    let own = groups.iter().filter(|(group, _)| group.day == DAY && group.kind == "action");
    actions.extend(own.flat_map(|(_, files)| files.iter().cloned().map(Action::Remove)));
    actions.extend(archive.write(&[(kind, changed)]).unwrap().into_iter().map(Action::Add));
    let operation =
        DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by: None, predicate: None };
    archive.commit(actions, Vec::new(), operation).unwrap();
}

pub(super) fn replaced(batch: &RecordBatch, column: &str, values: ArrayRef) -> RecordBatch {
    let (position, _) = batch.schema_ref().column_with_name(column).unwrap();
    let mut columns = batch.columns().to_vec();
    columns[position] = values;
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

fn rows(batch: &RecordBatch, order: &[usize]) -> RecordBatch {
    let parts: Vec<RecordBatch> = order.iter().map(|row| batch.slice(*row, 1)).collect();
    concat_batches(&batch.schema(), &parts).unwrap()
}

/// The text column with one value replaced.
fn edited(batch: &RecordBatch, column: &str, row: usize, value: &str) -> RecordBatch {
    let texts = batch.column_by_name(column).unwrap().as_string::<i32>().clone();
    let text = |at: usize| if at == row { value.to_owned() } else { texts.value(at).to_owned() };
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..texts.len()).map(text)));
    replaced(batch, column, texts)
}

/// Tampers with nine ticks; verify then finds exactly `expected`.
#[track_caller]
fn check(expected: &[&str], change: impl FnOnce(RecordBatch) -> RecordBatch) -> Report {
    let room = room();
    let (_, mut archive) = sealed(room.path(), 9, 3);
    tamper(&mut archive, change);
    let report = open(room.path()).verify().unwrap();
    let found: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
    report
}

#[test]
fn nothing_changed_is_nothing_found() {
    let report = check(&[], |rows| rows);
    assert!(report.intact());
    assert_eq!(report.records(), 28);
}

#[test]
fn an_edit_names_the_record_and_nothing_else() {
    let expected = "edited: action \"bat-2\" number 0 of tick 1970-01-02T12:00:00Z \
                    (archive, day=1970-01-02)";
    check(&[expected], |rows| edited(&rows, REASON, 4, "bribed"));
}

#[test]
fn an_edit_of_a_number_is_found_to_the_last_bit() {
    let expected = "edited: action \"bat-1\" number 0 of tick 1970-01-02T03:00:00Z \
                    (archive, day=1970-01-02)";
    check(&[expected], |rows| {
        let large = rows.column_by_name("large").unwrap();
        let large = large.as_primitive::<arrow::datatypes::Int64Type>();
        let large: Int64Array =
            large.iter().enumerate().map(|(row, n)| n.map(|n| n - i64::from(row == 0))).collect();
        replaced(&rows, "large", Arc::new(large))
    });
}

#[test]
fn a_value_that_becomes_null_is_found() {
    let expected = "edited: action \"bat-2\" number 0 of tick 1970-01-02T03:00:00Z \
                    (archive, day=1970-01-02)";
    check(&[expected], |rows| {
        let kw = rows.column_by_name("power_kw").unwrap();
        let kw = kw.as_primitive::<arrow::datatypes::Float64Type>();
        let kw: Float64Array =
            kw.iter().enumerate().map(|(row, x)| x.filter(|_| row != 1)).collect();
        replaced(&rows, "power_kw", Arc::new(kw))
    });
}

#[test]
fn an_edited_link_is_one_finding() {
    let expected = "edited: action \"bat-2\" number 0 of tick 1970-01-02T12:00:00Z \
                    (archive, day=1970-01-02)";
    check(&[expected], |rows| edited(&rows, audit::HASH, 4, &Hash([7; 32]).to_string()));
}

#[test]
fn a_deletion_names_the_record_after_it() {
    let expected = "records deleted or added before: action \"bat-3\" number 0 of tick \
                    1970-01-02T12:00:00Z (archive, day=1970-01-02)";
    check(&[expected], |batch| rows(&batch, &[0, 1, 2, 3, 5]));
}

#[test]
fn a_whole_tick_that_is_gone_is_found() {
    let expected = "records deleted or added before: alarm \"bus-7\" number 0 of tick \
                    1970-01-02T12:00:00Z (archive, day=1970-01-02)";
    check(&[expected], |batch| rows(&batch, &[0, 1, 2]));
}

#[test]
fn two_records_that_changed_places_are_found() {
    let expected = [0, 1].map(|row| {
        let subject = ["bat-1", "bat-2"][row];
        format!(
            "edited: action \"{subject}\" number 0 of tick 1970-01-02T03:00:00Z (archive, \
             day=1970-01-02)"
        )
    });
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    // Each takes the other's content and keeps its own name and links.
    check(&expected, |batch| {
        let swapped = rows(&batch, &[1, 0, 2, 3, 4, 5]);
        let own = |name: &str| batch.column_by_name(name).unwrap().clone();
        let names = [SUBJECT, audit::PREVIOUS_HASH, audit::HASH];
        names.iter().fold(swapped, |rows, name| replaced(&rows, name, own(name)))
    });
}

#[test]
fn two_names_that_changed_places_are_found() {
    let report = {
        let room = room();
        let (_, mut archive) = sealed(room.path(), 9, 3);
        tamper(&mut archive, |rows| {
            edited(&edited(&rows, SUBJECT, 0, "bat-2"), SUBJECT, 1, "bat-1")
        });
        archive.verify().unwrap()
    };
    let first = report.findings[0].to_string();
    assert!(first.contains("\"bat-1\" number 0 of tick 1970-01-02T03:00:00Z"), "{first}");
}

#[test]
fn a_record_that_is_there_twice_is_found() {
    let expected = "moved: action \"bat-2\" number 0 of tick 1970-01-02T03:00:00Z \
                    (archive, day=1970-01-02)";
    let room = room();
    let (_, mut archive) = sealed(room.path(), 9, 3);
    tamper(&mut archive, |batch| rows(&batch, &[0, 1, 1, 2, 3, 4, 5]));
    let report = archive.verify().unwrap();
    assert_eq!(report.findings[0].to_string(), expected);
}

#[test]
fn a_tail_that_is_gone_is_found() {
    let room = room();
    // The last tick, the eleventh, has actions alone, and is the first of its day.
    let (_, mut archive) = sealed(room.path(), 11, 11);
    let groups = archive.groups().unwrap();
    let last = groups.last_key_value().unwrap();
    assert_eq!((last.0.day, last.0.kind.as_str()), (4, "action"));
    let actions = last.1.iter().cloned().map(Action::Remove).collect();
    let operation =
        DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by: None, predicate: None };
    archive.commit(actions, Vec::new(), operation).unwrap();
    let report = archive.verify().unwrap();
    let expected = "records deleted or added at the end: sealed are 32 records to tick \
                    1970-01-05T03:00:00Z; there are 29 (archive)";
    let found: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found, [expected]);
    assert_eq!(report.marks(), []);
}

#[test]
fn a_file_that_is_gone_is_found_and_named() {
    let room = room();
    let (_, mut archive) = sealed(room.path(), 9, 3);
    let groups = archive.groups().unwrap();
    let (_, files) = groups.iter().find(|(group, _)| group.day == DAY).unwrap();
    std::fs::remove_file(room.path().join("archive").join(&files[0].path)).unwrap();
    let report = archive.verify().unwrap();
    let first = report.findings[0].to_string();
    assert!(first.ends_with("(archive, day=1970-01-02)"), "{first}");
    assert!(first.contains(&files[0].path), "{first}");
}

#[test]
fn a_chain_that_was_computed_anew_ends_elsewhere() {
    let room = room();
    let log = Log::of(6);
    // What a forger with our own program would seal: another story, linked from the genesis on.
    let forged = Log(Arc::default());
    (1..=6).for_each(|number| {
        forged.append(number);
        if number == 1 {
            forged.0.lock().unwrap().clear();
            let batch = records(1, &["bat-1", "bat-2", "bat-9"], payload(1, 3));
            let links = chain(&Head::genesis(NORTH), tick(1), &[(Kind::Action, batch)]).unwrap();
            forged.0.lock().unwrap().push(Commit { head: links.head, audit: links.batches });
        }
    });
    let mut archive = open(room.path());
    archive.seal(forged.all(), &mut quietly).unwrap();
    let report = archive.verify().unwrap();
    assert!(report.intact());
    // The log is asked for this head at its tick, and has another.
    let [mark] = report.marks()[..] else { panic!("{report:?}") };
    assert_eq!((mark.tick, mark.count), (log.head().tick, log.head().count));
    assert_ne!(mark, log.head());
}
