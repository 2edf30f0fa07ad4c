//! From DataFusion's optimised logical plan to the nodes that are maintained.
//!
//! One `match`; expressions become physical at once, so that columns are positions and nothing
//! below depends on names. What has no arm is refused by its SQL name.

mod as_of;
mod join;
pub(crate) mod recursive;
mod union;
mod unnest;
pub(crate) mod window;

use std::sync::Arc;

use datafusion::arrow::datatypes::Field;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::record_batch::RecordBatchOptions;
use datafusion::common::DFSchema;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNode;
use datafusion::execution::context::ExecutionProps;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::Distinct;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::Extension;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::Values;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::physical_expr::create_physical_expr;
use schemas::plan::OrderBy;

use super::aggregate;
use super::context::full;
use super::expr::Scalar;
use super::expr::as_column;
use super::expr::show;
use super::nodes;
use super::refuse::PlanError;
use super::rel::Rel;
use super::rel::RelOp;
use super::rel::TopKRel;
use super::subquery::is_query;

/// What lowering needs besides the plan.
pub(crate) struct Lower {
    props: ExecutionProps,
    /// The query WITH RECURSIVE whose second part this is.
    recursion: Option<String>,
}

type Result<T> = std::result::Result<T, PlanError>;

impl Lower {
    /// Lowers within a session.
    pub(crate) fn new(state: &SessionState) -> Lower {
        let mut props = state.execution_props().clone();
        props.config_options = Some(Arc::clone(state.config_options()));
        Lower { props, recursion: None }
    }

    /// Lowers what reads the rows of the recursion of this name.
    fn within(&self, recursion: &str) -> Lower {
        Lower { props: self.props.clone(), recursion: Some(recursion.to_owned()) }
    }

    /// The plan as nodes.
    pub(crate) fn rel(&self, plan: &LogicalPlan) -> Result<Rel> {
        match plan {
            LogicalPlan::TableScan(scan) => {
                let all = 0..scan.source.schema().fields().len();
                let columns = scan.projection.clone().unwrap_or_else(|| all.collect());
                let relation = full(&scan.table_name);
                let fields = scan.projected_schema.fields().to_vec();
                let read = if self.recursion.as_ref() == Some(&relation) {
                    let fields = scan.source.schema().fields().to_vec();
                    Rel { fields, op: RelOp::Recurrence }.picked(&columns)
                } else {
                    Rel { fields, op: RelOp::Get { relation, columns, expire: None } }
                };
                self.filtered(read, &scan.filters, &scan.projected_schema)
            }
            LogicalPlan::SubqueryAlias(alias) => {
                Ok(self.rel(&alias.input)?.renamed(alias.schema.fields().to_vec()))
            }
            LogicalPlan::Projection(projection) => {
                let input = self.rel(&projection.input)?;
                let outputs = self.scalars(&projection.expr, projection.input.schema())?;
                Ok(Rel::mfp(input, Vec::new(), outputs, projection.schema.fields().to_vec()))
            }
            LogicalPlan::Filter(filter) => {
                let input = self.rel(&filter.input)?;
                let conjuncts: Vec<Expr> =
                    split_conjunction(&filter.predicate).into_iter().cloned().collect();
                self.filtered(input, &conjuncts, filter.input.schema())
            }
            LogicalPlan::Aggregate(plan) => aggregate::reduce(self, plan),
            LogicalPlan::Join(join) => join::join(self, join),
            LogicalPlan::Union(union) => union::union(self, union),
            LogicalPlan::Window(window) => window::window(self, window),
            LogicalPlan::Unnest(unnest) => unnest::unnest(self, unnest),
            LogicalPlan::RecursiveQuery(query) => recursive::recursive(self, query),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let input = Box::new(self.rel(input)?);
                Ok(Rel { fields: input.fields.clone(), op: RelOp::Distinct { input } })
            }
            // Without LIMIT an order within a query says nothing.
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => self.rel(&sort.input),
            LogicalPlan::Subquery(query) if query.outer_ref_columns.is_empty() => {
                self.rel(&query.subquery)
            }
            LogicalPlan::EmptyRelation(empty) => {
                let rows = usize::from(empty.produce_one_row);
                constant(empty.schema.fields().to_vec(), Vec::new(), rows)
            }
            LogicalPlan::Values(values) => self.values(values),
            LogicalPlan::Extension(extension) => self.extension(extension),
            other => Err(refuse(other)),
        }
    }

    /// The expressions over a plan's output, by position.
    pub(crate) fn scalars(&self, exprs: &[Expr], schema: &DFSchema) -> Result<Vec<Scalar>> {
        exprs.iter().map(|expr| self.scalar(expr, schema)).collect()
    }

    /// One expression over a plan's output, by position.
    pub(crate) fn scalar(&self, expr: &Expr, schema: &DFSchema) -> Result<Scalar> {
        if expr.exists(|e| Ok(is_query(e))).is_ok_and(|found| found) {
            let clause = "a query within this expression";
            let hint = "EXISTS and IN may stand in WHERE and HAVING, a query as a value also in \
                        SELECT; compare with outer columns by = and AND; or put the query into \
                        FROM and join it";
            return Err(PlanError::refused(clause, hint));
        }
        let context = PhysicalPlanningContext::default();
        create_physical_expr(expr, schema, &self.props, &context)
            .map_err(|error| PlanError::Query { message: error.strip_backtrace(), at: None })
    }

    fn filtered(&self, input: Rel, conjuncts: &[Expr], schema: &DFSchema) -> Result<Rel> {
        let filters = self.scalars(conjuncts, schema)?;
        Ok(input.filtered(filters))
    }

    fn values(&self, values: &Values) -> Result<Rel> {
        let fields = values.schema.fields().to_vec();
        let one = RecordBatch::try_new_with_options(
            Arc::new(datafusion::arrow::datatypes::Schema::empty()),
            Vec::new(),
            &RecordBatchOptions::new().with_row_count(Some(1)),
        );
        let one = one.map_err(|e| query(&e))?;
        let empty = DFSchema::empty();
        let mut columns: Vec<Vec<ScalarValue>> = vec![Vec::new(); fields.len()];
        for row in &values.values {
            for ((expr, field), column) in row.iter().zip(&fields).zip(&mut columns) {
                let value = self.scalar(expr, &empty)?.evaluate(&one).map_err(|e| query(&e))?;
                let array = value.into_array(1).map_err(|e| query(&e))?;
                let value = ScalarValue::try_from_array(&array, 0)
                    .and_then(|value| value.cast_to(field.data_type()));
                column.push(value.map_err(|e| query(&e))?);
            }
        }
        let arrays = columns.into_iter().map(|c| ScalarValue::iter_to_array(c));
        let arrays = arrays.collect::<std::result::Result<Vec<_>, _>>().map_err(|e| query(&e))?;
        constant(fields, arrays, values.values.len())
    }

    fn extension(&self, extension: &Extension) -> Result<Rel> {
        if let Some(top) = extension.node.as_any().downcast_ref::<nodes::TopK>() {
            return self.top_k(top);
        }
        if let Some(without) = extension.node.as_any().downcast_ref::<nodes::Without>() {
            return self.without(without);
        }
        if let Some(join) = extension.node.as_any().downcast_ref::<nodes::AsOf>() {
            return as_of::join(self, join);
        }
        let Some(temporal) = extension.node.as_any().downcast_ref::<nodes::Temporal>() else {
            return Err(PlanError::refused(extension.node.name(), "leave it out"));
        };
        let schema = temporal.input.schema();
        let input = Box::new(self.rel(&temporal.input)?);
        let bound = |e: &Option<Expr>| match e {
            Some(e) => self.scalar(e, schema).map(|e| Some(input.named(&e))),
            None => Ok(None),
        };
        let (from, until) = (bound(&temporal.from)?, bound(&temporal.until)?);
        Ok(Rel { fields: input.fields.clone(), op: RelOp::Temporal { input, from, until } })
    }

    fn without(&self, without: &nodes::Without) -> Result<Rel> {
        let (all, less) = (self.rel(&without.all)?, self.rel(&without.less)?);
        let fields = all.fields.clone();
        let less = Rel { fields: fields.clone(), op: RelOp::Negate { input: Box::new(less) } };
        Ok(Rel { fields, op: RelOp::Union { inputs: vec![all, less] } })
    }

    fn top_k(&self, top: &nodes::TopK) -> Result<Rel> {
        let schema = top.input.schema();
        let input = self.rel(&top.input)?;
        let width = input.width();
        let fields = input.fields.clone();
        let (input, group) = with_columns(input, &self.scalars(&top.group, schema)?);
        let keys: Vec<Expr> = top.order.iter().map(|sort| sort.expr.clone()).collect();
        let keys = self.scalars(&keys, schema)?;
        let (input, keys) = with_columns(input, &keys);
        let mut order: Vec<OrderBy> = Vec::new();
        for (column, sort) in keys.into_iter().zip(&top.order) {
            // Within a group its columns are equal, and a column orders once.
            if !group.contains(&column) && order.iter().all(|o| o.column != column) {
                let (descending, nulls_first) = (!sort.asc, sort.nulls_first);
                order.push(OrderBy { column, descending, nulls_first });
            }
        }
        let all = input.fields.clone();
        let op = TopKRel { input: Box::new(input), group, order, limit: top.limit, expire: None };
        let rel = Rel { fields: all, op: RelOp::TopK(op) };
        let columns: Vec<usize> = (0..width).collect();
        Ok(rel.picked(&columns).renamed(fields))
    }
}

/// The input with these expressions as columns, and where they stand; what is a column already is
/// not repeated.
pub(crate) fn with_columns(input: Rel, exprs: &[Scalar]) -> (Rel, Vec<usize>) {
    let schema = input.schema();
    let (mut outputs, mut fields) = (input.cols(), input.fields.clone());
    let mut positions = Vec::new();
    for expr in exprs {
        let known = as_column(expr).or_else(|| outputs.iter().position(|known| known == expr));
        positions.push(known.unwrap_or_else(|| {
            fields.push(field_of(expr, &schema));
            outputs.push(expr.clone());
            outputs.len() - 1
        }));
    }
    (Rel::mfp(input, Vec::new(), outputs, fields), positions)
}

/// A field for a computed column, named as it is written.
pub(crate) fn field_of(
    expr: &Scalar,
    schema: &datafusion::arrow::datatypes::SchemaRef,
) -> FieldRef {
    let data_type = expr.data_type(schema).expect("the expression was made over this schema");
    let nullable = expr.nullable(schema).unwrap_or(true);
    Arc::new(Field::new(show(expr), data_type, nullable))
}

fn constant(
    fields: Vec<FieldRef>,
    arrays: Vec<datafusion::arrow::array::ArrayRef>,
    rows: usize,
) -> Result<Rel> {
    let schema = Arc::new(datafusion::arrow::datatypes::Schema::new(fields.clone()));
    let batch = if arrays.is_empty() && !fields.is_empty() {
        Ok(RecordBatch::new_empty(schema))
    } else {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(schema, arrays, &options)
    };
    let rows = batch.map_err(|e| query(&e))?;
    Ok(Rel { fields, op: RelOp::Constant { rows } })
}

fn query(error: &dyn std::error::Error) -> PlanError {
    PlanError::Query { message: error.to_string(), at: None }
}

fn refuse(plan: &LogicalPlan) -> PlanError {
    let (clause, hint) = match plan {
        LogicalPlan::Sort(_) => {
            ("ORDER BY without LIMIT", "order where the view is read, or add LIMIT")
        }
        LogicalPlan::Limit(_) => ("LIMIT without ORDER BY", "say which rows: add ORDER BY"),
        LogicalPlan::Subquery(_) => ("LATERAL", "join on equal columns"),
        _ => ("this statement", "only SELECT can be maintained"),
    };
    PlanError::refused(clause, hint)
}
