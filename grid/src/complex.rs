//! Complex numbers, as much of them as power flow needs.
//!
//! Hand-written because the room needs a dozen operations on `f64` and nothing generic, and because
//! the solvers keep them in arrays whose layout matters: two doubles, real part first.

use std::ops::Add;
use std::ops::AddAssign;
use std::ops::Div;
use std::ops::Mul;
use std::ops::Neg;
use std::ops::Sub;
use std::ops::SubAssign;

/// A complex number in rectangular form.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct Complex {
    /// Real part.
    pub re: f64,
    /// Imaginary part.
    pub im: f64,
}

impl Complex {
    /// Zero.
    pub const ZERO: Complex = Complex::new(0.0, 0.0);
    /// One.
    pub const ONE: Complex = Complex::new(1.0, 0.0);

    /// From its two parts.
    #[inline]
    pub const fn new(re: f64, im: f64) -> Complex {
        Complex { re, im }
    }

    /// From magnitude and argument in radians.
    #[inline]
    pub fn from_polar(magnitude: f64, angle_rad: f64) -> Complex {
        let (sin, cos) = angle_rad.sin_cos();
        Complex::new(magnitude * cos, magnitude * sin)
    }

    /// The conjugate.
    #[inline]
    pub const fn conj(self) -> Complex {
        Complex::new(self.re, -self.im)
    }

    /// The square of the magnitude.
    #[inline]
    pub const fn norm_sqr(self) -> f64 {
        self.re * self.re + self.im * self.im
    }

    /// The magnitude.
    #[inline]
    pub fn abs(self) -> f64 {
        self.norm_sqr().sqrt()
    }

    /// The argument in radians, in (-π, π].
    #[inline]
    pub fn arg(self) -> f64 {
        self.im.atan2(self.re)
    }

    /// The number times a real factor.
    #[inline]
    pub const fn scale(self, factor: f64) -> Complex {
        Complex::new(self.re * factor, self.im * factor)
    }

    /// One over the number; not finite for zero.
    #[inline]
    pub fn inverse(self) -> Complex {
        let factor = 1.0 / self.norm_sqr();
        Complex::new(self.re * factor, -self.im * factor)
    }

    /// True if both parts are finite.
    #[inline]
    pub const fn is_finite(self) -> bool {
        self.re.is_finite() && self.im.is_finite()
    }
}

impl Add for Complex {
    type Output = Complex;

    #[inline]
    fn add(self, other: Complex) -> Complex {
        Complex::new(self.re + other.re, self.im + other.im)
    }
}

impl AddAssign for Complex {
    #[inline]
    fn add_assign(&mut self, other: Complex) {
        *self = *self + other;
    }
}

impl Sub for Complex {
    type Output = Complex;

    #[inline]
    fn sub(self, other: Complex) -> Complex {
        Complex::new(self.re - other.re, self.im - other.im)
    }
}

impl SubAssign for Complex {
    #[inline]
    fn sub_assign(&mut self, other: Complex) {
        *self = *self - other;
    }
}

impl Mul for Complex {
    type Output = Complex;

    #[inline]
    fn mul(self, other: Complex) -> Complex {
        Complex::new(
            self.re * other.re - self.im * other.im,
            self.re * other.im + self.im * other.re,
        )
    }
}

impl Div for Complex {
    type Output = Complex;

    #[inline]
    #[expect(clippy::suspicious_arithmetic_impl, reason = "a quotient is a product with 1/x")]
    fn div(self, other: Complex) -> Complex {
        self * other.inverse()
    }
}

impl Neg for Complex {
    type Output = Complex;

    #[inline]
    fn neg(self) -> Complex {
        Complex::new(-self.re, -self.im)
    }
}
