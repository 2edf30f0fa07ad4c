//! Capacitor banks.

use crate::complex::Complex;
use crate::three_phase::matrix::Matrix;

/// A capacitor bank of equal phases in steps.
///
/// In star it lies between its two terminals, conductor by conductor (the second is ground as a
/// rule); in delta it has one terminal.
#[derive(Clone, Debug, PartialEq)]
pub struct Capacitor {
    /// How many phases it has.
    pub phases: usize,
    /// True if in delta.
    pub delta: bool,
    /// Rated voltage in volts of one capacitor: line to neutral in star, line to line in delta.
    pub rated_volt: f64,
    /// Reactive power of each step in var, all phases together.
    pub step_var: Vec<f64>,
    /// Which steps are closed; as many as there are steps.
    pub closed: Vec<bool>,
}

impl Capacitor {
    /// How many steps are closed.
    pub fn steps_closed(&self) -> usize {
        self.closed.iter().filter(|&&closed| closed).count()
    }

    /// Its primitive admittance in siemens: `phases` conductors at one terminal in delta, at two in
    /// star.
    pub fn primitive(&self) -> Matrix {
        let var: f64 =
            self.step_var.iter().zip(&self.closed).map(|(q, &on)| if on { *q } else { 0.0 }).sum();
        let y = Complex::new(0.0, var / self.phases as f64 / (self.rated_volt * self.rated_volt));
        let n = self.phases;
        if self.delta {
            let mut matrix = Matrix::zeros(n);
            for phase in 0..n {
                let next = (phase + 1) % n;
                if next != phase {
                    matrix.add(phase, phase, y);
                    matrix.add(next, next, y);
                    matrix.add(phase, next, -y);
                    matrix.add(next, phase, -y);
                }
            }
            return matrix;
        }
        let mut matrix = Matrix::zeros(2 * n);
        for phase in 0..n {
            matrix.add(phase, phase, y);
            matrix.add(phase + n, phase + n, y);
            matrix.add(phase, phase + n, -y);
            matrix.add(phase + n, phase, -y);
        }
        matrix
    }
}

/// The voltage across a line-to-neutral capacitor from the rated line-to-line voltage.
pub fn star_volt(line_to_line_volt: f64) -> f64 {
    line_to_line_volt / 3.0_f64.sqrt()
}
