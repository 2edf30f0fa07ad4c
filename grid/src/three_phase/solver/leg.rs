//! One leg of a load: what of it is in the matrix, and what its law brings in beyond that.

use crate::complex::Complex;
use crate::three_phase::load::Curve;

/// An entry of the real matrix: how a current's two parts follow a voltage's.
pub(super) type Real = [[f64; 2]; 2];

/// One leg of a load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) s: Complex,
    /// What of it is in the matrix.
    pub(super) linear: Real,
    /// The current it was last taken to bring in beyond that.
    pub(super) beyond: Complex,
    pub(super) curve: Curve,
}

/// Brings a leg's current into its nodes.
#[inline]
pub(super) fn bring(currents: &mut [[f64; 2]], leg: &Leg, current: Complex) {
    let from = &mut currents[leg.from as usize];
    from[0] += current.re;
    from[1] += current.im;
    let to = &mut currents[leg.to as usize];
    to[0] -= current.re;
    to[1] -= current.im;
}

pub(super) fn add(to: &mut Real, what: &Real, sign: f64) {
    for (row, more) in to.iter_mut().zip(what) {
        for (sum, x) in row.iter_mut().zip(more) {
            *sum += sign * x;
        }
    }
}

impl Leg {
    /// The current it draws and the voltage across it.
    #[inline]
    pub(super) fn current(&self, v: &[Complex]) -> (Complex, Complex) {
        let v = v[self.from as usize] - v[self.to as usize];
        let (p, q) = self.curve.factors(v.norm_sqr());
        (v * Complex::new(self.s.re * p, -self.s.im * q), v)
    }

    /// What its law brings into its first node beyond its linear part.
    #[inline]
    pub(super) fn beyond_now(&self, v: &[Complex]) -> Complex {
        let (drawn, v) = self.current(v);
        let [[a, b], [c, d]] = self.linear;
        Complex::new(a * v.re + b * v.im - drawn.re, c * v.re + d * v.im - drawn.im)
    }

    /// The share of its admittance that is in the matrix at first.
    pub(super) fn share(&self) -> Real {
        let y = self.s.conj().scale(self.curve.nominal() * self.curve.weight());
        [[y.re, -y.im], [y.im, y.re]]
    }

    /// How the current it draws follows the voltage, `c + 2 v c' vᵀ` with `i = c(|v|²) v`; the
    /// derivative of `c` by a difference, because a Jacobian that is kept needs no more.
    pub(super) fn tangent(&self, v: &[Complex]) -> Real {
        let v = v[self.from as usize] - v[self.to as usize];
        let square = v.norm_sqr();
        let at = |square: f64| {
            let (p, q) = self.curve.factors(square);
            Complex::new(self.s.re * p, -self.s.im * q)
        };
        let c = at(square);
        let slope = (at(square * (1.0 + TANGENT_STEP)) - at(square * (1.0 - TANGENT_STEP)))
            .scale(1.0 / (2.0 * TANGENT_STEP * square));
        let turned = (v * slope).scale(2.0);
        let tangent = [
            [c.re + turned.re * v.re, -c.im + turned.re * v.im],
            [c.im + turned.im * v.re, c.re + turned.im * v.im],
        ];
        if tangent.iter().flatten().all(|x| x.is_finite()) { tangent } else { self.share() }
    }
}

/// The relative step of the square of a voltage over which a tangent is taken.
const TANGENT_STEP: f64 = 1e-5;
