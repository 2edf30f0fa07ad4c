//! The next hour by quarters: what the hourly forecast says, and what the newest quarters know
//! better.
//!
//! # The base
//!
//! Of an hour with mean `b` between hours with means `a` and `c`, the parabola with these three
//! means has the quarters
//!
//! ```text
//! q_i = b ± (a − 2b + c)/32 + (c − a) x_i / 2      x = −3/8, −1/8, 1/8, 3/8; + at the ends
//! ```
//!
//! whose mean is `b` (Colella and Woodward 1984, section 1, without their limiter). Hours that are
//! over are as they were measured, hours to come as they are forecast.
//!
//! # What is learned
//!
//! With `y` the quarters, `b` the base at the origin `o`, and `e_j = y(o−j) − b(o−j)` what it
//! misses of the newest, the quarter `h` ahead is
//!
//! ```text
//! ŷ = b(o+h) + xᵀ(β⁰ + β)
//! x = e_0 by quarter of the hour (4), e_1, (e_2 + e_3)/2, b(o+h) − b(o),
//!     what yesterday moved beyond the base: y(o+h−1 d) − y(o−1 d) − (b(o+h) − b(o)),  s
//! β = (G + λ D)⁻¹ Σ w x (y − b − xᵀβ⁰)ᵀ          G = Σ w x xᵀ, forgotten by weeks
//! ```
//!
//! one `β` a lead. The base alone (`β = 0`), what the last quarter missed carried on, and
//! persistence (1 of e_0, −1 of the base's move) all lie in it. `β⁰` carries a share of the last
//! miss on, which is safe, and is what is said until there is more to say: the ridge `λ` weighs as
//! much as two hours. Why by quarter of the hour: the hourly model has just seen the hour when it
//! is over, and is at its blindest a quarter before. `s` is the mean size of what the base misses;
//! what is far beyond it (a fault, a meter that errs) counts as if it were less far.
//!
//! Quantiles are tracked per lead and hour of the day ([`Conformal`]); the median is theirs. They
//! are counted in the spread of the hour that the quarter lies in, as it is handed over: how
//! uncertain hours are by day and by night is known before any quarter has taught it.
//!
//! # Bounded, and said by others
//!
//! A series may have bounds ([`Short::bind`]): a plant gives nothing below zero and nothing above
//! its rated power. Base, value and quantiles keep within, and an hour of which it is sure that it
//! lies at the lower bound (night: no spread) has quarters at the bound, of which there is nothing
//! to learn.
//!
//! What is issued may be said by others ([`Short::issue_as`]): a zone's quarters are the sums of
//! its feeders'. Then bands are learned from what the sums missed, and stand around them; what it
//! would say itself is learned on beside.
//!
//! # Corrections
//!
//! A quarter is learned from an hour after it ended. Until then it may be restated as often as it
//! likes: what is learned is to the bit what a past that had come so would have taught, since the
//! row of a target is made of what is known then. A quarter that is restated later is only looked
//! at (as yesterday's). Bands learn from what was said as it was said.
//!
//! # Bounds
//!
//! Quarters of a day and a quarter, and 250 sums: 4 kB. The same calls give the same bits.

use serde::Deserialize;
use serde::Serialize;

use crate::conformal::Cell;
use crate::conformal::Conformal;
use crate::model::P10;
use crate::model::P50;
use crate::model::P90;
use crate::ridge::Factor;
use crate::ridge::add_row;
use crate::ridge::packed_len;
use crate::series::Track;

/// Quarters that are forecast.
pub const LEADS: usize = 4;

/// Milliseconds of a quarter.
pub const QUARTER_MS: u64 = 900_000;

/// Quarters of an hour.
const HOUR: i64 = 4;

/// Quarters of a day.
const DAY: i64 = 96;

/// Quarters after its end at which a quarter is learned from.
pub const SETTLED_AFTER: i64 = 4;

/// Quarters that are kept: yesterday's of the oldest origin that is learned from, with the two
/// hours before an origin of which the base is made.
pub const KEPT: i64 = DAY + SETTLED_AFTER + LEADS as i64 + 3 * HOUR;

/// Numbers that a correction is made of.
const WIDTH: usize = 9;

/// Quarters after which what was learned weighs half: three weeks.
const HALF_LIFE: f32 = 21.0 * DAY as f32;

/// What the ridge weighs, in quarters. On the substations of `tests/it/short.rs` 48 is worse by up
/// to 3 %, and 1 the same.
const RIDGE: f64 = 8.0;

/// The share of the last miss that is carried on while nothing is learned, by lead.
const CARRIED: [f32; LEADS] = [0.7, 0.6, 0.5, 0.4];

/// Beyond so many usual misses, one counts as if it were so large.
const FAR: f32 = 6.0;

/// Misses after which the usual one is known: those of two days.
const BEGUN: f32 = 2.0 * (DAY * LEADS as i64) as f32;

/// Beyond so many, one is not carried on: a miss of twice the size of
/// the series is none of a load.
const ABSURD: f32 = 20.0;

/// How many times the usual spread of an hour one may be, or a part of it.
const UNIT_FAR: f64 = 10.0;

/// The least first guess of a spread, in the series' unit: where nothing is known and the newest
/// quarter is 0.
const GUESS_MIN: f64 = 0.05;

/// Quarters over which the usual miss is averaged.
const USUAL: f32 = 14.0 * DAY as f32;

/// The quarters of an hour of mean `b` between hours of means `a` and `c`.
pub fn quarters([a, b, c]: [f64; 3]) -> [f64; 4] {
    let (bend, slope) = ((a - 2.0 * b + c) / 32.0, (c - a) / 16.0);
    [b + bend - 3.0 * slope, b - bend - slope, b - bend + slope, b + bend + 3.0 * slope]
}

/// What is said of one quarter, mean kW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quarter {
    /// One outcome in ten lies below.
    pub p10: f64,
    /// Half of them do.
    pub p50: f64,
    /// Nine in ten do.
    pub p90: f64,
}

/// What was said at one origin, until its quarters have settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Issue {
    /// The newest quarter then.
    origin: i64,
    /// The hour under way and the two after it, as they were forecast.
    #[serde(with = "crate::bits::array")]
    hours: [f64; 3],
    #[serde(with = "crate::bits::array")]
    value: [f64; LEADS],
    /// The spread of each, in its unit.
    #[serde(with = "crate::bits::array")]
    spread: [f64; LEADS],
    /// What bands are counted in.
    #[serde(with = "crate::bits::array")]
    unit: [f64; LEADS],
}

/// What the base says around an origin: of the newest four quarters and of the next four.
struct Base {
    /// `o−3` to `o`.
    before: [f64; 4],
    ahead: [f64; LEADS],
}

/// What one lead has learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Lead {
    /// The share of the last miss that `β⁰` carries on.
    carried: f32,

    weight: f32,
    #[serde(with = "crate::bits")]
    gram: Vec<f32>,
    #[serde(with = "crate::bits::array")]
    right: [f32; WIDTH],
    #[serde(with = "crate::bits::array")]
    beta: [f32; WIDTH],
}

/// A series of quarters, and the model that learns from it; see [`self`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Short {
    past: Track<f32>,
    /// The usual miss, and the misses that it was averaged over.
    #[serde(with = "crate::bits::array")]
    usual: [f32; 2],
    /// The size of the series over the newest day that has settled.
    level: f32,
    leads: Vec<Lead>,
    issues: Vec<Issue>,
    bands: Option<Conformal>,
    /// The usual spread of an hour, which bands are counted in where none is handed over.
    #[serde(with = "crate::bits::array")]
    unit: [f64; 1],
    /// The lowest and the highest value there can be.
    #[serde(with = "crate::bits::array")]
    bounds: [f64; 2],
}

impl Short {
    /// A series whose first quarter is this; quarters are counted from the epoch.
    pub fn new(first: i64) -> Short {
        Short {
            past: Track::new(first),
            usual: [0.0; 2],
            level: 0.0,
            leads: CARRIED.map(Lead::new).to_vec(),
            issues: Vec::new(),
            bands: None,
            unit: [0.0],
            bounds: [f64::NEG_INFINITY, f64::INFINITY],
        }
    }

    /// From now on there is nothing below `low` or above `high`.
    pub fn bind(&mut self, low: f64, high: f64) {
        self.bounds = [low, high];
    }

    /// The quarter after the newest.
    pub fn end(&self) -> i64 {
        self.past.end()
    }

    /// The mean of a quarter, NaN where it is not known, or not kept.
    pub fn at(&self, quarter: i64) -> f32 {
        self.past.get(quarter).unwrap_or(f32::NAN)
    }

    /// Whether there was no quarter yet, known or missing, since it begins.
    pub fn is_empty(&self) -> bool {
        self.past.values().is_empty()
    }

    /// Forgets its quarters and goes on with this one; what was learned stays.
    pub fn go_on_at(&mut self, first: i64) {
        self.past = Track::new(first);
        self.issues.clear();
    }

    /// Whether any quarter that is kept is known.
    pub fn knows(&self) -> bool {
        self.kept().iter().any(|kw| kw.is_finite())
    }

    /// The newest [`KEPT`] quarters.
    fn kept(&self) -> &[f32] {
        let all = self.past.values();
        &all[all.len().saturating_sub(KEPT as usize)..]
    }

    /// A quarter that is kept is otherwise now; `false` where it is not kept, or no otherwise.
    pub fn restate(&mut self, quarter: i64, kw: f64) -> bool {
        let kw = kw as f32;
        let before = self.at(quarter);
        let same = before.to_bits() == kw.to_bits() || (before.is_nan() && kw.is_nan());
        !same && quarter >= self.end() - KEPT && self.past.set(quarter, kw)
    }

    /// The next quarter is over; NaN: it is missing. Learns from the one that has settled.
    pub fn push(&mut self, kw: f64, factor: &mut Factor) {
        self.past.push(kw as f32);
        let target = self.end() - 1 - SETTLED_AFTER;
        self.level = self.level_at(target);
        self.learn(target, factor);
        self.issues.retain(|issue| issue.origin + LEADS as i64 > target);
        self.past.bound(KEPT as usize);
    }

    fn learn(&mut self, target: i64, factor: &mut Factor) {
        let actual = f64::from(self.at(target));
        if !actual.is_finite() {
            return;
        }
        let most = f64::from(ABSURD * self.size());
        let issues = std::mem::take(&mut self.issues);
        for issue in &issues {
            let Ok(ahead) = usize::try_from(target - issue.origin - 1) else { continue };
            let base = self.base(issue.origin, issue.hours);
            if ahead >= LEADS || !issue.value[ahead].is_finite() {
                continue;
            }
            if let Some(bands) = &mut self.bands {
                let (value, unit) = (issue.value[ahead], issue.unit[ahead]);
                let actual = actual.clamp(value - most, value + most);
                let cell = cell(ahead, target);
                bands.learn(cell, 0.0, issue.spread[ahead], (actual - value) / unit);
            }
            let Some(base) = base.filter(|_| self.at(issue.origin).is_finite()) else { continue };
            let missed = (actual - base.ahead[ahead]) as f32;
            let begun = self.usual[1] >= BEGUN;
            let far = FAR * self.size();
            self.usual[1] += 1.0;
            let share = (1.0 / (USUAL * LEADS as f32)).max(1.0 / self.usual[1]);
            self.usual[0] += (missed.abs().min(far) - self.usual[0]) * share;
            let x = self.row(issue.origin, ahead, &base);
            self.leads[ahead].learn(x, missed, if begun { FAR * self.usual[0] } else { far });
            self.leads[ahead].solve(factor);
        }
        self.issues = issues;
    }

    /// What is said of the coming quarters, from what is forecast of the hour under way and of the
    /// two after it, NaN where nothing is. Where the hours are unknown it is the newest quarter,
    /// and where that is unknown too, nothing. `spreads` are how far these hours usually are off,
    /// 0 where that is not known.
    pub fn issue(&mut self, hours: [f64; 3], spreads: [f64; 3]) -> Option<[Quarter; LEADS]> {
        self.issue_as(hours, spreads, None)
    }

    /// As [`Short::issue`]; where others `said` what the medians are, these are.
    pub fn issue_as(
        &mut self,
        hours: [f64; 3],
        spreads: [f64; 3],
        said: Option<[f64; LEADS]>,
    ) -> Option<[Quarter; LEADS]> {
        let origin = self.end() - 1;
        let mut value = match said {
            Some(said) => said,
            None => self.own(origin, hours)?,
        };
        let unit = self.units(origin, value[0], spreads);
        let bands = self.bands.get_or_insert_with(|| {
            Conformal::new(LEADS, 24, DAY as f64, 1.0, (f64::NEG_INFINITY, f64::INFINITY))
        });
        let mut spread = [0.0; LEADS];
        let quarters = std::array::from_fn(|ahead| {
            let cell = cell(ahead, origin + 1 + ahead as i64);
            spread[ahead] = bands.spread(cell);
            let off = bands.quantiles(cell, 0.0);
            let [p10, p50, p90] =
                [P10, P50, P90].map(|level| value[ahead] + unit[ahead] * off[level]);
            match said {
                None => Quarter { p10, p50, p90 },
                Some(_) => {
                    let p50 = value[ahead];
                    Quarter { p10: p10.min(p50), p50, p90: p90.max(p50) }
                }
            }
        });
        let quarters = self.bounded(origin, (hours, spreads), quarters, &mut value);
        self.issues.retain(|issue| issue.origin != origin);
        self.issues.push(Issue { origin, hours, value, spread, unit });
        Some(quarters)
    }

    /// What it says itself of the coming quarters.
    fn own(&self, origin: i64, hours: [f64; 3]) -> Option<[f64; LEADS]> {
        let [low, high] = self.bounds;
        let Some(base) = self.base(origin, hours) else {
            return Some([self.newest(origin)?.clamp(low, high); LEADS]);
        };
        Some(std::array::from_fn(|ahead| {
            let x = self.row(origin, ahead, &base);
            (base.ahead[ahead] + self.leads[ahead].says(x)).clamp(low, high)
        }))
    }

    /// The quarters within the bounds; of one that is sure to lie at the lower, no value is left to
    /// learn from.
    fn bounded(
        &self,
        origin: i64,
        (hours, spreads): ([f64; 3], [f64; 3]),
        mut quarters: [Quarter; LEADS],
        value: &mut [f64; LEADS],
    ) -> [Quarter; LEADS] {
        let [low, high] = self.bounds;
        let present = (origin + 1).div_euclid(HOUR);
        for (ahead, quarter) in quarters.iter_mut().enumerate() {
            let hour = ((origin + 1 + ahead as i64).div_euclid(HOUR) - present) as usize;
            let sure = hours[hour] == low && spreads[hour] <= 0.0;
            if sure {
                value[ahead] = f64::NAN;
            }
            let high = if sure { low } else { high };
            let within = |kw: f64| kw.clamp(low, high);
            let Quarter { p10, p50, p90 } = *quarter;
            *quarter = Quarter { p10: within(p10), p50: within(p50), p90: within(p90) };
        }
        quarters
    }

    /// What the bands of the coming quarters are counted in: the spread of the hour in which each
    /// lies, neither far below nor far above the usual one.
    fn units(&mut self, origin: i64, value: f64, spreads: [f64; 3]) -> [f64; LEADS] {
        let [usual] = &mut self.unit;
        let now = spreads[0];
        if *usual <= 0.0 {
            *usual = if now > 0.0 { now } else { (0.1 * value.abs()).max(GUESS_MIN) };
        } else if now > 0.0 {
            *usual += (now.min(UNIT_FAR * *usual) - *usual) / DAY as f64;
        }
        let present = (origin + 1).div_euclid(HOUR);
        std::array::from_fn(|ahead| {
            let hour = (origin + 1 + ahead as i64).div_euclid(HOUR) - present;
            let spread = spreads[hour as usize];
            let known = spread > 0.0;
            if known { spread.clamp(*usual / UNIT_FAR, *usual * UNIT_FAR) } else { *usual }
        })
    }

    /// The newest quarter of the last hour that is known.
    fn newest(&self, origin: i64) -> Option<f64> {
        let of = |back: i64| Some(self.at(origin - back)).filter(|kw| kw.is_finite());
        (0..HOUR).find_map(of).map(f64::from)
    }

    /// The mean of an hour that is over, where all of it is known.
    fn hour(&self, hour: i64) -> Option<f64> {
        let sum: f64 = (hour * HOUR..(hour + 1) * HOUR).map(|q| f64::from(self.at(q))).sum();
        sum.is_finite().then_some(sum / HOUR as f64)
    }

    /// The base around an origin; `None` where the next hours are not forecast.
    fn base(&self, origin: i64, [now, next, after]: [f64; 3]) -> Option<Base> {
        if !now.is_finite() || !next.is_finite() {
            return None;
        }
        let after = if after.is_finite() { after } else { next };
        let present = (origin + 1).div_euclid(HOUR);
        // A reading that is absurd is not drawn on.
        let most = f64::from(ABSURD * self.size());
        let near =
            |hour: i64, of: f64| self.hour(hour).map_or(of, |kw| kw.clamp(of - most, of + most));
        let last = near(present - 1, now);
        let before = near(present - 2, last);
        let parts = [[before, last, now], [last, now, next], [now, next, after]].map(quarters);
        let at = |quarter: i64| {
            let from = (present - 1) * HOUR;
            let place = (quarter - from).clamp(0, 3 * HOUR - 1) as usize;
            parts[place / 4][place % 4]
        };
        let [low, high] = self.bounds;
        let at = |quarter: i64| at(quarter).clamp(low, high);
        Some(Base {
            before: std::array::from_fn(|back| at(origin - 3 + back as i64)),
            ahead: std::array::from_fn(|ahead| at(origin + 1 + ahead as i64)),
        })
    }

    /// A miss that would surprise nobody: the usual one, or a tenth of the series' size.
    fn size(&self) -> f32 {
        self.usual[0].max(0.1 * self.level)
    }

    /// How large the series was in the day that ends with a quarter: its third largest, so that two
    /// absurd readings are not its size, and an hour of work in a day of rest is.
    fn level_at(&self, quarter: i64) -> f32 {
        let day = (quarter - DAY + 1..=quarter).map(|q| self.at(q).abs());
        let mut day: Vec<f32> = day.filter(|kw| kw.is_finite()).collect();
        let place = day.len().saturating_sub(1).min(2);
        let larger_first = |a: &f32, b: &f32| b.total_cmp(a);
        if day.is_empty() { 0.0 } else { *day.select_nth_unstable_by(place, larger_first).1 }
    }

    /// What a correction is made of.
    fn row(&self, origin: i64, ahead: usize, base: &Base) -> [f32; WIDTH] {
        // Of a quarter that is missing, what the one before it missed.
        let (mut missed, mut last) = ([0.0_f32; 4], 0.0);
        let most = ABSURD * self.size();
        for (back, base) in base.before.iter().enumerate() {
            let kw = self.at(origin - 3 + back as i64);
            last = if kw.is_finite() { (kw - *base as f32).clamp(-most, most) } else { last };
            missed[3 - back] = last;
        }
        let moves = (base.ahead[ahead] - base.before[3]) as f32;
        let yesterday = origin - DAY;
        let moved = self.at(yesterday + 1 + ahead as i64) - self.at(yesterday) - moves;
        let mut x = [0.0; WIDTH];
        x[(origin + 1).rem_euclid(HOUR) as usize] = missed[0];
        x[4] = missed[1];
        x[5] = (missed[2] + missed[3]) / 2.0;
        x[6] = moves;
        x[7] = if moved.is_finite() { moved.clamp(-most, most) } else { 0.0 };
        x[8] = self.usual[0];
        x
    }
}

fn cell(ahead: usize, target: i64) -> Cell {
    Cell { horizon: ahead, class: (target.rem_euclid(DAY) / HOUR) as usize }
}

impl Lead {
    fn new(carried: f32) -> Lead {
        let mut lead = Lead {
            carried,
            weight: 0.0,
            gram: vec![0.0; packed_len(WIDTH)],
            right: [0.0; WIDTH],
            beta: [0.0; WIDTH],
        };
        lead.beta = lead.safe();
        lead
    }

    /// `β⁰`.
    fn safe(&self) -> [f32; WIDTH] {
        std::array::from_fn(|i| if i < HOUR as usize { self.carried } else { 0.0 })
    }

    /// The correction of a row.
    fn says(&self, x: [f32; WIDTH]) -> f64 {
        self.beta.iter().zip(x).map(|(beta, x)| f64::from(*beta) * f64::from(x)).sum()
    }

    /// Learns that the base missed by `missed`; beyond `far`, as if it were less far.
    fn learn(&mut self, x: [f32; WIDTH], missed: f32, far: f32) {
        let rest = missed - self.safe().iter().zip(x).map(|(beta, x)| beta * x).sum::<f32>();
        let size = x[..6].iter().fold(missed.abs(), |most, x| most.max(x.abs()));
        let nearer = if size > far { far / size } else { 1.0 };
        let decay = (-std::f32::consts::LN_2 / HALF_LIFE).exp();
        self.gram.iter_mut().for_each(|entry| *entry *= decay);
        self.right.iter_mut().for_each(|entry| *entry *= decay);
        self.weight = self.weight * decay + 1.0;
        add_row(&mut self.gram, &mut self.right, &x, rest, nearer * nearer);
    }

    fn solve(&mut self, factor: &mut Factor) {
        let mut gram = [0.0; packed_len(WIDTH)];
        for (entry, kept) in gram.iter_mut().zip(&self.gram) {
            *entry = f64::from(*kept);
        }
        let diagonal = |i: usize| packed_len(i) + i;
        let misses: f64 = (0..HOUR as usize).map(|i| gram[diagonal(i)]).sum();
        if misses <= 0.0 {
            return;
        }
        let ridge = RIDGE * misses / f64::from(self.weight);
        (0..WIDTH).for_each(|i| gram[diagonal(i)] += ridge);
        factor.set(&gram, WIDTH, 1e-9);
        let mut beta = self.right.map(f64::from);
        factor.solve(&mut beta);
        let safe = self.safe();
        self.beta = std::array::from_fn(|i| safe[i] + beta[i] as f32);
    }
}
