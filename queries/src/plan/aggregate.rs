//! GROUP BY: which aggregates are differences, which keep values, and how the rest is computed of a
//! whole group.
//!
//! SUM and AVG of integers, decimals and doubles, COUNT, VAR and STDDEV are accumulable; MIN and
//! MAX, and so BOOL_AND and BOOL_OR, are ordered; everything else and every DISTINCT is basic:
//! DataFusion's own accumulator over the values of one group.

mod mean;
mod sets;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::SortColumn;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::compute::lexsort_to_indices;
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::datatypes::Field;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::logical_expr::Aggregate as AggregatePlan;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::AggregateFunction as Call;
use datafusion::logical_expr::expr::NullTreatment;
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::aggregate::AggregateExprBuilder;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Literal;
use schemas::plan::Aggregate;
use schemas::plan::AggregateFunction;
use schemas::plan::EvalError;
use schemas::plan::GroupFunction;

use super::expr::Scalar;
use super::expr::column;
use super::lower::Lower;
use super::lower::with_columns;
use super::refuse::PlanError;
use super::rel::Rel;
use super::rel::RelOp;
use super::rel::SetsRel;

type Result<T> = std::result::Result<T, PlanError>;

/// A GROUP BY, lowered.
pub(crate) fn reduce(lower: &Lower, plan: &AggregatePlan) -> Result<Rel> {
    let schema = plan.input.schema();
    let input = lower.rel(&plan.input)?;
    let sets = sets::of(plan)?;
    let keys: Vec<Expr> = sets::keys(plan)?;
    let (mut input, group) = with_columns(input, &lower.scalars(&keys, schema)?);
    let planned = plan.schema.fields();
    let named = |field: &FieldRef, name: String| Arc::new(field.as_ref().clone().with_name(name));
    let groups = group.iter().zip(planned);
    let mut fields: Vec<FieldRef> =
        groups.map(|(column, f)| named(f, input.fields[*column].name().clone())).collect();
    if sets.is_some() {
        fields.push(planned[group.len()].clone());
    }
    let before = fields.len();
    let mut aggregates = Vec::new();
    let mut means = Vec::new();
    for (expr, field) in plan.aggr_expr.iter().zip(&planned[before..]) {
        let Expr::AggregateFunction(call) = expr.clone().unalias() else {
            return Err(PlanError::refused(expr.to_string(), "write a plain aggregate"));
        };
        let parts = Parts::of(lower, &call, schema, &input)?;
        let (extended, arguments) = with_columns(input, &parts.columns);
        let (extended, filter) = match &parts.filter {
            None => (extended, None),
            Some(filter) => {
                let (extended, at) = with_columns(extended, std::slice::from_ref(filter));
                (extended, at.first().copied())
            }
        };
        input = extended;
        let function = parts.function;
        let of: Vec<&str> = arguments.iter().map(|i| input.fields[*i].name().as_str()).collect();
        let output = named(field, format!("{function}({})", of.join(", ")));
        let aggregate = Aggregate { function, arguments, filter, output };
        match mean::parts(&aggregate, &input) {
            None => aggregates.push(aggregate),
            Some(of) => {
                means.push((aggregates.len(), aggregate.output));
                aggregates.extend(of);
            }
        }
    }
    fields.extend(aggregates.iter().map(|a| a.output.clone()));
    let input = Box::new(input);
    let op = match sets {
        None => RelOp::Reduce { input, group, aggregates, expire: None },
        Some(sets) => RelOp::Sets(SetsRel { input, group, sets, aggregates }),
    };
    Ok(mean::above(Rel { fields, op }, before, &means))
}

/// One aggregate call, lowered.
struct Parts {
    function: AggregateFunction,
    columns: Vec<Scalar>,
    filter: Option<Scalar>,
}

impl Parts {
    fn of(
        lower: &Lower,
        call: &Call,
        schema: &datafusion::common::DFSchema,
        input: &Rel,
    ) -> Result<Parts> {
        let params = &call.params;
        let arguments = lower.scalars(&params.args, schema)?;
        let filter = params.filter.as_ref().map(|e| lower.scalar(e, schema)).transpose()?;
        let input = input.schema();
        let name = call.func.name();
        let constant =
            |e: &Scalar| e.downcast_ref::<Literal>().is_some_and(|l| !l.value().is_null());
        let total = |e: &Scalar| constant(e) || !e.nullable(&input).unwrap_or(true);
        if name == "count" && !params.distinct && arguments.iter().all(total) {
            return Ok(Parts { function: AggregateFunction::CountRows, columns: vec![], filter });
        }
        if let ([argument], false) =
            (arguments.as_slice(), params.distinct && name != "min" && name != "max")
            && let Some(function) =
                simple(name, &argument.data_type(&input).unwrap_or(DataType::Null))
        {
            return Ok(Parts { function, columns: arguments, filter });
        }
        let mut columns: Vec<Scalar> = Vec::new();
        let mut fields: Vec<FieldRef> = Vec::new();
        let mut local = |expr: Scalar| -> Scalar {
            if expr.downcast_ref::<Literal>().is_some() {
                return expr;
            }
            // An order by an argument is by that very column: DISTINCT asks for that.
            if let Some(known) = columns.iter().position(|known| known.eq(&expr)) {
                return column(known, &format!("argument{known}"));
            }
            let name = format!("argument{}", columns.len());
            let data_type = expr.data_type(&input).unwrap_or(DataType::Null);
            fields.push(Arc::new(Field::new(
                &name,
                data_type,
                expr.nullable(&input).unwrap_or(true),
            )));
            columns.push(expr);
            column(columns.len() - 1, &name)
        };
        let arguments: Vec<Scalar> = arguments.into_iter().map(&mut local).collect();
        let mut order = Vec::new();
        for sort in &params.order_by {
            let options = SortOptions { descending: !sort.asc, nulls_first: sort.nulls_first };
            let expr = local(lower.scalar(&sort.expr, schema)?);
            order.push(PhysicalSortExpr { expr, options });
        }
        if columns.is_empty() {
            return Err(PlanError::refused(format!("{name} of constants"), "name a column"));
        }
        let schema = Arc::new(Schema::new(fields));
        let distinct = params.distinct;
        let built = AggregateExprBuilder::new(Arc::clone(&call.func), arguments)
            .schema(Arc::clone(&schema))
            .alias(name)
            .order_by(order.clone())
            .with_distinct(distinct)
            .with_ignore_nulls(params.null_treatment == Some(NullTreatment::IgnoreNulls))
            .build()
            .map_err(|e| PlanError::Query { message: e.strip_backtrace(), at: None })?;
        let text = if distinct { format!("{name} distinct") } else { name.to_owned() };
        let function = OfGroup { aggregate: Arc::new(built), schema, order, text };
        Ok(Parts { function: AggregateFunction::Basic(Arc::new(function)), columns, filter })
    }
}

/// The aggregates that need not see the whole group.
fn simple(name: &str, argument: &DataType) -> Option<AggregateFunction> {
    let number = matches!(argument, DataType::Int64 | DataType::UInt64 | DataType::Float64);
    let double = *argument == DataType::Float64;
    let decimal = matches!(argument, DataType::Decimal128(..));
    let truth = *argument == DataType::Boolean;
    Some(match name {
        "count" => AggregateFunction::Count,
        "sum" if number || decimal => AggregateFunction::Sum,
        "avg" if double || decimal => AggregateFunction::Avg,
        "min" => AggregateFunction::Min,
        "max" => AggregateFunction::Max,
        // False comes before true.
        "bool_and" if truth => AggregateFunction::Min,
        "bool_or" if truth => AggregateFunction::Max,
        "var" if double => AggregateFunction::Variance { sample: true, root: false },
        "var_pop" if double => AggregateFunction::Variance { sample: false, root: false },
        "stddev" if double => AggregateFunction::Variance { sample: true, root: true },
        "stddev_pop" if double => AggregateFunction::Variance { sample: false, root: true },
        _ => return None,
    })
}

/// DataFusion's accumulator, fed with all values of one group.
#[derive(Debug)]
struct OfGroup {
    aggregate: Arc<AggregateFunctionExpr>,
    schema: SchemaRef,
    order: Vec<PhysicalSortExpr>,
    text: String,
}

impl fmt::Display for OfGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl OfGroup {
    fn value(&self, arguments: &[ArrayRef]) -> std::result::Result<ArrayRef, DataFusionError> {
        let mut batch = RecordBatch::try_new(Arc::clone(&self.schema), arguments.to_vec())?;
        let of = |expr: &Scalar, batch: &RecordBatch| {
            expr.evaluate(batch).and_then(|value| value.into_array(batch.num_rows()))
        };
        if !self.order.is_empty() {
            let keys = self.order.iter().map(|sort| {
                let options = Some(sort.options);
                of(&sort.expr, &batch).map(|values| SortColumn { values, options })
            });
            let keys = keys.collect::<std::result::Result<Vec<_>, _>>()?;
            let order = lexsort_to_indices(&keys, None)?;
            let columns = batch.columns().iter().map(|c| take(c, &order, None));
            let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
            batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        }
        let mut exprs = self.aggregate.expressions();
        exprs.extend(self.aggregate.order_bys().iter().map(|sort| Arc::clone(&sort.expr)));
        let values = exprs.iter().map(|e| of(e, &batch));
        let values = values.collect::<std::result::Result<Vec<_>, _>>()?;
        let mut accumulator = self.aggregate.create_accumulator()?;
        accumulator.update_batch(&values)?;
        accumulator.evaluate()?.to_array_of_size(1)
    }
}

impl GroupFunction for OfGroup {
    fn evaluate(&self, arguments: &[ArrayRef]) -> std::result::Result<ArrayRef, EvalError> {
        self.value(arguments).map_err(|error| EvalError { message: error.strip_backtrace() })
    }

    fn same(&self, other: &dyn GroupFunction) -> bool {
        (other as &dyn Any)
            .downcast_ref::<OfGroup>()
            .is_some_and(|other| self.aggregate == other.aggregate && self.order == other.order)
    }
}
