//! The session against partitions that interleave, fall silent, lie about the time, and are read
//! again.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use connectors::format::Arrival;
use connectors::format::Decoder;
use connectors::format::RECORD_BYTES_MAX;
use connectors::format::json;
use connectors::source::Fetched;
use connectors::source::Kept;
use connectors::source::PartitionId;
use connectors::source::Polled;
use connectors::source::Position;
use proptest::prelude::ProptestConfig;
use proptest::prelude::any;
use proptest::proptest;
use schemas::catalog::Catalog;
use schemas::event::MeterReading;
use schemas::event::StreamDef;
use schemas::event::WeatherObservation;
use schemas::relation::Relation;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::ClosedTick;
use super::IngestSettings;
use super::Progress;
use super::Session;

const BEGIN: u64 = 1_472_601_600_000;

/// Restarts of one run: a process that is stopped again and again may never come to the next tick.
const RESTARTS: usize = 12;

fn partition(n: usize) -> PartitionId {
    PartitionId::new("meters", n)
}

fn session(patience_ms: Option<u64>) -> Session {
    let catalog = Catalog::built_in();
    let settings = IngestSettings { patience_ms, ..IngestSettings::default() };
    let mut session = Session::new(settings, catalog.streams());
    (0..2).for_each(|n| session.add_partition(partition(n), 5_000));
    session
}

fn reading(seconds: i64) -> MeterReading {
    MeterReading {
        meter_id: "meter-1".to_owned(),
        measured_at: Timestamp((BEGIN as i64 + seconds * 1_000) as u64),
        active_power_kw: 1.0,
        energy_import_kwh: None,
        energy_export_kwh: None,
        quality: "good".to_owned(),
        revision: 0,
    }
}

/// Records `from..to` of a partition whose readings were measured at these seconds.
fn piece(n: usize, seconds: &[i64], from: usize, to: usize) -> Polled {
    let rows: Vec<MeterReading> = seconds[from..to].iter().map(|s| reading(*s)).collect();
    let rows = MeterReading::to_batch(&rows);
    Polled::Batch(Fetched::of_rows(partition(n), MeterReading::NAME, rows, from as Position))
}

/// The seconds of each closed tick's readings, in order, and how many were refused.
type Ticks = BTreeMap<u64, (Vec<u64>, usize)>;

fn note(ticks: &mut Ticks, closed: &ClosedTick) {
    let mut seconds = Vec::new();
    for (_, rows) in &closed.streams {
        let rows = MeterReading::from_batch(rows).unwrap();
        seconds.extend(rows.iter().map(|row| (row.measured_at.0 - BEGIN) / 1_000));
    }
    seconds.sort_unstable();
    if !seconds.is_empty() || !closed.quarantine.is_empty() {
        ticks.insert(closed.tick.0, (seconds, closed.quarantine.len()));
    }
}

/// Reads both partitions in pieces of random size and order; with `restarts`, begins a new session
/// now and then from what the last closed tick wrote down.
fn run(partitions: &[Vec<i64>; 2], seed: u64, restarts: bool) -> Ticks {
    let mut random = seed;
    let mut next = move |n: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % n
    };
    let mut session = session(None);
    let mut at = [0usize; 2];
    let mut ticks = Ticks::new();
    let mut last: Option<ClosedTick> = None;
    let mut ended = [false; 2];
    let mut restarts = if restarts { RESTARTS } else { 0 };
    loop {
        let n = next(2) as usize;
        let to = (at[n] + 1 + next(4) as usize).min(partitions[n].len());
        if at[n] < to {
            session.take(piece(n, &partitions[n], at[n], to));
            at[n] = to;
        } else if !ended[n] {
            session.take(Polled::End { partition: partition(n) });
            ended[n] = true;
        }
        while let Some(closed) = session.close(Timestamp(0)) {
            note(&mut ticks, &closed);
            last = Some(closed);
        }
        if ended == [true, true] && session.finished() {
            return ticks;
        }
        if let (1.., 0, Some(closed)) = (restarts, next(5), &last) {
            restarts -= 1;
            session = self::session(None);
            session.restore(closed.tick, &closed.progress);
            // Of a partition that said nothing yet nothing is written down: it is read from the
            // beginning, and says again that it has ended.
            (at, ended) = ([0; 2], [false; 2]);
            for progress in &closed.progress {
                let n = usize::from(progress.partition == partition(1).to_string());
                at[n] = progress.resume as usize;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ticks_are_a_function_of_the_partitions(
        steps in proptest::collection::vec((0i64..8, 0i64..30), 2..60),
        seeds in (1u64.., 1u64..),
        split in any::<u64>(),
    ) {
        // Two partitions whose time moves on, with readings that are earlier than those before.
        let mut partitions = [Vec::new(), Vec::new()];
        let mut now = 100;
        for (i, (ahead, back)) in steps.iter().enumerate() {
            now += ahead;
            partitions[(split >> (i % 64)) as usize & 1].push(now - back);
        }
        let once = run(&partitions, seeds.0, false);
        assert_eq!(once, run(&partitions, seeds.1, false), "the interleaving was seen");
        assert_eq!(once, run(&partitions, seeds.1, true), "a restart was seen");
        let all: usize = once.values().map(|(rows, _)| rows.len()).sum();
        assert_eq!(all, steps.len(), "a reading was lost or came twice");
    }
}

#[test]
fn a_tick_waits_for_every_partition() {
    let mut session = session(None);
    session.take(piece(0, &[1, 30], 0, 2));
    assert!(session.close(Timestamp(0)).is_none());
    session.take(piece(1, &[2, 11], 0, 2));
    let closed = session.close(Timestamp(0)).unwrap();
    assert_eq!(closed.tick, Timestamp(BEGIN + 5_000));
    assert!(session.close(Timestamp(0)).is_none(), "the second partition is at 6 s");
}

#[test]
fn patience_closes_without_the_silent_and_says_so() {
    let mut session = session(Some(10_000));
    session.take(piece(0, &[1, 30], 0, 2));
    assert!(session.close(Timestamp(50_000)).is_none(), "the wait begins");
    assert!(session.close(Timestamp(59_999)).is_none());
    let closed = session.close(Timestamp(60_000)).unwrap();
    assert_eq!(closed.missing, vec![partition(1)]);
    // The first partition had passed this one too by 50 s: its time is up as well. What comes after
    // is a correction, and enters the open tick.
    session.take(piece(1, &[2], 0, 1));
    let next = session.close(Timestamp(60_001)).unwrap();
    assert_eq!(next.tick, Timestamp(BEGIN + 10_000));
    assert_eq!(next.streams[0].1.num_rows(), 1);
}

#[test]
fn one_silent_partition_does_not_make_the_grid_fall_behind() {
    let patience = 10_000;
    let mut session = session(Some(patience));
    let mut closed = 0;
    // One reading a tick in real time; the other partition says nothing.
    for n in 0..100i64 {
        let now = Timestamp((BEGIN as i64 + n * 5_000) as u64);
        let seconds: Vec<i64> = (0..=n).map(|n| n * 5 - 4).collect();
        session.take(piece(0, &seconds, n as usize, n as usize + 1));
        while let Some(tick) = session.close(now) {
            assert_eq!(tick.missing, vec![partition(1)]);
            closed = tick.tick.0;
        }
        let behind = now.0.saturating_sub(closed);
        // Patience, the tick itself, how far out of order a reading may be, and a step of the test.
        assert!(n < 10 || behind <= patience + 3 * 5_000, "{behind} ms behind at step {n}");
    }
}

#[test]
fn a_partition_that_begins_late_goes_on_where_it_began() {
    let mut session = session(None);
    assert!(session.progress(Timestamp(0)).is_empty(), "nothing is known of either");
    let Polled::Batch(mut fetched) = piece(0, &[1, 30], 0, 2) else { unreachable!() };
    (fetched.positions, fetched.next) = (vec![500, 501], 502);
    session.take(Polled::Batch(fetched));
    session.take(Polled::End { partition: partition(1) });
    let closed = session.close(Timestamp(0)).unwrap();
    assert_eq!(closed.tick, Timestamp(BEGIN + 5_000));
    let resume: Vec<Position> = closed.progress.iter().map(|p| p.resume).collect();
    assert_eq!(resume, [500], "the record at 30 s is still open, and record 0 never was");
    assert_eq!(closed.progress[0].taken, [(500, 500)]);
}

#[test]
fn what_nobody_reads_now_is_not_forgotten() {
    let gone = Progress {
        partition: "weather/0".to_owned(),
        resume: 7,
        watermark: Some(Timestamp(BEGIN)),
        taken: Vec::new(),
        ended: false,
    };
    let mut session = session(None);
    session.restore(Timestamp(BEGIN), std::slice::from_ref(&gone));
    assert_eq!(session.progress(Timestamp(BEGIN)), [gone]);
}

#[test]
fn a_source_without_one_readable_record_ends_and_what_it_gave_is_kept() {
    let mut session = session(None);
    let Polled::Batch(mut fetched) = piece(0, &[1], 0, 1) else { unreachable!() };
    let refusal = connectors::source::Refusal {
        reason: connectors::source::Reason::Malformed,
        detail: "not JSON".to_owned(),
    };
    fetched.rows = fetched.rows.slice(0, 0);
    fetched.positions = Vec::new();
    fetched.refused = vec![connectors::source::Refused::new(0, refusal, b"?")];
    session.take(Polled::Batch(fetched));
    assert!(session.close(Timestamp(0)).is_none(), "more may come");
    for n in 0..2 {
        session.take(Polled::End { partition: partition(n) });
    }
    let closed = session.close(Timestamp(0)).unwrap();
    assert_eq!((closed.tick, closed.quarantine.len()), (Timestamp(5_000), 1));
    assert!(session.finished());
}

#[test]
fn a_reading_a_day_ahead_does_not_drag_the_clock() {
    let mut session = session(None);
    let Polled::Batch(mut fetched) = piece(0, &[1, 86_400, 12], 0, 3) else { unreachable!() };
    fetched.arrived_at = vec![Some(Timestamp(BEGIN + 13_000)); 3];
    session.take(Polled::Batch(fetched));
    session.take(Polled::End { partition: partition(1) });
    // The reading at 1 s leaves the watermark at -4 s: what is refused enters the tick that is open
    // there.
    let closed = session.close(Timestamp(0)).unwrap();
    assert_eq!(closed.tick, Timestamp(BEGIN));
    assert_eq!(closed.quarantine.len(), 1);
    assert_eq!(closed.quarantine[0].reason, "too-far-ahead");
    assert!(closed.quarantine[0].detail.contains("300 s ahead of its arrival"));
    assert_eq!(session.close(Timestamp(0)).unwrap().tick, Timestamp(BEGIN + 5_000));
    assert!(session.close(Timestamp(0)).is_none(), "the watermark is at 7 s");
}

#[test]
fn a_device_that_vouches_for_its_own_clock_is_not_believed() {
    // As a broker gives it: the message's time, and a record that says it arrived when it thinks.
    let ahead = Timestamp(BEGIN + 86_400_000);
    let record = |at: Timestamp| {
        format!(
            r#"{{"meter_id":"meter-1","measured_at":{0},"active_power_kw":1,"quality":"good",
            "revision":0,"arrived_at":{0}}}"#,
            at.0
        )
    };
    let schema = MeterReading::schema();
    let decoder = Decoder::json(&schema, RECORD_BYTES_MAX, Arrival::OfMedium).unwrap();
    let mut decoder = decoder.keeping_records();
    let times = [Timestamp(BEGIN + 1_000), ahead, Timestamp(BEGIN + 12_000)];
    for (position, at) in times.into_iter().enumerate() {
        let arrived = Timestamp(BEGIN + 13_000);
        decoder.push(position as Position, Some(arrived), record(at).as_bytes());
    }
    let decoded = decoder.finish();
    let fetched = Fetched::of_rows(partition(0), MeterReading::NAME, decoded.rows, 0);
    let (arrived_at, raw) = (decoded.arrived_at, decoded.raw);
    let mut session = session(None);
    session.take(Polled::Batch(Fetched { arrived_at, raw, ..fetched }));
    session.take(Polled::End { partition: partition(1) });
    let closed = session.close(Timestamp(0)).unwrap();
    let [refused] = &closed.quarantine[..] else { panic!("{:?}", closed.quarantine) };
    assert_eq!((refused.reason.as_str(), refused.position), ("too-far-ahead", 1));
    assert_eq!(refused.head, record(ahead), "the record as it came");
    assert_eq!(session.close(Timestamp(0)).unwrap().tick, Timestamp(BEGIN + 5_000));
    assert!(session.close(Timestamp(0)).is_none(), "the watermark is at 7 s, not a day ahead");
}

#[test]
fn what_is_kept_of_a_refused_row_is_its_record() {
    let mut session = session(None);
    session.expect_known(MeterReading::NAME, "meter_id", BTreeSet::from(["other".to_owned()]));
    let Polled::Batch(fetched) = piece(0, &[1, 12], 0, 2) else { unreachable!() };
    // Rows of columns have no records: their rendering as JSON stands for them.
    let rendered = json::encode(&fetched.rows);
    session.take(Polled::Batch(fetched));
    session.take(Polled::End { partition: partition(0) });
    session.take(Polled::End { partition: partition(1) });
    let mut kept = Vec::new();
    while let Some(closed) = session.close(Timestamp(0)) {
        kept.extend(closed.quarantine);
    }
    assert_eq!(kept.len(), 2);
    for (kept, rendered) in kept.iter().zip(&rendered) {
        let expected = Kept::of(rendered.as_bytes());
        assert_eq!((&kept.sha256, &kept.head), (&expected.sha256, rendered));
        assert_eq!(kept.bytes, rendered.len() as i64);
    }
}

#[test]
fn an_unknown_meter_is_quarantined_and_the_rest_goes_on() {
    let mut session = session(None);
    session.expect_known(MeterReading::NAME, "meter_id", BTreeSet::from(["other".to_owned()]));
    session.take(piece(0, &[1, 12], 0, 2));
    session.take(Polled::End { partition: partition(1) });
    let closed = session.close(Timestamp(0)).unwrap();
    assert!(closed.streams.is_empty());
    assert_eq!(closed.quarantine[0].reason, "unknown-key");
    assert!(closed.quarantine[0].detail.contains("meter-1"));
}

#[test]
fn a_reading_older_than_lateness_is_quarantined() {
    let mut session = session(None);
    let late = -(26 * HOUR_MS as i64 / 1_000);
    session.take(piece(0, &[1, 12, late, 13], 0, 4));
    session.take(Polled::End { partition: partition(0) });
    session.take(Polled::End { partition: partition(1) });
    let mut refused = Vec::new();
    while let Some(closed) = session.close(Timestamp(0)) {
        refused.extend(closed.quarantine);
    }
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].reason, "too-late");
    assert_eq!(refused[0].position, 2);
}

#[test]
fn a_partition_far_ahead_is_held() {
    let mut session = session(None);
    session.take(piece(0, &[1, 300], 0, 2));
    session.take(piece(1, &[1, 2], 0, 2));
    assert_eq!(session.held(), BTreeSet::from([partition(0)]));
}

#[test]
fn a_partition_that_is_held_is_not_silent() {
    let mut session = session(Some(10_000));
    session.add_partition(partition(2), 5_000);
    // The third says nothing, so nothing closes and the others may not run ahead.
    session.take(piece(0, &[1, 200], 0, 2));
    session.take(piece(1, &[1, 102, 201], 0, 2));
    assert!(session.close(Timestamp(0)).is_none());
    assert_eq!(session.held(), BTreeSet::from([partition(0), partition(1)]));
    let mut closed = Vec::new();
    while let Some(tick) = session.close(Timestamp(10_000)) {
        assert_eq!(tick.missing, [partition(2)]);
        closed.push((tick.tick.0 - BEGIN) / 1_000);
    }
    // The second was held until a moment ago: behind what it said, it has its own time.
    assert_eq!(closed.last(), Some(&95));
    assert!(session.held().is_empty() || session.held() == BTreeSet::from([partition(0)]));
    assert!(session.close(Timestamp(19_999)).is_none());
    session.take(piece(1, &[1, 102, 201], 2, 3));
    let next = session.close(Timestamp(19_999)).unwrap();
    assert_eq!((next.tick.0, next.missing), (BEGIN + 100_000, vec![partition(2)]));
}

/// The ticks that close now, in seconds, with who was missing.
fn closing(session: &mut Session, now: Timestamp) -> Vec<(u64, Vec<PartitionId>)> {
    let mut ticks = Vec::new();
    while let Some(closed) = session.close(now) {
        ticks.push(((closed.tick.0 - BEGIN) / 1_000, closed.missing));
    }
    ticks
}

#[test]
fn nobody_waits_for_a_door_that_is_broken() {
    let mut session = session(None);
    session.take(piece(0, &[1, 22, 31, 42], 0, 2));
    session.take(piece(1, &[1, 12], 0, 2));
    // The second is at 7 s.
    assert_eq!(closing(&mut session, Timestamp(0)), [(5, vec![])]);
    // Both are of one source: where all doors are broken, time stands still.
    session.broken("meters", true);
    assert_eq!(closing(&mut session, Timestamp(0)), []);
    let others = PartitionId::new("others", 0);
    session.add_partition(others.clone(), 0);
    let mark = |at: u64, position| {
        let (partition, at) = (others.clone(), Timestamp(BEGIN + at * 1_000));
        Polled::Mark { partition, at, position }
    };
    session.take(mark(15, 1));
    let closed = session.close(Timestamp(0)).unwrap();
    assert_eq!(closed.tick, Timestamp(BEGIN + 10_000));
    assert_eq!(closed.missing, [partition(1)], "the first had passed it");
    assert_eq!(closed.broken, BTreeSet::from([partition(1)]));
    assert_eq!(closing(&mut session, Timestamp(0)), [(15, vec![partition(1)])]);
    // Once the door opens it is waited for again, and what it says is a correction.
    session.broken("meters", false);
    session.take(mark(40, 2));
    session.take(piece(0, &[1, 22, 31, 42], 2, 4));
    assert_eq!(closing(&mut session, Timestamp(0)), []);
    session.take(piece(1, &[1, 12, 13, 45], 2, 4));
    let next = session.close(Timestamp(0)).unwrap();
    assert_eq!((next.tick, next.missing), (Timestamp(BEGIN + 20_000), vec![]));
    let rows = MeterReading::from_batch(&next.streams[0].1).unwrap();
    let late = Timestamp(BEGIN + 13_000);
    assert!(rows.iter().any(|row| row.measured_at == late), "{rows:?}");
}

#[test]
fn the_time_of_a_door_that_opens_again_begins_then() {
    let mut session = session(Some(10_000));
    let others = PartitionId::new("others", 0);
    session.add_partition(others.clone(), 5_000);
    session.broken("others", true);
    session.take(piece(0, &[1, 30], 0, 2));
    assert_eq!(closing(&mut session, Timestamp(0)), []);
    assert_eq!(closing(&mut session, Timestamp(9_000)), []);
    session.broken("others", false);
    // The silent meter has had its time at 10 s; that of the others begins with their door.
    assert_eq!(closing(&mut session, Timestamp(18_999)), []);
    let closed = session.close(Timestamp(19_000)).unwrap();
    assert_eq!(closed.missing, [partition(1), others]);
    assert!(closed.broken.is_empty());
}

#[test]
fn nobody_waits_for_who_joins_before_it_has_said_something() {
    let mut session = session(None);
    let own = PartitionId::new("own", 0);
    session.join_partition(own.clone(), 0);
    session.take(piece(0, &[1, 18], 0, 2));
    session.take(piece(1, &[1, 18], 0, 2));
    let ticks = closing(&mut session, Timestamp(0));
    assert_eq!(ticks, [(5, vec![]), (10, vec![])], "it is silent, and misses nothing");
    // What it says first enters the open tick, and from then on it is waited for.
    let rows = MeterReading::to_batch(&[reading(3)]);
    session.take(Polled::Batch(Fetched::of_rows(own.clone(), MeterReading::NAME, rows, 0)));
    session.take(piece(0, &[1, 18, 31], 2, 3));
    session.take(piece(1, &[1, 18, 31], 2, 3));
    assert_eq!(closing(&mut session, Timestamp(0)), []);
    let at = Timestamp(BEGIN + 15_000);
    session.take(Polled::Mark { partition: own.clone(), at, position: 2 });
    let closed = session.close(Timestamp(0)).unwrap();
    assert_eq!((closed.tick, closed.streams[0].1.num_rows()), (at, 1));
    assert!(session.close(Timestamp(0)).is_none());
    // What nobody reads goes on when it joins again, and is waited for: it has spoken.
    let mut again = self::session(None);
    again.restore(closed.tick, &closed.progress);
    again.take(piece(0, &[1, 18, 31], 1, 3));
    again.take(piece(1, &[1, 18, 31], 1, 3));
    again.join_partition(own.clone(), 0);
    assert_eq!(closing(&mut again, Timestamp(0)), []);
    let resume = |p: &Progress| (p.partition == own.to_string()).then_some(p.resume);
    assert_eq!(again.progress(closed.tick).iter().find_map(resume), Some(2));
    again.take(Polled::End { partition: own });
    assert_eq!(closing(&mut again, Timestamp(0)), [(20, vec![]), (25, vec![])]);
}

#[test]
fn who_joins_and_gives_nothing_that_can_be_read_stops_nobody_and_begins_no_time() {
    let mut session = Session::new(
        IngestSettings { patience_ms: None, ..IngestSettings::default() },
        Catalog::built_in().streams(),
    );
    session.join_partition(partition(0), 0);
    let Polled::Batch(mut fetched) = piece(0, &[1], 0, 1) else { unreachable!() };
    let refusal = connectors::source::Refusal {
        reason: connectors::source::Reason::Malformed,
        detail: "not JSON".to_owned(),
    };
    fetched.rows = fetched.rows.slice(0, 0);
    fetched.positions = Vec::new();
    fetched.refused = vec![connectors::source::Refused::new(0, refusal, b"?")];
    session.take(Polled::Batch(fetched));
    assert!(session.close(Timestamp(0)).is_none(), "there is no time yet");
    session.add_partition(partition(1), 0);
    session.take(piece(1, &[1, 12], 0, 2));
    let closed = session.close(Timestamp(0)).unwrap();
    assert_eq!((closed.tick, closed.quarantine.len()), (Timestamp(BEGIN + 5_000), 1));
}

#[test]
fn a_source_that_is_taken_away_leaves_nothing_for_another_of_its_name() {
    let mut session = session(None);
    let catalog = Catalog::built_in();
    let weather = catalog.streams().find(|s| s.def.name == WeatherObservation::NAME).unwrap();
    let mut settings = weather.clone();
    settings.def.name = "own".to_owned();
    session.add_stream(&settings);
    let own = PartitionId::new("own", 0);
    session.join_partition(own.clone(), 0);
    let observed_at = Timestamp(BEGIN + 1_000);
    let row = WeatherObservation { observed_at, ..WeatherObservation::example() };
    let rows = WeatherObservation::to_batch(&[row]);
    session.take(Polled::Batch(Fetched::of_rows(own.clone(), "own", rows, 0)));
    session.remove_stream("own");
    // Another of its name, with other columns, before the tick closes.
    let meters = catalog.streams().find(|s| s.def.name == MeterReading::NAME).unwrap();
    settings.def = StreamDef { name: "own".to_owned(), ..meters.def.clone() };
    session.add_stream(&settings);
    session.join_partition(own.clone(), 0);
    let rows = MeterReading::to_batch(&[reading(2)]);
    session.take(Polled::Batch(Fetched::of_rows(own.clone(), "own", rows, 0)));
    session.take(Polled::End { partition: own });
    session.take(piece(0, &[1, 12], 0, 2));
    session.take(piece(1, &[1, 12], 0, 2));
    let closed = session.close(Timestamp(0)).unwrap();
    let rows: Vec<(&str, usize)> =
        closed.streams.iter().map(|(name, rows)| (name.as_str(), rows.num_rows())).collect();
    assert_eq!(rows, [(MeterReading::NAME, 2), ("own", 1)]);
}
