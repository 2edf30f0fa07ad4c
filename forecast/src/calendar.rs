//! What is known of a day before it begins: hour, weekday, season, holiday, closure.
//!
//! A series has its own clock, and habits follow that clock: people get up at seven, not at a
//! certain second of the epoch. Instants are milliseconds since the epoch on the clock of the
//! series; where a series is kept in UTC, [`Calendar::offset_ms`] moves it to the clock that people
//! live by. No time zone database is asked: a clock that jumps twice a year is data, not a rule.
//!
//! Read in this order: [`Civil`] (an instant in parts), [`Holidays`] (by rule for any year, and
//! given dates), [`Annotations`] (what only the user knows), [`Calendar`] (all together),
//! [`infer`] (for users who named no country).
//!
//! # Why the holidays are our own
//!
//! Of the crates, `holidays` 0.1.0 comes nearest: it is made from Python's `holidays`, but it has
//! one release and its entry in the registry names no licence. Rules are twenty lines a country,
//! hold for any year, and are compared in the tests with what Python's `holidays` lists for 2000 to
//! 2024. For every other country dates are given.

mod annotations;
mod civil;
mod clock;
mod holidays;
mod infer;
mod rules;

pub use self::annotations::ANNOTATIONS_MAX;
pub use self::annotations::Annotation;
pub use self::annotations::AnnotationError;
pub use self::annotations::Annotations;
pub use self::annotations::Effect;
pub use self::annotations::Kind;
pub use self::civil::Civil;
pub use self::clock::utc_offset_ms;
pub use self::holidays::Holidays;
pub use self::holidays::ListError;
pub use self::holidays::Region;
pub use self::holidays::UnknownRegion;
pub use self::infer::Evidence;
pub use self::infer::Inference;
pub use self::infer::infer;
pub use self::rules::easter;

use chrono::Datelike;
use chrono::Days;
use chrono::NaiveDate;
use chrono::Weekday;
use serde::Deserialize;
use serde::Serialize;

/// What kind of day it is, as far as load is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DayType {
    /// Monday to Friday.
    Working,
    /// A working day between a holiday and a weekend: Friday after a Thursday, Monday before a
    /// Tuesday. Many take it off.
    Bridge,
    /// A Saturday that is no holiday.
    Saturday,
    /// A Sunday, or a holiday on any day.
    SundayOrHoliday,
}

/// Everything that is known of days.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calendar {
    /// Milliseconds to add to an instant of the series so that it reads as people's clock.
    pub offset_ms: i64,
    /// Days off.
    pub holidays: Holidays,
    /// Closures and outages.
    pub annotations: Annotations,
}

impl Calendar {
    /// The instant in parts, on people's clock.
    #[must_use]
    pub fn civil(&self, at_ms: i64) -> Civil {
        Civil::at(at_ms.saturating_add(self.offset_ms))
    }

    /// The kind of day for `subject` (a node, a feeder) at an instant: a closure that is like a
    /// holiday makes it one.
    #[must_use]
    pub fn day_type(&self, at_ms: i64, subject: &str) -> DayType {
        let closed = self.annotations.at(at_ms, subject);
        if closed.is_some_and(|annotation| annotation.effect == Effect::LikeHoliday) {
            return DayType::SundayOrHoliday;
        }
        self.holidays.day_type(self.civil(at_ms).date)
    }

    /// Whether nothing is to be learned from `subject` at an instant.
    #[must_use]
    pub fn ignores(&self, at_ms: i64, subject: &str) -> bool {
        let annotation = self.annotations.at(at_ms, subject);
        annotation.is_some_and(|annotation| annotation.effect == Effect::LearnNothing)
    }
}

impl Holidays {
    /// The kind of a date.
    #[must_use]
    pub fn day_type(&self, date: NaiveDate) -> DayType {
        let weekday = date.weekday();
        if weekday == Weekday::Sun || self.contains(date) {
            return DayType::SundayOrHoliday;
        }
        let off = |date: Option<NaiveDate>| date.is_some_and(|date| self.contains(date));
        match weekday {
            Weekday::Sat => DayType::Saturday,
            Weekday::Fri if off(date.checked_sub_days(Days::new(1))) => DayType::Bridge,
            Weekday::Mon if off(date.checked_add_days(Days::new(1))) => DayType::Bridge,
            _ => DayType::Working,
        }
    }
}
