//! Transformers from their windings.
//!
//! Per phase, with all windings referred to one volt and to the power of the first:
//!
//! ```text
//! Z_b[i][j] = ½ (z_1i + z_1j - z_ij)      short-circuit impedances between windings
//! Y_1       = B Z_b⁻¹ Bᵀ                   B: winding 1 against each other one
//! Y         = A Y_1 Aᵀ                     A: turns and how coils are connected
//! ```
//!
//! (H. W. Dommel, *EMTP Theory Book*, section 6.4; R. C. Dugan, *A Perspective on Transformer
//! Modeling for Distribution System Analysis*, IEEE PES General Meeting 2003.) The magnetising
//! branch is at the second winding. A winding no conductor of which is grounded would float: a
//! millionth of the power base (`antifloat_ppm`) ties it to ground, half of it at each end of every
//! coil and half at the neutral of a winding in star, as in OpenDSS.

use crate::complex::Complex;
use crate::three_phase::matrix::Matrix;

/// How the coils of a winding are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connection {
    /// Each phase to the neutral conductor, the last of the terminal.
    #[default]
    Wye,
    /// Each phase to the next.
    Delta,
}

/// A winding.
#[derive(Clone, Debug, PartialEq)]
pub struct Winding {
    /// How its coils are connected.
    pub connection: Connection,
    /// Rated voltage in kV: line to line for two and three phases, of the coil for one.
    pub kv: f64,
    /// Rated power in kVA.
    pub kva: f64,
    /// Resistance in percent of its rated impedance.
    pub r_percent: f64,
    /// Its tap, per unit of the rated voltage.
    pub tap: f64,
    /// Lowest tap.
    pub tap_min: f64,
    /// Highest tap.
    pub tap_max: f64,
    /// How many steps lie between lowest and highest.
    pub tap_steps: u32,
    /// Resistance and reactance between neutral and ground in ohm; nothing where the neutral is
    /// just the last conductor.
    pub neutral_ohm: Option<(f64, f64)>,
}

impl Winding {
    /// What a step adds to the tap.
    pub fn tap_step(&self) -> f64 {
        (self.tap_max - self.tap_min) / f64::from(self.tap_steps.max(1))
    }

    /// The position of the tap in steps, 0 where the tap is in the middle of its range.
    pub fn tap_number(&self) -> i32 {
        let middle = (self.tap_max + self.tap_min) / 2.0;
        ((self.tap - middle) / self.tap_step()).round() as i32
    }

    /// Rated voltage of a coil in volts.
    pub fn coil_volt(&self, phases: usize) -> f64 {
        match self.connection {
            Connection::Wye if phases > 1 => self.kv * 1000.0 / 3.0_f64.sqrt(),
            Connection::Wye | Connection::Delta => self.kv * 1000.0,
        }
    }
}

/// A transformer's data sheet.
#[derive(Clone, Debug, PartialEq)]
pub struct Transformer {
    /// How many phases it has; each terminal has one conductor more, the neutral.
    pub phases: usize,
    /// Its windings, the first carries the power base.
    pub windings: Vec<Winding>,
    /// Short-circuit reactances in percent between windings: 12, 13, … , 23, 24, …
    pub x_percent: Vec<f64>,
    /// Iron losses in percent of the power base.
    pub no_load_percent: f64,
    /// Magnetising current in percent.
    pub magnetising_percent: f64,
    /// What ties coils to ground, in millionths of the power base.
    pub antifloat_ppm: f64,
    /// True if the low voltage leads the high voltage by 30 degrees where one is in star and the
    /// other in delta (Euro, `Dy11`), false if it lags (ANSI, `Dy1`).
    pub high_lags: bool,
}

impl Transformer {
    /// Its primitive admittance in siemens over `windings` terminals of `phases + 1` conductors;
    /// nothing where its short-circuit impedances have no inverse.
    pub fn primitive(&self) -> Option<Matrix> {
        let coil = self.coil_admittance()?;
        let conductors = self.phases + 1;
        let mut y = Matrix::zeros(self.windings.len() * conductors);
        for phase in 0..self.phases {
            let ends: Vec<usize> =
                (0..self.windings.len()).flat_map(|winding| self.ends(winding, phase)).collect();
            for (row, &at_row) in ends.iter().enumerate() {
                for (column, &at_column) in ends.iter().enumerate() {
                    y.add(at_row, at_column, coil.get(row, column));
                }
            }
        }
        for (winding, of) in self.windings.iter().enumerate() {
            if of.connection == Connection::Wye {
                let at = (winding + 1) * conductors - 1;
                let neutral = match of.neutral_ohm {
                    Some((r, x)) => Complex::new(r, x).inverse(),
                    None => self.tie(of),
                };
                y.add(at, at, neutral);
            }
        }
        Some(y)
    }

    /// The two conductors of a coil.
    fn ends(&self, winding: usize, phase: usize) -> [usize; 2] {
        let first = winding * (self.phases + 1);
        let other = match self.windings[winding].connection {
            Connection::Delta if self.phases > 1 => self.next_phase(phase),
            Connection::Wye | Connection::Delta => self.phases,
        };
        [first + phase, first + other]
    }

    /// The phase a delta coil goes to.
    fn next_phase(&self, phase: usize) -> usize {
        let n = self.phases;
        let backwards = {
            let (one, two) = (&self.windings[0], &self.windings[1 % self.windings.len()]);
            let high = if one.kv >= two.kv { one } else { two };
            let delta_is_high = high.connection == Connection::Delta;
            one.connection != two.connection && delta_is_high != self.high_lags
        };
        match (backwards, phase) {
            (false, phase) if phase + 1 < n => phase + 1,
            // Two phases of a closed delta have a third conductor.
            (false, _) if n == 2 => 2,
            (false, _) => 0,
            (true, 0) if n == 2 => 2,
            (true, 0) => n - 1,
            (true, phase) => phase - 1,
        }
    }

    /// The admittance of one phase over the two ends of each of its coils, in siemens.
    fn coil_admittance(&self) -> Option<Matrix> {
        let per_volt = self.one_volt_admittance()?;
        let n = self.windings.len();
        let volts: Vec<f64> =
            self.windings.iter().map(|winding| winding.coil_volt(self.phases)).collect();
        let mut y = Matrix::zeros(2 * n);
        for row in 0..n {
            for column in 0..n {
                let turns_row = volts[row] * self.windings[row].tap;
                let turns_column = volts[column] * self.windings[column].tap;
                let value = per_volt.get(row, column).scale(1.0 / (turns_row * turns_column));
                y.add(2 * row, 2 * column, value);
                y.add(2 * row + 1, 2 * column + 1, value);
                y.add(2 * row, 2 * column + 1, -value);
                y.add(2 * row + 1, 2 * column, -value);
            }
        }
        for (at, winding) in self.windings.iter().enumerate() {
            let tie = self.tie(winding);
            y.add(2 * at, 2 * at, tie);
            y.add(2 * at + 1, 2 * at + 1, tie);
        }
        Some(y)
    }

    /// What ties each end of a winding's coils to ground.
    fn tie(&self, winding: &Winding) -> Complex {
        let volt = winding.coil_volt(self.phases);
        let siemens = self.antifloat_ppm * 1e-6 * self.phase_va() / (volt * volt);
        Complex::new(0.0, -siemens / 2.0)
    }

    /// The power base of a phase in VA.
    fn phase_va(&self) -> f64 {
        self.windings[0].kva * 1000.0 / self.phases as f64
    }

    /// The admittance between windings when each has a rated voltage of one volt.
    fn one_volt_admittance(&self) -> Option<Matrix> {
        let n = self.windings.len();
        let base = 1.0 / self.phase_va();
        let r = |winding: usize| self.windings[winding].r_percent / 100.0;
        let pair = |a: usize, b: usize| {
            let at = a * (2 * n - a - 1) / 2 + (b - a - 1);
            let x = self.x_percent.get(at).copied().unwrap_or(0.0) / 100.0;
            Complex::new(r(a) + r(b), x).scale(base)
        };
        let mut z = Matrix::zeros(n - 1);
        for i in 1..n {
            for j in 1..n {
                let value = if i == j {
                    pair(0, i)
                } else {
                    (pair(0, i) + pair(0, j) - pair(i.min(j), i.max(j))).scale(0.5)
                };
                z.set(i - 1, j - 1, value);
            }
        }
        let inverse = z.inverse()?;
        let mut y = Matrix::zeros(n);
        for i in 1..n {
            for j in 1..n {
                let value = inverse.get(i - 1, j - 1);
                y.add(i, j, value);
                y.add(0, j, -value);
                y.add(i, 0, -value);
                y.add(0, 0, value);
            }
        }
        let (loss, magnetising) = (self.no_load_percent / 100.0, self.magnetising_percent / 100.0);
        y.add(1, 1, Complex::new(loss, -magnetising).scale(1.0 / base));
        Some(y)
    }
}
