//! One plant: its past, and the model that learned from it.
//!
//! # Bounds
//!
//! [`PAST_HOURS`] as plain numbers, from which a model of another shape can learn; the newest
//! [`RECENT_HOURS`] once more, with where they came from; three models, six while another learns.

use std::collections::BTreeMap;

use forecast::model::Kind;
use forecast::model::P10;
use forecast::model::P50;
use forecast::model::P90;
use forecast::model::Said;
use forecast::plant::unit::Unit;
use forecast::rewind::Past;
use forecast::rewind::REACH;
use forecast::rewind::Rewind;
use forecast::series::Track;
use serde::Deserialize;
use serde::Serialize;

use super::rule;
use super::shape::START_DAYS;
use super::shape::Shape;
use super::tape::Tape;
use crate::forecast::because;
use crate::forecast::because::Parts;
use crate::forecast::feeder::Hour;
use crate::forecast::rule::HISTORY_HOURS;
use crate::forecast::rule::HORIZON_HOURS;
use crate::forecast::rule::Point;
use crate::forecast::weather::Weather;

/// Hours of the past that are kept: a year and a month, so that a model knows each season.
pub const PAST_HOURS: u64 = 400 * 24;

/// Hours of which it is known where they came from, and which may still be restated.
pub const RECENT_HOURS: u64 = REACH as u64 + 24;

const _: () = assert!(RECENT_HOURS >= HISTORY_HOURS as u64);

/// Hours without a reading after which a model does not answer any more.
const SILENT_HOURS_MAX: usize = 7 * 24;

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
        let mut mine: Vec<Said> = Vec::new();
        self.tape.said(self.weather, index, |said| {
            let quantity = self.quantities.iter().position(|q| *q == said.quantity);
            mine.extend(quantity.map(|quantity| Said { quantity, ..*said }));
        });
        model.know(&mine);
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

/// A version that began to answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// From 1.
    pub number: u32,
    /// What it was made for.
    pub shape: Shape,
    /// The first hour that it has learned from, and the one after the last.
    pub window: (i64, i64),
    /// Why it began to answer.
    pub reason: &'static str,
    /// The one that ceased to: its number, the word of its shape, its window.
    pub former: Option<(u32, &'static str, (i64, i64))>,
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
    reason: u8,
    /// The hour that was present when it was last forecast.
    issued: u64,
    /// Whether something else is to be said than was.
    fresh: bool,
    /// The greatest change of a past hour since the newest forecast, in kW.
    moved_kw: f64,
}

/// Why another model takes over, by [`Plant::reason`].
const REASONS: [&str; 3] = [
    "the first with enough history",
    "the rated power or the kind is another",
    "other weather is forecast, or none",
];

impl Default for Plant {
    fn default() -> Plant {
        Plant {
            asset: None,
            recent: BTreeMap::new(),
            past: Track::new(0),
            model: None,
            next: None,
            reason: 0,
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
        }
        self.recent = self.recent.split_off(&present.saturating_sub(RECENT_HOURS));
        self.past.bound(PAST_HOURS as usize);
    }

    /// Asks which shape is right today, and begins to learn it where it is another. `place` is that
    /// among the plants of its feeder: not all are asked in one hour.
    pub fn review(&mut self, present: u64, place: u64, weather: &Weather) {
        let Some((kind, rated_kw)) = self.asset else { return };
        let due = self.model.is_none() || (present + place).is_multiple_of(24);
        if !due || self.next.is_some() {
            return;
        }
        let known = self.past.values().iter().filter(|kw| kw.is_finite()).count();
        if known < START_DAYS * 24 {
            return;
        }
        let before = self.model.as_ref().map(|modelled| &modelled.shape);
        let before = before.filter(|before| before.kind == kind);
        let shape = Shape::today((kind, rated_kw), &self.past, weather, present, before);
        self.reason = match self.model.as_ref().map(|modelled| &modelled.shape) {
            None => 0,
            Some(now) if *now == shape => return,
            Some(now) if (now.kind, now.rated_kw) != (kind, rated_kw) => 1,
            Some(_) => 2,
        };
        let from = self.past.first();
        let unit = Unit::new(&shape.setup(weather), from, shape.breadth);
        let number = self.model.as_ref().map_or(1, |modelled| modelled.number + 1);
        self.next =
            Some(Modelled { number, shape, from, to: from, rewind: Rewind::new(unit, from) });
    }

    /// Tells the model that answers what was corrected, within the budget.
    pub fn amend(&mut self, tape: &Tape, weather: &Weather, budget: &mut usize) {
        let Some(Modelled { shape, rewind, .. }) = &mut self.model else { return };
        if *budget > 0 && !rewind.is_done() {
            let heard = Heard { past: &self.past, tape, weather, quantities: &shape.quantities };
            rewind.work(&heard, self.past.end(), budget);
        }
    }

    /// Tells the model that is to take over the past, within the budget. Gives the version, once it
    /// answers.
    pub fn learn(&mut self, tape: &Tape, weather: &Weather, budget: &mut usize) -> Option<Version> {
        let Modelled { shape, rewind, .. } = self.next.as_mut().filter(|_| *budget > 0)?;
        let heard = Heard { past: &self.past, tape, weather, quantities: &shape.quantities };
        if !rewind.work(&heard, self.past.end(), budget) {
            return None;
        }
        self.fresh = true;
        let former = self.model.take();
        let former = former.map(|m| (m.number, m.shape.word(), (m.from, m.to)));
        self.model = self.next.take();
        let model = self.model.as_mut().expect("it was just taken over");
        model.to = self.past.end();
        Some(Version {
            number: model.number,
            shape: model.shape.clone(),
            window: (model.from, model.to),
            reason: REASONS[usize::from(self.reason)],
            former,
        })
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
            let hours = self.past.values().iter().filter(|kw| kw.is_finite()).count();
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
