//! The top of the tree: zones and the system over the feeders.
//!
//! Each zone of more than one feeder has a series and a model of its own ([`whole`](super::whole)),
//! and so has the system over zones and over feeders that lie in none. What feeders say upwards
//! ([`rise`](super::rise)) and what these say by themselves is projected to what adds up
//! ([`forecast::hierarchy`]); each feeder is then told by how much it moves. Where there is one
//! below, there is nothing to learn beside it: a zone of one feeder says what the feeder says.
//!
//! # Adding up
//!
//! A zone's median is the sum of its feeders', the system's that of its zones and of feeders
//! without one, each as issued: also where a node is expected to be not as usual, which moves all
//! above it by as much. Where a feeder says nothing of an hour, what the zone says beyond the
//! others is taken to be its, and the others do not move for it, as with a node and its feeder. A
//! feeder that was silent for a week has no place in the tree.
//!
//! # Between two quarters of an hour
//!
//! A feeder whose past was restated is issued anew by itself: it moves by what it was moved last,
//! nobody else moves, and its zone and the system are issued anew as the new sums.
//!
//! # Bounds
//!
//! Feeders, the names of the stations that each hears, zones and what was issued last of each; a
//! feeder that was silent for as long as its nodes are kept is forgotten, and a zone without
//! feeders with it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use forecast::calendar::Holidays;
use forecast::hierarchy::Hierarchy;
use schemas::decision::Forecast;
use schemas::decision::ModelVersion;
use schemas::event::ModelOrder;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::because;
use super::because::Parts;
use super::feeder::News;
use super::feeder::RECENT_HOURS;
use super::reconcile::floor;
use super::reconcile::variance;
use super::rows::FeederMove;
use super::rows::FeederPlace;
use super::rows::Outlook;
use super::rule::HORIZON_HOURS;
use super::rule::Point;
use super::series::Turn;
use super::weather::STREAMS_KEPT;
use super::weather::Weather;
use super::whole::Past;
use super::whole::Whole;
use super::whole::Word;
use crate::adapt;
use crate::adapt::Subject;

pub mod kernel;

pub use self::kernel::ZoneKernel;

/// The scopes of what lies above feeders.
pub const ABOVE: [&str; 2] = ["zone", "system"];

/// The subject of forecasts of the system.
pub const SYSTEM_ID: &str = "system";

/// The name of forecasts that are nothing but the sum of those below: of an hour of which the own
/// series says nothing.
pub const SUM_VERSION: &str = "sum-1";

/// What feeders say upwards, by feeder and hour.
pub type Outlooks = BTreeMap<String, BTreeMap<u64, Outlook>>;

/// See [`self`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Zones {
    /// The zone of each feeder that lies in one. It comes again with its view.
    #[serde(skip)]
    zone_of: BTreeMap<String, String>,

    feeders: BTreeMap<String, Past>,
    /// The stations that each feeder hears.
    #[serde(default)]
    hears: BTreeMap<String, BTreeSet<String>>,
    zones: BTreeMap<String, Whole>,
    system: Whole,
    last: Last,
}

/// What was issued last.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Last {
    /// The zones in which feeders lay then.
    zone_of: BTreeMap<String, String>,
    /// By feeder and hour.
    feeders: BTreeMap<String, BTreeMap<u64, Issued>>,
    /// By zone and hour; the system's is [`SYSTEM_ID`] under no zone.
    zones: BTreeMap<String, BTreeMap<u64, Summed>>,
    system: BTreeMap<u64, Summed>,
}

/// What was issued of a feeder's hour.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Issued {
    p50_kw: f64,
    /// By how much it was moved from above, before its share.
    moved_kw: f64,
}

/// What was issued of an hour of a zone or the system.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Summed {
    p10_kw: f64,
    p50_kw: f64,
    p90_kw: f64,
    model_version: String,
    /// What so many kW of the median are made of ([`because`]).
    #[serde(default)]
    because: String,
    #[serde(default)]
    because_kw: f64,
    /// All below it were known.
    whole: bool,
}

/// What is said at a tick.
#[derive(Debug, Default)]
pub struct Said {
    /// Forecasts of zones, in their order, and of the system.
    pub forecasts: Vec<Forecast>,
    /// What moves feeders.
    pub moves: Vec<FeederMove>,
    /// What is told of the models.
    pub news: News,
}

/// What stands below a zone or the system in an hour, as it is issued.
#[derive(Clone, Debug)]
struct Below {
    point: Point,
    model_version: String,
    /// What it says by itself is made of.
    parts: Parts,
}

impl Zones {
    /// A feeder lies in a zone now, or in none that is known.
    pub fn place(&mut self, row: FeederPlace, here: bool) {
        row.apply(&mut self.zone_of, here);
    }

    /// The weather that a feeder hears, as its zone and the system hear it.
    pub fn hear(&mut self, feeder_id: &str, station_id: &str, what: impl Fn(&mut Weather)) {
        let hears = self.hears.get(feeder_id);
        let room = hears.is_none_or(|all| all.len() < STREAMS_KEPT && !all.contains(station_id));
        if room {
            self.hears.entry(feeder_id.to_owned()).or_default().insert(station_id.to_owned());
        }
        what(self.system.weather_mut());
        if let Some(zone) = self.zone_of.get(feeder_id) {
            what(self.zones.entry(zone.clone()).or_default().weather_mut());
        }
    }

    /// An hour of a feeder, NaN where it is missing.
    pub fn note(&mut self, feeder_id: &str, hour: u64, kw: f64) {
        // Its past begins with the first hour that was heard.
        if kw.is_nan() && !self.feeders.contains_key(feeder_id) {
            return;
        }
        let past = self.feeders.entry(feeder_id.to_owned()).or_insert_with(|| Past::new(hour));
        past.note(hour, kw);
        self.system.restate(feeder_id, hour);
        if let Some(zone) = self.zone_of.get(feeder_id).and_then(|zone| self.zones.get_mut(zone)) {
            zone.restate(feeder_id, hour);
        }
    }

    /// A zone or the system, where there is one.
    #[cfg(test)]
    fn whole(&self, scope: &str, id: &str) -> &Whole {
        if scope == "zone" { &self.zones[id] } else { &self.system }
    }

    /// A person's word on a model.
    pub fn order(&mut self, at: Timestamp, order: &ModelOrder) -> Vec<ModelVersion> {
        let whole = match order.scope.as_str() {
            "system" => Some(&mut self.system).filter(|_| order.subject_id == SYSTEM_ID),
            _ => self.zones.get_mut(&order.subject_id),
        };
        let quantities = whole.as_ref().map_or(Vec::new(), |whole| whole.weather().quantities());
        adapt::obey_series(at, order, whole.map(Whole::series_mut), &quantities)
    }

    /// Tells the models which days are off; see [`Series::keep_holidays`](super::series::Series).
    pub fn keep_holidays(&mut self, holidays: &Holidays) {
        let wholes = self.zones.values_mut().chain([&mut self.system]);
        wholes.for_each(|whole| whole.series_mut().keep_holidays(holidays));
    }

    /// Forecasts of everything, from what all feeders say.
    pub fn issue(&mut self, at: Timestamp, outlooks: &Outlooks, holidays: &Holidays) -> Said {
        let present = at.0 / HOUR_MS;
        self.feeders.retain(|_, past| past.heard(RECENT_HOURS, present));
        let known = |id: &String| self.feeders.contains_key(id) || self.zone_of.contains_key(id);
        self.hears.retain(|id, _| known(id));
        let wholes = self.zones.values_mut().chain([&mut self.system]);
        wholes.for_each(|whole| whole.series_mut().turn_back());
        self.advance(present, holidays);
        let heard = self.feeders.iter().filter(|(_, past)| past.lives(present)).map(|(id, _)| id);
        let leaves: BTreeSet<&String> = heard.chain(outlooks.keys()).collect();
        let tree = Tree::new(leaves.into_iter().cloned().collect(), &self.zone_of);
        let mut words = BTreeMap::new();
        for zone in &tree.zones {
            let word = self.zones.get_mut(zone).and_then(|whole| whole.word(at, present));
            words.insert(zone.as_str(), word);
        }
        let of_system = self.system.word(at, present);
        let mut issue = Issue { outlooks, last: Last::default(), said: Said::default() };
        issue.last.zone_of.clone_from(&self.zone_of);
        for hour in present..present + HORIZON_HOURS as u64 {
            issue.hour(&tree, hour, (hour - present) as usize, (&words, &of_system));
        }
        let saw = |word: &Option<Word>, node: usize| match word {
            Some(word) => word.saw.clone(),
            None => format!("forecasts@{} feeders={}", at.0, tree.below(node)),
        };
        for (place, zone) in tree.zones.iter().enumerate() {
            let Some(hours) = issue.last.zones.get(zone) else { continue };
            let saw = saw(&words[zone.as_str()], tree.feeders.len() + place);
            issue.said.forecasts.extend(rows(("zone", zone), at, hours, &saw));
        }
        let saw = saw(&of_system, tree.root());
        let system = rows(("system", SYSTEM_ID), at, &issue.last.system, &saw);
        issue.said.forecasts.extend(system);
        let Issue { last, mut said, .. } = issue;
        self.last = last;
        said.news = self.news(at);
        said
    }

    /// Brings the series up to the present hour, and lets zones go that have no feeders.
    fn advance(&mut self, present: u64, holidays: &Holidays) {
        let mut members: BTreeMap<&str, BTreeMap<&str, &Past>> = BTreeMap::new();
        let mut alone = 0;
        for (id, past) in &self.feeders {
            match self.zone_of.get(id) {
                Some(zone) => drop(members.entry(zone).or_default().insert(id, past)),
                None => alone += 1,
            }
        }
        for zone in members.keys() {
            self.zones.entry((*zone).to_owned()).or_default();
        }
        let gone = |id: &str| !self.feeders.contains_key(id);
        for (zone, members) in members.iter().filter(|(_, members)| members.len() > 1) {
            if self.zones[*zone].begins_anew(members, gone) {
                let heard = members.keys().filter_map(|id| self.hears.get(*id));
                let stations: BTreeSet<String> = heard.flatten().cloned().collect();
                lend(&mut self.zones, zone, &stations, self.system.weather());
            }
        }
        // The weather of a zone is kept for feeders that the table says are to come.
        let placed: BTreeSet<&String> = self.zone_of.values().collect();
        self.zones.retain(|zone, _| placed.contains(zone));
        let none = BTreeMap::new();
        for (place, (zone, whole)) in self.zones.iter_mut().enumerate() {
            let turn = Turn { place: place + 1, scope: "zone", id: zone };
            let own = members.get(zone.as_str()).filter(|members| members.len() > 1);
            whole.advance(present, own.unwrap_or(&none), gone, (turn, holidays));
        }
        let all = self.feeders.iter().map(|(id, past)| (id.as_str(), past)).collect();
        let all = if members.len() + alone > 1 { all } else { BTreeMap::new() };
        let turn = Turn { place: 0, scope: "system", id: SYSTEM_ID };
        self.system.advance(present, &all, gone, (turn, holidays));
    }

    /// Forecasts of what lies above feeders that were issued anew.
    pub fn restate(&mut self, at: Timestamp, outlooks: &Outlooks) -> Said {
        let mut said = Said::default();
        let mut touched: BTreeMap<Option<&String>, BTreeSet<u64>> = BTreeMap::new();
        for (feeder_id, hours) in outlooks {
            let zone = self.last.zone_of.get(feeder_id);
            let of_feeder = self.last.feeders.entry(feeder_id.clone()).or_default();
            for (hour, outlook) in hours {
                let before = of_feeder.get(hour).copied();
                let moved_kw = before.map_or(0.0, |before| before.moved_kw);
                let p50_kw = outlook.p50_kw + moved_kw * outlook.share;
                of_feeder.insert(*hour, Issued { p50_kw, moved_kw });
                said.moves.extend(moving(outlook, moved_kw));
                let zones = zone.and_then(|zone| self.last.zones.get_mut(zone));
                let above =
                    [zones.and_then(|hours| hours.get_mut(hour)), self.last.system.get_mut(hour)];
                for summed in above.into_iter().flatten() {
                    // A feeder of which nothing was issued is part of a sum that was whole
                    // without it, and was what was missing from one that was not.
                    let nothing = if summed.whole { 0.0 } else { p50_kw };
                    summed.shift(p50_kw - before.map_or(nothing, |before| before.p50_kw));
                }
                for scope in [zone, None] {
                    touched.entry(scope).or_default().insert(*hour);
                }
            }
        }
        let saw = format!("forecasts@{} feeders={}", at.0, outlooks.len());
        let system = touched.remove(&None).unwrap_or_default();
        for (zone, hours) in touched {
            let Some((id, all)) = zone.and_then(|zone| self.last.zones.get_key_value(zone)) else {
                continue;
            };
            let all = all.iter().filter(|(hour, _)| hours.contains(hour));
            said.forecasts.extend(rows(("zone", id), at, all, &saw));
        }
        let all = self.last.system.iter().filter(|(hour, _)| system.contains(hour));
        said.forecasts.extend(rows(("system", SYSTEM_ID), at, all, &saw));
        said
    }

    /// What is to be told of the models since this was last asked.
    fn news(&mut self, at: Timestamp) -> News {
        let mut news = News::default();
        let zones = self.zones.iter_mut().map(|(id, whole)| ("zone", id.as_str(), whole));
        for (scope, id, whole) in zones.chain([("system", SYSTEM_ID, &mut self.system)]) {
            let told = whole.series_mut().take_news();
            let quantities = whole.weather().quantities();
            let subject = Subject { at, scope, id, feeder_id: "" };
            news.versions.extend(adapt::versions(subject, &told.versions, &quantities));
            news.alarms.extend(adapt::alarms(subject, &told.alerts));
            news.alarms.extend(adapt::doubts(subject, &told.doubts));
        }
        news
    }
}

/// Lends a zone the past of these stations as the system and other zones heard it: what its feeders
/// heard where they were before.
fn lend(
    zones: &mut BTreeMap<String, Whole>,
    zone: &str,
    stations: &BTreeSet<String>,
    system: &Weather,
) {
    let own = zones.get_mut(zone).expect("it was just made").weather_mut();
    let mut weather = std::mem::take(own);
    weather.take_in(stations, system);
    zones.values().for_each(|other| weather.take_in(stations, other.weather()));
    *zones.get_mut(zone).expect("it was just made").weather_mut() = weather;
}

/// Feeders, zones and the system, numbered in this order.
struct Tree {
    feeders: Vec<String>,
    zones: Vec<String>,
    hierarchy: Hierarchy,
}

impl Tree {
    fn new(feeders: Vec<String>, zone_of: &BTreeMap<String, String>) -> Tree {
        let zones: BTreeSet<&String> = feeders.iter().filter_map(|id| zone_of.get(id)).collect();
        let zones: Vec<String> = zones.into_iter().cloned().collect();
        let root = feeders.len() + zones.len();
        let parent = |id: &String| {
            let zone = zone_of.get(id).and_then(|zone| zones.binary_search(zone).ok());
            Some(zone.map_or(root, |zone| feeders.len() + zone))
        };
        let mut parents: Vec<Option<usize>> = feeders.iter().map(parent).collect();
        parents.extend(zones.iter().map(|_| Some(root)));
        parents.push(None);
        let hierarchy =
            Hierarchy::new(parents).expect("zones hold feeders, the system holds zones");
        Tree { feeders, zones, hierarchy }
    }

    fn root(&self) -> usize {
        self.hierarchy.len() - 1
    }

    /// Feeders below a node.
    fn below(&self, node: usize) -> usize {
        let children = self.hierarchy.children(node).iter();
        children.map(|c| if *c < self.feeders.len() { 1 } else { self.below(*c) }).sum()
    }
}

/// Forecasts of one tick in the making.
struct Issue<'a> {
    outlooks: &'a Outlooks,
    last: Last,
    said: Said,
}

/// What zones and the system say by themselves.
type Words<'a> = (&'a BTreeMap<&'a str, Option<Word>>, &'a Option<Word>);

impl Issue<'_> {
    /// Forecasts of one hour, `ahead` hours after the present one.
    fn hour(&mut self, tree: &Tree, hour: u64, ahead: usize, (words, of_system): Words<'_>) {
        let (leaves, root) = (tree.feeders.len(), tree.root());
        let outlook = |leaf: usize| self.outlooks.get(&tree.feeders[leaf])?.get(&hour);
        let outlooks: Vec<Option<&Outlook>> = (0..leaves).map(outlook).collect();
        let own = |word: &Option<Word>| {
            let word = word.as_ref()?;
            let at = word.points.iter().position(|point| point.hour == ahead)?;
            let (point, parts) = (word.points[at], word.parts[at].clone());
            Some(Below { point, model_version: word.model_version.clone(), parts })
        };
        let zones = tree.zones.iter().map(|zone| own(&words[zone.as_str()]));
        let own: Vec<Option<Below>> = zones.chain([own(of_system)]).collect();
        let Some(values) = reconciled(&tree.hierarchy, &outlooks, &own) else { return };
        // As issued, from the feeders up.
        let mut issued: Vec<Option<Below>> = Vec::with_capacity(root + 1);
        let mut pushed_kw = vec![0.0; root + 1];
        let mut whole = vec![true; root + 1];
        for (leaf, outlook) in outlooks.into_iter().enumerate() {
            let parent = tree.hierarchy.parent(leaf).unwrap_or(root);
            let below = outlook.map(|outlook| {
                let agreed_kw = values[leaf].unwrap_or(outlook.base_kw);
                let point = self.feeder(outlook, hour, agreed_kw - outlook.base_kw);
                pushed_kw[parent] += point.p50_kw - agreed_kw;
                let parts = vec![("its feeder", point.p50_kw)];
                Below { point, model_version: outlook.model_version.clone(), parts }
            });
            whole[parent] &= below.is_some();
            issued.push(below);
        }
        for node in leaves..=root {
            let children = tree.hierarchy.children(node);
            let parts: Vec<&Below> = children.iter().filter_map(|c| issued[*c].as_ref()).collect();
            let p50_kw = if whole[node] {
                Some(parts.iter().map(|part| part.point.p50_kw).sum::<f64>())
            } else {
                values[node].map(|agreed_kw| agreed_kw + pushed_kw[node])
            };
            let (own, single) = (own[node - leaves].as_ref(), children.len() == 1);
            let summed = p50_kw.and_then(|kw| summed(kw, own, &parts, single, ahead));
            if let Some(parent) = tree.hierarchy.parent(node) {
                pushed_kw[parent] += pushed_kw[node];
                whole[parent] &= whole[node] && summed.is_some();
            }
            if let Some(below) = &summed {
                let row = Summed::of(below, whole[node]);
                let hours = match tree.zones.get(node - leaves) {
                    Some(zone) => self.last.zones.entry(zone.clone()).or_default(),
                    None => &mut self.last.system,
                };
                hours.insert(hour, row);
            }
            issued.push(summed);
        }
    }

    /// A feeder's hour as it is issued once it is moved.
    fn feeder(&mut self, outlook: &Outlook, hour: u64, moved_kw: f64) -> Point {
        let by = moved_kw * outlook.share;
        let Outlook { p10_kw, p50_kw, p90_kw, .. } = outlook;
        let point =
            Point { hour: 0, p10_kw: p10_kw + by, p50_kw: p50_kw + by, p90_kw: p90_kw + by };
        self.said.moves.extend(moving(outlook, moved_kw));
        let of_feeder = self.last.feeders.entry(outlook.feeder_id.clone()).or_default();
        of_feeder.insert(hour, Issued { p50_kw: point.p50_kw, moved_kw });
        point
    }
}

/// What all agree on: feeders, zones, system; `None` where a number is none.
fn reconciled(
    hierarchy: &Hierarchy,
    outlooks: &[Option<&Outlook>],
    own: &[Option<Below>],
) -> Option<Vec<Option<f64>>> {
    let leaves = outlooks.iter().map(|o| o.map(|o| (o.base_kw, o.variance_kw2)));
    let above = own.iter().map(|own| own.as_ref().map(|b| (b.point.p50_kw, variance(&b.point))));
    let all: Vec<Option<(f64, f64)>> = leaves.chain(above).collect();
    let base: Vec<Option<f64>> = all.iter().map(|of| of.map(|(base_kw, _)| base_kw)).collect();
    let mut variances: Vec<f64> = all.iter().map(|of| of.map_or(0.0, |(_, v)| v)).collect();
    if !floor(&mut variances) {
        variances = hierarchy.structural();
    }
    hierarchy.reconcile(&base, &variances).ok()
}

/// An hour of a zone or the system: this median with the band of its own forecast; without one,
/// with that of the one below it, or of those below as if each erred by itself.
fn summed(
    p50_kw: f64,
    own: Option<&Below>,
    parts: &[&Below],
    single: bool,
    hour: usize,
) -> Option<Below> {
    if let (None, true, [part]) = (own, single, parts) {
        return Some(Below { point: Point { hour, ..part.point }, ..(*part).clone() });
    }
    let band = |point: &Point| (point.p50_kw - point.p10_kw, point.p90_kw - point.p50_kw);
    let (low_kw, high_kw) = match own {
        Some(own) => band(&own.point),
        None => {
            let bands = parts.iter().map(|part| band(&part.point));
            let squares = bands.fold((0.0, 0.0), |sum, b| (sum.0 + b.0 * b.0, sum.1 + b.1 * b.1));
            (squares.0.sqrt(), squares.1.sqrt())
        }
    };
    let model_version = own.map_or(SUM_VERSION.to_owned(), |own| own.model_version.clone());
    let parts = own.map_or_else(|| vec![("sum of those below", p50_kw)], |own| own.parts.clone());
    let point = Point { hour, p10_kw: p50_kw - low_kw, p50_kw, p90_kw: p50_kw + high_kw };
    Some(Below { point, model_version, parts })
}

/// What moves a feeder, where anything does.
fn moving(outlook: &Outlook, moved_kw: f64) -> Option<FeederMove> {
    let (feeder_id, target_at) = (outlook.feeder_id.clone(), outlook.target_at);
    (moved_kw != 0.0).then_some(FeederMove { feeder_id, target_at, moved_kw })
}

/// The rows of a zone or the system.
fn rows<'a>(
    (scope, id): (&str, &str),
    at: Timestamp,
    hours: impl IntoIterator<Item = (&'a u64, &'a Summed)>,
    saw: &str,
) -> Vec<Forecast> {
    let row = |(hour, summed): (&u64, &Summed)| Forecast {
        scope: scope.to_owned(),
        subject_id: id.to_owned(),
        feeder_id: String::new(),
        issued_at: at,
        target_at: Timestamp(hour * HOUR_MS),
        p10_kw: summed.p10_kw,
        p50_kw: summed.p50_kw,
        p90_kw: summed.p90_kw,
        model_version: summed.model_version.clone(),
        because: because::with_tree(summed.because.clone(), summed.because_kw, summed.p50_kw),
        saw: saw.to_owned(),
    };
    hours.into_iter().map(row).collect()
}

impl Summed {
    fn of(below: &Below, whole: bool) -> Summed {
        let Point { p10_kw, p50_kw, p90_kw, .. } = below.point;
        let (because, because_kw) = (because::words(&below.parts), because::sum(&below.parts));
        let model_version = below.model_version.clone();
        Summed { p10_kw, p50_kw, p90_kw, model_version, because, because_kw, whole }
    }

    fn shift(&mut self, by_kw: f64) {
        self.p10_kw += by_kw;
        self.p50_kw += by_kw;
        self.p90_kw += by_kw;
    }
}

#[cfg(test)]
mod tests;
