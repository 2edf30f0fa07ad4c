//! What the base missed of late, carried on: one small ridge per horizon.
//!
//! With `r` the residual of the base, a target `h` steps ahead of the origin `o` is corrected by a
//! linear function of r(o), r(o−1 step), r(o−1 h), the means of r over 3, 24 and 168 hours, r a
//! day, two days and a week before the target, and r(o) and the day's mean turned by the hour of
//! the origin. Weights are forgotten by a half-life of weeks.
//!
//! Its own history is not rebuilt when a reading is corrected: what was learned from the forecasts
//! as they were stays.

use serde::Deserialize;
use serde::Serialize;

use crate::past::Past;
use crate::ridge::Factor;
use crate::ridge::add_row;
use crate::ridge::packed_len;
use crate::series::Sums;
use crate::series::Track;

/// Ridge, in mean squares of the residual.
const RIDGE: f64 = 2.0;

/// Features of a correction.
pub const WIDTH: usize = 14;

/// Residuals of a base with their running sums.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Residuals {
    /// By index, 0 where the reading is missing.
    pub values: Track<f32>,
    sums: Sums,
    start: i64,
}

impl Residuals {
    /// None before `first`.
    pub fn new(first: i64) -> Residuals {
        Residuals { values: Track::new(first), sums: Sums::new(first), start: first }
    }

    /// The index of the first that there was.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The next one.
    pub fn push(&mut self, value: f32) {
        self.values.push(value);
        self.sums.push(f64::from(value));
    }

    /// Forgets what is older.
    pub fn bound(&mut self, keep: usize) {
        self.values.bound(keep);
        self.sums.bound(keep);
    }

    fn at(&self, index: i64) -> f32 {
        self.values.get(index).unwrap_or(0.0)
    }

    /// The features of the target `ahead` steps after the origin.
    pub fn row(&self, past: &Past, origin: i64, ahead: i64) -> [f32; WIDTH] {
        let (day, hour) = (past.day, (past.day / 24).max(1));
        let target = origin + ahead;
        let mean = |hours: i64| self.sums.mean(origin, hours * hour) as f32;
        let same = f32::from(u8::from(past.same_kind(target)));
        let now = self.at(origin);
        let (day_mean, before) = (mean(24), self.at(target - day));
        let turn = std::f64::consts::TAU * past.slot(origin) as f64 / day as f64;
        let (sin, cos) = (turn.sin() as f32, turn.cos() as f32);
        [
            now,
            self.at(origin - 1),
            self.at(origin - hour),
            mean(3),
            day_mean,
            mean(168),
            before * same,
            before * (1.0 - same),
            self.at(target - 2 * day),
            self.at(target - 7 * day),
            now * cos,
            now * sin,
            day_mean * cos,
            day_mean * sin,
        ]
    }
}

/// The correctors of all horizons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correctors {
    horizons: usize,
    /// Weight that was learned, by horizon.
    #[serde(with = "crate::bits")]
    weight: Vec<f32>,
    #[serde(with = "crate::bits")]
    gram: Vec<f32>,
    #[serde(with = "crate::bits")]
    right: Vec<f32>,
    #[serde(with = "crate::bits")]
    beta: Vec<f32>,
}

impl Correctors {
    /// That have learned nothing: they correct by 0.
    pub fn new(horizons: usize) -> Correctors {
        let n = packed_len(WIDTH);
        Correctors {
            horizons,
            weight: vec![0.0; horizons],
            gram: vec![0.0; n * horizons],
            right: vec![0.0; WIDTH * horizons],
            beta: vec![0.0; WIDTH * horizons],
        }
    }

    /// Learns what each horizon should have said of the newest residual.
    pub fn learn(&mut self, residuals: &Residuals, past: &Past, target: i64, decay: f32) {
        let n = packed_len(WIDTH);
        let y = residuals.at(target);
        for h in 0..self.horizons {
            let ahead = h as i64 + 1;
            if target - ahead < residuals.values.first() {
                break;
            }
            let x = residuals.row(past, target - ahead, ahead);
            let gram = &mut self.gram[h * n..(h + 1) * n];
            let right = &mut self.right[h * WIDTH..(h + 1) * WIDTH];
            gram.iter_mut().for_each(|entry| *entry *= decay);
            right.iter_mut().for_each(|entry| *entry *= decay);
            add_row(gram, right, &x, y, 1.0);
            self.weight[h] = self.weight[h] * decay + 1.0;
        }
    }

    /// Solves the horizons whose turn it is: each at every `every`-th turn.
    pub fn solve(&mut self, turn: i64, every: i64, factor: &mut Factor) {
        let n = packed_len(WIDTH);
        for h in (0..self.horizons).filter(|h| (*h as i64 + turn).rem_euclid(every) == 0) {
            let mut gram: Vec<f64> =
                self.gram[h * n..(h + 1) * n].iter().map(|entry| f64::from(*entry)).collect();
            if gram[0] <= 0.0 {
                continue;
            }
            // As much as two residuals of the usual size would add.
            let ridge = RIDGE * gram[0] / f64::from(self.weight[h]);
            (0..WIDTH).for_each(|i| gram[packed_len(i) + i] += ridge);
            factor.set(&gram, WIDTH, 1e-6);
            let range = h * WIDTH..(h + 1) * WIDTH;
            let mut beta: Vec<f64> =
                self.right[range.clone()].iter().map(|entry| f64::from(*entry)).collect();
            factor.solve(&mut beta);
            for (entry, value) in self.beta[range].iter_mut().zip(beta) {
                *entry = value as f32;
            }
        }
    }

    /// The correction of the target `ahead` steps after the origin.
    pub fn correction(&self, residuals: &Residuals, past: &Past, origin: i64, ahead: i64) -> f64 {
        let h = ahead as usize - 1;
        let x = residuals.row(past, origin, ahead);
        let beta = &self.beta[h * WIDTH..(h + 1) * WIDTH];
        beta.iter().zip(x).map(|(b, x)| f64::from(*b) * f64::from(x)).sum()
    }
}
