//! An instant in parts.

use chrono::DateTime;
use chrono::Datelike;
use chrono::NaiveDate;
use serde::Deserialize;
use serde::Serialize;

use crate::series::DAY_MS;

/// An instant on the clock of a series, in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Civil {
    /// The date.
    pub date: NaiveDate,
    /// Milliseconds since midnight.
    pub of_day_ms: i64,
}

impl Civil {
    /// The parts of `at_ms`, milliseconds since the epoch on the clock of the series. Instants
    /// beyond what the calendar knows (262,000 years) are those of its last day.
    #[must_use]
    pub fn at(at_ms: i64) -> Self {
        let of_day_ms = at_ms.rem_euclid(DAY_MS);
        let beyond = if at_ms < 0 { NaiveDate::MIN } else { NaiveDate::MAX };
        let date = DateTime::from_timestamp_millis(at_ms).map_or(beyond, |at| at.date_naive());
        Self { date, of_day_ms }
    }

    /// The instant in milliseconds since the epoch, on the same clock.
    #[must_use]
    pub fn at_ms(self) -> i64 {
        let epoch = NaiveDate::default();
        self.date.signed_duration_since(epoch).num_days() * DAY_MS + self.of_day_ms
    }

    /// The time-of-day slot of `step_ms` (half an hour gives 0 to 47). Slots begin at midnight;
    /// a step that does not divide the day leaves the last slot short.
    #[must_use]
    pub fn slot(self, step_ms: i64) -> usize {
        usize::try_from(self.of_day_ms / step_ms.max(1)).expect("a day has begun")
    }

    /// Hours since midnight, with their fraction: 0 to 24.
    #[must_use]
    pub fn hour(self) -> f64 {
        self.of_day_ms as f64 / 3_600_000.0
    }

    /// The weekday, 0 for Monday to 6 for Sunday.
    #[must_use]
    pub fn weekday(self) -> usize {
        self.date.weekday().num_days_from_monday() as usize
    }

    /// The day of the year, 1 to 366.
    #[must_use]
    pub fn day_of_year(self) -> u32 {
        self.date.ordinal()
    }

    /// How far the year has gone, 0 to below 1: what annual waves are made of.
    #[must_use]
    pub fn of_year(self) -> f64 {
        let days = if self.date.leap_year() { 366.0 } else { 365.0 };
        (f64::from(self.date.ordinal0()) + self.of_day_ms as f64 / DAY_MS as f64) / days
    }
}
