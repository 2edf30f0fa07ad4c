//! Zones and the system by quarters: the sums of their feeders', with bands of their own.
//!
//! What feeders issue comes up ([`rows`](super::rows)); the median of a zone is the sum of its
//! feeders', that of the system the sum of its zones' and of feeders in none. Bands are no sums,
//! for feeders do not err together: each zone of more than one feeder, and the system, has a series
//! of its own on the sum of the quarters that came, which tracks what the sums missed
//! ([`Short::issue_as`](forecast::short::Short::issue_as)). Where there is one below, there is
//! nothing to learn beside it: a zone of one feeder says what the feeder says.
//!
//! # Why nothing comes down
//!
//! The hours that quarters are drawn from agree over the tree already
//! ([decision 20](super::super::zones)). What a quarter adds is what each one missed of late, and a
//! zone's last miss is the sum of its feeders'. On a zone of four substations, whose hours did not
//! agree before, the projection of quarters would take 1.4 to 1.9 % off the zone's error and 0.5 to
//! 0.6 % off its feeders'; bands that are sums hold 93 % where 80 are promised, those of its own 82
//! to 84 (`forecast/tests/it/short_above.rs`). For that a feeder's quarters would wait for all
//! other feeders, where the control loop wants them, and each would be decoded and encoded once
//! more.
//!
//! # Who is silent
//!
//! Of a quarter a silent feeder is what it was at that time of the day before, or else what it said
//! itself, as long as four in five were heard; a quarter in which fewer were is missing. Where a
//! feeder that was heard within [`PAST`] says nothing of the next hour, the zone's own word stands;
//! then the rows do not add up to it. One that was silent for longer, and says nothing, has no
//! place in the tree. One that was never heard is not waited for: it counts with what it said, as
//! it does in the medians, and is none of the five.
//!
//! # Who moves
//!
//! A feeder in another zone takes its quarters along: both zones' are summed anew, and what they
//! learned begins again, as with their hours ([`whole`](super::super::whole)).
//!
//! # Bounds
//!
//! [`PAST`] quarters a feeder, as they came and as they were said; 4 kB a zone.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use forecast::ridge::Factor;
use forecast::short::KEPT;
use forecast::short::LEADS;
use forecast::short::QUARTER_MS;
use forecast::short::Short;
use schemas::decision::ShortForecast;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::super::heard::Heard;
use super::super::rows::FeederPlace;
use super::super::rule::Point;
use super::super::zones::SUM_VERSION;
use super::super::zones::SYSTEM_ID;
use super::feeder::VIEW;
use super::kernel::HourSaid;
use super::rows::QuarterOutlook;
use super::series::Answer;
use super::series::DAY;
use super::series::Series;

pub mod kernel;

pub use self::kernel::AboveKernel;

/// Quarters of a feeder that are kept: those of a series that may be summed anew, and the day
/// before, which stands in for them.
pub const PAST: i64 = KEPT + DAY;

/// Quarters of its own that a feeder may bring into a zone whose series then goes on: beyond them
/// the zone was another before.
const NEW: i64 = DAY;

/// What feeders issue, in the order of the quarters.
pub type Outlooks = BTreeMap<String, Vec<QuarterOutlook>>;

/// The newest quarters of a feeder, in kW.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Past {
    /// As they came.
    known: BTreeMap<i64, f64>,
    /// As it said that they would be, a quarter before.
    said: BTreeMap<i64, f64>,
}

impl Past {
    /// The quarter, or what stands in for it.
    fn filled(&self, quarter: i64) -> Option<f64> {
        let known = self.known.get(&quarter).or_else(|| self.known.get(&(quarter - DAY)));
        known.or_else(|| self.said.get(&quarter)).copied()
    }

    fn first(&self) -> Option<i64> {
        self.known.keys().next().copied()
    }

    fn bound(&mut self, first: i64) {
        self.known = self.known.split_off(&first);
        self.said = self.said.split_off(&first);
    }
}

/// Feeders of a zone or the system; of one that was never heard nothing is known.
type Members<'a> = BTreeMap<&'a str, Option<&'a Past>>;

/// The sum of a quarter, NaN where too few were heard.
fn sum(members: &Members<'_>, quarter: i64) -> f64 {
    let mut heard = Heard::default();
    for past in members.values().filter_map(|past| *past) {
        let kw = past.filled(quarter).unwrap_or(0.0);
        if past.first().is_some_and(|first| first <= quarter) {
            heard.add(kw, past.known.contains_key(&quarter));
        } else {
            heard.add_unasked(kw);
        }
    }
    heard.kw()
}

/// A zone, or the system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Whole {
    series: Series,
    /// Whose quarters the series is the sum of.
    of: BTreeSet<String>,
    /// Quarters of which a feeder says something else than the series has.
    restated: BTreeSet<i64>,
}

impl Default for Whole {
    fn default() -> Whole {
        Whole { series: Series::new(0), of: BTreeSet::new(), restated: BTreeSet::new() }
    }
}

impl Whole {
    fn restate(&mut self, feeder_id: &str, quarter: i64) {
        if self.of.contains(feeder_id) {
            // Where the feeder was silent a day later, this stood in.
            let both = [quarter, quarter + DAY].into_iter();
            self.restated.extend(both.filter(|quarter| *quarter < self.series.short.end()));
        }
    }

    /// Takes in the quarters before `next`. `gone` says whether a feeder is nowhere any more.
    fn advance(
        &mut self,
        next: i64,
        members: &Members<'_>,
        gone: impl Fn(&str) -> bool,
        factor: &mut Factor,
    ) {
        let first = members.values().filter_map(|past| past.and_then(Past::first)).min();
        let first = first.unwrap_or(next);
        if !self.goes_on(members, gone) {
            self.series.short = Short::new(first);
            self.restated.clear();
        }
        self.of = members.keys().map(|id| (*id).to_owned()).collect();
        for quarter in std::mem::take(&mut self.restated) {
            self.series.short.restate(quarter, sum(members, quarter));
        }
        self.series.begin(first, next);
        for quarter in self.series.short.end()..next {
            self.series.short.push(sum(members, quarter), factor);
        }
    }

    /// Notes who came and went; `false` where the series is no longer that of its feeders.
    fn goes_on(&mut self, members: &Members<'_>, gone: impl Fn(&str) -> bool) -> bool {
        if self.series.short.is_empty() {
            return true;
        }
        if self.of.iter().any(|id| !members.contains_key(id.as_str()) && !gone(id)) {
            return false;
        }
        let end = self.series.short.end();
        let came = members.iter().filter(|(id, _)| !self.of.contains(**id));
        for first in came.filter_map(|(_, past)| past.and_then(Past::first)) {
            if first + NEW < end {
                return false;
            }
            self.restated.extend(first..end);
        }
        true
    }
}

/// See [`self`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Above {
    /// The zone of each feeder that lies in one. It comes again with its view.
    #[serde(skip)]
    zone_of: BTreeMap<String, String>,

    feeders: BTreeMap<String, Past>,
    zones: BTreeMap<String, Whole>,
    system: Whole,
}

impl Above {
    /// A feeder lies in a zone now, or in none that is known.
    pub fn place(&mut self, row: FeederPlace, here: bool) {
        row.apply(&mut self.zone_of, here);
    }

    /// A quarter of a feeder, NaN where it is missing.
    pub fn note(&mut self, feeder_id: &str, quarter: i64, kw: f64) {
        if kw.is_finite() {
            let past = self.feeders.entry(feeder_id.to_owned()).or_default();
            past.known.insert(quarter, kw);
        } else if let Some(past) = self.feeders.get_mut(feeder_id) {
            past.known.remove(&quarter);
        }
        self.system.restate(feeder_id, quarter);
        if let Some(zone) = self.zone_of.get(feeder_id).and_then(|zone| self.zones.get_mut(zone)) {
            zone.restate(feeder_id, quarter);
        }
    }

    /// What is forecast of an hour of a zone or the system.
    pub fn expect(&mut self, row: &HourSaid) {
        match row.scope.as_str() {
            "zone" => self.zones.entry(row.subject_id.clone()).or_default().series.expect(row),
            "system" => self.system.series.expect(row),
            _ => {}
        }
    }

    /// What is said at `at` of zones, in their order, and of the system.
    pub fn issue(
        &mut self,
        at: Timestamp,
        outlooks: &Outlooks,
        factor: &mut Factor,
    ) -> Vec<ShortForecast> {
        let (next, present) = ((at.0 / QUARTER_MS) as i64, at.0 / HOUR_MS);
        self.feeders.values_mut().for_each(|past| past.bound(next - PAST));
        self.feeders.retain(|_, past| !past.known.is_empty() || !past.said.is_empty());
        let placed: BTreeSet<&String> = self.zone_of.values().collect();
        self.zones.retain(|zone, _| placed.contains(zone));
        let Above { zone_of, feeders, zones, system } = self;
        let heard = feeders.iter().filter(|(_, past)| !past.known.is_empty()).map(|(id, _)| id);
        let everybody: BTreeSet<&str> = heard.chain(outlooks.keys()).map(String::as_str).collect();
        let gone = |id: &str| !everybody.contains(id);
        let all: Members<'_> = everybody.iter().map(|id| (*id, feeders.get(*id))).collect();
        let mut members: BTreeMap<&str, Members<'_>> = BTreeMap::new();
        let mut below: Vec<Option<Answer>> = Vec::new();
        for (id, past) in &all {
            match zone_of.get(*id) {
                Some(zone) => drop(members.entry(zone).or_default().insert(id, *past)),
                None => below.push(of_feeder(at, outlooks, id)),
            }
        }
        let mut rows = Vec::new();
        for (zone, members) in members {
            let whole = zones.entry(zone.to_owned()).or_default();
            if members.len() > 1 {
                whole.advance(next, &members, gone, factor);
            }
            let of = members.keys().map(|id| of_feeder(at, outlooks, id));
            let of: Vec<Option<Answer>> = of.collect();
            let answer = above(at, ("zone", zone), whole, &of, members.len());
            rows.extend(answer.iter().flat_map(|answer| answer.rows(at, "")));
            below.push(answer);
        }
        if below.len() > 1 {
            system.advance(next, &all, gone, factor);
        }
        let answer = above(at, ("system", SYSTEM_ID), system, &below, all.len());
        rows.extend(answer.iter().flat_map(|answer| answer.rows(at, "")));
        let wholes = zones.values_mut().chain([system]);
        wholes.for_each(|whole| whole.series.forget_before(present));
        self.remember(next, outlooks);
        rows
    }

    /// What feeders say of the quarter under way, in case that they are silent when it is over.
    fn remember(&mut self, next: i64, outlooks: &Outlooks) {
        for (feeder_id, rows) in outlooks {
            if let Some(row) = rows.first() {
                let past = self.feeders.entry(feeder_id.clone()).or_default();
                past.said.insert(next, row.p50_kw);
            }
        }
    }

    /// A quarter of the own series of a zone or the system.
    #[cfg(test)]
    fn quarter_kw(&self, scope: &str, id: &str, quarter: i64) -> f32 {
        let whole = if scope == "zone" { &self.zones[id] } else { &self.system };
        whole.series.short.at(quarter)
    }
}

/// What a feeder says, if anything.
fn of_feeder(at: Timestamp, outlooks: &Outlooks, feeder_id: &str) -> Option<Answer> {
    let rows = outlooks.get(feeder_id)?;
    let first = at.0 / QUARTER_MS;
    let point = |row: &QuarterOutlook| Point {
        hour: (row.target_at.0 / QUARTER_MS).saturating_sub(first) as usize,
        p10_kw: row.p10_kw,
        p50_kw: row.p50_kw,
        p90_kw: row.p90_kw,
    };
    Some(Answer {
        scope: "feeder",
        subject_id: feeder_id.to_owned(),
        points: rows.iter().map(point).collect(),
        model_version: rows.first()?.model_version.clone(),
        saw: String::new(),
    })
}

/// What is said of a zone or the system, from what those `below` it say; nothing where nobody knows
/// anything.
fn above(
    at: Timestamp,
    (scope, id): (&'static str, &str),
    whole: &mut Whole,
    below: &[Option<Answer>],
    feeders: usize,
) -> Option<Answer> {
    let heard = format!("short_forecasts@{} feeders={feeders}", at.0);
    if let [single] = below {
        let single = single.clone()?;
        return Some(Answer { scope, subject_id: id.to_owned(), saw: heard, ..single });
    }
    let mut added = Some([0.0; LEADS]);
    for answer in below {
        let points = answer.as_ref().map_or(&[][..], |answer| &answer.points);
        added = added.filter(|_| points.len() == LEADS);
        let sums = added.iter_mut().flatten().zip(points);
        sums.for_each(|(sum, point)| *sum += point.p50_kw);
    }
    let mut answer = whole.series.answer(at, (scope, id), VIEW, added);
    answer.saw += &format!("; {heard}");
    if added.is_some() {
        answer.model_version = SUM_VERSION.to_owned();
    }
    (!answer.points.is_empty()).then_some(answer)
}
