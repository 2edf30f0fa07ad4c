//! What an expert missed of late, carried on to the next hours: one small ridge a step of horizon.

use serde::Deserialize;
use serde::Serialize;

use crate::ridge::Factor;
use crate::ridge::add_row;
use crate::ridge::packed_len;
use crate::series::Track;

/// Features of a correction.
const WIDTH: usize = 12;

/// What is left of an outcome's weight after a day.
const DECAY_DAY: f64 = 0.995;

/// The ridge, in outcomes of residuals of full power.
const RIDGE: f64 = 0.3;

/// The corrector of one expert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Short {
    day: i64,

    /// Residuals, 0 where unknown; what the plant could give then; readings over what it could.
    residuals: Track<f32>,
    could: Track<f32>,
    ratio: Track<f32>,
    gram: Vec<f32>,
    right: Vec<f32>,
    beta: Vec<f32>,
}

impl Short {
    /// Corrects by 0 until it has learned; the first reading will be that of `first`.
    pub fn new(first: i64, day: i64, horizon: usize) -> Short {
        Short {
            day,
            residuals: Track::new(first),
            could: Track::new(first),
            ratio: Track::new(first),
            gram: vec![0.0; packed_len(WIDTH) * horizon],
            right: vec![0.0; WIDTH * horizon],
            beta: vec![0.0; WIDTH * horizon],
        }
    }

    /// Takes the next reading. By night the last ratio of the day stays.
    pub fn saw(&mut self, value: f32, could: f32) {
        let last = self.ratio.values().last().copied().unwrap_or(0.0);
        let known = value.is_finite() && could > 0.05;
        self.ratio.push(if known { value / could } else { last });
        self.ratio.bound(3 * self.day as usize);
    }

    /// Takes the residual of the same reading, and what the plant could give (0: not known).
    pub fn miss(&mut self, residual: f32, could: f32) {
        self.residuals.push(residual);
        self.could.push(could);
        self.residuals.bound(3 * self.day as usize);
        self.could.bound(3 * self.day as usize);
    }

    /// Σ residuals / Σ could over `count` steps that end with `origin`.
    fn of_late(&self, origin: i64, count: i64) -> f32 {
        let (mut residual, mut could) = (0.0_f32, 0.0_f32);
        for index in origin - count + 1..=origin {
            residual += self.residuals.get(index).unwrap_or(0.0);
            could += self.could.get(index).unwrap_or(0.0);
        }
        if could > 0.02 * count as f32 { residual / could } else { 0.0 }
    }

    fn row(&self, target: i64, ahead: usize, base: f32, could: f32) -> [f32; WIDTH] {
        let origin = target - ahead as i64;
        let hour = (self.day / 24).max(1);
        let now = self.of_late(origin, 1);
        let level = if could > 0.0 { base / could } else { 0.0 };
        let last = self.ratio.get(origin).unwrap_or(0.0);
        let before = self.ratio.get(origin - hour).unwrap_or(last);
        let row = [
            0.3,
            now,
            self.of_late(origin - 1, 1),
            self.of_late(origin, 3 * hour),
            self.of_late(origin, 6 * hour),
            self.of_late(origin, 24 * hour),
            self.of_late(target - self.day, 1),
            level,
            level * level,
            last - level,
            last - before,
            now * level,
        ];
        row.map(|x| x * could)
    }

    /// Learns what the correction should have been.
    pub fn learn(&mut self, target: i64, ahead: usize, base: f32, could: f32, value: f32) {
        let origin = target - ahead as i64;
        if origin - self.day < self.residuals.first() {
            return;
        }
        let x = self.row(target, ahead, base, could);
        let n = packed_len(WIDTH);
        let gram = &mut self.gram[(ahead - 1) * n..ahead * n];
        let right = &mut self.right[(ahead - 1) * WIDTH..ahead * WIDTH];
        let decay = DECAY_DAY.powf(1.0 / self.day as f64) as f32;
        gram.iter_mut().for_each(|entry| *entry *= decay);
        right.iter_mut().for_each(|entry| *entry *= decay);
        add_row(gram, right, &x, value - base, 1.0);
    }

    /// Solves the steps of horizon whose turn it is: each once in six hours.
    pub fn solve(&mut self, turn: i64) {
        let every = 6 * (self.day / 24).max(1);
        let n = packed_len(WIDTH);
        let mut factor = Factor::default();
        let horizon = self.beta.len() / WIDTH;
        for h in (0..horizon).filter(|h| (*h as i64 + turn).rem_euclid(every) == 0) {
            let sums = self.gram[h * n..(h + 1) * n].iter();
            let mut gram: Vec<f64> = sums.map(|entry| f64::from(*entry)).collect();
            (0..WIDTH).for_each(|i| gram[packed_len(i) + i] += RIDGE);
            factor.set(&gram, WIDTH, 1e-9);
            let range = h * WIDTH..(h + 1) * WIDTH;
            let sums = self.right[range.clone()].iter();
            let mut beta: Vec<f64> = sums.map(|entry| f64::from(*entry)).collect();
            factor.solve(&mut beta);
            for (entry, value) in self.beta[range].iter_mut().zip(beta) {
                *entry = value as f32;
            }
        }
    }

    /// The correction of a target, `ahead` steps after the newest reading.
    pub fn correction(&self, target: i64, ahead: usize, base: f32, could: f32) -> f32 {
        let x = self.row(target, ahead, base, could);
        let beta = &self.beta[(ahead - 1) * WIDTH..ahead * WIDTH];
        beta.iter().zip(x).map(|(b, x)| b * x).sum()
    }
}
