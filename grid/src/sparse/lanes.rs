//! Several matrices of one pattern at once: each entry holds one number a matrix, side by side.
//!
//! The lists of a [`Pattern`] are read once for all of them, and a processor does the arithmetic of
//! four or eight in one instruction: the loops are over arrays of a length known to the compiler.

use std::ops::Add;
use std::ops::AddAssign;
use std::ops::Div;
use std::ops::Mul;
use std::ops::Neg;
use std::ops::Sub;
use std::ops::SubAssign;

use crate::sparse::Block;
use crate::sparse::Pattern;

/// One number for each of `L` matrices.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
pub struct Lanes<const L: usize>(pub [f64; L]);

impl<const L: usize> Lanes<L> {
    /// Zero in all.
    pub const ZERO: Lanes<L> = Lanes([0.0; L]);
    /// One in all.
    pub const ONE: Lanes<L> = Lanes([1.0; L]);

    /// The same number in all.
    #[inline]
    pub const fn all(x: f64) -> Lanes<L> {
        Lanes([x; L])
    }

    /// A function of each.
    #[inline]
    pub fn map(self, f: impl Fn(f64) -> f64) -> Lanes<L> {
        Lanes(self.0.map(f))
    }

    /// A function of each pair.
    #[inline]
    pub fn zip(self, other: Lanes<L>, f: impl Fn(f64, f64) -> f64) -> Lanes<L> {
        let mut out = self;
        for (x, y) in out.0.iter_mut().zip(other.0) {
            *x = f(*x, y);
        }
        out
    }

    /// The smallest.
    #[inline]
    pub fn least(self) -> f64 {
        self.0
            .iter()
            .fold(f64::INFINITY, |least, &x| if x < least || x.is_nan() { x } else { least })
    }
}

impl<const L: usize> Add for Lanes<L> {
    type Output = Lanes<L>;

    #[inline]
    fn add(self, other: Lanes<L>) -> Lanes<L> {
        self.zip(other, |x, y| x + y)
    }
}

impl<const L: usize> AddAssign for Lanes<L> {
    #[inline]
    fn add_assign(&mut self, other: Lanes<L>) {
        *self = *self + other;
    }
}

impl<const L: usize> Sub for Lanes<L> {
    type Output = Lanes<L>;

    #[inline]
    fn sub(self, other: Lanes<L>) -> Lanes<L> {
        self.zip(other, |x, y| x - y)
    }
}

impl<const L: usize> SubAssign for Lanes<L> {
    #[inline]
    fn sub_assign(&mut self, other: Lanes<L>) {
        *self = *self - other;
    }
}

impl<const L: usize> Mul for Lanes<L> {
    type Output = Lanes<L>;

    #[inline]
    fn mul(self, other: Lanes<L>) -> Lanes<L> {
        self.zip(other, |x, y| x * y)
    }
}

impl<const L: usize> Mul<f64> for Lanes<L> {
    type Output = Lanes<L>;

    #[inline]
    fn mul(self, factor: f64) -> Lanes<L> {
        self.map(|x| x * factor)
    }
}

impl<const L: usize> Div for Lanes<L> {
    type Output = Lanes<L>;

    #[inline]
    fn div(self, other: Lanes<L>) -> Lanes<L> {
        self.zip(other, |x, y| x / y)
    }
}

impl<const L: usize> Neg for Lanes<L> {
    type Output = Lanes<L>;

    #[inline]
    fn neg(self) -> Lanes<L> {
        self.map(|x| -x)
    }
}

/// Blocks of two by two of `L` matrices.
impl<const L: usize> Block for [[Lanes<L>; 2]; 2] {
    type Vector = [Lanes<L>; 2];

    const ZERO: Self = [[Lanes::ZERO; 2]; 2];
    const ZERO_VECTOR: [Lanes<L>; 2] = [Lanes::ZERO; 2];

    /// As for one matrix; what is given is the weakest of all.
    #[inline]
    fn invert(&mut self) -> f64 {
        let [[a, b], [c, d]] = *self;
        let det = a * d - b * c;
        let scale = Lanes::ONE / det;
        *self = [[d * scale, -b * scale], [-c * scale, a * scale]];
        let first = a.zip(c, |a, c| a.abs().max(c.abs()));
        let other = b.zip(d, |b, d| b.abs().max(d.abs()));
        let largest = first.zip(other, f64::max);
        let least = (first * first).zip(det, |square, det| square.min(det.abs()));
        (least / (first * largest)).least()
    }

    #[inline]
    fn times(&self, other: &Self) -> Self {
        let product = |r: usize, c: usize| self[r][0] * other[0][c] + self[r][1] * other[1][c];
        [[product(0, 0), product(0, 1)], [product(1, 0), product(1, 1)]]
    }

    #[inline]
    fn subtract_product(&mut self, a: &Self, b: &Self) {
        let product = a.times(b);
        for (own, product) in self.iter_mut().zip(&product) {
            for (own, product) in own.iter_mut().zip(product) {
                *own -= *product;
            }
        }
    }

    #[inline]
    fn apply(&self, x: &[Lanes<L>; 2]) -> [Lanes<L>; 2] {
        [self[0][0] * x[0] + self[0][1] * x[1], self[1][0] * x[0] + self[1][1] * x[1]]
    }

    #[inline]
    fn subtract_from(&self, x: &[Lanes<L>; 2], y: &mut [Lanes<L>; 2]) {
        let product = self.apply(x);
        y[0] -= product[0];
        y[1] -= product[1];
    }
}

impl Pattern {
    /// Solves `L` systems that have one factored matrix in common, in place.
    pub fn solve_lanes<const L: usize>(&self, blocks: &[[[f64; 2]; 2]], x: &mut [[Lanes<L>; 2]]) {
        let apply = |block: usize, x: [Lanes<L>; 2]| {
            let [[a, b], [c, d]] = blocks[block];
            [x[0] * a + x[1] * b, x[0] * c + x[1] * d]
        };
        for at in 0..self.rows() {
            let own = x[at];
            for (upper, low) in self.mirrored(at) {
                let product = apply(low, own);
                let below = &mut x[self.column(upper)];
                below[0] -= product[0];
                below[1] -= product[1];
            }
        }
        for at in (0..self.rows()).rev() {
            let mut own = x[at];
            let diagonal = self.diagonal(at);
            for block in diagonal + 1..self.row(at).end {
                let product = apply(block, x[self.column(block)]);
                own[0] -= product[0];
                own[1] -= product[1];
            }
            x[at] = apply(diagonal, own);
        }
    }
}
