//! What wind and PV plants share: several cheap experts, each corrected by what it missed of late,
//! combined by how they err together, with quantiles.
//!
//! A plant's weather forecast comes in issues, so a target has one **row** of features per *tag*
//! (the issue, or the part of the day, it was made from). What an expert says of a row, its
//! **base** `b`, is computed once, when the row is made. From origin `o`, target `t` is forecast
//!
//! ```text
//! f_e(t; o) = b_e(t) + c(t) βᵀ x_e(t; o)
//! ```
//!
//! where `c` is what the plant could give (1 for wind, the clear sky's share for PV) and `x` holds
//! the ratios Σ residuals / Σ c over the last 1, 2, 3, 6 and 24 hours, the residual of a day
//! before, and the last reading itself: persistence is what this ridge finds at short leads. One
//! ridge a step of horizon.
//!
//! Experts: the usual level (always there), a ridge on the row, the same ridge with random cosines
//! of it (Rahimi and Recht 2007, *Random features for large-scale kernel machines*), boosted trees
//! that are fitted anew each quarter. Which of them a plant has is its [`Breadth`]; one of many
//! small ones has the day before instead, which under a clear sky is hard to beat.
//!
//! # Invariants
//!
//! Only what [`Engine::observe`] and the rows say is used, in the order in which it is said.
//!
//! # Bounds
//!
//! Two rows a target of the last day and the next; 9 days of residuals; [`SAMPLES_MAX`] rows for
//! the trees, where there are any.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::combine::Combination;
use crate::conformal::Cell;
use crate::conformal::Conformal;
use crate::model::Outlook;
use crate::model::P50;
use crate::model::Point;
use crate::plant::expert::Cosines;
use crate::plant::expert::Ridge;
use crate::plant::expert::Trees;
use crate::plant::short::Short;
use crate::ridge::Factor;
use crate::series::Track;

pub mod expert;
pub mod explain;
pub mod rival;
pub mod short;
pub mod unit;
pub mod watch;

/// Rows that the trees are fitted on at most: two years of hours, twice. The oldest go.
pub const SAMPLES_MAX: usize = 35_000;

/// Forgetting of the errors' covariance, a day.
const MIX_DECAY: f64 = 0.995;

/// How far the weights are drawn to equal ones.
const MIX_SHRINK: f64 = 0.05;

/// Which experts a plant has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breadth {
    /// The level, the ridge, and for PV the day before: some ten thousand numbers. They are weighed
    /// from the second day on.
    Lean,
    /// The cosines too.
    Broad,
    /// The level, the ridge, the cosines and the trees, which keep their samples: megabytes.
    Full,
}

impl Breadth {
    /// What its experts are called, in order; `daily` where the day before says something.
    fn experts(self, daily: bool) -> &'static [&'static str] {
        match self {
            Breadth::Lean if daily => &["level", "ridge", "yesterday"],
            Breadth::Lean => &["level", "ridge"],
            Breadth::Broad if daily => &["level", "ridge", "cosines", "yesterday"],
            Breadth::Broad => &["level", "ridge", "cosines"],
            Breadth::Full => &["level", "ridge", "cosines", "trees"],
        }
    }

    fn has_cosines(self) -> bool {
        self != Breadth::Lean
    }

    fn has_trees(self) -> bool {
        self == Breadth::Full
    }
}

/// What is known of a target, as features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Columns of the ridge, of order 1, the first of them 1.
    #[serde(with = "crate::bits")]
    pub linear: Vec<f32>,
    /// Columns of the cosines, of order 1; few.
    #[serde(with = "crate::bits")]
    pub smooth: Vec<f32>,
    /// Columns of the trees, in any unit; NaN where missing.
    #[serde(with = "crate::bits")]
    pub trees: Vec<f32>,
}

/// A target as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Said {
    tag: i64,
    row: Row,
    /// By expert, NaN where it cannot say.
    #[serde(with = "crate::bits::array")]
    bases: [f32; 4],
}

/// A forecast that was issued, to be judged later.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Issued {
    /// Which of the target's rows.
    tag: i64,
    class: u8,
    value: f32,
    spread: f32,
    #[serde(with = "crate::bits::array")]
    by_expert: [f32; 4],
}

/// Numbers of a kind of plant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// Which experts there are.
    pub breadth: Breadth,
    /// Forgetting of the ridges, a day.
    pub decay_day: f64,
    /// The ridge on linear columns.
    pub ridge: f64,
    /// The ridge on cosines.
    pub ridge_cosines: f64,
    /// Cosines.
    pub cosines: usize,
    /// How fast cosines turn, per unit of a smooth column.
    pub turn: f64,
    /// Days after which trees are fitted for the first time.
    pub trees_after_days: i64,
    /// Days after which trees are fitted anew.
    pub trees_every_days: i64,
    /// Whether the day before says something of a day.
    pub daily: bool,
    /// Whether quantiles are kept by tenths of the forecast (wind) or by hour of the day (PV).
    pub class_by_value: bool,
}

/// The engine of one plant; all in shares of the plant's rated power.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Engine {
    tuning: Tuning,
    /// Steps of a day and of the horizon.
    day: i64,
    horizon: usize,

    seen: Track<f32>,
    #[serde(with = "crate::bits")]
    level: Vec<f32>,
    ridge: Ridge,
    cosines: Ridge,
    waves: Cosines,
    directions: Vec<f32>,
    trees: Trees,
    said: BTreeMap<i64, Vec<Said>>,
    shorts: Vec<Short>,
    combination: Combination,
    conformal: Conformal,
    /// By origin modulo the horizon, by step ahead.
    issued: Vec<Vec<Issued>>,
    count: i64,
}

/// What the engine asks of a plant.
pub trait Source {
    /// Which row a target has as of the origin; `None` where no weather is known for it.
    fn tag(&self, origin: i64, target: i64) -> Option<i64>;
    /// The row of a target as of the origin.
    fn row(&self, origin: i64, target: i64, seen: &Track<f32>) -> Row;
    /// What the plant could give at most at the target, over its rated power: 0 is night.
    fn could(&self, target: i64) -> f32;
}

impl Engine {
    /// Knows nothing; the first reading will be that of index `first`. `day` is the steps of a day,
    /// `horizon` those that are forecast.
    pub fn new(tuning: Tuning, first: i64, day: i64, horizon: usize) -> Engine {
        let hours = (horizon as i64 * 24 / day).max(1) as usize;
        let classes = if tuning.class_by_value { 12 } else { 24 };
        let per_day = (day * (day / 24).max(1)) as f64;
        let experts = tuning.breadth.experts(tuning.daily).len();
        Engine {
            day,
            horizon,
            seen: Track::new(first),
            level: vec![f32::NAN; 24],
            ridge: Ridge::new(tuning.decay_day, tuning.ridge),
            cosines: Ridge::new(tuning.decay_day, tuning.ridge_cosines),
            waves: Cosines::new(tuning.cosines, tuning.turn),
            directions: Vec::new(),
            trees: Trees::new(SAMPLES_MAX),
            said: BTreeMap::new(),
            shorts: (0..experts).map(|_| Short::new(first, day, horizon)).collect(),
            combination: Combination::new(experts, hours),
            conformal: Conformal::new(hours, classes, per_day, 0.1, (0.0, 1.0)),
            issued: vec![Vec::new(); horizon],
            count: 0,
            tuning,
        }
    }

    /// The index of the next reading.
    pub fn end(&self) -> i64 {
        self.seen.end()
    }

    /// What its experts are called, in order.
    fn experts(&self) -> &'static [&'static str] {
        self.tuning.breadth.experts(self.tuning.daily)
    }

    /// Takes the next reading, over the rated power; NaN: missing.
    pub fn observe(&mut self, value: f32, source: &impl Source) {
        let target = self.end();
        let could = source.could(target);
        self.seen.push(value);
        self.shorts.iter_mut().for_each(|short| short.saw(value, could));
        let said = self.said.remove(&target).unwrap_or_default();
        self.said = self.said.split_off(&target);
        self.miss(value, could, &said);
        if value.is_finite() && could > 0.0 {
            self.judge(target, value, could, &said);
            self.learn(target, value, could, &said);
        }
        self.solve(target);
        self.seen.bound(9 * self.day as usize);
        self.issue(target, source);
        self.count += 1;
    }

    /// Residuals of the newest row of a target that is now known.
    fn miss(&mut self, value: f32, could: f32, said: &[Said]) {
        for (e, short) in self.shorts.iter_mut().enumerate() {
            let base = said.last().map_or(f32::NAN, |said| said.bases[e]);
            let known = value.is_finite() && base.is_finite();
            short.miss(if known { value - base } else { 0.0 }, if known { could } else { 0.0 });
        }
    }

    /// What was issued for a target, held against what came.
    fn judge(&mut self, target: i64, value: f32, could: f32, said: &[Said]) {
        let per_hour = (self.day / 24).max(1) as usize;
        let decay = MIX_DECAY.powf(1.0 / (self.day * per_hour as i64) as f64);
        for ahead in 1..=self.horizon {
            let ring = (target - ahead as i64).rem_euclid(self.horizon as i64) as usize;
            let Some(issued) = self.issued[ring].get(ahead - 1) else { continue };
            let group = (ahead - 1) / per_hour;
            // An expert that cannot speak yet is taken to err as the ridge does (the level, where
            // there is no time to wait for a ridge), so that the others are weighed from the first
            // weeks on.
            let other = issued.by_expert[usize::from(self.tuning.breadth == Breadth::Full)];
            if other.is_finite() {
                let said = issued.by_expert.map(|f| if f.is_finite() { f } else { other });
                let errors = said.map(|f| f64::from(value - f));
                self.combination.learn(group, &errors[..self.shorts.len()], decay);
            }
            let cell = Cell { horizon: group, class: usize::from(issued.class) };
            let (was, spread) = (f64::from(issued.value), f64::from(issued.spread));
            self.conformal.learn(cell, was, spread, f64::from(value));
            let Some(said) = said.iter().find(|said| said.tag == issued.tag) else { continue };
            for (e, short) in self.shorts.iter_mut().enumerate() {
                if said.bases[e].is_finite() {
                    short.learn(target, ahead, said.bases[e], could, value);
                }
            }
        }
    }

    /// The experts learn the target from its oldest and its newest row.
    fn learn(&mut self, target: i64, value: f32, could: f32, said: &[Said]) {
        let hour = hour(target, self.day);
        let share = 1.0 / (20 * self.day / 24) as f32;
        let level = &mut self.level[hour];
        let ratio = value / could;
        *level = if level.is_nan() { ratio } else { *level + share * (ratio - *level) };
        let newest = said.last().filter(|said| !said.row.linear.is_empty());
        let oldest = said.first().filter(|said| !said.row.linear.is_empty());
        let both = oldest.into_iter().chain(newest.filter(|_| said.len() > 1));
        for said in both {
            self.ridge.learn(&said.row.linear, value);
            if self.tuning.breadth.has_cosines() {
                let waves = self.waves.row(&said.row, &self.directions);
                self.cosines.learn(&waves, value);
            }
            if self.tuning.breadth.has_trees() {
                self.trees.learn(&said.row.trees, value);
            }
        }
    }

    /// Finds coefficients anew: the ridge once a day, the cosines each week, trees each quarter.
    fn solve(&mut self, target: i64) {
        for (e, short) in self.shorts.iter_mut().enumerate() {
            short.solve(target + e as i64);
        }
        if target.rem_euclid(self.day) != 0 {
            return;
        }
        self.ridge.day();
        self.cosines.day();
        let days = self.count / self.day;
        if days >= 14 {
            self.ridge.solve();
            if days % 7 == 0 {
                self.cosines.solve();
            }
        }
        let after = days - self.tuning.trees_after_days;
        if after >= 0 && after % self.tuning.trees_every_days == 0 {
            self.trees.fit();
        }
        self.combination.solve(MIX_SHRINK, &mut Factor::default());
    }

    /// Makes the rows that are new, and issues the forecast from `origin`.
    fn issue(&mut self, origin: i64, source: &impl Source) {
        let mut made = Vec::with_capacity(self.horizon);
        for ahead in 1..=self.horizon {
            let target = origin + ahead as i64;
            self.know(origin, target, source);
            made.push(self.point(target, ahead, source.could(target)));
        }
        self.issued[origin.rem_euclid(self.horizon as i64) as usize] = made;
    }

    fn know(&mut self, origin: i64, target: i64, source: &impl Source) {
        let tag = source.tag(origin, target);
        let known = self.said.get(&target).and_then(|said| said.last());
        if known.is_some_and(|said| said.tag == tag.unwrap_or(i64::MIN)) {
            return;
        }
        let none = Row { linear: Vec::new(), smooth: Vec::new(), trees: Vec::new() };
        let mut row = tag.map_or(none, |_| source.row(origin, target, &self.seen));
        if !self.tuning.breadth.has_cosines() {
            row.smooth = Vec::new();
        }
        if !self.tuning.breadth.has_trees() {
            row.trees = Vec::new();
        }
        if self.directions.is_empty() && !row.smooth.is_empty() {
            self.directions = self.waves.directions(row.smooth.len());
        }
        let could = source.could(target);
        let mut bases = [f32::NAN; 4];
        bases[0] = self.level[hour(target, self.day)] * could;
        if could <= 0.0 {
            bases = [0.0; 4];
        } else if tag.is_some() {
            bases[1] = self.ridge.say(&row.linear);
            if self.cosines.knows() {
                bases[2] = self.cosines.say(&self.waves.row(&row, &self.directions));
            }
            bases[3] = self.trees.say(&row.trees);
            bases.iter_mut().for_each(|base| *base = base.clamp(-0.05, 1.05));
        }
        if self.experts().last() == Some(&"yesterday") && could > 0.0 {
            let before = self.seen.get(target - self.day).unwrap_or(f32::NAN);
            bases[self.shorts.len() - 1] = before.clamp(-0.05, 1.05);
        }
        let said = Said { tag: tag.unwrap_or(i64::MIN), row, bases };
        let all = self.said.entry(target).or_default();
        if let [_, .., newest] = all.as_mut_slice() {
            // The oldest and the newest are learned from; of those between only bases are asked.
            newest.row = Row { linear: Vec::new(), smooth: Vec::new(), trees: Vec::new() };
        }
        all.push(said);
    }

    /// The forecast of one target from the newest reading.
    fn point(&self, target: i64, ahead: usize, could: f32) -> Issued {
        let said = self.said[&target].last().expect("it was just made known");
        let mut by_expert = [f32::NAN; 4];
        for (e, short) in self.shorts.iter().enumerate() {
            let base = said.bases[e];
            if base.is_finite() {
                let corrected = base + short.correction(target, ahead, base, could);
                by_expert[e] = if could > 0.0 { corrected.clamp(0.0, 1.0) } else { 0.0 };
            }
        }
        let per_hour = (self.day / 24).max(1) as usize;
        let group = (ahead - 1) / per_hour;
        let value = mixed(&by_expert, self.combination.weights(group));
        let class = if self.tuning.class_by_value {
            (value * 12.0).clamp(0.0, 11.0) as u8
        } else {
            hour(target, self.day) as u8
        };
        let cell = Cell { horizon: group, class: usize::from(class) };
        let spread = self.conformal.spread(cell) as f32;
        Issued { tag: said.tag, class, value, spread, by_expert }
    }

    /// The forecast that was issued at the newest reading.
    pub fn outlook(&self, source: &impl Source, unit: f64) -> Outlook {
        let origin = self.end() - 1;
        let issued = &self.issued[origin.rem_euclid(self.horizon as i64) as usize];
        let per_hour = (self.day / 24).max(1) as usize;
        let mut points = Vec::with_capacity(issued.len());
        for (at, issued) in issued.iter().enumerate() {
            let index = origin + at as i64 + 1;
            let cell = Cell { horizon: at / per_hour, class: usize::from(issued.class) };
            let quantiles = if source.could(index) > 0.0 {
                self.conformal.quantiles(cell, f64::from(issued.value)).map(|q| q * unit)
            } else {
                [0.0; 11]
            };
            // The median: absolute errors are what a plant's operator pays for.
            points.push(Point { index, value: quantiles[P50], quantiles });
        }
        let says = |e: usize| issued.iter().map(|i| f64::from(i.by_expert[e]) * unit).collect();
        let experts = self.experts().iter().enumerate();
        let models = experts.map(|(e, name)| ((*name).to_owned(), says(e)));
        Outlook { origin, points, models: models.collect() }
    }
}

/// The hour of the day of an index.
fn hour(index: i64, day: i64) -> usize {
    (index.rem_euclid(day) * 24 / day) as usize
}

/// The weighted mean of those that can say; 0 if none can.
fn mixed(by_expert: &[f32; 4], weights: &[f64]) -> f32 {
    let able = || by_expert.iter().zip(weights).filter(|(f, _)| f.is_finite());
    let total: f64 = able().map(|(_, w)| w).sum();
    let count = able().count();
    if count == 0 {
        return 0.0;
    }
    if total < 1e-3 {
        return able().map(|(f, _)| f).sum::<f32>() / count as f32;
    }
    (able().map(|(f, w)| f64::from(*f) * w).sum::<f64>() / total) as f32
}
