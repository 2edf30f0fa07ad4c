//! pandapower's JSON against solutions of pandapower.
//!
//! The public cases have few kinds of elements; the others are in small networks that `make.py`
//! beside the files wrote, each with its solution.

use std::collections::BTreeMap;
use std::path::Path;

use cases::Import;
use cases::pandapower;
use grid::Complex;
use grid::Model;
use grid::Topology;
use grid::measurement::Quantity;
use grid::measurement::Target;
use grid::model::Holds;
use grid::model::SourceImpedance;
use grid::network::InjectionClass;
use grid::network::Severity;
use grid::network::Side;
use grid::network::Zip;
use grid::power_flow::PowerFlow;
use grid::power_flow::Settings;
use grid::power_flow::Start;
use serde::Deserialize;

use crate::folder::check_truth;
use crate::kirchhoff;
use crate::kirchhoff::Solution;
use crate::places;

/// Asserts that the JSON of a case reproduces the solutions of its folder.
#[track_caller]
fn check_case(case: &str) {
    let Some(folder) = places::case(case) else { return };
    let import = pandapower::read(&folder.join("network.pandapower.json")).unwrap();
    let notes = |remark: &&cases::Remark| remark.severity != Severity::Note;
    assert_eq!(import.remarks.iter().find(notes), None);
    check_truth(&folder, &import, 1e-8);
}

#[test]
fn ieee14_agrees_with_its_solutions() {
    check_case("ieee14");
}

#[test]
fn ieee57_agrees_with_its_solutions() {
    check_case("ieee57");
}

#[test]
fn case33bw_agrees_with_its_solutions() {
    check_case("case33bw");
}

#[test]
fn cigre_mv_agrees_with_its_solutions() {
    check_case("cigre_mv");
}

#[test]
fn simbench_lv_rural1_agrees_with_its_solutions() {
    check_case("simbench_lv_rural1");
}

#[test]
fn simbench_mv_rural_agrees_with_its_solutions() {
    check_case("simbench_mv_rural");
}

/// A solution beside a network that `make.py` wrote, by identifiers.
#[derive(Deserialize)]
struct Found {
    buses: BTreeMap<String, [f64; 2]>,
    branches: BTreeMap<String, Vec<f64>>,
    injections: BTreeMap<String, [f64; 2]>,
}

fn made(name: &str) -> Import {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pandapower");
    pandapower::read(&folder.join(format!("{name}.json"))).unwrap()
}

fn found(name: &str) -> Found {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pandapower");
    let text = std::fs::read_to_string(folder.join(format!("{name}.solution.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Asserts that a made network balances at the voltages of its solution and has its flows, and that
/// what is said of it is `said`, in part.
#[track_caller]
fn check_made(name: &str, said: &[&str]) {
    let import = made(name);
    let remarks: Vec<String> = import.remarks.iter().map(ToString::to_string).collect();
    for part in said {
        assert!(remarks.iter().any(|remark| remark.contains(part)), "{part}: {remarks:#?}");
    }
    assert_eq!(remarks.len(), said.len(), "{remarks:#?}");
    let (network, found) = (&import.network, found(name));
    let model = Model::new(network, SourceImpedance::Omitted).unwrap();
    let topology = Topology::new(&model);
    let voltage = |bus: &grid::network::Bus| {
        let [vm, va] = found.buses[&bus.id];
        Complex::from_polar(vm, va.to_radians())
    };
    let voltages: Vec<Complex> = network.buses.iter().map(voltage).collect();
    for (bus, voltage) in voltages.iter().enumerate() {
        let live = topology.energised(topology.node(bus)) && model.bus_in_service[bus];
        assert_eq!(live, *voltage != Complex::ZERO, "{}", network.buses[bus].id);
    }
    let base = 1.0 / network.base_mva;
    let power = |injection: &grid::network::Injection| {
        let power = found.injections.get(&injection.id);
        power.map(|[p, q]| Complex::new(*p, *q).scale(base))
    };
    let powers: Vec<Option<Complex>> = network.injections.iter().map(power).collect();
    check_powers(&import, &model, &topology, &voltages, &powers);
    check_flows(&import, &model, &kirchhoff::flows(&model, &topology, &voltages), &found);
    kirchhoff::check_power_flow(&model, topology.closed(), &voltages, 1e-8);
    let powers = with_inner_powers(&import, &model, &topology, &voltages, powers);
    let worst = kirchhoff::worst_mismatch(&model, &topology, &Solution { voltages, powers });
    assert!(worst.left < 1e-9, "{worst:?} at {}", network.buses[worst.bus].id);
}

/// Asserts that every injection of fixed law has the power that pandapower gives it.
#[track_caller]
fn check_powers(
    import: &Import,
    model: &Model,
    topology: &Topology,
    voltages: &[Complex],
    powers: &[Option<Complex>],
) {
    for (at, injection) in import.network.injections.iter().enumerate() {
        let ours = &model.injections[at];
        let live = topology.energised(topology.node(ours.bus)) && ours.in_service;
        if let (Holds::Power, Some(power), true) = (ours.holds, powers[at], live) {
            let off = (kirchhoff::power_at(ours, voltages[ours.bus]) - power).abs();
            assert!(off < 1e-9, "{}: {off:.2e} pu", injection.id);
        }
    }
}

#[track_caller]
fn check_flows(import: &Import, model: &Model, flows: &[[Complex; 2]], found: &Found) {
    let network = &import.network;
    let mut ends: Vec<(&str, Vec<Complex>)> = Vec::new();
    for (at, branch) in network.branches.iter().enumerate() {
        ends.push((&branch.id, flows[at].to_vec()));
    }
    for (at, transformer) in network.three_winding.iter().enumerate() {
        let winding = |k: usize| flows[model.windings_from + 3 * at + k][usize::from(k > 0)];
        ends.push((&transformer.id, (0..3).map(winding).collect()));
    }
    let mut compared = 0;
    for (id, flows) in ends {
        // Branches inside of extended wards and switches are pandapower's, but not its results.
        let Some(theirs) = found.branches.get(id) else { continue };
        compared += 1;
        for (ours, theirs) in flows.iter().zip(theirs.chunks(2)) {
            let off = (ours.scale(network.base_mva) - Complex::new(theirs[0], theirs[1])).abs();
            assert!(off < 1e-7, "{id}: {off:.2e} MVA");
        }
    }
    assert_eq!(compared, found.branches.len());
}

/// Powers with those inside of extended wards, whose active power must be zero.
fn with_inner_powers(
    import: &Import,
    model: &Model,
    topology: &Topology,
    voltages: &[Complex],
    mut powers: Vec<Option<Complex>>,
) -> Vec<Option<Complex>> {
    let flows = kirchhoff::flows(model, topology, voltages);
    for (at, injection) in import.network.injections.iter().enumerate() {
        let Some(ward) = injection.id.strip_suffix(".inside") else { continue };
        let branch = import.network.branches.iter().position(|branch| branch.id == ward).unwrap();
        let power = flows[branch][1];
        assert!(power.re.abs() < 1e-9, "{ward} has {power:?} inside");
        powers[at] = Some(power);
    }
    powers
}

#[test]
fn lines_with_parallel_systems_and_impedances() {
    check_made("lines", &[]);
}

#[test]
fn tap_changers_of_every_type() {
    let said = ["index 6: shifts by percent", "index 8: has its tap away from neutral"];
    check_made("taps", &said);
}

#[test]
fn transformers_as_a_pi() {
    check_made("pi_model", &[]);
}

#[test]
fn tap_positions_from_a_table() {
    check_made("tap_table", &["index 1: has its tap position from a table"]);
}

#[test]
fn three_windings_with_losses_at_high_voltage() {
    check_made("three_windings_hv", &[]);
}

#[test]
fn three_windings_with_losses_at_medium_voltage() {
    check_made("three_windings_mv", &[]);
}

#[test]
fn three_windings_with_losses_at_low_voltage() {
    check_made("three_windings_lv", &[]);
}

#[test]
fn three_windings_with_losses_at_the_star_point() {
    check_made("three_windings_star", &[]);
}

#[test]
fn three_windings_with_taps_and_an_open_winding() {
    check_made("three_windings_taps", &[]);
}

#[test]
fn shunts_with_steps_and_wards() {
    check_made("shunts", &["has its inner voltage at a bus of its own, XW0"]);
}

#[test]
fn loads_of_every_kind() {
    let said =
        ["table asymmetric_load, index 0: has powers", "table asymmetric_sgen, index 0: has"];
    check_made("loads", &said);
}

#[test]
fn generators_that_hold_voltage_and_angle() {
    check_made("generators", &[]);
    let network = made("generators").network;
    let injection = |id: &str| network.injections.iter().find(|one| one.id == id).unwrap();
    assert_eq!(injection("G0").q_limits_mvar, Some((-2.0, 2.5)));
    assert_eq!(injection("G2").q_limits_mvar, Some((f64::NEG_INFINITY, 9.0)));
    assert_eq!(injection("EG0").q_limits_mvar, None);
}

#[test]
fn switches_of_every_kind() {
    check_made("switches", &["index 5: has z_ohm 0.35", "index 6: has z_ohm 0.35"]);
}

#[test]
fn files_of_an_older_format() {
    check_made("old_format", &[]);
}

#[test]
fn a_file_of_version_1_is_refused_with_a_hint() {
    let text = r#"{"_class": "pandapowerNet", "_object": {"version": 1.6, "bus": {}}}"#;
    let value = serde_json::from_str(text).unwrap();
    let error = pandapower::from_value(Path::new("old.json"), &value).unwrap_err();
    assert!(error.to_string().contains("save it again"), "{error}");
}

#[test]
fn measurements_have_the_values_of_the_model() {
    check_made("measured", &[]);
    let import = made("measured");
    let (network, found) = (&import.network, found("measured"));
    let model = Model::new(network, SourceImpedance::Omitted).unwrap();
    let topology = Topology::new(&model);
    let voltage = |bus: &grid::network::Bus| {
        let [vm, va] = found.buses[&bus.id];
        Complex::from_polar(vm, va.to_radians())
    };
    let voltages: Vec<Complex> = network.buses.iter().map(voltage).collect();
    let flows = kirchhoff::flows(&model, &topology, &voltages);
    assert_eq!(import.measurements.len(), 11);
    assert_eq!(network.sensors.len(), 11);
    for measurement in &import.measurements {
        let (power, bus) = match measurement.target {
            Target::Bus(bus) => {
                // Everything that is injected at the bus flows into its branches.
                let at = |(b, branch): (usize, &grid::network::Branch)| {
                    let [from, to] = flows[b];
                    let none = Complex::ZERO;
                    (if branch.from == bus { from } else { none })
                        + if branch.to == bus { to } else { none }
                };
                let sum = network.branches.iter().enumerate().map(at);
                (sum.fold(Complex::ZERO, |sum, flow| sum + flow), bus)
            }
            Target::Injection(at) => {
                let injection = &network.injections[at.0];
                let [p, q] = found.injections[&injection.id];
                (Complex::new(p, q).scale(1.0 / network.base_mva), injection.bus)
            }
            Target::BranchEnd(at, side) => {
                let branch = &network.branches[at.0];
                let bus = if side == Side::From { branch.from } else { branch.to };
                (flows[at.0][side as usize], bus)
            }
        };
        let v = voltages[bus.0];
        let expected = match measurement.quantity {
            Quantity::VoltageMagnitude => v.abs(),
            Quantity::VoltageAngle => v.arg(),
            Quantity::ActivePower => power.re,
            Quantity::ReactivePower => power.im,
            Quantity::CurrentMagnitude => power.abs() / v.abs(),
            Quantity::CurrentAngle => (power / v).conj().arg(),
        };
        let off = (measurement.value - expected).abs();
        assert!(off < 1e-8, "{measurement:?} should be {expected}");
    }
}

#[test]
fn what_is_not_modelled_is_named_with_table_and_row() {
    let import = made("not_modelled");
    assert!(!import.is_whole());
    let remarks: Vec<String> = import.remarks.iter().map(ToString::to_string).collect();
    let expected = [
        "table impedance, index 0: differs by direction (rft_pu, xft_pu from rtf_pu, xtf_pu): no \
         passive branch does, so it is left out",
        "table switch, index 0: is at bus 0, where line 0 has no end; it is left out",
        "table measurement, index 0: has no std_dev above zero; it is left out",
        "table dcline, index 0: is of a kind that is not modelled, and out of service",
        "table dcline, index 1, \"link\": is of a kind that is not modelled; it is left out",
        "tables: say nothing of the network and are not read: poly_cost (1 rows)",
    ];
    assert_eq!(remarks, expected);
}

/// A power flow of a made network from flat, its voltages those of pandapower's.
#[track_caller]
fn check_solved(name: &str, q_limits: bool) -> (Import, PowerFlow) {
    let (import, found) = (made(name), found(name));
    assert!(import.is_whole(), "{:?}", import.remarks);
    let mut flow = PowerFlow::new(Model::new(&import.network, SourceImpedance::Omitted).unwrap());
    let settings = Settings { tolerance_pu: 1e-11, q_limits, ..Settings::default() };
    assert!(flow.solve(Start::Flat, &settings).solved());
    for (at, bus) in import.network.buses.iter().enumerate() {
        let [vm, va] = found.buses[&bus.id];
        let off = (flow.voltage(at) - Complex::from_polar(vm, va.to_radians())).abs();
        assert!(off < 1e-8, "{}: {off:.2e} pu", bus.id);
    }
    (import, flow)
}

/// Its machines at buses with such loads are off by what those draw less (`res_gen` is the balance
/// with the loads at nominal voltage), so they are not compared.
#[test]
fn loads_of_every_law_draw_what_they_draw_in_pandapower() {
    let (import, flow) = check_solved("zip_loads", false);
    let found = found("zip_loads");
    let loads = import.network.injections.iter().enumerate();
    for (at, load) in loads.filter(|(_, of)| of.class == InjectionClass::Load) {
        let [p, q] = found.injections[&load.id];
        let off = (flow.power(at).scale(import.network.base_mva) - Complex::new(p, q)).abs();
        assert!(off < 1e-6, "{}: {off:.2e} MVA", load.id);
        assert!((p - load.p_mw).abs() > 0.0 || load.zip == Zip::POWER, "{}", load.id);
    }
}

#[test]
fn machines_stop_at_their_limits_where_pandapower_stops_them() {
    let (import, flow) = check_solved("q_limits", true);
    let (network, found) = (&import.network, found("q_limits"));
    let mut at_limits = 0;
    for (at, injection) in network.injections.iter().enumerate() {
        let [_, q] = found.injections[&injection.id];
        let own = flow.power(at).im * network.base_mva;
        assert!((own - q).abs() < 1e-6, "{}: {own} Mvar, not {q}", injection.id);
        let limits = injection.q_limits_mvar.unwrap_or((f64::NAN, f64::NAN));
        at_limits += usize::from(q == limits.0 || q == limits.1);
    }
    assert_eq!(at_limits, 3);
}
