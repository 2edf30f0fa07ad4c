//! From DataFusion's optimised logical plan to the nodes that are maintained.
//!
//! One `match`; expressions become physical at once, so that columns are positions and nothing
//! below depends on names. What has no arm is refused by its SQL name.

use std::sync::Arc;

use datafusion::arrow::datatypes::Field;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::record_batch::RecordBatchOptions;
use datafusion::common::DFSchema;
use datafusion::common::JoinType;
use datafusion::common::NullEquality;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNode;
use datafusion::execution::context::ExecutionProps;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::Distinct;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::Extension;
use datafusion::logical_expr::Join;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::Union;
use datafusion::logical_expr::Values;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::physical_expr::create_physical_expr;
use schemas::plan::JoinKind;
use schemas::plan::OrderBy;

use super::aggregate;
use super::expr::Scalar;
use super::expr::as_column;
use super::expr::show;
use super::nodes;
use super::refuse::PlanError;
use super::rel::JoinRel;
use super::rel::Rel;
use super::rel::RelOp;
use super::rel::TopKRel;

/// What lowering needs besides the plan.
pub(crate) struct Lower {
    props: ExecutionProps,
}

type Result<T> = std::result::Result<T, PlanError>;

impl Lower {
    /// Lowers within a session.
    pub(crate) fn new(state: &SessionState) -> Lower {
        let mut props = state.execution_props().clone();
        props.config_options = Some(Arc::clone(state.config_options()));
        Lower { props }
    }

    /// The plan as nodes.
    pub(crate) fn rel(&self, plan: &LogicalPlan) -> Result<Rel> {
        match plan {
            LogicalPlan::TableScan(scan) => {
                let all = 0..scan.source.schema().fields().len();
                let columns = scan.projection.clone().unwrap_or_else(|| all.collect());
                let relation = scan.table_name.table().to_owned();
                let fields = scan.projected_schema.fields().to_vec();
                let get = Rel { fields, op: RelOp::Get { relation, columns, expire: None } };
                self.filtered(get, &scan.filters, &scan.projected_schema)
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
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let input = Box::new(self.rel(input)?);
                Ok(Rel { fields: input.fields.clone(), op: RelOp::Distinct { input } })
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
        let subquery = expr.exists(|e| {
            Ok(matches!(e, Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_)))
        });
        if subquery.is_ok_and(|found| found) {
            return Err(PlanError::refused("a query as a value", "put it into FROM and join it"));
        }
        let context = PhysicalPlanningContext::default();
        create_physical_expr(expr, schema, &self.props, &context)
            .map_err(|error| PlanError::Query { message: error.strip_backtrace(), at: None })
    }

    fn filtered(&self, input: Rel, conjuncts: &[Expr], schema: &DFSchema) -> Result<Rel> {
        let filters = self.scalars(conjuncts, schema)?;
        Ok(input.filtered(filters))
    }

    fn join(&self, join: &Join) -> Result<Rel> {
        let kind = match join.join_type {
            JoinType::Inner => JoinKind::Inner,
            JoinType::Left => JoinKind::Left,
            other => {
                let hint = "use JOIN or LEFT JOIN; swap the sides of a RIGHT JOIN";
                return Err(PlanError::refused(format!("{other} JOIN"), hint));
            }
        };
        if join.on.is_empty() {
            return Err(no_key(kind));
        }
        if join.null_equality == NullEquality::NullEqualsNull {
            let hint = "compare with =, and COALESCE what may be NULL";
            return Err(PlanError::refused("a join on IS NOT DISTINCT FROM", hint));
        }
        if kind == JoinKind::Left && join.filter.is_some() {
            return Err(PlanError::refused(
                "a LEFT JOIN whose ON compares both sides with other than =",
                "put the comparison into a query in FROM, or JOIN and UNION ALL the rest",
            ));
        }
        let (left, right) = (self.rel(&join.left)?, self.rel(&join.right)?);
        let (widths, fields) = ((left.width(), right.width()), join.schema.fields().to_vec());
        let left_keys: Vec<Expr> = join.on.iter().map(|(l, _)| l.clone()).collect();
        let right_keys: Vec<Expr> = join.on.iter().map(|(_, r)| r.clone()).collect();
        let (left, left_key) = with_columns(left, &self.scalars(&left_keys, join.left.schema())?);
        let (right, right_key) =
            with_columns(right, &self.scalars(&right_keys, join.right.schema())?);
        for (l, r) in left_key.iter().zip(&right_key) {
            let (l, r) = (&left.fields[*l], &right.fields[*r]);
            if l.data_type() != r.data_type() {
                let clause = format!("a join of {} with {}", l.data_type(), r.data_type());
                return Err(PlanError::refused(clause, "CAST one side to the other's type"));
            }
        }
        let right_at = left.width();
        let outputs = (0..widths.0).chain((0..widths.1).map(|i| right_at + i)).collect();
        let (left, right) = (Box::new(left), Box::new(right));
        let op = RelOp::Join(JoinRel { left, right, left_key, right_key, kind, outputs });
        let joined = Rel { fields, op };
        match &join.filter {
            None => Ok(joined),
            Some(filter) => {
                let conjuncts: Vec<Expr> = split_conjunction(filter).into_iter().cloned().collect();
                self.filtered(joined, &conjuncts, &join.schema)
            }
        }
    }

    fn union(&self, union: &Union) -> Result<Rel> {
        let fields = union.schema.fields().to_vec();
        let inputs = union.inputs.iter().map(|input| {
            let input = self.rel(input)?;
            let same = input.fields.iter().zip(&fields).all(|(a, b)| a == b);
            if same {
                return Ok(input);
            }
            let casts =
                input.fields.iter().zip(&fields).any(|(a, b)| a.data_type() != b.data_type());
            if casts {
                let hint = "CAST the columns of each branch to the same types";
                return Err(PlanError::refused("a UNION of different types", hint));
            }
            Ok(input.renamed(fields.clone()))
        });
        let inputs = inputs.collect::<Result<Vec<Rel>>>()?;
        Ok(Rel { fields, op: RelOp::Union { inputs } })
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

/// A join that compares nothing for equality.
pub(crate) fn no_key(kind: JoinKind) -> PlanError {
    let clause = if kind == JoinKind::Left { "a LEFT JOIN" } else { "a join" };
    PlanError::refused(
        format!("{clause} without an equality between its sides (CROSS JOIN)"),
        "say in ON or USING which columns are equal; further comparisons may stand beside it",
    )
}

fn refuse(plan: &LogicalPlan) -> PlanError {
    let (clause, hint) = match plan {
        LogicalPlan::Window(_) => (
            "a window function (OVER)",
            "group by date_bin(…), or use SELECT DISTINCT ON … ORDER BY …",
        ),
        LogicalPlan::Sort(_) => {
            ("ORDER BY without LIMIT", "order where the view is read, or add LIMIT")
        }
        LogicalPlan::Limit(_) => ("LIMIT without ORDER BY", "say which rows: add ORDER BY"),
        LogicalPlan::RecursiveQuery(_) => ("WITH RECURSIVE", "write the levels out"),
        LogicalPlan::Unnest(_) => ("UNNEST", "keep lists in rows of their own"),
        LogicalPlan::Subquery(_) => ("LATERAL", "join on equal columns"),
        _ => ("this statement", "only SELECT can be maintained"),
    };
    PlanError::refused(clause, hint)
}
