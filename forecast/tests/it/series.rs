//! Series that are made, for what real ones cannot show.

use forecast::model::Kind;
use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Said;
use forecast::model::Setup;

/// Numbers in [0, 1) without end: splitmix64.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Roughly normal, variance 1.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

/// A load in MW that follows the clock, the week and the temperature, with both.
pub(crate) struct Made {
    pub(crate) setup: Setup,
    pub(crate) first: i64,
    pub(crate) load: Vec<f64>,
    /// As it was measured in the end.
    pub(crate) temperature_c: Vec<f32>,
    /// As it was forecast a day ahead.
    pub(crate) ahead_c: Vec<f32>,
}

/// `days` of hours.
pub(crate) fn made(days: i64, seed: u64) -> Made {
    let mut chance = Chance(seed);
    let first = 400_000 / 24 * 24;
    let (mut load, mut temperature_c) = (Vec::new(), Vec::new());
    let (mut spell, mut drift) = (0.0, 0.0);
    for hour in 0..(days + 1) * 24 {
        let of_day = (hour % 24) as f64;
        if hour % 24 == 0 {
            spell = 0.8 * spell + 2.0 * chance.normal();
        }
        let temperature = 14.0 + spell + 6.0 * ((of_day - 9.0) * 0.2618).sin();
        temperature_c.push(temperature as f32);
        drift = 0.97 * drift + 0.8 * chance.normal();
        let week = if ((first + hour) / 24 + 3) % 7 >= 5 { -12.0 } else { 0.0 };
        let heat = 1.5 * (16.0 - temperature).max(0.0) + 2.5 * (temperature - 19.0).max(0.0);
        let rhythm = 20.0 * ((of_day - 7.0) * 0.2618).sin();
        load.push(100.0 + rhythm + week + heat + drift + 0.6 * chance.normal());
    }
    load.truncate(days as usize * 24);
    let quantities = vec![Quantity { name: "t".to_owned(), role: Role::Temperature }];
    let setup = Setup {
        kind: Kind::Load,
        step_ms: 3_600_000,
        horizon: 24,
        quantities,
        holidays: [first / 24 + 40].into(),
        clock_ahead: 0,
        capacity: None,
        place: None,
    };
    let ahead_c = temperature_c.clone();
    Made { setup, first, load, temperature_c, ahead_c }
}

/// The same by quarters of an hour, between the hours of [`made`].
pub(crate) fn quarters(days: i64, seed: u64) -> Made {
    let hours = made(days + 1, seed);
    let mut chance = Chance(seed + 1_000);
    let between = |values: &dyn Fn(usize) -> f64, at: usize| {
        let share = (at % 4) as f64 / 4.0;
        values(at / 4) * (1.0 - share) + values(at / 4 + 1) * share
    };
    let steps = days as usize * 96;
    let load = |at| between(&|hour| hours.load[hour], at);
    let load = (0..steps).map(|at| load(at) + 0.6 * chance.normal()).collect();
    let air = |at| between(&|hour| f64::from(hours.temperature_c[hour]), at) as f32;
    let temperature_c: Vec<f32> = (0..steps + 96).map(air).collect();
    let ahead_c = temperature_c.clone();
    let setup = Setup { step_ms: 900_000, horizon: 96, ..hours.setup };
    Made { setup, first: hours.first * 4, load, temperature_c, ahead_c }
}

impl Made {
    /// The same, with a forecast of the temperature that is off by some degrees for hours.
    pub(crate) fn misforecast(mut self, seed: u64) -> Made {
        let (mut chance, mut off) = (Chance(seed), 0.0);
        for value in &mut self.ahead_c {
            off = 0.9 * off + 0.8 * chance.normal() as f32;
            *value += off;
        }
        self
    }

    /// The weather that is said with the reading `at`: a day ahead, and as it was measured where
    /// that is something else.
    pub(crate) fn said(&self, at: usize) -> Vec<Said> {
        let issued = self.first + at as i64;
        let say = |k: usize, value| {
            let index = self.first + k as i64;
            Said { issued, quantity: 0, index, value }
        };
        let measured = self.temperature_c.get(at).filter(|value| **value != self.ahead_c[at]);
        let horizon = self.setup.horizon;
        let range = if at == 0 { 0..horizon + 1 } else { at + horizon..at + horizon + 1 };
        let ahead = range.filter_map(|k| Some(say(k, *self.ahead_c.get(k)?)));
        measured.map(|value| say(at, *value)).into_iter().chain(ahead).collect()
    }
}
