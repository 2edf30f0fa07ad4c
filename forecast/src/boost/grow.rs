//! Grows one tree: the leaf that gains most is split next, until there are enough leaves.
//!
//! Rows lie in one list, each leaf a range of it; a split sorts the range in place, the order
//! within each side kept. Only the smaller child is counted, in a histogram of its own; the
//! larger takes its parent's, less the smaller's.

use std::ops::Range;

use super::bins::Bins;
use super::histogram::Cell;
use super::histogram::Limits;
use super::histogram::ROOM;
use super::histogram::Split;
use super::histogram::fill;
use super::histogram::scan;

/// A node of a tree that is being grown.
#[derive(Clone, Copy)]
pub(super) enum Grown {
    /// A leaf, by its number.
    Leaf(usize),
    /// A split, and the nodes to its left and right.
    Split(Split, usize, usize),
}

/// A leaf of a tree that is being grown.
pub(super) struct Leaf<C> {
    /// Where its rows lie.
    pub(super) range: Range<usize>,
    /// Its sums.
    pub(super) total: C,
    /// Its node.
    node: usize,
    /// Its best split.
    best: Option<Split>,
}

/// What is reused from tree to tree, and the tree grown last.
pub(super) struct Grower<C> {
    /// The rows learned from, leaf after leaf.
    pub(super) rows: Vec<u32>,
    /// Gradient (and weight) of each row.
    pub(super) gradients: Vec<C>,
    /// Nodes, the root first.
    pub(super) nodes: Vec<Grown>,
    /// Leaves.
    pub(super) leaves: Vec<Leaf<C>>,
    /// Histograms, as many as leaves, one array a feature.
    histograms: Vec<Vec<[C; ROOM]>>,
    /// Rows that go right, while a leaf is split.
    aside: Vec<u32>,
}

impl<C: Cell> Grower<C> {
    /// For `rows` rows and no tree yet.
    pub(super) fn new(rows: usize) -> Grower<C> {
        Grower {
            rows: Vec::with_capacity(rows),
            gradients: vec![C::default(); rows],
            nodes: Vec::new(),
            leaves: Vec::new(),
            histograms: Vec::new(),
            aside: vec![0; rows],
        }
    }

    /// Grows a tree over `rows` with splits on `features` (ascending).
    pub(super) fn grow(
        &mut self,
        bins: &Bins,
        rows: &[u32],
        features: &[u32],
        leaves_max: usize,
        limits: &Limits,
    ) {
        self.rows.clear();
        self.rows.extend_from_slice(rows);
        self.nodes.clear();
        self.leaves.clear();
        self.nodes.push(Grown::Leaf(0));
        let mut total = C::default();
        rows.iter().for_each(|&row| total.add(self.gradients[row as usize]));
        self.leaves.push(Leaf { range: 0..rows.len(), total, node: 0, best: None });
        self.count(0, bins, features);
        self.search(0, bins, features, limits);
        while self.leaves.len() < leaves_max {
            let Some((leaf, split)) = self.most_gained() else { break };
            let last = self.leaves.len() + 1 == leaves_max;
            self.split(leaf, split, bins);
            if !last {
                self.look_on(leaf, bins, features, limits);
            }
        }
    }

    /// The leaf that gains most by its best split; of equals, the first.
    fn most_gained(&self) -> Option<(usize, Split)> {
        let mut most: Option<(usize, Split)> = None;
        for (i, leaf) in self.leaves.iter().enumerate() {
            if let Some(split) = leaf.best
                && most.is_none_or(|(_, best)| split.gain > best.gain)
            {
                most = Some((i, split));
            }
        }
        most
    }

    /// Splits a leaf: it becomes the left child, a new leaf the right one.
    fn split(&mut self, leaf: usize, split: Split, bins: &Bins) {
        let range = self.leaves[leaf].range.clone();
        let mut goes_left = [0_u8; ROOM];
        goes_left[..=split.bin as usize].fill(1);
        goes_left[bins.missing(split.feature)] = u8::from(split.missing_left);
        let column = bins.column(split.feature);
        let rows = &mut self.rows[range.clone()];
        let (mut left, mut right) = (0, 0);
        for i in 0..rows.len() {
            let row = rows[i];
            let goes = goes_left[column[row as usize] as usize] as usize;
            rows[left] = row;
            self.aside[right] = row;
            left += goes;
            right += 1 - goes;
        }
        rows[left..].copy_from_slice(&self.aside[..right]);
        let middle = range.start + left;
        let (to_left, to_right) = (self.nodes.len(), self.nodes.len() + 1);
        self.nodes.push(Grown::Leaf(leaf));
        self.nodes.push(Grown::Leaf(self.leaves.len()));
        self.nodes[self.leaves[leaf].node] = Grown::Split(split, to_left, to_right);
        let mut total = C::default();
        let small_left = left <= right;
        let small = if small_left {
            &self.rows[range.start..middle]
        } else {
            &self.rows[middle..range.end]
        };
        small.iter().for_each(|&row| total.add(self.gradients[row as usize]));
        let mut rest = self.leaves[leaf].total;
        rest.take(total);
        let (total_left, total_right) = if small_left { (total, rest) } else { (rest, total) };
        self.leaves[leaf] =
            Leaf { range: range.start..middle, total: total_left, node: to_left, best: None };
        self.leaves.push(Leaf {
            range: middle..range.end,
            total: total_right,
            node: to_right,
            best: None,
        });
    }

    /// Finds the best splits of a leaf just split and of the new one, the last.
    fn look_on(&mut self, left: usize, bins: &Bins, features: &[u32], limits: &Limits) {
        let right = self.leaves.len() - 1;
        let rows = |i: usize| self.leaves[i].range.len();
        let can_split = |i: usize| rows(i) >= 2 * limits.rows_leaf_min;
        let right_small = rows(right) <= rows(left);
        let (small, large) = if right_small { (right, left) } else { (left, right) };
        if !can_split(large) {
            return;
        }
        let small_can = can_split(small);
        // The parent's histogram stays with the larger child, wherever it is numbered. Leaves that
        // are too small to be split again have none, so more than one may be lacking.
        if self.histograms.len() <= right {
            self.histograms.resize_with(right + 1, Vec::new);
        }
        if large == right {
            self.histograms.swap(left, right);
        }
        self.count(small, bins, features);
        let [of_large, of_small] =
            self.histograms.get_disjoint_mut([large, small]).expect("two leaves, two histograms");
        for &feature in features {
            let used = bins.missing(feature as usize) + 1;
            let (large, small) =
                (&mut of_large[feature as usize][..used], &of_small[feature as usize][..used]);
            large.iter_mut().zip(small).for_each(|(large, &small)| large.take(small));
        }
        self.search(large, bins, features, limits);
        if small_can {
            self.search(small, bins, features, limits);
        }
    }

    /// Counts the histogram of a leaf from its rows.
    fn count(&mut self, leaf: usize, bins: &Bins, features: &[u32]) {
        if self.histograms.len() <= leaf {
            self.histograms.push(Vec::new());
        }
        let histogram = &mut self.histograms[leaf];
        if histogram.is_empty() {
            histogram.resize(bins.features, [C::default(); ROOM]);
        } else {
            for &feature in features {
                let used = bins.missing(feature as usize) + 1;
                histogram[feature as usize][..used].fill(C::default());
            }
        }
        let rows = &self.rows[self.leaves[leaf].range.clone()];
        let gradients = &self.gradients;
        let rows = rows.iter().map(|&row| (bins.row(row as usize), gradients[row as usize]));
        fill(histogram, rows, features);
    }

    /// Finds the best split of a leaf in its histogram.
    fn search(&mut self, leaf: usize, bins: &Bins, features: &[u32], limits: &Limits) {
        let total = self.leaves[leaf].total;
        let mut best = None;
        for &feature in features {
            let feature = feature as usize;
            let cells = &self.histograms[leaf][feature][..=bins.missing(feature)];
            scan(feature, cells, total, limits, &mut best);
        }
        self.leaves[leaf].best = best;
    }

    /// The leaf that a row which was not learned from falls into.
    pub(super) fn leaf_of(&self, bins: &Bins, row: usize) -> usize {
        let row = bins.row(row);
        let mut at = 0;
        loop {
            match self.nodes[at] {
                Grown::Leaf(leaf) => return leaf,
                Grown::Split(split, left, right) => {
                    let bin = row[split.feature] as usize;
                    let goes_left = match bin == bins.missing(split.feature) {
                        true => split.missing_left,
                        false => bin <= split.bin as usize,
                    };
                    at = if goes_left { left } else { right };
                }
            }
        }
    }
}
