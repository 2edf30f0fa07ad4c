//! What is appended is what is read back, however it was synced, rolled and restarted.

use arrow_array::DictionaryArray;
use arrow_array::TimestampMillisecondArray;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use proptest::prelude::*;
use schemas::audit::HASH;
use schemas::audit::PREVIOUS_HASH;
use schemas::audit::check;

use super::*;

#[test]
fn a_new_log_is_empty_and_intact() {
    let room = room();
    let (log, recovered) = open(room.path());
    assert_eq!(recovered.last_tick(), None);
    assert_eq!(recovered.replay(Timestamp(0)).count(), 0);
    assert_eq!(log.head(), &Head::genesis("north"));
    let report = verify(room.path()).unwrap();
    assert!(report.intact(), "{report}");
    assert!(report.to_string().starts_with("audit intact: 0 records"));
}

#[test]
fn replay_equals_what_was_written() {
    let room = room();
    let head = written(room.path(), 9);
    let (_log, recovered) = open(room.path());
    assert_eq!(recovered.head, head);
    assert_eq!(recovered.last_tick(), Some(tick(9)));
    assert_eq!(recovered.dropped_bytes, 0);
    assert_replays(&recovered, 1..=9);
    assert_replays(&recovered, 6..=9);
    let first = recovered.replay(tick(3)).next().unwrap().unwrap();
    let offsets: Vec<(String, u64)> = first.commit.offsets_as().unwrap().unwrap();
    assert_eq!(offsets, [("meters/0".to_owned(), 9)]);
}

#[test]
fn replay_stops_where_the_log_stood_when_it_was_opened() {
    let room = room();
    written(room.path(), 3);
    let (mut log, recovered) = open(room.path());
    log.append(&commit(4)).unwrap();
    assert_replays(&recovered, 1..=3);
}

#[test]
fn segments_roll_and_replay_begins_in_the_right_one() {
    let room = room();
    let small = Options { segment_bytes: 4_000, ..options() };
    let (mut log, _) = Log::open(room.path(), &north(), small).unwrap();
    for number in 1..=20 {
        log.append(&commit(number)).unwrap();
        if number % 3 == 0 {
            log.sync().unwrap();
        }
    }
    log.close().unwrap();
    assert!(segment_files(room.path()).len() > 3);
    let (_log, recovered) = open(room.path());
    for from in 1..=20 {
        assert_replays(&recovered, from..=20);
    }
    let report = verify(room.path()).unwrap();
    assert!(report.intact(), "{report}");
    assert_eq!((report.commits, report.unsigned()), (20, 0));
}

#[test]
fn the_head_does_not_depend_on_syncs_segments_compression_or_restarts() {
    let (one, other) = (room(), room());
    let head = written(one.path(), 12);
    let varied = Options { segment_bytes: 3_000, compress: false, ..options() };
    for numbers in [1..=5, 6..=6, 7..=12] {
        let (mut log, _) = Log::open(other.path(), &north(), varied.clone()).unwrap();
        for number in numbers {
            log.append(&commit(number)).unwrap();
            log.sync().unwrap();
        }
        // Dropped without a close, as a kill would.
    }
    let report = verify(other.path()).unwrap();
    assert!(report.intact(), "{report}");
    assert_eq!(report.head, head);
    assert_eq!(verify(one.path()).unwrap().head, head);
}

#[test]
fn what_is_appended_after_a_sync_is_chained_but_unsigned() {
    let room = room();
    let (mut log, _) = open(room.path());
    log.append(&commit(1)).unwrap();
    log.sync().unwrap();
    log.append(&commit(2)).unwrap();
    log.append(&commit(3)).unwrap();
    let report = verify(room.path()).unwrap();
    assert!(report.intact(), "{report}");
    assert_eq!(report.unsigned(), 4 + 3);
    assert_eq!(report.signed.unwrap().tick, tick(1));
    log.sync().unwrap();
    assert_eq!(verify(room.path()).unwrap().unsigned(), 0);
}

#[test]
fn the_head_is_signed_and_synced_when_due() {
    let room = room();
    let clock = Clock::held(Timestamp(0));
    let options = Options { clock: clock.clone(), ..Options::default() };
    let (mut log, _) = Log::open(room.path(), &north(), options).unwrap();
    let read = |name: &str| -> SignedHead {
        serde_json::from_slice(&std::fs::read(room.path().join(name)).unwrap()).unwrap()
    };
    let heads = || [read("head.json").tick, read("head-synced.json").tick];
    for (number, wait, expected) in
        [(1, 49, [0, 0]), (2, 1, [2, 0]), (3, 10, [2, 0]), (4, 939, [4, 0]), (5, 1, [5, 5])]
    {
        clock.advance(wait);
        log.append(&commit(number)).unwrap();
        log.sync().unwrap();
        assert_eq!(heads(), expected.map(tick), "tick {number}");
        assert!(verify(room.path()).unwrap().intact());
    }
    log.append(&commit(6)).unwrap();
    log.close().unwrap();
    assert_eq!([read("head.json").tick, read("head-synced.json").tick], [6, 6].map(tick));
}

#[test]
fn one_kind_is_read_beside_the_writer_with_its_links() {
    let room = room();
    let (mut log, _) = open(room.path());
    let mut appended = Vec::new();
    for number in 1..=4 {
        appended.push(log.append(&commit(number)).unwrap());
    }
    let actions: Vec<RecordBatch> =
        read_kind(room.path(), Kind::Action).unwrap().map(Result::unwrap).collect();
    let expected: Vec<RecordBatch> =
        appended.iter().map(|appended| appended.audit[0].1.clone()).collect();
    assert_eq!(actions, expected);
    let alarms: Vec<RecordBatch> =
        read_kind(room.path(), Kind::Alarm).unwrap().map(Result::unwrap).collect();
    assert_eq!(alarms.len(), 2);
    let text = |batch: &RecordBatch, column: &str| {
        batch.column_by_name(column).unwrap().as_string::<i32>().value(0).to_owned()
    };
    // An alarm follows the last action of its tick.
    let last_action = expected[1].column_by_name(HASH).unwrap().as_string::<i32>().value(2);
    assert_eq!(text(&alarms[0], PREVIOUS_HASH), last_action);
    let until = read_kind(room.path(), Kind::Action).unwrap().until(tick(2));
    assert_eq!(until.count(), 2);
    assert_eq!(read_kind(room.path(), Kind::View).unwrap().count(), 0);
}

#[test]
fn records_alone_are_those_of_the_commits_from_any_tick() {
    let room = room();
    let small = Options { segment_bytes: 1, ..options() };
    let (mut log, _) = Log::open(room.path(), &north(), small).unwrap();
    (1..=3).for_each(|n| drop(log.append(&commit(n)).unwrap()));
    log.close().unwrap();
    let (mut log, recovered) = open(room.path());
    (4..=8).for_each(|n| drop(log.append(&commit(n)).unwrap()));
    let head = log.close().unwrap();
    assert_eq!(recovered.head.tick, tick(3));
    let commits: Vec<Committed> =
        read_commits(room.path(), tick(1), tick(8)).map(Result::unwrap).collect();
    for after in 0..=8 {
        let read = read_audit(room.path(), tick(after), tick(7)).unwrap();
        let found: Vec<AuditCommit> = read.map(Result::unwrap).collect();
        let expected: Vec<AuditCommit> = (commits.iter())
            .filter(|c| c.head.tick > tick(after) && c.head.tick <= tick(7))
            .map(|c| AuditCommit { head: c.head, audit: c.commit.audit.clone() })
            .collect();
        assert_eq!(found, expected, "after tick {after}");
        let of_kind = read_kind_after(room.path(), Kind::Alarm, tick(after)).unwrap();
        let found: Vec<RecordBatch> = of_kind.map(Result::unwrap).collect();
        let all = read_kind(room.path(), Kind::Alarm).unwrap().map(Result::unwrap);
        let expected: Vec<RecordBatch> = all.skip(after as usize / 2).collect();
        assert_eq!(found, expected, "after tick {after}");
    }
    let signed = signed_head(room.path()).unwrap().unwrap();
    assert_eq!((signed.head(), signed.instance), (head, north()));
}

#[test]
fn a_stream_may_change_its_schema_and_use_dictionaries() {
    let room = room();
    let states: DictionaryArray<Int32Type> = ["open", "closed", "open"].into_iter().collect();
    let more: DictionaryArray<Int32Type> = ["locked", "open"].into_iter().collect();
    let of = |column: ArrayRef| {
        let field = Field::new("state", column.data_type().clone(), true);
        RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap()
    };
    let instants = TimestampMillisecondArray::from(vec![Some(1), None]);
    let batches =
        [of(Arc::new(states)), of(Arc::new(more)), of(Arc::new(instants)), readings(1, 2)];
    let (mut log, _) = open(room.path());
    for (number, batch) in (1..).zip(batches.iter().cycle().take(8)) {
        let mut commit = TickCommit::new(tick(number));
        commit.inputs.push(("switches".to_owned(), batch.clone()));
        commit.inputs.push(("switches".to_owned(), batch.slice(1, 1)));
        commit.inputs.push(("switches".to_owned(), batch.slice(0, 0)));
        log.append(&commit).unwrap();
    }
    log.close().unwrap();
    let (_log, recovered) = open(room.path());
    for (committed, batch) in recovered.replay(tick(1)).zip(batches.iter().cycle()) {
        let inputs = committed.unwrap().commit.inputs;
        assert_eq!(inputs.len(), 2);
        let columns = |batch: &RecordBatch| {
            arrow_cast::cast(batch.column(0), &DataType::Utf8).unwrap().as_string::<i32>().clone()
        };
        assert_eq!(columns(&inputs[0].1), columns(batch));
        assert_eq!(columns(&inputs[1].1), columns(&batch.slice(1, 1)));
    }
}

#[test]
fn a_failed_write_closes_the_log_until_it_is_opened_again() {
    let room = room();
    let (mut log, _) = open(room.path());
    std::fs::create_dir(segment::path_of(room.path(), 0)).unwrap();
    let error = log.append(&commit(1)).unwrap_err();
    assert!(matches!(error, LogError::Io { action: "create", .. }), "{error}");
    assert!(matches!(log.append(&commit(1)), Err(LogError::Poisoned { .. })));
    assert!(matches!(log.sync(), Err(LogError::Poisoned { .. })));
    drop(log);
    std::fs::remove_dir(segment::path_of(room.path(), 0)).unwrap();
    let (mut log, _) = open(room.path());
    log.append(&commit(1)).unwrap();
    log.close().unwrap();
    assert!(verify(room.path()).unwrap().intact());
}

#[test]
fn a_refused_append_leaves_the_log_as_it_was() {
    let room = room();
    let (mut log, _) = open(room.path());
    log.append(&commit(2)).unwrap();
    let head = *log.head();
    assert!(matches!(log.append(&commit(2)), Err(LogError::TickOrder { .. })));
    assert!(matches!(log.append(&commit(1)), Err(LogError::TickOrder { .. })));
    let mut wrong = commit(3);
    wrong.audit.push((Kind::View, records(tick(4), &["v"], "")));
    assert!(matches!(log.append(&wrong), Err(LogError::Chain { .. })));
    assert_eq!(log.head(), &head);
    log.append(&commit(3)).unwrap();
    log.close().unwrap();
    assert!(verify(room.path()).unwrap().intact());
}

/// Records as subject and value, rows of input, meta.
type AnyCommit = (Vec<(String, Option<f64>)>, usize, Vec<u8>);

fn any_commit() -> impl Strategy<Value = AnyCommit> {
    let row = ("[a-c]{1,2}", proptest::option::of(any::<f64>()));
    (
        proptest::collection::vec(row, 0..12),
        0..20_usize,
        proptest::collection::vec(any::<u8>(), 0..40),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_commits_are_read_back_and_verify(
        commits in proptest::collection::vec((any_commit(), any::<[bool; 2]>()), 1..12),
        segment_bytes in 500..8_000_u64,
    ) {
        let room = room();
        let options = Options { segment_bytes, ..options() };
        let mut log = Log::open(room.path(), &north(), options.clone()).unwrap().0;
        let (mut expected, mut head, mut last) = (Vec::new(), Head::genesis("north"), None);
        for (number, ((rows, readings_rows, meta), [sync, restart])) in (1..).zip(commits) {
            let mut records = Records::new(tick(number));
            for (subject, _) in &rows {
                records.push(&Entry { subject, ..Entry::default() });
            }
            let kw: Float64Array = rows.iter().map(|row| row.1).collect();
            let field = Field::new("kw", DataType::Float64, true);
            let mut commit = TickCommit::new(tick(number));
            commit.audit.push((Kind::Action, records.finish(vec![(field, Arc::new(kw))]).unwrap()));
            commit.inputs.push(("readings".to_owned(), readings(number, readings_rows)));
            commit.meta = meta;
            let appended = log.append(&commit).unwrap();
            for (kind, batch) in &appended.audit {
                let checked = check(&head.hash, last.as_ref(), *kind, batch).unwrap();
                prop_assert_eq!(checked.breaks, vec![]);
                last = checked.last;
            }
            head = appended.head;
            commit.inputs.retain(|(_, batch)| batch.num_rows() > 0);
            commit.audit = appended.audit;
            expected.push(Committed { commit, head });
            if sync {
                log.sync().unwrap();
            }
            if restart {
                drop(log);
                log = Log::open(room.path(), &north(), options.clone()).unwrap().0;
            }
        }
        drop(log);
        let (_log, recovered) = open(room.path());
        let found: Vec<Committed> = recovered.replay(tick(1)).map(Result::unwrap).collect();
        prop_assert_eq!(format!("{found:?}"), format!("{expected:?}"));
        let report = verify(room.path()).unwrap();
        prop_assert!(report.intact(), "{}", report);
        prop_assert_eq!(report.head, head);
    }
}
