//! Logical nodes that DataFusion does not have: the first rows of each group, rows without others,
//! the latest row at a time, and rows that come and go by the tick.
//!
//! They exist between the analyser and [`super::lower`] only, so that optimiser rules treat them
//! right: no predicate moves below a [`TopK`] (the rule that moves filters below `DISTINCT ON`
//! would change its answer), and every predicate may move below a [`Temporal`].

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use datafusion::common::DFSchemaRef;
use datafusion::common::Result;
use datafusion::common::plan_datafusion_err;
use datafusion::common::plan_err;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::Distinct;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::Extension;
use datafusion::logical_expr::FetchType;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::Projection;
use datafusion::logical_expr::SkipType;
use datafusion::logical_expr::SortExpr;
use datafusion::logical_expr::UserDefinedLogicalNodeCore;

/// The first `limit` rows of each group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Hash)]
pub(crate) struct TopK {
    pub(crate) input: LogicalPlan,
    pub(crate) group: Vec<Expr>,
    pub(crate) order: Vec<SortExpr>,
    pub(crate) limit: usize,
}

/// Rows that show from one instant until another, both in milliseconds as BIGINT.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Hash)]
pub(crate) struct Temporal {
    pub(crate) input: LogicalPlan,
    pub(crate) from: Option<Expr>,
    pub(crate) until: Option<Expr>,
}

/// The rows of one plan without those of another, which are all among them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Hash)]
pub(crate) struct Without {
    pub(crate) all: LogicalPlan,
    pub(crate) less: LogicalPlan,
}

/// Each left row with the latest right row of its key at or before its time; or, without times,
/// with the right rows of its key that are known when it comes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AsOf {
    pub(crate) left: LogicalPlan,
    pub(crate) right: LogicalPlan,
    /// What is equal, of the left and of the right side.
    pub(crate) keys: Vec<(Expr, Expr)>,
    /// The times of the left and of the right side; of a lookup none.
    pub(crate) times: Option<(Expr, Expr)>,
    /// A right row of the very time does not match.
    pub(crate) before: bool,
    /// Left rows without a match stay.
    pub(crate) outer: bool,
    pub(crate) schema: DFSchemaRef,
}

/// `DISTINCT ON` and `ORDER BY … LIMIT` as [`TopK`].
pub(crate) fn top_k(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Distinct(Distinct::On(on)) => {
            let input = Arc::unwrap_or_clone(on.input);
            let order = on.sort_expr.unwrap_or_default();
            let top = extension(TopK { input, group: on.on_expr, order, limit: 1 });
            let projection =
                Projection::try_new_with_schema(on.select_expr, Arc::new(top), on.schema)?;
            Ok(Transformed::yes(LogicalPlan::Projection(projection)))
        }
        LogicalPlan::Limit(limit) => {
            let skip = match limit.get_skip_type()? {
                SkipType::Literal(skip) => skip,
                SkipType::UnsupportedExpr => return plan_err!("OFFSET is not a number"),
            };
            let FetchType::Literal(fetch) = limit.get_fetch_type()? else {
                return plan_err!("LIMIT is not a number");
            };
            let Some(rows) = between(&limit.input, skip, fetch)? else {
                return plan_err!("LIMIT without ORDER BY cannot be maintained");
            };
            Ok(Transformed::yes(rows))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(plan.data)
}

/// The rows behind the first `skip`, and of those the first `fetch`: the first rows of all without
/// those that are skipped.
fn between(plan: &LogicalPlan, skip: usize, fetch: Option<usize>) -> Result<Option<LogicalPlan>> {
    let first = |limit: usize| limited(plan, limit);
    let Some(skipped) = first(skip)? else { return Ok(None) };
    let all = match fetch {
        Some(fetch) => first(skip.saturating_add(fetch))?,
        None => Some(plan.clone()),
    };
    Ok(match all {
        Some(all) if skip > 0 => Some(extension(Without { all, less: skipped })),
        all => all,
    })
}

fn limited(plan: &LogicalPlan, limit: usize) -> Result<Option<LogicalPlan>> {
    match plan {
        LogicalPlan::Sort(sort) => {
            let input = sort.input.as_ref().clone();
            let order = sort.expr.clone();
            Ok(Some(extension(TopK { input, group: Vec::new(), order, limit })))
        }
        LogicalPlan::Projection(projection) => {
            let Some(input) = limited(&projection.input, limit)? else { return Ok(None) };
            let exprs = projection.expr.clone();
            let schema = projection.schema.clone();
            let above = Projection::try_new_with_schema(exprs, Arc::new(input), schema)?;
            Ok(Some(LogicalPlan::Projection(above)))
        }
        _ => Ok(None),
    }
}

/// A node of ours as a logical plan.
pub(crate) fn extension(node: impl UserDefinedLogicalNodeCore) -> LogicalPlan {
    LogicalPlan::Extension(Extension { node: Arc::new(node) })
}

impl UserDefinedLogicalNodeCore for TopK {
    fn name(&self) -> &str {
        "TopK"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        self.group.iter().cloned().chain(self.order.iter().map(|o| o.expr.clone())).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopK {}", self.limit)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let mut exprs = exprs.into_iter();
        let group = exprs.by_ref().take(self.group.len()).collect();
        let order = self.order.iter().zip(exprs);
        let order = order.map(|(sort, expr)| SortExpr { expr, ..sort.clone() }).collect();
        Ok(TopK { input: only(inputs)?, group, order, limit: self.limit })
    }
}

impl UserDefinedLogicalNodeCore for Temporal {
    fn name(&self) -> &str {
        "Temporal"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        self.from.iter().chain(&self.until).cloned().collect()
    }

    #[expect(clippy::disallowed_types, reason = "the trait says so; it is only looked into")]
    fn prevent_predicate_push_down_columns(&self) -> std::collections::HashSet<String> {
        std::collections::HashSet::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Temporal")
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let mut exprs = exprs.into_iter();
        let from = self.from.as_ref().and_then(|_| exprs.next());
        let until = self.until.as_ref().and_then(|_| exprs.next());
        Ok(Temporal { input: only(inputs)?, from, until })
    }
}

impl UserDefinedLogicalNodeCore for Without {
    fn name(&self) -> &str {
        "Without"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.all, &self.less]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.all.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Without")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let mut inputs = inputs.into_iter();
        match (inputs.next(), inputs.next()) {
            (Some(all), Some(less)) => Ok(Without { all, less }),
            _ => plan_err!("the node has two inputs"),
        }
    }
}

impl PartialOrd for AsOf {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let key = |node: &AsOf| (node.keys.clone(), node.times.clone(), node.before, node.outer);
        match (&self.left, &self.right).partial_cmp(&(&other.left, &other.right)) {
            Some(Ordering::Equal) => key(self).partial_cmp(&key(other)),
            other => other,
        }
    }
}

impl UserDefinedLogicalNodeCore for AsOf {
    fn name(&self) -> &str {
        "AsOf"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.left, &self.right]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let keys = self.keys.iter().flat_map(|(left, right)| [left, right]);
        let times = self.times.iter().flat_map(|(left, right)| [left, right]);
        keys.chain(times).cloned().collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AsOf")
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let mut inputs = inputs.into_iter();
        let (Some(left), Some(right)) = (inputs.next(), inputs.next()) else {
            return plan_err!("the node has two inputs");
        };
        let mut exprs = exprs.into_iter();
        let mut pair = || Some((exprs.next()?, exprs.next()?));
        let keys: Vec<(Expr, Expr)> = (0..self.keys.len()).map_while(|_| pair()).collect();
        let times = self.times.as_ref().and_then(|_| pair());
        Ok(AsOf { left, right, keys, times, ..self.clone() })
    }
}

fn only(inputs: Vec<LogicalPlan>) -> Result<LogicalPlan> {
    inputs.into_iter().next().ok_or_else(|| plan_datafusion_err!("the node has one input"))
}
