//! Lines that do not look like lines: units taken for others, a transformer that is missing.
//!
//! The surge impedance `√(x/b)` and the ratio `r/x` do not depend on a line's length, and the drop
//! at its rating hardly does: what is wrong by 1000 in one of the numbers shows in one of them.

use super::Faults;
use super::branch_name;
use super::bus_id;
use super::transformers::stands_for_none;
use crate::network::Branch;
use crate::network::BranchClass;
use crate::network::Line;
use crate::network::Network;
use crate::network::Parameters;
use crate::per_unit::base_ohm;

/// Surge impedances in ohm: 15 of a thick low-voltage cable to 400 of an overhead line, with room
/// for equivalents. A factor of 1000 in x or b is one of 32 here.
const SURGE_OHM: (f64, f64) = (3.0, 8_000.0);

/// Ratios r/x: 0.03 of a 400 kV line to 20 of a house connection.
const R_OVER_X: (f64, f64) = (0.001, 100.0);

/// The greatest voltage drop at rated current, as a share of nominal.
const DROP_MAX: f64 = 10.0;

/// No line or cable carries that many kA; a cable of 145 A does if that is taken for kA.
const RATED_KA_MAX: f64 = 100.0;

/// No line carries so little; 0.3 kA given in megaampere do.
const RATED_KA_MIN: f64 = 0.001;

/// Nominal voltages that differ by less than this share are two names of one level.
const SAME_LEVEL: f64 = 0.05;

pub(super) fn check(network: &Network, found: &mut Faults) {
    for branch in network.branches.iter().filter(|branch| branch.class == BranchClass::Line) {
        let kv = |bus: usize| network.buses.get(bus).map_or(f64::NAN, |bus| bus.nominal_kv);
        let (from_kv, to_kv) = (kv(branch.from.0), kv(branch.to.0));
        if !(from_kv > 0.0 && to_kv > 0.0) {
            continue;
        }
        let element = branch_name(branch);
        if (from_kv / to_kv).max(to_kv / from_kv) > 1.0 + SAME_LEVEL {
            let problem = format!(
                "connects {from_kv} kV at bus {} with {to_kv} kV at bus {}",
                bus_id(network, branch.from.0),
                bus_id(network, branch.to.0),
            );
            let hint = "a transformer is missing, or a bus has the wrong nominal voltage";
            found.warn(&element, problem, hint);
        }
        if let Some(line) = in_ohm(branch, network.base_mva, to_kv) {
            check_line(&element, &line, to_kv, found);
        }
    }
}

/// A line in ohm and siemens, also where it is given per unit.
fn in_ohm(branch: &Branch, base_mva: f64, to_kv: f64) -> Option<Line> {
    match &branch.parameters {
        Parameters::Line(line) => Some(*line),
        Parameters::Impedance(impedance) => {
            let z = base_ohm(base_mva, to_kv);
            Some(Line {
                r_ohm: impedance.r_pu * z,
                x_ohm: impedance.x_pu * z,
                g_siemens: impedance.g_pu / z,
                b_siemens: impedance.b_pu / z,
                rated_ka: impedance.rated_ka,
            })
        }
        Parameters::Transformer(_) => None,
    }
}

fn check_line(element: &str, line: &Line, kv: f64, found: &mut Faults) {
    let (r, x, b) = (line.r_ohm, line.x_ohm, line.b_siemens);
    let outside = |value: f64, (low, high): (f64, f64)| value < low || value > high;
    let odd_ratio = r > 0.0 && x > 0.0 && outside(r / x, R_OVER_X);
    if odd_ratio {
        let problem = format!("has {r:.4} ohm of resistance beside {x:.4} ohm of reactance");
        found.warn(element, problem, "one of them looks out by 1000: ohm, not milliohm");
    }
    if x > 0.0 && b > 0.0 && outside((x / b).sqrt(), SURGE_OHM) && !odd_ratio {
        let problem = format!(
            "has a surge impedance of {:.3} ohm (x {x:.4} ohm, b {:.4} µS)",
            (x / b).sqrt(),
            b * 1e6
        );
        let hint = "lines have 15 to 400 ohm: a capacitance in nF taken for µF, or metres for km?";
        found.warn(element, problem, hint);
    }
    if b < 0.0 {
        let hint = "a capacitance to ground is positive; reactors are shunts";
        found.warn(element, format!("has a negative susceptance of {b:.3e} S"), hint);
    }
    let limit = line.rated_ka.filter(|ka| !stands_for_none(3.0_f64.sqrt() * kv * ka));
    let Some(ka) = limit else { return };
    if ka > RATED_KA_MAX {
        let hint = "ratings are in kA; this looks like ampere";
        found.warn(element, format!("has a rating of {ka} kA"), hint);
        return;
    }
    if ka > 0.0 && ka < RATED_KA_MIN {
        let hint = "ratings are in kA; this looks like megaampere";
        found.warn(element, format!("has a rating of {ka} kA"), hint);
        return;
    }
    let drop = 3.0_f64.sqrt() * r.hypot(x) * ka / kv;
    if drop > DROP_MAX && !odd_ratio {
        let problem = format!("would drop {drop:.0} times its nominal voltage at its rating");
        let hint = "an impedance or a length looks out by 1000: km, not m";
        found.warn(element, problem, hint);
    }
}
