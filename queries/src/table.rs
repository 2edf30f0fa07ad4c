//! What `gridloom sql` asks: one query over any tables, views' rows and the audit log alike.
//!
//! Everything DataFusion answers is answered here, also what cannot be maintained: windows,
//! subqueries, ORDER BY. Only reading is possible. `now()` is the tick that the rows show.
//!
//! A view that is failing is refused by name wherever it is named, and not there at all otherwise.

use std::collections::BTreeMap;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use schemas::contract::Failing;
use schemas::time::Timestamp;

use crate::batch;
use crate::batch::Rows;
use crate::plan::context::said;
use crate::plan::refuse::PlanError;
use crate::plan::refuse::nearest;
use crate::plan::statement;
use crate::plan::statement::Named;
use crate::plan::survey;

/// The rows of an answer, and its columns even where there is no row.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows, in the order that the query asks for.
    pub batches: Vec<RecordBatch>,
}

/// Answers a SELECT (or SHOW, DESCRIBE, EXPLAIN). A table named `audit.actions` is `actions` of the
/// schema `audit`; those that are `failing` may not be read.
///
/// # Errors
/// The text is not a query, names what there is not or may not be read, or cannot be computed; as a
/// sentence with a hint.
pub fn ask(
    tables: &BTreeMap<String, Rows>,
    failing: &BTreeMap<String, Failing>,
    sql: &str,
    now: Timestamp,
) -> Result<Answer, PlanError> {
    let statement = statement::one(sql)?;
    match &statement {
        ast::Statement::Query(query) => known(query.as_ref(), tables, failing)?,
        ast::Statement::Explain { statement, .. } => {
            if let ast::Statement::Query(query) = statement.as_ref() {
                known(query, tables, failing)?;
            }
        }
        ast::Statement::ExplainTable { .. }
        | ast::Statement::ShowTables { .. }
        | ast::Statement::ShowColumns { .. } => {}
        other => {
            return Err(PlanError::Statement {
                expected: "SELECT",
                found: statement::first_words(&other.to_string()),
                hint: "views are files, streams are configuration".to_owned(),
            });
        }
    }
    let mut readable = tables.clone();
    readable.retain(|name, _| !failing.contains_key(name));
    let context = batch::context(&readable).map_err(|e| said(&e))?;
    let answer = async {
        let statement = Statement::Statement(Box::new(statement));
        let plan = context.state().statement_to_plan(statement).await?;
        batch::collect(&context, plan, now).await
    };
    let (schema, batches) = batch::wait(answer).map_err(|e| said(&e))?;
    Ok(Answer { schema, batches })
}

fn known(
    query: &ast::Query,
    tables: &BTreeMap<String, Rows>,
    failing: &BTreeMap<String, Failing>,
) -> Result<(), PlanError> {
    survey::answerable(query)?;
    let there = |name: &str| tables.contains_key(name) || name.starts_with("information_schema.");
    for Named { name, at } in statement::relations(query) {
        if let Some(failing) = failing.get(&name) {
            let (failing, hint) = (failing.clone(), failing.hint());
            return Err(PlanError::Failing { failing, hint, at });
        }
        if !there(&name) {
            let hint = nearest(&name, tables.keys().map(String::as_str));
            return Err(PlanError::UnknownRelation { name, hint, at });
        }
    }
    Ok(())
}
