//! What a median is made of, in words.
//!
//! Each model, rule and guess gives **parts** in kW that add up to what it says. What is issued may
//! differ: reconciliation over the tree moves it, within the feeder and from above. That is the
//! part `tree`, which stands last, and is known last: so the words travel with the sum that they
//! explain.

use crate::forecast::rule::Point;

/// What a median is made of: names with kW that add up to it.
pub type Parts = Vec<(&'static str, f64)>;

/// The coming hours, and what each median is made of.
pub type Explained = (Vec<Point>, Vec<Parts>);

/// The name of what was announced of a node.
pub const ANNOUNCED: &str = "announced";

/// What is kept of each part when it is written: a hundredth of a kW.
fn hundredths(kw: f64) -> i64 {
    (kw * 100.0).round() as i64
}

/// Writes a part. Digit by digit: thousands of nodes say a dozen parts of 24 hours each quarter,
/// and formatters take five times as long.
fn write_kw(words: &mut String, (name, kw): (&str, i64), sign: &str) {
    let mut digits = [b'0'; 24];
    let (mut from, mut left) = (digits.len(), kw.unsigned_abs());
    while left > 0 || from > digits.len() - 4 {
        from -= 1;
        if from == digits.len() - 3 {
            digits[from] = b'.';
            continue;
        }
        digits[from] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    words.push_str(name);
    words.push_str(if kw < 0 { " -" } else { sign });
    words.push_str(std::str::from_utf8(&digits[from..]).expect("digits are ASCII"));
}

/// The parts in kW, the largest first, without those that round to nothing; one is always there.
pub fn words(parts: &[(&'static str, f64)]) -> String {
    let mut parts: Vec<(&str, i64)> =
        parts.iter().map(|(name, kw)| (*name, hundredths(*kw))).collect();
    parts.sort_by_key(|(_, kw)| std::cmp::Reverse(kw.unsigned_abs()));
    let mut words = String::with_capacity(24 * parts.len());
    for (at, part) in parts.into_iter().enumerate() {
        if at == 0 {
            write_kw(&mut words, part, " ");
        } else if part.1 != 0 {
            words.push_str(", ");
            write_kw(&mut words, part, " +");
        }
    }
    words
}

/// The words for `words_kw`, and what the tree added where the median is `p50_kw`.
pub fn with_tree(mut words: String, words_kw: f64, p50_kw: f64) -> String {
    let tree = hundredths(p50_kw - words_kw);
    if tree != 0 {
        words.push_str(", ");
        write_kw(&mut words, ("tree", tree), " +");
    }
    words
}

/// The sum of parts in kW.
pub fn sum(parts: &[(&'static str, f64)]) -> f64 {
    parts.iter().map(|(_, kw)| kw).sum()
}

/// Adds kW to the part of a name.
pub fn add(parts: &mut Parts, name: &'static str, kw: f64) {
    match parts.iter_mut().find(|(other, _)| *other == name) {
        Some((_, sum)) => *sum += kw,
        None => parts.push((name, kw)),
    }
}

/// What words say, added up: for tests that hold them against the median.
#[cfg(test)]
pub(crate) fn added_up(words: &str) -> f64 {
    let kw = |part: &str| part.rsplit(' ').next().and_then(|kw| kw.parse::<f64>().ok());
    words.split(", ").map(|part| kw(part).unwrap_or_else(|| panic!("no kW in {words}"))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(parts: &[(&'static str, f64)], p50_kw: f64, expected: &str) {
        let found = with_tree(words(parts), sum(parts), p50_kw);
        assert_eq!(found, expected);
    }

    #[test]
    fn the_largest_is_first_and_what_rounds_to_nothing_is_left_out() {
        let parts = [("weekday", -0.3), ("level", 5.214), ("trees", 0.004), ("holiday", 0.3)];
        check(&parts, 5.218, "level 5.21, weekday -0.30, holiday +0.30");
    }

    #[test]
    fn what_the_tree_added_is_last() {
        check(&[("level", -2.0), ("season", 1.0)], 4.0, "level -2.00, season +1.00, tree +5.00");
        check(&[("level", 12345.678)], 12345.6, "level 12345.68, tree -0.08");
    }

    #[test]
    fn numbers_are_written_as_a_formatter_would() {
        for hundredths in (0..2_000).chain([99_999, 100_000, 123_456_789, i64::MAX]) {
            let mut words = String::new();
            write_kw(&mut words, ("a", -hundredths), " +");
            let sign = if hundredths == 0 { "+" } else { "-" };
            let expected = format!("a {sign}{}.{:02}", hundredths / 100, hundredths % 100);
            assert_eq!(words, expected);
        }
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        check(&[("announced", -0.0)], 0.001, "announced 0.00");
    }
}
