//! Losses: where they start, their slopes, and what a leaf should answer.
//!
//! Every loss here has the weight of the row as its second derivative (true for the squared error,
//! agreed for the others, as in LightGBM). So a histogram needs no sums of second derivatives
//! beside those of weights.

use super::Objective;

impl Objective {
    /// The constant that a fit starts from.
    pub(super) fn start(self, targets: &[f32], weights: Option<&[f32]>) -> f64 {
        let level = match self {
            Objective::Squared => {
                let weight = |i: usize| weights.map_or(1.0, |w| f64::from(w[i]));
                let sum: f64 = (0..targets.len()).map(weight).sum();
                let product = targets.iter().enumerate().map(|(i, &y)| weight(i) * f64::from(y));
                return product.sum::<f64>() / sum;
            }
            Objective::Absolute | Objective::Huber { .. } => 0.5,
            Objective::Quantile { level } => level,
        };
        let mut of = targets.to_vec();
        match weights {
            None => quantile(&mut of, level),
            Some(weights) => {
                let pairs = targets.iter().copied().zip(weights.iter().copied());
                weighted_quantile(&mut pairs.collect::<Vec<_>>(), level)
            }
        }
    }

    /// The slope of the loss at a prediction, for weight 1.
    pub(super) fn slope(self, predicted: f64, target: f32) -> f64 {
        let over = predicted - f64::from(target);
        match self {
            Objective::Squared => over,
            Objective::Absolute => match over {
                over if over > 0.0 => 1.0,
                over if over < 0.0 => -1.0,
                _ => 0.0,
            },
            Objective::Huber { delta } => over.clamp(-delta, delta),
            Objective::Quantile { level } => match over < 0.0 {
                true => -level,
                false => 1.0 - level,
            },
        }
    }

    /// The loss at a prediction, for weight 1.
    pub(super) fn loss(self, predicted: f64, target: f32) -> f64 {
        let over = predicted - f64::from(target);
        match self {
            Objective::Squared => 0.5 * over * over,
            Objective::Absolute => over.abs(),
            Objective::Huber { delta } if over.abs() <= delta => 0.5 * over * over,
            Objective::Huber { delta } => delta * (over.abs() - 0.5 * delta),
            Objective::Quantile { level } => match over < 0.0 {
                true => -level * over,
                false => (1.0 - level) * over,
            },
        }
    }

    /// The quantile of its residuals that a leaf answers, where the slope knows only signs.
    pub(super) fn renewed_at(self) -> Option<f64> {
        match self {
            Objective::Squared | Objective::Huber { .. } => None,
            Objective::Absolute => Some(0.5),
            Objective::Quantile { level } => Some(level),
        }
    }
}

/// The quantile of at least one value, between two of them linearly (Hyndman and Fan 1996, type
/// 7). Leaves the values in another order.
pub(super) fn quantile(values: &mut [f32], level: f64) -> f64 {
    let at = level * (values.len() - 1) as f64;
    let (below, share) = (at.floor() as usize, at - at.floor());
    let (_, low, above) = values.select_nth_unstable_by(below, f32::total_cmp);
    let low = f64::from(*low);
    if share == 0.0 {
        return low;
    }
    let high = above.iter().copied().fold(f32::INFINITY, f32::min);
    low + share * (f64::from(high) - low)
}

/// The quantile of at least one (value, weight): the least value up to which the weights reach
/// `level` of their sum; halfway to the next where they reach it exactly. Sorts them.
pub(super) fn weighted_quantile(pairs: &mut [(f32, f32)], level: f64) -> f64 {
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let goal = level * pairs.iter().map(|pair| f64::from(pair.1)).sum::<f64>();
    let mut reached = 0.0;
    for (i, &(value, weight)) in pairs.iter().enumerate() {
        reached += f64::from(weight);
        if reached > goal || i + 1 == pairs.len() {
            return f64::from(value);
        }
        if reached == goal {
            return f64::midpoint(f64::from(value), f64::from(pairs[i + 1].0));
        }
    }
    unreachable!("the last pair returns")
}
