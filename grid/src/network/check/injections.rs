//! Loads, machines, sources, shunts: numbers, and whether they look like what they are called.

use super::Faults;
use super::above_zero;
use super::injection_name;
use super::named;
use crate::network::Control;
use crate::network::Injection;
use crate::network::InjectionClass;
use crate::network::Network;
use crate::network::Parameters;

/// Set points of voltage per unit that are within reach.
const SET_PU: (f64, f64) = (0.7, 1.3);

/// The greatest current of a consumer or small plant in kA: a megawatt at 0.4 kV has 1.4.
pub(crate) const LOAD_KA_MAX: f64 = 5.0;

/// The greatest current of a machine in kA: 30 of the largest generators.
const MACHINE_KA_MAX: f64 = 60.0;

/// How many times the ratings of all transformers together all loads together may be.
pub(crate) const LOAD_OVER_RATING_MAX: f64 = 20.0;

/// What no solver can live with.
pub(super) fn check_values(network: &Network, found: &mut Faults) {
    for injection in &network.injections {
        let element = injection_name(injection);
        found.finite(&element, &[("p_mw", injection.p_mw), ("q_mvar", injection.q_mvar)]);
        check_control(&element, injection, found);
        let zip = injection.zip;
        for (power, z, i) in [
            ("active", zip.p_impedance, zip.p_current),
            ("reactive", zip.q_impedance, zip.q_current),
        ] {
            if !z.is_finite() || !i.is_finite() {
                found.fatal(&element, format!("has no finite shares of {power} power"), "");
            } else if z < 0.0 || i < 0.0 || z + i > 1.0 + 1e-9 {
                let problem = format!(
                    "has shares of {z} constant impedance and {i} constant current of its {power} \
                     power"
                );
                found.warn(&element, problem, "shares are between 0 and 1 and leave the rest");
            }
        }
        if let Some((least, greatest)) = injection.q_limits_mvar {
            if least.is_nan() || greatest.is_nan() {
                found.fatal(&element, "has no number for a limit of reactive power".to_owned(), "");
            } else if least > greatest {
                let problem = format!("is limited to {least} to {greatest} Mvar");
                found.fatal(&element, problem, "the least is the greater one; exchange them");
            }
        }
    }
    for shunt in &network.shunts {
        let element = named("shunt", &shunt.id, &shunt.name);
        let numbers = [("p_mw_at_1pu", shunt.p_mw_at_1pu), ("q_mvar_at_1pu", shunt.q_mvar_at_1pu)];
        found.finite(&element, &numbers);
    }
}

fn check_control(element: &str, injection: &Injection, found: &mut Faults) {
    let vm_pu = match injection.control {
        Control::Power => return,
        Control::Voltage { vm_pu } => vm_pu,
        Control::Slack { vm_pu, va_deg, impedance_pu } => {
            found.finite(element, &[("va_deg", va_deg)]);
            if let Some((r, x)) = impedance_pu {
                if !r.is_finite() || !x.is_finite() {
                    found.fatal(element, format!("has an impedance of {r} + j{x} pu"), "");
                } else if r == 0.0 && x == 0.0 {
                    let hint = "a stiff source has no impedance at all, not one of zero";
                    found.fatal(element, "is behind an impedance of zero".to_owned(), hint);
                }
            }
            vm_pu
        }
    };
    if !above_zero(vm_pu) {
        let hint = "it holds a voltage per unit, near 1";
        found.fatal(element, format!("holds a voltage of {vm_pu} pu"), hint);
    } else if vm_pu < SET_PU.0 || vm_pu > SET_PU.1 {
        let hint = "it holds a voltage per unit, near 1; this looks like kV or volts";
        found.warn(element, format!("holds a voltage of {vm_pu} pu"), hint);
    }
}

/// What can be solved and is probably not meant.
pub(super) fn check_looks(network: &Network, found: &mut Faults) {
    let current_ka = |bus: usize, p: f64, q: f64| {
        let kv = network.buses.get(bus).map_or(f64::NAN, |bus| bus.nominal_kv);
        p.hypot(q) / (3.0_f64.sqrt() * kv)
    };
    for injection in network.injections.iter().filter(|injection| injection.in_service) {
        let element = injection_name(injection);
        let (p, q) = (injection.p_mw, injection.q_mvar);
        let large = matches!(injection.class, InjectionClass::Generator | InjectionClass::Source);
        let limit = if large { MACHINE_KA_MAX } else { LOAD_KA_MAX };
        let ka = current_ka(injection.bus.0, p, q);
        if ka > limit && ka.is_finite() {
            let problem = format!(
                "has {:.4} MVA, which is {ka:.0} kA at its {} kV",
                p.hypot(q),
                network.buses[injection.bus.0].nominal_kv
            );
            found.warn(&element, problem, "kW taken for MW, or volts for kilovolts");
        }
        if injection.class == InjectionClass::Load && p > 0.0 {
            let hint = "an injection is positive, a load's is negative; a sign lost?";
            found.note(&element, format!("is a load that feeds {p} MW into the network"), hint);
        }
    }
    for shunt in network.shunts.iter().filter(|shunt| shunt.in_service) {
        let ka = current_ka(shunt.bus, shunt.p_mw_at_1pu, shunt.q_mvar_at_1pu);
        if ka > LOAD_KA_MAX && ka.is_finite() {
            let element = named("shunt", &shunt.id, &shunt.name);
            let (p, q) = (shunt.p_mw_at_1pu, shunt.q_mvar_at_1pu);
            let problem = format!("has {:.4} MVA, which is {ka:.0} kA at its bus", p.hypot(q));
            found.warn(&element, problem, "kvar taken for Mvar?");
        }
    }
    check_total(network, found);
}

/// All loads against the ratings of all transformers.
fn check_total(network: &Network, found: &mut Faults) {
    let plates = network.branches.iter().filter(|branch| branch.in_service);
    let two: f64 = plates
        .filter_map(|branch| match &branch.parameters {
            Parameters::Transformer(sheet) => {
                Some(sheet.rated_mva * f64::from(sheet.parallel.max(1)))
            }
            _ => None,
        })
        .sum();
    let three: f64 = network
        .three_winding
        .iter()
        .filter(|t| t.in_service)
        .map(|t| t.windings[0].rated_mva)
        .sum();
    let rated = two + three;
    let load =
        |injection: &&Injection| injection.in_service && injection.class == InjectionClass::Load;
    let loads = network.injections.iter().filter(load);
    let total: f64 = loads.map(|load| load.p_mw.hypot(load.q_mvar)).sum();
    if rated > 0.0 && total.is_finite() && total > LOAD_OVER_RATING_MAX * rated {
        let problem = format!(
            "has loads of {total:.3} MVA behind transformers of {rated:.3} MVA, all together"
        );
        found.warn("network", problem, "kW taken for MW, or MVA given as GVA");
    }
}
