//! Aggregates by how they are maintained.
//!
//! *Accumulable*: the accumulator is a difference of fixed size that adds and subtracts exactly.
//! *Ordered*: the values of a group are kept sorted, so that the least and greatest survive
//! retraction. *Basic*: the group's values are kept and the aggregate is computed anew when the
//! group changes.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::Field;

use super::expr::EvalError;

/// One aggregate of a reduce.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// What is computed.
    pub function: AggregateFunction,
    /// The argument columns of the input; none for `count(*)`.
    pub arguments: Vec<usize>,
    /// A Boolean input column: only rows where it is true count.
    pub filter: Option<usize>,
    /// The column that comes out.
    pub output: Arc<Field>,
}

/// What an aggregate computes, by how it is maintained.
#[derive(Clone, Debug, PartialEq)]
pub enum AggregateFunction {
    /// Rows (accumulable).
    CountRows,
    /// Rows whose argument is not NULL (accumulable).
    Count,
    /// Sum (accumulable): integers exactly in 128 bits; floats in 128-bit fixed point with 56
    /// fraction bits, with counters for NaN and the infinities.
    Sum,
    /// Mean (accumulable).
    Avg,
    /// Variance or its root, of the sample (n − 1) or the population (n) (accumulable).
    Variance {
        /// Divide by n − 1.
        sample: bool,
        /// Take the square root.
        root: bool,
    },
    /// Least value (ordered).
    Min,
    /// Greatest value (ordered).
    Max,
    /// Anything else (basic).
    Basic(Arc<dyn GroupFunction>),
}

/// An aggregate that is computed from all the argument values of one group.
pub trait GroupFunction: Any + fmt::Debug + fmt::Display + Send + Sync {
    /// The one-row result for these argument columns, rows in ascending order of the arguments.
    ///
    /// # Errors
    /// The group has no value.
    fn evaluate(&self, arguments: &[ArrayRef]) -> Result<ArrayRef, EvalError>;

    /// Whether the other computes the same of the same arguments.
    fn same(&self, other: &dyn GroupFunction) -> bool;
}

impl PartialEq for dyn GroupFunction {
    fn eq(&self, other: &dyn GroupFunction) -> bool {
        self.same(other)
    }
}

impl AggregateFunction {
    /// Whether its accumulator is a difference.
    pub fn accumulable(&self) -> bool {
        use AggregateFunction::*;
        matches!(self, CountRows | Count | Sum | Avg | Variance { .. })
    }
}

impl fmt::Display for AggregateFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AggregateFunction::CountRows => f.write_str("count_rows"),
            AggregateFunction::Count => f.write_str("count"),
            AggregateFunction::Sum => f.write_str("sum"),
            AggregateFunction::Avg => f.write_str("avg"),
            AggregateFunction::Variance { sample, root } => f.write_str(match (sample, root) {
                (true, true) => "stddev_samp",
                (false, true) => "stddev_pop",
                (true, false) => "var_samp",
                (false, false) => "var_pop",
            }),
            AggregateFunction::Min => f.write_str("min"),
            AggregateFunction::Max => f.write_str("max"),
            AggregateFunction::Basic(function) => write!(f, "{function}"),
        }
    }
}
