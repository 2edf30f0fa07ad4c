//! The finished plan, handed to floor 0.

use std::sync::Arc;

use datafusion::arrow::datatypes::FieldRef;
use datafusion::arrow::datatypes::Schema;
use schemas::catalog::Catalog;
use schemas::plan::Aggregate;
use schemas::plan::Expiry;
use schemas::plan::Node;
use schemas::plan::OnError;
use schemas::plan::Op;

use super::expr::shared;
use super::rel::Kind;
use super::rel::Rel;
use super::rel::RelOp;
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
    let read = matches!(rel.op, RelOp::Get { .. } | RelOp::Constant { .. });
    let loose = on_error == OnError::Null && !read;
    let fields = rel.fields.iter().map(|field| {
        let nullable = loose || field.is_nullable();
        Arc::new(field.as_ref().clone().with_nullable(nullable).with_metadata(Default::default()))
    });
    let fields: Vec<FieldRef> = fields.collect();
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
            order: top.order.clone(),
            limit: top.limit,
            expire: top.expire,
        },
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
