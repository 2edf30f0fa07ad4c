//! The plan while it is being made: the nodes of [`schemas::plan`], with expressions that can still
//! be rewritten.
//!
//! [`Rel::mfp`] keeps one form: no two adjacent stateless nodes that could be one, no projection
//! above a join or a read that the join or the read could do itself. Every pass builds through it,
//! so no pass has to tidy up.

use std::sync::Arc;

use datafusion::arrow::datatypes::FieldRef;
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use schemas::plan::Aggregate;
use schemas::plan::Expiry;
use schemas::plan::JoinKind;
use schemas::plan::OrderBy;
use schemas::plan::WindowCall;

use super::expr::Scalar;
use super::expr::as_column;
use super::expr::column;
use super::expr::replace;
use super::expr::uses;

/// A node and the columns it puts out.
#[derive(Clone, Debug)]
pub(crate) struct Rel {
    pub(crate) fields: Vec<FieldRef>,
    pub(crate) op: RelOp,
}

/// As in [`schemas::plan::Op`].
#[derive(Clone, Debug)]
pub(crate) enum RelOp {
    Get {
        relation: String,
        columns: Vec<usize>,
        expire: Option<Expiry>,
    },
    Mfp {
        input: Box<Rel>,
        filters: Vec<Scalar>,
        outputs: Vec<Scalar>,
    },
    Join(JoinRel),
    Reduce {
        input: Box<Rel>,
        group: Vec<usize>,
        aggregates: Vec<Aggregate>,
        expire: Option<Expiry>,
    },
    Sets(SetsRel),
    Distinct {
        input: Box<Rel>,
    },
    TopK(TopKRel),
    Window(WindowRel),
    AsOf(AsOfRel),
    Lookup(LookupRel),
    Recursive {
        start: Box<Rel>,
        step: Box<Rel>,
    },
    Recurrence,
    Unnest {
        input: Box<Rel>,
        column: usize,
    },
    Union {
        inputs: Vec<Rel>,
    },
    Negate {
        input: Box<Rel>,
    },
    Temporal {
        input: Box<Rel>,
        from: Option<Scalar>,
        until: Option<Scalar>,
    },
    Constant {
        rows: RecordBatch,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct JoinRel {
    pub(crate) left: Box<Rel>,
    pub(crate) right: Box<Rel>,
    pub(crate) left_key: Vec<usize>,
    pub(crate) right_key: Vec<usize>,
    pub(crate) nulls_equal: bool,
    pub(crate) kind: Kind,
    /// What a match must hold besides, over the columns of both sides; none of an inner join.
    pub(crate) residual: Vec<Scalar>,
    pub(crate) outputs: Vec<usize>,
}

/// The kinds of join as SQL has them: those of [`JoinKind`], and those that [`super::expand`] makes
/// of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One that an operator does, if there is no residual.
    Done(JoinKind),
    /// Matches, and the rows of either side without one.
    Full,
    /// Left rows whose key is not in the right side, as NOT IN has it: a NULL there, or a NULL key
    /// where there is any row, is unknown.
    NotIn,
}

impl JoinRel {
    /// Whether it is an inner join on plain equality.
    pub(crate) fn plain(&self) -> bool {
        self.kind == Kind::Done(JoinKind::Inner) && !self.nulls_equal
    }

    /// Whether only left columns come out, and perhaps a mark.
    pub(crate) fn asks(&self) -> bool {
        use JoinKind::*;
        matches!(self.kind, Kind::Done(Semi | Anti | Mark) | Kind::NotIn)
    }
}

/// GROUP BY of several sets of columns; [`super::expand`] makes one reduce of each.
///
/// The group columns come out first, NULL where a set leaves them out, then the number of the set,
/// then the aggregates.
#[derive(Clone, Debug)]
pub(crate) struct SetsRel {
    pub(crate) input: Box<Rel>,
    pub(crate) group: Vec<usize>,
    pub(crate) sets: Vec<GroupingSet>,
    pub(crate) aggregates: Vec<Aggregate>,
}

/// One set: which of the group columns it has, and its number.
#[derive(Clone, Debug)]
pub(crate) struct GroupingSet {
    pub(crate) has: Vec<bool>,
    pub(crate) id: ScalarValue,
}

#[derive(Clone, Debug)]
pub(crate) struct TopKRel {
    pub(crate) input: Box<Rel>,
    pub(crate) group: Vec<usize>,
    pub(crate) order: Vec<OrderBy>,
    pub(crate) limit: usize,
    pub(crate) expire: Option<Expiry>,
}

#[derive(Clone, Debug)]
pub(crate) struct WindowRel {
    pub(crate) input: Box<Rel>,
    pub(crate) partition: Vec<usize>,
    pub(crate) order: Vec<OrderBy>,
    pub(crate) calls: Vec<WindowCall>,
    pub(crate) expire: Option<Expiry>,
}

#[derive(Clone, Debug)]
pub(crate) struct AsOfRel {
    pub(crate) left: Box<Rel>,
    pub(crate) right: Box<Rel>,
    pub(crate) left_key: Vec<usize>,
    pub(crate) right_key: Vec<usize>,
    pub(crate) times: (usize, usize),
    pub(crate) before: bool,
    pub(crate) ties: Vec<OrderBy>,
    pub(crate) outer: bool,
    pub(crate) outputs: Vec<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct LookupRel {
    pub(crate) left: Box<Rel>,
    pub(crate) right: Box<Rel>,
    pub(crate) left_key: Vec<usize>,
    pub(crate) right_key: Vec<usize>,
    pub(crate) outer: bool,
    pub(crate) outputs: Vec<usize>,
    /// The left column with the event time of the stream, if its rows grow old.
    pub(crate) time: Option<usize>,
    /// By a left column.
    pub(crate) expire: Option<Expiry>,
}

impl Rel {
    /// The columns as a schema.
    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.fields.clone()))
    }

    /// How many columns it puts out.
    pub(crate) fn width(&self) -> usize {
        self.fields.len()
    }

    /// The expression for one of its columns.
    pub(crate) fn col(&self, index: usize) -> Scalar {
        column(index, self.fields[index].name())
    }

    /// The expression with its columns under the names that they have here.
    pub(crate) fn named(&self, expr: &Scalar) -> Scalar {
        replace(expr, &|i| self.col(i))
    }

    /// All its columns, each as itself.
    pub(crate) fn cols(&self) -> Vec<Scalar> {
        (0..self.width()).map(|i| self.col(i)).collect()
    }

    /// The same rows under other column names.
    pub(crate) fn renamed(self, fields: Vec<FieldRef>) -> Rel {
        let outputs = self.cols();
        Rel::mfp(self, Vec::new(), outputs, fields)
    }

    /// Only the rows for which all filters hold.
    pub(crate) fn filtered(self, filters: Vec<Scalar>) -> Rel {
        let (outputs, fields) = (self.cols(), self.fields.clone());
        Rel::mfp(self, filters, outputs, fields)
    }

    /// The input's rows filtered and projected, fused with what is below.
    pub(crate) fn mfp(
        input: Rel,
        filters: Vec<Scalar>,
        outputs: Vec<Scalar>,
        fields: Vec<FieldRef>,
    ) -> Rel {
        let identity = filters.is_empty()
            && outputs.len() == input.width()
            && outputs.iter().enumerate().all(|(i, e)| as_column(e) == Some(i));
        if identity && same_names(&input.fields, &fields) {
            return Rel { fields, op: input.op };
        }
        match input.op {
            RelOp::Mfp { input: below, filters: first, outputs: inner }
                if inlines(&inner, &filters, &outputs) =>
            {
                let with = |i: usize| inner[i].clone();
                let then = filters.iter().map(|e| replace(e, &with));
                let filters = first.into_iter().chain(then).collect();
                let outputs = outputs.iter().map(|e| replace(e, &with)).collect();
                Rel::mfp(*below, filters, outputs, fields)
            }
            RelOp::Get { relation, columns, expire }
                if filters.is_empty() && repeats(&outputs, &input.fields, &fields) =>
            {
                let columns = outputs.iter().filter_map(as_column).map(|i| columns[i]).collect();
                Rel { fields, op: RelOp::Get { relation, columns, expire } }
            }
            RelOp::Join(join)
                if filters.is_empty() && outputs.iter().all(|e| as_column(e).is_some()) =>
            {
                let picked = outputs.iter().filter_map(as_column).map(|i| join.outputs[i]);
                let outputs = picked.collect();
                Rel { fields, op: RelOp::Join(JoinRel { outputs, ..join }) }
            }
            RelOp::AsOf(join)
                if filters.is_empty() && outputs.iter().all(|e| as_column(e).is_some()) =>
            {
                let picked = outputs.iter().filter_map(as_column).map(|i| join.outputs[i]);
                let outputs = picked.collect();
                Rel { fields, op: RelOp::AsOf(AsOfRel { outputs, ..join }) }
            }
            RelOp::Lookup(lookup)
                if filters.is_empty() && outputs.iter().all(|e| as_column(e).is_some()) =>
            {
                let picked = outputs.iter().filter_map(as_column).map(|i| lookup.outputs[i]);
                let outputs = picked.collect();
                Rel { fields, op: RelOp::Lookup(LookupRel { outputs, ..lookup }) }
            }
            op if identity && !matches!(op, RelOp::Get { .. } | RelOp::Mfp { .. }) => {
                Rel { fields, op }
            }
            op => {
                let input = Rel { fields: input.fields, op };
                let filters = filters.into_iter().map(|e| input.named(&e)).collect();
                let outputs = outputs.into_iter().map(|e| input.named(&e)).collect();
                Rel { fields, op: RelOp::Mfp { input: Box::new(input), filters, outputs } }
            }
        }
    }

    /// Exactly these columns, in this order.
    pub(crate) fn picked(self, columns: &[usize]) -> Rel {
        let outputs = columns.iter().map(|i| self.col(*i)).collect();
        let fields = columns.iter().map(|i| self.fields[*i].clone()).collect();
        Rel::mfp(self, Vec::new(), outputs, fields)
    }

    /// The nodes it reads.
    pub(crate) fn inputs(&self) -> Vec<&Rel> {
        match &self.op {
            RelOp::Get { .. } | RelOp::Constant { .. } | RelOp::Recurrence => Vec::new(),
            RelOp::Mfp { input, .. }
            | RelOp::Reduce { input, .. }
            | RelOp::Distinct { input }
            | RelOp::Negate { input }
            | RelOp::Unnest { input, .. }
            | RelOp::Temporal { input, .. } => vec![input],
            RelOp::Sets(sets) => vec![&sets.input],
            RelOp::TopK(top) => vec![&top.input],
            RelOp::Window(window) => vec![&window.input],
            RelOp::Join(join) => vec![&join.left, &join.right],
            RelOp::AsOf(join) => vec![&join.left, &join.right],
            RelOp::Lookup(lookup) => vec![&lookup.left, &lookup.right],
            RelOp::Recursive { start, step } => vec![start, step],
            RelOp::Union { inputs } => inputs.iter().collect(),
        }
    }

    /// The nodes it reads, to be changed.
    pub(crate) fn inputs_mut(&mut self) -> Vec<&mut Rel> {
        match &mut self.op {
            RelOp::Get { .. } | RelOp::Constant { .. } | RelOp::Recurrence => Vec::new(),
            RelOp::Mfp { input, .. }
            | RelOp::Reduce { input, .. }
            | RelOp::Distinct { input }
            | RelOp::Negate { input }
            | RelOp::Unnest { input, .. }
            | RelOp::Temporal { input, .. } => vec![input],
            RelOp::Sets(sets) => vec![&mut sets.input],
            RelOp::TopK(top) => vec![&mut top.input],
            RelOp::Window(window) => vec![&mut window.input],
            RelOp::Join(join) => vec![&mut join.left, &mut join.right],
            RelOp::AsOf(join) => vec![&mut join.left, &mut join.right],
            RelOp::Lookup(lookup) => vec![&mut lookup.left, &mut lookup.right],
            RelOp::Recursive { start, step } => vec![start, step],
            RelOp::Union { inputs } => inputs.iter_mut().collect(),
        }
    }
}

fn same_names(a: &[FieldRef], b: &[FieldRef]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.name() == b.name())
}

/// Whether each output is an input column under its own name.
fn repeats(outputs: &[Scalar], input: &[FieldRef], fields: &[FieldRef]) -> bool {
    outputs
        .iter()
        .zip(fields)
        .all(|(e, field)| as_column(e).is_some_and(|i| input[i].name() == field.name()))
}

/// Whether putting the inner expressions in place computes none of them twice.
fn inlines(inner: &[Scalar], filters: &[Scalar], outputs: &[Scalar]) -> bool {
    let mut counts = vec![0_usize; inner.len()];
    for index in filters.iter().chain(outputs).flat_map(uses) {
        counts[index] += 1;
    }
    inner.iter().zip(counts).all(|(expr, n)| n <= 1 || expr.children().is_empty())
}
