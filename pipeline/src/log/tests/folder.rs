//! Whose folder it is, who holds it, and what is said when it is not right.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn refused(dir: &Path, instance: &str) -> String {
    let instance = InstanceId::new(instance).unwrap();
    Log::open(dir, &instance, options()).unwrap_err().to_string()
}

#[test]
fn another_instances_folder_is_refused_and_untouched() {
    let room = room();
    let head = written(room.path(), 2);
    let error = refused(room.path(), "south");
    let path = room.path().display();
    assert_eq!(
        error,
        format!(
            "audit folder {path} belongs to instance \"north\", not to \"south\"; give this \
             instance a data_dir of its own, or start it under the name \"north\""
        )
    );
    let report = verify(room.path()).unwrap();
    assert!(report.intact());
    assert_eq!(report.head, head);
}

#[test]
fn a_segment_of_another_instance_is_found() {
    let (one, other) = (room(), room());
    written(one.path(), 2);
    let south = InstanceId::new("south").unwrap();
    let (mut log, _) = Log::open(other.path(), &south, options()).unwrap();
    log.append(&commit(1)).unwrap();
    log.close().unwrap();
    std::fs::copy(segment::path_of(other.path(), 0), segment::path_of(one.path(), 0)).unwrap();
    let report = verify(one.path()).unwrap();
    assert!(report.findings[0].to_string().contains("belongs to instance \"south\""), "{report}");
    assert!(refused(one.path(), "north").contains("belongs to instance"));
}

#[test]
fn a_second_writer_is_refused_until_the_first_lets_go() {
    let room = room();
    let (log, _) = open(room.path());
    assert!(refused(room.path(), "north").contains("is in use by another process"));
    drop(log);
    open(room.path());
}

#[test]
fn the_key_is_its_owners_alone() {
    let room = room();
    written(room.path(), 1);
    let mode = std::fs::metadata(room.path().join("key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn two_folders_have_two_keys() {
    let (one, other) = (room(), room());
    written(one.path(), 1);
    written(other.path(), 1);
    let key = |dir: &Path| verify(dir).unwrap().public_key;
    assert_ne!(key(one.path()), key(other.path()));
}

#[test]
fn a_missing_or_changed_file_is_named_with_a_way_out() {
    let origin = room();
    written(origin.path(), 2);
    let without = |name: &str| {
        let copy = copied(origin.path());
        std::fs::remove_file(copy.path().join(name)).unwrap();
        refused(copy.path(), "north")
    };
    assert!(without("key").contains("the signing key is missing; restore it from a copy"));
    assert!(without("instance.json").contains("the file is missing, but"));
    let copy = copied(origin.path());
    std::fs::write(copy.path().join("key"), Hash([7; 32]).to_string()).unwrap();
    assert!(refused(copy.path(), "north").contains("not the one that instance.json names"));
    std::fs::write(copy.path().join("key"), "hello").unwrap();
    assert!(refused(copy.path(), "north").contains("not a key of 64 hexadecimal digits"));
    std::fs::write(copy.path().join("instance.json"), "{").unwrap();
    assert!(refused(copy.path(), "north").contains("instance.json"));
    let nothing = room();
    let error = verify(nothing.path()).unwrap_err().to_string();
    assert!(error.contains("this is no audit folder"), "{error}");
}

#[test]
fn a_start_that_was_cut_short_is_completed() {
    let room = room();
    written(room.path(), 0);
    for name in ["instance.json", "head.json", "head-synced.json"] {
        std::fs::remove_file(room.path().join(name)).unwrap();
        let (log, recovered) = open(room.path());
        assert_eq!(recovered.last_tick(), None);
        drop(log);
        assert!(verify(room.path()).unwrap().intact());
    }
}

#[test]
fn a_name_that_cannot_be_an_instance_is_none() {
    for name in ["", "a b", "a\nb", "é", &"x".repeat(65)] {
        assert_eq!(InstanceId::new(name), None, "{name:?}");
    }
    assert!(serde_json::from_str::<InstanceId>("\"a/b\"").is_err());
    assert_eq!(InstanceId::new("grid-1.north_2").unwrap().as_str(), "grid-1.north_2");
}
