//! The session against partitions that interleave, fall silent, lie about the time, and are read
//! again.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use connectors::source::Fetched;
use connectors::source::PartitionId;
use connectors::source::Polled;
use connectors::source::Position;
use proptest::prelude::ProptestConfig;
use proptest::prelude::any;
use proptest::proptest;
use schemas::catalog::Catalog;
use schemas::event::MeterReading;
use schemas::relation::Relation;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::ClosedTick;
use super::IngestSettings;
use super::Session;

const BEGIN: u64 = 1_472_601_600_000;

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
    Polled::Batch(Fetched {
        partition: partition(n),
        stream: MeterReading::NAME.to_owned(),
        rows: MeterReading::to_batch(&rows),
        positions: (from as Position..to as Position).collect(),
        next: to as Position,
        arrived_at: Vec::new(),
        refused: Vec::new(),
    })
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
        if let (true, 0, Some(closed)) = (restarts, next(5), &last) {
            session = self::session(None);
            session.restore(closed.tick, &closed.progress);
            for (n, progress) in closed.progress.iter().enumerate() {
                at[n] = progress.resume as usize;
                ended[n] = false;
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
    // What comes after is a correction: it enters the open tick.
    session.take(piece(1, &[2], 0, 1));
    assert!(session.close(Timestamp(60_001)).is_none());
    let next = session.close(Timestamp(70_001)).unwrap();
    assert_eq!(next.tick, Timestamp(BEGIN + 10_000));
    assert_eq!(next.streams[0].1.num_rows(), 1);
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
