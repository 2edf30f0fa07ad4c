//! The forecaster of one series: told what becomes known, step by step.
//!
//! ```text
//! reading ─► residual of each expert's base ─► correctors learn ─► slot's ridge learns ─► base of
//! the same time tomorrow ─► each expert: base + correction ─► combination ─► quantiles
//! ```
//!
//! The **base** of a target rests on what is known a day before it and on the weather; it is made
//! once, when the reading of a day before has come, and again where the weather is said anew. The
//! **correction** rests on what the base missed of late. So an origin costs one solution of one
//! slot and one small one a horizon, whatever the length of the history.
//!
//! **Invariant:** nothing here looks ahead: a forecaster knows what it was told, in the order in
//! which it was told.
//!
//! # Bounds
//!
//! Readings and weather of [`KEPT_DAYS`], the sums of the slots, of the correctors, of the
//! combination; forecasts of a day that wait for their readings.

use std::cell::Cell;
use std::collections::VecDeque;

use serde::Deserialize;
use serde::Serialize;

use crate::boost::Booster;
use crate::combine::Combination;
use crate::conformal;
use crate::conformal::Conformal;
use crate::corrector::Correctors;
use crate::corrector::Origin;
use crate::corrector::Residuals;
use crate::corrector::Turns;
use crate::feature::REACH_DAYS;
use crate::model::Outlook;
use crate::model::P10;
use crate::model::P90;
use crate::model::Point;
use crate::model::Quantity;
use crate::model::Said;
use crate::model::Setup;
use crate::past::Past;
use crate::ridge::Factor;
use crate::series::Track;
use crate::slot::Packed;
use crate::slot::Sample;
use crate::slot::Slot;
use crate::slot::YOUNG_DAYS;
use crate::structure::Expert;
use crate::structure::Structure;
use crate::structure::dot;
use crate::structure::mean_of;

pub mod explain;

/// Days of readings that are kept: what a young row's furthest column reaches back to.
pub const KEPT_DAYS: i64 = YOUNG_DAYS + REACH_DAYS + 2;

/// Days of weather that are kept: a week and a day before the oldest reading that may still come.
const WEATHER_DAYS: i64 = YOUNG_DAYS + 9;

/// Days of residuals that are kept: their mean over a week is the longest.
const RESIDUAL_DAYS: i64 = 9;

/// What remains of the weight of a residual after a day, in the correctors.
const CORRECTOR_DECAY_DAY: f32 = 0.988;

/// What remains of the weight of an error after a day, in the combination.
const COMBINATION_DECAY_DAY: f64 = 0.95;

/// How far weights are drawn to equal ones: by this, and by more while little was seen.
const SHRINK: f64 = 0.2;

/// A load has no bounds that are known.
const UNBOUNDED: (f64, f64) = (f64::MIN, f64::MAX);

/// Weeks that a weekly level looks back; what is kept must reach so far.
const WEEKS: i64 = 6;

/// Days that a daily level looks back.
const DAYS: i64 = 21;

const _: () = assert!(7 * WEEKS <= KEPT_DAYS && DAYS <= KEPT_DAYS);

/// Hours between two solutions of a horizon's corrector.
const CORRECTOR_HOURS: i64 = 6;

/// Forecasts one series; see [`self`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forecaster {
    setup: Setup,
    structure: Structure,
    booster: Option<Booster>,

    past: Past,
    /// What each station said, in the order of the structure's stations.
    stations: Vec<Track<f32>>,
    slots: Vec<Slot>,
    /// Coefficients by ridge expert and slot; empty before a slot has seen enough.
    beta: Vec<Coefficients>,
    residuals: Vec<Residuals>,
    correctors: Vec<Correctors>,
    combination: Combination,
    conformal: Conformal,
    /// Rows and bases of the coming targets, the next step first.
    ahead: VecDeque<Ahead>,
    /// The first target whose row must be made anew.
    stale: i64,
    /// What was said at the hours of the last day, oldest first.
    issued: VecDeque<Issued>,
    judged: u32,
    last: Option<Judged>,
}

/// One ridge's coefficients by slot; empty before a slot has seen enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coefficients(#[serde(with = "crate::bits::nested")] Vec<Vec<f32>>);

/// A coming target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Ahead {
    #[serde(with = "crate::bits")]
    x: Vec<i16>,
    /// By expert; empty where it cannot be said yet.
    #[serde(with = "crate::bits")]
    bases: Vec<f32>,
    /// How far its weather lies from what its slot has learned; 0 where that is not known.
    leverage: f32,
}

/// What was said at an origin: experts and combination by horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Issued {
    origin: i64,
    /// P10 and P90 of the last horizon, over the scale.
    band: (f32, f32),
    /// The leverage of the last horizon.
    leverage: f32,
    /// A horizon: the experts, the combination, its spread.
    #[serde(with = "crate::bits")]
    values: Vec<f32>,
}

/// What a step works in. It says nothing from one step to the next, so that all forecasters of a
/// thread share one, and find it in the cache.
#[derive(Debug, Default)]
struct Scratch {
    packed: Packed,
    factor: Factor,
    rows: Vec<f64>,
    turns: Turns,
    errors: Vec<f64>,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// What became of the forecast of a whole horizon ago, in the series' unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The target.
    pub index: i64,
    /// What was measured.
    pub actual: f64,
    /// What was forecast.
    pub forecast: f64,
    /// P10 and P90.
    pub band: (f64, f64),
    /// See [`crate::ridge::Factor::leverage`].
    pub leverage: f64,
    /// Mean absolute error of the combination over all horizons that spoke of this target.
    pub loss: f64,
}

/// A row that was learned, with what the ridges missed: what trees learn from.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned<'a> {
    /// The target.
    pub index: i64,
    /// Its features.
    pub x: &'a [i16],
    /// Its value less the mean of the ridges, over the scale.
    pub missed: f32,
    /// The mean of the ridges, over the scale.
    pub base: f32,
}

impl Forecaster {
    /// A forecaster whose first reading will be that of `first`.
    pub fn new(setup: Setup, structure: Structure, first: i64) -> Forecaster {
        let day = Structure::day(&setup);
        let start = first + structure.start.lead * day;
        let p = structure.design.columns.len();
        let temperature = usize::from(!structure.stations.is_empty());
        let mut past = Past::new(first, day, temperature + structure.others.len());
        past.scale = structure.scale;
        past.holidays = setup.holidays.clone();
        past.clock_ahead = setup.clock_ahead;
        let n = structure.experts.len();
        let ridges = structure.experts.iter().filter(|e| matches!(e, Expert::Ridge(_))).count();
        let per_day = 24.0 * (day / 24).max(1) as f64;
        let groups = (setup.horizon as i64).div_euclid((day / 24).max(1)).max(1) as usize;
        Forecaster {
            past,
            stations: structure.stations.iter().map(|_| Track::new(first)).collect(),
            slots: (0..structure.slots).map(|_| Slot::new(p)).collect(),
            beta: vec![Coefficients(vec![Vec::new(); structure.slots]); ridges],
            residuals: vec![Residuals::new(start); n],
            correctors: vec![Correctors::new(setup.horizon); n],
            combination: Combination::new(n, groups),
            conformal: Conformal::new(groups, 24, per_day, 0.05, UNBOUNDED),
            ahead: VecDeque::new(),
            stale: first,
            issued: VecDeque::new(),
            judged: 0,
            last: None,
            booster: None,
            setup,
            structure,
        }
    }

    /// Lets boosted trees speak from the next target on.
    pub fn boost(&mut self, booster: Booster) {
        self.booster = Some(booster);
        self.stale = self.past.end();
    }

    /// What trees see of a target: its row, the time of day and of week, the ridges' mean.
    pub fn tree_row(&self, mut row: Vec<f32>, index: i64, base: f32) -> Vec<f32> {
        row.push(self.past.slot(index) as f32);
        row.push(self.past.weekday(index) as f32);
        row.push(base);
        row
    }

    /// Targets that were learned from.
    pub fn learned(&self) -> usize {
        self.slots.iter().map(Slot::count).sum()
    }

    /// Steps of a day.
    pub fn steps_of_day(&self) -> i64 {
        self.past.day
    }

    /// The shape of the model.
    pub fn structure(&self) -> &Structure {
        &self.structure
    }

    /// The index of the next reading.
    pub fn next(&self) -> i64 {
        self.past.end()
    }

    fn day(&self) -> i64 {
        self.past.day
    }

    fn hour(&self) -> i64 {
        (self.past.day / 24).max(1)
    }

    fn slot(&self, index: i64) -> usize {
        self.past.slot(index) * self.slots.len() / self.day() as usize
    }

    /// Weather becomes known: a quantity of the setup at an index.
    pub fn know(&mut self, said: &Said) {
        let temperature = usize::from(!self.stations.is_empty());
        let station = self.structure.stations.iter().position(|q| *q == said.quantity);
        let news = if let Some(station) = station {
            let track = &mut self.stations[station];
            while track.end() < said.index {
                track.push(f32::NAN);
            }
            if track.end() == said.index {
                track.push(said.value);
            } else {
                track.set(said.index, said.value);
            }
            let values = self.stations.iter().filter_map(|track| track.get(said.index));
            mean_of(values).is_some_and(|mean| self.past.know(0, said.index, mean))
        } else {
            let other = self.structure.others.iter().position(|q| *q == said.quantity);
            other.is_some_and(|other| self.past.know(temperature + other, said.index, said.value))
        };
        if news {
            // Columns look three hours ahead of their target.
            self.stale = self.stale.min(said.index - 3 * self.hour());
        }
    }

    /// Hears of more weather than the setup said, which its structure does not rest on.
    pub fn hear(&mut self, quantities: &[Quantity]) {
        let known = self.setup.quantities.len();
        self.setup.quantities.extend(quantities.iter().skip(known).cloned());
    }

    /// Other days are holidays than it was told. What was learned stays; from the next forecast on
    /// the days ahead are of the kind that they are now.
    pub fn keep_holidays(&mut self, days: &std::collections::BTreeSet<i64>) {
        let next = self.past.end();
        // Columns look a week back and a day ahead of their target.
        let seen = self.past.day_of(next) - 8..self.past.day_of(next + self.past.day) + 2;
        if self.past.holidays.range(seen.clone()).ne(days.range(seen)) {
            self.stale = next;
        }
        self.past.holidays.clone_from(days);
        self.setup.holidays.clone_from(days);
    }

    /// Everything that is said at once.
    pub fn know_all(&mut self, said: &[Said]) {
        said.iter().for_each(|said| self.know(said));
    }

    /// The base of each expert for a row; empty before all ridges have coefficients.
    fn bases(&self, x: &[i16], index: i64) -> Vec<f32> {
        let slot = self.slot(index);
        let mut ridges = self.beta.iter();
        let (mut sum, mut count) = (0.0, 0.0);
        let mut bases = Vec::with_capacity(self.structure.experts.len());
        for expert in &self.structure.experts {
            bases.push(match expert {
                Expert::Ridge(_) => {
                    let beta = &ridges.next().expect("one a ridge").0[slot];
                    if beta.is_empty() {
                        return Vec::new();
                    }
                    let value = dot(beta, x) as f32;
                    sum += value;
                    count += 1.0;
                    value
                }
                Expert::Weekly(share) => weekly(&self.past, index, *share),
                Expert::Daily(share) => daily(&self.past, index, *share),
                Expert::Boosted => {
                    let base = sum / count;
                    base + self.missed(x, index, base)
                }
            });
        }
        bases
    }

    /// Notes how far the furthest target's weather lies from what its slot has learned: a day
    /// ahead is the slot that was just solved.
    fn note_leverage(&mut self, packed: &Packed) {
        let chosen = self.structure.experts.iter().rev().find_map(|expert| match expert {
            Expert::Ridge(chosen) => Some(chosen),
            _ => None,
        });
        if let (Some(chosen), Some(ahead)) = (chosen, self.ahead.back_mut()) {
            ahead.leverage = packed.leverage(chosen, &ahead.x) as f32;
        }
    }

    /// What trees say that the ridges miss.
    fn missed(&self, x: &[i16], index: i64, base: f32) -> f32 {
        let Some(booster) = &self.booster else { return 0.0 };
        let row = x.iter().map(|x| f32::from(*x)).collect();
        booster.predict(&self.tree_row(row, index, base)) as f32
    }

    /// Brings rows and bases of the coming targets up to what is known.
    fn prepare(&mut self) {
        self.past.smooth();
        let next = self.past.end();
        let horizon = self.setup.horizon;
        let from = (self.stale.max(next) - next) as usize;
        for at in from.min(self.ahead.len())..horizon {
            let index = next + at as i64;
            let mut ahead = if at < self.ahead.len() {
                std::mem::take(&mut self.ahead[at])
            } else {
                self.ahead.push_back(Ahead::default());
                Ahead::default()
            };
            self.structure.design.row(&self.past, index, &mut ahead.x);
            ahead.bases = self.bases(&ahead.x, index);
            self.ahead[at] = ahead;
        }
        self.stale = next + horizon as i64;
    }

    /// The reading of the next step becomes known, in the series' unit; NaN: it is missing.
    /// `learned` is shown each row that is learned from.
    pub fn observe(&mut self, value: f64, learned: &mut dyn FnMut(Learned<'_>)) {
        let index = self.past.end();
        let y = (value / self.past.scale) as f32;
        let ready = index >= self.past_start();
        if ready {
            self.prepare();
        }
        let target = if ready { self.ahead.pop_front() } else { None };
        self.past.push(y);
        if let Some(target) = target {
            let mut scratch = SCRATCH.take();
            self.judge(index, y, &mut scratch);
            self.correct_course(index, y, &target, &mut scratch);
            if y.is_finite() && !target.bases.is_empty() {
                let base = self.ridge_mean(&target.bases);
                learned(Learned { index, x: &target.x, missed: y - base, base });
            }
            let solved = self.learn(Sample { index, x: target.x, y }, &mut scratch);
            self.prepare();
            if solved && self.setup.horizon as i64 == self.day() {
                self.note_leverage(&scratch.packed);
            }
            SCRATCH.set(scratch);
            if (index + 1) % self.hour() == 0 {
                self.issue(index);
            }
        }
        self.bound();
    }

    fn past_start(&self) -> i64 {
        self.residuals[0].start()
    }

    fn ridge_mean(&self, bases: &[f32]) -> f32 {
        let n = self.beta.len();
        bases[..n].iter().sum::<f32>() / n as f32
    }

    /// Residuals and correctors.
    fn correct_course(&mut self, index: i64, y: f32, target: &Ahead, scratch: &mut Scratch) {
        let known = !target.bases.is_empty() && y.is_finite();
        let decay = CORRECTOR_DECAY_DAY.powf(1.0 / self.past.day as f32);
        let every = CORRECTOR_HOURS * self.hour();
        for (e, correctors) in self.correctors.iter_mut().enumerate() {
            let residuals = &mut self.residuals[e];
            let residual = if known { y - target.bases[e] } else { 0.0 };
            residuals.push(if residual.is_finite() { residual } else { 0.0 });
            if known {
                correctors.learn(residuals, &self.past, index, decay, &mut scratch.turns);
            }
            correctors.solve(index, every, &mut scratch.factor);
        }
    }

    /// Learns a target, and solves its slot; `false` where that has not seen enough. What settles
    /// depends on the time alone.
    fn learn(&mut self, sample: Sample, scratch: &mut Scratch) -> bool {
        let index = sample.index;
        let slot = self.slot(index);
        let before = index - YOUNG_DAYS * self.day();
        self.slots[slot].settle(before, self.structure.decay);
        self.slots[slot].learn(sample);
        self.solve(slot, scratch)
    }

    /// Finds the coefficients of a slot; `false` where it has not seen enough.
    fn solve(&mut self, slot: usize, scratch: &mut Scratch) -> bool {
        let n = self.slots.len();
        let seen = self.slots[slot].count() * n / self.day() as usize;
        if seen < self.structure.start.seen {
            return false;
        }
        let Scratch { packed, rows, .. } = scratch;
        packed.clear(self.structure.design.columns.len());
        let kernel = self.structure.kernel;
        for away in 0..=2 * kernel {
            let weight = 1.0 - away.abs_diff(kernel) as f64 / (kernel + 1) as f64;
            self.slots[(slot + n + away - kernel) % n].add_to(packed, weight, rows);
        }
        let chosen = self.structure.experts.iter().filter_map(|expert| match expert {
            Expert::Ridge(chosen) => Some(chosen),
            _ => None,
        });
        for (beta, chosen) in self.beta.iter_mut().zip(chosen) {
            packed.solve(chosen, self.structure.ridge, &mut beta.0[slot]);
        }
        true
    }

    /// What each expert's correctors know at the newest reading.
    fn origins(&self) -> Vec<Origin> {
        let origin = self.past.end() - 1;
        self.residuals.iter().map(|residuals| residuals.origin(&self.past, origin)).collect()
    }

    /// The experts' corrected forecasts of a horizon; empty where it cannot be said.
    fn corrected(&self, at: usize, origins: &[Origin]) -> Vec<f64> {
        let Some(ahead) = self.ahead.get(at) else { return Vec::new() };
        let index = self.past.end() + at as i64;
        let correct = |(e, base): (usize, &f32)| {
            let target = self.residuals[e].target(&self.past, index);
            let correction = self.correctors[e].correction(&origins[e], &target, at as i64 + 1);
            let base = if base.is_finite() { f64::from(*base) } else { f64::from(ahead.bases[0]) };
            base + correction
        };
        ahead.bases.iter().enumerate().map(correct).collect()
    }

    fn group(&self, at: usize) -> usize {
        at / self.hour() as usize
    }

    fn cell(&self, origin: i64, at: usize) -> conformal::Cell {
        let class = self.past.slot(origin + 1 + at as i64) * 24 / self.past.day as usize;
        conformal::Cell { horizon: self.group(at), class }
    }

    fn combined(&self, at: usize, experts: &[f64]) -> f64 {
        let weights = self.combination.weights(self.group(at));
        experts.iter().zip(weights).map(|(value, weight)| value * weight).sum()
    }

    /// Keeps what is said at this origin until it can be judged.
    fn issue(&mut self, origin: i64) {
        let mut values = Vec::with_capacity(self.setup.horizon * (self.correctors.len() + 2));
        let origins = self.origins();
        for at in 0..self.setup.horizon {
            let experts = self.corrected(at, &origins);
            if experts.is_empty() {
                return;
            }
            let combined = self.combined(at, &experts);
            values.extend(experts.iter().map(|value| *value as f32));
            values.push(combined as f32);
            values.push(self.conformal.spread(self.cell(origin, at)) as f32);
        }
        let at = self.setup.horizon - 1;
        let value = f64::from(values[values.len() - 2]);
        let quantiles = self.conformal.quantiles(self.cell(origin, at), value);
        let band = (quantiles[P10] as f32, quantiles[P90] as f32);
        let leverage = self.ahead[at].leverage;
        self.issued.push_back(Issued { origin, band, leverage, values });
    }

    /// Judges what was said of this reading.
    fn judge(&mut self, index: i64, y: f32, scratch: &mut Scratch) {
        let horizon = self.setup.horizon as i64;
        while self.issued.front().is_some_and(|issued| issued.origin + horizon < index) {
            self.issued.pop_front();
        }
        if !y.is_finite() {
            return;
        }
        let (n, hour) = (self.correctors.len(), self.hour());
        let decay = COMBINATION_DECAY_DAY.powf(1.0 / self.past.day as f64);
        let of_day = self.past.slot(index) * 24 / self.day() as usize;
        let mut loss = 0.0;
        for issued in &self.issued {
            let at = (index - issued.origin - 1) as usize;
            let said = &issued.values[at * (n + 2)..(at + 1) * (n + 2)];
            let group = at / hour as usize;
            scratch.errors.clear();
            scratch.errors.extend(said[..n].iter().map(|f| f64::from(y - f)));
            self.combination.learn(group, &scratch.errors, decay);
            let cell = conformal::Cell { horizon: group, class: of_day };
            let (value, spread) = (f64::from(said[n]), f64::from(said[n + 1]));
            self.conformal.learn(cell, value, spread, f64::from(y));
            loss += (f64::from(y) - value).abs();
        }
        if let Some(issued) = self.issued.front() {
            self.judged = self.judged.saturating_add(1);
            if issued.origin + horizon == index {
                self.last = Some(self.outcome(index, y, loss / self.issued.len() as f64));
            }
        }
        if index % hour == 0 && self.judged > 0 {
            let days = f64::from(self.judged) / self.day() as f64;
            self.combination.solve(SHRINK + 20.0 / (days + 1.0), &mut scratch.factor);
        }
    }

    /// What became of the oldest forecast that waits, whose last target this is.
    fn outcome(&self, index: i64, y: f32, loss: f64) -> Judged {
        let issued = self.issued.front().expect("the caller looked");
        self.judged_as(issued, index, y, loss)
    }

    fn judged_as(&self, issued: &Issued, index: i64, y: f32, loss: f64) -> Judged {
        let scale = self.past.scale;
        let n = self.correctors.len();
        let said = issued.values[(self.setup.horizon - 1) * (n + 2) + n];
        let scaled = |value: f32| f64::from(value) * scale;
        Judged {
            index,
            actual: scaled(y),
            forecast: scaled(said),
            band: (scaled(issued.band.0), scaled(issued.band.1)),
            leverage: f64::from(issued.leverage),
            loss: loss * scale,
        }
    }

    /// What would have become of the forecast of a horizon ago if the next reading were this: for
    /// readings that are not learned from, but that a forecast must answer for.
    pub fn held_against(&self, value: f64) -> Option<Judged> {
        let index = self.past.end();
        let issued =
            self.issued.iter().find(|issued| issued.origin + self.setup.horizon as i64 == index)?;
        let y = (value / self.past.scale) as f32;
        let n = self.correctors.len();
        let said = issued.values[(self.setup.horizon - 1) * (n + 2) + n];
        Some(self.judged_as(issued, index, y, f64::from((y - said).abs())))
    }

    /// What became of the forecast of a horizon ago, once.
    pub fn take_judged(&mut self) -> Option<Judged> {
        self.last.take()
    }

    /// Corrects a reading; `false` where it is too old, or not there yet. The sums are then those
    /// of the corrected history, and so are the coefficients where times of day do not share (a
    /// shared slot was solved with what its neighbours knew then). What was said stays said, and
    /// correctors keep what they learned.
    pub fn correct(&mut self, index: i64, value: f64) -> bool {
        let day = self.day();
        let y = (value / self.past.scale) as f32;
        let before = self.past.seen.get(index).unwrap_or(f32::NAN);
        if index < self.past.end() - YOUNG_DAYS * day || !self.past.correct(index, y) {
            return false;
        }
        if before.is_finite() {
            let moved = y.is_finite().then_some(y - before);
            self.residuals.iter_mut().for_each(|residuals| residuals.restate(index, moved));
        }
        let design = &self.structure.design;
        let slot = self.slot(index);
        for slot in &mut self.slots {
            for (index, x) in slot.rows_after(index) {
                for c in (0..design.columns.len()).filter(|c| design.rests(*c)) {
                    x[c] = design.entry(&self.past, index, c);
                }
            }
        }
        // Its row is there, as it was made with the weather that was known then.
        self.slots[slot].correct(index, y);
        let mut scratch = SCRATCH.take();
        for slot in 0..self.slots.len() {
            self.solve(slot, &mut scratch);
        }
        SCRATCH.set(scratch);
        self.stale = self.past.end();
        if self.past.end() >= self.past_start() {
            self.prepare();
        }
        true
    }

    /// The sums of every slot, packed, then the right sides; see [`crate::slot`].
    pub fn sums(&self) -> Vec<Vec<f64>> {
        let mut row = Vec::new();
        let add = |slot: &Slot| {
            let mut packed = Packed::default();
            packed.clear(self.structure.design.columns.len());
            slot.add_to(&mut packed, 1.0, &mut row);
            let (gram, right) = packed.sums();
            [gram, right].concat()
        };
        self.slots.iter().map(add).collect()
    }

    /// The coefficients of each ridge, by slot.
    pub fn coefficients(&self) -> &[Coefficients] {
        &self.beta
    }

    /// The bases of the coming targets by expert, over the scale, the next step first.
    pub fn base(&self) -> Vec<&[f32]> {
        self.ahead.iter().map(|ahead| ahead.bases.as_slice()).collect()
    }

    /// The forecast from the newest reading on; no points before enough was seen.
    pub fn outlook(&mut self) -> Outlook {
        if self.past.end() >= self.past_start() {
            self.prepare();
        }
        let origin = self.past.end() - 1;
        let scale = self.past.scale;
        let columns = self.structure.design.columns.len();
        let names = self.structure.experts.iter().map(|e| e.name(columns).to_owned());
        let mut models: Vec<(String, Vec<f64>)> = names.map(|name| (name, Vec::new())).collect();
        let mut points = Vec::with_capacity(self.setup.horizon);
        let origins = self.origins();
        for at in 0..self.setup.horizon {
            let experts = self.corrected(at, &origins);
            if experts.is_empty() {
                break;
            }
            let index = origin + 1 + at as i64;
            let value = self.combined(at, &experts);
            let quantiles = self.conformal.quantiles(self.cell(origin, at), value);
            for ((_, values), value) in models.iter_mut().zip(&experts) {
                values.push(value * scale);
            }
            points.push(Point {
                index,
                value: value * scale,
                quantiles: quantiles.map(|q| q * scale),
            });
        }
        Outlook { origin, points, models }
    }

    fn bound(&mut self) {
        let day = self.day();
        self.past.bound((KEPT_DAYS * day) as usize, (WEATHER_DAYS * day) as usize);
        let kept = (WEATHER_DAYS * day) as usize;
        self.stations.iter_mut().for_each(|track| track.bound(kept));
        self.residuals.iter_mut().for_each(|r| r.bound((RESIDUAL_DAYS * day) as usize));
    }
}

/// The same time of the weeks before, the newest weighing `share`, each older one as much of what
/// is left.
fn weekly(past: &Past, index: i64, share: f32) -> f32 {
    let (mut sum, mut weight, mut left) = (0.0, 0.0, share);
    for weeks in 1..=WEEKS {
        let Some(value) = past.filled(index - weeks * 7 * past.day) else { break };
        sum += left * value;
        weight += left;
        left *= 1.0 - share;
    }
    if weight > 0.0 { sum / weight } else { past.lag(index, past.day) }
}

/// The same time of days of the same kind, of the last three weeks, smoothed likewise.
fn daily(past: &Past, index: i64, share: f32) -> f32 {
    let kind = past.kind(index);
    let (mut sum, mut weight, mut left) = (0.0, 0.0, share);
    for days in 1..=DAYS {
        let at = index - days * past.day;
        if past.kind(at) != kind {
            continue;
        }
        let Some(value) = past.filled(at) else { break };
        sum += left * value;
        weight += left;
        left *= 1.0 - share;
    }
    if weight > 0.0 { sum / weight } else { past.lag(index, past.day) }
}
