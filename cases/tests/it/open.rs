//! Networks by what a file says, and the report on them.

use std::path::Path;

use cases::Error;
use cases::Found;
use expect_test::Expect;
use expect_test::expect;
use grid::network::Fault;
use grid::network::Severity;
use grid::network::check;
use grid::three_phase;

use crate::places;

#[track_caller]
fn open(path: &Path) -> Found {
    cases::open(path).unwrap()
}

/// Asserts that a file of a text is refused with words.
#[track_caller]
fn check_refused(name: &str, text: &str, words: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let error = cases::open(&path).unwrap_err();
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn folder_and_files_of_a_case_are_known_by_what_they_hold() {
    let case = places::ours("cigre_mv");
    for path in [case.clone(), case.join("network.pandapower.json"), case.join("network.pgm.json")]
    {
        let Found::Balanced(import) = open(&path) else { panic!("{}", path.display()) };
        // Power Grid Model's has a node more for each open end.
        assert!([15, 18].contains(&import.network.buses.len()), "{}", path.display());
    }
}

#[test]
fn the_name_of_a_file_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.txt");
    std::fs::copy(places::ours("cigre_mv").join("network.pandapower.json"), &path).unwrap();
    assert!(matches!(open(&path), Found::Balanced(_)));
}

#[test]
fn a_matpower_case_is_known() {
    let Found::Balanced(import) = open(&places::ours("ieee14").join("original/case14.m")) else {
        panic!("balanced")
    };
    assert_eq!(import.network.buses.len(), 14);
}

#[test]
fn an_opendss_script_is_known() {
    let Some(folder) = places::theirs("opendss/ieee123") else { return };
    let Found::Unbalanced(import) = open(&folder.join("IEEE123Master.dss")) else {
        panic!("unbalanced")
    };
    assert!(import.network.nodes.len() >= 278, "{}", import.network.nodes.len());
}

#[test]
fn an_unbalanced_case_is_known() {
    let Some(folder) = places::theirs("ieee13_unbal") else { return };
    assert!(matches!(open(&folder), Found::Unbalanced(_)));
}

#[test]
fn what_is_no_network_is_refused_with_what_it_is() {
    check_refused("buses.csv", "bus_id,vn_kv\n", "is one table; a case is opened by its folder");
    check_refused("case.json", r#"{"base_mva": 1}"#, "is part of a case folder; open the folder");
    check_refused("x.json", r#"{"a": 1, "b": 2}"#, "is JSON of another kind, with a, b");
    check_refused("x.json", r#"{"a": "#, "is not JSON");
    check_refused("x.txt", "", "is empty");
    check_refused("x.txt", "hello there", "begins with \"hello there\"");
}

#[test]
fn what_is_not_there_cannot_be_read() {
    let error = cases::open(Path::new("no/such/case")).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
}

/// Asserts that the check finds no more than notes in a public case.
#[track_caller]
fn check_sound(case: &str, file: &str) {
    let Some(folder) = places::case(case) else { return };
    let found = open(&folder.join(file));
    assert!(found.is_sound());
    let Found::Balanced(import) = found else { panic!("balanced") };
    let faults = check::check(&import.network);
    let worse = faults.iter().find(|fault| fault.severity != Severity::Note);
    assert_eq!(worse, None);
}

#[test]
fn public_cases_pass_the_check() {
    for case in ["ieee57", "case33bw", "cigre_mv", "simbench_lv_rural1", "simbench_mv_rural"] {
        check_sound(case, "");
        check_sound(case, "network.pandapower.json");
    }
}

#[test]
fn the_report_says_what_the_network_is() {
    let case = places::ours("cigre_mv").join("network.pandapower.json");
    let expected = "\
A network: balanced, 50 Hz, per unit of 1 MVA

Elements
  buses                            15
  lines and cables                 15
  transformers                      2
  switches                         25   3 open: S1, S2, S4
  loads                            18
  sources                           1

Voltage levels            buses    lines        load    generation
  110 kV                      1        0           –             –
  20 kV                      14       15     44.7 MW             –

Islands: 1 fed, 0 dead, with switches as they are; 15 electrical nodes
  15 buses      fed by EG0 at B0, load 44.7 MW

Power as it stands in the file, at nominal voltage
  load                       44.7 MW     11.0 Mvar
  left to the sources        44.7 MW   and the losses
  transformers              50.0 MVA   all together; the load is 92 % of it

Nothing is wrong with it.
";
    assert_eq!(cases::report(&open(&case)), expected);
}

#[test]
fn the_report_says_what_is_wrong_and_what_was_left_out() {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pandapower/not_modelled.json");
    let found = open(&made);
    assert!(!found.is_sound());
    let report = cases::report(&found);
    let parts = [
        "Left out of the network: 3\n  table impedance, index 0: differs by direction",
        "Taken otherwise than the file says: 1\n  table measurement, index 0: has no std_dev",
        "It cannot be used as it is: 3 things of the file left out, 1 warning.\n",
    ];
    for part in parts {
        assert!(report.contains(part), "{part}\n---\n{report}");
    }
}

#[test]
fn the_report_tells_a_few_of_many_faults_alike() {
    let report = cases::report(&open(&places::ours("ieee14")));
    // pandapower's ieee14 has nominal voltages that do not fit its loads.
    let part = "  … and 3 more of this kind\n      → kW taken for MW, or volts for kilovolts\n";
    assert!(report.contains(part), "{report}");
}

/// A balanced case with one word changed in one of its tables.
fn changed(file: &str, from: &str, to: &str) -> Found {
    let folder = tempfile::tempdir().unwrap();
    let tables = ["case.json", "buses.csv", "branches.csv", "switches.csv", "shunts.csv"];
    for name in tables.into_iter().chain(["injections.csv"]) {
        let text = std::fs::read_to_string(places::ours("cigre_mv").join(name)).unwrap();
        let text = if name == file { text.replace(from, to) } else { text };
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    open(folder.path())
}

#[test]
fn a_network_that_nothing_feeds_cannot_be_used() {
    let found = changed("injections.csv", ",slack,", ",pq,");
    let report = cases::report(&found);
    assert!(!found.is_sound());
    let part = "What must be mended: 1\n  network has no source: nothing in it is fed\n";
    assert!(report.contains(part), "{report}");
    let part = "It cannot be used as it is: 1 fault that must be mended";
    assert!(report.contains(part), "{report}");
}

#[test]
fn a_case_without_base_voltages_is_said_so_in_one_line() {
    let report = cases::report(&open(&places::ours("ieee57").join("original/case57.m")));
    assert!(!report.contains("Probably not what is meant"), "{report}");
    assert!(report.contains("  1 kV (assumed) "), "{report}");
    let part = "the base voltage of every bus is not above zero: 1 kV is assumed";
    assert_eq!(report.matches("1 kV is assumed").count(), 1, "{report}");
    assert!(report.contains(part) && report.ends_with("with 1 warning.\n"), "{report}");
}

/// The report on a feeder of this repository, from the heading of what feeds what to the next.
#[track_caller]
fn check_supply(script: &str, expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feeder.dss");
    std::fs::write(&path, script).unwrap();
    let report = cases::report(&open(&path));
    let from = report.find("Supply").unwrap_or_else(|| panic!("{report}"));
    let supply = report[from..].split("\n\n").next().unwrap();
    assert_eq!(supply, expected.trim_end(), "{report}");
}

const SUBSTATION: &str = "
new circuit.c basekv=20 bus1=grid
new line.far bus1=grid bus2=station length=1
new transformer.main buses=[station low] kvs=[20 0.4] kvas=[400 400] xhl=4
new line.street bus1=low bus2=house length=0.1
new load.house bus1=house kv=0.4 kw=12 kvar=3
";

#[test]
fn what_feeds_what_is_told_from_the_source_outward() {
    let script = format!("{SUBSTATION}set voltagebases=[20 0.4]\ncalcv\n");
    let expected = "\
Supply: 2 zones between transformers are fed, 0 are not, with switches as they are
  grid and 1 bus             20 kV  fed by vsource.source at grid
  low and 1 bus             0.4 kV  fed from grid and 1 bus through transformer.main, 1 load of \
                    12.0 kW
";
    check_supply(&script, expected);
}

#[test]
fn what_hangs_on_nothing_is_told_to_be_dead() {
    let script = format!("{SUBSTATION}set voltagebases=[20 0.4]\ncalcv\nopen transformer.main 1\n");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feeder.dss");
    std::fs::write(&path, script.replace("open transformer", "disable transformer")).unwrap();
    let report = cases::report(&open(&path));
    assert!(report.contains("  low and 1 bus "), "{report}");
    assert!(report.contains("not fed, 1 load of 12.0 kW"), "{report}");
    assert!(report.contains("network has a zone that no source feeds: see Supply"), "{report}");
}

#[test]
fn a_three_phase_network_without_a_source_cannot_be_used() {
    let Some(folder) = places::theirs("ieee13_unbal") else { return };
    let Found::Unbalanced(mut import) = open(&folder) else { panic!("unbalanced") };
    import.network.elements.retain(|element| element.kind != grid::three_phase::Kind::Source);
    let found = Found::Unbalanced(import);
    assert!(!found.is_sound());
    assert!(cases::report(&found).contains("It cannot be used as it is: 1 fault"));
}

/// What is wrong with the substation after some more lines, in the order of the report.
#[track_caller]
fn check_faults(more: &str, expected: &Expect) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feeder.dss");
    std::fs::write(&path, format!("{SUBSTATION}set voltagebases=[20 0.4]\n{more}\n")).unwrap();
    let found = open(&path);
    let Found::Unbalanced(import) = &found else { panic!("balanced") };
    assert!(import.is_whole(), "{:#?}", import.remarks);
    let faults = three_phase::check::check(&import.network);
    let line =
        |fault: &Fault| format!("{:?}: {} {}\n", fault.severity, fault.element, fault.problem);
    expected.assert_eq(&faults.iter().map(line).collect::<String>());
    assert_eq!(found.is_sound(), !faults.iter().any(Fault::is_fatal));
    let report = cases::report(&found);
    for fault in faults.iter().filter(|fault| !fault.element.starts_with("node")) {
        assert!(report.contains(&format!("  {} {}\n", fault.element, fault.problem)), "{report}");
    }
}

#[test]
fn a_load_a_thousand_times_too_large_is_told() {
    check_faults(
        "load.house.kw=12000",
        &expect![[r#"
        Warning: load.house has 13636 kVA, which is 20 kA a phase at its 231 V
        Warning: network has loads of 13636 kVA behind transformers of 400 kVA, all together
    "#]],
    );
    check_faults(
        "load.house.kv=400",
        &expect![[r#"
        Warning: load.house has a rated voltage of 230940 V at node house.1 of 231 V
    "#]],
    );
    check_faults(
        "load.house.kv=0",
        &expect![[r#"
        Fatal: load.house has a rated voltage of 0 V
    "#]],
    );
    check_faults(
        "load.house.kw=-12",
        &expect![[r#"
        Note: load.house is a load that feeds 12 kW into the network
    "#]],
    );
    check_faults(
        "new capacitor.c bus1=low kv=0.4 kvar=50000",
        &expect![[r#"
        Warning: capacitor.c has 50000 kvar, which is 72 kA a phase
    "#]],
    );
}

#[test]
fn a_live_node_without_a_base_is_told() {
    let Some(folder) = places::theirs("ieee13_unbal") else { return };
    let Found::Unbalanced(mut import) = open(&folder) else { panic!("unbalanced") };
    let node = import.network.node_index("671.2").unwrap();
    import.network.nodes[node].base_volt = 0.0;
    let report = cases::report(&Found::Unbalanced(import));
    let from = report.find("Probably").unwrap_or_else(|| panic!("{report}"));
    expect![[r#"
        Probably not what is meant: 1
          node 671.2 has no voltage base
              → its level is missing among the voltage bases; it is not estimated

        It can be solved, with 1 warning.
    "#]]
    .assert_eq(&report[from..]);
}

#[test]
fn impedances_ratings_and_taps_that_cannot_be_are_told() {
    check_faults(
        "line.street.length=1e-15",
        &expect![[r#"
        Warning: line.street has an impedance of 1.7e-16 ohm, as good as none
    "#]],
    );
    check_faults(
        "transformer.main.kvas=[4e7 400]",
        &expect![[r#"
        Warning: transformer.main has a rating of 40000000 kVA at 20 kV at winding 1
    "#]],
    );
    check_faults(
        "transformer.main.kvs=[20000 400]",
        &expect![[r#"
        Warning: transformer.main has a rated voltage of 11547005 V at node station.3 of 11547 V
        Warning: transformer.main has a rated voltage of 230940 V at node low.3 of 231 V
    "#]],
    );
    check_faults(
        "transformer.main.taps=[1 3]",
        &expect![[r#"
        Warning: transformer.main has a tap of 3 at winding 2
        Warning: transformer.main has a rated voltage of 231 V at node low.3 of 11547 V
        Warning: load.house has a rated voltage of 231 V at node house.1 of 11547 V
        Note: node low.1 has no voltage to ground without load
        Note: node low.2 has no voltage to ground without load
        Note: node low.3 has no voltage to ground without load
        Note: node house.1 has no voltage to ground without load
        Note: node house.2 has no voltage to ground without load
        Note: node house.3 has no voltage to ground without load
    "#]],
    );
    check_faults(
        "transformer.main.taps=[1 0]",
        &expect![[r#"
        Fatal: transformer.main has a tap of 0 at winding 2
    "#]],
    );
}

#[test]
fn the_neutrals_of_a_network_are_notes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/opendss/four_wire.dss");
    let found = open(&path);
    let report = cases::report(&found);
    assert!(found.is_sound());
    let from = report.find("Worth knowing: ").unwrap_or_else(|| panic!("{report}"));
    expect![[r#"
        Worth knowing: 5
          node station.4 has no voltage to ground without load
          node a.4 has no voltage to ground without load
          node b.4 has no voltage to ground without load
          node c.4 has no voltage to ground without load
          … and 1 more of this kind
              → a neutral as a node has a power flow; on streams its network is not estimated

        Nothing is wrong with it.
    "#]]
    .assert_eq(&report[from..]);
}

#[test]
fn the_public_three_phase_networks_have_nothing_wrong() {
    for name in [
        "ieee13_unbal",
        "ieee37_unbal",
        "opendss/ieee123/IEEE123Master.dss",
        "opendss/ieee8500/Master-unbal.dss",
    ] {
        let (case, script) = name.split_at(name.rfind('/').unwrap_or(name.len()));
        let Some(folder) = places::theirs(case) else { return };
        let path = folder.join(script.trim_start_matches('/'));
        let Found::Unbalanced(import) = open(&path) else { panic!("balanced") };
        assert_eq!(three_phase::check::check(&import.network), [], "{name}");
    }
}
