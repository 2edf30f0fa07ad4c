//! Distinct and Threshold: each row once, while its multiplicity is positive.

use differential_dataflow::operators::ThresholdTotal;

use super::RenderError;
use super::convert::to_rows;
use crate::delta::Edge;
use crate::delta::Oks;

/// One of each row.
pub(crate) fn threshold(input: Edge<'_>) -> Result<Edge<'_>, RenderError> {
    let (schema, faults) = (input.schema.clone(), input.faults.clone());
    let rows = to_rows(input)?;
    let oks = rows.threshold_total(|_, count| i64::from(*count > 0));
    Ok(Edge { schema, oks: Oks::Rows(oks), faults })
}
