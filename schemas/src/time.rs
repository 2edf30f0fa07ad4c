//! The one clock: instants, ticks, and the only door to the wall clock.
//!
//! Every time in gridloom is a [`Timestamp`]: milliseconds since the Unix epoch, UTC. A *tick* is
//! named by its **end**: the tick `T` of a step `s` holds what happened in `[T - s, T)`. Wall time
//! is asked for through [`Clock`] alone, so that tests and replays can hold it still; `clippy.toml`
//! bans every other way.
//!
//! **Invariant:** a tick is a positive multiple of its [`Step`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use serde::Deserialize;
use serde::Serialize;

/// An instant: milliseconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Milliseconds since the epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// The instant `ms` milliseconds later.
    pub const fn plus(self, ms: u64) -> Timestamp {
        Timestamp(self.0.saturating_add(ms))
    }

    /// The instant `ms` milliseconds earlier, not before the epoch.
    pub const fn minus(self, ms: u64) -> Timestamp {
        Timestamp(self.0.saturating_sub(ms))
    }

    /// Days since the epoch and the calendar date `(year, month, day)` in UTC.
    ///
    /// Source: H. Hinnant, *chrono-compatible low-level date algorithms*, `civil_from_days`.
    pub const fn date(self) -> (i64, u32, u32) {
        let days = (self.0 / DAY_MS) as i64 + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_index = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * month_index + 2) / 5 + 1) as u32;
        let month = if month_index < 10 { month_index + 3 } else { month_index - 9 } as u32;
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        (year, month, day)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        let ms = self.0 % DAY_MS;
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match ms % 1_000 {
            0 => write!(f, "Z"),
            part => write!(f, ".{part:03}Z"),
        }
    }
}

/// Milliseconds in a day.
pub const DAY_MS: u64 = 86_400_000;

/// Milliseconds in an hour.
pub const HOUR_MS: u64 = 3_600_000;

/// The length of a tick in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Step(u64);

/// The step of an instance that says nothing: 5 s, the rate at which feeders are balanced.
pub const DEFAULT_STEP: Step = Step(5_000);

impl Step {
    /// A step of `ms` milliseconds, or `None` for zero.
    pub const fn from_millis(ms: u64) -> Option<Step> {
        if ms == 0 { None } else { Some(Step(ms)) }
    }

    /// Its length in milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// The tick that an event at `at` belongs to: the end of the step that contains it.
    pub const fn tick_of(self, at: Timestamp) -> Timestamp {
        Timestamp((at.0 / self.0 + 1) * self.0)
    }

    /// The first tick at or after `at`.
    pub const fn tick_at_or_after(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.div_ceil(self.0) * self.0)
    }

    /// Whether every event before `watermark` is known for `tick`.
    pub const fn closed_by(self, tick: Timestamp, watermark: Timestamp) -> bool {
        tick.0 <= watermark.0
    }
}

/// Where wall time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    Wall,
    /// A clock that a test moves by hand.
    Held(Arc<AtomicU64>),
}

impl Clock {
    /// A clock that stands at `at` until moved.
    pub fn held(at: Timestamp) -> Clock {
        Clock::Held(Arc::new(AtomicU64::new(at.0)))
    }

    /// The present instant.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may ask")]
    pub fn now(&self) -> Timestamp {
        match self {
            Clock::Wall => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                Timestamp(since.map_or(0, |d| d.as_millis() as u64))
            }
            Clock::Held(at) => Timestamp(at.load(Ordering::Relaxed)),
        }
    }

    /// Moves a held clock; a wall clock moves by itself.
    pub fn advance(&self, ms: u64) {
        if let Clock::Held(at) = self {
            at.fetch_add(ms, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_named_by_its_end() {
        let step = DEFAULT_STEP;
        assert_eq!(step.tick_of(Timestamp(0)), Timestamp(5_000));
        assert_eq!(step.tick_of(Timestamp(4_999)), Timestamp(5_000));
        assert_eq!(step.tick_of(Timestamp(5_000)), Timestamp(10_000));
        assert_eq!(step.tick_at_or_after(Timestamp(5_000)), Timestamp(5_000));
        assert_eq!(step.tick_at_or_after(Timestamp(5_001)), Timestamp(10_000));
    }

    #[test]
    fn an_instant_prints_as_iso_8601() {
        assert_eq!(Timestamp(1_472_601_600_000).to_string(), "2016-08-31T00:00:00Z");
        assert_eq!(Timestamp(951_782_400_250).to_string(), "2000-02-29T00:00:00.250Z");
    }
}
