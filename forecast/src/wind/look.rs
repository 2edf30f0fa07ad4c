//! What the issues say of one hour, and the columns made of it.
//!
//! A turbine's power follows the speed by an S: nothing, a cubic, full power. The ridge finds it
//! from hinges of the smoothed speed; site effects from the direction's first three harmonics times
//! the speed; errors of timing (a front that comes an hour late) from the hours around.

use crate::plant::Row;
use crate::wind::issues::Issues;

/// Weight of the newest issue where an earlier one speaks of the same hour.
const NEWEST: f32 = 0.65;

/// The wind of a target: speeds in m/s.
pub struct Look {
    /// Eastward, northward, by the newest issue.
    wind: (f32, f32),
    /// The same by the issue before, where there is one.
    before: Option<(f32, f32)>,
    /// The same by the one before that.
    third: Option<(f32, f32)>,
    /// Speeds -6..=6 hours around, by the newest issue.
    around: [f32; 13],
    /// Hours since the newest issue.
    lead: f32,
    /// The angle of the year.
    year: f32,
}

impl Look {
    /// Looks at a target that at least one issue covers; `hour` is the steps of an hour.
    pub fn new(issues: &Issues, target: i64, hour: i64) -> Look {
        let mut covering = issues.covering(target);
        let issue = covering.next().expect("a target with a tag is covered");
        let wind = issues.at(issue, target).expect("the issue covers the target");
        let mut around = [wind.0.hypot(wind.1); 13];
        for (k, speed) in around.iter_mut().enumerate() {
            if let Some((u, v)) = issues.at(issue, target + (k as i64 - 6) * hour) {
                *speed = u.hypot(v);
            }
        }
        let mut earlier = || covering.next().and_then(|issue| issues.at(issue, target));
        let (before, third) = (earlier(), earlier());
        let lead = (target - issue) as f32 / hour as f32;
        let years = target.div_euclid(24 * hour) as f64 / 365.242_19;
        let year = std::f32::consts::TAU * years.fract() as f32;
        Look { wind, before, third, around, lead, year }
    }

    /// The speed so many hours later.
    fn speed(&self, hours: i64) -> f32 {
        self.around[(hours + 6) as usize]
    }

    /// The mean over the hour before, the hour, and the one after.
    fn near(&self) -> f32 {
        (self.speed(0) * 2.0 + self.speed(-1) + self.speed(1)) / 4.0
    }

    /// The mean over seven hours.
    fn wide(&self) -> f32 {
        (-3..=3).map(|hours| self.speed(hours)).sum::<f32>() / 7.0
    }

    /// What the newest issue says, mixed with what the one before said.
    fn mix(&self, newest: f32, before: impl Fn((f32, f32)) -> f32) -> f32 {
        self.before.map_or(newest, |wind| NEWEST * newest + (1.0 - NEWEST) * before(wind))
    }

    /// The smoothed speed by the two newest issues.
    fn mean(&self) -> f32 {
        self.mix(self.near(), |(u, v)| u.hypot(v))
    }

    /// The row; `slot` is the step of the day, of `day` steps.
    pub fn row(&self, slot: i64, day: i64) -> Row {
        let turn = std::f32::consts::TAU * slot as f32 / day as f32;
        Row { linear: self.linear(turn), smooth: self.smooth(turn), trees: self.trees(slot) }
    }

    fn linear(&self, turn: f32) -> Vec<f32> {
        let (near, wide, mean) = (self.near(), self.wide(), self.mean());
        let (u, v) = self.wind;
        let (bu, bv) = self.before.unwrap_or((u, v));
        let (tu, tv) = self.third.unwrap_or((bu, bv));
        let curve = |s: f32| (s / 10.0).powi(2).min(1.5);
        let mut out = vec![1.0, near / 5.0, wide / 5.0];
        out.extend([bu.hypot(bv) / 5.0, tu.hypot(tv) / 5.0, curve(mean)]);
        for knot in [2.0, 3.5, 5.0, 6.5, 8.0, 10.0] {
            out.push((mean - knot).max(0.0) / 3.0);
        }
        for knot in [3.0, 6.0, 9.0] {
            out.push((wide - knot).max(0.0) / 3.0);
        }
        // Direction without an arctangent: the unit vector, its double and its triple angle.
        let size = u.hypot(v).max(0.3);
        let (d, e) = (u / size, v / size);
        let (d2, e2) = (d * d - e * e, 2.0 * d * e);
        let (d3, e3) = (d2 * d - e2 * e, d2 * e + e2 * d);
        for x in [d, e, d2, e2, d3, e3] {
            out.extend([x * near / 5.0, x * curve(near), x * (near - 6.0).max(0.0) / 3.0]);
        }
        let ((sin, cos), (year_sin, year_cos)) = (turn.sin_cos(), self.year.sin_cos());
        for x in [sin, cos, sin * cos, cos * cos - 0.5, year_sin, year_cos] {
            out.extend([x, x * near / 5.0]);
        }
        let ramp = |hours: i64| self.speed(hours) - self.speed(-hours);
        out.extend([ramp(1), ramp(3), ramp(6), self.speed(0) - bu.hypot(bv)].map(|x| x / 5.0));
        out.extend([-6, 6, -3, 3].map(|hours| self.speed(hours) / 5.0));
        out.extend([u, v, bu, bv].map(|x| x / 5.0));
        let lead = self.lead / 24.0;
        out.extend([lead, lead * near / 5.0, lead * curve(near)]);
        out
    }

    fn smooth(&self, turn: f32) -> Vec<f32> {
        let ((sin, cos), (year_sin, year_cos)) = (turn.sin_cos(), self.year.sin_cos());
        let (u, v) = self.wind;
        let disagreement = self.before.map_or(0.0, |(u, v)| self.speed(0) - u.hypot(v));
        vec![
            self.mix(u, |wind| wind.0) / 4.0,
            self.mix(v, |wind| wind.1) / 4.0,
            self.wide() / 4.0,
            self.near() / 3.0,
            (self.speed(3) - self.speed(-3)) / 5.0,
            self.lead / 36.0,
            0.6 * sin,
            0.6 * cos,
            0.4 * year_sin,
            0.4 * year_cos,
            disagreement / 5.0,
        ]
    }

    fn trees(&self, slot: i64) -> Vec<f32> {
        let (u, v) = self.wind;
        let known = |wind: Option<(f32, f32)>| wind.unwrap_or((f32::NAN, f32::NAN));
        let ((bu, bv), (tu, tv)) = (known(self.before), known(self.third));
        let (year_sin, year_cos) = self.year.sin_cos();
        let mut out = vec![self.speed(0), self.near(), self.wide(), self.mean(), u, v, v.atan2(u)];
        out.extend([self.lead, slot as f32, year_sin, year_cos]);
        out.extend([-1, 1, -3, 3, -6, 6].map(|hours| self.speed(hours)));
        out.extend([1, 3, 6].map(|hours| self.speed(hours) - self.speed(-hours)));
        out.extend([bu.hypot(bv), bu, bv, tu.hypot(tv), self.speed(0) - bu.hypot(bv)]);
        out.extend([self.mix(u, |wind| wind.0) / 4.0, self.mix(v, |wind| wind.1) / 4.0]);
        out
    }
}
