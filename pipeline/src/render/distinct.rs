//! Distinct and Threshold: each row once, while its multiplicity is positive.
//!
//! What is kept is a differential arrangement; it is measured by what comes out, which is each row
//! that stands once.

use std::sync::Arc;

use differential_dataflow::operators::ThresholdTotal;
use schemas::row::Row;

use super::RenderError;
use super::convert::to_rows;
use crate::delta::Edge;
use crate::delta::Oks;
use crate::gauge::Gauge;
use crate::gauge::Kept;

/// Bytes of a row beside what it has on the heap: the row, its tick and its count.
const ROW_BYTES: usize = size_of::<(Row, u64, i64)>();

/// One of each row.
pub(crate) fn threshold(input: Edge<'_>, gauge: Arc<Gauge>) -> Result<Edge<'_>, RenderError> {
    let (schema, faults) = (input.schema.clone(), input.faults.clone());
    let rows = to_rows(input)?;
    let (mut rows_kept, mut heap) = (0i64, 0i64);
    let oks = rows.threshold_total(|_, count| i64::from(*count > 0)).inspect(
        move |(row, _, diff): &(Row, u64, i64)| {
            rows_kept += diff;
            heap += diff * row.heap_bytes() as i64;
            // Within a tick a row may go before it came.
            let (rows, heap) = (rows_kept.max(0) as usize, heap.max(0) as usize);
            gauge.tell(Kept { rows, bytes: rows * ROW_BYTES + heap });
        },
    );
    Ok(Edge { schema, oks: Oks::Rows(oks), faults })
}
