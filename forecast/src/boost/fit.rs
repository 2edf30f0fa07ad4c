//! The fit: tree after tree, each on the slopes of the loss where the trees before it lead.
//!
//! Draws of rows and features come from one seeded source in a fixed order, and all sums are of
//! whole numbers: the same rows give the same trees.

use super::BoostError;
use super::Booster;
use super::FEATURES_MAX;
use super::LEAVES_MAX;
use super::Objective;
use super::Params;
use super::ROWS_MAX;
use super::bins::Bins;
use super::chance::Chance;
use super::grow::Grower;
use super::grow::Grown;
use super::histogram::Cell;
use super::histogram::Limits;
use super::histogram::Plain;
use super::histogram::Units;
use super::histogram::Weighted;
use super::loss::quantile;
use super::loss::weighted_quantile;
use super::tree::Record;
use super::tree::Tree;

/// See [`Booster::fit`].
pub(super) fn fit(
    columns: &[&[f32]],
    targets: &[f32],
    weights: Option<&[f32]>,
    params: &Params,
) -> Result<Booster, BoostError> {
    check_params(params)?;
    let learned = check_data(columns, targets, weights, params)?;
    Ok(match weights {
        None => Fit::<Plain>::new(columns, targets, weights, learned, params).run(),
        Some(_) => Fit::<Weighted>::new(columns, targets, weights, learned, params).run(),
    })
}

/// Refuses parameters outside their ranges.
fn check_params(params: &Params) -> Result<(), BoostError> {
    let share = |x: f64| x > 0.0 && x <= 1.0;
    let objective = match params.objective {
        Objective::Squared | Objective::Absolute => true,
        Objective::Huber { delta } => delta > 0.0 && delta.is_finite(),
        Objective::Quantile { level } => level > 0.0 && level < 1.0,
    };
    let rules = [
        ("objective", objective),
        ("leaves", (2..=LEAVES_MAX).contains(&params.leaves)),
        ("learning_rate", share(params.learning_rate)),
        ("rows_leaf_min", params.rows_leaf_min >= 1),
        ("l2", params.l2 >= 0.0 && params.l2.is_finite()),
        ("bins_max", (3..=255).contains(&params.bins_max)),
        ("feature_fraction", share(params.feature_fraction)),
        ("row_fraction", share(params.row_fraction)),
        ("row_fraction_every", params.row_fraction_every >= 1),
        ("early_stop", params.early_stop.is_none_or(|stop| stop.patience >= 1)),
    ];
    match rules.into_iter().find(|(_, holds)| !holds) {
        Some((name, _)) => Err(BoostError::Parameter { name }),
        None => Ok(()),
    }
}

/// Refuses data that cannot be learned from; returns how many rows will be.
fn check_data(
    columns: &[&[f32]],
    targets: &[f32],
    weights: Option<&[f32]>,
    params: &Params,
) -> Result<usize, BoostError> {
    let features = columns.len();
    let expected = columns.first().map_or(0, |column| column.len());
    let tail = params.early_stop.map_or(0, |stop| stop.rows_tail);
    let rows = expected.saturating_sub(tail);
    if rows == 0 || expected > ROWS_MAX || features > FEATURES_MAX {
        return Err(BoostError::Size { rows, features });
    }
    let named = (columns.iter().enumerate()).map(|(i, column)| (format!("column {i}"), *column));
    let others = [Some(("target".to_owned(), targets)), weights.map(|w| ("weight".to_owned(), w))];
    for (what, values) in named.chain(others.into_iter().flatten()) {
        if values.len() != expected {
            return Err(BoostError::Shape { what, rows: values.len(), expected });
        }
    }
    for (row, &value) in targets.iter().enumerate() {
        if !value.is_finite() {
            return Err(BoostError::Value { what: "target", row, value });
        }
    }
    for (row, &value) in weights.unwrap_or_default().iter().enumerate() {
        if !(value.is_normal() && value > 0.0) {
            return Err(BoostError::Value { what: "weight", row, value });
        }
    }
    Ok(rows)
}

/// A fit on its way.
struct Fit<'a, C> {
    params: &'a Params,
    targets: &'a [f32],
    weights: Option<&'a [f32]>,
    /// Rows learned from: the first so many.
    learned: usize,
    bins: Bins,
    units: Units,

    base: f64,
    chance: Chance,
    grower: Grower<C>,
    /// What the trees so far say, all rows.
    scores: Vec<f64>,
    /// Slopes of the loss times weights, rows learned from.
    slopes: Vec<f64>,
    /// Rows of the tree that is grown, and those left out.
    bag: (Vec<u32>, Vec<u32>),
    /// Gain by feature.
    gains: Vec<f64>,
    /// Residuals of a leaf, with weights where there are any.
    residuals: Vec<f32>,
    pairs: Vec<(f32, f32)>,
}

impl<'a, C: Cell> Fit<'a, C> {
    fn new(
        columns: &[&[f32]],
        targets: &'a [f32],
        weights: Option<&'a [f32]>,
        learned: usize,
        params: &'a Params,
    ) -> Fit<'a, C> {
        let base = params.objective.start(&targets[..learned], weights.map(|w| &w[..learned]));
        Fit {
            params,
            targets,
            weights,
            learned,
            bins: Bins::new(columns, learned, params.bins_max),
            units: Units::new(learned),
            base,
            chance: Chance::new(params.seed),
            grower: Grower::new(learned),
            scores: vec![base; targets.len()],
            slopes: vec![0.0; learned],
            bag: ((0..learned as u32).collect(), Vec::new()),
            gains: vec![0.0; columns.len()],
            residuals: Vec::new(),
            pairs: Vec::new(),
        }
    }

    fn run(mut self) -> Booster {
        let mut trees = Vec::new();
        let draws = self.params.row_fraction < 1.0 || self.params.feature_fraction < 1.0;
        let mut best = (f64::INFINITY, 0, self.gains.clone());
        if self.params.early_stop.is_some() {
            best.0 = self.tail_loss();
        }
        for tree in 0..self.params.trees {
            let grown = self.one(tree);
            if self.grower.leaves.len() == 1 && !draws {
                break;
            }
            trees.push(grown);
            let Some(stop) = self.params.early_stop else { continue };
            let loss = self.tail_loss();
            if loss < best.0 {
                best = (loss, trees.len(), self.gains.clone());
            } else if trees.len() - best.1 >= stop.patience {
                break;
            }
        }
        if self.params.early_stop.is_some() {
            trees.truncate(best.1);
            self.gains = best.2;
        }
        Booster { base: self.base, gains: self.gains, trees }
    }

    /// The loss on the rows kept aside.
    fn tail_loss(&self) -> f64 {
        let objective = self.params.objective;
        (self.learned..self.targets.len())
            .map(|row| self.weight(row) * objective.loss(self.scores[row], self.targets[row]))
            .sum()
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| f64::from(weights[row]))
    }

    /// Grows one tree and adds it to the scores.
    fn one(&mut self, tree: usize) -> Tree {
        let params = self.params;
        if params.row_fraction < 1.0 && tree.is_multiple_of(params.row_fraction_every) {
            self.bag = self.chance.draw(self.learned, part(params.row_fraction, self.learned));
        }
        let features = self.gains.len();
        let (seen, _) = self.chance.draw(features, part(params.feature_fraction, features));
        let (g_unit, w_unit) = self.load();
        let limits = Limits {
            count_bits: self.units.count_bits,
            rows_leaf_min: params.rows_leaf_min,
            l2: params.l2 / w_unit,
        };
        self.grower.grow(&self.bins, &self.bag.0, &seen, params.leaves, &limits);
        for node in &self.grower.nodes {
            if let Grown::Split(split, ..) = node {
                self.gains[split.feature] += split.gain * (g_unit * g_unit / w_unit);
            }
        }
        let values: Vec<f32> =
            (0..self.grower.leaves.len()).map(|leaf| self.answer(leaf, g_unit, w_unit)).collect();
        self.apply(&values);
        self.tree(&values)
    }

    /// Puts gradients and weights into whole numbers; returns what one unit of each is.
    fn load(&mut self) -> (f64, f64) {
        let objective = self.params.objective;
        let (mut g_max, mut w_max) = (0.0_f64, 1.0_f64);
        for row in 0..self.learned {
            let slope = objective.slope(self.scores[row], self.targets[row]) * self.weight(row);
            self.slopes[row] = slope;
            g_max = g_max.max(slope.abs());
        }
        if let Some(weights) = self.weights {
            w_max = weights[..self.learned].iter().fold(0.0, |max, &w| max.max(f64::from(w)));
        }
        // Nothing to learn: any unit will do.
        let g_scale = self.units.scale(if g_max > 0.0 { g_max } else { 1.0 });
        let w_scale = self.units.scale(w_max);
        for row in 0..self.learned {
            let g = whole(self.slopes[row] * g_scale);
            // A weight must not vanish beside a greater one.
            let w = self.weights.map_or(0, |w| whole(f64::from(w[row]) * w_scale).max(1));
            self.grower.gradients[row] = C::row(g, w, self.units.count_bits);
        }
        (1.0 / g_scale, if self.weights.is_some() { 1.0 / w_scale } else { 1.0 })
    }

    /// What a leaf answers.
    fn answer(&mut self, leaf: usize, g_unit: f64, w_unit: f64) -> f32 {
        let leaf = &self.grower.leaves[leaf];
        let rows = &self.grower.rows[leaf.range.clone()];
        let step = match self.params.objective.renewed_at() {
            None => {
                let (g, w, _) = leaf.total.sums(self.units.count_bits);
                -(g * g_unit) / (w * w_unit + self.params.l2)
            }
            Some(level) => {
                let (scores, targets) = (&self.scores, self.targets);
                let residual =
                    |row: u32| (f64::from(targets[row as usize]) - scores[row as usize]) as f32;
                match self.weights {
                    None => {
                        self.residuals.clear();
                        self.residuals.extend(rows.iter().map(|&row| residual(row)));
                        quantile(&mut self.residuals, level)
                    }
                    Some(weights) => {
                        self.pairs.clear();
                        let pair = |&row: &u32| (residual(row), weights[row as usize]);
                        self.pairs.extend(rows.iter().map(pair));
                        weighted_quantile(&mut self.pairs, level)
                    }
                }
            }
        };
        (step * self.params.learning_rate) as f32
    }

    /// Adds the answers of the tree just grown to the scores.
    fn apply(&mut self, values: &[f32]) {
        for (leaf, &value) in self.grower.leaves.iter().zip(values) {
            for &row in &self.grower.rows[leaf.range.clone()] {
                self.scores[row as usize] += f64::from(value);
            }
        }
        let tail = self.learned..self.targets.len();
        for row in self.bag.1.iter().map(|&row| row as usize).chain(tail) {
            self.scores[row] += f64::from(values[self.grower.leaf_of(&self.bins, row)]);
        }
    }

    /// The tree just grown, in preorder.
    fn tree(&self, values: &[f32]) -> Tree {
        let mut record = Record::default();
        let mut open = vec![0];
        while let Some(at) = open.pop() {
            match self.grower.nodes[at] {
                Grown::Leaf(leaf) => {
                    let rows = self.grower.leaves[leaf].range.len();
                    record.leaf(values[leaf], rows as u32);
                }
                Grown::Split(split, left, right) => {
                    let threshold = self.bins.threshold(split.feature, split.bin);
                    record.split(split.feature, threshold, split.missing_left);
                    open.extend([right, left]);
                }
            }
        }
        Tree::read(&record, self.gains.len()).expect("a grown tree is a tree")
    }
}

/// The whole number nearest to `x`, halves to even; |x| < 2^51.
///
/// Adding 1.5 · 2^52 leaves the integer in the low bits: a call of `round` for each row is slower.
fn whole(x: f64) -> i64 {
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    (x + SHIFT).to_bits() as i64 - SHIFT.to_bits() as i64
}

/// That share of `n`, at least 1.
fn part(share: f64, n: usize) -> usize {
    ((share * n as f64).round() as usize).clamp(1, n)
}
