//! What every form of a pattern has: where each node went, and the column of each block.

/// The order of a matrix and the columns of its blocks, row by row.
///
/// [`Pattern`](crate::sparse::Pattern) lists all blocks of a row,
/// [`Symmetric`](crate::sparse::Symmetric) those from the diagonal on; both are read through this.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// Where each node went.
    pub(super) place: Vec<u32>,
    /// Which node is at a place.
    pub(super) node: Vec<u32>,
    /// The column of each block, row by row, ascending within a row.
    pub(super) column: Vec<u32>,
}

impl Layout {
    /// How many rows of blocks there are.
    pub fn rows(&self) -> usize {
        self.place.len()
    }

    /// How many blocks are kept, fill included.
    pub fn blocks(&self) -> usize {
        self.column.len()
    }

    /// The row and column of a node.
    #[inline]
    pub fn place(&self, node: usize) -> usize {
        self.place[node] as usize
    }

    /// The node of a row.
    #[inline]
    pub fn node(&self, place: usize) -> usize {
        self.node[place] as usize
    }

    /// The column of a block.
    #[inline]
    pub fn column(&self, block: usize) -> usize {
        self.column[block] as usize
    }

    /// The block of a column among a row's blocks, if it is there.
    pub(super) fn find(&self, row: std::ops::Range<usize>, column: usize) -> Option<usize> {
        let first = row.start;
        self.column[row].binary_search(&(column as u32)).ok().map(|at| first + at)
    }
}
