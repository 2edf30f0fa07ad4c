//! A test of a model without a solver: with the voltages of a solution, do currents balance?
//!
//! Whatever is wrong in an import (a base, a ratio, a sign, a switch) leaves a current at some node
//! that no injection explains. The solution comes from another program.

use grid::Complex;
use grid::Model;
use grid::Topology;
use grid::model::Holds;
use grid::model::ModelInjection;
use grid::network::Side;
use grid::power_flow::PowerFlow;
use grid::power_flow::Settings;
use grid::power_flow::Start;

/// A solution: what is known of every bus and injection.
pub(crate) struct Solution {
    /// Voltage of each bus of the network, per unit; zero where nothing feeds it.
    pub(crate) voltages: Vec<Complex>,
    /// Power of each injection that it cannot say itself, per unit, by position.
    pub(crate) powers: Vec<Option<Complex>>,
}

/// Power of an injection at a voltage, as its law says.
pub(crate) fn power_at(injection: &ModelInjection, v: Complex) -> Complex {
    let (zip, vm) = (injection.zip, v.abs());
    let law = |z: f64, i: f64| z * vm * vm + i * vm + (1.0 - z - i);
    Complex::new(
        injection.s.re * law(zip.p_impedance, zip.p_current),
        injection.s.im * law(zip.q_impedance, zip.q_current),
    )
}

/// Voltages of buses that the model added: star points of three-winding transformers, from the
/// balance of their own currents, which nothing else flows into.
fn with_star_points(model: &Model, topology: &Topology, known: &[Complex]) -> Vec<Complex> {
    let mut voltages = known.to_vec();
    let stars = known.len()..model.bus_kv.len();
    voltages.extend(stars.map(|star| {
        let (mut own, mut driven) = (Complex::ZERO, Complex::ZERO);
        for (b, branch) in model.branches.iter().enumerate() {
            let [ff, ft, tf, tt] = topology.two_port(model, b);
            if branch.from == star {
                own += ff;
                driven += ft * known.get(branch.to).copied().unwrap_or(Complex::ZERO);
            } else if branch.to == star {
                own += tt;
                driven += tf * known.get(branch.from).copied().unwrap_or(Complex::ZERO);
            }
        }
        for &(_, y) in model.shunts.iter().filter(|(bus, _)| *bus == star) {
            own += y;
        }
        if own == Complex::ZERO { Complex::ZERO } else { -(driven / own) }
    }));
    voltages
}

/// Power at both ends of each branch of the model, per unit, from the bus into the branch.
pub(crate) fn flows(model: &Model, topology: &Topology, known: &[Complex]) -> Vec<[Complex; 2]> {
    let voltages = with_star_points(model, topology, known);
    let flow = |(b, branch): (usize, &grid::model::ModelBranch)| {
        let [ff, ft, tf, tt] = topology.two_port(model, b);
        let (vf, vt) = (voltages[branch.from], voltages[branch.to]);
        [vf * (ff * vf + ft * vt).conj(), vt * (tf * vf + tt * vt).conj()]
    };
    model.branches.iter().enumerate().map(flow).collect()
}

/// Relative rounding of a voltage that is printed with twelve digits, its angle in degrees.
const VOLTAGE_ROUNDING: f64 = 1e-11;

/// Relative rounding of a power that is printed with nine digits.
const POWER_ROUNDING: f64 = 2e-9;

/// What is left over at a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mismatch {
    /// How far power is from balance, per unit.
    pub(crate) left: f64,
    /// How much of that the rounding of the solution may explain.
    pub(crate) rounding: f64,
    /// The first bus of the node.
    pub(crate) bus: usize,
}

/// The node at which most power is left over beyond what rounding explains.
pub(crate) fn worst_mismatch(model: &Model, topology: &Topology, solution: &Solution) -> Mismatch {
    let mut left = vec![Complex::ZERO; topology.nodes()];
    let mut rounding = vec![0.0; topology.nodes()];
    let voltages = with_star_points(model, topology, &solution.voltages);
    let flows = flows(model, topology, &solution.voltages);
    for (b, (branch, [from, to])) in model.branches.iter().zip(flows).enumerate() {
        let (f, t) = (topology.node(branch.from), topology.node(branch.to));
        left[f] += from;
        left[t] += to;
        let y = topology.two_port(model, b).map(|y| y.abs() * VOLTAGE_ROUNDING);
        rounding[f] += y[0] + y[1];
        rounding[t] += y[2] + y[3];
    }
    for &(bus, y) in &model.shunts {
        left[topology.node(bus)] += y.conj().scale(voltages[bus].norm_sqr());
    }
    for (at, injection) in model.injections.iter().enumerate() {
        let node = topology.node(injection.bus);
        let there = injection.in_service && model.bus_in_service[injection.bus];
        if !there || !topology.energised(node) {
            continue;
        }
        if injection.holds == Holds::Power {
            left[node] += -power_at(injection, voltages[injection.bus]);
        } else {
            let power = solution.powers[at].expect("a solution knows what sources give");
            left[node] += -power;
            rounding[node] += power.abs() * POWER_ROUNDING;
        }
    }
    let beyond = |&node: &usize| left[node].abs() - rounding[node];
    let worst = (0..topology.nodes()).max_by(|a, b| beyond(a).total_cmp(&beyond(b))).unwrap();
    let bus = topology.buses(worst).next().unwrap();
    Mismatch { left: left[worst].abs(), rounding: rounding[worst], bus }
}

/// Power at an end of a branch of the network.
pub(crate) fn at(flows: &[[Complex; 2]], branch: usize, side: Side) -> Complex {
    flows[branch][side as usize]
}

/// Asserts that Newton's method finds these voltages from a flat start.
#[track_caller]
pub(crate) fn check_power_flow(model: &Model, closed: &[bool], known: &[Complex], within: f64) {
    let mut flow = PowerFlow::new(model.clone());
    for (switch, &closed) in closed.iter().enumerate() {
        flow.set_switch(switch, closed);
    }
    let settings = Settings { tolerance_pu: 1e-11, ..Settings::default() };
    let outcome = flow.solve(Start::Flat, &settings);
    assert!(outcome.solved(), "{outcome:?}");
    for (bus, &known) in known.iter().enumerate() {
        let off = (flow.voltage(bus) - known).abs();
        assert!(off < within, "bus {bus} is off by {off:.2e} pu");
    }
}
