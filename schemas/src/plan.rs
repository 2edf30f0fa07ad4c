//! What a view computes: the plan that `queries` makes of SQL and `pipeline` renders into dataflow.
//!
//! About fifteen kinds of node, each saying what state it costs. Every choice (reduce kind, join
//! order, what is kept for how long) is made by the planner and stands here, so that EXPLAIN can
//! print it, tests can compare it as text, and rendering is one `match` without judgement. Scalar
//! work is behind [`ScalarExpr`], a trait that this floor owns and the desk implements over
//! DataFusion's physical expressions: expressions are not written twice.
//!
//! Columns are numbered by position in the node's input; a join numbers the left side's first.
//! Every node carries the schema of what it puts out.
//!
//! Plans are never serialised: every process plans the same SQL text.

pub mod aggregate;
pub mod explain;
pub mod expr;
pub mod window;

use std::fmt;

use arrow_schema::SchemaRef;

pub use self::aggregate::Aggregate;
pub use self::aggregate::AggregateFunction;
pub use self::aggregate::GroupFunction;
pub use self::expr::EvalError;
pub use self::expr::ExprRef;
pub use self::expr::ScalarExpr;
pub use self::window::PartitionFunction;
pub use self::window::Reach;
pub use self::window::WindowCall;

use crate::time::HOUR_MS;
use crate::time::Timestamp;

/// A view, planned.
#[derive(Clone, Debug)]
pub struct ViewPlan {
    /// Its SQL name.
    pub name: String,
    /// The text it was made from.
    pub sql: String,
    /// What it computes.
    pub root: Node,
    /// What becomes of rows that cannot be computed.
    pub on_error: OnError,
    /// How far back it can be read, in milliseconds, where it says so.
    pub retain_ms: Option<u64>,
    /// The relations it reads, in name order.
    pub reads: Vec<String>,
}

/// What becomes of a row whose expression fails (division by zero, bad cast, out of range), and of
/// a group whose aggregate does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// As [`OnError::Quarantine`], and reading the view, or one that reads it, fails while such a
    /// row stands.
    Fail,
    /// The row is left out and kept in the view's errors.
    #[default]
    Quarantine,
    /// The failing column is NULL; a value that no sum takes counts as NULL.
    Null,
}

impl fmt::Display for OnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OnError::Fail => "fail",
            OnError::Quarantine => "quarantine",
            OnError::Null => "null",
        })
    }
}

/// One node with what it puts out. Equal nodes put out the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The columns it puts out.
    pub schema: SchemaRef,
    /// Whether it only ever adds rows: no retraction, but those of its own retention.
    pub append_only: bool,
    /// What it does.
    pub op: Op,
}

/// What a node does.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Reads a stream, a reference table, another view, or what an agent says.
    ///
    /// Costs nothing of its own; with `expire`, the rows themselves until they are retracted.
    Get {
        /// The relation.
        relation: String,
        /// The columns taken, by position in the relation.
        columns: Vec<usize>,
        /// Retract each row when its time is older than the stream retains. `None` where a node
        /// above does it.
        expire: Option<Expiry>,
    },
    /// Computes, filters and projects, on batches.
    ///
    /// Costs nothing; with `forget`, the rows that fail until they are forgotten.
    MapFilterProject {
        /// What it reads.
        input: Box<Node>,
        /// Only rows for which all are true pass.
        filters: Vec<ExprRef>,
        /// The columns that come out, over the input's columns.
        projections: Vec<ExprRef>,
        /// Forget that a row failed when this input column is older than the stream retains. `None`
        /// where failing rows are retracted as all others.
        forget: Option<Expiry>,
    },
    /// Joins rows with equal keys; history is restated when either side changes.
    ///
    /// Costs both sides, arranged by key; of the right side of a semi, anti or mark join one count
    /// a key. Without key columns every row meets every row, on one worker. NULL keys never match
    /// unless `nulls_equal`.
    Join {
        /// The left side: the stream, if one side is one.
        left: Box<Node>,
        /// The right side.
        right: Box<Node>,
        /// Key columns of the left side.
        left_key: Vec<usize>,
        /// Key columns of the right side, in the same order and of the same types.
        right_key: Vec<usize>,
        /// NULL is equal to NULL, as in IS NOT DISTINCT FROM.
        nulls_equal: bool,
        /// What becomes of left rows with and without a match.
        kind: JoinKind,
        /// The columns that come out, numbered over left then right; of a semi or anti join the
        /// left ones, of a mark join those and, behind them, the mark.
        outputs: Vec<usize>,
    },
    /// Groups rows and aggregates each group. The group columns come out first, then the
    /// aggregates.
    ///
    /// Costs one accumulator a group (accumulable), or the group's argument values (ordered,
    /// basic); of a group behind the input's lateness, the result alone. Without group columns
    /// there is one group, which exists even when empty.
    Reduce {
        /// What it reads.
        input: Box<Node>,
        /// Group columns.
        group: Vec<usize>,
        /// What is computed of each group.
        aggregates: Vec<Aggregate>,
        /// Drop a group when this group column is older than the stream retains.
        expire: Option<Expiry>,
    },
    /// Keeps one of equal rows. Costs each distinct row once.
    Distinct {
        /// What it reads.
        input: Box<Node>,
    },
    /// Keeps the first `limit` rows of each group by a total order.
    ///
    /// Costs `limit` rows a group where the input is append-only (in place), otherwise every row.
    TopK {
        /// What it reads.
        input: Box<Node>,
        /// Group columns; none for one group.
        group: Vec<usize>,
        /// The order; the planner appends the remaining columns, so that it is total.
        order: Vec<OrderBy>,
        /// Rows kept a group.
        limit: usize,
        /// Forget a kept row when this column is older than the stream retains.
        expire: Option<Expiry>,
    },
    /// Adds to each row what functions say of its place among the rows of its partition.
    ///
    /// Costs every row twice, in order, with its values; of a partition that changes, what a call
    /// can reach from there is computed anew, and what differs comes out. Without partition columns
    /// there is one partition, on one worker.
    Window {
        /// What it reads.
        input: Box<Node>,
        /// Partition columns; none for one partition.
        partition: Vec<usize>,
        /// The order within a partition; rows that it calls equal are in the order of their bytes.
        order: Vec<OrderBy>,
        /// What is computed; the values come out behind the input's columns.
        calls: Vec<WindowCall>,
        /// Drop a partition when this column, which is one of its own, is older than the stream
        /// retains.
        expire: Option<Expiry>,
    },
    /// Joins each left row with the latest right row of its key at or before its time; history is
    /// restated when a right row comes late, changes or goes.
    ///
    /// Costs both sides, each row once, by key in the order of time. NULL keys and times never
    /// match.
    AsOf {
        /// The left side.
        left: Box<Node>,
        /// The right side.
        right: Box<Node>,
        /// Key columns of the left side.
        left_key: Vec<usize>,
        /// Key columns of the right side, in the same order and of the same types.
        right_key: Vec<usize>,
        /// The times of both sides, of one type.
        times: (usize, usize),
        /// A right row of the very time of the left row does not match.
        before: bool,
        /// Which of the right rows of one time is the latest: the first by this order, which is
        /// total.
        ties: Vec<OrderBy>,
        /// Left rows without a match come out with NULL in the right columns.
        outer: bool,
        /// The columns that come out, numbered over left then right.
        outputs: Vec<usize>,
    },
    /// Joins each left row with the right rows of its key that are known when it comes; a change of
    /// the right side concerns no left row that is there already.
    ///
    /// Costs the right side, whole on every worker; with `expire`, what it put out, until it is
    /// retracted. The left side only ever adds rows. NULL keys never match.
    Lookup {
        /// The left side.
        left: Box<Node>,
        /// The right side: reference tables.
        right: Box<Node>,
        /// Key columns of the left side.
        left_key: Vec<usize>,
        /// Key columns of the right side, in the same order and of the same types.
        right_key: Vec<usize>,
        /// Left rows without a match come out with NULL in the right columns.
        outer: bool,
        /// The columns that come out, numbered over left then right.
        outputs: Vec<usize>,
        /// Retract what came out when this left column is older than the stream retains. `None`
        /// where a node above does it.
        expire: Option<Expiry>,
    },
    /// The least set of rows that has the rows of `start` and all that `step` makes of the set.
    ///
    /// Costs each row once, and what the joins of `step` arrange; every round of what is still
    /// true stands with its number, so that rows whose reasons are gone go too.
    Recursive {
        /// The rows to begin with.
        start: Box<Node>,
        /// What follows from the rows there are, which it reads as [`Op::Recurrence`].
        step: Box<Node>,
    },
    /// The rows there are so far, within the `step` of an [`Op::Recursive`]. Costs nothing.
    Recurrence,
    /// One row for each element of a list, which stands in the list's place; none for an empty list
    /// or NULL. Costs nothing.
    Unnest {
        /// What it reads.
        input: Box<Node>,
        /// The column with the list.
        column: usize,
    },
    /// All rows of all inputs. Costs nothing.
    Union {
        /// What it reads; all of one schema.
        inputs: Vec<Node>,
    },
    /// The rows with their multiplicities negated. Costs nothing.
    Negate {
        /// What it reads.
        input: Box<Node>,
    },
    /// Only rows of positive multiplicity. Costs each distinct row once.
    Threshold {
        /// What it reads.
        input: Box<Node>,
    },
    /// Shows a row only at ticks `t` with `from <= t` and `t < until` (a comparison with `now()`).
    ///
    /// Costs the rows that will yet come or go, parked in time buckets. NULL bounds never hold.
    Temporal {
        /// What it reads.
        input: Box<Node>,
        /// Milliseconds since the epoch from which the row shows, as BIGINT over the input's
        /// columns.
        from: Option<ExprRef>,
        /// Milliseconds since the epoch from which it no longer shows.
        until: Option<ExprRef>,
    },
    /// Rows written in the query. Costs nothing.
    Constant {
        /// The rows.
        rows: arrow_array::RecordBatch,
    },
}

/// What becomes of left rows with and without a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// They come out once a match; without one they vanish.
    Inner,
    /// As inner; without a match they come out with NULL in the right columns.
    Left,
    /// They come out as they are if there is a match.
    Semi,
    /// They come out as they are if there is none.
    Anti,
    /// They come out as they are, with a column that says whether there is a match.
    Mark,
}

impl fmt::Display for JoinKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JoinKind::Inner => "inner",
            JoinKind::Left => "left",
            JoinKind::Semi => "semi",
            JoinKind::Anti => "anti",
            JoinKind::Mark => "mark",
        })
    }
}

/// One column of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderBy {
    /// The column.
    pub column: usize,
    /// Greatest first.
    pub descending: bool,
    /// NULLs before everything else.
    pub nulls_first: bool,
}

/// When rows of a stream are old enough to be forgotten.
///
/// Whole hours of event time go at once: a row whose time lies in the hour `[h, h + 1)` goes at the
/// first tick at or after `h + 1 + retain`. Bins that divide the hour therefore go whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The timestamp column (of the relation for a Get, of the group for a Reduce, of the left side
    /// for a Lookup, of the input for a TopK, a Window or a MapFilterProject).
    pub column: usize,
    /// How long rows are kept behind the end of their hour, in milliseconds.
    pub retain_ms: u64,
    /// How long behind the end of their hour rows may still come or change, in milliseconds, if the
    /// input promises that. What is older may be kept as its result alone.
    pub lateness_ms: Option<u64>,
}

impl Expiry {
    /// The same by another column.
    pub const fn of(self, column: usize) -> Expiry {
        Expiry { column, ..self }
    }

    /// The instant from which a row of time `at` no longer shows.
    pub const fn at(&self, at: Timestamp) -> Timestamp {
        Timestamp((at.0 / HOUR_MS + 1) * HOUR_MS + self.retain_ms)
    }

    /// The instant from which no row of time `at` comes, changes or goes, if there is one before
    /// [`Expiry::at`].
    pub fn settled_at(&self, at: Timestamp) -> Option<Timestamp> {
        let lateness_ms = self.lateness_ms.filter(|lateness| *lateness < self.retain_ms)?;
        Some(Timestamp((at.0 / HOUR_MS + 1) * HOUR_MS + lateness_ms))
    }
}

impl Node {
    /// The nodes it reads.
    pub fn inputs(&self) -> Vec<&Node> {
        match &self.op {
            Op::Get { .. } | Op::Constant { .. } | Op::Recurrence => Vec::new(),
            Op::MapFilterProject { input, .. }
            | Op::Reduce { input, .. }
            | Op::Distinct { input }
            | Op::TopK { input, .. }
            | Op::Window { input, .. }
            | Op::Unnest { input, .. }
            | Op::Negate { input }
            | Op::Threshold { input }
            | Op::Temporal { input, .. } => vec![input],
            Op::Join { left, right, .. }
            | Op::AsOf { left, right, .. }
            | Op::Lookup { left, right, .. } => vec![left, right],
            Op::Recursive { start, step } => vec![start, step],
            Op::Union { inputs } => inputs.iter().collect(),
        }
    }
}
