//! What features are made of: filled readings, weather with its moving means, kinds of days.
//!
//! Everything here is a function of what was told, not of how it was reached: a reading that is
//! corrected gives the past that there would have been, also where it stood in for later holes.

use serde::Deserialize;
use serde::Serialize;

use crate::series::Sums;
use crate::series::Track;

/// Hours over which weather is smoothed: a house, a day, a spell.
pub const SMOOTHED_HOURS: [f64; 3] = [4.0, 24.0, 72.0];

/// The kind of a day as load sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DayKind {
    /// Monday to Friday.
    Working,
    /// Saturday.
    Saturday,
    /// Sunday, or a holiday.
    Rest,
}

/// One weather quantity at one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weather {
    values: Track<f32>,
    smooth: [Track<f32>; 3],
    /// Moving means hold up to here.
    fresh: i64,
    /// The first step of which something was said.
    #[serde(default)]
    begin: i64,
}

impl Weather {
    fn new(first: i64) -> Weather {
        let smooth = [Track::new(first), Track::new(first), Track::new(first)];
        Weather { values: Track::new(first), smooth, fresh: first, begin: i64::MAX }
    }

    /// The first step that is kept of which something is known.
    pub fn begin(&self) -> i64 {
        self.begin.max(self.values.first())
    }

    /// Whether `index` is of the time before anything was said: at any time where nothing was, at
    /// none where something was from the first step that is kept on.
    fn unheard(&self, index: i64) -> bool {
        index < self.begin && self.begin > self.values.first()
    }

    /// The value at `index`. Beyond what is known: as a day before, moved by what the last known
    /// value differs from its own day before. NaN before anything was said of weather that began
    /// later than the series.
    pub fn at(&self, index: i64, day: i64) -> f32 {
        if self.unheard(index) {
            return f32::NAN;
        }
        if let Some(value) = self.values.get(index) {
            return value;
        }
        let last = self.values.end() - 1;
        let Some(newest) = self.values.get(last) else { return 0.0 };
        if index < last {
            return self.values.values()[0];
        }
        let back = day * ((index - last + day - 1) / day);
        match (self.values.get(index - back), self.values.get(last - back)) {
            (Some(then), Some(reference)) => newest + then - reference,
            _ => newest,
        }
    }

    /// The moving mean over [`SMOOTHED_HOURS`]`[which]` hours; beyond what is known, the last; NaN
    /// as [`Weather::at`].
    pub fn smooth(&self, which: usize, index: i64) -> f32 {
        if self.unheard(index) {
            return f32::NAN;
        }
        let track = &self.smooth[which];
        track.get(index).unwrap_or_else(|| track.values().last().copied().unwrap_or(0.0))
    }

    /// The index of the first value that is kept.
    pub fn first(&self) -> i64 {
        self.values.first()
    }

    /// The index after the last that is known.
    pub fn end(&self) -> i64 {
        self.values.end()
    }
}

/// A reading, or what stands in for it.
fn filled(seen: &Track<f32>, holes: &[(i64, f32)], index: i64) -> Option<f32> {
    let seen = seen.get(index)?;
    if seen.is_finite() {
        return Some(seen);
    }
    let hole = holes.binary_search_by_key(&index, |hole| hole.0);
    hole.ok().map(|at| holes[at].1)
}

/// The past of one series, with what is known of the coming day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// Steps of a day.
    pub day: i64,
    /// What a value is divided by.
    pub scale: f64,
    /// Readings over the scale, NaN where missing.
    pub seen: Track<f32>,
    /// What stands in for missing readings, by index.
    holes: Vec<(i64, f32)>,
    /// Sums of the filled readings.
    sums: Sums,
    /// By quantity.
    pub weather: Vec<Weather>,
    /// Days (since the epoch) that are holidays, in order.
    pub holidays: std::collections::BTreeSet<i64>,
    /// Steps by which the clock that days go by is ahead of the indices.
    #[serde(default)]
    pub clock_ahead: i64,
}

impl Past {
    /// Nothing known, from `first` on.
    pub fn new(first: i64, day: i64, quantities: usize) -> Past {
        Past {
            day,
            scale: 1.0,
            seen: Track::new(first),
            holes: Vec::new(),
            sums: Sums::new(first),
            weather: (0..quantities).map(|_| Weather::new(first)).collect(),
            holidays: Default::default(),
            clock_ahead: 0,
        }
    }

    /// The index after the newest reading.
    pub fn end(&self) -> i64 {
        self.seen.end()
    }

    /// Takes the next reading, over the scale; NaN: missing.
    pub fn push(&mut self, seen: f32) {
        let filled = self.fill(self.end(), seen);
        self.seen.push(seen);
        self.sums.push(filled);
    }

    /// The reading, or what stands in for it from here on.
    fn fill(&mut self, index: i64, seen: f32) -> f32 {
        if seen.is_finite() {
            return seen;
        }
        let filled = self.stand_in(index);
        self.holes.push((index, filled));
        filled
    }

    /// A reading, or what stands in for it; `None` where it is no longer kept, or not there yet.
    pub fn filled(&self, index: i64) -> Option<f32> {
        filled(&self.seen, &self.holes, index)
    }

    /// The mean of the `count` filled readings that end with `index`; see [`Sums::mean`].
    pub fn mean(&self, index: i64, count: i64) -> f64 {
        self.sums.mean(index, count, |at| self.lag(at, 0))
    }

    /// What stands in for a missing reading: that of a week before, moved by what the day before
    /// differed from its own week before. A function of earlier readings alone, so that a corrected
    /// past is the past as if it had come so.
    fn stand_in(&self, index: i64) -> f32 {
        let (day, week) = (self.day, 7 * self.day);
        match self.filled(index - week) {
            Some(then) => {
                let moved = self.mean(index - 1, day) - self.mean(index - 1 - week, day);
                then + if self.filled(index - week - day).is_some() { moved as f32 } else { 0.0 }
            }
            None => self.filled(index - day).or(self.filled(index - 1)).unwrap_or(0.0),
        }
    }

    /// Replaces a reading, and what stood in for later ones because of it. `false` where it is no
    /// longer kept.
    pub fn correct(&mut self, index: i64, seen: f32) -> bool {
        let end = self.end();
        if index < self.seen.first() || index >= end {
            return false;
        }
        self.sums.cut(index, |at| filled(&self.seen, &self.holes, at).unwrap_or(0.0));
        self.holes.truncate(self.holes.partition_point(|hole| hole.0 < index));
        self.seen.set(index, seen);
        for at in index..end {
            let seen = self.seen.get(at).expect("kept, for an earlier one is");
            let filled = self.fill(at, seen);
            self.sums.push(filled);
        }
        true
    }

    /// The filled reading `lag` steps before `index`, 0 where unknown.
    pub fn lag(&self, index: i64, lag: i64) -> f32 {
        self.filled(index - lag).unwrap_or(0.0)
    }

    /// Says what a quantity is, or will be, at `index`. A hole between is filled with the value of
    /// a day before, or the last. `true` where that is news.
    pub fn know(&mut self, quantity: usize, index: i64, value: f32) -> bool {
        let day = self.day;
        let weather = &mut self.weather[quantity];
        let first = weather.values.first();
        if index >= first {
            // Of the series' first day the first word is as good as one of its own.
            weather.begin = weather.begin.min(if index <= first + day { first } else { index });
        }
        while weather.values.end() < index {
            let end = weather.values.end();
            let before = weather.values.get(end - day);
            let last = weather.values.values().last().copied();
            weather.values.push(before.or(last).unwrap_or(value));
        }
        if weather.values.end() == index {
            weather.values.push(value);
        } else if weather.values.get(index) == Some(value) || !weather.values.set(index, value) {
            return false;
        }
        weather.fresh = weather.fresh.min(index);
        true
    }

    /// Brings the moving means up to what is known.
    pub fn smooth(&mut self) {
        let hour = self.day as f64 / 24.0;
        for weather in &mut self.weather {
            let end = weather.values.end();
            for (which, hours) in SMOOTHED_HOURS.into_iter().enumerate() {
                let share = (1.0 - (-1.0 / (hours * hour)).exp()) as f32;
                let track = &mut weather.smooth[which];
                track.cut(weather.fresh);
                for index in track.end()..end {
                    let value = weather.values.get(index).expect("within what is known");
                    let before = track.get(index - 1).unwrap_or(value);
                    track.push(before + share * (value - before));
                }
            }
            weather.fresh = end;
        }
    }

    /// The day of an index, since the epoch, by the clock of days.
    pub fn day_of(&self, index: i64) -> i64 {
        (index + self.clock_ahead).div_euclid(self.day)
    }

    /// The step within its day.
    pub fn slot(&self, index: i64) -> usize {
        (index + self.clock_ahead).rem_euclid(self.day) as usize
    }

    /// 0 is Monday.
    pub fn weekday(&self, index: i64) -> i64 {
        // The epoch was a Thursday.
        (self.day_of(index) + 3).rem_euclid(7)
    }

    /// Whether the day, moved by `days`, is a holiday.
    pub fn holiday(&self, index: i64, days: i64) -> bool {
        self.holidays.contains(&(self.day_of(index) + days))
    }

    /// The kind of the day.
    pub fn kind(&self, index: i64) -> DayKind {
        match self.weekday(index) {
            _ if self.holiday(index, 0) => DayKind::Rest,
            5 => DayKind::Saturday,
            6 => DayKind::Rest,
            _ => DayKind::Working,
        }
    }

    /// Whether the day before was of the same kind.
    pub fn same_kind(&self, index: i64) -> bool {
        self.kind(index) == self.kind(index - self.day)
    }

    /// Forgets what no feature needs.
    pub fn bound(&mut self, keep: usize, keep_weather: usize) {
        self.smooth();
        if let Some(first) = self.seen.outgrown(keep) {
            self.sums.forget_before(first, |at| filled(&self.seen, &self.holes, at).unwrap_or(0.0));
            self.holes.drain(..self.holes.partition_point(|hole| hole.0 < first));
            self.seen.forget_before(first);
        }
        for weather in &mut self.weather {
            weather.values.bound(keep_weather);
            let first = weather.values.first();
            weather.smooth.iter_mut().for_each(|track| track.forget_before(first));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The weather of the first step, where the first word is of this one.
    fn first_of(index: i64) -> f32 {
        let mut past = Past::new(100, 24, 1);
        past.know(0, index, 5.0);
        past.weather[0].at(100, 24)
    }

    #[test]
    fn weather_that_begins_within_a_day_was_so_before_and_later_weather_is_not_known_before() {
        assert_eq!((first_of(100), first_of(101), first_of(124)), (5.0, 5.0, 5.0));
        assert!(first_of(125).is_nan());
    }
}
