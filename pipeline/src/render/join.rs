//! Join: rows with equal keys, restated when either side changes.
//!
//! Both sides are arranged by the key's bytes; the value holds only the columns that come out and
//! are not in the key. Output rows are cut and pasted from the bytes of key and values, so nothing
//! is decoded. NULL never equals anything: rows with a NULL key are dropped, but for the left side
//! of a left join, where they are unmatched.
//!
//! Left join: *inner ∪ (left − left ⋉ keys of right)*, the unmatched rows padded with NULLs.

use arrow_array::Array;
use arrow_array::RecordBatch;
use arrow_array::new_null_array;
use arrow_schema::SchemaRef;
use differential_dataflow::AsCollection;
use differential_dataflow::VecCollection;
use differential_dataflow::operators::ThresholdTotal;
use schemas::plan::JoinKind;
use schemas::plan::Node;
use schemas::plan::Op;
use schemas::row::Row;
use schemas::row::Splice;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Operator;

use super::Context;
use super::RenderError;
use super::codec;
use super::convert::Pair;
use super::layout;
use super::nullable;
use super::project;
use crate::delta::Diff;
use crate::delta::Edge;
use crate::delta::Oks;
use crate::delta::Time;

type Keyed<'s> = VecCollection<'s, Time, (Row, Row), Diff>;

/// Renders a Join; `picks` selects among its outputs where a projection stands right above it.
pub(crate) fn join<'s>(
    context: &Context<'_, 's>,
    node: &Node,
    picks: Option<Vec<usize>>,
    schema: &SchemaRef,
) -> Result<Edge<'s>, RenderError> {
    let Op::Join { left, right, left_key, right_key, kind, outputs } = &node.op else {
        unreachable!("the caller matched a Join")
    };
    let outputs: Vec<usize> = match picks {
        Some(picks) => picks.into_iter().map(|pick| outputs[pick]).collect(),
        None => outputs.clone(),
    };
    let (left, right) = (context.render(left)?, context.render(right)?);
    let width = left.schema.fields().len();
    let faults = left.faults.iter().chain(&right.faults).cloned().collect();

    // What comes out of each side beside its key, in output order.
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
    let right_values = values(right_key, width..usize::MAX);
    let place = |output: &usize| {
        let (key, values, column, base) = if *output < width {
            (left_key, &left_values, *output, left_key.len())
        } else {
            let base = left_key.len() + left_values.len();
            (right_key, &right_values, *output - width, base)
        };
        // On the right of a left join the key is NULL where nothing matched: see `padded`.
        let in_key = key.iter().position(|k| *k == column);
        in_key.unwrap_or_else(|| {
            base + values.iter().position(|v| *v == column).expect("values hold all outputs")
        })
    };
    let picks: Vec<usize> = outputs.iter().map(place).collect();
    let parts = vec![
        layout(&project(&left.schema, left_key), "Join")?,
        layout(&project(&left.schema, &left_values), "Join")?,
        layout(&project(&right.schema, &right_values), "Join")?,
    ];
    let padding = Padding {
        parts: parts.clone(),
        picks: picks.clone(),
        null_keys: (outputs.iter())
            .map(|o| *o >= width && right_key.contains(&(o - width)))
            .collect(),
        right: project(&right.schema, &right_values),
        key: project(&left.schema, left_key),
    };

    let keep_null_keys = *kind == JoinKind::Left;
    let left = keyed(left, left_key, &left_values, keep_null_keys)?;
    let right = keyed(right, right_key, &right_values, false)?;
    let arranged = left.clone().arrange_by_key_named("Join: left");
    let mut splice = Splice::new(parts, &picks);
    let matched = arranged.clone().join_core(
        right.clone().arrange_by_key_named("Join: right"),
        move |key: &Row, l: &Row, r: &Row| {
            Some(splice.row(&[key.as_bytes(), l.as_bytes(), r.as_bytes()]))
        },
    );
    let oks = match kind {
        JoinKind::Inner => matched,
        JoinKind::Left => {
            let keys = right.map(|(key, _)| key).threshold_total(|_, n| i64::from(*n > 0));
            let keys = keys.map(|key| (key, ())).arrange_by_key_named("Join: right keys");
            let found =
                arranged.join_core(keys, |key: &Row, l: &Row, ()| Some((key.clone(), l.clone())));
            let mut pad = padding.build()?;
            matched.concat(left.concat(found.negate()).map(move |(key, l)| pad(&key, &l)))
        }
    };
    Ok(Edge { schema: nullable(schema), oks: Oks::Rows(oks), faults })
}

/// How unmatched rows of a left join become output.
struct Padding {
    parts: Vec<schemas::row::Layout>,
    picks: Vec<usize>,
    /// Which outputs are key columns of the right side, NULL here although the left key is not.
    null_keys: Vec<bool>,
    right: SchemaRef,
    key: SchemaRef,
}

impl Padding {
    fn build(self) -> Result<impl FnMut(&Row, &Row) -> Row + 'static, RenderError> {
        let nulls = |schema: &SchemaRef| {
            let columns = schema.fields().iter().map(|f| new_null_array(f.data_type(), 1));
            let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(1));
            let batch =
                RecordBatch::try_new_with_options(schema.clone(), columns.collect(), &options)
                    .expect("a row of NULLs is of any nullable schema");
            let rows = codec(schema, "Join")?.rows(&batch);
            let rows = rows.map_err(|e| RenderError::Type { node: "Join", source: Some(e) })?;
            Ok::<Row, RenderError>(rows.into_iter().next().unwrap_or_default())
        };
        let (null_key, null_right) = (nulls(&self.key)?, nulls(&self.right)?);
        // A fourth part holds a key of NULLs, for the right side's own key columns.
        let mut parts = self.parts;
        let base: usize = parts.iter().map(schemas::row::Layout::columns).sum();
        parts.push(parts[0].clone());
        let picks: Vec<usize> = (self.picks.iter().zip(&self.null_keys))
            .map(|(pick, null)| if *null { base + pick } else { *pick })
            .collect();
        let mut splice = Splice::new(parts, &picks);
        Ok(move |key: &Row, left: &Row| {
            let parts =
                [key.as_bytes(), left.as_bytes(), null_right.as_bytes(), null_key.as_bytes()];
            splice.row(&parts)
        })
    }
}

/// The rows of an edge as key and value.
fn keyed<'s>(
    edge: Edge<'s>,
    key: &[usize],
    values: &[usize],
    null_keys: bool,
) -> Result<Keyed<'s>, RenderError> {
    match edge.oks {
        Oks::Rows(rows) => {
            let layout = layout(&edge.schema, "Join")?;
            let mut ends = Vec::new();
            let (mut key_of, mut value_of) =
                (Splice::new(vec![layout.clone()], key), Splice::new(vec![layout.clone()], values));
            let key = key.to_vec();
            Ok(rows.flat_map(move |row| {
                let bytes = row.as_bytes();
                if !null_keys {
                    ends.clear();
                    layout.ends(bytes, &mut ends);
                    let start = |column: usize| if column == 0 { 0 } else { ends[column - 1] };
                    // arrow-row marks NULL with a 0 in a column's first byte.
                    if key.iter().any(|k| bytes[start(*k)] == 0) {
                        return None;
                    }
                }
                Some((key_of.row(&[bytes]), value_of.row(&[bytes])))
            }))
        }
        Oks::Batches(batches) => {
            let mut pair = Pair::new(&edge.schema, key, values, "Join")?;
            let key = key.to_vec();
            let stream = batches
                .unary::<CapacityContainerBuilder<Vec<((Row, Row), Time, Diff)>>, _, _, _>(
                    Pipeline,
                    "Encode: join",
                    |_, _| {
                        move |input, output| {
                            input.for_each(|cap, data| {
                                let mut session = output.session(&cap);
                                for delta in data.drain(..) {
                                    let (keys, values) = pair.rows(&delta.batch);
                                    let null = |row: usize| {
                                        let column = |k: &usize| delta.batch.column(*k);
                                        !null_keys && key.iter().any(|k| column(k).is_null(row))
                                    };
                                    let rows = keys.into_iter().zip(values).enumerate();
                                    for (row, pair) in rows.filter(|(row, _)| !null(*row)) {
                                        session.give((pair, delta.time, delta.diffs.at(row)));
                                    }
                                }
                            });
                        }
                    },
                );
            Ok(stream.as_collection())
        }
    }
}
