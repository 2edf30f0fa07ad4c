//! Estimation of an unbalanced network, phase by phase.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use cases::UnbalancedImport;
use cases::elements;
use grid::measurement::Quantity;
use grid::three_phase::Network;
use grid::three_phase::estimate::Estimate;
use grid::three_phase::measurement::Measurement;
use grid::three_phase::measurement::Target;

use super::super::network::locate;
use super::super::state;
use super::super::state::BusState;
use super::super::state::digits;
use super::EstimateArgs;
use super::estimate;
use super::exit_code;
use super::some;
use super::tell_fit;
use super::tell_outcome;
use super::units;
use super::whole;

/// The power base of a phase in VA: any gives the same estimate.
const BASE_VA: f64 = 1e6;

pub(super) fn run(
    args: &EstimateArgs,
    import: &UnbalancedImport,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    if args.residuals.is_some() {
        anyhow::bail!("--residuals is for balanced networks; this one is three-phase");
    }
    if args.all_report {
        anyhow::bail!("--all-report is for balanced networks; this one is three-phase");
    }
    if !args.taps.is_empty() {
        anyhow::bail!("--taps is for balanced networks; this one is three-phase");
    }
    let network = &import.network;
    let measurements = measurements(args, import)?;
    let unfit = if is_fed(network) { network.unfit() } else { Vec::new() };
    if !unfit.is_empty() {
        anyhow::bail!("the network cannot be estimated:\n{}", unfit.join("\n"));
    }
    units::check_unbalanced(args, network, &measurements)?;
    let mut of = Estimate::new(network, &measurements, BASE_VA).map_err(anyhow::Error::msg)?;
    let (outcome, mut verdict) = estimate(args, of.estimator());
    let values: Vec<f64> = measurements.iter().map(|measurement| measurement.value).collect();
    verdict.blame(of.estimator(), &values);
    let nodes: BTreeMap<usize, &str> = (0..network.nodes.len())
        .rev()
        .filter_map(|node| Some((of.place(node)?, network.nodes[node].id.as_str())))
        .collect();
    let node = |at: usize| nodes.get(&at).map_or_else(String::new, |id| (*id).to_owned());
    let found = tell_outcome(&outcome, &network.name, &node, out)?;
    let (used, measured) = (measurements.len() - of.unused().len(), measurements.len());
    writeln!(out, "{:<16}{used} of {measured} used", "measurements")?;
    if !found {
        return Ok(ExitCode::FAILURE);
    }
    let blind: Vec<String> = (0..network.nodes.len())
        .filter(|&at| of.voltage(at).is_none())
        .map(|at| network.nodes[at].id.clone())
        .collect();
    if !blind.is_empty() {
        writeln!(out, "{:<16}{} nodes: {}", "not observable", blind.len(), some(&blind))?;
    }
    let measurement = |at: usize| told(network, &measurements[at]);
    if outcome.is_solved() {
        tell_fit(of.estimator(), (&verdict, args.treatment()), &measurement, out)?;
    }
    write_state(&args.out, network, &mut of)?;
    writeln!(out, "wrote {}", args.out.display())?;
    Ok(exit_code(&outcome))
}

/// True if a source reaches anything: if none does the state is known, all zeros.
fn is_fed(network: &Network) -> bool {
    network.islands().iter().any(Option::is_some)
}

/// A measurement by identifier, quantity and place.
fn told(network: &Network, measurement: &Measurement) -> String {
    let kind = match measurement.quantity {
        Quantity::VoltageMagnitude => "v_mag",
        Quantity::VoltageAngle => "v_ang",
        Quantity::ActivePower => "p",
        Quantity::ReactivePower => "q",
        Quantity::CurrentMagnitude => "i_mag",
        Quantity::CurrentAngle => "i_ang",
    };
    let place = match measurement.target {
        Target::Node(node) => network.nodes[node].id.clone(),
        Target::Conductor { element, node, .. } => {
            format!("{} at {}", network.elements[element].name, network.nodes[node].id)
        }
    };
    format!("{} ({kind} {place})", measurement.id)
}

fn measurements(
    args: &EstimateArgs,
    import: &UnbalancedImport,
) -> anyhow::Result<Vec<Measurement>> {
    let file = args.measurements.as_ref().context("--measurements FILE is needed")?;
    let file = locate(&args.which, file);
    let (measurements, remarks) = elements::read_measurements(&file, &import.network)?;
    whole(args, &file, &remarks)?;
    Ok(measurements)
}

fn write_state(path: &Path, network: &Network, of: &mut Estimate) -> anyhow::Result<()> {
    let deviations = of.estimator().deviations();
    let of_node = |(at, node): (usize, &grid::three_phase::Node)| {
        let voltage = of.voltage(at);
        let number = of.place(at).filter(|_| voltage.is_some());
        let deviation = number.map(|number| deviations[number]);
        BusState {
            id: node.id.clone(),
            voltage: voltage.map(|v| (v.abs(), v.arg().to_degrees())),
            energised: of.is_energised(at),
            more: vec![
                voltage.map_or_else(String::new, |v| digits(v.abs() * node.base_volt)),
                deviation.map_or_else(String::new, |of| digits(of.magnitude)),
                deviation.map_or_else(String::new, |of| digits(of.angle.to_degrees())),
            ],
        }
    };
    let states: Vec<BusState> = network.nodes.iter().enumerate().map(of_node).collect();
    let columns = ["vm_volt", "vm_sigma_pu", "va_sigma_deg"];
    state::write(path, "node_id", &columns, &states)
}
