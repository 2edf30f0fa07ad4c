//! Total orders of window functions: rows that ORDER BY calls equal stand in one order all the
//! same.
//!
//! `row_number`, `lag`, `first_value` and whatever looks at rows by their place depend on which of
//! two equal rows stands first; for them the columns that the query uses are appended to the order.
//! `rank` and frames by RANGE ask which rows are equal, and must not have it appended; among equal
//! rows their answer does not depend on the order. Functions that do both, as `last_value` over the
//! default frame, stay as they are where no other frame says the same, and are refused by
//! [`super::super::lower`] if they are to be maintained.
//!
//! Only columns that are used are appended: rows that are equal in those are one as good as the
//! other, and the columns that nobody asks for need not be kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::DFSchemaRef;
use datafusion::common::Result;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::Filter;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::Window;
use datafusion::logical_expr::WindowFrame;
use datafusion::logical_expr::WindowFrameBound;
use datafusion::logical_expr::WindowFrameUnits;
use datafusion::logical_expr::expr::NullTreatment;
use datafusion::logical_expr::expr::WindowFunction;

use super::ORDERED;
use super::extended;

/// The windows below a node, with total orders; `uses` are the node's expressions. `None` where
/// there are none.
pub(super) fn ordered<'a>(
    plan: &LogicalPlan,
    uses: impl IntoIterator<Item = &'a Expr>,
) -> Result<Option<LogicalPlan>> {
    let mut used = BTreeSet::new();
    for expr in uses {
        columns(expr, &mut used)?;
    }
    let Some(base) = base(plan, &mut used)? else { return Ok(None) };
    let all = base.schema().columns();
    let used = |column: &&Column| used.contains(*column);
    let rest: Vec<Expr> = all.iter().filter(used).cloned().map(Expr::Column).collect();
    rebuilt(plan, &all, &rest)
}

/// What the lowest of the windows reads; gathers what is used on the way.
fn base<'a>(plan: &'a LogicalPlan, used: &mut BTreeSet<Column>) -> Result<Option<&'a LogicalPlan>> {
    let (input, exprs) = match plan {
        LogicalPlan::Window(window) => (&window.input, window.window_expr.iter().collect()),
        LogicalPlan::Filter(filter) => (&filter.input, vec![&filter.predicate]),
        _ => return Ok(None),
    };
    let mut above = used.clone();
    for expr in exprs {
        columns(expr, &mut above)?;
    }
    let below = base(input, &mut above)?;
    let found = match plan {
        LogicalPlan::Window(_) => Some(below.unwrap_or(input)),
        _ => below,
    };
    if found.is_some() {
        *used = above;
    }
    Ok(found)
}

/// The columns that an expression uses, also those that a query in it takes from outside.
fn columns(expr: &Expr, used: &mut BTreeSet<Column>) -> Result<()> {
    expr.apply(|e| {
        match e {
            Expr::Column(column) | Expr::OuterReferenceColumn(_, column) => {
                used.insert(column.clone());
            }
            Expr::Exists(exists) => outside(&exists.subquery.outer_ref_columns, used)?,
            Expr::InSubquery(of) => outside(&of.subquery.outer_ref_columns, used)?,
            Expr::ScalarSubquery(query) => outside(&query.outer_ref_columns, used)?,
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn outside(outer: &[Expr], used: &mut BTreeSet<Column>) -> Result<()> {
    outer.iter().try_for_each(|expr| columns(expr, used))
}

/// The windows over `base` with total orders: by the columns of `rest`, and by what the windows
/// below say, since rows that are equal otherwise may have different numbers there.
fn rebuilt(plan: &LogicalPlan, base: &[Column], rest: &[Expr]) -> Result<Option<LogicalPlan>> {
    match plan {
        LogicalPlan::Window(window) => {
            let below = rebuilt(&window.input, base, rest)?;
            let mut input = below.map_or_else(|| Arc::clone(&window.input), Arc::new);
            let said = input.schema().columns().into_iter().filter(|c| !base.contains(c));
            let rest: Vec<Expr> = rest.iter().cloned().chain(said.map(Expr::Column)).collect();
            let of = Arc::clone(input.schema());
            let exprs = window.window_expr.iter().map(|expr| total(expr, &rest, &of));
            let exprs = exprs.collect::<Result<Vec<_>>>()?;
            // One node has one order.
            let (same, more): (Vec<_>, Vec<_>) = exprs.into_iter().partition(|(_, more)| !more);
            for part in [same, more].into_iter().filter(|part| !part.is_empty()) {
                let exprs = part.into_iter().map(|(expr, _)| expr).collect();
                input = Arc::new(LogicalPlan::Window(Window::try_new(exprs, input)?));
            }
            Ok(Some(Arc::unwrap_or_clone(input)))
        }
        LogicalPlan::Filter(filter) => {
            let Some(input) = rebuilt(&filter.input, base, rest)? else { return Ok(None) };
            let filter = Filter::try_new(filter.predicate.clone(), Arc::new(input))?;
            Ok(Some(LogicalPlan::Filter(filter)))
        }
        _ => Ok(None),
    }
}

/// The call with a total order, under its name, and whether that is another than it had.
fn total(expr: &Expr, rest: &[Expr], of: &DFSchemaRef) -> Result<(Expr, bool)> {
    let name = expr.schema_name().to_string();
    let Expr::WindowFunction(call) = expr.clone().unalias() else {
        return Ok((expr.clone(), false));
    };
    let Some(frame) = by_place(&call) else { return Ok((expr.clone(), false)) };
    let WindowFunction { fun, mut params } = *call;
    params.window_frame = frame;
    let rest = rest.iter().filter(|column| !params.partition_by.contains(column));
    params.order_by = extended(params.order_by, rest.cloned(), of);
    let call = Expr::WindowFunction(Box::new(WindowFunction { fun, params }));
    Ok((call.alias(name), true))
}

/// The frame of a call that looks at rows by their place, as one that a total order does not
/// change; `None` where the order may stay, or where there is no such frame.
fn by_place(call: &WindowFunction) -> Option<WindowFrame> {
    let (frame, name) = (&call.params.window_frame, call.fun.name());
    let by_rows = frame.units == WindowFrameUnits::Rows;
    let nulls_count = call.params.null_treatment != Some(NullTreatment::IgnoreNulls);
    let (from_first, to_last) = (frame.start_bound.is_unbounded(), frame.end_bound.is_unbounded());
    let rows = |from: WindowFrameBound, to: WindowFrameBound| {
        Some(WindowFrame::new_bounds(WindowFrameUnits::Rows, from, to))
    };
    let first = || WindowFrameBound::Preceding(ScalarValue::UInt64(None));
    let last = || WindowFrameBound::Following(ScalarValue::UInt64(None));
    let here = || WindowFrameBound::CurrentRow;
    match name {
        "row_number" | "ntile" | "lag" | "lead" => Some(frame.clone()),
        "rank" | "dense_rank" | "percent_rank" | "cume_dist" => None,
        _ if from_first && to_last => sees_order(name).then(|| rows(first(), last())).flatten(),
        _ if by_rows => Some(frame.clone()),
        "first_value" if from_first && nulls_count && reaches_here(&frame.end_bound) => {
            rows(first(), here())
        }
        "last_value" if to_last && nulls_count && reaches_here(&frame.start_bound) => {
            rows(here(), last())
        }
        _ => None,
    }
}

/// Whether a function's value depends on the order of the rows in its frame.
pub(crate) fn sees_order(name: &str) -> bool {
    ORDERED.contains(&name)
}

/// Whether the row itself is in a frame with this bound and an unbounded one.
fn reaches_here(bound: &WindowFrameBound) -> bool {
    *bound == WindowFrameBound::CurrentRow || bound.is_unbounded()
}
