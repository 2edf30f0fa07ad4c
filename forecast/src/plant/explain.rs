//! What a plant's forecasts are made of: parts that add up to them.

use super::Engine;
use super::Source;
use crate::model::P50;

/// What a forecast is made of, in the plant's unit: the experts by name, what they `missed of
/// late`, and what the `bound` of what it can give takes away.
pub type Parts = Vec<(&'static str, f64)>;

impl Engine {
    /// What the median of each coming step is made of, the next step first.
    pub(crate) fn parts(&self, source: &impl Source, unit: f64) -> Vec<Parts> {
        let outlook = self.outlook(source, unit);
        let points = outlook.points.iter().enumerate();
        points
            .map(|(at, point)| {
                let could = source.could(point.index);
                if could > 0.0 {
                    self.parts_of(at, point.index, could, point.quantiles[P50] / unit, unit)
                } else {
                    vec![("night", 0.0)]
                }
            })
            .collect()
    }

    /// What the median of a target is made of, `at` steps after the next; it and what there `could`
    /// be are shares of the rated power.
    fn parts_of(&self, at: usize, target: i64, could: f32, median: f64, unit: f64) -> Parts {
        let bases = self.said.get(&target).and_then(|said| said.last()).map(|said| said.bases);
        let bases = bases.unwrap_or([f32::NAN; 4]);
        let per_hour = (self.day / 24).max(1) as usize;
        let shares = shares(&bases, self.combination.weights(at / per_hour));
        let (mut parts, mut missed, mut sum) = (Parts::new(), 0.0, 0.0);
        for (e, name) in self.experts().iter().enumerate().filter(|(e, _)| shares[*e] != 0.0) {
            let base = bases[e];
            let correction = self.shorts[e].correction(target, at + 1, base, could);
            let part = f64::from(base) * shares[e];
            missed += f64::from(correction) * shares[e];
            sum += part + f64::from((base + correction).clamp(0.0, 1.0) - base) * shares[e];
            parts.push((*name, part * unit));
        }
        // What quantiles have learned of the combination's errors is what it missed, too.
        missed += median - sum;
        let made = parts.iter().map(|(_, value)| value).sum::<f64>() + missed * unit;
        parts.extend([("missed of late", missed * unit), ("bound", median * unit - made)]);
        parts
    }
}

/// The share of each that can say something; see [`mixed`](super::mixed).
fn shares(bases: &[f32; 4], weights: &[f64]) -> [f64; 4] {
    let able = |e: usize| bases[e].is_finite() && e < weights.len();
    let total: f64 = (0..4).filter(|e| able(*e)).map(|e| weights[e]).sum();
    let count = (0..4).filter(|e| able(*e)).count();
    std::array::from_fn(|e| match able(e) {
        false => 0.0,
        true if total < 1e-3 => 1.0 / count as f64,
        true => weights[e] / total,
    })
}
