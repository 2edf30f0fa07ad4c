//! Factorisation of symmetric matrices on a pattern: only the diagonal and what is right of it.
//!
//! A symmetric matrix is `A = Wᵀ D W` with `W` unit upper triangular, so one triangle is all there
//! is to keep: two thirds of the memory of an LU on a tree, half of its products, and a solution
//! that walks through less. Estimators live here, whose matrices are symmetric and indefinite; no
//! pivot is sought across blocks, within a block the largest of a column.
//!
//! After [`Symmetric::factor`] the diagonal holds the inverses of the pivot blocks and everything
//! right of it `W`.

use std::ops::Deref;

use crate::sparse::Block;
use crate::sparse::Pattern;
use crate::sparse::Weakest;
use crate::sparse::layout::Layout;

/// A square of doubles.
pub type Square<const B: usize> = [[f64; B]; B];

/// The upper triangle of a [`Pattern`].
#[derive(Clone, Debug, PartialEq)]
pub struct Symmetric {
    layout: Layout,
    /// The first block of each row, which is its diagonal.
    start: Vec<u32>,
    /// For each row, the pairs of its entries right of the diagonal, the second not before the
    /// first: where their product is taken off.
    target: Vec<u32>,
    target_start: Vec<u32>,
}

impl Symmetric {
    /// The upper triangle of a pattern.
    pub fn new(pattern: &Pattern) -> Symmetric {
        let rows = pattern.rows();
        let Layout { place, node, .. } = &pattern.layout;
        let column = Vec::with_capacity((pattern.blocks() + rows) / 2);
        let mut upper = Symmetric {
            layout: Layout { place: place.clone(), node: node.clone(), column },
            start: vec![0],
            target: Vec::new(),
            target_start: vec![0],
        };
        for at in 0..rows {
            let row = pattern.diagonal(at)..pattern.row(at).end;
            upper.layout.column.extend(&pattern.layout.column[row]);
            upper.start.push(upper.blocks() as u32);
        }
        for at in 0..rows {
            let right = pattern.diagonal(at) + 1..pattern.row(at).end;
            let width = right.len();
            let targets = &pattern.target[pattern.target_start[at] as usize..];
            for (i, block) in right.enumerate() {
                let row = pattern.column(block);
                for &target in &targets[i * width + i..(i + 1) * width] {
                    let after = target as usize - pattern.diagonal(row);
                    upper.target.push(upper.start[row] + after as u32);
                }
            }
            upper.target_start.push(upper.target.len() as u32);
        }
        upper
    }

    /// The diagonal block of a row.
    #[inline]
    pub fn diagonal(&self, place: usize) -> usize {
        self.start[place] as usize
    }

    /// The blocks of a row right of its diagonal.
    #[inline]
    pub fn right(&self, place: usize) -> std::ops::Range<usize> {
        self.start[place] as usize + 1..self.start[place + 1] as usize
    }

    /// The block of two *places*, the first not after the second, if it is in the pattern.
    pub fn block(&self, row: usize, column: usize) -> Option<usize> {
        self.find(self.diagonal(row)..self.right(row).end, column)
    }

    /// Where the product of the `i`-th and later entries right of a row's diagonal are taken off,
    /// the first of them with itself.
    #[inline]
    pub(super) fn targets(&self, place: usize, i: usize, width: usize) -> &[u32] {
        let first = self.target_start[place] as usize + i * width - i * i.saturating_sub(1) / 2;
        &self.target[first..first + width - i]
    }

    /// Factors the blocks in place and says what the weakest pivot was.
    pub fn factor<const B: usize>(&self, blocks: &mut [Square<B>]) -> Weakest {
        let mut weakest = Weakest { share: f64::INFINITY, node: 0 };
        for at in 0..self.rows() {
            let diagonal = self.diagonal(at);
            let mut inverse = blocks[diagonal];
            let share = invert(&mut inverse);
            // NaN counts as weakest.
            if share < weakest.share || share.is_nan() {
                weakest = Weakest { share, node: self.node(at) };
            }
            blocks[diagonal] = inverse;
            let right = self.right(at);
            for (i, block) in right.clone().enumerate() {
                let w = inverse.times(&blocks[block]);
                let targets = self.targets(at, i, right.len());
                for (u, &target) in (block..right.end).zip(targets) {
                    let upper = blocks[u];
                    subtract_transposed(&mut blocks[target as usize], &w, &upper);
                }
                blocks[block] = w;
            }
        }
        weakest
    }

    /// Solves with factored blocks, in place; the vector is in the order of places.
    ///
    /// Factored blocks may have been rounded to single precision: half of the memory, seven digits.
    pub fn solve<const B: usize, T: Copy + Into<f64>>(
        &self,
        blocks: &[[[T; B]; B]],
        x: &mut [[f64; B]],
    ) {
        for at in 0..self.rows() {
            let own = x[at];
            for block in self.right(at) {
                let product = turned_times(&blocks[block], &own);
                let other = &mut x[self.column[block] as usize];
                for (y, product) in other.iter_mut().zip(&product) {
                    *y -= product;
                }
            }
            // Symmetric as it is, its rows serve as its columns; those run in vectors.
            x[at] = turned_times(&blocks[self.diagonal(at)], &own);
        }
        for at in (0..self.rows()).rev() {
            let mut own = x[at];
            for block in self.right(at) {
                let other = &x[self.column[block] as usize];
                for (row, out) in blocks[block].iter().zip(&mut own) {
                    let mut products = *other;
                    for (product, &w) in products.iter_mut().zip(row) {
                        *product *= w.into();
                    }
                    *out -= sum(&products);
                }
            }
            x[at] = own;
        }
    }
}

impl Deref for Symmetric {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        &self.layout
    }
}

/// A share of its terms below which the determinant has lost the digits an inverse needs.
const CANCELLED: f64 = 1e-7;

/// Inverts in place; gives how far it is from having no inverse, as [`Block::invert`] does.
#[inline]
fn invert<const B: usize>(block: &mut Square<B>) -> f64 {
    if B == 4 {
        let mut a = [[0.0; 4]; 4];
        for (row, from) in a.iter_mut().zip(block.iter()) {
            row.copy_from_slice(&from[..4]);
        }
        let (adjugate, determinant, terms) = adjugate(&a);
        if determinant.abs() > CANCELLED * terms {
            let scale = 1.0 / determinant;
            for (row, from) in block.iter_mut().zip(&adjugate) {
                for (x, from) in row.iter_mut().zip(from) {
                    *x = from * scale;
                }
            }
            return determinant.abs() / terms;
        }
    }
    block.invert()
}

/// The adjugate of a symmetric four by four matrix by its two by two minors, its determinant, and
/// the sum of the sizes of the determinant's terms. No branch and no swap: a third of the time of
/// an elimination with pivots.
#[inline]
fn adjugate(a: &Square<4>) -> (Square<4>, f64, f64) {
    let upper = |i: usize, j: usize| a[0][i] * a[1][j] - a[1][i] * a[0][j];
    let lower = |i: usize, j: usize| a[2][i] * a[3][j] - a[3][i] * a[2][j];
    let (s01, s02, s03) = (upper(0, 1), upper(0, 2), upper(0, 3));
    let (s12, s13, s23) = (upper(1, 2), upper(1, 3), upper(2, 3));
    let (c01, c02, c03) = (lower(0, 1), lower(0, 2), lower(0, 3));
    let (c12, c13, c23) = (lower(1, 2), lower(1, 3), lower(2, 3));
    let terms = [s01 * c23, -s02 * c13, s03 * c12, s12 * c03, -s13 * c02, s23 * c01];
    let determinant: f64 = terms.iter().sum();
    let sizes: f64 = terms.iter().map(|term| term.abs()).sum();
    let b00 = a[1][1] * c23 - a[1][2] * c13 + a[1][3] * c12;
    let b01 = a[0][2] * c13 - a[0][1] * c23 - a[0][3] * c12;
    let b02 = a[3][1] * s23 - a[3][2] * s13 + a[3][3] * s12;
    let b03 = a[2][2] * s13 - a[2][1] * s23 - a[2][3] * s12;
    let b11 = a[0][0] * c23 - a[0][2] * c03 + a[0][3] * c02;
    let b12 = a[3][2] * s03 - a[3][0] * s23 - a[3][3] * s02;
    let b13 = a[2][0] * s23 - a[2][2] * s03 + a[2][3] * s02;
    let b22 = a[3][0] * s13 - a[3][1] * s03 + a[3][3] * s01;
    let b23 = a[2][1] * s03 - a[2][0] * s13 - a[2][3] * s01;
    let b33 = a[2][0] * s12 - a[2][1] * s02 + a[2][2] * s01;
    let adjugate =
        [[b00, b01, b02, b03], [b01, b11, b12, b13], [b02, b12, b22, b23], [b03, b13, b23, b33]];
    (adjugate, determinant, sizes)
}

/// `wᵀ x`. Along a branch of a tree each place waits for the one before, so sums are in pairs.
#[inline]
fn turned_times<const B: usize, T: Copy + Into<f64>>(w: &[[T; B]; B], x: &[f64; B]) -> [f64; B] {
    let mut product = [0.0; B];
    for (column, product) in product.iter_mut().enumerate() {
        let mut products = *x;
        for (product, row) in products.iter_mut().zip(w) {
            *product *= row[column].into();
        }
        *product = sum(&products);
    }
    product
}

#[inline]
fn sum<const B: usize>(x: &[f64; B]) -> f64 {
    if B == 4 { (x[0] + x[1]) + (x[2] + x[3]) } else { x.iter().sum() }
}

/// `y -= wᵀ u`.
#[inline]
fn subtract_transposed<const B: usize>(y: &mut Square<B>, w: &Square<B>, u: &Square<B>) {
    for (w, u) in w.iter().zip(u) {
        for (row, factor) in y.iter_mut().zip(w) {
            for (sum, x) in row.iter_mut().zip(u) {
                *sum -= factor * x;
            }
        }
    }
}
