//! Total orders: what SQL leaves to chance is decided here, for maintained views and for queries
//! asked once alike.
//!
//! `DISTINCT ON`, `ORDER BY … LIMIT` and aggregates that depend on order (`array_agg`,
//! `first_value`, …) may choose among rows that their ORDER BY calls equal. Both ways of computing
//! must choose the same row, so the remaining columns are appended to each such order, ascending
//! with NULLs last: rows that still tie are equal. Window functions have their own rules
//! ([`window`]).

pub(crate) mod window;

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::Distinct;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::Limit;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::logical_expr::Sort;
use datafusion::logical_expr::SortExpr;
use datafusion::logical_expr::cast;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use super::as_of;
use super::subquery;

/// The plan of a query that is asked once: with total orders, and with AS OF joins as DataFusion
/// can answer them.
///
/// # Errors
/// The plan cannot be rebuilt, or would be answered wrongly.
pub fn canonical(plan: LogicalPlan) -> Result<LogicalPlan> {
    subquery::answerable(&plan)?;
    ordered(as_of::once(plan)?)
}

/// The plan with total orders.
///
/// # Errors
/// The plan cannot be rebuilt.
pub(crate) fn ordered(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|plan| {
        let plan = match plan {
            LogicalPlan::Distinct(Distinct::On(mut on)) => {
                let first = on.sort_expr.take().unwrap_or_else(|| {
                    on.on_expr.iter().map(|expr| ascending(expr.clone())).collect()
                });
                let rest = on.select_expr.iter().map(|expr| expr.clone().unalias());
                on.sort_expr = Some(extended(first, rest, on.input.schema()));
                let sorts = on.sort_expr.iter().flatten().map(|sort| &sort.expr);
                let uses = on.on_expr.iter().chain(&on.select_expr).chain(sorts);
                if let Some(input) = window::ordered(&on.input, uses)? {
                    on.input = Arc::new(input);
                }
                LogicalPlan::Distinct(Distinct::On(on))
            }
            LogicalPlan::Limit(limit) => {
                let Some(input) = sorted_below(&limit.input) else {
                    return Ok(Transformed::no(LogicalPlan::Limit(limit)));
                };
                LogicalPlan::Limit(Limit { input: Arc::new(input), ..limit })
            }
            LogicalPlan::Projection(mut projection) => {
                let Some(input) = window::ordered(&projection.input, &projection.expr)? else {
                    return Ok(Transformed::no(LogicalPlan::Projection(projection)));
                };
                projection.input = Arc::new(input);
                LogicalPlan::Projection(projection)
            }
            aggregate @ LogicalPlan::Aggregate(_) => {
                let names = aggregate.schema().clone();
                let of = Arc::clone(aggregate.inputs()[0].schema());
                let ordered = aggregate.map_expressions(|expr| {
                    let name = expr.schema_name().to_string();
                    let changed = expr.transform_up(|expr| order_arguments(expr, &of))?;
                    let kept = names.has_column_with_unqualified_name(&name);
                    changed.map_data(|e| {
                        let renamed = kept && e.schema_name().to_string() != name;
                        Ok(if renamed { e.alias(name) } else { e })
                    })
                })?;
                return ordered.map_data(LogicalPlan::recompute_schema);
            }
            other => return Ok(Transformed::no(other)),
        };
        Ok(Transformed::yes(plan))
    })?;
    plain_strings(plan.data)
}

/// The plan with strings as the relations have them: some functions return views of strings.
fn plain_strings(plan: LogicalPlan) -> Result<LogicalPlan> {
    let fields = plan.schema().fields();
    if !fields.iter().any(|field| *field.data_type() == DataType::Utf8View) {
        return Ok(plan);
    }
    let columns = plan.schema().columns().into_iter().zip(fields.iter());
    let exprs = columns.map(|(column, field)| match field.data_type() {
        DataType::Utf8View => cast(Expr::Column(column), DataType::Utf8).alias(field.name()),
        _ => Expr::Column(column),
    });
    let exprs: Vec<Expr> = exprs.collect();
    LogicalPlanBuilder::from(plan).project(exprs)?.build()
}

/// The plan below a LIMIT with a total order, if it is one of `Sort` or `Projection(Sort)`.
fn sorted_below(plan: &LogicalPlan) -> Option<LogicalPlan> {
    match plan {
        LogicalPlan::Sort(sort) => {
            let rest = sort.input.schema().columns().into_iter().map(Expr::Column);
            let expr = extended(sort.expr.clone(), rest, sort.input.schema());
            Some(LogicalPlan::Sort(Sort { expr, ..sort.clone() }))
        }
        LogicalPlan::Projection(projection) => {
            let mut projection = projection.clone();
            projection.input = Arc::new(sorted_below(&projection.input)?);
            Some(LogicalPlan::Projection(projection))
        }
        _ => None,
    }
}

/// Aggregates whose value depends on the order of rows.
const ORDERED: [&str; 5] = ["array_agg", "first_value", "last_value", "nth_value", "string_agg"];

fn order_arguments(expr: Expr, of: &DFSchemaRef) -> Result<Transformed<Expr>> {
    match expr {
        Expr::AggregateFunction(AggregateFunction { func, mut params })
            if ORDERED.contains(&func.name()) =>
        {
            let arguments =
                params.args.iter().filter(|arg| !matches!(arg, Expr::Literal(..))).cloned();
            params.order_by = extended(params.order_by, arguments, of);
            Ok(Transformed::yes(Expr::AggregateFunction(AggregateFunction { func, params })))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// An order over columns of `of` with the remaining expressions appended, each expression once:
/// what is ordered by already orders nothing more, and DataFusion's `first_value` panics where two
/// are one after it has simplified them.
fn extended(
    order: Vec<SortExpr>,
    rest: impl IntoIterator<Item = Expr>,
    of: &DFSchemaRef,
) -> Vec<SortExpr> {
    let context = SimplifyContext::builder().with_schema(Arc::clone(of)).build();
    let simplifier = ExprSimplifier::new(context);
    let simple = |expr: &Expr| {
        let coerced = simplifier.coerce(expr.clone(), of);
        coerced.and_then(|expr| simplifier.simplify(expr)).unwrap_or_else(|_| expr.clone())
    };
    let (mut all, mut seen): (Vec<SortExpr>, Vec<Expr>) = (Vec::new(), Vec::new());
    for sort in order.into_iter().chain(rest.into_iter().map(ascending)) {
        let simple = simple(&sort.expr);
        if !seen.contains(&simple) {
            all.push(sort);
            seen.push(simple);
        }
    }
    all
}

fn ascending(expr: Expr) -> SortExpr {
    SortExpr { expr, asc: true, nulls_first: false }
}
