//! What a model looks like before it has learned: its columns, their scale, its experts.
//!
//! A structure is chosen from a history, once and again as the history grows: how large the series
//! is, where the temperature bends, which weather stations serve it, how strong the ridge must be.
//! It is chosen by the error that a plain model would have made on that history, each target
//! forecast from what was before it.

use serde::Deserialize;
use serde::Serialize;

use crate::feature::Column;
use crate::feature::Design;
use crate::model::Role;
use crate::model::Setup;
use crate::past::Past;
use crate::series::DAY_MS;
use crate::slot::Packed;
use crate::slot::Sample;
use crate::slot::Slot;

/// Days of history from which on a structure is chosen: from then on the forecast is better than
/// that of yesterday (`examples/young.rs`).
pub const START_DAYS: i64 = 9;

/// Days of history below which a series is young. It then has few columns, learns from its second
/// day on, shares what it learns with the times of day beside, and trusts recent days.
const YOUNG_SERIES_DAYS: i64 = 45;

/// When a model begins, and how far it shares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Days before the first target that is learned from.
    pub lead: i64,
    /// Days of targets that a slot must have seen before it forecasts.
    pub seen: usize,
}

const YOUNG: Start = Start { lead: 1, seen: 5 };

/// Lags reach two weeks back.
const GROWN: Start = Start { lead: 15, seen: 14 };

/// Least days of readings that a structure is chosen from.
const KNOWN_DAYS: i64 = 6;

/// Days of history from which on the time of the year is told from the weather.
const YEAR_DAYS: i64 = 300;

/// Days of history that structures are judged on.
const JUDGED_DAYS: i64 = 420;

/// Days of weather from which on a structure may rest on it, or half of the history where that is
/// shorter: what was heard for a few days says nothing of what it does.
pub const HEARD_DAYS: i64 = 28;

/// A series as it was, whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The index of the first reading.
    pub first: i64,
    /// Readings in the series' unit, NaN where missing.
    #[serde(with = "crate::bits")]
    pub seen: Vec<f32>,
    /// By quantity of the setup: what was last said of each step, from `first` on, NaN where
    /// nothing was. It may reach beyond the readings.
    #[serde(with = "crate::bits::nested")]
    pub weather: Vec<Vec<f32>>,
}

impl History {
    /// The place of the first step at which a quantity is known.
    fn begin(&self, quantity: usize) -> Option<usize> {
        self.weather[quantity].iter().position(|value| value.is_finite())
    }

    /// Whether a quantity was heard for so long that a structure may rest on it.
    pub fn heard(&self, quantity: usize, day: i64) -> bool {
        let steps = self.seen.len() as i64;
        let enough = (HEARD_DAYS * day).min(steps / 2);
        self.begin(quantity).is_some_and(|begin| steps - begin as i64 >= enough)
    }
}

/// One forecaster among several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Expert {
    /// A ridge per time of day on these columns.
    Ridge(Vec<usize>),
    /// What the same time of the week was, smoothed with this share of the newest.
    Weekly(f32),
    /// What the same time of days of the same kind was, smoothed with this share of the newest.
    Daily(f32),
    /// The mean of the ridges and what boosted trees say they miss.
    Boosted,
}

impl Expert {
    /// Its name in tables.
    pub fn name(&self, columns: usize) -> &'static str {
        match self {
            Expert::Ridge(chosen) if chosen.len() == columns => "ridge",
            Expert::Ridge(_) => "ridge-weather",
            Expert::Weekly(share) if *share < 1.0 => "weekly-level",
            Expert::Weekly(_) => "last-week",
            Expert::Daily(share) if *share < 1.0 => "daily-level",
            Expert::Daily(_) => "yesterday",
            Expert::Boosted => "boosted",
        }
    }
}

/// The shape of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Structure {
    /// What a value is divided by: the mean magnitude.
    pub scale: f64,
    /// Temperature quantities of the setup whose mean is *the* temperature.
    pub stations: Vec<usize>,
    /// Other quantities of the setup, in the order in which the columns count them.
    pub others: Vec<usize>,
    /// Columns and their scale.
    pub design: Design,
    /// When it begins.
    pub start: Start,
    /// Slots of a day.
    pub slots: usize,
    /// Slots to each side whose sums are shared, with falling weight.
    pub kernel: usize,
    /// Added to the diagonal of scaled columns.
    pub ridge: f64,
    /// What remains of a settled row's weight when the next of its slot settles.
    pub decay: f32,
    /// Who forecasts.
    pub experts: Vec<Expert>,
}

impl Structure {
    /// Steps of a day.
    pub fn day(setup: &Setup) -> i64 {
        DAY_MS / setup.step_ms
    }

    /// Whether it is another model than `other`, not only one of other limits and scale.
    pub fn differs(&self, other: &Structure) -> bool {
        let shape = |s: &Structure| (s.design.columns.len(), s.slots, s.kernel, s.experts.clone());
        shape(self) != shape(other)
            || self.stations != other.stations
            || self.others != other.others
            || self.ridge != other.ridge
    }

    /// Chooses from a history of at least [`START_DAYS`]; `None` from a shorter one, or one
    /// without readings.
    pub fn choose(setup: &Setup, history: &History) -> Option<Structure> {
        let day = Structure::day(setup);
        let days = history.seen.len() as i64 / day;
        let known: Vec<f64> =
            history.seen.iter().filter(|y| y.is_finite()).map(|y| f64::from(y.abs())).collect();
        let scale = known.iter().sum::<f64>() / known.len().max(1) as f64;
        let few = known.len() < (KNOWN_DAYS * day) as usize;
        if days < START_DAYS || few || scale <= 0.0 {
            return None;
        }
        let pick = |temperature: bool| -> Vec<usize> {
            let is = |q: &usize| (setup.quantities[*q].role == Role::Temperature) == temperature;
            let heard = |q: &usize| is(q) && history.heard(*q, day);
            (0..setup.quantities.len()).filter(heard).collect()
        };
        let mut chooser = Chooser { setup, history, day, days, scale, others: pick(false) };
        let stations = chooser.stations(pick(true));
        chooser.others = chooser.useful(&stations);
        let past = chooser.past(&stations);
        let (columns, lags) = chooser.columns(&past, &stations);
        let design = chooser.design(columns, &lags, &past);
        let ridges = if chooser.pooled() { vec![3.0] } else { vec![0.03, 0.1, 0.4, 1.5] };
        let all: Vec<usize> = (0..lags.len()).collect();
        let ridge = chooser
            .least(ridges, |ridge| chooser.loss(&past, &design, (&all, *ridge), chooser.judged()));
        let without: Vec<usize> = all.iter().copied().filter(|c| !lags[*c]).collect();
        let mut experts = vec![Expert::Ridge(all), Expert::Ridge(without), Expert::Weekly(0.4)];
        if chooser.young() {
            experts.extend([Expert::Daily(0.2), Expert::Daily(1.0)]);
        }
        if stations.is_empty() && chooser.others.is_empty() {
            experts.push(Expert::Weekly(1.0));
        }
        let per_day = (day as f32 / chooser.slots() as f32).max(1.0);
        let decay = if chooser.pooled() { 0.995_f32 } else { 0.998 };
        Some(Structure {
            scale,
            stations,
            others: chooser.others.clone(),
            design,
            slots: chooser.slots(),
            start: chooser.start(),
            kernel: chooser.kernel(),
            ridge,
            decay: decay.powf(1.0 / per_day),
            experts,
        })
    }
}

/// What is at hand while choosing.
struct Chooser<'a> {
    setup: &'a Setup,
    history: &'a History,
    day: i64,
    days: i64,
    scale: f64,
    others: Vec<usize>,
}

impl Chooser<'_> {
    /// Whether neighbouring times of the day are learned together: steps are many and short.
    fn pooled(&self) -> bool {
        self.day > 48
    }

    fn young(&self) -> bool {
        self.days < YOUNG_SERIES_DAYS
    }

    fn start(&self) -> Start {
        if self.young() { YOUNG } else { GROWN }
    }

    fn kernel(&self) -> usize {
        if self.pooled() { 2 } else { usize::from(self.young()) }
    }

    fn slots(&self) -> usize {
        if self.pooled() { 24 } else { self.day as usize }
    }

    fn least<T>(&self, of: Vec<T>, loss: impl Fn(&T) -> f64) -> T {
        let mut best: Option<(f64, T)> = None;
        let single = of.len() == 1;
        for candidate in of {
            let loss = if single { 0.0 } else { loss(&candidate) };
            if best.as_ref().is_none_or(|(least, _)| loss < *least) {
                best = Some((loss, candidate));
            }
        }
        best.expect("there is a candidate").1
    }

    /// The past with this temperature, readings scaled.
    fn past(&self, stations: &[usize]) -> Past {
        let first = self.history.first;
        let temperature = usize::from(!stations.is_empty());
        let mut past = Past::new(first, self.day, temperature + self.others.len());
        past.scale = self.scale;
        past.holidays = self.setup.holidays.clone();
        past.clock_ahead = self.setup.clock_ahead;
        let end = self.history.weather.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..end {
            let of = |q: &usize| self.history.weather[*q].get(at).copied().unwrap_or(f32::NAN);
            if let Some(mean) = mean_of(stations.iter().map(of)) {
                past.know(0, first + at as i64, mean);
            }
            for (k, q) in self.others.iter().enumerate() {
                let value = of(q);
                if value.is_finite() {
                    past.know(temperature + k, first + at as i64, value);
                }
            }
        }
        past.smooth();
        self.history.seen.iter().for_each(|y| past.push((f64::from(*y) / self.scale) as f32));
        past
    }

    /// The stations whose mean temperature explains the series best. Those that began later than
    /// the others are tried after them, each over the time in which it was heard.
    fn stations(&self, all: Vec<usize>) -> Vec<usize> {
        if all.len() < 2 {
            return all;
        }
        let begin = |q: &usize| self.begin(*q);
        let earliest = all.iter().map(begin).min().unwrap_or(0).max(self.judged());
        let (first, mut late): (Vec<usize>, Vec<usize>) =
            all.into_iter().partition(|q| begin(q) <= earliest);
        late.sort_by_key(|q| (begin(q), *q));
        let mut chosen = self.best(first);
        for q in late {
            let both = chosen.iter().copied().chain([q]).collect();
            let end = self.history.first + self.history.seen.len() as i64;
            let judged = begin(&q) + (end - begin(&q)) / 3;
            let ways = vec![chosen, both, vec![q]];
            chosen = self.least(ways, |stations| self.loss_with(stations, judged));
        }
        chosen
    }

    /// The index of the first step at which a quantity is known.
    fn begin(&self, quantity: usize) -> i64 {
        self.history.begin(quantity).map_or(i64::MAX, |at| self.history.first + at as i64)
    }

    /// The error of a plain model with the mean of these stations.
    fn loss_with(&self, stations: &[usize], judged: i64) -> f64 {
        let past = self.past(stations);
        let (columns, lags) = self.columns(&past, stations);
        let chosen: Vec<usize> = (0..lags.len()).filter(|c| !lags[*c]).collect();
        let design = self.design(columns, &lags, &past);
        self.loss(&past, &design, (&chosen, 0.5), judged)
    }

    /// Of stations that were heard alike: ranked one by one, then as many of the best as serve
    /// (Hong, Wang, White 2015).
    fn best(&self, all: Vec<usize>) -> Vec<usize> {
        if all.len() < 2 {
            return all;
        }
        let loss = |stations: &[usize]| self.loss_with(stations, self.judged());
        let mut ranked: Vec<(f64, usize)> = all.iter().map(|q| (loss(&[*q]), *q)).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let of_best = |count: usize| ranked[..count].iter().map(|(_, q)| *q).collect::<Vec<_>>();
        let counts = (1..=all.len().min(4)).chain([all.len()]).map(of_best).collect();
        self.least(counts, |stations| loss(stations))
    }

    /// The other quantities without those that one does better without, each tried once: two wind
    /// speeds, or the rain, can cost more than they tell.
    fn useful(&self, stations: &[usize]) -> Vec<usize> {
        let loss = |others: &[usize]| {
            let chooser = Chooser { others: others.to_vec(), ..*self };
            let past = chooser.past(stations);
            let (columns, lags) = chooser.columns(&past, stations);
            let all: Vec<usize> = (0..lags.len()).collect();
            let design = chooser.design(columns, &lags, &past);
            chooser.loss(&past, &design, (&all, 0.5), self.judged())
        };
        let mut kept = self.others.clone();
        let mut least = if kept.len() < 2 { return kept } else { loss(&kept) };
        for quantity in &self.others {
            let fewer: Vec<usize> = kept.iter().copied().filter(|q| q != quantity).collect();
            let without = loss(&fewer);
            if without < least {
                (kept, least) = (fewer, without);
            }
        }
        kept
    }

    fn design(&self, columns: Vec<Column>, lags: &[bool], past: &Past) -> Design {
        let from = self.history.first + self.start().lead * self.day;
        Design::new(columns, lags.to_vec(), past, from, past.end())
    }

    /// The first target that structures learn from while they are chosen.
    fn learned(&self) -> i64 {
        let History { first, seen, .. } = self.history;
        let from = first + seen.len() as i64 - self.days.min(JUDGED_DAYS) * self.day;
        from.max(*first) + self.start().lead * self.day
    }

    /// The first target that they are judged on: of the later two thirds.
    fn judged(&self) -> i64 {
        let end = self.history.first + self.history.seen.len() as i64;
        self.learned() + (end - self.learned()) / 3
    }

    /// The mean absolute error from `judged` on, of targets forecast with coefficients that are
    /// renewed once a week, of these columns and with this ridge.
    fn loss(
        &self,
        past: &Past,
        design: &Design,
        (chosen, ridge): (&[usize], f64),
        judged: i64,
    ) -> f64 {
        let from = self.learned();
        let p = design.columns.len();
        let mut slots: Vec<Slot> = (0..self.slots()).map(|_| Slot::new(p)).collect();
        let mut beta: Vec<Vec<f32>> = vec![Vec::new(); slots.len()];
        let (mut packed, mut scratch, mut x) = (Packed::default(), Vec::new(), Vec::new());
        let (mut sum, mut count) = (0.0, 0.0);
        for index in from..past.end() {
            let Some(y) = past.seen.get(index).filter(|y| y.is_finite()) else { continue };
            design.row(past, index, &mut x);
            let slot = past.slot(index) * slots.len() / self.day as usize;
            if !beta[slot].is_empty() && index >= judged {
                sum += (f64::from(y) - dot(&beta[slot], &x)).abs();
                count += 1.0;
            }
            slots[slot].learn(Sample { index, x: x.clone(), y });
            slots[slot].settle(index + 1, 0.998);
            let seen = slots[slot].count() * slots.len() / self.day as usize;
            if seen >= self.start().seen && past.day_of(index) % 7 == slot as i64 % 7 {
                packed.clear(p);
                slots[slot].add_to(&mut packed, 1.0, &mut scratch);
                packed.solve(chosen, ridge, &mut beta[slot]);
            }
        }
        if count > 0.0 { sum / count } else { f64::INFINITY }
    }
}

/// The mean of what is known; `None` of nothing.
pub fn mean_of(values: impl Iterator<Item = f32>) -> Option<f32> {
    let (mut sum, mut count) = (0.0, 0);
    for value in values.filter(|value| value.is_finite()) {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / count as f32)
}

/// A row in fixed point against coefficients.
pub fn dot(beta: &[f32], x: &[i16]) -> f64 {
    let sum: f64 = beta.iter().zip(x).map(|(b, x)| f64::from(*b) * f64::from(*x)).sum();
    sum / f64::from(crate::slot::UNIT)
}

mod columns;
