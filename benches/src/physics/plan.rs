//! Measurement plans: where instruments stand, and how good they are.
//!
//! Radial: voltage at 10 % of the nodes, every injection, the flow into 14 % of the branches.
//! Meshed, as transmission is measured: voltage at every bus, every injection, the flow into 70 %
//! of the branches. A bus where nothing is connected is known to inject nothing and has no rows.

use grid::Complex;
use grid::Model;
use grid::model::SourceImpedance;

use crate::physics::SEED;
use crate::physics::case::Case;
use crate::physics::case::MachinesHold;
use crate::physics::case::Measurements;
use crate::physics::case::P_FLOW;
use crate::physics::case::P_INJECTION;
use crate::physics::case::Q_FLOW;
use crate::physics::case::Q_INJECTION;
use crate::physics::case::VOLTAGE;
use crate::physics::draw::uniform;

/// Standard deviation of a voltage, per unit of nominal.
const VOLTAGE_SIGMA: f64 = 0.005;

/// Standard deviation of a power, as a share of its apparent power.
const POWER_SIGMA: f64 = 0.015;

/// What a power is taken for at least, as a share of the median one of its kind.
const SMALLEST: f64 = 0.1;

/// Measures a case by the plan of its kind.
///
/// # Errors
/// The case is no network.
pub fn measured(mut case: Case) -> Result<Case, String> {
    let network = case.network(MachinesHold::Voltage);
    let model = Model::new(&network, SourceImpedance::Omitted)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let (into_bus, into_branch) = case.flows(&model);
    let (voltages, flows) = if case.radial { (0.1, 0.14) } else { (1.0, 0.7) };
    let chosen = |stream: u64, share: f64, count: usize| {
        (0..count).filter(move |&at| uniform(SEED, stream, at as u64) < share)
    };
    let mut rows = Measurements::default();
    let source = case.slack.bus;
    let at_source = move |&bus: &usize| bus != source;
    let others = chosen(11, voltages, case.buses()).filter(at_source);
    for bus in std::iter::once(source).chain(others) {
        rows.push(VOLTAGE, bus, case.solved.vm[bus], VOLTAGE_SIGMA);
    }
    let mut connected = vec![false; case.buses()];
    let tables = [&case.load.bus, &case.fixed.bus, &case.machine.bus];
    tables.into_iter().flatten().for_each(|&bus| connected[bus] = true);
    connected[source] = true;
    let injected: Vec<usize> = (0..case.buses()).filter(|&bus| connected[bus]).collect();
    rows.push_powers(&into_bus, injected.into_iter(), (P_INJECTION, Q_INJECTION));
    let there = |&branch: &usize| case.branch.in_service[branch];
    let branches = chosen(12, flows, into_branch.len()).filter(there);
    rows.push_powers(&into_branch, branches, (P_FLOW, Q_FLOW));
    case.measurement = rows;
    case.seed = SEED;
    Ok(case)
}

impl Measurements {
    fn push(&mut self, kind: u8, at: usize, truth: f64, sigma: f64) {
        self.kind.push(kind);
        self.at.push(at);
        self.truth.push(truth);
        self.sigma.push(sigma);
    }

    fn push_powers(&mut self, s: &[Complex], at: impl Iterator<Item = usize>, kinds: (u8, u8)) {
        let at: Vec<usize> = at.collect();
        let mut sizes: Vec<f64> = at.iter().map(|&n| s[n].abs()).collect();
        sizes.sort_by(f64::total_cmp);
        let least = SMALLEST * sizes.get(sizes.len() / 2).copied().unwrap_or(0.0);
        for n in at {
            let sigma = POWER_SIGMA * s[n].abs().max(least);
            self.push(kinds.0, n, s[n].re, sigma);
            self.push(kinds.1, n, s[n].im, sigma);
        }
    }
}
