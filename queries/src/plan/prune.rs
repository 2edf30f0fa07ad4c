//! Columns that nobody above asks for are not computed, joined or kept.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::FieldRef;
use schemas::plan::Aggregate;
use schemas::plan::Expiry;
use schemas::plan::OrderBy;

use super::expr::Scalar;
use super::expr::column;
use super::expr::columns_of;
use super::expr::replace;
use super::rel::JoinRel;
use super::rel::Rel;
use super::rel::RelOp;
use super::rel::TopKRel;

/// The same rows with exactly the `wanted` columns, in that order.
pub(crate) fn prune(rel: Rel, wanted: &[usize]) -> Rel {
    let fields = rel.fields;
    let picked: Vec<_> = wanted.iter().map(|i| fields[*i].clone()).collect();
    match rel.op {
        RelOp::Get { relation, columns, expire } => {
            let columns = wanted.iter().map(|i| columns[*i]).collect();
            Rel { fields: picked, op: RelOp::Get { relation, columns, expire } }
        }
        RelOp::Mfp { input, filters, outputs } => {
            let outputs: Vec<Scalar> = wanted.iter().map(|i| outputs[*i].clone()).collect();
            let need =
                Need::some(filters.iter().chain(&outputs).flat_map(columns_of), input.width());
            let input = prune(*input, &need.columns);
            let filters = filters.iter().map(|e| need.renumber(e, &input)).collect();
            let outputs = outputs.iter().map(|e| need.renumber(e, &input)).collect();
            Rel::mfp(input, filters, outputs, picked)
        }
        RelOp::Join(join) => prune_join(join, wanted, picked),
        RelOp::Reduce { input, group, aggregates, expire } => {
            let groups = group.len();
            let kept = Need::of(wanted.iter().filter(|i| **i >= groups).copied()).columns;
            let aggregates = kept.iter().map(|i| aggregates[i - groups].clone()).collect();
            let op = prune_reduce(*input, &group, aggregates, expire);
            let out = (0..groups).chain(kept).collect::<Vec<_>>();
            fit(op, &fields, &out, wanted)
        }
        RelOp::Distinct { input } => {
            let all: Vec<usize> = (0..fields.len()).collect();
            let input = Box::new(prune(*input, &all));
            fit(RelOp::Distinct { input }, &fields, &all, wanted)
        }
        RelOp::TopK(top) => {
            let ordered = top.order.iter().map(|o| o.column);
            let need =
                Need::of(top.group.iter().copied().chain(ordered).chain(wanted.iter().copied()));
            let input = Box::new(prune(*top.input, &need.columns));
            let group = top.group.iter().map(|i| need.at(*i)).collect();
            let order = top.order.iter();
            let order = order.map(|o| OrderBy { column: need.at(o.column), ..*o }).collect();
            let op = RelOp::TopK(TopKRel { input, group, order, ..top });
            fit(op, &fields, &need.columns, wanted)
        }
        RelOp::Union { inputs } => {
            let inputs = inputs.into_iter().map(|input| prune(input, wanted)).collect();
            Rel { fields: picked, op: RelOp::Union { inputs } }
        }
        RelOp::Temporal { input, from, until } => {
            let bounds = from.iter().chain(&until).flat_map(columns_of);
            let need = Need::of(bounds.chain(wanted.iter().copied()));
            let input = Box::new(prune(*input, &need.columns));
            let from = from.map(|e| need.renumber(&e, &input));
            let until = until.map(|e| need.renumber(&e, &input));
            fit(RelOp::Temporal { input, from, until }, &fields, &need.columns, wanted)
        }
        RelOp::Constant { rows } => {
            let rows = rows.project(wanted).expect("wanted columns are columns");
            Rel { fields: picked, op: RelOp::Constant { rows } }
        }
    }
}

/// A reduce over the columns that its groups and these aggregates use.
fn prune_reduce(
    input: Rel,
    group: &[usize],
    mut aggregates: Vec<Aggregate>,
    expire: Option<Expiry>,
) -> RelOp {
    let arguments = aggregates.iter().flat_map(|a| a.arguments.iter().chain(&a.filter));
    let need = Need::some(group.iter().chain(arguments).copied(), input.width());
    let input = Box::new(prune(input, &need.columns));
    let group = group.iter().map(|i| need.at(*i)).collect();
    for aggregate in &mut aggregates {
        let columns = aggregate.arguments.iter_mut().chain(&mut aggregate.filter);
        columns.for_each(|i| *i = need.at(*i));
    }
    RelOp::Reduce { input, group, aggregates, expire }
}

fn prune_join(join: JoinRel, wanted: &[usize], fields: Vec<FieldRef>) -> Rel {
    let outputs: Vec<usize> = wanted.iter().map(|i| join.outputs[*i]).collect();
    let split = join.left.width();
    let of_left = outputs.iter().copied().filter(|i| *i < split);
    let of_right = outputs.iter().filter(|i| **i >= split).map(|i| i - split);
    let left_need = Need::of(join.left_key.iter().copied().chain(of_left));
    let right_need = Need::of(join.right_key.iter().copied().chain(of_right));
    let left = prune(*join.left, &left_need.columns);
    let right = prune(*join.right, &right_need.columns);
    let outputs = outputs
        .iter()
        .map(|i| match i.checked_sub(split) {
            None => left_need.at(*i),
            Some(i) => left.width() + right_need.at(i),
        })
        .collect();
    let left_key = join.left_key.iter().map(|i| left_need.at(*i)).collect();
    let right_key = join.right_key.iter().map(|i| right_need.at(*i)).collect();
    let (left, right) = (Box::new(left), Box::new(right));
    let op = RelOp::Join(JoinRel { left, right, left_key, right_key, kind: join.kind, outputs });
    Rel { fields, op }
}

/// The operator puts out the columns `out` of `fields`; what is wanted of them, in the wanted
/// order.
fn fit(op: RelOp, fields: &[FieldRef], out: &[usize], wanted: &[usize]) -> Rel {
    let rel = Rel { fields: out.iter().map(|i| fields[*i].clone()).collect(), op };
    let at = |i: &usize| out.iter().position(|o| o == i).expect("what is wanted is put out");
    let positions: Vec<usize> = wanted.iter().map(at).collect();
    rel.picked(&positions)
}

/// The columns needed of an input, ascending.
struct Need {
    columns: Vec<usize>,
}

impl Need {
    fn of(columns: impl Iterator<Item = usize>) -> Need {
        Need { columns: columns.collect::<BTreeSet<_>>().into_iter().collect() }
    }

    /// At least one column, where the input has one: a batch without columns is easily miscounted.
    fn some(columns: impl Iterator<Item = usize>, width: usize) -> Need {
        let mut need = Need::of(columns);
        if need.columns.is_empty() && width > 0 {
            need.columns.push(0);
        }
        need
    }

    fn at(&self, column: usize) -> usize {
        self.columns.binary_search(&column).expect("needed columns were collected first")
    }

    fn renumber(&self, expr: &Scalar, input: &Rel) -> Scalar {
        replace(expr, &|i| {
            let at = self.at(i);
            column(at, input.fields[at].name())
        })
    }
}
