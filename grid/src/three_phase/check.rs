//! What is wrong with an unbalanced network, all of it at once and by name.
//!
//! The same questions as of a balanced one ([`crate::network::check`]): are the numbers possible
//! (what is not is [`Severity::Fatal`](crate::network::Severity::Fatal)), and do they look like
//! those of a grid, or are they out by 1000. An element here is a matrix, so that less is known of
//! it: impedances are judged by the largest admittance, ratings where there is a data sheet.

use crate::complex::Complex;
use crate::network::Fault;
use crate::network::check::Faults;
use crate::network::check::LOAD_KA_MAX;
use crate::network::check::LOAD_OVER_RATING_MAX;
use crate::network::check::NEGLIGIBLE_PU;
use crate::network::check::RATED_KA_MAX;
use crate::network::check::RATED_MVA_MIN;
use crate::network::check::above_zero;
use crate::three_phase::Element;
use crate::three_phase::Kind;
use crate::three_phase::Load;
use crate::three_phase::Network;
use crate::three_phase::Transformer;
use crate::three_phase::shunt::Capacitor;

/// The power of a phase against which an impedance is judged, in VA.
const BASE_VA: f64 = 1e6;

/// How far a rated voltage may be from the base of its node, as a factor: what lies between the
/// sides of a bank (√3, 2) passes, kilovolts taken for volts do not.
const RATED_OFF_MAX: f64 = 30.0;

/// Taps per unit that are within reach.
const TAP: (f64, f64) = (0.5, 2.0);

/// Everything that is wrong with a network, the worst first, then in the order of its parts.
pub fn check(network: &Network) -> Vec<Fault> {
    let mut found = Faults::default();
    for element in &network.elements {
        check_element(network, element, &mut found);
    }
    for load in &network.loads {
        check_load(network, load, &mut found);
    }
    check_total(network, &mut found);
    if network.islands().iter().all(Option::is_none) {
        found.fatal("network", "has no source: nothing in it is fed".to_owned(), "");
    }
    if !found.0.iter().any(Fault::is_fatal) {
        check_nodes(network, &mut found);
    }
    found.0.sort_by_key(|fault| fault.severity);
    found.0
}

fn check_element(network: &Network, element: &Element, found: &mut Faults) {
    let name = element.name.as_str();
    let sheet_holds = match &element.kind {
        Kind::Transformer(sheet) => check_transformer(network, element, sheet, found),
        Kind::Capacitor(sheet) => check_capacitor(network, element, sheet, found),
        Kind::Fixed | Kind::Switch { .. } | Kind::Source => true,
    };
    let numbers = || element.y.values().iter().chain(&element.drives);
    if sheet_holds && !numbers().all(|y| y.is_finite()) {
        found.fatal(name, "has no finite admittance".to_owned(), "");
    } else if element.kind == Kind::Fixed && element.in_service && element.terminals > 1 {
        check_series(network, element, found);
    }
}

/// Whether a line has an impedance: its largest admittance against that of its nodes' base.
fn check_series(network: &Network, element: &Element, found: &mut Faults) {
    let largest = element.y.values().iter().map(|y| y.abs()).fold(0.0, f64::max);
    if largest == 0.0 {
        let hint = "its ends are not connected; leave it out, or give it its impedance";
        found.warn(&element.name, "has an admittance of zero".to_owned(), hint);
        return;
    }
    let base = element.nodes.iter().flatten().map(|node| network.nodes[*node].base_volt);
    let volt = base.fold(0.0, f64::max);
    let z_pu = BASE_VA / (largest * volt * volt);
    if z_pu < NEGLIGIBLE_PU {
        let problem = format!("has an impedance of {:.1e} ohm, as good as none", 1.0 / largest);
        found.warn(&element.name, problem, "what has no impedance is a closed switch");
    }
}

/// False if a number is one that no transformer can have.
fn check_transformer(
    network: &Network,
    element: &Element,
    sheet: &Transformer,
    found: &mut Faults,
) -> bool {
    let (name, mut possible) = (element.name.as_str(), true);
    for (at, winding) in sheet.windings.iter().enumerate() {
        let side = at + 1;
        for (what, number, unit) in [
            ("a rated voltage", winding.kv, " kV"),
            ("a rating", winding.kva, " kVA"),
            ("a tap", winding.tap, ""),
        ] {
            if !above_zero(number) {
                let problem = format!("has {what} of {number}{unit} at winding {side}");
                found.fatal(name, problem, "it is above zero");
                possible = false;
            }
        }
        if !possible {
            continue;
        }
        let ka = winding.kva / winding.kv / 1e3;
        if ka > RATED_KA_MAX || winding.kva < RATED_MVA_MIN * 1e3 {
            let (kva, kv) = (winding.kva, winding.kv);
            let problem = format!("has a rating of {kva} kVA at {kv} kV at winding {side}");
            found.warn(name, problem, "ratings are in kVA and kV");
        }
        if winding.tap < TAP.0 || winding.tap > TAP.1 {
            let problem = format!("has a tap of {} at winding {side}", winding.tap);
            found.warn(name, problem, "a tap is per unit of the rated voltage, near 1");
        }
        let volt = winding.coil_volt(sheet.phases);
        check_rated(network, name, element.terminal(at), volt, found);
    }
    possible
}

/// False if a number is one that no capacitor can have.
fn check_capacitor(
    network: &Network,
    element: &Element,
    sheet: &Capacitor,
    found: &mut Faults,
) -> bool {
    let name = element.name.as_str();
    if !above_zero(sheet.rated_volt) {
        let problem = format!("has a rated voltage of {} V", sheet.rated_volt);
        found.fatal(name, problem, "it is above zero");
        return false;
    }
    let kvar = sheet.step_var.iter().sum::<f64>() / 1e3;
    let ka = kvar / sheet.phases.max(1) as f64 / sheet.rated_volt;
    if ka.abs() > LOAD_KA_MAX {
        let problem = format!("has {kvar:.0} kvar, which is {ka:.0} kA a phase");
        found.warn(name, problem, "var taken for kvar?");
    }
    check_rated(network, name, element.terminal(0), sheet.rated_volt, found);
    true
}

fn check_load(network: &Network, load: &Load, found: &mut Faults) {
    let name = load.name.as_str();
    if !found.finite(name, &[("active power", load.p_w), ("reactive power", load.q_var)]) {
        return;
    }
    if !above_zero(load.rated_volt) {
        let problem = format!("has a rated voltage of {} V", load.rated_volt);
        found.fatal(name, problem, "it is above zero");
        return;
    }
    if !load.in_service {
        return;
    }
    let kva = load.p_w.hypot(load.q_var) / 1e3;
    let ka = kva / load.legs.len().max(1) as f64 / load.rated_volt;
    if ka > LOAD_KA_MAX {
        let volt = load.rated_volt;
        let problem = format!("has {kva:.0} kVA, which is {ka:.0} kA a phase at its {volt:.0} V");
        found.warn(name, problem, "W taken for kW, or kilovolts for volts");
    }
    if load.p_w < 0.0 {
        let problem = format!("is a load that feeds {} kW into the network", -load.p_w / 1e3);
        found.note(name, problem, "what a load draws is positive; a sign lost?");
    }
    for leg in &load.legs {
        if check_rated(network, name, leg, load.rated_volt, found) {
            break;
        }
    }
}

/// Says if a rated voltage is not of the level of its nodes; true if it said so.
fn check_rated(
    network: &Network,
    name: &str,
    nodes: &[Option<usize>],
    volt: f64,
    found: &mut Faults,
) -> bool {
    let at = nodes.iter().flatten().map(|node| &network.nodes[*node]);
    let Some(node) = at.max_by(|a, b| a.base_volt.total_cmp(&b.base_volt)) else { return false };
    let factor = volt / node.base_volt;
    let off = node.base_volt > 0.0 && !(1.0 / RATED_OFF_MAX..=RATED_OFF_MAX).contains(&factor);
    if off {
        let (id, base) = (&node.id, node.base_volt);
        let problem = format!("has a rated voltage of {volt:.0} V at node {id} of {base:.0} V");
        found.warn(name, problem, "volts taken for kilovolts?");
    }
    off
}

/// All loads against the ratings of all transformers.
fn check_total(network: &Network, found: &mut Faults) {
    let on = network.elements.iter().filter(|element| element.in_service);
    let rating = |element: &Element| match &element.kind {
        Kind::Transformer(sheet) => sheet.windings.first().map(|winding| winding.kva),
        _ => None,
    };
    let rated: f64 = on.filter_map(rating).sum();
    let loads = network.loads.iter().filter(|load| load.in_service);
    let total = loads.map(|load| load.p_w.hypot(load.q_var)).sum::<f64>() / 1e3;
    if rated > 0.0 && total.is_finite() && total > LOAD_OVER_RATING_MAX * rated {
        let problem = format!(
            "has loads of {total:.0} kVA behind transformers of {rated:.0} kVA, all together"
        );
        found.warn("network", problem, "W taken for kW, or kVA given as MVA");
    }
}

/// Live nodes that have no base, and those that have a state and none that can be estimated.
fn check_nodes(network: &Network, found: &mut Faults) {
    let islands = network.islands();
    for (node, _) in network.nodes.iter().zip(&islands).filter(|(_, island)| island.is_some()) {
        if !above_zero(node.base_volt) {
            let hint = "its level is missing among the voltage bases; it is not estimated";
            found.warn(&format!("node {}", node.id), "has no voltage base".to_owned(), hint);
        }
    }
    let Ok(bare) = network.bare() else {
        let hint = "a part of it is tied to nothing";
        found.warn("network", "has no state without load".to_owned(), hint);
        return;
    };
    for node in bare.neutrals(network) {
        let hint = "a neutral as a node has a power flow; on streams its network is not estimated";
        let problem = "has no voltage to ground without load".to_owned();
        found.note(&format!("node {}", network.nodes[node].id), problem, hint);
    }
}

/// A network with every switch closed and without load.
pub(super) struct Bare {
    pub(super) islands: Vec<Option<usize>>,
    pub(super) voltages: Vec<Complex>,
}

/// The share of its base below which the voltage of a node without load is none.
const NEUTRAL: f64 = 0.1;

impl Bare {
    /// Live nodes with a base that have no voltage to ground, ascending.
    pub(super) fn neutrals(&self, network: &Network) -> Vec<usize> {
        let is = |&node: &usize| {
            let base = network.nodes[node].base_volt;
            self.islands[node].is_some() && self.voltages[node].abs() < NEUTRAL * base
        };
        (0..network.nodes.len()).filter(is).collect()
    }
}
