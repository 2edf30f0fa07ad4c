//! Times as files have them: with `T` or a blank, to the hour, minute or second, with a zone or
//! without one.
//!
//! Written here because no reader takes all of these at once, and what it does not take it must not
//! guess: a number is no time, and a day that does not exist is none either.

use chrono::NaiveDate;
use forecast::calendar::utc_offset_ms;
use forecast::series::DAY_MS;

/// Milliseconds of a minute.
const MINUTE_MS: i64 = 60_000;

/// A time as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Milliseconds since the epoch of what is written, on the clock it was written by.
    pub wall_ms: i64,
    /// What that clock is ahead of UTC, in milliseconds, where it is written.
    pub ahead_ms: Option<i64>,
}

impl Stamp {
    /// Milliseconds since the epoch in UTC where the zone is written, of the wall clock otherwise.
    pub(super) fn at_ms(self) -> i64 {
        self.wall_ms - self.ahead_ms.unwrap_or(0)
    }
}

/// Reads `2011-12-31T13:00Z`, `2011-12-31 13:00:00+02:00`, `20090701T00`, `2011/12/31`; `None`
/// where it is no time.
pub(super) fn parse(text: &str) -> Option<Stamp> {
    let text = text.trim();
    let split = text.find(['T', 't', ' ']);
    let (date, rest) = split.map_or((text, ""), |at| (&text[..at], text[at + 1..].trim()));
    let day_ms = date_ms(date)?;
    if rest.is_empty() {
        return Some(Stamp { wall_ms: day_ms, ahead_ms: None });
    }
    let (clock, ahead_ms) = zone(rest)?;
    Some(Stamp { wall_ms: day_ms + of_day(clock.trim())?, ahead_ms })
}

/// Milliseconds of a day's beginning: `2011-12-31`, `2011/12/31` or `20111231`.
fn date_ms(text: &str) -> Option<i64> {
    let digits: String = text.chars().filter(|c| !matches!(c, '-' | '/')).collect();
    let plain = digits.len() == 8 && digits.chars().all(|c| c.is_ascii_digit());
    let dashed = text.len() == 10 || text.len() == 8;
    if !plain || !dashed {
        return None;
    }
    let number = |from: usize, to: usize| digits[from..to].parse::<u32>().ok();
    let year = i32::try_from(number(0, 4)?).ok()?;
    days(NaiveDate::from_ymd_opt(year, number(4, 6)?, number(6, 8)?)?).checked_mul(DAY_MS)
}

/// Days since the epoch.
pub(super) fn days(date: NaiveDate) -> i64 {
    date.signed_duration_since(NaiveDate::default()).num_days()
}

/// Splits off what is said of the zone.
fn zone(text: &str) -> Option<(&str, Option<i64>)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, Some(0)));
    }
    if let Some(clock) = text.strip_suffix("UTC") {
        return Some((clock, Some(0)));
    }
    match text.find(['+', '-']) {
        Some(at) => Some((&text[..at], Some(utc_offset_ms(&text[at..])?))),
        None => Some((text, None)),
    }
}

/// Milliseconds since midnight: `13`, `13:00`, `1300`, `13:00:05.25`.
fn of_day(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let first = parts.next()?;
    let number = |text: &str, below: i64| {
        let plain = (1..=2).contains(&text.len());
        text.parse::<i64>().ok().filter(|n| plain && (0..below).contains(n))
    };
    let (hours, minutes) = match (first.len(), parts.next()) {
        (4, None) if first.is_ascii() => (number(&first[..2], 24)?, number(&first[2..], 60)?),
        (_, minutes) => (number(first, 24)?, minutes.map_or(Some(0), |text| number(text, 60))?),
    };
    let seconds: f64 = parts.next().map_or(Some(0.0), |text| text.parse().ok())?;
    let valid = (0.0..60.0).contains(&seconds) && parts.next().is_none();
    let ms = (seconds * 1_000.0).round() as i64;
    valid.then_some((hours * 60 + minutes) * MINUTE_MS + ms)
}

/// The first and the last but one millisecond of what is named: a day, a month (`2011-01`), or an
/// instant, which is its own end. Half-open. An instant on another clock than the series' own, with
/// a zone, is none.
pub(super) fn span(text: &str) -> Option<(i64, i64)> {
    let text = text.trim();
    if text.len() == 7 && text.as_bytes()[4] == b'-' {
        let from = date_ms(&format!("{text}-01"))?;
        let (year, month) = (text[..4].parse::<i32>().ok()?, text[5..].parse::<u32>().ok()?);
        let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        return Some((from, days(NaiveDate::from_ymd_opt(year, month, 1)?) * DAY_MS));
    }
    if let Some(from) = date_ms(text) {
        return Some((from, from + DAY_MS));
    }
    let stamp = parse(text).filter(|stamp| stamp.ahead_ms.is_none())?;
    Some((stamp.wall_ms, stamp.wall_ms))
}

/// An instant for people: `2011-12-31 13:00`.
pub(super) fn show(at_ms: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(at_ms);
    at.map_or_else(|| at_ms.to_string(), |at| at.format("%Y-%m-%d %H:%M").to_string())
}

/// A date for people: `2011-12-31`.
pub(super) fn show_day(at_ms: i64) -> String {
    show(at_ms).chars().take(10).collect()
}

/// A clock for people: `UTC+10:00`.
pub(super) fn show_offset(ahead_ms: i64) -> String {
    if ahead_ms == 0 {
        return "UTC".to_owned();
    }
    let sign = if ahead_ms < 0 { '-' } else { '+' };
    let minutes = ahead_ms.abs() / MINUTE_MS;
    format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON_MS: i64 = 12 * 60 * MINUTE_MS;

    #[track_caller]
    fn check(text: &str, day: &str, of_day_ms: i64, ahead_ms: Option<i64>) {
        let wall_ms = date_ms(day).unwrap() + of_day_ms;
        assert_eq!(parse(text), Some(Stamp { wall_ms, ahead_ms }), "{text}");
    }

    #[test]
    fn times_are_read_as_files_write_them() {
        check("2011-12-31T12:00Z", "2011-12-31", NOON_MS, Some(0));
        check("2011-12-31 12:00:00", "2011-12-31", NOON_MS, None);
        check("2011/12/31 12", "2011-12-31", NOON_MS, None);
        check("20090701T12", "2009-07-01", NOON_MS, None);
        check("20090701T1200", "2009-07-01", NOON_MS, None);
        check("2011-12-31T12:00:00.250+02:00", "2011-12-31", NOON_MS + 250, Some(7_200_000));
        check("2011-12-31T12:00-0330", "2011-12-31", NOON_MS, Some(-12_600_000));
        check("2011-12-31", "2011-12-31", 0, None);
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "load", "12.5", "2011-02-30", "2011-12-31T25:00", "2011-12-31Tx", "T12"] {
            assert_eq!(parse(text), None, "{text}");
        }
        for text in ["2011-12-31T12:00+1é2", "2011-12-31T1é2", "2é11-12-3", "2011-12-31é12:00"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_window_ends_with_its_day_its_month_or_at_its_instant() {
        let day = |text: &str| date_ms(text).unwrap();
        assert_eq!(span("2013-12-31"), Some((day("2013-12-31"), day("2014-01-01"))));
        assert_eq!(span("2012-12"), Some((day("2012-12-01"), day("2013-01-01"))));
        let noon = day("2013-12-31") + NOON_MS;
        assert_eq!(span("2013-12-31T12:00"), Some((noon, noon)));
        assert_eq!(span("soon"), None);
        for zoned in ["2013-12-31T12:00Z", "2013-12-31T12:00+02:00", "2013-12-31 12:00 UTC"] {
            assert_eq!(span(zoned), None, "{zoned}: on another clock");
        }
    }

    #[test]
    fn clocks_are_shown_as_they_are_written() {
        for (text, shown) in [("+10:00", "UTC+10:00"), ("-3:30", "UTC-03:30"), ("+0", "UTC")] {
            assert_eq!(show_offset(utc_offset_ms(text).unwrap()), shown);
        }
        for text in ["+25:00", "+1é2", "é", ""] {
            assert_eq!(utc_offset_ms(text), None, "{text}");
        }
    }
}
