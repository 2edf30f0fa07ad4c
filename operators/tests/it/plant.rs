//! A feeder with homes and batteries, small enough to run days in seconds.
//!
//! Loads follow an hourly profile with a slow random walk on top; batteries obey setpoints at the
//! next step and lose 5 % each way. Telemetry and setpoints get lost, seeded. No network: the head
//! is the sum.

use std::collections::BTreeMap;

use schemas::event::Setpoint;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

pub(crate) const STEP_MS: u64 = 5_000;
/// The day that is played, and the seven before it, begin here: 24 August 2016.
pub(crate) const HISTORY_AT: Timestamp = Timestamp(1_471_996_800_000);
pub(crate) const DAY_AT: Timestamp = Timestamp(HISTORY_AT.0 + 7 * 24 * HOUR_MS);

/// Net load of five homes scaled to 57, mean kW by hour, 24 August to 1 September 2016: the homes
/// of `citylearn_challenge_2022_phase_1` (CityLearn 2.1.2, MIT), buildings 1 to 5, load less PV,
/// rounded.
pub(crate) const PROFILE_KW: [[i32; 24]; 9] = [
    [
        64, 47, 40, 71, 47, 39, 24, 45, -7, -9, -28, -58, -91, -92, -75, -13, 0, 81, 57, 42, 73,
        114, 96, 98,
    ],
    [
        96, 74, 42, 51, 35, 34, 33, 1, -12, 1, -20, -32, -74, -65, -49, -28, 26, 64, 75, 72, 66,
        83, 140, 126,
    ],
    [
        43, 35, 61, 28, 31, 35, 56, 7, -14, -12, -12, -68, -80, -66, -81, -38, 0, 33, 76, 50, 53,
        58, 85, 94,
    ],
    [
        41, 35, 38, 35, 32, 33, 25, 16, 3, -3, -24, -69, -75, -64, -27, 25, 17, 47, 85, 75, 61, 85,
        74, 89,
    ],
    [
        73, 50, 36, 30, 30, 33, 26, 16, 5, -6, -18, -63, -69, -65, -24, 26, 77, 115, 123, 154, 155,
        139, 82, 82,
    ],
    [
        56, 37, 33, 43, 29, 36, 26, 6, -10, 3, -10, -30, -46, -28, -11, 7, 81, 134, 92, 90, 131,
        146, 137, 96,
    ],
    [
        61, 64, 96, 59, 32, 49, 53, 22, -4, -4, -3, -29, -50, -30, -31, 52, 84, 131, 79, 99, 101,
        130, 106, 117,
    ],
    [
        79, 46, 45, 39, 44, 61, 42, 23, -10, -8, -28, -25, -50, -26, -11, 25, 113, 158, 150, 105,
        130, 133, 128, 101,
    ],
    [
        44, 46, 46, 38, 48, 72, 37, 36, 5, 6, 11, -22, -29, -18, -4, 5, 48, 123, 102, 107, 95, 77,
        89, 65,
    ],
];

/// The profile in hour `hour` since [`HISTORY_AT`].
pub(crate) fn hour_kw(hour: u64) -> f64 {
    f64::from(PROFILE_KW[(hour / 24) as usize][(hour % 24) as usize])
}

/// The profile at an instant: hourly means at the middle of their hours, linear between.
pub(crate) fn profile_kw(at: Timestamp) -> f64 {
    let hours = (at.0 - HISTORY_AT.0) as f64 / HOUR_MS as f64 - 0.5;
    let (hour, part) = (hours.floor(), hours - hours.floor());
    hour_kw(hour as u64) * (1.0 - part) + hour_kw(hour as u64 + 1) * part
}

/// Seeded numbers: Vigna's splitmix64.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Even in [0, 1).
    pub(crate) fn even(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Nearly normal, mean 0, deviation 1: twelve even numbers summed.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }
}

/// One battery.
#[derive(Clone, Debug)]
pub(crate) struct Battery {
    pub(crate) soc_kwh: f64,
    /// What it was told.
    pub(crate) kw: f64,
    pub(crate) until: Timestamp,
    /// What is under way to it: when it comes, its power, and until when it holds.
    coming: Vec<(Timestamp, f64, Timestamp)>,
}

/// What the plant is made of.
pub(crate) struct PlantConfig {
    pub(crate) batteries: usize,
    pub(crate) soc_share: f64,
    /// Deviation of the feeder's load around its profile, in kW.
    pub(crate) noise_kw: f64,
    /// Share of telemetry, and of setpoints, that is lost.
    pub(crate) lost: f64,
    /// Share of telemetry that comes a tick late.
    pub(crate) late: f64,
    pub(crate) seed: u64,
    /// Steps that a setpoint is under way, beyond the one in which all are.
    pub(crate) delay_steps: u64,
}

/// The feeder.
pub(crate) struct Plant {
    config: PlantConfig,
    chance: Chance,
    walk: f64,
    pub(crate) batteries: BTreeMap<String, Battery>,
}

pub(crate) const ENERGY_KWH: f64 = 6.4;
pub(crate) const EFFICIENCY: f64 = 0.95;

/// What was measured in a step.
pub(crate) struct Measured {
    pub(crate) load_kw: f64,
    pub(crate) head_kw: f64,
    /// Of each battery: power and state of charge.
    pub(crate) batteries: BTreeMap<String, (f64, f64)>,
}

impl Plant {
    pub(crate) fn new(config: PlantConfig) -> Plant {
        let soc_kwh = config.soc_share * ENERGY_KWH;
        let battery = Battery { soc_kwh, kw: 0.0, until: Timestamp(0), coming: Vec::new() };
        let batteries =
            (0..config.batteries).map(|i| (format!("battery-{i:02}"), battery.clone())).collect();
        Plant { chance: Chance::new(config.seed), config, walk: 0.0, batteries }
    }

    pub(crate) fn obey(&mut self, setpoint: &Setpoint) {
        if self.chance.even() < self.config.lost {
            return;
        }
        let battery = self.batteries.get_mut(&setpoint.asset_id).unwrap();
        let at = setpoint.tick_at.plus(self.config.delay_steps * STEP_MS);
        battery.coming.push((at, setpoint.active_power_kw, setpoint.valid_until_at));
    }

    /// Whether a message is lost, and whether it is late.
    pub(crate) fn fate(&mut self) -> (bool, bool) {
        let (lost, late) = (self.config.lost, self.config.late);
        (self.chance.even() < lost, self.chance.even() < late)
    }

    /// Runs the step that ends at `tick`.
    pub(crate) fn run(&mut self, tick: Timestamp, profile_kw: f64) -> Measured {
        let began = tick.minus(STEP_MS);
        let hours = STEP_MS as f64 / HOUR_MS as f64;
        // 0.98 a step: a memory of some four minutes.
        self.walk = 0.98 * self.walk + 0.199 * self.chance.normal();
        let load_kw = profile_kw + self.config.noise_kw * self.walk;
        let mut said = BTreeMap::new();
        for (id, battery) in &mut self.batteries {
            for (_, kw, until) in battery.coming.extract_if(.., |(at, ..)| *at <= began) {
                (battery.kw, battery.until) = (kw, until);
            }
            if began >= battery.until {
                battery.kw = 0.0;
            }
            let most = battery.soc_kwh * EFFICIENCY / hours;
            let least = -(ENERGY_KWH - battery.soc_kwh) / EFFICIENCY / hours;
            let kw = battery.kw.clamp(-5.0, 5.0).min(most).max(least);
            battery.soc_kwh -= if kw > 0.0 { kw / EFFICIENCY } else { kw * EFFICIENCY } * hours;
            said.insert(id.clone(), (kw, battery.soc_kwh));
        }
        let own_kw: f64 = said.values().map(|(kw, _)| kw).sum();
        Measured { load_kw, head_kw: load_kw - own_kw, batteries: said }
    }
}
