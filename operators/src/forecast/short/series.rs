//! A series of quarters with the hours that it is drawn from, and what is said of it.

use std::collections::BTreeMap;

use forecast::short::KEPT;
use forecast::short::LEADS;
use forecast::short::QUARTER_MS;
use forecast::short::Quarter;
use forecast::short::Short;
use schemas::decision::ShortForecast;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::super::rule::Point;
use super::kernel::HourSaid;

/// Who speaks where hours are forecast.
pub const SHORT_VERSION: &str = "short-1";

/// Who speaks where they are not.
pub const PERSISTENCE_VERSION: &str = "persistence-1";

/// Hours from the present one on that quarters are drawn from: the next hour ends in the second,
/// and a parabola looks one further.
pub const HOURS_AHEAD: u64 = 3;

/// Quarters of a day.
pub(super) const DAY: i64 = 96;

/// Mean absolute deviations of a normal distribution between its tenth and ninetieth percentile.
const BAND_DEVIATIONS: f64 = 3.212;

/// What is forecast of one hour, in kW.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Hour {
    issued_at: Timestamp,
    p50_kw: f64,
    band_kw: f64,
}

/// See [`self`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Series {
    pub(super) short: Short,
    /// By hour since the epoch, the newest word.
    hours: BTreeMap<u64, Hour>,
}

/// What is said of one subject, and what it rests on.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) scope: &'static str,
    pub(super) subject_id: String,
    /// The coming quarters; [`Point::hour`] counts them.
    pub(super) points: Vec<Point>,
    pub(super) model_version: String,
    pub(super) saw: String,
}

impl Series {
    pub(super) fn new(first: i64) -> Series {
        Series { short: Short::new(first), hours: BTreeMap::new() }
    }

    /// Whether anything is known of it.
    pub(super) fn knows(&self) -> bool {
        self.short.knows() || !self.hours.is_empty()
    }

    /// What is forecast of an hour.
    pub(super) fn expect(&mut self, row: &HourSaid) {
        let band_kw = row.p90_kw - row.p10_kw;
        if row.p50_kw.is_finite() && band_kw.is_finite() {
            let said = Hour { issued_at: row.issued_at, p50_kw: row.p50_kw, band_kw };
            let hour = self.hours.entry(row.target_at.0 / HOUR_MS).or_insert(said);
            if hour.issued_at <= said.issued_at {
                *hour = said;
            }
        }
    }

    /// What was forecast of an hour, in kW.
    pub(super) fn hour_kw(&self, hour: u64) -> Option<f64> {
        self.hours.get(&hour).map(|hour| hour.p50_kw)
    }

    /// Forgets what was said of hours that are over.
    pub(super) fn forget_before(&mut self, present: u64) {
        self.hours = self.hours.split_off(&present);
    }

    /// Before there is any quarter, it begins with this; after a silence longer than is kept, it
    /// goes on with what it learned.
    pub(super) fn begin(&mut self, first: i64, next: i64) {
        if self.short.is_empty() || self.short.end() < next - KEPT {
            self.short.go_on_at(first.max(next - KEPT));
        }
    }

    /// What is said of the coming quarters, from what the `view` shows; where others `said` what
    /// the medians are, these are.
    pub(super) fn answer(
        &mut self,
        at: Timestamp,
        (scope, id): (&'static str, &str),
        view: &str,
        said: Option<[f64; LEADS]>,
    ) -> Answer {
        let present = at.0 / HOUR_MS;
        let hour = |ahead: u64| self.hours.get(&(present + ahead));
        let hours = [0, 1, 2].map(|ahead| hour(ahead).map_or(f64::NAN, |hour| hour.p50_kw));
        let spreads =
            [0, 1, 2].map(|ahead| hour(ahead).map_or(0.0, |hour| hour.band_kw / BAND_DEVIATIONS));
        let last = self.short.at(self.short.end() - 1);
        let last = if last.is_finite() { format!("{last:.3}") } else { "NULL".to_owned() };
        let mut saw = format!("{view}@{} last_quarter_kw={last}", at.0);
        let model_version = match hour(0).zip(hour(1)) {
            Some((now, next)) => {
                saw += &format!(
                    "; forecasts@{} p50_kw={:.3} next_p50_kw={:.3}",
                    now.issued_at.0, now.p50_kw, next.p50_kw
                );
                SHORT_VERSION
            }
            None => PERSISTENCE_VERSION,
        };
        let said = self.short.issue_as(hours, spreads, said);
        let point = |(hour, said): (usize, &Quarter)| Point {
            hour,
            p10_kw: said.p10,
            p50_kw: said.p50,
            p90_kw: said.p90,
        };
        let points = said.iter().flatten().enumerate().map(point).collect();
        let model_version = model_version.to_owned();
        Answer { scope, subject_id: id.to_owned(), points, model_version, saw }
    }
}

impl Answer {
    /// As they are issued.
    pub(super) fn rows(
        &self,
        at: Timestamp,
        feeder_id: &str,
    ) -> impl Iterator<Item = ShortForecast> {
        let first = at.0 / QUARTER_MS;
        self.points.iter().map(move |point| ShortForecast {
            scope: self.scope.to_owned(),
            subject_id: self.subject_id.clone(),
            feeder_id: feeder_id.to_owned(),
            issued_at: at,
            target_at: Timestamp((first + point.hour as u64) * QUARTER_MS),
            p10_kw: point.p10_kw,
            p50_kw: point.p50_kw,
            p90_kw: point.p90_kw,
            model_version: self.model_version.clone(),
            saw: self.saw.clone(),
        })
    }
}
