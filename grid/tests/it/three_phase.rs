//! Unbalanced networks: power flow against the solutions that come with the feeders, controls
//! against where they stopped, warm solutions against cold ones, estimates against stored optima.
//!
//! The published feeders may not be copied and are read from the folder that `GRIDLOOM_DATA` names;
//! the repository's own ones (`cases/tests/opendss`) are always there.

use std::collections::BTreeMap;
use std::path::Path;

use grid::Complex;
use grid::measurement::Quantity;
use grid::three_phase::Control;
use grid::three_phase::Estimate;
use grid::three_phase::Kind;
use grid::three_phase::Law;
use grid::three_phase::Limits;
use grid::three_phase::Network;
use grid::three_phase::Outcome;
use grid::three_phase::Settings;
use grid::three_phase::Solver;
use grid::three_phase::measurement::Measurement;
use grid::three_phase::measurement::Target;

use crate::places;

/// Voltages by node from a CSV with magnitude and angle columns.
pub(crate) fn truth(path: &Path, magnitude: &str) -> BTreeMap<String, Complex> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| header.iter().position(|h| *h == name).unwrap();
    let (id, size, angle) = (column("node_id"), column(magnitude), column("va_deg"));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let (size, angle): (f64, f64) =
                (cells[size].parse().unwrap(), cells[angle].parse().unwrap());
            (cells[id].to_owned(), Complex::from_polar(size, angle.to_radians()))
        })
        .collect()
}

/// The greatest difference of a voltage, per unit.
#[track_caller]
fn worst_pu(solver: &Solver, truth: &BTreeMap<String, Complex>) -> f64 {
    assert_eq!(solver.network().nodes.len(), truth.len());
    let off = |(at, node): (usize, &grid::three_phase::Node)| {
        let v = *truth.get(&node.id).unwrap_or_else(|| panic!("no node {}", node.id));
        (solver.voltage(at) - v).abs() / node.base_volt
    };
    solver.network().nodes.iter().enumerate().map(off).fold(0.0, f64::max)
}

#[track_caller]
fn check_elements(case: &str) {
    let Some(folder) = places::case(case) else { return };
    let import = cases::elements::read_folder(&folder).unwrap();
    assert!(import.remarks.is_empty(), "{:?}", import.remarks);
    let mut solver = Solver::new(import.network, Settings::default());
    let outcome = solver.solve();
    assert!(outcome.is_solved(), "{outcome:?}");
    let off = worst_pu(&solver, &truth(&folder.join("answers/truth_nodes.csv"), "vm_volt"));
    assert!(off < 1e-6, "off by {off} pu");
}

#[test]
fn the_13_node_feeder_from_its_matrices() {
    check_elements("ieee13_unbal");
}

#[test]
fn the_37_node_feeder_in_ungrounded_delta_from_its_matrices() {
    check_elements("ieee37_unbal");
}

/// Where regulators and capacitors stopped, by element: tap numbers and closed steps.
fn positions(solver: &Solver) -> BTreeMap<String, i32> {
    let network = solver.network();
    let of = |control: &Control| {
        let (element, tap_winding) = match control {
            Control::Regulator(of) => (of.element, of.tap_winding),
            Control::Capacitor(of) => (of.capacitor, 0),
        };
        let element = &network.elements[element];
        let position = match &element.kind {
            Kind::Transformer(sheet) => sheet.windings[tap_winding].tap_number(),
            Kind::Capacitor(sheet) => sheet.steps_closed() as i32,
            _ => panic!("{} is controlled", element.name),
        };
        (element.name.split_once('.').unwrap().1.to_owned(), position)
    };
    network.controls.iter().map(of).collect()
}

/// A script, solved with its own controls, against voltages and, where there are some, positions.
#[track_caller]
fn check_script(case: &str, script: &str, more: &str, [truth_file, magnitude]: [&str; 2]) {
    let Some(folder) = places::case(case) else { return };
    let import = cases::opendss::read_with(&folder.join(script), more).unwrap();
    assert!(import.is_whole(), "{:?}", import.remarks);
    let mut solver = Solver::new(import.network, Settings::default());
    let settled = solver.settle(100);
    assert!(settled.settled, "{settled:?}");
    if let Ok(text) = std::fs::read_to_string(folder.join("answers/controls.csv")) {
        let expected: BTreeMap<String, i32> = text
            .lines()
            .skip(1)
            .map(|line| {
                let cells: Vec<&str> = line.split(',').collect();
                (cells[2].to_owned(), cells[3].parse().unwrap())
            })
            .collect();
        for (element, position) in positions(&solver) {
            assert_eq!((element.as_str(), position), (element.as_str(), expected[&element]));
        }
    }
    let off = worst_pu(&solver, &truth(&folder.join(truth_file), magnitude));
    assert!(off < 1e-6, "off by {off} pu");
}

/// A feeder with its solution and the truth it is held against.
pub(crate) struct Solved {
    pub(crate) name: &'static str,
    pub(crate) from: &'static str,
    pub(crate) solver: Solver,
    pub(crate) truth: BTreeMap<String, Complex>,
    /// How often controls moved; nothing where they stand as the file has them.
    pub(crate) moves: Option<usize>,
}

/// All feeders that have a truth, in order; nothing in the place of those that are not there.
pub(crate) fn solved_feeders() -> Vec<Option<Solved>> {
    let matrices = |name: &'static str| {
        let folder = places::case(name)?;
        let network = cases::elements::read_folder(&folder).unwrap().network;
        let mut solver = Solver::new(network, Settings::default());
        assert!(solver.solve().is_solved());
        let truth = truth(&folder.join("answers/truth_nodes.csv"), "vm_volt");
        Some(Solved { name, from: "matrices", solver, truth, moves: None })
    };
    let script = |name: &'static str, file: &str, more: &str, [path, magnitude]: [&str; 2]| {
        let folder = places::case(name)?;
        let network = cases::opendss::read_with(&folder.join(file), more).unwrap().network;
        let mut solver = Solver::new(network, Settings::default());
        let moves = Some(solver.settle(100).moves);
        let truth = truth(&folder.join(path), magnitude);
        Some(Solved { name, from: "script", solver, truth, moves })
    };
    let here = |name: &'static str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases/tests/opendss");
        let network = cases::opendss::read(&folder.join(format!("{name}.dss"))).unwrap().network;
        let mut solver = Solver::new(network, Settings::default());
        let moves = Some(solver.settle(100).moves);
        let text = std::fs::read_to_string(folder.join(format!("{name}.nodes.csv"))).unwrap();
        let row = |line: &str| {
            let cells: Vec<&str> = line.split(',').collect();
            let number = |at: usize| cells[at].parse::<f64>().unwrap();
            (cells[0].to_owned(), Complex::new(number(1), number(2)))
        };
        let truth = text.lines().skip(1).map(row).collect();
        Some(Solved { name, from: "script", solver, truth, moves })
    };
    vec![
        matrices("ieee13_unbal"),
        matrices("ieee37_unbal"),
        script("ieee13_unbal", "original/IEEE13Nodeckt.dss", "", DEFAULT_LIMITS),
        script("ieee37_unbal", "original/ieee37.dss", "", DEFAULT_LIMITS),
        script("opendss/ieee123", "IEEE123Master.dss", ONE_TAP_A_STEP, FEEDER),
        script("opendss/ieee8500", "Master-unbal.dss", "", FEEDER),
        here("four_wire"),
        here("floating_delta"),
        here("split_phase"),
        here("controls"),
    ]
}

/// The 123 node feeder is published with one tap a step, the head first.
const ONE_TAP_A_STEP: &str = "
    batchedit regcontrol..* maxtapchange=1 delay=30
    regcontrol.creg1a.delay=15
";

const DEFAULT_LIMITS: [&str; 2] = ["answers/opendss_default_limits_truth.csv", "vm_volt"];
const FEEDER: [&str; 2] = ["answers/truth_nodes.csv", "v_volt"];

#[test]
fn the_13_node_feeder_from_its_script() {
    check_script("ieee13_unbal", "original/IEEE13Nodeckt.dss", "", DEFAULT_LIMITS);
}

#[test]
fn the_37_node_feeder_from_its_script() {
    check_script("ieee37_unbal", "original/ieee37.dss", "", DEFAULT_LIMITS);
}

#[test]
fn the_123_node_feeder_from_its_script() {
    check_script("opendss/ieee123", "IEEE123Master.dss", ONE_TAP_A_STEP, FEEDER);
}

#[test]
fn the_8500_node_feeder_from_its_script() {
    check_script("opendss/ieee8500", "Master-unbal.dss", "", FEEDER);
}

/// A feeder of this repository, solved with its controls.
fn own(feeder: &str) -> Solver {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases/tests/opendss");
    let import = cases::opendss::read(&folder.join(format!("{feeder}.dss"))).unwrap();
    assert!(import.is_whole(), "{:?}", import.remarks);
    let mut solver = Solver::new(import.network, Settings::default());
    assert!(solver.settle(100).settled);
    solver
}

/// A number in 0..1 from a seed (Knuth's linear congruence).
fn random(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 11) as f64 / (1_u64 << 53) as f64
}

/// A thousand changes of loads, some great, against a solver that knows nothing of the past.
#[track_caller]
fn check_changes(feeder: &str) {
    let mut solver = own(feeder);
    let rated: Vec<(f64, f64)> =
        solver.network().loads.iter().map(|load| (load.p_w, load.q_var)).collect();
    let mut seed = 7;
    for round in 0..1100 {
        let width = if round % 10 == 0 { 1.2 } else { 0.02 };
        for (load, (p, q)) in rated.iter().enumerate() {
            let factor = 1.0 + width * (random(&mut seed) - 0.5);
            solver.set_load(load, p * factor, q * factor);
        }
        let outcome = solver.solve();
        assert!(outcome.is_solved(), "round {round}: {outcome:?}");
        if round % 100 != 99 {
            continue;
        }
        let mut fresh = Solver::new(solver.network().clone(), Settings::default());
        assert!(fresh.solve().is_solved());
        for (at, node) in solver.network().nodes.iter().enumerate() {
            let off = (solver.voltage(at) - fresh.voltage(at)).abs() / node.base_volt.max(1.0);
            assert!(off < 2e-8, "round {round}, {}: off by {off} pu", node.id);
        }
    }
}

#[test]
fn a_warm_solution_is_a_cold_one_with_a_neutral() {
    check_changes("four_wire");
}

#[test]
fn a_warm_solution_is_a_cold_one_without_ground() {
    check_changes("floating_delta");
}

#[test]
fn a_warm_solution_is_a_cold_one_at_split_phases() {
    check_changes("split_phase");
}

/// What an estimator is told of a network, against the solved state.
#[track_caller]
fn check_system(feeder: &str) {
    let solver = own(feeder);
    let network = solver.network();
    let mut injected = vec![Complex::ZERO; network.nodes.len()];
    for (row, column, y) in network.admittance() {
        injected[row] += y * solver.voltage(column);
    }
    let mut largest = 0.0_f64;
    for (element, of) in network.elements.iter().enumerate() {
        for terminal in 0..of.terminals {
            let currents = solver.currents(element).unwrap();
            let first = terminal * of.conductors();
            for row in network.terminal_currents(element, terminal) {
                let told = row
                    .coefficients
                    .iter()
                    .fold(Complex::ZERO, |sum, &(node, y)| sum + y * solver.voltage(node));
                let at = (0..of.conductors()).filter(|&c| of.nodes[first + c] == Some(row.node));
                let (mut own, mut driven) = (Complex::ZERO, Complex::ZERO);
                for conductor in at {
                    own += currents[first + conductor];
                    driven += of.drives.get(first + conductor).copied().unwrap_or_default();
                }
                largest = largest.max(told.abs());
                assert!((told - driven - own).abs() < 1e-9 * told.abs().max(1.0), "{}", of.name);
            }
        }
    }
    let zero = network.zero_injection_nodes();
    assert!(!zero.is_empty());
    for node in zero {
        let off = injected[node].abs();
        assert!(off < 1e-8 * largest, "{}: {off} A", network.nodes[node].id);
    }
}

#[test]
fn nothing_is_injected_where_there_is_neither_load_nor_source() {
    check_system("four_wire");
    check_system("split_phase");
}

#[test]
fn a_closed_switch_merged_is_its_impedance_made_small() {
    let solver = own("language");
    let (merged, place) = solver.network().merged();
    assert_eq!(merged.nodes.len() + 3, solver.network().nodes.len());
    let settings = Settings { merge_switches: true, ..Settings::default() };
    let mut by_setting = Solver::new(solver.network().clone(), settings);
    let mut by_network = Solver::new(merged, Settings::default());
    assert!(by_setting.solve().is_solved() && by_network.solve().is_solved());
    for (node, &at) in place.iter().enumerate() {
        let v = by_network.voltage(at);
        assert!((by_setting.voltage(node) - v).abs() < 1e-6, "node {node}");
        // A milliohm at some hundred amperes.
        assert!((solver.voltage(node) - v).abs() < 1.0, "node {node}");
    }
}

#[test]
fn what_no_source_feeds_is_dead() {
    let mut network = own("split_phase").into_network();
    let line = network.element_index("line.lateral").unwrap();
    network.elements[line].in_service = false;
    let mut solver = Solver::new(network.clone(), Settings::default());
    assert!(solver.solve().is_solved());
    let dead = network.node_index("h2.1").unwrap();
    assert!(!solver.is_energised(dead));
    assert_eq!(solver.voltage(dead), Complex::ZERO);
    assert!(solver.is_energised(network.node_index("h1.1").unwrap()));
    let source = network.element_index("vsource.source").unwrap();
    network.elements[source].in_service = false;
    assert_eq!(Solver::new(network, Settings::default()).solve(), Outcome::NoSource);
}

#[test]
fn a_load_beyond_what_a_line_can_carry_diverges_by_name() {
    let mut network = own("four_wire").into_network();
    for load in &mut network.loads {
        (load.law, load.limits) = (Law::Power, Limits::NONE);
        load.p_w *= 30.0;
    }
    let mut solver = Solver::new(network, Settings::default());
    let outcome = solver.solve();
    let Outcome::Diverged { worst, .. } = &outcome else { panic!("{outcome:?}") };
    assert!(!worst.is_empty());
    let loads = solver.network().loads.len();
    for load in 0..loads {
        solver.set_load(load, 100.0, 10.0);
    }
    assert!(solver.solve().is_solved());
}

/// Exact measurements of a solved feeder of this repository give its state back, with switches
/// merged and dead parts left out.
#[track_caller]
fn check_exact(feeder: &str) {
    check_exact_of(own(feeder).network(), &|node| node < 3, 1, 1e-6);
}

/// The same of any feeder, with angles measured where `angle` holds, a voltage at the first nodes
/// and at each so many others, and the state to so much per unit.
#[track_caller]
fn check_exact_of(network: &Network, angle: &dyn Fn(usize) -> bool, every: usize, most: f64) {
    let settings = Settings { merge_switches: true, ..Settings::default() };
    let mut solver = Solver::new(network.clone(), settings);
    assert!(solver.solve().is_solved());
    let network = solver.network();
    // What is injected at a merged node is said of the first of its parts that has an injection.
    let zero = network.zero_injection_nodes();
    let (merged, place) = network.merged();
    let speaks = |of: usize| {
        let parts = || (0..place.len()).filter(|&node| place[node] == of);
        parts().find(|node| !zero.contains(node)).or_else(|| parts().next()).unwrap()
    };
    let mut injected = vec![Complex::ZERO; network.nodes.len()];
    for (row, column, y) in merged.admittance() {
        injected[speaks(row)] += y * solver.voltage(speaks(column));
    }
    let mut measurements = Vec::new();
    let mut add = |quantity, node, value: f64, sigma| {
        let id = format!("M{}", measurements.len());
        let target = Target::Node(node);
        let source = grid::measurement::Source::Meter;
        measurements.push(Measurement { id, source, quantity, target, value, sigma });
    };
    for (node, injected) in injected.iter().enumerate() {
        let v = solver.voltage(node);
        if node < 3 || node % every == 0 {
            add(Quantity::VoltageMagnitude, node, v.abs(), 0.005 * network.nodes[node].base_volt);
        }
        if angle(node) {
            add(Quantity::VoltageAngle, node, v.arg(), 0.002);
        }
        if !zero.contains(&node) {
            let s = v * injected.conj();
            add(Quantity::ActivePower, node, s.re, 300.0);
            add(Quantity::ReactivePower, node, s.im, 300.0);
        }
    }
    let mut estimate = Estimate::new(network, &measurements, 1e5).unwrap();
    let outcome = estimate.solve(&grid::estimation::Settings::default());
    assert!(outcome.is_solved(), "{outcome:?}");
    for (at, node) in network.nodes.iter().enumerate() {
        let v = estimate.voltage(at).unwrap().scale(node.base_volt);
        let off = (v - solver.voltage(at)).abs() / node.base_volt.max(1.0);
        assert!(off < most, "{}: off by {off} pu", node.id);
    }
}

/// A feeder that is solved from its script gives its state back without a measured angle: what
/// ties its phases is the source, whose own drop is what is left.
#[track_caller]
fn check_exact_without_angles(name: &str, file: &str, more: &str) {
    let Some(folder) = places::case(name) else { return };
    let network = cases::opendss::read_with(&folder.join(file), more).unwrap().network;
    let mut solver = Solver::new(network, Settings::default());
    assert!(solver.settle(100).settled);
    for every in [1, 10, 1000] {
        check_exact_of(solver.network(), &|_| false, every, 1e-4);
    }
}

#[test]
fn the_123_node_feeder_is_estimated_without_a_measured_angle() {
    check_exact_without_angles("opendss/ieee123", "IEEE123Master.dss", ONE_TAP_A_STEP);
}

#[test]
fn the_8500_node_feeder_is_estimated_without_a_measured_angle() {
    check_exact_without_angles("opendss/ieee8500", "Master-unbal.dss", "");
}

#[test]
fn exact_measurements_give_the_state_back_at_split_phases() {
    check_exact("split_phase");
}

#[test]
fn exact_measurements_give_the_state_back_over_merged_switches() {
    check_exact("language");
}
