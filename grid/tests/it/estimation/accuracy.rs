//! How far the estimates of the balanced cases are from the truth: the table in `docs/physics.md`.
//!
//! Run with `UPDATE_EXPECT=1` to write the table anew. Sets that are not there are not compared.

use std::fmt::Write;

use cases::folder::answers;
use grid::estimation::Settings;

use super::sets::Set;
use super::sets::sets;
use crate::document;
use crate::places;
use crate::places::CASES;

const HEAD: &str = "\
| case | scenario | set | rows | dof | J | rms V % | worst V % | at | worst angle mrad |
|---|---|---|--:|--:|--:|--:|--:|---|--:|
";
/// The rms error of magnitudes in percent that all sets but [`ABOVE`] stay below.
const TARGET: f64 = 0.5;
/// The sets whose optimum itself is above the target.
const ABOVE: usize = 2;

/// A set's errors against the truth.
struct Errors {
    rms_percent: f64,
    worst_percent: f64,
    worst_bus: String,
    angle_mrad: f64,
}

/// A line of the table.
fn line(set: &Set) -> (String, f64) {
    let mut estimator = set.estimator();
    let outcome = estimator.solve(&Settings::default());
    assert!(outcome.is_solved(), "{}: {outcome:?}", set.title());
    let truth = answers::truth_buses(&set.answers.join("truth_bus.csv"), &set.network).unwrap();
    let mut seen = Vec::new();
    let mut errors =
        Errors { rms_percent: 0.0, worst_percent: 0.0, worst_bus: String::new(), angle_mrad: 0.0 };
    // Nodes, not buses: a busbar of ten sections counts once.
    for bus in truth.iter().filter(|bus| bus.energised) {
        let node = estimator.node(bus.bus).unwrap();
        if seen.contains(&node) {
            continue;
        }
        seen.push(node);
        let v = estimator.voltage(bus.bus).unwrap();
        let percent = 100.0 * (v.abs() / bus.vm_pu - 1.0).abs();
        errors.rms_percent += percent * percent;
        if percent > errors.worst_percent {
            errors.worst_percent = percent;
            errors.worst_bus.clone_from(&set.network.buses[bus.bus].id);
        }
        let turned = grid::Complex::from_polar(1.0, -bus.va_deg.to_radians());
        errors.angle_mrad = errors.angle_mrad.max((v * turned).arg().abs() * 1e3);
    }
    errors.rms_percent = (errors.rms_percent / seen.len() as f64).sqrt();
    let mut text = String::new();
    writeln!(
        text,
        "| {} | {} | {} | {} | {} | {:.2} | {:.3} | {:.3} | {} | {:.2} |",
        set.case,
        set.scenario,
        set.name,
        estimator.rows().len(),
        estimator.degrees_of_freedom(),
        estimator.objective(),
        errors.rms_percent,
        errors.worst_percent,
        errors.worst_bus,
        errors.angle_mrad
    )
    .unwrap();
    (text, errors.rms_percent)
}

#[test]
fn table_of_errors_is_as_documented() {
    let present: Vec<&str> =
        CASES.into_iter().filter(|case| places::case(case).is_some()).collect();
    let mut table = HEAD.to_owned();
    let (mut above, mut count) = (0, 0);
    for case in &present {
        for set in sets(case, "wls_", ".csv") {
            let (text, rms) = line(&set);
            table.push_str(&text);
            above += usize::from(rms >= TARGET);
            count += 1;
        }
    }
    assert!(above <= ABOVE, "{above} of {count} sets have an rms error of {TARGET} % or more");
    let whole = present.len() == CASES.len();
    let written = document::table("estimation accuracy", &table, whole);
    let of_present = |line: &&str| {
        let case = line.trim_start_matches("| ").split(' ').next().unwrap_or_default();
        !CASES.contains(&case) || present.contains(&case)
    };
    let written: String =
        written.lines().filter(of_present).flat_map(|line| [line, "\n"]).collect();
    assert_eq!(written, table, "run with UPDATE_EXPECT=1 to write docs/physics.md anew");
}
