//! What DataFusion is told while it plans: our relations without statistics, its own functions.
//!
//! No statistics, no keys, no exactness: an empty stream must not be optimised away, and nothing
//! may depend on what happens to be there when a view is made. The optimiser runs without the rules
//! that assume one answer (LIMIT into scans, DISTINCT ON into aggregates) and without those that
//! [`super::join`] and [`super::prune`] do themselves.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::common::Result;
use datafusion::common::SchemaError;
use datafusion::common::TableReference;
use datafusion::common::config::ConfigOptions;
use datafusion::common::plan_datafusion_err;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::AggregateUDF;
use datafusion::logical_expr::HigherOrderUDF;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::TableSource;
use datafusion::logical_expr::WindowUDF;
use datafusion::logical_expr::builder::LogicalTableSource;
use datafusion::logical_expr::planner::ContextProvider;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::optimizer::Optimizer;
use datafusion::optimizer::OptimizerRule;
use datafusion::optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion::optimizer::eliminate_duplicated_expr::EliminateDuplicatedExpr;
use datafusion::optimizer::eliminate_filter::EliminateFilter;
use datafusion::optimizer::eliminate_outer_join::EliminateOuterJoin;
use datafusion::optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion::optimizer::optimize_unions::OptimizeUnions;
use datafusion::optimizer::propagate_empty_relation::PropagateEmptyRelation;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::sql::planner::ParserOptions;
use datafusion::sql::planner::SqlToRel;
use datafusion::sql::sqlparser::ast;
use schemas::catalog::Catalog;

use super::as_of;
use super::canonical::ordered;
use super::nodes;
use super::refuse::Location;
use super::refuse::PlanError;
use super::refuse::nearest;
use super::statement::Named;
use super::statement::relations;
use super::subquery;
use super::temporal;
use crate::session::refuse_impure;

/// The optimised logical plan of a query over the catalog.
pub(crate) fn logical(
    state: &SessionState,
    catalog: &Catalog,
    query: Box<ast::Query>,
) -> std::result::Result<LogicalPlan, PlanError> {
    known(&relations(&query), catalog)?;
    let parsed = parsed(state, catalog, query).map_err(|e| said(&e))?;
    refuse_impure(&parsed)?;
    optimised(state, parsed).map_err(|e| said(&e))
}

fn parsed(state: &SessionState, catalog: &Catalog, query: Box<ast::Query>) -> Result<LogicalPlan> {
    let context = Context { state, catalog };
    let parser = &state.config_options().sql_parser;
    let options = ParserOptions::new()
        .with_map_string_types_to_utf8view(false)
        .with_collect_spans(parser.collect_spans);
    let planner = SqlToRel::new_with_options(&context, options);
    planner.sql_statement_to_plan(ast::Statement::Query(query))
}

fn optimised(state: &SessionState, plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = ordered(plan)?;
    let plan = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?;
    let plan = nodes::top_k(as_of::nodes(plan)?)?;
    let plan = subquery::joined(plan, state.config_options())?;
    let plan = temporal::extract(plan)?;
    let context = subquery::context(state.config_options());
    Optimizer::with_rules(rules()).optimize(plan, &context, |_, _| {})
}

fn rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    vec![
        Arc::new(OptimizeUnions::new()),
        Arc::new(SimplifyExpressions::new()),
        Arc::new(ExtractEquijoinPredicate::new()),
        Arc::new(EliminateDuplicatedExpr::new()),
        Arc::new(EliminateFilter::new()),
        Arc::new(EliminateCrossJoin::new()),
        Arc::new(PropagateEmptyRelation::new()),
        Arc::new(EliminateOuterJoin::new()),
        Arc::new(PushDownFilter::new()),
    ]
}

/// Refuses names that the catalog does not have.
pub(crate) fn known(named: &[Named], catalog: &Catalog) -> std::result::Result<(), PlanError> {
    match named.iter().find(|named| catalog.get(&named.name).is_none()) {
        None => Ok(()),
        Some(named) => Err(PlanError::UnknownRelation {
            name: named.name.clone(),
            hint: nearest(&named.name, catalog.iter().map(|(name, _)| name)),
            at: named.at,
        }),
    }
}

/// DataFusion's error as one of ours.
pub fn said(error: &DataFusionError) -> PlanError {
    let at = error
        .iter()
        .find_map(|e| e.diagnostic()?.span)
        .map(|span| Location { line: span.start.line, column: span.start.column });
    match error.find_root() {
        DataFusionError::External(inner) => {
            if let Some(refused) = inner.downcast_ref::<PlanError>() {
                return refused.clone();
            }
        }
        DataFusionError::SchemaError(schema, _) => return of_schema(schema, at),
        _ => {}
    }
    let text = error.strip_backtrace();
    let text = ["Error during planning: ", "Schema error: ", "This feature is not implemented: "]
        .iter()
        .find_map(|layer| text.strip_prefix(layer).map(str::to_owned))
        .unwrap_or(text);
    PlanError::Query { message: text.split_whitespace().collect::<Vec<_>>().join(" "), at }
}

fn of_schema(error: &SchemaError, at: Option<Location>) -> PlanError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names: Vec<&str> = valid_fields.iter().map(|c| c.name.as_str()).collect();
            let name = field.flat_name().replace('"', "");
            PlanError::UnknownColumn { name, hint: nearest(field.name(), names), at }
        }
        SchemaError::AmbiguousReference { field } => {
            PlanError::DuplicateColumn { name: field.name.clone() }
        }
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            PlanError::DuplicateColumn { name: name.clone() }
        }
    }
}

/// A relation's name in the catalog: with its schema, unless that is `public`.
pub(crate) fn full(name: &TableReference) -> String {
    match name.schema() {
        Some(schema) if schema != PUBLIC => format!("{schema}.{}", name.table()),
        _ => name.table().to_owned(),
    }
}

/// The schema of relations that are named without one.
const PUBLIC: &str = "public";

struct Context<'a> {
    state: &'a SessionState,
    catalog: &'a Catalog,
}

impl ContextProvider for Context<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let info = self.catalog.get(&full(&name));
        let info = info.ok_or_else(|| plan_datafusion_err!("there is no relation {name}"))?;
        Ok(Arc::new(LogicalTableSource::new(Arc::clone(&info.schema))))
    }

    fn create_cte_work_table(&self, _: &str, schema: SchemaRef) -> Result<Arc<dyn TableSource>> {
        Ok(Arc::new(LogicalTableSource::new(schema)))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.state.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        sorted(self.state.scalar_functions().keys())
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        sorted(self.state.higher_order_functions().keys())
    }

    fn udaf_names(&self) -> Vec<String> {
        sorted(self.state.aggregate_functions().keys())
    }

    fn udwf_names(&self) -> Vec<String> {
        sorted(self.state.window_functions().keys())
    }
}

/// Names in order, so that what a message suggests does not depend on chance.
fn sorted<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut names: Vec<String> = names.cloned().collect();
    names.sort_unstable();
    names
}
