//! One table to the reader, wherever the seam is.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use datafusion::prelude::SessionContext;

use super::*;

#[test]
fn records_are_the_same_wherever_the_seam_is() {
    let log = Log::of(12);
    let room = room();
    let mut archive = open(room.path());
    for upto in 0..=12 {
        archive.seal(log.upto(upto), &mut quietly).unwrap();
        assert_whole(&mut archive, &log);
    }
    assert_eq!(archive.sealed(), Position { count: log.head().count, tick: tick(12) });
}

#[test]
fn every_value_survives_with_its_type() {
    let log = Log::of(7);
    let room = room();
    let fresh = table(Kind::Action, &at(room.path()), &log).rows().unwrap();
    let mut archive = open(room.path());
    archive.seal(log.all(), &mut quietly).unwrap();
    let sealed = table(Kind::Action, &at(room.path()), &log).rows().unwrap();
    assert_eq!(sealed.0, fresh.0);
    let joined = |batches: &[RecordBatch]| {
        let joined = arrow::compute::concat_batches(&fresh.0, batches).unwrap();
        // NaN differs from itself; as text it does not.
        arrow::util::pretty::pretty_format_batches(&[joined]).unwrap().to_string()
    };
    assert_eq!(joined(&sealed.1), joined(&fresh.1));
    assert!(joined(&sealed.1).contains("-0.0"));
}

#[test]
fn sealing_again_seals_nothing() {
    let room = room();
    let (log, mut archive) = sealed(room.path(), 6, 3);
    let files = archive.files().unwrap();
    let seal = archive.seal(log.all(), &mut quietly).unwrap();
    assert_eq!((seal.records, seal.commits, archive.files().unwrap()), (0, 0, files));
    let mut other = open(room.path());
    assert_eq!(other.seal(log.all(), &mut quietly).unwrap().records, 0);
}

#[test]
fn two_that_seal_at_once_seal_once() {
    let room = room();
    let log = Log::of(6);
    let (mut one, mut other) = (open(room.path()), open(room.path()));
    one.seal(log.upto(3), &mut quietly).unwrap();
    // The other stands at the beginning still, as if both had begun together.
    let refused = other.seal(log.upto(4), &mut quietly).unwrap_err();
    assert!(matches!(refused, ArchiveError::Table { .. }), "{refused:?}");
    let mut third = open(room.path());
    third.seal(log.all(), &mut quietly).unwrap();
    assert_whole(&mut third, &log);
}

#[test]
fn a_query_is_pushed_into_both_halves() {
    let room = room();
    let (log, archive) = sealed(room.path(), 9, 3);
    (10..=12).for_each(|number| log.append(number));
    let counts = |sql: &str| -> Vec<i64> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let rows = runtime.block_on(async {
            let context = SessionContext::new();
            let table = table(Kind::Action, archive.location(), &log);
            context.register_table("actions", Arc::new(table)).unwrap();
            context.sql(sql).await.unwrap().collect().await.unwrap()
        });
        let of = |batch: &RecordBatch| {
            batch.column(0).as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
        };
        rows.iter().flat_map(of).collect()
    };
    assert_eq!(counts("SELECT count(*) FROM actions"), [30]);
    assert_eq!(counts("SELECT count(*) FROM actions WHERE subject = 'bat-2'"), [10]);
    let seam = tick(8).0;
    assert_eq!(
        counts(&format!(
            "SELECT count(*) FROM actions WHERE tick_at >= to_timestamp_millis({seam})"
        )),
        [12]
    );
    assert_eq!(counts("SELECT count(power_kw) FROM actions"), [24]);
    assert_eq!(counts("SELECT sequence FROM actions WHERE place LIKE 'Grünau%' LIMIT 4").len(), 4);
}

#[test]
fn a_reader_beside_a_sealer_misses_nothing_and_sees_nothing_twice() {
    let room = room();
    let log = Log::of(40);
    let wanted = expected(Kind::Action, &log);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sealer = scope.spawn(|| {
            let mut archive = open(room.path());
            let policy = Policy { compact_files: 3, retain_ms: None };
            for upto in 1..=40 {
                archive.seal(log.upto(upto), &mut quietly).unwrap();
                archive.maintain(policy, &mut quietly).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        let location = at(room.path());
        let reader = Arc::new(Reader::new(location, NORTH));
        let mut reads = 0;
        while !done.load(Ordering::Relaxed) && !sealer.is_finished() {
            let fresh = Arc::new(log.clone());
            let schema = columns(Kind::Action);
            let table = AuditTable::new(Kind::Action, &schema, Some(reader.clone()), fresh);
            assert_eq!(of_column(&table.rows().unwrap().1, audit::HASH), wanted);
            reads += 1;
        }
        sealer.join().unwrap();
        assert!(reads > 3, "the reader came to read {reads} times only");
    });
    assert_whole(&mut open(room.path()), &log);
}

#[test]
fn an_archive_of_another_instance_is_refused() {
    let room = room();
    sealed(room.path(), 3, 3);
    let refused = Archive::open(at(room.path()), "south").unwrap_err().to_string();
    assert!(refused.contains("belongs to instance \"north\", not to instance \"south\""));
}

#[test]
fn a_log_that_does_not_go_on_where_the_archive_ends_is_refused() {
    let room = room();
    let (_, mut archive) = sealed(room.path(), 3, 3);
    // A new log of the same name, which has come further already.
    let other = Log(Arc::default());
    (4..=9).for_each(|number| other.append(number));
    let refused = archive.seal(other.all(), &mut quietly).unwrap_err();
    assert!(matches!(refused, ArchiveError::Gap { .. }), "{refused}");
}

#[test]
fn a_log_that_does_not_hold_is_not_sealed() {
    let room = room();
    let log = Log::of(4);
    let reasons: ArrayRef = Arc::new(StringArray::from(vec!["peak", "bribed", "peak"]));
    {
        let mut commits = log.0.lock().unwrap();
        let batch = &mut commits[2].audit[0].1;
        *batch = tamper::replaced(batch, audit::REASON, reasons);
    }
    let mut archive = open(room.path());
    let refused = archive.seal(log.all(), &mut quietly).unwrap_err().to_string();
    assert!(refused.starts_with("action \"bat-2\" number 0 of tick"), "{refused}");
    assert_eq!(archive.sealed(), Position::default());
}

#[test]
fn columns_that_the_table_cannot_hold_are_named() {
    let check = |name: &str, values: ArrayRef, expected: &str| {
        let (room, log) = (room(), Log::of(1));
        let field = Field::new(name, values.data_type().clone(), true);
        let batch = records(2, &["bus-1"], vec![(field, values)]);
        let links = chain(&log.head(), tick(2), &[(Kind::View, batch)]).unwrap();
        log.0.lock().unwrap().push(Commit { head: links.head, audit: links.batches });
        let refused = open(room.path()).seal(log.all(), &mut quietly).unwrap_err().to_string();
        let named = format!("column {name} of the view records cannot be sealed: ");
        assert_eq!(refused, format!("{named}{expected}"));
    };
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    check("day", text.clone(), "the table has a column of its own of that name");
    check("power_kw", text, "it is string, and double where another kind has it");
}
