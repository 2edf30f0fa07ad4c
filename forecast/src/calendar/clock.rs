//! People's clock, as an offset from UTC.

/// Milliseconds of a minute.
const MINUTE_MS: i64 = 60_000;

/// Milliseconds of `+10:00`, `-0330` or `+2`: what a clock is ahead of UTC. `None` of anything
/// else.
#[must_use]
pub fn utc_offset_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some(parts) => parts,
        None if rest.len() == 4 && rest.is_ascii() => rest.split_at(2),
        None => (rest, "0"),
    };
    let (hours, minutes) = (hours.parse::<u32>().ok()?, minutes.parse::<u32>().ok()?);
    let valid = hours <= 14 && minutes < 60;
    valid.then(|| sign * i64::from(hours * 60 + minutes) * MINUTE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, minutes: Option<i64>) {
        assert_eq!(utc_offset_ms(text), minutes.map(|minutes| minutes * MINUTE_MS), "{text}");
    }

    #[test]
    fn an_offset_is_hours_and_minutes_east_of_utc() {
        check("+10:00", Some(600));
        check("-03:30", Some(-210));
        check("0930", Some(570));
        check("+2", Some(120));
        check("+00:00", Some(0));
        for wrong in ["", "+", "+15", "+1:60", "Melbourne", "+-1"] {
            check(wrong, None);
        }
    }
}
