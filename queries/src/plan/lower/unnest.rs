//! `unnest`: one row for each element of a list.

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Unnest;

use super::Lower;
use super::Result;
use crate::plan::refuse::PlanError;
use crate::plan::rel::Rel;
use crate::plan::rel::RelOp;

/// The rows of one list, lowered.
pub(super) fn unnest(lower: &Lower, unnest: &Unnest) -> Result<Rel> {
    let input = lower.rel(&unnest.input)?;
    let refused = |what: &str| {
        Err(PlanError::refused(what, "unnest one list of plain values, in a query in FROM"))
    };
    let [(column, list)] = &unnest.list_type_columns[..] else {
        return refused("unnest of several lists");
    };
    let of_list = matches!(input.fields[*column].data_type(), DataType::List(_));
    if !unnest.struct_type_columns.is_empty() || list.depth != 1 || !of_list {
        return refused("unnest of structs, of lists within lists or of lists of a fixed size");
    }
    if unnest.options.preserve_nulls() {
        return refused("unnest that keeps rows without elements");
    }
    let mut fields = input.fields.clone();
    let planned = unnest.dependency_indices.iter().zip(unnest.schema.fields());
    for (from, field) in planned {
        fields[*from] = field.clone();
    }
    let op = RelOp::Unnest { input: Box::new(input), column: *column };
    Ok(Rel { fields, op }.picked(&unnest.dependency_indices))
}
