//! Power flow of an unbalanced network, with its regulators and capacitor controls.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use cases::UnbalancedImport;
use grid::three_phase::Control;
use grid::three_phase::Kind;
use grid::three_phase::Network;
use grid::three_phase::Outcome;
use grid::three_phase::Settings;
use grid::three_phase::Solver;

use super::super::state;
use super::super::state::BusState;
use super::super::state::digits;
use super::PowerflowArgs;
use crate::exit::say;

/// Power flows after which controls that still hunt are left where they are.
const ROUNDS_MAX: usize = 200;

pub(super) fn run(
    args: &PowerflowArgs,
    import: UnbalancedImport,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    if args.branches.is_some() || args.q_limits {
        anyhow::bail!(
            "--branches and --q-limits are for balanced networks; this one is three-phase"
        );
    }
    if args.freeze_controls && import.network.controls.is_empty() {
        say("warning: --freeze-controls changes nothing: the network has no controls");
    }
    let mut solver = Solver::new(import.network, Settings::default());
    let controls = if args.freeze_controls { 0 } else { solver.network().controls.len() };
    let (outcome, settled, moves) = if controls == 0 {
        (solver.solve(), true, 0)
    } else {
        let settled = solver.settle(ROUNDS_MAX);
        (settled.outcome, settled.settled, settled.moves)
    };
    let name = solver.network().name.clone();
    let node = |at: usize| solver.network().nodes[at].id.clone();
    let dead = matches!(outcome, Outcome::NoSource);
    match &outcome {
        Outcome::Solved { passes } => {
            let off = solver.mismatch_ampere();
            writeln!(out, "{name}: solved in {passes} passes, {off:.1e} A off")?;
        }
        Outcome::NoSource => super::say_dead(&name),
        Outcome::Diverged { worst, .. } => {
            let worst: Vec<String> = worst.iter().map(|&(at, _)| node(at)).collect();
            writeln!(out, "{name}: no solution was found; worst at {}", worst.join(", "))?;
            return Ok(ExitCode::FAILURE);
        }
        Outcome::Singular { node: at } => {
            let at = node(*at);
            writeln!(out, "{name}: nothing ties {at} to anything; its voltage is not defined")?;
            return Ok(ExitCode::FAILURE);
        }
    }
    if controls > 0 {
        let hunting = if settled { "" } else { "; some still hunt and were left where they are" };
        writeln!(out, "{:<10}{controls}, {moves} moves{hunting}", "controls")?;
        positions(solver.network(), out)?;
    }
    summary(&solver, out)?;
    write_state(&args.out, &solver)?;
    writeln!(out, "wrote {}", args.out.display())?;
    Ok(if dead { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Where regulators and capacitors ended.
fn positions(network: &Network, out: &mut dyn Write) -> anyhow::Result<()> {
    for control in &network.controls {
        let position = match control {
            Control::Regulator(of) => match &network.elements[of.element].kind {
                Kind::Transformer(sheet) => {
                    format!("tap {}", sheet.windings[of.tap_winding].tap_number())
                }
                _ => continue,
            },
            Control::Capacitor(of) => match &network.elements[of.capacitor].kind {
                Kind::Capacitor(sheet) => format!("{} steps closed", sheet.steps_closed()),
                _ => continue,
            },
        };
        writeln!(out, "  {:<24}{position}", control.name())?;
    }
    Ok(())
}

fn summary(solver: &Solver, out: &mut dyn Write) -> anyhow::Result<()> {
    let network = solver.network();
    let live: Vec<usize> =
        (0..network.nodes.len()).filter(|&node| solver.is_energised(node)).collect();
    let dead = network.nodes.len() - live.len();
    writeln!(out, "{:<10}{} live, {dead} dead", "nodes", live.len())?;
    let mut voltages: Vec<(f64, &str)> = live
        .iter()
        .filter(|&&node| network.nodes[node].base_volt > 0.0)
        .map(|&node| {
            let of = &network.nodes[node];
            (solver.voltage(node).abs() / of.base_volt, of.id.as_str())
        })
        .collect();
    voltages.sort_by(|a, b| a.0.total_cmp(&b.0));
    if let (Some((low, at_low)), Some((high, at_high))) = (voltages.first(), voltages.last()) {
        writeln!(out, "{:<10}{low:.4} pu at {at_low} to {high:.4} pu at {at_high}", "voltages")?;
    }
    Ok(())
}

fn write_state(path: &Path, solver: &Solver) -> anyhow::Result<()> {
    let of_node = |(at, node): (usize, &grid::three_phase::Node)| {
        let v = solver.voltage(at);
        // Without a base there is nothing to be per unit of.
        let based = node.base_volt > 0.0;
        BusState {
            id: node.id.clone(),
            voltage: based.then(|| (v.abs() / node.base_volt, v.arg().to_degrees())),
            energised: solver.is_energised(at),
            more: vec![node.bus.clone(), digits(v.abs())],
        }
    };
    let nodes = solver.network().nodes.iter().enumerate();
    let states: Vec<BusState> = nodes.map(of_node).collect();
    state::write(path, "node_id", &["bus", "vm_volt"], &states)
}
