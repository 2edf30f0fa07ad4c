//! Voltage bases: the nearest of the given voltages to what a bus has without load.
//!
//! As OpenDSS's `calcvoltagebases`: loads, capacitors and line charging are left out, and a bus has
//! the base that is nearest to the voltage of its first node, as a ratio.

use std::collections::BTreeMap;

use grid::Complex;
use grid::network::Severity;
use grid::three_phase::Matrix;
use grid::three_phase::Settings;
use grid::three_phase::Solver;

use crate::Remark;
use crate::UnbalancedImport;

/// Sets the base of every node, from line-to-line voltages in kV.
pub(crate) fn set(import: &mut UnbalancedImport, bases_kv: &[f64]) {
    let mut bare = import.network.clone();
    bare.loads.clear();
    bare.controls.clear();
    for element in &mut bare.elements {
        for row in 0..element.shunt.order() {
            for column in 0..element.shunt.order() {
                let shunt = element.shunt.get(row, column);
                element.y.add(row, column, -shunt);
            }
        }
        element.shunt = Matrix::default();
    }
    let mut solver = Solver::new(bare, Settings::default());
    let outcome = solver.solve();
    let mut say = |problem: String| {
        import.remarks.push(Remark {
            severity: Severity::Warning,
            place: "voltage bases".to_owned(),
            element: String::new(),
            problem,
        });
    };
    if !outcome.is_solved() {
        say(format!("the network without load is not solved, {outcome:?}; nodes have no base"));
        return;
    }
    if bases_kv.is_empty() {
        say("set voltagebases is missing; bases are voltages without load".to_owned());
    }
    let mut of_bus: BTreeMap<String, f64> = BTreeMap::new();
    for at in 0..import.network.nodes.len() {
        let bus = &import.network.nodes[at].bus;
        let seen = solver.voltage(at);
        if seen == Complex::ZERO || of_bus.contains_key(bus) {
            continue;
        }
        of_bus.insert(bus.clone(), base_volt(seen.abs(), bases_kv));
    }
    for node in &mut import.network.nodes {
        node.base_volt = of_bus.get(&node.bus).copied().unwrap_or(0.0);
    }
}

/// The base nearest to a voltage to ground, line to ground in volts.
fn base_volt(volt: f64, bases_kv: &[f64]) -> f64 {
    let root = 3.0_f64.sqrt();
    let kv = volt * root / 1000.0;
    let off = |base: &f64| (1.0 - kv / base).abs();
    let nearest = bases_kv.iter().copied().min_by(|a, b| off(a).total_cmp(&off(b)));
    nearest.map_or(volt, |base| base * 1000.0 / root)
}
