//! The finished plan, handed to floor 0.
//!
//! Nothing is decided here any more but what follows from where a thing is forgotten: a node that
//! computes below one that forgets must forget its failures by the same time.

use std::sync::Arc;

use datafusion::arrow::datatypes::FieldRef;
use datafusion::arrow::datatypes::Schema;
use schemas::catalog::Catalog;
use schemas::plan::Aggregate;
use schemas::plan::Expiry;
use schemas::plan::Node;
use schemas::plan::OnError;
use schemas::plan::Op;
use schemas::plan::OrderBy;
use schemas::plan::WindowCall;

use super::expr::shared;
use super::rel::AsOfRel;
use super::rel::Kind;
use super::rel::LookupRel;
use super::rel::Rel;
use super::rel::RelOp;
use super::rel::TopKRel;
use super::rel::WindowRel;
use super::retain;
use super::retain::only_grows;

/// The node for floor 0. Where failing columns become NULL, every computed column may be NULL.
pub(crate) fn emit(rel: &Rel, catalog: &Catalog, on_error: OnError) -> Node {
    node(rel, catalog, on_error, None)
}

/// The node, with what the node above it forgets in its stead, by a column of its output.
fn node(rel: &Rel, catalog: &Catalog, on_error: OnError, above: Option<Expiry>) -> Node {
    let next = |rel: &Rel| Box::new(node(rel, catalog, on_error, None));
    let below = |rel: &Rel, expire| Box::new(node(rel, catalog, on_error, expire));
    let fields = fields(rel, on_error);
    let op = match &rel.op {
        RelOp::Get { relation, columns, expire } => {
            Op::Get { relation: relation.clone(), columns: columns.clone(), expire: *expire }
        }
        RelOp::Mfp { input, filters, outputs } => {
            let forget = above.and_then(|e| Some(e.of(retain::aging_like(&outputs[e.column])?)));
            Op::MapFilterProject {
                input: below(input, forget),
                filters: filters.iter().map(shared).collect(),
                projections: outputs.iter().map(shared).collect(),
                forget,
            }
        }
        RelOp::Join(join) => Op::Join {
            left: next(&join.left),
            right: next(&join.right),
            left_key: join.left_key.clone(),
            right_key: join.right_key.clone(),
            nulls_equal: join.nulls_equal,
            kind: match join.kind {
                Kind::Done(kind) if join.residual.is_empty() => kind,
                _ => unreachable!("the other joins were made of these"),
            },
            outputs: join.outputs.clone(),
        },
        RelOp::Reduce { input, group, aggregates, expire } => Op::Reduce {
            input: below(input, expire.map(|e| e.of(group[e.column]))),
            group: group.clone(),
            aggregates: (aggregates.iter().zip(&fields[group.len()..]))
                .map(|(a, field)| Aggregate { output: Arc::clone(field), ..a.clone() })
                .collect(),
            expire: *expire,
        },
        RelOp::Sets(_) => unreachable!("a reduce was made of each set"),
        RelOp::Distinct { input } => Op::Distinct { input: next(input) },
        RelOp::TopK(top) => Op::TopK {
            input: below(&top.input, top.expire),
            group: top.group.clone(),
            order: total(top),
            limit: top.limit,
            expire: top.expire,
        },
        RelOp::Window(window) => {
            windowed(window, below(&window.input, window.expire), &fields[window.input.width()..])
        }
        RelOp::AsOf(join) => latest(join, next(&join.left), next(&join.right)),
        RelOp::Lookup(lookup) => {
            let left = below(&lookup.left, lookup.expire.or(of_left(lookup, above)));
            looked_up(lookup, left, next(&lookup.right))
        }
        RelOp::Recursive { start, step } => Op::Recursive { start: next(start), step: next(step) },
        RelOp::Recurrence => Op::Recurrence,
        RelOp::Unnest { input, column } => Op::Unnest { input: next(input), column: *column },
        RelOp::Negate { input } => Op::Negate { input: next(input) },
        RelOp::Union { inputs } => Op::Union { inputs: inputs.iter().map(|i| *next(i)).collect() },
        RelOp::Temporal { input, from, until } => Op::Temporal {
            input: next(input),
            from: from.as_ref().map(shared),
            until: until.as_ref().map(shared),
        },
        RelOp::Constant { rows } => Op::Constant { rows: rows.clone() },
    };
    let schema = Arc::new(Schema::new(fields));
    Node { schema, append_only: only_grows(rel, catalog), op }
}

/// The columns that come out.
fn fields(rel: &Rel, on_error: OnError) -> Vec<FieldRef> {
    let read = matches!(rel.op, RelOp::Get { .. } | RelOp::Constant { .. });
    let loose = on_error == OnError::Null && !read;
    let fields = rel.fields.iter().map(|field| {
        let nullable = loose || field.is_nullable();
        Arc::new(field.as_ref().clone().with_nullable(nullable).with_metadata(Default::default()))
    });
    fields.collect()
}

fn windowed(window: &WindowRel, input: Box<Node>, outputs: &[FieldRef]) -> Op {
    let calls = window.calls.iter().zip(outputs);
    Op::Window {
        input,
        partition: window.partition.clone(),
        order: window.order.clone(),
        calls: calls
            .map(|(call, field)| WindowCall { output: Arc::clone(field), ..call.clone() })
            .collect(),
        expire: window.expire,
    }
}

fn latest(join: &AsOfRel, left: Box<Node>, right: Box<Node>) -> Op {
    Op::AsOf {
        left,
        right,
        left_key: join.left_key.clone(),
        right_key: join.right_key.clone(),
        times: join.times,
        before: join.before,
        ties: join.ties.clone(),
        outer: join.outer,
        outputs: join.outputs.clone(),
    }
}

/// What is forgotten above a lookup by a column of its left side, by that column.
fn of_left(lookup: &LookupRel, above: Option<Expiry>) -> Option<Expiry> {
    let above = above?;
    let output = lookup.outputs[above.column];
    (output < lookup.left.width()).then(|| above.of(output))
}

fn looked_up(lookup: &LookupRel, left: Box<Node>, right: Box<Node>) -> Op {
    Op::Lookup {
        left,
        right,
        left_key: lookup.left_key.clone(),
        right_key: lookup.right_key.clone(),
        outer: lookup.outer,
        outputs: lookup.outputs.clone(),
        expire: lookup.expire,
    }
}

/// The relations that a plan reads, in name order.
pub(crate) fn reads(rel: &Rel) -> Vec<String> {
    let mut names = Vec::new();
    collect(rel, &mut names);
    names.sort();
    names.dedup();
    names
}

fn collect(rel: &Rel, names: &mut Vec<String>) {
    if let RelOp::Get { relation, .. } = &rel.op {
        names.push(relation.clone());
    }
    for input in rel.inputs() {
        collect(input, names);
    }
}

/// The order of a TopK with the columns that it does not name: rows that differ are never equal to
/// it. Those are values of windows, which nobody knew of when the order was made.
fn total(top: &TopKRel) -> Vec<OrderBy> {
    let named = |column: &usize| {
        top.group.contains(column) || top.order.iter().any(|by| by.column == *column)
    };
    let rest = (0..top.input.width()).filter(|column| !named(column));
    let rest = rest.map(|column| OrderBy { column, descending: false, nulls_first: false });
    top.order.iter().copied().chain(rest).collect()
}
