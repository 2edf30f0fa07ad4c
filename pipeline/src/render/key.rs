//! Keys cut out of rows.

use schemas::row::Layout;
use schemas::row::Row;
use schemas::row::Splice;

/// Which columns of a row are its key.
#[derive(Clone)]
pub(super) struct Key {
    layout: Layout,
    columns: Vec<usize>,
    splice: Splice,
    null_keys: bool,
}

impl Key {
    /// These columns of rows of this layout; unless `null_keys`, a NULL among them matches nothing.
    pub(super) fn new(layout: Layout, columns: &[usize], null_keys: bool) -> Key {
        let splice = Splice::new(vec![layout.clone()], columns);
        Key { layout, columns: columns.to_vec(), splice, null_keys }
    }

    /// The key of a row; none if it never matches.
    pub(super) fn row(&mut self, row: &Row) -> Option<Row> {
        let bytes = row.as_bytes();
        if !self.null_keys {
            let mut ends = Vec::with_capacity(self.layout.columns());
            self.layout.ends(bytes, &mut ends);
            let start = |column: usize| if column == 0 { 0 } else { ends[column - 1] };
            // arrow-row marks NULL with a 0 in a column's first byte.
            if self.columns.iter().any(|column| bytes[start(*column)] == 0) {
                return None;
            }
        }
        Some(self.splice.row(&[bytes]))
    }
}
