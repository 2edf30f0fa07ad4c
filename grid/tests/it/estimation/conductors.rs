//! Three-phase folders as they are estimated, conductor by conductor: every set against its stored
//! optimum, and against the truth in the table of `docs/physics.md`.
//!
//! Run with `UPDATE_EXPECT=1` to write the table anew. Cases that are not there are not compared.

use std::fmt::Write;
use std::path::Path;

use grid::estimation::Settings;
use grid::three_phase::Estimate;
use grid::three_phase::Network;
use grid::three_phase::measurement::Measurement;

use super::sets::files;
use super::unbalanced::json;
use crate::document;
use crate::places;
use crate::three_phase::truth;

/// The public three-phase folders, each with the bus behind its ungrounded transformer.
const CASES: [(&str, &str); 2] = [("ieee13_unbal", ""), ("ieee37_unbal", "775")];

/// Sets with a stored optimum in each of them.
const SETS: usize = 6;

const HEAD: &str = "\
| case | set | rows | dof | J | rms V % | worst V % | at | worst angle mrad |
|---|---|--:|--:|--:|--:|--:|---|--:|
";

/// How far an estimate may be from the stored optimum, per unit, and behind a floating transformer,
/// where the voltage to ground hangs on the last of the twelve digits of the elements.
const STATE: f64 = 1e-7;
const FLOATING: f64 = 2e-6;

/// Measurements of a folder.
pub(crate) struct Set {
    pub(crate) network: Network,
    pub(crate) measurements: Vec<Measurement>,
    base_va: f64,
}

impl Set {
    /// The set `meas_NAME.csv`.
    #[track_caller]
    pub(crate) fn read(folder: &Path, name: &str) -> Set {
        let network = cases::elements::read_folder(folder).unwrap().network;
        let base_va = json(&folder.join("case.json"))["power_base_va_of_value_pu"].as_f64();
        let path = folder.join(format!("meas_{name}.csv"));
        let (measurements, remarks) = cases::elements::read_measurements(&path, &network).unwrap();
        assert!(remarks.is_empty(), "{remarks:?}");
        Set { network, measurements, base_va: base_va.unwrap() }
    }

    /// Its estimation, every measurement in it.
    #[track_caller]
    pub(crate) fn estimate(&self) -> Estimate {
        let estimate = Estimate::new(&self.network, &self.measurements, self.base_va).unwrap();
        assert!(estimate.unused().is_empty(), "{:?}", estimate.unused());
        estimate
    }
}

/// Estimates the sets of a case: each must be at its optimum. Gives the lines of the table.
fn lines(case: &str, folder: &Path, floating: &str) -> String {
    let mut text = String::new();
    let answers = folder.join("answers");
    let names = files(&answers, "wls_", ".csv");
    assert_eq!(names.len(), SETS, "{case}: {names:?}");
    for name in names {
        let set = Set::read(folder, &name);
        let mut estimate = set.estimate();
        let outcome = estimate.solve(&Settings::default());
        assert!(outcome.is_solved(), "{case} {name}: {outcome:?}");
        let optimum = truth(&answers.join(format!("wls_{name}.csv")), "vm_pu");
        let truth = truth(&answers.join("truth_nodes.csv"), "vm_pu");
        let (mut squares, mut worst, mut angle) = (0.0, (0.0, ""), 0.0_f64);
        for (at, node) in set.network.nodes.iter().enumerate() {
            let v = estimate.voltage(at).unwrap();
            let off = (v - optimum[&node.id]).abs();
            let most = if node.bus == floating { FLOATING } else { STATE };
            assert!(off < most, "{case} {name}, {}: off by {off} pu", node.id);
            let percent = 100.0 * (v.abs() / truth[&node.id].abs() - 1.0).abs();
            squares += percent * percent;
            if percent > worst.0 {
                worst = (percent, &node.id);
            }
            angle = angle.max((v * truth[&node.id].conj()).arg().abs() * 1e3);
        }
        let rms = (squares / set.network.nodes.len() as f64).sqrt();
        let (rows, freedom) =
            (estimate.estimator().rows().len(), estimate.estimator().degrees_of_freedom());
        let objective = estimate.estimator().objective();
        writeln!(
            text,
            "| {case} | {name} | {rows} | {freedom} | {objective:.2} | {rms:.3} | {:.3} | {} | \
             {angle:.2} |",
            worst.0, worst.1
        )
        .unwrap();
    }
    text
}

#[test]
fn estimates_of_conductors_are_the_stored_optima_with_the_documented_errors() {
    let present = CASES.map(|(case, floating)| Some((case, places::case(case)?, floating)));
    let mut table = HEAD.to_owned();
    for (case, folder, floating) in present.iter().flatten() {
        table.push_str(&lines(case, folder, floating));
    }
    let whole = present.iter().all(Option::is_some);
    let written = document::table("unbalanced estimation accuracy", &table, whole);
    for line in table.lines() {
        assert!(written.contains(line), "not in docs/physics.md (UPDATE_EXPECT=1): {line}");
    }
}
