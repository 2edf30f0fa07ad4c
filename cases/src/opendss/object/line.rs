//! Lines and line codes.
//!
//! A line copies its code when it names it; what stands behind that overrides it. Sequence values
//! and matrices are both kept, and the last one said counts; a code without a capacitance matrix
//! has that of the default sequence values, as in OpenDSS.

use grid::Complex;
use grid::three_phase::Matrix;
use grid::three_phase::line::from_sequence;

use super::Setting;
use super::Table;
use super::unknown;
use crate::opendss::lexer::PHASES_MAX;
use crate::opendss::lexer::Value;

/// Impedance and capacitance per unit of length.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameters {
    pub(crate) phases: usize,
    /// r1, x1, r0, x0 in ohm.
    sequence: [f64; 4],
    /// c1, c0 in nF.
    capacitance: [f64; 2],
    /// Resistance, reactance, capacitance as matrices, where they were given as such.
    matrices: [Option<Vec<f64>>; 3],
    /// True if the matrices count, false if the sequence values do.
    by_matrix: bool,
    base_hz: Option<f64>,
    /// Earth return: resistance and reactance in ohm, resistivity in ohm metres.
    earth: [f64; 3],
}

impl Default for Parameters {
    fn default() -> Parameters {
        Parameters {
            phases: 3,
            sequence: [0.058, 0.1206, 0.1784, 0.4047],
            capacitance: [3.4, 1.6],
            matrices: [None, None, None],
            by_matrix: false,
            base_hz: None,
            earth: [0.018_05, 0.155_081, 100.0],
        }
    }
}

impl Parameters {
    /// Sets what lines and line codes have in common; false where it is something else.
    fn set(&mut self, property: &str, value: &Value) -> Result<bool, String> {
        let sequence = ["r1", "x1", "r0", "x0"].iter().position(|name| *name == property);
        let capacitance = ["c1", "c0"].iter().position(|name| *name == property);
        let matrix = ["rmatrix", "xmatrix", "cmatrix"].iter().position(|name| *name == property);
        let earth = ["rg", "xg", "rho"].iter().position(|name| *name == property);
        if let Some(at) = sequence {
            self.sequence[at] = value.number()?;
            self.by_matrix = false;
        } else if let Some(at) = capacitance {
            self.capacitance[at] = value.number()?;
            self.by_matrix = false;
        } else if let Some(at) = matrix {
            self.matrices[at] = Some(value.matrix(self.phases)?);
            self.by_matrix = true;
        } else if let Some(at) = earth {
            self.earth[at] = value.number()?;
        } else if property == "basefreq" {
            self.base_hz = Some(value.number()?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn set_phases(&mut self, phases: usize) -> Setting {
        if phases == 0 {
            return Err("has no phase".to_owned());
        }
        if phases != self.phases {
            self.phases = phases;
            self.matrices = [None, None, None];
            self.by_matrix = false;
        }
        Ok(())
    }

    /// Impedance in ohm and admittance in siemens per unit of length at a frequency.
    pub(crate) fn matrices(&self, hz: f64) -> (Matrix, Matrix) {
        let n = self.phases;
        let base_hz = self.base_hz.unwrap_or(hz);
        let times = hz / base_hz;
        // The return through earth widens with falling frequency (Carson, as OpenDSS has it).
        let [rg, xg, rho] = self.earth;
        let carson = 0.5 * xg / (658.5 * (rho / base_hz).sqrt()).ln() * times.ln();
        let z = |r: f64, x: f64| Complex::new(r + rg * (times - 1.0), (x - carson) * times);
        let nf = std::f64::consts::TAU * hz * 1e-9;
        let [r1, x1, r0, x0] = self.sequence;
        let mut z_matrix = from_sequence(n, Complex::new(r1, x1), Complex::new(r0, x0));
        let [c1, c0] = self.capacitance;
        let mut c_matrix = from_sequence(n, Complex::new(c1, 0.0), Complex::new(c0, 0.0));
        if self.by_matrix {
            let [r, x, c] = &self.matrices;
            for row in 0..n {
                for column in 0..n {
                    let at = row * n + column;
                    let old = z_matrix.get(row, column);
                    let r = r.as_ref().map_or(old.re, |r| r[at]);
                    let x = x.as_ref().map_or(old.im, |x| x[at]);
                    z_matrix.set(row, column, Complex::new(r, x));
                    if let Some(c) = c {
                        c_matrix.set(row, column, Complex::new(c[at], 0.0));
                    }
                }
            }
        }
        for row in 0..n {
            for column in 0..n {
                let value = z_matrix.get(row, column);
                z_matrix.set(row, column, z(value.re, value.im));
            }
        }
        (z_matrix, c_matrix.scale(Complex::new(0.0, nf)))
    }
}

/// A line code.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LineCode {
    pub(crate) parameters: Parameters,
    metres: Option<f64>,
    neutral: Option<usize>,
    kron: bool,
}

impl LineCode {
    pub(crate) fn set(&mut self, property: &str, value: &Value) -> Setting {
        match property {
            "nphases" => self.parameters.set_phases(value.count_to(PHASES_MAX)?),
            "units" => {
                self.metres = metres(value)?;
                Ok(())
            }
            "neutral" => {
                self.neutral = Some(value.count()?);
                Ok(())
            }
            "kron" => {
                if value.yes()? && !self.kron {
                    self.kron = true;
                    return self.reduce();
                }
                Ok(())
            }
            _ if self.parameters.set(property, value)? => Ok(()),
            _ => unknown(property),
        }
    }

    /// Takes the neutral out: as a code of matrices with one conductor less.
    fn reduce(&mut self) -> Setting {
        let of = &self.parameters;
        let n = of.phases;
        let neutral = self.neutral.unwrap_or(n);
        if n < 2 || neutral == 0 || neutral > n {
            return Err(format!("has no conductor {neutral} to be reduced"));
        }
        let hz = of.base_hz.unwrap_or(60.0);
        let (z, y) = Parameters { base_hz: Some(hz), ..of.clone() }.matrices(hz);
        let order: Vec<usize> = (0..n).filter(|&c| c != neutral - 1).chain([neutral - 1]).collect();
        let moved = |m: &Matrix| {
            let mut moved = Matrix::zeros(n);
            for (row, &a) in order.iter().enumerate() {
                for (column, &b) in order.iter().enumerate() {
                    moved.set(row, column, m.get(a, b));
                }
            }
            moved
        };
        let kept = moved(&z).kron(n - 1).ok_or("has a neutral without impedance")?;
        let y = moved(&y);
        let nf = std::f64::consts::TAU * hz * 1e-9;
        let each = |of: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
            (0..(n - 1) * (n - 1)).map(|at| of(at / (n - 1), at % (n - 1))).collect()
        };
        let matrices = [
            Some(each(&|r, c| kept.get(r, c).re)),
            Some(each(&|r, c| kept.get(r, c).im)),
            Some(each(&|r, c| y.get(r, c).im / nf)),
        ];
        self.parameters.phases = n - 1;
        self.parameters.matrices = matrices;
        self.parameters.by_matrix = true;
        Ok(())
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) bus: [String; 2],
    pub(crate) parameters: Parameters,
    pub(crate) is_switch: bool,
    pub(crate) open: [bool; 2],
    length: f64,
    metres: Option<f64>,
    code_metres: Option<f64>,
}

impl Default for Line {
    fn default() -> Line {
        Line {
            bus: [String::new(), String::new()],
            parameters: Parameters::default(),
            is_switch: false,
            open: [false, false],
            length: 1.0,
            metres: None,
            code_metres: None,
        }
    }
}

impl Line {
    pub(crate) fn set(
        &mut self,
        property: &str,
        value: &Value,
        codes: &Table<LineCode>,
    ) -> Setting {
        match property {
            "bus1" => self.bus[0].clone_from(&value.text),
            "bus2" => self.bus[1].clone_from(&value.text),
            "length" => self.length = value.number()?,
            "phases" => self.parameters.set_phases(value.count_to(PHASES_MAX)?)?,
            "units" => self.metres = metres(value)?,
            "linecode" => {
                let name = value.lower();
                let code =
                    codes.get(&name).ok_or_else(|| format!("line code {name} is not there"))?;
                self.parameters = code.parameters.clone();
                self.code_metres = code.metres;
            }
            "switch" => {
                self.is_switch = value.yes()?;
                if self.is_switch {
                    self.parameters.sequence = [1.0, 1.0, 1.0, 1.0];
                    self.parameters.capacitance = [1.1, 1.0];
                    self.parameters.by_matrix = false;
                    self.code_metres = None;
                    self.length = 0.001;
                }
            }
            "earthmodel" => {}
            _ if self.parameters.set(property, value)? => {
                self.code_metres = None;
            }
            _ => return unknown(property),
        }
        Ok(())
    }

    /// Its length in the unit of its impedances.
    pub(crate) fn length(&self) -> f64 {
        match (self.code_metres, self.metres) {
            (Some(code), Some(own)) => self.length * own / code,
            _ => self.length,
        }
    }
}

/// A unit of length in metres; nothing for none.
fn metres(value: &Value) -> Result<Option<f64>, String> {
    Ok(Some(match value.lower().as_str() {
        "none" => return Ok(None),
        "mi" | "miles" | "mile" => 1609.344,
        "kft" => 304.8,
        "km" => 1000.0,
        "m" | "me" => 1.0,
        "ft" => 0.3048,
        "in" => 0.0254,
        "cm" => 0.01,
        "mm" => 0.001,
        other => return Err(format!("{other:?} is no unit of length")),
    }))
}
