//! Radial networks: feeders of 120 nodes at 10 kV from one source, drawn with a seed.
//!
//! They are solved here by backward and forward sweeps, which share nothing with the solvers that
//! are measured.

use grid::Complex;

use crate::physics::SEED;
use crate::physics::case::Branches;
use crate::physics::case::Buses;
use crate::physics::case::Case;
use crate::physics::case::Powers;
use crate::physics::case::Slack;
use crate::physics::case::Voltages;
use crate::physics::draw::uniform;

/// Nodes of a feeder.
const FEEDER_NODES: usize = 120;

/// Share of nodes without a load.
const JUNCTIONS: f64 = 0.15;

/// A node hangs on one of so many before it: long feeders with short branches.
const NEAR: f64 = 4.0;

const BASE_MVA: f64 = 1.0;
const KV: f64 = 10.0;
const FREQUENCY_HZ: f64 = 50.0;

/// A cable of 150 mm² aluminium.
const R_OHM_PER_KM: f64 = 0.206;
const X_OHM_PER_KM: f64 = 0.116;
const C_NF_PER_KM: f64 = 250.0;

/// Sweeps until nothing moves by more than this.
const SOLVED_PU: f64 = 1e-13;

/// A network of so many nodes, the source's among them.
pub fn radial(nodes: usize) -> Case {
    let draw = |stream: u64, at: usize| uniform(SEED, stream, at as u64);
    let ohm = KV * KV / BASE_MVA;
    let omega = std::f64::consts::TAU * FREQUENCY_HZ;
    let mut branch = Branches::default();
    let mut load = Powers::default();
    for node in 1..nodes {
        let in_feeder = (node - 1) % FEEDER_NODES;
        let back = 1 + (draw(1, node) * NEAR.min(in_feeder as f64)) as usize;
        let from = if in_feeder == 0 { 0 } else { node - back };
        let km = 0.1 + 0.3 * draw(2, node);
        branch.from.push(from);
        branch.to.push(node);
        branch.r.push(R_OHM_PER_KM * km / ohm);
        branch.x.push(X_OHM_PER_KM * km / ohm);
        branch.b.push(omega * C_NF_PER_KM * 1e-9 * km * ohm);
        if draw(3, node) >= JUNCTIONS {
            let mw = 0.005 + 0.04 * draw(4, node);
            load.bus.push(node);
            load.p.push(-mw / BASE_MVA);
            load.q.push(-mw * (0.1 + 0.3 * draw(5, node)) / BASE_MVA);
        }
    }
    let branches = branch.from.len();
    branch.g = vec![0.0; branches];
    branch.ratio = vec![1.0; branches];
    branch.shift_deg = vec![0.0; branches];
    branch.in_service = vec![true; branches];
    let mut case = Case {
        name: format!("radial {nodes}"),
        base_mva: BASE_MVA,
        frequency_hz: FREQUENCY_HZ,
        radial: true,
        bus: Buses { kv: vec![KV; nodes] },
        branch,
        load,
        slack: Slack { bus: 0, vm: 1.0, va_deg: 0.0 },
        ..Case::default()
    };
    case.solved = swept(&case);
    case
}

/// Solves a tree whose branches lead away from node 0, each node behind the one it hangs on.
fn swept(case: &Case) -> Voltages {
    let nodes = case.buses();
    let branch = &case.branch;
    let mut s = vec![Complex::ZERO; nodes];
    for n in 0..case.load.bus.len() {
        s[case.load.bus[n]] += Complex::new(case.load.p[n], case.load.q[n]);
    }
    let mut y = vec![Complex::ZERO; nodes];
    for n in 0..branch.from.len() {
        let half = Complex::new(0.0, 0.5 * branch.b[n]);
        y[branch.from[n]] += half;
        y[branch.to[n]] += half;
    }
    let source = Complex::new(case.slack.vm, 0.0);
    let mut v = vec![source; nodes];
    let mut moved = f64::INFINITY;
    while moved > SOLVED_PU {
        // What each node draws, and with it all behind it.
        let mut i: Vec<Complex> = (0..nodes).map(|n| y[n] * v[n] - (s[n] / v[n]).conj()).collect();
        for n in (0..branch.from.len()).rev() {
            let behind = i[branch.to[n]];
            i[branch.from[n]] += behind;
        }
        moved = 0.0;
        for n in 0..branch.from.len() {
            let drop = Complex::new(branch.r[n], branch.x[n]) * i[branch.to[n]];
            let now = v[branch.from[n]] - drop;
            moved = moved.max((now - v[branch.to[n]]).abs());
            v[branch.to[n]] = now;
        }
    }
    Voltages { vm: v.iter().map(|v| v.abs()).collect(), va: v.iter().map(|v| v.arg()).collect() }
}
