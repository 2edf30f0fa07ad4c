//! The experts of a plant: a ridge, cosines for it, boosted trees.
//!
//! One ridge for the whole day, not one a time of day: what a plant does depends on its weather,
//! and the day has few hours of sun.

use serde::Deserialize;
use serde::Serialize;

use crate::boost::Booster;
use crate::boost::Objective;
use crate::boost::Params;
use crate::boost::chance::uniform;
use crate::plant::Row;
use crate::ridge::Factor;
use crate::ridge::add_row;
use crate::ridge::packed_len;

/// A ridge regression that forgets by the day. See [`crate::ridge`] for its symbols.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ridge {
    decay_day: f64,
    ridge: f64,

    gram: Vec<f64>,
    right: Vec<f64>,
    beta: Vec<f32>,
}

impl Ridge {
    /// Has learned nothing. `decay_day` is what is left of a row's weight after a day; `ridge` is
    /// added to the diagonal, but for the constant (the first column).
    pub fn new(decay_day: f64, ridge: f64) -> Ridge {
        Ridge { decay_day, ridge, gram: Vec::new(), right: Vec::new(), beta: Vec::new() }
    }

    /// Learns that a row came with `y`.
    pub fn learn(&mut self, row: &[f32], y: f32) {
        if self.gram.is_empty() {
            self.gram = vec![0.0; packed_len(row.len())];
            self.right = vec![0.0; row.len()];
        }
        let row: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
        add_row(&mut self.gram, &mut self.right, &row, f64::from(y), 1.0);
    }

    /// A day has gone.
    pub fn day(&mut self) {
        self.gram.iter_mut().for_each(|entry| *entry *= self.decay_day);
        self.right.iter_mut().for_each(|entry| *entry *= self.decay_day);
    }

    /// Finds the coefficients anew.
    pub fn solve(&mut self) {
        let p = self.right.len();
        if p == 0 {
            return;
        }
        let mut gram = self.gram.clone();
        for i in 0..p {
            gram[packed_len(i) + i] += if i == 0 { 1e-3 } else { self.ridge };
        }
        let mut factor = Factor::default();
        factor.set(&gram, p, 1e-9);
        let mut beta = self.right.clone();
        factor.solve(&mut beta);
        self.beta = beta.into_iter().map(|b| b as f32).collect();
    }

    /// Whether it has coefficients.
    pub fn knows(&self) -> bool {
        !self.beta.is_empty()
    }

    /// What it says of a row; NaN before it was solved.
    pub fn say(&self, row: &[f32]) -> f32 {
        if self.beta.is_empty() {
            return f32::NAN;
        }
        let sum: f64 = self.beta.iter().zip(row).map(|(b, x)| f64::from(b * x)).sum();
        sum as f32
    }
}

/// Random cosines, whose inner products come near a Gaussian kernel (Rahimi and Recht 2007, eq. 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cosines {
    count: usize,
    turn: f64,
}

impl Cosines {
    /// `count` cosines; `turn` radians per unit of a column, at one standard deviation.
    pub fn new(count: usize, turn: f64) -> Cosines {
        Cosines { count, turn }
    }

    /// The directions over `width` columns, by cosine: phase first. They are drawn from a counter,
    /// so that none need be kept in a record.
    pub fn directions(&self, width: usize) -> Vec<f32> {
        let draw = |k: usize, c: usize| {
            let at = ((k as u64) << 20) | ((c as u64) << 8);
            match c {
                0 => std::f64::consts::TAU * uniform(at),
                // Twelve uniforms less six: near enough to a normal, and exact on every machine.
                _ => self.turn * ((0..12).map(|i| uniform(at | i)).sum::<f64>() - 6.0),
            }
        };
        let all = (0..self.count).flat_map(|k| (0..=width).map(move |c| (k, c)));
        all.map(|(k, c)| draw(k, c) as f32).collect()
    }

    /// The linear columns and the cosines of the smooth ones.
    pub fn row(&self, row: &Row, directions: &[f32]) -> Vec<f32> {
        let mut out = row.linear.clone();
        for direction in directions.chunks_exact(row.smooth.len() + 1) {
            let turns = direction[1..].iter().zip(&row.smooth).map(|(w, x)| w * x).sum::<f32>();
            out.push((direction[0] + turns).cos());
        }
        out
    }
}

/// Boosted trees over the past samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trees {
    samples_max: usize,

    #[serde(with = "crate::bits::nested")]
    columns: Vec<Vec<f32>>,
    targets: Vec<f32>,
    booster: Option<Booster>,
}

impl Trees {
    /// Has learned nothing; keeps so many samples at most.
    pub fn new(samples_max: usize) -> Trees {
        Trees { samples_max, columns: Vec::new(), targets: Vec::new(), booster: None }
    }

    /// Keeps a sample for the next fit.
    pub fn learn(&mut self, row: &[f32], y: f32) {
        self.columns.resize(row.len(), Vec::new());
        self.columns.iter_mut().zip(row).for_each(|(column, x)| column.push(*x));
        self.targets.push(y);
        let over = self.targets.len().saturating_sub(self.samples_max);
        if over > self.samples_max / 8 {
            self.targets.drain(..over);
            self.columns.iter_mut().for_each(|column| drop(column.drain(..over)));
        }
    }

    /// Fits the trees anew on all samples that are kept.
    pub fn fit(&mut self) {
        if self.targets.len() < 500 {
            return;
        }
        let params = Params {
            objective: Objective::Absolute,
            trees: 250,
            leaves: 24,
            learning_rate: 0.04,
            rows_leaf_min: 40,
            l2: 1.0,
            feature_fraction: 0.6,
            row_fraction: 0.7,
            bins_max: 127,
            ..Params::default()
        };
        self.booster = Booster::fit(&self.columns, &self.targets, None, &params).ok();
    }

    /// What they say of a row; NaN before the first fit.
    pub fn say(&self, row: &[f32]) -> f32 {
        self.booster.as_ref().map_or(f32::NAN, |booster| booster.predict(row) as f32)
    }
}
