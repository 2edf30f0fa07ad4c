//! The rule on a plain series of hours: points and their spread.
//!
//! With `y[n]` the hour before the present one:
//!
//! ```text
//! f(o, k) = y[o+k−24] + (y[o−1] − y[o−25])      forecast at origin o for the hour o+k
//! e(o, k) = y[o+k] − f(o, k)                    its error, once known
//! ```
//!
//! A missing hour is NaN; what would need it is left out.

use super::because::Explained;

/// Hours that are forecast.
pub const HORIZON_HOURS: usize = 24;

/// Hours of history that the rule looks at: seven days of errors need an eighth before them.
pub const HISTORY_HOURS: usize = 192;

/// Hours of errors that the spread is taken from.
pub const SPREAD_HOURS: usize = 168;

/// Errors below which no spread is claimed: p10 and p90 are then the p50.
pub const ERRORS_MIN: usize = 24;

/// One hour's forecast, mean kW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Hours after the present one.
    pub hour: usize,
    /// One outcome in ten lies below.
    pub p10_kw: f64,
    /// As the rule says.
    pub p50_kw: f64,
    /// Nine outcomes in ten lie below.
    pub p90_kw: f64,
}

/// The forecast from the hours before the present one, oldest first. Hours whose yesterday is
/// unknown are left out.
pub fn points(past_kw: &[f64]) -> Vec<Point> {
    let past = Past(past_kw);
    let origin = past_kw.len() as isize;
    let mut errors = Vec::with_capacity(SPREAD_HOURS);
    let mut points = Vec::with_capacity(HORIZON_HOURS);
    for hour in 0..HORIZON_HOURS {
        let ahead = hour as isize;
        let bias_kw = past.bias(origin);
        let p50_kw = past.at(origin + ahead - 24) + if bias_kw.is_nan() { 0.0 } else { bias_kw };
        if p50_kw.is_nan() {
            continue;
        }
        errors.clear();
        errors.extend(
            (origin - SPREAD_HOURS as isize..origin)
                .map(|target| past.error(target - ahead, target))
                .filter(|error| !error.is_nan()),
        );
        let (low_kw, high_kw) = spread(&mut errors);
        points.push(Point { hour, p10_kw: p50_kw + low_kw, p50_kw, p90_kw: p50_kw + high_kw });
    }
    points
}

/// The same, with what each is made of.
pub fn explained(past_kw: &[f64]) -> Explained {
    let (past, points) = (Past(past_kw), points(past_kw));
    let origin = past_kw.len() as isize;
    let bias_kw = past.bias(origin);
    let of = |point: &Point| {
        let yesterday_kw = past.at(origin + point.hour as isize - 24);
        let bias_kw = if bias_kw.is_nan() { 0.0 } else { bias_kw };
        vec![("same hour yesterday", yesterday_kw), ("missed of late", bias_kw)]
    };
    let parts = points.iter().map(of).collect();
    (points, parts)
}

struct Past<'a>(&'a [f64]);

impl Past<'_> {
    fn at(&self, hour: isize) -> f64 {
        usize::try_from(hour).ok().and_then(|h| self.0.get(h)).copied().unwrap_or(f64::NAN)
    }

    fn bias(&self, origin: isize) -> f64 {
        self.at(origin - 1) - self.at(origin - 25)
    }

    fn error(&self, origin: isize, target: isize) -> f64 {
        self.at(target) - (self.at(target - 24) + self.bias(origin))
    }
}

/// The 10 % and 90 % quantiles, the first at most 0 and the second at least.
fn spread(errors: &mut [f64]) -> (f64, f64) {
    if errors.len() < ERRORS_MIN {
        return (0.0, 0.0);
    }
    errors.sort_by(f64::total_cmp);
    (quantile(errors, 0.1).min(0.0), quantile(errors, 0.9).max(0.0))
}

/// Hyndman and Fan's type 7: linear between the order statistics.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, part) = (at.floor() as usize, at.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + part * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(hour: usize) -> f64 {
        (hour % 24) as f64
    }

    #[test]
    fn what_repeats_is_known_without_doubt() {
        let past: Vec<f64> = (0..HISTORY_HOURS).map(day).collect();
        for point in points(&past) {
            let Point { hour, p10_kw, p50_kw, p90_kw } = point;
            assert_eq!((p10_kw, p50_kw, p90_kw), (day(hour), day(hour), day(hour)));
        }
    }

    #[test]
    fn the_last_hours_bias_is_carried_on() {
        let mut past: Vec<f64> = (0..HISTORY_HOURS).map(day).collect();
        past[HISTORY_HOURS - 1] += 3.0;
        let points = points(&past);
        assert_eq!(points.len(), HORIZON_HOURS);
        assert_eq!(points[5].p50_kw, day(5) + 3.0);
        // The last point is the biased hour itself, a day on.
        assert_eq!(points[23].p50_kw, day(23) + 3.0 + 3.0);
    }

    #[test]
    fn quantiles_are_those_of_the_rules_own_errors() {
        // Each day is 1 kW above the day before: the rule is short by nothing, for the bias holds
        // the 1 kW.
        let past: Vec<f64> = (0..HISTORY_HOURS).map(|h| (h / 24) as f64).collect();
        let point = points(&past)[0];
        assert_eq!((point.p50_kw, point.p90_kw), (8.0, 8.0));
        // One day was 10 kW higher throughout. Twelve hours ahead that costs +10 before noon of
        // that day and of the day after the next, and −20 before noon of the day between: 24 and 12
        // of the errors known.
        let past: Vec<f64> =
            (0..HISTORY_HOURS).map(|h| if h / 24 == 4 { 10.0 } else { 0.0 }).collect();
        let points = points(&past);
        assert_eq!((points[0].p10_kw, points[0].p90_kw), (0.0, 0.0));
        assert_eq!((points[12].p10_kw, points[12].p90_kw), (0.0, 10.0));
    }

    #[test]
    fn a_missing_hour_leaves_out_what_needs_it() {
        let mut past: Vec<f64> = (0..HISTORY_HOURS).map(day).collect();
        past[HISTORY_HOURS - 24 + 6] = f64::NAN;
        let points = points(&past);
        assert_eq!(points.len(), HORIZON_HOURS - 1);
        assert!(points.iter().all(|point| point.hour != 6));
        past[HISTORY_HOURS - 1] = f64::NAN;
        assert_eq!(self::points(&past)[3].p50_kw, day(3));
    }

    #[test]
    fn a_short_past_claims_no_spread() {
        let past: Vec<f64> = (0..30).map(|h| (h * h % 7) as f64).collect();
        let point = points(&past)[0];
        assert_eq!((point.p10_kw, point.p90_kw), (point.p50_kw, point.p50_kw));
        assert!(points(&[]).is_empty());
    }
}
