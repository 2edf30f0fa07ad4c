//! Errors of a model by day, by which it is held against a challenger.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::Serialize;

use crate::score::Contest;
use crate::score::Rule;
use crate::score::Standing;

/// Days of errors that decide a contest.
pub const CONTEST_DAYS: usize = 56;

/// A promotion saves this share of the error at least, with this chance of luck at most, over these
/// days at least.
const RULE: Rule = Rule { gain_min: 0.02, p_max: 0.1, pairs_min: 14 };

/// Days over which errors of neighbouring days depend on each other.
const DEPENDENT_DAYS: usize = 2;

/// Sum and count of errors by day, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Losses(VecDeque<(i64, f64, u32)>);

/// Why a challenger takes over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Share of the error that it saves.
    pub gain: f64,
    /// Chance that this is luck.
    pub p: f64,
    /// Mean absolute error of the challenger, in the series' unit.
    pub loss: f64,
    /// The same of the champion.
    pub loss_before: f64,
    /// Days that decided.
    pub days: usize,
}

impl Losses {
    /// Takes the error of a target of this day, in order of time.
    pub fn note(&mut self, day: i64, loss: f64) {
        if self.0.back().is_none_or(|(last, ..)| *last != day) {
            self.0.push_back((day, 0.0, 0));
        }
        let (_, sum, count) = self.0.back_mut().expect("just pushed");
        *sum += loss;
        *count += 1;
        if self.0.len() > CONTEST_DAYS + 1 {
            self.0.pop_front();
        }
    }

    /// Days that are known.
    #[must_use]
    pub fn days(&self) -> usize {
        self.0.len()
    }

    /// Whether a challenger would have done better over the days that both have.
    #[must_use]
    pub fn lose_to(&self, challenger: &Losses) -> Option<Verdict> {
        let mut contest = Contest::new(CONTEST_DAYS, DEPENDENT_DAYS);
        let (mut loss, mut loss_before, mut days) = (0.0, 0.0, 0);
        for (day, sum, count) in &self.0 {
            let other = challenger.0.iter().find(|(other, ..)| other == day);
            let Some((_, theirs, n)) = other else { continue };
            let (mine, theirs) = (sum / f64::from(*count), theirs / f64::from(*n));
            contest.observe(mine, theirs);
            loss_before += mine;
            loss += theirs;
            days += 1;
        }
        match contest.standing(&RULE) {
            Standing::Promote { gain, p } => {
                let n = days as f64;
                Some(Verdict { gain, p, loss: loss / n, loss_before: loss_before / n, days })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Losses of so many days, each of two targets.
    fn losses(days: i64, of: fn(i64) -> f64) -> Losses {
        let mut losses = Losses::default();
        for day in 0..days {
            losses.note(day, of(day) - 0.5);
            losses.note(day, of(day) + 0.5);
        }
        losses
    }

    #[test]
    fn who_is_better_on_nearly_all_days_takes_over_and_who_is_not_does_not() {
        let old = losses(70, |day| 4.0 + (day % 5) as f64);
        let better = losses(70, |day| 3.0 + (day % 5) as f64 + (day % 3) as f64 / 2.0);
        let verdict = old.lose_to(&better).expect("it is better");
        assert_eq!(verdict.days, CONTEST_DAYS + 1);
        assert!(verdict.gain > 0.05 && verdict.p < 0.1, "{verdict:?}");
        assert!((verdict.loss_before - verdict.loss - 0.5).abs() < 0.05, "{verdict:?}");
        assert_eq!(better.lose_to(&old), None);
        let once = losses(70, |day| 4.0 + (day % 5) as f64 - if day == 60 { 4.0 } else { 0.0 });
        assert_eq!(old.lose_to(&once), None, "a lucky day");
        assert_eq!(losses(10, |_| 4.0).lose_to(&losses(10, |day| 1.0 + day as f64 / 9.0)), None);
    }
}
