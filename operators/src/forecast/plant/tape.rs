//! What the plants of a feeder are told of the weather, hour by hour, as it was known then.
//!
//! When something else is expected of a coming hour than before, all that is expected is told, as
//! one issue of a service is; what an hour was is told when it is over. So a model that is told
//! again hears what it heard.
//!
//! Of the time before, nobody knows what was expected: what was measured is told as if it had been,
//! twice a day.
//!
//! Models that are held against each other are told the weather as it was known a day ahead, for as
//! long as they are judged: a number an hour.
//!
//! # Bounds
//!
//! [`KEPT_HOURS`] of words: up to [`AHEAD_HOURS`] a quantity and hour, where a service speaks each
//! hour. [`FORESEEN_HOURS`] of numbers a quantity.

use std::collections::BTreeMap;

use forecast::model::Said;
use forecast::rewind::REACH;
use forecast::score::CONTEST_DAYS;
use forecast::series::Track;
use serde::Deserialize;
use serde::Serialize;

use crate::forecast::rule::HORIZON_HOURS;
use crate::forecast::weather::Weather;

/// Hours ahead that plants are told: their columns look beyond the horizon, and a service that
/// speaks twice a day leaves half a day to bridge.
pub const AHEAD_HOURS: u64 = HORIZON_HOURS as u64 + 24;

/// Hours that must be expected for nothing more to be told: the horizon, and what columns look
/// beyond their target.
const ENOUGH_HOURS: u64 = HORIZON_HOURS as u64 + 6;

/// Hours between two issues of what is told of the time before.
const ISSUES_HOURS: i64 = 12;

/// Hours of words that are kept: a corrected hour is told again with them.
pub const KEPT_HOURS: i64 = REACH + 48;

/// Hours of which it is kept what was expected a day ahead: those of a contest, and what the newest
/// of its forecasts look ahead.
pub const FORESEEN_HOURS: usize = (CONTEST_DAYS + 4) * 24;

/// See [`self`]. Hours are counted from the epoch; words stand at the hour that was over.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tape {
    words: BTreeMap<i64, Vec<Said>>,
    /// The first hour of which the words are kept; `None` before any.
    first: Option<i64>,
    /// Quantities that there were.
    quantities: usize,
    /// What was told last: by quantity, from the hour `from` on, NaN where nothing was.
    from: u64,
    #[serde(with = "forecast::bits::nested")]
    told: Vec<Vec<f32>>,
    /// By quantity: what was expected a day ahead, NaN where nothing was.
    #[serde(default)]
    foreseen: Vec<Track<f32>>,
}

impl Tape {
    /// The hour before `present` is over: keeps what is to be told with it.
    pub fn advance(&mut self, present: u64, weather: &Weather) {
        let over = present as i64 - 1;
        let first = self.first.unwrap_or(over - KEPT_HOURS);
        let known = std::mem::replace(&mut self.quantities, weather.quantities().len());
        for hour in (first..over).filter(|_| known < self.quantities) {
            let news: Vec<Said> = before(weather, hour);
            let news = news.into_iter().filter(|said| said.quantity >= known);
            self.words.entry(hour).or_default().extend(news);
        }
        let said = self.news(present, weather);
        if !said.is_empty() {
            self.words.insert(over, said);
        }
        let first = first.max(over - KEPT_HOURS);
        self.first = Some(first);
        self.words = self.words.split_off(&first);
        self.foresee(present + HORIZON_HOURS as u64, weather);
    }

    /// Keeps what is expected of an hour, a day ahead.
    fn foresee(&mut self, hour: u64, weather: &Weather) {
        for (quantity, values) in weather.window(hour, hour + 1).into_iter().enumerate() {
            if self.foreseen.len() == quantity {
                self.foreseen.push(Track::new(hour as i64));
            }
            let foreseen = &mut self.foreseen[quantity];
            (foreseen.end()..hour as i64).for_each(|_| foreseen.push(f32::NAN));
            foreseen.push(values[0]);
            foreseen.bound(FORESEEN_HOURS);
        }
    }

    /// What is told with an hour where models are held against each other: twice a day, what was
    /// expected a day ahead and, where nothing was, what came.
    pub fn foreseen(&self, weather: &Weather, hour: i64) -> Vec<Said> {
        let mut said = before(weather, hour);
        for said in &mut said {
            let foreseen = self.foreseen.get(said.quantity).and_then(|f| f.get(said.index));
            said.value = foreseen.filter(|value| value.is_finite()).unwrap_or(said.value);
        }
        said
    }

    /// What is to be told with the hour before `present`: what that was and, where something else
    /// is expected, all that is.
    fn news(&mut self, present: u64, weather: &Weather) -> Vec<Said> {
        let over = present - 1;
        let (from, to) = (over, present + AHEAD_HOURS);
        let now = weather.window(from, to);
        let hours = |quantity: usize| now[quantity].iter().zip(from..to).skip(1);
        let other = (0..now.len()).any(|quantity| {
            let upto = self.told_upto(quantity);
            // What only goes on at the far end can wait.
            let enough = upto >= present + ENOUGH_HOURS;
            let known = hours(quantity).filter(|(value, _)| value.is_finite());
            let mut known = known.filter(|(_, hour)| *hour < upto || !enough);
            known.any(|(value, hour)| self.told_of(quantity, hour).to_bits() != value.to_bits())
        });
        let said = weather.said(over, if other { from..to } else { from..present });
        if other {
            (self.from, self.told) = (from, now);
        }
        said
    }

    /// What was last told of an hour, NaN where nothing was.
    fn told_of(&self, quantity: usize, hour: u64) -> f32 {
        let at = hour.checked_sub(self.from).map(|at| at as usize);
        let told = self.told.get(quantity).zip(at).and_then(|(told, at)| told.get(at));
        told.copied().unwrap_or(f32::NAN)
    }

    /// The hour after the last of which something was told.
    fn told_upto(&self, quantity: usize) -> u64 {
        let told = self.told.get(quantity);
        let last = told.and_then(|told| told.iter().rposition(|value| value.is_finite()));
        last.map_or(0, |last| self.from + last as u64 + 1)
    }

    /// What was told with an hour.
    pub fn said(&self, weather: &Weather, hour: i64, mut tell: impl FnMut(&Said)) {
        if self.first.is_none_or(|first| hour < first) {
            before(weather, hour).iter().for_each(tell);
        } else if let Some(said) = self.words.get(&hour) {
            said.iter().for_each(&mut tell);
        }
    }
}

/// What is told with an hour of the time before.
fn before(weather: &Weather, hour: i64) -> Vec<Said> {
    if hour < 1 || (hour + 1) % ISSUES_HOURS != 0 {
        return Vec::new();
    }
    weather.said(hour as u64, hour as u64..hour as u64 + 1 + AHEAD_HOURS)
}
