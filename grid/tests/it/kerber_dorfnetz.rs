//! The power flow against pandapower on Kerber's village network, from data sheets, and what a
//! solve costs.
//!
//! The case folder holds the network and its solved load cases; its SOURCE.md says how they were
//! made.

use std::path::PathBuf;
use std::time::Instant;

use serde::Deserialize;

use grid::BusIndex;
use grid::Complex;
use grid::Model;
use grid::Network;
use grid::model::SourceImpedance;
use grid::model::siemens_from_nf;
use grid::network::Branch;
use grid::network::BranchClass;
use grid::network::Bus;
use grid::network::Control;
use grid::network::Injection;
use grid::network::InjectionClass;
use grid::network::Line;
use grid::network::Parameters;
use grid::network::Transformer;
use grid::network::Zip;
use grid::power_flow::Outcome;
use grid::power_flow::PowerFlow;
use grid::power_flow::Settings;
use grid::power_flow::Start;

/// The power base: a thousand kVA make per unit and kW easy to compare.
const BASE_MVA: f64 = 1.0;
/// Largest difference from pandapower's voltage that passes, per unit.
const VM_TOLERANCE_PU: f64 = 1e-6;
/// The same in angle: 1e-6 of a radian in degrees.
const VA_TOLERANCE_DEG: f64 = 6e-5;
/// The same in power: 1e-6 of the transformer's rating.
const POWER_TOLERANCE_KW: f64 = 4e-4;
const LOADING_TOLERANCE_PERCENT: f64 = 1e-3;

#[derive(Deserialize)]
struct NetworkFile {
    frequency_hz: f64,
    buses: Vec<BusRow>,
    branches: Vec<BranchRow>,
    transformers: Vec<TransformerRow>,
}

#[derive(Deserialize)]
struct BusRow {
    bus_id: String,
    nominal_kv: f64,
}

#[derive(Deserialize)]
struct BranchRow {
    branch_id: String,
    from_bus_id: String,
    to_bus_id: String,
    length_km: f64,
    r_ohm_per_km: f64,
    x_ohm_per_km: f64,
    c_nf_per_km: f64,
    rated_a: f64,
}

#[derive(Deserialize)]
struct TransformerRow {
    transformer_id: String,
    hv_bus_id: String,
    lv_bus_id: String,
    rated_kva: f64,
    hv_kv: f64,
    lv_kv: f64,
    vk_percent: f64,
    vkr_percent: f64,
    pfe_kw: f64,
    i0_percent: f64,
    shift_deg: f64,
}

#[derive(Deserialize)]
struct CaseFile {
    loads: Vec<LoadRow>,
    buses: Vec<SolvedBus>,
    branches: Vec<SolvedBranch>,
    transformer: SolvedTransformer,
}

#[derive(Deserialize)]
struct LoadRow {
    bus_id: String,
    p_kw: f64,
    q_kvar: f64,
}

#[derive(Deserialize)]
struct SolvedBus {
    bus_id: String,
    vm_pu: f64,
    va_deg: f64,
}

#[derive(Deserialize)]
struct SolvedBranch {
    branch_id: String,
    p_from_kw: f64,
    q_from_kvar: f64,
    p_to_kw: f64,
    q_to_kvar: f64,
    loading_percent: f64,
}

#[derive(Deserialize)]
struct SolvedTransformer {
    p_hv_kw: f64,
    q_hv_kvar: f64,
    p_lv_kw: f64,
    q_lv_kvar: f64,
    loading_percent: f64,
}

fn read<T: for<'a> Deserialize<'a>>(name: &str) -> T {
    // Where the package is now: a build is found again from another checkout.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| ".".to_owned());
    let folder = PathBuf::from(package).join("tests/cases/kerber_dorfnetz");
    let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn line(row: &BranchRow, index: &dyn Fn(&str) -> BusIndex, frequency_hz: f64) -> Branch {
    let line = Line {
        r_ohm: row.r_ohm_per_km * row.length_km,
        x_ohm: row.x_ohm_per_km * row.length_km,
        g_siemens: 0.0,
        b_siemens: siemens_from_nf(row.c_nf_per_km * row.length_km, frequency_hz),
        rated_ka: Some(row.rated_a / 1e3),
    };
    Branch {
        id: row.branch_id.clone(),
        name: String::new(),
        from: index(&row.from_bus_id),
        to: index(&row.to_bus_id),
        class: BranchClass::Line,
        parameters: Parameters::Line(line),
        in_service: true,
    }
}

fn transformer(row: &TransformerRow, index: &dyn Fn(&str) -> BusIndex) -> Branch {
    let sheet = Transformer {
        rated_mva: row.rated_kva / 1e3,
        from_kv: row.hv_kv,
        to_kv: row.lv_kv,
        vk_percent: row.vk_percent,
        vkr_percent: row.vkr_percent,
        pfe_kw: row.pfe_kw,
        i0_percent: row.i0_percent,
        shift_deg: row.shift_deg,
        parallel: 1,
        ..Transformer::default()
    };
    Branch {
        id: row.transformer_id.clone(),
        name: String::new(),
        from: index(&row.hv_bus_id),
        to: index(&row.lv_bus_id),
        class: BranchClass::Transformer,
        parameters: Parameters::Transformer(Box::new(sheet)),
        in_service: true,
    }
}

fn injection(bus: BusIndex, control: Control) -> Injection {
    Injection {
        id: format!("injection-{}", bus.0),
        name: String::new(),
        class: InjectionClass::Load,
        bus,
        control,
        p_mw: 0.0,
        q_mvar: 0.0,
        zip: Zip::POWER,
        q_limits_mvar: None,
        in_service: true,
    }
}

/// The network: injection `i` is at bus `i`, the source comes after them, the transformer is the
/// last branch.
fn network() -> Network {
    let file: NetworkFile = read("network");
    let index = |id: &str| BusIndex(file.buses.iter().position(|b| b.bus_id == id).unwrap());
    let bus = |b: &BusRow| Bus {
        id: b.bus_id.clone(),
        name: String::new(),
        nominal_kv: b.nominal_kv,
        in_service: true,
    };
    let mut branches: Vec<Branch> =
        file.branches.iter().map(|b| line(b, &index, file.frequency_hz)).collect();
    branches.extend(file.transformers.iter().map(|t| transformer(t, &index)));
    let mut injections: Vec<Injection> =
        (0..file.buses.len()).map(|b| injection(BusIndex(b), Control::Power)).collect();
    let source = Control::Slack { vm_pu: 1.0, va_deg: 0.0, impedance_pu: None };
    injections.push(injection(index("bus-000"), source));
    Network {
        name: "kerber_dorfnetz".to_owned(),
        frequency_hz: file.frequency_hz,
        base_mva: BASE_MVA,
        buses: file.buses.iter().map(bus).collect(),
        branches,
        injections,
        ..Network::default()
    }
}

fn flow(network: &Network) -> PowerFlow {
    PowerFlow::new(Model::new(network, SourceImpedance::Kept).unwrap())
}

fn set_loads(flow: &mut PowerFlow, network: &Network, case: &CaseFile) {
    for bus in 0..network.buses.len() {
        flow.set_power(bus, Complex::ZERO);
    }
    for load in &case.loads {
        let bus = network.bus_index(&load.bus_id).unwrap();
        let s = Complex::new(load.p_kw, load.q_kvar).scale(1.0 / (1e3 * BASE_MVA));
        flow.set_power(bus.0, -s);
    }
}

#[track_caller]
fn assert_close(what: &str, found: f64, expected: f64, tolerance: f64) {
    let difference = (found - expected).abs();
    assert!(difference < tolerance, "{what}: {found} is not {expected} ({difference:e} off)");
}

#[track_caller]
fn assert_flow(what: &str, found: Complex, p_kw: f64, q_kvar: f64) {
    let kva = found.scale(1e3 * BASE_MVA);
    assert_close(&format!("{what} p_kw"), kva.re, p_kw, POWER_TOLERANCE_KW);
    assert_close(&format!("{what} q_kvar"), kva.im, q_kvar, POWER_TOLERANCE_KW);
}

/// Solves one case and compares every voltage and flow with pandapower's.
#[track_caller]
fn check(name: &str) {
    let (network, case) = (network(), read::<CaseFile>(name));
    let mut flow = flow(&network);
    set_loads(&mut flow, &network, &case);
    let outcome = flow.solve(Start::Flat, &Settings::default());
    assert!(outcome.solved(), "{outcome:?}");
    assert_eq!(case.buses.len(), 116);
    let (vm_pu, va_rad) = (flow.vm_pu(), flow.va_rad());
    for bus in &case.buses {
        let i = network.bus_index(&bus.bus_id).unwrap().0;
        assert_close(&bus.bus_id, vm_pu[i], bus.vm_pu, VM_TOLERANCE_PU);
        assert_close(&bus.bus_id, va_rad[i].to_degrees(), bus.va_deg, VA_TOLERANCE_DEG);
    }
    assert_eq!(case.branches.len(), 114);
    let tolerance = LOADING_TOLERANCE_PERCENT;
    for (i, branch) in case.branches.iter().enumerate() {
        let (id, [from, to]) = (&branch.branch_id, flow.flows(i));
        assert_eq!(*id, network.branches[i].id);
        assert_flow(id, from, branch.p_from_kw, branch.q_from_kvar);
        assert_flow(id, to, branch.p_to_kw, branch.q_to_kvar);
        assert_close(id, 100.0 * flow.loading(i), branch.loading_percent, tolerance);
    }
    let (last, expected) = (case.branches.len(), &case.transformer);
    let [hv, lv] = flow.flows(last);
    assert_flow("hv", hv, expected.p_hv_kw, expected.q_hv_kvar);
    assert_flow("lv", lv, expected.p_lv_kw, expected.q_lv_kvar);
    assert_close("loading", 100.0 * flow.loading(last), expected.loading_percent, tolerance);
    let source = network.injections.len() - 1;
    assert_flow("source", flow.power(source), expected.p_hv_kw, expected.q_hv_kvar);
}

#[test]
fn six_kilowatts_a_home_as_pandapower() {
    check("default");
}

#[test]
fn homes_that_export_at_noon_as_pandapower() {
    check("pv_noon");
}

#[test]
fn import_and_export_side_by_side_as_pandapower() {
    check("evening_mixed");
}

#[test]
fn an_overloaded_transformer_as_pandapower() {
    check("stressed");
}

#[test]
fn a_warm_start_finds_what_a_flat_start_finds() {
    // Two states within a tolerance are as far from each other as it and the impedances say.
    let settings = Settings { tolerance_pu: 1e-12, ..Settings::default() };
    let network = network();
    let [noon, stressed] = ["pv_noon", "stressed"].map(read::<CaseFile>);
    let (mut warm, mut flat) = (flow(&network), flow(&network));
    set_loads(&mut warm, &network, &stressed);
    assert!(warm.solve(Start::Warm, &settings).solved());
    set_loads(&mut warm, &network, &noon);
    assert!(warm.solve(Start::Warm, &settings).solved());
    set_loads(&mut flat, &network, &noon);
    assert!(flat.solve(Start::Flat, &settings).solved());
    for (w, f) in warm.vm_pu().iter().zip(flat.vm_pu()) {
        assert_close("vm_pu", *w, f, 1e-8);
    }
}

/// Prints what a solve costs: `cargo test -p gridloom-grid -- --ignored --nocapture cost`.
#[test]
#[ignore = "a measurement, not a check"]
fn cost_of_a_solve_116_buses_20000_rounds() {
    let (network, case) = (network(), read::<CaseFile>("default"));
    let mut flow = flow(&network);
    set_loads(&mut flow, &network, &case);
    let base = flow.model().injections.clone();
    let (rounds, mut steps) = (20_000_u32, 0);
    let start = Instant::now();
    for round in 0..rounds {
        // Each load moves by up to half a kilowatt from round to round, as on a 5 s step.
        for (i, injection) in base.iter().enumerate() {
            let wobble = f64::from((round * 7919 + i as u32 * 104_729) % 1000) / 1000.0 - 0.5;
            flow.set_power(i, injection.s.scale(1.0 + wobble / 6.0));
        }
        match flow.solve(Start::Warm, &Settings::default()) {
            Outcome::Solved { iterations, .. } => steps += iterations,
            other => panic!("{other:?}"),
        }
    }
    let mean_us = start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds);
    println!("{mean_us:.1} us a solve, {:.1} steps", steps as f64 / f64::from(rounds));
}
