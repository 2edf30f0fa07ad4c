//! Durations as people write them: `"500ms"`, `"5s"`, `"1h30m"`, `"2d"`.
//!
//! A bare number is refused: it would not say its unit.

use std::fmt::Write;

use schemas::time::DAY_MS;
use schemas::time::HOUR_MS;

/// How to write one.
pub const HINT: &str = "write a number and a unit: ms, s, m, h or d, as in \"5s\" or \"1h30m\"";

/// The units with their milliseconds, greatest first.
const UNITS: [(&str, u64); 5] =
    [("d", DAY_MS), ("h", HOUR_MS), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no duration")]
pub struct DurationError {
    /// The text.
    pub text: String,
}

/// Milliseconds of a duration.
///
/// # Errors
/// The text is none, or is too long to count.
pub fn parse(text: &str) -> Result<u64, DurationError> {
    milliseconds(text).ok_or_else(|| DurationError { text: text.to_owned() })
}

fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total = 0_u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (_, ms) = UNITS.iter().find(|(unit, _)| *unit == &rest[..end])?;
        total = total.checked_add(count.checked_mul(*ms)?)?;
        rest = &rest[end..];
    }
    Some(total)
}

/// Writes a duration as [`parse`] reads it.
pub fn print(ms: u64) -> String {
    let mut text = String::new();
    let mut rest = ms;
    for (unit, size) in UNITS {
        if rest >= size {
            write!(text, "{}{unit}", rest / size).expect("a String takes all text");
            rest %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Writes how old something is: seconds below an hour, minutes below a day, hours above.
pub fn coarse(ms: u64) -> String {
    let unit = match ms {
        0..HOUR_MS => 1_000,
        HOUR_MS..DAY_MS => 60_000,
        _ => HOUR_MS,
    };
    print(ms / unit * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, ms: Option<u64>) {
        assert_eq!(parse(text).ok(), ms, "{text}");
    }

    #[test]
    fn a_duration_says_its_unit() {
        check("500ms", Some(500));
        check("5s", Some(5_000));
        check("1h30m", Some(5_400_000));
        check("2d", Some(172_800_000));
        check("5", None);
        check("", None);
        check("s", None);
        check("5 s", None);
        check("5 minutes", None);
        check("-5s", None);
        check("99999999999999999999d", None);
        check("300000000000000d", None);
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for ms in [0, 1, 999, 5_000, 90_061_001] {
            assert_eq!(parse(&print(ms)), Ok(ms));
        }
        assert_eq!(print(90_061_001), "1d1h1m1s1ms");
    }

    #[test]
    fn an_age_is_as_precise_as_it_matters() {
        let ages = [0, 61_999, HOUR_MS + 61_999, DAY_MS + HOUR_MS + 61_999].map(coarse);
        assert_eq!(ages, ["0s", "1m1s", "1h1m", "1d1h"]);
    }
}
