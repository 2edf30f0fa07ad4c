//! A trial: whether another shape would do better.
//!
//! It is held on a copy of all it asks, so that it can be held beside ([`Job`]) while readings go
//! on. What a person goes back to is made ready in the same way; there is nothing to judge then.

use serde::Deserialize;
use serde::Serialize;

use super::Policy;
use super::Version;
use super::memory::Memory;
use super::review::Champion;
use super::review::Contestant;
use crate::job::Job;
use crate::model::Said;
use crate::model::Setup;
use crate::structure::Expert;
use crate::structure::Structure;

/// What a trial is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Question {
    /// Whether today's shape beats the present one, and then whether trees do; with the reason.
    Review {
        why: String,
        /// Another shape is tried also where it looks the same.
        always: bool,
    },
    /// Whether trees beat the present shape.
    Trees,
    /// Nothing: the level moved by this ratio, and whoever answers has to be of the new one.
    Moved { ratio: f64 },
    /// Nothing: a person goes back to this version.
    Back { to: Box<Version> },
}

/// All that a trial asks.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) setup: Setup,
    pub(super) policy: Policy,
    pub(super) memory: Memory,
    pub(super) champion: Champion,
    pub(super) question: Question,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// Another shape was tried.
    pub(super) shaped: bool,
    /// Who won, one after the other; not yet numbered.
    pub(super) versions: Vec<Version>,
    /// The last of them.
    winner: Option<Box<Contestant>>,
}

/// Something that the winner was not there to hear.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Missed {
    Said(Said),
    Corrected { index: i64, value: f64 },
}

/// A trial that is held, with what happened meanwhile: at most what comes between two readings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Trial {
    outcome: Job<Outcome>,
    missed: Vec<Missed>,
}

impl Trial {
    /// Begins one beside.
    pub(super) fn begin(case: Case) -> Trial {
        Trial { outcome: Job::begin(move || case.decide()), missed: Vec::new() }
    }

    pub(super) fn know(&mut self, said: &Said) {
        self.missed.push(Missed::Said(*said));
    }

    pub(super) fn correct(&mut self, index: i64, value: f64) {
        self.missed.push(Missed::Corrected { index, value });
    }

    /// What came of it, and who won, who then knows what is known by now.
    pub(super) fn end(self) -> (Outcome, Option<Contestant>) {
        let mut outcome = self.outcome.answer();
        let mut winner = outcome.winner.take().map(|winner| *winner);
        if let Some(winner) = &mut winner {
            for missed in &self.missed {
                match missed {
                    Missed::Said(said) => winner.forecaster.know(said),
                    Missed::Corrected { index, value } => {
                        winner.forecaster.correct(*index, *value);
                    }
                }
            }
        }
        (outcome, winner)
    }
}

impl Case {
    /// Holds the trial.
    fn decide(mut self) -> Outcome {
        let mut outcome = Outcome::default();
        match self.question.clone() {
            Question::Review { why, always } => self.review(&why, always, &mut outcome),
            Question::Trees => self.trees(&mut outcome),
            Question::Moved { ratio } => self.moved(ratio, &mut outcome),
            Question::Back { to } => self.back(&to, &mut outcome),
        }
        outcome
    }

    /// The same, now.
    pub(super) fn decided(self) -> (Outcome, Option<Contestant>) {
        let mut outcome = self.decide();
        let winner = outcome.winner.take();
        (outcome, winner.map(|winner| *winner))
    }

    /// What would be chosen today, with trees where the present one has them.
    fn choose(&self) -> Option<Structure> {
        let mut structure = Structure::choose(&self.setup, &self.memory.history)?;
        if self.champion.has_trees() {
            structure.experts.push(Expert::Boosted);
        }
        Some(structure)
    }

    fn review(&mut self, why: &str, always: bool, outcome: &mut Outcome) {
        let Some(structure) = self.choose() else { return };
        if always || structure.differs(&self.champion.structure) {
            outcome.shaped = true;
            self.contest(structure, why, outcome);
        }
        if self.policy.trees {
            self.trees(outcome);
        }
    }

    /// Lets trees challenge where none answer yet.
    fn trees(&mut self, outcome: &mut Outcome) {
        if self.champion.has_trees() || !self.champion.enough_for_trees {
            return;
        }
        let mut structure = self.champion.structure.clone();
        structure.experts.push(Expert::Boosted);
        self.contest(structure, "trees", outcome);
    }

    fn contest(&mut self, structure: Structure, why: &str, outcome: &mut Outcome) {
        let challenger = Contestant::run(&self.setup, structure, &self.memory);
        self.champion.hear_alike(&self.setup, &self.memory);
        let Some(verdict) = self.champion.loses_to(&challenger) else { return };
        let reason =
            format!("{why}: {:.1} % less error over {} days", 100.0 * verdict.gain, verdict.days);
        let version = Version {
            loss: Some(verdict.loss),
            loss_before: Some(verdict.loss_before),
            p: Some(verdict.p),
            ..Version::of(&self.memory.history, challenger.forecaster.structure(), reason)
        };
        self.promote(challenger, version, outcome);
    }

    fn moved(&mut self, ratio: f64, outcome: &mut Outcome) {
        let Some(structure) = self.choose() else { return };
        outcome.shaped = true;
        let reason = format!("the level moved to {ratio:.2} times what it was: carried over");
        let version = Version::of(&self.memory.history, &structure, reason);
        let winner = Contestant::run(&self.setup, structure, &self.memory);
        self.promote(winner, version, outcome);
    }

    fn back(&mut self, to: &Version, outcome: &mut Outcome) {
        let winner = Contestant::run(&self.setup, to.structure.clone(), &self.memory);
        let reason = format!("rolled back to version {}", to.number);
        let version = Version::of(&self.memory.history, &to.structure, reason);
        self.promote(winner, version, outcome);
    }

    fn promote(&mut self, winner: Contestant, version: Version, outcome: &mut Outcome) {
        self.champion = winner.champion();
        self.champion.lived = false;
        outcome.versions.push(version);
        outcome.winner = Some(Box::new(winner));
    }
}
