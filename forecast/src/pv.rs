//! A photovoltaic plant: the clear sky, what the weather service leaves of it, and what was seen.
//!
//! What the plant could give at most, `c(t)`, is the irradiance of a clear sky over 1 kW/m², as a
//! mean from a step before the target to a step after it: a reading may be of the step that ends or
//! of the one that begins with its time, and either way night is night. Where no place is known,
//! `c` is 1 and night is what gave nothing at that time on the last three days.
//!
//! Every column is the weather times `c`, turned by the hour angle, so all hours share what they
//! can. With no weather at all the columns are those of the clear sky and of the days before; with
//! weather that lacks a target, the usual level of the hour carries the forecast, and what was seen
//! today corrects it.
//!
//! Quantities by role: [`Role::Radiation`] in W/m², [`Role::Cloud`] in percent,
//! [`Role::Temperature`] in °C; others are standardised by what was said in the first weeks. The
//! clock of the series must be UTC where a place is given.
//!
//! # Bounds
//!
//! Four days of weather a quantity; see [`crate::plant`] for the rest.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::model::Model;
use crate::model::Outlook;
use crate::model::Role;
use crate::model::Said;
use crate::model::Setup;
use crate::plant::Breadth;
use crate::plant::Engine;
use crate::plant::Row;
use crate::plant::Source;
use crate::plant::Tuning;
use crate::plant::explain::Parts;
use crate::pv::look::Aspect;
use crate::pv::look::Look;
use crate::series::DAY_MS;
use crate::series::Track;

pub mod look;
pub mod sun;

/// Words of a quantity after which its scale stays as it is: some weeks of hours.
const SCALE_WORDS: f64 = 600.0;

/// Forecasts a photovoltaic plant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pv {
    engine: Engine,
    sky: Sky,
    /// What a reading is divided by: rated power in the series' unit.
    rated: f64,
}

/// The sky: geometry and weather.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sky {
    roles: Vec<Role>,
    place: Option<(f64, f64)>,
    step_ms: i64,
    day: i64,

    /// By quantity, by target.
    words: Vec<BTreeMap<i64, f32>>,
    scales: Vec<Scale>,
    /// What there could have been at the last readings.
    could: Track<f32>,
    /// By step of the day: the most that was seen of late, over the rated power.
    most: Vec<f32>,
}

/// The mean and the variance of what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Scale {
    n: f64,
    mean: f64,
    square: f64,
}

impl Scale {
    fn learn(&mut self, value: f32) {
        if self.n < SCALE_WORDS {
            self.n += 1.0;
            let step = f64::from(value) - self.mean;
            self.mean += step / self.n;
            self.square += step * (f64::from(value) - self.mean);
        }
    }

    fn of(&self, value: f32) -> f32 {
        let sd = (self.square / self.n.max(1.0)).sqrt();
        let away = (f64::from(value) - self.mean) / sd;
        if sd < 1e-12 { 0.0 } else { (away as f32).clamp(-4.0, 4.0) }
    }
}

impl Pv {
    /// Knows nothing; the first reading will be that of index `first`. Where the setup says no
    /// rated power, readings are taken as shares of it.
    pub fn new(setup: &Setup, first: i64) -> Pv {
        Pv::of_breadth(setup, first, Breadth::Full)
    }

    /// The same with these experts.
    pub fn of_breadth(setup: &Setup, first: i64, breadth: Breadth) -> Pv {
        let day = DAY_MS / setup.step_ms;
        let tuning = Tuning {
            breadth,
            decay_day: 0.998,
            ridge: 1.0,
            ridge_cosines: 2.0,
            cosines: 120,
            turn: 0.7,
            trees_after_days: 60,
            trees_every_days: 30,
            daily: true,
            class_by_value: false,
        };
        let quantities = setup.quantities.len();
        let sky = Sky {
            roles: setup.quantities.iter().map(|quantity| quantity.role).collect(),
            place: setup.place,
            step_ms: setup.step_ms,
            day,
            words: vec![BTreeMap::new(); quantities],
            scales: vec![Scale::default(); quantities],
            could: Track::new(first),
            most: vec![0.0; day as usize],
        };
        let engine = Engine::new(tuning, first, day, setup.horizon);
        Pv { engine, sky, rated: setup.capacity.unwrap_or(1.0) }
    }

    /// What the forecast of each coming step is made of.
    pub(crate) fn parts(&self) -> Vec<Parts> {
        self.engine.parts(&self.sky, self.rated)
    }
}

/// What fell in each step, from what had fallen since the day's beginning: the first of a day is
/// its own, each other what it has more than the one before. `slot` is the step of the day of the
/// first value, counted such that the step that closes the day is 0. Negative steps are set to 0.
pub fn differences(accumulated: &[f32], slot: usize, day: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(accumulated.len());
    for (i, value) in accumulated.iter().enumerate() {
        let first = (slot + i) % day == 1 || i == 0;
        let before = if first { 0.0 } else { accumulated[i - 1] };
        out.push((value - before).max(0.0));
    }
    out
}

impl Model for Pv {
    fn know(&mut self, said: &[Said]) {
        for word in said.iter().filter(|word| word.value.is_finite()) {
            self.sky.words[word.quantity].insert(word.index, word.value);
            self.sky.scales[word.quantity].learn(word.value);
        }
    }

    fn observe(&mut self, value: f64) {
        let index = self.engine.end();
        let keep = index - 2 * self.sky.day;
        self.sky.words.iter_mut().for_each(|words| *words = words.split_off(&keep));
        let share = (value / self.rated) as f32;
        let most = &mut self.sky.most[index.rem_euclid(self.sky.day) as usize];
        *most = (*most * 0.5).max(if share.is_finite() { share } else { *most });
        let could = self.sky.aspect(index).could;
        self.sky.could.push(could);
        self.sky.could.bound(4 * self.sky.day as usize);
        self.engine.observe(share, &self.sky);
    }

    fn outlook(&mut self) -> Outlook {
        self.engine.outlook(&self.sky, self.rated)
    }
}

impl Sky {
    fn aspect(&self, target: i64) -> Aspect {
        let Some(place) = self.place else {
            let slot = target.rem_euclid(self.day) as usize;
            let could = if self.most[slot] > 0.004 { 1.0 } else { 0.0 };
            let angle = std::f32::consts::TAU * slot as f32 / self.day as f32;
            return Aspect { could, sine: could, angle };
        };
        let mut could = 0.0;
        for k in -2..=2 {
            let (sine, _) = sun::sun(target * self.step_ms + k * self.step_ms / 2, place);
            could += sun::clear_kw_m2(sine) / 5.0;
        }
        let (sine, angle) = sun::sun(target * self.step_ms, place);
        let could = if could > 0.003 { could as f32 } else { 0.0 };
        Aspect { could, sine: sine as f32, angle: angle as f32 }
    }

    fn word(&self, quantity: usize, target: i64) -> Option<f32> {
        self.words[quantity].get(&target).copied()
    }

    /// A quantity of order 1, by its role.
    fn scaled(&self, quantity: usize, value: f32) -> f32 {
        match self.roles[quantity] {
            Role::Radiation => value / 1000.0,
            Role::Cloud => value / 100.0,
            Role::Temperature => (value - 15.0) / 10.0,
            _ => self.scales[quantity].of(value) / 2.0,
        }
    }

    /// The weather of a target, by quantity, and that of the hours around; of order 1.
    fn weather(&self, target: i64, could: f32) -> (Vec<f32>, Vec<f32>) {
        let hour = (self.day / 24).max(1);
        let (mut weather, mut around) = (Vec::new(), Vec::new());
        for quantity in 0..self.roles.len() {
            let at = |hours: i64| {
                let said = self.word(quantity, target + hours * hour);
                let said = said.or_else(|| self.word(quantity, target)).unwrap_or(0.0);
                self.scaled(quantity, said)
            };
            let now = at(0);
            weather.push(now);
            let wide = || (-3..=3).map(at).sum::<f32>() / 7.0;
            match self.roles[quantity] {
                Role::Radiation => around.extend([at(-1), at(1), wide(), now / could.max(0.05)]),
                Role::Cloud => around.extend([at(-1), at(1), wide()]),
                _ => {}
            }
        }
        (weather, around)
    }

    /// Σ readings / Σ could over so many days that end with the origin.
    fn index(&self, origin: i64, days: i64, seen: &Track<f32>) -> f32 {
        let (mut sum, mut could) = (0.0, 0.0);
        for index in origin - days * self.day + 1..=origin {
            let at = self.could.get(index).unwrap_or(0.0);
            if let Some(seen) = seen.get(index).filter(|seen| seen.is_finite() && at > 0.0) {
                sum += seen;
                could += at;
            }
        }
        if could > 0.0 { sum / could } else { 0.5 }
    }
}

impl Source for Sky {
    fn tag(&self, origin: i64, target: i64) -> Option<i64> {
        let said = self.words.is_empty() || self.words.iter().all(|w| w.contains_key(&target));
        // What was seen of late is looked at anew four times a day.
        said.then(|| (origin + 1).div_euclid(self.day / 4))
    }

    fn could(&self, target: i64) -> f32 {
        self.aspect(target).could
    }

    fn row(&self, origin: i64, target: i64, seen: &Track<f32>) -> Row {
        let aspect = self.aspect(target);
        if aspect.could <= 0.0 {
            return Row { linear: Vec::new(), smooth: Vec::new(), trees: Vec::new() };
        }
        let three = self.index(origin, 3, seen);
        let yesterday = seen.get(target - self.day).filter(|y| y.is_finite());
        let days = target.div_euclid(self.day) as f64 / 365.242_19;
        let slot = target.rem_euclid(self.day);
        let (weather, around) = self.weather(target, aspect.could);
        Look {
            roles: &self.roles,
            weather,
            around,
            index_day: self.index(origin, 1, seen),
            index_days: three,
            yesterday: yesterday.unwrap_or(three * aspect.could),
            year: (std::f32::consts::TAU * days.fract() as f32).sin_cos(),
            slot,
            hour: (slot * 24 / self.day) as usize,
            aspect,
        }
        .row()
    }
}
