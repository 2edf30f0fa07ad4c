//! A zone, or the system: what its feeders draw together, and the model that learned it.
//!
//! Its hours are the sums of its feeders' hours, with the rules by which a feeder's are the sums
//! of its nodes': an hour in which most feeders were heard stands, the silent ones by the same
//! time of the day before; an hour in which fewer were is missing. A feeder that was silent for a
//! week is not waited for.
//!
//! # Who belongs to it
//!
//! A feeder that is new is summed from its first hour on. One that comes with a past, and one that
//! moves to another zone, takes its hours along: zones are then summed anew from the hours of those
//! they have now, and their models begin again, for what they learned was of another zone. What its
//! feeders heard of the weather where they were before is taken from the system and other zones.
//!
//! # Bounds
//!
//! Those of its [`Series`] and [`Weather`]; of a feeder, [`PAST_HOURS`], 4 bytes each.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use forecast::calendar::Holidays;
use forecast::series::Track;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::because::Parts;
use super::feeder::OF_FEEDER;
use super::feeder::RECENT_HOURS;
use super::feeder::RULE_VERSION;
use super::heard::Heard;
use super::rule;
use super::rule::HISTORY_HOURS;
use super::rule::Point;
use super::series::PAST_HOURS;
use super::series::Series;
use super::series::Turn;
use super::weather::Weather;
use crate::adapt;

/// Days back that a missing hour is looked for at the same time of the day; a feeder that was
/// silent for longer counts no more.
const STAND_IN_DAYS: u64 = 7;

/// Hours of its own that a feeder may bring into a zone whose model then goes on: beyond them the
/// zone was another before.
const NEW_HOURS: u64 = 24;

const _: () = assert!(RECENT_HOURS >= 2 * STAND_IN_DAYS * 24);

/// The hours of a feeder, mean kW, NaN where missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Past(Track<f32>);

impl Past {
    /// Begins with this hour.
    pub fn new(hour: u64) -> Past {
        Past(Track::new(hour as i64))
    }

    /// The first hour that is kept.
    pub fn first(&self) -> u64 {
        self.0.first() as u64
    }

    /// Notes an hour; those between it and what is known are missing.
    pub fn note(&mut self, hour: u64, kw: f64) {
        let index = hour as i64;
        if index < self.0.first() {
            let later = std::mem::replace(&mut self.0, Track::new(index));
            (index..later.first()).for_each(|_| self.0.push(f32::NAN));
            later.values().iter().for_each(|kw| self.0.push(*kw));
        }
        while self.0.end() <= index {
            self.0.push(f32::NAN);
        }
        self.0.set(index, kw as f32);
        self.0.bound(PAST_HOURS as usize);
    }

    fn at(&self, hour: u64) -> Option<f32> {
        self.0.get(hour as i64).filter(|kw| kw.is_finite())
    }

    /// The hour, or what the newest day before had at its time; `None` after a week of silence.
    fn filled(&self, hour: u64) -> Option<f32> {
        let mut before = (1..=STAND_IN_DAYS).map(|days| hour.saturating_sub(24 * days));
        self.at(hour).or_else(|| before.find_map(|hour| self.at(hour)))
    }

    /// Whether it was heard in one of the `hours` before `present`.
    pub fn heard(&self, hours: u64, present: u64) -> bool {
        (present.saturating_sub(hours)..present).any(|hour| self.at(hour).is_some())
    }

    /// Whether it was heard in the last week.
    pub fn lives(&self, present: u64) -> bool {
        self.heard(STAND_IN_DAYS * 24, present)
    }
}

/// What was heard of an hour.
fn heard(members: &BTreeMap<&str, &Past>, hour: u64) -> Heard {
    let mut heard = Heard::default();
    for past in members.values().filter(|past| past.first() <= hour) {
        if let Some(kw) = past.filled(hour) {
            heard.add(f64::from(kw), past.at(hour).is_some());
        }
    }
    heard
}

/// See [`self`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Whole {
    weather: Weather,
    /// Whose hours the series is the sum of; none where it has none of its own.
    of: BTreeSet<String>,
    series: Series,
    /// Hours of which a feeder says something else than the series has.
    restated: BTreeSet<u64>,
    /// The hours that the rule looks at, oldest first, silent feeders as a day before: one that is
    /// silent must not leave the others without a forecast. None between two steps.
    #[serde(skip)]
    ruled: Vec<f64>,
}

impl Default for Whole {
    fn default() -> Whole {
        Whole {
            weather: Weather::default(),
            of: BTreeSet::new(),
            series: Series::new(OF_FEEDER),
            restated: BTreeSet::new(),
            ruled: Vec::new(),
        }
    }
}

/// What is said of it by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// The coming hours.
    pub points: Vec<Point>,
    /// What each is made of.
    pub parts: Vec<Parts>,
    /// Who says it.
    pub model_version: String,
    /// What was looked at.
    pub saw: String,
}

impl Whole {
    /// The weather over its feeders.
    pub fn weather_mut(&mut self) -> &mut Weather {
        &mut self.weather
    }

    /// The weather over its feeders.
    pub fn weather(&self) -> &Weather {
        &self.weather
    }

    /// Its own series.
    #[cfg(test)]
    pub(super) fn series(&self) -> &Series {
        &self.series
    }

    /// Its own series.
    pub fn series_mut(&mut self) -> &mut Series {
        &mut self.series
    }

    /// An hour of a feeder is otherwise now.
    pub fn restate(&mut self, feeder_id: &str, hour: u64) {
        if self.of.contains(feeder_id) && hour < self.series.end() {
            self.restated.insert(hour);
        }
    }

    /// Takes in the hours before `present` of its feeders `members`; without them it has no series
    /// of its own. `gone` says whether a feeder is nowhere any more.
    pub fn advance(
        &mut self,
        present: u64,
        members: &BTreeMap<&str, &Past>,
        gone: impl Fn(&str) -> bool,
        (turn, holidays): (Turn<'_>, &Holidays),
    ) {
        let said = self.weather.advance(present);
        if self.begins_anew(members, gone) {
            self.series = Series::new(OF_FEEDER);
            self.restated.clear();
        }
        for past in members.iter().filter(|(id, _)| !self.of.contains(**id)).map(|(_, past)| past) {
            self.restated.extend(past.first()..self.series.end().max(past.first()));
        }
        self.of = members.keys().map(|id| (*id).to_owned()).collect();
        let Some(first) = members.values().map(|past| past.first()).min() else { return };
        self.series.know(&self.weather, &said);
        let end = if self.series.first().is_some() { self.series.end() } else { first };
        for hour in std::mem::take(&mut self.restated) {
            // A silent feeder's later days stood in by this hour.
            for hour in (hour..end).step_by(24).take(STAND_IN_DAYS as usize + 1) {
                self.series.restate(hour, heard(members, hour).kw());
            }
        }
        for hour in end..present {
            self.series.push(first, heard(members, hour).kw());
        }
        let recent = present.saturating_sub(HISTORY_HOURS as u64)..present;
        self.ruled = recent.map(|hour| heard(members, hour).filled_kw()).collect();
        self.series.settle(&self.weather, turn, holidays);
        self.series.bound();
    }

    /// Whether its series is no longer that of these feeders, or not begun.
    pub fn begins_anew(
        &self,
        members: &BTreeMap<&str, &Past>,
        gone: impl Fn(&str) -> bool,
    ) -> bool {
        let stays = |id: &String| members.contains_key(id.as_str());
        let came = |id: &&str| !self.of.contains(*id);
        let old = |past: &Past| past.first() + NEW_HOURS < self.series.end();
        self.series.first().is_none()
            || members.is_empty()
            || self.of.iter().any(|id| !stays(id) && !gone(id))
            || members.iter().any(|(id, past)| came(id) && old(past))
    }

    /// What is said of the coming hours by its own series; nothing where it has none.
    pub fn word(&mut self, at: Timestamp, present: u64) -> Option<Word> {
        if self.of.is_empty() {
            return None;
        }
        let past = std::mem::take(&mut self.ruled);
        let last = past.last().filter(|kw| kw.is_finite());
        let last = last.map_or("NULL".to_owned(), |kw| format!("{kw:.3}"));
        let (at, feeders) = (at.0, self.of.len());
        let mut saw =
            format!("node_hour@{at} last_hour_kw={last}; forecasts@{at} feeders={feeders}");
        let name = self.series.version().map(adapt::name);
        let said = self.series.answer().zip(name);
        if said.is_some() {
            let hours = self.weather.hours_ahead(present);
            saw += &format!("; weather_hour@{at}; weather_ahead@{at} hours={hours}");
        }
        let said = said.unwrap_or_else(|| (rule::explained(&past), RULE_VERSION.to_owned()));
        let ((points, parts), model_version) = said;
        Some(Word { points, parts, model_version, saw })
    }
}
