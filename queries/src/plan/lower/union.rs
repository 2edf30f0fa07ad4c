//! UNION ALL: all rows of all branches, as rows of one schema.
//!
//! DataFusion's analyser has found the types that all branches can be; a branch that is of another
//! type still is cast here.

use std::sync::Arc;

use datafusion::arrow::datatypes::FieldRef;
use datafusion::logical_expr::Union;
use datafusion::physical_expr::expressions::cast;

use super::Lower;
use super::Result;
use super::query;
use crate::plan::rel::Rel;
use crate::plan::rel::RelOp;

/// A UNION ALL, lowered.
pub(super) fn union(lower: &Lower, union: &Union) -> Result<Rel> {
    let fields = union.schema.fields().to_vec();
    let inputs = union.inputs.iter().map(|input| as_fields(lower.rel(input)?, &fields));
    let inputs = inputs.collect::<Result<Vec<Rel>>>()?;
    Ok(Rel { fields, op: RelOp::Union { inputs } })
}

/// The rows under these names and of these types.
pub(super) fn as_fields(input: Rel, fields: &[FieldRef]) -> Result<Rel> {
    if input.fields.iter().zip(fields).all(|(a, b)| a == b) {
        return Ok(input);
    }
    let schema = input.schema();
    let casts = fields.iter().enumerate().map(|(i, field)| {
        let to = field.data_type().clone();
        cast(input.col(i), &schema, to).map_err(|e| query(&e))
    });
    let outputs = casts.collect::<Result<Vec<_>>>()?;
    let nullable = |(field, of): (&FieldRef, &FieldRef)| -> FieldRef {
        Arc::new(field.as_ref().clone().with_nullable(field.is_nullable() || of.is_nullable()))
    };
    let fields = fields.iter().zip(&input.fields).map(nullable).collect();
    Ok(Rel::mfp(input, Vec::new(), outputs, fields))
}
