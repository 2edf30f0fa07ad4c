//! Between batches and rows.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use differential_dataflow::AsCollection;
use schemas::row::Row;
use schemas::row::RowCodec;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Operator;

use super::RenderError;
use super::codec;
use super::project;
use crate::delta::Batches;
use crate::delta::DeltaBatch;
use crate::delta::Diff;
use crate::delta::Diffs;
use crate::delta::Edge;
use crate::delta::Oks;
use crate::delta::Rows;
use crate::delta::Time;

/// Says why encoding cannot fail here.
pub(crate) const OF_SCHEMA: &str = "a batch on an edge is of the edge's schema";

/// The edge's rows as bytes.
pub(crate) fn to_rows(edge: Edge<'_>) -> Result<Rows<'_>, RenderError> {
    let stream = match edge.oks {
        Oks::Rows(rows) => return Ok(rows),
        Oks::Batches(batches) => batches,
    };
    let mut codec = codec(&edge.schema, "rows")?;
    let stream = stream.unary::<CapacityContainerBuilder<Vec<(Row, Time, Diff)>>, _, _, _>(
        Pipeline,
        "Encode",
        |_, _| {
            move |input, output| {
                input.for_each(|cap, data| {
                    let mut session = output.session(&cap);
                    for delta in data.drain(..) {
                        let DeltaBatch { time, batch, diffs } = delta;
                        codec
                            .encode(batch.columns(), batch.num_rows(), |row, bytes| {
                                session.give((Row::new(bytes), time, diffs.at(row)));
                            })
                            .expect(OF_SCHEMA);
                    }
                });
            }
        },
    );
    Ok(stream.as_collection())
}

/// The edge's rows as batches.
pub(crate) fn to_batches(edge: Edge<'_>) -> Result<Batches<'_>, RenderError> {
    let rows = match edge.oks {
        Oks::Batches(batches) => return Ok(batches),
        Oks::Rows(rows) => rows,
    };
    let codec = codec(&edge.schema, "batches")?;
    Ok(rows.inner.unary::<CapacityContainerBuilder<Vec<DeltaBatch>>, _, _, _>(
        Pipeline,
        "Decode",
        |_, _| {
            move |input, output| {
                input.for_each_stamp(|cap, data| {
                    let mut session = output.session(&cap);
                    for delta in decode(&codec, data.flat_map(|rows| rows.drain(..))) {
                        session.give(delta);
                    }
                });
            }
        },
    ))
}

/// Changes of rows as one batch a time.
pub(crate) fn decode(
    codec: &RowCodec,
    rows: impl Iterator<Item = (Row, Time, Diff)>,
) -> Vec<DeltaBatch> {
    let mut times: BTreeMap<Time, (Vec<Row>, Vec<Diff>)> = BTreeMap::new();
    for (row, time, diff) in rows {
        let (rows, diffs) = times.entry(time).or_default();
        rows.push(row);
        diffs.push(diff);
    }
    times
        .into_iter()
        .map(|(time, (rows, diffs))| {
            let batch = codec.decode(rows.iter().map(Row::as_bytes)).expect(OF_SCHEMA);
            DeltaBatch { time, batch, diffs: Diffs::Each(diffs.into()) }
        })
        .collect()
}

/// Encodes some of a batch's columns.
pub(crate) struct Picked {
    columns: Vec<usize>,
    codec: RowCodec,
}

impl Picked {
    /// These columns of `schema`.
    pub(crate) fn new(
        schema: &SchemaRef,
        columns: &[usize],
        node: &'static str,
    ) -> Result<Picked, RenderError> {
        Ok(Picked::with(columns.to_vec(), codec(&project(schema, columns), node)?))
    }

    /// These columns, by a codec over them.
    pub(crate) fn with(columns: Vec<usize>, codec: RowCodec) -> Picked {
        Picked { columns, codec }
    }

    /// The columns, by position in the batch.
    pub(crate) fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// Calls `each` with the bytes of every row of the batch, in order.
    pub(crate) fn each(&mut self, batch: &RecordBatch, each: impl FnMut(usize, &[u8])) {
        let columns: Vec<_> = self.columns.iter().map(|c| batch.column(*c).clone()).collect();
        self.codec.encode(&columns, batch.num_rows(), each).expect(OF_SCHEMA);
    }

    /// The rows of the batch.
    pub(crate) fn rows(&mut self, batch: &RecordBatch) -> Vec<Row> {
        let mut rows = Vec::with_capacity(batch.num_rows());
        self.each(batch, |_, bytes| rows.push(Row::new(bytes)));
        rows
    }
}

/// Encodes two sets of a batch's columns, such as key and value.
pub(crate) struct Pair {
    first: Picked,
    second: Picked,
}

impl Pair {
    /// A pair of codecs over columns of `schema`.
    pub(crate) fn new(
        schema: &SchemaRef,
        first: &[usize],
        second: &[usize],
        node: &'static str,
    ) -> Result<Pair, RenderError> {
        let one = |columns: &[usize]| Picked::new(schema, columns, node);
        Ok(Pair { first: one(first)?, second: one(second)? })
    }

    /// Both rows of every row of the batch.
    pub(crate) fn rows(&mut self, batch: &RecordBatch) -> (Vec<Row>, Vec<Row>) {
        (self.first.rows(batch), self.second.rows(batch))
    }
}
