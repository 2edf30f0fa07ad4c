//! What a control wants at a solved state: pure judgement, as OpenDSS's *RegControl* and
//! *CapControl* objects have it.

use crate::complex::Complex;
use crate::three_phase::CapacitorControl;
use crate::three_phase::Kind;
use crate::three_phase::Regulator;
use crate::three_phase::Solver;
use crate::three_phase::Transformer;
use crate::three_phase::control::Watches;
use crate::three_phase::transformer::Connection;

/// What a control wants to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wish {
    /// Add this to the tap, per unit.
    Tap(f64),
    /// Close the next step.
    Close,
    /// Open the last closed step.
    Open,
}

/// The wish of a regulator; nothing inside its band, or where the tap is at its end or has no
/// steps.
pub fn regulator(solver: &Solver, of: &Regulator) -> Option<Wish> {
    let Kind::Transformer(sheet) = &solver.network().elements[of.element].kind else { return None };
    let seen = regulated_volt(solver, of, sheet)?;
    let off = of.set_volt - seen;
    if off.abs() <= of.band_volt / 2.0 {
        return None;
    }
    let winding = sheet.windings.get(of.winding)?;
    let moved = sheet.windings.get(of.tap_winding)?;
    let needed = off * of.pt_ratio / winding.coil_volt(sheet.phases);
    let step = moved.tap_step();
    if step.is_nan() || step <= 0.0 {
        return None;
    }
    let mut change = round_even(needed / step) * step;
    if of.tap_winding != of.winding {
        change = -change;
    }
    let possible = if change > 0.0 { moved.tap < moved.tap_max } else { moved.tap > moved.tap_min };
    (change != 0.0 && possible).then_some(Wish::Tap(change))
}

/// Where the tap goes: seven tenths of the way, so that what comes of it can be seen before the
/// rest, at least one step and at most as many as the regulator takes at once.
pub fn new_tap(of: &Regulator, sheet: &Transformer, change: f64) -> f64 {
    let winding = &sheet.windings[of.tap_winding];
    let step = winding.tap_step();
    let steps = (0.7 * change.abs() / step).trunc().max(1.0).min(f64::from(of.steps_max));
    let wanted = winding.tap + change.signum() * steps * step;
    // Not `clamp`, which panics where the ends are the wrong way round.
    wanted.max(winding.tap_min).min(winding.tap_max)
}

/// The voltage magnitude behind the transformer, less the drop over the line it compensates.
fn regulated_volt(solver: &Solver, of: &Regulator, sheet: &Transformer) -> Option<f64> {
    let element = &solver.network().elements[of.element];
    let nodes = element.terminal(of.winding);
    let at = |node: Option<usize>| node.map_or(Complex::ZERO, |node| solver.voltage(node));
    let mut seen = match of.remote {
        Some((node, ratio)) => return Some(solver.voltage(node).abs() / ratio),
        None => {
            let winding = sheet.windings.get(of.winding)?;
            let other = match winding.connection {
                Connection::Delta if sheet.phases > 1 => (of.phase + 1) % sheet.phases,
                Connection::Delta | Connection::Wye => sheet.phases,
            };
            (at(*nodes.get(of.phase)?) - at(*nodes.get(other)?)).scale(1.0 / of.pt_ratio)
        }
    };
    if of.r_volt != 0.0 || of.x_volt != 0.0 {
        let currents = solver.currents(of.element)?;
        let current = currents[of.winding * element.conductors() + of.phase];
        let compensator = Complex::new(of.r_volt, of.x_volt).scale(1.0 / of.ct_primary_ampere);
        // The current is into the terminal, against the flow to the load.
        seen += compensator * current;
    }
    Some(seen.abs())
}

/// The wish of a capacitor's switch.
pub fn capacitor(solver: &Solver, of: &CapacitorControl) -> Option<Wish> {
    let Kind::Capacitor(sheet) = &solver.network().elements[of.capacitor].kind else { return None };
    let (closed, steps) = (sheet.steps_closed(), sheet.closed.len());
    let by_voltage = match (of.volt_override, of.watches) {
        (Some((least, greatest)), watches) if watches != Watches::Voltage => {
            let seen = watched_volt(solver, of, sheet.delta)?;
            if closed == 0 {
                (seen < least).then_some(Wish::Close)
            } else {
                (seen > greatest).then_some(Wish::Open)
            }
        }
        _ => None,
    };
    if by_voltage.is_some() {
        return by_voltage;
    }
    let may_close = closed < steps;
    match of.watches {
        Watches::Time => None,
        // A low voltage is what closes it.
        Watches::Voltage => {
            let seen = watched_volt(solver, of, sheet.delta)?;
            decide(closed, may_close, seen < of.on, seen > of.off)
        }
        Watches::Current => {
            let currents = solver.currents(of.element)?;
            let first = of.terminal * solver.network().elements[of.element].conductors();
            let seen = currents.get(first + of.ct_phase)?.abs() / of.ct_ratio;
            decide(closed, may_close, seen > of.on, seen < of.off)
        }
        Watches::Kvar => {
            let seen = watched_kvar(solver, of)?;
            decide(closed, may_close, seen > of.on, seen < of.off)
        }
    }
}

fn decide(closed: usize, may_close: bool, on: bool, off: bool) -> Option<Wish> {
    match (on, off) {
        (true, _) if closed == 0 => Some(Wish::Close),
        (_, true) if closed > 0 => Some(Wish::Open),
        (true, _) if may_close => Some(Wish::Close),
        _ => None,
    }
}

/// The voltage behind the transformer: to ground, or between phases for a capacitor in delta.
fn watched_volt(solver: &Solver, of: &CapacitorControl, delta: bool) -> Option<f64> {
    let nodes = solver.network().elements[of.element].terminal(of.terminal);
    let at = |node: Option<usize>| node.map_or(Complex::ZERO, |node| solver.voltage(node));
    let mut seen = at(*nodes.get(of.pt_phase)?);
    if delta {
        seen -= at(nodes[(of.pt_phase + 1) % nodes.len()]);
    }
    Some(seen.abs() / of.pt_ratio)
}

/// Reactive power of all conductors into the element.
fn watched_kvar(solver: &Solver, of: &CapacitorControl) -> Option<f64> {
    let element = &solver.network().elements[of.element];
    let first = of.terminal * element.conductors();
    let currents = solver.currents(of.element)?;
    let power = |(node, current): (&Option<usize>, &Complex)| {
        node.map_or(0.0, |node| (solver.voltage(node) * current.conj()).im)
    };
    let var: f64 = element.terminal(of.terminal).iter().zip(&currents[first..]).map(power).sum();
    Some(var / 1000.0)
}

/// Rounds to the nearest integer, halves to the even one.
fn round_even(x: f64) -> f64 {
    x.round_ties_even()
}
