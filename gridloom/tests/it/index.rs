//! Indexes that come and go while the instance runs, and what reads from them.

use std::path::Path;
use std::time::Duration;

use pipeline::engine::Handle;
use pipeline::instance::Instance;
use schemas::contract::ChangeError;
use schemas::contract::Engine;
use schemas::contract::IndexStatus;
use schemas::time::Timestamp;

use crate::live::create;
use crate::live::settle;
use crate::live::text;
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
