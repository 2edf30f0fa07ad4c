//! Lookup: each left row with the right rows of its key that are known at its tick.
//!
//! The right side is small and stands whole on every worker, so left rows stay where they are and
//! stay columns: keys are encoded to be found, everything else is taken from the columns of both
//! sides. Nothing is kept of the left side. A tick's changes of the right side come before its left
//! rows, and concern none that came before.
//!
//! Where the stream's retention must be kept here, what came out waits for its end beside it.
//!
//! # Bounds
//!
//! The right side on each worker; it is arranged anew when it changes, which tables do at a start.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::Array;
use arrow_array::ArrayRef;
use arrow_array::RecordBatch;
use arrow_array::RecordBatchOptions;
use arrow_array::UInt32Array;
use arrow_schema::Schema;
use arrow_schema::SchemaRef;
use arrow_select::take::take;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use schemas::plan::Node;
use schemas::plan::Op;
use schemas::row::Row;
use schemas::row::RowCodec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::vec::Broadcast;

use super::RenderError;
use super::codec;
use super::convert::OF_SCHEMA;
use super::convert::Picked;
use super::convert::to_batches;
use super::convert::to_rows;
use super::get;
use super::nullable;
use crate::delta::DeltaBatch;
use crate::delta::Diff;
use crate::delta::Diffs;
use crate::delta::Edge;
use crate::delta::Oks;
use crate::delta::Time;
use crate::delta::add_to;
use crate::gauge::Gauge;
use crate::gauge::Kept;
use crate::stepwise::StepPair;
use crate::stepwise::stepwise_pair;

const NODE: &str = "Lookup";

/// Renders a lookup; the gauges are of the right side and of what waits for its end.
pub(crate) fn lookup<'s>(
    left: Edge<'s>,
    right: Edge<'s>,
    node: &Node,
    gauges: [Arc<Gauge>; 2],
) -> Result<Edge<'s>, RenderError> {
    let Op::Lookup { left_key, right_key, outer, outputs, expire, .. } = &node.op else {
        unreachable!("the caller matched a lookup")
    };
    let [of_right, of_waiting] = gauges;
    let mut faults = left.faults.clone();
    faults.extend(right.faults.iter().cloned());
    // What is forgotten by a time needs the time, whether it comes out or not.
    let mut taken = outputs.clone();
    let expire = expire.map(|expire| {
        let known = taken.iter().position(|output| *output == expire.column);
        let column = known.unwrap_or_else(|| {
            taken.push(expire.column);
            taken.len() - 1
        });
        expire.of(column)
    });
    let width = left.schema.fields().len();
    let both = left.schema.fields().iter().chain(right.schema.fields());
    let both: Vec<_> = both.cloned().collect();
    let fields: Vec<_> = taken.iter().map(|output| both[*output].clone()).collect();
    let known = Known {
        left_key: Picked::new(&left.schema, left_key, NODE)?,
        right_key: Picked::new(&right.schema, right_key, NODE)?,
        right: codec(&right.schema, NODE)?,
        outer: *outer,
        from: taken
            .iter()
            .map(|o| o.checked_sub(width).map_or(From::Left(*o), From::Right))
            .collect(),
        schema: nullable(&Arc::new(Schema::new(fields))),
        rows: BTreeMap::new(),
        columns: RecordBatch::new_empty(right.schema.clone()),
        places: HashMap::default(),
        gauge: of_right,
    };
    let left = to_batches(left)?;
    let right = to_rows(right)?.inner.broadcast();
    let timed = |delta: DeltaBatch| Some((delta.time, delta));
    let changed = |(row, time, diff): (Row, Time, Diff)| Some((time, (row, diff)));
    let (left, right) = ((left, Pipeline, timed), (right, Pipeline, changed));
    let mut batches = stepwise_pair(left, right, NODE, known);
    if let Some(expire) = expire {
        batches = get::retain(batches, expire, (0..outputs.len()).collect(), of_waiting);
    }
    Ok(Edge { schema: nullable(&node.schema), oks: Oks::Batches(batches), faults })
}

/// Where an output column comes from.
enum From {
    Left(usize),
    Right(usize),
}

/// The right side on one worker.
struct Known {
    left_key: Picked,
    right_key: Picked,
    right: RowCodec,
    outer: bool,
    from: Vec<From>,
    schema: SchemaRef,

    rows: BTreeMap<Row, Diff>,
    /// The rows as columns, those of one key beside each other.
    columns: RecordBatch,
    /// The first row of each key, and how many there are.
    places: HashMap<Box<[u8]>, (u32, u32), FixedState>,
    gauge: Arc<Gauge>,
}

impl Known {
    /// Arranges the right side anew.
    fn arrange(&mut self) {
        let times = |n: Diff| usize::try_from(n).unwrap_or(0);
        let rows: Vec<&Row> =
            self.rows.iter().flat_map(|(row, n)| std::iter::repeat_n(row, times(*n))).collect();
        let batch = self.right.decode(rows.iter().map(|row| row.as_bytes())).expect(OF_SCHEMA);
        let key = self.right_key.columns().to_vec();
        let mut keys: Vec<(Box<[u8]>, u32)> = Vec::with_capacity(batch.num_rows());
        self.right_key.each(&batch, |row, bytes| {
            // A NULL is equal to nothing.
            if key.iter().all(|column| batch.column(*column).is_valid(row)) {
                keys.push((bytes.into(), number(row)));
            }
        });
        keys.sort_unstable();
        let order: UInt32Array = keys.iter().map(|(_, row)| *row).collect();
        let columns = batch.columns().iter().map(|column| taken(column, &order)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(order.len()));
        self.columns = RecordBatch::try_new_with_options(batch.schema(), columns, &options)
            .expect("columns of one length");
        self.places.clear();
        for (at, (key, _)) in keys.into_iter().enumerate() {
            let place = self.places.entry(key).or_insert((number(at), 0));
            place.1 += 1;
        }
        let keys: usize = self.places.keys().map(|key| key.len()).sum();
        let entries = self.places.len() * size_of::<(Box<[u8]>, (u32, u32))>();
        let whole: usize =
            self.rows.keys().map(|row| size_of::<(Row, Diff)>() + row.heap_bytes()).sum();
        let bytes = keys + entries + whole + self.columns.get_array_memory_size();
        self.gauge.tell(Kept { rows: self.columns.num_rows(), bytes });
    }

    /// The left rows with what is known of them.
    fn known(&mut self, left: &DeltaBatch) -> Option<DeltaBatch> {
        let matches = self.matches(&left.batch);
        if matches.right.is_empty() {
            return None;
        }
        let right = UInt32Array::from(matches.right);
        let of_left = matches.left.map(UInt32Array::from);
        let column = |from: &From| match (from, &of_left) {
            (From::Left(column), None) => left.batch.column(*column).clone(),
            (From::Left(column), Some(rows)) => taken(left.batch.column(*column), rows),
            (From::Right(column), _) => taken(self.columns.column(*column), &right),
        };
        let columns = self.from.iter().map(column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(right.len()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options);
        let diffs = match (&left.diffs, &of_left) {
            (Diffs::Each(diffs), Some(rows)) => {
                Diffs::Each(rows.values().iter().map(|row| diffs[*row as usize]).collect())
            }
            (diffs, _) => diffs.clone(),
        };
        Some(DeltaBatch { time: left.time, batch: batch.expect("columns of the node"), diffs })
    }

    fn matches(&mut self, left: &RecordBatch) -> Matches {
        let rows = left.num_rows();
        let (places, outer) = (&self.places, self.outer);
        let (mut of_left, mut right) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        let mut once = true;
        self.left_key.each(left, |row, bytes| {
            // A key with a NULL is none of those that stand here.
            let (first, count) = places.get(bytes).copied().unwrap_or((0, 0));
            once &= count == 1 || count == 0 && outer;
            if count == 0 && outer {
                of_left.push(number(row));
                right.push(None);
            }
            for at in first..first + count {
                of_left.push(number(row));
                right.push(Some(at));
            }
        });
        Matches { left: (!once).then_some(of_left), right }
    }
}

/// Which rows match.
struct Matches {
    /// The left row of each output row, unless that is each row once, in order.
    left: Option<Vec<u32>>,
    /// The right row of each, if it has one.
    right: Vec<Option<u32>>,
}

/// The number of a row; a batch has fewer than 2^32.
fn number(row: usize) -> u32 {
    u32::try_from(row).expect("a batch has fewer than 2^32 rows")
}

fn taken(column: &ArrayRef, rows: &UInt32Array) -> ArrayRef {
    take(column.as_ref(), rows, None).expect("the rows are there")
}

impl StepPair<DeltaBatch, (Row, Diff), DeltaBatch> for Known {
    fn step(
        &mut self,
        _: Time,
        left: Vec<DeltaBatch>,
        right: Vec<(Row, Diff)>,
        out: &mut Vec<DeltaBatch>,
    ) {
        if !right.is_empty() {
            right.into_iter().for_each(|(row, diff)| add_to(&mut self.rows, row, diff));
            self.arrange();
        }
        for delta in left {
            out.extend(self.known(&delta));
        }
    }
}
