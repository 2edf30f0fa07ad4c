//! Estimation of a balanced network.
//!
//! What is said goes from how it ended to what was used, what does not fit and which switch may be
//! wrong; what is written is the state, with how sure each number is.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use cases::folder;
use grid::Network;
use grid::Topology;
use grid::estimation::Estimator;
use grid::estimation::Unused;
use grid::estimation::WhyUnused;
use grid::estimation::bad_data::Verdict;
use grid::estimation::topology_error;
use grid::measurement::Measurement;
use grid::model::Model;
use grid::model::SourceImpedance;
use grid::network::Parameters;
use gridloom::network::TOLD_RATIO_SIGMA;

use super::super::network::Balanced;
use super::super::network::locate;
use super::super::powerflow::named;
use super::super::state;
use super::super::state::BusState;
use super::super::state::digits;
use super::EstimateArgs;
use super::NAMED_MAX;
use super::estimate;
use super::exit_code;
use super::some;
use super::tell_fit;
use super::tell_outcome;
use super::tell_suspects;
use super::units;
use super::whole;
use super::why;

pub(super) fn run(
    args: &EstimateArgs,
    study: &Balanced,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let network = &study.import.network;
    let (measurements, column) = measurements(args, study)?;
    let model = Model::new(network, SourceImpedance::Omitted).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the network cannot be estimated:\n{}", lines.join("\n"))
    })?;
    units::check_balanced(args, study, (&measurements, column))?;
    let topology = Topology::with_positions(&model, &study.closed);
    let mut estimator = Estimator::new(&model, &topology, &measurements);
    let taps = free_ratios(args, network, (&model, &topology), &mut estimator)?;
    let (outcome, mut verdict) = estimate(args, &mut estimator);
    let values: Vec<f64> = measurements.iter().map(|measurement| measurement.value).collect();
    verdict.blame(&estimator, &values);
    let buses = buses_of_nodes(network, &estimator);
    let node = |at: usize| buses.get(&at).map_or_else(String::new, |&bus| named(network, bus));
    let found = tell_outcome(&outcome, &network.name, &node, out)?;
    tell_use(network, &estimator, measurements.len(), out)?;
    let silent = if args.all_report {
        topology_error::buses_without_measurements(&model, &measurements)
    } else {
        Vec::new()
    };
    // One meter that lies, or none at all, is explained without a switch.
    let impossible = |of: &Unused| matches!(of.why, WhyUnused::Dead | WhyUnused::OpenEnd);
    let alive = |&bus: &usize| topology.energised(topology.node(bus));
    let seen = estimator.unused().iter().any(impossible) || silent.iter().any(alive);
    if seen || verdict.suspects.len() > 1 || verdict.is_unexplained() {
        tell_switches(study, (&model, &topology), (&measurements, &silent), &verdict, out)?;
    }
    let measurement = |at: usize| told(network, &measurements[at]);
    let judged = (&verdict, args.treatment());
    if outcome.is_solved() {
        tell_fit(&mut estimator, judged, &measurement, out)?;
    } else if verdict.outcome.is_solved() {
        // All together have no state, and without these the rest has one.
        tell_suspects(&estimator, judged, &measurement, out)?;
    }
    if !found {
        return Ok(ExitCode::FAILURE);
    }
    tell_ratios(network, &estimator, &taps, out)?;
    write_state(&args.out, network, &mut estimator)?;
    writeln!(out, "wrote {}", args.out.display())?;
    if let Some(path) = &args.residuals {
        write_residuals(path, network, &mut estimator, &measurements, &verdict)?;
        writeln!(out, "wrote {}", path.display())?;
    }
    Ok(exit_code(&outcome))
}

/// Makes the ratios unknown that are asked for, and gives their branches.
fn free_ratios(
    args: &EstimateArgs,
    network: &Network,
    (model, topology): (&Model, &Topology),
    estimator: &mut Estimator,
) -> anyhow::Result<Vec<usize>> {
    let mut taps = Vec::new();
    for id in &args.taps {
        let branch = network.branches.iter().position(|branch| branch.id == *id);
        let is_transformer =
            |&at: &usize| matches!(network.branches[at].parameters, Parameters::Transformer(_));
        let Some(branch) = branch.filter(is_transformer) else {
            anyhow::bail!("--taps: there is no two-winding transformer {id:?}");
        };
        if !estimator.free_ratio(model, topology, branch, Some(TOLD_RATIO_SIGMA)) {
            anyhow::bail!("--taps: {id} does not connect two nodes under voltage");
        }
        taps.push(branch);
    }
    Ok(taps)
}

/// Says what was found of ratios.
fn tell_ratios(
    network: &Network,
    estimator: &Estimator,
    taps: &[usize],
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    for &branch in taps {
        let Some(ratio) = estimator.ratio(branch) else { continue };
        let (id, of) = (&network.branches[branch].id, ratio.relative);
        let sure = if ratio.deviation.is_finite() {
            format!("{of:.4} of the stated one, sigma {:.4}", ratio.deviation * of)
        } else {
            "nothing measures it".to_owned()
        };
        writeln!(out, "{:<16}{id}: {sure}", "ratio")?;
    }
    Ok(())
}

/// What was measured, and the column or table it stands in.
fn measurements(
    args: &EstimateArgs,
    study: &Balanced,
) -> anyhow::Result<(Vec<Measurement>, &'static str)> {
    let Some(file) = &args.measurements else {
        let own = study.import.measurements.clone();
        let needed = "--measurements FILE is needed: the network brings none of its own";
        let own = (!own.is_empty()).then_some(own).context(needed)?;
        return Ok((own, "the network's own measurements"));
    };
    let file = locate(&args.which, file);
    let readings = folder::measurements(&file, &study.import.network)?;
    whole(args, &file, &readings.remarks)?;
    Ok((readings.measurements, readings.column))
}

/// A bus of each node of the estimator.
fn buses_of_nodes(network: &Network, estimator: &Estimator) -> BTreeMap<usize, usize> {
    let buses = (0..network.buses.len()).rev();
    buses.filter_map(|bus| Some((estimator.node(bus)?, bus))).collect()
}

/// A measurement by identifier, quantity and place.
fn told(network: &Network, measurement: &Measurement) -> String {
    format!("{} ({})", measurement.id, cases::folder::describe(network, measurement))
}

/// Says what was used, what not and why, and what cannot be seen.
fn tell_use(
    network: &Network,
    estimator: &Estimator,
    measured: usize,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let unused = estimator.unused();
    let rows = estimator.rows().len();
    let used = measured - unused.len();
    writeln!(out, "{:<16}{used} of {measured} used, in {rows} rows", "measurements")?;
    let mut reasons: BTreeMap<_, usize> = BTreeMap::new();
    for unused in unused {
        *reasons.entry(unused.why).or_default() += 1;
    }
    for (reason, count) in reasons {
        writeln!(out, "{:<16}{count} not used, {}", "", why(reason))?;
    }
    let blind: Vec<String> = (0..network.buses.len())
        .filter(|&bus| estimator.voltage(bus).is_none())
        .map(|bus| named(network, bus))
        .collect();
    if !blind.is_empty() {
        writeln!(out, "{:<16}{} buses: {}", "not observable", blind.len(), some(&blind))?;
        let islands = blind_islands(network, estimator);
        let count = islands.len();
        let line =
            format!("in {count} islands, each known but for what ties it: {}", some(&islands));
        writeln!(out, "{:<16}{line}", "")?;
    }
    let dead = (0..network.buses.len()).filter(|&bus| estimator.node(bus).is_none());
    let dead: Vec<String> = dead.map(|bus| named(network, bus)).collect();
    if !dead.is_empty() {
        writeln!(out, "{:<16}{} buses: {}", "dead", dead.len(), some(&dead))?;
    }
    Ok(())
}

/// The islands of which nothing says how they lie to the rest, by identifiers of their buses.
fn blind_islands(network: &Network, estimator: &Estimator) -> Vec<String> {
    let island = |nodes: &Vec<usize>| {
        let here = |&bus: &usize| estimator.node(bus).is_some_and(|node| nodes.contains(&node));
        let buses = (0..network.buses.len()).filter(here);
        let ids: Vec<String> = buses.map(|bus| network.buses[bus].id.clone()).collect();
        format!("[{}]", some(&ids))
    };
    let islands = estimator.observability().islands.iter().map(island);
    islands.filter(|buses| buses != "[]").collect()
}

/// Says which switches do not stand where they are said to, as far as it can be told: each is asked
/// by an estimate of its own.
fn tell_switches(
    study: &Balanced,
    (model, topology): (&Model, &Topology),
    (measurements, silent): (&[Measurement], &[usize]),
    verdict: &Verdict,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let network = &study.import.network;
    let settings = topology_error::Settings::default();
    let found = topology_error::suspect(model, topology, measurements, silent, &settings);
    if found.stated_stands || found.alike.is_empty() {
        return Ok(());
    }
    if let Some(culprit) = found.culprit() {
        writeln!(out, "{:<16}{}", "wrong switch", culprit.describe(network, measurements))?;
        if !verdict.suspects.is_empty() {
            writeln!(out, "{:<16}what is bad below probably follows from it", "")?;
        }
        return Ok(());
    }
    writeln!(out, "{:<16}one of these, which nothing measured tells apart:", "wrong switch")?;
    for hypothesis in found.alike.iter().take(NAMED_MAX) {
        writeln!(out, "{:<16}{}", "", hypothesis.describe(network, measurements))?;
    }
    Ok(())
}

fn write_state(path: &Path, network: &Network, estimator: &mut Estimator) -> anyhow::Result<()> {
    let deviations = estimator.deviations();
    let estimator = &*estimator;
    let of_bus = |(at, bus): (usize, &grid::network::Bus)| {
        let node = estimator.node(at);
        let voltage = estimator.voltage(at);
        let deviation = node.filter(|_| voltage.is_some()).map(|node| deviations[node]);
        BusState {
            id: bus.id.clone(),
            voltage: voltage.map(|v| (v.abs(), v.arg().to_degrees())),
            energised: node.is_some(),
            more: vec![
                bus.name.clone(),
                voltage.map_or_else(String::new, |v| digits(v.abs() * bus.nominal_kv)),
                deviation.map_or_else(String::new, |of| digits(of.magnitude)),
                deviation.map_or_else(String::new, |of| digits(of.angle.to_degrees())),
            ],
        }
    };
    let states: Vec<BusState> = network.buses.iter().enumerate().map(of_bus).collect();
    let columns = ["name", "vm_kv", "vm_sigma_pu", "va_sigma_deg"];
    state::write(path, "bus_id", &columns, &states)
}

fn write_residuals(
    path: &Path,
    network: &Network,
    estimator: &mut Estimator,
    measurements: &[Measurement],
    verdict: &Verdict,
) -> anyhow::Result<()> {
    let values = estimator.values();
    let residuals = estimator.residuals();
    let normalised = estimator.normalised_residuals();
    let critical = estimator.critical();
    let mut table = state::Table::new(path)?;
    let columns = [
        "meas_ids",
        "what",
        "measured_pu",
        "estimated_pu",
        "residual_pu",
        "normalised_residual",
        "critical",
        "bad",
    ];
    table.row(columns.map(str::to_owned))?;
    for (at, row) in estimator.rows().iter().enumerate() {
        let members = || row.members.iter().map(|&(member, _)| &measurements[member]);
        let ids: Vec<&str> = members().map(|of| of.id.as_str()).collect();
        let what = members().next().map(|of| cases::folder::describe(network, of));
        let suspect = verdict.suspects.iter().find(|suspect| suspect.row == at);
        let normalised = suspect.map_or(normalised[at], |suspect| suspect.normalised());
        table.row([
            ids.join("+"),
            what.unwrap_or_default(),
            digits(row.value),
            digits(values[at]),
            digits(residuals[at]),
            digits(normalised),
            u8::from(critical[at]).to_string(),
            u8::from(suspect.is_some()).to_string(),
        ])?;
    }
    table.finish()
}
