//! The network as linear equations: what an estimator needs of it.
//!
//! Everything that carries current is linear in the voltages except loads and sources, and those
//! two are what is injected: with `Y` of all other elements, the injection at a node is
//! `(Y v)_node`, the current into an element's terminal is a short row of coefficients, and a node
//! without load and source has exactly no injection.

use std::collections::BTreeMap;

use crate::complex::Complex;
use crate::three_phase::Kind;
use crate::three_phase::Network;

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
