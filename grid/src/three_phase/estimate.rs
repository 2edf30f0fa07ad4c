//! State estimation of an unbalanced network: the estimation core on phase nodes.
//!
//! Closed switches are one node, never a small impedance, which would make the equations worthless.
//! Sources and loads are injections: metered, or zero exactly where there is neither, or free. Per
//! unit here is of one power for a phase and of each node's own voltage base, so that the matrix
//! stays symmetric. The start is the network without load, because angles turn on the way through
//! transformers.
//!
//! Where no angle is measured in an island, the nodes of its sources have the angles that they have
//! without load, within [`SOURCE_ANGLE_RAD`]: behind a source that feeds lines straight, without a
//! transformer, next to nothing else ties one phase to another. Each is a row without members.
//!
//! Not for neutrals that are nodes of their own: at a voltage near zero neither a magnitude nor a
//! power to ground says anything of the current that a load drives through them.
//!
//! **Bounds**: the current at a metered terminal depends on at most 16 nodes; where it depends on
//! more, what is measured there is unused.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::complex::Complex;
use crate::estimation::Circuit;
use crate::estimation::Estimator;
use crate::estimation::Outcome;
use crate::estimation::Row;
use crate::estimation::Settings;
use crate::estimation::TERMS_MAX;
use crate::estimation::Terminal;
use crate::estimation::Unused;
use crate::estimation::What;
use crate::estimation::WhyUnused;
use crate::measurement::Quantity;
use crate::three_phase::Element;
use crate::three_phase::Kind;
use crate::three_phase::Network;
use crate::three_phase::Solver;
use crate::three_phase::measurement::Measurement;
use crate::three_phase::measurement::Target;
use crate::three_phase::solver;

/// The standard deviation of the angles that sources have without load, between one another: a
/// supply is off by a third of a degree, and the drop over the source's own impedance by as much.
pub const SOURCE_ANGLE_RAD: f64 = 0.005;

/// The estimation of an unbalanced network.
#[derive(Clone, Debug)]
pub struct Estimate {
    estimator: Estimator,
    /// The circuit's node of each node; nothing where dead.
    place: Vec<Option<usize>>,
    /// Voltages without load, by the circuit's node.
    start: Vec<Complex>,
    unused: Vec<Unused>,
}

impl Estimate {
    /// The estimation of a network from measurements, with a power base of one phase in VA. Row
    /// members refer to the measurements by position.
    ///
    /// # Errors
    /// A node under voltage has no voltage base; in words, with its identifier.
    pub fn new(
        network: &Network,
        measurements: &[Measurement],
        base_va: f64,
    ) -> Result<Estimate, String> {
        let mut compiler = Compiler::new(network, base_va)?;
        for (at, measurement) in measurements.iter().enumerate() {
            compiler.add(at, measurement);
        }
        compiler.add_injections(measurements);
        compiler.add_source_angles();
        let mut estimator = Estimator::of_circuit(&compiler.circuit, compiler.rows);
        estimator.observe();
        let (place, start, unused) = (compiler.place, compiler.circuit.start, compiler.unused);
        Ok(Estimate { estimator, place, start, unused })
    }

    /// Estimates: see [`Estimator::solve`].
    pub fn solve(&mut self, settings: &Settings) -> Outcome {
        if self.estimator.nodes() == 0 {
            return Outcome::NoSource;
        }
        self.estimator.solve(settings)
    }

    /// The voltage of a node per unit of its base; zero where dead, nothing where it cannot be
    /// observed.
    pub fn voltage(&self, node: usize) -> Option<Complex> {
        self.place[node].map_or(Some(Complex::ZERO), |at| self.estimator.voltage(at))
    }

    /// True if a node has a path to a source.
    pub fn is_energised(&self, node: usize) -> bool {
        self.place[node].is_some()
    }

    /// The core's node of a node; nothing where dead.
    pub fn place(&self, node: usize) -> Option<usize> {
        self.place[node]
    }

    /// The voltage of a node without load, per unit of its base; zero where dead.
    pub fn start(&self, node: usize) -> Complex {
        self.place[node].map_or(Complex::ZERO, |at| self.start[at])
    }

    /// The island of a node, by any number; nothing where dead.
    pub fn island(&self, node: usize) -> Option<usize> {
        self.place[node].map(|at| self.estimator.island(at))
    }

    /// Measurements that are in no row.
    pub fn unused(&self) -> &[Unused] {
        &self.unused
    }

    /// The core: rows, residuals, covariance, all by the circuit's nodes.
    pub fn estimator(&mut self) -> &mut Estimator {
        &mut self.estimator
    }
}

struct Compiler<'a> {
    network: &'a Network,
    base_va: f64,
    place: Vec<Option<usize>>,
    /// Nodes at which something can inject.
    injecting: Vec<bool>,
    circuit: Circuit,
    rows: Vec<Row>,
    unused: Vec<Unused>,
    /// Terminals by element, terminal and node.
    terminals: BTreeMap<(usize, usize, usize), usize>,
    /// Meters of injections by circuit node, quantity, and node.
    meters: BTreeMap<(usize, Quantity), BTreeMap<usize, Vec<usize>>>,
}

impl<'a> Compiler<'a> {
    fn new(network: &'a Network, base_va: f64) -> Result<Compiler<'a>, String> {
        let closed = |element: &Element| element.kind == (Kind::Switch { closed: true });
        let roots = network.merged_nodes(closed);
        let islands = network.islands();
        let mut number = BTreeMap::new();
        let mut place = vec![None; roots.len()];
        let mut circuit = Circuit::default();
        let start = no_load(network);
        for (node, &root) in roots.iter().enumerate() {
            let Some(island) = islands[node] else { continue };
            let base = network.nodes[node].base_volt;
            if base <= 0.0 {
                return Err(format!("node {} has no voltage base", network.nodes[node].id));
            }
            let at = *number.entry(root).or_insert_with(|| {
                circuit.start.push(start[node].scale(1.0 / base));
                circuit.island.push(island);
                circuit.zero_injection.push(true);
                circuit.start.len() - 1
            });
            place[node] = Some(at);
        }
        circuit.nodes = circuit.start.len();
        let mut injecting = vec![true; roots.len()];
        network.zero_injection_nodes().into_iter().for_each(|node| injecting[node] = false);
        for (node, at) in place.iter().enumerate() {
            if let Some(at) = at {
                circuit.zero_injection[*at] &= !injecting[node];
            }
        }
        circuit.references = references(network, &place, &circuit.island);
        let mut compiler = Compiler {
            network,
            base_va,
            place,
            injecting,
            circuit,
            rows: Vec::new(),
            unused: Vec::new(),
            terminals: BTreeMap::new(),
            meters: BTreeMap::new(),
        };
        compiler.add_admittances();
        Ok(compiler)
    }

    fn add_admittances(&mut self) {
        let mut bare = self.network.clone();
        for element in &mut bare.elements {
            element.in_service &= !matches!(element.kind, Kind::Switch { .. });
        }
        for (a, b, y) in bare.admittance() {
            if let (Some(row), Some(column)) = (self.place[a], self.place[b]) {
                self.circuit.admittances.push((row, column, y.scale(self.per_unit(a, b))));
            }
        }
    }

    /// What makes siemens between two nodes per unit.
    fn per_unit(&self, a: usize, b: usize) -> f64 {
        self.network.nodes[a].base_volt * self.network.nodes[b].base_volt / self.base_va
    }

    fn leave_out(&mut self, measurement: usize, why: WhyUnused) {
        let zero = matches!(why, WhyUnused::Dead | WhyUnused::OpenEnd | WhyUnused::KnownZero);
        self.unused.push(Unused { measurement, why, expected: zero.then_some(0.0) });
    }

    fn add(&mut self, at: usize, measurement: &Measurement) {
        let node = match measurement.target {
            Target::Node(node) | Target::Conductor { node, .. } => node,
        };
        if !measurement.value.is_finite() || measurement.sigma.is_nan() || measurement.sigma <= 0.0
        {
            return self.leave_out(at, WhyUnused::Invalid);
        }
        let Some(place) = self.place[node] else {
            return self.leave_out(at, WhyUnused::Dead);
        };
        let what = match (measurement.target, measurement.quantity) {
            (Target::Node(_), Quantity::VoltageMagnitude) => What::Magnitude(place),
            (Target::Node(_), Quantity::VoltageAngle) => What::Angle(place),
            (Target::Node(_), quantity @ (Quantity::ActivePower | Quantity::ReactivePower)) => {
                if !self.injecting[node] {
                    return self.leave_out(at, WhyUnused::KnownZero);
                }
                let meters = self.meters.entry((place, quantity)).or_default();
                meters.entry(node).or_default().push(at);
                return;
            }
            (Target::Conductor { element, terminal, .. }, quantity) => {
                match self.flow(element, terminal, node, quantity) {
                    Ok(what) => what,
                    Err(why) => return self.leave_out(at, why),
                }
            }
            (Target::Node(_), _) => return self.leave_out(at, WhyUnused::Meaningless),
        };
        let base = base_of(self.network, self.base_va, measurement.quantity, node);
        self.rows.push(Row {
            what,
            members: vec![(at, 1.0)],
            value: measurement.value / base,
            sigma: measurement.sigma / base,
            active: true,
        });
    }

    fn flow(
        &mut self,
        element: usize,
        terminal: usize,
        node: usize,
        quantity: Quantity,
    ) -> Result<What, WhyUnused> {
        let of = &self.network.elements[element];
        match of.kind {
            _ if !of.in_service => return Err(WhyUnused::OutOfService),
            Kind::Switch { closed: false } => return Err(WhyUnused::OpenEnd),
            Kind::Switch { .. } | Kind::Source => return Err(WhyUnused::Meaningless),
            Kind::Fixed | Kind::Transformer(_) | Kind::Capacitor(_) => {}
        }
        let key = (element, terminal, node);
        let at = match self.terminals.get(&key) {
            Some(&at) => at,
            None => {
                let currents = self.network.terminal_currents(element, terminal);
                let current = currents.into_iter().find(|current| current.node == node);
                let current = current.ok_or(WhyUnused::Meaningless)?;
                let scaled = |(other, y): (usize, Complex)| {
                    self.place[other].map(|place| (place, y.scale(self.per_unit(node, other))))
                };
                let terms: Vec<(usize, Complex)> =
                    current.coefficients.into_iter().filter_map(scaled).collect();
                let place = self.place[node].ok_or(WhyUnused::Dead)?;
                let places = terms.iter().map(|term| term.0).chain([place]);
                if places.collect::<BTreeSet<usize>>().len() > TERMS_MAX {
                    return Err(WhyUnused::Meaningless);
                }
                self.circuit.terminals.push(Terminal { node: place, terms });
                self.terminals.insert(key, self.circuit.terminals.len() - 1);
                self.circuit.terminals.len() - 1
            }
        };
        Ok(match quantity {
            Quantity::ActivePower => What::ActiveFlow(at),
            Quantity::ReactivePower => What::ReactiveFlow(at),
            Quantity::CurrentMagnitude => What::Current(at),
            Quantity::CurrentAngle => What::CurrentAngle(at),
            Quantity::VoltageMagnitude | Quantity::VoltageAngle => {
                return Err(WhyUnused::Meaningless);
            }
        })
    }

    /// The angles of sources without load, in islands of several source nodes where no measurement
    /// is of an angle.
    fn add_source_angles(&mut self) {
        let of_row = |row: &Row| match row.what {
            What::Angle(node) => Some(self.circuit.island[node]),
            What::CurrentAngle(at) => Some(self.circuit.island[self.circuit.terminals[at].node]),
            _ => None,
        };
        let measured: BTreeSet<usize> = self.rows.iter().filter_map(of_row).collect();
        let mut sources: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for place in self.network.source_nodes().iter().filter_map(|&node| self.place[node]) {
            sources.entry(self.circuit.island[place]).or_default().insert(place);
        }
        sources.retain(|island, nodes| !measured.contains(island) && nodes.len() > 1);
        for place in sources.into_values().flatten() {
            self.rows.push(Row {
                what: What::Angle(place),
                members: Vec::new(),
                value: self.circuit.start[place].arg(),
                sigma: SOURCE_ANGLE_RAD,
                active: true,
            });
        }
    }

    /// Injections of one node by themselves, of several that are merged as their sum.
    fn add_injections(&mut self, measurements: &[Measurement]) {
        let mut count = vec![0; self.circuit.nodes];
        for (node, place) in self.place.iter().enumerate() {
            if let Some(place) = place.filter(|_| self.injecting[node]) {
                count[place] += 1;
            }
        }
        for ((place, quantity), by_node) in std::mem::take(&mut self.meters) {
            let what = match quantity {
                Quantity::ActivePower => What::ActiveInjection(place),
                _ => What::ReactiveInjection(place),
            };
            if by_node.len() < count[place] {
                for at in by_node.into_values().flatten() {
                    self.leave_out(at, WhyUnused::Incomplete);
                }
                continue;
            }
            let rows: Vec<Vec<usize>> = if count[place] == 1 {
                by_node.into_values().flatten().map(|at| vec![at]).collect()
            } else {
                // Of several meters at one part of a sum the first counts.
                let first = by_node.values().map(|meters| meters[0]).collect();
                for &at in by_node.values().flat_map(|meters| &meters[1..]) {
                    self.leave_out(at, WhyUnused::Incomplete);
                }
                vec![first]
            };
            for members in rows {
                let value: f64 = members.iter().map(|&at| measurements[at].value).sum();
                let square = |at: &usize| measurements[*at].sigma * measurements[*at].sigma;
                let variance: f64 = members.iter().map(square).sum();
                self.rows.push(Row {
                    what,
                    members: members.into_iter().map(|at| (at, 1.0)).collect(),
                    value: value / self.base_va,
                    sigma: variance.sqrt() / self.base_va,
                    active: true,
                });
            }
        }
    }
}

/// One per unit at a node, in volts, radians, watts, var or amperes.
pub(super) fn base_of(network: &Network, base_va: f64, quantity: Quantity, node: usize) -> f64 {
    let volt = network.nodes[node].base_volt;
    match quantity {
        Quantity::VoltageMagnitude => volt,
        Quantity::VoltageAngle | Quantity::CurrentAngle => 1.0,
        Quantity::ActivePower | Quantity::ReactivePower => base_va,
        Quantity::CurrentMagnitude => base_va / volt,
    }
}

/// Voltages without load in volts; zeros where even that has no solution.
pub(super) fn no_load(network: &Network) -> Vec<Complex> {
    let mut bare = network.clone();
    bare.loads.clear();
    bare.controls.clear();
    let mut solver = Solver::new(bare, solver::Settings::default());
    solver.solve();
    (0..network.nodes.len()).map(|node| solver.voltage(node)).collect()
}

/// The first node of a source in each island.
fn references(network: &Network, place: &[Option<usize>], island: &[usize]) -> Vec<usize> {
    let mut of_island: BTreeMap<usize, usize> = BTreeMap::new();
    for element in network.elements.iter().filter(|e| e.in_service && e.kind == Kind::Source) {
        let first = element.nodes.iter().flatten().find_map(|&node| place[node]);
        if let Some(node) = first {
            of_island.entry(island[node]).or_insert(node);
        }
    }
    of_island.into_values().collect()
}
