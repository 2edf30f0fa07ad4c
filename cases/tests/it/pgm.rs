//! Power Grid Model JSON, against the library's own answers (see cases/tests/pgm/make.py) and
//! against the truth of the public cases.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use cases::Import;
use cases::pgm;
use expect_test::Expect;
use expect_test::expect;
use grid::Complex;
use grid::Model;
use grid::Topology;
use grid::measurement::Measurement;
use grid::measurement::Quantity;
use grid::measurement::Target;
use grid::model::SourceImpedance;
use grid::network::Control;
use grid::network::Side;
use serde_json::Value;

use crate::balance::worst;
use crate::golden;
use crate::kirchhoff;
use crate::places;
use crate::solve;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pgm")
}

/// The voltages that the library found.
fn answer(name: &str) -> BTreeMap<String, Complex> {
    let text = std::fs::read_to_string(folder().join(format!("{name}.answer.json"))).unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    let nodes = answer["data"]["node"].as_object().unwrap();
    let number = |row: &Value, k: usize| row[k].as_f64().unwrap();
    let live = nodes.iter().filter(|(_, row)| number(row, 0) == 1.0);
    live.map(|(id, row)| (id.clone(), Complex::from_polar(number(row, 1), number(row, 2))))
        .collect()
}

fn read(name: &str) -> Import {
    pgm::read(&folder().join(format!("{name}.json"))).unwrap()
}

/// The network balances at the library's voltages, and a power flow of ours arrives there.
#[track_caller]
fn check(name: &str) {
    let import = read(name);
    assert!(import.is_whole(), "{:?}", import.remarks);
    let (missing, bus) = worst(&import.network, &answer(name), SourceImpedance::Kept);
    assert!(missing < 1e-8, "{name}: {missing:e} pu are missing at {bus}");
    solve::check(&import.network, &answer(name), 1e-9);
}

#[test]
fn a_line_is_a_pi_with_losses() {
    check("line");
}

#[test]
fn a_branch_open_at_one_end_stays_on_the_other() {
    check("line_open_at_an_end");
}

#[test]
fn loads_follow_the_voltage_by_type() {
    check("load_types");
}

#[test]
fn a_shunt_and_a_source_by_its_defaults() {
    check("shunt");
}

#[test]
fn a_generic_branch_has_a_complex_ratio() {
    check("generic_branch");
}

#[test]
fn a_tap_at_the_from_side() {
    check("transformer_from_tap");
}

#[test]
fn a_tap_at_the_to_side_and_clock_twelve() {
    check("transformer_to_tap");
}

#[test]
fn a_tap_that_counts_downwards_and_moves_the_impedance() {
    check("transformer_turned_taps");
}

#[test]
fn a_tap_without_a_position_is_at_its_nominal_one() {
    check("transformer_without_position");
}

#[test]
fn a_transformer_may_lead_upwards() {
    check("transformer_upwards");
}

#[test]
fn a_transformer_open_at_its_low_side_still_magnetises() {
    check("transformer_open");
}

#[test]
fn three_windings_with_the_tap_at_each() {
    check("three_winding_tap_1");
    check("three_winding_tap_2");
    check("three_winding_tap_3");
}

#[test]
fn three_windings_of_which_one_is_open() {
    check("three_winding_open");
}

#[test]
fn rows_may_be_compact() {
    check("compact");
}

/// The library's own impedance of a link leaves 1e-7 between what is one bus here.
#[test]
fn a_closed_link_makes_its_nodes_one() {
    let import = read("link");
    let model = Model::new(&import.network, SourceImpedance::Kept).unwrap();
    let topology = Topology::new(&model);
    assert_eq!([0, 1, 2, 3].map(|bus| topology.node(bus)), [0, 1, 1, 1]);
    let (missing, bus) = worst(&import.network, &answer("link"), SourceImpedance::Kept);
    assert!(missing < 1e-7, "{missing:e} pu are missing at {bus}");
    solve::check(&import.network, &answer("link"), 1e-8);
}

/// The base scenario of a public case balances at its true voltages, and the source is at its own.
#[track_caller]
fn check_case(name: &str) {
    let Some(folder) = places::case(name) else { return };
    let import = pgm::read(&folder.join("network.pgm.json")).unwrap();
    assert!(import.is_whole(), "{:?}", import.remarks);
    let truth = truth_of_nodes(&folder.join("base/answers/truth_bus.csv"));
    let (missing, bus) = worst(&import.network, &truth, SourceImpedance::Omitted);
    let base = import.network.base_mva;
    assert!(missing * base < 1e-6, "{name}: {missing:e} pu are missing at {bus}");
    let sources = import.network.injections.iter().filter_map(|injection| {
        let Control::Slack { vm_pu, va_deg, .. } = injection.control else { return None };
        Some((injection.bus, Complex::from_polar(vm_pu, va_deg.to_radians())))
    });
    for (bus, set) in sources {
        assert!((truth[&import.network.buses[bus.0].id] - set).abs() < 1e-8);
    }
    solve::check(&import.network, &truth, 1e-7);
}

/// True voltages by the number of their node, which is its identifier in this format; floating ends
/// of lines are nodes of their own there and have no true voltage.
fn truth_of_nodes(path: &Path) -> BTreeMap<String, Complex> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let headers = reader.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let [node, vm, va] = ["node", "vm_pu", "va_deg"].map(column);
    let row = |record: csv::Result<csv::StringRecord>| {
        let record = record.unwrap();
        let number = |column: usize| record[column].parse::<f64>().unwrap();
        (record[node].to_owned(), Complex::from_polar(number(vm), number(va).to_radians()))
    };
    reader.records().map(row).collect()
}

#[test]
fn ieee14_balances_at_its_true_voltages() {
    check_case("ieee14");
}

#[test]
fn ieee57_balances_at_its_true_voltages() {
    check_case("ieee57");
}

#[test]
fn case33bw_balances_at_its_true_voltages() {
    check_case("case33bw");
}

#[test]
fn cigre_mv_balances_at_its_true_voltages() {
    check_case("cigre_mv");
}

#[test]
fn simbench_lv_rural1_balances_at_its_true_voltages() {
    check_case("simbench_lv_rural1");
}

#[test]
fn simbench_mv_rural_balances_at_its_true_voltages() {
    check_case("simbench_mv_rural");
}

#[test]
fn sensors_become_measurements_with_the_signs_of_their_terminals() {
    let import = read("sensors");
    let row = |m: &Measurement| {
        format!("{} {:?} {:?} {} +- {:.7}\n", m.id, m.quantity, m.target, m.value, m.sigma)
    };
    let found: String = import.measurements.iter().map(row).collect();
    expect![[r#"
        50/v_mag VoltageMagnitude Bus(BusIndex(0)) 1.019047619047619 +- 0.0028571
        50/v_ang VoltageAngle Bus(BusIndex(0)) 0.1 +- 0.0028037
        51/v_mag VoltageMagnitude Bus(BusIndex(2)) 1.0047619047619047 +- 0.0047619
        60/p ActivePower BranchEnd(BranchIndex(0), From) 1.65 +- 0.0141421
        60/q ReactivePower BranchEnd(BranchIndex(0), From) 0.41 +- 0.0141421
        61/p ActivePower BranchEnd(BranchIndex(1), To) -0.7 +- 0.0100000
        61/q ReactivePower BranchEnd(BranchIndex(1), To) 0.1 +- 0.0150000
        62/p ActivePower Injection(InjectionIndex(0)) 1.66 +- 0.0212132
        62/q ReactivePower Injection(InjectionIndex(0)) 0.4 +- 0.0212132
        63/p ActivePower Injection(InjectionIndex(1)) -1.2 +- 0.0141421
        63/q ReactivePower Injection(InjectionIndex(1)) -0.44 +- 0.0141421
        64/p ActivePower Injection(InjectionIndex(3)) 0.25 +- 0.0070711
        64/q ReactivePower Injection(InjectionIndex(3)) 0.01 +- 0.0070711
        65/p ActivePower Bus(BusIndex(2)) -0.71 +- 0.0141421
        65/q ReactivePower Bus(BusIndex(2)) 0.09 +- 0.0141421
        70/i_mag CurrentMagnitude BranchEnd(BranchIndex(1), From) 0.7092748056994552 +- 0.0090933
        70/i_ang CurrentAngle BranchEnd(BranchIndex(1), From) 0.15 +- 0.0200000
        71/i_mag CurrentMagnitude BranchEnd(BranchIndex(0), To) 1.6549745466320622 +- 0.0181865
    "#]]
    .assert_eq(&found);
    expect![[r#"
        Note: data.line: has attributes that are not read: c0, r0, tan0, x0
        Note: data.shunt: has attributes that are not read: b0, g0
        Note: data.source: has attributes that are not read: z01_ratio
        Warning: data.sym_load[0], sym_load 20: has no p_specified: 0 is taken, which
            matters to a power flow only
        Warning: data.sym_load[0], sym_load 20: has no q_specified: 0 is taken, which
            matters to a power flow only
        Warning: data.sym_load[1], sym_load 21: has no p_specified: 0 is taken, which
            matters to a power flow only
        Warning: data.sym_load[1], sym_load 21: has no q_specified: 0 is taken, which
            matters to a power flow only
        Warning: data.sym_gen[0], sym_gen 22: has no p_specified: 0 is taken, which matters
            to a power flow only
        Warning: data.sym_gen[0], sym_gen 22: has no q_specified: 0 is taken, which matters
            to a power flow only
        Warning: data.sym_power_sensor[6], sym_power_sensor 66: is left out: it is at a
            shunt, where there is no measuring point
        Warning: data.sym_current_sensor[1], sym_current_sensor 71: has an angle against the
            local voltage: only its magnitude is read
    "#]]
    .assert_eq(&golden::remarks(&import.remarks));
}

/// The state that the library estimates is within four standard deviations of every value read.
#[test]
fn measurements_agree_with_the_state_that_the_library_estimates() {
    let import = read("sensors");
    let network = &import.network;
    let model = Model::new(network, SourceImpedance::Omitted).unwrap();
    let topology = Topology::new(&model);
    let answer = answer("sensors");
    let v: Vec<Complex> = network.buses.iter().map(|bus| answer[&bus.id]).collect();
    let flows = kirchhoff::flows(&model, &topology, &v);
    let mut seen = 0;
    for measured in &import.measurements {
        let state = match (measured.target, measured.quantity) {
            (Target::Bus(bus), Quantity::VoltageMagnitude) => v[bus.0].abs(),
            (Target::Bus(bus), Quantity::VoltageAngle) => v[bus.0].arg(),
            (Target::BranchEnd(branch, side), quantity) => {
                let s = kirchhoff::at(&flows, branch.0, side);
                let ends = &network.branches[branch.0];
                let at = v[if side == Side::From { ends.from.0 } else { ends.to.0 }];
                let i = (s / at).conj();
                match quantity {
                    Quantity::ActivePower => s.re,
                    Quantity::ReactivePower => s.im,
                    Quantity::CurrentMagnitude => i.abs(),
                    _ => i.arg(),
                }
            }
            _ => continue,
        };
        seen += 1;
        let off = (measured.value - state).abs() / measured.sigma;
        assert!(off < 4.0, "{} is {off} standard deviations off", measured.id);
    }
    assert_eq!(seen, 10);
}

/// Reads one dataset of which the tables are given.
fn parse(tables: &str) -> Result<Import, String> {
    let text = format!(
        r#"{{"version": "1.0", "type": "input", "is_batch": false, "attributes": {{}},
             "data": {{"node": [{{"id": 1, "u_rated": 1e4}}, {{"id": 2, "u_rated": 1e4}}],
                       {tables}}}}}"#
    );
    pgm::parse(&serde_json::from_str(&text).unwrap(), 50.0)
}

#[test]
fn whatever_is_wrong_or_not_read_is_named() {
    let import = parse(
        r#""line": [{"id": 3, "from_node": 1, "to_node": 9, "r1": 1, "x1": 1},
                    {"id": 4, "from_node": 1, "to_node": 1, "r1": 1, "x1": 1},
                    {"id": 1, "from_node": 1, "to_node": 2, "r1": 1, "x1": 1},
                    {"id": 5, "from_node": 1, "to_node": 2, "r1": 1, "x1": "much"},
                    {"id": 6, "from_node": 1, "to_node": 2, "from_status": 2, "r1": 1, "x1": 1,
                     "r0": 2},
                    {"from_node": 1, "to_node": 2, "r1": 1, "x1": 1}],
           "sym_load": [{"id": 7, "node": 2, "status": 1, "type": 5, "p_specified": 1,
                         "q_specified": 1},
                        {"id": 8, "node": 2, "status": 1, "type": 0, "p_specified": 1}],
           "asym_load": [{"id": 9, "node": 2, "status": 1, "type": 0, "p_specified": [1, 2],
                          "q_specified": [1, 2, 3]}],
           "asym_line": [{"id": 10, "from_node": 1, "to_node": 2}],
           "transformer_tap_regulator": [{"id": 11, "regulated_object": 3}],
           "fault": [{"id": 12}],
           "wind_turbine": [{"id": 13}],
           "sym_power_sensor": [
             {"id": 14, "measured_object": 10, "measured_terminal_type": 0, "power_sigma": 1},
             {"id": 15, "measured_object": 99, "measured_terminal_type": 0, "power_sigma": 1},
             {"id": 16, "measured_object": 1, "measured_terminal_type": 4, "power_sigma": 1},
             {"id": 17, "measured_object": 1, "measured_terminal_type": 9, "p_measured": 1,
              "q_measured": 1, "power_sigma": "inf"},
             {"id": 18, "measured_object": 1, "measured_terminal_type": 9, "p_sigma": 1}]"#,
    )
    .unwrap();
    expect![[r#"
        Fatal: data.asym_line[0], asym_line 10: is left out: its phases are given apart, and
            only balanced lines are read
        Warning: data.transformer_tap_regulator[0], transformer_tap_regulator 11: is left
            out: the tap stays at its tap_pos
        Note: data.fault[0], fault 12: is left out: short circuits are not computed here
        Fatal: data.wind_turbine[0], wind_turbine 13: is left out: this kind of component is
            not known here
        Fatal: data.line[0], line 3: is left out: to_node is 9, and there is no such node
        Fatal: data.line[1], line 4: is left out: both its ends are at the same node
        Fatal: data.line[2], line 1: is left out: the identifier 1 is another component's
            too
        Fatal: data.line[3], line 5: is left out: x1 is "much", which is not a number
        Fatal: data.line[4], line 6: is left out: from_status is 2 and must be 0 or 1
        Fatal: data.line[5], line without an id: is left out: it has no id
        Note: data.line: has attributes that are not read: r0
        Fatal: data.sym_load[0], sym_load 7: is left out: type is 5; known are 0 (power), 1
            (impedance), 2 (current)
        Warning: data.sym_load[1], sym_load 8: has no q_specified: 0 is taken, which matters
            to a power flow only
        Fatal: data.asym_load[0], asym_load 9: is left out: p_specified is not three numbers
        Warning: data.sym_power_sensor[0], sym_power_sensor 14: is left out: it is at a
            component that is left out, where there is no measuring point
        Warning: data.sym_power_sensor[1], sym_power_sensor 15: is left out: measured_object
            is 99, and there is none
        Warning: data.sym_power_sensor[2], sym_power_sensor 16: is left out: it measures a
            load, and 1 is none
        Warning: data.sym_power_sensor[3], sym_power_sensor 17: measures p without a finite
            sigma: that is left out
        Warning: data.sym_power_sensor[3], sym_power_sensor 17: measures q without a finite
            sigma: that is left out
        Warning: data.sym_power_sensor[4], sym_power_sensor 18: is left out: one of p_sigma
            and q_sigma is missing
    "#]]
    .assert_eq(&golden::remarks(&import.remarks));
}

#[track_caller]
fn check_envelope(text: &str, expected: &Expect) {
    let value = serde_json::from_str(text).unwrap();
    expected.assert_eq(&golden::folded(&pgm::parse(&value, 50.0).unwrap_err()));
}

#[test]
fn what_is_not_an_input_dataset_is_refused() {
    check_envelope(
        "{}",
        &expect![[r#"
        has no version, type, is_batch and data at its top: it is not a dataset of Power
            Grid Model
    "#]],
    );
    let top = |version: &str, kind: &str, data: &str| {
        format!(
            r#"{{"version": "{version}", "type": "{kind}", "is_batch": false, "attributes": {{}},
                 "data": {data}}}"#
        )
    };
    check_envelope(
        &top("2.0", "input", "{}"),
        &expect![[r#"
        is of version "2.0"; read is 1.0
    "#]],
    );
    check_envelope(
        &top("1.0", "update", "{}"),
        &expect![[r#"
            is a dataset of type "update" with is_batch false; a network is one of type "input"
                that is no batch
        "#]],
    );
    check_envelope(
        &top("1.0", "input", "[]"),
        &expect![[r#"
        has data that is not an object of tables
    "#]],
    );
    check_envelope(
        &top("1.0", "input", r#"{"node": 1}"#),
        &expect![[r#"
        data.node is not an array
    "#]],
    );
    check_envelope(
        &top("1.0", "input", r#"{"node": [[1, 2]]}"#),
        &expect![[r#"
        data.node[0] is an array, and attributes.node names no columns
    "#]],
    );
}
