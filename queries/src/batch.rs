//! The oracle: the same SELECT, asked once of rows at hand, with the tick as `now()`.
//!
//! Plain DataFusion over tables in memory, with its own optimiser and its own execution; only the
//! parser, the session settings and the total orders are those of the planner. Whatever a
//! maintained view shows at a tick must be what this gives for the input up to that tick.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::common::Result;
use datafusion::common::TableReference;
use datafusion::datasource::MemTable;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use schemas::time::Timestamp;

use crate::plan::canonical::canonical;
use crate::plan::context::said;
use crate::plan::refuse::PlanError;
use crate::plan::statement;
use crate::plan::survey;
use crate::session;

/// Rows to be asked, with their columns even where there is no row.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows, each batch with exactly these columns.
    pub batches: Vec<RecordBatch>,
}

impl Rows {
    /// The rows of one batch.
    pub fn of(batch: RecordBatch) -> Rows {
        Rows { schema: batch.schema(), batches: vec![batch] }
    }
}

/// The rows of a SELECT, or of the query of a `CREATE MATERIALIZED VIEW`, at the tick `now`.
///
/// # Errors
/// The text is neither, names what there is not, or some row cannot be computed: one bad row fails
/// the whole query.
pub fn query(
    tables: &BTreeMap<String, Rows>,
    sql: &str,
    now: Timestamp,
) -> std::result::Result<RecordBatch, PlanError> {
    let query = statement::query(sql)?;
    survey::answerable(&query)?;
    let context = context(tables).map_err(|e| said(&e))?;
    wait(answer(&context, query, now)).map_err(|e| said(&e))
}

async fn answer(
    context: &SessionContext,
    query: Box<ast::Query>,
    now: Timestamp,
) -> Result<RecordBatch> {
    let statement = Statement::Statement(Box::new(ast::Statement::Query(query)));
    let plan = context.state().statement_to_plan(statement).await?;
    let (schema, batches) = collect(context, plan, now).await?;
    Ok(concat_batches(&schema, &batches)?)
}

/// Runs a plan to its end, `now()` being the tick.
pub(crate) async fn collect(
    context: &SessionContext,
    plan: LogicalPlan,
    now: Timestamp,
) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let planned = Arc::clone(plan.schema().inner());
    let plan = session::at(canonical(plan)?, now)?;
    let batches = context.execute_logical_plan(plan).await?.collect().await?;
    let schema = batches.first().map_or(planned, RecordBatch::schema);
    Ok((schema, batches))
}

/// A session over these tables; `audit.actions` is the table `actions` of the schema `audit`.
pub(crate) fn context(tables: &BTreeMap<String, Rows>) -> Result<SessionContext> {
    let context = SessionContext::new_with_state(session::state());
    let catalog = context.catalog("datafusion").expect("a session has its default catalog");
    for (name, rows) in tables {
        // A name is as it stands: one with capitals is another than one without.
        let reference = match name.split_once('.') {
            Some((schema, table)) => TableReference::partial(schema, table),
            None => TableReference::bare(name.as_str()),
        };
        if let Some(schema) = reference.schema()
            && catalog.schema(schema).is_none()
        {
            catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new()))?;
        }
        // As in the dataflow: one zero and one NaN.
        let batches = rows.batches.iter().map(schemas::row::canonical).collect();
        let table = MemTable::try_new(Arc::clone(&rows.schema), vec![batches])?;
        context.register_table(reference, Arc::new(table))?;
    }
    Ok(context)
}

/// Waits for an answer on this thread, in a runtime of its own.
pub(crate) fn wait<T>(answer: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without I/O and timers needs nothing")
        .block_on(answer)
}
