//! An inner join with a relation that has an index by just its key: the one side is arranged, the
//! other stands there already and belongs to all who read it.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use schemas::plan::JoinKind;
use schemas::plan::Node;
use schemas::plan::Op;
use schemas::row::Splice;

use crate::delta::Edge;
use crate::delta::Oks;
use crate::gauge::Gauge;
use crate::gauge::Kept;
use crate::index::Change;
use crate::index::Import;
use crate::index::by_key;
use crate::index::places;
use crate::render::Context;
use crate::render::RenderError;
use crate::render::convert::to_rows;
use crate::render::key::Key;
use crate::render::layout;
use crate::render::nullable;

/// A join, one side of which is an index.
pub(in crate::render) struct Indexed<'a, 's> {
    import: &'a Import<'s>,
    /// The columns of the relation that the side reads.
    columns: &'a [usize],
    /// The other side.
    other: &'a Node,
    /// Its key, in the order of the index.
    key: Vec<usize>,
    /// Whether the index is the right side.
    on_right: bool,
}

impl<'a, 's> Indexed<'a, 's> {
    /// The join of a node, if an index serves one of its sides.
    pub(in crate::render) fn of(
        context: &Context<'a, 's>,
        node: &'a Node,
    ) -> Option<Indexed<'a, 's>> {
        let Op::Join { left, right, left_key, right_key, nulls_equal, kind, .. } = &node.op else {
            return None;
        };
        if *nulls_equal || *kind != JoinKind::Inner {
            return None;
        }
        let side = |here: &'a Node, key: &[usize], other: &'a Node, by: &[usize], on_right| {
            let Op::Get { relation, columns, .. } = &here.op else { return None };
            let import = context.imported.get(relation)?;
            let places = places(import.key(), columns, key)?;
            let key = places.into_iter().map(|place| by[place]).collect();
            Some(Indexed { import, columns, other, key, on_right })
        };
        side(right, right_key, left, left_key, true)
            .or_else(|| side(left, left_key, right, right_key, false))
    }

    /// The gauges of the left and of the right side; `own` is of the side that is arranged here.
    pub(in crate::render) fn gauges(&self, own: &Arc<Gauge>) -> Vec<Arc<Gauge>> {
        let (own, index) = (Arc::clone(own), self.import.gauge());
        if self.on_right { vec![own, index] } else { vec![index, own] }
    }

    /// Renders the join; `outputs` are numbered over left then right.
    pub(in crate::render) fn render(
        self,
        context: &Context<'_, 's>,
        outputs: &[usize],
        schema: &SchemaRef,
        gauge: Arc<Gauge>,
    ) -> Result<Edge<'s>, RenderError> {
        let other = context.render(self.other)?;
        let faults = other.faults.clone();
        let of_other = layout(&other.schema, "Join")?;
        let of_index = layout(&self.import.schema().clone(), "Join")?;
        let width = if self.on_right { other.schema.fields().len() } else { self.columns.len() };
        // The other side comes first in what is spliced.
        let behind = other.schema.fields().len();
        let indexed = |column: usize| behind + self.columns[column];
        let place = |output: &usize| match (output.checked_sub(width), self.on_right) {
            (None, true) => *output,
            (Some(column), true) => indexed(column),
            (None, false) => indexed(*output),
            (Some(column), false) => column,
        };
        let places: Vec<usize> = outputs.iter().map(place).collect();
        let mut splice = Splice::new(vec![of_other.clone(), of_index], &places);
        let mut key = Key::new(of_other, &self.key, false);
        let mut kept = Kept::default();
        let keyed = to_rows(other)?.flat_map(move |row| key.row(&row).map(|key| (key, row)));
        let keyed = keyed.inspect_batch(move |_, changes| {
            for ((key, row), _, diff) in changes {
                kept.add(*diff, size_of::<Change>() + key.heap_bytes() + row.heap_bytes());
            }
            gauge.tell(kept);
        });
        let joined = by_key(keyed, "Join: other side")
            .join_core(self.import.arranged(), move |_, other, indexed| {
                Some(splice.row(&[other.as_bytes(), indexed.as_bytes()]))
            });
        Ok(Edge { schema: nullable(schema), oks: Oks::Rows(joined), faults })
    }
}
