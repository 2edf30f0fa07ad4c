//! Tables that the binary brings: the audit log above all.
//!
//! The desk does not know where they lie. It asks for their columns, and opens those that a
//! statement names, as of the statement's tick.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use schemas::time::Timestamp;

pub use datafusion::catalog::TableProvider;
pub use datafusion::common::Result as TableResult;

/// Tables beside the engine's relations.
pub trait Tables: Send + Sync {
    /// Their names with their columns, in name order. `audit.actions` is `actions` of the schema
    /// `audit`; a name without a dot is of `public`.
    fn list(&self) -> Vec<(String, SchemaRef)>;

    /// One of them, with what it held when the tick `at` was complete.
    ///
    /// # Errors
    /// It cannot be read.
    fn open(&self, name: &str, at: Timestamp) -> Result<Arc<dyn TableProvider>>;
}

/// No tables.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTables;

impl Tables for NoTables {
    fn list(&self) -> Vec<(String, SchemaRef)> {
        Vec::new()
    }

    fn open(&self, name: &str, _: Timestamp) -> Result<Arc<dyn TableProvider>> {
        datafusion::common::plan_err!("there is no table {name}")
    }
}

/// The error for a table that is not there.
pub fn missing(name: &str) -> datafusion::error::DataFusionError {
    datafusion::common::plan_datafusion_err!("there is no table {name}")
}

/// The error for a table that cannot be read.
pub fn unreadable(
    error: Box<dyn std::error::Error + Send + Sync>,
) -> datafusion::error::DataFusionError {
    datafusion::error::DataFusionError::External(error)
}

/// A table of these rows.
///
/// # Errors
/// A batch has other columns than `schema`.
pub fn in_memory(
    schema: SchemaRef,
    batches: Vec<datafusion::arrow::record_batch::RecordBatch>,
) -> Result<Arc<dyn TableProvider>> {
    Ok(Arc::new(datafusion::datasource::MemTable::try_new(schema, vec![batches])?))
}
