//! The inverse of a factored symmetric matrix, as far as its pattern goes.
//!
//! Takahashi's recursion (K. Takahashi, J. Fagan, M.-S. Chen, *Formation of a sparse bus impedance
//! matrix and its application to short circuit study*, PICA 1973): from `A = Wᵀ D W` follows
//! `Z = D⁻¹ W⁻ᵀ + (I - W) Z`, and row by row from the last, every block of `Z` on the pattern needs
//! only blocks that are on the pattern too. It costs about as much as the factorisation; the whole
//! inverse would be dense.

use crate::sparse::Block;
use crate::sparse::Symmetric;
use crate::sparse::symmetric::Square;

impl Symmetric {
    /// The blocks of the inverse on the pattern, from what [`Symmetric::factor`] left.
    ///
    /// `inverse` gets one block for each of `factored`, in the same order; what it held is
    /// overwritten. Blocks left of the diagonal are the transposes of those right of it.
    ///
    /// # Panics
    /// `inverse` is shorter than the pattern.
    pub fn selected_inverse<const B: usize>(
        &self,
        factored: &[Square<B>],
        inverse: &mut [Square<B>],
    ) {
        for at in (0..self.rows()).rev() {
            let right = self.right(at);
            let width = right.len();
            for block in right.clone() {
                inverse[block] = Square::<B>::ZERO;
            }
            for (i, w) in right.clone().enumerate() {
                let targets = self.targets(at, i, width);
                for (j, &target) in (i..width).zip(targets) {
                    let known = inverse[target as usize];
                    inverse[right.start + j].subtract_product(&factored[w], &known);
                    if j > i {
                        let factor = &factored[right.start + j];
                        subtract_product_transposed(&mut inverse[w], factor, &known);
                    }
                }
            }
            let mut own = factored[self.diagonal(at)];
            for block in right {
                subtract_product_transposed(&mut own, &factored[block], &inverse[block]);
            }
            inverse[self.diagonal(at)] = own;
        }
    }
}

/// `y -= a bᵀ`.
#[inline]
fn subtract_product_transposed<const B: usize>(y: &mut Square<B>, a: &Square<B>, b: &Square<B>) {
    // Turned first: rows times numbers run in vectors, sums along rows do not.
    let mut turned = [[0.0; B]; B];
    for (i, row) in b.iter().enumerate() {
        for (turned, x) in turned.iter_mut().zip(row) {
            turned[i] = *x;
        }
    }
    y.subtract_product(a, &turned);
}
