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
    /// How far it looks.
    pub reach: Reach,
}

impl PartialEq for WindowCall {
    fn eq(&self, other: &WindowCall) -> bool {
        let same = self.function.same(other.function.as_ref());
        let seen = self.arguments == other.arguments && self.reach == other.reach;
        same && seen && self.output == other.output
    }
}

/// How far a call looks from a row, and so whose values a change can change.
///
/// The first three promise: an evaluation over neighbouring rows of a partition gives the same bits
/// as one over all of it, to those rows whose reach is among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// At so many rows before it and behind it.
    Rows {
        /// Rows before it.
        before: usize,
        /// Rows behind it.
        after: usize,
    },
    /// At the rows that are equal to it in the order, and at so many groups of equal rows before
    /// these and behind them.
    Groups {
        /// Groups before its own.
        before: usize,
        /// Groups behind its own.
        after: usize,
    },
    /// At the rows whose order, which is a single column of integers, dates or timestamps, is at
    /// most so much before its own or behind it; with NULLs in the order, or beyond the limits, it
    /// may look anywhere.
    Values {
        /// What comes before, in the unit of the column, in the direction of the order.
        before: i64,
        /// What comes behind.
        after: i64,
        /// The least order for which that holds.
        least: i64,
        /// The greatest.
        most: i64,
    },
    /// At all rows before it and those that are equal to it in the order. Where the value of a row
    /// is known, [`PartitionFunction::go_on`] goes on from there.
    Onward,
    /// Anywhere, or the bits of its value depend on where the evaluation begins.
    Whole,
}

/// A function of all rows of one partition, in order, with one value a row. `Display` is what
/// EXPLAIN prints.
pub trait PartitionFunction: Any + fmt::Debug + fmt::Display + Send + Sync {
    /// The values for these argument columns of `rows` rows, which are in the node's order.
    ///
    /// # Errors
    /// The partition has no values.
    fn evaluate(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef, EvalError>;

    /// The values of the rows behind the one at `at`, which has the only one of `value` by what was
    /// before; of the rows that are equal to it in the order all are there, and it is the last.
    /// Asked only of a call that looks [`Reach::Onward`].
    ///
    /// # Errors
    /// As [`PartitionFunction::evaluate`].
    fn go_on(
        &self,
        arguments: &[ArrayRef],
        rows: usize,
        at: usize,
        value: &ArrayRef,
    ) -> Result<ArrayRef, EvalError>;

    /// Whether the other computes the same of the same arguments.
    fn same(&self, other: &dyn PartitionFunction) -> bool;
}

impl PartialEq for dyn PartitionFunction {
    fn eq(&self, other: &dyn PartitionFunction) -> bool {
        self.same(other)
    }
}
