//! Reduce: groups and their aggregates.
//!
//! Two operators. The first, stateless, adds up what one activation brings, per group, so that only
//! one small record a group and activation crosses to the group's worker; it reads group and
//! arguments straight from the bytes of joined rows where it can. The second keeps the groups and
//! says what changed.
//!
//! # Bounds
//!
//! One entry a group: fixed size for accumulable aggregates, the argument values for ordered and
//! basic ones. With `expire`, a group goes when its time column is older than the stream retains.

mod partial;
mod state;

use std::sync::Arc;

use arrow_schema::DataType;
use arrow_schema::SchemaRef;
use differential_dataflow::AsCollection;
use schemas::contract::Fault;
use schemas::plan::Aggregate;
use schemas::plan::AggregateFunction;
use schemas::plan::Expiry;
use schemas::row::Row;
use serde::Deserialize;
use serde::Serialize;
use timely::dataflow::channels::pact::Exchange;

use super::Context;
use super::RenderError;
use super::accumulate::Accumulators;
use super::accumulate::SQUARE_MAX;
use super::accumulate::SUM_MAX;
use super::layout;
use super::nullable;
use super::project;
use crate::delta::Diff;
use crate::delta::Edge;
use crate::delta::Oks;
use crate::delta::Time;
use crate::stepwise::stepwise;

/// What one activation adds to one group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) group: Row,
    pub(crate) time: Time,
    pub(crate) sums: Accumulators,
    /// Changes of argument values: which aggregate, the values, how often.
    pub(crate) values: Vec<(u32, Row, Diff)>,
}

/// How the aggregates of one node share accumulators.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) group: Vec<usize>,
    pub(crate) aggregates: Vec<Aggregate>,
    /// What each slot sums.
    pub(crate) slots: Vec<SlotOf>,
    /// The slot of each aggregate's argument, and of its square.
    pub(crate) slot_of: Vec<(Option<usize>, Option<usize>)>,
    /// Whether group and arguments can be read from the bytes of a row.
    pub(crate) by_bytes: bool,
}

/// What one slot sums.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SlotOf {
    /// The argument, or none to count the rows that pass the filter.
    pub(crate) argument: Option<usize>,
    pub(crate) filter: Option<usize>,
    pub(crate) kind: SlotKind,
}

/// How a slot reads its argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SlotKind {
    /// Counts values that are not NULL.
    Count,
    Float,
    Square,
    Int,
}

impl SlotKind {
    /// The greatest magnitude it takes.
    pub(crate) fn max(self) -> f64 {
        if self == SlotKind::Square { SQUARE_MAX } else { SUM_MAX }
    }
}

impl Shape {
    fn new(
        input: &SchemaRef,
        group: &[usize],
        aggregates: &[Aggregate],
    ) -> Result<Shape, RenderError> {
        let mut slots: Vec<SlotOf> = Vec::new();
        let mut slot = |of: SlotOf| {
            slots.iter().position(|s| *s == of).unwrap_or_else(|| {
                slots.push(of);
                slots.len() - 1
            })
        };
        let mut slot_of = Vec::new();
        for aggregate in aggregates {
            let (argument, filter) = (aggregate.arguments.first().copied(), aggregate.filter);
            slot_of.push(match &aggregate.function {
                AggregateFunction::CountRows if filter.is_none() => (None, None),
                AggregateFunction::CountRows => {
                    (Some(slot(SlotOf { argument: None, filter, kind: SlotKind::Count })), None)
                }
                AggregateFunction::Count => {
                    (Some(slot(SlotOf { argument, filter, kind: SlotKind::Count })), None)
                }
                AggregateFunction::Sum | AggregateFunction::Avg => {
                    let kind = kind_of(input, aggregate)?;
                    (Some(slot(SlotOf { argument, filter, kind })), None)
                }
                AggregateFunction::Variance { .. } => {
                    let kind = kind_of(input, aggregate)?;
                    if kind != SlotKind::Float {
                        return Err(unsupported(input, aggregate));
                    }
                    let sum = slot(SlotOf { argument, filter, kind });
                    let square = slot(SlotOf { argument, filter, kind: SlotKind::Square });
                    (Some(sum), Some(square))
                }
                _ => (None, None),
            });
        }
        let plain = |slot: &SlotOf| {
            let of = slot.argument.map(|a| input.field(a).data_type());
            let known = matches!(of, None | Some(DataType::Float64 | DataType::Int64));
            slot.filter.is_none() && (known || slot.kind == SlotKind::Count)
        };
        let by_bytes = aggregates.iter().all(|a| a.function.accumulable())
            && slots.iter().all(plain)
            && layout(input, "Reduce").is_ok();
        let (group, aggregates) = (group.to_vec(), aggregates.to_vec());
        Ok(Shape { group, aggregates, slots, slot_of, by_bytes })
    }
}

fn kind_of(input: &SchemaRef, aggregate: &Aggregate) -> Result<SlotKind, RenderError> {
    use DataType::*;
    let argument = aggregate.arguments.first();
    match argument.map(|a| input.field(*a).data_type()) {
        Some(Float64 | Float32) => Ok(SlotKind::Float),
        Some(Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64) => Ok(SlotKind::Int),
        Some(Decimal128(..)) if matches!(aggregate.function, AggregateFunction::Sum) => {
            Ok(SlotKind::Int)
        }
        _ => Err(unsupported(input, aggregate)),
    }
}

fn unsupported(input: &SchemaRef, aggregate: &Aggregate) -> RenderError {
    let argument = aggregate.arguments.first();
    RenderError::Aggregate {
        function: aggregate.function.to_string(),
        data_type: argument.map_or(DataType::Null, |a| input.field(*a).data_type().clone()),
    }
}

/// Groups and aggregates.
pub(crate) fn reduce<'s>(
    context: &Context<'_, 's>,
    input: Edge<'s>,
    group: &[usize],
    aggregates: &[Aggregate],
    expire: Option<Expiry>,
    schema: &SchemaRef,
) -> Result<Edge<'s>, RenderError> {
    let shape = Arc::new(Shape::new(&input.schema, group, aggregates)?);
    let schema = nullable(schema);
    let mut faults = input.faults.clone();
    let input_schema = input.schema.clone();
    let (parts, failed) = partial::partial(input, &shape)?;
    faults.push(failed);
    // The one group of a reduce without group columns lives where its empty key is routed to.
    let (index, peers) = (context.scope.index() as u64, context.scope.peers() as u64);
    let first = crate::route(Row::empty().as_bytes()) % peers == index;
    let groups = state::Groups::new(shape, &input_schema, &schema, expire, first)?;
    let route = Exchange::new(|part: &Part| crate::route(part.group.as_bytes()));
    let oks = stepwise(parts, route, "Reduce", |part: &Part| part.time, groups);
    Ok(Edge { schema, oks: Oks::Rows(oks.as_collection()), faults })
}

/// The fault of a value that no accumulator takes.
pub(crate) fn too_large(slot: &SlotOf, value: f64, row: String) -> Fault {
    let max = slot.kind.max();
    let what = if slot.kind == SlotKind::Square { "squared and summed" } else { "summed" };
    Fault {
        expression: "aggregate".to_owned(),
        message: format!("{value:e} is outside ±{max:e}, the range that is {what} exactly"),
        row,
    }
}

/// The columns of a schema that hold the groups.
pub(crate) fn group_schema(input: &SchemaRef, group: &[usize]) -> SchemaRef {
    project(input, group)
}
