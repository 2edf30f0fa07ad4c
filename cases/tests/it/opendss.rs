//! Scripts against what OpenDSS makes of them: primitive admittances of every element, voltages,
//! and where its controls stop. The feeders are this repository's own; `tests/opendss/expected.py`
//! made the answers.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use cases::UnbalancedImport;
use grid::Complex;
use grid::three_phase::Control;
use grid::three_phase::Kind;
use grid::three_phase::Settings;
use grid::three_phase::Solver;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/opendss")
}

/// The rows of an answer: the first cell, then the others.
fn answer(feeder: &str, kind: &str) -> Vec<(String, Vec<String>)> {
    let path = folder().join(format!("{feeder}.{kind}.csv"));
    let text = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let mut cells = line.split(',').map(str::to_owned);
        (cells.next().unwrap(), cells.collect())
    };
    text.lines().skip(1).map(row).collect()
}

fn read(feeder: &str) -> UnbalancedImport {
    let import = cases::opendss::read(&folder().join(format!("{feeder}.dss"))).unwrap();
    assert!(import.is_whole(), "{:#?}", import.remarks);
    import
}

/// What OpenDSS puts in the place of zeros, and what cancellation leaves, in siemens.
const EMPTY: f64 = 2e-12;

/// Every entry of every primitive admittance to 1e-9 of the element's largest, where the controls
/// stop.
#[track_caller]
fn check_elements(solver: &Solver, feeder: &str) {
    let elements = &solver.network().elements;
    for (name, cells) in answer(feeder, "yprim") {
        let element = elements.iter().find(|element| element.name == name);
        let Some(element) = element else { panic!("{name} is not there") };
        let numbers: Vec<f64> = cells[1].split_whitespace().map(|x| x.parse().unwrap()).collect();
        let expected: Vec<Complex> =
            numbers.chunks(2).map(|part| Complex::new(part[0], part[1])).collect();
        let largest = expected.iter().map(|y| y.abs()).fold(0.0, f64::max);
        assert_eq!(element.y.values().len(), expected.len(), "{name}");
        for (at, (own, expected)) in element.y.values().iter().zip(&expected).enumerate() {
            let off = (*own - *expected).abs();
            assert!(off <= 1e-9 * largest + EMPTY, "{name}, entry {at}: {own:?}, not {expected:?}");
        }
    }
}

/// Voltages to a share of their base, and the bases.
#[track_caller]
fn check_voltages(solver: &Solver, feeder: &str, tolerance: f64) {
    let nodes = &solver.network().nodes;
    let expected: BTreeMap<String, Vec<String>> = answer(feeder, "nodes").into_iter().collect();
    assert_eq!(nodes.len(), expected.len());
    for (at, node) in nodes.iter().enumerate() {
        let cells: Vec<f64> = expected[&node.id].iter().map(|x| x.parse().unwrap()).collect();
        let (v, base) = (Complex::new(cells[0], cells[1]), cells[2]);
        let off = (solver.voltage(at) - v).abs() / base;
        assert!(off < tolerance, "{}: {:?}, not {v:?}", node.id, solver.voltage(at));
        if v != Complex::ZERO {
            assert!((node.base_volt / base - 1.0).abs() < 1e-9, "{}: {}", node.id, node.base_volt);
        }
    }
}

#[track_caller]
fn check_positions(solver: &Solver, feeder: &str) {
    let expected: BTreeMap<String, Vec<String>> = answer(feeder, "controls").into_iter().collect();
    for control in &solver.network().controls {
        let (element, winding) = match control {
            Control::Regulator(of) => (of.element, of.tap_winding),
            Control::Capacitor(of) => (of.capacitor, 0),
        };
        let element = &solver.network().elements[element];
        let position = match &element.kind {
            Kind::Transformer(sheet) => sheet.windings[winding].tap_number(),
            Kind::Capacitor(sheet) => sheet.steps_closed() as i32,
            _ => panic!("{} is controlled", element.name),
        };
        assert_eq!(position.to_string(), expected[&element.name][0], "{}", element.name);
    }
}

#[track_caller]
fn check(feeder: &str) {
    let mut solver = Solver::new(read(feeder).network, Settings::default());
    let settled = solver.settle(100);
    assert!(settled.settled, "{settled:?}");
    check_positions(&solver, feeder);
    check_elements(&solver, feeder);
    check_voltages(&solver, feeder, 1e-8);
}

#[test]
fn four_wires_with_a_neutral_of_its_own() {
    check("four_wire");
}

#[test]
fn a_delta_without_ground_and_loads_of_every_law() {
    check("floating_delta");
}

#[test]
fn secondaries_tapped_in_the_middle() {
    check("split_phase");
}

#[test]
fn regulators_and_capacitors_stop_where_they_do_in_opendss() {
    check("controls");
}

#[test]
fn shortened_names_arithmetic_and_edits() {
    check("language");
}
