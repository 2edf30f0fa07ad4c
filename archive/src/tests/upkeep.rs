//! Small files become one, days leave by policy, and nothing else changes.

use super::*;

const KEEP: Policy = Policy { compact_files: 3, retain_ms: None };

#[test]
fn compaction_keeps_answers_and_verification() {
    let room = room();
    let (log, mut archive) = sealed(room.path(), 12, 1);
    let before = archive.files().unwrap();
    let done = archive.maintain(KEEP, &mut quietly).unwrap();
    assert!(done.compacted > 4 && done.retired == 0, "{done:?}");
    // Two kinds on each of four days, and the day that is not over: two files and one.
    let after = archive.files().unwrap();
    assert_eq!((before, after), (16, 11));
    assert_whole(&mut archive, &log);
    assert_eq!(archive.maintain(KEEP, &mut quietly).unwrap(), Maintained::default());
    (13..=20).for_each(|number| log.append(number));
    archive.seal(log.all(), &mut quietly).unwrap();
    archive.maintain(KEEP, &mut quietly).unwrap();
    assert_whole(&mut open(room.path()), &log);
}

#[test]
fn two_compactions_of_the_same_files_are_one() {
    let room = room();
    let (log, mut one) = sealed(room.path(), 6, 1);
    let mut other = open(room.path());
    let mut first = Some(());
    // While one has written its file and not committed, the other does all of it.
    let refused = one.maintain(KEEP, &mut |step| {
        if step == Step::Written && first.take().is_some() {
            other.maintain(KEEP, &mut quietly).unwrap();
        }
    });
    assert!(matches!(refused, Err(ArchiveError::Table { .. })), "{refused:?}");
    assert_whole(&mut open(room.path()), &log);
}

#[test]
fn a_seal_and_a_compaction_do_not_meet() {
    let room = room();
    let (log, mut archive) = sealed(room.path(), 6, 1);
    (7..=9).for_each(|number| log.append(number));
    let mut other = open(room.path());
    let mut first = Some(());
    archive
        .maintain(KEEP, &mut |step| {
            if step == Step::Written && first.take().is_some() {
                other.seal(log.all(), &mut quietly).unwrap();
            }
        })
        .unwrap();
    assert_whole(&mut open(room.path()), &log);
}

#[test]
fn a_policy_retires_whole_days_and_the_rest_verifies() {
    let room = room();
    let (log, mut archive) = sealed(room.path(), 24, 2);
    let policy = Policy { compact_files: 3, retain_ms: Some(48 * HOUR_MS) };
    let done = archive.maintain(policy, &mut quietly).unwrap();
    assert!(done.retired > 0, "{done:?}");
    let (retired, sealed) = (archive.retired(), archive.sealed());
    // Tick 24 begins the tenth day; with 48 hours the eighth is the first that stays.
    assert_eq!(retired.tick, tick(18));
    let wanted = of_column(&log.records(Kind::Action, tick(18)).unwrap(), audit::HASH);
    assert_eq!(hashes(Kind::Action, archive.location(), &log), wanted);
    let report = archive.verify().unwrap();
    assert_eq!((report.findings.as_slice(), report.head.count), (&[][..], sealed.count));
    let heads: Vec<Head> = log.0.lock().unwrap().iter().map(|commit| commit.head).collect();
    assert_eq!(report.marks(), [heads[17], heads[23]]);
    assert_eq!(open(room.path()).retired(), retired);
    assert_eq!(archive.maintain(policy, &mut quietly).unwrap().retired, 0);
}

#[test]
fn the_position_survives_the_end_of_old_log_entries() {
    let room = room();
    let (log, archive) = sealed(room.path(), 24, 1);
    let entries = room.path().join("archive/_delta_log");
    let names = || {
        let entries = std::fs::read_dir(&entries).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<Vec<_>>()
    };
    let newest = names().into_iter().filter(|name| name.contains("checkpoint.parquet")).max();
    let newest = newest.expect("there is a checkpoint");
    for name in names() {
        if name.ends_with(".json") && name.split('.').next() < newest.split('.').next() {
            std::fs::remove_file(entries.join(name)).unwrap();
        }
    }
    let mut reopened = open(room.path());
    assert_eq!(reopened.sealed(), archive.sealed());
    assert_whole(&mut reopened, &log);
}
