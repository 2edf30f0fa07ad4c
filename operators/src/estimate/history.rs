//! What points and switches said, by event time: so that a tick can be seen as it is known now.
//!
//! **Invariant:** which value is the latest of a point at an instant follows from what came, not
//! from the order in which it came.
//!
//! # Bounds
//!
//! What was said since [`History::forget`] was told, and of each point and switch one word before.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

/// What stands for something that is no number: nothing that is measured comes near it, and unlike
/// NaN it can be kept and compared.
pub const NO_NUMBER: f64 = f64::MAX;

/// A value of a point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// The value.
    pub value: f64,
    /// Counts corrections.
    pub revision: i64,
    /// Of an angle the frequency at that instant in Hz.
    pub frequency_hz: Option<f64>,
}

/// The time during which something new is the latest word: from, and until, where another follows.
pub type Span = (u64, Option<u64>);

/// What was said, by point or switch and event time in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    values: BTreeMap<String, BTreeMap<u64, Said>>,
    positions: BTreeMap<String, BTreeMap<u64, bool>>,
}

impl History {
    /// Notes a value. Gives the time during which it is the latest; nothing if it was known, or has
    /// been corrected. What is no number is kept as [`NO_NUMBER`].
    pub fn value(&mut self, point: &str, at_ms: u64, said: Said) -> Option<Span> {
        let number = if said.value.is_finite() { said.value } else { NO_NUMBER };
        let said = Said { value: number, ..said };
        let of_point = match self.values.get_mut(point) {
            Some(of_point) => of_point,
            None => self.values.entry(point.to_owned()).or_default(),
        };
        if let Some(known) = of_point.get(&at_ms) {
            // Of two values with one number the greater stands, so that order does not matter.
            let newer = (said.revision, said.value) > (known.revision, known.value);
            if !newer {
                return None;
            }
        }
        of_point.insert(at_ms, said);
        Some((at_ms, of_point.range(at_ms + 1..).next().map(|(next, _)| *next)))
    }

    /// Notes where a switch stands; gives the time during which that is the latest word, if it is
    /// news: a switch that repeats where it stood is none.
    pub fn position(&mut self, switch: &str, at_ms: u64, closed: bool) -> Option<Span> {
        let of_switch = self.positions.entry(switch.to_owned()).or_default();
        let stood = of_switch.range(..=at_ms).next_back().map(|(_, closed)| *closed);
        of_switch.insert(at_ms, closed);
        if stood == Some(closed) {
            return None;
        }
        Some((at_ms, of_switch.range(at_ms + 1..).next().map(|(next, _)| *next)))
    }

    /// The latest word of a point before an instant, with its event time.
    pub fn latest(&self, point: &str, before_ms: u64) -> Option<(u64, Said)> {
        let (at, said) = self.values.get(point)?.range(..before_ms).next_back()?;
        Some((*at, *said))
    }

    /// What is kept of a point, by event time.
    pub fn values(&self, point: &str) -> impl Iterator<Item = (u64, Said)> + '_ {
        let of_point = self.values.get(point).into_iter().flatten();
        of_point.map(|(at, said)| (*at, *said))
    }

    /// The first word of a switch after an instant, with its event time.
    pub fn next_position(&self, switch: &str, after_ms: u64) -> Option<(u64, bool)> {
        let mut later = self.positions.get(switch)?.range(after_ms.saturating_add(1)..);
        later.next().map(|(at, closed)| (*at, *closed))
    }

    /// What is kept of a switch, by event time.
    pub fn positions(&self, switch: &str) -> impl Iterator<Item = (u64, bool)> + '_ {
        let of_switch = self.positions.get(switch).into_iter().flatten();
        of_switch.map(|(at, closed)| (*at, *closed))
    }

    /// Forgets what lies before an instant, but for the last word before it.
    pub fn forget(&mut self, before_ms: u64) {
        self.values.values_mut().for_each(|of| forget(of, before_ms));
        self.positions.values_mut().for_each(|of| forget(of, before_ms));
    }
}

fn forget<T>(words: &mut BTreeMap<u64, T>, before_ms: u64) {
    let Some(last) = words.range(..before_ms).next_back().map(|(at, _)| *at) else { return };
    while words.first_key_value().is_some_and(|(first, _)| *first < last) {
        words.pop_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(value: f64) -> Said {
        Said { value, revision: 0, frequency_hz: None }
    }

    fn latest(history: &History, before_ms: u64) -> Option<(u64, f64)> {
        history.latest("p", before_ms).map(|(at, said)| (at, said.value))
    }

    #[test]
    fn a_late_value_stands_until_the_next_one() {
        let mut history = History::default();
        assert_eq!(history.value("p", 10, said(1.0)), Some((10, None)));
        assert_eq!(history.value("p", 30, said(3.0)), Some((30, None)));
        assert_eq!(history.value("p", 20, said(2.0)), Some((20, Some(30))));
        assert_eq!(latest(&history, 30), Some((20, 2.0)));
        assert_eq!(latest(&history, 31), Some((30, 3.0)));
        assert_eq!(latest(&history, 10), None);
    }

    #[test]
    fn what_is_known_is_no_news_and_a_correction_is() {
        let mut history = History::default();
        history.value("p", 10, said(1.0));
        assert_eq!(history.value("p", 10, said(1.0)), None);
        let corrected = Said { revision: 1, ..said(0.5) };
        assert_eq!(history.value("p", 10, corrected), Some((10, None)));
        assert_eq!(history.value("p", 10, said(9.0)), None);
        assert_eq!(latest(&history, 11), Some((10, 0.5)));
        history.value("p", 20, said(f64::NAN));
        assert_eq!(latest(&history, 21), Some((20, NO_NUMBER)));
    }

    #[test]
    fn the_last_word_before_the_history_is_kept() {
        let mut history = History::default();
        for at in [10, 20, 30] {
            history.value("p", at, said(at as f64));
        }
        history.forget(25);
        assert_eq!(latest(&history, 20), None);
        assert_eq!(latest(&history, 25), Some((20, 20.0)));
        history.forget(1_000);
        assert_eq!(latest(&history, 1_000), Some((30, 30.0)));
    }

    #[test]
    fn a_switch_that_repeats_where_it_stands_is_no_news() {
        let mut history = History::default();
        assert_eq!(history.position("s", 20, true), Some((20, None)));
        assert_eq!(history.position("s", 20, true), None);
        assert_eq!(history.position("s", 10, false), Some((10, Some(20))));
        let kept: Vec<(u64, bool)> = history.positions("s").collect();
        assert_eq!(kept, [(10, false), (20, true)]);
    }
}
