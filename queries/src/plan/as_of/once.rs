//! An AS OF join that is asked once: all right rows that match, numbered for each left row from the
//! latest on, and of those the first.
//!
//! Left rows get a number of their own before, so that equal ones stay as many as they were.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::Join;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::logical_expr::SortExpr;
use datafusion::logical_expr::WindowFrame;
use datafusion::logical_expr::WindowFunctionDefinition;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::ident;
use datafusion::logical_expr::lit;

use super::Parts;
use super::parts;
use crate::plan::lookup;

/// The plan with plain joins in the place of AS OF joins and lookups.
///
/// # Errors
/// The condition compares something else than a time of either side.
pub(crate) fn once(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut count = 0;
    let plan = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Join(join) => match parts(&join)? {
            Some(parts) => {
                count += 1;
                Ok(Transformed::yes(numbered(join, parts, count)?))
            }
            None => Ok(Transformed::yes(lookup::plain(join))),
        },
        other => Ok(Transformed::no(other)),
    })?;
    Ok(plan.data)
}

/// The join, made of others; `count` tells its columns from those of other joins.
fn numbered(join: Join, parts: Parts, count: usize) -> Result<LogicalPlan> {
    let Parts { left_time, right_time, before, mut rest } = parts;
    let (row, place) = (format!("as_of_row_{count}"), format!("as_of_place_{count}"));
    let columns: Vec<Expr> = join.schema.columns().into_iter().map(Expr::Column).collect();
    let mut order = vec![right_time.clone().sort(false, false)];
    let of_right = join.right.schema().columns().into_iter().map(Expr::Column);
    order.extend(of_right.map(|column| column.sort(true, false)));
    rest.push(if before { left_time.gt(right_time) } else { left_time.gt_eq(right_time) });
    let left = LogicalPlanBuilder::from(std::sync::Arc::unwrap_or_clone(join.left))
        .window([row_number(Vec::new(), Vec::new()).alias(&row)])?;
    left.join_on(std::sync::Arc::unwrap_or_clone(join.right), join.join_type, rest)?
        .window([row_number(vec![ident(&row)], order).alias(&place)])?
        .filter(ident(&place).eq(lit(1_u64)))?
        .project(columns)?
        .build()
}

fn row_number(partition_by: Vec<Expr>, order_by: Vec<SortExpr>) -> Expr {
    let fun = WindowFunctionDefinition::WindowUDF(row_number_udwf());
    let mut call = WindowFunction::new(fun, Vec::new());
    call.params.window_frame = WindowFrame::new((!order_by.is_empty()).then_some(false));
    call.params.partition_by = partition_by;
    call.params.order_by = order_by;
    Expr::WindowFunction(Box::new(call))
}
