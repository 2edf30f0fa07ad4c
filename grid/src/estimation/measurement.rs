//! From measurements to rows: which equation each belongs to, and why some belong to none.
//!
//! Powers are balanced at nodes, so a meter at one load counts only together with the meters of
//! everything else that injects at the node. Each bus gives its total (metered as such, or the sum
//! of its elements), the node's total is the sum over its buses. Two meters of one quantity are two
//! rows where the node has nothing else; in a sum they enter as their weighted mean, and how far
//! they disagree is a row of its own ([`What::Agreement`]), so that nothing measured is lost.

use std::collections::BTreeMap;

use crate::complex::Complex;
use crate::estimation::circuit::Circuit;
use crate::estimation::circuit::Terminal;
use crate::estimation::row::Row;
use crate::estimation::row::What;
use crate::measurement::Measurement;
use crate::measurement::Quantity;
use crate::measurement::Target;
use crate::model::Holds;
use crate::model::Model;
use crate::network::Side;
use crate::topology::Topology;

/// A measurement that is in no row.
#[derive(Clone, Debug, PartialEq)]
pub struct Unused {
    /// Its position.
    pub measurement: usize,
    /// Why.
    pub why: WhyUnused,
    /// What it must be if the switches stand as they are said to, where that is known: zero on
    /// what is dead or open. A value far from it is evidence of a wrong switch.
    pub expected: Option<f64>,
}

/// Why a measurement is in no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhyUnused {
    /// Its node has no source: everything there is zero.
    Dead,
    /// It is at an open end of a branch: nothing flows there.
    OpenEnd,
    /// Something else at the node is not measured: nothing is known of the total.
    Incomplete,
    /// Nothing stands at the node: its injection is known to be zero.
    KnownZero,
    /// Its element is out of service.
    OutOfService,
    /// There is no such quantity there: an injection's voltage, a bus's current.
    Meaningless,
    /// Its sigma is not above zero or its value is not a number.
    Invalid,
}

/// What comes of a model, a topology and measurements.
#[derive(Clone, Debug, Default)]
pub(super) struct Compiled {
    pub circuit: Circuit,
    pub rows: Vec<Row>,
    pub unused: Vec<Unused>,
    /// The circuit's node of each bus; none where dead.
    pub node_of_bus: Vec<Option<usize>>,
    /// The branch end of each terminal.
    pub ends: Vec<(usize, Side)>,
}

/// A sum of measurements with its variance.
#[derive(Clone, Debug, Default)]
struct Total {
    members: Vec<(usize, f64)>,
}

struct Compiler<'a> {
    model: &'a Model,
    topology: &'a Topology,
    measurements: &'a [Measurement],
    /// The circuit's node of each node of the topology.
    circuit_node: Vec<Option<usize>>,
    out: Compiled,
    terminal_of: BTreeMap<(usize, Side), usize>,
    /// Meters of each injection and of each bus's total, active and reactive.
    at_injection: BTreeMap<(usize, bool), Vec<usize>>,
    at_bus: BTreeMap<(usize, bool), Vec<usize>>,
}

/// Compiles measurements on a model as it is switched.
pub(super) fn compile(
    model: &Model,
    topology: &Topology,
    measurements: &[Measurement],
) -> Compiled {
    let mut compiler = Compiler {
        model,
        topology,
        measurements,
        circuit_node: Vec::with_capacity(topology.nodes()),
        out: Compiled::default(),
        terminal_of: BTreeMap::new(),
        at_injection: BTreeMap::new(),
        at_bus: BTreeMap::new(),
    };
    compiler.add_nodes();
    compiler.add_admittances();
    compiler.find_start();
    for at in 0..measurements.len() {
        compiler.add_measurement(at);
    }
    compiler.add_injections();
    compiler.leave_incomplete();
    compiler.out.unused.sort_by_key(|unused| unused.measurement);
    compiler.out
}

impl Compiler<'_> {
    fn add_nodes(&mut self) {
        let mut nodes = 0;
        for node in 0..self.topology.nodes() {
            let live = self.topology.energised(node);
            self.circuit_node.push(live.then_some(nodes));
            if live {
                self.out.circuit.island.push(self.topology.island(node));
                nodes += 1;
            }
        }
        let circuit = &mut self.out.circuit;
        circuit.nodes = nodes;
        circuit.zero_injection = vec![true; nodes];
        self.out.node_of_bus = (0..self.model.bus_kv.len())
            .map(|bus| self.circuit_node[self.topology.node(bus)])
            .collect();
        for injection in self.model.injections.iter().filter(|injection| injection.in_service) {
            if let Some(node) = self.out.node_of_bus[injection.bus] {
                circuit.zero_injection[node] = false;
            }
        }
    }

    fn add_admittances(&mut self) {
        let of = &self.out.node_of_bus;
        let entries = &mut self.out.circuit.admittances;
        for (number, branch) in self.model.branches.iter().enumerate() {
            let (from, to) = (of[branch.from], of[branch.to]);
            let y = self.topology.two_port(self.model, number);
            let ends = [(from, from), (from, to), (to, from), (to, to)];
            for ((row, column), y) in ends.into_iter().zip(y) {
                if let (Some(row), Some(column), true) = (row, column, y != Complex::ZERO) {
                    entries.push((row, column, y));
                }
            }
        }
        for &(bus, y) in &self.model.shunts {
            if let (Some(node), true) = (of[bus], self.model.bus_in_service[bus]) {
                entries.push((node, node, y));
            }
        }
    }

    /// Angles from the sources outward, turned by what a branch without load turns them.
    fn find_start(&mut self) {
        let nodes = self.out.circuit.nodes;
        let mut near: Vec<Vec<(usize, f64)>> = vec![Vec::new(); nodes];
        for (number, branch) in self.model.branches.iter().enumerate() {
            let (from, to) = (self.out.node_of_bus[branch.from], self.out.node_of_bus[branch.to]);
            let [_, _, tf, tt] = self.topology.two_port(self.model, number);
            if let (Some(from), Some(to), true) = (from, to, tf != Complex::ZERO) {
                let turn = (-(tf / tt)).arg();
                near[from].push((to, turn));
                near[to].push((from, -turn));
            }
        }
        let mut angle: Vec<Option<f64>> = vec![None; nodes];
        let mut referred: Vec<usize> = Vec::new();
        let circuit = &mut self.out.circuit;
        for injection in self.model.injections.iter().filter(|injection| injection.in_service) {
            let (Holds::Voltage(v), Some(first)) =
                (injection.holds, self.out.node_of_bus[injection.bus])
            else {
                continue;
            };
            if referred.contains(&circuit.island[first]) {
                continue;
            }
            referred.push(circuit.island[first]);
            circuit.references.push(first);
            angle[first] = Some(v.arg());
            let mut queue = vec![first];
            while let Some(node) = queue.pop() {
                let own = angle[node].expect("what is queued has its angle");
                for &(next, turn) in &near[node] {
                    if angle[next].is_none() {
                        angle[next] = Some(own + turn);
                        queue.push(next);
                    }
                }
            }
        }
        circuit.start =
            angle.iter().map(|angle| Complex::from_polar(1.0, angle.unwrap_or(0.0))).collect();
    }

    fn leave(&mut self, measurement: usize, why: WhyUnused) {
        let zero = matches!(why, WhyUnused::Dead | WhyUnused::OpenEnd | WhyUnused::KnownZero);
        let expected = zero.then_some(0.0);
        self.out.unused.push(Unused { measurement, why, expected });
    }

    fn row(&mut self, what: What, measurement: usize) {
        let Measurement { value, sigma, .. } = self.measurements[measurement];
        let members = vec![(measurement, 1.0)];
        self.out.rows.push(Row { what, members, value, sigma, active: true });
    }

    fn add_measurement(&mut self, at: usize) {
        let measurement = &self.measurements[at];
        if !(measurement.sigma > 0.0 && measurement.value.is_finite()) {
            return self.leave(at, WhyUnused::Invalid);
        }
        let reactive = measurement.quantity == Quantity::ReactivePower;
        match (measurement.target, measurement.quantity) {
            (Target::Bus(bus), Quantity::VoltageMagnitude | Quantity::VoltageAngle) => {
                match self.out.node_of_bus[bus.0] {
                    Some(node) if measurement.quantity == Quantity::VoltageAngle => {
                        self.row(What::Angle(node), at);
                    }
                    Some(node) => self.row(What::Magnitude(node), at),
                    None => self.leave(at, WhyUnused::Dead),
                }
            }
            (Target::Bus(bus), Quantity::ActivePower | Quantity::ReactivePower) => {
                match self.out.node_of_bus[bus.0] {
                    None => self.leave(at, WhyUnused::Dead),
                    Some(node) if self.out.circuit.zero_injection[node] => {
                        self.leave(at, WhyUnused::KnownZero);
                    }
                    Some(_) => self.at_bus.entry((bus.0, reactive)).or_default().push(at),
                }
            }
            (Target::Injection(index), Quantity::ActivePower | Quantity::ReactivePower) => {
                let injection = &self.model.injections[index.0];
                match self.out.node_of_bus[injection.bus] {
                    _ if !injection.in_service => self.leave(at, WhyUnused::OutOfService),
                    None => self.leave(at, WhyUnused::Dead),
                    Some(_) => self.at_injection.entry((index.0, reactive)).or_default().push(at),
                }
            }
            (Target::BranchEnd(branch, side), quantity) => {
                self.add_flow(at, (branch.0, side), quantity);
            }
            _ => self.leave(at, WhyUnused::Meaningless),
        }
    }

    fn add_flow(&mut self, at: usize, end: (usize, Side), quantity: Quantity) {
        let (branch, side) = end;
        let line = &self.model.branches[branch];
        let bus = if side == Side::From { line.from } else { line.to };
        let Some(node) = self.out.node_of_bus[bus] else {
            return self.leave(at, WhyUnused::Dead);
        };
        if !self.topology.end_closed(branch, side) {
            return self.leave(at, WhyUnused::OpenEnd);
        }
        let [ff, ft, tf, tt] = self.topology.two_port(self.model, branch);
        let (own, other) = if side == Side::From { (ff, ft) } else { (tt, tf) };
        if own == Complex::ZERO {
            return self.leave(at, WhyUnused::OutOfService);
        }
        let terminal = *self.terminal_of.entry(end).or_insert_with(|| {
            let far = if side == Side::From { line.to } else { line.from };
            let mut terms = vec![(node, own)];
            if let (Some(far), true) = (self.out.node_of_bus[far], other != Complex::ZERO) {
                terms.push((far, other));
            }
            self.out.circuit.terminals.push(Terminal { node, terms });
            self.out.ends.push(end);
            self.out.ends.len() - 1
        });
        match quantity {
            Quantity::ActivePower => self.row(What::ActiveFlow(terminal), at),
            Quantity::ReactivePower => self.row(What::ReactiveFlow(terminal), at),
            Quantity::CurrentMagnitude => self.row(What::Current(terminal), at),
            Quantity::CurrentAngle => self.row(What::CurrentAngle(terminal), at),
            Quantity::VoltageMagnitude => self.row(What::Magnitude(node), at),
            Quantity::VoltageAngle => self.row(What::Angle(node), at),
        }
    }

    fn add_injections(&mut self) {
        let mut at_bus: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (number, injection) in self.model.injections.iter().enumerate() {
            if injection.in_service {
                at_bus.entry(injection.bus).or_default().push(number);
            }
        }
        for node in 0..self.topology.nodes() {
            let Some(circuit_node) = self.circuit_node[node] else { continue };
            let buses: Vec<(usize, Vec<usize>)> = self
                .topology
                .buses(node)
                .filter_map(|bus| at_bus.get(&bus).map(|of| (bus, of.clone())))
                .collect();
            for reactive in [false, true] {
                let what = if reactive {
                    What::ReactiveInjection(circuit_node)
                } else {
                    What::ActiveInjection(circuit_node)
                };
                self.add_balance(what, &buses, reactive);
            }
        }
    }

    /// The rows of a node's balance.
    fn add_balance(&mut self, what: What, buses: &[(usize, Vec<usize>)], reactive: bool) {
        let mut of_bus: Vec<Vec<Total>> = Vec::with_capacity(buses.len());
        for (bus, elements) in buses {
            let mut totals: Vec<Total> = Vec::new();
            for &meter in self.at_bus.get(&(*bus, reactive)).into_iter().flatten() {
                totals.push(Total { members: vec![(meter, 1.0)] });
            }
            totals.extend(self.sum_of_elements(elements, buses.len() == 1, reactive));
            of_bus.push(totals);
        }
        let complete = !buses.is_empty() && of_bus.iter().all(|totals| !totals.is_empty());
        let totals = match of_bus.len() {
            _ if !complete => Vec::new(),
            1 => of_bus.remove(0),
            _ => {
                let parts: Vec<Total> = of_bus.iter().map(|totals| self.mean(totals)).collect();
                vec![sum(&parts)]
            }
        };
        for total in totals {
            let (value, sigma) = self.value(&total);
            let members = total.members;
            self.out.rows.push(Row { what, members, value, sigma, active: true });
        }
    }

    /// What is in no row by now stands at a node whose total is not known.
    fn leave_incomplete(&mut self) {
        let mut known = vec![false; self.measurements.len()];
        let members = self.out.rows.iter().flat_map(|row| &row.members);
        members.for_each(|&(meter, _)| known[meter] = true);
        self.out.unused.iter().for_each(|unused| known[unused.measurement] = true);
        for (meter, known) in known.into_iter().enumerate() {
            if !known {
                self.leave(meter, WhyUnused::Incomplete);
            }
        }
    }

    /// The sums of a bus's elements: none where one is not measured; each meter by itself where
    /// there is but one element and nothing else at the node.
    fn sum_of_elements(&mut self, elements: &[usize], alone: bool, reactive: bool) -> Vec<Total> {
        let mut parts = Vec::with_capacity(elements.len());
        for &element in elements {
            let Some(meters) = self.at_injection.get(&(element, reactive)) else {
                return Vec::new();
            };
            let each: Vec<Total> =
                meters.iter().map(|&meter| Total { members: vec![(meter, 1.0)] }).collect();
            if elements.len() == 1 && alone {
                return each;
            }
            parts.push(each);
        }
        let means: Vec<Total> = parts.iter().map(|each| self.mean(each)).collect();
        vec![sum(&means)]
    }

    fn value(&self, total: &Total) -> (f64, f64) {
        let (mut value, mut variance) = (0.0, 0.0);
        for &(meter, factor) in &total.members {
            let measurement = &self.measurements[meter];
            value += factor * measurement.value;
            variance += (factor * measurement.sigma) * (factor * measurement.sigma);
        }
        (value, f64::sqrt(variance))
    }

    /// The weighted mean of what are several values of one thing; how far they disagree goes into
    /// rows of its own.
    fn mean(&mut self, several: &[Total]) -> Total {
        let mut mean = several[0].clone();
        for other in &several[1..] {
            let (a, b) = (self.value(&mean), self.value(other));
            let (a2, b2) = (a.1 * a.1, b.1 * b.1);
            let members = scaled(&mean, 1.0).chain(scaled(other, -1.0)).collect();
            let difference = Total { members };
            let (value, sigma) = self.value(&difference);
            let members = difference.members;
            self.out.rows.push(Row { what: What::Agreement, members, value, sigma, active: true });
            let members =
                scaled(&mean, b2 / (a2 + b2)).chain(scaled(other, a2 / (a2 + b2))).collect();
            mean = Total { members };
        }
        mean
    }
}

fn scaled(total: &Total, by: f64) -> impl Iterator<Item = (usize, f64)> + '_ {
    total.members.iter().map(move |&(meter, factor)| (meter, factor * by))
}

fn sum(parts: &[Total]) -> Total {
    Total { members: parts.iter().flat_map(|part| part.members.iter().copied()).collect() }
}
