//! The pattern of a matrix: order of elimination, fill, and where each product lands.
//!
//! Nodes are eliminated in an order of least degree (Tinney's scheme 2: W. F. Tinney, J. W. Walker,
//! *Direct solutions of sparse network equations by optimally ordered triangular factorization*,
//! Proc. IEEE 55, 1967), ties by number, so that a tree has no fill at all. The order is a function
//! of the edges alone.
//!
//! Rows and columns are in order of elimination, so that solvers walk memory forwards:
//! [`Pattern::place`] says where a node went.
//!
//! # Costs
//!
//! `O(Σ degree²)` time and list entries over the eliminated nodes: 0.1 ms for 100 nodes, 20 ms for
//! the 9,241 of a European transmission network.

use std::collections::BTreeSet;
use std::ops::Deref;

use crate::sparse::layout::Layout;

/// The pattern of a structurally symmetric matrix with its fill.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    pub(super) layout: Layout,
    pub(super) row_start: Vec<u32>,
    pub(super) diagonal: Vec<u32>,
    /// For each place, then each entry right of its diagonal: the entry mirrored below it.
    pub(super) mirror: Vec<u32>,
    pub(super) mirror_start: Vec<u32>,
    /// For each place, row by row of what is below it: where the products are taken off.
    pub(super) target: Vec<u32>,
    pub(super) target_start: Vec<u32>,
}

impl Pattern {
    /// The pattern of `count` nodes with these edges, both directions of each, and all diagonals.
    pub fn new(count: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Pattern {
        let mut near: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); count];
        for (a, b) in edges {
            if a != b {
                near[a].insert(b as u32);
                near[b].insert(a as u32);
            }
        }
        let (node, later) = eliminate(near);
        let mut place = vec![0_u32; count];
        for (at, &v) in node.iter().enumerate() {
            place[v as usize] = at as u32;
        }
        let mut pattern = Pattern {
            layout: Layout { place, node, column: Vec::new() },
            row_start: Vec::new(),
            diagonal: Vec::new(),
            mirror: Vec::new(),
            mirror_start: Vec::new(),
            target: Vec::new(),
            target_start: Vec::new(),
        };
        pattern.fill_rows(&later);
        pattern.list_products();
        pattern
    }

    /// The entries of a row, as a range of blocks.
    #[inline]
    pub fn row(&self, place: usize) -> std::ops::Range<usize> {
        self.row_start[place] as usize..self.row_start[place + 1] as usize
    }

    /// The diagonal block of a row.
    #[inline]
    pub fn diagonal(&self, place: usize) -> usize {
        self.diagonal[place] as usize
    }

    /// The blocks right of a row's diagonal, each with the block mirrored below the diagonal.
    #[inline]
    pub fn mirrored(&self, place: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let first = self.diagonal(place) + 1;
        let from = self.mirror_start[place] as usize;
        let to = self.mirror_start[place + 1] as usize;
        self.mirror[from..to].iter().enumerate().map(move |(k, &low)| (first + k, low as usize))
    }

    /// The block of two nodes, if it is in the pattern.
    pub fn block(&self, row: usize, column: usize) -> Option<usize> {
        self.find(self.row(self.place(row)), self.place(column))
    }

    fn at(&self, row: u32, column: u32) -> u32 {
        let found = self.find(self.row(row as usize), column as usize);
        found.expect("the fill holds every product") as u32
    }

    fn fill_rows(&mut self, later: &[BTreeSet<u32>]) {
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); self.rows()];
        for (at, &v) in self.node.iter().enumerate() {
            rows[at].push(at as u32);
            for &u in &later[v as usize] {
                let other = self.place[u as usize];
                rows[at].push(other);
                rows[other as usize].push(at as u32);
            }
        }
        self.row_start.push(0);
        for (at, mut row) in rows.into_iter().enumerate() {
            row.sort_unstable();
            let own = row.binary_search(&(at as u32)).expect("a row holds its diagonal");
            self.diagonal.push((self.column.len() + own) as u32);
            self.layout.column.extend(row);
            self.row_start.push(self.column.len() as u32);
        }
    }

    fn list_products(&mut self) {
        self.mirror_start.push(0);
        self.target_start.push(0);
        for at in 0..self.rows() {
            let right: Vec<u32> = self.column[self.diagonal(at) + 1..self.row(at).end].to_vec();
            for &below in &right {
                self.mirror.push(self.at(below, at as u32));
            }
            for &row in &right {
                for &column in &right {
                    self.target.push(self.at(row, column));
                }
            }
            self.mirror_start.push(self.mirror.len() as u32);
            self.target_start.push(self.target.len() as u32);
        }
    }
}

impl Deref for Pattern {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        &self.layout
    }
}

/// The order of least degree, and for each node what it is connected with when it goes.
fn eliminate(mut near: Vec<BTreeSet<u32>>) -> (Vec<u32>, Vec<BTreeSet<u32>>) {
    let count = near.len();
    let mut later: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); count];
    let mut queue: BTreeSet<(usize, u32)> =
        near.iter().enumerate().map(|(v, of)| (of.len(), v as u32)).collect();
    let mut order = Vec::with_capacity(count);
    while let Some((_, v)) = queue.pop_first() {
        order.push(v);
        let around = std::mem::take(&mut near[v as usize]);
        for &a in &around {
            queue.remove(&(near[a as usize].len(), a));
            let of = &mut near[a as usize];
            of.remove(&v);
            of.extend(around.iter().filter(|&&b| b != a));
            queue.insert((of.len(), a));
        }
        later[v as usize] = around;
    }
    (order, later)
}
