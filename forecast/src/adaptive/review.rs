//! One that answers, or would like to: a forecaster, its trees, and how it did.
//!
//! A contestant is run through a history as if it had lived through it, told of the weather what
//! was known then; its errors of the newest days are what it is judged by.

use serde::Deserialize;
use serde::Serialize;

use super::memory::Memory;
use super::tape::ROWS_MIN;
use super::tape::Tape;
use crate::forecaster::Forecaster;
use crate::forecaster::Judged;
use crate::forecaster::Learned;
use crate::model::Setup;
use crate::score::CONTEST_DAYS;
use crate::score::Losses;
use crate::score::Verdict;
use crate::structure::Expert;
use crate::structure::Structure;

/// Days between two growths of trees.
const TREES_DAYS: i64 = 61;

/// See [`self`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Contestant {
    /// What answers.
    pub(super) forecaster: Forecaster,
    /// The index after the last reading of the history that it was run through.
    pub(super) end: i64,
    tape: Tape,
    /// The index from which on trees are grown anew.
    due: i64,
    /// Errors by day.
    losses: Losses,
}

/// What is known of the one that answers when it is challenged.
#[derive(Clone, Debug)]
pub(super) struct Champion {
    /// Its shape.
    pub(super) structure: Structure,
    /// Whether it has learned enough that trees can be grown and judged.
    pub(super) enough_for_trees: bool,
    /// Errors by day.
    pub(super) losses: Losses,
    /// Whether these are of forecasts that were issued, rather than of a run through the memory.
    pub(super) lived: bool,
}

impl Contestant {
    /// What has this structure, run through a history. Trees are grown before the days that would
    /// judge them.
    pub(super) fn run(setup: &Setup, structure: Structure, memory: &Memory) -> Contestant {
        let history = &memory.history;
        let day = Structure::day(setup);
        let days = history.seen.len() as i64 / day;
        let back = (2 * TREES_DAYS).min(days / 3);
        let mut contestant = Contestant {
            forecaster: Forecaster::new(setup.clone(), structure, history.first),
            end: memory.end(),
            tape: Tape::default(),
            due: history.first + history.seen.len() as i64 - back * day,
            losses: Losses::default(),
        };
        for (at, value) in history.seen.iter().enumerate() {
            memory.said(at).for_each(|said| contestant.forecaster.know(&said));
            contestant.step(f64::from(*value));
        }
        memory.said_by_now().for_each(|said| contestant.forecaster.know(&said));
        contestant
    }

    /// What is known of it when it is challenged.
    pub(super) fn champion(&self) -> Champion {
        Champion {
            structure: self.forecaster.structure().clone(),
            enough_for_trees: self.enough_for_trees(),
            losses: self.losses.clone(),
            lived: true,
        }
    }

    /// Whether trees are among its experts.
    fn has_trees(&self) -> bool {
        self.forecaster.structure().experts.contains(&Expert::Boosted)
    }

    /// Whether there is enough to grow them from and to judge them on.
    fn enough_for_trees(&self) -> bool {
        let day = self.forecaster.steps_of_day();
        self.forecaster.learned() as i64 > (ROWS_MIN as i64 * 3 / 2).max(60 * day)
    }

    /// One reading, and the trees that are due after it.
    pub(super) fn step(&mut self, value: f64) -> Option<Judged> {
        let index = self.forecaster.next();
        let trees = self.has_trees();
        let mut row: Option<(Vec<f32>, f32, f32)> = None;
        self.forecaster.observe(value, &mut |learned: Learned<'_>| {
            if trees {
                let x = learned.x.iter().map(|x| f32::from(*x)).collect();
                row = Some((x, learned.missed, learned.base));
            }
        });
        if let Some((x, missed, base)) = row {
            self.tape.note(self.forecaster.tree_row(x, index, base), missed);
        }
        if trees && index >= self.due {
            if let Some(booster) = self.tape.grow() {
                self.forecaster.boost(booster);
            }
            self.due = index + TREES_DAYS * self.forecaster.steps_of_day();
        }
        let judged = self.forecaster.take_judged();
        if let Some(judged) = &judged {
            let day = judged.index.div_euclid(self.forecaster.steps_of_day());
            self.losses.note(day, judged.loss);
        }
        judged
    }
}

impl Champion {
    /// Judges it on what a challenger is told. Where forecasts of the weather were issued again
    /// within a day, it knew more as it lived, and is run through the memory, too.
    pub(super) fn hear_alike(&mut self, setup: &Setup, memory: &Memory) {
        let days = CONTEST_DAYS as i64 + 1;
        if self.lived && memory.knew_more(memory.end() - days * Structure::day(setup)) {
            self.losses = Contestant::run(setup, self.structure.clone(), memory).losses;
            self.lived = false;
        }
    }

    /// Whether trees are among its experts.
    pub(super) fn has_trees(&self) -> bool {
        self.structure.experts.contains(&Expert::Boosted)
    }

    /// Whether a challenger would have done better over the days that both have.
    pub(super) fn loses_to(&self, challenger: &Contestant) -> Option<Verdict> {
        self.losses.lose_to(&challenger.losses)
    }
}
