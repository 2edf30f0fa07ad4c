//! The plant itself: one call a step, setpoints in, readings out.
//!
//! A step runs in the order of causes: the script moves switches; batteries take the setpoints that
//! arrived before the step; homes draw and generate; the power flow gives voltages and the head's
//! power; sensors say what they saw, with noise; the link delays and loses some of it.
//!
//! A home without supply is silent, as a real one is: its meter, its voltage sensor, its battery
//! and its PV inverter say nothing until power returns.
//!
//! # Bounds
//!
//! State is a few numbers a home, the readings on their way (see [`link`](crate::simulator::link)),
//! and setpoints that are late by at most three steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::event::AssetTelemetry;
use schemas::event::Command;
use schemas::event::MeterReading;
use schemas::event::Price;
use schemas::event::ScadaMeasurement;
use schemas::event::Setpoint;
use schemas::event::SwitchPosition;
use schemas::event::WeatherForecast;
use schemas::event::WeatherObservation;
use schemas::time::Timestamp;

use crate::simulator::PlantError;
use crate::simulator::battery::Battery;
use crate::simulator::battery::SetpointFate;
use crate::simulator::battery::SetpointFaults;
use crate::simulator::data::PlantData;
use crate::simulator::gross::BadReading;
use crate::simulator::homes::Home;
use crate::simulator::homes::HomePower;
use crate::simulator::homes::LOAD_KVAR_PER_KW;
use crate::simulator::homes::LoadNoise;
use crate::simulator::link::Link;
use crate::simulator::link::LinkFaults;
use crate::simulator::link::Readings;
use crate::simulator::network::HeadFlow;
use crate::simulator::network::PlantSwitch;
use crate::simulator::network::VillageNetwork;
use crate::simulator::noise::Draws;
use crate::simulator::noise::Purpose;
use crate::simulator::plant::sensors::Instant;
use crate::simulator::plant::sensors::Sensors;
use crate::simulator::reference::battery_id;
use crate::simulator::script::ScriptedCommand;
use crate::simulator::script::ScriptedSwitch;
use crate::simulator::script::default_commands;
use crate::simulator::script::default_switches;

mod announce;
pub(in crate::simulator) mod sensors;

/// How full batteries are when the plant starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StartSoc {
    /// Each drawn between these shares of its energy.
    Between(f64, f64),
    /// All at the same share of their energy.
    Fixed(f64),
}

/// What a plant is like.
#[derive(Clone, Debug, PartialEq)]
pub struct PlantConfig {
    /// Seed of all chance.
    pub seed: u64,
    /// Start of the first step.
    pub start_at: Timestamp,
    /// Length of a step in milliseconds.
    pub step_ms: u64,
    /// Share of homes that have a battery, rounded to whole homes.
    pub battery_share: f64,
    /// How full the batteries are at first.
    pub start_soc: StartSoc,
    /// Standard deviation of a home's load below the hour, in kW.
    pub load_noise_kw: f64,
    /// What sensors add, as a multiple of the usual; 0 for perfect sensors.
    pub sensor_noise: f64,
    /// Share of sensors and meters that err grossly within an hour.
    pub bad_data_share: f64,
    /// What happens to readings on their way.
    pub link: LinkFaults,
    /// What happens to setpoints.
    pub setpoints: SetpointFaults,
    /// Switches that move by the clock.
    pub switch_script: Vec<ScriptedSwitch>,
    /// Commands that others send by the clock.
    pub command_script: Vec<ScriptedCommand>,
}

/// 31 August 2016, 00:00: the day that the demo replays.
pub const DEMO_START_AT: Timestamp = Timestamp(1_472_601_600_000);

impl Default for PlantConfig {
    fn default() -> PlantConfig {
        PlantConfig {
            seed: 1,
            start_at: DEMO_START_AT,
            step_ms: schemas::time::DEFAULT_STEP.millis(),
            battery_share: 1.0,
            start_soc: StartSoc::Between(0.3, 0.7),
            load_noise_kw: 0.25,
            sensor_noise: 1.0,
            bad_data_share: 0.0,
            link: LinkFaults { lost_share: 0.002, out_of_order_share: 0.002, late_share: 0.002 },
            setpoints: SetpointFaults {
                refused_share: 0.002,
                lost_share: 0.002,
                late_share: 0.002,
            },
            switch_script: default_switches(),
            command_script: default_commands(),
        }
    }
}

/// What arrives from the plant in one step, and the truth behind it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlantStep {
    /// The step's end.
    pub at: Timestamp,
    /// From meters.
    pub meter_readings: Vec<MeterReading>,
    /// From the substation and the voltage sensors.
    pub scada_measurements: Vec<ScadaMeasurement>,
    /// From batteries and PV inverters.
    pub asset_telemetry: Vec<AssetTelemetry>,
    /// From the weather station, once a minute.
    pub weather_observations: Vec<WeatherObservation>,
    /// What a weather service expects of the next hours: at the start, and every six hours.
    pub weather_forecasts: Vec<WeatherForecast>,
    /// The tariff, hour by hour: at the start the rest of the day, then each noon the next day, as
    /// far as the data goes.
    pub prices: Vec<Price>,
    /// All switches at the start, then what moves.
    pub switch_positions: Vec<SwitchPosition>,
    /// What others ask of devices.
    pub commands: Vec<Command>,
    /// What really was.
    pub truth: Truth,
}

/// What really was in a step; no agent may see it, tests and the summary do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// Active power at the transformer's low-voltage side in kW; import into the feeder is
    /// positive.
    pub head_kw: f64,
    /// Reactive power there in kvar.
    pub head_kvar: f64,
    /// Voltage at each bus per unit, in the data's order; 0 where dead.
    pub vm_pu: Vec<f64>,
    /// Sum of all batteries' power in kW; discharge is positive.
    pub battery_kw: f64,
    /// Sum of all batteries' energy in kWh.
    pub stored_kwh: f64,
    /// The readings of this step that are grossly wrong, before the link delays or loses any.
    pub wrong: Vec<BadReading>,
    /// False if the power flow found no operating point; then nothing else here holds.
    pub solved: bool,
}

/// How many setpoints met which fate since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetpointCounts {
    /// Arrived in time.
    pub obeyed: u64,
    /// Arrived, not obeyed.
    pub refused: u64,
    /// Never arrived.
    pub lost: u64,
    /// Arrived late.
    pub late: u64,
    /// For a device that there is not.
    pub unknown: u64,
}

/// The plant.
#[derive(Clone, Debug)]
pub struct Plant {
    // Settings.
    config: PlantConfig,
    data: Arc<PlantData>,
    homes: Vec<Home>,
    battery_at: BTreeMap<String, usize>,

    // State.
    step: u64,
    noise: Vec<LoadNoise>,
    batteries: Vec<Option<Battery>>,
    network: VillageNetwork,
    sensors: Sensors,
    link: Link,
    late_setpoints: Vec<(u64, Setpoint)>,
    setpoint_counts: SetpointCounts,
}

impl Plant {
    /// A plant at its start.
    ///
    /// # Errors
    /// A setting makes no sense, or the network has faults.
    pub fn new(data: Arc<PlantData>, config: PlantConfig) -> Result<Plant, PlantError> {
        check(&config)?;
        if !(data.starts_at()..data.ends_at()).contains(&config.start_at) {
            let (first, end, at) = (data.starts_at(), data.ends_at(), config.start_at);
            let problem = format!("they go from {first} to {end}, the plant starts at {at}");
            return Err(PlantError::Data { table: "homes_hourly", problem });
        }
        let measured = data.measured().len();
        let homes: Vec<Home> = (1..=data.home_buses().len())
            .map(|number| Home::new(config.seed, number, measured))
            .collect();
        let batteries = batteries(&config, homes.len());
        let battery_at = (0..homes.len())
            .filter(|&home| batteries[home].is_some())
            .map(|home| (battery_id(home + 1), home))
            .collect();
        Ok(Plant {
            network: VillageNetwork::new(&data)?,
            sensors: Sensors::new(&data, &config),
            link: Link::new(config.seed, config.link),
            noise: vec![LoadNoise::default(); homes.len()],
            late_setpoints: Vec::new(),
            setpoint_counts: SetpointCounts::default(),
            step: 0,
            battery_at,
            batteries,
            homes,
            config,
            data,
        })
    }

    /// What it was made with.
    pub fn config(&self) -> &PlantConfig {
        &self.config
    }

    /// The data it was made from.
    pub fn data(&self) -> &PlantData {
        &self.data
    }

    /// Its homes.
    pub fn homes(&self) -> &[Home] {
        &self.homes
    }

    /// The battery of a home (from 1), if it has one.
    pub fn battery(&self, home: usize) -> Option<&Battery> {
        self.batteries.get(home - 1).and_then(Option::as_ref)
    }

    /// Its switches as they stand.
    pub fn switches(&self) -> &[PlantSwitch] {
        self.network.switches()
    }

    /// What became of the setpoints so far.
    pub fn setpoint_counts(&self) -> SetpointCounts {
        self.setpoint_counts
    }

    /// The end of the next step.
    pub fn next_at(&self) -> Timestamp {
        self.config.start_at.plus((self.step + 1) * self.config.step_ms)
    }

    /// The end of the last step that the data covers.
    pub fn ends_at(&self) -> Timestamp {
        self.data.ends_at()
    }

    /// Lives through one step; `setpoints` are those that arrived before it began.
    ///
    /// # Panics
    /// `at` is not [`Plant::next_at`]: a plant cannot leave out a step.
    pub fn step(&mut self, at: Timestamp, setpoints: &[Setpoint]) -> PlantStep {
        assert_eq!(at, self.next_at(), "steps follow each other");
        let from_at = at.minus(self.config.step_ms);
        let mut out = PlantStep { at, ..PlantStep::default() };
        self.announce(from_at, &mut out);
        self.receive(setpoints);
        let powers = self.live(from_at);
        let solved = self.network.solve().solved();
        out.truth = self.truth(solved);
        let said = self.measure(from_at, &powers, solved, &mut out.truth.wrong);
        let Readings { meter, scada, asset } = self.link.pass(self.step, said);
        (out.meter_readings, out.scada_measurements, out.asset_telemetry) = (meter, scada, asset);
        self.step += 1;
        out
    }

    /// What is still on its way when the plant stops, as one last delivery without a truth.
    pub fn drain(&mut self) -> PlantStep {
        let Readings { meter, scada, asset } = self.link.drain();
        PlantStep {
            at: self.next_at(),
            meter_readings: meter,
            scada_measurements: scada,
            asset_telemetry: asset,
            ..PlantStep::default()
        }
    }

    /// Hands setpoints to batteries: those that were late and arrive now, then the new ones.
    fn receive(&mut self, setpoints: &[Setpoint]) {
        let (due, later) = std::mem::take(&mut self.late_setpoints)
            .into_iter()
            .partition(|(due, _)| *due <= self.step);
        self.late_setpoints = later;
        let due: Vec<(u64, Setpoint)> = due;
        for (_, setpoint) in due {
            self.hand_over(&setpoint);
        }
        for setpoint in setpoints {
            if !self.battery_at.contains_key(&setpoint.asset_id) {
                self.setpoint_counts.unknown += 1;
                continue;
            }
            match self.config.setpoints.fate(self.config.seed, setpoint) {
                SetpointFate::Obeyed => {
                    self.setpoint_counts.obeyed += 1;
                    self.hand_over(setpoint);
                }
                SetpointFate::Refused => self.setpoint_counts.refused += 1,
                SetpointFate::Lost => self.setpoint_counts.lost += 1,
                SetpointFate::Late(steps) => {
                    self.setpoint_counts.late += 1;
                    self.late_setpoints.push((self.step + steps, setpoint.clone()));
                }
            }
        }
    }

    fn hand_over(&mut self, setpoint: &Setpoint) {
        let home = self.battery_at.get(&setpoint.asset_id);
        if let Some(battery) = home.and_then(|&home| self.batteries[home].as_mut()) {
            battery.receive(setpoint);
        }
    }

    /// Moves homes and batteries on by a step and tells the network what they inject.
    fn live(&mut self, from_at: Timestamp) -> Vec<HomePower> {
        let step_ms = self.config.step_ms;
        // Over straight lines the middle of the step is its mean.
        let middle_ms = from_at.0 as f64 + step_ms as f64 / 2.0;
        let mut powers = Vec::with_capacity(self.homes.len());
        for (i, home) in self.homes.iter().enumerate() {
            let energised = self.network.energised(i);
            let mut draws = Draws::new(self.config.seed, Purpose::Load, i as u64, self.step);
            self.noise[i].step(self.config.load_noise_kw, &mut draws);
            let battery_kw = self.batteries[i].as_mut().map_or(0.0, |battery| {
                battery.step(from_at, step_ms, energised);
                battery.power_kw()
            });
            let mut power = HomePower::default();
            if energised {
                power = home.power(self.data.measured(), middle_ms);
                power.load_kw += self.noise[i].kw;
            }
            let p_kw = power.pv_kw + battery_kw - power.load_kw;
            self.network.inject(i, p_kw, -power.load_kw * LOAD_KVAR_PER_KW);
            powers.push(power);
        }
        powers
    }

    fn truth(&self, solved: bool) -> Truth {
        let HeadFlow { active_kw, reactive_kvar } = self.network.head();
        let batteries = || self.batteries.iter().flatten();
        Truth {
            head_kw: active_kw,
            head_kvar: reactive_kvar,
            vm_pu: self.network.vm_pu().to_vec(),
            battery_kw: batteries().map(Battery::power_kw).sum(),
            stored_kwh: batteries().map(Battery::energy_kwh).sum(),
            wrong: Vec::new(),
            solved,
        }
    }

    /// What all sensors say, before anything is lost; what of it is wrong is noted in `wrong`.
    fn measure(
        &mut self,
        from_at: Timestamp,
        powers: &[HomePower],
        solved: bool,
        wrong: &mut Vec<BadReading>,
    ) -> Readings {
        let mut said = Readings::default();
        let now = Instant { at: from_at, step: self.step };
        let step = self.step;
        if solved {
            self.sensors.head(now, &self.network, &mut said, wrong);
        }
        for (home, power) in powers.iter().enumerate() {
            if !self.network.energised(home) {
                continue;
            }
            let battery = self.batteries[home].as_ref();
            let net_kw = power.load_kw - power.pv_kw - battery.map_or(0.0, Battery::power_kw);
            self.sensors.meter(home, now, net_kw, &mut said, wrong);
            if solved {
                let vm_pu = self.network.home_vm_pu(home);
                self.sensors.voltage(home, now, vm_pu, &mut said, wrong);
            }
            if let Some(battery) = battery {
                self.sensors.battery(home, from_at, step, battery, &mut said);
            }
        }
        for (home, power) in powers.iter().enumerate() {
            if self.network.energised(home) {
                self.sensors.pv(home, from_at, step, power.pv_kw, &mut said);
            }
        }
        if solved {
            self.sensors.head_current(now, &self.network, &mut said, wrong);
        }
        said
    }
}

/// Batteries for the homes that have one: the share's number of homes with the lowest draws.
fn batteries(config: &PlantConfig, homes: usize) -> Vec<Option<Battery>> {
    let draws = |home: usize| Draws::new(config.seed, Purpose::Battery, home as u64, 0);
    let mut order: Vec<usize> = (0..homes).collect();
    order.sort_by_key(|&home| draws(home).bits());
    let count = (config.battery_share * homes as f64).round() as usize;
    let mut batteries = vec![None; homes];
    for &home in &order[..count] {
        let mut draws = draws(home);
        draws.bits();
        let soc = match config.start_soc {
            StartSoc::Between(low, high) => draws.between(low, high),
            StartSoc::Fixed(soc) => soc,
        };
        batteries[home] = Some(Battery::new(soc));
    }
    batteries
}

fn check(config: &PlantConfig) -> Result<(), PlantError> {
    let share = |setting, value: f64| {
        if (0.0..=1.0).contains(&value) {
            return Ok(());
        }
        Err(PlantError::Setting { setting, value, expected: "a share between 0 and 1" })
    };
    let (link, setpoints) = (config.link, config.setpoints);
    share("link.lost_share", link.lost_share)?;
    share("link.out_of_order_share", link.out_of_order_share)?;
    share("link.late_share", link.late_share)?;
    let link_sum = link.lost_share + link.out_of_order_share + link.late_share;
    share("link.* together", link_sum)?;
    share("setpoints.refused_share", setpoints.refused_share)?;
    share("setpoints.lost_share", setpoints.lost_share)?;
    share("setpoints.late_share", setpoints.late_share)?;
    let setpoint_sum = setpoints.refused_share + setpoints.lost_share + setpoints.late_share;
    share("setpoints.* together", setpoint_sum)?;
    share("battery_share", config.battery_share)?;
    share("bad_data_share", config.bad_data_share)?;
    match config.start_soc {
        StartSoc::Between(low, high) => {
            share("start_soc", low)?;
            share("start_soc", high)?;
        }
        StartSoc::Fixed(soc) => share("start_soc", soc)?,
    }
    let positive = |setting, value: f64, least: f64, expected| {
        if value.is_finite() && value >= least {
            return Ok(());
        }
        Err(PlantError::Setting { setting, value, expected })
    };
    positive("step_ms", config.step_ms as f64, 1.0, "at least 1 ms")?;
    positive("load_noise_kw", config.load_noise_kw, 0.0, "a deviation in kW")?;
    positive("sensor_noise", config.sensor_noise, 0.0, "a multiple of the usual noise")
}
