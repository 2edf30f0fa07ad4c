//! Unnest: one row for each element of a list, on batches.

use arrow_array::Array;
use arrow_array::RecordBatch;
use arrow_array::UInt32Array;
use arrow_array::cast::AsArray;
use arrow_schema::SchemaRef;
use arrow_select::take::take;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Operator;

use super::RenderError;
use super::convert::to_batches;
use super::nullable;
use crate::delta::DeltaBatch;
use crate::delta::Diff;
use crate::delta::Diffs;
use crate::delta::Edge;
use crate::delta::Oks;

/// Renders an unnest.
pub(crate) fn unnest<'s>(
    input: Edge<'s>,
    column: usize,
    schema: &SchemaRef,
) -> Result<Edge<'s>, RenderError> {
    let (schema, faults) = (nullable(schema), input.faults.clone());
    let of = schema.clone();
    let oks = to_batches(input)?.unary::<CapacityContainerBuilder<Vec<DeltaBatch>>, _, _, _>(
        Pipeline,
        "Unnest",
        |_, _| {
            move |input, output| {
                input.for_each(|cap, data| {
                    let mut session = output.session(&cap);
                    for delta in data.drain(..) {
                        session.give(elements(&delta, column, &of));
                    }
                });
            }
        },
    );
    Ok(Edge { schema, oks: Oks::Batches(oks), faults })
}

/// The elements of a batch's lists, each beside the other columns of its row.
fn elements(delta: &DeltaBatch, column: usize, schema: &SchemaRef) -> DeltaBatch {
    let lists = delta.batch.column(column).as_list::<i32>();
    let (mut rows, mut places) = (Vec::new(), Vec::new());
    for row in (0..lists.len()).filter(|row| lists.is_valid(*row)) {
        let offsets = lists.value_offsets();
        for place in offsets[row]..offsets[row + 1] {
            rows.push(row as u32);
            places.push(place as u32);
        }
    }
    let diffs = match &delta.diffs {
        Diffs::All(diff) => Diffs::All(*diff),
        Diffs::Each(diffs) => {
            let each: Vec<Diff> = rows.iter().map(|row| diffs[*row as usize]).collect();
            Diffs::Each(each.into())
        }
    };
    let (rows, places) = (UInt32Array::from(rows), UInt32Array::from(places));
    let columns = delta.batch.columns().iter().enumerate().map(|(at, values)| {
        let taken = match at == column {
            true => take(lists.values(), &places, None),
            false => take(values, &rows, None),
        };
        taken.expect("places are of these values")
    });
    let batch = RecordBatch::try_new(schema.clone(), columns.collect());
    let batch = batch.expect("elements are of the list's type");
    DeltaBatch { time: delta.time, batch, diffs }
}
