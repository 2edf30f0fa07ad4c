//! Window: what functions say of each row's place among the rows of its partition.
//!
//! All rows of a partition are kept in order, each with the values that it was last shown with. A
//! tick that touches a partition computes all of it anew, by the functions that the plan brings,
//! and puts out only the rows whose values are others now.
//!
//! A partition for which a function has no value is left out and is a fault while that is so; under
//! `on_error = 'null'` the function's column is NULL.
//!
//! # Bounds
//!
//! Every row of the input and its values, for as long as the row stands. With `expire` a partition
//! goes whole when its time is older than the stream retains, and its fault with it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::ArrayRef;
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
use schemas::plan::WindowCall;
use schemas::row::Row;
use schemas::row::RowCodec;
use smallvec::SmallVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::core::OkErr;

use super::Context;
use super::RenderError;
use super::candidate::Candidate;
use super::candidate::candidates;
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
    let schema = shape.schema.clone();
    let values: Vec<_> = shape.calls.iter().map(|call| call.output.as_ref().clone()).collect();
    let values = nullable(&Arc::new(Schema::new(values)));
    let state = Partitions {
        rows: codec(&input.schema, "Window")?,
        keys: codec(&project(&input.schema, &shape.partition), "Window")?,
        values: codec(&values, "Window")?,
        calls: shape.calls,
        lenient: context.on_error == OnError::Null,
        partitions: HashMap::default(),
        due: BTreeMap::new(),
        entries: 0,
        row_heap: MeanHeap::default(),
        value_heap: MeanHeap::default(),
    };
    let state = Gauged::new(state, gauge);
    let rows = candidates(input, &shape.partition, &shape.order, expire, "Window")?;
    let route = Exchange::new(|c: &Candidate| crate::route(c.group.as_bytes()));
    let said = stepwise(rows, route, "Window", |c: &Candidate| c.time, state);
    let (oks, failed) = said.ok_err(|said: Said| said);
    faults.push(failed.as_collection());
    Ok(Edge { schema, oks: Oks::Rows(oks.as_collection()), faults })
}

/// Equal rows of a partition.
#[derive(Debug, Default)]
struct Entry {
    count: Diff,
    /// The values with which they show, one each.
    shown: SmallVec<[Row; 1]>,
}

/// One partition: its rows by order, and by their bytes where that calls them equal.
#[derive(Debug, Default)]
struct Partition {
    rows: BTreeMap<(Row, Row), Entry>,
    fault: Option<Fault>,
}

/// The partitions of one worker.
struct Partitions {
    rows: RowCodec,
    keys: RowCodec,
    values: RowCodec,
    calls: Vec<WindowCall>,
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
        let entries = self.entries * size_of::<((Row, Row), Entry)>();
        // A place and a row are each seen once.
        let heap = self.row_heap.of(2 * self.entries) + self.value_heap.of(self.entries);
        let partitions = self.partitions.len() * size_of::<(Row, Partition)>();
        Kept { rows: self.entries, bytes: entries + heap + partitions }
    }
}

impl Partitions {
    /// Adds what arrived; the partitions that it touched, in order.
    fn add(&mut self, at: Time, data: Vec<Candidate>) -> BTreeSet<Row> {
        let mut touched = BTreeSet::new();
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
            let before = partition.rows.len();
            partition.rows.entry((order, row)).or_default().count += diff;
            self.entries += partition.rows.len() - before;
            touched.insert(group);
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

    /// Computes a partition anew and says what is different.
    fn renew(&mut self, key: &Row, at: Time, out: &mut Vec<Said>) {
        let Some(mut partition) = self.partitions.remove(key) else { return };
        let computed = self.compute(&partition);
        let fault = match &computed {
            Ok(_) => None,
            Err((call, message)) => Some(self.fault(key, call, message)),
        };
        let mut values = computed.unwrap_or_default().into_iter();
        for ((_, row), entry) in &mut partition.rows {
            let there = if fault.is_none() { entry.count.max(0) as usize } else { 0 };
            let new: SmallVec<[Row; 1]> = values.by_ref().take(there).collect();
            differ(row, &entry.shown, &new, at, out);
            entry.shown = new;
        }
        let before = partition.rows.len();
        partition.rows.retain(|_, entry| entry.count != 0);
        self.entries -= before - partition.rows.len();
        if fault != partition.fault {
            out.extend(partition.fault.take().map(|old| Err((old, at, -1))));
            out.extend(fault.clone().map(|new| Err((new, at, 1))));
            partition.fault = fault;
        }
        if !partition.rows.is_empty() {
            self.partitions.insert(key.clone(), partition);
        }
    }

    /// The values of all rows of a partition, in order, as rows; or which call has none, and why.
    fn compute(&mut self, partition: &Partition) -> Result<Vec<Row>, (String, String)> {
        let rows: Vec<&Row> = (partition.rows.iter())
            .flat_map(|((_, row), entry)| std::iter::repeat_n(row, entry.count.max(0) as usize))
            .collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let batch = self.rows.decode(rows.iter().map(|row| row.as_bytes())).expect(OF_SCHEMA);
        let value = |call: &WindowCall| -> Result<ArrayRef, (String, String)> {
            let arguments: Vec<ArrayRef> =
                call.arguments.iter().map(|column| batch.column(*column).clone()).collect();
            match evaluated(call, &arguments, rows.len()) {
                Ok(values) => Ok(values),
                Err(_) if self.lenient => Ok(new_null_array(call.output.data_type(), rows.len())),
                Err(message) => Err((call.function.to_string(), message)),
            }
        };
        let columns = self.calls.iter().map(value).collect::<Result<Vec<ArrayRef>, _>>()?;
        let mut values = Vec::with_capacity(rows.len());
        self.values
            .encode(&columns, rows.len(), |_, bytes| values.push(Row::new(bytes)))
            .expect("window functions are of their output types");
        values.iter().for_each(|value| self.value_heap.see(value));
        Ok(values)
    }

    /// Why a partition has no values.
    fn fault(&self, key: &Row, call: &str, message: &str) -> Fault {
        let key = self.keys.decode(std::iter::once(key.as_bytes()));
        let row = describe(&key.expect("the partition's own bytes"));
        Fault { expression: call.to_owned(), message: message.to_owned(), row }
    }
}

/// The values of a call; nested types are made those that the planner knows, down to the names of
/// their fields.
fn evaluated(call: &WindowCall, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef, String> {
    let values = call.function.evaluate(arguments, rows).map_err(|error| error.message)?;
    let output = call.output.data_type();
    if values.data_type() == output {
        return Ok(values);
    }
    cast(&values, output).map_err(|error| error.to_string())
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
        for key in touched {
            self.renew(&key, at, out);
        }
    }

    fn wake_at(&self) -> Option<Time> {
        self.due.keys().next().copied()
    }
}
