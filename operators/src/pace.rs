//! How long a device takes to do what it is told, learned from its telemetry.
//!
//! A setpoint that asks for something else than the device does, and than it was asked for of late,
//! is a question; it is answered when telemetry says what was asked. A setpoint of about the same
//! power, sent again, asks nothing new: it may be an earlier one that is obeyed. One of another
//! power takes the question's place, and nothing is learned of that. Time runs in ticks. The newest
//! [`ANSWERS`] answers are kept, and nothing is said before a quarter of them are there: a device
//! is then taken to be as quick as the settings expect.
//!
//! - [`usual_ticks`](Pace::usual_ticks): half of them took no longer. Until then a command is under
//!   way, and not lost; it stands for so much longer ([`dispatch`](crate::dispatch)).
//! - [`patience_ticks`](Pace::patience_ticks): three quarters took no longer, and one tick for
//!   telemetry. After that a setpoint has failed ([`emit`](crate::emit)).
//!
//! Shares and not the longest: where messages get lost, some answers are those of the second try.
//!
//! # Bounds
//!
//! One question and [`ANSWERS`] bytes a device. An answer later than
//! [`Settings::confirm_ticks_max`] is none.

use std::collections::VecDeque;

use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::settings::Settings;

/// Answers that are kept.
pub const ANSWERS: usize = 16;

/// A question that is open.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Question {
    since: Timestamp,
    kw: f64,
}

/// See [`self`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    question: Option<Question>,
    /// What it was asked for last.
    last: Option<Question>,
    /// Ticks that the newest answers took, oldest first.
    answers: VecDeque<u8>,
}

impl Pace {
    /// At `at` it is asked for `kw`, while it does `does_kw`, where that is known.
    pub fn ask(&mut self, at: Timestamp, kw: f64, does_kw: Option<f64>, settings: &Settings) {
        let near = |other: f64| (other - kw).abs() <= settings.confirm_kw;
        let of_late = settings.confirm_ticks_max * settings.step_ms;
        let last = self.last.replace(Question { since: at, kw });
        if last.is_some_and(|last| near(last.kw) && at.0.saturating_sub(last.since.0) <= of_late) {
            return;
        }
        let asks = does_kw.is_some_and(|does_kw| !near(does_kw));
        self.question = asks.then_some(Question { since: at, kw });
    }

    /// At `at` it is known to have done `kw` at `measured_at`.
    pub fn hear(
        &mut self,
        (measured_at, at): (Timestamp, Timestamp),
        kw: f64,
        settings: &Settings,
    ) {
        let newer = |open: &Question| open.since <= measured_at && open.since < at;
        let Some(open) = self.question.filter(newer) else { return };
        let ticks = (at.0 - open.since.0).div_ceil(settings.step_ms.max(1));
        let late = ticks > settings.confirm_ticks_max;
        if !late && (kw - open.kw).abs() <= settings.confirm_kw {
            self.answers.push_back(u8::try_from(ticks).unwrap_or(u8::MAX));
            if self.answers.len() > ANSWERS {
                self.answers.pop_front();
            }
            self.question = None;
        } else if late {
            self.question = None;
        }
    }

    /// Ticks within which half of the answers came, from 1.
    pub fn usual_ticks(&self) -> u64 {
        self.within(ANSWERS / 2).unwrap_or(1)
    }

    /// Ticks after which a setpoint that is not confirmed has failed.
    pub fn patience_ticks(&self, settings: &Settings) -> u64 {
        let learned = self.within(3 * ANSWERS / 4).map_or(0, |ticks| ticks + 1);
        learned.max(settings.confirm_ticks).min(settings.confirm_ticks_max)
    }

    /// Ticks within which so many of [`ANSWERS`] came, or that share of fewer.
    fn within(&self, share: usize) -> Option<u64> {
        if self.answers.len() < ANSWERS / 4 {
            return None;
        }
        let mut answers: Vec<u8> = self.answers.iter().copied().collect();
        answers.sort_unstable();
        let place = (answers.len() * share).div_ceil(ANSWERS);
        Some(u64::from(answers[place.max(1) - 1]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tick: u64) -> Timestamp {
        Timestamp(tick * 5_000)
    }

    /// A device that is asked for another power every 20 ticks and answers so many ticks later, 0:
    /// never.
    fn device(delays: &[u64]) -> Pace {
        let (mut pace, settings) = (Pace::default(), Settings::default());
        for (n, delay) in delays.iter().enumerate() {
            let (tick, kw) = (100 + 20 * n as u64, if n % 2 == 0 { 4.0 } else { -4.0 });
            pace.ask(at(tick), kw, Some(-kw), &settings);
            for since in 1..20 {
                let does = if *delay > 0 && since >= *delay { kw } else { -kw };
                pace.hear((at(tick + since), at(tick + since)), does, &settings);
            }
        }
        pace
    }

    #[track_caller]
    fn check(delays: &[u64], usual: u64, patience: u64) {
        let (pace, settings) = (device(delays), Settings::default());
        assert_eq!((pace.usual_ticks(), pace.patience_ticks(&settings)), (usual, patience));
    }

    #[test]
    fn who_answers_at_once_has_two_ticks_and_who_has_not_spoken_too() {
        check(&[], 1, 2);
        check(&[5; 3], 1, 2);
        check(&[1; 16], 1, 2);
        check(&[0; 16], 1, 2);
    }

    #[test]
    fn the_slow_have_as_long_as_they_take_up_to_a_bound() {
        check(&[4; 4], 4, 5);
        check(&[12; 16], 12, 12);
        check(&[13; 16], 1, 2);
        check(&[4, 4, 4, 4, 4, 4, 4, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], 1, 2);
    }

    #[test]
    fn a_lost_message_in_four_makes_nobody_slow() {
        check(&[1, 1, 1, 2, 1, 1, 1, 3, 1, 1, 1, 2, 1, 1, 1, 2], 1, 2);
    }

    #[test]
    fn what_is_sent_again_is_the_same_question_and_what_it_does_anyway_is_none() {
        let (mut pace, settings) = (Pace::default(), Settings::default());
        for _ in 0..16 {
            (pace.question, pace.last) = (None, None);
            pace.ask(at(1), 4.0, Some(0.0), &settings);
            pace.ask(at(3), 4.1, Some(2.0), &settings);
            pace.hear((at(4), at(4)), 4.0, &settings);
        }
        assert_eq!(pace.usual_ticks(), 3);
        // Of late it was asked for as much: what it does now may be an answer to that.
        pace.ask(at(10), 4.0, Some(0.0), &settings);
        assert_eq!(pace.question, None);
        pace.ask(at(30), 4.0, Some(4.1), &settings);
        assert_eq!(pace.question, None);
        pace.hear((at(31), at(31)), 4.0, &settings);
        assert_eq!(pace.answers.len(), 16);
        assert!(pace.answers.iter().all(|ticks| *ticks == 3));
    }
}
