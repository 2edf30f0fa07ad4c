//! Indexes that come and go while the instance runs, and what reads from them.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use connectors::source::Fetched;
use connectors::source::PartitionId;
use connectors::source::Polled;
use connectors::source::Position;
use desk::Desk;
use desk::Limits;
use desk::Principal;
use desk::Role;
use desk::Users;
use desk::session::Outcome;
use desk::tables::NoTables;
use expect_test::expect;
use pipeline::engine::Handle;
use pipeline::instance::Instance;
use schemas::contract::ChangeError;
use schemas::contract::Engine;
use schemas::contract::IndexStatus;
use schemas::event::MeterReading;
use schemas::relation::Relation;
use schemas::time::Timestamp;

use crate::live::create;
use crate::live::settle;
use crate::live::text;
use crate::restart::BEGIN;
use crate::restart::STEP;
use crate::restart::notes;
use crate::restart::tick;
use crate::restart::with_workers;

/// Joins a view by the key of its index.
const TOLD: &str = "CREATE MATERIALIZED VIEW told AS
    SELECT c.meter_id, c.n, r.measured_at, r.remark FROM counts c
    JOIN remarks r ON r.meter_id = c.meter_id";
/// Reads a stream whose rows go by themselves.
const LOUD: &str = "CREATE MATERIALIZED VIEW loud AS
    SELECT meter_id, measured_at FROM meter_readings WHERE active_power_kw > 0";
/// Forgets whole bins, in another place than the index.
const BINS: &str = "CREATE MATERIALIZED VIEW bins AS
    SELECT date_bin(INTERVAL '15 seconds', measured_at) AS bin, count(*) AS n
    FROM meter_readings GROUP BY 1";
const COUNTS: &str = "CREATE MATERIALIZED VIEW counts AS
    SELECT meter_id, count(*) AS n FROM meter_readings GROUP BY meter_id";
/// Joins by one of the columns of a key of two, so it reads the rows of an index alone.
const NOTED: &str = "CREATE MATERIALIZED VIEW noted AS
    SELECT r.measured_at, n.remark FROM meter_readings r JOIN notes n USING (meter_id)";

const VIEWS: [(&str, &str); 5] =
    [("counts", COUNTS), ("told", TOLD), ("loud", LOUD), ("bins", BINS), ("noted", NOTED)];

const INDEXES: [&str; 3] = [
    "CREATE INDEX remarks_of ON remarks (meter_id)",
    "CREATE INDEX readings_of ON meter_readings (meter_id, measured_at)",
    "CREATE INDEX ON notes (remark, meter_id)",
];

fn index(handle: &Handle, sql: &str) -> Result<Timestamp, ChangeError> {
    let index = queries::index::index(&handle.catalog(), sql);
    handle.create_index(index.unwrap_or_else(|e| panic!("{}", e.full())).plan, "anna")
}

/// Turns the instance until every index can be used.
pub(crate) fn settle_indexes(instance: &mut Instance) {
    settle(instance);
    for _ in 0..2_000 {
        if instance.handle().status().indexes.iter().all(|index| index.hydrated == 100) {
            return;
        }
        instance.turn(Duration::from_millis(5)).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("still hydrating: {:?}", instance.handle().status().indexes);
}

fn instance(folder: &Path, workers: usize) -> Instance {
    with_workers(folder, notes(&["a", "b"]), None, workers)
}

fn named<'a>(indexes: &'a [IndexStatus], name: &str) -> &'a IndexStatus {
    indexes.iter().find(|index| index.name == name).unwrap()
}

#[test]
fn views_over_indexes_are_as_views_over_the_log() {
    for workers in 1..=3 {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [mut plain, mut indexed] = [0, 1].map(|i| instance(folders[i].path(), workers));
        for number in 0..4 {
            tick(&mut plain, number);
            tick(&mut indexed, number);
        }
        for sql in INDEXES {
            index(&indexed.handle(), sql).unwrap();
        }
        // The index works off its past while ticks go on.
        tick(&mut plain, 4);
        tick(&mut indexed, 4);
        settle_indexes(&mut indexed);
        for (_, sql) in VIEWS {
            for instance in [&mut plain, &mut indexed] {
                create(&instance.handle(), sql, false).unwrap();
                settle(instance);
            }
        }
        // The last tick is when the stream has forgotten all that was before.
        for number in [5, 6, 7, 9, 12, 45_000] {
            tick(&mut plain, number);
            tick(&mut indexed, number);
            let (a, b) = (plain.handle(), indexed.handle());
            for (view, _) in VIEWS {
                let what = format!("{view} at {number}, {workers} workers");
                assert_eq!(text(&a, view, None), text(&b, view, None), "{what}");
            }
        }
        let status = indexed.handle().status();
        let used = |name: &str| named(&status.indexes, name).used_by.clone();
        assert_eq!(used("remarks_of"), ["told"]);
        assert_eq!(used("readings_of"), ["counts", "loud", "noted"], "bins forgets elsewhere");
        assert_eq!(used("notes_remark_meter_id_idx"), ["noted"]);
    }
}

#[test]
fn an_index_is_kept_once_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut instance = instance(folder.path(), 2);
    let handle = instance.handle();
    (0..3).for_each(|n| tick(&mut instance, n));
    index(&handle, INDEXES[0]).unwrap();
    settle_indexes(&mut instance);
    for sql in [COUNTS, TOLD, &TOLD.replace("told", "again").replace("c.n", "c.n + 1 AS n")] {
        create(&handle, sql, false).unwrap();
        settle(&mut instance);
    }
    tick(&mut instance, 3);
    let status = handle.status();
    let of = |view: &str, node: &str| {
        let mut kept = status.arrangements.iter();
        kept.find(|kept| kept.view == view && kept.node.contains(node)).unwrap().clone()
    };
    // Two remarks of each of four readings.
    let own = of("remarks_of", "arranges rows by (meter_id)");
    assert_eq!((own.rows, own.shared_with.clone()), (8, vec!["again".into(), "told".into()]));
    let told = of("told", "arranges right");
    assert_eq!((told.rows, told.bytes), (own.rows, own.bytes));
    assert_eq!(told.shared_with, ["again", "remarks_of"]);
}

/// What EXPLAIN says of this.
fn explained(desk: &Arc<Desk>, what: &str) -> String {
    let session = desk.session(Principal::new("anna", Role::Viewer));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let batches = runtime.block_on(async {
        match session.ask(&format!("EXPLAIN {what}")).await.unwrap() {
            Outcome::Rows(answer) => answer.rows.collect().await.unwrap(),
            other => panic!("{other:?}"),
        }
    });
    let lines = batches.iter().flat_map(|rows| rows.column(0).as_string::<i32>().iter().flatten());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn explain_names_the_index_that_a_join_reads() {
    let folder = tempfile::tempdir().unwrap();
    let mut instance = instance(folder.path(), 2);
    let handle = instance.handle();
    (0..3).for_each(|n| tick(&mut instance, n));
    create(&handle, COUNTS, false).unwrap();
    settle(&mut instance);
    index(&handle, INDEXES[0]).unwrap();
    settle_indexes(&mut instance);
    let doors = tempfile::tempdir().unwrap();
    let (users, _) = Users::open(doors.path()).unwrap();
    let (engine, users) = (Arc::new(handle.clone()), Arc::new(users));
    let desk = Desk::new(engine, Arc::new(NoTables), users, Limits::default()).unwrap();
    let text = explained(&desk, TOLD);
    assert!(text.ends_with("\nremarks has the index remarks_of (meter_id)"), "{text}");
    create(&handle, TOLD, false).unwrap();
    settle(&mut instance);
    tick(&mut instance, 3);
    expect![[r#"
        view told (on_error = quarantine)
          Join inner on meter_id = meter_id
          · arranges left by (meter_id), bound: rows of counts
          · arranges right by (meter_id), bound: rows of remarks, now: in the index remarks_of
            Get counts (meter_id, n)
            Get remarks (meter_id, measured_at, remark)
        reads remarks from the index remarks_of (meter_id)"#]]
    .assert_eq(&explained(&desk, "VIEW told"));
    let text = explained(&desk, "ANALYZE VIEW told");
    for part in ["rows of remarks, now: 8 rows, ", " bytes, in the index remarks_of\n"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn an_index_that_is_used_stays_and_one_that_is_not_goes() {
    let folder = tempfile::tempdir().unwrap();
    {
        let mut instance = instance(folder.path(), 2);
        let handle = instance.handle();
        tick(&mut instance, 0);
        create(&handle, COUNTS, false).unwrap();
        settle(&mut instance);
        index(&handle, INDEXES[0]).unwrap();
        let said = |error: ChangeError| error.to_string();
        let again = index(&handle, INDEXES[0]).unwrap_err();
        assert_eq!(said(again), "remarks_of is there already");
        let taken = "CREATE MATERIALIZED VIEW remarks_of AS SELECT meter_id FROM meters";
        assert_eq!(said(create(&handle, taken, false).unwrap_err()), "remarks_of is there already");
        settle_indexes(&mut instance);
        create(&handle, TOLD, false).unwrap();
        let used = handle.remove_index("remarks_of", "anna").unwrap_err();
        assert_eq!(said(used), "remarks_of is read by told", "though it is not built yet");
        settle(&mut instance);
        index(&handle, "CREATE INDEX on_counts ON counts (meter_id)").unwrap();
        settle_indexes(&mut instance);
        let read = handle.remove("counts", "anna").unwrap_err();
        assert_eq!(said(read), "counts is read by told, the index on_counts");
        handle.remove_index("on_counts", "anna").unwrap();
        let gone = handle.remove_index("on_counts", "anna").unwrap_err();
        assert_eq!(said(gone), "there is no index on_counts");
        handle.remove("told", "anna").unwrap();
        tick(&mut instance, 1);
        handle.remove_index("remarks_of", "anna").unwrap();
        tick(&mut instance, 2);
        assert!(handle.status().indexes.is_empty());
        index(&handle, INDEXES[0]).unwrap();
        tick(&mut instance, 3);
        instance.stop().unwrap();
    }
    let mut instance = instance(folder.path(), 1);
    settle_indexes(&mut instance);
    let handle = instance.handle();
    let status = handle.status();
    let names: Vec<&str> = status.indexes.iter().map(|index| index.name.as_str()).collect();
    assert_eq!(names, ["remarks_of"]);
    create(&handle, TOLD, false).unwrap();
    settle(&mut instance);
    tick(&mut instance, 4);
    assert_eq!(named(&handle.status().indexes, "remarks_of").used_by, ["told"]);
    assert_eq!(text(&handle, "told", None).matches("m-1").count(), 10);
}

#[test]
fn an_index_on_a_view_that_hydrates_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut instance = instance(folder.path(), 2);
    let handle = instance.handle();
    (0..3).for_each(|n| tick(&mut instance, n));
    create(&handle, COUNTS, false).unwrap();
    index(&handle, "CREATE INDEX on_counts ON counts (n)").unwrap();
    assert_eq!(named(&handle.status().indexes, "on_counts").hydrated, 0);
    settle_indexes(&mut instance);
    tick(&mut instance, 3);
    let status = handle.status();
    let kept = status.arrangements.iter().find(|kept| kept.view == "on_counts").unwrap();
    assert_eq!(kept.rows, 1);
}

#[test]
fn an_index_that_waited_at_the_end_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = instance(folder.path(), 1);
    (0..3).for_each(|n| tick(&mut first, n));
    create(&first.handle(), COUNTS, false).unwrap();
    index(&first.handle(), "CREATE INDEX on_counts ON counts (n)").unwrap();
    // Both are recorded with the next tick, whatever is worked off by then.
    tick(&mut first, 3);
    first.stop().unwrap();
    let mut second = instance(folder.path(), 1);
    settle_indexes(&mut second);
    let status = second.handle().status();
    assert_eq!(named(&status.indexes, "on_counts").hydrated, 100);
    assert!(status.views.iter().any(|view| view.name == "counts"));
}

#[test]
fn a_replaced_view_turns_from_its_index_and_readers_of_it_follow() {
    let folder = tempfile::tempdir().unwrap();
    let mut instance = instance(folder.path(), 2);
    let handle = instance.handle();
    (0..3).for_each(|n| tick(&mut instance, n));
    create(&handle, COUNTS, false).unwrap();
    settle(&mut instance);
    index(&handle, "CREATE INDEX on_counts ON counts (meter_id)").unwrap();
    settle_indexes(&mut instance);
    let by_index = "CREATE MATERIALIZED VIEW told AS SELECT n.remark, c.n FROM notes n
        JOIN counts c ON c.meter_id = n.meter_id";
    create(&handle, by_index, false).unwrap();
    settle(&mut instance);
    // What the index is on is replaced: index and reader are told the difference.
    create(&handle, &COUNTS.replace("count(*)", "10 * count(*)"), true).unwrap();
    settle(&mut instance);
    tick(&mut instance, 3);
    assert_eq!(text(&handle, "told", None).matches(" 40 ").count(), 2);
    let by_table = by_index.replace("counts c", "(SELECT meter_id, 1 AS n FROM meters) c");
    let by_table = by_table.replace("JOIN", "LEFT JOIN").replace("c.n", "coalesce(c.n, 7) AS n");
    create(&handle, &by_table, true).unwrap();
    settle(&mut instance);
    handle.remove_index("on_counts", "anna").unwrap();
    tick(&mut instance, 4);
    assert_eq!(text(&handle, "told", None).matches(" 7 ").count(), 2);
}

/// Readings of each worker: more than two pieces of an import, which are of 16,384 rows.
const MANY: u64 = 36_000;
const METERS: u64 = 50;

/// Views over an index that comes in pieces, but for those with a window or a TopK, which take it
/// at once.
const OVER_MANY: [(&str, &str); 8] = [
    (
        "sums",
        "SELECT meter_id, count(*) AS n, sum(active_power_kw) AS kw, min(measured_at) AS first_at,
             max(active_power_kw) AS peak_kw FROM meter_readings GROUP BY meter_id",
    ),
    ("total", "SELECT count(*) AS n, sum(active_power_kw) AS kw FROM meter_readings"),
    (
        "highest",
        "SELECT DISTINCT ON (meter_id) meter_id, active_power_kw, measured_at FROM meter_readings
         ORDER BY meter_id, active_power_kw DESC, measured_at",
    ),
    (
        "falls",
        "SELECT meter_id, measured_at, fall_kw FROM (SELECT meter_id, measured_at,
             lag(active_power_kw) OVER (PARTITION BY meter_id ORDER BY measured_at)
                 - active_power_kw AS fall_kw FROM meter_readings) f WHERE fall_kw > 0",
    ),
    // Of the readings that are there when it is made some are too old, and some grow so after.
    (
        "lately",
        "SELECT meter_id, count(*) AS n, max(measured_at) AS last_at FROM meter_readings
         WHERE measured_at > now() - INTERVAL '12 seconds' GROUP BY meter_id",
    ),
    // One side in pieces, the other in place.
    (
        "selves",
        "SELECT a.meter_id, count(*) AS n, sum(b.active_power_kw) AS kw FROM meter_readings a
         JOIN meter_readings b ON b.meter_id = a.meter_id AND b.measured_at = a.measured_at
         GROUP BY a.meter_id",
    ),
    // Both sides in pieces, and half of the left rows without a match.
    (
        "follows",
        "SELECT a.meter_id, count(*) AS n, count(b.meter_id) AS met FROM meter_readings a
         LEFT JOIN meter_readings b
             ON b.meter_id = a.meter_id AND b.energy_import_kwh = a.active_power_kw
         GROUP BY a.meter_id",
    ),
    // One side in pieces, the other from the log.
    (
        "noted",
        "SELECT n.remark, count(*) AS times, sum(r.active_power_kw) AS kw FROM meter_readings r
         JOIN notes n USING (meter_id) GROUP BY n.remark",
    ),
];

/// A tick with the readings of these numbers: of each meter in turn, its power rising by steps and
/// falling back, and every second time with the power of the next one.
fn readings(instance: &mut Instance, tick: u64, numbers: Range<u64>) {
    let kw = |nth: u64| (nth % 400) as f64 / 8.0;
    let reading = |number: u64| {
        let nth = number / METERS;
        MeterReading {
            meter_id: format!("m-{}", number % METERS),
            measured_at: Timestamp(BEGIN + tick * STEP + nth % STEP),
            active_power_kw: kw(nth),
            energy_import_kwh: nth.is_multiple_of(2).then(|| kw(nth + 1)),
            energy_export_kwh: None,
            quality: "good".to_owned(),
            revision: 0,
        }
    };
    let rows = MeterReading::to_batch(&numbers.map(reading).collect::<Vec<_>>());
    let (partition, position) = (PartitionId::new("meters", 0), tick as Position * 1_000_000);
    let fetched = Fetched::of_rows(partition.clone(), MeterReading::NAME, rows, position);
    let (next, at) = (fetched.next, Timestamp(BEGIN + (tick + 1) * STEP));
    instance.take(Polled::Batch(fetched));
    instance.take(Polled::Mark { partition, at, position: next + 1 });
    while instance.tick() < at {
        instance.turn(Duration::from_millis(100)).unwrap();
    }
}

/// Turns the instance until everything has worked off its past, however much that is.
fn work_off(instance: &mut Instance) {
    for _ in 0..60_000 {
        instance.turn(Duration::from_millis(5)).unwrap();
        instance.note_status();
        let status = instance.handle().status();
        let views = status.views.iter().all(|view| view.hydrated == 100);
        if views && status.indexes.iter().all(|index| index.hydrated == 100) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("still hydrating: {:?}", instance.handle().status().views);
}

#[test]
fn views_over_an_index_of_many_pieces_are_as_views_over_the_log() {
    for workers in 1..=3 {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [mut plain, mut indexed] = [0, 1].map(|i| instance(folders[i].path(), workers));
        let each = MANY * workers as u64 / 4;
        for number in 0..4 {
            readings(&mut plain, number, number * each..(number + 1) * each);
            readings(&mut indexed, number, number * each..(number + 1) * each);
        }
        index(&indexed.handle(), INDEXES[1]).unwrap();
        work_off(&mut indexed);
        for instance in [&mut plain, &mut indexed] {
            for (view, select) in OVER_MANY {
                let sql = format!("CREATE MATERIALIZED VIEW {view} AS {select}");
                create(&instance.handle(), &sql, false).unwrap();
            }
            // A tick that comes while they work off their past.
            readings(instance, 4, 4 * each..4 * each + 60);
            work_off(instance);
        }
        // The last tick is when the stream has forgotten all that was before.
        for number in [5, 6, 7, 45_000] {
            let numbers = 4 * each + number..4 * each + number + 1;
            readings(&mut plain, number, numbers.clone());
            readings(&mut indexed, number, numbers);
            let (a, b) = (plain.handle(), indexed.handle());
            for (view, _) in OVER_MANY {
                let what = format!("{view} at {number}, {workers} workers");
                assert_eq!(text(&a, view, None), text(&b, view, None), "{what}");
            }
        }
        let status = indexed.handle().status();
        let used = &named(&status.indexes, "readings_of").used_by;
        let mut made = OVER_MANY.map(|(view, _)| view);
        made.sort_unstable();
        assert_eq!(*used, made, "none of them reads the log");
    }
}
