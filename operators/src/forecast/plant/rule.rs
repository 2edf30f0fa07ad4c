//! The rule on a plain series of hours, until there is a model: a PV plant as yesterday, a wind
//! plant as it is now.
//!
//! With `y[n]` the hour before the present one, and the newest hour that is known in its place
//! where that is missing:
//!
//! ```text
//! PV    f(o, k) = y[o+k−24]     the newest of the last three days that is known
//! wind  f(o, k) = y[o−1]
//! ```
//!
//! The band is that of the rule's own errors over seven days, by lead for wind, over all hours of
//! light for PV. An hour at which a PV plant gave nothing on any of the last three days is night:
//! all is 0. No word is below 0 or above the rated power.

use forecast::model::Kind;

use crate::forecast::because::Parts;
use crate::forecast::rule::ERRORS_MIN;
use crate::forecast::rule::HISTORY_HOURS;
use crate::forecast::rule::HORIZON_HOURS;
use crate::forecast::rule::Point;
use crate::forecast::rule::SPREAD_HOURS;

/// The name that forecasts of a PV plant by the rule carry.
pub const PV_VERSION: &str = "yesterday-1";

/// The name that forecasts of a wind plant by the rule carry.
pub const WIND_VERSION: &str = "persistence-1";

/// Days that are looked back at for an hour of a PV plant.
const DAYS_BACK: isize = 3;

/// Share of the rated power below which a PV plant gives nothing.
const DARK_SHARE: f64 = 0.002;

const _: () = assert!(SPREAD_HOURS + 24 <= HISTORY_HOURS);

/// A plant's hours before the present one, oldest first, NaN where unknown.
struct Past<'a> {
    kind: Kind,
    kw: &'a [f64],
}

/// The forecast from the hours before the present one, oldest first. Hours of which the rule knows
/// nothing are left out.
pub fn points(kind: Kind, past_kw: &[f64], rated_kw: f64) -> Vec<Point> {
    let past = Past { kind, kw: past_kw };
    let origin = past_kw.len() as isize;
    let of_all = (kind == Kind::Pv).then(|| past.spread(rated_kw, 23));
    let mut points = Vec::with_capacity(HORIZON_HOURS);
    for hour in 0..HORIZON_HOURS {
        let target = origin + hour as isize;
        let p50_kw = past.says(origin, target).clamp(0.0, rated_kw);
        if p50_kw.is_nan() {
            continue;
        }
        let dark = past.is_dark(target, rated_kw);
        let p50_kw = if dark { 0.0 } else { p50_kw };
        let (low, high) = match of_all {
            _ if dark => (0.0, 0.0),
            Some(spread) => spread,
            None => past.spread(rated_kw, hour),
        };
        let bound = |kw: f64| kw.clamp(0.0, rated_kw);
        let (p10_kw, p90_kw) = (bound(p50_kw + low), bound(p50_kw + high));
        points.push(Point { hour, p10_kw, p50_kw, p90_kw });
    }
    points
}

/// What each of these points is made of.
pub fn parts(kind: Kind, points: &[Point]) -> Vec<Parts> {
    let name = if kind == Kind::Wind { "newest hour" } else { "same hour of days before" };
    points.iter().map(|point| vec![(name, point.p50_kw)]).collect()
}

impl Past<'_> {
    fn at(&self, hour: isize) -> f64 {
        usize::try_from(hour).ok().and_then(|h| self.kw.get(h)).copied().unwrap_or(f64::NAN)
    }

    /// What is said of a target before the hour `origin`.
    fn says(&self, origin: isize, target: isize) -> f64 {
        if self.kind == Kind::Wind {
            let mut back = (origin - 24..origin).rev().map(|hour| self.at(hour));
            return back.find(|kw| kw.is_finite()).unwrap_or(f64::NAN);
        }
        let mut back = (1..=DAYS_BACK).map(|days| self.at(target - 24 * days));
        back.find(|kw| kw.is_finite()).unwrap_or(f64::NAN)
    }

    /// Whether a PV plant gave nothing at that hour of late.
    fn is_dark(&self, target: isize, rated_kw: f64) -> bool {
        let back = || (1..=DAYS_BACK).map(|days| self.at(target - 24 * days));
        let dark = |kw: f64| kw.is_nan() || kw <= DARK_SHARE * rated_kw;
        self.kind == Kind::Pv && back().any(f64::is_finite) && back().all(dark)
    }

    /// The 10 % and 90 % quantiles of the rule's errors `hour` hours ahead, the first at most 0 and
    /// the second at least.
    fn spread(&self, rated_kw: f64, hour: usize) -> (f64, f64) {
        let end = self.kw.len() as isize;
        let error = |target: isize| {
            let says = self.says(target - hour as isize, target);
            let dark = self.is_dark(target, rated_kw) && self.at(target) <= DARK_SHARE * rated_kw;
            if dark { f64::NAN } else { self.at(target) - says }
        };
        let errors = (end - SPREAD_HOURS as isize..end).map(error);
        let mut errors: Vec<f64> = errors.filter(|error| error.is_finite()).collect();
        if errors.len() < ERRORS_MIN {
            return (0.0, 0.0);
        }
        errors.sort_by(f64::total_cmp);
        let at = |share: f64| errors[(share * (errors.len() - 1) as f64).round() as usize];
        (at(0.1).min(0.0), at(0.9).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Light from 6 to 18, 4 kW at noon, less by a tenth each day.
    fn sunny(hour: usize) -> f64 {
        let height = 4.0 - (hour as f64 % 24.0 - 12.0).abs() * 4.0 / 6.0;
        height.max(0.0) * (1.0 - 0.1 * (hour / 24) as f64)
    }

    #[test]
    fn a_pv_plant_is_as_yesterday_and_nothing_by_night() {
        let past: Vec<f64> = (0..8 * 24).map(sunny).collect();
        let points = points(Kind::Pv, &past, 5.0);
        assert_eq!(points.len(), HORIZON_HOURS);
        for point in &points {
            assert_eq!(point.p50_kw, past[7 * 24 + point.hour]);
            let night = point.hour <= 6 || point.hour >= 18;
            assert_eq!(night, point.p90_kw == 0.0, "{point:?}");
        }
        // It fell each day: yesterday is too much.
        assert!(points[12].p10_kw < points[12].p50_kw);
        assert_eq!(points[12].p90_kw, points[12].p50_kw);
    }

    #[test]
    fn a_missing_hour_is_that_of_the_day_before_and_one_never_known_is_left_out() {
        let mut past: Vec<f64> = (0..8 * 24).map(sunny).collect();
        past[7 * 24 + 12] = f64::NAN;
        assert_eq!(points(Kind::Pv, &past, 5.0)[12].p50_kw, past[6 * 24 + 12]);
        let short = &past[..20];
        assert_eq!(points(Kind::Pv, short, 5.0).len(), 20);
        assert!(points(Kind::Pv, &[], 5.0).is_empty());
    }

    #[test]
    fn a_wind_plant_is_as_it_is_and_less_sure_the_farther() {
        let past: Vec<f64> = (0..8 * 24).map(|hour| f64::from((hour / 12 % 2) as u8)).collect();
        let points = points(Kind::Wind, &past, 2.0);
        assert!(points.iter().all(|point| point.p50_kw == 1.0));
        assert_eq!((points[0].p10_kw, points[0].p90_kw), (1.0, 1.0));
        assert_eq!((points[11].p10_kw, points[11].p90_kw), (0.0, 2.0));
        let mut silent = past.clone();
        *silent.last_mut().unwrap() = f64::NAN;
        assert_eq!(self::points(Kind::Wind, &silent, 2.0)[0].p50_kw, 1.0);
    }

    #[test]
    fn no_word_is_beyond_the_rated_power() {
        let past = vec![9.0; 192];
        assert!(points(Kind::Wind, &past, 2.0).iter().all(|point| point.p90_kw == 2.0));
    }
}
