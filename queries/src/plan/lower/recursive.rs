//! WITH RECURSIVE: rows to begin with, and what follows from the rows there are.
//!
//! Only UNION has a least answer that rows can be taken back from: with UNION ALL a row is there
//! once for each way to it, and where ways go in circles there are endlessly many. And what follows
//! must only ever grow with the rows there are: projections, filters, inner joins and UNION do, and
//! so does the question whether a row's key is among rows that do not read the recursion;
//! aggregates, outer joins and other negations do not, and are refused by name where they read it.
//! Queries that do not read it may be anything.

use datafusion::logical_expr::RecursiveQuery;
use schemas::plan::JoinKind;

use super::Lower;
use super::Result;
use super::union::as_fields;
use crate::plan::refuse::PlanError;
use crate::plan::rel::Kind;
use crate::plan::rel::Rel;
use crate::plan::rel::RelOp;

/// A recursive query, lowered.
pub(super) fn recursive(lower: &Lower, query: &RecursiveQuery) -> Result<Rel> {
    if !query.is_distinct {
        return Err(union_all());
    }
    if lower.recursion.is_some() {
        let hint = "give the inner one a name of its own in the outermost WITH RECURSIVE";
        return Err(PlanError::refused("WITH RECURSIVE within a recursion", hint));
    }
    let fields = query.schema.fields().to_vec();
    let start = as_fields(lower.rel(&query.static_term)?, &fields)?;
    let step = as_fields(lower.within(&query.name).rel(&query.recursive_term)?, &fields)?;
    reads(&step)?;
    let (start, step) = (start.renamed(fields.clone()), step.renamed(fields.clone()));
    let op = RelOp::Recursive { start: Box::new(start), step: Box::new(step) };
    Ok(Rel { fields, op })
}

/// The refusal of a recursion that counts.
pub(crate) fn union_all() -> PlanError {
    PlanError::refused(
        "WITH RECURSIVE … UNION ALL",
        "write UNION: each row once; a way that goes in a circle would be counted for ever",
    )
}

/// Whether a node reads the recursion; refuses it where it would not only grow with it.
fn reads(rel: &Rel) -> Result<bool> {
    if matches!(rel.op, RelOp::Recurrence) {
        return Ok(true);
    }
    let mut found = false;
    for input in rel.inputs() {
        found |= reads(input)?;
    }
    match refused(&rel.op)? {
        Some(clause) if found => {
            let clause = format!("{clause} over the rows of a recursion");
            let hint = "put it above the recursion, or into a query that does not read it";
            Err(PlanError::refused(clause, hint))
        }
        _ => Ok(found),
    }
}

/// What cannot read a recursion, by its name.
fn refused(op: &RelOp) -> Result<Option<&'static str>> {
    Ok(Some(match op {
        RelOp::Get { .. }
        | RelOp::Constant { .. }
        | RelOp::Recurrence
        | RelOp::Mfp { .. }
        | RelOp::Union { .. }
        | RelOp::Distinct { .. } => return Ok(None),
        RelOp::Join(join) => match join.kind {
            Kind::Done(JoinKind::Inner) => return Ok(None),
            Kind::Done(JoinKind::Semi | JoinKind::Anti) | Kind::NotIn
                if join.residual.is_empty() && !reads(&join.right)? =>
            {
                return Ok(None);
            }
            Kind::Done(JoinKind::Left) | Kind::Full => "an outer join",
            Kind::Done(JoinKind::Semi | JoinKind::Mark) => "EXISTS or IN",
            Kind::Done(JoinKind::Anti) | Kind::NotIn => "EXCEPT, NOT EXISTS or NOT IN",
        },
        RelOp::Reduce { .. } | RelOp::Sets(_) => "GROUP BY or an aggregate",
        RelOp::TopK(_) => "ORDER BY … LIMIT or DISTINCT ON",
        RelOp::Window(_) => "a window function",
        RelOp::AsOf(_) => "an ASOF JOIN",
        RelOp::Lookup(_) => "a lookup",
        RelOp::Unnest { .. } => "unnest",
        RelOp::Negate { .. } => "OFFSET",
        RelOp::Temporal { .. } => "a comparison with now()",
        RelOp::Recursive { .. } => "WITH RECURSIVE",
    }))
}
