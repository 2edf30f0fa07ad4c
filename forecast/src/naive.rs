//! The forecasts that anybody has: as a day ago, as a week ago, as now.
//!
//! They are the measure of every other model: one that does not beat them has no place, and says so
//! by its skill. They also stand in where a series is too young for anything else. Where the value
//! that would be repeated is missing, the same time one season further back is, so that a naive
//! forecast is there for nearly every target and scores are of the same targets.
//!
//! Their quantiles are honest too: for each hour (of the day for a season, of the lead for
//! persistence) the quantiles of past errors are followed by stochastic approximation,
//! `q ← q + γ s (level − 1{error < q})` with `s` the mean absolute error so far (Gibbs and Candès,
//! "Adaptive conformal inference under distribution shift", NeurIPS 2021, equation 2, with the
//! threshold itself as the state): on average over a long time each keeps its promise, whatever
//! the errors do.
//!
//! # Bounds
//!
//! Five weeks of readings, and 24 times twelve numbers.

use serde::Deserialize;
use serde::Serialize;

use crate::model::LEVELS;
use crate::model::Model;
use crate::model::Outlook;
use crate::model::Point;
use crate::model::Said;
use crate::model::Setup;
use crate::series::DAY_MS;
use crate::series::Track;

/// Seasons that are gone back, at most, for a value that is not missing.
const SEASONS_MAX: i64 = 4;

/// How far a quantile moves for one error, in mean absolute errors.
///
/// Larger, and P10 to P90 of a year wander by more than the year changes; smaller, and the twelve
/// weeks of a young series are over before they settle.
const GAIN: f64 = 0.08;

/// Share of the newest error in the mean absolute error.
const SCALE_SHARE: f64 = 0.02;

/// What is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Season {
    /// The same time a day before.
    Day,
    /// The same time a week before.
    Week,
    /// The newest reading.
    Persistence,
}

impl Season {
    /// All of them.
    pub const ALL: [Season; 3] = [Season::Day, Season::Week, Season::Persistence];

    /// As a user names it: `naive-day`, `naive-week`, `persistence`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Season::Day => "naive-day",
            Season::Week => "naive-week",
            Season::Persistence => "persistence",
        }
    }
}

/// Followed quantiles of errors that belong together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Spread {
    count: u64,
    scale: f64,
    quantiles: [f64; 11],
}

impl Spread {
    fn learn(&mut self, error: f64) {
        self.count += 1;
        let share = SCALE_SHARE.max(1.0 / self.count as f64);
        self.scale += share * (error.abs() - self.scale);
        // The first errors move a quantile further: it starts from nothing, and an outer one has a
        // way of two mean errors to go.
        let gain = self.scale * GAIN.max(4.0 / (self.count as f64 + 3.0));
        for (quantile, level) in self.quantiles.iter_mut().zip(LEVELS) {
            let below = if error < *quantile { 1.0 } else { 0.0 };
            *quantile += gain * (level - below);
        }
    }

    /// Around a forecast, in order.
    fn around(&self, value: f64) -> [f64; 11] {
        let mut quantiles = self.quantiles.map(|quantile| value + quantile);
        quantiles.sort_by(f64::total_cmp);
        quantiles
    }
}

/// Repeats what was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeasonalNaive {
    season: Season,
    /// Steps of a day.
    day: i64,
    horizon: usize,

    readings: Track<f64>,
    spreads: Vec<Spread>,
}

impl SeasonalNaive {
    /// Before the first reading of a series, which will be that of index `first`.
    #[must_use]
    pub fn new(setup: &Setup, first: i64, season: Season) -> SeasonalNaive {
        let day = (DAY_MS / setup.step_ms.max(1)).max(1);
        let spreads = vec![Spread::default(); 24];
        SeasonalNaive { season, day, horizon: setup.horizon, readings: Track::new(first), spreads }
    }

    /// Which one it is.
    #[must_use]
    pub fn season(&self) -> Season {
        self.season
    }

    /// What was said `lead` steps before `target`; NaN where nothing was known to repeat.
    fn said(&self, target: i64, lead: i64) -> f64 {
        let origin = target - lead;
        let read = |index: i64| self.readings.get(index).filter(|value| value.is_finite());
        let season = match self.season {
            Season::Day => self.day,
            Season::Week => 7 * self.day,
            Season::Persistence => {
                let mut newest = (0..self.day).filter_map(|back| read(origin - back));
                return newest.next().unwrap_or(f64::NAN);
            }
        };
        // The first season that was over at the origin.
        let least = (lead + season - 1) / season;
        let mut known = (least..least + SEASONS_MAX).filter_map(|k| read(target - k * season));
        known.next().unwrap_or(f64::NAN)
    }

    /// Which errors belong together.
    fn group(&self, target: i64, lead: i64) -> usize {
        let steps = match self.season {
            Season::Persistence => (lead - 1).min(self.day - 1),
            Season::Day | Season::Week => target.rem_euclid(self.day),
        };
        usize::try_from(steps * 24 / self.day).expect("a day has begun")
    }

    /// The leads whose errors are learned from: of a season all are alike.
    fn leads(&self) -> std::ops::RangeInclusive<i64> {
        match self.season {
            Season::Persistence => 1..=(self.horizon as i64).min(self.day),
            Season::Day | Season::Week => 1..=1,
        }
    }
}

impl Model for SeasonalNaive {
    fn know(&mut self, _said: &[Said]) {}

    fn observe(&mut self, value: f64) {
        let index = self.readings.end();
        if value.is_finite() {
            for lead in self.leads() {
                let error = value - self.said(index, lead);
                if error.is_finite() {
                    let group = self.group(index, lead);
                    self.spreads[group].learn(error);
                }
            }
        }
        self.readings.push(value);
        self.readings.bound(5 * 7 * self.day as usize);
    }

    fn outlook(&mut self) -> Outlook {
        let origin = self.readings.end() - 1;
        let point = |lead: i64| {
            let value = self.said(origin + lead, lead);
            let spread = &self.spreads[self.group(origin + lead, lead)];
            Point { index: origin + lead, value, quantiles: spread.around(value) }
        };
        let points = (1..=self.horizon as i64).map(point).collect();
        Outlook { origin, points, models: Vec::new() }
    }
}
