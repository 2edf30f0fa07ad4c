//! Views over the audit log are as batch over the same records, at every tick: what is recorded of
//! a tick is in the views of that tick, with what the streams' views show of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use arrow::compute::concat_batches;
use connectors::simulator::plant::DEMO_START_AT;
use gridloom::audit_tables;
use gridloom::wiring::bundled;
use gridloom::wiring::day::Day;
use gridloom::wiring::lockstep::Lockstep;
use pipeline::engine::Handle;
use queries::PlanError;
use queries::Planner;
use queries::batch::Rows;
use schemas::audit::Kind;
use schemas::catalog::Catalog;
use schemas::contract::Engine;
use schemas::contract::ViewReader;

use crate::live::create;
use crate::live::settle;
use crate::live::text;
use crate::oracle::rough_difference;
use crate::restart::notes;
use crate::restart::tick;
use crate::restart::with_workers;

/// Views with their definitions, each after those it reads.
const VIEWS: [(&str, &str); 7] = [
    (
        "steps",
        "CREATE MATERIALIZED VIEW steps AS
         SELECT state, count(*) AS n, sum(active_power_kw) AS kw FROM audit.actions GROUP BY state",
    ),
    (
        "recent",
        "CREATE MATERIALIZED VIEW recent AS SELECT subject, state, reason, tick_at, hash
         FROM audit.actions WHERE tick_at > now() - INTERVAL '20 seconds'",
    ),
    (
        "refusals",
        "CREATE MATERIALIZED VIEW refusals WITH (allow_unbounded_state = true) AS
         SELECT a.subject, a.tick_at, a.previous_hash, c.rule FROM audit.alarms a
         JOIN audit.actions AS c ON c.action_id = a.action_id WHERE c.state = 'refused'",
    ),
    (
        "last_forecasts",
        "CREATE MATERIALIZED VIEW last_forecasts AS SELECT subject, target_at, p50_kw
         FROM audit.forecasts ORDER BY tick_at DESC, subject, target_at LIMIT 5",
    ),
    (
        "definitions",
        "CREATE MATERIALIZED VIEW definitions AS
         SELECT actor, change, count(*) AS n FROM audit.views GROUP BY actor, change",
    ),
    // Beside a view of streams, and over a view of the audit log.
    (
        "beside",
        "CREATE MATERIALIZED VIEW beside AS SELECT s.state, s.n, f.n AS feeders
         FROM steps s CROSS JOIN (SELECT count(*) AS n FROM feeder_now) f",
    ),
    (
        "busy",
        "CREATE MATERIALIZED VIEW busy AS SELECT r.subject, r.state, b.n
         FROM recent r LEFT JOIN beside b ON b.state = r.state",
    ),
];

/// The records so far and the rows of every view.
fn tables(handle: &Handle, data_dir: &Path) -> BTreeMap<String, Rows> {
    let mut tables = BTreeMap::new();
    for kind in Kind::ALL {
        tables.insert(audit_tables::name(kind), audit_tables::rows(data_dir, kind).unwrap());
    }
    let names: Vec<String> = handle.status().views.into_iter().map(|view| view.name).collect();
    for name in names {
        let rows = handle.read(&[&name], None).unwrap().pop().unwrap().rows;
        tables.insert(name, Rows::of(rows));
    }
    tables
}

/// Compares every view with batch; how many rows that were.
fn compare(handle: &Handle, data_dir: &Path, names: &[&str], what: &str) -> usize {
    let tables = tables(handle, data_dir);
    let status = handle.status();
    let mut compared = 0;
    for name in names {
        let view = status.views.iter().find(|view| view.name == *name).unwrap();
        let asked = queries::batch::query(&tables, &view.sql, handle.tick()).unwrap();
        let shown = &tables[*name];
        let shown = concat_batches(&shown.schema, &shown.batches).unwrap();
        // Sums of doubles may differ in the order of adding.
        if let Some(difference) = rough_difference(&shown, &asked) {
            panic!("{name}: {what}: {difference}");
        }
        compared += shown.num_rows();
    }
    compared
}

fn settled(day: &mut Lockstep) {
    for _ in 0..500 {
        day.rest(Duration::from_millis(5)).unwrap();
        let status = day.instance().handle().status();
        let indexes = status.indexes.iter().all(|index| index.hydrated == 100);
        if indexes && status.views.iter().all(|view| view.hydrated == 100) {
            return;
        }
    }
    panic!("still hydrating");
}

#[test]
fn views_over_the_audit_log_equal_batch_at_every_tick() {
    for workers in 1..=3 {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        // A minute before a foreign command that is refused.
        let day = Day {
            start_at: DEMO_START_AT.plus(10 * 3_600_000 - 15_000),
            workers,
            ..Day::new(data_dir.clone())
        };
        let mut day = day.open(bundled::plant_data().unwrap()).unwrap();
        let handle = day.instance().handle();
        let names: Vec<&str> = VIEWS.iter().map(|(name, _)| *name).collect();
        let mut compared = 0;
        for n in 0..16 {
            day.step().unwrap();
            let what = format!("tick {n}, {workers} workers");
            match n {
                0..3 => {}
                3 => {
                    for (_, sql) in VIEWS {
                        create(&handle, sql, false).unwrap();
                        settled(&mut day);
                    }
                    let sql = "CREATE INDEX recent_of ON recent (state)";
                    let index = queries::index::index(&handle.catalog(), sql).unwrap().plan;
                    handle.create_index(index, "anna").unwrap();
                    settled(&mut day);
                }
                8 => {
                    // Joins on an index of a view that follows, and replaces one that others read.
                    let sql = VIEWS[6].1.replace("LEFT JOIN", "JOIN").replace("busy", "joined");
                    create(&handle, &sql, false).unwrap();
                    settled(&mut day);
                    let sql = VIEWS[0].1.replacen("CREATE", "CREATE OR REPLACE", 1);
                    create(&handle, &sql.replace("count(*)", "3 * count(*)"), true).unwrap();
                    settled(&mut day);
                    let used = handle.status().indexes[0].used_by.clone();
                    assert_eq!(used, ["joined"]);
                }
                _ => {}
            }
            // What reads a view that is replaced follows with the next tick.
            if n >= 3 && n != 8 {
                compared += compare(&handle, &data_dir, &names, &what);
            }
            if n > 8 {
                compared += compare(&handle, &data_dir, &["joined"], &what);
            }
        }
        assert!(text(&handle, "refusals", None).contains("box"), "the command was refused");
        assert!(compared > 500, "{compared} rows were compared");
        for (name, _) in VIEWS.iter().rev() {
            if *name == "busy" {
                handle.remove("joined", "anna").unwrap();
                handle.remove_index("recent_of", "anna").unwrap();
            }
            handle.remove(name, "anna").unwrap();
        }
        day.rest(Duration::from_millis(50)).unwrap();
        // Nobody follows any more, and ticks go on.
        day.step().unwrap();
        day.stop().unwrap();
    }
}

#[test]
fn they_are_there_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let definitions = VIEWS[4].1;
    let over = "CREATE MATERIALIZED VIEW changes AS SELECT change, sum(n) AS n
                FROM definitions GROUP BY change";
    let mut instance = with_workers(folder.path(), notes(&["a"]), None, 2);
    tick(&mut instance, 0);
    for sql in [definitions, over] {
        create(&instance.handle(), sql, false).unwrap();
        settle(&mut instance);
    }
    tick(&mut instance, 1);
    let compared = compare(&instance.handle(), folder.path(), &["definitions", "changes"], "first");
    // One by an operator's file, two by anna.
    assert_eq!(compared, 3);
    let before = text(&instance.handle(), "definitions", None);
    instance.stop().unwrap();

    let mut instance = with_workers(folder.path(), notes(&["a"]), None, 2);
    let handle = instance.handle();
    assert_eq!(text(&handle, "definitions", None), before, "there before the first tick");
    tick(&mut instance, 2);
    compare(&handle, folder.path(), &["definitions", "changes"], "after a restart");
    handle.remove("changes", "anna").unwrap();
    tick(&mut instance, 3);
    tick(&mut instance, 4);
    compare(&handle, folder.path(), &["definitions"], "one is gone");
    assert!(text(&handle, "definitions", None).contains("dropped"));
    assert!(instance.views().snapshot("changes").is_none());
}

#[test]
fn what_grows_with_the_log_must_be_allowed_by_name() {
    let planner = Planner::new(Catalog::built_in());
    let refused = |sql: &str| match planner.view(sql) {
        Err(PlanError::Unbounded { relation, .. }) => relation,
        other => panic!("{sql}: {other:?}"),
    };
    for sql in [
        "CREATE MATERIALIZED VIEW v AS SELECT * FROM audit.alarms",
        "CREATE MATERIALIZED VIEW v AS SELECT DISTINCT subject FROM audit.alarms",
    ] {
        assert_eq!(refused(sql), "audit.alarms");
    }
    let unknown = planner.view("CREATE MATERIALIZED VIEW v AS SELECT * FROM audit.action");
    let unknown = unknown.unwrap_err().full();
    assert!(unknown.contains("audit.action") && unknown.contains("audit.actions"), "{unknown}");
    let taken = planner.view("CREATE MATERIALIZED VIEW \"audit.actions\" AS SELECT 1 AS one");
    assert!(matches!(taken, Err(PlanError::DuplicateName { .. })), "{taken:?}");
}

#[test]
fn an_index_of_the_log_itself_is_refused() {
    let index = queries::index::index(&Catalog::built_in(), "CREATE INDEX ON audit.actions (hash)");
    assert!(matches!(index, Err(PlanError::Unbounded { .. })), "{index:?}");
}
