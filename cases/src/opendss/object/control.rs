//! Regulator and capacitor controls.

use super::Setting;
use super::Table;
use super::transformer::Transformer;
use super::unknown;
use crate::opendss::lexer::Value;

/// A regulator control.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RegControl {
    pub(crate) transformer: String,
    pub(crate) winding: usize,
    pub(crate) tap_winding: Option<usize>,
    pub(crate) phase: usize,
    pub(crate) bus: Option<String>,
    pub(crate) vreg: f64,
    pub(crate) band: f64,
    pub(crate) pt_ratio: f64,
    pub(crate) remote_pt_ratio: Option<f64>,
    pub(crate) ct_primary: f64,
    pub(crate) r: f64,
    pub(crate) x: f64,
    pub(crate) delay: f64,
    pub(crate) steps_max: usize,
}

impl Default for RegControl {
    fn default() -> RegControl {
        RegControl {
            transformer: String::new(),
            winding: 1,
            tap_winding: None,
            phase: 1,
            bus: None,
            vreg: 120.0,
            band: 3.0,
            pt_ratio: 60.0,
            remote_pt_ratio: None,
            ct_primary: 300.0,
            r: 0.0,
            x: 0.0,
            delay: 15.0,
            steps_max: 16,
        }
    }
}

impl RegControl {
    pub(crate) fn set(
        &mut self,
        property: &str,
        value: &Value,
        transformers: &mut Table<Transformer>,
    ) -> Setting {
        match property {
            "transformer" => {
                self.transformer = value.lower().trim_start_matches("transformer.").to_owned();
            }
            "winding" => (self.winding, self.tap_winding) = (value.count()?.max(1), None),
            "tapwinding" => self.tap_winding = Some(value.count()?.max(1)),
            "ptphase" => self.phase = value.count()?.max(1),
            "bus" => self.bus = Some(value.text.clone()).filter(|bus| !bus.is_empty()),
            "vreg" => self.vreg = value.number()?,
            "band" => self.band = value.number()?,
            "ptratio" => self.pt_ratio = value.number()?,
            "remoteptratio" => self.remote_pt_ratio = Some(value.number()?),
            "ctprim" => self.ct_primary = value.number()?,
            "r" => self.r = value.number()?,
            "x" => self.x = value.number()?,
            "delay" => self.delay = value.number()?,
            "maxtapchange" => self.steps_max = value.count()?,
            "tapnum" => {
                let number = value.number()?;
                let at = transformers.find(&self.transformer).ok_or("has no transformer yet")?;
                let winding = self.tap_winding.unwrap_or(self.winding) - 1;
                let of = &mut transformers.items[at].of.of;
                let winding = of.windings.get_mut(winding).ok_or("has no such winding")?;
                let middle = (winding.tap_max + winding.tap_min) / 2.0;
                winding.tap = middle + number * winding.tap_step();
            }
            "reversible" | "inversetime" | "cogen" if !value.yes()? => {}
            "vlimit" | "ldc_z" if value.number()? == 0.0 => {}
            "basefreq" | "rev_z" => {}
            _ => return unknown(property),
        }
        Ok(())
    }
}

/// A capacitor control.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CapControl {
    pub(crate) capacitor: String,
    pub(crate) element: String,
    pub(crate) terminal: usize,
    pub(crate) kind: String,
    pub(crate) pt_ratio: f64,
    pub(crate) ct_ratio: f64,
    pub(crate) on: f64,
    pub(crate) off: f64,
    pub(crate) delay_on: f64,
    pub(crate) delay_off: f64,
    pub(crate) dead_time: f64,
    pub(crate) overrides: bool,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) ct_phase: usize,
    pub(crate) pt_phase: usize,
}

impl Default for CapControl {
    fn default() -> CapControl {
        CapControl {
            capacitor: String::new(),
            element: String::new(),
            terminal: 1,
            kind: "current".to_owned(),
            pt_ratio: 60.0,
            ct_ratio: 60.0,
            on: 300.0,
            off: 200.0,
            delay_on: 15.0,
            delay_off: 15.0,
            dead_time: 300.0,
            overrides: false,
            min: 115.0,
            max: 126.0,
            ct_phase: 1,
            pt_phase: 1,
        }
    }
}

impl CapControl {
    pub(crate) fn set(&mut self, property: &str, value: &Value) -> Setting {
        match property {
            "capacitor" => {
                self.capacitor = value.lower().trim_start_matches("capacitor.").to_owned();
            }
            "element" => self.element = value.lower(),
            "terminal" => self.terminal = value.count()?.max(1),
            "type" => {
                let lower = value.lower();
                if !lower.starts_with(['c', 'v', 'k', 't']) {
                    return Err(format!("type {lower} is not understood here"));
                }
                self.kind = lower;
            }
            "ptratio" => self.pt_ratio = value.number()?,
            "ctratio" => self.ct_ratio = value.number()?,
            "onsetting" => self.on = value.number()?,
            "offsetting" => self.off = value.number()?,
            "delay" => self.delay_on = value.number()?,
            "delayoff" => self.delay_off = value.number()?,
            "deadtime" => self.dead_time = value.number()?,
            "voltoverride" => self.overrides = value.yes()?,
            "vmin" => self.min = value.number()?,
            "vmax" => self.max = value.number()?,
            "ctphase" => self.ct_phase = value.count()?.max(1),
            "ptphase" => self.pt_phase = value.count()?.max(1),
            "basefreq" => {}
            _ => return unknown(property),
        }
        Ok(())
    }
}
