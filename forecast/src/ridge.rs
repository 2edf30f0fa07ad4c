//! Least squares of the ridge kind, from sums: the packed Gram matrix and its Cholesky factor.
//!
//! With rows `x` (p features), targets `y` and weights `w`,
//!
//! ```text
//! G = Σ w x xᵀ      g = Σ w y x      β = (G + D)⁻¹ g      D diagonal, the ridge
//! ```
//!
//! Hoerl and Kennard (1970). The lower triangle of `G` is packed by rows: entry (i, j), j ≤ i, lies
//! at i(i+1)/2 + j. Sums are added in the order of the calls and in no other, so that the same rows
//! give the same bits.

/// Entries of the packed lower triangle of a `p` by `p` matrix.
pub const fn packed_len(p: usize) -> usize {
    p * (p + 1) / 2
}

/// Adds `w x xᵀ` to the packed triangle and `w y x` to the right side.
pub fn add_row<T: Real>(gram: &mut [T], right: &mut [T], x: &[T], y: T, w: T) {
    let mut start = 0;
    for (i, x_i) in x.iter().enumerate() {
        let scaled = w * *x_i;
        let row = &mut gram[start..start + i + 1];
        for (entry, x_j) in row.iter_mut().zip(x) {
            *entry = *entry + scaled * *x_j;
        }
        right[i] = right[i] + scaled * y;
        start += i + 1;
    }
}

/// The same for rows that lie one after the other, in their order: the sums are those of
/// [`add_row`] row by row, to the bit. An entry stays in a register while all rows are added to it.
pub fn add_rows(gram: &mut [f64], right: &mut [f64], rows: &[f64], y: &[f32], w: f64) {
    const LANES: usize = 8;
    let p = right.len();
    let mut start = 0;
    for i in 0..p {
        let (entries, _) = gram[start..].split_at_mut(i + 1);
        let mut j = 0;
        while j + LANES <= i + 1 {
            let entries: &mut [f64; LANES] =
                (&mut entries[j..j + LANES]).try_into().expect("of this length");
            let mut sums = *entries;
            for row in rows.chunks_exact(p) {
                let scaled = w * row[i];
                let x: &[f64; LANES] = row[j..j + LANES].try_into().expect("of this length");
                for lane in 0..LANES {
                    sums[lane] += scaled * x[lane];
                }
            }
            *entries = sums;
            j += LANES;
        }
        let rest = &mut entries[j..];
        for (row, y) in rows.chunks_exact(p).zip(y) {
            let scaled = w * row[i];
            rest.iter_mut().zip(&row[j..]).for_each(|(entry, x)| *entry += scaled * x);
            right[i] += scaled * f64::from(*y);
        }
        start += i + 1;
    }
}

/// A float that sums are kept in.
pub trait Real: Copy + std::ops::Add<Output = Self> + std::ops::Mul<Output = Self> {}

impl Real for f32 {}

impl Real for f64 {}

/// The sum of products, in four lanes that are added up at the end: the same on every machine.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    dots([a], b)[0]
}

/// [`dot`] of several with one, each to the same bit as alone: a processor does not wait for the
/// sum of one before it takes up the next.
fn dots<const N: usize>(a: [&[f64]; N], b: &[f64]) -> [f64; N] {
    let mut lanes = [[0.0; 4]; N];
    let (b4, b_rest) = b.as_chunks::<4>();
    let a4 = a.map(|a| &a.as_chunks::<4>().0[..b4.len()]);
    for (k, b) in b4.iter().enumerate() {
        for n in 0..N {
            for lane in 0..4 {
                lanes[n][lane] += a4[n][k][lane] * b[lane];
            }
        }
    }
    let mut sums = [0.0; N];
    for n in 0..N {
        let rest: f64 = a[n][4 * b4.len()..].iter().zip(b_rest).map(|(a, b)| a * b).sum();
        sums[n] = (lanes[n][0] + lanes[n][1]) + (lanes[n][2] + lanes[n][3]) + rest;
    }
    sums
}

/// Rows that are factorised together.
const PANEL: usize = 4;

/// A Cholesky factor `L Lᵀ = A`, packed by rows.
#[derive(Clone, Debug, Default)]
pub struct Factor {
    p: usize,
    lower: Vec<f64>,
    inverse_diagonal: Vec<f64>,
}

impl Factor {
    /// Factorises the packed matrix in place of the last one.
    ///
    /// A pivot below `floor` times its diagonal (a feature that the others explain to the last bit)
    /// is raised to that: its coefficient is then next to zero instead of arbitrary.
    pub fn set(&mut self, packed: &[f64], p: usize, floor: f64) {
        self.p = p;
        self.lower.clear();
        self.lower.extend_from_slice(&packed[..packed_len(p)]);
        self.inverse_diagonal.clear();
        for first in (0..p).step_by(PANEL) {
            let count = PANEL.min(p - first);
            if count == PANEL {
                self.panel(first);
            }
            for i in first..first + count {
                // A whole panel is done up to its own triangle.
                self.finish(i, if count == PANEL { first } else { 0 }, floor);
            }
        }
    }

    /// The entries left of their common triangle, of [`PANEL`] rows from `first` on.
    fn panel(&mut self, first: usize) {
        let (above, panel) = self.lower.split_at_mut(packed_len(first));
        let starts: [usize; PANEL] =
            std::array::from_fn(|n| packed_len(first + n) - packed_len(first));
        for j in 0..first {
            let row_j = &above[packed_len(j)..packed_len(j) + j];
            let sums = dots(starts.map(|start| &panel[start..start + j]), row_j);
            for (start, sum) in starts.iter().zip(sums) {
                let entry = &mut panel[start + j];
                *entry = (*entry - sum) * self.inverse_diagonal[j];
            }
        }
    }

    /// The entries of row `i` from column `from` on.
    fn finish(&mut self, i: usize, from: usize, floor: f64) {
        let (above, from_i) = self.lower.split_at_mut(packed_len(i));
        let row_i = &mut from_i[..i + 1];
        for j in from..i {
            let row_j = &above[packed_len(j)..packed_len(j) + j];
            let value = row_i[j] - dot(&row_i[..j], row_j);
            row_i[j] = value * self.inverse_diagonal[j];
        }
        let least = (floor * row_i[i]).max(f64::MIN_POSITIVE);
        let pivot = row_i[i] - dot(&row_i[..i], &row_i[..i]);
        let root = pivot.max(least).sqrt();
        row_i[i] = root;
        self.inverse_diagonal.push(1.0 / root);
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.lower[packed_len(i)..packed_len(i) + i + 1]
    }

    /// Solves `A x = b` in place. Of a shorter `b` it solves the system of the first rows and
    /// columns: their factor is the beginning of this one.
    pub fn solve(&self, b: &mut [f64]) {
        self.forward(b);
        for i in (0..b.len()).rev() {
            let value = b[i] * self.inverse_diagonal[i];
            b[i] = value;
            for (earlier, l) in b[..i].iter_mut().zip(self.row(i)) {
                *earlier -= l * value;
            }
        }
    }

    /// Solves `L z = b` in place.
    fn forward(&self, b: &mut [f64]) {
        debug_assert!(b.len() <= self.p, "no more than was factorised");
        for i in 0..b.len() {
            let value = b[i] - dot(&self.row(i)[..i], &b[..i]);
            b[i] = value * self.inverse_diagonal[i];
        }
    }

    /// `xᵀ A⁻¹ x`: how far `x` lies from what was learned (Cook and Weisberg's leverage).
    pub fn leverage(&self, x: &[f64]) -> f64 {
        let mut z = x.to_vec();
        self.forward(&mut z);
        dot(&z, &z)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_is_found() {
        let p = 3;
        let (mut gram, mut right) = (vec![0.0_f64; packed_len(p)], vec![0.0_f64; p]);
        for k in 0..40_u32 {
            let x = [1.0, f64::from(k % 7), f64::from(k * k % 11)];
            let y = 2.0 - 3.0 * x[1] + 0.5 * x[2];
            add_row(&mut gram, &mut right, &x, y, 1.0);
        }
        let mut factor = Factor::default();
        factor.set(&gram, p, 1e-12);
        factor.solve(&mut right);
        for (found, expected) in right.iter().zip([2.0, -3.0, 0.5]) {
            assert!((found - expected).abs() < 1e-10, "{right:?}");
        }
    }

    #[test]
    fn a_feature_twice_does_not_break_it() {
        let (mut gram, mut right) = (vec![0.0_f64; 3], vec![0.0_f64; 2]);
        for k in 0..10 {
            let k = f64::from(k);
            add_row(&mut gram, &mut right, &[k, k], k, 1.0);
        }
        let mut factor = Factor::default();
        factor.set(&gram, 2, 1e-6);
        factor.solve(&mut right);
        assert!((right[0] + right[1] - 1.0).abs() < 1e-6, "{right:?}");
    }

    #[test]
    fn leverage_grows_outside_what_was_seen() {
        let (mut gram, mut right) = (vec![0.0_f64; 3], vec![0.0_f64; 2]);
        for k in 0..10 {
            add_row(&mut gram, &mut right, &[1.0, f64::from(k) / 10.0], 0.0, 1.0);
        }
        let mut factor = Factor::default();
        factor.set(&gram, 2, 1e-6);
        assert!(factor.leverage(&[1.0, 0.5]) < 0.2);
        assert!(factor.leverage(&[1.0, 5.0]) > 10.0);
    }
}
