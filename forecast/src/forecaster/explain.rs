//! What forecasts are made of, in the series' unit: parts that add up to them.
//!
//! A part is of each expert, by its weight: the ridges' columns by what they belong to, what weeks
//! and days before were, what trees add, what was missed of late. Nothing is solved for it: it
//! costs the products of the rows that are there.

use std::collections::BTreeMap;

use super::Coefficients;
use super::Forecaster;
use crate::feature::Group;
use crate::slot::UNIT;
use crate::structure::Expert;

/// What a forecast is made of: a number each of [`Group::ALL`], 0 where it has no part.
pub type Parts = [f64; Group::ALL.len()];

impl Forecaster {
    /// What the forecast of each coming step is made of, the next step first.
    pub fn parts(&mut self) -> Vec<Parts> {
        if self.past.end() >= self.past_start() {
            self.prepare();
        }
        let temperature = |quantity: usize| quantity == 0 && !self.stations.is_empty();
        let columns = self.structure.design.columns.iter();
        let groups: Vec<usize> = columns.map(|c| c.group(temperature) as usize).collect();
        let origins = self.origins();
        let mut all = Vec::with_capacity(self.setup.horizon);
        for at in 0..self.setup.horizon {
            let experts = self.corrected(at, &origins);
            if experts.is_empty() {
                break;
            }
            all.push(self.parts_of(at, &experts, &groups));
        }
        all
    }

    /// The parts of the step `at` (0 is the next), without those that are 0.
    pub fn explain(&mut self, at: usize) -> BTreeMap<Group, f64> {
        let parts = self.parts().get(at).copied().unwrap_or_default();
        let parts = Group::ALL.into_iter().zip(parts);
        parts.filter(|(_, value)| *value != 0.0).collect()
    }

    fn parts_of(&self, at: usize, experts: &[f64], groups: &[usize]) -> Parts {
        let ahead = &self.ahead[at];
        let weights = self.combination.weights(self.group(at));
        let ridges = self.beta.iter().map(|beta| self.columns(beta, at, groups));
        let ridges: Vec<Parts> = ridges.collect();
        let mut parts = Parts::default();
        let mut own = ridges.iter();
        for (e, expert) in self.structure.experts.iter().enumerate() {
            let scale = weights[e] * self.past.scale;
            // As it was corrected: what cannot be said stands in by the first.
            let base = Some(ahead.bases[e]).filter(|base| base.is_finite());
            let base = f64::from(base.unwrap_or(ahead.bases[0]));
            parts[Group::Recent as usize] += (experts[e] - base) * scale;
            let mut add = |columns: &Parts, share: f64| {
                parts.iter_mut().zip(columns).for_each(|(part, value)| *part += value * share);
            };
            match expert {
                Expert::Ridge(_) => add(own.next().expect("one a ridge"), scale),
                Expert::Weekly(_) => parts[Group::LastWeeks as usize] += base * scale,
                Expert::Daily(_) => parts[Group::LastDays as usize] += base * scale,
                Expert::Boosted => {
                    let share = 1.0 / ridges.len() as f64;
                    ridges.iter().for_each(|columns| add(columns, scale * share));
                    let mean = ridges.iter().flatten().sum::<f64>() * share;
                    parts[Group::Trees as usize] += (base - mean) * scale;
                }
            }
        }
        parts
    }

    /// A ridge's columns for a coming target, by what they belong to, over the scale.
    fn columns(&self, beta: &Coefficients, at: usize, groups: &[usize]) -> Parts {
        let mut parts = Parts::default();
        let x = &self.ahead[at].x;
        let beta = &beta.0[self.slot(self.past.end() + at as i64)];
        for ((group, beta), x) in groups.iter().zip(beta).zip(x) {
            parts[*group] += f64::from(*beta) * f64::from(*x) / f64::from(UNIT);
        }
        parts
    }
}
