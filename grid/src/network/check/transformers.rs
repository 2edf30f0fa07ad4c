//! Name plates: impossible ones, and such that do not belong to their buses.
//!
//! Equivalents and what converters write where they have no name plate (ratings of 9,900 MVA,
//! negative no-load currents) are told as notes: they are odd, and meant.

use super::Faults;
use super::above_zero;
use super::branch_name;
use super::named;
use crate::network::Network;
use crate::network::Parameters;
use crate::network::Side;
use crate::network::Tap;
use crate::network::ThreeWinding;
use crate::network::Transformer;

/// How far a rated voltage may be from nominal, as a share.
const RATED_KV_OFF_MAX: f64 = 0.3;

/// Short-circuit voltages in percent: 2 of the smallest distribution transformers to 25; with
/// room for equivalents. 4 percent per unit are 0.04.
const VK_PERCENT: (f64, f64) = (0.3, 100.0);

/// The greatest current of a winding in kA: 30 of a large generator's transformer.
pub(crate) const RATED_KA_MAX: f64 = 60.0;

/// Ratings that stand for none: converters write these where they have none.
const UNLIMITED_MVA: [f64; 3] = [9_900.0, 9_999.0, 99_999.0];

/// The smallest rating in MVA: 1 kVA. A transformer of 160 kVA given in GVA is below.
pub(crate) const RATED_MVA_MIN: f64 = 0.001;

/// The greatest iron losses as a share of the rating: 1 percent of the smallest.
const IRON_LOSSES_MAX: f64 = 0.05;

/// The greatest step of a tap changer in percent.
const STEP_PERCENT_MAX: f64 = 20.0;

/// A smaller step in percent is one per unit.
const STEP_PERCENT_MIN: f64 = 0.03;

/// What no solver can live with.
pub(super) fn check_values(network: &Network, found: &mut Faults) {
    for branch in &network.branches {
        if let Parameters::Transformer(sheet) = &branch.parameters {
            check_plate(&branch_name(branch), sheet, found);
        }
    }
    for transformer in &network.three_winding {
        check_star(&three_winding_name(transformer), transformer, found);
    }
}

fn three_winding_name(transformer: &ThreeWinding) -> String {
    named("three-winding transformer", &transformer.id, &transformer.name)
}

fn check_plate(element: &str, sheet: &Transformer, found: &mut Faults) {
    check_rating(element, "", sheet.rated_mva, found);
    check_kv(element, "from", sheet.from_kv, found);
    check_kv(element, "to", sheet.to_kv, found);
    check_short_circuit(element, "", sheet.vk_percent, sheet.vkr_percent, found);
    let numbers = [
        ("pfe_kw", sheet.pfe_kw),
        ("i0_percent", sheet.i0_percent),
        ("shift_deg", sheet.shift_deg),
    ];
    found.finite(element, &numbers);
    if sheet.parallel == 0 {
        let hint = "one unit is 1; out of service is another field";
        found.warn(element, "has no units in parallel; one is taken".to_owned(), hint);
    }
    for tap in &sheet.taps {
        check_tap(element, tap, found);
    }
}

fn check_star(element: &str, transformer: &ThreeWinding, found: &mut Faults) {
    for (k, winding) in transformer.windings.iter().enumerate() {
        let which = format!(" of winding {k}");
        check_rating(element, &which, winding.rated_mva, found);
        check_kv(element, &format!("winding {k}"), winding.rated_kv, found);
    }
    let tests = [" between high and medium", " between medium and low", " between high and low"];
    for (k, test) in tests.into_iter().enumerate() {
        let (vk, vkr) = (transformer.vk_percent[k], transformer.vkr_percent[k]);
        check_short_circuit(element, test, vk, vkr, found);
    }
    let numbers = [("pfe_kw", transformer.pfe_kw), ("i0_percent", transformer.i0_percent)];
    found.finite(element, &numbers);
    if let Some((winding, tap)) = &transformer.tap {
        if *winding > 2 {
            let problem = format!("has its tap changer in winding number {winding} of three");
            found.fatal(element, problem, "windings are numbered 0, 1, 2");
        }
        check_tap(element, tap, found);
    }
}

fn check_rating(element: &str, of: &str, mva: f64, found: &mut Faults) {
    if !above_zero(mva) {
        let hint = "the rated power in MVA is on the name plate";
        found.fatal(element, format!("has a rated power{of} of {mva} MVA"), hint);
    }
}

fn check_kv(element: &str, of: &str, kv: f64, found: &mut Faults) {
    if !above_zero(kv) {
        let hint = "rated voltages in kV are on the name plate";
        found.fatal(element, format!("has a rated voltage ({of}) of {kv} kV"), hint);
    }
}

fn check_short_circuit(element: &str, of: &str, vk: f64, vkr: f64, found: &mut Faults) {
    if !vk.is_finite() || !vkr.is_finite() {
        let problem = format!("has no finite short-circuit voltage{of}: {vk} and {vkr} percent");
        found.fatal(element, problem, "vk and vkr in percent are on the name plate");
    } else if vk == 0.0 {
        let hint = "what has no impedance is no transformer; 4 to 16 percent are usual";
        found.fatal(element, format!("has a short-circuit voltage{of} of zero"), hint);
    } else if vkr.abs() > vk.abs() {
        let problem = format!(
            "has a resistive part of {vkr} percent in a short-circuit voltage{of} of {vk} percent"
        );
        found.fatal(element, problem, "the part cannot be greater than the whole; exchanged?");
    } else if vk < 0.0 || vkr < 0.0 {
        let problem = format!("has a negative short-circuit voltage{of}: {vk}, {vkr} percent");
        found.warn(element, problem, "only equivalents of three windings have one");
    }
}

fn check_tap(element: &str, tap: &Tap, found: &mut Faults) {
    let numbers = [
        ("the tap position", tap.position),
        ("the neutral tap position", tap.neutral),
        ("the step in percent", tap.step_percent),
        ("the step in degrees", tap.step_deg),
    ];
    if !found.finite(element, &numbers) {
        return;
    }
    let (factor, _) = tap.factor();
    if factor < 0.05 {
        let problem = format!("has a tap position of {} that leaves no voltage", tap.position);
        found.fatal(element, problem, "position, neutral and step do not belong together");
    }
    if tap.position < tap.lowest || tap.position > tap.highest {
        let (position, lowest, highest) = (tap.position, tap.lowest, tap.highest);
        let problem = format!("stands at tap {position}, outside of {lowest} to {highest}");
        found.warn(element, problem, "");
    }
    let step = tap.step_percent.abs();
    if step > STEP_PERCENT_MAX {
        found.warn(element, format!("has tap steps of {step} percent"), "1 to 2.5 are usual");
    } else if step > 0.0 && step < STEP_PERCENT_MIN {
        let hint = "1 to 2.5 are usual; this looks like per unit";
        found.warn(element, format!("has tap steps of {step} percent"), hint);
    }
}

/// True for a rating in MVA that stands for none.
pub(super) fn stands_for_none(mva: f64) -> bool {
    UNLIMITED_MVA.iter().any(|unlimited| (mva / unlimited - 1.0).abs() < 1e-3)
}

/// What can be solved and is probably not meant.
pub(super) fn check_looks(network: &Network, found: &mut Faults) {
    let nominal = |bus: usize| network.buses.get(bus).map_or(f64::NAN, |bus| bus.nominal_kv);
    for branch in &network.branches {
        let Parameters::Transformer(sheet) = &branch.parameters else { continue };
        let element = branch_name(branch);
        let (from_kv, to_kv) = (nominal(branch.from.0), nominal(branch.to.0));
        let near = |rated: f64, nominal: f64| (rated / nominal - 1.0).abs() <= RATED_KV_OFF_MAX;
        let turned = near(sheet.from_kv, to_kv) && near(sheet.to_kv, from_kv);
        if turned && !near(sheet.from_kv, from_kv) {
            let problem = format!(
                "is rated {}/{} kV between buses of {from_kv} and {to_kv} kV",
                sheet.from_kv, sheet.to_kv
            );
            found.warn(&element, problem, "its two ends look exchanged");
        } else {
            check_off(&element, Side::From, sheet.from_kv, from_kv, found);
            check_off(&element, Side::To, sheet.to_kv, to_kv, found);
        }
        check_size(&element, sheet, found);
    }
    for transformer in &network.three_winding {
        let element = three_winding_name(transformer);
        for winding in &transformer.windings {
            check_off(&element, Side::From, winding.rated_kv, nominal(winding.bus.0), found);
        }
    }
}

fn check_off(element: &str, side: Side, rated_kv: f64, nominal_kv: f64, found: &mut Faults) {
    if !(rated_kv > 0.0 && nominal_kv > 0.0) {
        return;
    }
    let ratio = rated_kv / nominal_kv;
    if (ratio - 1.0).abs() <= RATED_KV_OFF_MAX {
        return;
    }
    let side = if side == Side::From { "from" } else { "to" };
    let problem = format!("has a {side} winding of {rated_kv} kV at a bus of {nominal_kv} kV");
    let thousand = (300.0..3_000.0).contains(&ratio) || (300.0..3_000.0).contains(&(1.0 / ratio));
    let hint = if thousand {
        "out by 1000: kV, not volts"
    } else {
        "it belongs to another bus, or the bus to another level"
    };
    found.warn(element, problem, hint);
}

fn check_size(element: &str, sheet: &Transformer, found: &mut Faults) {
    let (mva, kv) = (sheet.rated_mva, sheet.from_kv.min(sheet.to_kv));
    if !(mva > 0.0 && kv > 0.0) {
        return;
    }
    let ka = mva / (3.0_f64.sqrt() * kv);
    if stands_for_none(mva) {
        let hint = "its loading says nothing";
        found.note(element, format!("is rated {mva} MVA, which stands for no rating"), hint);
    } else if ka > RATED_KA_MAX {
        let problem = format!("is rated {mva} MVA, which is {ka:.0} kA at its {kv} kV");
        let hint = "kVA taken for MVA, or a rating that stands for none";
        found.warn(element, problem, hint);
    } else if mva < RATED_MVA_MIN {
        let hint = "ratings are in MVA; this looks like GVA";
        found.warn(element, format!("is rated {mva} MVA"), hint);
    } else if sheet.vk_percent > VK_PERCENT.1 {
        let problem = format!("has a short-circuit voltage of {} percent", sheet.vk_percent);
        found.note(element, problem, "4 to 16 percent are usual");
    }
    if sheet.vk_percent > 0.0 && sheet.vk_percent < VK_PERCENT.0 {
        let problem = format!("has a short-circuit voltage of {} percent", sheet.vk_percent);
        found.warn(element, problem, "4 to 16 percent are usual; this looks like per unit");
    }
    if sheet.pfe_kw / 1e3 > IRON_LOSSES_MAX * mva {
        let problem = format!("has iron losses of {} kW at {mva} MVA", sheet.pfe_kw);
        found.warn(element, problem, "iron losses are in kW; this looks like watts");
    }
    if sheet.pfe_kw < 0.0 || sheet.i0_percent < 0.0 {
        let (pfe, i0) = (sheet.pfe_kw, sheet.i0_percent);
        let hint = "a converter's way to write a capacitance; it is taken as an inductance";
        let problem = format!("has a negative no-load test: {pfe} kW, {i0} percent");
        found.note(element, problem, hint);
    } else if sheet.i0_percent > 0.0 && sheet.pfe_kw / 1e3 > sheet.i0_percent / 100.0 * mva * 1.001
    {
        let (pfe, i0) = (sheet.pfe_kw, sheet.i0_percent);
        let problem =
            format!("has iron losses of {pfe} kW, more than its no-load current of {i0} %");
        found.note(element, problem, "the magnetising current is taken as zero");
    }
}
