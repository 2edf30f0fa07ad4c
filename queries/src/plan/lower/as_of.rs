//! AS OF joins and lookups, lowered: keys and times become columns of either side, and the right
//! columns that are left decide which of two rows of one time is the latest.
//!
//! A lookup by what another lookup found is one lookup, in a join of both tables: a reading is
//! looked up once however many tables it meets.

use datafusion::logical_expr::Expr;
use schemas::plan::JoinKind;
use schemas::plan::OrderBy;

use super::Lower;
use super::Result;
use super::join::same_types;
use super::with_columns;
use crate::plan::nodes;
use crate::plan::rel::AsOfRel;
use crate::plan::rel::JoinRel;
use crate::plan::rel::Kind;
use crate::plan::rel::LookupRel;
use crate::plan::rel::Rel;
use crate::plan::rel::RelOp;

/// An AS OF join or a lookup, lowered.
pub(super) fn join(lower: &Lower, join: &nodes::AsOf) -> Result<Rel> {
    let (left, right) = (lower.rel(&join.left)?, lower.rel(&join.right)?);
    let widths = (left.width(), right.width());
    let (mut left_on, mut right_on): (Vec<Expr>, Vec<Expr>) = join.keys.iter().cloned().unzip();
    if let Some((of_left, of_right)) = &join.times {
        left_on.push(of_left.clone());
        right_on.push(of_right.clone());
    }
    let left_on = lower.scalars(&left_on, join.left.schema())?;
    let right_on = lower.scalars(&right_on, join.right.schema())?;
    let (left, mut left_key) = with_columns(left, &left_on);
    let (right, mut right_key) = with_columns(right, &right_on);
    same_types(&left, &left_key, &right, &right_key)?;
    let split = left.width();
    let outputs = (0..widths.0).chain((0..widths.1).map(|i| split + i)).collect();
    let (left, right) = (Box::new(left), Box::new(right));
    let fields = join.schema.fields().to_vec();
    let outer = join.outer;
    if join.times.is_none() {
        let (time, expire) = (None, None);
        let lookup = LookupRel { left, right, left_key, right_key, outer, outputs, time, expire };
        return Ok(Rel { fields, op: RelOp::Lookup(merged(lookup)) });
    }
    let times = (left_key.pop(), right_key.pop());
    let times = (times.0.expect("the time was pushed"), times.1.expect("the time was pushed"));
    let decides = |column: &usize| *column != times.1 && !right_key.contains(column);
    let tie = |column: usize| OrderBy { column, descending: false, nulls_first: false };
    let ties = (0..widths.1).filter(decides).map(tie).collect();
    let before = join.before;
    let op = AsOfRel { left, right, left_key, right_key, times, before, ties, outer, outputs };
    Ok(Rel { fields, op: RelOp::AsOf(op) })
}

/// The lookup, and the one below it by whose right columns it is, as one.
fn merged(lookup: LookupRel) -> LookupRel {
    let width = lookup.left.width();
    let below = match lookup.left.op {
        RelOp::Lookup(below) if !below.outer => below,
        op => {
            let left = Box::new(Rel { fields: lookup.left.fields, op });
            return LookupRel { left, ..lookup };
        }
    };
    let split = below.left.width();
    let key: Option<Vec<usize>> =
        lookup.left_key.iter().map(|i| below.outputs[*i].checked_sub(split)).collect();
    let Some(key) = key else {
        let left = Box::new(Rel { fields: lookup.left.fields, op: RelOp::Lookup(below) });
        return LookupRel { left, ..lookup };
    };
    let behind = below.right.width();
    let output = |i: &usize| match i.checked_sub(width) {
        None => below.outputs[*i],
        Some(i) => split + behind + i,
    };
    let outputs = lookup.outputs.iter().map(output).collect();
    let fields = below.right.fields.iter().chain(&lookup.right.fields).cloned().collect();
    let both = behind + lookup.right.width();
    let tables = JoinRel {
        left: below.right,
        right: lookup.right,
        left_key: key,
        right_key: lookup.right_key,
        nulls_equal: false,
        kind: Kind::Done(if lookup.outer { JoinKind::Left } else { JoinKind::Inner }),
        residual: Vec::new(),
        outputs: (0..both).collect(),
    };
    let right = Box::new(Rel { fields, op: RelOp::Join(tables) });
    LookupRel { right, outputs, ..below }
}
