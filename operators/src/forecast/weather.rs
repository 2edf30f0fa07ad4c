//! The weather of a feeder, by station: what was seen, and what is expected.
//!
//! An hour's measured mean counts once the hour is over; until then what was last expected of it
//! does. So a model is told of the hour under way what it was told when that hour was ahead, and
//! later what it was.
//!
//! Who is heard while others speak for as many streams as are listened to is not listened to. One
//! that was silent for [`SILENT_HOURS`] gives its place to the next that is heard; what it said
//! stays, under its number.
//!
//! # Bounds
//!
//! [`PAST_HOURS`] and [`AHEAD_HOURS_MAX`] of up to [`STREAMS_KEPT`] quantities.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Said;
use forecast::series::Track;
use schemas::state::WeatherAhead;
use schemas::state::WeatherHour;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::rule::HORIZON_HOURS;
use super::series::PAST_HOURS;

/// Quantities that a feeder listens to at one time, at most: three of each of eight stations.
///
/// A model that looks for its stations tries each of them on its whole history.
pub const STREAMS_MAX: usize = 3 * 8;

/// Quantities that are kept, those of stations that are silent among them.
pub const STREAMS_KEPT: usize = 2 * STREAMS_MAX;

/// Hours after which one that says nothing gives its place away: a station that is repaired within
/// four weeks finds it.
pub const SILENT_HOURS: u64 = 28 * 24;

/// Hours ahead that are noted of a forecast of the weather: as far as services go.
pub const AHEAD_HOURS_MAX: u64 = 15 * 24;

/// Hours ahead that models are told: the horizon, and what columns look beyond their target.
const TOLD_HOURS: u64 = HORIZON_HOURS as u64 + 4;

/// What a station says, as the names of its quantities end.
const ROLES: [(&str, Role); 3] =
    [("temperature", Role::Temperature), ("radiation", Role::Radiation), ("wind", Role::WindSpeed)];

/// What a quantity of this name is.
pub fn role(name: &str) -> Option<Role> {
    let what = name.rsplit_once(' ')?.1;
    ROLES.into_iter().find(|(of, _)| *of == what).map(|(_, role)| role)
}

/// One quantity of one station.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stream {
    quantity: Quantity,
    values: Track<f32>,
    /// The hour in which it was heard last.
    #[serde(default)]
    heard: u64,
}

impl Stream {
    fn station(&self) -> &str {
        self.quantity.name.rsplit_once(' ').map_or("", |(station, _)| station)
    }
}

/// See [`self`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Weather {
    /// In the order in which they were first heard: a model's quantities keep their numbers.
    streams: Vec<Stream>,
    /// Means of the hour under way, by hour and stream.
    open: BTreeMap<u64, BTreeMap<usize, f32>>,
    /// The hour up to which models were told.
    told: u64,
    /// Hours before that of which something else is known now.
    news: BTreeSet<(u64, usize)>,
}

impl Weather {
    /// Whether nothing was heard.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// What was seen in an hour that has begun.
    pub fn see(&mut self, at: Timestamp, row: &WeatherHour) {
        let hour = row.hour_at.0 / HOUR_MS;
        let whole = row.hour_at.0 + HOUR_MS <= at.0;
        let history = row.origin != "measured";
        if row.hour_at >= at || hour + PAST_HOURS < at.0 / HOUR_MS || (history && !whole) {
            return;
        }
        let present = at.0 / HOUR_MS;
        for (stream, value) in self.values(present, &row.station_id, hour, row) {
            let known = self.streams[stream].values.get(hour as i64);
            if history && known.is_some_and(f32::is_finite) {
                continue;
            }
            if whole && !self.open.contains_key(&hour) {
                self.set(stream, hour, value);
            } else {
                self.open.entry(hour).or_default().insert(stream, value);
            }
        }
    }

    /// What is expected of an hour that is not over.
    pub fn expect(&mut self, at: Timestamp, row: &WeatherAhead) {
        let (hour, present) = (row.hour_at.0 / HOUR_MS, at.0 / HOUR_MS);
        if row.issued_at > at || !(present..present + AHEAD_HOURS_MAX).contains(&hour) {
            return;
        }
        for (stream, value) in self.values(present, &row.station_id, hour, row) {
            self.set(stream, hour, value);
        }
    }

    /// The streams of a station, made where they are new, with what a row says of each.
    fn values(
        &mut self,
        present: u64,
        station: &str,
        hour: u64,
        row: &impl Sky,
    ) -> Vec<(usize, f32)> {
        let said = [Some(row.temperature_c()), row.global_w_per_m2(), row.wind_m_per_s()];
        let mut values = Vec::with_capacity(said.len());
        for ((what, role), value) in ROLES.into_iter().zip(said) {
            let Some(value) = value.filter(|value| value.is_finite()) else { continue };
            let name = format!("{station} {what}");
            let stream = self.streams.iter().position(|stream| stream.quantity.name == name);
            let stream = stream.or_else(|| {
                self.has_place(present).then(|| {
                    let (quantity, values) = (Quantity { name, role }, Track::new(hour as i64));
                    self.streams.push(Stream { quantity, values, heard: present });
                    self.streams.len() - 1
                })
            });
            let Some(stream) = stream else { continue };
            self.streams[stream].heard = self.streams[stream].heard.max(present);
            values.push((stream, value as f32));
        }
        values
    }

    /// Whether one more can be listened to.
    fn has_place(&self, present: u64) -> bool {
        let speaks = |stream: &&Stream| stream.heard + SILENT_HOURS >= present;
        self.streams.len() < STREAMS_KEPT
            && self.streams.iter().filter(speaks).count() < STREAMS_MAX
    }

    /// Takes the past of these stations from another who heard more of it. Not told to models: one
    /// that is made after it knows it.
    pub fn take_in(&mut self, stations: &BTreeSet<String>, other: &Weather) {
        for (from, theirs) in other.streams.iter().enumerate() {
            if !stations.contains(theirs.station()) {
                continue;
            }
            let name = &theirs.quantity.name;
            let own = self.streams.iter().position(|stream| stream.quantity.name == *name);
            let own = match own {
                Some(own) if self.streams[own].values.first() <= theirs.values.first() => continue,
                Some(own) => {
                    let values = &mut self.streams[own].values;
                    let known = std::mem::replace(values, theirs.values.clone());
                    let known = (known.first()..).zip(known.values().iter().copied());
                    known.filter(|(_, v)| v.is_finite()).for_each(|(at, v)| set(values, at, v));
                    own
                }
                None if !self.has_place(theirs.heard) => continue,
                None => {
                    self.streams.push(theirs.clone());
                    self.streams.len() - 1
                }
            };
            for (hour, values) in &other.open {
                let Some(value) = values.get(&from) else { continue };
                self.open.entry(*hour).or_default().entry(own).or_insert(*value);
            }
        }
    }

    fn set(&mut self, stream: usize, hour: u64, value: f32) {
        let values = &mut self.streams[stream].values;
        let index = hour as i64;
        if values.get(index) == Some(value) || index < values.first() {
            return;
        }
        set(values, index, value);
        if hour < self.told {
            self.news.insert((hour, stream));
        }
    }

    /// Closes the hours before `present` and gives what models are to be told.
    pub fn advance(&mut self, present: u64) -> Vec<Said> {
        let later = self.open.split_off(&present);
        for (hour, values) in std::mem::replace(&mut self.open, later) {
            for (stream, value) in values {
                self.set(stream, hour, value);
            }
        }
        let issued = present as i64 - 1;
        let mut said = Vec::new();
        for (hour, quantity) in std::mem::take(&mut self.news) {
            let value = self.streams[quantity].values.get(hour as i64).unwrap_or(f32::NAN);
            said.push(Said { issued, quantity, index: hour as i64, value });
        }
        let from = self.told.max(present.saturating_sub(PAST_HOURS));
        self.told = self.told.max(present + TOLD_HOURS);
        said.extend(self.said(present.saturating_sub(1), from..self.told));
        let kept = (PAST_HOURS + AHEAD_HOURS_MAX) as usize;
        self.streams.iter_mut().for_each(|stream| stream.values.bound(kept));
        said
    }

    /// The hour up to which models were told.
    pub fn told(&self) -> u64 {
        self.told
    }

    /// How many quantities there are.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// The quantities, in their order.
    pub fn quantities(&self) -> Vec<Quantity> {
        self.streams.iter().map(|stream| stream.quantity.clone()).collect()
    }

    /// Hours from `present` on of which something is expected.
    pub fn hours_ahead(&self, present: u64) -> u64 {
        let ends = self.streams.iter().map(|stream| stream.values.end() as u64);
        ends.max().unwrap_or(0).saturating_sub(present)
    }

    /// Whether somebody forecasts it: something is expected of the hour after the present one.
    pub fn is_forecast(&self, present: u64) -> bool {
        self.hours_ahead(present) > 1
    }

    /// By quantity: the values of these hours, NaN where unknown.
    pub fn window(&self, from: u64, to: u64) -> Vec<Vec<f32>> {
        let of = |stream: &Stream| {
            let value = |hour: u64| stream.values.get(hour as i64).unwrap_or(f32::NAN);
            (from..to).map(value).collect()
        };
        self.streams.iter().map(of).collect()
    }

    /// What is known of these hours, as it is said when `issued` is over.
    pub fn said(&self, issued: u64, hours: std::ops::Range<u64>) -> Vec<Said> {
        let mut said = Vec::new();
        for (quantity, stream) in self.streams.iter().enumerate() {
            for index in hours.start as i64..hours.end as i64 {
                let value = stream.values.get(index).filter(|value| value.is_finite());
                let issued = issued as i64;
                said.extend(value.map(|value| Said { issued, quantity, index, value }));
            }
        }
        said
    }
}

/// Notes a value that is not before the first; those between it and what is known are missing.
fn set(values: &mut Track<f32>, index: i64, value: f32) {
    while values.end() < index {
        values.push(f32::NAN);
    }
    if !values.set(index, value) {
        values.push(value);
    }
}

/// What rows about the weather have in common.
trait Sky {
    fn temperature_c(&self) -> f64;
    fn global_w_per_m2(&self) -> Option<f64>;
    fn wind_m_per_s(&self) -> Option<f64>;
}

impl Sky for WeatherHour {
    fn temperature_c(&self) -> f64 {
        self.temperature_c
    }

    fn global_w_per_m2(&self) -> Option<f64> {
        self.global_w_per_m2
    }

    fn wind_m_per_s(&self) -> Option<f64> {
        self.wind_m_per_s
    }
}

impl Sky for WeatherAhead {
    fn temperature_c(&self) -> f64 {
        self.temperature_c
    }

    fn global_w_per_m2(&self) -> Option<f64> {
        self.global_w_per_m2
    }

    fn wind_m_per_s(&self) -> Option<f64> {
        self.wind_m_per_s
    }
}

#[cfg(test)]
mod tests;
