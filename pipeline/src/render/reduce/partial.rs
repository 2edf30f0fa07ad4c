//! The first half of Reduce: what one activation adds, per group.
//!
//! It keeps nothing between activations; why there are two halves says [`reduce`](super).

use arrow_array::Array;
use arrow_array::Float64Array;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use arrow_array::types::Float64Type;
use arrow_array::types::Int64Type;
use arrow_cast::cast;
use arrow_schema::DataType;
use arrow_schema::SchemaRef;
use differential_dataflow::AsCollection;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use schemas::contract::Fault;
use schemas::row::Layout;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::row::Splice;
use timely::Container;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::Lives;
use super::Part;
use super::Shape;
use super::SlotKind;
use super::SlotOf;
use super::group_schema;
use super::too_large;
use crate::delta::DeltaBatch;
use crate::delta::Diff;
use crate::delta::Edge;
use crate::delta::Faults;
use crate::delta::Oks;
use crate::delta::Time;
use crate::delta::fail_until;
use crate::render::RenderError;
use crate::render::accumulate::Accumulators;
use crate::render::codec;
use crate::render::convert::OF_SCHEMA;
use crate::render::convert::to_batches;
use crate::render::layout;
use crate::render::map_filter::describe;
use crate::render::project;

type Parts<'s> = StreamVec<'s, Time, Part>;

/// Adds up each activation's changes by group.
pub(super) fn partial<'s>(
    input: Edge<'s>,
    shape: &Shape,
    lives: Option<Lives>,
) -> Result<(Parts<'s>, Faults<'s>), RenderError> {
    let groups = HashMap::with_hasher(FixedState::default());
    let (slots, parts, faults) = (shape.slots.len(), Vec::new(), Vec::new());
    let sums = Sums { slots, lives, time: 0, groups, parts, faults };
    match &input.oks {
        Oks::Rows(rows) if shape.by_bytes => {
            let mut reader = ByteReader::new(&input.schema, shape)?;
            Ok(adding_up(rows.clone().inner, sums, move |sums, (row, time, diff)| {
                reader.add(sums, &row, time, diff);
            }))
        }
        _ => {
            let mut reader = BatchReader::new(&input.schema, shape)?;
            Ok(adding_up(to_batches(input)?, sums, move |sums, delta| {
                reader.add(sums, &delta);
            }))
        }
    }
}

/// What an activation has gathered.
struct Sums {
    slots: usize,
    /// When groups end, if not by retraction.
    lives: Option<Lives>,

    time: Time,
    groups: HashMap<Row, Gathered, FixedState>,
    /// Groups of other times than the activation's first; rare.
    parts: Vec<Part>,
    faults: Vec<(Fault, Time, Diff)>,
}

struct Gathered {
    sums: Accumulators,
    values: Vec<(u32, Row, Diff)>,
}

impl Sums {
    #[inline]
    fn group(&mut self, group: &[u8], time: Time) -> &mut Gathered {
        if time != self.time {
            self.flush();
            self.time = time;
        }
        let slots = self.slots;
        let new = || Gathered { sums: Accumulators::new(slots), values: Vec::new() };
        self.groups.entry(Row::new(group)).or_insert_with(new)
    }

    /// Refuses a row of a group.
    fn refuse(&mut self, fault: Fault, group: &[u8], time: Time, diff: Diff) {
        let until = self.lives.as_ref().map_or(Time::MAX, |lives| lives.of(group).ends);
        fail_until(&mut self.faults, fault, (time, until), diff);
    }

    fn flush(&mut self) {
        let time = self.time;
        let parts = self.groups.drain().map(|(group, gathered)| {
            let Gathered { sums, values } = gathered;
            Part { group, time, sums, values }
        });
        self.parts.extend(parts);
    }
}

fn adding_up<'s, D: 'static>(
    stream: StreamVec<'s, Time, D>,
    mut sums: Sums,
    mut add: impl FnMut(&mut Sums, D) + 'static,
) -> (Parts<'s>, Faults<'s>)
where
    Vec<D>: Container,
{
    let mut builder = OperatorBuilder::new("Reduce: partial".to_owned(), stream.scope());
    let mut input = builder.new_input(stream, Pipeline);
    builder.set_notify_for(0, timely::progress::operate::FrontierInterest::Never);
    let (parts, parts_stream) = builder.new_output::<Vec<Part>>();
    let (faults, faults_stream) = builder.new_output::<Vec<(Fault, Time, Diff)>>();
    let mut parts = OutputBuilder::from(parts);
    let mut faults = OutputBuilder::from(faults);
    builder.build(move |_| {
        move |_| {
            let (mut parts, mut faults) = (parts.activate(), faults.activate());
            input.for_each_stamp(|cap, data| {
                data.flat_map(|data| data.drain(..)).for_each(|datum| add(&mut sums, datum));
                sums.flush();
                parts.session(&cap).give_container(&mut sums.parts);
                sums.parts.clear();
                if !sums.faults.is_empty() {
                    faults.session(&cap).give_container(&mut sums.faults);
                    sums.faults.clear();
                }
            });
        }
    });
    (parts_stream, faults_stream.as_collection())
}

/// Reads group and arguments from the bytes of a row.
struct ByteReader {
    layout: Layout,
    group: Splice,
    columns: Vec<ByteSlot>,
    codec: RowCodec,
    lenient: bool,

    ends: Vec<usize>,
}

struct ByteSlot {
    of: SlotOf,
    column: usize,
    float: bool,
}

impl ByteReader {
    fn new(schema: &SchemaRef, shape: &Shape) -> Result<ByteReader, RenderError> {
        let layout = layout(schema, "Reduce")?;
        let group = Splice::new(vec![layout.clone()], &shape.group);
        let columns = (shape.slots.iter())
            .map(|of| {
                let column = of.argument.unwrap_or(0);
                let float = *schema.field(column).data_type() == DataType::Float64;
                ByteSlot { of: of.clone(), column, float }
            })
            .collect();
        let (codec, lenient) = (codec(schema, "Reduce")?, shape.lenient);
        Ok(ByteReader { layout, group, columns, codec, lenient, ends: Vec::new() })
    }

    #[inline]
    fn add(&mut self, sums: &mut Sums, row: &Row, time: Time, diff: Diff) {
        let bytes = row.as_bytes();
        self.ends.clear();
        self.layout.ends(bytes, &mut self.ends);
        if !self.lenient
            && let Some((slot, x)) = self.refused(bytes)
        {
            let batch = self.codec.decode(std::iter::once(bytes)).expect(OF_SCHEMA);
            let fault = too_large(&self.columns[slot].of, x, describe(&batch));
            sums.refuse(fault, self.group.bytes(&[bytes]), time, diff);
            return;
        }
        let gathered = sums.group(self.group.bytes(&[bytes]), time);
        gathered.sums.rows += diff;
        for (slot, column) in gathered.sums.slots.iter_mut().zip(&self.columns) {
            let from = if column.column == 0 { 0 } else { self.ends[column.column - 1] };
            if column.of.argument.is_some() && bytes[from] == 0 {
                continue;
            }
            match column.of.kind {
                SlotKind::Count => slot.n += diff,
                SlotKind::Int => slot.add_int(i128::from(int_at(bytes, from)), diff),
                kind => {
                    let x = float_at(bytes, from);
                    if self.lenient && kind.refuses(x) {
                        continue;
                    }
                    let x = if kind == SlotKind::Square { x * x } else { x };
                    slot.add_float(x, diff, f64::MAX).expect("refused above if out of range");
                }
            }
        }
    }

    /// The first slot whose value is out of range.
    #[inline]
    fn refused(&self, bytes: &[u8]) -> Option<(usize, f64)> {
        self.columns.iter().enumerate().find_map(|(slot, column)| {
            let from = if column.column == 0 { 0 } else { self.ends[column.column - 1] };
            if !column.float || column.of.kind == SlotKind::Count || bytes[from] == 0 {
                return None;
            }
            let x = float_at(bytes, from);
            column.of.kind.refuses(x).then_some((slot, x))
        })
    }
}

/// The eight bytes behind a column's validity byte.
#[inline]
fn word_at(bytes: &[u8], column: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[column + 1..column + 9]);
    u64::from_be_bytes(word)
}

/// arrow-row's BIGINT: two's complement with the sign bit flipped.
#[inline]
pub(super) fn int_at(bytes: &[u8], column: usize) -> i64 {
    (word_at(bytes, column) ^ (1 << 63)) as i64
}

/// arrow-row's DOUBLE: IEEE 754 bits, all but the sign flipped when negative, then as BIGINT.
#[inline]
fn float_at(bytes: &[u8], column: usize) -> f64 {
    let bits = int_at(bytes, column);
    f64::from_bits((bits ^ (((bits >> 63) as u64) >> 1) as i64) as u64)
}

/// Reads group and arguments from the columns of a batch.
struct BatchReader {
    group: (Vec<usize>, RowCodec),
    slots: Vec<SlotOf>,
    /// Aggregates that keep argument values.
    kept: Vec<Kept>,
    lenient: bool,
}

/// An aggregate that keeps argument values.
struct Kept {
    index: u32,
    columns: Vec<usize>,
    filter: Option<usize>,
    codec: RowCodec,
    skip_null: bool,
}

impl BatchReader {
    fn new(schema: &SchemaRef, shape: &Shape) -> Result<BatchReader, RenderError> {
        let group = (shape.group.clone(), codec(&group_schema(schema, &shape.group), "Reduce")?);
        let mut kept = Vec::new();
        for (index, aggregate) in shape.aggregates.iter().enumerate() {
            use schemas::plan::AggregateFunction::*;
            if aggregate.function.accumulable() {
                continue;
            }
            let codec = codec(&project(schema, &aggregate.arguments), "Reduce")?;
            // Least and greatest ignore NULL; a basic function decides for itself.
            let skip_null = matches!(aggregate.function, Min | Max);
            let columns = aggregate.arguments.clone();
            let (index, filter) = (index as u32, aggregate.filter);
            kept.push(Kept { index, columns, filter, codec, skip_null });
        }
        Ok(BatchReader { group, slots: shape.slots.clone(), kept, lenient: shape.lenient })
    }

    fn add(&mut self, sums: &mut Sums, delta: &DeltaBatch) {
        let batch = &delta.batch;
        let arguments: Vec<Argument> = self.slots.iter().map(|s| Argument::of(batch, s)).collect();
        let columns: Vec<_> = self.group.0.iter().map(|c| batch.column(*c).clone()).collect();
        let mut groups = Vec::with_capacity(batch.num_rows());
        (self.group.1)
            .encode(&columns, batch.num_rows(), |_, bytes| groups.push(Row::new(bytes)))
            .expect(OF_SCHEMA);
        let mut refused = vec![false; batch.num_rows()];
        for (row, group) in groups.iter().enumerate() {
            let diff = delta.diffs.at(row);
            let bad = arguments
                .iter()
                .zip(&self.slots)
                .find_map(|(argument, slot)| argument.refused(row, slot.kind).map(|x| (slot, x)));
            if let Some((slot, x)) = bad.filter(|_| !self.lenient) {
                let fault = too_large(slot, x, describe(&batch.slice(row, 1)));
                sums.refuse(fault, group.as_bytes(), delta.time, diff);
                refused[row] = true;
                continue;
            }
            let gathered = sums.group(group.as_bytes(), delta.time);
            gathered.sums.rows += diff;
            for ((slot, argument), of) in
                gathered.sums.slots.iter_mut().zip(&arguments).zip(&self.slots)
            {
                argument.add(slot, of.kind, row, diff);
            }
        }
        for Kept { index, columns, filter, codec, skip_null } in &mut self.kept {
            let columns: Vec<_> = columns.iter().map(|c| batch.column(*c).clone()).collect();
            let passes = |row: usize| {
                let null = *skip_null && columns.iter().any(|c| c.is_null(row));
                !refused[row] && !null && filter.is_none_or(|f| truth(batch, f, row))
            };
            codec
                .encode(&columns, batch.num_rows(), |row, bytes| {
                    if passes(row) {
                        let gathered = sums.group(groups[row].as_bytes(), delta.time);
                        gathered.values.push((*index, Row::new(bytes), delta.diffs.at(row)));
                    }
                })
                .expect(OF_SCHEMA);
        }
    }
}

fn truth(batch: &RecordBatch, column: usize, row: usize) -> bool {
    let column = batch.column(column).as_boolean();
    column.is_valid(row) && column.value(row)
}

/// An argument column, ready to be added.
enum Argument {
    Rows(Option<arrow_array::BooleanArray>),
    Valid(arrow_array::ArrayRef, Option<arrow_array::BooleanArray>),
    Floats(Float64Array, Option<arrow_array::BooleanArray>),
    Ints(arrow_array::ArrayRef, Option<arrow_array::BooleanArray>),
}

impl Argument {
    fn of(batch: &RecordBatch, slot: &SlotOf) -> Argument {
        let filter = slot.filter.map(|f| batch.column(f).as_boolean().clone());
        let Some(argument) = slot.argument else { return Argument::Rows(filter) };
        let column = batch.column(argument);
        let known = "the shape was made for this type";
        match slot.kind {
            SlotKind::Count => Argument::Valid(column.clone(), filter),
            SlotKind::Float | SlotKind::Square | SlotKind::Root => {
                let floats = cast(column, &DataType::Float64).expect(known);
                Argument::Floats(floats.as_primitive::<Float64Type>().clone(), filter)
            }
            SlotKind::Int => match column.data_type() {
                DataType::Decimal128(..) => Argument::Ints(column.clone(), filter),
                _ => Argument::Ints(cast(column, &DataType::Int64).expect(known), filter),
            },
        }
    }

    fn passes(filter: &Option<arrow_array::BooleanArray>, row: usize) -> bool {
        filter.as_ref().is_none_or(|f| f.is_valid(row) && f.value(row))
    }

    fn refused(&self, row: usize, kind: SlotKind) -> Option<f64> {
        match self {
            Argument::Floats(floats, filter) if Argument::passes(filter, row) => {
                let x = floats.value(row);
                (floats.is_valid(row) && kind.refuses(x)).then_some(x)
            }
            _ => None,
        }
    }

    fn add(
        &self,
        slot: &mut crate::render::accumulate::Slot,
        kind: SlotKind,
        row: usize,
        diff: Diff,
    ) {
        let (array, filter): (&dyn Array, _) = match self {
            Argument::Rows(filter) => {
                slot.n += if Argument::passes(filter, row) { diff } else { 0 };
                return;
            }
            Argument::Valid(array, filter) | Argument::Ints(array, filter) => (array, filter),
            Argument::Floats(array, filter) => (array, filter),
        };
        if array.is_null(row) || !Argument::passes(filter, row) {
            return;
        }
        match self {
            Argument::Floats(floats, _) => {
                let x = floats.value(row);
                // Refused before, or NULL.
                if kind.refuses(x) {
                    return;
                }
                let x = if kind == SlotKind::Square { x * x } else { x };
                slot.add_float(x, diff, f64::MAX).expect("in range");
            }
            Argument::Ints(ints, _) => {
                let x = match ints.data_type() {
                    DataType::Decimal128(..) => ints.as_primitive::<Decimal128Type>().value(row),
                    _ => i128::from(ints.as_primitive::<Int64Type>().value(row)),
                };
                slot.add_int(x, diff);
            }
            _ => slot.n += diff,
        }
    }
}
