//! Writers that are stopped half-way, and readers that are too late.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;

use super::super::store::tests::change;
use super::super::store::tests::views;
use super::*;

/// The one row of `plain`.
fn shown(on_disk: &OnDisk) -> i64 {
    on_disk.views["plain"].column(0).as_primitive::<Int64Type>().value(0)
}

/// The files under `views/`.
fn listed(data_dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(data_dir.join("views")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn rows_errors_and_what_may_not_be_read_come_back() {
    let folder = tempfile::tempdir().unwrap();
    assert!(read(folder.path()).unwrap().is_none());
    let views = views();
    change(&views, 5, 0, &[(7, 1)], &[]);
    change(&views, 6, 1, &[], &[("x=0", 2)]);
    write(folder.path(), &views).unwrap();
    let found = read(folder.path()).unwrap().unwrap();
    assert_eq!((found.tick, shown(&found)), (Timestamp(6), 7));
    let errors = ViewError::from_batch(&found.errors).unwrap();
    assert_eq!(errors, views.errors());
    assert_eq!((errors[0].view.as_str(), errors[0].count), ("strict", 2));
    let failing: Vec<&String> = found.failing.keys().collect();
    assert_eq!(failing, ["above", "strict", "top"]);
    change(&views, 7, 1, &[], &[("x=0", -2)]);
    write(folder.path(), &views).unwrap();
    let found = read(folder.path()).unwrap().unwrap();
    assert_eq!((found.errors.num_rows(), found.failing.len()), (0, 0));
    assert_eq!(listed(folder.path()).len(), 5, "files of the snapshot before are gone");
}

/// A kill leaves files half written. Here the file system refuses instead, at every file in turn.
#[test]
fn a_writer_that_is_stopped_half_way_leaves_the_snapshot_before() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (views(), views());
    change(&before, 5, 0, &[(7, 1)], &[]);
    // The same tick with other rows, as a changed definition of a view gives.
    change(&after, 5, 0, &[(8, 1)], &[]);
    write(folder.path(), &before).unwrap();
    let names = ["plain", "strict", "above", "top", "view_errors"];
    let mut stops: Vec<String> =
        names.iter().map(|name| format!("views/{name}@5-1.arrow.new")).collect();
    stops.push("manifest.new".to_owned());
    for stop in stops {
        let stop = folder.path().join(stop);
        fs::create_dir(&stop).unwrap();
        write(folder.path(), &after).unwrap_err();
        let found = read(folder.path()).unwrap().unwrap();
        assert_eq!((found.tick, shown(&found)), (Timestamp(5), 7), "{}", stop.display());
        fs::remove_dir(&stop).unwrap();
        // What a kill in the middle of this file leaves.
        fs::write(&stop, b"ARROW1").unwrap();
        assert_eq!(shown(&read(folder.path()).unwrap().unwrap()), 7, "{}", stop.display());
    }
    write(folder.path(), &after).unwrap();
    assert_eq!(shown(&read(folder.path()).unwrap().unwrap()), 8);
    assert_eq!(listed(folder.path()).len(), 5, "what was left half written is gone");
}

#[test]
fn a_reader_that_comes_too_late_reads_the_newer_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let views = views();
    change(&views, 5, 0, &[(7, 1)], &[]);
    write(folder.path(), &views).unwrap();
    let mut tick = 5;
    let found = read_beside(folder.path(), || {
        if tick < 8 {
            tick += 1;
            change(&views, tick, 0, &[], &[]);
            write(folder.path(), &views).unwrap();
        }
    });
    let found = found.unwrap().unwrap();
    assert_eq!((found.tick, shown(&found)), (Timestamp(8), 7));
}

#[test]
fn a_file_that_is_lost_is_an_error_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &views()).unwrap();
    fs::remove_file(folder.path().join("views/plain@0-0.arrow")).unwrap();
    assert!(matches!(read(folder.path()), Err(SnapshotError::Io { .. })));
}

#[test]
fn a_manifest_of_an_older_version_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let views = views();
    change(&views, 5, 0, &[(7, 1)], &[]);
    let manifest = write(folder.path(), &views).unwrap();
    let old = serde_json::json!({ "tick": manifest.tick, "views": manifest.views });
    fs::write(folder.path().join(MANIFEST), old.to_string()).unwrap();
    let found = read(folder.path()).unwrap().unwrap();
    assert_eq!((shown(&found), found.errors.num_rows(), found.failing.len()), (7, 0, 0));
}
