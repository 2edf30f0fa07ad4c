//! An AS OF join, lowered: keys and times become columns of either side, and the right columns that
//! are left decide which of two rows of one time is the latest.

use datafusion::logical_expr::Expr;
use schemas::plan::OrderBy;

use super::Lower;
use super::Result;
use super::join::same_types;
use super::with_columns;
use crate::plan::nodes;
use crate::plan::rel::AsOfRel;
use crate::plan::rel::Rel;
use crate::plan::rel::RelOp;

/// An AS OF join, lowered.
pub(super) fn join(lower: &Lower, join: &nodes::AsOf) -> Result<Rel> {
    let (left, right) = (lower.rel(&join.left)?, lower.rel(&join.right)?);
    let widths = (left.width(), right.width());
    let (mut left_on, mut right_on): (Vec<Expr>, Vec<Expr>) = join.keys.iter().cloned().unzip();
    left_on.push(join.times.0.clone());
    right_on.push(join.times.1.clone());
    let left_on = lower.scalars(&left_on, join.left.schema())?;
    let right_on = lower.scalars(&right_on, join.right.schema())?;
    let (left, mut left_key) = with_columns(left, &left_on);
    let (right, mut right_key) = with_columns(right, &right_on);
    same_types(&left, &left_key, &right, &right_key)?;
    let times = (left_key.pop(), right_key.pop());
    let times = (times.0.expect("the time was pushed"), times.1.expect("the time was pushed"));
    let decides = |column: &usize| *column != times.1 && !right_key.contains(column);
    let tie = |column: usize| OrderBy { column, descending: false, nulls_first: false };
    let ties = (0..widths.1).filter(decides).map(tie).collect();
    let split = left.width();
    let outputs = (0..widths.0).chain((0..widths.1).map(|i| split + i)).collect();
    let op = RelOp::AsOf(AsOfRel {
        left: Box::new(left),
        right: Box::new(right),
        left_key,
        right_key,
        times,
        before: join.before,
        ties,
        outer: join.outer,
        outputs,
    });
    Ok(Rel { fields: join.schema.fields().to_vec(), op })
}
