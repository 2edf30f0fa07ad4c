//! Lookups: each left row with the rows of a reference table as they are known when it comes.
//!
//! ```sql
//! SELECT … FROM meter_readings r
//! JOIN meters FOR SYSTEM_TIME AS OF now() m ON m.meter_id = r.meter_id
//! ```
//!
//! A change of the table concerns the rows that come from its tick on, and none before; so nothing
//! is kept of the left side, and nothing of it is computed anew. As with AS OF joins the parser is
//! given a plain join ([`syntax`]), with a call of [`Known`] in its ON, and where it is maintained
//! the join becomes a node of ours. Asked once, all rows meet the table as it is now.
//!
//! What is known at which tick only reference tables tell: they change between ticks, and the log
//! has the tick. So the right side is one, and the left side rows of a stream that only adds: a row
//! that is taken back would have to take back what it met.

pub(crate) mod syntax;

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::JoinType;
use datafusion::common::Result;
use datafusion::common::exec_datafusion_err;
use datafusion::logical_expr::ColumnarValue;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::Join;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::ScalarFunctionArgs;
use datafusion::logical_expr::ScalarUDFImpl;
use datafusion::logical_expr::Signature;
use datafusion::logical_expr::Volatility;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::utils::split_conjunction;
use schemas::catalog::Catalog;
use schemas::catalog::RelationKind;

use super::as_of::pairs;
use super::expr::as_column;
use super::join::nothing;
use super::nodes::AsOf;
use super::refuse::PlanError;
use super::rel::Rel;
use super::rel::RelOp;
use super::retain;
use super::temporal::external;

/// What a lookup is called between parser and planner.
const KNOWN: &str = "known_on_arrival";

/// `known_on_arrival()`: in the ON of a lookup.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Known {
    signature: Signature,
}

impl Known {
    /// The function, to be registered.
    pub(crate) fn new() -> Known {
        Known { signature: Signature::nullary(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Known {
    fn name(&self) -> &str {
        KNOWN
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(exec_datafusion_err!("{KNOWN}() has no value outside a lookup"))
    }
}

fn mark(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.name() == KNOWN)
}

/// The conditions of a join besides its equalities, if it is a lookup.
fn conditions(join: &Join) -> Option<Vec<Expr>> {
    let all = split_conjunction(join.filter.as_ref()?);
    let (marks, rest): (Vec<&Expr>, Vec<&Expr>) = all.into_iter().partition(|expr| mark(expr));
    (!marks.is_empty()).then(|| rest.into_iter().cloned().collect())
}

/// The node of a join, if it is a lookup.
///
/// # Errors
/// Its ON has other conditions than equalities.
pub(super) fn node(join: &Join) -> Result<Option<AsOf>> {
    let Some(rest) = conditions(join) else { return Ok(None) };
    let clause = "a condition other than = in the ON of a lookup (FOR SYSTEM_TIME AS OF now())";
    let hint = "filter the joined rows in WHERE";
    let keys = pairs(join, &rest)?.filter(|keys| !keys.is_empty());
    let keys = keys.ok_or_else(|| external(PlanError::refused(clause, hint)))?;
    Ok(Some(AsOf {
        left: join.left.as_ref().clone(),
        right: join.right.as_ref().clone(),
        keys,
        times: None,
        before: false,
        outer: join.join_type == JoinType::Left,
        schema: Arc::clone(&join.schema),
    }))
}

/// A lookup as the plain join that answers it now; any other join as it is.
pub(super) fn plain(join: Join) -> LogicalPlan {
    let filter = match conditions(&join) {
        Some(rest) => conjunction(rest),
        None => join.filter.clone(),
    };
    LogicalPlan::Join(Join { filter, ..join })
}

/// Gives each lookup the event time of its left rows, by which what it put out is forgotten.
pub(crate) fn timed(mut rel: Rel, catalog: &Catalog) -> Rel {
    for input in rel.inputs_mut() {
        let taken = std::mem::replace(input, nothing());
        *input = timed(taken, catalog);
    }
    if let RelOp::Lookup(lookup) = &mut rel.op {
        let width = lookup.left.width();
        let left = std::mem::replace(&mut *lookup.left, nothing());
        let (left, time) = with_time(left, catalog);
        let added = left.width() - width;
        let of_right = lookup.outputs.iter_mut().filter(|output| **output >= width);
        of_right.for_each(|output| *output += added);
        (*lookup.left, lookup.time) = (left, time);
    }
    rel
}

/// The rows with the event time of the stream that they are of, and where it stands.
fn with_time(rel: Rel, catalog: &Catalog) -> (Rel, Option<usize>) {
    let Rel { mut fields, op } = rel;
    match op {
        RelOp::Get { relation, mut columns, expire } => {
            let aging = retain::ages_by(catalog, &relation);
            let time = aging.map(|(at, field)| {
                columns.iter().position(|column| *column == at).unwrap_or_else(|| {
                    columns.push(at);
                    fields.push(field);
                    columns.len() - 1
                })
            });
            (Rel { fields, op: RelOp::Get { relation, columns, expire } }, time)
        }
        RelOp::Mfp { input, filters, mut outputs } => {
            let (input, time) = with_time(*input, catalog);
            let time = time.map(|at| {
                let known = outputs.iter().position(|output| as_column(output) == Some(at));
                known.unwrap_or_else(|| {
                    outputs.push(input.col(at));
                    fields.push(Arc::clone(&input.fields[at]));
                    outputs.len() - 1
                })
            });
            let input = Box::new(input);
            (Rel { fields, op: RelOp::Mfp { input, filters, outputs } }, time)
        }
        RelOp::Lookup(mut lookup) => {
            let time = lookup.time.map(|at| {
                let known = lookup.outputs.iter().position(|output| *output == at);
                known.unwrap_or_else(|| {
                    lookup.outputs.push(at);
                    fields.push(Arc::clone(&lookup.left.fields[at]));
                    lookup.outputs.len() - 1
                })
            });
            (Rel { fields, op: RelOp::Lookup(lookup) }, time)
        }
        op => (Rel { fields, op }, None),
    }
}

/// Refuses lookups of what is no reference table, and by rows that may be taken back.
///
/// # Errors
/// There is such a lookup.
pub(crate) fn check(rel: &Rel, catalog: &Catalog) -> std::result::Result<(), PlanError> {
    rel.inputs().into_iter().try_for_each(|input| check(input, catalog))?;
    let RelOp::Lookup(lookup) = &rel.op else { return Ok(()) };
    if let Some(other) = no_table(&lookup.right, catalog) {
        let clause = format!("a lookup of {other}, which is no reference table,");
        let hint = "a view does not tell what it showed at which tick: join it as it is, and rows \
                    are restated when it changes; or keep its changes with their times and use \
                    ASOF JOIN";
        return Err(PlanError::refused(clause, hint));
    }
    if by_clock(&lookup.left) || by_clock(&lookup.right) {
        let clause = "a comparison with now() below a lookup (FOR SYSTEM_TIME AS OF now())";
        let hint = "compare with now() in WHERE, above the lookup: what rows meet is known by the \
                    ticks at which they and the table come, not by the clock";
        return Err(PlanError::refused(clause, hint));
    }
    if !retain::only_grows(&lookup.left, catalog) {
        let clause = "a lookup (FOR SYSTEM_TIME AS OF now()) by rows that can be taken back";
        let hint = "put the stream itself on the left, with conditions in WHERE: what it met on \
                    arrival is kept for no row";
        return Err(PlanError::refused(clause, hint));
    }
    Ok(())
}

/// Whether rows come or go by the clock here.
fn by_clock(rel: &Rel) -> bool {
    matches!(rel.op, RelOp::Temporal { .. }) || rel.inputs().into_iter().any(by_clock)
}

/// What is read here that is no reference table.
fn no_table(rel: &Rel, catalog: &Catalog) -> Option<String> {
    if let RelOp::Get { relation, .. } = &rel.op {
        let table = catalog.get(relation).is_some_and(|info| info.kind == RelationKind::Table);
        return (!table).then(|| relation.clone());
    }
    rel.inputs().into_iter().find_map(|input| no_table(input, catalog))
}
