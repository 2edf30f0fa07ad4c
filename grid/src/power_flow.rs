//! Power flow: given what is injected, the voltages at all buses and the flows between them.
//!
//! Newton's method in polar form (W. F. Tinney, C. E. Hart, *Power flow solution by Newton's
//! method*, IEEE Trans. PAS-86, 1967), one block of two by two a node, on a pattern that holds all
//! branches whatever their switches say: opening and closing changes values and nothing else.
//! Several islands, each with its sources, are solved at once; what no source reaches is dead,
//! which is a result and not an error.
//!
//! A [`PowerFlow`] keeps its last state and the factor that led to it. A warm start takes both up:
//! after a small change of loads it is a few passes over the admittances ([`newton`] says when a
//! factor is given up).
//!
//! # Where Newton's method does not arrive
//!
//! Full steps from a flat start are tried first, then from angles that carry the active powers at
//! magnitudes of one, then steps that must lessen the mismatch, then a path of solutions from no
//! load to the full one ([`rescue`]). What none of them solves is [`Outcome::Diverged`], with the
//! buses where it is worst; there is no `Err`.
//!
//! ```
//! use grid::model::{Model, SourceImpedance};
//! use grid::network::Network;
//! use grid::power_flow::{Outcome, PowerFlow, Settings, Start};
//!
//! let nothing = Network { base_mva: 1.0, frequency_hz: 50.0, ..Network::default() };
//! let model = Model::new(&nothing, SourceImpedance::Kept).unwrap();
//! let mut flow = PowerFlow::new(model);
//! assert_eq!(flow.solve(Start::Flat, &Settings::default()), Outcome::NoSource);
//! ```

use std::sync::Arc;

use crate::complex::Complex;
use crate::model::Acts;
use crate::model::Holds;
use crate::model::Model;
use crate::model::TwoPort;
use crate::power_flow::newton::End;
use crate::power_flow::newton::Newton;
use crate::power_flow::plan::Plans;
use crate::power_flow::system::Kind;
use crate::power_flow::system::System;
use crate::topology::Change;
use crate::topology::Topology;

mod batch;
mod group;
mod limits;
mod newton;
mod plan;
mod rescue;
mod results;
mod sensitivity;
mod start;
mod system;

pub use self::batch::Batch;
pub use self::batch::Scenarios;
pub use self::batch::Solutions;
pub use self::sensitivity::Column;
pub use self::sensitivity::Injected;
pub use self::sensitivity::Sensitivities;

/// Where a solution is sought from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From the angles of the sources, turned by the vector groups of transformers, and magnitudes
    /// of one per unit where none is held.
    Flat,
    /// From the last solution, where there is one; else flat.
    Warm,
}

/// How a solution is sought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// No active or reactive power may be off by more, per unit of the power base, and what
    /// rounding makes: `4 ε Σ|y|` at a node with admittances `y` per unit, where `ε` is 2.2e-16.
    /// That is less than the default wherever no branch has an impedance below 1e-6; where one has
    /// 1e-9, the power through it is known to 1e-6 and no better, as its voltages are stored to 16
    /// digits. It is a power that goes round within such branches: what reaches the rest of the
    /// network is balanced to the tolerance.
    pub tolerance_pu: f64,
    /// Full steps before an attempt is given up; of damped ones three times as many are taken. A
    /// flat start of a healthy network takes four to six.
    pub iterations_max: usize,
    /// Machines that hold a voltage keep within their limits of reactive power: at a limit they
    /// hold it instead of the voltage, until the voltage lets them back.
    pub q_limits: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { tolerance_pu: 1e-9, iterations_max: 20, q_limits: false }
    }
}

/// What came of a solve.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// There is a state, and the equations hold there.
    Solved {
        /// Steps of Newton's method, those with an old factor among them.
        iterations: usize,
        /// The largest mismatch per unit.
        mismatch_pu: f64,
    },
    /// No way was found that leads to a state; often there is none.
    Diverged {
        /// The buses that were furthest off when the last attempt was given up, the worst first,
        /// with their mismatch per unit. At most [`WORST_MAX`].
        worst: Vec<(usize, f64)>,
    },
    /// The mismatch was falling when the steps were used up.
    OutOfIterations {
        /// The largest mismatch per unit.
        mismatch_pu: f64,
        /// As in [`Outcome::Diverged`].
        worst: Vec<(usize, f64)>,
    },
    /// No bus is connected with a source: everything is dead.
    NoSource,
}

/// How many buses an outcome names.
pub const WORST_MAX: usize = 5;

impl Outcome {
    /// True if there is a state.
    pub fn solved(&self) -> bool {
        matches!(self, Outcome::Solved { .. })
    }
}

/// A model made ready for many solves, with the last state.
///
/// Results are per bus of the model, so star points and insides of sources come after the
/// network's own buses. Where nothing is solved they are NaN, where a bus is dead they are zero.
#[derive(Clone, Debug)]
pub struct PowerFlow {
    model: Model,

    // State.
    topology: Topology,
    plans: Plans,
    system: System,
    newton: Newton,
    /// The reactive power that a machine holds instead of its voltage.
    freed: Vec<Option<f64>>,
    kinds_known: bool,
    powers_known: bool,
    solved: bool,
}

impl PowerFlow {
    /// A power flow with all switches in their normal positions.
    pub fn new(model: Model) -> PowerFlow {
        let topology = Topology::new(&model);
        let mut plans = Plans::default();
        let plan = plans.find(&model, &topology);
        let system = System::new(&model, &topology, plan);
        let pattern = &system.plan.pattern;
        PowerFlow {
            newton: Newton::new(pattern.rows(), pattern.blocks()),
            freed: vec![None; model.injections.len()],
            kinds_known: false,
            powers_known: false,
            solved: false,
            model,
            topology,
            plans,
            system,
        }
    }

    /// The model, with what has been set since.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Nodes and islands as the switches stand.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Moves a switch. At the end of a branch this costs two rows; between buses the nodes are
    /// numbered anew, and what is known of an earlier numbering is found again.
    pub fn set_switch(&mut self, switch: usize, closed: bool) -> Change {
        let joins = matches!(self.model.switches[switch].acts, Acts::Joins(..));
        let before = if joins { self.topology.node_of_buses().to_vec() } else { Vec::new() };
        let change = self.topology.set(&self.model, switch, closed);
        if change.renumbered {
            self.renumber(&before);
        }
        if let Some(branch) = change.branch {
            self.branch_changed(branch);
        }
        if change.islands {
            self.kinds_changed();
        }
        change
    }

    /// Sets the power that an injection puts into its bus, per unit; of a machine that holds a
    /// voltage the active one counts, of a source neither.
    pub fn set_power(&mut self, injection: usize, s: Complex) {
        self.model.injections[injection].s = s;
        self.powers_known = false;
    }

    /// Sets what a machine or source holds: its magnitude or voltage per unit.
    pub fn set_holds(&mut self, injection: usize, holds: Holds) {
        let before = std::mem::replace(&mut self.model.injections[injection].holds, holds);
        let source = |holds| matches!(holds, Holds::Voltage(_));
        if source(before) != source(holds) {
            self.source_changed(injection);
        }
        self.kinds_changed();
    }

    /// Switches an injection on or off.
    pub fn set_in_service(&mut self, injection: usize, in_service: bool) {
        let own = &mut self.model.injections[injection];
        if own.in_service == in_service {
            return;
        }
        own.in_service = in_service;
        if matches!(own.holds, Holds::Voltage(_)) {
            self.source_changed(injection);
        }
        self.kinds_changed();
    }

    /// Sets the two-port of a branch, as when a tap changer moves.
    pub fn set_two_port(&mut self, branch: usize, y: TwoPort) {
        self.model.branches[branch].y = y;
        self.branch_changed(branch);
    }

    /// Takes a branch away or puts it back, whatever its switches: an outage.
    pub fn set_branch_in_service(&mut self, branch: usize, in_service: bool) {
        if self.model.branches[branch].in_service != in_service {
            self.model.branches[branch].in_service = in_service;
            self.topology.refresh(&self.model);
            self.branch_changed(branch);
            self.kinds_changed();
        }
    }

    /// Solves for what was set.
    pub fn solve(&mut self, start: Start, settings: &Settings) -> Outcome {
        if start == Start::Flat || !settings.q_limits {
            self.free_none();
        }
        self.prepare();
        if !self.system.kind.contains(&Kind::Voltage) {
            self.newton.v.fill(Complex::ZERO);
            self.solved = true;
            return Outcome::NoSource;
        }
        if start == Start::Flat || !self.solved {
            self.newton.v.fill(Complex::ZERO);
            self.newton.factored = false;
        }
        self.newton.iterations = 0;
        let mut end = self.attempt(settings);
        if settings.q_limits && end == End::Solved {
            end = self.within_limits(settings);
        }
        self.solved = end == End::Solved;
        let outcome = self.outcome(end);
        if !self.solved {
            for (v, kind) in self.newton.v.iter_mut().zip(&self.system.kind) {
                let nothing = Complex::new(f64::NAN, f64::NAN);
                *v = if *kind == Kind::Dead { Complex::ZERO } else { nothing };
            }
            self.newton.factored = false;
        }
        outcome
    }

    /// Full steps from the present state, then whatever else may help.
    fn attempt(&mut self, settings: &Settings) -> End {
        self.take_up();
        let steps = settings.iterations_max;
        let end = self.newton.iterate(&mut self.system, settings.tolerance_pu, steps);
        if end == End::Solved && !self.suspect() { end } else { self.rescue(end, settings) }
    }

    fn outcome(&mut self, end: End) -> Outcome {
        let mismatch_pu = self.newton.mismatch.largest;
        match end {
            End::Solved => Outcome::Solved { iterations: self.newton.iterations, mismatch_pu },
            End::Lost => Outcome::Diverged { worst: self.worst() },
            End::Tired => Outcome::OutOfIterations { mismatch_pu, worst: self.worst() },
        }
    }

    /// Buses with the largest mismatches, of each node its first.
    fn worst(&mut self) -> Vec<(usize, f64)> {
        self.newton.mismatch = self.system.mismatch(&self.newton.v, &mut self.newton.x);
        let pattern = &self.system.plan.pattern;
        let of_node = |node: usize| {
            let x = self.newton.x[pattern.place(node)];
            let bus = self.topology.buses(node).next().expect("a node has a bus");
            // What is no number is worse than any.
            let off = x[0].abs().max(x[1].abs());
            (bus, if x[0].is_finite() && x[1].is_finite() { off } else { f64::INFINITY })
        };
        let mut worst: Vec<(usize, f64)> = (0..self.topology.nodes()).map(of_node).collect();
        worst.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        worst.truncate(WORST_MAX);
        worst
    }

    fn free_none(&mut self) {
        if self.freed.iter().any(Option::is_some) {
            self.freed.fill(None);
            self.kinds_changed();
        }
    }

    /// Brings what nodes hold and what is injected up to date.
    fn prepare(&mut self) {
        if !self.kinds_known {
            self.system.find_kinds(&self.model, &self.topology, &self.freed);
            self.kinds_known = true;
        }
        if !self.powers_known {
            self.system.find_powers(&self.model, &self.topology, &self.freed);
            self.powers_known = true;
        }
    }

    /// Puts what is given into the state, and voltages where there are none.
    fn take_up(&mut self) {
        let mut missing = false;
        let places = self.newton.v.iter_mut().zip(&self.system.kind).zip(&self.system.set);
        for ((v, kind), set) in places {
            match kind {
                Kind::Dead => *v = Complex::ZERO,
                Kind::Voltage => *v = *set,
                Kind::Magnitude if *v != Complex::ZERO => {
                    let share = set.re / v.abs();
                    // Where nothing is to change, not even the last digit does.
                    if (share - 1.0).abs() > 1e-14 {
                        *v = v.scale(share);
                    }
                }
                _ => {}
            }
            missing |= *v == Complex::ZERO && *kind != Kind::Dead;
        }
        if missing {
            start::spread(&mut self.newton.v, &self.model, &self.topology, &self.system);
        }
    }

    fn kinds_changed(&mut self) {
        self.kinds_known = false;
        self.powers_known = false;
        self.newton.factored = false;
    }

    fn branch_changed(&mut self, branch: usize) {
        let line = &self.model.branches[branch];
        for bus in [line.from, line.to] {
            let node = self.topology.node(bus);
            self.system.find_row(&self.model, &self.topology, node);
        }
        self.newton.factored = false;
    }

    /// A source came or went: with it the bus inside it, and whether islands live.
    fn source_changed(&mut self, injection: usize) {
        let own = self.model.injections[injection];
        if own.bus >= self.model.insides_from {
            let branch = self.model.branches.len() - (self.model.bus_kv.len() - own.bus);
            self.model.bus_in_service[own.bus] = own.in_service;
            self.model.branches[branch].in_service = own.in_service;
            self.branch_changed(branch);
        }
        self.topology.refresh(&self.model);
    }

    /// Takes the state along to new numbers of nodes.
    fn renumber(&mut self, node_before: &[u32]) {
        let before = Arc::clone(&self.system.plan);
        let plan = self.plans.find(&self.model, &self.topology);
        let mut newton = Newton::new(plan.pattern.rows(), plan.pattern.blocks());
        for (bus, &node) in node_before.iter().enumerate() {
            let v = &mut newton.v[plan.pattern.place(self.topology.node(bus))];
            if *v == Complex::ZERO {
                *v = self.newton.v[before.pattern.place(node as usize)];
            }
        }
        self.system = System::new(&self.model, &self.topology, plan);
        self.newton = newton;
        self.kinds_changed();
    }
}
