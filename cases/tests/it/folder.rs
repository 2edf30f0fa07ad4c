//! The case folder against its own solutions.
//!
//! Currents must balance at the stored voltages, Newton's method must find them, and flows must be
//! the stored ones, in every scenario; faults of files are told with line and column.

use std::path::Path;

use cases::Error;
use cases::Import;
use cases::folder;
use cases::folder::answers;
use grid::Complex;
use grid::Model;
use grid::Topology;
use grid::model::SourceImpedance;
use grid::network::Side;

use crate::kirchhoff;
use crate::kirchhoff::Solution;
use crate::places;

/// Asserts that an import reproduces the solution of every scenario of a case folder.
///
/// Truth files have twelve digits of voltage and nine of power. `within` is the mismatch allowed,
/// per unit; flows may be off by that and the truth's own rounding.
#[track_caller]
pub(crate) fn check_truth(folder: &Path, import: &Import, within: f64) {
    let network = &import.network;
    for scenario in places::scenarios(folder) {
        let at = folder.join(&scenario);
        let name = at.display();
        let positions = folder::switch_positions(&at.join("switch_status.csv"), network).unwrap();
        assert!(positions.remarks.is_empty(), "{name}: {:?}", positions.remarks);
        let model = Model::new(network, SourceImpedance::Omitted).unwrap();
        let topology = Topology::with_positions(&model, &positions.closed);
        let truth = answers::truth_buses(&at.join("answers/truth_bus.csv"), network).unwrap();
        assert_eq!(truth.len(), network.buses.len(), "{name}");
        let mut voltages = vec![Complex::ZERO; truth.len()];
        for bus in &truth {
            voltages[bus.bus] = Complex::from_polar(bus.vm_pu, bus.va_deg.to_radians());
            let live = topology.energised(topology.node(bus.bus));
            assert_eq!(live, bus.energised, "{name}: {}", network.buses[bus.bus].id);
        }
        let path = at.join("answers/truth_injection.csv");
        let mut powers = vec![None; network.injections.len()];
        for injection in answers::truth_injections(&path, network).unwrap() {
            let s = Complex::new(injection.p_mw, injection.q_mvar).scale(1.0 / model.base_mva);
            powers[injection.injection] = Some(s);
        }
        let solution = Solution { voltages, powers };
        let worst = kirchhoff::worst_mismatch(&model, &topology, &solution);
        let id = &network.buses[worst.bus].id;
        assert!(worst.left < within + worst.rounding, "{name}: {worst:?} at {id}");
        let known = &solution.voltages;
        kirchhoff::check_power_flow(&model, &positions.closed, known, within);
        check_flows(&at, import, &model, &topology, &solution, within);
    }
}

#[track_caller]
fn check_flows(
    at: &Path,
    import: &Import,
    model: &Model,
    topology: &Topology,
    solution: &Solution,
    within: f64,
) {
    let network = &import.network;
    let flows = kirchhoff::flows(model, topology, &solution.voltages);
    let path = at.join("answers/truth_branch.csv");
    let truth = answers::truth_branches(&path, network).unwrap();
    assert_eq!(truth.len(), network.branches.len(), "{}", at.display());
    for branch in truth {
        let pairs = [
            (Side::From, Complex::new(branch.p_from_mw, branch.q_from_mvar)),
            (Side::To, Complex::new(branch.p_to_mw, branch.q_to_mvar)),
        ];
        for (side, mva) in pairs {
            let truth = mva.scale(1.0 / model.base_mva);
            let off = (kirchhoff::at(&flows, branch.branch, side) - truth).abs();
            let id = &network.branches[branch.branch].id;
            let y = model.branches[branch.branch].y.iter().map(|y| y.abs()).sum::<f64>();
            let allowed = within + 1e-11 * y + 2e-9 * truth.abs();
            assert!(off < allowed, "{} {id} {side:?}: {off:.2e} pu", at.display());
        }
    }
}

#[track_caller]
fn check(case: &str) {
    let Some(folder) = places::case(case) else { return };
    let import = folder::read(&folder).unwrap();
    assert!(import.remarks.is_empty(), "{:?}", import.remarks);
    check_truth(&folder, &import, 1e-8);
}

#[test]
fn ieee14_agrees_with_its_solutions() {
    check("ieee14");
}

#[test]
fn ieee57_agrees_with_its_solutions() {
    check("ieee57");
}

#[test]
fn case33bw_agrees_with_its_solutions() {
    check("case33bw");
}

#[test]
fn cigre_mv_agrees_with_its_solutions() {
    check("cigre_mv");
}

#[test]
fn simbench_lv_rural1_agrees_with_its_solutions() {
    check("simbench_lv_rural1");
}

#[test]
fn simbench_mv_rural_agrees_with_its_solutions() {
    check("simbench_mv_rural");
}

/// Every set of measurements of a case, with the columns per unit and without.
#[track_caller]
fn check_measurements(case: &str) {
    let Some(folder) = places::case(case) else { return };
    let import = folder::read(&folder).unwrap();
    let temporary = tempfile::tempdir().unwrap();
    for scenario in places::scenarios(&folder) {
        for entry in std::fs::read_dir(folder.join(&scenario)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if !name.starts_with("meas_") {
                continue;
            }
            let readings = folder::measurements(&path, &import.network).unwrap();
            assert!(readings.remarks.is_empty(), "{name}: {:?}", readings.remarks);
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(readings.measurements.len() + 1, text.lines().count(), "{name}");
            let si = temporary.path().join(name);
            std::fs::write(&si, without_last_columns(&text, 2)).unwrap();
            let converted = folder::measurements(&si, &import.network).unwrap();
            assert!(converted.remarks.is_empty(), "{name}: {:?}", converted.remarks);
            for (pu, si) in readings.measurements.iter().zip(&converted.measurements) {
                assert_eq!((&pu.id, pu.target, pu.quantity), (&si.id, si.target, si.quantity));
                // Files have eight digits of a value and two of a sigma.
                assert!(
                    (pu.value - si.value).abs() < 2e-8 + 1e-7 * pu.value.abs(),
                    "{pu:?} {si:?}"
                );
                assert!((pu.sigma / si.sigma - 1.0).abs() < 0.06, "{pu:?} {si:?}");
            }
        }
    }
}

fn without_last_columns(text: &str, columns: usize) -> String {
    let cut = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        cells[..cells.len() - columns].join(",")
    };
    text.lines().map(cut).collect::<Vec<String>>().join("\n")
}

#[test]
fn measurements_per_unit_and_in_si_are_the_same_on_ieee14() {
    check_measurements("ieee14");
}

#[test]
fn measurements_per_unit_and_in_si_are_the_same_on_cigre_mv() {
    check_measurements("cigre_mv");
}

#[test]
fn measurements_per_unit_and_in_si_are_the_same_on_simbench_mv_rural() {
    check_measurements("simbench_mv_rural");
}

/// What is wrong with a copy of ieee14 in which one file is another.
#[track_caller]
fn remarks_with(file: &str, change: impl Fn(&str) -> String) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for name in ["case.json", "buses.csv", "branches.csv", "switches.csv", "injections.csv"] {
        std::fs::copy(places::ours("ieee14").join(name), folder.path().join(name)).unwrap();
    }
    let path = folder.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = change(&text);
    assert_ne!(text, changed, "the change changes nothing");
    std::fs::write(&path, changed).unwrap();
    let import = folder::read(folder.path()).unwrap();
    import.remarks.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn check_remarks(file: &str, change: impl Fn(&str) -> String, expected: &[&str]) {
    let remarks = remarks_with(file, change);
    for line in expected {
        assert!(remarks.iter().any(|remark| remark == line), "{line}\nis not in {remarks:#?}");
    }
}

#[test]
fn all_faults_of_a_file_are_told_with_line_and_column() {
    let change = |text: &str| {
        text.replace("L0,line,B0,B1,0.01938", "L0,line,B0,B1,ohm")
            .replace("L1,line,B0,B4", "L1,line,B0,B99")
            .replace("L2,line", "L3,line")
    };
    let expected = [
        "branches.csv:2, column r_pu, L0: \"ohm\" is not a number",
        "branches.csv:3, column to_bus, L1: there is no bus \"B99\"",
        "branches.csv:5, column branch_id, L3: L3 stands here a second time; this row is left out",
    ];
    check_remarks("branches.csv", change, &expected);
}

#[test]
fn a_column_that_is_missing_is_named() {
    let change = |text: &str| text.replace("vn_kv", "voltage");
    let expected = "buses.csv:1: has no column vn_kv; it names bus_id, name, voltage, in_service";
    check_remarks("buses.csv", change, &[expected]);
}

#[test]
fn a_switch_at_the_wrong_bus_is_named() {
    let change = |text: &str| text.replace("S0,branch_end,CB,B0,", "S0,branch_end,CB,B7,");
    let expected =
        "switches.csv:2, column bus_a, S0: is at bus B7, and the from end of branch L0 is at B0";
    check_remarks("switches.csv", change, &[expected]);
}

#[test]
fn a_control_without_its_set_point_is_named() {
    let change = |text: &str| text.replace(",1.045,", ",,");
    let expected = "injections.csv:13, column vm_set_pu, G0: is empty; a number is needed";
    check_remarks("injections.csv", change, &[expected]);
}

#[test]
fn lines_are_counted_past_blank_ones_and_comments() {
    let change = |text: &str| {
        let text = text.replace("\r\n", "\n").replace("B1,2", "\n# the second\n\nB1,2");
        text.replace("B2,3,135.0", "B2,3,").replace("B5,6,0.208", "B5,6,x")
    };
    let expected = [
        "buses.csv:7, column vn_kv, B2: is empty; a number is needed",
        "buses.csv:10, column vn_kv, B5: \"x\" is not a number",
        "branches.csv:4, column to_bus, L2: bus B2 is left out, so this is too",
        "switches.csv:4, column branch_id, S2: branch L2 is left out, so this is too",
    ];
    check_remarks("buses.csv", change, &expected);
}

#[test]
fn a_file_with_semicolons_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(places::ours("ieee14").join("case.json"), folder.path().join("case.json"))
        .unwrap();
    std::fs::write(folder.path().join("buses.csv"), "bus_id;vn_kv\nB0;20,0\n").unwrap();
    let error = folder::read(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }));
    assert!(error.to_string().contains("write it with commas and decimal points"), "{error}");
}

#[test]
fn the_stream_is_read_in_order_of_arrival() {
    let Some(folder) = places::theirs("simbench_lv_rural1") else { return };
    let network = folder::read(&folder).unwrap().network;
    let events = folder::events(&folder.join("stream/events.csv"), &network).unwrap();
    assert!(events.is_sorted_by_key(|event| event.arrival_ms));
    let switched = |event: &&folder::Event| matches!(event.what, folder::Happens::Switched(..));
    let message = events.iter().find(switched).unwrap();
    // 2026-06-29T10:00:00Z, and the message that came 40 seconds later.
    assert_eq!(message.event_ms, 1_782_727_200_000);
    assert_eq!(message.arrival_ms - message.event_ms, 40_000);
}

#[test]
fn answers_are_read() {
    let folder = places::ours("cigre_mv");
    let network = folder::read(&folder).unwrap().network;
    let base = folder.join("base/answers");
    let summary = answers::summary(&base.join("wls_meters_s1.json")).unwrap();
    assert_eq!((summary.used_rows, summary.dof), (46, 19));
    let bad = answers::bad(&base.join("bad_meters_s1.json")).unwrap();
    assert_eq!(bad.bad_meas_id, "M17");
    let dark = answers::unobservable(&base.join("obs_sparse_unobs_s1.json"), &network).unwrap();
    assert_eq!(dark, [4, 5, 6, 7, 8, 9, 10, 11]);
    let residuals = answers::residuals(&base.join("resid_meters_s1.csv")).unwrap();
    assert_eq!(residuals.len(), summary.used_rows);
    let estimates = answers::estimates(&base.join("wls_meters_s1.csv"), &network).unwrap();
    assert_eq!(estimates.len(), network.buses.len());
}

/// A copy of ieee14 with these files only.
fn with_files(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in files {
        std::fs::copy(places::ours("ieee14").join(name), folder.path().join(name)).unwrap();
    }
    folder
}

#[test]
fn tables_that_are_absent_are_named_with_what_that_means() {
    let folder = with_files(&["case.json", "buses.csv", "branches.csv", "injections.csv"]);
    let import = folder::read(folder.path()).unwrap();
    let said: Vec<String> = import.remarks.iter().map(ToString::to_string).collect();
    let expected = [
        "switches.csv: is absent: there are no switches, and everything that is in service is \
         connected",
        "shunts.csv: is absent: there are no shunts",
    ];
    assert_eq!(said, expected);
    assert!(import.is_whole() && import.remarks.iter().all(cases::Remark::is_warning));
}

#[test]
fn columns_that_are_absent_are_named_with_what_is_taken() {
    let change = |text: &str| text.replace(",b_pu,", ",b,").replace(",tap_ratio,", ",ratio,");
    let expected = "branches.csv: has no column for, and so takes: b_pu (0), tap_ratio (1)";
    check_remarks("branches.csv", change, &[expected]);
    let change = |text: &str| text.replace("\"f_hz\"", "\"hertz\"");
    check_remarks("case.json", change, &["case.json: has no f_hz: 50 Hz is taken"]);
}

#[test]
fn a_measurement_and_a_position_that_stand_twice_are_named() {
    let folder = places::ours("ieee14");
    let network = folder::read(&folder).unwrap().network;
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("twice.csv");
    let twice = |from: &str| {
        let text = std::fs::read_to_string(folder.join(from)).unwrap();
        let second = text.lines().nth(1).unwrap().to_owned();
        std::fs::write(&path, format!("{}\n{second}\n", text.trim_end())).unwrap();
        text.lines().count()
    };
    let lines = twice("base/meas_scada_s1.csv");
    let readings = folder::measurements(&path, &network).unwrap();
    let expected = format!(
        "twice.csv:{}, column meas_id, M0: M0 stands here a second time; this row is left out",
        lines + 1
    );
    assert_eq!(readings.remarks[0].to_string(), expected);
    assert_eq!(readings.measurements.len(), lines - 1);
    let lines = twice("base/switch_status.csv");
    let positions = folder::switch_positions(&path, &network).unwrap();
    let expected = format!(
        "twice.csv:{}, column switch_id, S0: S0 stands here a second time; the first one counts",
        lines + 1
    );
    assert_eq!(positions.remarks[0].to_string(), expected);
}
