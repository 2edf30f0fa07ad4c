//! The first rows of each partition: `row_number() … <= k` becomes a TopK.
//!
//! A TopK keeps k rows where rows only ever come, and looks at those alone when one changes; a
//! window keeps all of them and computes the partition anew. The numbers of the first k rows are
//! the same whether or not there are more, so where the number itself is asked for, the window
//! stands over the TopK. Everything else (other functions, conditions on several) stays a filter
//! above the window.

use std::any::Any;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_expr::expressions::CastExpr;
use datafusion::physical_expr::expressions::Literal;

use super::expr::Scalar;
use super::expr::as_column;
use super::expr::columns_of;
use super::join::nothing;
use super::lower::window::OfPartition;
use super::rel::Rel;
use super::rel::RelOp;
use super::rel::TopKRel;
use super::rel::WindowRel;

/// The plan with a TopK wherever only the first rows of partitions pass.
pub(crate) fn rows(mut rel: Rel) -> Rel {
    for input in rel.inputs_mut() {
        let taken = std::mem::replace(input, nothing());
        *input = rows(taken);
    }
    let RelOp::Mfp { input, filters, outputs } = rel.op else { return rel };
    let fields = rel.fields;
    let (below, op) = match input.op {
        RelOp::Window(window) if numbers_rows(&window) => (input.fields, window),
        op => {
            let input = Box::new(Rel { fields: input.fields, op });
            return Rel { fields, op: RelOp::Mfp { input, filters, outputs } };
        }
    };
    let width = op.input.width();
    let limit = filters.iter().filter_map(|filter| at_most(filter, width)).min();
    let Some(limit) = limit.filter(|limit| *limit > 0) else {
        let input = Box::new(Rel { fields: below, op: RelOp::Window(op) });
        return Rel { fields, op: RelOp::Mfp { input, filters, outputs } };
    };
    let kept = |filter: &Scalar| at_most(filter, width) != Some(limit);
    let rest: Vec<Scalar> = filters.into_iter().filter(kept).collect();
    let named = |e: &Scalar| columns_of(e).into_iter().any(|c| c >= width);
    let asked = rest.iter().chain(&outputs).any(named);
    let top = TopKRel {
        group: op.partition.clone(),
        order: op.order.clone(),
        limit,
        expire: None,
        input: op.input,
    };
    let top = Rel { fields: below[..width].to_vec(), op: RelOp::TopK(top) };
    let input = match asked {
        true => {
            let op = RelOp::Window(WindowRel { input: Box::new(top), ..op });
            Rel { fields: below, op }
        }
        false => top,
    };
    Rel::mfp(input, rest, outputs, fields)
}

/// Whether all that a window computes are row numbers.
fn numbers_rows(window: &WindowRel) -> bool {
    let number = |of: &dyn Any| of.downcast_ref::<OfPartition>().is_some_and(|f| f.numbers_rows());
    window.calls.iter().all(|call| number(call.function.as_ref()))
}

/// The greatest number that passes a condition on one of the columns from `width` on, and all from
/// 1 to it do.
fn at_most(filter: &Scalar, width: usize) -> Option<usize> {
    let compared = filter.downcast_ref::<BinaryExpr>()?;
    let (left, op, right) = (compared.left(), *compared.op(), compared.right());
    let (number, op, limit) = match value(right) {
        Some(limit) => (left, op, limit),
        None => (right, op.swap()?, value(left)?),
    };
    let number = number.downcast_ref::<CastExpr>().map_or(number, CastExpr::expr);
    as_column(number).filter(|column| *column >= width)?;
    match op {
        Operator::LtEq => Some(limit),
        Operator::Lt => limit.checked_sub(1),
        Operator::Eq if limit == 1 => Some(1),
        _ => None,
    }
}

/// A constant whole number.
fn value(expr: &Scalar) -> Option<usize> {
    match expr.downcast_ref::<Literal>()?.value() {
        ScalarValue::Int64(Some(n)) => usize::try_from(*n).ok(),
        ScalarValue::UInt64(Some(n)) => usize::try_from(*n).ok(),
        ScalarValue::Decimal128(Some(n), _, 0) => usize::try_from(*n).ok(),
        _ => None,
    }
}
