//! `gridloom grid powerflow`: the voltages under the powers that a network states.
//!
//! A network without a solution is an answer: it says where it is furthest off, writes no state,
//! and the exit code is 1. Where no source is connected the state is known, all zeros: it is
//! written, and the exit code is 1 all the same, lest a script take it for a supply.

use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use grid::Complex;
use grid::model::Holds;
use grid::model::Model;
use grid::model::ModelInjection;
use grid::model::SourceImpedance;
use grid::network::InjectionClass;
use grid::power_flow::Outcome;
use grid::power_flow::PowerFlow;
use grid::power_flow::Settings;
use grid::power_flow::Start;

use super::Which;
use super::network;
use super::network::Balanced;
use super::network::Study;
use super::state;
use super::state::BusState;
use super::state::digits;
use crate::exit::say;

mod unbalanced;

/// What to solve.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PowerflowArgs {
    #[command(flatten)]
    which: Which,
    /// Where the voltages go, as CSV.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where the flows of branches go, as CSV.
    #[arg(long, value_name = "FILE")]
    branches: Option<PathBuf>,
    /// Leave regulators and capacitor controls of a three-phase network as they stand in its file.
    #[arg(long)]
    freeze_controls: bool,
    /// Keep generators within their limits of reactive power.
    #[arg(long)]
    q_limits: bool,
}

/// Solves, writes, and says what is worth knowing of the solution.
///
/// # Errors
/// The network cannot be read, or a file cannot be written. A network without a solution, or
/// without a source, is an answer with exit code 1.
pub(super) fn run(args: &PowerflowArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    state::check_writable(&[Some(&args.out), args.branches.as_deref()])?;
    match network::open(&args.which)? {
        Study::Balanced(study) if args.freeze_controls => {
            anyhow::bail!(
                "--freeze-controls is for three-phase networks; {} is balanced and has no controls",
                study.import.network.name
            )
        }
        Study::Balanced(study) => balanced(args, &study, out),
        Study::Unbalanced(import) => unbalanced::run(args, *import, out),
    }
}

fn balanced(
    args: &PowerflowArgs,
    study: &Balanced,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let network = &study.import.network;
    let model = Model::new(network, SourceImpedance::Kept).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the network cannot be solved:\n{}", lines.join("\n"))
    })?;
    let mut flow = PowerFlow::new(model);
    for (switch, &closed) in study.closed.iter().enumerate() {
        flow.set_switch(switch, closed);
    }
    if args.q_limits && !flow.model().injections.iter().any(is_limited) {
        say("warning: --q-limits changes nothing: no generator that holds a voltage has limits");
    }
    let settings = Settings { q_limits: args.q_limits, ..Settings::default() };
    let outcome = flow.solve(Start::Flat, &settings);
    let dead = outcome == Outcome::NoSource;
    let solved = match &outcome {
        Outcome::Solved { iterations, mismatch_pu } => {
            let base_kw = network.base_mva * 1e3;
            let off_kw = mismatch_pu * base_kw;
            writeln!(out, "{}: solved in {iterations} steps, {off_kw:.1e} kW off", network.name)?;
            true
        }
        Outcome::NoSource => {
            say_dead(&network.name);
            true
        }
        Outcome::Diverged { worst } | Outcome::OutOfIterations { worst, .. } => {
            writeln!(out, "{}: no solution was found; worst at the end:", network.name)?;
            for (bus, mismatch) in worst.iter().filter(|(bus, _)| *bus < network.buses.len()) {
                let mw = mismatch * network.base_mva;
                writeln!(out, "  {:<24}{mw:.3} MVA off", named(network, *bus))?;
            }
            false
        }
    };
    if !solved {
        return Ok(ExitCode::FAILURE);
    }
    summary(study, &flow, out)?;
    write_state(&args.out, study, &flow)?;
    writeln!(out, "wrote {}", args.out.display())?;
    if let Some(path) = &args.branches {
        write_branches(path, study, &flow)?;
        writeln!(out, "wrote {}", path.display())?;
    }
    Ok(if dead { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Says that there is no voltage anywhere.
pub(super) fn say_dead(network: &str) {
    say(&format!("error: {network}: nothing is energised: no source is connected"));
}

/// True of a machine that can run out of reactive power.
fn is_limited(machine: &ModelInjection) -> bool {
    let (least, greatest) = machine.q_limits;
    let holds = matches!(machine.holds, Holds::Magnitude(_));
    machine.in_service && holds && (least.is_finite() || greatest.is_finite())
}

/// A bus by identifier and name.
pub(super) fn named(network: &grid::Network, bus: usize) -> String {
    let bus = &network.buses[bus];
    if bus.name.is_empty() || bus.name == bus.id {
        bus.id.clone()
    } else {
        format!("{} ({})", bus.id, bus.name)
    }
}

fn summary(study: &Balanced, flow: &PowerFlow, out: &mut dyn Write) -> anyhow::Result<()> {
    let network = &study.import.network;
    let live: Vec<usize> = (0..network.buses.len()).filter(|&bus| flow.energised(bus)).collect();
    let dead = network.buses.len() - live.len();
    let (mut loads, mut sources, mut others) = (Complex::ZERO, Complex::ZERO, Complex::ZERO);
    for (i, injection) in network.injections.iter().enumerate() {
        let power = flow.power(i).scale(network.base_mva);
        match injection.class {
            InjectionClass::Load => loads += power,
            InjectionClass::Source => sources += power,
            _ => others += power,
        }
    }
    let losses_mw = flow.losses_pu() * network.base_mva;
    let power = |s: Complex| format!("{:.4} MW, {:.4} Mvar", s.re, s.im);
    writeln!(out, "{:<10}{} live, {dead} dead", "buses", live.len())?;
    writeln!(out, "{:<10}{}", "sources", power(sources))?;
    writeln!(out, "{:<10}{}", "others", power(others))?;
    writeln!(out, "{:<10}{}", "loads", power(loads))?;
    writeln!(out, "{:<10}{losses_mw:.4} MW", "losses")?;
    let vm = flow.vm_pu();
    let by_voltage = |a: &&usize, b: &&usize| vm[**a].total_cmp(&vm[**b]);
    if let (Some(&low), Some(&high)) =
        (live.iter().min_by(by_voltage), live.iter().max_by(by_voltage))
    {
        let (vm_low, vm_high) = (vm[low], vm[high]);
        let (low, high) = (named(network, low), named(network, high));
        writeln!(out, "{:<10}{vm_low:.4} pu at {low} to {vm_high:.4} pu at {high}", "voltages")?;
    }
    overloads(network, flow, out)
}

/// How many overloaded branches are named.
const OVERLOADS_MAX: usize = 5;

fn overloads(network: &grid::Network, flow: &PowerFlow, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut loadings: Vec<(usize, f64)> =
        (0..network.branches.len()).map(|branch| (branch, flow.loading(branch))).collect();
    loadings.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let over = loadings.iter().filter(|(_, loading)| *loading > 1.0).count();
    let most = loadings.first().filter(|(_, loading)| *loading > 0.0);
    if let Some((branch, loading)) = most {
        let id = &network.branches[*branch].id;
        let percent = loading * 100.0;
        writeln!(out, "{:<10}at most {percent:.1} % ({id}), {over} above 100 %", "loadings")?;
    }
    for (branch, loading) in loadings.iter().take(over.min(OVERLOADS_MAX)) {
        writeln!(out, "  {:<24}{:.1} %", network.branches[*branch].id, loading * 100.0)?;
    }
    Ok(())
}

fn write_state(path: &Path, study: &Balanced, flow: &PowerFlow) -> anyhow::Result<()> {
    let network = &study.import.network;
    let mut injected = vec![Complex::ZERO; network.buses.len()];
    for (i, injection) in network.injections.iter().enumerate() {
        injected[injection.bus.0] += flow.power(i).scale(network.base_mva);
    }
    let states: Vec<BusState> = network
        .buses
        .iter()
        .enumerate()
        .map(|(i, bus)| {
            let v = flow.voltage(i);
            BusState {
                id: bus.id.clone(),
                voltage: Some((v.abs(), v.arg().to_degrees())),
                energised: flow.energised(i),
                more: vec![
                    bus.name.clone(),
                    digits(v.abs() * bus.nominal_kv),
                    digits(injected[i].re),
                    digits(injected[i].im),
                ],
            }
        })
        .collect();
    let columns = ["name", "vm_kv", "p_injected_mw", "q_injected_mvar"];
    state::write(path, "bus_id", &columns, &states)
}

fn write_branches(path: &Path, study: &Balanced, flow: &PowerFlow) -> anyhow::Result<()> {
    let network = &study.import.network;
    let mut table = state::Table::new(path)?;
    let columns = [
        "branch_id",
        "p_from_mw",
        "q_from_mvar",
        "p_to_mw",
        "q_to_mvar",
        "i_from_ka",
        "i_to_ka",
        "loading_percent",
    ];
    table.row(columns.map(str::to_owned))?;
    for (i, branch) in network.branches.iter().enumerate() {
        let [from, to] = flow.flows(i).map(|s| s.scale(network.base_mva));
        let [i_from, i_to] = flow.currents(i).map(Complex::abs);
        let (base_from, base_to) =
            (flow.model().base_ka(branch.from.0), flow.model().base_ka(branch.to.0));
        let numbers = [
            from.re,
            from.im,
            to.re,
            to.im,
            i_from * base_from,
            i_to * base_to,
            flow.loading(i) * 100.0,
        ];
        table.row([branch.id.clone()].into_iter().chain(numbers.map(digits)))?;
    }
    table.finish()
}
