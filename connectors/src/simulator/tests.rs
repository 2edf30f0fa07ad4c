//! The plant as a whole, on the bundled day: physics, chance, and what an instance is told about
//! it.

mod source;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use schemas::event::Setpoint;
use schemas::time::DAY_MS;
use schemas::time::Timestamp;

use crate::simulator::Plant;
use crate::simulator::PlantConfig;
use crate::simulator::PlantData;
use crate::simulator::PlantError;
use crate::simulator::PlantFiles;
use crate::simulator::PlantStep;
use crate::simulator::ReferenceTables;
use crate::simulator::StartSoc;
use crate::simulator::battery::SetpointFaults;
use crate::simulator::link::LinkFaults;
use crate::simulator::plant::DEMO_START_AT;
use crate::simulator::reference::FEEDER_LIMIT_KW;
use crate::simulator::reference::battery_id;

const STEP_MS: u64 = 5_000;
const STEPS_A_DAY: u64 = DAY_MS / STEP_MS;
const STEPS_A_MINUTE: usize = 12;

macro_rules! bundled {
    ($file:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../gridloom/data/", $file))
    };
}

const FILES: PlantFiles = PlantFiles {
    buses: bundled!("buses.parquet"),
    branches: bundled!("branches.parquet"),
    transformers: bundled!("transformers.parquet"),
    homes_hourly: bundled!("homes_hourly.parquet"),
    weather_hourly: bundled!("weather_hourly.parquet"),
    tariff_hourly: bundled!("tariff_hourly.parquet"),
};

pub(crate) fn data() -> Result<Arc<PlantData>, PlantError> {
    PlantData::read(&FILES).map(Arc::new)
}

fn plant(config: PlantConfig) -> Plant {
    Plant::new(data().unwrap(), config).unwrap()
}

fn perfect() -> PlantConfig {
    PlantConfig {
        sensor_noise: 0.0,
        link: LinkFaults { lost_share: 0.0, out_of_order_share: 0.0, late_share: 0.0 },
        setpoints: SetpointFaults { refused_share: 0.0, lost_share: 0.0, late_share: 0.0 },
        switch_script: Vec::new(),
        ..PlantConfig::default()
    }
}

fn run(plant: &mut Plant, steps: u64, mut each: impl FnMut(&Plant, &PlantStep) -> Vec<Setpoint>) {
    let mut setpoints = Vec::new();
    for _ in 0..steps {
        let step = plant.step(plant.next_at(), &setpoints);
        assert!(step.truth.solved);
        setpoints = each(plant, &step);
    }
}

/// One-minute means of the head above the limit over the day.
fn minutes_over(config: PlantConfig, control: bool) -> usize {
    let mut plant = plant(config);
    let mut head_kw = Vec::new();
    run(&mut plant, STEPS_A_DAY, |plant, step| {
        head_kw.push(step.truth.head_kw);
        if control { reaction(plant, step) } else { Vec::new() }
    });
    let mean = |minute: &[f64]| minute.iter().sum::<f64>() / minute.len() as f64;
    head_kw.chunks(STEPS_A_MINUTE).filter(|minute| mean(minute) > FEEDER_LIMIT_KW).count()
}

/// The simplest control: what exceeds 0.96 of the limit is shared by what batteries can give; below
/// it they charge by up to 1 kW each from what is free.
fn reaction(plant: &Plant, step: &PlantStep) -> Vec<Setpoint> {
    let wanted_kw = step.truth.head_kw + step.truth.battery_kw - 0.96 * FEEDER_LIMIT_KW;
    let energy = |home: usize| plant.battery(home).map(|battery| battery.energy_kwh());
    let homes: Vec<(usize, f64)> =
        (1..=57).filter_map(|home| energy(home).map(|kwh| (home, kwh))).collect();
    let box_kw = |kwh: f64| (kwh * 0.95 * 720.0).min(5.0);
    let total_kw: f64 = homes.iter().map(|&(_, kwh)| box_kw(kwh)).sum();
    let free = homes.iter().filter(|&&(_, kwh)| kwh < 6.08).count();
    let setpoint = |&(home, kwh): &(usize, f64)| {
        let kw = if wanted_kw > 0.0 {
            box_kw(kwh) * (wanted_kw / total_kw.max(1e-9)).min(1.0)
        } else if kwh < 6.08 {
            -(-wanted_kw / free as f64).min(1.0)
        } else {
            0.0
        };
        Setpoint {
            action_id: format!("{}:{home}:0", step.at.0),
            asset_id: battery_id(home),
            tick_at: step.at,
            active_power_kw: kw,
            valid_until_at: step.at.plus(3 * STEP_MS),
        }
    };
    homes.iter().map(setpoint).collect()
}

#[test]
fn without_control_the_head_is_above_its_limit_for_over_300_minutes_of_the_day() {
    let minutes = minutes_over(PlantConfig::default(), false);
    println!("{minutes} one-minute means above {FEEDER_LIMIT_KW} kW without control");
    assert!((301..450).contains(&minutes), "{minutes}");
}

#[test]
fn batteries_that_react_keep_the_head_below_its_limit() {
    let config = PlantConfig { start_soc: StartSoc::Fixed(0.5), ..PlantConfig::default() };
    assert_eq!(minutes_over(config.clone(), true), 0);
    assert_eq!(minutes_over(PlantConfig { battery_share: 0.4, ..config }, true), 0);
}

#[test]
fn the_same_seed_gives_the_same_day_and_another_seed_another() {
    let steps = |seed| {
        let mut plant = plant(PlantConfig { seed, ..PlantConfig::default() });
        let mut steps = Vec::new();
        run(&mut plant, 500, |plant, step| {
            steps.push(step.clone());
            reaction(plant, step)
        });
        steps.push(plant.drain());
        steps
    };
    assert_eq!(steps(4), steps(4));
    assert_ne!(steps(4)[0].meter_readings, steps(5)[0].meter_readings);
}

#[test]
fn control_moves_the_batteries_and_no_roll_of_the_dice() {
    let net_without_battery = |control: bool| {
        let mut plant = plant(perfect());
        let mut net_kw = Vec::new();
        run(&mut plant, 300, |plant, step| {
            let meters: f64 = step.meter_readings.iter().map(|r| r.active_power_kw).sum();
            net_kw.push(meters + step.truth.battery_kw);
            if control { reaction(plant, step) } else { Vec::new() }
        });
        net_kw
    };
    for (with, without) in net_without_battery(true).iter().zip(net_without_battery(false)) {
        // Within what 57 meters round.
        assert!((with - without).abs() < 57.0 / 1024.0, "{with} {without}");
    }
}

#[test]
fn the_head_carries_the_meters_and_the_losses_of_the_cables() {
    let mut plant = plant(perfect());
    run(&mut plant, STEPS_A_DAY, |_, step| {
        let meters: f64 = step.meter_readings.iter().map(|r| r.active_power_kw).sum();
        let losses_kw = step.truth.head_kw - meters;
        let share = losses_kw / meters.abs().max(20.0);
        assert!(losses_kw > -0.03 && share < 0.03, "{losses_kw} kW of {meters} at {}", step.at);
        Vec::new()
    });
}

#[test]
fn readings_describe_the_interval_that_ends_with_the_step() {
    let mut plant = plant(perfect());
    let step = plant.step(DEMO_START_AT.plus(STEP_MS), &[]);
    assert_eq!(step.meter_readings.len(), 57);
    assert_eq!(step.asset_telemetry.len(), 2 * 57);
    assert_eq!(step.scada_measurements.len(), 4 + 57);
    let times: BTreeSet<Timestamp> = step.meter_readings.iter().map(|r| r.measured_at).collect();
    assert_eq!(times, BTreeSet::from([DEMO_START_AT]));
    assert!(step.asset_telemetry.iter().all(|t| t.measured_at == DEMO_START_AT));
    assert!(step.scada_measurements.iter().all(|m| m.measured_at == DEMO_START_AT));
}

#[test]
fn sums_of_readings_are_exact_in_units_of_a_thousandth() {
    let mut plant = plant(PlantConfig::default());
    run(&mut plant, 100, |_, step| {
        for reading in &step.meter_readings {
            let steps = reading.active_power_kw * 1024.0;
            assert_eq!(steps, steps.round());
        }
        Vec::new()
    });
}

#[test]
fn a_setpoint_is_obeyed_at_the_next_step_and_seen_at_the_meter() {
    let mut plant = plant(perfect());
    let first = plant.step(plant.next_at(), &[]);
    let setpoint = Setpoint {
        action_id: "a".to_owned(),
        asset_id: battery_id(8),
        tick_at: first.at,
        active_power_kw: 3.0,
        valid_until_at: first.at.plus(3 * STEP_MS),
    };
    let second = plant.step(plant.next_at(), &[setpoint]);
    let telemetry = &second.asset_telemetry[7];
    assert_eq!((telemetry.asset_id.as_str(), telemetry.active_power_kw), ("battery-08", 3.0));
    let before = first.meter_readings[7].active_power_kw;
    let after = second.meter_readings[7].active_power_kw;
    assert!((before - after - 3.0).abs() < 0.4, "{before} {after}");
    let counts = plant.setpoint_counts();
    assert_eq!((counts.obeyed, counts.unknown), (1, 0));
}

#[test]
fn a_home_that_is_cut_off_is_silent_and_comes_back() {
    let mut plant = plant(PlantConfig { switch_script: default_script(), ..perfect() });
    let cut_from = DEMO_START_AT.plus((9 * 60 + 15) * 60_000);
    let cut_until = cut_from.plus(6 * 60_000);
    let (mut silent, mut moves) = (0, Vec::new());
    run(&mut plant, 12 * 60 * 10, |plant, step| {
        let from_at = step.at.minus(STEP_MS);
        let heard = step.meter_readings.iter().any(|r| r.meter_id == "meter-23");
        let cut = (cut_from..cut_until).contains(&from_at);
        assert_eq!(heard, !cut, "{from_at}");
        let bus = plant.data().home_buses()[22].0;
        assert_eq!(step.truth.vm_pu[bus] == 0.0, cut);
        silent += u64::from(cut);
        if from_at > DEMO_START_AT {
            moves.extend(step.switch_positions.iter().map(|s| (s.changed_at, s.position.clone())));
        }
        Vec::new()
    });
    assert_eq!(silent, 72);
    let expected = [(cut_from, "open".to_owned()), (cut_until, "closed".to_owned())];
    assert_eq!(moves, expected);
}

fn default_script() -> Vec<crate::simulator::script::ScriptedSwitch> {
    PlantConfig::default().switch_script
}

#[test]
fn over_the_day_the_tariff_the_weather_and_two_foreign_commands_are_announced() {
    let mut plant = plant(PlantConfig::default());
    let (mut hours, mut weather, mut commands) = (Vec::new(), 0, Vec::new());
    run(&mut plant, STEPS_A_DAY, |_, step| {
        hours.extend(step.prices.iter().map(|p| p.delivery_start_at));
        weather += step.weather_observations.len();
        commands.extend(step.commands.iter().map(|c| (c.asset_id.clone(), c.active_power_kw)));
        Vec::new()
    });
    let expected: Vec<Timestamp> =
        (0..25).map(|hour| DEMO_START_AT.plus(hour * 3_600_000)).collect();
    assert_eq!(hours, expected);
    assert_eq!(weather, 24 * 60);
    let expected = [("battery-07".to_owned(), 9.0), ("battery-99".to_owned(), 2.0)];
    assert_eq!(commands, expected);
    assert_eq!(plant.next_at(), plant.ends_at().plus(STEP_MS));
}

#[test]
fn everything_that_speaks_stands_in_the_reference_tables() {
    let mut plant = plant(PlantConfig { battery_share: 0.3, ..perfect() });
    let tables = ReferenceTables::of(&plant);
    let step = plant.step(plant.next_at(), &[]);
    let said: BTreeSet<&str> = step.meter_readings.iter().map(|r| r.meter_id.as_str()).collect();
    assert_eq!(said, tables.meters.iter().map(|m| m.meter_id.as_str()).collect());
    let said: BTreeSet<&str> =
        step.scada_measurements.iter().map(|m| m.sensor_id.as_str()).collect();
    assert_eq!(said, tables.sensors.iter().map(|s| s.sensor_id.as_str()).collect());
    let said: BTreeSet<&str> = step.asset_telemetry.iter().map(|t| t.asset_id.as_str()).collect();
    assert_eq!(said, tables.assets.iter().map(|a| a.asset_id.as_str()).collect());
    assert_eq!(said.len(), 17 + 57, "the batteries, and an inverter a home");
    let said: BTreeSet<&str> = step.switch_positions.iter().map(|s| s.switch_id.as_str()).collect();
    assert_eq!(said, tables.switches.iter().map(|s| s.switch_id.as_str()).collect());
    assert_eq!((tables.buses.len(), tables.branches.len()), (116, 114));
    assert_eq!(tables.load_history.len(), 57 * 30 * 24);
    assert_eq!(tables.plant_history.len(), 57 * 30 * 24);
    assert_eq!(tables.weather_history.len(), 30 * 24);
    // Each sensor and meter is in the point map, on something that there is.
    let points: BTreeSet<&str> = tables.points.iter().map(|p| p.point_id.as_str()).collect();
    let meters = tables.meters.iter().map(|m| m.meter_id.as_str());
    assert_eq!(points, tables.sensors.iter().map(|s| s.sensor_id.as_str()).chain(meters).collect());
    let copies = tables.meters.iter().filter(|m| m.origin == "copy").count();
    assert_eq!(copies, 52);
}

#[test]
fn short_files_shares_beyond_one_and_days_without_data_are_refused() {
    let short = PlantFiles { buses: &FILES.buses[..1_000], ..FILES };
    let error = PlantData::read(&short).unwrap_err();
    assert!(matches!(error, PlantError::Unreadable { table: "buses", .. }), "{error}");
    let swapped = PlantFiles { buses: FILES.branches, ..FILES };
    let error = PlantData::read(&swapped).unwrap_err();
    assert!(matches!(error, PlantError::Columns { table: "buses", .. }), "{error}");

    let data = Arc::new(PlantData::read(&FILES).unwrap());
    let link = LinkFaults { lost_share: 0.6, out_of_order_share: 0.3, late_share: 0.2 };
    let error = Plant::new(data, PlantConfig { link, ..PlantConfig::default() }).unwrap_err();
    assert!(error.to_string().starts_with("link.* together"), "{error}");

    let data = Arc::new(PlantData::read(&FILES).unwrap());
    let start_at = data.ends_at();
    let error = Plant::new(data, PlantConfig { start_at, ..PlantConfig::default() }).unwrap_err();
    assert!(error.to_string().contains("2016-09-01T00:00:00Z"), "{error}");
}

/// Prints what a step costs: `cargo test -p gridloom-connectors --lib -- --ignored --nocapture
/// cost`.
#[test]
#[ignore = "a measurement, not a check"]
fn cost_of_a_step_57_homes_17280_steps() {
    for control in [false, true] {
        let mut plant = plant(PlantConfig::default());
        let (mut setpoints, mut readings, mut spent) = (Vec::new(), 0, 0.0);
        for _ in 0..STEPS_A_DAY {
            let start = Instant::now();
            let step = plant.step(plant.next_at(), &setpoints);
            spent += start.elapsed().as_secs_f64();
            readings += step.meter_readings.len()
                + step.scada_measurements.len()
                + step.asset_telemetry.len();
            setpoints = if control { reaction(&plant, &step) } else { Vec::new() };
        }
        let mean_us = spent * 1e6 / STEPS_A_DAY as f64;
        let counts = plant.setpoint_counts();
        println!("control {control}: {mean_us:.1} us a step, {readings} readings, {counts:?}");
    }
}
