//! Lines: series impedance and half of the charging at each end.
//!
//! ```text
//! Y = [ Z⁻¹ + Yc/2    -Z⁻¹       ]
//!     [ -Z⁻¹          Z⁻¹ + Yc/2 ]
//! ```
//!
//! (W. H. Kersting, *Distribution System Modeling and Analysis*, section 6.1, in nodal form.)

use crate::complex::Complex;
use crate::three_phase::matrix::Matrix;

/// A phase matrix from sequence values: `(2 a1 + a0)/3` own, `(a0 - a1)/3` mutual. A single
/// conductor has the positive sequence value.
pub fn from_sequence(phases: usize, positive: Complex, zero: Complex) -> Matrix {
    if phases == 1 {
        return Matrix::symmetric(1, positive, Complex::ZERO);
    }
    let own = (positive.scale(2.0) + zero).scale(1.0 / 3.0);
    let mutual = (zero - positive).scale(1.0 / 3.0);
    Matrix::symmetric(phases, own, mutual)
}

/// The series part of a line's primitive admittance from its whole impedance in ohm; nothing where
/// that has no inverse. `end_siemens` is added to ground at every conductor, so that an end nobody
/// feeds has a voltage.
pub fn series(z_ohm: &Matrix, end_siemens: Complex) -> Option<Matrix> {
    let n = z_ohm.order();
    let inverse = z_ohm.inverse()?;
    let mut y = Matrix::zeros(2 * n);
    for row in 0..n {
        for column in 0..n {
            let value = inverse.get(row, column);
            y.add(row, column, value);
            y.add(row + n, column + n, value);
            y.add(row, column + n, -value);
            y.add(row + n, column, -value);
        }
        y.add(row, row, end_siemens);
        y.add(row + n, row + n, end_siemens);
    }
    Some(y)
}

/// The charging part of a line's primitive admittance from its whole admittance in siemens.
pub fn charging(y_siemens: &Matrix) -> Matrix {
    let n = y_siemens.order();
    let mut y = Matrix::zeros(2 * n);
    for row in 0..n {
        for column in 0..n {
            let half = y_siemens.get(row, column).scale(0.5);
            y.add(row, column, half);
            y.add(row + n, column + n, half);
        }
    }
    y
}

/// The sum of two matrices of one order.
pub(crate) fn sum(a: &Matrix, b: &Matrix) -> Matrix {
    let mut sum = a.clone();
    for row in 0..b.order() {
        for column in 0..b.order() {
            sum.add(row, column, b.get(row, column));
        }
    }
    sum
}

/// The whole primitive admittance: see [`series`] and [`charging`].
pub fn primitive(z_ohm: &Matrix, y_siemens: &Matrix) -> Option<Matrix> {
    Some(sum(&series(z_ohm, Complex::ZERO)?, &charging(y_siemens)))
}
