//! Capacitors and reactors.
//!
//! Both become admittances by their rated power or impedance; a capacitor keeps its steps, because
//! controls switch them. Without a second bus their other end is ground.

use grid::Complex;
use grid::three_phase::Matrix;
use grid::three_phase::line::series;

use super::Setting;
use super::is_delta;
use super::unknown;
use crate::opendss::lexer::Value;

/// Steps of a capacitor, at most.
const STEPS_MAX: usize = 1000;

/// A capacitor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Capacitor {
    pub(crate) bus: [String; 2],
    pub(crate) phases: usize,
    pub(crate) delta: bool,
    kv: f64,
    /// Of each step.
    step_kvar: f64,
    steps: usize,
    states: Option<Vec<f64>>,
}

impl Default for Capacitor {
    fn default() -> Capacitor {
        Capacitor {
            bus: [String::new(), String::new()],
            phases: 3,
            delta: false,
            kv: 12.47,
            step_kvar: 1200.0,
            steps: 1,
            states: None,
        }
    }
}

impl Capacitor {
    pub(crate) fn set(&mut self, property: &str, value: &Value) -> Setting {
        match property {
            "bus1" => self.bus[0].clone_from(&value.text),
            "bus2" => self.bus[1].clone_from(&value.text),
            "phases" => self.phases = value.phases()?,
            "kvar" => {
                let kvar = value.numbers()?;
                let first = *kvar.first().ok_or("has no power")?;
                self.step_kvar = first;
                if kvar.iter().take(self.steps).any(|&other| other != first) {
                    return Err("steps of unequal power are not understood".to_owned());
                }
            }
            "kv" => self.kv = value.number()?,
            "conn" => self.delta = is_delta(value)?,
            // Divides what was one step until then.
            "numsteps" => {
                self.steps = value.count_to(STEPS_MAX)?.max(1);
                self.step_kvar /= self.steps as f64;
            }
            "states" => self.states = Some(value.numbers()?),
            "r" | "xl" if value.numbers()?.iter().all(|&of| of == 0.0) => {}
            "basefreq" => {}
            _ => return unknown(property),
        }
        Ok(())
    }

    /// Its data sheet.
    pub(crate) fn sheet(&self) -> grid::three_phase::shunt::Capacitor {
        let closed = |at: usize| match &self.states {
            Some(states) => states.get(at).copied().unwrap_or(0.0) != 0.0,
            None => true,
        };
        let star = !self.delta && self.phases > 1;
        grid::three_phase::shunt::Capacitor {
            phases: self.phases,
            delta: self.delta,
            rated_volt: self.kv * 1000.0 / if star { 3.0_f64.sqrt() } else { 1.0 },
            step_var: vec![self.step_kvar * 1000.0; self.steps],
            closed: (0..self.steps).map(closed).collect(),
        }
    }
}

/// A reactor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reactor {
    pub(crate) bus: [String; 2],
    pub(crate) phases: usize,
    pub(crate) delta: bool,
    kv: f64,
    /// Where it was given as reactive power.
    kvar: Option<f64>,
    r: f64,
    x: f64,
    parallel: bool,
    rp: Option<f64>,
}

impl Default for Reactor {
    fn default() -> Reactor {
        Reactor {
            bus: [String::new(), String::new()],
            phases: 3,
            delta: false,
            kv: 12.47,
            kvar: Some(1200.0),
            r: 0.0,
            x: 0.0,
            parallel: false,
            rp: None,
        }
    }
}

impl Reactor {
    pub(crate) fn set(&mut self, property: &str, value: &Value) -> Setting {
        match property {
            "bus1" => self.bus[0].clone_from(&value.text),
            "bus2" => self.bus[1].clone_from(&value.text),
            "phases" => self.phases = value.phases()?,
            "kvar" => self.kvar = Some(value.number()?),
            "kv" => self.kv = value.number()?,
            "conn" => self.delta = is_delta(value)?,
            "r" => self.r = value.number()?,
            "x" => {
                self.x = value.number()?;
                self.kvar = None;
            }
            "z" => {
                let z = value.numbers()?;
                (self.r, self.x) =
                    (z.first().copied().unwrap_or(0.0), z.get(1).copied().unwrap_or(0.0));
                self.kvar = None;
            }
            "parallel" => self.parallel = value.yes()?,
            "rp" => self.rp = Some(value.number()?),
            "basefreq" => {}
            _ => return unknown(property),
        }
        Ok(())
    }

    /// Its primitive admittance over one terminal in delta, two in star; nothing without impedance.
    pub(crate) fn primitive(&self) -> Option<Matrix> {
        let star = !self.delta && self.phases > 1;
        let volt = self.kv * 1000.0 / if star { 3.0_f64.sqrt() } else { 1.0 };
        let x = match self.kvar {
            Some(kvar) => volt * volt / (kvar * 1000.0 / self.phases as f64),
            None => self.x,
        };
        let mut y = if self.parallel {
            Complex::new(1.0 / self.r, -1.0 / x)
        } else {
            Complex::new(self.r, x).inverse()
        };
        if let Some(rp) = self.rp.filter(|&rp| rp != 0.0) {
            y += Complex::new(1.0 / rp, 0.0);
        }
        if !y.is_finite() {
            return None;
        }
        if self.delta {
            let n = self.phases;
            let mut matrix = Matrix::zeros(n);
            for phase in 0..n {
                let next = (phase + 1) % n;
                matrix.add(phase, phase, y);
                matrix.add(next, next, y);
                matrix.add(phase, next, -y);
                matrix.add(next, phase, -y);
            }
            return Some(matrix);
        }
        series(&Matrix::symmetric(self.phases, y.inverse(), Complex::ZERO), Complex::ZERO)
    }
}
