//! What the base missed of late, carried on: one small ridge per horizon.
//!
//! With `r` the residual of the base, a target `h` steps ahead of the origin `o` is corrected by a
//! linear function of r(o), r(o−1 step), r(o−1 h), the means of r over 3, 24 and 168 hours, r a
//! day, two days and a week before the target, and r(o) and the day's mean turned by the hour of
//! the origin. Weights are forgotten by a half-life of weeks.
//!
//! What it learned is not rebuilt when a reading is corrected, for it was learned from the
//! forecasts as they were. What the base missed is: the next correction rests on the restated
//! reading.

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

/// Sine and cosine of the hour, by step of a day: asked for at every horizon.
#[derive(Clone, Debug, Default)]
pub struct Turns(Vec<(f32, f32)>);

impl Turns {
    /// Those of a day of so many steps.
    fn of(&mut self, day: i64) -> &[(f32, f32)] {
        if self.0.len() as i64 != day {
            self.0 = (0..day as usize).map(|slot| turn(slot, day)).collect();
        }
        &self.0
    }
}

fn turn(slot: usize, day: i64) -> (f32, f32) {
    let turn = std::f64::consts::TAU * slot as f64 / day as f64;
    (turn.sin() as f32, turn.cos() as f32)
}

/// What a correction knows at its origin, whatever the target.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    now: f32,
    before: f32,
    hour_before: f32,
    /// Over 3, 24 and 168 hours.
    means: [f32; 3],
    turn: (f32, f32),
}

/// What a correction knows of its target, whatever the origin.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// A day before, where the days are of one kind; where they are not.
    day_before: [f32; 2],
    two_days_before: f32,
    week_before: f32,
}

/// The features of a target as seen from an origin.
fn row(o: &Origin, t: &Target) -> [f32; WIDTH] {
    let ((sin, cos), day_mean) = (o.turn, o.means[1]);
    [
        o.now,
        o.before,
        o.hour_before,
        o.means[0],
        day_mean,
        o.means[2],
        t.day_before[0],
        t.day_before[1],
        t.two_days_before,
        t.week_before,
        o.now * cos,
        o.now * sin,
        day_mean * cos,
        day_mean * sin,
    ]
}

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
        self.sums.push(value);
    }

    /// A reading was restated by so much; `None`: it is taken back. Corrections from now on rest on
    /// what the base missed of the restated one.
    pub fn restate(&mut self, index: i64, moved: Option<f32>) {
        let Some(before) = self.values.get(index) else { return };
        let end = self.values.end();
        self.sums.cut(index, |at| self.values.get(at).unwrap_or(0.0));
        self.values.set(index, moved.map_or(0.0, |moved| before + moved));
        (index..end).for_each(|at| self.sums.push(self.values.get(at).unwrap_or(0.0)));
    }

    /// Forgets what is older.
    pub fn bound(&mut self, keep: usize) {
        if let Some(first) = self.values.outgrown(keep) {
            self.sums.forget_before(first, |index| self.values.get(index).unwrap_or(0.0));
            self.values.forget_before(first);
        }
    }

    fn at(&self, index: i64) -> f32 {
        self.values.get(index).unwrap_or(0.0)
    }

    /// What is known at an origin.
    pub fn origin(&self, past: &Past, origin: i64) -> Origin {
        self.turned(past, origin, turn(past.slot(origin), past.day))
    }

    fn turned(&self, past: &Past, origin: i64, turn: (f32, f32)) -> Origin {
        let hour = (past.day / 24).max(1);
        let mean = |hours: i64| self.sums.mean(origin, hours * hour, |at| self.at(at)) as f32;
        Origin {
            now: self.at(origin),
            before: self.at(origin - 1),
            hour_before: self.at(origin - hour),
            means: [mean(3), mean(24), mean(168)],
            turn,
        }
    }

    /// What is known of a target.
    pub fn target(&self, past: &Past, target: i64) -> Target {
        let day = past.day;
        let same = f32::from(u8::from(past.same_kind(target)));
        let before = self.at(target - day);
        Target {
            day_before: [before * same, before * (1.0 - same)],
            two_days_before: self.at(target - 2 * day),
            week_before: self.at(target - 7 * day),
        }
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
    pub fn learn(
        &mut self,
        residuals: &Residuals,
        past: &Past,
        target: i64,
        decay: f32,
        turns: &mut Turns,
    ) {
        let n = packed_len(WIDTH);
        let y = residuals.at(target);
        let of_target = residuals.target(past, target);
        let turns = turns.of(past.day);
        for h in 0..self.horizons {
            let origin = target - h as i64 - 1;
            if origin < residuals.values.first() {
                break;
            }
            let x = row(&residuals.turned(past, origin, turns[past.slot(origin)]), &of_target);
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
            let mut gram = [0.0; packed_len(WIDTH)];
            for (entry, kept) in gram.iter_mut().zip(&self.gram[h * n..(h + 1) * n]) {
                *entry = f64::from(*kept);
            }
            if gram[0] <= 0.0 {
                continue;
            }
            // As much as two residuals of the usual size would add.
            let ridge = RIDGE * gram[0] / f64::from(self.weight[h]);
            (0..WIDTH).for_each(|i| gram[packed_len(i) + i] += ridge);
            factor.set(&gram, WIDTH, 1e-6);
            let range = h * WIDTH..(h + 1) * WIDTH;
            let right = &self.right[range.clone()];
            let mut beta: [f64; WIDTH] = std::array::from_fn(|i| f64::from(right[i]));
            factor.solve(&mut beta);
            for (entry, value) in self.beta[range].iter_mut().zip(beta) {
                *entry = value as f32;
            }
        }
    }

    /// The correction of a target `ahead` steps after the origin.
    pub fn correction(&self, origin: &Origin, target: &Target, ahead: i64) -> f64 {
        let h = ahead as usize - 1;
        let beta = &self.beta[h * WIDTH..(h + 1) * WIDTH];
        beta.iter().zip(row(origin, target)).map(|(b, x)| f64::from(*b) * f64::from(x)).sum()
    }
}
