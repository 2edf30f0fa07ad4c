//! [`step`]: complete ticks, decoded and given to the kernel in order.
//!
//! Rows wait as bytes until the frontier has passed their tick: then all that comes is there, is
//! consolidated once, and a change that cancelled itself never reaches the kernel. The frontiers
//! and bounds are those of [`host`](super).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::Array;
use arrow_array::BooleanArray;
use arrow_array::RecordBatch;
use arrow_schema::Field;
use arrow_schema::Schema;
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;
use differential_dataflow::consolidation::consolidate;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::time::Timestamp;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Operator;

use super::MARK;
use super::TickClock;
use super::clock::Schedule;
use super::route::Update;
use crate::kernel::Change;
use crate::kernel::InputSpec;
use crate::kernel::Kernel;

/// A row that a kernel gave: of which output, and the row.
type Given = ((u8, Row), u64, i64);

/// A row for an input, and how often it came.
type Waiting = ((u8, Row), i64);

/// A kernel with the codecs of its inputs and outputs.
struct Stepper {
    name: String,
    kernel: Box<dyn Kernel>,
    inputs: Vec<Reader>,
    outputs: Vec<RowCodec>,
}

impl Stepper {
    fn new(name: &str, kernel: Box<dyn Kernel>, specs: Vec<InputSpec>) -> Stepper {
        let codec = |schema| RowCodec::new(schema).expect("relations hold plain columns");
        let outputs = kernel.outputs().into_iter().map(|output| codec(output.schema)).collect();
        let inputs = specs.into_iter().map(Reader::new).collect();
        Stepper { name: name.to_owned(), kernel, inputs, outputs }
    }

    /// Gives the kernel the updates of one tick, which are consolidated and so in order of input
    /// and row.
    fn step(&mut self, tick: u64, updates: &[Waiting], given: &mut Vec<Given>) {
        let mut changes = Vec::with_capacity(self.inputs.len());
        for (port, reader) in self.inputs.iter_mut().enumerate() {
            let from = updates.partition_point(|((of, _), _)| usize::from(*of) < port);
            let to = updates.partition_point(|((of, _), _)| usize::from(*of) <= port);
            changes.push(reader.change(&self.name, &updates[from..to]));
        }
        let given_now = self.kernel.step_changing(Timestamp(tick), &changes);
        assert_eq!(given_now.len(), self.outputs.len(), "{}: one change an output", self.name);
        for (port, (change, codec)) in given_now.iter().zip(&mut self.outputs).enumerate() {
            let (columns, rows) = (change.batch.columns(), change.batch.num_rows());
            let rows = codec.encode(columns, rows, |row, bytes| {
                given.push(((port as u8, Row::new(bytes)), tick, change.diffs[row]));
            });
            rows.expect("a kernel gives the columns that it declares");
        }
    }
}

/// Decodes the rows of one input.
struct Reader {
    spec: InputSpec,
    codec: RowCodec,
    warned: bool,
}

impl Reader {
    fn new(spec: InputSpec) -> Reader {
        let loose: Vec<Field> =
            spec.schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let codec = RowCodec::new(Arc::new(Schema::new(loose)));
        Reader { spec, codec: codec.expect("relations hold plain columns"), warned: false }
    }

    fn change(&mut self, agent: &str, updates: &[Waiting]) -> Change {
        if updates.is_empty() {
            return Change::none(self.spec.schema.clone());
        }
        let rows = updates.iter().map(|((_, row), _)| row.as_bytes());
        let batch = self.codec.decode(rows).expect("the view's type was checked when it was built");
        let diffs: Vec<i64> = updates.iter().map(|(_, diff)| *diff).collect();
        let (batch, diffs) = match whole(&self.spec.schema, &batch) {
            None => (batch, diffs),
            Some(whole) => {
                if !self.warned {
                    self.warned = true;
                    let view = self.spec.view;
                    tracing::warn!(
                        agent,
                        view,
                        "rows with NULL where a value is needed are left out"
                    );
                }
                let kept = diffs.iter().zip(whole.values()).filter(|(_, keep)| *keep);
                let diffs = kept.map(|(diff, _)| *diff).collect();
                (filter_record_batch(&batch, &whole).expect("one flag a row"), diffs)
            }
        };
        let batch = RecordBatch::try_new(self.spec.schema.clone(), batch.columns().to_vec());
        Change { batch: batch.expect("types were checked, and NULLs are left out"), diffs }
    }
}

/// Which rows have a value wherever one is needed; `None` if all have.
fn whole(schema: &SchemaRef, batch: &RecordBatch) -> Option<BooleanArray> {
    let needed = schema.fields().iter().zip(batch.columns());
    let lacking: Vec<_> =
        needed.filter(|(f, column)| !f.is_nullable() && column.null_count() > 0).collect();
    if lacking.is_empty() {
        return None;
    }
    let row_is_whole = |row| Some(lacking.iter().all(|(_, column)| column.is_valid(row)));
    Some((0..batch.num_rows()).map(row_is_whole).collect())
}

/// Steps the kernel; see [`super`].
pub(crate) fn step<'s>(
    parcels: StreamVec<'s, u64, Update>,
    name: &str,
    kernel: Box<dyn Kernel>,
    specs: Vec<InputSpec>,
    clock: TickClock,
) -> StreamVec<'s, u64, Given> {
    let mut schedule = Schedule::new(clock, kernel.needs_every_tick());
    let every = kernel.needs_every_tick();
    let mut stepper = Stepper::new(name, kernel, specs);
    let pact = Exchange::new(|((to, _, _), _, _): &Update| *to);
    parcels.unary_frontier::<CapacityContainerBuilder<Vec<Given>>, _, _, _>(
        pact,
        name,
        move |capability, _| {
            let mut held = Some(capability);
            let mut waiting: BTreeMap<u64, Vec<Waiting>> = BTreeMap::new();
            move |(input, frontier), output| {
                input.for_each(|_, updates| {
                    for ((_, port, row), time, diff) in updates.drain(..) {
                        let tick = clock.tick_of(time);
                        if port == MARK {
                            schedule.mark(tick);
                        } else {
                            waiting.entry(tick).or_default().push(((port, row), diff));
                        }
                    }
                });
                let frontier = frontier.frontier().first().copied();
                let mut given = Vec::new();
                for tick in schedule.due(frontier) {
                    let later = waiting.split_off(&(tick + 1));
                    let ready = std::mem::replace(&mut waiting, later);
                    let mut updates: Vec<_> = ready.into_values().flatten().collect();
                    consolidate(&mut updates);
                    if every || !updates.is_empty() {
                        stepper.step(tick, &updates, &mut given);
                    }
                }
                if let (Some(held), false) = (&held, given.is_empty()) {
                    output.session(held).give_container(&mut given);
                }
                match (frontier, &mut held) {
                    (Some(frontier), Some(held)) => {
                        let next = clock.tick_of(frontier);
                        if *held.time() < next {
                            held.downgrade(&next);
                        }
                    }
                    (None, held) => *held = None,
                    (Some(_), None) => {}
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use arrow_array::ArrayRef;
    use arrow_array::Float64Array;
    use arrow_array::StringArray;
    use schemas::relation::Relation;
    use schemas::state::FeederNow;

    use super::*;

    #[test]
    fn rows_with_null_where_a_value_is_needed_are_left_out() {
        let full = FeederNow::to_batch(&["f", "g"].map(|id| FeederNow {
            feeder_id: id.to_owned(),
            measured_at: Timestamp(4_000),
            head_kw: 1.0,
            limit_kw: 2.0,
        }));
        let mut columns = full.columns().to_vec();
        columns[0] = Arc::new(StringArray::from(vec!["f", "g"])) as ArrayRef;
        columns[2] = Arc::new(Float64Array::from(vec![None, Some(1.0)]));
        let loose = full
            .schema()
            .fields()
            .iter()
            .map(|f| f.as_ref().clone().with_nullable(true))
            .collect::<Vec<_>>();
        let view = RecordBatch::try_new(Arc::new(Schema::new(loose)), columns).unwrap();
        let rows = RowCodec::new(view.schema()).unwrap().rows(&view).unwrap();
        let updates: Vec<Waiting> = rows.into_iter().map(|row| ((0, row), 1)).collect();
        let mut reader = Reader::new(InputSpec::by_feeder::<FeederNow>());
        let change = reader.change("dispatch", &updates);
        let left: Vec<FeederNow> = change.events().collect();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].feeder_id, "g");
    }
}
