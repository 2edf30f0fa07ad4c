//! Queries within expressions become joins: EXISTS and IN semi, anti and mark joins, a query as a
//! value a left join with its group.
//!
//! DataFusion's own rules do it, by themselves and before anything else, with the settings that
//! leave no query behind to be run on its own. What they cannot take out stays where it is, and is
//! refused by [`super::lower`].
//!
//! Two things are refused here, because the join would say something else than SQL: a query as a
//! value that may have several rows, and a negated IN below OR, where DataFusion's mark takes
//! unknown for false.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::plan_err;
use datafusion::common::tree_node::Transformed;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::BinaryExpr;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::ExprSchemable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::logical_expr::Operator;
use datafusion::logical_expr::Subquery;
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::optimizer::Optimizer;
use datafusion::optimizer::OptimizerContext;
use datafusion::optimizer::OptimizerRule;
use datafusion::optimizer::decorrelate_lateral_join::DecorrelateLateralJoin;
use datafusion::optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion::optimizer::rewrite_set_comparison::RewriteSetComparison;
use datafusion::optimizer::scalar_subquery_to_join::ScalarSubqueryToJoin;

use super::nodes::TopK;
use super::refuse::PlanError;
use super::temporal::external;

/// What is refused where NULLs may be.
const UNKNOWN: &str = "NOT IN (SELECT …) below OR, where NULLs may be,";

/// The plan with joins in the place of queries.
///
/// # Errors
/// A query that a join would not be equal to; wrapped, as DataFusion's walks want it.
pub(crate) fn joined(plan: LogicalPlan, options: &ConfigOptions) -> Result<LogicalPlan> {
    if !has_queries(&plan)? {
        return Ok(plan);
    }
    refuse(&plan)?;
    let plan = named(plan)?;
    let rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = vec![
        Arc::new(RewriteSetComparison::new()),
        Arc::new(DecorrelatePredicateSubquery::new()),
        Arc::new(ScalarSubqueryToJoin::new()),
        Arc::new(DecorrelateLateralJoin::new()),
    ];
    Optimizer::with_rules(rules).optimize(plan, &context(options), |_, _| {})
}

/// The plan with a name of its own for every query as a value: the rule joins it beside the columns
/// that are there, and two must not have one name.
fn named(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut count = 0;
    let mut rename = |expr: Expr| match expr {
        Expr::ScalarSubquery(query) => {
            count += 1;
            let value = Expr::Column(query.subquery.schema().columns().swap_remove(0));
            let builder = LogicalPlanBuilder::from(Arc::unwrap_or_clone(query.subquery));
            let projected = builder.project([value.alias(format!("value{count}"))])?.build()?;
            let subquery = Arc::new(projected);
            Ok(Transformed::yes(Expr::ScalarSubquery(Subquery { subquery, ..query })))
        }
        other => Ok(Transformed::no(other)),
    };
    let plan = plan.transform_up_with_subqueries(|plan| {
        let names = plan.schema().clone();
        let plan = plan.map_expressions(|expr| {
            let name = expr.schema_name().to_string();
            let changed = expr.transform_up(&mut rename)?;
            let kept = names.has_column_with_unqualified_name(&name);
            changed.map_data(|e| {
                let renamed = kept && e.schema_name().to_string() != name;
                Ok(if renamed { e.alias(name) } else { e })
            })
        })?;
        plan.map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(plan.data)
}

/// What rules are told: no clock, and names that are counted for each plan anew.
pub(crate) fn context(options: &ConfigOptions) -> OptimizerContext {
    let mut options = options.clone();
    options.optimizer.enable_physical_uncorrelated_scalar_subquery = false;
    OptimizerContext::new_with_config_options(Arc::new(options))
        .without_query_execution_start_time()
}

fn has_queries(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|plan| {
        let mut found = matches!(plan, LogicalPlan::Subquery(_));
        plan.apply_expressions(|expr| {
            found |= expr.exists(|e| Ok(is_query(e)))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(found)
    })
}

/// Whether this is an expression with a query in it.
pub(crate) fn is_query(expr: &Expr) -> bool {
    use Expr::*;
    matches!(expr, Exists(_) | InSubquery(_) | ScalarSubquery(_) | SetComparison(_))
}

fn refuse(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|plan| {
        plan.apply_expressions(|expr| {
            expr.apply(|e| match e {
                Expr::ScalarSubquery(query)
                    if query.outer_ref_columns.is_empty() && !one_row(&query.subquery) =>
                {
                    let clause = "a query as a value that may have several rows";
                    let hint = "make it one row: an aggregate without GROUP BY, or ORDER BY … \
                                LIMIT 1";
                    Err(external(PlanError::refused(clause, hint)))
                }
                _ => Ok(TreeNodeRecursion::Continue),
            })
        })?;
        if uncertain(plan)? {
            return Err(external(PlanError::refused(
                UNKNOWN,
                "write NOT EXISTS (SELECT … WHERE inner_column = outer_column)",
            )));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Refuses what the query engine would answer wrongly.
///
/// # Errors
/// A NOT IN of which unknown would be taken for true.
pub(crate) fn answerable(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|plan| match uncertain(plan)? {
        true => plan_err!(
            "{UNKNOWN} is not answered: unknown would be taken for true; write NOT EXISTS \
             (SELECT … WHERE inner_column = outer_column)"
        ),
        false => Ok(TreeNodeRecursion::Continue),
    })?;
    Ok(())
}

/// Whether a node filters by an IN of which unknown and false are not the same thing.
fn uncertain(plan: &LogicalPlan) -> Result<bool> {
    let LogicalPlan::Filter(filter) = plan else { return Ok(false) };
    for conjunct in split_conjunction(&filter.predicate) {
        let direct = match conjunct {
            Expr::Not(inner) => matches!(inner.as_ref(), Expr::InSubquery(_)),
            other => matches!(other, Expr::InSubquery(_)),
        };
        if !direct && !certain(conjunct, &filter.input)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a query never has a second row.
fn one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::Values(values) => values.values.len() <= 1,
        LogicalPlan::Extension(extension) => {
            let top = extension.node.as_any().downcast_ref::<TopK>();
            top.is_some_and(|top| top.limit <= 1 && top.group.is_empty())
        }
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Join(_) => plan.inputs().into_iter().all(one_row),
        _ => false,
    }
}

/// Whether unknown and false are the same thing here, of each IN.
fn certain(expr: &Expr, input: &LogicalPlan) -> Result<bool> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            Ok(certain(left, input)? && certain(right, input)?)
        }
        Expr::InSubquery(of) if !of.negated => Ok(true),
        other => {
            let unknown = |e: &Expr| matches!(e, Expr::InSubquery(of) if may_be_unknown(of, input));
            Ok(!other.exists(|e| Ok(unknown(e)))?)
        }
    }
}

fn may_be_unknown(of: &InSubquery, input: &LogicalPlan) -> bool {
    let outer = of.expr.nullable(input.schema()).unwrap_or(true);
    outer || of.subquery.subquery.schema().fields().iter().any(|f| f.is_nullable())
}
