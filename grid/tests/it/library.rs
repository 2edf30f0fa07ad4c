//! Libraries of cases that are too large to carry along: every network in a folder, solved flat.
//!
//! `GRIDLOOM_LIBRARY` names folders, as `PATH` does. Beside `NAME.m` or `NAME.json` may stand
//! `NAME.solution.csv` (bus number, magnitude per unit, angle in degrees), found by somebody else;
//! where it stands there is a solution, and it is to be found. `GRIDLOOM_ONLY` is a part of the
//! paths that are wanted.
//!
//! ```text
//! GRIDLOOM_LIBRARY=/data/matpower:/data/pandapower \
//!     cargo test --release -p gridloom-grid library -- --ignored --nocapture
//! ```

use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use cases::Found;
use grid::Complex;
use grid::Model;
use grid::model::SourceImpedance;
use grid::power_flow::Outcome;
use grid::power_flow::PowerFlow;
use grid::power_flow::Settings;
use grid::power_flow::Start;

/// No solution may be further from the one that stands beside the case, per unit.
const WITHIN_PU: f64 = 1e-5;

fn files() -> Vec<PathBuf> {
    let Some(folders) = std::env::var_os("GRIDLOOM_LIBRARY") else {
        eprintln!("NOT TESTED: GRIDLOOM_LIBRARY names no folders of cases");
        return Vec::new();
    };
    let mut files = Vec::new();
    for folder in std::env::split_paths(&folders) {
        let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        files.extend(
            entries.filter(|path| path.extension().is_some_and(|e| e == "m" || e == "json")),
        );
    }
    files.sort();
    let only = std::env::var("GRIDLOOM_ONLY").ok();
    files.retain(|path| only.as_ref().is_none_or(|only| path.to_string_lossy().contains(only)));
    files
}

/// The largest distances of magnitudes and of phasors from a stored solution, per unit.
fn distance(path: &Path, flow: &PowerFlow, buses: &[grid::network::Bus]) -> Option<(f64, f64)> {
    let text = std::fs::read_to_string(path.with_extension("solution.csv")).ok()?;
    let (mut magnitude, mut phasor) = (0.0_f64, 0.0_f64);
    let mut turned: Option<Complex> = None;
    for line in text.lines().skip(1) {
        let values: Vec<&str> = line.split(',').collect();
        let id = format!("B{}", values[0]);
        let Some(at) = buses.iter().position(|bus| bus.id == id) else { continue };
        let (Ok(vm), Ok(va)) = (values[1].parse::<f64>(), values[2].parse::<f64>()) else {
            continue;
        };
        let v = flow.voltage(at);
        if vm.is_nan() || v == Complex::ZERO {
            continue;
        }
        let truth = Complex::from_polar(vm, va.to_radians());
        let turn = *turned.get_or_insert_with(|| {
            let turn = v * truth.conj();
            turn.scale(1.0 / turn.abs())
        });
        let off = (v.abs() - vm).abs();
        magnitude = if off > magnitude || off.is_nan() { off } else { magnitude };
        phasor = phasor.max((v - truth * turn).abs());
    }
    Some((magnitude, phasor))
}

/// One row of the table, and false if a solution that there is was not found.
fn row(path: &Path) -> (String, bool) {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let import = match cases::open(path) {
        Ok(Found::Balanced(import)) => import,
        Ok(_) => return (format!("| {name} | is unbalanced |"), true),
        Err(error) => return (format!("| {name} | {error} |"), true),
    };
    let whole = if import.is_whole() { "" } else { " (in part)" };
    let model = match Model::new(&import.network, SourceImpedance::Kept) {
        Ok(model) => model,
        Err(error) => return (format!("| {name}{whole} | no model: {error:?} |"), true),
    };
    let mut flow = PowerFlow::new(model);
    let began = Instant::now();
    let outcome = flow.solve(Start::Flat, &Settings::default());
    let ms = began.elapsed().as_secs_f64() * 1e3;
    let lowest = flow.vm_pu().into_iter().filter(|vm| *vm > 0.0).fold(f64::INFINITY, f64::min);
    let near = distance(path, &flow, &import.network.buses);
    let said = match &outcome {
        Outcome::Solved { iterations, mismatch_pu } => format!("{iterations} | {mismatch_pu:.0e}"),
        Outcome::Diverged { worst } => format!("DIVERGED {:?} |", worst.first()),
        Outcome::OutOfIterations { mismatch_pu, .. } => format!("TIRED | {mismatch_pu:.0e}"),
        Outcome::NoSource => "NO SOURCE |".to_owned(),
    };
    let off = near.map_or(String::new(), |(vm, v)| format!("{vm:.0e} | {v:.0e}"));
    let buses = import.network.buses.len();
    let row = format!("| {name}{whole} | {buses} | {said} | {lowest:.4} | {off} | {ms:.1} |");
    (row, near.is_none_or(|(vm, _)| outcome.solved() && vm < WITHIN_PU))
}

#[test]
#[ignore = "needs libraries of cases"]
fn every_network_of_a_library_is_solved() {
    println!("| case | buses | iterations | mismatch | lowest | off vm | off v | ms |");
    let mut missed = Vec::new();
    for path in files() {
        let (row, found) = row(&path);
        println!("{row}");
        if !found {
            missed.push(path);
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
