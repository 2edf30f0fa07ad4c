//! AS OF joins: each left row with the latest right row of its key at or before its time.
//!
//! ```sql
//! SELECT … FROM meter_readings r
//! ASOF JOIN tariffs t MATCH_CONDITION (r.measured_at >= t.valid_at) ON t.zone_id = r.zone_id
//! ```
//!
//! The parser knows the words, DataFusion does not. So [`syntax`] makes a plain join of it, with
//! the condition as a call of [`Latest`] in its ON: names are resolved and types are made the same
//! as in any other join. Then, where it is maintained, the join becomes a node of ours ([`nodes`]);
//! where it is asked once, the matches of each left row are numbered and the first of them is taken
//! ([`once`](mod@once)). Which of several right rows of one time is the latest, the remaining
//! columns decide, as with every other tie: ascending, NULLs last.

pub(crate) mod once;
pub(crate) mod syntax;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::DataFusionError;
use datafusion::common::JoinType;
use datafusion::common::Result;
use datafusion::common::exec_datafusion_err;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::BinaryExpr;
use datafusion::logical_expr::ColumnarValue;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::Join;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::Operator;
use datafusion::logical_expr::ScalarFunctionArgs;
use datafusion::logical_expr::ScalarUDFImpl;
use datafusion::logical_expr::Signature;
use datafusion::logical_expr::Volatility;
use datafusion::logical_expr::utils::find_valid_equijoin_key_pair;
use datafusion::logical_expr::utils::split_conjunction;

use super::lookup;
use super::nodes::AsOf;
use super::nodes::extension;
use super::refuse::PlanError;
use super::temporal::external;

pub(crate) use self::once::once;

/// What the condition is called between parser and planner.
const LATEST: &str = "as_of_match";

/// `as_of_match(left_time >= right_time)`: only the latest right row that matches.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Latest {
    signature: Signature,
}

impl Latest {
    /// The function, to be registered.
    pub(crate) fn new() -> Latest {
        let signature = Signature::exact(vec![DataType::Boolean], Volatility::Immutable);
        Latest { signature }
    }
}

impl ScalarUDFImpl for Latest {
    fn name(&self) -> &str {
        LATEST
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(exec_datafusion_err!("a match condition has no value outside an ASOF JOIN"))
    }
}

/// What the ON of an AS OF join says.
struct Parts {
    left_time: Expr,
    right_time: Expr,
    /// A right row of the very time does not match.
    before: bool,
    /// The other conditions.
    rest: Vec<Expr>,
}

/// The parts of a join, if it is an AS OF join.
fn parts(join: &Join) -> Result<Option<Parts>> {
    let Some(filter) = &join.filter else { return Ok(None) };
    let (marks, rest): (Vec<&Expr>, Vec<&Expr>) =
        split_conjunction(filter).into_iter().partition(|e| condition(e).is_some());
    let Some(compared) = marks.first().and_then(|e| condition(e)) else { return Ok(None) };
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = compared else {
        return Err(not_latest());
    };
    let (left_schema, right_schema) = (join.left.schema(), join.right.schema());
    let (left_time, op, right_time) = if of(left, left_schema) && of(right, right_schema) {
        (left, *op, right)
    } else if of(right, left_schema) && of(left, right_schema) {
        (right, op.swap().ok_or_else(not_latest)?, left)
    } else {
        return Err(not_latest());
    };
    let before = match op {
        Operator::GtEq => false,
        Operator::Gt => true,
        _ => return Err(not_latest()),
    };
    let (left_time, right_time) = (left_time.as_ref().clone(), right_time.as_ref().clone());
    let rest = rest.into_iter().cloned().collect();
    Ok(Some(Parts { left_time, right_time, before, rest }))
}

/// What a match condition compares.
fn condition(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::ScalarFunction(call) if call.func.name() == LATEST => call.args.first(),
        _ => None,
    }
}

/// Whether an expression speaks of these columns alone.
fn of(expr: &Expr, schema: &DFSchema) -> bool {
    let columns = expr.column_refs();
    !columns.is_empty() && columns.into_iter().all(|column| schema.has_column(column))
}

fn not_latest() -> DataFusionError {
    external(PlanError::refused(
        "a MATCH_CONDITION that is no comparison of two times",
        "write MATCH_CONDITION (left.time >= right.time), or > for strictly before",
    ))
}

/// The plan with our nodes in the place of AS OF joins and lookups, for those that are maintained.
///
/// # Errors
/// A condition that the node does not have; wrapped, as DataFusion's walks want it.
pub(crate) fn nodes(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Join(join) => match (lookup::node(&join)?, parts(&join)?) {
            (Some(lookup), _) => Ok(Transformed::yes(extension(lookup))),
            (None, Some(parts)) => Ok(Transformed::yes(extension(node(join, parts)?))),
            (None, None) => Ok(Transformed::no(LogicalPlan::Join(join))),
        },
        other => Ok(Transformed::no(other)),
    })?;
    Ok(plan.data)
}

fn node(join: Join, parts: Parts) -> Result<AsOf> {
    let keys = pairs(&join, &parts.rest)?.ok_or_else(not_equal)?;
    Ok(AsOf {
        left: std::sync::Arc::unwrap_or_clone(join.left),
        right: std::sync::Arc::unwrap_or_clone(join.right),
        keys,
        times: Some((parts.left_time, parts.right_time)),
        before: parts.before,
        outer: join.join_type == JoinType::Left,
        schema: join.schema,
    })
}

/// What is equal in a join whose other conditions are these, of its left and of its right side;
/// `None` if one of them is no equality of both.
pub(super) fn pairs(join: &Join, conditions: &[Expr]) -> Result<Option<Vec<(Expr, Expr)>>> {
    let mut keys = join.on.clone();
    for condition in conditions {
        let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else {
            return Ok(None);
        };
        let (left_schema, right_schema) = (join.left.schema(), join.right.schema());
        let pair = find_valid_equijoin_key_pair(left, right, left_schema, right_schema)?;
        match pair {
            Some(pair) => keys.push(pair),
            None => return Ok(None),
        }
    }
    Ok(Some(keys))
}

fn not_equal() -> DataFusionError {
    external(PlanError::refused(
        "a condition other than = in the ON of an ASOF JOIN",
        "filter the right side in a query in FROM, or the joined rows in WHERE",
    ))
}
