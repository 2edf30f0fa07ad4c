//! A grown tree: how rows walk down it, and what is written of it.
//!
//! Nodes lie in preorder. A leaf is its own child on both sides, so several rows can take each
//! step together until none moves: there is no branch to guess wrong on the way.

use serde::Deserialize;
use serde::Serialize;

/// Rows that walk down one tree before the next is taken: with 16 features 16 kB, which together
/// with a tree stays in the first cache.
pub(super) const BLOCK: usize = 256;

/// Rows that take a step together: their loads overlap, and their places fit into registers.
const ABREAST: usize = 8;

/// A node.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Node {
    /// The greatest value that goes left; of a leaf, its answer.
    value: f32,
    /// The feature that is asked; of a leaf, 0.
    feature: u16,
    /// Whether missing values go left.
    missing_left: bool,
    /// The nodes to the left and right; of a leaf, itself.
    children: [u16; 2],
}

/// A tree.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// Mean answer at each node over the rows learned from.
    means: Vec<f64>,
    /// Rows learned from, a node.
    rows: Vec<u32>,
}

/// What is written of a tree: nodes in preorder.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Record {
    /// 0 for a leaf, else 1 + 2 · feature + (1 if missing values go left).
    pub(super) codes: Vec<u16>,
    /// The greatest value that goes left, or a leaf's answer, a node.
    pub(super) values: Vec<f32>,
    /// Rows learned from, a leaf.
    pub(super) rows: Vec<u32>,
}

impl Record {
    /// Appends a leaf.
    pub(super) fn leaf(&mut self, value: f32, rows: u32) {
        self.codes.push(0);
        self.values.push(value);
        self.rows.push(rows);
    }

    /// Appends a split; its left and right follow.
    pub(super) fn split(&mut self, feature: usize, threshold: f32, missing_left: bool) {
        self.codes.push(1 + 2 * feature as u16 + u16::from(missing_left));
        self.values.push(threshold);
    }
}

impl Tree {
    /// A tree from what was written of it; `None` if that is no tree over `features` features.
    pub(super) fn read(record: &Record, features: usize) -> Option<Tree> {
        let n = record.codes.len();
        if n == 0 || n > u16::MAX as usize || record.values.len() != n {
            return None;
        }
        let mut nodes: Vec<Node> = Vec::with_capacity(n);
        let mut rows = vec![0; n];
        let mut leaf_rows = record.rows.iter();
        // Splits whose right side is still to come.
        let mut open: Vec<usize> = Vec::new();
        for (at, (&code, &value)) in record.codes.iter().zip(&record.values).enumerate() {
            let here = at as u16;
            if at > 0 && !matches!(record.codes[at - 1], 1..) {
                // What follows a leaf is the right side of the last open split.
                nodes[open.pop()?].children[1] = here;
            }
            if !value.is_finite() {
                return None;
            }
            if code == 0 {
                rows[at] = *leaf_rows.next()?;
                let children = [here, here];
                nodes.push(Node { value, feature: 0, missing_left: false, children });
            } else {
                let (feature, missing_left) = ((code - 1) / 2, (code - 1) % 2 == 1);
                if feature as usize >= features || at + 1 == n {
                    return None;
                }
                open.push(at);
                nodes.push(Node { value, feature, missing_left, children: [here + 1, here] });
            }
        }
        if !open.is_empty() || leaf_rows.next().is_some() {
            return None;
        }
        let means = means(&nodes, &mut rows);
        Some(Tree { nodes, means, rows })
    }

    /// What is written of it.
    pub(super) fn record(&self) -> Record {
        let mut record = Record::default();
        for (at, node) in self.nodes.iter().enumerate() {
            match node.is_leaf(at) {
                true => record.leaf(node.value, self.rows[at]),
                false => record.split(node.feature as usize, node.value, node.missing_left),
            }
        }
        record
    }

    /// Adds its answers for a block of rows (missing values as NaN) to `out`.
    pub(super) fn add_to(&self, rows: &[f32], features: usize, out: &mut [f64]) {
        let nodes = &self.nodes[..];
        let abreast = rows.chunks_exact(ABREAST * features);
        let alone = abreast.remainder();
        let mut outs = out.chunks_exact_mut(ABREAST);
        for (rows, out) in abreast.zip(&mut outs) {
            let mut at = [0_u16; ABREAST];
            loop {
                let mut moved = 0;
                for (lane, at) in at.iter_mut().enumerate() {
                    let node = &nodes[*at as usize];
                    let next = node.next(rows[lane * features + node.feature as usize]);
                    moved |= next ^ *at;
                    *at = next;
                }
                if moved == 0 {
                    break;
                }
            }
            for (out, at) in out.iter_mut().zip(at) {
                *out += f64::from(nodes[at as usize].value);
            }
        }
        for (row, out) in alone.chunks_exact(features).zip(outs.into_remainder()) {
            let mut at = 0;
            while !nodes[at].is_leaf(at) {
                at = nodes[at].next(row[nodes[at].feature as usize]) as usize;
            }
            *out += f64::from(nodes[at].value);
        }
    }

    /// Adds to each feature what its splits changed for a row, and to the last the root's mean.
    pub(super) fn contribute(&self, row: &[f32], contributions: &mut [f64]) {
        contributions[row.len()] += self.means[0];
        let mut at = 0;
        while !self.nodes[at].is_leaf(at) {
            let node = &self.nodes[at];
            let x = row[node.feature as usize];
            let next = node.next(if x.is_finite() { x } else { f32::NAN }) as usize;
            contributions[node.feature as usize] += self.means[next] - self.means[at];
            at = next;
        }
    }
}

impl Node {
    /// Where a row with value `x` (NaN: missing) goes.
    #[inline(always)]
    fn next(&self, x: f32) -> u16 {
        let left = (x <= self.value) | (x.is_nan() & self.missing_left);
        self.children[usize::from(!left)]
    }

    /// Whether this node, which lies at `at`, is a leaf.
    fn is_leaf(&self, at: usize) -> bool {
        self.children[1] as usize == at
    }
}

/// The mean answer at each node, weighted by the rows of the leaves; fills in the rows of splits.
fn means(nodes: &[Node], rows: &mut [u32]) -> Vec<f64> {
    let mut means = vec![0.0; nodes.len()];
    // In preorder children come after their parent, so backwards they come first.
    for (at, node) in nodes.iter().enumerate().rev() {
        if node.is_leaf(at) {
            means[at] = f64::from(node.value);
            continue;
        }
        let [left, right] = node.children.map(usize::from);
        let (l, r) = (f64::from(rows[left]), f64::from(rows[right]));
        rows[at] = rows[left].saturating_add(rows[right]);
        means[at] = match l + r > 0.0 {
            true => (l * means[left] + r * means[right]) / (l + r),
            false => f64::midpoint(means[left], means[right]),
        };
    }
    means
}
