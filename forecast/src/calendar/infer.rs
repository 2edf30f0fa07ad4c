//! Which calendar a history kept, for users who named none.
//!
//! The level of a day follows the weather; its shape tells whether people worked. Each day is taken
//! as 24 hourly means over the mean of the day, and placed between the mean Sunday and the mean
//! working day of the three weeks around it:
//!
//! ```text
//! w = working - sunday,   p = (day - sunday) . w / (w . w),   d = p - 1
//! ```
//!
//! On an ordinary working day `d` is near zero, with a spread `s` (the median of |d| times 1.4826);
//! on a day off it is near -1. A calendar is credited, for each of its holidays on a working day,
//! with `min(-d / s, 5) - 1`: a day off that the load kept adds up to 4, one that it did not keep
//! costs about 1 (half the log-likelihood ratio of a shift of two spreads against none). A kept day
//! that a calendar lacks adds nothing. So the calendar wins that has the days the load kept, and no
//! others.
//!
//! Nothing is concluded from fewer than four such holidays, from a credit below 8, or where another
//! country explains the history as well: Christmas alone does not tell the Dutch from the Germans,
//! and the wrong one would be wrong in May.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use chrono::Datelike;
use chrono::Days;
use chrono::NaiveDate;
use serde::Deserialize;
use serde::Serialize;

use crate::calendar::Civil;
use crate::calendar::Region;

/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// Days before and after, from which Sundays and working days are taken: shapes follow the season.
const AROUND_DAYS: u64 = 21;

/// Holidays on working days that a calendar must be tried on: Christmas, New Year's Day and two
/// more.
const DAYS_MIN: usize = 4;

/// Credit that it must have: two days clearly kept, or many faintly.
const CREDIT_MIN: f64 = 8.0;

/// Credit by which a country must lead every other: half a day clearly kept, that they lack.
const LEAD_MIN: f64 = 2.0;

/// Credit by which a part of a country must lead the country, whose days it mostly shares.
const LEAD_OF_PART_MIN: f64 = 6.0;

/// What a calendar explains of a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The calendar.
    pub region: Region,
    /// Its holidays on working days that the history holds.
    pub days: usize,
    /// Its credit: up to 4 a day.
    pub credit: f64,
}

/// What was concluded, and from what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inference {
    /// The calendar, where one is clear.
    pub region: Option<Region>,
    /// All calendars, in the order of [`Region::ALL`].
    pub evidence: Vec<Evidence>,
    /// The same in words.
    pub words: String,
}

/// Infers the calendar of a history: instants in milliseconds since the epoch on the clock of the
/// series, with values in any unit (load, positive). Values that are not finite are left out.
#[must_use]
pub fn infer(history: impl IntoIterator<Item = (i64, f64)>) -> Inference {
    let deviations = deviations(&shapes(history));
    let spread = spread(&deviations);
    let try_on = |region: Region| {
        let found = kept(region, &deviations);
        let credit = |d: &f64| if spread > 0.0 { (-d / spread).min(5.0) - 1.0 } else { 0.0 };
        Evidence { region, days: found.len(), credit: found.iter().map(credit).sum() }
    };
    let evidence: Vec<Evidence> = Region::ALL.map(try_on).into();
    let (region, words) = conclude(&evidence);
    Inference { region, evidence, words }
}

/// Hourly means of a day over the mean of the day.
type Shape = [f64; 24];

/// The shape of each day of which every hour is there.
fn shapes(history: impl IntoIterator<Item = (i64, f64)>) -> BTreeMap<NaiveDate, Shape> {
    let mut sums: BTreeMap<NaiveDate, [(f64, f64); 24]> = BTreeMap::new();
    for (at_ms, value) in history.into_iter().filter(|(_, value)| value.is_finite()) {
        let civil = Civil::at(at_ms);
        let sum = &mut sums.entry(civil.date).or_default()[civil.slot(HOUR_MS)];
        *sum = (sum.0 + value, sum.1 + 1.0);
    }
    let shape = |(date, hours): (NaiveDate, [(f64, f64); 24])| {
        let means = hours.map(|(sum, n)| sum / n);
        let mean = means.iter().sum::<f64>() / 24.0;
        let shape = means.map(|value| value / mean);
        shape.iter().all(|value| value.is_finite()).then_some((date, shape))
    };
    sums.into_iter().filter_map(shape).collect()
}

/// `d` of each working day.
fn deviations(shapes: &BTreeMap<NaiveDate, Shape>) -> BTreeMap<NaiveDate, f64> {
    let around = Days::new(AROUND_DAYS);
    let weekday = |date: &NaiveDate| date.weekday().num_days_from_monday();
    let deviation = |(date, day): (&NaiveDate, &Shape)| {
        let near = date.checked_sub_days(around)?..=date.checked_add_days(around)?;
        let near = || shapes.range(near.clone()).filter(|(other, _)| *other != date);
        let working = mean(near().filter(|(date, _)| weekday(date) < 5))?;
        let sunday = mean(near().filter(|(date, _)| weekday(date) == 6))?;
        let (mut along, mut whole) = (0.0, 0.0);
        for hour in 0..24 {
            let w = working[hour] - sunday[hour];
            along += (day[hour] - sunday[hour]) * w;
            whole += w * w;
        }
        let d = along / whole - 1.0;
        d.is_finite().then_some((*date, d))
    };
    shapes.iter().filter(|(date, _)| weekday(date) < 5).filter_map(deviation).collect()
}

/// The mean shape; absent where there are none.
fn mean<'a>(shapes: impl Iterator<Item = (&'a NaiveDate, &'a Shape)>) -> Option<Shape> {
    let (mut sum, mut n) = ([0.0; 24], 0.0);
    for (_, shape) in shapes {
        sum.iter_mut().zip(shape).for_each(|(sum, value)| *sum += value);
        n += 1.0;
    }
    (n > 0.0).then(|| sum.map(|sum| sum / n))
}

fn spread(deviations: &BTreeMap<NaiveDate, f64>) -> f64 {
    let mut sizes: Vec<f64> = deviations.values().map(|d| d.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    1.4826 * sizes.get(sizes.len() / 2).copied().unwrap_or(0.0)
}

/// `d` of the holidays of a region that fall on working days.
fn kept(region: Region, deviations: &BTreeMap<NaiveDate, f64>) -> Vec<f64> {
    let years: BTreeSet<i32> = deviations.keys().map(NaiveDate::year).collect();
    let holidays = years.into_iter().flat_map(|year| region.in_year(year));
    holidays.filter_map(|date| deviations.get(&date).copied()).collect()
}

fn conclude(evidence: &[Evidence]) -> (Option<Region>, String) {
    let better = |best: Option<&'static str>, one: &Evidence, other: &Evidence| {
        // The first of equals stays, and countries come before their parts.
        let margin = if best == Some(other.region.country()) { LEAD_OF_PART_MIN } else { 0.0 };
        other.credit > one.credit + margin
    };
    let Some(mut best) = evidence.first() else { return (None, String::new()) };
    for other in &evidence[1..] {
        if better(Some(best.region.country()), best, other) {
            best = other;
        }
    }
    let country = best.region.country();
    let abroad = evidence.iter().filter(|other| other.region.country() != country);
    let rival = abroad.max_by(|a, b| a.credit.total_cmp(&b.credit));
    let Evidence { region, days, credit } = best;
    if *days < DAYS_MIN || *credit < CREDIT_MIN {
        return (None, format!("no calendar: {region} has most, {credit:.1} from {days} days"));
    }
    match rival {
        Some(rival) if rival.credit > credit - LEAD_MIN => {
            let words = format!(
                "no calendar: {region} ({credit:.1}) and {} ({:.1}) explain the history alike",
                rival.region, rival.credit
            );
            (None, words)
        }
        _ => (Some(*region), format!("{region}: credit {credit:.1} from {days} days off")),
    }
}
