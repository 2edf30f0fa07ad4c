//! Where a flat start begins: every node at its source's angle, turned by the vector groups on the
//! way.
//!
//! A transformer of 30 or 150 degrees is no angle that a load makes: without it a start of equal
//! angles is not flat, and Newton's method ends elsewhere or nowhere.

use std::collections::VecDeque;
use std::f64::consts::PI;

use crate::complex::Complex;
use crate::model::Model;
use crate::model::TwoPort;
use crate::power_flow::system::Kind;
use crate::power_flow::system::System;
use crate::topology::Topology;

/// Gives a voltage to every live place that has none, from a neighbour that has one: its angle,
/// turned by what is between them, and magnitude 1 or what is held there.
///
/// Places are reached in widening circles from those that have a voltage, in order of nodes.
pub(super) fn spread(v: &mut [Complex], model: &Model, topology: &Topology, system: &System) {
    let pattern = &system.plan.pattern;
    let mut queue: VecDeque<usize> =
        (0..topology.nodes()).filter(|&node| v[pattern.place(node)] != Complex::ZERO).collect();
    while let Some(node) = queue.pop_front() {
        let own = v[pattern.place(node)];
        let unit = own.scale(1.0 / own.abs());
        for bus in topology.buses(node) {
            for branch in topology.branches_at(bus).filter(|&b| topology.connects(model, b)) {
                let line = &model.branches[branch];
                let same_kv = model.bus_kv[line.from] == model.bus_kv[line.to];
                let (far, turn) = if topology.node(line.from) == node {
                    (topology.node(line.to), vector_group(&line.y, same_kv))
                } else {
                    (topology.node(line.from), vector_group(&line.y, same_kv).conj())
                };
                let place = pattern.place(far);
                if v[place] == Complex::ZERO && system.kind[place] != Kind::Dead {
                    let magnitude = system.set[place].abs();
                    v[place] = (unit * turn).scale(magnitude);
                    queue.push_back(far);
                }
            }
        }
    }
}

/// How far the to end is turned against the from end by the vector group, a multiple of 30 degrees.
/// What a phase shifter adds is left to the solver: in a mesh its turn does not add up to that of
/// other ways, so that a start which has it is further from flat than one without. A turn between
/// equal voltages counts as a phase shifter's unless it is such a multiple to the digit.
fn vector_group(&[_, ft, tf, tt]: &TwoPort, same_kv: bool) -> Complex {
    const HOUR: f64 = PI / 6.0;
    if ft == tf {
        return Complex::ONE;
    }
    // y_tf / y_ft is twice the angle, -y_tf / y_tt says which half.
    let half = 0.5 * (tf / ft).arg();
    let about = (-(tf / tt)).arg();
    let apart = (half - about).rem_euclid(2.0 * PI);
    let angle = if apart > 0.5 * PI && apart < 1.5 * PI { half + PI } else { half };
    let hours = (angle / HOUR).round();
    if same_kv && (angle - hours * HOUR).abs() > 1e-6 {
        return Complex::ONE;
    }
    Complex::from_polar(1.0, hours * HOUR)
}
