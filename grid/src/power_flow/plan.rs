//! The plan of a power flow: which nodes meet in the matrix, and where each number lands.
//!
//! A plan belongs to a numbering of nodes, so to the positions of the switches between buses. All
//! branches are in it, in service or not, both ends open or closed: switching a branch changes
//! values and never the pattern.

use std::sync::Arc;

use crate::complex::Complex;
use crate::model::Model;
use crate::network::Side;
use crate::sparse::Pattern;
use crate::topology::Topology;

/// Marks a branch with both ends at one node: it has no entries beside the diagonal.
const NO_ENTRY: u32 = u32::MAX;

/// An entry of the admittance matrix beside its diagonal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The mutual admittance per unit.
    pub(super) y: Complex,
    /// The other node's place.
    pub(super) column: u32,
    /// Where the entry is on the pattern.
    pub(super) block: u32,
}

/// What does not change while the nodes keep their numbers.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) pattern: Pattern,
    /// Where the entries of each place begin.
    pub(super) row_start: Vec<u32>,
    /// All entries, with zero admittances.
    pub(super) blank: Vec<Entry>,
    /// Blocks of the pattern that only elimination fills.
    pub(super) fill: Vec<u32>,
    /// The entries of each branch: from its from node, from its to node.
    of_branch: Vec<[u32; 2]>,
}

impl Plan {
    fn new(model: &Model, topology: &Topology) -> Plan {
        let ends = |branch: usize| {
            let line = &model.branches[branch];
            (topology.node(line.from), topology.node(line.to))
        };
        let branches = model.branches.len();
        let pattern = Pattern::new(topology.nodes(), (0..branches).map(ends));
        let mut pairs: Vec<(u32, u32)> = Vec::with_capacity(2 * branches);
        for branch in 0..branches {
            let (from, to) = ends(branch);
            let (from, to) = (pattern.place(from) as u32, pattern.place(to) as u32);
            if from != to {
                pairs.push((from, to));
                pairs.push((to, from));
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut used = vec![false; pattern.blocks()];
        let mut row_start = vec![0_u32; pattern.rows() + 1];
        let mut blank = Vec::with_capacity(pairs.len());
        for &(row, column) in &pairs {
            let block = pattern.block(pattern.node(row as usize), pattern.node(column as usize));
            let block = block.expect("a branch is in the pattern");
            used[block] = true;
            blank.push(Entry { y: Complex::ZERO, column, block: block as u32 });
            row_start[row as usize + 1] += 1;
        }
        for place in 0..pattern.rows() {
            row_start[place + 1] += row_start[place];
            used[pattern.diagonal(place)] = true;
        }
        let fill = (0..used.len()).filter(|&at| !used[at]).map(|at| at as u32).collect();
        let entry = |row: usize, column: usize| {
            let pair = (pattern.place(row) as u32, pattern.place(column) as u32);
            pairs.binary_search(&pair).map_or(NO_ENTRY, |at| at as u32)
        };
        let of_branch =
            (0..branches).map(ends).map(|(from, to)| [entry(from, to), entry(to, from)]).collect();
        Plan { pattern, row_start, blank, fill, of_branch }
    }

    /// The entries of a place.
    #[inline]
    pub(super) fn row(&self, place: usize) -> std::ops::Range<usize> {
        self.row_start[place] as usize..self.row_start[place + 1] as usize
    }

    /// The entry that a branch has in the row of one of its ends; nothing where both are one node.
    pub(super) fn entry(&self, branch: usize, side: Side) -> Option<usize> {
        let entry = self.of_branch[branch][side as usize];
        (entry != NO_ENTRY).then_some(entry as usize)
    }
}

/// How many plans are kept. A substation has a handful of usual arrangements; one that is
/// forgotten costs a symbolic factorisation when it comes back.
const PLANS_MAX: usize = 16;

/// The plans of the last numberings.
#[derive(Clone, Debug, Default)]
pub(super) struct Plans {
    /// The nodes of buses and their plan, the last one used at the end.
    kept: Vec<(Vec<u32>, Arc<Plan>)>,
}

impl Plans {
    /// The plan of a topology: a kept one or a new one.
    pub(super) fn find(&mut self, model: &Model, topology: &Topology) -> Arc<Plan> {
        let nodes = topology.node_of_buses();
        if let Some(at) = self.kept.iter().position(|(of, _)| of == nodes) {
            let found = self.kept.remove(at);
            let plan = Arc::clone(&found.1);
            self.kept.push(found);
            return plan;
        }
        let plan = Arc::new(Plan::new(model, topology));
        if self.kept.len() == PLANS_MAX {
            self.kept.remove(0);
        }
        self.kept.push((nodes.to_vec(), Arc::clone(&plan)));
        plan
    }
}
