//! Small dense complex matrices: impedances and admittances of single elements.

use crate::complex::Complex;

/// A square complex matrix, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    order: usize,
    values: Vec<Complex>,
}

impl Matrix {
    /// All zeros.
    pub fn zeros(order: usize) -> Matrix {
        Matrix { order, values: vec![Complex::ZERO; order * order] }
    }

    /// From its entries row by row; nothing unless there are `order²` of them.
    pub fn from_rows(order: usize, values: Vec<Complex>) -> Option<Matrix> {
        (values.len() == order * order).then_some(Matrix { order, values })
    }

    /// One value on the diagonal and another everywhere else.
    pub fn symmetric(order: usize, own: Complex, mutual: Complex) -> Matrix {
        let mut matrix = Matrix::zeros(order);
        for row in 0..order {
            for column in 0..order {
                matrix.set(row, column, if row == column { own } else { mutual });
            }
        }
        matrix
    }

    /// How many rows it has.
    pub fn order(&self) -> usize {
        self.order
    }

    /// An entry.
    #[inline]
    pub fn get(&self, row: usize, column: usize) -> Complex {
        self.values[row * self.order + column]
    }

    /// Sets an entry.
    #[inline]
    pub fn set(&mut self, row: usize, column: usize, value: Complex) {
        self.values[row * self.order + column] = value;
    }

    /// Adds to an entry.
    #[inline]
    pub fn add(&mut self, row: usize, column: usize, value: Complex) {
        self.values[row * self.order + column] += value;
    }

    /// Its entries, row by row.
    pub fn values(&self) -> &[Complex] {
        &self.values
    }

    /// Every entry times a factor.
    #[must_use]
    pub fn scale(&self, factor: Complex) -> Matrix {
        let values = self.values.iter().map(|&x| x * factor).collect();
        Matrix { order: self.order, values }
    }

    /// The product with a vector.
    pub fn apply(&self, x: &[Complex]) -> Vec<Complex> {
        let row =
            |row: &[Complex]| row.iter().zip(x).fold(Complex::ZERO, |sum, (&a, &b)| sum + a * b);
        self.values.chunks_exact(self.order.max(1)).map(row).collect()
    }

    /// The inverse by Gauss-Jordan elimination with the largest pivot of each column; nothing where
    /// a pivot is zero or not finite.
    pub fn inverse(&self) -> Option<Matrix> {
        let n = self.order;
        let mut a = self.clone();
        let mut inverse = Matrix::symmetric(n, Complex::ONE, Complex::ZERO);
        for column in 0..n {
            let size = |row: usize| a.get(row, column).norm_sqr();
            let pivot = (column..n).max_by(|&p, &q| size(p).total_cmp(&size(q)))?;
            a.swap_rows(column, pivot);
            inverse.swap_rows(column, pivot);
            let own = a.get(column, column);
            if own.norm_sqr() == 0.0 || !own.is_finite() {
                return None;
            }
            let factor = own.inverse();
            a.scale_row(column, factor);
            inverse.scale_row(column, factor);
            for row in (0..n).filter(|&row| row != column) {
                let factor = a.get(row, column);
                a.subtract_row(row, column, factor);
                inverse.subtract_row(row, column, factor);
            }
        }
        Some(inverse)
    }

    /// The Kron reduction: the matrix seen from the first `keep` conductors when the others are at
    /// zero voltage (of an impedance) or carry no current (of an admittance),
    /// `z_aa - z_ab z_bb⁻¹ z_ba` (W. H. Kersting, *Distribution System Modeling and Analysis*,
    /// equation 4.55). Nothing where what goes has no inverse.
    pub fn kron(&self, keep: usize) -> Option<Matrix> {
        let n = self.order;
        let mut away = Matrix::zeros(n - keep);
        for row in keep..n {
            for column in keep..n {
                away.set(row - keep, column - keep, self.get(row, column));
            }
        }
        let away = away.inverse()?;
        let mut kept = Matrix::zeros(keep);
        for row in 0..keep {
            for column in 0..keep {
                let mut value = self.get(row, column);
                for p in keep..n {
                    for q in keep..n {
                        value -=
                            self.get(row, p) * away.get(p - keep, q - keep) * self.get(q, column);
                    }
                }
                kept.set(row, column, value);
            }
        }
        Some(kept)
    }

    fn swap_rows(&mut self, a: usize, b: usize) {
        for column in 0..self.order {
            self.values.swap(a * self.order + column, b * self.order + column);
        }
    }

    fn scale_row(&mut self, row: usize, factor: Complex) {
        for value in &mut self.values[row * self.order..(row + 1) * self.order] {
            *value = *value * factor;
        }
    }

    fn subtract_row(&mut self, row: usize, other: usize, factor: Complex) {
        for column in 0..self.order {
            let value = self.get(other, column) * factor;
            self.values[row * self.order + column] -= value;
        }
    }
}
