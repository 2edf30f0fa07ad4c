//! Scalar expressions: DataFusion's physical expressions behind floor 0's trait.
//!
//! They are evaluated on batches and numbered by position. The text that EXPLAIN and faults show is
//! SQL-like, with column names instead of positions.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::Transformed;
use datafusion::common::tree_node::TreeNode;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_expr::expressions::CaseExpr;
use datafusion::physical_expr::expressions::CastExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::expressions::IsNotNullExpr;
use datafusion::physical_expr::expressions::IsNullExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::expressions::NotExpr;
use datafusion::physical_expr::utils::collect_columns;
use schemas::plan::EvalError;
use schemas::plan::ExprRef;
use schemas::plan::ScalarExpr;
use schemas::plan::expr::ColumnExpr;

/// A physical expression, numbered over its input's columns.
pub(crate) type Scalar = Arc<dyn PhysicalExpr>;

/// A physical expression as floor 0 sees it.
#[derive(Debug)]
struct Computed {
    expr: Scalar,
    text: String,
}

impl fmt::Display for Computed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl ScalarExpr for Computed {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, EvalError> {
        self.expr
            .evaluate(batch)
            .and_then(|value| value.into_array(batch.num_rows()))
            .map_err(|error| EvalError { message: plain(&error.strip_backtrace()) })
    }

    fn same(&self, other: &dyn ScalarExpr) -> bool {
        (other as &dyn Any)
            .downcast_ref::<Computed>()
            .is_some_and(|other| *self.expr == *other.expr)
    }
}

/// What the evaluator said, without the names of its layers.
fn plain(text: &str) -> String {
    let mut text = text;
    for layer in ["Arrow error: ", "Execution error: ", "External error: ", "Compute error: "] {
        text = text.strip_prefix(layer).unwrap_or(text);
    }
    text.to_owned()
}

/// The expression for floor 0; plain columns as such.
pub(crate) fn shared(expr: &Scalar) -> ExprRef {
    match expr.downcast_ref::<Column>() {
        Some(column) => ColumnExpr::shared(column.index(), column.name()),
        None => Arc::new(Computed { expr: expr.clone(), text: show(expr) }),
    }
}

/// The column it merely repeats.
pub(crate) fn as_column(expr: &Scalar) -> Option<usize> {
    expr.downcast_ref::<Column>().map(Column::index)
}

/// The expression that repeats a column.
pub(crate) fn column(index: usize, name: &str) -> Scalar {
    Arc::new(Column::new(name, index))
}

/// The columns it uses, in order.
pub(crate) fn columns_of(expr: &Scalar) -> Vec<usize> {
    let mut columns: Vec<usize> = collect_columns(expr).iter().map(Column::index).collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// The expression with each column replaced.
pub(crate) fn replace(expr: &Scalar, with: &dyn Fn(usize) -> Scalar) -> Scalar {
    let replaced = Arc::clone(expr).transform_up(|e| {
        Ok(match as_column(&e) {
            Some(index) => Transformed::yes(with(index)),
            None => Transformed::no(e),
        })
    });
    replaced.expect("replacing columns by expressions of the same type cannot fail").data
}

/// How often each column is used, as a list of uses.
pub(crate) fn uses(expr: &Scalar) -> Vec<usize> {
    let mut found = Vec::new();
    let walked = expr.apply(|e| {
        found.extend(as_column(e));
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    });
    walked.expect("looking cannot fail");
    found
}

/// Whether it has a value for every row: then it may be computed earlier than it is written.
pub(crate) fn infallible(expr: &Scalar, input: &SchemaRef) -> bool {
    let children = || expr.children().into_iter().all(|child| infallible(child, input));
    if expr.downcast_ref::<Column>().is_some() || expr.downcast_ref::<Literal>().is_some() {
        return true;
    }
    if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() {
        return matches!(call.name(), "date_bin" | "date_trunc") && children();
    }
    let float = expr.data_type(input).is_ok_and(|t| t == DataType::Float64);
    expr.downcast_ref::<BinaryExpr>().is_some() && float && children()
}

/// The expression as text.
pub(crate) fn show(expr: &Scalar) -> String {
    if let Some(column) = expr.downcast_ref::<Column>() {
        return column.name().to_owned();
    }
    if let Some(literal) = expr.downcast_ref::<Literal>() {
        return show_literal(literal.value());
    }
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        return format!("{} {} {}", operand(binary.left()), binary.op(), operand(binary.right()));
    }
    if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() {
        let arguments: Vec<String> = call.args().iter().map(show).collect();
        return format!("{}({})", call.name(), arguments.join(", "));
    }
    if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        return format!("CAST({} AS {})", show(cast.expr()), type_name(cast.cast_type()));
    }
    if let Some(not) = expr.downcast_ref::<NotExpr>() {
        return format!("NOT {}", operand(not.arg()));
    }
    if let Some(null) = expr.downcast_ref::<IsNullExpr>() {
        return format!("{} IS NULL", operand(null.arg()));
    }
    if let Some(null) = expr.downcast_ref::<IsNotNullExpr>() {
        return format!("{} IS NOT NULL", operand(null.arg()));
    }
    if let Some(case) = expr.downcast_ref::<CaseExpr>() {
        return show_case(case);
    }
    datafusion::physical_expr_common::physical_expr::fmt_sql(expr.as_ref()).to_string()
}

fn show_case(case: &CaseExpr) -> String {
    let mut text = "CASE".to_owned();
    if let Some(of) = case.expr() {
        text += &format!(" {}", show(of));
    }
    for (when, then) in case.when_then_expr() {
        text += &format!(" WHEN {} THEN {}", show(when), show(then));
    }
    if let Some(other) = case.else_expr() {
        text += &format!(" ELSE {}", show(other));
    }
    text + " END"
}

fn operand(expr: &Scalar) -> String {
    let text = show(expr);
    if expr.downcast_ref::<BinaryExpr>().is_some() { format!("({text})") } else { text }
}

fn show_literal(value: &ScalarValue) -> String {
    match value {
        none if none.is_null() => "NULL".to_owned(),
        ScalarValue::Utf8(Some(text)) => format!("'{text}'"),
        ScalarValue::Float64(Some(number)) => format!("{number:?}"),
        ScalarValue::IntervalMonthDayNano(Some(v)) => {
            format!("INTERVAL '{}'", span(v.months, v.days, v.nanoseconds))
        }
        ScalarValue::TimestampNanosecond(..) | ScalarValue::TimestampMillisecond(..) => {
            let array = value.to_array().ok();
            let text = array
                .and_then(|a| datafusion::arrow::util::display::array_value_to_string(&a, 0).ok());
            format!("TIMESTAMP '{}'", text.unwrap_or_else(|| value.to_string()))
        }
        other => other.to_string(),
    }
}

/// A span of time as SQL writes it, in the greatest units that are whole.
fn span(months: i32, days: i32, nanoseconds: i64) -> String {
    let units = [
        (3_600_000_000_000, "hours"),
        (60_000_000_000, "minutes"),
        (1_000_000_000, "seconds"),
        (1_000_000, "milliseconds"),
        (1, "nanoseconds"),
    ];
    let mut parts = Vec::new();
    let mut put = |n: i64, unit: &str| {
        if n != 0 {
            let unit = if n == 1 { unit.trim_end_matches('s') } else { unit };
            parts.push(format!("{n} {unit}"));
        }
    };
    put(months.into(), "months");
    put(days.into(), "days");
    let mut rest = nanoseconds;
    for (size, unit) in units {
        put(rest / size, unit);
        rest %= size;
    }
    if parts.is_empty() { "0 seconds".to_owned() } else { parts.join(" ") }
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Utf8 => "TEXT".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Timestamp(..) => "TIMESTAMP".to_owned(),
        other => other.to_string(),
    }
}
