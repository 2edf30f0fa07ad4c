//! What is known of one daylight target, and the columns made of it.

use crate::model::Role;
use crate::plant::Row;

/// The geometry of a target.
pub struct Aspect {
    /// Irradiance of a clear sky in kW/m²; 0 by night.
    pub could: f32,
    /// Sine of the sun's elevation.
    pub sine: f32,
    /// Hour angle in radians, 0 at noon.
    pub angle: f32,
}

/// What is known of a target.
pub struct Look<'a> {
    /// The geometry.
    pub aspect: Aspect,
    /// What each quantity is.
    pub roles: &'a [Role],
    /// By quantity, of order 1.
    pub weather: Vec<f32>,
    /// Radiation and clouds of the hours around; the fourth is the clear-sky index.
    pub around: Vec<f32>,
    /// Readings over what there could have been, over the last day.
    pub index_day: f32,
    /// The same over three days.
    pub index_days: f32,
    /// The reading of a day before, over the rated power.
    pub yesterday: f32,
    /// Sine and cosine of the angle of the year.
    pub year: (f32, f32),
    /// Step of the day.
    pub slot: i64,
    /// Hour of the day.
    pub hour: usize,
}

impl Look<'_> {
    /// The row.
    pub fn row(&self) -> Row {
        Row { linear: self.linear(), smooth: self.smooth(), trees: self.trees() }
    }

    /// What every hour has a share of: the weather times what the sky could give.
    fn columns(&self) -> Vec<f32> {
        let c = self.aspect.could;
        let mut out = vec![c, c * c, c * self.index_day, c * self.index_days, self.yesterday];
        out.extend([c * self.year.0, c * self.year.1]);
        for (now, role) in self.weather.iter().zip(self.roles) {
            if *role == Role::Radiation {
                let clear = (now / c.max(0.05)).min(2.0);
                out.extend([*now, now * now, now * self.index_day, now * clear]);
            } else {
                out.extend([c * now, c * now * now]);
            }
        }
        let around = self.around.iter().enumerate();
        out.extend(around.map(|(k, x)| if k == 3 { c * x } else { x * c.min(1.0) }));
        if let Some(radiation) = self.radiation() {
            let others = self.weather.iter().enumerate().filter(|(q, _)| *q != radiation);
            out.extend(others.map(|(_, x)| self.weather[radiation] * x));
        }
        out
    }

    fn radiation(&self) -> Option<usize> {
        self.roles.iter().position(|role| *role == Role::Radiation)
    }

    fn linear(&self) -> Vec<f32> {
        let turn = self.aspect.angle / std::f32::consts::FRAC_PI_2;
        let mut out = vec![1.0];
        for x in self.columns() {
            out.extend([x, x * turn, x * turn * turn]);
        }
        let strongest = self.radiation().map_or(self.aspect.could, |q| self.weather[q]);
        for hour in 0..24 {
            let is = f32::from(u8::from(hour == self.hour));
            out.extend([is * self.aspect.could, is * strongest]);
        }
        out
    }

    fn smooth(&self) -> Vec<f32> {
        let turn = self.aspect.angle / std::f32::consts::FRAC_PI_2;
        let mut out = vec![1.5 * turn, 2.0 * self.aspect.could, self.index_day];
        out.extend([0.5 * self.year.0, 0.5 * self.year.1, 2.0 * self.yesterday]);
        out.extend(self.weather.iter().zip(self.roles).map(|(x, role)| match role {
            Role::Radiation => 2.0 * x,
            Role::Cloud => *x,
            _ => 0.5 * x,
        }));
        out
    }

    fn trees(&self) -> Vec<f32> {
        let Aspect { could, sine, angle } = self.aspect;
        let mut out = vec![could, sine, angle, self.slot as f32, self.year.0, self.year.1];
        out.extend([self.index_day, self.index_days, self.yesterday]);
        out.extend(&self.weather);
        out.extend(&self.around);
        out
    }
}
