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
    assert!(text.starts_with("meas_ids,what,measured_pu,estimated_pu,residual_pu,"), "{text}");
    let written = rows(&folder.path().join("r.csv"));
    let expected = rows(&case("ieee14/base/answers/resid_scada_s1.csv"));
    assert!(written.keys().eq(expected.keys()), "{:?}", written.keys());
    for (ids, row) in &expected {
        let own = &written[ids];
        let off = (number(own, "residual_pu") - number(row, "residual_pu")).abs();
        assert!(off < 1e-6, "{ids}: {own:?}, {row:?}");
        let [own_size, size] = [(own, "normalised_residual"), (row, "normalized_residual")]
            .map(|(row, column)| number(row, column).abs());
        // Critical ones have none.
        assert_eq!(own["critical"], row["critical"], "{ids}");
        assert!(
            (own_size - size).abs() < 1e-3 || own["critical"] == "1",
            "{ids}: {own:?}, {row:?}"
        );
    }
}

/// Solves the network of a file with the positions of a scenario, into states and branches.
#[test]
fn powerflow_takes_positions_from_a_file_and_writes_flows() {
    let folder = tempfile::tempdir().unwrap();
    let network = case("cigre_mv/network.pandapower.json");
    let positions = case("cigre_mv/open_transfer/switch_status.csv");
    let args = ["grid", "powerflow", "--network", network.to_str().unwrap()];
    let more = ["--switches", positions.to_str().unwrap(), "--out", "s.csv", "--branches", "b.csv"];
    good(folder.path(), &[args.as_slice(), &more].concat());
    let answers = case("cigre_mv/open_transfer/answers");
    check_against(&rows(&folder.path().join("s.csv")), &answers.join("truth_bus.csv"), 1e-7);
    let written = rows(&folder.path().join("b.csv"));
    let expected = rows(&answers.join("truth_branch.csv"));
    assert!(written.keys().eq(expected.keys()), "{:?}", written.keys());
    for (branch, row) in &expected {
        for column in ["p_from_mw", "q_from_mvar", "p_to_mw", "q_to_mvar", "i_from_ka"] {
            let off = (number(&written[branch], column) - number(row, column)).abs();
            assert!(off < 1e-6, "{branch} {column}: {off:e}");
        }
    }
}

#[test]
fn estimate_takes_positions_from_a_file() {
    let positions = case("cigre_mv/open_transfer/switch_status.csv");
    let measured = case("cigre_mv/open_transfer/meas_meters_s1.csv");
    let [positions, measured] = [&positions, &measured].map(|path| path.to_str().unwrap());
    let args = ["estimate", "--switches", positions, "--measurements", measured];
    let (said, state) = run(&args, "cigre_mv/network.pandapower.json");
    assert!(said.contains(": fits") && !said.contains("wrong switch"), "{said}");
    let answer = case("cigre_mv/open_transfer/answers/wls_meters_s1.csv");
    check_against(&state, &answer, 1e-5);
}

#[test]
fn estimate_takes_the_measurements_that_a_file_brings() {
    let file = case("../../../cases/tests/pandapower/measured.json");
    let (said, state) = run(&["estimate"], file.to_str().unwrap());
    assert!(said.contains("11 of 11 used") && said.contains(": fits"), "{said}");
    assert!((number(&state["B0"], "vm_pu") - 1.02).abs() < 1e-3, "{state:?}");
    assert!((number(&state["B2"], "vm_pu") - 1.01107).abs() < 1e-3, "{state:?}");
}

#[test]
fn a_ratio_is_estimated_where_it_is_asked_for() {
    let measured = case("ieee14/base/meas_scada_s1.csv");
    let args = ["estimate", "--measurements", measured.to_str().unwrap(), "--taps"];
    let (said, _) = run(&[args.as_slice(), &["T0"]].concat(), "ieee14/network.pandapower.json");
    let line =
        said.lines().find(|line| line.starts_with("ratio")).unwrap_or_else(|| panic!("{said}"));
    let numbers: Vec<f64> = line.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
    let [ratio, sigma] = numbers[..] else { panic!("{line}") };
    assert!((ratio - 1.0).abs() < 4.0 * sigma && sigma < 0.02, "{line}");
    let folder = tempfile::tempdir().unwrap();
    let network = case("ieee14/network.pandapower.json");
    let mut all =
        vec!["grid", "estimate", "--network", network.to_str().unwrap(), "--out", "s.csv"];
    all.extend([&args[1..], &["L0"]].concat());
    let said = bad(folder.path(), &all, 1);
    assert!(said.contains("no two-winding transformer \"L0\""), "{said}");
}

/// Writes what a solved feeder's voltmeters and phasors would say, and estimates from it.
#[test]
fn estimate_of_an_unbalanced_feeder_gives_its_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let network = case("../../../cases/tests/opendss/split_phase.dss");
    let network = network.to_str().unwrap();
    let args = ["grid", "powerflow", "--network", network, "--out", "solved.csv"];
    good(folder.path(), &args);
    let solved = rows(&folder.path().join("solved.csv"));
    let mut text = "meas_id,source,kind,element_type,element_id,terminal,phase_node,value_si,\
                    sigma_si\n"
        .to_owned();
    for (node, row) in &solved {
        let (volt, rad) = (number(row, "vm_volt"), number(row, "va_deg").to_radians());
        let sigma = 0.005 * volt;
        text.push_str(&format!("{node}-v,scada,v_mag,node,{node},,{node},{volt},{sigma}\n"));
        text.push_str(&format!("{node}-a,pmu,v_ang,node,{node},,{node},{rad},0.01\n"));
    }
    std::fs::write(folder.path().join("m.csv"), text).unwrap();
    let args = ["grid", "estimate", "--network", network, "--measurements", "m.csv"];
    let said = good(folder.path(), &[args.as_slice(), &["--out", "s.csv"]].concat());
    assert!(said.contains(": fits") && !said.contains("not observable"), "{said}");
    let written = std::fs::read_to_string(folder.path().join("s.csv")).unwrap();
    let head = "node_id,vm_pu,va_deg,energised,observable,vm_volt,vm_sigma_pu,va_sigma_deg\n";
    assert!(written.starts_with(head), "{written}");
    let state = rows(&folder.path().join("s.csv"));
    assert!(state.keys().eq(solved.keys()) && state.values().all(|row| row["observable"] == "1"));
    check_against(&state, &folder.path().join("solved.csv"), 1e-4);
    assert!(state.values().all(|row| number(row, "vm_sigma_pu") > 0.0), "{state:?}");
}

#[test]
fn a_neutral_that_is_a_node_is_refused_by_name() {
    let measured = tempfile::NamedTempFile::new().unwrap();
    let head = "meas_id,source,kind,element_type,element_id,terminal,phase_node,value_si,sigma_si";
    std::fs::write(measured.path(), format!("{head}\n")).unwrap();
    let measured = measured.path().to_str().unwrap();
    let args = ["estimate", "--out", "s.csv", "--measurements", measured];
    let part = "has no voltage to ground: a neutral that is a node of its own is not estimated";
    check_refused(&four_wire(), &args, 1, part);
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
    assert!(said.contains("there is no scenario x in"), "{said}");
}

/// A copy of a case's tables in a folder, with a word of one of them changed.
fn copied(name: &str, file: &str, from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(case(name)).unwrap().flatten() {
        let path = entry.path();
        if path.is_file() && path.extension().is_some_and(|ending| ending != "json")
            || path.ends_with("case.json")
        {
            let text = std::fs::read_to_string(&path).unwrap();
            let text = if path.ends_with(file) { text.replacen(from, to, 1) } else { text };
            std::fs::write(folder.path().join(entry.file_name()), text).unwrap();
        }
    }
    folder
}

/// A measurement set of cigre_mv with values and sigmas of some kinds times a factor.
fn scaled(set: &str, kinds: &[&str], factor: f64) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(case("cigre_mv").join("base").join(set)).unwrap();
    let row = |line: &str| {
        let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        if kinds.contains(&cells[2].as_str()) {
            for cell in &mut cells[9..] {
                *cell = (cell.parse::<f64>().unwrap() * factor).to_string();
            }
        }
        cells.join(",") + "\n"
    };
    let path = folder.path().join("scaled.csv");
    std::fs::write(&path, text.lines().map(row).collect::<String>()).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

/// What an estimate of cigre_mv from measurements in a wrong unit is refused with.
#[track_caller]
fn check_unit(kinds: &[&str], factor: f64, expected: &[&str]) {
    let (folder, path) = scaled("meas_meters_s1.csv", kinds, factor);
    let network = case("cigre_mv");
    let args = ["grid", "estimate", "--network", network.to_str().unwrap(), "--out", "s.csv"];
    let args = [args.as_slice(), &["--measurements", &path]].concat();
    let said = bad(folder.path(), &args, 2);
    assert!(expected.iter().all(|part| said.contains(part)), "{said}");
    assert!(!said.contains("switch") && !folder.path().join("s.csv").exists(), "{said}");
}

#[test]
fn kilowatts_for_megawatts_are_told_and_no_switch_is_blamed() {
    let kinds = ["p_inj", "q_inj", "p_flow", "q_flow"];
    let expected = ["value_pu: ", " p_inj and p_flow are about 1000 times", "kW taken for MW?"];
    check_unit(&kinds, 1e3, &expected);
    check_unit(&kinds, 1e-3, &[" p_inj and p_flow are about 1/1000 of", "MW taken for kW?"]);
}

#[test]
fn volts_for_kilovolts_are_told() {
    let expected = ["value_pu: 10 of 10 v_mag are about 1000 times", "volts taken for kilovolts?"];
    check_unit(&["v_mag"], 1e3, &expected);
    check_unit(&["v_mag"], 1.0 / 3.0_f64.sqrt(), &["v_mag are about 1/√3 of"]);
}

#[test]
fn measurements_in_a_wrong_unit_are_estimated_where_that_is_asked_for() {
    let (folder, path) = scaled("meas_meters_s1.csv", &["v_mag"], 1e3);
    let network = case("cigre_mv");
    let args = ["grid", "estimate", "--network", network.to_str().unwrap(), "--out", "s.csv"];
    good(folder.path(), &[args.as_slice(), &["--measurements", &path, "--partial"]].concat());
    assert!(folder.path().join("s.csv").exists());
}

/// The state from the measurements of a set whose identifiers are given.
#[track_caller]
fn from_few(ids: &[&str]) -> (String, BTreeMap<String, BTreeMap<String, String>>) {
    let folder = tempfile::tempdir().unwrap();
    let set = case("cigre_mv/base/meas_meters_s1.csv");
    let text = std::fs::read_to_string(set).unwrap();
    let kept = |line: &&str| {
        let id = line.split(',').next().unwrap();
        id == "meas_id" || ids.contains(&id)
    };
    let text: Vec<&str> = text.lines().filter(kept).collect();
    assert_eq!(text.len(), ids.len() + 1);
    let path = folder.path().join("few.csv");
    std::fs::write(&path, text.join("\n")).unwrap();
    run(&["estimate", "--measurements", path.to_str().unwrap()], "cigre_mv")
}

#[test]
fn one_voltmeter_gives_its_own_bus_and_names_the_rest() {
    let (said, state) = from_few(&["M0"]);
    let seen: Vec<&str> = state
        .iter()
        .filter(|(_, row)| row["observable"] == "1")
        .map(|(id, _)| id.as_str())
        .collect();
    assert_eq!(seen, ["B0"], "{said}");
    assert!((number(&state["B0"], "vm_pu") - 1.025_223_371).abs() < 1e-9);
    assert!(state["B5"]["vm_pu"].is_empty() && state["B5"]["energised"] == "1");
    assert!(said.contains("not observable  14 buses: B1") && said.contains("islands"), "{said}");
    assert!(said.contains("[B5]") && !said.contains("wrong switch"), "{said}");
}

#[test]
fn a_voltmeter_that_sees_no_angle_leaves_all_empty() {
    let (said, state) = from_few(&["M2"]);
    assert!(state.values().all(|row| row["observable"] == "0" && row["vm_pu"].is_empty()));
    assert!(said.contains("nothing can be observed"), "{said}");
    assert!(said.contains("not observable  15 buses"), "{said}");
}

/// What an option without anything to act on is refused with.
#[track_caller]
fn check_refused(network: &Path, args: &[&str], code: i32, part: &str) {
    let folder = tempfile::tempdir().unwrap();
    let network = ["--network", network.to_str().unwrap()];
    let said = bad(folder.path(), &[&["grid"], args, &network].concat(), code);
    assert!(said.contains(part), "{said}");
}

#[test]
fn a_scenario_is_refused_where_there_is_none() {
    let args = ["powerflow", "--out", "s.csv", "--scenario", "base"];
    let part = "--scenario is for case folders";
    check_refused(&case("cigre_mv/network.pandapower.json"), &args, 1, part);
    let there = "there are: base, open_dead, open_transfer";
    let args = ["powerflow", "--out", "s.csv", "--scenario", "winter"];
    check_refused(&case("cigre_mv"), &args, 1, there);
}

fn four_wire() -> PathBuf {
    case("../../../cases/tests/opendss/four_wire.dss")
}

#[test]
fn options_of_the_other_kind_of_network_are_refused() {
    let args = ["powerflow", "--out", "s.csv", "--freeze-controls"];
    check_refused(&case("ieee14"), &args, 1, "--freeze-controls is for three-phase networks");
    let args = ["powerflow", "--out", "s.csv", "--scenario", "base"];
    check_refused(&four_wire(), &args, 1, "--scenario is for case folders");
    let args = ["estimate", "--out", "s.csv", "--all-report", "--measurements", "m.csv"];
    check_refused(&four_wire(), &args, 1, "--all-report is for balanced networks");
}

#[test]
fn options_that_change_nothing_are_said_so() {
    let folder = tempfile::tempdir().unwrap();
    for (network, option, part) in [
        (case("cigre_mv"), "--q-limits", "--q-limits changes nothing"),
        (four_wire(), "--freeze-controls", "--freeze-controls changes nothing"),
    ] {
        let network = network.to_str().unwrap().to_owned();
        let args = ["grid", "powerflow", "--network", &network, "--out", "s.csv", option];
        let output = crate::cli::gridloom(folder.path(), &args);
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains(part), "{part}");
    }
}

#[test]
fn what_was_done_with_bad_measurements_is_said() {
    let file = "meas_meters_s1_bad.csv";
    let options = [&[][..], &["--keep-bad"], &["--robust"]];
    for (option, done) in options.into_iter().zip(["left out", "kept all the same", "counts "]) {
        let args = ["estimate", "--scenario", "base", "--measurements", file];
        let (said, _) = run(&[args.as_slice(), option].concat(), "cigre_mv");
        let bad = said.lines().find(|line| line.starts_with("bad")).unwrap();
        assert!(bad.contains("M17 (v_mag B3)") && bad.contains(done), "{said}");
    }
}

#[test]
fn a_network_without_a_source_is_not_called_solvable() {
    let folder = copied("cigre_mv", "injections.csv", ",slack,", ",pq,");
    let output = crate::cli::gridloom(folder.path(), &["grid", "check", "."]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("network has no source") && !said.contains("can be solved"), "{said}");
}

#[test]
fn powerflow_without_a_source_fails_and_says_that_nothing_is_energised() {
    let folder = copied("cigre_mv", "injections.csv", ",slack,", ",pq,");
    let args = ["grid", "powerflow", "--network", ".", "--out", "s.csv"];
    let said = bad(folder.path(), &args, 1);
    assert!(said.contains("nothing is energised: no source is connected"), "{said}");
    let state = rows(&folder.path().join("s.csv"));
    let dead = |row: &BTreeMap<String, String>| row["energised"] == "0" && row["vm_pu"] == "0";
    assert!(!state.is_empty() && state.values().all(dead), "{state:?}");
}

#[test]
fn an_estimate_without_a_source_fails_and_says_that_nothing_is_energised() {
    let folder = copied("cigre_mv", "injections.csv", ",slack,", ",pq,");
    let measured = case("cigre_mv/base/meas_meters_s1.csv");
    let measured = measured.to_str().unwrap();
    let args = ["grid", "estimate", "--network", ".", "--measurements", measured, "--out", "s.csv"];
    let said = bad(folder.path(), &args, 1);
    assert!(said.contains("nothing is energised: no source is connected"), "{said}");
    let state = rows(&folder.path().join("s.csv"));
    let dead = |row: &BTreeMap<String, String>| row["energised"] == "0" && row["vm_pu"] == "0";
    assert!(!state.is_empty() && state.values().all(dead), "{state:?}");
}

#[test]
fn an_unbalanced_estimate_without_a_source_fails_too() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("nodes.csv", "node_id,bus,v_base_ln_volt\na.1,a,240\nb.1,b,240\n"),
        (
            "elements.json",
            "{\"elements\":[{\"name\":\"line.l\",\"terminals\":2,\"nodes\":[\"a.1\",\"b.1\"],\
             \"Y\":[[[1,0],[-1,0]],[[-1,0],[1,0]]]}],\"sources\":[]}",
        ),
        (
            "loads.csv",
            "load_id,connection,phases,nodes,p_kw_total,q_kvar_total,v_rated_leg_volt,exponent_p,\
             exponent_q\n",
        ),
        (
            "m.csv",
            "meas_id,source,kind,element_type,element_id,terminal,phase_node,value_si,sigma_si\n\
             m,scada,v_mag,node,a.1,,a.1,240,1\n",
        ),
    ];
    for (file, text) in files {
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    let args = ["grid", "estimate", "--network", ".", "--measurements", "m.csv", "--out", "s.csv"];
    let said = bad(folder.path(), &args, 1);
    assert!(said.contains("nothing is energised: no source is connected"), "{said}");
}

#[test]
fn identifiers_that_stand_twice_are_refused_by_name() {
    let text = std::fs::read_to_string(case("cigre_mv/network.pandapower.json")).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let loads = &mut value["_object"]["load"]["_object"];
    let table = loads.as_str().unwrap().replacen("\"index\":[0,1,", "\"index\":[0,0,", 1);
    *loads = table.into();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("twice.json");
    std::fs::write(&path, value.to_string()).unwrap();
    let args = ["powerflow", "--out", "s.csv"];
    check_refused(&path, &args, 2, "injection LD0: stands 2 times");
    let output = crate::cli::gridloom(folder.path(), &["grid", "check", "twice.json"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn a_folder_without_switches_is_said_so() {
    let folder = copied("cigre_mv", "", "", "");
    std::fs::remove_file(folder.path().join("switches.csv")).unwrap();
    let args = ["grid", "powerflow", "--network", ".", "--out", "s.csv"];
    let output = crate::cli::gridloom(folder.path(), &args);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("warning: switches.csv: is absent: there are no switches"), "{said}");
}

#[test]
fn the_check_of_a_feeder_says_what_feeds_what() {
    let folder = tempfile::tempdir().unwrap();
    let report = good(folder.path(), &["grid", "check", four_wire().to_str().unwrap()]);
    assert!(report.contains("fed by vsource.source at grid"), "{report}");
    assert!(report.contains("through transformer."), "{report}");
}

#[test]
fn a_matpower_case_without_base_voltages_warns_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let network = case("ieee57/original/case57.m");
    let network = network.to_str().unwrap();
    let report = good(folder.path(), &["grid", "check", network]);
    assert!(report.contains("with 1 warning."), "{report}");
    let args = ["grid", "powerflow", "--network", network, "--out", "s.csv"];
    let output = crate::cli::gridloom(folder.path(), &args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_anything_else() {
    for command in ["powerflow", "estimate"] {
        let args = [command, "--out", "no/such/folder/s.csv"];
        // The network is not there either, and is not what is said.
        let part = "cannot write no/such/folder/s.csv";
        check_refused(Path::new("no/such/case"), &args, 1, part);
    }
    let args = ["powerflow", "--out", "s.csv", "--branches", "s.csv"];
    check_refused(&case("ieee14"), &args, 1, "two answers cannot both go to s.csv");
}
