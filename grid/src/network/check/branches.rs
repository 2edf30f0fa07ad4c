//! Numbers of lines and impedances that are impossible.

use super::Faults;
use super::above_zero;
use super::branch_name;
use super::bus_id;
use crate::network::Impedance;
use crate::network::Line;
use crate::network::Network;
use crate::network::Parameters;
use crate::per_unit::base_ohm;

/// An impedance below this, per unit, is as good as none: it costs more digits than a double has
/// to spare beside impedances of one.
pub(crate) const NEGLIGIBLE_PU: f64 = 1e-9;

const MERGE: &str = "what has no impedance is a closed switch between its buses";

pub(super) fn check(network: &Network, found: &mut Faults) {
    for branch in &network.branches {
        let element = branch_name(branch);
        if branch.from == branch.to {
            let problem = format!("begins and ends at bus {}", bus_id(network, branch.to.0));
            found.warn(&element, problem, "it carries nothing but its own losses");
        }
        let to_kv = network.buses.get(branch.to.0).map_or(f64::NAN, |bus| bus.nominal_kv);
        match &branch.parameters {
            Parameters::Line(line) => {
                check_line(&element, line, base_ohm(network.base_mva, to_kv), found);
            }
            Parameters::Impedance(impedance) => check_impedance(&element, impedance, found),
            // With transformers.
            Parameters::Transformer(_) => {}
        }
    }
}

fn check_line(element: &str, line: &Line, base_ohm: f64, found: &mut Faults) {
    let numbers = [
        ("r_ohm", line.r_ohm),
        ("x_ohm", line.x_ohm),
        ("g_siemens", line.g_siemens),
        ("b_siemens", line.b_siemens),
    ];
    if !found.finite(element, &numbers) {
        return;
    }
    let z = line.r_ohm.hypot(line.x_ohm);
    check_series(element, z, z / base_ohm, "ohm", found);
    check_signs(element, line.r_ohm, line.g_siemens, found);
    check_rating(element, line.rated_ka, found);
}

fn check_impedance(element: &str, impedance: &Impedance, found: &mut Faults) {
    let numbers = [
        ("r_pu", impedance.r_pu),
        ("x_pu", impedance.x_pu),
        ("g_pu", impedance.g_pu),
        ("b_pu", impedance.b_pu),
        ("tap_ratio", impedance.tap_ratio),
        ("shift_deg", impedance.shift_deg),
        ("g_from_pu", impedance.from_pu.0),
        ("b_from_pu", impedance.from_pu.1),
        ("g_to_pu", impedance.to_pu.0),
        ("b_to_pu", impedance.to_pu.1),
    ];
    if !found.finite(element, &numbers) {
        return;
    }
    let z = impedance.r_pu.hypot(impedance.x_pu);
    check_series(element, z, z, "pu", found);
    check_signs(element, impedance.r_pu, impedance.g_pu, found);
    check_rating(element, impedance.rated_ka, found);
    let ratio = impedance.tap_ratio;
    if ratio <= 0.0 {
        let hint = "a branch without a transformer has a ratio of 1";
        found.fatal(element, format!("has a ratio of {ratio}"), hint);
    } else if !(0.5..=2.0).contains(&ratio) {
        let hint = "the ratio is in per unit of the nominal voltages, near 1";
        found.warn(element, format!("has a ratio of {ratio}"), hint);
    }
}

fn check_series(element: &str, z: f64, z_pu: f64, unit: &str, found: &mut Faults) {
    if z == 0.0 {
        found.fatal(element, "has no impedance".to_owned(), MERGE);
    } else if z_pu > 0.0 && z_pu < NEGLIGIBLE_PU {
        let problem = format!("has an impedance of {z:.1e} {unit}, as good as none");
        found.warn(element, problem, MERGE);
    }
}

fn check_signs(element: &str, r: f64, g: f64, found: &mut Faults) {
    if r < 0.0 {
        let hint = "only equivalents have one; a line has not";
        found.note(element, format!("has a negative resistance of {r}"), hint);
    }
    if g < 0.0 {
        found.warn(element, format!("has a negative conductance to ground of {g}"), "");
    }
}

fn check_rating(element: &str, rated_ka: Option<f64>, found: &mut Faults) {
    let Some(ka) = rated_ka else { return };
    if !above_zero(ka) {
        let hint = "a branch without a limit has no rating at all";
        found.warn(element, format!("has a rating of {ka} kA"), hint);
    }
}
