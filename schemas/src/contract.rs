//! The contract between the engine and the desk: what may be read of a view, and at which tick.
//!
//! `pipeline` implements it, `queries` uses it; neither knows the other.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::time::Timestamp;

/// A view's rows as of one tick.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The tick it shows.
    pub tick: Timestamp,
    /// The rows, in row order, each as often as it stands in the view.
    pub rows: RecordBatch,
    /// Rows that could not be computed.
    pub faults: Vec<Fault>,
}

/// A row that could not be computed, as data.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Fault {
    /// What failed, as EXPLAIN prints it.
    pub expression: String,
    /// What the evaluator said.
    pub message: String,
    /// The row it was given, as text.
    pub row: String,
}

/// Reads of maintained views.
pub trait ViewReader: Send + Sync {
    /// The views there are with their columns, in name order.
    fn views(&self) -> Vec<(String, SchemaRef)>;

    /// The rows of a view at the last complete tick, or `None` if there is no such view.
    fn snapshot(&self, view: &str) -> Option<Snapshot>;
}
