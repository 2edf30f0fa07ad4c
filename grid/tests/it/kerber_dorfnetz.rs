//! The sweep against pandapower on Kerber's village network, and what a solve costs.
//!
//! The case folder holds the network and its solved load cases; its SOURCE.md says how they were
//! made.

use std::path::PathBuf;
use std::time::Instant;

use serde::Deserialize;

use grid::Branch;
use grid::Bus;
use grid::BusIndex;
use grid::Injection;
use grid::Network;
use grid::Sweep;
use grid::Transformer;
use grid::power_flow::Flow;

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

fn network() -> Network {
    let file: NetworkFile = read("network");
    let index = |id: &str| BusIndex(file.buses.iter().position(|b| b.bus_id == id).unwrap());
    let bus = |b: &BusRow| Bus { id: b.bus_id.clone(), nominal_kv: b.nominal_kv };
    let branch = |b: &BranchRow| Branch {
        id: b.branch_id.clone(),
        from: index(&b.from_bus_id),
        to: index(&b.to_bus_id),
        length_km: b.length_km,
        r_ohm_per_km: b.r_ohm_per_km,
        x_ohm_per_km: b.x_ohm_per_km,
        c_nf_per_km: b.c_nf_per_km,
        rated_a: b.rated_a,
    };
    let transformer = |t: &TransformerRow| Transformer {
        id: t.transformer_id.clone(),
        hv: index(&t.hv_bus_id),
        lv: index(&t.lv_bus_id),
        rated_kva: t.rated_kva,
        hv_kv: t.hv_kv,
        lv_kv: t.lv_kv,
        vk_percent: t.vk_percent,
        vkr_percent: t.vkr_percent,
        pfe_kw: t.pfe_kw,
        i0_percent: t.i0_percent,
        shift_deg: t.shift_deg,
    };
    Network::new(
        file.buses.iter().map(bus).collect(),
        file.branches.iter().map(branch).collect(),
        file.transformers.iter().map(transformer).collect(),
        index("bus-000"),
        file.frequency_hz,
    )
    .unwrap()
}

fn injections(network: &Network, case: &CaseFile) -> Vec<Injection> {
    let mut injections = vec![Injection::default(); network.buses().len()];
    for load in &case.loads {
        let bus = network.bus_index(&load.bus_id).unwrap();
        injections[bus.0] = Injection { p_kw: -load.p_kw, q_kvar: -load.q_kvar };
    }
    injections
}

#[track_caller]
fn assert_close(what: &str, found: f64, expected: f64, tolerance: f64) {
    let difference = (found - expected).abs();
    assert!(difference < tolerance, "{what}: {found} is not {expected} ({difference:e} off)");
}

#[track_caller]
fn assert_flow(what: &str, found: Flow, p_kw: f64, q_kvar: f64) {
    assert_close(&format!("{what} p_kw"), found.p_kw, p_kw, POWER_TOLERANCE_KW);
    assert_close(&format!("{what} q_kvar"), found.q_kvar, q_kvar, POWER_TOLERANCE_KW);
}

/// Solves one case and compares every voltage and flow with pandapower's.
#[track_caller]
fn check(name: &str) {
    let (network, case) = (network(), read::<CaseFile>(name));
    let mut sweep = Sweep::new(&network).unwrap();
    let status = sweep.solve(&injections(&network, &case));
    assert!(status.solved(), "{status:?}");
    let solution = sweep.solution();
    assert_eq!(case.buses.len(), 116);
    for bus in &case.buses {
        let i = network.bus_index(&bus.bus_id).unwrap().0;
        assert_close(&bus.bus_id, solution.vm_pu[i], bus.vm_pu, VM_TOLERANCE_PU);
        assert_close(&bus.bus_id, solution.va_deg[i], bus.va_deg, VA_TOLERANCE_DEG);
    }
    assert_eq!(case.branches.len(), 114);
    for (i, branch) in case.branches.iter().enumerate() {
        let (id, found) = (&branch.branch_id, solution.branches[i]);
        assert_eq!(*id, network.branches()[i].id);
        assert_flow(id, found.from, branch.p_from_kw, branch.q_from_kvar);
        assert_flow(id, found.to, branch.p_to_kw, branch.q_to_kvar);
        let tolerance = LOADING_TOLERANCE_PERCENT;
        assert_close(id, found.loading_percent, branch.loading_percent, tolerance);
    }
    let (found, expected) = (solution.transformers[0], &case.transformer);
    assert_flow("hv", found.hv, expected.p_hv_kw, expected.q_hv_kvar);
    assert_flow("lv", found.lv, expected.p_lv_kw, expected.q_lv_kvar);
    let tolerance = LOADING_TOLERANCE_PERCENT;
    assert_close("loading", found.loading_percent, expected.loading_percent, tolerance);
    assert_flow("source", solution.source, expected.p_hv_kw, expected.q_hv_kvar);
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
    let network = network();
    let [noon, stressed] = ["pv_noon", "stressed"].map(|name| {
        let case: CaseFile = read(name);
        injections(&network, &case)
    });
    let mut warm = Sweep::new(&network).unwrap();
    let mut flat = Sweep::new(&network).unwrap();
    assert!(warm.solve(&stressed).solved());
    assert!(warm.solve(&noon).solved());
    assert!(flat.solve(&noon).solved());
    for (w, f) in warm.solution().vm_pu.iter().zip(&flat.solution().vm_pu) {
        assert_close("vm_pu", *w, *f, 1e-9);
    }
}

/// Prints what a solve costs: `cargo test -p gridloom-grid -- --ignored --nocapture cost`.
#[test]
#[ignore = "a measurement, not a check"]
fn cost_of_a_solve_116_buses_20000_rounds() {
    let (network, case) = (network(), read::<CaseFile>("default"));
    let base = injections(&network, &case);
    let mut sweep = Sweep::new(&network).unwrap();
    let mut injections = base.clone();
    let (rounds, mut passes) = (20_000_u32, 0);
    let start = Instant::now();
    for round in 0..rounds {
        // Each load moves by up to half a kilowatt from round to round, as on a 5 s step.
        for (i, injection) in injections.iter_mut().enumerate() {
            let wobble = f64::from((round * 7919 + i as u32 * 104_729) % 1000) / 1000.0 - 0.5;
            injection.p_kw = base[i].p_kw * (1.0 + wobble / 6.0);
        }
        match sweep.solve(&injections) {
            grid::Status::Solved { iterations } => passes += iterations,
            other => panic!("{other:?}"),
        }
    }
    let mean_us = start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds);
    println!("{mean_us:.1} us a solve, {:.1} passes", passes as f64 / f64::from(rounds));
}
