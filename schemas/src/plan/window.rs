//! Window functions: what a row is told of its place among the rows of its partition.
//!
//! As with aggregates that see a whole group, this floor owns the trait and the desk implements it
//! over DataFusion's own evaluation: window functions are not written twice.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::Field;

use super::expr::EvalError;

/// One function of a window node.
#[derive(Clone, Debug)]
pub struct WindowCall {
    /// What is computed.
    pub function: Arc<dyn PartitionFunction>,
    /// The columns of the input that it sees.
    pub arguments: Vec<usize>,
    /// The column that comes out.
    pub output: Arc<Field>,
}

impl PartialEq for WindowCall {
    fn eq(&self, other: &WindowCall) -> bool {
        let same = self.function.same(other.function.as_ref());
        same && self.arguments == other.arguments && self.output == other.output
    }
}

/// A function of all rows of one partition, in order, with one value a row. `Display` is what
/// EXPLAIN prints.
pub trait PartitionFunction: Any + fmt::Debug + fmt::Display + Send + Sync {
    /// The values for these argument columns of `rows` rows, which are in the node's order.
    ///
    /// # Errors
    /// The partition has no values.
    fn evaluate(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef, EvalError>;

    /// Whether the other computes the same of the same arguments.
    fn same(&self, other: &dyn PartitionFunction) -> bool;
}

impl PartialEq for dyn PartitionFunction {
    fn eq(&self, other: &dyn PartitionFunction) -> bool {
        self.same(other)
    }
}
