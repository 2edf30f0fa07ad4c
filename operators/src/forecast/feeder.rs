//! A feeder: its nodes, itself, and the weather over them.
//!
//! The feeder's own series is the sum of its nodes'. An hour in which most nodes were heard stands,
//! the silent ones, and those that set it aside as frozen or absurd, by the same time of the day
//! before; an hour in which fewer were is missing.
//!
//! # Bounds
//!
//! A node's newest [`RECENT_HOURS`] one by one, and its [`Series`].

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Range;

use forecast::adaptive::Policy;
use forecast::calendar::Holidays;
use forecast::model::Said;
use schemas::decision::Alarm;
use schemas::decision::ModelVersion;
use schemas::event::LoadAnnotation;
use schemas::event::ModelOrder;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::annotation::Annotations;
use super::because;
use super::because::Explained;
use super::because::Parts;
use super::heard::Heard;
use super::meters::Below;
use super::meters::Meters;
use super::meters::agree;
use super::prior;
use super::rise::Rise;
use super::rise::rise;
use super::rule;
use super::rule::HISTORY_HOURS;
use super::rule::HORIZON_HOURS;
use super::rule::Point;
use super::series::Series;
use super::series::Turn;
use super::series::YOUNG_HOURS;
use super::weather::Weather;
use crate::adapt;
use crate::adapt::Subject;

/// The name that forecasts of the rule carry.
pub const RULE_VERSION: &str = "seasonal-naive-1";

/// Hours that are kept one by one: what the rule looks at, and what may still be restated.
pub const RECENT_HOURS: u64 = YOUNG_HOURS + 24;

const _: () = assert!(RECENT_HOURS >= HISTORY_HOURS as u64);

/// An hour of a node.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hour {
    /// Mean net load in kW.
    pub kw: f64,
    /// From `node_hour`, and not from `load_history`.
    pub measured: bool,
}

/// Mean net load by hour, counted from the epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Hours(BTreeMap<u64, Hour>);

impl Hours {
    /// The hours before `present` that the rule looks at, oldest first, NaN where unknown.
    fn before(&self, present: u64) -> Vec<f64> {
        let from = present.saturating_sub(HISTORY_HOURS as u64);
        let kw = |hour| self.0.get(&hour).map_or(f64::NAN, |hour| hour.kw);
        (from..present).map(kw).collect()
    }

    fn measured(&self, from: u64, present: u64) -> usize {
        self.0.range(from..present).filter(|(_, hour)| hour.measured).count()
    }
}

/// What forecasts of one subject rest on: how many hours came from which view; of a feeder, those
/// of all its nodes.
#[derive(Clone, Copy, Debug, Default)]
struct Basis {
    history: usize,
    measured: usize,
}

impl Basis {
    fn add(&mut self, other: Basis) {
        self.history += other.history;
        self.measured += other.measured;
    }

    fn saw(&self, (view, at): (&str, Timestamp), past_kw: &[f64]) -> String {
        let last = past_kw.last().filter(|kw| !kw.is_nan());
        let last = last.map_or("NULL".to_owned(), |kw| format!("{kw:.3}"));
        let (at, Basis { history, measured }) = (at.0, self);
        format!(
            "load_history@{at} hours={history}; {view}@{at} hours={measured} last_hour_kw={last}"
        )
    }
}

/// How the model of a node may change itself. Trees would cost each of thousands of nodes
/// megabytes; a feeder's model has them.
pub(crate) const OF_NODE: Policy =
    Policy { trees: false, reviews: true, screen: true, beside: true };

/// How the model of a feeder may change itself, and of what is above it. Its hours are sums, each
/// of which its nodes vouch for.
pub(crate) const OF_FEEDER: Policy =
    Policy { trees: true, reviews: true, screen: false, beside: true };

/// A node, or one of its meters.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Node {
    hours: Hours,
    /// Hours of the series that are known, and those of them that were measured.
    known: usize,
    measured: usize,
    /// What its model learns.
    pub(super) series: Series,
}

/// What is said of one subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// `meter`, `node` or `feeder`.
    pub scope: &'static str,
    /// The meter, bus or feeder.
    pub subject_id: String,
    /// The coming hours.
    pub points: Vec<Point>,
    /// What each is made of, before the feeder and its nodes were made to add up.
    pub parts: Vec<Parts>,
    /// By the hour ahead: which share of what its feeder is moved by from above it moves by.
    pub shares: [f64; HORIZON_HOURS],
    /// Who says it.
    pub model_version: String,
    /// What was looked at.
    pub saw: String,
}

/// See [`self`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Feeder {
    weather: Weather,
    annotations: Annotations,
    nodes: BTreeMap<String, Node>,
    /// Of nodes that have several.
    #[serde(default)]
    meters: BTreeMap<String, Meters>,
    whole: Series,
    /// Hours of which a node says something else than the feeder's own series has.
    restated: BTreeSet<u64>,
    /// The greatest change of an hour since the newest forecast, in kW.
    moved_kw: f64,
    /// Hours of its own series, in kW, that were not told yet: none between two steps.
    #[serde(skip)]
    untold: BTreeMap<u64, f64>,
}

/// What is told beside forecasts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct News {
    /// Versions that began to answer, or ceased to.
    pub versions: Vec<ModelVersion>,
    /// Models that no longer describe their series, and hours that they do not learn from.
    pub alarms: Vec<Alarm>,
}

impl Default for Feeder {
    fn default() -> Feeder {
        Feeder {
            weather: Weather::default(),
            annotations: Annotations::default(),
            nodes: BTreeMap::new(),
            meters: BTreeMap::new(),
            whole: Series::new(OF_FEEDER),
            restated: BTreeSet::new(),
            moved_kw: 0.0,
            untold: BTreeMap::new(),
        }
    }
}

impl Feeder {
    /// The weather over it.
    pub fn weather_mut(&mut self) -> &mut Weather {
        &mut self.weather
    }

    /// The greatest change, since the newest forecast, of a node's hour that it rests on, in kW.
    pub fn moved_kw(&self) -> f64 {
        self.moved_kw
    }

    /// An hour of a node's series.
    #[cfg(test)]
    pub(super) fn hour_kw(&self, bus: &str, hour: u64) -> f32 {
        self.nodes[bus].series.at(hour)
    }

    /// Takes in what is known of a node beforehand, or afterwards.
    pub fn annotate(&mut self, row: LoadAnnotation) {
        for (bus, hours) in self.annotations.take(row) {
            self.moved_kw = f64::INFINITY;
            let touched = |hour| self.annotations.touch(&bus, hour);
            if let Some(meters) = self.meters.get_mut(&bus) {
                meters.annotate(&hours, &touched);
            }
            let meters = self.meters.get(&bus);
            let lacking = |hour| meters.is_some_and(|meters| meters.lack(hour));
            if let Some(node) = self.nodes.get_mut(&bus) {
                self.restated.extend(node.annotate(&hours, (&touched, &lacking)));
            }
        }
    }

    /// A person's word on a model: what is told of it.
    pub fn order(&mut self, at: Timestamp, order: &ModelOrder) -> Vec<ModelVersion> {
        let id = &order.subject_id;
        let series = match order.scope.as_str() {
            "feeder" if *id == order.feeder_id => Some(&mut self.whole),
            "node" => self.nodes.get_mut(id).map(|node| &mut node.series),
            "meter" => self.meters.values_mut().find_map(|meters| meters.series_mut(id)),
            _ => None,
        };
        adapt::obey_series(at, order, series, &self.weather.quantities())
    }

    /// Notes an hour that has begun. What was measured goes before history.
    pub fn note(&mut self, bus: String, hour_at: u64, hour: Hour) {
        let lacking = self.meters.get(&bus).is_some_and(|meters| meters.lack(hour_at));
        let usual = !lacking && !self.annotations.touch(&bus, hour_at);
        let node = self.nodes.entry(bus).or_insert_with(Node::new);
        let moved_kw = node.note(hour_at, hour, usual);
        if moved_kw > 0.0 {
            self.restated.insert(hour_at);
            self.moved_kw = self.moved_kw.max(moved_kw);
        }
    }

    /// A meter shares its node no more.
    pub fn part(&mut self, bus: &str, meter: &str) {
        if let Some(meters) = self.meters.get_mut(bus)
            && meters.part(meter)
        {
            self.meters.remove(bus);
        }
    }

    /// Lets versions answer that people go back to.
    pub fn turn_back(&mut self) {
        let nodes = self.nodes.values_mut().map(|node| &mut node.series);
        let meters = self.meters.values_mut().flat_map(Meters::all_mut).map(|(_, series)| series);
        nodes.chain(meters).chain([&mut self.whole]).for_each(Series::turn_back);
    }

    /// Notes an hour, that is over, of a meter that shares its node with others.
    pub fn note_meter(&mut self, bus: String, meter: String, hour_at: u64, kw: f64) {
        let usual = !self.annotations.touch(&bus, hour_at);
        let meters = self.meters.entry(bus).or_default();
        meters.note(meter, hour_at, Hour { kw, measured: true }, usual);
    }

    /// Forgets nodes that were silent for as long as anything is kept. `true` where the feeder is
    /// forgotten.
    pub fn forget(&mut self, present: u64) -> bool {
        let from = present.saturating_sub(RECENT_HOURS);
        let heard =
            |node: &Node| node.hours.0.last_key_value().is_some_and(|(hour, _)| *hour >= from);
        self.nodes.retain(|_, node| heard(node));
        self.meters.retain(|_, meters| !meters.forget(heard));
        self.annotations.forget(from);
        self.nodes.is_empty() && self.weather.is_empty() && self.annotations.is_empty()
    }

    /// Tells its models which days are off; see [`Series::keep_holidays`].
    pub fn keep_holidays(&mut self, holidays: &Holidays) {
        let nodes = self.nodes.values_mut().map(|node| &mut node.series);
        let meters = self.meters.values_mut().flat_map(Meters::all_mut).map(|(_, series)| series);
        let all = nodes.chain(meters).chain([&mut self.whole]);
        all.for_each(|series| series.keep_holidays(holidays));
    }

    /// Hours of its own series, in kW, that are new or otherwise since this was last asked.
    pub fn take_hours(&mut self) -> BTreeMap<u64, f64> {
        std::mem::take(&mut self.untold)
    }

    /// Takes in the hours before `present`, and forgets those that are in the series for good.
    pub fn advance(&mut self, present: u64, feeder_id: &str, holidays: &Holidays) {
        self.moved_kw = 0.0;
        let said = self.weather.advance(present);
        let mut place = self.nodes.len();
        for (bus, meters) in &mut self.meters {
            let usual = |hour| !self.annotations.touch(bus, hour);
            meters.advance(present, place, (&self.weather, &said), holidays, usual);
            place += meters.count();
        }
        for (bus, node) in &mut self.nodes {
            let meters = self.meters.get(bus);
            let usual = |hour| {
                let lacking = meters.is_some_and(|meters| meters.lack(hour));
                !lacking && !self.annotations.touch(bus, hour)
            };
            node.advance(present, (&self.weather, &said), usual);
        }
        // Before the feeder has their sum: what a node sets aside nobody above it learns.
        for (place, (id, node)) in self.nodes.iter_mut().enumerate() {
            let turn = Turn { place, scope: "node", id };
            let otherwise = node.series.settle(&self.weather, turn, holidays);
            self.restated.extend(otherwise);
        }
        let Some(first) = self.nodes.values().filter_map(|node| node.series.first()).min() else {
            return;
        };
        self.whole.know(&self.weather, &said);
        let end = if self.whole.first().is_some() { self.whole.end() } else { first };
        for hour in std::mem::take(&mut self.restated) {
            // A silent node's later days stood in by this hour.
            for hour in (hour..end).step_by(24).take(8) {
                let kw = self.sum(hour);
                if self.whole.restate(hour, kw) > 0.0 {
                    self.untold.insert(hour, kw);
                }
            }
        }
        for hour in end..present {
            let kw = self.sum(hour);
            self.whole.push(first, kw);
            self.untold.insert(hour, kw);
        }
        let turn = Turn { place: 0, scope: "feeder", id: feeder_id };
        self.whole.settle(&self.weather, turn, holidays);
        self.whole.bound();
        let from = present.saturating_sub(RECENT_HOURS);
        // Not before the feeder has their sum: where there is a model, the long past goes.
        self.nodes.values_mut().for_each(|node| node.bound(from));
    }

    fn sum(&self, hour: u64) -> f64 {
        let mut heard = Heard::default();
        for node in self.nodes.values() {
            if node.series.first().is_some_and(|first| first <= hour) {
                let known = node.series.vouched(hour).is_finite();
                heard.add(f64::from(node.series.filled(hour)), known);
            }
        }
        heard.kw()
    }

    /// What is to be told of the models since this was last asked.
    pub fn news(&mut self, at: Timestamp, feeder_id: &str) -> News {
        let mut news = News::default();
        let quantities = self.weather.quantities();
        let meters = self.meters.values_mut().flat_map(Meters::all_mut);
        let meters = meters.map(|(id, series)| ("meter", id, series));
        let nodes = self.nodes.iter_mut().map(|(id, node)| ("node", id.as_str(), &mut node.series));
        let all = meters.chain(nodes).chain([("feeder", feeder_id, &mut self.whole)]);
        for (scope, id, series) in all {
            let told = series.take_news();
            let subject = Subject { at, scope, id, feeder_id };
            news.versions.extend(adapt::versions(subject, &told.versions, &quantities));
            news.alarms.extend(adapt::alarms(subject, &told.alerts));
            news.alarms.extend(adapt::doubts(subject, &told.doubts));
        }
        news
    }

    /// What is said at `at` of each meter, of each node, in their order, and then of the feeder;
    /// and what the feeder says upwards.
    pub fn answers(
        &mut self,
        at: Timestamp,
        present: u64,
        feeder_id: &str,
    ) -> (Vec<Answer>, [Option<Rise>; HORIZON_HOURS]) {
        let mut answers = Vec::with_capacity(self.nodes.len() + 1);
        let mut sum = vec![0.0; present.min(HISTORY_HOURS as u64) as usize];
        let mut known_from = sum.len();
        let (mut short, mut long) = (Basis::default(), Basis::default());
        let mut learned = false;
        for (bus_id, node) in &mut self.nodes {
            let past = node.past(present);
            short.add(node.recent(present));
            long.add(node.all());
            let first = past.iter().position(|kw| !kw.is_nan()).unwrap_or(past.len());
            known_from = known_from.min(first);
            add(&mut sum, &past);
            let (answer, by_model) = node.answer(("node", bus_id), at, present, &past);
            learned |= by_model;
            answers.push(answer);
        }
        sum[..known_from].fill(f64::NAN);
        let said = self.whole.answer();
        learned |= said.is_some();
        let basis = if said.is_some() { long } else { short };
        let subject = ("feeder", feeder_id);
        let name = self.whole.version().map(adapt::name);
        let saw = basis.saw(("node_hour", at), &sum);
        answers.push(Answer::of(subject, said.zip(name), &sum, saw));
        let mut below = self.below(at, present, &mut answers);
        let hours = self.weather.hours_ahead(present);
        let meters = below.values_mut().flat_map(|below| &mut below.answers);
        let all = answers.iter_mut().chain(meters);
        for answer in all.filter(|answer| answer.model_version != RULE_VERSION) {
            answer.saw += &format!("; weather_hour@{0}; weather_ahead@{0} hours={hours}", at.0);
        }
        // The rule alone adds up by itself, to the bit.
        let rise = if learned || !below.is_empty() {
            agree(&mut answers, &mut below)
        } else {
            rise(&mut answers, |_, _| None)
        };
        self.guess(at, present, &mut answers, &mut below);
        self.expect(at, present, &mut answers, &mut below);
        let mut all: Vec<Answer> = below.into_values().flat_map(|below| below.answers).collect();
        all.append(&mut answers);
        (all, rise)
    }

    /// What the meters say, by the place of their node, which they move.
    fn below(
        &mut self,
        at: Timestamp,
        present: u64,
        answers: &mut [Answer],
    ) -> BTreeMap<usize, Below> {
        let mut below = BTreeMap::new();
        for (node, bus_id) in self.nodes.keys().enumerate() {
            if let Some(meters) = self.meters.get_mut(bus_id) {
                below.insert(node, meters.answers(at, present, &mut answers[node]));
            }
        }
        below
    }

    /// Says of nodes without a yesterday what their class is ([`prior`]).
    fn guess(
        &self,
        at: Timestamp,
        present: u64,
        answers: &mut [Answer],
        below: &mut BTreeMap<usize, Below>,
    ) {
        let (_, nodes) = answers.split_last_mut().expect("the feeder is always there");
        let new = |answer: &Answer| {
            let first = self.nodes[&answer.subject_id].series.first();
            first.is_some_and(|first| first + 24 >= present) && answer.points.len() < HORIZON_HOURS
        };
        if !nodes.iter().any(new) {
            return;
        }
        type Placed<'a> = Vec<(usize, &'a mut Answer)>;
        let (new, known): (Placed<'_>, Placed<'_>) =
            nodes.iter_mut().enumerate().partition(|(_, answer)| new(answer));
        let known = known.into_iter().map(|(_, answer)| answer);
        let known: Vec<&mut Answer> =
            known.filter(|answer| answer.points.len() == HORIZON_HOURS).collect();
        let class: Vec<&[Point]> = known.iter().map(|answer| answer.points.as_slice()).collect();
        let hours = |answer: &Answer| &self.nodes[&answer.subject_id].hours.0;
        for (place, answer) in new {
            let mean = |hour: u64| {
                let of = known.iter().filter_map(|other| Some(hours(other).get(&hour)?.kw));
                let (sum, count) = of.fold((0.0, 0.0), |(sum, n), kw| (sum + kw, n + 1.0));
                sum / count
            };
            let past = hours(answer).range(..present).map(|(hour, own)| (own.kw, mean(*hour)));
            let past: Vec<(f64, f64)> = past.filter(|(_, class)| class.is_finite()).collect();
            if let Some(points) = prior::of_class(&class, &past) {
                let others = |point: &Point| vec![("others of its feeder", point.p50_kw)];
                answer.parts = points.iter().map(others).collect();
                answer.points = points;
                answer.shares = [0.0; HORIZON_HOURS];
                answer.model_version = prior::PRIOR_VERSION.to_owned();
                answer.saw += &format!("; forecasts@{} nodes={}", at.0, class.len());
                // Its meters know less of these hours than its class does.
                below.remove(&place);
            }
        }
    }

    /// Puts what annotations expect in the place of what is forecast.
    fn expect(
        &self,
        at: Timestamp,
        present: u64,
        answers: &mut [Answer],
        below: &mut BTreeMap<usize, Below>,
    ) {
        let (feeder, nodes) = answers.split_last_mut().expect("the feeder is always there");
        for (place, node) in nodes.iter_mut().enumerate() {
            let mut sayers = BTreeSet::new();
            for (point, parts) in node.points.iter_mut().zip(&mut node.parts) {
                let hour = present + point.hour as u64;
                let Some((who, kw)) = self.annotations.expected(&node.subject_id, hour) else {
                    continue;
                };
                sayers.insert(who);
                let moved = kw - point.p50_kw;
                let meters = below.get_mut(&place);
                meters.into_iter().for_each(|m| m.expect(point.hour, point.p50_kw, kw));
                (point.p10_kw, point.p50_kw, point.p90_kw) = (kw, kw, kw);
                *parts = vec![(because::ANNOUNCED, kw)];
                feeder.shares[point.hour] -= std::mem::take(&mut node.shares[point.hour]);
                let of_feeder = feeder.points.iter_mut().zip(&mut feeder.parts);
                for (of_feeder, parts) in of_feeder.filter(|(p, _)| p.hour == point.hour) {
                    because::add(parts, because::ANNOUNCED, moved);
                    of_feeder.p10_kw += moved;
                    of_feeder.p50_kw += moved;
                    of_feeder.p90_kw += moved;
                }
            }
            for who in sayers {
                let saw = format!("; load_annotations@{} annotation_id={who}", at.0);
                let meters = below.get_mut(&place).into_iter().flat_map(|m| &mut m.answers);
                let told = [&mut *node, &mut *feeder].into_iter().chain(meters);
                told.for_each(|answer| answer.saw += &saw);
            }
        }
    }
}

impl Answer {
    fn of(
        (scope, subject_id): (&'static str, &str),
        said: Option<(Explained, String)>,
        past_kw: &[f64],
        saw: String,
    ) -> Answer {
        let said = said.unwrap_or_else(|| (rule::explained(past_kw), RULE_VERSION.to_owned()));
        let ((points, parts), model_version) = said;
        let (subject_id, shares) = (subject_id.to_owned(), [0.0; HORIZON_HOURS]);
        Answer { scope, subject_id, points, parts, shares, model_version, saw }
    }
}

impl Node {
    /// One of which nothing is known.
    pub(super) fn new() -> Node {
        Node { hours: Hours::default(), known: 0, measured: 0, series: Series::new(OF_NODE) }
    }

    /// The first hour of its series.
    pub(super) fn first(&self) -> Option<u64> {
        self.series.first()
    }

    /// Whether something was heard of an hour that is kept.
    pub(super) fn heard(&self, hour: u64) -> bool {
        self.hours.0.contains_key(&hour) || self.series.at(hour).is_finite()
    }

    /// Notes an hour that has begun, to be learned from if it was `usual`. What was measured goes
    /// before history. Gives by how much the series moved, in kW.
    pub(super) fn note(&mut self, hour_at: u64, hour: Hour, usual: bool) -> f64 {
        let before = self.hours.0.get(&hour_at).copied();
        if before.is_some_and(|before| before == hour || (before.measured && !hour.measured)) {
            return 0.0;
        }
        let begun = self.series.first().is_some();
        let over = begun && hour_at < self.series.end();
        // Behind what is kept one by one nobody knows any more where an hour came from.
        let recent = hour_at + RECENT_HOURS >= self.series.end();
        if over && !recent && self.series.at(hour_at).is_finite() {
            return 0.0;
        }
        if !over || recent {
            self.hours.0.insert(hour_at, hour);
        }
        if !over {
            return 0.0;
        }
        let moved_kw = self.series.restate(hour_at, if usual { hour.kw } else { f64::NAN });
        if moved_kw > 0.0 {
            let newly = hour.measured && !before.is_some_and(|before| before.measured);
            self.measured += usize::from(newly);
            self.known += usize::from(before.is_none());
        }
        moved_kw
    }

    /// These hours are not to be learned where they are `unusual`, and are to be where they are not
    /// any more. Gives those that are otherwise now.
    pub(super) fn annotate(
        &mut self,
        hours: &Range<u64>,
        (touched, lacking): (&impl Fn(u64) -> bool, &impl Fn(u64) -> bool),
    ) -> Vec<u64> {
        let mut otherwise = Vec::new();
        let Some(first) = self.series.reach() else { return otherwise };
        let recent = self.series.end().saturating_sub(RECENT_HOURS);
        for hour in hours.start.max(first)..hours.end.min(self.series.end()) {
            if touched(hour) && hour < recent {
                let kept = self.series.first().is_some_and(|first| first <= hour);
                self.series.strike(hour);
                otherwise.extend(kept.then_some(hour));
            }
            let Some(known) = self.hours.0.get(&hour) else { continue };
            let usual = !touched(hour) && !lacking(hour);
            if self.series.restate(hour, if usual { known.kw } else { f64::NAN }) > 0.0 {
                otherwise.push(hour);
            }
        }
        otherwise
    }

    /// What the rule looks at.
    pub(super) fn past(&self, present: u64) -> Vec<f64> {
        self.hours.before(present)
    }

    /// What is said of it, and whether its model says so.
    pub(super) fn answer(
        &mut self,
        subject: (&'static str, &str),
        at: Timestamp,
        present: u64,
        past: &[f64],
    ) -> (Answer, bool) {
        let said = self.series.answer();
        let by_model = said.is_some();
        let basis = if by_model { self.all() } else { self.recent(present) };
        let name = self.series.version().map(adapt::name);
        let view = if subject.0 == "meter" { "shared_meter_hour" } else { "node_hour" };
        (Answer::of(subject, said.zip(name), past, basis.saw((view, at), past)), by_model)
    }

    /// Forgets what its series holds for good.
    pub(super) fn bound(&mut self, from: u64) {
        self.hours.0 = self.hours.0.split_off(&from);
        self.series.bound();
    }

    /// Takes in the hours before `present`; those that are not `usual` as missing.
    pub(super) fn advance(
        &mut self,
        present: u64,
        (weather, said): (&Weather, &[Said]),
        usual: impl Fn(u64) -> bool,
    ) {
        let first = self.series.first().or_else(|| self.hours.0.keys().next().copied());
        let Some(first) = first else { return };
        self.series.know(weather, said);
        let end = if self.series.first().is_some() { self.series.end() } else { first };
        for hour in end..present {
            let known = self.hours.0.get(&hour);
            self.known += usize::from(known.is_some());
            self.measured += usize::from(known.is_some_and(|hour| hour.measured));
            let learned = known.filter(|_| usual(hour));
            self.series.push(first, learned.map_or(f64::NAN, |hour| hour.kw));
        }
    }

    /// What the rule rests on.
    fn recent(&self, present: u64) -> Basis {
        let from = present.saturating_sub(HISTORY_HOURS as u64);
        let measured = self.hours.measured(from, present);
        Basis { history: self.hours.0.range(from..present).count() - measured, measured }
    }

    /// What the model rests on.
    fn all(&self) -> Basis {
        let measured = self.measured;
        Basis { history: self.known.saturating_sub(measured), measured }
    }
}

/// Adds a node's hours to its feeder's. A missing hour stands in by the same hour of the day
/// before, or 0: one silent meter must not leave the feeder without a forecast.
fn add(sum: &mut [f64], node: &[f64]) {
    let mut filled: Vec<f64> = Vec::with_capacity(node.len());
    for (hour, kw) in node.iter().enumerate() {
        let before = hour.checked_sub(24).map_or(0.0, |yesterday| filled[yesterday]);
        filled.push(if kw.is_nan() { before } else { *kw });
    }
    sum.iter_mut().zip(filled).for_each(|(sum, kw)| *sum += kw);
}
