//! Window functions: what each sees of its partition, and the order in which it sees it.
//!
//! DataFusion's own evaluation computes the values, of all rows of one partition at once. The
//! columns that a call uses (its arguments, its FILTER, the keys that its frame compares) become
//! columns of the input, and the call is built over those alone, so that the pruning of columns
//! does not have to know it.
//!
//! How far a call looks is read off its frame in [`reach`]; where it looks at all rows before, it
//! goes on from the value of one.

mod reach;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::array::BooleanArray;
use datafusion::arrow::array::PrimitiveArray;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::ArrowNativeTypeOp;
use datafusion::arrow::datatypes::ArrowPrimitiveType;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::datatypes::Decimal128Type;
use datafusion::arrow::datatypes::Field;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::datatypes::UInt64Type;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::record_batch::RecordBatchOptions;
use datafusion::common::DFSchema;
use datafusion::common::DataFusionError;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::SortExpr;
use datafusion::logical_expr::Window;
use datafusion::logical_expr::WindowFrame;
use datafusion::logical_expr::WindowFrameUnits;
use datafusion::logical_expr::WindowFunctionDefinition;
use datafusion::logical_expr::expr::NullTreatment;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::window::WindowExpr;
use datafusion::physical_plan::windows::create_window_expr;
use datafusion::physical_planner::is_window_frame_bound_valid;
use schemas::plan::EvalError;
use schemas::plan::OrderBy;
use schemas::plan::PartitionFunction;
use schemas::plan::WindowCall;

use super::Lower;
use super::Result;
use super::with_columns;
use crate::plan::canonical::window::sees_order;
use crate::plan::context::said;
use crate::plan::expr::Scalar;
use crate::plan::expr::as_column;
use crate::plan::expr::column;
use crate::plan::expr::show;
use crate::plan::refuse::PlanError;
use crate::plan::rel::Rel;
use crate::plan::rel::RelOp;
use crate::plan::rel::WindowRel;

/// Window functions, lowered: one node for each order.
pub(super) fn window(lower: &Lower, window: &Window) -> Result<Rel> {
    let schema = window.input.schema();
    let mut rel = lower.rel(&window.input)?;
    let width = rel.width();
    let mut columns: Vec<usize> = (0..width).collect();
    let mut calls = window.window_expr.iter().map(call).collect::<Result<Vec<_>>>()?.into_iter();
    let mut next = calls.next();
    while let Some(first) = next.take() {
        let mut alike = vec![first];
        for one in calls.by_ref() {
            let (a, b) = (&alike[0].params, &one.params);
            if a.partition_by != b.partition_by || a.order_by != b.order_by {
                next = Some(one);
                break;
            }
            alike.push(one);
        }
        let values = alike.len();
        rel = one_order(lower, rel, schema, &alike)?;
        columns.extend(rel.width() - values..rel.width());
    }
    Ok(rel.picked(&columns).renamed(window.schema.fields().to_vec()))
}

fn call(expr: &Expr) -> Result<WindowFunction> {
    match expr.clone().unalias() {
        Expr::WindowFunction(call) => Ok(*call),
        other => Err(PlanError::refused(other.to_string(), "write a plain window function")),
    }
}

/// Calls of one partition and order; their values are the last columns.
fn one_order(lower: &Lower, rel: Rel, schema: &DFSchema, calls: &[WindowFunction]) -> Result<Rel> {
    let params = &calls[0].params;
    let (rel, partition) = with_columns(rel, &lower.scalars(&params.partition_by, schema)?);
    let (mut input, order) = ordered(lower, rel, schema, &params.order_by, &partition)?;
    let mut made = Vec::new();
    for call in calls {
        let (function, columns) = OfPartition::of(lower, call, schema, &input)?;
        let (extended, arguments) = with_columns(input, &columns);
        input = extended;
        let of = function.data_type()?;
        let reach = reach::reach(&function.recipe, &function.schema, &of, order.len());
        let output = Arc::new(Field::new(&function.text, of, true));
        made.push(WindowCall { function: Arc::new(function), arguments, output, reach });
    }
    let mut fields = input.fields.clone();
    fields.extend(made.iter().map(|call| Arc::clone(&call.output)));
    let input = Box::new(input);
    let op = WindowRel { input, partition, order, calls: made, expire: None };
    Ok(Rel { fields, op: RelOp::Window(op) })
}

/// The rows with their order as columns; within a partition its columns are equal, constants are
/// so always, and a column orders once.
fn ordered(
    lower: &Lower,
    rel: Rel,
    schema: &DFSchema,
    sorts: &[SortExpr],
    partition: &[usize],
) -> Result<(Rel, Vec<OrderBy>)> {
    let keys: Vec<Expr> = sorts.iter().map(|sort| sort.expr.clone()).collect();
    let keys = lower.scalars(&keys, schema)?;
    let varies = |key: &Scalar| key.downcast_ref::<Literal>().is_none();
    let (keys, sorts): (Vec<Scalar>, Vec<&SortExpr>) =
        keys.into_iter().zip(sorts).filter(|(key, _)| varies(key)).unzip();
    let (rel, columns) = with_columns(rel, &keys);
    let mut order: Vec<OrderBy> = Vec::new();
    for (column, sort) in columns.into_iter().zip(sorts) {
        if !partition.contains(&column) && order.iter().all(|o| o.column != column) {
            let (descending, nulls_first) = (!sort.asc, sort.nulls_first);
            order.push(OrderBy { column, descending, nulls_first });
        }
    }
    Ok((rel, order))
}

/// DataFusion's evaluation of one call, over the columns that it uses.
#[derive(Debug)]
pub(crate) struct OfPartition {
    recipe: Recipe,
    schema: SchemaRef,
    evaluated: Arc<dyn WindowExpr>,
    text: String,
}

/// What tells one call from another.
#[derive(Debug, PartialEq)]
struct Recipe {
    function: WindowFunctionDefinition,
    arguments: Vec<Scalar>,
    order: Vec<PhysicalSortExpr>,
    frame: WindowFrame,
    filter: Option<Scalar>,
    ignore_nulls: bool,
    distinct: bool,
}

impl OfPartition {
    /// The call and the columns that it uses, over those of the input.
    fn of(
        lower: &Lower,
        call: &WindowFunction,
        schema: &DFSchema,
        input: &Rel,
    ) -> Result<(OfPartition, Vec<Scalar>)> {
        let params = &call.params;
        let name = call.fun.name();
        refuse_frame(name, &params.window_frame)?;
        let mut local = Local { input: input.schema(), columns: Vec::new(), fields: Vec::new() };
        let written = lower.scalars(&params.args, schema)?;
        let filter = params.filter.as_ref().map(|e| lower.scalar(e, schema)).transpose()?;
        let text = text(call, &written, filter.as_ref());
        let arguments = written.into_iter().map(|e| local.column(e)).collect();
        let filter = filter.map(|e| local.column(e));
        let mut order = Vec::new();
        if compares(name, &params.window_frame) {
            for sort in &params.order_by {
                let expr = local.column(lower.scalar(&sort.expr, schema)?);
                let options = SortOptions { descending: !sort.asc, nulls_first: sort.nulls_first };
                order.push(PhysicalSortExpr { expr, options });
            }
        }
        let recipe = Recipe {
            function: call.fun.clone(),
            arguments,
            order,
            frame: params.window_frame.clone(),
            filter,
            ignore_nulls: params.null_treatment == Some(NullTreatment::IgnoreNulls),
            distinct: params.distinct,
        };
        let schema = Arc::new(Schema::new(local.fields));
        let evaluated = recipe.evaluated(&schema)?;
        Ok((OfPartition { recipe, schema, evaluated, text }, local.columns))
    }

    /// Whether it numbers rows from 1 on, in order.
    pub(crate) fn numbers_rows(&self) -> bool {
        self.recipe.function.name() == "row_number"
    }

    fn data_type(&self) -> Result<DataType> {
        self.evaluated.field().map(|field| field.data_type().clone()).map_err(|e| said(&e))
    }

    fn values(
        &self,
        arguments: &[ArrayRef],
        rows: usize,
    ) -> std::result::Result<ArrayRef, DataFusionError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::clone(&self.schema);
        let batch = RecordBatch::try_new_with_options(schema, arguments.to_vec(), &options)?;
        self.evaluated.evaluate(&batch)
    }

    /// The values behind a row whose value is known.
    fn values_behind(
        &self,
        arguments: &[ArrayRef],
        rows: usize,
        at: usize,
        value: &ArrayRef,
    ) -> std::result::Result<ArrayRef, DataFusionError> {
        match self.recipe.function.name() {
            "row_number" | "rank" | "dense_rank" => {
                return Ok(counted_on::<UInt64Type>(&self.values(arguments, rows)?, at, value));
            }
            "count" => {
                return Ok(counted_on::<Int64Type>(&self.values(arguments, rows)?, at, value));
            }
            _ => {}
        }
        // The row stands for all rows up to it.
        let rest = rows - at;
        let mut arguments: Vec<ArrayRef> =
            arguments.iter().map(|column| column.slice(at, rest)).collect();
        if let Some(column) = self.recipe.arguments.first().and_then(as_column) {
            arguments[column] = begun_with(value, &arguments[column])?;
        }
        if let Some(column) = self.recipe.filter.as_ref().and_then(as_column) {
            let counts: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
            arguments[column] = begun_with(&counts, &arguments[column])?;
        }
        Ok(self.values(&arguments, rest)?.slice(1, rest - 1))
    }
}

/// What was counted from the first row on, behind the row that has this number.
fn counted_on<T: ArrowPrimitiveType>(counted: &ArrayRef, at: usize, value: &ArrayRef) -> ArrayRef {
    let counted = counted.as_primitive::<T>();
    let before = value.as_primitive::<T>().value(0).sub_wrapping(counted.value(at));
    let behind = counted.slice(at + 1, counted.len() - at - 1);
    let behind: PrimitiveArray<T> = behind.unary(|count| count.add_wrapping(before));
    Arc::new(behind)
}

/// The column with another first value.
fn begun_with(value: &ArrayRef, column: &ArrayRef) -> std::result::Result<ArrayRef, ArrowError> {
    let value: ArrayRef = match column.data_type() {
        // A sum has more digits than what it is of.
        DataType::Decimal128(precision, scale) => {
            let value = value.as_primitive::<Decimal128Type>().clone();
            Arc::new(value.with_precision_and_scale(*precision, *scale)?)
        }
        _ => Arc::clone(value),
    };
    let rest = column.slice(1, column.len() - 1);
    concat(&[value.as_ref(), rest.as_ref()])
}

impl Recipe {
    fn evaluated(&self, schema: &SchemaRef) -> Result<Arc<dyn WindowExpr>> {
        let name = self.function.name().to_owned();
        let built = create_window_expr(
            &self.function,
            name.clone(),
            &self.arguments,
            &[],
            &self.order,
            Arc::new(self.frame.clone()),
            Arc::clone(schema),
            self.ignore_nulls,
            self.distinct,
            self.filter.clone(),
        );
        let built = built.map_err(|e| said(&e))?;
        // What cannot be evaluated at all says so here.
        if built.create_window_fn().is_err() {
            let clause = format!("{name} over a frame that begins to move");
            let hint = "let the frame begin with UNBOUNDED PRECEDING, or aggregate a self join";
            return Err(PlanError::refused(clause, hint));
        }
        Ok(built)
    }
}

/// Whether the call compares the keys of ORDER BY; others only follow the order.
fn compares(name: &str, frame: &WindowFrame) -> bool {
    match name {
        "rank" | "dense_rank" | "percent_rank" | "cume_dist" => true,
        "row_number" | "ntile" | "lag" | "lead" => false,
        _ => frame.units != WindowFrameUnits::Rows,
    }
}

/// Refuses frames that say nothing, and those whose rows have no order although it matters.
fn refuse_frame(name: &str, frame: &WindowFrame) -> Result<()> {
    if !is_window_frame_bound_valid(frame) {
        let message = format!("the frame {frame} ends before it begins");
        return Err(PlanError::Query { message, at: None });
    }
    if sees_order(name) && frame.units != WindowFrameUnits::Rows {
        let clause = format!("{name} over {frame}, where rows may be equal in the order");
        let hint = "write ROWS BETWEEN … AND …: then the remaining columns decide between them";
        return Err(PlanError::refused(clause, hint));
    }
    Ok(())
}

/// The call as EXPLAIN prints it.
fn text(call: &WindowFunction, arguments: &[Scalar], filter: Option<&Scalar>) -> String {
    let name = call.fun.name();
    let distinct = if call.params.distinct { "DISTINCT " } else { "" };
    let arguments: Vec<String> = arguments.iter().map(show).collect();
    let mut text = format!("{name}({distinct}{})", arguments.join(", "));
    if let Some(filter) = filter {
        text += &format!(" FILTER (WHERE {})", show(filter));
    }
    if call.params.null_treatment == Some(NullTreatment::IgnoreNulls) {
        text += " IGNORE NULLS";
    }
    let ranks = ["rank", "dense_rank", "percent_rank", "cume_dist"];
    let frameless = ["row_number", "ntile", "lag", "lead"];
    if !ranks.contains(&name) && !frameless.contains(&name) {
        text += &format!(" {}", call.params.window_frame);
    }
    text
}

/// Columns that a call uses, numbered anew.
struct Local {
    input: SchemaRef,
    columns: Vec<Scalar>,
    fields: Vec<FieldRef>,
}

impl Local {
    /// The expression as a column of the call; a constant stays what it is.
    fn column(&mut self, expr: Scalar) -> Scalar {
        if expr.downcast_ref::<Literal>().is_some() {
            return expr;
        }
        let at = self.columns.iter().position(|known| known.eq(&expr)).unwrap_or_else(|| {
            let data_type = expr.data_type(&self.input).unwrap_or(DataType::Null);
            let name = format!("argument{}", self.columns.len());
            self.fields.push(Arc::new(Field::new(name, data_type, true)));
            self.columns.push(expr);
            self.columns.len() - 1
        });
        column(at, self.fields[at].name())
    }
}

impl fmt::Display for OfPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartitionFunction for OfPartition {
    fn evaluate(
        &self,
        arguments: &[ArrayRef],
        rows: usize,
    ) -> std::result::Result<ArrayRef, EvalError> {
        self.values(arguments, rows).map_err(|error| EvalError { message: error.strip_backtrace() })
    }

    fn go_on(
        &self,
        arguments: &[ArrayRef],
        rows: usize,
        at: usize,
        value: &ArrayRef,
    ) -> std::result::Result<ArrayRef, EvalError> {
        let values = self.values_behind(arguments, rows, at, value);
        values.map_err(|error| EvalError { message: error.strip_backtrace() })
    }

    fn same(&self, other: &dyn PartitionFunction) -> bool {
        (other as &dyn Any)
            .downcast_ref::<OfPartition>()
            .is_some_and(|other| self.recipe == other.recipe && self.schema == other.schema)
    }
}
