//! One series, hour by hour: its past, and the model that learned from it.
//!
//! A series begins without a model. As soon as its past is long enough it gets one
//! ([`forecast::adaptive`]), which then holds the long past itself; from then on each hour costs
//! one step. Reviews and trees are held beside, and their outcome is asked for when the next hour
//! ends.
//!
//! An hour that is restated goes to the model too, as long as it is young: the sums are then those
//! of the corrected past. What the model said before stays said.
//!
//! # Bounds
//!
//! [`PAST_HOURS`] before there is a model, [`KEPT_HOURS`] after, 4 bytes each; the model, which
//! names its own bounds.

use std::collections::BTreeSet;

use forecast::adaptive::Adaptive;
use forecast::adaptive::HISTORY_DAYS;
use forecast::adaptive::Policy;
use forecast::adaptive::REVIEW_DAYS;
use forecast::adaptive::Version;
use forecast::calendar::Holidays;
use forecast::drift::Alert;
use forecast::feature::Group;
use forecast::forecaster::explain;
use forecast::model::Kind;
use forecast::model::Model;
use forecast::model::P10;
use forecast::model::P50;
use forecast::model::P90;
use forecast::model::Quantity;
use forecast::model::Said;
use forecast::model::Setup;
use forecast::quality::Verdict;
use forecast::series::Track;
use forecast::slot::YOUNG_DAYS;
use forecast::structure::START_DAYS;
use schemas::time::DAY_MS;
use schemas::time::HOUR_MS;
use serde::Deserialize;
use serde::Serialize;

use super::because;
use super::because::Explained;
use super::because::Parts;
use super::rule::HORIZON_HOURS;
use super::rule::Point;
use super::weather::Weather;
use crate::adapt::Former;

/// Hours of the past that a model is given: as many as it keeps.
pub const PAST_HOURS: u64 = HISTORY_DAYS as u64 * 24;

/// Hours within which a restated hour reaches the model.
pub const YOUNG_HOURS: u64 = YOUNG_DAYS as u64 * 24;

/// Hours that are kept beside the model: those that may be restated, and the week before from which
/// a missing one stands in.
const KEPT_HOURS: u64 = YOUNG_HOURS + 9 * 24;

/// Hours without a reading after which a model does not answer any more: its newest lags are then
/// all stand-ins.
const SILENT_HOURS_MAX: u64 = 7 * 24;

/// Hours over which reviews are spread: those between two of one series.
pub const REVIEW_HOURS: u64 = REVIEW_DAYS as u64 * 24;

/// When a series has its turn: so that those that began together are not all reviewed at one time,
/// wherever they lie.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// Its place in its feeder, by which its first model is made.
    pub place: usize,
    /// `meter`, `node`, `feeder`, `zone` or `system`.
    pub scope: &'a str,
    /// The bus, feeder or zone.
    pub id: &'a str,
}

impl Turn<'_> {
    /// Hours by which its reviews are put off, below [`REVIEW_HOURS`]: by its name (FNV-1a, mixed),
    /// so that a restart or another worker says the same.
    pub fn put_off(&self) -> u64 {
        let bytes = self.scope.bytes().chain([0]).chain(self.id.bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) % REVIEW_HOURS
    }
}

/// What the model of a series is asked, told this weather, these days off and by how many hours the
/// clock that days go by is ahead of UTC.
pub fn setup(quantities: Vec<Quantity>, (holidays, clock_ahead): (BTreeSet<i64>, i64)) -> Setup {
    Setup {
        kind: Kind::NetLoad,
        step_ms: HOUR_MS as i64,
        horizon: HORIZON_HOURS,
        quantities,
        holidays,
        clock_ahead,
        capacity: None,
        place: None,
    }
}

/// Hours over which the first models of nodes that began together are spread.
const BEGIN_WITHIN_HOURS: usize = 24;

/// Years ahead of its making of which a model is told the holidays. More cost memory in each model;
/// a restart tells it of as many again.
const HOLIDAY_YEARS: u64 = 20;

/// Days back that a missing hour is looked for at the same time of the day.
const STAND_IN_DAYS: u64 = 7;

/// Hours by which the clock that days go by is ahead of UTC: of one that is ahead by a part of an
/// hour, the nearest.
fn clock_ahead(holidays: &Holidays) -> i64 {
    (holidays.ahead_ms() + HOUR_MS as i64 / 2).div_euclid(HOUR_MS as i64)
}

/// A series; see [`self`]. Hours are counted from the epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    policy: Policy,

    /// Mean kW by hour, NaN where missing.
    past: Track<f32>,
    model: Option<Box<Adaptive>>,
    /// Hours that the model does not know as they stand now.
    restated: BTreeSet<u64>,
    /// Hours that are kept and that the model set aside: it did not learn them.
    #[serde(default)]
    aside: BTreeSet<u64>,
    /// The version that was told last.
    #[serde(default)]
    former: Option<Former>,
}

/// What is told of a model beside its forecasts.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// Versions that began to answer, each after the one that ceased to.
    pub versions: Vec<(Option<Former>, Version)>,
    /// Signs that it no longer describes its series.
    pub alerts: Vec<Alert>,
    /// Hours that are in doubt.
    pub doubts: Vec<(i64, Verdict)>,
}

impl Series {
    /// A series without a past, whose model may change itself by this policy.
    pub fn new(policy: Policy) -> Series {
        let (restated, aside) = (BTreeSet::new(), BTreeSet::new());
        Series { policy, past: Track::new(0), model: None, restated, aside, former: None }
    }

    /// The first hour that is kept; `None` before any.
    pub fn first(&self) -> Option<u64> {
        (!self.past.values().is_empty()).then_some(self.past.first() as u64)
    }

    /// The hour after the newest.
    pub fn end(&self) -> u64 {
        self.past.end() as u64
    }

    /// The version of the model that answers.
    pub fn version(&self) -> Option<&Version> {
        self.model.as_ref().and_then(|model| model.version())
    }

    /// The mean kW of an hour, NaN where it is not known.
    pub fn at(&self, hour: u64) -> f32 {
        self.past.get(hour as i64).unwrap_or(f32::NAN)
    }

    /// The same as others may learn it: NaN where its model set it aside, too.
    pub fn vouched(&self, hour: u64) -> f32 {
        if self.aside.contains(&hour) { f32::NAN } else { self.at(hour) }
    }

    /// The same; of an hour that is missing or set aside, what the newest day before had at its
    /// time, or 0.
    pub fn filled(&self, hour: u64) -> f32 {
        let mut before =
            (0..=STAND_IN_DAYS).map(|days| self.vouched(hour.saturating_sub(24 * days)));
        before.find(|kw| kw.is_finite()).unwrap_or(0.0)
    }

    /// The next hour, NaN where it is missing; `first` where it is the first of all.
    pub fn push(&mut self, first: u64, kw: f64) {
        if self.past.values().is_empty() {
            self.past = Track::new(first as i64);
        }
        self.past.push(kw as f32);
        if let Some(model) = &mut self.model {
            model.observe(kw);
            let newest = self.past.end() - 1;
            if model.aside().last().is_some_and(|(hour, _)| *hour == newest) {
                self.aside.insert(newest as u64);
            }
        }
    }

    /// An hour that is kept is otherwise now. Gives by how much, in kW: infinitely, where it was
    /// missing. Before there is a model, hours before the first may still come.
    pub fn restate(&mut self, hour: u64, kw: f64) -> f64 {
        let Some(first) = self.first().filter(|_| hour + PAST_HOURS >= self.end()) else {
            return 0.0;
        };
        if hour < first && self.model.is_none() {
            let later = std::mem::replace(&mut self.past, Track::new(hour as i64));
            (hour..first).for_each(|_| self.past.push(f32::NAN));
            later.values().iter().for_each(|kw| self.past.push(*kw));
        }
        let before = self.at(hour);
        let same = before.to_bits() == (kw as f32).to_bits() || (before.is_nan() && kw.is_nan());
        if same || !self.past.set(hour as i64, kw as f32) {
            return 0.0;
        }
        if self.model.is_some() {
            self.restated.insert(hour);
        }
        let moved = f64::from(before) - kw;
        if moved.is_finite() { moved.abs() } else { f64::INFINITY }
    }

    /// An hour, however long ago, is not to be learned: behind what is kept, the next review no
    /// longer sees it.
    pub fn strike(&mut self, hour: u64) {
        let known = hour >= self.past.first() as u64;
        if self.model.is_some() && (!known || self.at(hour).is_finite()) {
            self.restated.insert(hour);
        }
        self.past.set(hour as i64, f32::NAN);
    }

    /// The first hour that may be struck.
    pub fn reach(&self) -> Option<u64> {
        let kept = self.end().saturating_sub(PAST_HOURS);
        self.first().map(|first| if self.model.is_some() { kept.min(first) } else { first })
    }

    /// Tells the model what was restated and, where there is none yet, makes one, in its `turn`.
    /// Gives the hours that are set aside now and were not before, or the other way round.
    pub fn settle(&mut self, weather: &Weather, turn: Turn<'_>, holidays: &Holidays) -> Vec<u64> {
        let mut otherwise = Vec::new();
        for hour in std::mem::take(&mut self.restated) {
            let kw = f64::from(self.at(hour));
            if let Some(model) = &mut self.model {
                model.correct(hour as i64, kw);
                let aside = model.aside().any(|(other, _)| *other == hour as i64);
                let changed =
                    if aside { self.aside.insert(hour) } else { self.aside.remove(&hour) };
                otherwise.extend(changed.then_some(hour));
            }
        }
        // Nodes that began together would all have their first model at one tick.
        let begins = START_DAYS as usize * 24 + turn.place % BEGIN_WITHIN_HOURS;
        if self.model.is_none() && self.past.values().len() >= begins {
            self.model = self.made(weather, turn, holidays).map(Box::new);
            let aside = self.model.iter().flat_map(|model| model.aside());
            let aside: BTreeSet<u64> = aside.map(|(hour, _)| *hour as u64).collect();
            otherwise.extend(aside.iter().filter(|hour| !self.aside.contains(hour)));
            self.aside = aside;
        }
        otherwise
    }

    /// Forgets what is in the model for good.
    pub fn bound(&mut self) {
        let kept = if self.model.is_some() { KEPT_HOURS } else { PAST_HOURS };
        self.past.bound(kept as usize);
        self.aside = self.aside.split_off(&(self.past.first() as u64));
    }

    /// A model of this past, where that is enough for one.
    fn made(&self, weather: &Weather, turn: Turn<'_>, holidays: &Holidays) -> Option<Adaptive> {
        let days = (self.days_off(holidays), clock_ahead(holidays));
        let setup = setup(weather.quantities(), days);
        let (first, end) = (self.past.first(), self.past.end());
        let mut model = Adaptive::new(setup, first, self.policy);
        model.know(&weather.said(end as u64 - 1, first as u64..weather.told()));
        self.past.values().iter().for_each(|kw| model.observe(f64::from(*kw)));
        model.outlook();
        model.version()?;
        model.defer(turn.put_off() as i64);
        Some(model)
    }

    /// The days off of its past and of the years that come.
    fn days_off(&self, holidays: &Holidays) -> BTreeSet<i64> {
        let from = self.end().saturating_sub(PAST_HOURS) * HOUR_MS;
        let to = self.end() * HOUR_MS + HOLIDAY_YEARS * 366 * DAY_MS;
        holidays.days(from as i64, to as i64)
    }

    /// Tells the model which days are off where that may be others than it was made with: what it
    /// learned stays, and the days ahead are of the kind that they are now.
    pub fn keep_holidays(&mut self, holidays: &Holidays) {
        let days = self.days_off(holidays);
        if let Some(model) = &mut self.model {
            model.keep_holidays(&days);
        }
    }

    /// Tells the model what is said of the weather, and of the stations that there are since it was
    /// made.
    pub fn know(&mut self, weather: &Weather, said: &[Said]) {
        let Some(model) = &mut self.model else { return };
        if model.hears() < weather.streams() {
            model.hear(&weather.quantities());
        }
        model.know(said);
    }

    /// What the model says of the coming hours, the present one first; `None` where it does not
    /// answer for all of them. And what each is made of.
    pub fn answer(&mut self) -> Option<Explained> {
        let seen = self.past.values();
        let newest = &seen[seen.len().saturating_sub(SILENT_HOURS_MAX as usize)..];
        if !newest.iter().any(|kw| kw.is_finite()) {
            return None;
        }
        let model = self.model.as_mut()?;
        let points = model.outlook().points;
        let made = |(point, parts): (&forecast::model::Point, &explain::Parts)| {
            let words = Group::ALL.map(Group::word).into_iter();
            let mut parts: Parts = words.zip(*parts).filter(|(_, kw)| *kw != 0.0).collect();
            // The median that quantiles have learned is another than what experts say together.
            because::add(&mut parts, Group::Recent.word(), point.quantiles[P50] - point.value);
            parts
        };
        let parts: Vec<Parts> = points.iter().zip(&model.parts()).map(made).collect();
        let point = |(hour, point): (usize, &forecast::model::Point)| Point {
            hour,
            p10_kw: point.quantiles[P10],
            p50_kw: point.quantiles[P50],
            p90_kw: point.quantiles[P90],
        };
        let points: Vec<Point> = points.iter().enumerate().map(point).collect();
        let whole = |p: &Point| [p.p10_kw, p.p50_kw, p.p90_kw].iter().all(|kw| kw.is_finite());
        (points.len() == HORIZON_HOURS && points.iter().all(whole)).then_some((points, parts))
    }

    /// Holds on to the version that answers, or lets others take over again; `false` where there is
    /// no model.
    pub fn hold(&mut self, held: bool) -> bool {
        self.model.as_mut().map(|model| model.pin(held)).is_some()
    }

    /// The version that answers, or the one that a person has gone back to and that will.
    pub fn version_in_force(&self) -> Option<&Version> {
        self.model.as_ref().and_then(|model| model.version_in_force())
    }

    /// Lets the version answer that a person goes back to.
    pub fn turn_back(&mut self) {
        if let Some(model) = &mut self.model {
            model.turn_back();
        }
    }

    /// Goes back to the version before and holds on to it; `false` where there is none.
    pub fn roll_back(&mut self) -> bool {
        self.model.as_mut().is_some_and(|model| model.roll_back())
    }

    /// What is to be told since this was last asked.
    pub fn take_news(&mut self) -> News {
        let Some(model) = &mut self.model else { return News::default() };
        let mut with_former = |version: Version| {
            let former = self.former.replace(Former::of(&version));
            (former, version)
        };
        let versions = model.take_versions().into_iter();
        News {
            versions: versions.map(&mut with_former).collect(),
            alerts: model.take_alerts(),
            doubts: model.take_doubts(),
        }
    }
}
