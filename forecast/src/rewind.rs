//! A model whose past may still change: told again from where it changed.
//!
//! A plant's model has no sums that a corrected reading could be taken out of. So there are three
//! of it, at three places of one past:
//!
//! ```text
//!  ──────────── settled ───────────────────────────── near ──── now
//!               REACH steps back                 NEAR steps back
//! ```
//!
//! What comes a few steps late is told again from `near`, what comes days late from `settled`,
//! beyond which nothing changes any more. The past itself, readings and words about the weather
//! as they came, is the caller's ([`Past`]).
//!
//! # Invariants
//!
//! Once [`Rewind::work`] says that it is done, the newest model is, to the bit, the one that would
//! have been told the readings as they are now from the beginning, and the words when they came.
//! While there is work, the model before goes on answering.
//!
//! # Bounds
//!
//! Three models; a correction costs [`REACH`] steps at most, in portions of the caller's choice.

use serde::Deserialize;
use serde::Serialize;

use crate::model::Model;
use crate::model::Outlook;

/// Steps behind the newest within which a reading may still be corrected: fifteen days of hours.
pub const REACH: i64 = 15 * 24;

/// Steps behind the newest from which little is told again.
///
/// More, and what comes a minute late costs more steps; fewer, and what comes hours late is told
/// again from fifteen days back.
pub const NEAR: i64 = 6;

const _: () = assert!(NEAR < REACH);

/// What a model was told, and is told again.
pub trait Past<M> {
    /// Tells it what became known with the reading of this index, and the reading.
    fn tell(&self, model: &mut M, index: i64);
}

/// A model at a place: the index of the next reading that it is to be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Placed<M> {
    model: M,
    at: i64,
}

impl<M> Placed<M> {
    fn step(&mut self, past: &impl Past<M>) {
        past.tell(&mut self.model, self.at);
        self.at += 1;
    }
}

/// See [`self`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rewind<M> {
    settled: Placed<M>,
    near: Option<Placed<M>>,
    now: Option<Placed<M>>,
    /// Whether the newest was told something that has changed.
    stale: bool,
}

impl<M: Model + Clone> Rewind<M> {
    /// A model that is still to be told all, from the reading `first` on.
    pub fn new(model: M, first: i64) -> Rewind<M> {
        Rewind { settled: Placed { model, at: first }, near: None, now: None, stale: true }
    }

    /// The next reading has become known, the one before `end`. A model that answers takes it at
    /// once.
    pub fn step(&mut self, past: &impl Past<M>, end: i64) {
        if self.settled.at < end - REACH {
            self.settled.step(past);
        }
        if let Some(near) = self.near.as_mut().filter(|near| near.at < end - NEAR) {
            near.step(past);
        }
        if let Some(now) = self.now.as_mut().filter(|now| now.at < end) {
            now.step(past);
        }
    }

    /// A reading is otherwise now; `false` where that is too long ago to change anything.
    pub fn correct(&mut self, index: i64) -> bool {
        if index < self.settled.at {
            return false;
        }
        if self.near.as_ref().is_some_and(|near| index < near.at) {
            self.near = None;
        }
        self.stale |= self.now.as_ref().is_some_and(|now| index < now.at);
        true
    }

    /// Whether there is nothing to do: the newest model knows the past as it is.
    pub fn is_done(&self) -> bool {
        !self.stale
    }

    /// Tells what is to be told, `budget` steps at most (and [`NEAR`] more), which are taken from
    /// it; `true` when all is told. `end` is the index after the newest reading.
    pub fn work(&mut self, past: &impl Past<M>, end: i64, budget: &mut usize) -> bool {
        if !self.stale {
            return true;
        }
        while self.settled.at < end - REACH {
            if !spend(budget) {
                return false;
            }
            self.settled.step(past);
        }
        let near = self.near.get_or_insert_with(|| self.settled.clone());
        while near.at < end - NEAR {
            if !spend(budget) {
                return false;
            }
            near.step(past);
        }
        if *budget == 0 {
            return false;
        }
        let mut now = near.clone();
        *budget = budget.saturating_sub((end - now.at).max(0) as usize);
        while now.at < end {
            now.step(past);
        }
        self.now = Some(now);
        self.stale = false;
        true
    }

    /// The first index that may still be corrected.
    pub fn from(&self) -> i64 {
        self.settled.at
    }

    /// The newest model, where it was ever told all.
    pub fn model(&self) -> Option<&M> {
        self.now.as_ref().map(|now| &now.model)
    }

    /// What the newest model says; `None` before it was told all.
    pub fn outlook(&mut self) -> Option<Outlook> {
        self.now.as_mut().map(|now| now.model.outlook())
    }
}

fn spend(budget: &mut usize) -> bool {
    let some = *budget > 0;
    *budget = budget.saturating_sub(1);
    some
}
