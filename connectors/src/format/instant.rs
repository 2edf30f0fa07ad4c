//! Instants as text: ISO 8601 dates and times become milliseconds since the epoch.
//!
//! Read by hand because this is on the path of every record. Taken are `2016-08-31T12:00:05.250Z`,
//! a space for the `T`, seconds left out, one to nine digits of a second (cut to milliseconds, as
//! every instant here), an offset `+02:00`, `+0200` or `+02`, and a date alone. Without a zone it
//! is UTC. Instants lie between 1970 and the end of 9999: what is outside was written in other
//! units.

use schemas::time::DAY_MS;

/// The last millisecond of the year 9999.
pub(crate) const INSTANT_MS_MAX: i64 = 253_402_300_799_999;

/// Milliseconds since the epoch if that is an instant we take.
pub(crate) fn from_millis(ms: i64) -> Result<i64, String> {
    match ms {
        ..0 => Err(format!("{ms} is before 1970; instants are milliseconds since the epoch")),
        0..=INSTANT_MS_MAX => Ok(ms),
        _ => Err(format!(
            "{ms} is after the year 9999; instants are milliseconds since the epoch, not micro- or \
             nanoseconds"
        )),
    }
}

/// Reads an instant.
pub(crate) fn from_text(text: &str) -> Result<i64, String> {
    match parse(text.trim_ascii().as_bytes()) {
        Some(ms) => from_millis(ms),
        None => Err(format!(
            "{:?} is not an instant; write 2016-08-31T12:00:00Z or milliseconds since the epoch",
            shorten(text)
        )),
    }
}

/// The beginning of a text, for messages.
pub(crate) fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn parse(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let days = date_days(date)?;
    if rest.is_empty() {
        return Some(days * DAY_MS as i64);
    }
    let rest = rest.strip_prefix(b"T").or_else(|| rest.strip_prefix(b" "))?;
    let (clock, rest) = rest.split_at_checked(5)?;
    if clock[2] != b':' {
        return None;
    }
    let (hour, minute) = (number(&clock[..2])?, number(&clock[3..])?);
    let (second, fraction_ms, rest) = match rest.strip_prefix(b":") {
        Some(rest) => {
            let (second, rest) = rest.split_at_checked(2)?;
            let (fraction_ms, rest) = fraction(rest)?;
            (number(second)?, fraction_ms, rest)
        }
        None => (0, 0, rest),
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let ms = ((hour * 60 + minute) * 60 + second) * 1_000 + fraction_ms;
    Some(days * DAY_MS as i64 + ms - offset_ms(rest)?)
}

/// Days since the epoch of `YYYY-MM-DD`.
///
/// Source: H. Hinnant, *chrono-compatible low-level date algorithms*, `days_from_civil`.
fn date_days(date: &[u8]) -> Option<i64> {
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let (year, month, day) = (number(&date[..4])?, number(&date[5..7])?, number(&date[8..])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > last {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let month_index = (month + 9) % 12;
    let day_of_year = (153 * month_index + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// The milliseconds of `.250` and what follows it.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = text.strip_prefix(b".") else { return Some((0, text)) };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 || digits > 9 {
        return None;
    }
    let ms = (0..3).fold(0, |ms, place| {
        let digit = if place < digits { i64::from(rest[place] - b'0') } else { 0 };
        ms * 10 + digit
    });
    Some((ms, &rest[digits..]))
}

fn offset_ms(zone: &[u8]) -> Option<i64> {
    let (sign, rest) = match zone {
        b"" | b"Z" | b"z" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest {
        [a, b] => (number(&[*a, *b])?, 0),
        [a, b, c, d] | [a, b, b':', c, d] => (number(&[*a, *b])?, number(&[*c, *d])?),
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes) * 60_000)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0_i64, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::time::Timestamp;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let read = from_text(text).map(|ms| Timestamp(ms as u64).to_string());
        assert_eq!(read.unwrap_or_else(|e| e), expected);
    }

    #[test]
    fn common_spellings_are_read() {
        check("2016-08-31T12:00:05.250Z", "2016-08-31T12:00:05.250Z");
        check("2016-08-31 12:00:05", "2016-08-31T12:00:05Z");
        check("2016-08-31T12:00", "2016-08-31T12:00:00Z");
        check("2016-08-31T12:00:05.1239999Z", "2016-08-31T12:00:05.123Z");
        check("2016-08-31T12:00:00+02:00", "2016-08-31T10:00:00Z");
        check("2016-08-31T12:00:00-0130", "2016-08-31T13:30:00Z");
        check("2016-02-29", "2016-02-29T00:00:00Z");
    }

    #[test]
    fn what_is_no_instant_is_said_so() {
        for text in [
            "",
            "yesterday",
            "2015-02-29",
            "2016-13-01",
            "2016-08-31T24:00:00Z",
            "2016-08-31T1:00Z",
        ] {
            assert!(from_text(text).is_err(), "{text}");
        }
        assert!(from_text("1969-12-31T23:59:59Z").unwrap_err().contains("before 1970"));
        assert!(from_millis(1_472_601_600_000_000).unwrap_err().contains("not micro"));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(ms in 0..=INSTANT_MS_MAX) {
            prop_assert_eq!(from_text(&Timestamp(ms as u64).to_string()), Ok(ms));
        }
    }
}
