//! Loads.
//!
//! Which two of active power, reactive power, apparent power and power factor count is decided by
//! the last one said: `kW` brings the power factor back, `kvar` replaces it, `kVA` does with it.

use grid::three_phase::Law;
use grid::three_phase::Limits;

use super::Setting;
use super::is_delta;
use super::unknown;
use crate::opendss::lexer::Value;

/// What of a load's power was said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    KwAndFactor,
    KwAndKvar,
    KvaAndFactor,
}

/// A load.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Load {
    pub(crate) bus: String,
    pub(crate) phases: usize,
    pub(crate) delta: bool,
    kv: f64,
    kw: f64,
    kvar: f64,
    kva: f64,
    factor: f64,
    said: Power,
    model: usize,
    zip: Option<Vec<f64>>,
    cvr: [f64; 2],
    min: f64,
    max: f64,
    low: f64,
    variable: bool,
}

impl Default for Load {
    fn default() -> Load {
        Load {
            bus: String::new(),
            phases: 3,
            delta: false,
            kv: 12.47,
            kw: 10.0,
            kvar: 5.0,
            kva: 0.0,
            factor: 0.88,
            said: Power::KwAndFactor,
            model: 1,
            zip: None,
            cvr: [1.0, 2.0],
            min: 0.95,
            max: 1.05,
            low: 0.5,
            variable: true,
        }
    }
}

impl Load {
    pub(crate) fn set(&mut self, property: &str, value: &Value) -> Setting {
        match property {
            "phases" => self.phases = value.phases()?,
            "bus1" => self.bus.clone_from(&value.text),
            "kv" => self.kv = value.number()?,
            "kw" => {
                self.kw = value.number()?;
                self.said = Power::KwAndFactor;
            }
            "kvar" => {
                self.kvar = value.number()?;
                self.said = Power::KwAndKvar;
            }
            "kva" => {
                self.kva = value.number()?;
                self.said = Power::KvaAndFactor;
            }
            "pf" => {
                let factor = value.number()?;
                if factor == 0.0 || factor.abs() > 1.0 {
                    return Err(format!("{factor} is no power factor"));
                }
                self.factor = factor;
            }
            "conn" => self.delta = is_delta(value)?,
            "model" => {
                let model = value.count()?;
                if !matches!(model, 1..=5 | 8) {
                    return Err(format!("load model {model} is not understood, 1 to 5 and 8 are"));
                }
                self.model = model;
            }
            "zipv" => {
                let zip = value.numbers()?;
                if zip.len() < 6 {
                    return Err("has fewer than six coefficients".to_owned());
                }
                let cut = zip.get(6).copied().unwrap_or(0.0);
                self.zip = Some(zip);
                if cut > 0.0 {
                    return Err(format!(
                        "is cut off below {cut} per unit, which is not understood"
                    ));
                }
            }
            "cvrwatts" => self.cvr[0] = value.number()?,
            "cvrvars" => self.cvr[1] = value.number()?,
            "vminpu" => self.min = value.number()?,
            "vmaxpu" => self.max = value.number()?,
            "vlowpu" => self.low = value.number()?,
            "status" => self.variable = value.lower().starts_with('v'),
            // Between neutral and ground; no matter while the neutral is a node or ground itself.
            "rneut" | "xneut" if value.number()? < 0.0 || property == "xneut" => {}
            _ => return unknown(property),
        }
        Ok(())
    }

    /// Power in watts and var, before what multiplies all loads.
    fn power(&self) -> (f64, f64) {
        let tan = (1.0 / (self.factor * self.factor) - 1.0).max(0.0).sqrt() * self.factor.signum();
        let (kw, kvar) = match self.said {
            Power::KwAndFactor => (self.kw, self.kw * tan),
            Power::KwAndKvar => (self.kw, self.kvar),
            Power::KvaAndFactor => {
                let kw = self.kva * self.factor.abs();
                (kw, kw * tan)
            }
        };
        (kw * 1000.0, kvar * 1000.0)
    }

    /// How many conductors it has.
    pub(crate) fn conductors(&self) -> usize {
        if self.delta && self.phases >= 3 { self.phases } else { self.phases + 1 }
    }

    /// The load at nodes, one for each conductor; every load that varies times a factor.
    pub(crate) fn at(
        &self,
        name: String,
        nodes: &[Option<usize>],
        factor: f64,
        in_service: bool,
    ) -> grid::three_phase::Load {
        let n = nodes.len();
        let leg = |phase: usize| {
            let other = if self.delta { (phase + 1) % n } else { n - 1 };
            [nodes[phase], nodes[other]]
        };
        let star = !self.delta && self.phases > 1;
        let (p, q) = self.power();
        let factor = if self.variable { factor } else { 1.0 };
        grid::three_phase::Load {
            name,
            legs: (0..self.phases).map(leg).collect(),
            rated_volt: self.kv * 1000.0 / if star { 3.0_f64.sqrt() } else { 1.0 },
            p_w: p * factor,
            q_var: q * factor,
            law: self.law(),
            limits: Limits { low: self.low, min: self.min, max: self.max },
            in_service,
        }
    }

    fn law(&self) -> Law {
        match (self.model, &self.zip) {
            (2, _) => Law::Impedance,
            (3, _) => Law::Exponents { p: 0.0, q: 2.0 },
            (4, _) => Law::Exponents { p: self.cvr[0], q: self.cvr[1] },
            (5, _) => Law::Current,
            (8, Some(zip)) => Law::Zip { p: [zip[0], zip[1], zip[2]], q: [zip[3], zip[4], zip[5]] },
            _ => Law::Power,
        }
    }
}
