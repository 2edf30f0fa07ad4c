//! Blocks: the entries of the sparse matrices, small and dense.

use crate::complex::Complex;

/// A dense entry of a sparse matrix: a square of doubles, or one complex number.
pub trait Block: Copy {
    /// What a row of such entries is multiplied with.
    type Vector: Copy;

    /// All zeros.
    const ZERO: Self;
    /// The vector of zeros.
    const ZERO_VECTOR: Self::Vector;

    /// Inverts in place, with the largest pivot of each column; gives the smallest pivot met, in
    /// absolute value, as a share of the largest entry (zero or NaN where there is no inverse).
    fn invert(&mut self) -> f64;

    /// The product with another.
    fn times(&self, other: &Self) -> Self;

    /// Takes a product off: `self -= a b`.
    fn subtract_product(&mut self, a: &Self, b: &Self);

    /// The product with a vector.
    fn apply(&self, x: &Self::Vector) -> Self::Vector;

    /// Takes a product with a vector off: `y -= self x`.
    fn subtract_from(&self, x: &Self::Vector, y: &mut Self::Vector);
}

impl<const B: usize> Block for [[f64; B]; B] {
    type Vector = [f64; B];

    const ZERO: Self = [[0.0; B]; B];
    const ZERO_VECTOR: [f64; B] = [0.0; B];

    #[inline]
    fn invert(&mut self) -> f64 {
        if B == 2 {
            return invert_two(self);
        }
        let a = self;
        let largest = a.iter().flatten().fold(0.0_f64, |most, x| most.max(x.abs()));
        let mut weakest = f64::INFINITY;
        let mut inverse = [[0.0; B]; B];
        for (i, row) in inverse.iter_mut().enumerate() {
            row[i] = 1.0;
        }
        for c in 0..B {
            let mut pivot = c;
            for r in c + 1..B {
                if a[r][c].abs() > a[pivot][c].abs() {
                    pivot = r;
                }
            }
            a.swap(c, pivot);
            inverse.swap(c, pivot);
            weakest = weakest.min(a[c][c].abs());
            let scale = 1.0 / a[c][c];
            for k in 0..B {
                a[c][k] *= scale;
                inverse[c][k] *= scale;
            }
            let (own, own_inverse) = (a[c], inverse[c]);
            for r in 0..B {
                if r != c {
                    let factor = a[r][c];
                    for k in 0..B {
                        a[r][k] -= factor * own[k];
                        inverse[r][k] -= factor * own_inverse[k];
                    }
                }
            }
        }
        *a = inverse;
        weakest / largest
    }

    #[inline]
    fn times(&self, other: &Self) -> Self {
        let mut product = Self::ZERO;
        for (row, out) in self.iter().zip(&mut product) {
            for (factor, right) in row.iter().zip(other) {
                for (sum, x) in out.iter_mut().zip(right) {
                    *sum += factor * x;
                }
            }
        }
        product
    }

    #[inline]
    fn subtract_product(&mut self, a: &Self, b: &Self) {
        for (row, out) in a.iter().zip(self) {
            for (factor, right) in row.iter().zip(b) {
                for (sum, x) in out.iter_mut().zip(right) {
                    *sum -= factor * x;
                }
            }
        }
    }

    #[inline]
    fn apply(&self, x: &[f64; B]) -> [f64; B] {
        let mut product = [0.0; B];
        for (row, out) in self.iter().zip(&mut product) {
            for (factor, x) in row.iter().zip(x) {
                *out += factor * x;
            }
        }
        product
    }

    #[inline]
    fn subtract_from(&self, x: &[f64; B], y: &mut [f64; B]) {
        for (row, out) in self.iter().zip(y) {
            let mut sum = 0.0;
            for (factor, x) in row.iter().zip(x) {
                sum += factor * x;
            }
            *out -= sum;
        }
    }
}

/// The inverse of two by two by its adjugate: one division in the way of the next pivot, and no
/// choice that a processor could guess wrong. With `p` the larger entry of the first column, the
/// pivots that elimination would meet are `p` and `det/p`.
#[inline]
fn invert_two<const B: usize>(block: &mut [[f64; B]; B]) -> f64 {
    let [a, b, c, d] = [block[0][0], block[0][1], block[1][0], block[1][1]];
    let det = a * d - b * c;
    let scale = 1.0 / det;
    block[0][0] = d * scale;
    block[0][1] = -b * scale;
    block[1][0] = -c * scale;
    block[1][1] = a * scale;
    let first = a.abs().max(c.abs());
    let largest = first.max(b.abs().max(d.abs()));
    // The lesser of p and det/p, both as a share of the largest, without a second division in turn.
    (first * first).min(det.abs()) / (first * largest)
}

impl Block for Complex {
    type Vector = Complex;

    const ZERO: Complex = Complex::ZERO;
    const ZERO_VECTOR: Complex = Complex::ZERO;

    #[inline]
    fn invert(&mut self) -> f64 {
        let share = if self.norm_sqr() > 0.0 { 1.0 } else { 0.0 };
        *self = self.inverse();
        share
    }

    #[inline]
    fn times(&self, other: &Complex) -> Complex {
        *self * *other
    }

    #[inline]
    fn subtract_product(&mut self, a: &Complex, b: &Complex) {
        *self -= *a * *b;
    }

    #[inline]
    fn apply(&self, x: &Complex) -> Complex {
        *self * *x
    }

    #[inline]
    fn subtract_from(&self, x: &Complex, y: &mut Complex) {
        *y -= *self * *x;
    }
}
