//! What can be wrong with the views that agents are given: found when the dataflow is built, never
//! later.

use arrow_schema::DataType;

/// Why an agent cannot be hosted over the views it was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// There is no such view.
    #[error("{agent} reads the view {view}, which does not exist")]
    View {
        /// The agent.
        agent: String,
        /// The view.
        view: String,
    },
    /// The view lacks a column.
    #[error("{agent} reads {view}.{column}, which the view does not have")]
    Column {
        /// The agent.
        agent: String,
        /// The view.
        view: String,
        /// The column.
        column: String,
    },
    /// The column is of another type.
    #[error("{agent} reads {view}.{column} as {expected}, but the view has {found}")]
    Type {
        /// The agent.
        agent: String,
        /// The view.
        view: String,
        /// The column.
        column: String,
        /// What the agent was written for.
        expected: DataType,
        /// What the view has.
        found: DataType,
    },
    /// A column of the view is of a type whose bytes cannot be cut out of a row.
    #[error("the view {view} has a column of a nested type, which agents cannot read past")]
    Nested {
        /// The view.
        view: String,
    },
}

/// Why saved memory cannot be taken back.
#[derive(Debug, thiserror::Error)]
#[error("the saved memory of {key} cannot be read")]
pub struct RestoreError {
    /// The key it was saved under.
    pub key: String,
    /// What the reader said.
    #[source]
    pub source: serde_json::Error,
}
