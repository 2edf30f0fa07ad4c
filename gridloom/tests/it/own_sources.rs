//! Sources of the user's own whose doors break, that are gone at a restart, or that go and come
//! again with another past.

use std::fs;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use gridloom::check::Checked;
use gridloom::check::check;
use gridloom::wiring::open::open;
use gridloom::wiring::open::stated_sources;
use pipeline::emit::definitions::stated_in;
use pipeline::engine::Handle;
use pipeline::instance::Instance;
use pipeline::instance::reader::Readers;
use queries::Planner;
use schemas::audit::Kind;
use schemas::catalog::Catalog;
use schemas::contract::Engine;

use crate::bad_input::good;
use crate::bad_input::write_setting;
use crate::restart::tick;
use crate::sources::avro;
use crate::sources::counted;
use crate::sources::create;
use crate::sources::instance;
use crate::sources::maintain;
use crate::sources::rows;
use crate::sources::statement;
use crate::sources::to_its_end;
use crate::sources::until;
use crate::sources::write;

const AT: i64 = 1_472_601_601_000;

/// Why the door of the chargers is broken, as it is shown.
fn error(handle: &Handle) -> Option<String> {
    let status = handle.status();
    status.sources.iter().find(|source| source.source == "chargers")?.error.clone()
}

/// An Avro file of two blocks, and the same torn in the second.
fn blocks() -> (Vec<u8>, Vec<u8>) {
    let (one, two) = ([("c1", AT, 7.5), ("c2", AT + 1, 11.0)], [("c1", AT + 2, 3.5)]);
    // A block of nothing has two lengths of a byte each and the mark of 16.
    let head = avro(&[]).len() - 18;
    let mut whole = avro(&one);
    whole.extend_from_slice(&avro(&two)[head..]);
    let torn = whole[..whole.len() - 5].to_vec();
    (whole, torn)
}

/// An instance that has read what there is of a torn file, and counts it.
fn torn(folder: &Path) -> (Instance, Readers) {
    fs::write(folder.join("chargers.avro"), blocks().1).unwrap();
    let (mut instance, mut readers) = instance(folder);
    let handle = instance.handle();
    tick(&mut instance, 0);
    create(&handle, &statement("append").replace(".csv", ".avro")).unwrap();
    until(&mut instance, &mut readers, |handle| error(handle).is_some());
    (instance, readers)
}

/// The same folder after a restart, with the sources that stand in its log.
fn again(folder: &Path) -> (Instance, Readers) {
    let (mut instance, readers) = instance(folder);
    let stated = stated_in(&folder.join("audit")).unwrap();
    let own = stated_sources(&mut Catalog::built_in(), &stated).unwrap();
    instance.reopen_sources(own);
    (instance, readers)
}

#[test]
fn a_door_that_breaks_keeps_nobody_waiting_and_is_tried_until_it_opens() {
    let folder = tempfile::tempdir().unwrap();
    let (mut instance, mut readers) = torn(folder.path());
    let handle = instance.handle();
    let why = error(&handle).unwrap();
    assert!(why.contains("cannot be read: the file is cut off (repair or replace"), "{why}");
    maintain(&handle);
    // Nothing has patience here: a partition that counts would be waited for.
    for number in 1..4 {
        tick(&mut instance, number);
    }
    until(&mut instance, &mut readers, |handle| counted(handle) == 2);
    instance.note_status();
    let missed = handle.status().sources.iter().find(|s| s.source == "chargers").unwrap().missed;
    assert!((1..4).contains(&missed), "{missed}");
    fs::write(folder.path().join("chargers.avro"), blocks().0).unwrap();
    to_its_end(&mut instance, &mut readers);
    tick(&mut instance, 4);
    // It went on where it was: nothing is lost, and nothing came twice.
    let back = |handle: &Handle| counted(handle) == 3 && error(handle).is_none();
    until(&mut instance, &mut readers, back);
    assert_eq!(rows(&handle), 3);
    instance.stop().unwrap();
    let records = gridloom::audit_tables::rows(folder.path(), Kind::Tick).unwrap();
    let told = arrow::util::pretty::pretty_format_batches(&records.batches).unwrap().to_string();
    assert!(told.contains("its door is broken: the tick was closed without it"), "{told}");
}

#[test]
fn a_broken_source_can_be_dropped_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut instance, mut readers) = torn(folder.path());
    let handle = instance.handle();
    handle.remove_source("chargers", "anna").unwrap();
    until(&mut instance, &mut readers, |handle| error(handle).is_none());
    tick(&mut instance, 1);
    assert!(handle.read(&["chargers"], None).is_err());
    fs::write(folder.path().join("chargers.avro"), blocks().0).unwrap();
    create(&handle, &statement("append").replace(".csv", ".avro")).unwrap();
    to_its_end(&mut instance, &mut readers);
    tick(&mut instance, 2);
    until(&mut instance, &mut readers, |handle| rows(handle) == 3 && error(handle).is_none());
}

#[test]
fn what_is_gone_at_a_restart_goes_on_where_it_was_once_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chargers.avro");
    {
        let (mut instance, mut readers) = torn(folder.path());
        maintain(&instance.handle());
        tick(&mut instance, 1);
        until(&mut instance, &mut readers, |handle| counted(handle) == 2);
        instance.stop().unwrap();
    }
    fs::remove_file(&file).unwrap();
    let (mut instance, mut readers) = again(folder.path());
    let gone = |handle: &Handle| error(handle).is_some_and(|why| why.contains("does not exist"));
    until(&mut instance, &mut readers, gone);
    for number in 2..5 {
        tick(&mut instance, number);
    }
    assert_eq!(counted(&instance.handle()), 2);
    fs::write(&file, blocks().0).unwrap();
    to_its_end(&mut instance, &mut readers);
    tick(&mut instance, 5);
    let back = |handle: &Handle| counted(handle) == 3 && error(handle).is_none();
    until(&mut instance, &mut readers, back);
    assert_eq!(rows(&instance.handle()), 3);
}

/// An instance as it is configured.
fn configured(folder: &Path) -> (Instance, Readers) {
    let checked = check(&folder.join("gridloom.toml"), true).unwrap_or_else(|e| panic!("{e}"));
    let Checked { config, catalog, plans, tables, .. } = checked;
    let (instance, feeds) = open(&config, &catalog, plans, tables, None).unwrap();
    (instance, Readers::start(feeds).unwrap())
}

#[test]
fn what_is_gone_at_a_restart_keeps_no_instance_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let lines: Vec<String> = (0..10).map(|n| good(n * 5)).collect();
    fs::write(folder.join("readings.ndjson"), lines.join("\n")).unwrap();
    let config = write_setting(folder, "own") + "kind = \"file\"\npath = \"readings.ndjson\"\n";
    let config = config.replace("[[sources]]\nname = \"meters\"", "[[sources]]\nname = \"feed\"");
    fs::write(folder.join("gridloom.toml"), config).unwrap();
    let chargers = "charger_id,at,kw\nc1,2026-01-01T00:00:01Z,7.5\nc2,2026-01-01T00:00:02Z,11\n";
    fs::write(folder.join("chargers.csv"), chargers).unwrap();
    {
        let (mut instance, mut readers) = configured(folder);
        let handle = instance.handle();
        // Positions are kept by a source's name.
        let taken = create(&handle, &statement("append").replace("SOURCE chargers", "SOURCE feed"));
        let taken = taken.unwrap_err().to_string();
        assert!(taken.contains("there is a source feed in the configuration"), "{taken}");
        create(&handle, &statement("append")).unwrap();
        until(&mut instance, &mut readers, |handle| rows(handle) == 2);
        instance.stop().unwrap();
    }
    fs::remove_file(folder.join("chargers.csv")).unwrap();
    let (mut instance, mut readers) = configured(folder);
    let gone = |handle: &Handle| error(handle).is_some_and(|why| why.contains("does not exist"));
    until(&mut instance, &mut readers, gone);
    assert!(!instance.finished(), "one whose door is broken has not ended");
    fs::write(folder.join("chargers.csv"), chargers).unwrap();
    until(&mut instance, &mut readers, |handle| error(handle).is_none());
    let began = Instant::now();
    while !instance.finished() {
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", instance.handle().status());
        if let Some(heard) = readers.next(Duration::from_millis(5)) {
            instance.hear(heard);
        }
        instance.turn(Duration::from_millis(5)).unwrap();
    }
    assert_eq!(rows(&instance.handle()), 2);
}

/// Counts the chargers, whatever else is known of them.
fn count(handle: &Handle) {
    let sql = "CREATE MATERIALIZED VIEW by_charger AS
        SELECT charger_id, count(*) AS n FROM chargers GROUP BY charger_id";
    let plan = Planner::new(handle.catalog()).view(sql).unwrap_or_else(|e| panic!("{e}"));
    handle.create(plan, false, "anna").unwrap();
}

/// Another source of two rows takes the name of one that had three; it is made by `sql` over what
/// is written into `file`.
#[track_caller]
fn check_anew(envelope: &str, sql: &str, (file, text): (&str, &str)) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let before = if envelope == "upsert" { 2 } else { 3 };
    {
        let (mut instance, mut readers) = instance(folder.path());
        let handle = instance.handle();
        tick(&mut instance, 0);
        create(&handle, &statement(envelope)).unwrap();
        to_its_end(&mut instance, &mut readers);
        tick(&mut instance, 1);
        assert_eq!(rows(&handle), before);
        fs::write(folder.path().join(file), text).unwrap();
        // No tick is between the two.
        handle.remove_source("chargers", "anna").unwrap();
        create(&handle, sql).unwrap();
        assert_eq!(rows(&handle), 0, "of what was before nothing is its own");
        to_its_end(&mut instance, &mut readers);
        tick(&mut instance, 2);
        count(&handle);
        until(&mut instance, &mut readers, |handle| counted(handle) == 2);
        assert_eq!(rows(&handle), 2);
        tick(&mut instance, 3);
        assert_eq!((counted(&handle), rows(&handle)), (2, 2));
        instance.stop().unwrap();
    }
    let (mut instance, mut readers) = instance(folder.path());
    let handle = instance.handle();
    assert_eq!((counted(&handle), rows(&handle)), (2, 2), "the log says since when");
    // The view was built at the start and goes on unseen; it is given nothing of a third.
    handle.remove("by_charger", "anna").unwrap();
    handle.remove_source("chargers", "anna").unwrap();
    write(folder.path());
    create(&handle, &statement(envelope)).unwrap();
    to_its_end(&mut instance, &mut readers);
    tick(&mut instance, 4);
    count(&handle);
    until(&mut instance, &mut readers, |handle| counted(handle) == before as i64);
    assert_eq!(rows(&handle), before);
}

const OTHER_ROWS: &str =
    "charger_id,at,kw\nc1,2016-08-31T00:00:04Z,1.5\nc3,2016-08-31T00:00:05Z,2.5\n";

#[test]
fn a_source_that_is_made_again_in_the_same_words_begins_anew() {
    for envelope in ["append", "upsert"] {
        check_anew(envelope, &statement(envelope), ("chargers.csv", OTHER_ROWS));
    }
}

#[test]
fn a_source_that_is_made_again_with_other_columns_begins_anew() {
    for envelope in ["append", "upsert"] {
        let sql = format!(
            "CREATE SOURCE chargers (charger_id TEXT NOT NULL, plugs BIGINT, at TIMESTAMP NOT \
             NULL, PRIMARY KEY (charger_id)) WITH (kind = 'file', path = 'plugs.csv', event_time \
             = 'at', envelope = '{envelope}', lateness = '2 hours')"
        );
        let rows = "charger_id,plugs,at\nc1,2,2016-08-31T00:00:04Z\nc3,1,2016-08-31T00:00:05Z\n";
        check_anew(envelope, &sql, ("plugs.csv", rows));
    }
}
