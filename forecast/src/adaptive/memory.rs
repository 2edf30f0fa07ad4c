//! What a series was, and what was known of its weather a day before.
//!
//! A forecast rests on weather as it was forecast. What was measured in the end is better, and
//! whoever is run through the past with it does better than anybody could have done. So both are
//! kept, and a contestant is told what was known when a step was a horizon ahead, and what was
//! measured when it ended. Words between the two, of later issues, are not kept; that there were
//! any is ([`Memory::knew_more`]).
//!
//! # Bounds
//!
//! Per quantity two numbers of four bytes for each step that is kept: the weather is held twice.

use std::cmp::Ordering;

use serde::Deserialize;
use serde::Serialize;

use crate::model::Said;
use crate::structure::History;

/// Hours that columns look beyond their target: weather of later ones changes nothing.
const BEYOND_HOURS: usize = 3;

/// See [`self`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    horizon: usize,
    /// Steps beyond the reading that comes with it of which weather can matter.
    reach_max: usize,

    /// Readings, and the newest word on the weather of each step.
    pub(super) history: History,
    /// By quantity: what was known of each step when it was a horizon ahead, or else what was said
    /// of it first; NaN where nothing was before it ended.
    #[serde(with = "crate::bits::nested")]
    ahead: Vec<Vec<f32>>,
    /// By quantity: the index of the reading with which its first word came.
    #[serde(default)]
    heard: Vec<Option<i64>>,
    /// Steps beyond the reading that comes with it of which words have come.
    reach: usize,
    /// The newest step of which another word came within the horizon, before it ended.
    between: Option<i64>,
}

impl Memory {
    /// Of a series whose first reading will be that of `first`, with so many quantities.
    pub(super) fn new(first: i64, quantities: usize, horizon: usize, hour: usize) -> Memory {
        let weather = vec![Vec::new(); quantities];
        Memory {
            horizon,
            reach_max: horizon + BEYOND_HOURS * hour,
            ahead: weather.clone(),
            heard: vec![None; quantities],
            history: History { first, seen: Vec::new(), weather },
            reach: horizon,
            between: None,
        }
    }

    /// The index after the newest reading.
    pub(super) fn end(&self) -> i64 {
        self.history.first + self.history.seen.len() as i64
    }

    /// Hears of more weather: so many quantities by now.
    pub(super) fn hear(&mut self, quantities: usize) {
        // What was saved before this was kept was heard from the beginning.
        self.heard.resize(self.ahead.len(), Some(self.history.first));
        self.heard.resize(quantities, None);
        self.ahead.resize(quantities, Vec::new());
        self.history.weather.resize(quantities, Vec::new());
    }

    /// The place of the reading with which the first word on a quantity came; 0 where that was
    /// before what is kept.
    fn heard(&self, quantity: usize) -> usize {
        let heard = self.heard.get(quantity).copied().flatten().unwrap_or(self.history.first);
        usize::try_from(heard - self.history.first).unwrap_or(0)
    }

    /// Steps of which a quantity was both expected and measured.
    pub(super) fn expected(&self, quantity: usize) -> usize {
        let both = self.history.weather[quantity].iter().zip(&self.ahead[quantity]);
        let over = both.take(self.history.seen.len());
        over.filter(|(weather, ahead)| weather.is_finite() && ahead.is_finite()).count()
    }

    /// Takes a word on the weather; `false` where it speaks of nothing that is kept.
    pub(super) fn know(&mut self, said: &Said) -> bool {
        let Ok(at) = usize::try_from(said.index - self.history.first) else { return false };
        let end = self.end();
        let weather = self.history.weather.get_mut(said.quantity);
        let Some((weather, ahead)) = weather.zip(self.ahead.get_mut(said.quantity)) else {
            return false;
        };
        for values in [&mut *weather, &mut *ahead] {
            if values.len() <= at {
                values.resize(at + 1, f32::NAN);
            }
        }
        weather[at] = said.value;
        let next = self.history.seen.len();
        if let Some(heard) = self.heard.get_mut(said.quantity) {
            heard.get_or_insert(end);
        }
        // What is told before the first reading is all that will ever be known of its time.
        let early = next == 0 || at >= next + self.reach;
        if early || (at > next && ahead[at].is_nan()) {
            ahead[at] = said.value;
        }
        if next > 0 && at > next {
            self.reach = self.reach.max(at - next).min(self.reach_max);
        }
        if !early && at > next && ahead[at].to_bits() != said.value.to_bits() {
            self.between = self.between.max(Some(said.index));
        }
        true
    }

    /// What became known of the weather with the reading `at` (counted from the first): what was
    /// measured of its step, if that was news, and what was said of a horizon ahead.
    pub(super) fn said(&self, at: usize) -> impl Iterator<Item = Said> + '_ {
        let issued = self.history.first + at as i64;
        let both = self.history.weather.iter().zip(&self.ahead).enumerate();
        both.flat_map(move |(quantity, (weather, ahead))| {
            // At the first reading its own step is ahead, too.
            let measured = Self::news(weather, ahead, at).filter(|_| at > 0);
            // With its first word came all that was known of it.
            let known = match at.cmp(&self.heard(quantity)) {
                Ordering::Less => 0..0,
                Ordering::Equal => at + usize::from(at > 0)..at + self.reach + 1,
                Ordering::Greater => at + self.reach..at + self.reach + 1,
            };
            let ahead = known.filter_map(move |k| Some((k, *ahead.get(k)?)));
            let all = measured.map(|value| (at, value)).into_iter().chain(ahead);
            all.filter(|(_, value)| value.is_finite()).map(move |(k, value)| {
                let index = self.history.first + k as i64;
                Said { issued, quantity, index, value }
            })
        })
    }

    /// What is known by now of the weather of steps that have not ended, where whoever was told
    /// [`Memory::said`] up to the newest reading does not know it.
    pub(super) fn said_by_now(&self) -> impl Iterator<Item = Said> + '_ {
        let (end, issued) = (self.history.seen.len(), self.end() - 1);
        let both = self.history.weather.iter().zip(&self.ahead).enumerate();
        both.flat_map(move |(quantity, (weather, ahead))| {
            let news = move |at: usize| {
                let told = at < end + self.reach && self.heard(quantity) < end;
                let value = if told { Self::news(weather, ahead, at)? } else { weather[at] };
                let index = self.history.first + at as i64;
                value.is_finite().then_some(Said { issued, quantity, index, value })
            };
            (end..weather.len()).filter_map(news)
        })
    }

    /// The newest word on a step, where it is another than was known a horizon ahead.
    fn news(weather: &[f32], ahead: &[f32], at: usize) -> Option<f32> {
        let (value, before) = (*weather.get(at)?, *ahead.get(at)?);
        (value.to_bits() != before.to_bits()).then_some(value)
    }

    /// Whether who lived through the steps from `from` on was told more of their weather than
    /// [`Memory::said`] gives: words of later issues.
    pub(super) fn knew_more(&self, from: i64) -> bool {
        self.between.is_some_and(|index| index >= from)
    }

    /// Forgets all but the newest `keep` steps, now and then.
    pub(super) fn bound(&mut self, keep: usize) {
        let History { first, seen, weather } = &mut self.history;
        if seen.len() > keep + keep / 8 {
            let gone = seen.len() - keep;
            seen.drain(..gone);
            for values in weather.iter_mut().chain(&mut self.ahead) {
                values.drain(..gone.min(values.len()));
            }
            *first += gone as i64;
        }
    }
}
