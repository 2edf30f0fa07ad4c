//! Measuring points at the windings of transformers with three, from every format that has them:
//! values made from a power flow have to be those of the winding they are said to be at.

use std::path::Path;

use cases::Import;
use cases::folder;
use cases::pandapower;
use cases::pgm;
use grid::Model;
use grid::measurement::Measurement;
use grid::measurement::Quantity;
use grid::model::SourceImpedance;
use grid::network::Fault;
use grid::network::check;
use grid::power_flow::PowerFlow;
use grid::power_flow::Settings;
use grid::power_flow::Start;
use serde_json::Value;
use serde_json::json;

fn json_of(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A power flow of a network.
fn solved(import: &Import) -> PowerFlow {
    let model = Model::new(&import.network, SourceImpedance::Kept).unwrap();
    let mut flow = PowerFlow::new(model);
    assert!(flow.solve(Start::Flat, &Settings::default()).solved());
    flow
}

/// What flows into winding `winding` (from 0) of the first transformer: MVA, and A.
fn at_winding(import: &Import, flow: &PowerFlow, winding: usize) -> (grid::Complex, f64) {
    let network = &import.network;
    let (branch, end) = (network.branches.len() + winding, usize::from(winding > 0));
    let bus = network.three_winding[0].windings[winding].bus.0;
    let base_a = 1e3 * grid::per_unit::base_ka(network.base_mva, network.buses[bus].nominal_kv);
    let mva = flow.flows(branch)[end].scale(network.base_mva);
    (mva, flow.currents(branch)[end].abs() * base_a)
}

/// Each measurement is at the winding it is listed with, and has the value that flows there.
#[track_caller]
fn check_windings(import: &Import, flow: &PowerFlow, found: &[Measurement], windings: &[usize]) {
    let network = &import.network;
    assert_eq!(found.len(), windings.len());
    for (one, &winding) in found.iter().zip(windings) {
        assert_eq!(one.target.as_winding(network), Some((0, winding)), "{}", one.id);
        let (branch, end) = (network.branches.len() + winding, usize::from(winding > 0));
        let expected = match one.quantity {
            Quantity::ActivePower => flow.flows(branch)[end].re,
            Quantity::ReactivePower => flow.flows(branch)[end].im,
            _ => flow.currents(branch)[end].abs(),
        };
        assert!((one.value - expected).abs() < 1e-9, "{}: {} {expected}", one.id, one.value);
    }
    let faults = check::check_measurements(network, found);
    assert!(!faults.iter().any(Fault::is_fatal), "{faults:?}");
    let about = |fault: &&Fault| fault.element.starts_with("sensor");
    assert_eq!(check::check(network).iter().find(about), None);
}

#[test]
fn a_table_of_measurements_names_windings_by_word_or_number() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"));
    let import = pandapower::read(&path.join("tests/pandapower/three_windings_hv.json")).unwrap();
    let flow = solved(&import);
    let id = &import.network.three_winding[0].id;
    let at = |winding: usize| at_winding(&import, &flow, winding);
    let rows = [
        format!("a,p_flow,branch,{id},hv,MW,{},0.1", at(0).0.re),
        format!("b,q_flow,,{id},2,Mvar,{},0.1", at(1).0.im),
        format!("c,i_mag,,{id},lv,A,{},1", at(2).1),
        format!("d,p_flow,,{id},from,MW,1,0.1"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meas.csv");
    let header = "meas_id,kind,element_type,element_id,side,unit_si,value_si,sigma_si";
    std::fs::write(&path, format!("{header}\n{}\n", rows.join("\n"))).unwrap();
    let readings = folder::measurements(&path, &import.network).unwrap();
    check_windings(&import, &flow, &readings.measurements, &[0, 1, 2]);
    let said: Vec<String> = readings.remarks.iter().map(ToString::to_string).collect();
    let expected = "meas.csv:5, column side, d: \"from\" is none of hv, mv, lv, 1, 2, 3";
    assert_eq!(said, [expected]);
}

#[test]
fn pandapower_measures_at_windings() {
    let mut net = json_of("pandapower/three_windings_hv.json");
    let path = Path::new(env!("CARGO_MANIFEST_DIR"));
    let plain = pandapower::read(&path.join("tests/pandapower/three_windings_hv.json")).unwrap();
    let flow = solved(&plain);
    let at = |winding: usize| at_winding(&plain, &flow, winding);
    // By the label of its bus, too.
    let low = plain.network.three_winding[0].windings[2].bus.0;
    let low: u64 = plain.network.buses[low].id.trim_start_matches('B').parse().unwrap();
    let table = json!({
        "columns": [
            "name", "measurement_type", "element_type", "element", "value", "std_dev", "side"
        ],
        "index": [0, 1, 2, 3],
        "data": [
            [null, "p", "trafo3w", 0, at(0).0.re, 0.1, "hv"],
            [null, "q", "trafo3w", 0, at(1).0.im, 0.1, "mv"],
            [null, "i", "trafo3w", 0, at(2).1 / 1e3, 0.1, low],
            [null, "p", "trafo3w", 0, 1.0, 0.1, "to"],
        ],
    });
    net["_object"]["measurement"]["_object"] = json!(table.to_string());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.json");
    std::fs::write(&path, net.to_string()).unwrap();
    let import = pandapower::read(&path).unwrap();
    check_windings(&import, &flow, &import.measurements, &[0, 1, 2]);
    let said = import.remarks.iter().filter(|remark| remark.problem.contains("winding"));
    assert_eq!(said.count(), 1, "{:?}", import.remarks);
}

#[test]
fn power_grid_model_measures_at_windings() {
    let mut data = json_of("pgm/three_winding_tap_1.json");
    let path = Path::new(env!("CARGO_MANIFEST_DIR"));
    let plain = pgm::read(&path.join("tests/pgm/three_winding_tap_1.json")).unwrap();
    let flow = solved(&plain);
    let at = |winding: usize| at_winding(&plain, &flow, winding);
    let power = |id: u64, winding: usize| {
        let mva = at(winding).0;
        json!({
            "id": id, "measured_object": 10, "measured_terminal_type": 6 + winding,
            "p_measured": 1e6 * mva.re, "q_measured": 1e6 * mva.im, "power_sigma": 1e4,
        })
    };
    data["data"]["sym_power_sensor"] = json!([power(60, 0), power(61, 2)]);
    data["data"]["sym_current_sensor"] = json!([{
        "id": 70, "measured_object": 10, "measured_terminal_type": 7,
        "angle_measurement_type": 1, "i_measured": at(1).1, "i_sigma": 1.0,
    }]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.json");
    std::fs::write(&path, data.to_string()).unwrap();
    let import = pgm::read(&path).unwrap();
    check_windings(&import, &flow, &import.measurements, &[0, 0, 2, 2, 1]);
}
