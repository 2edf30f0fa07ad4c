//! The village as a source: the contract, the pace, and that it says what the plant says.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use schemas::event::streams;
use schemas::time::Clock;
use schemas::time::HOUR_MS;

use super::*;
use crate::contract::Held;
use crate::contract::Told;
use crate::contract::assert_source_contract;
use crate::format::json;
use crate::simulator::STREAMS;
use crate::simulator::SimulatorConfig;
use crate::simulator::SimulatorSource;
use crate::source::PartitionId;
use crate::source::Polled;
use crate::source::Source;

/// Few steps in the evening: some readings are late, some are still on their way at the end.
fn config(steps: u64) -> SimulatorConfig {
    let start_at = Timestamp(DEMO_START_AT.0 + 18 * HOUR_MS);
    let default = SimulatorConfig::default();
    SimulatorConfig { seed: 3, start_at, steps: Some(steps), ..default }
}

fn open(config: &SimulatorConfig, clock: Clock) -> SimulatorSource {
    SimulatorSource::open(
        "village",
        config,
        config.plant("village", data().unwrap()).unwrap(),
        clock,
    )
}

/// What the village says in each stream, as the plant says it when it is stepped by hand.
fn told(config: &SimulatorConfig) -> BTreeMap<PartitionId, Vec<Told>> {
    let mut plant = config.plant("village", data().unwrap()).unwrap();
    let mut told: BTreeMap<PartitionId, Vec<Told>> = BTreeMap::new();
    let steps = config.steps.unwrap();
    for step in 0..=steps {
        let ends = step == steps;
        let said = if ends { plant.drain() } else { plant.step(plant.next_at(), &[]) };
        let first = (step as i64) << 20;
        for (stream, rows) in STREAMS.into_iter().zip(said.rows()) {
            let told = told.entry(PartitionId::new("village", stream)).or_default();
            let rows = json::encode(&rows).into_iter().zip(first..);
            told.extend(rows.map(|(row, position)| Told::Row(position, row, Some(said.at))));
            if !ends {
                told.push(Told::Mark(first + (1 << 20) - 1, said.at));
            }
        }
    }
    told
}

fn schema(id: &PartitionId) -> arrow_schema::SchemaRef {
    let def = streams().into_iter().find(|def| def.name == id.partition);
    def.expect("partitions are named by their streams").schema
}

#[test]
fn the_contract_is_kept_by_a_village_of_3_steps() {
    let config = config(3);
    let told = told(&config);
    let rows = |name: &str| told[&PartitionId::new("village", name)].len();
    assert!(rows("meter_readings") > 160 && rows("commands") == 3, "nobody asks for anything");
    let held = Held { schema, told, ends: true };
    assert_source_contract(
        || {
            let mut source = open(&config, Clock::Wall);
            // So few that who is held falls out of them.
            source.recent_steps = 1;
            Box::new(source)
        },
        &held,
    );
}

#[test]
fn what_is_on_its_way_at_the_end_still_comes() {
    let config = config(60);
    let told = told(&config);
    let last = |name: &str| told[&PartitionId::new("village", name)].last().unwrap().clone();
    let late = ["asset_telemetry", "meter_readings", "scada_measurements"].map(last);
    assert!(late.iter().any(|told| matches!(told, Told::Row(..))), "none was late: {late:?}");
    let mut source = open(&config, Clock::Wall);
    let mut rows = 0;
    let mut ended = BTreeSet::new();
    while ended.len() < STREAMS.len() {
        match source.poll(Duration::ZERO).unwrap() {
            Polled::Batch(piece) => rows += piece.rows.num_rows(),
            Polled::End { partition } => assert!(ended.insert(partition)),
            _ => {}
        }
    }
    let expected = told.values().flatten().filter(|told| matches!(told, Told::Row(..))).count();
    assert_eq!(rows, expected);
}

#[test]
fn another_seed_is_another_village_and_the_same_seed_the_same() {
    let first = |seed: u64| {
        let mut source = open(&SimulatorConfig { seed, ..config(1) }, Clock::Wall);
        match source.poll(Duration::ZERO).unwrap() {
            Polled::Batch(piece) => json::encode(&piece.rows),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(first(3), first(3));
    assert_ne!(first(3), first(4));
}

#[test]
fn paced_steps_wait_until_they_are_over() {
    let clock = Clock::held(Timestamp(1_000_000));
    let config = SimulatorConfig { speed: Some(10.0), ..config(9) };
    let mut source = open(&config, clock.clone());
    // How many steps are given before nothing more is.
    let mut steps = || {
        let mut marks = 0;
        loop {
            match source.poll(Duration::ZERO).unwrap() {
                Polled::Mark { .. } => marks += 1,
                Polled::Idle => return marks / STREAMS.len(),
                _ => {}
            }
        }
    };
    assert_eq!(steps(), 1, "the first anchors the village's time");
    clock.advance(499);
    assert_eq!(steps(), 0);
    clock.advance(1);
    assert_eq!(steps(), 1, "10 times as fast: 5 s in 500 ms");
    clock.advance(1_000);
    assert_eq!(steps(), 2);
}

#[test]
fn what_is_lived_again_on_the_way_to_a_position_is_not_waited_for() {
    let clock = Clock::held(Timestamp(1_000_000));
    let config = SimulatorConfig { speed: Some(1.0), ..config(9) };
    let mut source = open(&config, clock);
    let at = source.partitions().into_iter().map(|id| (id, 5 << 20)).collect();
    source.resume(&at).unwrap();
    let Polled::Batch(piece) = source.poll(Duration::ZERO).unwrap() else { panic!("a piece") };
    assert_eq!(piece.positions[0], 5 << 20);
}
