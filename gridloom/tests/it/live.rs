//! Views that come, change and go while the instance runs, and what readers on other threads see.

use std::path::Path;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::util::pretty::pretty_format_batches;
use pipeline::engine::Handle;
use pipeline::instance::Instance;
use queries::Planner;
use schemas::contract::ChangeError;
use schemas::contract::Engine;
use schemas::contract::ReadError;
use schemas::contract::SubscribeFrom;
use schemas::contract::SubscriptionEnd;
use schemas::contract::Told;
use schemas::time::Timestamp;

use crate::restart::BEGIN;
use crate::restart::STEP;
use crate::restart::notes;
use crate::restart::tick;
use crate::restart::with_workers;

const COUNTS: &str = "CREATE MATERIALIZED VIEW counts AS
    SELECT meter_id, count(*) AS n, sum(active_power_kw) AS kw
    FROM meter_readings GROUP BY meter_id";
const LOUD: &str = "CREATE MATERIALIZED VIEW loud AS
    SELECT c.meter_id, c.n, r.remark FROM counts c JOIN remarks r USING (meter_id)
    WHERE r.measured_at >= TIMESTAMP '2016-08-31T00:00:10Z'";

pub(crate) fn create(handle: &Handle, sql: &str, replace: bool) -> Result<Timestamp, ChangeError> {
    let plan = Planner::new(handle.catalog()).view(sql).unwrap_or_else(|e| panic!("{}", e.full()));
    handle.create(plan, replace, "anna")
}

/// Turns the instance until nothing hydrates; nothing arrives meanwhile.
pub(crate) fn settle(instance: &mut Instance) {
    for _ in 0..2_000 {
        instance.turn(Duration::from_millis(5)).unwrap();
        instance.note_status();
        if instance.handle().status().views.iter().all(|view| view.hydrated == 100) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("still hydrating: {:?}", instance.handle().status().views);
}

/// The rows of a view as text.
pub(crate) fn text(handle: &Handle, view: &str, at: Option<Timestamp>) -> String {
    let rows = handle.read(&[view], at).unwrap().pop().unwrap().rows;
    pretty_format_batches(&[rows]).unwrap().to_string()
}

fn n(handle: &Handle, view: &str, at: Option<Timestamp>) -> i64 {
    let rows = handle.read(&[view], at).unwrap().pop().unwrap().rows;
    rows.column_by_name("n").unwrap().as_primitive::<Int64Type>().iter().flatten().sum()
}

fn tick_at(n: u64) -> Timestamp {
    Timestamp(BEGIN + (n + 1) * STEP)
}

fn instance(folder: &Path, workers: usize) -> Instance {
    with_workers(folder, notes(&["a", "b"]), None, workers)
}

#[test]
fn a_view_made_late_is_as_one_made_at_the_beginning() {
    for workers in 1..=3 {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [mut early, mut late] = [0, 1].map(|i| instance(folders[i].path(), workers));
        for sql in [COUNTS, LOUD] {
            create(&early.handle(), sql, false).unwrap();
            settle(&mut early);
        }
        for number in 0..8 {
            tick(&mut early, number);
            tick(&mut late, number);
            // One over a stream after three ticks, one over that and over a file's after five.
            if number == 3 {
                create(&late.handle(), COUNTS, false).unwrap();
            }
            if number == 5 {
                create(&late.handle(), LOUD, false).unwrap();
            }
            if number == 4 || number == 6 {
                settle(&mut late);
            }
            for (view, from) in [("counts", 4), ("loud", 6)] {
                if number >= from {
                    let (a, b) = (early.handle(), late.handle());
                    assert_eq!(text(&a, view, None), text(&b, view, None), "{view} at {number}");
                }
            }
        }
        assert_eq!(n(&late.handle(), "counts", None), 8);
        assert!(text(&late.handle(), "loud", None).contains("| b "));
    }
}

#[test]
fn a_view_hydrates_while_ticks_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut instance = instance(folder.path(), 2);
    for number in 0..5 {
        tick(&mut instance, number);
    }
    let handle = instance.handle();
    create(&handle, COUNTS, false).unwrap();
    assert!(matches!(handle.read(&["counts"], None), Err(ReadError::Hydrating { .. })));
    for number in 5..30 {
        tick(&mut instance, number);
    }
    settle(&mut instance);
    assert_eq!(n(&handle, "counts", None), 30);
    tick(&mut instance, 30);
    assert_eq!(n(&handle, "counts", None), 31);
}

#[test]
fn a_replaced_view_shows_its_old_rows_until_the_new_ones_are_there_and_its_readers_follow() {
    let folder = tempfile::tempdir().unwrap();
    let mut instance = instance(folder.path(), 2);
    let handle = instance.handle();
    for number in 0..3 {
        tick(&mut instance, number);
    }
    for sql in [COUNTS, LOUD] {
        create(&handle, sql, false).unwrap();
        settle(&mut instance);
    }
    let from = SubscribeFrom { at: None, snapshot: true };
    let mut changes = handle.subscribe("counts", &from).unwrap();
    let doubled = "CREATE OR REPLACE MATERIALIZED VIEW counts AS
        SELECT meter_id, 2 * count(*) AS n, sum(active_power_kw) AS kw
        FROM meter_readings GROUP BY meter_id";
    create(&handle, doubled, true).unwrap();
    assert_eq!(n(&handle, "counts", None), 3, "the old rows");
    settle(&mut instance);
    assert_eq!(n(&handle, "counts", None), 6);
    tick(&mut instance, 3);
    assert_eq!(n(&handle, "counts", None), 8);
    // Two readings are loud, by two remarks; each shows the doubled count.
    assert_eq!(n(&handle, "loud", None), 4 * 8);
    // The subscriber was told the difference, and goes on.
    let mut sum = 0;
    while let Ok(Some(told)) = changes.next(Duration::from_millis(50)) {
        let of = |rows: &arrow::array::RecordBatch| {
            rows.column_by_name("n").unwrap().as_primitive::<Int64Type>().clone()
        };
        match told {
            Told::Snapshot { rows, .. } => sum += of(&rows).iter().flatten().sum::<i64>(),
            Told::Changes { rows, diffs, .. } => {
                let ns = of(&rows);
                sum += (0..ns.len()).map(|i| ns.value(i) * diffs[i]).sum::<i64>();
            }
            Told::Progress { .. } => {}
        }
    }
    assert_eq!(sum, 8);
    // Another shape would not fit who reads it.
    let narrow =
        "CREATE OR REPLACE MATERIALIZED VIEW counts AS SELECT meter_id FROM meter_readings";
    let refused = create(&handle, narrow, true).unwrap_err();
    assert_eq!(refused.to_string(), "counts is read by loud");
}

#[test]
fn a_view_that_others_read_stays_and_one_in_a_file_does_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut instance = instance(folder.path(), 1);
    let handle = instance.handle();
    tick(&mut instance, 0);
    for sql in [COUNTS, LOUD] {
        create(&handle, sql, false).unwrap();
        settle(&mut instance);
    }
    let said = |error: ChangeError| error.to_string();
    assert_eq!(said(handle.remove("counts", "anna").unwrap_err()), "counts is read by loud");
    assert_eq!(said(handle.remove("quiet", "anna").unwrap_err()), "there is no view quiet");
    let file = said(handle.remove("remarks", "anna").unwrap_err());
    assert!(file.contains("folder of views"), "whoever reads it: {file}");
    assert_eq!(said(create(&handle, COUNTS, false).unwrap_err()), "counts is there already");
    handle.remove("loud", "anna").unwrap();
    handle.remove("counts", "anna").unwrap();
    tick(&mut instance, 1);
    let gone = handle.read(&["counts"], None).unwrap_err();
    assert_eq!(gone, ReadError::Unknown { name: "counts".to_owned() });
    create(&handle, COUNTS, false).unwrap();
    settle(&mut instance);
    assert_eq!(n(&handle, "counts", None), 2);
}

#[test]
fn what_was_made_by_statements_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    {
        let mut instance = instance(folder.path(), 2);
        tick(&mut instance, 0);
        create(&instance.handle(), COUNTS, false).unwrap();
        settle(&mut instance);
        create(&instance.handle(), LOUD, false).unwrap();
        settle(&mut instance);
        tick(&mut instance, 1);
        instance.handle().remove("loud", "anna").unwrap();
        tick(&mut instance, 2);
        instance.stop().unwrap();
    }
    let mut instance = instance(folder.path(), 1);
    let handle = instance.handle();
    assert_eq!(n(&handle, "counts", None), 3);
    assert!(matches!(handle.read(&["loud"], None), Err(ReadError::Unknown { .. })));
    tick(&mut instance, 3);
    assert_eq!(n(&handle, "counts", None), 4);
    handle.remove("counts", "anna").unwrap();
    tick(&mut instance, 4);
    assert!(matches!(handle.read(&["counts"], None), Err(ReadError::Unknown { .. })));
}

#[test]
fn the_past_can_be_read_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut instance = instance(folder.path(), 1);
    let handle = instance.handle();
    create(&handle, COUNTS, false).unwrap();
    settle(&mut instance);
    for number in 0..10 {
        tick(&mut instance, number);
    }
    for number in 0..10 {
        assert_eq!(n(&handle, "counts", Some(tick_at(number))), number as i64 + 1);
    }
    let early = handle.read(&["counts"], Some(Timestamp(BEGIN + 40 * STEP))).unwrap_err();
    assert!(early.to_string().contains("is kept from tick"), "{early}");
    // A stream, as of the same ticks, is what the log holds.
    let rows = |at| handle.read(&["meter_readings", "counts"], at).unwrap();
    assert_eq!(rows(None)[0].rows.num_rows(), 10);
    assert_eq!(rows(Some(tick_at(3)))[0].rows.num_rows(), 4);
    assert_eq!(handle.read(&["notes"], None).unwrap()[0].rows.num_rows(), 2);
}

#[test]
fn a_view_says_how_far_back_it_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut instance = instance(folder.path(), 1);
    let handle = instance.handle();
    let with =
        |name: &str, options: &str| COUNTS.replace("counts AS", &format!("{name} {options} AS"));
    create(&handle, &with("short", "WITH (retain = '20 s')"), false).unwrap();
    create(&handle, &with("long", "WITH (retain = '1 hour')"), false).unwrap();
    settle(&mut instance);
    for number in 0..200 {
        tick(&mut instance, number);
    }
    assert_eq!(n(&handle, "long", Some(tick_at(3))), 4);
    assert_eq!(n(&handle, "short", Some(tick_at(195))), 196);
    let early = handle.read(&["short"], Some(tick_at(194))).unwrap_err();
    assert!(early.to_string().contains("is kept from tick"), "{early}");
    let wrong = Planner::new(handle.catalog()).view(&with("v", "WITH (retain = 'ever')"));
    assert!(wrong.unwrap_err().full().contains("'2 hours'"));
}

#[test]
fn a_subscriber_that_does_not_read_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut instance = instance(folder.path(), 1);
    let handle = instance.handle();
    tick(&mut instance, 0);
    let from = SubscribeFrom { at: None, snapshot: false };
    let mut changes = handle.subscribe("remarks", &from).unwrap();
    for number in 1..1_100 {
        tick(&mut instance, number);
    }
    let mut told = 0;
    let end = loop {
        match changes.next(Duration::ZERO) {
            Ok(Some(_)) => told += 1,
            Ok(None) => panic!("it should have ended"),
            Err(end) => break end,
        }
    };
    assert_eq!((told, end), (1_024, SubscriptionEnd::TooSlow { ticks: 1_024 }));
}

/// Rows that a view keeps, by the first word of the node; and all their bytes.
fn kept(handle: &Handle, view: &str) -> (Vec<(String, u64)>, u64) {
    let status = handle.status();
    let own: Vec<_> = status.arrangements.iter().filter(|kept| kept.view == view).collect();
    let word = |node: &str| node.split(' ').next().unwrap().to_owned();
    let rows = own.iter().map(|kept| (word(&kept.node), kept.rows)).collect();
    (rows, own.iter().map(|kept| kept.bytes).sum())
}

#[test]
fn what_views_keep_is_counted_over_all_workers() {
    // What a stream retains, and the groups of it.
    let grouped = |rows, retained| [("Reduce".to_owned(), rows), ("Get".to_owned(), retained)];
    let latest = "CREATE MATERIALIZED VIEW latest AS SELECT DISTINCT ON (meter_id) meter_id,
        measured_at, active_power_kw FROM meter_readings ORDER BY meter_id, measured_at DESC";
    let ordered = "CREATE MATERIALIZED VIEW ordered AS
        SELECT meter_id, max(measured_at) AS last FROM meter_readings GROUP BY meter_id";
    for workers in 1..=3 {
        let folder = tempfile::tempdir().unwrap();
        let mut instance = instance(folder.path(), workers);
        let handle = instance.handle();
        for number in 0..5 {
            tick(&mut instance, number);
        }
        for sql in [COUNTS, LOUD, latest, ordered] {
            create(&handle, sql, false).unwrap();
            settle(&mut instance);
        }
        tick(&mut instance, 5);
        // One group of six readings.
        let (rows, bytes) = kept(&handle, "counts");
        assert_eq!(rows, grouped(1, 6));
        assert!((100..2_000).contains(&bytes), "{bytes}");
        // One count on the left, the remarks of the readings that are loud on the right.
        let (rows, _) = kept(&handle, "loud");
        let right = text(&handle, "remarks", None).matches("2016-08-31T00:00:").count() as u64;
        assert_eq!(rows.len(), 2, "{rows:?}");
        assert_eq!(rows[0], ("Join".to_owned(), 1));
        assert!(rows[1].1 > 0 && rows[1].1 <= right, "{rows:?} of {right}");
        // The latest reading alone; its bytes do not grow with the readings.
        let (rows, bytes) = kept(&handle, "latest");
        assert_eq!(rows, [("TopK".to_owned(), 1)]);
        tick(&mut instance, 6);
        assert_eq!(kept(&handle, "latest"), (rows, bytes));
        // The group and its seven instants.
        assert_eq!(kept(&handle, "ordered").0, grouped(8, 7));
        handle.remove("ordered", "anna").unwrap();
        tick(&mut instance, 7);
        assert_eq!(kept(&handle, "ordered"), (Vec::new(), 0));
    }
}

#[test]
fn a_replacement_that_cannot_be_built_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut instance = instance(folder.path(), 2);
    let handle = instance.handle();
    (0..3).for_each(|number| tick(&mut instance, number));
    for sql in [COUNTS, LOUD] {
        create(&handle, sql, false).unwrap();
        settle(&mut instance);
    }
    let index = queries::index::index(&handle.catalog(), "CREATE INDEX of ON remarks (meter_id)");
    handle.create_index(index.unwrap().plan, "anna").unwrap();
    crate::index::settle_indexes(&mut instance);
    let before = text(&handle, "loud", None);

    // The past that the new one needs cannot be read.
    for entry in std::fs::read_dir(folder.path().join("audit")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "segment") {
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &[0xff; 64], 400).unwrap();
        }
    }
    let new = "CREATE OR REPLACE MATERIALIZED VIEW loud AS
        SELECT m.meter_id, count(*) AS n, max(r.remark) AS remark
        FROM meter_readings m JOIN remarks r USING (meter_id) GROUP BY m.meter_id";
    create(&handle, new, true).unwrap();
    let refused = handle.remove_index("of", "anna");
    assert!(matches!(refused, Err(ChangeError::Read { .. })), "the new one will use it");
    settle(&mut instance);
    tick(&mut instance, 3);
    let status = handle.status();
    let loud = status.views.iter().find(|view| view.name == "loud").unwrap();
    assert_eq!(loud.sql, LOUD, "the old one stands");
    assert!(text(&handle, "loud", None).len() >= before.len(), "and goes on");
    handle.remove_index("of", "anna").unwrap();
    instance.stop().unwrap();
}
