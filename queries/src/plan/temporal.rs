//! Comparisons with `now()`: from predicates to the instants between which a row shows.
//!
//! `now()` is the tick `t`, a whole number of milliseconds. With `e` a time and `c` a constant, a
//! comparison bounds `t` from one side:
//!
//! | written | holds while | bound |
//! | --- | --- | --- |
//! | `e <= now() + c` | `t >= e - c` | from `⌈e⌉ - c` |
//! | `e < now() + c` | `t > e - c` | from `⌊e⌋ + 1 - c` |
//! | `e > now() + c` | `t < e - c` | until `⌈e⌉ - c` |
//! | `e >= now() + c` | `t <= e - c` | until `⌊e⌋ + 1 - c` |
//!
//! Everything else with `now()` is refused: as a value it would change each tick, in every row.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::datatypes::TimeUnit;
use datafusion::common::DFSchema;
use datafusion::common::DataFusionError;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::Transformed;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::BinaryExpr;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::ExprSchemable;
use datafusion::logical_expr::Filter;
use datafusion::logical_expr::Join;
use datafusion::logical_expr::JoinType;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::Operator;
use datafusion::logical_expr::cast;
use datafusion::logical_expr::lit;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::utils::split_conjunction_owned;

use super::nodes::Temporal;
use super::nodes::extension;
use super::refuse::PlanError;
use crate::session::has_now;
use crate::session::is_now;

/// The plan with every comparison with `now()` as a [`Temporal`] node, where it was written.
///
/// A comparison in the ON of an inner join stands above the join; one in the ON of a left join that
/// speaks only of the right side stands on that side.
///
/// # Errors
/// `now()` anywhere else; wrapped, as DataFusion's walks want it.
pub(crate) fn extract(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let plan = plan.transform_up(|plan| {
        let plan = match plan {
            LogicalPlan::Filter(filter) if has_now(&filter.predicate) => {
                let (timed, plain) = parted(filter.predicate);
                let input = match conjunction(plain) {
                    Some(predicate) => {
                        LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?)
                    }
                    None => Arc::unwrap_or_clone(filter.input),
                };
                bounded(input, timed)?
            }
            LogicalPlan::Join(join) if join.filter.as_ref().is_some_and(has_now) => {
                from_join(join)?
            }
            other => return Ok(Transformed::no(other)),
        };
        Ok(Transformed::yes(plan))
    })?;
    let plan = plan.data;
    plan.apply(|plan| {
        if plan.expressions().iter().any(has_now) {
            return Err(external(elsewhere()));
        }
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    })?;
    Ok(plan)
}

fn from_join(mut join: Join) -> Result<LogicalPlan, DataFusionError> {
    let (timed, plain) = parted(join.filter.take().expect("the caller saw one"));
    join.filter = conjunction(plain);
    match join.join_type {
        JoinType::Inner => bounded(LogicalPlan::Join(join), timed),
        JoinType::Left => {
            let right = join.right.schema().clone();
            let beyond = |e: &Expr| e.column_refs().into_iter().any(|c| !right.has_column(c));
            if timed.iter().any(beyond) {
                return Err(external(PlanError::refused(
                    "now() beside a left column in the ON of a LEFT JOIN",
                    "compare it in the WHERE of a query in FROM",
                )));
            }
            join.right = Arc::new(bounded(Arc::unwrap_or_clone(join.right), timed)?);
            Ok(LogicalPlan::Join(join))
        }
        _ => Err(external(elsewhere())),
    }
}

/// The conjuncts with `now()`, and those without.
fn parted(predicate: Expr) -> (Vec<Expr>, Vec<Expr>) {
    split_conjunction_owned(predicate).into_iter().partition(has_now)
}

/// The input, seen only while the conjuncts hold.
fn bounded(input: LogicalPlan, conjuncts: Vec<Expr>) -> Result<LogicalPlan, DataFusionError> {
    let schema = input.schema().clone();
    let (mut froms, mut untils) = (Vec::new(), Vec::new());
    for conjunct in conjuncts {
        let parts = match conjunct {
            Expr::Between(between) if !between.negated => vec![
                binary(*between.expr.clone(), Operator::GtEq, *between.low),
                binary(*between.expr, Operator::LtEq, *between.high),
            ],
            other => vec![other],
        };
        for part in parts {
            match bound(&part, &schema)? {
                Some(Bound::From(ms)) => froms.push(ms),
                Some(Bound::Until(ms)) => untils.push(ms),
                None => return Err(external(not_a_bound(&part))),
            }
        }
    }
    let (mut froms, mut untils) = (froms.into_iter(), untils.into_iter());
    let mut plan = input;
    loop {
        let (from, until) = (froms.next(), untils.next());
        if from.is_none() && until.is_none() {
            return Ok(plan);
        }
        plan = extension(Temporal { input: plan, from, until });
    }
}

enum Bound {
    From(Expr),
    Until(Expr),
}

/// The bound that a comparison puts on the tick.
fn bound(expr: &Expr, schema: &DFSchema) -> Result<Option<Bound>, DataFusionError> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return Ok(None) };
    let (event, op, offset) = if let (Some(c), false) = (clock(right), has_now(left)) {
        (left.as_ref(), *op, c)
    } else if let (Some(c), false) = (clock(left), has_now(right)) {
        let Some(op) = op.swap() else { return Ok(None) };
        (right.as_ref(), op, c)
    } else if let (Some((event, op, c)), _) | (None, Some((event, op, c))) =
        (age(left, *op, right), op.swap().and_then(|op| age(right, op, left)))
    {
        (event, op, c)
    } else {
        return Ok(None);
    };
    let bound = match op {
        Operator::LtEq => Bound::From(millis(event, schema, Up, -offset)?),
        Operator::Lt => Bound::From(millis(event, schema, Down, 1 - offset)?),
        Operator::Gt => Bound::Until(millis(event, schema, Up, -offset)?),
        Operator::GtEq => Bound::Until(millis(event, schema, Down, 1 - offset)?),
        _ => return Ok(None),
    };
    Ok(Some(bound))
}

/// `now() - e <op> d` and `e - now() <op> d`, as `e <op> now() + c`.
fn age<'a>(difference: &'a Expr, op: Operator, d: &Expr) -> Option<(&'a Expr, Operator, i64)> {
    let d = interval_ms(d)?;
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) = uncast(difference)
    else {
        return None;
    };
    match (clock(left), clock(right)) {
        (Some(c), None) if !has_now(right) => Some((right.as_ref(), op.swap()?, c - d)),
        (None, Some(c)) if !has_now(left) => Some((left.as_ref(), op, c + d)),
        _ => None,
    }
}

/// The `c` of an expression that is `now() + c`, in milliseconds.
fn clock(expr: &Expr) -> Option<i64> {
    match uncast(expr) {
        e if is_now(e) => Some(0),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus, right }) => {
            match (clock(left), clock(right)) {
                (Some(c), None) => Some(c + interval_ms(right)?),
                (None, Some(c)) => Some(c + interval_ms(left)?),
                _ => None,
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => {
            Some(clock(left)? - interval_ms(right)?)
        }
        _ => None,
    }
}

fn uncast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) => uncast(&cast.expr),
        Expr::Alias(alias) => uncast(&alias.expr),
        other => other,
    }
}

/// A constant span of time in milliseconds; months have no fixed length.
fn interval_ms(expr: &Expr) -> Option<i64> {
    const DAY_MS: i64 = schemas::time::DAY_MS as i64;
    let Expr::Literal(value, _) = uncast(expr) else { return None };
    match value {
        ScalarValue::IntervalMonthDayNano(Some(v)) if v.months == 0 => {
            let whole = v.nanoseconds % 1_000_000 == 0;
            whole.then(|| i64::from(v.days) * DAY_MS + v.nanoseconds / 1_000_000)
        }
        ScalarValue::IntervalDayTime(Some(v)) => {
            Some(i64::from(v.days) * DAY_MS + i64::from(v.milliseconds))
        }
        ScalarValue::DurationSecond(Some(v)) => Some(v * 1_000),
        ScalarValue::DurationMillisecond(Some(v)) => Some(*v),
        ScalarValue::DurationMicrosecond(Some(v)) if v % 1_000 == 0 => Some(v / 1_000),
        ScalarValue::DurationNanosecond(Some(v)) if v % 1_000_000 == 0 => Some(v / 1_000_000),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    Up,
    Down,
}
use Round::Down;
use Round::Up;

/// The expression's instant in milliseconds plus `plus`, as BIGINT.
fn millis(
    event: &Expr,
    schema: &DFSchema,
    round: Round,
    plus: i64,
) -> Result<Expr, DataFusionError> {
    let event = uncast_exact(event, schema)?;
    let count = cast(event.clone(), DataType::Int64);
    let ms = match event.get_type(schema)? {
        DataType::Timestamp(TimeUnit::Second, _) => count * lit(1_000_i64),
        DataType::Timestamp(TimeUnit::Millisecond, _) => count,
        DataType::Timestamp(TimeUnit::Microsecond, _) => rounded(count, 1_000, round),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => rounded(count, 1_000_000, round),
        other => {
            return Err(external(PlanError::refused(
                format!("a comparison of now() with {other}"),
                "compare now() with a timestamp",
            )));
        }
    };
    Ok(match plus {
        0 => ms,
        plus => ms + lit(plus),
    })
}

/// Without a cast of a timestamp to a finer timestamp, which comparing made.
fn uncast_exact<'a>(expr: &'a Expr, schema: &DFSchema) -> Result<&'a Expr, DataFusionError> {
    if let Expr::Cast(cast) = expr {
        let within = cast.expr.get_type(schema)?;
        if matches!(within, DataType::Timestamp(TimeUnit::Millisecond, Some(_))) {
            return Ok(&cast.expr);
        }
    }
    Ok(expr)
}

fn rounded(count: Expr, unit: i64, round: Round) -> Expr {
    let count = if round == Up { count + lit(unit - 1) } else { count };
    count / lit(unit)
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

fn not_a_bound(expr: &Expr) -> PlanError {
    PlanError::refused(
        format!("the condition {}", sql(expr)),
        "compare one time with now(), as in measured_at > now() - INTERVAL '1 hour'; join \
         conditions with AND, never OR; for now() = t, compare with >= and <",
    )
}

/// The expression as SQL.
fn sql(expr: &Expr) -> String {
    datafusion::sql::unparser::expr_to_sql(expr)
        .map_or_else(|_| expr.to_string(), |sql| sql.to_string())
}

fn elsewhere() -> PlanError {
    PlanError::refused(
        "now() outside a comparison",
        "as a value it would change every row at every tick: compare a time with now() in WHERE \
         or ON, and compute ages where the view is read",
    )
}

/// A refusal on its way through DataFusion's walks.
pub(crate) fn external(error: PlanError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
