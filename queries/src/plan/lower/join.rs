//! Joins of every kind, as DataFusion plans them, with the stream on the left where it was written
//! on the left.
//!
//! A RIGHT JOIN is a LEFT JOIN with its sides swapped, and so are the right forms of semi, anti and
//! mark joins. What ON says besides equalities is a filter above an inner join, and stays with any
//! other until [`super::super::expand`].

use std::ops::Range;

use datafusion::common::JoinType;
use datafusion::common::NullEquality;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::Join;
use datafusion::logical_expr::utils::split_conjunction;
use schemas::plan::JoinKind;

use super::Lower;
use super::Result;
use super::query;
use super::with_columns;
use crate::plan::expr::Scalar;
use crate::plan::expr::column;
use crate::plan::expr::replace;
use crate::plan::refuse::PlanError;
use crate::plan::rel::JoinRel;
use crate::plan::rel::Kind;
use crate::plan::rel::Rel;
use crate::plan::rel::RelOp;

/// A join, lowered.
pub(super) fn join(lower: &Lower, join: &Join) -> Result<Rel> {
    let (kind, swapped) = kind(join)?;
    let (written_left, written_right) = (lower.rel(&join.left)?, lower.rel(&join.right)?);
    let widths = (written_left.width(), written_right.width());
    let (left_on, right_on): (Vec<Expr>, Vec<Expr>) = join.on.iter().cloned().unzip();
    let left_on = lower.scalars(&left_on, join.left.schema())?;
    let right_on = lower.scalars(&right_on, join.right.schema())?;
    let (written_left, left_key) = with_columns(written_left, &left_on);
    let (written_right, right_key) = with_columns(written_right, &right_on);
    same_types(&written_left, &left_key, &written_right, &right_key)?;
    let residual = residual(lower, join)?;
    let sides = ((written_left, left_key), (written_right, right_key));
    let ((left, left_key), (right, right_key)) = match swapped {
        false => sides,
        true => (sides.1, sides.0),
    };
    // Where the columns that were written first and second stand now.
    let behind = left.width();
    let (first, second): (Range<usize>, Range<usize>) = match swapped {
        false => (0..widths.0, behind..behind + widths.1),
        true => (behind..behind + widths.0, 0..widths.1),
    };
    let outputs = match kind {
        Kind::Done(JoinKind::Inner | JoinKind::Left) | Kind::Full => {
            first.clone().chain(second.clone()).collect()
        }
        Kind::Done(JoinKind::Semi | JoinKind::Anti) | Kind::NotIn => {
            (0..if swapped { widths.1 } else { widths.0 }).collect()
        }
        Kind::Done(JoinKind::Mark) => {
            let columns = if swapped { second.clone() } else { first.clone() };
            columns.chain([behind]).collect()
        }
    };
    let names: Vec<String> =
        left.fields.iter().chain(&right.fields).map(|f| f.name().clone()).collect();
    let now = |i: usize| {
        let at = match i.checked_sub(widths.0) {
            None => first.start + i,
            Some(i) => second.start + i,
        };
        column(at, &names[at])
    };
    let inner = kind == Kind::Done(JoinKind::Inner);
    let (above, residual): (Vec<Scalar>, Vec<Scalar>) = match inner {
        true => (residual, Vec::new()),
        false => (Vec::new(), residual.iter().map(|e| replace(e, &now)).collect()),
    };
    let nulls_equal = join.null_equality == NullEquality::NullEqualsNull;
    let (left, right) = (Box::new(left), Box::new(right));
    let fields = join.schema.fields().to_vec();
    let op = JoinRel { left, right, left_key, right_key, nulls_equal, kind, residual, outputs };
    Ok(Rel { fields, op: RelOp::Join(op) }.filtered(above))
}

/// What kind of join it is, and whether with its sides swapped.
fn kind(join: &Join) -> Result<(Kind, bool)> {
    use JoinType::*;
    let kind = match join.join_type {
        Inner => JoinKind::Inner,
        Left | Right => JoinKind::Left,
        Full => return Ok((Kind::Full, false)),
        LeftAnti if join.null_aware => return not_in(join).map(|kind| (kind, false)),
        LeftSemi | RightSemi => JoinKind::Semi,
        LeftAnti | RightAnti => JoinKind::Anti,
        LeftMark | RightMark => JoinKind::Mark,
    };
    Ok((Kind::Done(kind), matches!(join.join_type, Right | RightSemi | RightAnti | RightMark)))
}

/// NOT IN where NULLs may be: of one column, without a condition that is correlated.
fn not_in(join: &Join) -> Result<Kind> {
    if join.on.len() == 1 && join.filter.is_none() {
        return Ok(Kind::NotIn);
    }
    let clause = "NOT IN (SELECT …) with a condition on an outer column, where NULLs may be,";
    let hint = "write NOT EXISTS (SELECT … WHERE … AND inner_column = outer_column)";
    Err(PlanError::refused(clause, hint))
}

/// Refuses keys of different types.
pub(super) fn same_types(
    left: &Rel,
    left_key: &[usize],
    right: &Rel,
    right_key: &[usize],
) -> Result<()> {
    for (l, r) in left_key.iter().zip(right_key) {
        let (l, r) = (&left.fields[*l], &right.fields[*r]);
        if l.data_type() != r.data_type() {
            let clause = format!("a join of {} with {}", l.data_type(), r.data_type());
            return Err(PlanError::refused(clause, "CAST one side to the other's type"));
        }
    }
    Ok(())
}

/// What ON says besides equalities, over the columns of both sides as they were written.
fn residual(lower: &Lower, join: &Join) -> Result<Vec<Scalar>> {
    let Some(filter) = &join.filter else { return Ok(Vec::new()) };
    let both = join.left.schema().join(join.right.schema()).map_err(|e| query(&e))?;
    let always = |e: &&Expr| matches!(e, Expr::Literal(ScalarValue::Boolean(Some(true)), _));
    let conjuncts = split_conjunction(filter).into_iter().filter(|e| !always(e));
    lower.scalars(&conjuncts.cloned().collect::<Vec<_>>(), &both)
}
