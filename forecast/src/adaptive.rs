//! A forecaster that chooses its own shape, is watched, and is replaced by a better one.
//!
//! It keeps the history of its series. The first time it is asked, it chooses a [`Structure`], runs
//! a [`Forecaster`] through the history, and is up to date; from then on a reading costs one step.
//! Once a month, and when the [`Watch`] says that errors have grown, it holds a **review**: what
//! would be chosen today is run through the same history as a challenger, with trees and without,
//! and takes over where it would have done better over the last
//! [`CONTEST_DAYS`](crate::score::CONTEST_DAYS) days by a paired test. So a model that is more
//! complicated has to earn it. Both are judged on the weather as it was known a day ahead.
//!
//! Weather may begin later than the series ([`Adaptive::hear`]): a review that has [`HEARD_DAYS`]
//! of it may choose it. What was before says nothing of what it does.
//!
//! Every version that began to answer is told once, as a [`Version`]: from its structure and the
//! history, it can be had again to the bit.
//!
//! A review takes long: the whole history once or twice, and trees. By [`Policy::beside`] it is
//! held beside, on a copy, and the next reading's step asks what came of it. The answer is the same
//! as that of a review held at once; the one who answered before answers until then.
//!
//! Readings that are frozen or absurd are set aside, with the reason, also where they are corrected
//! to such; a level that moved for good is told, and what was learned at the old one is carried
//! over.
//!
//! # Bounds
//!
//! The history of [`HISTORY_DAYS`], its weather twice; rows for trees of the same time where trees
//! answer; the structures of the version that answers and of [`VERSIONS_KEPT`] before it.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::Serialize;

use crate::drift::Alert;
use crate::drift::AlertKind;
use crate::drift::Outcome;
use crate::drift::Told;
use crate::drift::Watch;
use crate::forecaster::Forecaster;
use crate::forecaster::Judged;
use crate::forecaster::explain::Parts;
use crate::model::Model;
use crate::model::Outlook;
use crate::model::Quantity;
use crate::model::Said;
use crate::model::Setup;
use crate::quality::Quality;
use crate::quality::Verdict;
use crate::structure::Expert;
use crate::structure::HEARD_DAYS;
use crate::structure::History;
use crate::structure::Structure;

mod levels;
mod memory;
mod review;
mod tape;
mod trial;

use self::levels::Levels;
use self::levels::Move;
use self::memory::Memory;
use self::review::Contestant;
use self::trial::Case;
use self::trial::Outcome as Came;
use self::trial::Question;
use self::trial::Trial;

/// Days of history that are kept: three years, so that each season was there more than once.
pub const HISTORY_DAYS: i64 = 1_100;

/// Days between two reviews.
pub const REVIEW_DAYS: i64 = 30;

/// Why a review is held when nothing happened.
const MONTHLY: &str = "a monthly review";

/// Why a review is held when weather that began later than the model was heard for long enough.
const HEARD: &str = "weather that began later";

/// Why a version answers that was taken up.
const TAKEN_UP: &str = "taken up from its record";

/// Days after which another shape is tried even where it looks the same: limits of hinges and the
/// scale move a little each month.
const RESHAPE_DAYS: i64 = 180;

/// Days at a new level before a shape for it is looked for.
const MOVED_DAYS: i64 = 14;

/// Versions that one can go back to, beside the one that answers.
pub const VERSIONS_KEPT: usize = 4;

/// Days back in which accepted readings are looked for that a corrected one is judged by.
const JUDGED_BY_DAYS: i64 = 7;

/// Readings that were set aside and are remembered with the reason.
const ASIDE_KEPT: usize = 200;

/// How it may change itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Whether trees may challenge.
    pub trees: bool,
    /// Whether it is reviewed at all after its first version.
    pub reviews: bool,
    /// Whether readings are screened: what is frozen or an outlier is not learned from.
    pub screen: bool,
    /// Whether reviews are held beside, and take effect with the next reading.
    pub beside: bool,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy { trees: true, reviews: true, screen: true, beside: false }
    }
}

/// A version that began to answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// From 1.
    pub number: u32,
    /// `ridge`, or `ridge+trees`.
    pub model: String,
    /// The index of the newest reading that it had seen.
    pub origin: i64,
    /// The first reading that it has learned from.
    pub from: i64,
    /// Its shape.
    pub structure: Structure,
    /// Mean absolute error over the days that decided, where it was a challenger.
    pub loss: Option<f64>,
    /// The same of the one that it replaced.
    pub loss_before: Option<f64>,
    /// Chance that the difference is luck.
    pub p: Option<f64>,
    /// Why it began to answer.
    pub reason: String,
}

/// See [`self`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Adaptive {
    setup: Setup,
    policy: Policy,

    memory: Memory,
    quality: Quality,
    levels: Levels,
    /// In order of time.
    aside: VecDeque<(i64, Verdict)>,
    champion: Option<Contestant>,
    watch: Watch,
    /// The one that answers, the newest, and those that one can go back to.
    versions: VecDeque<Version>,
    pinned: bool,
    /// By how many versions a person goes back, while that is made ready.
    #[serde(default)]
    going_back: usize,
    /// The index from which on a review is due.
    due: i64,
    /// Whether the next review was asked for by the watch.
    asked: bool,
    /// Quantities of the setup that no review could choose yet, in order.
    #[serde(default)]
    unheard: Vec<usize>,
    /// Whether the next review was asked for by one of these.
    #[serde(default)]
    heard: bool,
    /// A shift of the level that was just found.
    shifted: Option<Move>,
    /// The index at which a new shape was last tried.
    shaped: i64,
    news: Vec<Version>,
    alerts: Vec<Alert>,
    doubts: Vec<(i64, Verdict)>,
    told: Told,
    /// A review that is held beside.
    trial: Option<Trial>,
}

impl Version {
    /// A version of this shape from this history, not yet numbered.
    fn of(history: &History, structure: &Structure, reason: String) -> Version {
        let trees = structure.experts.contains(&Expert::Boosted);
        Version {
            number: 0,
            model: if trees { "ridge+trees" } else { "ridge" }.to_owned(),
            origin: history.first + history.seen.len() as i64 - 1,
            from: history.first,
            structure: structure.clone(),
            loss: None,
            loss_before: None,
            p: None,
            reason,
        }
    }
}

impl Adaptive {
    /// A series of which nothing is known; its first reading will be that of `first`.
    pub fn new(setup: Setup, first: i64, policy: Policy) -> Adaptive {
        let hour = (Structure::day(&setup) / 24).max(1) as usize;
        Adaptive {
            quality: Quality::new(setup.step_ms),
            memory: Memory::new(first, setup.quantities.len(), setup.horizon, hour),
            setup,
            policy,
            levels: Levels::default(),
            aside: VecDeque::new(),
            champion: None,
            watch: Watch::new(crate::drift::Settings::default()),
            versions: VecDeque::new(),
            pinned: false,
            going_back: 0,
            due: i64::MAX,
            asked: false,
            unheard: Vec::new(),
            heard: false,
            shaped: first,
            shifted: None,
            news: Vec::new(),
            alerts: Vec::new(),
            doubts: Vec::new(),
            told: Told::default(),
            trial: None,
        }
    }

    /// The forecaster that answers, where there is one already.
    pub fn forecaster(&self) -> Option<&Forecaster> {
        self.champion.as_ref().map(|champion| &champion.forecaster)
    }

    /// The version that answers.
    pub fn version(&self) -> Option<&Version> {
        self.versions.back()
    }

    /// Versions that began to answer since this was last asked.
    pub fn take_versions(&mut self) -> Vec<Version> {
        std::mem::take(&mut self.news)
    }

    /// Alerts since this was last asked.
    pub fn take_alerts(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.alerts)
    }

    /// Readings that are in doubt since this was last asked: the first of each run that was set
    /// aside for one reason, and levels that moved.
    pub fn take_doubts(&mut self) -> Vec<(i64, Verdict)> {
        std::mem::take(&mut self.doubts)
    }

    /// Readings that were set aside of late, with the reason.
    pub fn aside(&self) -> impl Iterator<Item = &(i64, Verdict)> {
        self.aside.iter()
    }

    /// Holds on to the version that answers, until it is told otherwise.
    pub fn pin(&mut self, pinned: bool) {
        self.pinned = pinned;
    }

    /// Goes back to the version before, and holds on to it; `false` where there is none. The one
    /// that is left is no version to go back to any more: twice is two versions back. By
    /// [`Policy::beside`] it is made ready beside, in the place of a review that is under way,
    /// until the next reading or [`Adaptive::turn_back`].
    pub fn roll_back(&mut self) -> bool {
        let steps = self.going_back + 1;
        let Some(before) = self.versions.iter().rev().nth(steps).cloned() else { return false };
        self.going_back = steps;
        self.pinned = true;
        self.ask(Question::Back { to: Box::new(before) });
        true
    }

    /// Lets the version answer that a person goes back to: waits for it where it is not ready.
    pub fn turn_back(&mut self) {
        if self.going_back > 0
            && let Some(trial) = self.trial.take()
        {
            self.settle(trial.end());
        }
    }

    /// The version that answers, or the one that a person has gone back to and that will.
    pub fn version_in_force(&self) -> Option<&Version> {
        self.versions.iter().rev().nth(self.going_back)
    }

    /// Goes back by so many versions.
    fn went_back(&mut self, steps: usize, came: Came, contestant: Option<Contestant>) {
        let left = self.versions.back().map_or(0, |version| version.number);
        self.versions.truncate(self.versions.len().saturating_sub(steps + 1));
        self.champion = contestant;
        came.versions.into_iter().for_each(|again| self.number(left + 1, again));
    }

    /// Takes up a version from its record, and holds on to it: its structure is run through all
    /// that was told so far. Told what the version was told, up to its window's end and from there
    /// on, it says what the version said, to the bit, as long as the level does not move.
    pub fn take_up(&mut self, structure: Structure) {
        let version = Version::of(&self.memory.history, &structure, TAKEN_UP.to_owned());
        let contestant = self.contestant(structure);
        self.adopt(contestant, version);
        (self.due, self.shaped, self.pinned) = (self.end(), self.end(), true);
    }

    /// Puts the next review off by some steps: of many series that began together, not all should
    /// be reviewed at one time.
    pub fn defer(&mut self, steps: i64) {
        self.due = self.due.saturating_add(steps);
    }

    /// Hears of more weather than the setup said: `quantities` are all that there are by now, those
    /// that are known first. Who answers goes on; a review can choose the new ones as soon as they
    /// were heard for [`HEARD_DAYS`], and is then held within a week.
    pub fn hear(&mut self, quantities: &[Quantity]) {
        let known = self.setup.quantities.len();
        if quantities.len() <= known {
            return;
        }
        self.setup.quantities.extend_from_slice(&quantities[known..]);
        self.memory.hear(quantities.len());
        if let Some(champion) = &mut self.champion {
            champion.forecaster.hear(quantities);
            self.unheard.extend(known..quantities.len());
        }
    }

    /// How many weather quantities it hears.
    pub fn hears(&self) -> usize {
        self.setup.quantities.len()
    }

    /// Other days are holidays than the setup said; see [`Forecaster::keep_holidays`]. The next
    /// review looks at the whole history by them.
    pub fn keep_holidays(&mut self, days: &std::collections::BTreeSet<i64>) {
        self.setup.holidays.clone_from(days);
        if let Some(champion) = &mut self.champion {
            champion.forecaster.keep_holidays(days);
        }
    }

    /// What the forecast of the step `at` is made of; see [`Forecaster::explain`].
    pub fn explain(&mut self, at: usize) -> std::collections::BTreeMap<crate::feature::Group, f64> {
        self.begin();
        self.champion.as_mut().map(|c| c.forecaster.explain(at)).unwrap_or_default()
    }

    /// What the forecast of each step is made of; see [`Forecaster::parts`].
    pub fn parts(&mut self) -> Vec<Parts> {
        self.begin();
        self.champion.as_mut().map(|c| c.forecaster.parts()).unwrap_or_default()
    }

    /// The index after the newest reading.
    pub fn end(&self) -> i64 {
        self.memory.end()
    }

    /// Corrects a reading that came before: late, or restated; NaN: it is taken back. It is
    /// screened as a new one is. `false` where it is not there, or older than the model can still
    /// change; the history holds it all the same, and the next review sees it.
    pub fn correct(&mut self, index: i64, value: f64) -> bool {
        let at = usize::try_from(index - self.memory.history.first).ok();
        let Some(at) = at.filter(|at| *at < self.memory.history.seen.len()) else { return false };
        let value = if self.policy.screen { self.screened_again(index, value) } else { value };
        let held = self.levels.carried(index, value, self.end());
        self.memory.history.seen[at] = held as f32;
        if let Some(trial) = &mut self.trial {
            trial.correct(index, held);
        }
        let Some(champion) = &mut self.champion else { return true };
        let value = self.levels.carried(index, value, champion.end);
        champion.forecaster.correct(index, value)
    }

    fn steps_of_day(&self) -> i64 {
        Structure::day(&self.setup)
    }

    /// Runs what has this structure through the history.
    fn contestant(&self, structure: Structure) -> Contestant {
        Contestant::run(&self.setup, structure, &self.memory)
    }

    /// Chooses the first structure, where that can be done.
    fn begin(&mut self) {
        if self.champion.is_some() {
            return;
        }
        let Some(structure) = Structure::choose(&self.setup, &self.memory.history) else { return };
        let contestant = self.contestant(structure.clone());
        let reason = "the first with enough history".to_owned();
        self.adopt(contestant, Version::of(&self.memory.history, &structure, reason));
        if self.policy.trees {
            self.ask(Question::Trees);
        }
        self.due = self.end() + REVIEW_DAYS * self.steps_of_day();
        self.shaped = self.end();
    }

    fn adopt(&mut self, contestant: Contestant, version: Version) {
        let (all, day) = (0..self.setup.quantities.len(), self.steps_of_day());
        self.unheard = all.filter(|q| !self.memory.history.heard(*q, day)).collect();
        self.champion = Some(contestant);
        self.tell(version);
    }

    fn tell(&mut self, version: Version) {
        self.number(self.versions.back().map_or(1, |last| last.number + 1), version);
    }

    /// Tells a version by its number.
    fn number(&mut self, number: u32, version: Version) {
        let version = Version { number, origin: self.end() - 1, ..version };
        self.news.push(version.clone());
        self.versions.push_back(version);
        if self.versions.len() > VERSIONS_KEPT + 1 {
            self.versions.pop_front();
        }
    }

    /// Lets the champion of today's history, with trees and without, challenge the one that
    /// answers.
    fn review(&mut self, why: &str) {
        self.due = self.end() + REVIEW_DAYS * self.steps_of_day();
        if !self.pinned && self.policy.reviews {
            let old = self.end() - self.shaped > RESHAPE_DAYS * self.steps_of_day();
            let always = old || ![MONTHLY, HEARD].contains(&why);
            self.ask(Question::Review { why: why.to_owned(), always });
        }
    }

    /// Has a review within a week where one can choose weather that it could not before: by whole
    /// weeks earlier, so that of many series that hear of it at once not all are reviewed at once.
    fn listen(&mut self) {
        let day = self.steps_of_day();
        if self.unheard.is_empty() || self.end() % day != 0 {
            return;
        }
        let enough = |q: &usize| self.memory.expected(*q) as i64 >= HEARD_DAYS * day;
        let (now, later): (Vec<usize>, Vec<usize>) = self.unheard.iter().partition(|q| enough(q));
        self.unheard = later;
        if !now.is_empty() {
            let weeks = (self.due - self.end()).max(0) / (7 * day);
            self.due -= weeks * 7 * day;
            self.heard = true;
        }
    }

    /// Holds a trial, or begins it.
    fn ask(&mut self, question: Question) {
        let Some(champion) = &self.champion else { return };
        let case = Case {
            setup: self.setup.clone(),
            policy: self.policy,
            memory: self.memory.clone(),
            champion: champion.champion(),
            question,
        };
        if self.policy.beside {
            self.trial = Some(Trial::begin(case));
        } else {
            self.settle(case.decided());
        }
    }

    /// Does what came of a trial. What a person holds on to stays.
    fn settle(&mut self, (came, mut winner): (Came, Option<Contestant>)) {
        if let Some(winner) = &mut winner {
            // It was run by the days off and the weather that were known when the trial began.
            winner.forecaster.keep_holidays(&self.setup.holidays);
            winner.forecaster.hear(&self.setup.quantities);
        }
        match std::mem::take(&mut self.going_back) {
            0 if self.pinned => return,
            0 => {}
            steps => return self.went_back(steps, came, winner),
        }
        if came.shaped {
            self.shaped = self.end();
        }
        if winner.is_some() {
            self.champion = winner;
        }
        came.versions.into_iter().for_each(|version| self.tell(version));
    }

    /// Looks at what became of a forecast.
    fn look(&mut self, judged: &Judged) {
        let week = judged.index - 7 * self.steps_of_day() - self.memory.history.first;
        let naive = usize::try_from(week).ok().and_then(|at| self.memory.history.seen.get(at));
        let outcome = Outcome {
            at_ms: judged.index * self.setup.step_ms,
            actual: judged.actual,
            forecast: judged.forecast,
            naive: naive.map(|value| f64::from(*value)).filter(|value| value.is_finite()),
            band: Some(judged.band),
            leverage: Some(judged.leverage),
        };
        let alerts = self.watch.observe(&outcome);
        if alerts.iter().any(|alert| alert.retrain) {
            // Not before the contest has something to judge the new shape on.
            self.due = self.due.min(self.end() + self.steps_of_day());
            self.asked = true;
        }
        if alerts.iter().any(|alert| alert.kind == AlertKind::Bias) {
            // The series may have moved: another shape can be judged once it was there for a while.
            self.due = self.due.min(self.end() + MOVED_DAYS * self.steps_of_day());
            self.asked = true;
        }
        self.alerts.extend(alerts.into_iter().filter(|alert| self.told.is_new(alert)));
    }

    fn screened(&mut self, index: i64, value: f64) -> f64 {
        if !self.policy.screen {
            return value;
        }
        let known = value.is_finite().then_some(value);
        let verdict = self.quality.observe(index * self.setup.step_ms, known);
        if let Verdict::LevelShift { since_ms, size, ratio } = verdict {
            let since = since_ms / self.setup.step_ms;
            self.shifted = Some(Move { since, told: index + 1, size, ratio });
        }
        self.doubt(index, verdict);
        if verdict.learns() || verdict == Verdict::Missing {
            return value;
        }
        self.set_aside(index, verdict);
        f64::NAN
    }

    /// The same of a reading that came before, by what is known now. One that was set aside stays
    /// so until it is corrected to what could be.
    fn screened_again(&mut self, index: i64, value: f64) -> f64 {
        let place = self.aside.iter().position(|(at, _)| *at == index);
        let before = place.and_then(|place| self.aside.remove(place)).map(|(_, before)| before);
        let verdict = match before {
            _ if !value.is_finite() => return value,
            Some(frozen @ Verdict::Frozen { value: stuck, .. }) if stuck == value => frozen,
            _ => self.judged_again(index, value),
        };
        if verdict.learns() {
            return value;
        }
        if before.is_none() {
            self.doubt(index, verdict);
        }
        self.set_aside(index, verdict);
        f64::NAN
    }

    /// What a reading that came before is, by those that were accepted right before it.
    fn judged_again(&self, index: i64, value: f64) -> Verdict {
        let History { first, seen, .. } = &self.memory.history;
        let (levels, step_ms) = (&self.levels, self.setup.step_ms);
        let earliest = (index - JUDGED_BY_DAYS * self.steps_of_day()).max(*first);
        let before = (earliest..index).rev().filter_map(|at| {
            let held = f64::from(*seen.get((at - first) as usize)?);
            held.is_finite().then(|| (at * step_ms, levels.now(at, held)))
        });
        let now = levels.now(index, levels.carried(index, value, self.end()));
        self.quality.judge_again(index * step_ms, now, before)
    }

    /// Tells what is in doubt: the first of a run.
    fn doubt(&mut self, index: i64, verdict: Verdict) {
        let kind = std::mem::discriminant(&verdict);
        let before = self.aside.iter().rev().find(|(at, _)| *at < index);
        let before = before.filter(|(at, _)| *at + 1 == index);
        let goes_on = before.is_some_and(|(_, before)| std::mem::discriminant(before) == kind);
        // A past that is told again was told when it was the present.
        let present = self.champion.is_some();
        if present && !matches!(verdict, Verdict::Good | Verdict::Missing) && !goes_on {
            self.doubts.push((index, verdict));
        }
    }

    fn set_aside(&mut self, index: i64, verdict: Verdict) {
        let place = self.aside.partition_point(|(at, _)| *at < index);
        self.aside.insert(place, (index, verdict));
        if self.aside.len() > ASIDE_KEPT {
            self.aside.pop_front();
        }
    }

    /// Carries what was before a shift of the level over to the new one: the shape of the days is
    /// the same, and what was learned of it holds.
    fn carry_over(&mut self, moved: Move) {
        let History { first, seen, .. } = &mut self.memory.history;
        self.levels.note(moved, *first);
        let Some(ratio) = moved.ratio else { return };
        let upto = usize::try_from(moved.since - *first).unwrap_or(0).min(seen.len());
        seen[..upto].iter_mut().for_each(|value| *value *= ratio as f32);
        if !self.pinned {
            self.ask(Question::Moved { ratio });
        }
    }
}

impl Model for Adaptive {
    fn know(&mut self, said: &[Said]) {
        for said in said {
            if !self.memory.know(said) {
                continue;
            }
            if let Some(trial) = &mut self.trial {
                trial.know(said);
            }
            if let Some(champion) = &mut self.champion {
                champion.forecaster.know(said);
            }
        }
    }

    fn observe(&mut self, value: f64) {
        if let Some(trial) = self.trial.take() {
            self.settle(trial.end());
        }
        let index = self.end();
        let raw = value;
        let value = self.screened(index, raw);
        self.memory.history.seen.push(value as f32);
        let Some(champion) = &mut self.champion else {
            if let Some(moved) = self.shifted.take() {
                self.carry_over(moved);
            }
            return;
        };
        // What is set aside is not learned from; the forecast must answer for it all the same.
        let aside = value.is_nan() && raw.is_finite();
        let held = if aside { champion.forecaster.held_against(raw) } else { None };
        if let Some(judged) = champion.step(value).or(held) {
            self.look(&judged);
        }
        if let Some(moved) = self.shifted.take() {
            self.carry_over(moved);
        }
        self.listen();
        if index >= self.due && self.trial.is_none() {
            let heard = if std::mem::take(&mut self.heard) { HEARD } else { MONTHLY };
            let grown = std::mem::take(&mut self.asked);
            self.review(if grown { "errors have grown" } else { heard });
        }
        self.memory.bound((HISTORY_DAYS * self.steps_of_day()) as usize);
    }

    fn outlook(&mut self) -> Outlook {
        self.begin();
        match &mut self.champion {
            Some(champion) => champion.forecaster.outlook(),
            None => Outlook { origin: self.end() - 1, points: Vec::new(), models: Vec::new() },
        }
    }
}

#[cfg(test)]
mod tests;
