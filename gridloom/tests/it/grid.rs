//! `gridloom grid` as a person meets it: files in, files out, and what is said about them.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use crate::cli::bad;
use crate::cli::good;

fn case(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("grid/tests/cases").join(name)
}

/// Rows of a CSV file by the first column.
fn rows(path: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let pairs = columns.iter().zip(&cells).map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        (cells[0].to_owned(), pairs.collect())
    };
    lines.map(row).collect()
}

fn number(row: &BTreeMap<String, String>, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column} of {row:?}"))
}

/// Solves or estimates into a state file, and gives what was said.
#[track_caller]
fn run(args: &[&str], case_name: &str) -> (String, BTreeMap<String, BTreeMap<String, String>>) {
    let folder = tempfile::tempdir().unwrap();
    let network = case(case_name);
    let mut all = vec!["grid", args[0], "--network", network.to_str().unwrap()];
    all.extend(&args[1..]);
    all.extend(["--out", "state.csv"]);
    let said = good(folder.path(), &all);
    (said, rows(&folder.path().join("state.csv")))
}

/// The state is that of an answer's file within a tolerance, per unit and degrees.
#[track_caller]
fn check_against(state: &BTreeMap<String, BTreeMap<String, String>>, answer: &Path, most: f64) {
    let expected = rows(answer);
    assert_eq!(state.len(), expected.len());
    for (bus, row) in &expected {
        for column in ["vm_pu", "va_deg"] {
            let off = (number(&state[bus], column) - number(row, column)).abs();
            assert!(off < most, "{bus} {column}: {off:e}");
        }
    }
}

#[test]
fn powerflow_writes_the_solution_of_a_folder_and_of_a_file() {
    for network in ["cigre_mv", "cigre_mv/network.pandapower.json"] {
        let (said, state) = run(&["powerflow"], network);
        assert!(said.contains("solved in") && said.contains("losses"), "{said}");
        check_against(&state, &case("cigre_mv/base/answers/truth_bus.csv"), 1e-7);
    }
}

#[test]
fn powerflow_of_a_scenario_says_what_is_dead() {
    let (said, state) = run(&["powerflow", "--scenario", "open_dead"], "cigre_mv");
    let dead: Vec<&str> = state
        .iter()
        .filter(|(_, row)| row["energised"] == "0")
        .map(|(id, _)| id.as_str())
        .collect();
    assert!(!dead.is_empty());
    assert!(dead.iter().all(|bus| state[*bus]["vm_pu"] == "0"), "{state:?}");
    assert!(said.contains(&format!("{} dead", dead.len())), "{said}");
    check_against(&state, &case("cigre_mv/open_dead/answers/truth_bus.csv"), 1e-7);
}

#[test]
fn estimate_lands_on_the_optimum_of_each_plan() {
    for (name, set) in [("ieee14", "scada_s1"), ("cigre_mv", "amps_s1"), ("case33bw", "sparse_s2")]
    {
        let file = format!("meas_{set}.csv");
        let args = ["estimate", "--scenario", "base", "--measurements", &file];
        let (said, state) = run(&args, name);
        assert!(said.contains(": fits") && !said.contains("bad "), "{said}");
        check_against(&state, &case(name).join(format!("base/answers/wls_{set}.csv")), 1e-5);
    }
}

#[test]
fn estimate_names_the_measurement_that_is_wrong() {
    let file = "meas_meters_s1_bad.csv";
    let args = ["estimate", "--scenario", "base", "--measurements", file];
    let (said, _) = run(&args, "cigre_mv");
    let bad = said.lines().find(|line| line.starts_with("bad")).unwrap();
    assert!(bad.contains("M17 (v_mag B3)") && bad.contains("sigma off"), "{said}");
    let kept = ["estimate", "--keep-bad", "--scenario", "base", "--measurements", file];
    let (said, _) = run(&kept, "cigre_mv");
    assert!(said.contains("do not fit together"), "{said}");
}

#[test]
fn estimate_leaves_empty_what_cannot_be_observed() {
    let file = "meas_sparse_unobs_s1.csv";
    let args = ["estimate", "--scenario", "base", "--measurements", file];
    let (said, state) = run(&args, "cigre_mv");
    assert!(!said.contains("bad") && !said.contains("wrong switch"), "{said}");
    let blind: Vec<&str> = state
        .iter()
        .filter(|(_, row)| row["observable"] == "0")
        .map(|(id, _)| id.as_str())
        .collect();
    assert_eq!(blind, ["B10", "B11", "B4", "B5", "B6", "B7", "B8", "B9"]);
    assert!(blind.iter().all(|bus| state[*bus]["vm_pu"].is_empty()), "{state:?}");
    assert!(said.contains("not observable  8 buses: B4"), "{said}");
}

#[test]
fn estimate_with_stale_switches_names_the_switch() {
    // Measured with a breaker open, estimated as if all were closed.
    let measured = case("ieee14/open_loop/meas_scada_s1.csv");
    let args = ["estimate", "--measurements", measured.to_str().unwrap()];
    let (said, _) = run(&args, "ieee14");
    let positions = rows(&case("ieee14/open_loop/switch_status.csv"));
    let normal = rows(&case("ieee14/switches.csv"));
    let moved: Vec<&String> =
        positions.keys().filter(|id| positions[*id]["closed"] != normal[*id]["closed"]).collect();
    let line = said.lines().find(|line| line.starts_with("wrong switch"));
    let line = line.unwrap_or_else(|| panic!("{said}"));
    assert!(moved.iter().all(|id| line.contains(id.as_str())), "{moved:?}: {said}");
}

#[test]
fn residuals_of_all_rows_are_written_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let network = case("ieee14");
    let args = ["grid", "estimate", "--network", network.to_str().unwrap(), "--scenario", "base"];
    let more = ["--measurements", "meas_scada_s1.csv", "--out", "s.csv", "--residuals", "r.csv"];
    good(folder.path(), &[args.as_slice(), &more].concat());
    let text = std::fs::read_to_string(folder.path().join("r.csv")).unwrap();
    let answer = case("ieee14/base/answers/resid_scada_s1.csv");
    let expected = std::fs::read_to_string(answer).unwrap();
    assert_eq!(text.lines().count(), expected.lines().count());
    assert!(text.starts_with("meas_ids,what,measured_pu,estimated_pu,residual_pu,"), "{text}");
}

#[test]
fn check_reports_what_is_there_and_exits_2_where_it_is_not_sound() {
    let folder = tempfile::tempdir().unwrap();
    let report = good(folder.path(), &["grid", "check", case("cigre_mv").to_str().unwrap()]);
    assert!(report.contains("15") && report.contains("buses"), "{report}");
    let broken = folder.path().join("broken.m");
    let text = "function mpc = c\nmpc.version = '2';\nmpc.baseMVA = 100;\n\
                mpc.bus = [1 3 0 0 0 0 1 1 0 110 1 1.1 0.9; 2 1 5 0 0 0 1 1 0 110 1 1.1 0.9];\n\
                mpc.gen = [1 0 0 9 -9 1 100 1 9 0];\n\
                mpc.branch = [1 2 0 0 0 0 0 0 0 0 1 -360 360];\n";
    std::fs::write(&broken, text).unwrap();
    let output = crate::cli::gridloom(folder.path(), &["grid", "check", "broken.m"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("impedance"), "{said}");
}

#[test]
fn what_is_no_network_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.json"), "{\"a\": 1}").unwrap();
    let said = bad(folder.path(), &["grid", "check", "x.json"], 1);
    assert!(said.contains("x.json") && said.contains("pandapower"), "{said}");
    let network = case("ieee14");
    let args = ["grid", "powerflow", "--network", network.to_str().unwrap(), "--scenario", "x"];
    let said = bad(folder.path(), &[args.as_slice(), &["--out", "s.csv"]].concat(), 1);
    assert!(said.contains("there is no scenario x"), "{said}");
}
