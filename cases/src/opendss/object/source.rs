//! Voltage sources; the circuit itself is one.

use grid::Complex;
use grid::three_phase::source::Source;
use grid::three_phase::source::from_short_circuit;

use super::Setting;
use super::unknown;
use crate::opendss::lexer::Value;

/// How its impedance was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    Mva,
    Ampere,
    Ohm,
}

/// A source.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Vsource {
    pub(crate) bus: [String; 2],
    pub(crate) phases: usize,
    kv: f64,
    pu: f64,
    angle: f64,
    mva3: f64,
    mva1: f64,
    isc3: f64,
    isc1: f64,
    x1r1: f64,
    x0r0: f64,
    z1: (f64, f64),
    z0: (f64, f64),
    /// True if the zero sequence was given.
    zero_given: bool,
    given: Given,
}

impl Default for Vsource {
    fn default() -> Vsource {
        Vsource {
            bus: ["sourcebus".to_owned(), String::new()],
            phases: 3,
            kv: 115.0,
            pu: 1.0,
            angle: 0.0,
            mva3: 2000.0,
            mva1: 2100.0,
            isc3: 10000.0,
            isc1: 10500.0,
            x1r1: 4.0,
            x0r0: 3.0,
            z1: (1.65, 6.6),
            z0: (1.9, 5.7),
            zero_given: true,
            given: Given::Mva,
        }
    }
}

impl Vsource {
    pub(crate) fn set(&mut self, property: &str, value: &Value) -> Setting {
        match property {
            "bus1" => self.bus[0].clone_from(&value.text),
            "bus2" => self.bus[1].clone_from(&value.text),
            "phases" => self.phases = value.phases()?,
            "basekv" => self.kv = value.number()?,
            "pu" => self.pu = value.number()?,
            "angle" => self.angle = value.number()?,
            "mvasc3" => (self.mva3, self.given) = (value.number()?, Given::Mva),
            "mvasc1" => (self.mva1, self.given) = (value.number()?, Given::Mva),
            "isc3" => (self.isc3, self.given) = (value.number()?, Given::Ampere),
            "isc1" => (self.isc1, self.given) = (value.number()?, Given::Ampere),
            "x1r1" => self.x1r1 = value.number()?,
            "x0r0" => self.x0r0 = value.number()?,
            "r1" => (self.z1.0, self.given) = (value.number()?, Given::Ohm),
            "x1" => (self.z1.1, self.given) = (value.number()?, Given::Ohm),
            "r0" => (self.z0.0, self.given) = (value.number()?, Given::Ohm),
            "x0" => (self.z0.1, self.given) = (value.number()?, Given::Ohm),
            "z1" => {
                self.z1 = pair(value)?;
                self.given = Given::Ohm;
                self.zero_given = false;
            }
            "z0" => {
                self.z0 = pair(value)?;
                self.given = Given::Ohm;
                self.zero_given = true;
            }
            "sequence" if value.lower().starts_with('p') => {}
            "model" if value.lower().starts_with('t') => {}
            "frequency" | "basefreq" => {}
            _ => return unknown(property),
        }
        Ok(())
    }

    /// Its data sheet.
    pub(crate) fn sheet(&self) -> Source {
        let root = 3.0_f64.sqrt();
        let short = |mva3: f64, mva1: f64| {
            // A single phase has its short-circuit current at its own voltage.
            let mva1 = if self.phases == 1 { mva1 * root } else { mva1 };
            from_short_circuit(self.kv, mva3, mva1, self.x1r1, self.x0r0)
        };
        let complex = |(r, x): (f64, f64)| Complex::new(r, x);
        let (z1_ohm, z0_ohm) = match self.given {
            Given::Mva => short(self.mva3, self.mva1),
            Given::Ampere => {
                let mva = |ampere: f64| root * self.kv * ampere / 1000.0;
                short(mva(self.isc3), mva(self.isc1))
            }
            Given::Ohm if self.zero_given => (complex(self.z1), complex(self.z0)),
            Given::Ohm => (complex(self.z1), complex(self.z1)),
        };
        let volt = self.kv * 1000.0 * self.pu;
        let turn = std::f64::consts::PI / self.phases as f64;
        let volt = if self.phases == 1 { volt } else { volt / 2.0 / turn.sin() };
        Source { phases: self.phases, volt, angle_deg: self.angle, z1_ohm, z0_ohm }
    }
}

fn pair(value: &Value) -> Result<(f64, f64), String> {
    match value.numbers()?.as_slice() {
        [r, x] => Ok((*r, *x)),
        _ => Err(format!("{:?} is no resistance with reactance", value.text)),
    }
}
