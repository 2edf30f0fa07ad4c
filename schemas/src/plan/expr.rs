//! Scalar expressions, as this floor sees them.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::RecordBatch;

/// A shared scalar expression.
pub type ExprRef = Arc<dyn ScalarExpr>;

/// Computes one column from a batch. `Display` is what EXPLAIN prints.
pub trait ScalarExpr: Any + fmt::Debug + fmt::Display + Send + Sync {
    /// The column for these rows.
    ///
    /// # Errors
    /// At least one row cannot be computed; the caller bisects to find which.
    fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, EvalError>;

    /// The input column it merely repeats, if it does: such a projection is done on bytes.
    fn column(&self) -> Option<usize> {
        None
    }

    /// Whether the other computes the same of the same input.
    fn same(&self, other: &dyn ScalarExpr) -> bool;
}

impl PartialEq for dyn ScalarExpr {
    fn eq(&self, other: &dyn ScalarExpr) -> bool {
        self.same(other)
    }
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    /// What the evaluator said.
    pub message: String,
}

/// The expression that repeats a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnExpr {
    /// The column.
    pub index: usize,
    /// Its name, for EXPLAIN.
    pub name: String,
}

impl ColumnExpr {
    /// A shared expression for column `index` called `name`.
    pub fn shared(index: usize, name: &str) -> ExprRef {
        Arc::new(ColumnExpr { index, name: name.to_owned() })
    }
}

impl fmt::Display for ColumnExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl ScalarExpr for ColumnExpr {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, EvalError> {
        Ok(batch.column(self.index).clone())
    }

    fn column(&self) -> Option<usize> {
        Some(self.index)
    }

    fn same(&self, other: &dyn ScalarExpr) -> bool {
        (other as &dyn Any).downcast_ref::<ColumnExpr>().is_some_and(|other| self == other)
    }
}
