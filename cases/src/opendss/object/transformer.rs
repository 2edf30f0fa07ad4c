//! Transformers and their codes.
//!
//! A code is a transformer without buses. Properties of a winding go to the active one (`wdg=`) or
//! come as arrays over all of them; two windings always have the same power when it is given one by
//! one, and the first one's is that of all.

use grid::three_phase::Winding;
use grid::three_phase::transformer::Connection;

use super::Setting;
use super::Table;
use super::is_delta;
use super::unknown;
use crate::opendss::lexer::Value;

/// Windings of a transformer, at most: each pair of them has a reactance.
const WINDINGS_MAX: usize = 8;

/// A transformer, or a code, which has no buses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Transformer {
    pub(crate) of: grid::three_phase::Transformer,
    pub(crate) buses: Vec<String>,
    neutral: Vec<(f64, f64)>,
    /// Reactances 12, 13, 23 in percent, until there is an array.
    x: [f64; 3],
    x_array: Option<Vec<f64>>,
    active: usize,
}

fn winding() -> Winding {
    Winding {
        connection: Connection::Wye,
        kv: 12.47,
        kva: 1000.0,
        r_percent: 0.2,
        tap: 1.0,
        tap_min: 0.9,
        tap_max: 1.1,
        tap_steps: 32,
        neutral_ohm: None,
    }
}

impl Default for Transformer {
    fn default() -> Transformer {
        let of = grid::three_phase::Transformer {
            phases: 3,
            windings: vec![winding(), winding()],
            x_percent: Vec::new(),
            no_load_percent: 0.0,
            magnetising_percent: 0.0,
            antifloat_ppm: 1.0,
            high_lags: false,
        };
        Transformer {
            of,
            buses: vec![String::new(); 2],
            neutral: vec![(-1.0, 0.0); 2],
            x: [7.0, 35.0, 30.0],
            x_array: None,
            active: 0,
        }
    }
}

impl Transformer {
    pub(crate) fn set(
        &mut self,
        property: &str,
        value: &Value,
        codes: &Table<Transformer>,
    ) -> Setting {
        match property {
            "phases" => self.of.phases = value.phases()?,
            "windings" => self.set_windings(value.count_to(WINDINGS_MAX)?)?,
            "wdg" => {
                let active = value.count()?;
                if active == 0 || active > self.of.windings.len() {
                    return Err(format!("has no winding {active}"));
                }
                self.active = active - 1;
            }
            "bus" => self.buses[self.active].clone_from(&value.text),
            "buses" => self.each(value, |of, at, part| {
                of.buses[at].clone_from(&part.text);
                Ok(())
            })?,
            "xfmrcode" => {
                let name = value.lower();
                let code = codes
                    .get(&name)
                    .ok_or_else(|| format!("transformer code {name} is not there"))?;
                let mut buses = std::mem::take(&mut self.buses);
                buses.resize(code.of.windings.len(), String::new());
                *self = Transformer { buses, ..code.clone() };
            }
            "xhl" | "x12" => self.set_x(0, value)?,
            "xht" | "x13" => self.set_x(1, value)?,
            "xlt" | "x23" => self.set_x(2, value)?,
            "xscarray" => self.x_array = Some(value.numbers()?),
            "%loadloss" => {
                let half = value.number()? / 2.0;
                for winding in self.of.windings.iter_mut().take(2) {
                    winding.r_percent = half;
                }
            }
            "%noloadloss" => self.of.no_load_percent = value.number()?,
            "%imag" => self.of.magnetising_percent = value.number()?,
            "ppm_antifloat" => self.of.antifloat_ppm = value.number()?,
            "leadlag" => {
                self.of.high_lags = value.lower().starts_with(['e', 'l']) && {
                    let lower = value.lower();
                    lower == "lead" || lower.starts_with('e')
                }
            }
            _ => return self.set_winding(property, value),
        }
        Ok(())
    }

    fn set_x(&mut self, at: usize, value: &Value) -> Setting {
        self.x[at] = value.number()?;
        self.x_array = None;
        Ok(())
    }

    fn set_windings(&mut self, count: usize) -> Setting {
        if count < 2 {
            return Err("has fewer than two windings".to_owned());
        }
        if count != self.of.windings.len() {
            self.of.windings = vec![winding(); count];
            self.neutral = vec![(-1.0, 0.0); count];
            self.buses.resize(count, String::new());
            self.active = 0;
        }
        Ok(())
    }

    /// Properties of the active winding, and arrays over all of them.
    fn set_winding(&mut self, property: &str, value: &Value) -> Setting {
        let active = self.active;
        match property {
            "conns" => self.each(value, |of, at, part| of.set_at("conn", at, part)),
            "kvs" => self.each(value, |of, at, part| of.set_at("kv", at, part)),
            "kvas" => self.each(value, |of, at, part| {
                of.of.windings[at].kva = part.number()?;
                Ok(())
            }),
            "taps" => self.each(value, |of, at, part| of.set_at("tap", at, part)),
            "%rs" => self.each(value, |of, at, part| of.set_at("%r", at, part)),
            _ => self.set_at(property, active, value),
        }
    }

    fn each(
        &mut self,
        value: &Value,
        mut set: impl FnMut(&mut Transformer, usize, &Value) -> Setting,
    ) -> Setting {
        let parts = value.parts();
        let windings = self.of.windings.len();
        if parts.len() > windings {
            return Err(format!("names {} windings and has {windings}", parts.len()));
        }
        parts.iter().enumerate().try_for_each(|(at, part)| set(self, at, part))
    }

    fn set_at(&mut self, property: &str, at: usize, value: &Value) -> Setting {
        let count = self.of.windings.len();
        let of = &mut self.of.windings[at];
        match property {
            "conn" => {
                of.connection = if is_delta(value)? { Connection::Delta } else { Connection::Wye };
            }
            "kv" => of.kv = value.number()?,
            "kva" => {
                let kva = value.number()?;
                of.kva = kva;
                // The power of the first is that of all; two are always equal.
                if at == 0 || count == 2 {
                    self.of.windings.iter_mut().for_each(|winding| winding.kva = kva);
                }
            }
            "tap" => of.tap = value.number()?,
            "%r" => of.r_percent = value.number()?,
            "maxtap" => of.tap_max = value.number()?,
            "mintap" => of.tap_min = value.number()?,
            "numtaps" => of.tap_steps = value.count()? as u32,
            "rneut" => self.neutral[at].0 = value.number()?,
            "xneut" => self.neutral[at].1 = value.number()?,
            _ => return unknown(property),
        }
        Ok(())
    }

    /// Its data sheet.
    pub(crate) fn sheet(&self) -> grid::three_phase::Transformer {
        let mut sheet = self.of.clone();
        let n = sheet.windings.len();
        let pairs = n * (n - 1) / 2;
        sheet.x_percent = match &self.x_array {
            Some(array) => array.clone(),
            None => (0..pairs).map(|at| self.x.get(at).copied().unwrap_or(30.0)).collect(),
        };
        for (winding, &(r, x)) in sheet.windings.iter_mut().zip(&self.neutral) {
            winding.neutral_ohm = (r >= 0.0 && (r != 0.0 || x != 0.0)).then_some((r, x));
            // A bolted neutral is a small resistance, as in OpenDSS.
            if r == 0.0 && x == 0.0 {
                winding.neutral_ohm = Some((1e-6, 0.0));
            }
        }
        sheet
    }
}
