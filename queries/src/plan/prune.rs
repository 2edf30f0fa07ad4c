//! Columns that nobody above asks for are not computed, joined or kept.
//!
//! State is what a view costs, and its size is that of the columns in it. DataFusion prunes too,
//! but before our own nodes are made and without their positions; so it is done once more here, on
//! the tree that is emitted.
//!
//! **Invariant:** a pruned tree has the same rows in the wanted columns, as often as before.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::FieldRef;
use schemas::plan::Aggregate;
use schemas::plan::OrderBy;
use schemas::plan::WindowCall;

use super::expr::Scalar;
use super::expr::column;
use super::expr::columns_of;
use super::expr::replace;
use super::rel::AsOfRel;
use super::rel::JoinRel;
use super::rel::LookupRel;
use super::rel::Rel;
use super::rel::RelOp;
use super::rel::SetsRel;
use super::rel::TopKRel;
use super::rel::WindowRel;

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
            let (input, group, aggregates) = prune_reduce(*input, &group, aggregates);
            let op = RelOp::Reduce { input: Box::new(input), group, aggregates, expire };
            let out = (0..groups).chain(kept).collect::<Vec<_>>();
            fit(op, &fields, &out, wanted)
        }
        RelOp::Sets(sets) => prune_sets(sets, &fields, wanted),
        RelOp::Distinct { input } => {
            let all: Vec<usize> = (0..fields.len()).collect();
            let input = Box::new(prune(*input, &all));
            fit(RelOp::Distinct { input }, &fields, &all, wanted)
        }
        RelOp::TopK(top) => prune_top_k(top, &fields, wanted),
        RelOp::Unnest { input, column } => {
            // How often a row is there is the length of its list.
            let need = Need::of(wanted.iter().copied().chain([column]));
            let input = Box::new(prune(*input, &need.columns));
            let op = RelOp::Unnest { input, column: need.at(column) };
            fit(op, &fields, &need.columns, wanted)
        }
        RelOp::Window(window) => prune_window(window, &fields, wanted),
        RelOp::AsOf(join) => prune_as_of(join, wanted, picked),
        RelOp::Lookup(lookup) => prune_lookup(lookup, wanted, picked),
        op @ (RelOp::Recursive { .. } | RelOp::Recurrence) => recursive(op, &fields, wanted),
        RelOp::Union { inputs } => {
            let inputs = inputs.into_iter().map(|input| prune(input, wanted)).collect();
            Rel { fields: picked, op: RelOp::Union { inputs } }
        }
        RelOp::Negate { input } => {
            let input = Box::new(prune(*input, wanted));
            Rel { fields: picked, op: RelOp::Negate { input } }
        }
        RelOp::Temporal { input, from, until } => {
            prune_temporal(*input, (from, until), &fields, wanted)
        }
        RelOp::Constant { rows } => {
            let rows = rows.project(wanted).expect("wanted columns are columns");
            Rel { fields: picked, op: RelOp::Constant { rows } }
        }
    }
}

/// A recursion, or its rows: which rows there are depends on all columns.
fn recursive(op: RelOp, fields: &[FieldRef], wanted: &[usize]) -> Rel {
    let all: Vec<usize> = (0..fields.len()).collect();
    let op = match op {
        RelOp::Recursive { start, step } => {
            let whole = |part: Rel| Box::new(prune(part, &all));
            RelOp::Recursive { start: whole(*start), step: whole(*step) }
        }
        op => op,
    };
    fit(op, fields, &all, wanted)
}

/// The input, groups and aggregates of a reduce, over the columns that they use.
fn prune_reduce(
    input: Rel,
    group: &[usize],
    mut aggregates: Vec<Aggregate>,
) -> (Rel, Vec<usize>, Vec<Aggregate>) {
    let arguments = aggregates.iter().flat_map(|a| a.arguments.iter().chain(&a.filter));
    let need = Need::some(group.iter().chain(arguments).copied(), input.width());
    let input = prune(input, &need.columns);
    let group = group.iter().map(|i| need.at(*i)).collect();
    for aggregate in &mut aggregates {
        let columns = aggregate.arguments.iter_mut().chain(&mut aggregate.filter);
        columns.for_each(|i| *i = need.at(*i));
    }
    (input, group, aggregates)
}

/// As a reduce; the number of the set stands between groups and aggregates.
fn prune_sets(sets: SetsRel, fields: &[FieldRef], wanted: &[usize]) -> Rel {
    let first = sets.group.len() + 1;
    let kept = Need::of(wanted.iter().filter(|i| **i >= first).copied()).columns;
    let aggregates = kept.iter().map(|i| sets.aggregates[i - first].clone()).collect();
    let (input, group, aggregates) = prune_reduce(*sets.input, &sets.group, aggregates);
    let input = Box::new(input);
    let op = RelOp::Sets(SetsRel { input, group, sets: sets.sets, aggregates });
    let out = (0..first).chain(kept).collect::<Vec<_>>();
    fit(op, fields, &out, wanted)
}

fn prune_top_k(top: TopKRel, fields: &[FieldRef], wanted: &[usize]) -> Rel {
    let ordered = top.order.iter().map(|o| o.column);
    let need = Need::of(top.group.iter().copied().chain(ordered).chain(wanted.iter().copied()));
    let input = Box::new(prune(*top.input, &need.columns));
    let group = top.group.iter().map(|i| need.at(*i)).collect();
    let order = top.order.iter();
    let order = order.map(|o| OrderBy { column: need.at(o.column), ..*o }).collect();
    let op = RelOp::TopK(TopKRel { input, group, order, ..top });
    fit(op, fields, &need.columns, wanted)
}

/// Values that nobody asks for are not computed; where that is all of them, the rows are as they
/// were.
fn prune_window(window: WindowRel, fields: &[FieldRef], wanted: &[usize]) -> Rel {
    let width = window.input.width();
    let kept = Need::of(wanted.iter().copied().filter(|i| *i >= width)).columns;
    if kept.is_empty() {
        return prune(*window.input, wanted);
    }
    let mut calls: Vec<WindowCall> = kept.iter().map(|i| window.calls[i - width].clone()).collect();
    let arguments = calls.iter().flat_map(|call| call.arguments.iter().copied());
    let ordered = window.order.iter().map(|o| o.column);
    let below = wanted.iter().copied().filter(|i| *i < width);
    let used = window.partition.iter().copied().chain(ordered).chain(arguments).chain(below);
    let need = Need::some(used, width);
    for call in &mut calls {
        call.arguments.iter_mut().for_each(|i| *i = need.at(*i));
    }
    let input = Box::new(prune(*window.input, &need.columns));
    let partition = window.partition.iter().map(|i| need.at(*i)).collect();
    let order = window.order.iter();
    let order = order.map(|o| OrderBy { column: need.at(o.column), ..*o }).collect();
    let op = RelOp::Window(WindowRel { input, partition, order, calls, expire: window.expire });
    let out: Vec<usize> = need.columns.iter().copied().chain(kept).collect();
    fit(op, fields, &out, wanted)
}

fn prune_as_of(join: AsOfRel, wanted: &[usize], fields: Vec<FieldRef>) -> Rel {
    let outputs: Vec<usize> = wanted.iter().map(|i| join.outputs[*i]).collect();
    let split = join.left.width();
    let of_left = outputs.iter().copied().filter(|i| *i < split);
    let of_left = of_left.chain(join.left_key.iter().copied()).chain([join.times.0]);
    let of_right = outputs.iter().filter_map(|i| i.checked_sub(split));
    let of_right = of_right.chain(join.right_key.iter().copied()).chain([join.times.1]);
    let of_right = of_right.chain(join.ties.iter().map(|o| o.column));
    let (left_need, right_need) = (Need::of(of_left), Need::of(of_right));
    let left = prune(*join.left, &left_need.columns);
    let right = prune(*join.right, &right_need.columns);
    let output = |i: &usize| match i.checked_sub(split) {
        None => left_need.at(*i),
        Some(i) => left.width() + right_need.at(i),
    };
    let op = AsOfRel {
        outputs: outputs.iter().map(output).collect(),
        left_key: join.left_key.iter().map(|i| left_need.at(*i)).collect(),
        right_key: join.right_key.iter().map(|i| right_need.at(*i)).collect(),
        times: (left_need.at(join.times.0), right_need.at(join.times.1)),
        ties: (join.ties.iter())
            .map(|o| OrderBy { column: right_need.at(o.column), ..*o })
            .collect(),
        left: Box::new(left),
        right: Box::new(right),
        ..join
    };
    Rel { fields, op: RelOp::AsOf(op) }
}

fn prune_lookup(lookup: LookupRel, wanted: &[usize], fields: Vec<FieldRef>) -> Rel {
    let outputs: Vec<usize> = wanted.iter().map(|i| lookup.outputs[*i]).collect();
    let split = lookup.left.width();
    let of_left = outputs.iter().copied().filter(|i| *i < split);
    let of_left = of_left.chain(lookup.left_key.iter().copied()).chain(lookup.time);
    let of_right = outputs.iter().filter_map(|i| i.checked_sub(split));
    let of_right = of_right.chain(lookup.right_key.iter().copied());
    let (left_need, right_need) = (Need::of(of_left), Need::of(of_right));
    let left = prune(*lookup.left, &left_need.columns);
    let right = prune(*lookup.right, &right_need.columns);
    let output = |i: &usize| match i.checked_sub(split) {
        None => left_need.at(*i),
        Some(i) => left.width() + right_need.at(i),
    };
    let op = LookupRel {
        outputs: outputs.iter().map(output).collect(),
        left_key: lookup.left_key.iter().map(|i| left_need.at(*i)).collect(),
        right_key: lookup.right_key.iter().map(|i| right_need.at(*i)).collect(),
        time: lookup.time.map(|i| left_need.at(i)),
        left: Box::new(left),
        right: Box::new(right),
        ..lookup
    };
    Rel { fields, op: RelOp::Lookup(op) }
}

fn prune_temporal(
    input: Rel,
    (from, until): (Option<Scalar>, Option<Scalar>),
    fields: &[FieldRef],
    wanted: &[usize],
) -> Rel {
    let bounds = from.iter().chain(&until).flat_map(columns_of);
    let need = Need::of(bounds.chain(wanted.iter().copied()));
    let input = Box::new(prune(input, &need.columns));
    let from = from.map(|e| need.renumber(&e, &input));
    let until = until.map(|e| need.renumber(&e, &input));
    fit(RelOp::Temporal { input, from, until }, fields, &need.columns, wanted)
}

fn prune_join(join: JoinRel, wanted: &[usize], fields: Vec<FieldRef>) -> Rel {
    let outputs: Vec<usize> = wanted.iter().map(|i| join.outputs[*i]).collect();
    let (split, asks) = (join.left.width(), join.asks());
    let residual: Vec<usize> = join.residual.iter().flat_map(columns_of).collect();
    // The mark of a mark join stands where the right columns of others do.
    let from_right = outputs.iter().copied().filter(|i| *i >= split && !asks);
    let from_right = from_right.chain(residual.iter().copied().filter(|i| *i >= split));
    let of_right = from_right.map(|i| i - split).chain(join.right_key.iter().copied());
    let from_left = outputs.iter().chain(&residual).copied().filter(|i| *i < split);
    let of_left = from_left.chain(join.left_key.iter().copied());
    let left_need = Need::some(of_left, split);
    let right_need = Need::some(of_right, join.right.width());
    let left = prune(*join.left, &left_need.columns);
    let right = prune(*join.right, &right_need.columns);
    let at = |i: usize| match i.checked_sub(split) {
        None => left_need.at(i),
        Some(i) => left.width() + right_need.at(i),
    };
    let output = |i: &usize| if *i >= split && asks { left.width() } else { at(*i) };
    let outputs = outputs.iter().map(output).collect();
    let named = |i: usize| {
        let at = at(i);
        let field = left.fields.iter().chain(&right.fields).nth(at).expect("a column of a side");
        column(at, field.name())
    };
    let residual = join.residual.iter().map(|e| replace(e, &named)).collect();
    let left_key = join.left_key.iter().map(|i| left_need.at(*i)).collect();
    let right_key = join.right_key.iter().map(|i| right_need.at(*i)).collect();
    let (left, right) = (Box::new(left), Box::new(right));
    let op = JoinRel { left, right, left_key, right_key, residual, outputs, ..join };
    Rel { fields, op: RelOp::Join(op) }
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
