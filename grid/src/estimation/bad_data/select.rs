//! Which rows have to go so that the rest agrees: a choice of few columns.
//!
//! A row is judged by its deleted residual: how far its value is from what all others, less those
//! chosen, say it should be, over the standard deviation of that. With `C` the correlations of
//! normalised residuals `u` and `g = C_SS⁻¹ u_S` it is, to first order,
//!
//! ```text
//! row j not chosen   (u_j - C_jS g) / sqrt(1 - C_jS C_SS⁻¹ C_Sj)
//! row s chosen       g_s / sqrt((C_SS⁻¹)_ss)
//! ```
//!
//! so nothing is estimated anew while choosing. The largest goes first (largest normalised
//! residual); then each chosen row is exchanged for any other that does more in its place, because
//! two errors together can make a good row look worst; then a chosen row that agrees with the rest
//! is put back. At last they are reconsidered two at a time among the rows whose residuals move
//! with theirs, for what one at a time cannot find: fewer that explain as much, or two that explain
//! more. (A. Monticelli, F. F. Wu, M. Yen, *Multiple bad data identification for state
//! estimation by combinatorial optimization*, IEEE PWRD-1, 1986.)

use std::collections::BTreeMap;

/// Below this share of a variance left, a row says nothing the chosen ones did not say.
const SAME: f64 = 1e-6;
/// Most chosen rows that are reconsidered in twos: more are other faults than meters.
const FEW: usize = 6;
/// How often they are.
const RECONSIDERED: usize = 8;
/// Rows that are considered in place of those chosen.
const NEAR: usize = 24;
/// A normalised residual of this size brings a row among them as a correlation of one does.
const LARGE: f64 = 8.0;
/// Most exchanges: each raises what is explained, this only bounds the time.
const EXCHANGES: usize = 64;

/// Normalised residuals, and their correlations column by column, when asked for.
pub(super) struct Correlated<'a> {
    /// Residuals over their standard deviation; zero for rows that are not to be judged.
    residual: Vec<f64>,
    /// Gives the correlations of a row's residual with all.
    column: Column<'a>,
    known: BTreeMap<usize, Vec<f64>>,
}

pub(super) type Column<'a> = Box<dyn FnMut(usize) -> Vec<f64> + 'a>;

impl<'a> Correlated<'a> {
    pub(super) fn new(residual: Vec<f64>, column: Column<'a>) -> Correlated<'a> {
        Correlated { residual, column, known: BTreeMap::new() }
    }

    fn learn(&mut self, row: usize) {
        if !self.known.contains_key(&row) {
            let column = (self.column)(row);
            self.known.insert(row, column);
        }
    }

    /// Deleted residuals of all rows if these are taken out.
    /// Nothing if one of them says no more than the others.
    pub(super) fn deleted(&mut self, rows: &[usize]) -> Option<Vec<f64>> {
        rows.iter().for_each(|&row| self.learn(row));
        let columns: Vec<&Vec<f64>> = rows.iter().map(|row| &self.known[row]).collect();
        let factor = Cholesky::new(rows, &columns)?;
        let own: Vec<f64> = rows.iter().map(|&row| self.residual[row]).collect();
        let half = factor.forward(&own);
        let mut deleted = self.residual.clone();
        let mut with = vec![0.0; rows.len()];
        for (row, value) in deleted.iter_mut().enumerate() {
            if *value == 0.0 {
                continue;
            }
            with.iter_mut().zip(&columns).for_each(|(with, column)| *with = column[row]);
            factor.solve_forward(&mut with);
            let left = 1.0 - with.iter().map(|x| x * x).sum::<f64>();
            let moved: f64 = with.iter().zip(&half).map(|(a, b)| a * b).sum();
            *value = if left < SAME { 0.0 } else { (*value - moved) / left.sqrt() };
        }
        for (at, &row) in rows.iter().enumerate() {
            let (g, own) = factor.solved(&half, at);
            deleted[row] = g / own.sqrt();
        }
        Some(deleted)
    }

    /// The share of a row's variance that is left when others are taken out.
    pub(super) fn left(&mut self, others: &[usize], row: usize) -> f64 {
        others.iter().for_each(|&row| self.learn(row));
        let columns: Vec<&Vec<f64>> = others.iter().map(|row| &self.known[row]).collect();
        let Some(factor) = Cholesky::new(others, &columns) else { return SAME };
        let with: Vec<f64> = columns.iter().map(|column| column[row]).collect();
        let left = 1.0 - factor.forward(&with).iter().map(|x| x * x).sum::<f64>();
        left.max(SAME)
    }

    /// Chooses until no row is further off than `limit`, or `most` are chosen. With `hidden`, where
    /// the sum of squares says that something is wrong, also two whose errors hide each other.
    pub(super) fn choose(&mut self, limit: f64, most: usize, hidden: bool) -> Vec<usize> {
        let mut rows: Vec<usize> = Vec::new();
        for _ in 0..RECONSIDERED {
            self.add_worst(&mut rows, limit, most);
            if rows.is_empty() && hidden {
                return self.hidden(limit);
            }
            let before = rows.clone();
            self.reconsider(&mut rows, limit);
            self.put_back(&mut rows, limit);
            if rows == before {
                break;
            }
        }
        rows
    }

    /// One after the other, the worst first.
    fn add_worst(&mut self, rows: &mut Vec<usize>, limit: f64, most: usize) {
        let mut exchanges = 0;
        while rows.len() < most {
            let Some(deleted) = self.deleted(rows) else { return };
            let (worst, size) = largest(&deleted, rows);
            if size < limit {
                return;
            }
            rows.push(worst);
            while exchanges < EXCHANGES && self.exchange(rows) {
                exchanges += 1;
            }
            self.put_back(rows, limit);
        }
    }

    /// Puts back what agrees with the rest.
    fn put_back(&mut self, rows: &mut Vec<usize>, limit: f64) {
        while let Some(deleted) = self.deleted(rows) {
            let Some(at) = least(&deleted, rows, limit) else { return };
            rows.remove(at);
        }
    }

    /// Two rows each of which is far off if the other is left out, though neither is by itself.
    fn hidden(&mut self, limit: f64) -> Vec<usize> {
        let near = self.near(&[]);
        let Some((a, b, _)) = self.best_two(&[], &near) else { return Vec::new() };
        let Some(deleted) = self.deleted(&[a, b]) else { return Vec::new() };
        let both = deleted[a].abs() >= limit && deleted[b].abs() >= limit;
        if both && largest(&deleted, &[a, b]).1 < limit { vec![a, b] } else { Vec::new() }
    }

    /// Looks for explanations of fewer rows, then for two rows that do more in the place of two:
    /// what one row after the other cannot find, where two errors hide each other.
    fn reconsider(&mut self, rows: &mut Vec<usize>, limit: f64) {
        for _ in 0..RECONSIDERED {
            if rows.len() > FEW || !(self.fewer(rows, limit) || self.other_two(rows)) {
                return;
            }
        }
    }

    /// Replaces two or three by one or two, if nothing is suspicious then.
    fn fewer(&mut self, rows: &mut Vec<usize>, limit: f64) -> bool {
        let near = self.near(rows);
        for (base, _) in without_two(rows) {
            let best = near.iter().filter(|row| !base.contains(row)).filter_map(|&row| {
                let with: Vec<usize> = base.iter().copied().chain([row]).collect();
                let deleted = self.deleted(&with)?;
                let clean = largest(&deleted, &with).1 < limit && deleted[row].abs() >= limit;
                clean.then_some((with, deleted[row].abs()))
            });
            if let Some((with, _)) = best.max_by(|a, b| a.1.total_cmp(&b.1)) {
                *rows = with;
                return true;
            }
        }
        for at in 0..rows.len() {
            let rest: Vec<usize> = rows.iter().copied().filter(|&row| row != rows[at]).collect();
            for (base, _) in without_two(&rest) {
                let Some((c, d, _)) = self.best_two(&base, &near) else { continue };
                let with: Vec<usize> = base.into_iter().chain([c, d]).collect();
                let Some(deleted) = self.deleted(&with) else { continue };
                if largest(&deleted, &with).1 < limit {
                    *rows = with;
                    return true;
                }
            }
        }
        false
    }

    /// Replaces two by the two that explain most beside the others.
    fn other_two(&mut self, rows: &mut Vec<usize>) -> bool {
        let near = self.near(rows);
        for (base, own) in without_two(rows) {
            let now = self.best_two(&base, &own).map_or(0.0, |(_, _, gain)| gain);
            let Some((c, d, gain)) = self.best_two(&base, &near) else { continue };
            if gain > now + SAME {
                *rows = base.into_iter().chain([c, d]).collect();
                return true;
            }
        }
        false
    }

    /// Rows whose residuals move with those of the chosen, and those chosen.
    fn near(&mut self, rows: &[usize]) -> Vec<usize> {
        rows.iter().for_each(|&row| self.learn(row));
        let with = |row: usize| {
            let each = rows.iter().map(|of| self.known[of][row].abs());
            each.fold(self.residual[row].abs() / LARGE, f64::max)
        };
        let mut near: Vec<(f64, usize)> = (0..self.residual.len())
            .filter(|&row| self.residual[row] != 0.0)
            .map(|row| (with(row), row))
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        near.truncate(NEAR);
        near.iter().for_each(|&(_, row)| self.learn(row));
        near.into_iter().map(|(_, row)| row).collect()
    }

    /// The two of some rows that explain most beside those of a base, and how much of the sum of
    /// squares that is.
    fn best_two(&mut self, base: &[usize], among: &[usize]) -> Option<(usize, usize, f64)> {
        base.iter().for_each(|&row| self.learn(row));
        let columns: Vec<&Vec<f64>> = base.iter().map(|row| &self.known[row]).collect();
        let factor = Cholesky::new(base, &columns)?;
        let own: Vec<f64> = base.iter().map(|&row| self.residual[row]).collect();
        let half = factor.forward(&own);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut left: Vec<(usize, Vec<f64>, f64, f64)> = Vec::with_capacity(among.len());
        for &row in among.iter().filter(|row| !base.contains(row)) {
            let with: Vec<f64> = columns.iter().map(|column| column[row]).collect();
            let through = factor.forward(&with);
            let variance = 1.0 - dot(&through, &through);
            let moved = self.residual[row] - dot(&through, &half);
            if variance > SAME {
                left.push((row, through, variance, moved));
            }
        }
        let mut best = None;
        let mut most = 0.0;
        for (at, (c, with_c, var_c, u_c)) in left.iter().enumerate() {
            for (d, with_d, var_d, u_d) in &left[at + 1..] {
                let between = self.known[c][*d] - dot(with_c, with_d);
                let free = var_c * var_d - between * between;
                let gain =
                    (u_c * u_c * var_d - 2.0 * u_c * u_d * between + u_d * u_d * var_c) / free;
                if free > SAME * var_c * var_d && gain > most {
                    (best, most) = (Some((*c, *d, gain)), gain);
                }
            }
        }
        best
    }

    /// Exchanges a chosen row for one that does more in its place; false if there is none.
    fn exchange(&mut self, rows: &mut [usize]) -> bool {
        if rows.len() < 2 {
            return false;
        }
        let mut best: Option<(usize, usize, f64)> = None;
        for at in 0..rows.len() {
            let others: Vec<usize> = rows.iter().copied().filter(|&row| row != rows[at]).collect();
            let Some(deleted) = self.deleted(&others) else { continue };
            let (worst, size) = largest(&deleted, &others);
            let gain = size * size - deleted[rows[at]] * deleted[rows[at]];
            if worst != rows[at] && gain > best.map_or(SAME, |(_, _, gain)| gain) {
                best = Some((at, worst, gain));
            }
        }
        let Some((at, row, _)) = best else { return false };
        rows[at] = row;
        true
    }
}

/// Every two of some rows, and the others.
fn without_two(rows: &[usize]) -> Vec<(Vec<usize>, [usize; 2])> {
    let mut all = Vec::new();
    for (at, &a) in rows.iter().enumerate() {
        for &b in &rows[at + 1..] {
            let base = rows.iter().copied().filter(|&row| row != a && row != b).collect();
            all.push((base, [a, b]));
        }
    }
    all
}

/// The row not chosen that is furthest off.
fn largest(deleted: &[f64], chosen: &[usize]) -> (usize, f64) {
    let mut worst = (0, 0.0);
    for (row, value) in deleted.iter().enumerate() {
        if value.abs() > worst.1 && !chosen.contains(&row) {
            worst = (row, value.abs());
        }
    }
    worst
}

/// The chosen row that agrees best with the rest, if it does.
fn least(deleted: &[f64], rows: &[usize], limit: f64) -> Option<usize> {
    let off = |at: &usize| deleted[rows[*at]].abs();
    let least = (0..rows.len()).min_by(|a, b| off(a).total_cmp(&off(b)))?;
    (off(&least) < limit).then_some(least)
}

/// The Cholesky factor of the chosen rows' correlations.
struct Cholesky {
    lower: Vec<Vec<f64>>,
}

impl Cholesky {
    fn new(rows: &[usize], columns: &[&Vec<f64>]) -> Option<Cholesky> {
        let mut lower: Vec<Vec<f64>> = Vec::with_capacity(rows.len());
        for (i, &row) in rows.iter().enumerate() {
            let mut line = vec![0.0; i + 1];
            for j in 0..=i {
                let other: &[f64] = if j == i { &line[..j] } else { &lower[j][..j] };
                let products: f64 = line[..j].iter().zip(other).map(|(a, b)| a * b).sum();
                let left = columns[j][row] - products;
                line[j] = if j < i { left / lower[j][j] } else { left.max(0.0).sqrt() };
            }
            if line[i] * line[i] < SAME {
                return None;
            }
            lower.push(line);
        }
        Some(Cholesky { lower })
    }

    /// `L⁻¹ x`.
    fn forward(&self, x: &[f64]) -> Vec<f64> {
        let mut y = x.to_vec();
        self.solve_forward(&mut y);
        y
    }

    fn solve_forward(&self, y: &mut [f64]) {
        for (i, line) in self.lower.iter().enumerate() {
            let products: f64 = line[..i].iter().zip(&*y).map(|(a, b)| a * b).sum();
            y[i] = (y[i] - products) / line[i];
        }
    }

    /// An entry of `C⁻¹ u`, with `half` being `L⁻¹ u`, and the diagonal entry of `C⁻¹`.
    fn solved(&self, half: &[f64], at: usize) -> (f64, f64) {
        let mut unit = vec![0.0; half.len()];
        unit[at] = 1.0;
        let unit = self.forward(&unit);
        let entry = unit.iter().zip(half).map(|(a, b)| a * b).sum();
        (entry, unit.iter().map(|x| x * x).sum())
    }
}
