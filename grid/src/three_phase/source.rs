//! Sources: a voltage behind an impedance, as its Norton equivalent.

use crate::complex::Complex;
use crate::three_phase::line;
use crate::three_phase::matrix::Matrix;

/// A source's data sheet.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// How many phases it has.
    pub phases: usize,
    /// Magnitude of each phase's voltage to its other terminal, in volts.
    pub volt: f64,
    /// Angle of the first phase in degrees.
    pub angle_deg: f64,
    /// Positive sequence impedance in ohm.
    pub z1_ohm: Complex,
    /// Zero sequence impedance in ohm.
    pub z0_ohm: Complex,
}

impl Source {
    /// Its primitive admittance over two terminals, in siemens, and the currents it drives into the
    /// nodes of both, in amperes; nothing where the impedance is zero.
    pub fn norton(&self) -> Option<(Matrix, Vec<Complex>)> {
        let n = self.phases;
        let z = line::from_sequence(n, self.z1_ohm, self.z0_ohm);
        let y = line::series(&z, Complex::ZERO)?;
        let turn = 360.0 / n.max(1) as f64;
        let mut voltages = vec![Complex::ZERO; 2 * n];
        for (phase, voltage) in voltages.iter_mut().take(n).enumerate() {
            let angle = self.angle_deg - turn * phase as f64;
            *voltage = Complex::from_polar(self.volt, angle.to_radians());
        }
        let drives = y.apply(&voltages);
        Some((y, drives))
    }
}

/// Sequence impedances in ohm from short-circuit powers in MVA: of three phases, and of one phase
/// to ground. `x1r1` and `x0r0` are the ratios of reactance to resistance.
///
/// `|z1| = kv²/mva3`; `z0` follows from `mva1 = 3 v² / |2 z1 + z0|` as the greater root of a square
/// equation in `r0` (IEC 60909-0, section 4.2.2.3).
pub fn from_short_circuit(
    kv: f64,
    mva3: f64,
    mva1: f64,
    x1r1: f64,
    x0r0: f64,
) -> (Complex, Complex) {
    let x1 = kv * kv / mva3 / (1.0 + 1.0 / (x1r1 * x1r1)).sqrt();
    let z1 = Complex::new(x1 / x1r1, x1);
    let fault = 3.0 * kv * kv / mva1;
    let a = 1.0 + x0r0 * x0r0;
    let b = 4.0 * (z1.re + z1.im * x0r0);
    let c = 4.0 * z1.norm_sqr() - fault * fault;
    let r0 = (-b + (b * b - 4.0 * a * c).max(0.0).sqrt()) / (2.0 * a);
    (z1, Complex::new(r0, r0 * x0r0))
}
