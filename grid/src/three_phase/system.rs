//! The network as linear equations: what an estimator needs of it.
//!
//! Everything that carries current is linear in the voltages except loads and sources, and those
//! two are what is injected: with `Y` of all other elements, the injection at a node is
//! `(Y v)_node`, the current into an element's terminal is a short row of coefficients, and a node
//! without load and source has exactly no injection.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::complex::Complex;
use crate::three_phase::Kind;
use crate::three_phase::Network;
use crate::three_phase::Node;
use crate::three_phase::Solver;
use crate::three_phase::check::Bare;
use crate::three_phase::estimate::no_load;
use crate::three_phase::solver;

/// The current at one conductor of an element: `Σ coefficient · voltage`, in amperes into the
/// element, by node.
#[derive(Clone, Debug, PartialEq)]
pub struct Current {
    /// The node the conductor is at.
    pub node: usize,
    /// Coefficients in siemens.
    pub coefficients: Vec<(usize, Complex)>,
}

impl Network {
    /// The admittance matrix of everything but loads and sources, in siemens: row, column, value,
    /// sorted, each place once, every diagonal there.
    pub fn admittance(&self) -> Vec<(usize, usize, Complex)> {
        let mut places: BTreeMap<(usize, usize), Complex> =
            (0..self.nodes.len()).map(|node| ((node, node), Complex::ZERO)).collect();
        for element in self.elements.iter().filter(|element| element.in_service) {
            if matches!(element.kind, Kind::Source | Kind::Switch { closed: false }) {
                continue;
            }
            for (row, a) in element.nodes.iter().enumerate() {
                for (column, b) in element.nodes.iter().enumerate() {
                    let value = element.y.get(row, column);
                    if let (Some(a), Some(b)) = (*a, *b)
                        && value != Complex::ZERO
                    {
                        *places.entry((a, b)).or_insert(Complex::ZERO) += value;
                    }
                }
            }
        }
        places.into_iter().map(|((row, column), value)| (row, column, value)).collect()
    }

    /// The currents into an element at the conductors of a terminal (from 0) that are not
    /// grounded; a node at two conductors comes once, with both together.
    pub fn terminal_currents(&self, element: usize, terminal: usize) -> Vec<Current> {
        let element = &self.elements[element];
        let first = terminal * element.conductors();
        let mut rows: BTreeMap<usize, BTreeMap<usize, Complex>> = BTreeMap::new();
        for (conductor, node) in element.terminal(terminal).iter().enumerate() {
            let Some(node) = node else { continue };
            let row = rows.entry(*node).or_default();
            for (column, other) in element.nodes.iter().enumerate() {
                let value = element.y.get(first + conductor, column);
                if let Some(other) = other
                    && value != Complex::ZERO
                {
                    *row.entry(*other).or_insert(Complex::ZERO) += value;
                }
            }
        }
        rows.into_iter()
            .map(|(node, row)| Current { node, coefficients: row.into_iter().collect() })
            .collect()
    }

    /// The elements that are switches, ascending.
    pub fn switches(&self) -> Vec<usize> {
        let is = |element: &usize| matches!(self.elements[*element].kind, Kind::Switch { .. });
        (0..self.elements.len()).filter(is).collect()
    }

    /// The nodes of sources in service, ascending.
    pub fn source_nodes(&self) -> Vec<usize> {
        let sources = self.elements.iter().filter(|e| e.in_service && e.kind == Kind::Source);
        let nodes: BTreeSet<usize> =
            sources.flat_map(|source| source.nodes.iter().flatten()).copied().collect();
        nodes.into_iter().collect()
    }

    /// What carries current between buses, conductor by conductor: each element (no switch, no
    /// source) of which another terminal is at another node than the first, with the nodes of its
    /// first.
    pub fn conductors(&self) -> Vec<(usize, usize)> {
        let mut conductors = Vec::new();
        for (at, element) in self.elements.iter().enumerate() {
            if matches!(element.kind, Kind::Switch { .. } | Kind::Source | Kind::Capacitor(_)) {
                continue;
            }
            let first: BTreeSet<usize> = element.terminal(0).iter().flatten().copied().collect();
            let rest = &element.nodes[element.conductors()..];
            if rest.iter().flatten().any(|node| !first.contains(node)) {
                conductors.extend(first.into_iter().map(|node| (at, node)));
            }
        }
        conductors
    }

    /// What loads draw at each node in watts and var, at the voltages of the power flow with
    /// everything as it stands; at those without load where it has none.
    pub fn drawn(&self) -> Vec<Complex> {
        let mut still = self.clone();
        still.controls.clear();
        let mut solver = Solver::new(still, solver::Settings::default());
        let solved = solver.solve().is_solved();
        let voltages: Vec<Complex> = if solved {
            (0..self.nodes.len()).map(|node| solver.voltage(node)).collect()
        } else {
            no_load(self)
        };
        let mut drawn = vec![Complex::ZERO; self.nodes.len()];
        for load in self.loads.iter().filter(|load| load.in_service) {
            let volt = |node: Option<usize>| node.map_or(Complex::ZERO, |node| voltages[node]);
            let legs = load.legs.len().max(1) as f64;
            for &[from, to] in &load.legs {
                let across = volt(from) - volt(to);
                if across == Complex::ZERO {
                    continue;
                }
                let (g_p, g_q) = load.factors(across.norm_sqr());
                let y = Complex::new(g_p * load.p_w, -g_q * load.q_var).scale(1.0 / legs);
                let current = across * y;
                for (node, current) in [(from, current), (to, current.scale(-1.0))] {
                    if let Some(node) = node {
                        drawn[node] += voltages[node] * current.conj();
                    }
                }
            }
        }
        drawn
    }

    /// Why this cannot be estimated node by node, in words; empty if it can.
    pub fn unfit(&self) -> Vec<String> {
        let bare = match self.bare() {
            Ok(bare) => bare,
            Err(problem) => return vec![problem.to_owned()],
        };
        let neutrals = bare.neutrals(self);
        let mut unfit = Vec::new();
        for (at, Node { id, base_volt, .. }) in self.nodes.iter().enumerate() {
            if bare.islands[at].is_some() && *base_volt <= 0.0 {
                unfit.push(format!("node {id} has no voltage base"));
            } else if neutrals.binary_search(&at).is_ok() {
                unfit.push(format!(
                    "node {id} has no voltage to ground: a neutral that is a node of its own is \
                     not estimated"
                ));
            }
        }
        unfit
    }

    /// The network with every switch closed and without load; why it has no such state, in words.
    pub(super) fn bare(&self) -> Result<Bare, &'static str> {
        let mut closed = self.clone();
        for element in &mut closed.elements {
            if matches!(element.kind, Kind::Switch { .. }) {
                element.kind = Kind::Switch { closed: true };
            }
        }
        let islands = closed.islands();
        if islands.iter().all(Option::is_none) {
            return Err("there is no source in service");
        }
        let voltages = no_load(&closed);
        if voltages.iter().all(|v| *v == Complex::ZERO) {
            return Err("it has no state without load");
        }
        Ok(Bare { islands, voltages })
    }

    /// Nodes at which there is neither load nor source: their injection is exactly zero.
    pub fn zero_injection_nodes(&self) -> Vec<usize> {
        let mut injected = vec![false; self.nodes.len()];
        let sources = self.elements.iter().filter(|e| e.in_service && e.kind == Kind::Source);
        for node in sources.flat_map(|source| source.nodes.iter().flatten()) {
            injected[*node] = true;
        }
        let loads = self.loads.iter().filter(|load| load.in_service);
        for node in loads.flat_map(|load| load.legs.iter().flatten().flatten()) {
            injected[*node] = true;
        }
        (0..self.nodes.len()).filter(|&node| !injected[node]).collect()
    }
}
