//! Tampering by someone who repairs every checksum and length, but has not the key.

use arrow_select::concat::concat_batches;
use schemas::audit::SEQUENCE;
use schemas::audit::SUBJECT;

use super::segment::Mark;
use super::segment::NextCommit;
use super::segment::SegmentReader;
use super::*;

/// A commit taken apart.
#[derive(Clone)]
struct Open {
    tick: Timestamp,
    /// Frames that are no audit: role, name, body.
    others: Vec<(Role, String, RecordBatch)>,
    audit: Vec<(Kind, Hash, RecordBatch)>,
    mark: Mark,
}

/// Takes the one segment of `dir` apart, lets `change` at it, and puts it together again.
fn tamper(dir: &Path, change: impl FnOnce(&mut Vec<Open>)) {
    let path = segment::path_of(dir, 0);
    let bytes = std::fs::read(&path).unwrap();
    let (mut reader, header) = SegmentReader::open(&path).unwrap();
    header.unwrap();
    let mut decoders = ipc::Decoders::default();
    let (mut commits, mut begin) = (Vec::new(), None);
    while let NextCommit::Commit(commit) = reader.commit().unwrap() {
        begin.get_or_insert(commit.offset as usize);
        let mut open =
            Open { tick: commit.tick, others: Vec::new(), audit: Vec::new(), mark: commit.mark };
        for frame in commit.frames {
            match frame.role {
                Role::Audit => open.audit.push(segment::audit(frame, &mut decoders).unwrap()),
                Role::Input => {
                    let name = frame.name.clone();
                    let batch = segment::input(frame, &mut decoders).unwrap();
                    open.others.push((Role::Input, name, batch));
                }
                _ => {}
            }
        }
        commits.push(open);
    }
    change(&mut commits);
    let mut out = bytes[..begin.unwrap()].to_vec();
    let mut writer = frame::Writer::new(true);
    let mut encoders = Encoders::default();
    for commit in commits {
        let start = out.len();
        let mut frames = 0;
        let mut put = |role, name: &str, body: &[u8], starts, out: &mut Vec<u8>| {
            frames += 1;
            writer.put(Put { role, starts, tick: commit.tick, name, body }, out).unwrap();
            frames
        };
        for (role, name, batch) in &commit.others {
            let mut body = Vec::new();
            let starts = encoders.encode(*role, name, batch, &mut body).unwrap();
            put(*role, name, &body, starts, &mut out);
        }
        for (kind, previous, batch) in &commit.audit {
            let mut body = previous.0.to_vec();
            let starts = encoders.encode(Role::Audit, kind.name(), batch, &mut body).unwrap();
            put(Role::Audit, kind.name(), &body, starts, &mut out);
        }
        let frames = put(Role::Commit, "", &[], false, &mut Vec::new()) - 1;
        let mark = Mark { frames, bytes: (out.len() - start) as u64, ..commit.mark };
        put(Role::Commit, "", &mark.to_bytes(), false, &mut out);
    }
    std::fs::write(&path, out).unwrap();
}

fn replaced(batch: &RecordBatch, column: &str, values: ArrayRef) -> RecordBatch {
    let (position, _) = batch.schema_ref().column_with_name(column).unwrap();
    let mut columns = batch.columns().to_vec();
    columns[position] = values;
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

fn rows(batch: &RecordBatch, order: &[usize]) -> RecordBatch {
    let parts: Vec<RecordBatch> = order.iter().map(|row| batch.slice(*row, 1)).collect();
    concat_batches(&batch.schema(), &parts).unwrap()
}

/// Tampers with six ticks; verify's first finding then reads like `expected`, a writer is refused
/// where what was changed lies at or after the signed head's commit, and verify still prints.
#[track_caller]
fn check(expected: &str, change: impl FnOnce(&mut Vec<Open>)) -> Report {
    let room = room();
    written(room.path(), 6);
    tamper(room.path(), change);
    let report = verify(room.path()).unwrap();
    assert!(!report.intact(), "nothing found");
    let first = report.findings[0].to_string();
    assert!(first.starts_with(expected), "found: {first}");
    assert!(first.contains("00000000.segment") || first.contains("head.json"), "found: {first}");
    assert!(report.to_string().starts_with("audit NOT intact: "));
    report
}

#[test]
fn nothing_changed_is_nothing_found() {
    let room = room();
    let head = written(room.path(), 6);
    tamper(room.path(), |_| {});
    let report = verify(room.path()).unwrap();
    assert!(report.intact(), "{report}");
    assert_eq!(report.head, head);
}

#[test]
fn an_edit_names_the_record_and_nothing_else() {
    let report = check(
        "edited: action \"bat-2\" number 0 of tick 1970-01-01T00:00:15Z (00000000.segment, byte ",
        |commits| {
            let kw = Float64Array::from(vec![-0.5, 99.0, 1.5]);
            let batch = &mut commits[2].audit[0].2;
            *batch = replaced(batch, "power_kw", Arc::new(kw));
        },
    );
    assert_eq!(report.findings.len(), 1, "{report}");
    assert_eq!(report.findings[0].record.as_ref().unwrap().subject, "bat-2");
}

#[test]
fn two_edits_are_two_findings() {
    let report = check("edited: action \"bat-1\" number 0 of tick 1970-01-01T00:00:05Z", |all| {
        for position in [0, 4] {
            let batch = &mut all[position].audit[0].2;
            let reasons = StringArray::from(vec!["other", "peak", "peak"]);
            *batch = replaced(batch, "reason", Arc::new(reasons));
        }
    });
    assert_eq!(report.findings.len(), 2, "{report}");
}

#[test]
fn an_edited_subject_or_number_is_found() {
    check("edited: action \"bat-0\"", |commits| {
        let subjects = StringArray::from(vec!["bat-0", "bat-2", "bat-3"]);
        let batch = &mut commits[1].audit[0].2;
        *batch = replaced(batch, SUBJECT, Arc::new(subjects));
    });
    check("edited: action \"bat-3\" number 4", |commits| {
        let numbers = arrow_array::Int64Array::from(vec![0, 0, 4]);
        let batch = &mut commits[1].audit[0].2;
        *batch = replaced(batch, SEQUENCE, Arc::new(numbers));
    });
}

#[test]
fn an_edit_whose_link_is_computed_anew_breaks_the_next_record() {
    // As far as the edited record's own link; the one after it still follows the old one.
    check("edited: action \"bat-2\" number 0 of tick 1970-01-01T00:00:20Z", |commits| {
        let mut commit = commit(4);
        commit.audit[0].1 = records(tick(4), &["bat-1", "bat-2", "bat-3"], "forged");
        let before = Head { count: 0, hash: commits[3].audit[0].1, tick: tick(3) };
        let forged = chain(&before, tick(4), &commit.audit).unwrap();
        let forged = forged.stored[0].2.clone();
        let honest = &commits[3].audit[0].2;
        let mixed = [forged.slice(0, 1), honest.slice(1, 2)];
        commits[3].audit[0].2 = concat_batches(&honest.schema(), &mixed).unwrap();
    });
}

#[test]
fn a_deleted_record_is_found_at_the_next() {
    check(
        "records deleted or added before: action \"bat-3\" number 0 of tick 1970-01-01T00:00:15Z",
        |commits| {
            let batch = &mut commits[2].audit[0].2;
            *batch = rows(batch, &[0, 2]);
        },
    );
}

#[test]
fn a_deleted_last_record_of_a_tick_is_found() {
    check("records deleted or added before, tick 1970-01-01T00:00:15Z", |commits| {
        let batch = &mut commits[2].audit[0].2;
        *batch = rows(batch, &[0, 1]);
    });
}

#[test]
fn a_deleted_kind_is_found() {
    check(
        "records deleted or added before: alarm \"bus-7\" number 0 of tick 1970-01-01T00:00:20Z",
        |commits| drop(commits[3].audit.remove(0)),
    );
}

#[test]
fn a_deleted_tick_is_found() {
    let report = check("the commit follows tick 1970-01-01T00:00:15Z", |commits| {
        commits.remove(2);
    });
    let record = report.findings.iter().find_map(|finding| finding.record.as_ref()).unwrap();
    assert_eq!((record.tick, record.subject.as_str()), (tick(4), "bat-1"));
}

#[test]
fn a_deleted_tick_with_marks_mended_is_found() {
    check(
        "records deleted or added before: action \"bat-1\" number 0 of tick 1970-01-01T00:00:20Z",
        |commits| {
            commits.remove(2);
            commits[2].mark.previous = tick(2);
        },
    );
}

#[test]
fn swapped_records_are_found() {
    check("moved: action \"bat-3\" number 0 of tick 1970-01-01T00:00:15Z", |commits| {
        let batch = &mut commits[2].audit[0].2;
        *batch = rows(batch, &[0, 2, 1]);
    });
}

#[test]
fn swapped_ticks_are_found() {
    let report = check("the commit follows", |commits| commits.swap(2, 3));
    assert!(report.findings.iter().any(|finding| finding.problem == Problem::Moved), "{report}");
}

#[test]
fn a_record_moved_to_another_tick_is_found() {
    check("records deleted or added before", |commits| {
        let moved = commits[1].audit[1].clone();
        commits[1].audit.remove(1);
        commits[2].audit.push(moved);
    });
}

#[test]
fn a_tail_cut_below_the_signed_head_is_found_and_refused() {
    let room = room();
    let head = written(room.path(), 6);
    tamper(room.path(), |commits| commits.truncate(4));
    let report = verify(room.path()).unwrap();
    let Problem::Cut { signed, found } = &report.findings[0].problem else { panic!("{report}") };
    assert_eq!(*signed, head);
    assert_eq!(found.tick, tick(4));
    let text = report.findings[0].to_string();
    assert!(text.starts_with("the tail is cut: signed are 21 records"), "{text}");
    let error = Log::open(room.path(), &north(), options()).unwrap_err();
    assert!(error.to_string().contains("the tail is cut"), "{error}");
}

#[test]
fn a_last_segment_removed_is_found() {
    let room = room();
    written(room.path(), 3);
    let (mut log, _) = open(room.path());
    log.append(&commit(4)).unwrap();
    log.close().unwrap();
    std::fs::remove_file(segment::path_of(room.path(), 1)).unwrap();
    let report = verify(room.path()).unwrap();
    assert!(matches!(report.findings[0].problem, Problem::Cut { .. }), "{report}");
}

#[test]
fn a_middle_segment_removed_is_found_and_refused() {
    let room = room();
    for numbers in [1..=2, 3..=4, 5..=6] {
        let (mut log, _) = open(room.path());
        for number in numbers {
            log.append(&commit(number)).unwrap();
        }
        log.close().unwrap();
    }
    std::fs::remove_file(segment::path_of(room.path(), 1)).unwrap();
    let report = verify(room.path()).unwrap();
    let first = report.findings[0].to_string();
    assert!(first.starts_with("this is segment 2 where 1 is due"), "{first}");
    assert!(Log::open(room.path(), &north(), options()).is_err());
}

#[test]
fn a_history_linked_anew_is_not_the_signed_one() {
    let room = room();
    written(room.path(), 3);
    let (mut log, _) = open(room.path());
    log.append(&commit(4)).unwrap();
    log.close().unwrap();
    // The whole of another log, forged from the start, under the old signed head.
    let forged = tempfile::tempdir().unwrap();
    let (mut log, _) = open(forged.path());
    for number in 1..=4 {
        let mut commit = commit(number);
        commit.audit[0].1 = records(tick(number), &["bat-1", "bat-2", "bat-3"], "forged");
        log.append(&commit).unwrap();
    }
    log.close().unwrap();
    std::fs::remove_file(segment::path_of(room.path(), 1)).unwrap();
    std::fs::copy(segment::path_of(forged.path(), 0), segment::path_of(room.path(), 0)).unwrap();
    let report = verify(room.path()).unwrap();
    assert!(matches!(report.findings[0].problem, Problem::Rewritten { .. }), "{report}");
    let error = Log::open(room.path(), &north(), options()).unwrap_err();
    assert!(error.to_string().contains("the chain is not the signed one"), "{error}");
    // With the forger's head as well: it is signed, but not by this folder's key.
    for name in ["head.json", "head-synced.json"] {
        std::fs::copy(forged.path().join(name), room.path().join(name)).unwrap();
    }
    let report = verify(room.path()).unwrap();
    let text = report.findings[0].to_string();
    assert!(text.contains("the signature of head-synced.json does not hold"), "{text}");
}

#[test]
fn a_head_edited_or_removed_is_found() {
    let origin = room();
    written(origin.path(), 3);
    let copy = copied(origin.path());
    for name in ["head.json", "head-synced.json"] {
        let text = std::fs::read_to_string(copy.path().join(name)).unwrap();
        std::fs::write(copy.path().join(name), text.replace("\"tick\": 15000", "\"tick\": 10000"))
            .unwrap();
    }
    let report = verify(copy.path()).unwrap();
    assert!(report.findings[0].to_string().contains("does not hold"), "{report}");
    assert!(Log::open(copy.path(), &north(), options()).is_err());
    for name in ["head.json", "head-synced.json"] {
        std::fs::remove_file(copy.path().join(name)).unwrap();
    }
    let report = verify(copy.path()).unwrap();
    assert!(report.findings[0].to_string().starts_with("the signed head is missing"), "{report}");
    assert!(Log::open(copy.path(), &north(), options()).is_err());
}

/// Removes these files, and all segments.
fn emptied(dir: &Path, names: &[&str]) {
    segment_files(dir).iter().for_each(|path| std::fs::remove_file(path).unwrap());
    names.iter().for_each(|name| std::fs::remove_file(dir.join(name)).unwrap());
}

#[test]
fn a_log_whose_files_are_all_gone_is_not_a_new_one() {
    for ticks in [0, 3] {
        let room = room();
        written(room.path(), ticks);
        emptied(room.path(), &["head.json", "head-synced.json"]);
        let report = verify(room.path()).unwrap();
        let first = report.findings.first().expect("a folder that is somebody's has a head");
        assert!(first.to_string().starts_with("the signed head is missing"), "{report}");
        let error = Log::open(room.path(), &north(), options()).unwrap_err().to_string();
        assert!(error.contains("the signed head is missing"), "{error}");
        assert!(error.contains("restore the folder from a copy"), "{error}");
    }
    let room = room();
    written(room.path(), 3);
    emptied(room.path(), &["instance.json"]);
    let error = Log::open(room.path(), &north(), options()).unwrap_err().to_string();
    assert!(error.contains("instance.json: the file is missing, but"), "{error}");
    assert!(error.contains("head.json is there"), "{error}");
}

#[test]
fn unsigned_records_that_were_changed_are_refused_at_start() {
    let room = room();
    let (mut log, _) = open(room.path());
    log.append(&commit(1)).unwrap();
    log.sync().unwrap();
    log.append(&commit(2)).unwrap();
    drop(log);
    tamper(room.path(), |commits| {
        let batch = &mut commits[1].audit[0].2;
        *batch = replaced(batch, "power_kw", Arc::new(Float64Array::from(vec![7.0, 7.0, 7.0])));
    });
    let error = Log::open(room.path(), &north(), options()).unwrap_err();
    assert!(error.to_string().contains("edited: action \"bat-1\""), "{error}");
}

#[test]
fn the_chain_must_pass_where_a_copy_of_it_ends() {
    let room = room();
    written(room.path(), 6);
    let commits = read_commits(room.path(), tick(1), tick(6));
    let heads: Vec<Head> = commits.map(|committed| committed.unwrap().head).collect();
    let of = |marks: &[Head]| verify_against(room.path(), marks).unwrap();
    assert!(of(&[heads[1], heads[3]]).intact());
    assert!(of(&[heads[5]]).intact());
    let other = Head { hash: Hash([7; 32]), ..heads[3] };
    let between = Head { tick: Timestamp(heads[3].tick.0 + 1), ..heads[3] };
    let beyond = Head { tick: tick(9), ..heads[5] };
    for (mark, found) in [(other, heads[3]), (between, heads[4]), (beyond, heads[5])] {
        let report = of(&[heads[1], mark]);
        let problems: Vec<&Problem> = report.findings.iter().map(|f| &f.problem).collect();
        assert_eq!(problems, [&Problem::Elsewhere { copy: mark, found }], "{report}");
        assert!(report.to_string().contains("the chain is not that of the archive"), "{report}");
    }
}
