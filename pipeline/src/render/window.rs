//! Window: what functions say of each row's place among the rows of its partition.
//!
//! All rows of a partition are kept in order, each with the values that it was last shown with. A
//! tick that touches a partition computes anew what its changes can reach, by the functions that
//! the plan brings, and puts out only the rows whose values are others now. How far calls reach,
//! the plan says ([`Reach`]), and what that makes of a change is in [`part`]: a few rows around it,
//! or all from there on, which go on from the value that shows before. Where a call of the node
//! looks anywhere, or half of a partition changes, all of it is computed.
//!
//! A partition for which a function has no value is left out and is a fault while that is so; under
//! `on_error = 'null'` the function's column is NULL. Either way all of it is computed until there
//! is a value again: at which rows the function fails, nobody knows.
//!
//! **Invariant:** a part shows what the whole would. So nothing of it is said before all of it has
//! been computed, and where a part has no value, the whole is asked.
//!
//! # Bounds
//!
//! Every row of the input and its values, for as long as the row stands. With `expire` a partition
//! goes whole when its time is older than the stream retains, and its fault with it.

mod part;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::RecordBatch;
use arrow_array::new_null_array;
use arrow_cast::cast;
use arrow_schema::Schema;
use arrow_schema::SchemaRef;
use differential_dataflow::AsCollection;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use schemas::contract::Fault;
use schemas::plan::Expiry;
use schemas::plan::Node;
use schemas::plan::OnError;
use schemas::plan::Op;
use schemas::plan::OrderBy;
use schemas::plan::Reach;
use schemas::plan::WindowCall;
use schemas::row::Row;
use schemas::row::RowCodec;
use smallvec::SmallVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::core::OkErr;

use self::part::Looks;
use self::part::Part;
use self::part::Place;
use self::part::Rows;
use super::Context;
use super::RenderError;
use super::candidate::Candidate;
use super::candidate::candidates;
use super::candidate::ordered;
use super::codec;
use super::convert::OF_SCHEMA;
use super::map_filter::describe;
use super::nullable;
use super::project;
use crate::delta::Diff;
use crate::delta::Edge;
use crate::delta::Oks;
use crate::delta::Time;
use crate::gauge::Gauge;
use crate::gauge::Gauged;
use crate::gauge::Keeps;
use crate::gauge::Kept;
use crate::gauge::MeanHeap;
use crate::stepwise::Step;
use crate::stepwise::stepwise;

/// What the plan says of a window.
pub(crate) struct Shape {
    partition: Vec<usize>,
    order: Vec<OrderBy>,
    calls: Vec<WindowCall>,
    schema: SchemaRef,
}

impl Shape {
    /// The shape of a window node.
    pub(crate) fn new(node: &Node) -> Shape {
        let Op::Window { partition, order, calls, .. } = &node.op else {
            unreachable!("the caller matched a Window")
        };
        let (partition, order, calls) = (partition.clone(), order.clone(), calls.clone());
        Shape { partition, order, calls, schema: nullable(&node.schema) }
    }
}

/// A change of an output row, or of a fault.
type Said = Result<(Row, Time, Diff), (Fault, Time, Diff)>;

/// Renders a window.
pub(crate) fn window<'s>(
    context: &Context<'_, 's>,
    input: Edge<'s>,
    shape: Shape,
    (expire, gauge): (Option<Expiry>, Arc<Gauge>),
) -> Result<Edge<'s>, RenderError> {
    let mut faults = input.faults.clone();
    let lenient = context.on_error == OnError::Null;
    let state = Partitions::new(&input.schema, &shape, lenient)?;
    let state = Gauged::new(state, gauge);
    let rows = candidates(input, &shape.partition, &shape.order, expire, "Window")?;
    let route = Exchange::new(|c: &Candidate| crate::route(c.group.as_bytes()));
    let said = stepwise(rows, route, "Window", |c: &Candidate| c.time, state);
    let (oks, failed) = said.ok_err(|said: Said| said);
    faults.push(failed.as_collection());
    Ok(Edge { schema: shape.schema, oks: Oks::Rows(oks.as_collection()), faults })
}

/// Equal rows of a partition.
#[derive(Debug, Default)]
struct Entry {
    count: Diff,
    /// The values with which they show, one each.
    shown: SmallVec<[Row; 1]>,
}

impl Entry {
    /// How many of them there are now.
    fn there(&self) -> usize {
        self.count.max(0) as usize
    }
}

/// One partition.
#[derive(Debug, Default)]
struct Partition {
    rows: Rows,
    /// Whether a function had no value.
    failed: bool,
    fault: Option<Fault>,
}

/// The partitions of one worker.
struct Partitions {
    rows: RowCodec,
    keys: RowCodec,
    values: RowCodec,
    calls: Vec<WindowCall>,
    /// How far the calls look, if not anywhere.
    looks: Option<Looks>,
    /// Whether what has no value is NULL, and not a fault.
    lenient: bool,

    partitions: HashMap<Row, Partition, FixedState>,
    /// Partitions by the tick that ends them.
    due: BTreeMap<Time, Vec<Row>>,
    /// Rows that differ, over all partitions.
    entries: usize,
    row_heap: MeanHeap,
    value_heap: MeanHeap,
}

impl Keeps for Partitions {
    /// Rows that differ, with their place and their values.
    fn kept(&self) -> Kept {
        let entries = self.entries * size_of::<(Place, Entry)>();
        // A place and a row are each seen once.
        let heap = self.row_heap.of(2 * self.entries) + self.value_heap.of(self.entries);
        let partitions = self.partitions.len() * size_of::<(Row, Partition)>();
        Kept { rows: self.entries, bytes: entries + heap + partitions }
    }
}

/// Rows that are evaluated together.
struct Seen<'a> {
    rows: Vec<&'a Row>,
    /// How many before those whose values are asked for.
    ahead: usize,
    /// How many these are.
    asked: usize,
    /// What the last row before these shows.
    known: Option<&'a Row>,
}

impl<'a> Seen<'a> {
    /// All rows of a partition, each as often as it is there.
    fn whole(rows: &'a Rows) -> Seen<'a> {
        let rows: Vec<&Row> = (rows.iter())
            .flat_map(|((_, row), entry)| std::iter::repeat_n(row, entry.there()))
            .collect();
        let asked = rows.len();
        Seen { rows, ahead: 0, asked, known: None }
    }

    /// Those of a part.
    fn part(rows: &'a Rows, part: &Part) -> Seen<'a> {
        let mut seen = Seen { rows: Vec::new(), ahead: 0, asked: 0, known: None };
        for (place, entry) in rows.range::<Place, _>(part.seen.bounds()) {
            if *place < part.reached.from {
                seen.ahead += entry.there();
                seen.known = entry.shown.last().or(seen.known);
            } else if !part.reached.ends_before(place) {
                seen.asked += entry.there();
            }
            seen.rows.extend(std::iter::repeat_n(&place.1, entry.there()));
        }
        seen
    }
}

/// The values of rows, and whether a function had none.
type Computed = Result<(Vec<Row>, bool), (String, String)>;

impl Partitions {
    /// No partitions yet, of rows of `input`.
    fn new(input: &SchemaRef, shape: &Shape, lenient: bool) -> Result<Partitions, RenderError> {
        let Shape { partition, order, calls, .. } = shape;
        let values: Vec<_> = calls.iter().map(|call| call.output.as_ref().clone()).collect();
        let values = nullable(&Arc::new(Schema::new(values)));
        Ok(Partitions {
            rows: codec(input, "Window")?,
            keys: codec(&project(input, partition), "Window")?,
            values: codec(&values, "Window")?,
            calls: calls.clone(),
            looks: Looks::of(calls, order, ordered(input, order, "Window")?),
            lenient,
            partitions: HashMap::default(),
            due: BTreeMap::new(),
            entries: 0,
            row_heap: MeanHeap::default(),
            value_heap: MeanHeap::default(),
        })
    }

    /// Adds what arrived; the partitions that it touched, in order, with the places.
    fn add(&mut self, at: Time, data: Vec<Candidate>) -> BTreeMap<Row, Vec<Place>> {
        let mut touched: BTreeMap<Row, Vec<Place>> = BTreeMap::new();
        for candidate in data {
            let Candidate { group, order, row, until, diff, .. } = candidate;
            if until <= at {
                continue;
            }
            let partition = self.partitions.entry(group.clone()).or_insert_with(|| {
                if until < Time::MAX {
                    self.due.entry(until).or_default().push(group.clone());
                }
                Partition::default()
            });
            self.row_heap.see(&order);
            self.row_heap.see(&row);
            let places = touched.entry(group).or_default();
            if self.looks.is_some() {
                places.push((order.clone(), row.clone()));
            }
            let before = partition.rows.len();
            partition.rows.entry((order, row)).or_default().count += diff;
            self.entries += partition.rows.len() - before;
        }
        touched
    }

    /// Takes away the partitions whose time has come.
    fn expire(&mut self, at: Time, out: &mut Vec<Said>) {
        while let Some(due) = self.due.first_entry()
            && *due.key() <= at
        {
            for key in due.remove() {
                let Some(partition) = self.partitions.remove(&key) else { continue };
                self.entries -= partition.rows.len();
                for ((_, row), entry) in &partition.rows {
                    out.extend(entry.shown.iter().map(|value| Ok((joined(row, value), at, -1))));
                }
                out.extend(partition.fault.map(|fault| Err((fault, at, -1))));
            }
        }
    }

    /// Computes a partition anew, as far as it must be, and says what is different.
    fn renew(&mut self, key: &Row, touched: Vec<Place>, at: Time, out: &mut Vec<Said>) {
        let Some(mut partition) = self.partitions.remove(key) else { return };
        if !self.renew_parts(&mut partition, touched, at, out) {
            self.renew_whole(&mut partition, key, at, out);
        }
        if !partition.rows.is_empty() {
            self.partitions.insert(key.clone(), partition);
        }
    }

    /// Computes what the touched places can reach; where that will not do, nothing is said and it
    /// is false.
    fn renew_parts(
        &mut self,
        partition: &mut Partition,
        mut touched: Vec<Place>,
        at: Time,
        out: &mut Vec<Said>,
    ) -> bool {
        let Some(looks) = self.looks.as_mut().filter(|_| !partition.failed) else { return false };
        touched.sort_unstable();
        touched.dedup();
        let rows = &partition.rows;
        let is_other = |entry: &Entry| entry.there() != entry.shown.len();
        let changed = touched.iter().filter(|place| rows.get(*place).is_some_and(is_other));
        let changed: Vec<&Place> = changed.collect();
        let Some(parts) = looks.parts(rows, &changed) else { return false };
        let mut computed = Vec::with_capacity(parts.len());
        for part in parts {
            let Ok((values, _)) = self.compute(&Seen::part(rows, &part), false) else {
                return false;
            };
            computed.push((part.reached, values));
        }
        for (reached, values) in computed {
            show(partition.rows.range_mut::<Place, _>(reached.bounds()), values, at, out);
        }
        for place in &touched {
            if partition.rows.get(place).is_some_and(|entry| entry.count == 0) {
                partition.rows.remove(place);
                self.entries -= 1;
            }
        }
        true
    }

    /// Computes all of a partition.
    fn renew_whole(&mut self, partition: &mut Partition, key: &Row, at: Time, out: &mut Vec<Said>) {
        let computed = self.compute(&Seen::whole(&partition.rows), self.lenient);
        let (values, failed, fault) = match computed {
            Ok((values, failed)) => (values, failed, None),
            Err((call, message)) => (Vec::new(), true, Some(self.fault(key, &call, &message))),
        };
        partition.failed = failed;
        show(partition.rows.iter_mut(), values, at, out);
        let before = partition.rows.len();
        partition.rows.retain(|_, entry| entry.count != 0);
        self.entries -= before - partition.rows.len();
        if fault != partition.fault {
            out.extend(partition.fault.take().map(|old| Err((old, at, -1))));
            out.extend(fault.clone().map(|new| Err((new, at, 1))));
            partition.fault = fault;
        }
    }

    /// The values of the rows that are asked for, in order, as rows; or which call has none, and
    /// why, unless it is NULL then.
    fn compute(&mut self, seen: &Seen<'_>, lenient: bool) -> Computed {
        if seen.asked == 0 {
            return Ok((Vec::new(), false));
        }
        let batch = decoded(&self.rows, &seen.rows);
        let known = seen.known.map(|known| decoded(&self.values, &[known]));
        let (mut columns, mut failed) = (Vec::with_capacity(self.calls.len()), false);
        for (n, call) in self.calls.iter().enumerate() {
            let known = known.as_ref().map(|known| known.column(n));
            let values = match evaluated(call, &batch, seen.ahead, known) {
                Ok(values) => values.slice(0, seen.asked),
                Err(_) if lenient => {
                    failed = true;
                    new_null_array(call.output.data_type(), seen.asked)
                }
                Err(message) => return Err((call.function.to_string(), message)),
            };
            columns.push(values);
        }
        let mut values = Vec::with_capacity(seen.asked);
        self.values
            .encode(&columns, seen.asked, |_, bytes| values.push(Row::new(bytes)))
            .expect("window functions are of their output types");
        values.iter().for_each(|value| self.value_heap.see(value));
        Ok((values, failed))
    }

    /// Why a partition has no values.
    fn fault(&self, key: &Row, call: &str, message: &str) -> Fault {
        let key = self.keys.decode(std::iter::once(key.as_bytes()));
        let row = describe(&key.expect("the partition's own bytes"));
        Fault { expression: call.to_owned(), message: message.to_owned(), row }
    }
}

/// The columns of rows.
fn decoded(codec: &RowCodec, rows: &[&Row]) -> RecordBatch {
    codec.decode(rows.iter().map(|row| row.as_bytes())).expect(OF_SCHEMA)
}

/// The values of a call for the rows behind the first `ahead`, of which the last has the value that
/// is known; nested types are made those that the planner knows, down to the names of their fields.
fn evaluated(
    call: &WindowCall,
    batch: &RecordBatch,
    ahead: usize,
    known: Option<&ArrayRef>,
) -> Result<ArrayRef, String> {
    let arguments: Vec<ArrayRef> =
        call.arguments.iter().map(|column| batch.column(*column).clone()).collect();
    let rows = batch.num_rows();
    let values = match (call.reach, known) {
        (Reach::Onward, Some(known)) => call.function.go_on(&arguments, rows, ahead - 1, known),
        _ => {
            let values = call.function.evaluate(&arguments, rows);
            values.map(|values| values.slice(ahead, rows - ahead))
        }
    };
    let values = values.map_err(|error| error.message)?;
    let output = call.output.data_type();
    if values.data_type() == output {
        return Ok(values);
    }
    cast(&values, output).map_err(|error| error.to_string())
}

/// Gives rows their values, in order, and says what is different; those for which there is none no
/// longer show.
fn show<'a>(
    rows: impl Iterator<Item = (&'a Place, &'a mut Entry)>,
    values: Vec<Row>,
    at: Time,
    out: &mut Vec<Said>,
) {
    let mut values = values.into_iter();
    for ((_, row), entry) in rows {
        let new: SmallVec<[Row; 1]> = values.by_ref().take(entry.there()).collect();
        differ(row, &entry.shown, &new, at, out);
        entry.shown = new;
    }
}

/// What is different between the values of equal rows before and after.
fn differ(row: &Row, old: &[Row], new: &[Row], at: Time, out: &mut Vec<Said>) {
    for place in 0..old.len().max(new.len()) {
        let (old, new) = (old.get(place), new.get(place));
        if old != new {
            out.extend(old.map(|value| Ok((joined(row, value), at, -1))));
            out.extend(new.map(|value| Ok((joined(row, value), at, 1))));
        }
    }
}

/// The row of the columns of both.
fn joined(row: &Row, values: &Row) -> Row {
    let mut bytes = row.as_bytes().to_vec();
    bytes.extend_from_slice(values.as_bytes());
    Row::new(&bytes)
}

impl Step<Candidate, Said> for Partitions {
    fn step(&mut self, at: Time, data: Vec<Candidate>, out: &mut Vec<Said>) {
        let touched = self.add(at, data);
        self.expire(at, out);
        for (key, places) in touched {
            self.renew(&key, places, at, out);
        }
    }

    fn wake_at(&self) -> Option<Time> {
        self.due.keys().next().copied()
    }
}

#[cfg(test)]
mod tests;
