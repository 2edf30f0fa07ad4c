//! Several forecasts of one thing, made into one.
//!
//! With `e` the errors of the E forecasts of a target, and `C = Σ λ^age e eᵀ` kept per hour of
//! horizon, the weights are those of least variance that add up to one,
//!
//! ```text
//! w = (C + κ tr(C)/E I)⁻¹ 1 / (1ᵀ (C + κ tr(C)/E I)⁻¹ 1)
//! ```
//!
//! Bates and Granger (1969), drawn towards equal weights by κ. A weight below 0 is set to 0 and its
//! forecast left out.

use serde::Deserialize;
use serde::Serialize;

use crate::ridge::Factor;

/// Weights by hour of horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Combination {
    experts: usize,
    groups: usize,
    #[serde(with = "crate::bits")]
    sums: Vec<f64>,
    #[serde(with = "crate::bits")]
    weights: Vec<f64>,
}

impl Combination {
    /// Equal weights.
    pub fn new(experts: usize, groups: usize) -> Combination {
        Combination {
            experts,
            groups,
            sums: vec![0.0; experts * experts * groups],
            weights: vec![1.0 / experts as f64; experts * groups],
        }
    }

    /// Learns the errors of all experts for one target.
    pub fn learn(&mut self, group: usize, errors: &[f64], decay: f64) {
        let n = self.experts;
        let sums = &mut self.sums[group * n * n..(group + 1) * n * n];
        for i in 0..n {
            for j in 0..n {
                let sum = &mut sums[i * n + j];
                *sum = *sum * decay + errors[i] * errors[j];
            }
        }
    }

    /// Finds the weights anew.
    pub fn solve(&mut self, shrink: f64, factor: &mut Factor) {
        let n = self.experts;
        let (mut members, mut packed, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for group in 0..self.groups {
            let sums = &self.sums[group * n * n..(group + 1) * n * n];
            let trace: f64 = (0..n).map(|i| sums[i * n + i]).sum();
            if trace <= 0.0 {
                continue;
            }
            members.clear();
            members.extend(0..n);
            loop {
                packed.clear();
                for (i, a) in members.iter().enumerate() {
                    packed.extend(members[..=i].iter().map(|b: &usize| sums[a * n + b]));
                    *packed.last_mut().expect("the diagonal") += shrink * trace / n as f64;
                }
                best(&packed, members.len(), factor, &mut weights);
                let worst = (0..members.len())
                    .min_by(|a, b| weights[*a].total_cmp(&weights[*b]))
                    .expect("there are members");
                if weights[worst] >= 0.0 || members.len() == 1 {
                    break;
                }
                members.remove(worst);
            }
            let into = &mut self.weights[group * n..(group + 1) * n];
            into.fill(0.0);
            for (member, weight) in members.iter().zip(&weights) {
                into[*member] = *weight;
            }
        }
    }

    /// The weights of a group.
    pub fn weights(&self, group: usize) -> &[f64] {
        &self.weights[group * self.experts..(group + 1) * self.experts]
    }
}

/// The weights of least variance for a packed covariance.
fn best(packed: &[f64], n: usize, factor: &mut Factor, weights: &mut Vec<f64>) {
    factor.set(packed, n, 1e-12);
    weights.clear();
    weights.resize(n, 1.0);
    factor.solve(weights);
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= total);
}
