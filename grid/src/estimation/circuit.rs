//! The circuit an estimator works on: nodes, admittances between them, terminals.

use crate::complex::Complex;
use crate::sparse::Pattern;

/// Nodes that are under voltage, and what connects them.
///
/// A node is a bus section of a balanced network or one phase of a bus of a three-phase one.
#[derive(Clone, Debug, Default)]
pub struct Circuit {
    /// How many nodes there are.
    pub nodes: usize,
    /// Entries of the admittance matrix (row, column, per unit); entries of a place add up.
    pub admittances: Vec<(usize, usize, Complex)>,
    /// Where currents and flows are measured.
    pub terminals: Vec<Terminal>,
    /// A voltage of each node to start from, its angle turned by the vector groups on the way.
    pub start: Vec<Complex>,
    /// The island of each node, any numbers.
    pub island: Vec<usize>,
    /// The node of each island whose angle in `start` is the reference where no angle is measured.
    pub references: Vec<usize>,
    /// True where nothing injects: an exact balance of currents.
    pub zero_injection: Vec<bool>,
}

impl Circuit {
    /// Starts from the voltages without load: those under which nothing flows but what the
    /// circuit itself draws, with some nodes held. Through transformers between unlike phases
    /// nothing simpler finds the angles. Keeps the start that is there where there is no such
    /// state.
    ///
    /// # Panics
    /// A held node is not there.
    pub fn start_without_load(&mut self, held: &[(usize, Complex)]) {
        let entries = self.admittances.iter().map(|&(row, column, _)| (row, column));
        let pattern = Pattern::new(self.nodes, entries);
        let mut blocks = vec![Complex::ZERO; pattern.blocks()];
        let mut v = vec![Complex::ZERO; self.nodes];
        let mut free = vec![true; self.nodes];
        for &(node, voltage) in held {
            free[node] = false;
            v[pattern.place(node)] = voltage;
            blocks[pattern.diagonal(pattern.place(node))] = Complex::ONE;
        }
        for &(row, column, y) in &self.admittances {
            if free[row] {
                let block = pattern.block(row, column);
                blocks[block.expect("the pattern has every entry")] += y;
            }
        }
        let weakest = pattern.factor(&mut blocks);
        pattern.solve(&blocks, &mut v);
        if weakest.share > 0.0 && v.iter().all(|v| v.is_finite() && v.norm_sqr() > 0.0) {
            self.start = (0..self.nodes).map(|node| v[pattern.place(node)]).collect();
        }
    }
}

/// A place where a current goes from a node into an element: `i = Σ a v`.
///
/// The end of a branch has two terms; a phase of a three-phase element as many as the element has
/// conductors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terminal {
    /// The node the current comes from.
    pub node: usize,
    /// The nodes whose voltages drive it, each with its admittance per unit.
    pub terms: Vec<(usize, Complex)>,
}

impl Terminal {
    /// The terms with one entry a node and the terminal's own node among them.
    pub(super) fn merged(&self) -> Vec<(usize, Complex)> {
        let mut merged: Vec<(usize, Complex)> = vec![(self.node, Complex::ZERO)];
        for &(node, a) in &self.terms {
            match merged.iter_mut().find(|(known, _)| *known == node) {
                Some((_, sum)) => *sum += a,
                None => merged.push((node, a)),
            }
        }
        merged
    }
}
