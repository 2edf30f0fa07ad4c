//! Factorisation and solution on a [`Pattern`].
//!
//! After [`Pattern::factor`] the blocks hold the inverses of the pivots on the diagonal, `L`
//! (its rows already multiplied by those inverses, unit diagonal left out) below it, `U` above it.

use crate::sparse::Block;
use crate::sparse::Pattern;

/// The weakest pivot of a factorisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weakest {
    /// Its size as a share of the largest entry of its block; 0 or NaN where there is none.
    pub share: f64,
    /// The node whose block it is in.
    pub node: usize,
}

impl Pattern {
    /// Factors the blocks in place and says what the weakest pivot was.
    pub fn factor<K: Block>(&self, blocks: &mut [K]) -> Weakest {
        let mut weakest = Weakest { share: f64::INFINITY, node: 0 };
        for at in 0..self.rows() {
            let diagonal = self.diagonal(at);
            let mut inverse = blocks[diagonal];
            let share = inverse.invert();
            // NaN counts as weakest, and the first one stands.
            if !(share >= weakest.share || weakest.share.is_nan()) {
                weakest = Weakest { share, node: self.node(at) };
            }
            blocks[diagonal] = inverse;
            let right = diagonal + 1..self.row(at).end;
            let below = self.mirror_start[at] as usize..self.mirror_start[at + 1] as usize;
            let targets = &self.target[self.target_start[at] as usize..];
            let width = right.len();
            for (k, &low) in self.mirror[below].iter().enumerate() {
                let low = low as usize;
                let multiplier = blocks[low].times(&inverse);
                blocks[low] = multiplier;
                let row = &targets[k * width..(k + 1) * width];
                for (u, &target) in right.clone().zip(row) {
                    let upper = blocks[u];
                    blocks[target as usize].subtract_product(&multiplier, &upper);
                }
            }
        }
        weakest
    }

    /// Solves with factored blocks, in place; the vector is in the order of places.
    pub fn solve<K: Block>(&self, blocks: &[K], x: &mut [K::Vector]) {
        for at in 0..self.rows() {
            let own = x[at];
            let first = self.diagonal(at) + 1;
            let below = self.mirror_start[at] as usize..self.mirror_start[at + 1] as usize;
            for (k, &low) in self.mirror[below].iter().enumerate() {
                let row = self.column[first + k] as usize;
                blocks[low as usize].subtract_from(&own, &mut x[row]);
            }
        }
        for at in (0..self.rows()).rev() {
            let mut own = x[at];
            let diagonal = self.diagonal(at);
            for block in diagonal + 1..self.row(at).end {
                blocks[block].subtract_from(&x[self.column[block] as usize], &mut own);
            }
            x[at] = blocks[diagonal].apply(&own);
        }
    }
}
