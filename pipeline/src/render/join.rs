//! Join: rows with equal keys, restated when either side changes.
//!
//! Each side is kept by the key's bytes; the value holds only the columns that come out and are
//! not in the key. Output rows are cut and pasted from the bytes of key and values, so nothing is
//! decoded. Unless NULLs are equal, rows with a NULL key are dropped, but for the left side of a
//! left, anti or mark join, where they are unmatched.
//!
//! # Bounds
//!
//! One entry a row on each side, for as long as the row stands; of the right side of a semi, anti
//! or mark join one count a key.

pub(super) mod indexed;
mod paste;
mod state;
mod values;

use std::sync::Arc;

use arrow_array::Array;
use arrow_schema::SchemaRef;
use differential_dataflow::AsCollection;
use schemas::plan::JoinKind;
use schemas::plan::Node;
use schemas::plan::Op;
use schemas::row::Layout;
use schemas::row::Row;
use schemas::row::Splice;
use timely::ExchangeData;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Operator;

use self::paste::Columns;
pub(super) use self::paste::nulls;
use self::state::Change;
use self::state::Joined;
use super::Context;
use super::RenderError;
use super::convert;
use super::layout;
use super::nullable;
use crate::delta::Diff;
use crate::delta::Edge;
use crate::delta::Oks;
use crate::delta::Time;
use crate::gauge::Gauge;
use crate::stepwise::stepwise_pair;

/// Renders a Join; `picks` selects among its outputs where a projection stands right above it.
pub(crate) fn join<'s>(
    context: &Context<'_, 's>,
    node: &Node,
    picks: Option<Vec<usize>>,
    schema: &SchemaRef,
    gauges: [Arc<Gauge>; 2],
) -> Result<Edge<'s>, RenderError> {
    let Op::Join { left, right, left_key, right_key, nulls_equal, kind, outputs } = &node.op else {
        unreachable!("the caller matched a Join")
    };
    let outputs: Vec<usize> = match picks {
        Some(picks) => picks.into_iter().map(|pick| outputs[pick]).collect(),
        None => outputs.clone(),
    };
    let (left, right) = (context.render(left)?, context.render(right)?);
    let faults = left.faults.iter().chain(&right.faults).cloned().collect();
    let columns = Columns::new(*kind, left.schema.fields().len(), (left_key, right_key), &outputs);
    let paste = columns.paste(&left.schema, &right.schema)?;
    // A row without a key can only be without a match.
    let keeps_unmatched = matches!(kind, JoinKind::Left | JoinKind::Anti | JoinKind::Mark);
    let left = arm(left, left_key, &columns.left_values, keeps_unmatched || *nulls_equal)?;
    let right = arm(right, right_key, &columns.right_values, *nulls_equal)?;
    let state = Joined::new(paste, gauges);
    let name = match kind {
        JoinKind::Inner => "Join",
        JoinKind::Left => "Join: left",
        JoinKind::Semi => "Join: semi",
        JoinKind::Anti => "Join: anti",
        JoinKind::Mark => "Join: mark",
    };
    let oks = match (left, right) {
        (Arm::Rows(l, of), Arm::Rows(r, with)) => joined(name, (l, of), (r, with), state),
        (Arm::Rows(l, of), Arm::Pairs(r, with)) => joined(name, (l, of), (r, with), state),
        (Arm::Pairs(l, of), Arm::Rows(r, with)) => joined(name, (l, of), (r, with), state),
        (Arm::Pairs(l, of), Arm::Pairs(r, with)) => joined(name, (l, of), (r, with), state),
    };
    Ok(Edge { schema: nullable(schema), oks: Oks::Rows(oks.as_collection()), faults })
}

/// One input of a join.
enum Arm<'s> {
    /// Rows as they came out below; they are cut where they arrive.
    Rows(StreamVec<'s, Time, (Row, Time, Diff)>, Cut<(Row, Time, Diff)>),
    /// Key and value, encoded from batches.
    Pairs(StreamVec<'s, Time, Pair>, Cut<Pair>),
}

/// Key and value of a row that changes.
type Pair = ((Row, Row), Time, Diff);

/// Where an item of an input belongs, and what it changes.
struct Cut<D> {
    route: Box<dyn FnMut(&D) -> u64>,
    change: Box<dyn FnMut(D) -> Option<(Time, Change)>>,
}

fn joined<'s, A: ExchangeData, B: ExchangeData>(
    name: &str,
    left: (StreamVec<'s, Time, A>, Cut<A>),
    right: (StreamVec<'s, Time, B>, Cut<B>),
    state: Joined,
) -> StreamVec<'s, Time, (Row, Time, Diff)> {
    let (left, cut_left) = left;
    let (right, cut_right) = right;
    let left = (left, Exchange::new(cut_left.route), cut_left.change);
    let right = (right, Exchange::new(cut_right.route), cut_right.change);
    stepwise_pair(left, right, name, state)
}

/// The rows of an edge on their way into a join.
fn arm<'s>(
    edge: Edge<'s>,
    key: &[usize],
    values: &[usize],
    null_keys: bool,
) -> Result<Arm<'s>, RenderError> {
    let batches = match edge.oks {
        Oks::Rows(rows) => {
            let layout = layout(&edge.schema, "Join")?;
            return Ok(Arm::Rows(rows.inner, cut(layout, key, values, null_keys)));
        }
        Oks::Batches(batches) => batches,
    };
    let mut pair = convert::Pair::new(&edge.schema, key, values, "Join")?;
    let key = key.to_vec();
    let pairs = batches.unary::<CapacityContainerBuilder<Vec<Pair>>, _, _, _>(
        Pipeline,
        "Encode: join",
        |_, _| {
            move |input, output| {
                input.for_each(|cap, data| {
                    let mut session = output.session(&cap);
                    for delta in data.drain(..) {
                        let (keys, values) = pair.rows(&delta.batch);
                        let null = |row: usize| {
                            let column = |k: &usize| delta.batch.column(*k);
                            !null_keys && key.iter().any(|k| column(k).is_null(row))
                        };
                        let rows = keys.into_iter().zip(values).enumerate();
                        for (row, pair) in rows.filter(|(row, _)| !null(*row)) {
                            session.give((pair, delta.time, delta.diffs.at(row)));
                        }
                    }
                });
            }
        },
    );
    let cut = Cut {
        route: Box::new(|((key, _), _, _): &Pair| crate::route(key.as_bytes())),
        change: Box::new(|((key, value), time, diff)| Some((time, (key, value, diff)))),
    };
    Ok(Arm::Pairs(pairs, cut))
}

/// Cuts rows into key and value where they arrive; without `null_keys` those whose key has a NULL
/// are dropped.
fn cut(layout: Layout, key: &[usize], values: &[usize], null_keys: bool) -> Cut<(Row, Time, Diff)> {
    let of = |columns: &[usize]| Splice::new(vec![layout.clone()], columns);
    let (mut routed, mut keys, mut values) = (of(key), of(key), of(values));
    let (key, mut ends) = (key.to_vec(), Vec::new());
    let change = move |(row, time, diff): (Row, Time, Diff)| {
        let bytes = row.as_bytes();
        if !null_keys {
            ends.clear();
            layout.ends(bytes, &mut ends);
            let start = |column: usize| if column == 0 { 0 } else { ends[column - 1] };
            // arrow-row marks NULL with a 0 in a column's first byte.
            if key.iter().any(|k| bytes[start(*k)] == 0) {
                return None;
            }
        }
        Some((time, (keys.row(&[bytes]), values.row(&[bytes]), diff)))
    };
    Cut {
        route: Box::new(move |(row, _, _)| crate::route(routed.bytes(&[row.as_bytes()]))),
        change: Box::new(change),
    }
}
