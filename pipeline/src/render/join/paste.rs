//! Where the columns of a join's output come from, and how its rows are pasted together.
//!
//! A key's rows are three parts: the key, what comes out of the left row beside it, and what comes
//! out of the right row beside it. The right part of a mark join is the mark; a semi or anti join
//! has none.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::BooleanArray;
use arrow_array::RecordBatch;
use arrow_array::RecordBatchOptions;
use arrow_array::new_null_array;
use arrow_schema::DataType;
use arrow_schema::Field;
use arrow_schema::Schema;
use arrow_schema::SchemaRef;
use schemas::plan::JoinKind;
use schemas::row::Row;
use schemas::row::Splice;

use crate::render::RenderError;
use crate::render::codec;
use crate::render::layout;
use crate::render::project;

/// What a left row gives that has right rows.
pub(super) enum Matched {
    /// One row with each of them.
    Pairs,
    /// One row with this as its right part.
    Once(Row),
    /// Nothing.
    Nothing,
}

/// What a left row gives that has no right row.
pub(super) struct Alone {
    /// Columns of key, left value, right value, and a key of NULLs.
    splice: Splice,
    right: Row,
    null_key: Row,
}

/// Makes output rows.
pub(super) struct Paste {
    splice: Splice,
    pub(super) matched: Matched,
    pub(super) alone: Option<Alone>,
}

impl Paste {
    #[inline]
    pub(super) fn matched(&mut self, key: &Row, left: &Row, right: &Row) -> Row {
        self.splice.row(&[key.as_bytes(), left.as_bytes(), right.as_bytes()])
    }

    /// Whether every output row is of one left and one right row.
    pub(super) fn inner(&self) -> bool {
        self.pairs() && self.alone.is_none()
    }

    /// Whether each match gives a row of its own.
    pub(super) fn pairs(&self) -> bool {
        matches!(self.matched, Matched::Pairs)
    }
}

impl Alone {
    pub(super) fn row(&mut self, key: &Row, left: &Row) -> Row {
        let Alone { splice, right, null_key } = self;
        splice.row(&[key.as_bytes(), left.as_bytes(), right.as_bytes(), null_key.as_bytes()])
    }
}

/// Which columns of a join's inputs come out, and where they lie.
pub(super) struct Columns<'a> {
    kind: JoinKind,
    width: usize,
    left_key: &'a [usize],
    right_key: &'a [usize],
    outputs: &'a [usize],
    /// What comes out of a left row beside its key.
    pub(super) left_values: Vec<usize>,
    /// What comes out of a right row beside its key.
    pub(super) right_values: Vec<usize>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(
        kind: JoinKind,
        width: usize,
        (left_key, right_key): (&'a [usize], &'a [usize]),
        outputs: &'a [usize],
    ) -> Columns<'a> {
        let values = |key: &[usize], range: std::ops::Range<usize>| {
            let mut values: Vec<usize> = (outputs.iter())
                .filter(|o| range.contains(o))
                .map(|o| o - range.start)
                .filter(|o| !key.contains(o))
                .collect();
            values.sort_unstable();
            values.dedup();
            values
        };
        let left_values = values(left_key, 0..width);
        let right_values = match kind {
            JoinKind::Inner | JoinKind::Left => values(right_key, width..usize::MAX),
            JoinKind::Semi | JoinKind::Anti | JoinKind::Mark => Vec::new(),
        };
        Columns { kind, width, left_key, right_key, outputs, left_values, right_values }
    }

    /// The position of an output among the columns of key, left and right part.
    fn place(&self, output: usize) -> usize {
        let behind_left = self.left_key.len() + self.left_values.len();
        if output >= self.width && self.kind == JoinKind::Mark {
            return behind_left;
        }
        let (key, values, column, base) = match output.checked_sub(self.width) {
            None => (self.left_key, &self.left_values, output, self.left_key.len()),
            Some(column) => (self.right_key, &self.right_values, column, behind_left),
        };
        let in_key = key.iter().position(|k| *k == column);
        in_key.unwrap_or_else(|| {
            base + values.iter().position(|v| *v == column).expect("values hold all outputs")
        })
    }

    /// How output rows are made over inputs of these columns.
    pub(super) fn paste(&self, left: &SchemaRef, right: &SchemaRef) -> Result<Paste, RenderError> {
        let (mark, seen, unseen) = (mark(), marked(true)?, marked(false)?);
        let right_part = match self.kind {
            JoinKind::Mark => mark,
            _ => project(right, &self.right_values),
        };
        let key = project(left, self.left_key);
        let parts = vec![
            layout(&key, "Join")?,
            layout(&project(left, &self.left_values), "Join")?,
            layout(&right_part, "Join")?,
        ];
        let picks: Vec<usize> = self.outputs.iter().map(|o| self.place(*o)).collect();
        let (matched, without) = match self.kind {
            JoinKind::Inner => (Matched::Pairs, None),
            JoinKind::Left => (Matched::Pairs, Some(nulls(&right_part)?)),
            JoinKind::Semi => (Matched::Once(Row::empty()), None),
            JoinKind::Anti => (Matched::Nothing, Some(Row::empty())),
            JoinKind::Mark => (Matched::Once(seen), Some(unseen)),
        };
        let alone = match without {
            None => None,
            Some(right) => {
                // The right side's own key columns are NULL although the left key is not: a fourth
                // part holds a key of NULLs for them.
                let base: usize = parts.iter().map(schemas::row::Layout::columns).sum();
                let parts: Vec<_> = parts.iter().chain(&parts[..1]).cloned().collect();
                let places = picks.iter().zip(self.outputs);
                let places = places.map(|(p, o)| if self.is_right_key(*o) { base + p } else { *p });
                let splice = Splice::new(parts, &places.collect::<Vec<_>>());
                Some(Alone { splice, right, null_key: nulls(&key)? })
            }
        };
        Ok(Paste { splice: Splice::new(parts, &picks), matched, alone })
    }

    fn is_right_key(&self, output: usize) -> bool {
        let column = output.checked_sub(self.width);
        self.kind == JoinKind::Left && column.is_some_and(|column| self.right_key.contains(&column))
    }
}

/// The right part of a mark join.
fn mark() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("mark", DataType::Boolean, true)]))
}

fn marked(mark_is: bool) -> Result<Row, RenderError> {
    one(&mark(), vec![Arc::new(BooleanArray::from(vec![mark_is]))])
}

/// A row of NULLs.
pub(crate) fn nulls(schema: &SchemaRef) -> Result<Row, RenderError> {
    one(schema, schema.fields().iter().map(|f| new_null_array(f.data_type(), 1)).collect())
}

fn one(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<Row, RenderError> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let batch = RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .expect("one row of these columns");
    let rows = codec(schema, "Join")?.rows(&batch);
    let rows = rows.map_err(|e| RenderError::Type { node: "Join", source: Some(e) })?;
    Ok(rows.into_iter().next().unwrap_or_default())
}
