//! One plant: its past, the model that learned from it, and how that does.
//!
//! What was said of an hour a day before is held against the hour [`JUDGED_AFTER_HOURS`] after it
//! is over ([`forecast::plant::watch`]). Once a month, at an hour that the plant's name says, and
//! when the watch says that errors have grown, [`review`](super::review) holds a contest.
//!
//! # Bounds
//!
//! [`PAST_HOURS`] as plain numbers, from which a model of another shape can learn; the newest
//! [`RECENT_HOURS`] once more, with where they came from; three models, six while another learns.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use forecast::adaptive::VERSIONS_KEPT;
use forecast::drift::Alert;
use forecast::drift::AlertKind;
use forecast::model::Kind;
use forecast::model::P10;
use forecast::model::P50;
use forecast::model::P90;
use forecast::model::Said;
use forecast::plant::unit::Unit;
use forecast::plant::watch::PlantWatch;
use forecast::quality::Verdict;
use forecast::rewind::Past;
use forecast::rewind::REACH;
use forecast::rewind::Rewind;
use forecast::score::CONTEST_DAYS;
use forecast::series::Track;
use serde::Deserialize;
use serde::Serialize;

use super::review;
use super::review::Duel;
use super::review::Version;
use super::review::Why;
use super::rule;
use super::shape::START_DAYS;
use super::shape::Shape;
use super::shape::is_expected;
use super::tape::Tape;
use crate::forecast::because;
use crate::forecast::because::Parts;
use crate::forecast::feeder::Hour;
use crate::forecast::rule::HISTORY_HOURS;
use crate::forecast::rule::HORIZON_HOURS;
use crate::forecast::rule::Point;
use crate::forecast::series::REVIEW_HOURS;
use crate::forecast::weather::Weather;

/// Hours of the past that are kept: a year and a month, so that a model knows each season.
pub const PAST_HOURS: u64 = 400 * 24;

/// Hours of which it is known where they came from, and which may still be restated.
pub const RECENT_HOURS: u64 = REACH as u64 + 24;

const _: () = assert!(RECENT_HOURS >= HISTORY_HOURS as u64);

/// Hours without a reading after which a model does not answer any more.
const SILENT_HOURS_MAX: usize = 7 * 24;

/// Hours after its end at which an hour is held against what was said of it a day before: what
/// comes late by less is judged as it is.
pub const JUDGED_AFTER_HOURS: u64 = 6;

/// Hours after a bias was told before another shape is looked for: it is judged on days.
const MOVED_HOURS: u64 = 14 * 24;

/// Known hours from which on a plant that is told no weather is told some by contest only: before,
/// there are too few to judge.
const JUDGED_HOURS: usize = (START_DAYS + CONTEST_DAYS) * 24;

/// Hours between two contests of a plant that is told no weather.
const AGAIN_HOURS: u64 = 7 * 24;

/// Why a contest is held when weather is forecast again.
const CAME: &str = "weather is forecast";

/// Why a contest is held when nothing happened.
const MONTHLY: &str = "a monthly review";

/// What was told of a plant, and is told again.
struct Heard<'a> {
    past: &'a Track<f32>,
    tape: &'a Tape,
    weather: &'a Weather,
    quantities: &'a [usize],
}

impl Past<Unit> for Heard<'_> {
    fn tell(&self, model: &mut Unit, index: i64) {
        use forecast::model::Model;
        let mut said: Vec<Said> = Vec::new();
        self.tape.said(self.weather, index, |word| said.push(*word));
        model.know(&review::numbered(&said, self.quantities));
        model.observe(self.past.get(index).map_or(f64::NAN, f64::from));
    }
}

/// A model of a shape.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Modelled {
    number: u32,
    shape: Shape,
    /// The first hour that it has learned from.
    from: i64,
    /// The one after the last that it had learned when it began to answer.
    #[serde(default)]
    to: i64,
    rewind: Rewind<Unit>,
}

impl Modelled {
    fn is_told_weather(&self) -> bool {
        !self.shape.quantities.is_empty()
    }

    /// What its points are made of. The experts that are told the weather are one part.
    fn parts(&self, points: &[Point]) -> Vec<Parts> {
        let by_look = if self.is_told_weather() { "weather" } else { "pattern" };
        let word = |name: &'static str| match name {
            "ridge" | "cosines" | "trees" => by_look,
            other => other,
        };
        let made = self.rewind.model().map(Unit::parts).unwrap_or_default();
        let bounded = |(parts, point): (forecast::plant::explain::Parts, &Point)| {
            let mut all = Parts::with_capacity(parts.len());
            parts.into_iter().for_each(|(name, kw)| because::add(&mut all, word(name), kw));
            // It may have been rated otherwise when the model was made.
            let beyond_kw = point.p50_kw - because::sum(&all);
            because::add(&mut all, "bound", beyond_kw);
            all
        };
        made.into_iter().zip(points).map(bounded).collect()
    }
}

/// What is said of a plant.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The coming hours.
    pub points: Vec<Point>,
    /// What each is made of.
    pub parts: Vec<Parts>,
    /// Who says it.
    pub model_version: String,
    /// Hours that it rests on.
    pub hours: usize,
    /// Whether it was told the weather.
    pub weather: bool,
}

/// See [`self`]. Hours are counted from the epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plant {
    /// Its kind and its rated power in kW, while the assets hold it.
    asset: Option<(Kind, f64)>,

    recent: BTreeMap<u64, Hour>,
    /// Mean kW by hour, NaN where missing.
    past: Track<f32>,
    model: Option<Modelled>,
    /// What is to take over once it has learned the past.
    next: Option<Modelled>,
    /// Why it is.
    #[serde(default)]
    why: Why,
    /// A contest that is held.
    #[serde(default)]
    duel: Option<Box<Duel>>,
    /// The version that answers, the newest, and those that one can go back to.
    #[serde(default)]
    versions: VecDeque<Version>,
    /// Whether a person holds on to the one that answers.
    #[serde(default)]
    held: bool,
    /// Whether a hold was let go because the plant is another. Told within the step.
    #[serde(skip)]
    let_go: bool,
    /// The newest hour that was set aside as it came, and why.
    #[serde(default)]
    aside: Option<(i64, Verdict)>,
    /// What is in doubt, the first of a run. Told within the step.
    #[serde(skip)]
    doubts: Vec<(i64, Verdict)>,
    /// The hour from which on a review is due; 0 before one was set.
    #[serde(default)]
    due: u64,
    /// The hour of the last one.
    #[serde(default)]
    tried: u64,
    /// Why the next review is held, where that is not for the month.
    #[serde(default)]
    asked: Option<String>,
    #[serde(default)]
    watch: Option<PlantWatch>,
    #[serde(default)]
    alerts: Vec<Alert>,
    /// The hour that was present when it was last forecast.
    issued: u64,
    /// Whether something else is to be said than was.
    fresh: bool,
    /// The greatest change of a past hour since the newest forecast, in kW.
    moved_kw: f64,
}

impl Default for Plant {
    fn default() -> Plant {
        Plant {
            asset: None,
            recent: BTreeMap::new(),
            past: Track::new(0),
            model: None,
            next: None,
            why: Why::First,
            duel: None,
            versions: VecDeque::new(),
            held: false,
            let_go: false,
            aside: None,
            doubts: Vec::new(),
            due: 0,
            tried: 0,
            asked: None,
            watch: None,
            alerts: Vec::new(),
            issued: 0,
            fresh: true,
            moved_kw: 0.0,
        }
    }
}

impl Plant {
    /// Takes what the table of assets says of it; `None`: it is no plant any more.
    pub fn list(&mut self, asset: Option<(Kind, f64)>) {
        self.asset = asset;
    }

    /// Its kind and rated power.
    pub fn asset(&self) -> Option<(Kind, f64)> {
        self.asset
    }

    fn begun(&self) -> bool {
        !self.past.values().is_empty()
    }

    fn end(&self) -> u64 {
        self.past.end() as u64
    }

    /// The mean kW of an hour, NaN where it is not known.
    fn at(&self, hour: u64) -> f32 {
        self.past.get(hour as i64).unwrap_or(f32::NAN)
    }

    /// Notes an hour that has begun. What was measured goes before history.
    pub fn note(&mut self, hour_at: u64, hour: Hour) {
        let before = self.recent.get(&hour_at).copied();
        if before.is_some_and(|before| before == hour || (before.measured && !hour.measured)) {
            return;
        }
        let over = self.begun() && hour_at < self.end();
        let recent = hour_at + RECENT_HOURS >= self.end();
        // Behind what is recent nobody knows any more where an hour came from.
        if over && !recent && self.at(hour_at).is_finite() {
            return;
        }
        if !over || recent {
            self.recent.insert(hour_at, hour);
        }
        if over {
            let moved_kw = self.restate(hour_at, hour.kw);
            self.moved_kw = self.moved_kw.max(moved_kw);
        }
    }

    /// An hour that is over is otherwise now. Gives by how much, in kW: without end, where it was
    /// missing; 0 where that was so long ago that no model looks at it.
    fn restate(&mut self, hour: u64, kw: f64) -> f64 {
        if hour + PAST_HOURS < self.end() {
            return 0.0;
        }
        let first = self.past.first() as u64;
        if hour < first && self.model.is_none() && self.next.is_none() {
            let later = std::mem::replace(&mut self.past, Track::new(hour as i64));
            (hour..first).for_each(|_| self.past.push(f32::NAN));
            later.values().iter().for_each(|kw| self.past.push(*kw));
        }
        let before = self.at(hour);
        if before.to_bits() == (kw as f32).to_bits() || !self.past.set(hour as i64, kw as f32) {
            return 0.0;
        }
        let index = hour as i64;
        let heard = [&mut self.model, &mut self.next].into_iter().flatten();
        let heard: Vec<bool> = heard.map(|modelled| modelled.rewind.correct(index)).collect();
        if !heard.is_empty() && !heard.contains(&true) {
            return 0.0;
        }
        let moved = f64::from(before) - kw;
        // JSON knows no infinity.
        if moved.is_finite() { moved.abs() } else { f64::MAX }
    }

    /// Whether nothing was heard for as long as anything is kept one by one.
    pub fn is_silent(&self, present: u64) -> bool {
        let newest = self.recent.last_key_value();
        newest.is_none_or(|(hour, _)| hour + RECENT_HOURS < present)
    }

    /// Takes in the hours before `present`.
    pub fn advance(&mut self, present: u64, tape: &Tape, weather: &Weather) {
        if !self.begun() {
            let kept = present.saturating_sub(PAST_HOURS);
            let Some(first) = self.recent.range(kept..present).next().map(|(hour, _)| *hour) else {
                return;
            };
            self.past = Track::new(first as i64);
        }
        for hour in self.end()..present {
            self.past.push(self.recent.get(&hour).map_or(f32::NAN, |hour| hour.kw as f32));
            for modelled in [&mut self.model, &mut self.next].into_iter().flatten() {
                let quantities = &modelled.shape.quantities;
                let heard = Heard { past: &self.past, tape, weather, quantities };
                modelled.rewind.step(&heard, hour as i64 + 1);
            }
            self.doubt(hour as i64);
            self.judge(hour.saturating_sub(JUDGED_AFTER_HOURS));
        }
        self.recent = self.recent.split_off(&present.saturating_sub(RECENT_HOURS));
        self.past.bound(PAST_HOURS as usize);
    }

    /// Notes an hour that the model that answers has set aside as it came. What is learned again
    /// was judged when it was new.
    fn doubt(&mut self, hour: i64) {
        let model = self.model.as_ref().and_then(|modelled| modelled.rewind.model());
        let Some(verdict) = model.map(Unit::verdict) else { return };
        if verdict.learns() || verdict == Verdict::Missing {
            return;
        }
        let kind = std::mem::discriminant(&verdict);
        let goes_on = self.aside.is_some_and(|(before, verdict)| {
            before + 1 == hour && std::mem::discriminant(&verdict) == kind
        });
        if !goes_on {
            self.doubts.push((hour, verdict));
        }
        self.aside = Some((hour, verdict));
    }

    /// What is in doubt since this was last asked.
    pub fn take_doubts(&mut self) -> Vec<(i64, Verdict)> {
        std::mem::take(&mut self.doubts)
    }

    /// Whether a hold was let go since this was last asked, because the plant is another.
    pub fn take_let_go(&mut self) -> bool {
        std::mem::take(&mut self.let_go)
    }

    /// Holds what was said of an hour a day before against what it was.
    fn judge(&mut self, hour: u64) {
        let kw = f64::from(self.at(hour));
        let Some(watch) = &mut self.watch else { return };
        for alert in watch.see(hour as i64, kw) {
            let wait = match alert.kind {
                AlertKind::Bias => MOVED_HOURS,
                _ if alert.retrain => 24,
                _ => u64::MAX,
            };
            if wait < u64::MAX {
                self.due = self.due.min(hour + wait);
                self.asked = Some("errors have grown".to_owned());
            }
            self.alerts.push(alert);
        }
    }

    /// Alerts since this was last asked.
    pub fn take_alerts(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.alerts)
    }

    /// Asks which shape is right today, and begins to learn it where the one that answers cannot
    /// any more; holds a contest where one is due. `place` is that among the plants of its feeder:
    /// not all are asked in one hour. Reviews are put off by so many hours of the month.
    pub fn review(&mut self, present: u64, place: u64, put_off: u64, weather: &Weather) {
        let Some(plant) = self.asset else { return };
        let due = self.model.is_none() || (present + place).is_multiple_of(24);
        if !due || (self.next.is_some() && self.model.is_none()) {
            return;
        }
        let Some(now) = self.model.as_ref().map(|modelled| modelled.shape.clone()) else {
            if self.known() >= START_DAYS * 24 {
                self.due = present + REVIEW_HOURS + put_off;
                let shape = Shape::today(plant, &self.past, weather, present, None);
                self.begin(shape, Why::First, weather);
            }
            return;
        };
        if (now.kind, now.rated_kw) != plant {
            let next = self.next.as_ref().map(|next| (next.shape.kind, next.shape.rated_kw));
            if next != Some(plant) {
                // Who held the one that answers held another plant's.
                self.let_go |= std::mem::take(&mut self.held);
                self.watch = None;
                let before = Some(&now).filter(|now| now.kind == plant.0);
                let shape = Shape::today(plant, &self.past, weather, present, before);
                self.begin(shape, Why::Plant, weather);
            }
            return;
        }
        if self.held || self.next.is_some() {
            return;
        }
        let gone = |quantity: &usize| !is_expected(weather, *quantity, present);
        if now.quantities.iter().any(gone) {
            let shape = Shape::today(plant, &self.past, weather, present, None);
            self.begin(shape, Why::Weather, weather);
            return;
        }
        self.challenge(&now, present, put_off, weather);
    }

    /// Begins a contest where one is due and there is something to try.
    fn challenge(&mut self, now: &Shape, present: u64, put_off: u64, weather: &Weather) {
        if self.duel.is_some() {
            return;
        }
        if self.due == 0 {
            self.due = present + put_off;
        }
        let shape = review::challenger(now, &self.past, weather, present);
        // A plant that is told no weather does not wait for a month when there is some.
        let came = now.quantities.is_empty()
            && shape.as_ref().is_some_and(|shape| !shape.quantities.is_empty());
        if let Some(shape) = shape.clone().filter(|_| came && self.known() < JUDGED_HOURS) {
            self.begin(shape, Why::Weather, weather);
            return;
        }
        if present < self.due && !(came && present >= self.tried + AGAIN_HOURS) {
            return;
        }
        (self.due, self.tried) = (present + REVIEW_HOURS, present);
        let why = self.asked.take();
        let why = why.unwrap_or_else(|| if came { CAME } else { MONTHLY }.to_owned());
        let duel = shape.map(|shape| Duel::new(&why, now, shape, &self.past, weather));
        self.duel = duel.map(Box::new);
    }

    /// Hours that are known.
    fn known(&self) -> usize {
        self.past.values().iter().filter(|kw| kw.is_finite()).count()
    }

    /// Begins to learn the past for another shape.
    fn begin(&mut self, shape: Shape, why: Why, weather: &Weather) {
        let from = self.past.first();
        let unit = Unit::new(&shape.setup(weather), from, shape.breadth);
        let number = self.model.as_ref().map_or(1, |modelled| modelled.number + 1);
        (self.why, self.duel) = (why, None);
        let rewind = Rewind::new(unit, from);
        self.next = Some(Modelled { number, shape, from, to: from, rewind });
    }

    /// Goes on with a contest, within the budget.
    pub fn contend(&mut self, tape: &Tape, weather: &Weather, budget: &mut usize) {
        let Some(mut duel) = self.duel.take() else { return };
        match duel.work(&self.past, tape, weather, budget) {
            None => self.duel = Some(duel),
            Some(None) => {}
            Some(Some(why)) => self.begin(duel.shape, why, weather),
        }
    }

    /// The version that answers.
    pub fn version(&self) -> Option<&Version> {
        self.model.as_ref().and(self.versions.back())
    }

    /// Holds on to the version that answers, or lets others take over again.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
        if held {
            self.duel = None;
            let lost = matches!(self.why, Why::Weather | Why::Contest(..));
            self.next = self.next.take().filter(|_| !lost);
        }
    }

    /// Goes back to the version before, and holds on to it; `false` where there is none. The one
    /// that is left answers until the other has learned the past; it is no version to go back to
    /// any more.
    pub fn roll_back(&mut self, weather: &Weather) -> bool {
        let other = self.next.is_some() && self.why == Why::Plant;
        let before = self.versions.len().checked_sub(2).filter(|_| !other);
        let Some(before) = before.and_then(|at| self.versions.remove(at)) else { return false };
        self.begin(before.shape, Why::Back(before.number), weather);
        self.held = true;
        true
    }

    /// Tells the model that answers what was corrected, within the budget.
    pub fn amend(&mut self, tape: &Tape, weather: &Weather, budget: &mut usize) {
        let Some(Modelled { shape, rewind, .. }) = &mut self.model else { return };
        if *budget > 0 && !rewind.is_done() {
            let heard = Heard { past: &self.past, tape, weather, quantities: &shape.quantities };
            rewind.work(&heard, self.past.end(), budget);
        }
    }

    /// Tells the model that is to take over the past, within the budget. Gives the version that
    /// ceased to answer and the one that began, once it does.
    pub fn learn(
        &mut self,
        tape: &Tape,
        weather: &Weather,
        budget: &mut usize,
    ) -> Option<(Option<Version>, Version)> {
        let Modelled { shape, rewind, .. } = self.next.as_mut().filter(|_| *budget > 0)?;
        let heard = Heard { past: &self.past, tape, weather, quantities: &shape.quantities };
        if !rewind.work(&heard, self.past.end(), budget) {
            return None;
        }
        self.fresh = true;
        let why = std::mem::take(&mut self.why);
        let before = self.versions.back().cloned();
        // One that a person left, and those of another plant, are not come back to.
        match why {
            Why::Back(_) => drop(self.versions.pop_back()),
            Why::Plant => self.versions.clear(),
            _ => {}
        }
        self.model = self.next.take();
        let model = self.model.as_mut().expect("it was just taken over");
        model.to = self.past.end();
        let window = (model.from, model.to);
        let version = Version { number: model.number, shape: model.shape.clone(), window, why };
        self.versions.push_back(version.clone());
        if self.versions.len() > VERSIONS_KEPT + 1 {
            self.versions.pop_front();
        }
        Some((before, version))
    }

    /// Whether the model that answers knows the past as it is.
    fn knows(&self) -> bool {
        self.model.as_ref().is_none_or(|model| model.rewind.is_done())
    }

    /// Whether it is to be forecast now: at a quarter that is due where an hour is over or
    /// something else is to be said, at any tick where a past hour moved by so many kW and the
    /// model knows.
    pub fn wants(&self, present: u64, due: bool, restate_kw: f64) -> bool {
        if !self.begun() || self.end() != present || self.asset.is_none() {
            return false;
        }
        (due && (self.issued < present || self.fresh))
            || (self.knows() && self.moved_kw > 0.0 && self.moved_kw >= restate_kw)
    }

    /// What is said of it now.
    pub fn answer(&mut self, present: u64) -> Option<Answer> {
        let (kind, rated_kw) = self.asset?;
        (self.issued, self.fresh) = (present, false);
        if self.knows() {
            self.moved_kw = 0.0;
        }
        if let Some((points, parts, model_version)) = self.modelled(rated_kw) {
            let last = points.last().expect("a model answers for all hours");
            let watch = self.watch.get_or_insert_with(|| PlantWatch::new(kind, rated_kw));
            watch.say((present + last.hour as u64) as i64, [last.p10_kw, last.p50_kw, last.p90_kw]);
            let hours = self.known();
            let weather = self.model.as_ref().is_some_and(Modelled::is_told_weather);
            return Some(Answer { points, parts, model_version, hours, weather });
        }
        let from = present.saturating_sub(HISTORY_HOURS as u64);
        let past: Vec<f64> = (from..present).map(|hour| f64::from(self.at(hour))).collect();
        let points = rule::points(kind, &past, rated_kw);
        let version = if kind == Kind::Wind { rule::WIND_VERSION } else { rule::PV_VERSION };
        let hours = past.iter().filter(|kw| kw.is_finite()).count();
        let (parts, model_version) = (rule::parts(kind, &points), version.to_owned());
        Some(Answer { points, parts, model_version, hours, weather: false })
    }

    /// What the model says of the coming hours; `None` where it does not answer for all of them.
    fn modelled(&mut self, rated_kw: f64) -> Option<(Vec<Point>, Vec<Parts>, String)> {
        let seen = self.past.values();
        let newest = &seen[seen.len().saturating_sub(SILENT_HOURS_MAX)..];
        if !newest.iter().any(|kw| kw.is_finite()) {
            return None;
        }
        let modelled = self.model.as_mut()?;
        let points = modelled.rewind.outlook()?.points;
        // It may have been rated otherwise when the model was made.
        let bound = |kw: f64| kw.clamp(0.0, rated_kw);
        let point = |(hour, point): (usize, &forecast::model::Point)| Point {
            hour,
            p10_kw: bound(point.quantiles[P10]),
            p50_kw: bound(point.quantiles[P50]),
            p90_kw: bound(point.quantiles[P90]),
        };
        let points: Vec<Point> = points.iter().enumerate().map(point).collect();
        let whole = |p: &Point| [p.p10_kw, p.p50_kw, p.p90_kw].iter().all(|kw| kw.is_finite());
        let name = format!("{}-{}", modelled.shape.word(), modelled.number);
        let all = points.len() == HORIZON_HOURS && points.iter().all(whole);
        all.then(|| (modelled.parts(&points), name)).map(|(parts, name)| (points, parts, name))
    }

    /// The newest hour's mean kW, NaN where it is missing.
    pub fn last_kw(&self) -> f32 {
        self.past.values().last().copied().unwrap_or(f32::NAN)
    }
}
