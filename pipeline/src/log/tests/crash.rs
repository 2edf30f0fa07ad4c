//! What a crash leaves: a tail cut anywhere, zeros, lost pages, a head that came back empty.

use super::*;

/// A folder as a kill leaves it: tick 1 synced and signed, ticks 2 and 3 appended only. Gives where
/// each commit ends in the one segment.
fn half_synced(dir: &Path) -> [usize; 3] {
    let (mut log, _) = open(dir);
    let segment = segment::path_of(dir, 0);
    let mut ends = [0; 3];
    for (end, number) in ends.iter_mut().zip(1..) {
        log.append(&commit(number)).unwrap();
        if number == 1 {
            log.sync().unwrap();
        }
        *end = std::fs::metadata(&segment).unwrap().len() as usize;
    }
    ends
}

/// Opens after a crash; the log holds ticks up to `expected`, goes on, and verifies.
#[track_caller]
fn assert_recovers(dir: &Path, expected: u64, dropped_bytes: u64) {
    let before = verify(dir).unwrap();
    assert!(before.intact(), "{before}");
    assert_eq!(before.uncommitted_bytes, dropped_bytes);
    let kind = read_kind(dir, Kind::Action).unwrap();
    assert_eq!(kind.map(Result::unwrap).count() as u64, expected);
    let (mut log, recovered) = open(dir);
    assert_eq!(recovered.last_tick(), Some(tick(expected)));
    assert_eq!(recovered.dropped_bytes, dropped_bytes);
    assert_replays(&recovered, 1..=expected);
    log.append(&commit(expected + 1)).unwrap();
    log.close().unwrap();
    let after = verify(dir).unwrap();
    assert!(after.intact(), "{after}");
    assert_eq!((after.commits, after.uncommitted_bytes), (expected + 1, 0));
}

#[test]
fn a_tail_cut_at_any_byte_drops_what_no_commit_closed() {
    let origin = room();
    let ends = half_synced(origin.path());
    let bytes = std::fs::read(segment::path_of(origin.path(), 0)).unwrap();
    assert_eq!(bytes.len(), ends[2]);
    for len in ends[0]..=ends[2] {
        let copy = copied(origin.path());
        std::fs::write(segment::path_of(copy.path(), 0), &bytes[..len]).unwrap();
        let whole = ends.iter().filter(|end| **end <= len).count();
        assert_recovers(copy.path(), whole as u64, (len - ends[whole - 1]) as u64);
    }
}

#[test]
fn a_tail_of_zeros_is_dropped() {
    let origin = room();
    let ends = half_synced(origin.path());
    let mut bytes = std::fs::read(segment::path_of(origin.path(), 0)).unwrap();
    bytes[ends[1] + 100..].fill(0);
    bytes.extend([0; 4_096]);
    std::fs::write(segment::path_of(origin.path(), 0), &bytes).unwrap();
    assert_recovers(origin.path(), 2, (bytes.len() - ends[1]) as u64);
}

#[test]
fn a_page_lost_before_a_whole_unsynced_commit_drops_both() {
    let origin = room();
    let ends = half_synced(origin.path());
    let mut bytes = std::fs::read(segment::path_of(origin.path(), 0)).unwrap();
    bytes[ends[0] + 50] ^= 1;
    std::fs::write(segment::path_of(origin.path(), 0), &bytes).unwrap();
    assert_recovers(origin.path(), 1, (ends[2] - ends[0]) as u64);
}

#[test]
fn a_segment_that_was_only_begun_is_removed() {
    let origin = room();
    written(origin.path(), 2);
    for len in [0, 10] {
        let copy = copied(origin.path());
        std::fs::write(segment::path_of(copy.path(), 1), vec![7; len]).unwrap();
        assert_recovers(copy.path(), 2, len as u64);
        assert_eq!(segment_files(copy.path()).len(), 2);
    }
}

#[test]
fn a_segment_without_a_commit_is_no_harm() {
    let room = room();
    written(room.path(), 2);
    let (mut log, _) = open(room.path());
    log.append(&commit(3)).unwrap();
    drop(log);
    let path = segment::path_of(room.path(), 1);
    let (mut reader, _) = segment::SegmentReader::open(&path).unwrap();
    let segment::NextCommit::Commit(first) = reader.commit().unwrap() else { panic!() };
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(first.offset).unwrap();
    assert_recovers(room.path(), 2, 0);
    assert_eq!(segment_files(room.path()).len(), 3);
}

#[test]
fn a_head_that_came_back_empty_is_not_believed() {
    let origin = room();
    written(origin.path(), 3);
    for bytes in [vec![], vec![0; 300]] {
        let copy = copied(origin.path());
        std::fs::write(copy.path().join("head.json"), bytes).unwrap();
        assert_recovers(copy.path(), 3, 0);
    }
}

#[test]
fn damage_in_what_was_synced_is_refused_and_named() {
    let origin = room();
    let (mut log, _) = open(origin.path());
    let mut ends = Vec::new();
    for number in 1..=4 {
        log.append(&commit(number)).unwrap();
        log.sync().unwrap();
        ends.push(std::fs::metadata(segment::path_of(origin.path(), 0)).unwrap().len());
    }
    drop(log);
    let segment = segment::path_of(origin.path(), 0);
    let good = std::fs::read(&segment).unwrap();
    // In the first commits, and in the last, which only the signed head covers.
    for at in [ends[0] + 40, ends[1] + 5, ends[2] + 60, ends[3] - 1] {
        let mut bytes = good.clone();
        bytes[at as usize] ^= 0x10;
        std::fs::write(&segment, &bytes).unwrap();
        let error = Log::open(origin.path(), &north(), options()).unwrap_err();
        assert!(matches!(&error, LogError::Broken { .. }), "{error}");
        assert!(error.to_string().contains("00000000.segment"), "{error}");
        let report = verify(origin.path()).unwrap();
        assert!(matches!(report.findings[0].problem, Problem::Frame(_)), "{report}");
        assert!(report.findings[0].offset <= at);
        // Nothing was cut off.
        assert_eq!(std::fs::read(&segment).unwrap(), bytes);
    }
    // Also where the head that says so is old, and only a later mark tells.
    std::fs::write(origin.path().join("head.json"), []).unwrap();
    let mut bytes = good;
    bytes[ends[0] as usize + 40] ^= 0x10;
    std::fs::write(&segment, &bytes).unwrap();
    assert!(Log::open(origin.path(), &north(), options()).is_err());
    assert!(!verify(origin.path()).unwrap().intact());
}

#[test]
fn every_flipped_byte_is_noticed() {
    let origin = room();
    let (mut log, _) = open(origin.path());
    log.append(&commit(2)).unwrap();
    log.sync().unwrap();
    drop(log);
    let segment = segment::path_of(origin.path(), 0);
    let good = std::fs::read(&segment).unwrap();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] = !bytes[at];
        std::fs::write(&segment, &bytes).unwrap();
        let report = verify(origin.path()).unwrap();
        assert!(!report.intact(), "byte {at}");
    }
}
