//! Reduce: groups and their aggregates.
//!
//! Two operators. The first, stateless, adds up what one activation brings, per group, so that only
//! one small record a group and activation crosses to the group's worker; it reads group and
//! arguments straight from the bytes of joined rows where it can. The second keeps the groups and
//! says what changed.
//!
//! A row with a value that no accumulator takes is left out and becomes a fault; under `on_error =
//! 'null'` the value is NULL and the row counts. A group whose aggregate has no value is left out
//! and becomes a fault while that is so; under `'null'` the aggregate is NULL.
//!
//! # Bounds
//!
//! One entry a group: fixed size for accumulable aggregates, the argument values for ordered and
//! basic ones. With `expire`, a group goes when its time column is older than the stream retains;
//! behind the stream's lateness it is its result alone. Its faults go with it.

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
use schemas::plan::OnError;
use schemas::row::Layout;
use schemas::row::Row;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::core::OkErr;

use self::partial::int_at;
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
use crate::gauge::Gauge;
use crate::gauge::Gauged;
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
    /// Whether what has no value is NULL, and not a fault.
    pub(crate) lenient: bool,
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
    /// A float whose square stands beside it: what is no square's is not its either.
    Root,
    Int,
}

impl SlotKind {
    /// The greatest magnitude it takes.
    pub(crate) fn max(self) -> f64 {
        if matches!(self, SlotKind::Square | SlotKind::Root) { SQUARE_MAX } else { SUM_MAX }
    }

    /// Whether it takes no such value.
    #[inline]
    pub(crate) fn refuses(self, x: f64) -> bool {
        x.is_finite() && x.abs() > self.max()
    }
}

/// How long the groups of one node live, as their time column says.
#[derive(Clone)]
pub(crate) struct Lives {
    expiry: Expiry,
    layout: Layout,
}

/// The ticks at which a group settles and ends.
#[derive(Clone, Copy)]
pub(crate) struct Life {
    pub(crate) settles: Option<Time>,
    pub(crate) ends: Time,
}

impl Lives {
    fn new(expiry: Expiry, input: &SchemaRef, group: &[usize]) -> Result<Lives, RenderError> {
        Ok(Lives { expiry, layout: layout(&group_schema(input, group), "Reduce")? })
    }

    /// The life of the group of these bytes.
    pub(crate) fn of(&self, group: &[u8]) -> Life {
        let column = self.expiry.column;
        let mut ends = Vec::with_capacity(self.layout.columns());
        self.layout.ends(group, &mut ends);
        let from = if column == 0 { 0 } else { ends[column - 1] };
        let valid = group[from] != 0;
        let at = Timestamp(if valid { int_at(group, from).max(0) as u64 } else { 0 });
        let settles = self.expiry.settled_at(at).map(|at| at.0);
        Life { settles, ends: self.expiry.at(at).0 }
    }
}

impl Shape {
    fn new(
        input: &SchemaRef,
        group: &[usize],
        aggregates: &[Aggregate],
        lenient: bool,
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
                    // Where a row that is out of range is left out whole, a plain sum will do.
                    let kind = if lenient { SlotKind::Root } else { kind };
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
        Ok(Shape { group, aggregates, slots, slot_of, by_bytes, lenient })
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
    (expire, gauge): (Option<Expiry>, Arc<Gauge>),
    schema: &SchemaRef,
) -> Result<Edge<'s>, RenderError> {
    let lenient = context.on_error == OnError::Null;
    let shape = Arc::new(Shape::new(&input.schema, group, aggregates, lenient)?);
    let lives = expire.map(|expiry| Lives::new(expiry, &input.schema, group)).transpose()?;
    let schema = nullable(schema);
    let mut faults = input.faults.clone();
    let input_schema = input.schema.clone();
    let (parts, failed) = partial::partial(input, &shape, lives.clone())?;
    faults.push(failed);
    // The one group of a reduce without group columns lives where its empty key is routed to.
    let (index, peers) = (context.scope.index() as u64, context.scope.peers() as u64);
    let first = crate::route(Row::empty().as_bytes()) % peers == index;
    let basic = aggregates.iter().any(|a| matches!(a.function, AggregateFunction::Basic(_)));
    let groups = state::Groups::new(shape, &input_schema, &schema, lives, first)?;
    let route = Exchange::new(|part: &Part| crate::route(part.group.as_bytes()));
    let time_of = |part: &Part| part.time;
    let oks = if basic {
        // Only what sees all values of a group may have no value.
        let groups = Gauged::new(state::Fallible(groups), gauge);
        let said = stepwise(parts, route, "Reduce", time_of, groups);
        let (oks, failed) = said.ok_err(|said| said);
        faults.push(failed.as_collection());
        oks
    } else {
        stepwise(parts, route, "Reduce", time_of, Gauged::new(groups, gauge))
    };
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
