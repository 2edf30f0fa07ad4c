//! The second half of Reduce: the groups, and what changed of them.
//!
//! What a group keeps, and until when, is bounded as [`reduce`](super) says.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::Array;
use arrow_array::ArrayRef;
use arrow_array::Float64Array;
use arrow_array::Int64Array;
use arrow_array::UInt32Array;
use arrow_array::new_null_array;
use arrow_cast::cast;
use arrow_schema::DataType;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat;
use arrow_select::take::take;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use schemas::contract::Fault;
use schemas::plan::AggregateFunction;
use schemas::plan::EvalError;
use schemas::plan::GroupFunction;
use schemas::row::Row;
use schemas::row::RowCodec;

use super::Lives;
use super::Part;
use super::Shape;
use super::SlotKind;
use super::group_schema;
use crate::delta::Diff;
use crate::delta::Time;
use crate::gauge::Keeps;
use crate::gauge::Kept;
use crate::gauge::MeanHeap;
use crate::render::RenderError;
use crate::render::accumulate::Accumulators;
use crate::render::accumulate::Slot;
use crate::render::accumulate::float_value;
use crate::render::codec;
use crate::render::convert::OF_SCHEMA;
use crate::render::map_filter::describe;
use crate::render::project;
use crate::stepwise::Step;

/// The groups of one worker.
pub(super) struct Groups {
    shape: Arc<Shape>,
    /// Decodes the argument values of each aggregate that keeps them.
    values: Vec<Option<RowCodec>>,
    outputs: RowCodec,
    /// Decodes groups, for faults.
    keys: RowCodec,
    lives: Option<Lives>,

    groups: HashMap<Row, Group, FixedState>,
    /// The faults of groups that are left out.
    failing: BTreeMap<Row, Fault>,
    /// How those changed in this step.
    failed: Vec<Failed>,
    /// Groups by the tick that ends them.
    due: BTreeMap<Time, Vec<Row>>,
    /// Groups by the tick from which they do not change, until then.
    unsettled: BTreeMap<Time, Vec<Row>>,
    /// The one group of a reduce without group columns must show even when empty.
    announce: bool,
    /// Argument values that are kept, over all groups.
    values_kept: usize,
    /// Groups of which only the result is kept.
    settled: usize,
    group_heap: MeanHeap,
    value_heap: MeanHeap,
}

impl Keeps for Groups {
    /// Groups and the argument values that they keep.
    fn kept(&self) -> Kept {
        let groups = self.groups.len();
        let slots = (groups - self.settled) * self.slots_beside() * size_of::<Slot>();
        let values = self.values_kept * size_of::<(Row, Diff)>();
        let heap = self.group_heap.of(groups) + self.value_heap.of(self.values_kept);
        let bytes = groups * size_of::<(Row, Group)>() + slots + values + heap;
        Kept { rows: groups + self.values_kept, bytes }
    }
}

/// A change of the output.
type Said = (Row, Time, Diff);

/// A change of what is left out.
type Failed = (Fault, Time, Diff);

/// Which aggregate of a group has no value, and why, by the group's position.
type Failures = BTreeMap<usize, (usize, EvalError)>;

#[derive(Default)]
struct Group {
    sums: Accumulators,
    values: Vec<BTreeMap<Row, Diff>>,
    /// The aggregates as they stand in the output.
    shown: Option<Row>,
    /// The input promised that nothing changes any more: only `shown` is kept.
    settled: bool,
}

impl Groups {
    /// Accumulators of a group that do not lie in the group itself.
    fn slots_beside(&self) -> usize {
        self.shape.slots.len().saturating_sub(1)
    }
}

impl Group {
    /// Argument values that it keeps.
    fn values(&self) -> usize {
        self.values.iter().map(BTreeMap::len).sum()
    }
}

impl Groups {
    pub(super) fn new(
        shape: Arc<Shape>,
        input: &SchemaRef,
        output: &SchemaRef,
        lives: Option<Lives>,
        owner: bool,
    ) -> Result<Groups, RenderError> {
        let values = (shape.aggregates.iter())
            .map(|a| match a.function.accumulable() {
                true => Ok(None),
                false => codec(&project(input, &a.arguments), "Reduce").map(Some),
            })
            .collect::<Result<_, RenderError>>()?;
        let columns: Vec<usize> = (shape.group.len()..output.fields().len()).collect();
        let outputs = codec(&project(output, &columns), "Reduce")?;
        let keys = codec(&group_schema(input, &shape.group), "Reduce")?;
        let announce = shape.group.is_empty() && owner;
        let groups = HashMap::with_hasher(FixedState::default());
        let (failing, failed) = (BTreeMap::new(), Vec::new());
        let (due, unsettled) = (BTreeMap::new(), BTreeMap::new());
        Ok(Groups {
            shape,
            values,
            outputs,
            keys,
            lives,
            groups,
            failing,
            failed,
            due,
            unsettled,
            announce,
            values_kept: 0,
            settled: 0,
            group_heap: MeanHeap::default(),
            value_heap: MeanHeap::default(),
        })
    }

    /// Adds what arrived; the groups it touched, in order.
    fn add(&mut self, at: Time, parts: Vec<Part>) -> BTreeSet<Row> {
        let mut touched = BTreeSet::new();
        for part in parts {
            self.group_heap.see(&part.group);
            if !self.groups.contains_key(&part.group) {
                match self.lives.as_ref().map(|lives| lives.of(part.group.as_bytes())) {
                    Some(life) if life.ends <= at => continue,
                    Some(life) => {
                        self.due.entry(life.ends).or_default().push(part.group.clone());
                        if let Some(settles) = life.settles {
                            self.unsettled.entry(settles).or_default().push(part.group.clone());
                        }
                    }
                    None => {}
                }
            }
            let kept = self.shape.aggregates.len();
            let group = self.groups.entry(part.group.clone()).or_default();
            assert!(
                !group.settled,
                "ingest takes nothing that is older than the stream's lateness"
            );
            if group.sums.slots.len() < part.sums.slots.len() {
                group.sums = Accumulators::new(part.sums.slots.len());
            }
            group.sums.add(&part.sums);
            for (aggregate, values, diff) in part.values {
                if group.values.is_empty() {
                    group.values = vec![BTreeMap::new(); kept];
                }
                self.value_heap.see(&values);
                let of = &mut group.values[aggregate as usize];
                let before = of.len();
                crate::delta::add_to(of, values, diff);
                self.values_kept = self.values_kept + of.len() - before;
            }
            touched.insert(part.group);
        }
        touched
    }

    /// Keeps of groups that change no more what they show.
    fn settle(&mut self, at: Time) {
        while let Some(due) = self.unsettled.first_entry()
            && *due.key() <= at
        {
            for key in due.remove() {
                if let Some(group) = self.groups.get_mut(&key) {
                    self.values_kept -= group.values();
                    self.settled += 1;
                    *group = Group { shown: group.shown.take(), settled: true, ..Group::default() };
                }
            }
        }
    }

    /// Takes away the groups whose time has come, and their faults.
    fn expire(&mut self, at: Time, out: &mut Vec<Said>) {
        while let Some(due) = self.due.first_entry()
            && *due.key() <= at
        {
            for key in due.remove() {
                if let Some(group) = self.groups.remove(&key) {
                    self.values_kept -= group.values();
                    self.settled -= usize::from(group.settled);
                    out.extend(group.shown.map(|shown| (joined(&key, &shown), at, -1)));
                }
                self.fail(&key, None, at);
            }
        }
    }

    /// Makes `fault`, or none, what is wrong with a group.
    fn fail(&mut self, key: &Row, fault: Option<Fault>, at: Time) {
        if fault.is_none() && self.failing.is_empty() {
            return;
        }
        let old = match &fault {
            Some(fault) => self.failing.insert(key.clone(), fault.clone()),
            None => self.failing.remove(key),
        };
        if old != fault {
            self.failed.extend(old.map(|old| (old, at, -1)));
            self.failed.extend(fault.map(|new| (new, at, 1)));
        }
    }

    /// The aggregates of these groups as rows, in order; why a group has none, by its position.
    fn evaluate(&mut self, keys: &[Row]) -> (Vec<Row>, BTreeMap<usize, Fault>) {
        if keys.is_empty() {
            // Woken only to take groups away.
            return (Vec::new(), BTreeMap::new());
        }
        let groups: Vec<&Group> = keys.iter().map(|key| &self.groups[key]).collect();
        let mut failures = BTreeMap::new();
        let columns: Vec<ArrayRef> = (0..self.shape.aggregates.len())
            .map(|a| self.column(a, &groups, &mut failures))
            .collect();
        let fault = |(i, (aggregate, error))| (i, self.fault(&keys[i], aggregate, error));
        let faults = failures.into_iter().map(fault).collect();
        let mut rows = Vec::with_capacity(keys.len());
        self.outputs
            .encode(&columns, keys.len(), |_, bytes| rows.push(Row::new(bytes)))
            .expect("aggregates are of their output types");
        (rows, faults)
    }

    /// Why an aggregate of a group has no value.
    fn fault(&self, key: &Row, aggregate: usize, error: EvalError) -> Fault {
        let group = std::iter::once(key.as_bytes());
        let group = self.keys.decode(group).expect("the group's own bytes");
        let of = self.values[aggregate].as_ref().expect(KEPT).schema();
        let of: Vec<&str> = of.fields().iter().map(|field| field.name().as_str()).collect();
        let function = &self.shape.aggregates[aggregate].function;
        let expression = format!("{function}({})", of.join(", "));
        Fault { expression, message: error.message, row: describe(&group) }
    }

    /// An aggregate of these groups. Where there is no value stands NULL, and unless that is what
    /// was asked for the first reason goes to `failures`, by the group's position.
    fn column(&self, index: usize, groups: &[&Group], failures: &mut Failures) -> ArrayRef {
        let aggregate = &self.shape.aggregates[index];
        let output = aggregate.output.data_type();
        let (slot, square) = self.shape.slot_of[index];
        let zero = Default::default();
        let slot_of = |group: &&Group, slot: usize| *group.sums.slots.get(slot).unwrap_or(&zero);
        let array: ArrayRef = match (&aggregate.function, slot) {
            (AggregateFunction::CountRows, None) => {
                Arc::new(groups.iter().map(|g| Some(g.sums.rows)).collect::<Int64Array>())
            }
            (AggregateFunction::CountRows | AggregateFunction::Count, Some(slot)) => {
                let counts = groups.iter().map(|g| Some(slot_of(g, slot).n));
                Arc::new(counts.collect::<Int64Array>())
            }
            (function, Some(slot))
                if matches!(self.shape.slots[slot].kind, SlotKind::Float | SlotKind::Root) =>
            {
                let values = groups.iter().map(|g| {
                    let square = square.map(|s| slot_of(g, s));
                    float_value(function, &slot_of(g, slot), square.as_ref())
                });
                Arc::new(values.collect::<Float64Array>())
            }
            (AggregateFunction::Avg, Some(slot)) => {
                let values = groups.iter().map(|g| slot_of(g, slot));
                let mean = values.map(|s| (s.n != 0).then(|| s.sum as f64 / s.n as f64));
                Arc::new(mean.collect::<Float64Array>())
            }
            (_, Some(slot)) => {
                let sums = groups.iter().map(|g| slot_of(g, slot));
                let sums = sums.map(|s| (s.n != 0).then_some(s.sum));
                return integers(sums, output);
            }
            (AggregateFunction::Basic(function), None) => {
                return self.basics((index, function, output), groups, failures);
            }
            (function, None) => {
                let greatest = matches!(function, AggregateFunction::Max);
                return self.extreme(index, greatest, groups, output);
            }
        };
        if array.data_type() == output {
            array
        } else {
            cast(&array, output).expect("the planner types aggregates as arrow can cast")
        }
    }

    /// The least or greatest value of each group; NULL where there is none.
    fn extreme(
        &self,
        index: usize,
        greatest: bool,
        groups: &[&Group],
        output: &DataType,
    ) -> ArrayRef {
        let mut rows: Vec<Option<&Row>> = Vec::with_capacity(groups.len());
        for group in groups {
            let values = group.values.get(index).map(BTreeMap::keys);
            rows.push(values.and_then(|mut v| if greatest { v.next_back() } else { v.next() }));
        }
        let there: Vec<&Row> = rows.iter().flatten().copied().collect();
        let values = self.decode(index, &there);
        if there.len() == rows.len() {
            return values;
        }
        if there.is_empty() {
            return new_null_array(output, rows.len());
        }
        let mut next = 0..;
        let place = |row: &Option<&Row>| row.and_then(|_| next.next());
        let places: UInt32Array = rows.iter().map(place).collect();
        take(&values, &places, None).expect("places are of these values")
    }

    /// The values of an aggregate that sees all values of each group.
    fn basics(
        &self,
        (index, function, output): (usize, &Arc<dyn GroupFunction>, &DataType),
        groups: &[&Group],
        failures: &mut Failures,
    ) -> ArrayRef {
        let values: Vec<_> = groups.iter().map(|g| self.basic(index, function, g)).collect();
        // Nested types say more than the planner does, such as the names of their fields.
        let found = values.iter().find_map(|value| value.as_ref().ok());
        let none = new_null_array(found.map_or(output, |value| value.data_type()), 1);
        let mut or_none = |(position, value): (usize, Result<ArrayRef, EvalError>)| {
            value.unwrap_or_else(|error| {
                if !self.shape.lenient {
                    failures.entry(position).or_insert((index, error));
                }
                none.clone()
            })
        };
        let values: Vec<ArrayRef> = values.into_iter().enumerate().map(&mut or_none).collect();
        let values: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
        concat(&values).expect("each is of one type")
    }

    /// The value of an aggregate that sees all values of one group.
    fn basic(
        &self,
        index: usize,
        function: &Arc<dyn GroupFunction>,
        group: &Group,
    ) -> Result<ArrayRef, EvalError> {
        let empty = BTreeMap::new();
        let values = group.values.get(index).unwrap_or(&empty);
        let repeated: Vec<&Row> = (values.iter())
            .flat_map(|(row, n)| std::iter::repeat_n(row, (*n).max(0) as usize))
            .collect();
        let codec = self.values[index].as_ref().expect(KEPT);
        let rows = repeated.iter().map(|row| row.as_bytes());
        let batch = codec.decode(rows).expect(OF_SCHEMA);
        function.evaluate(batch.columns())
    }

    /// These argument values of an aggregate.
    fn decode(&self, index: usize, rows: &[&Row]) -> ArrayRef {
        let codec = self.values[index].as_ref().expect(KEPT);
        let batch = codec.decode(rows.iter().map(|row| row.as_bytes())).expect(OF_SCHEMA);
        batch.column(0).clone()
    }
}

/// Why there is a codec.
const KEPT: &str = "aggregates that keep values have a codec";

/// Integer sums in the output's type.
fn integers(sums: impl Iterator<Item = Option<i128>>, output: &DataType) -> ArrayRef {
    match output {
        DataType::Decimal128(precision, scale) => {
            let array: arrow_array::Decimal128Array = sums.collect();
            let array = array.with_precision_and_scale(*precision, *scale);
            Arc::new(array.expect("the planner chose the precision"))
        }
        DataType::UInt64 => {
            Arc::new(sums.map(|s| s.map(|s| s as u64)).collect::<arrow_array::UInt64Array>())
        }
        _ => Arc::new(sums.map(|s| s.map(|s| s as i64)).collect::<Int64Array>()),
    }
}

/// The bytes of two rows, one after the other: the row of all their columns.
fn joined(first: &Row, second: &Row) -> Row {
    let mut bytes = first.as_bytes().to_vec();
    bytes.extend_from_slice(second.as_bytes());
    Row::new(&bytes)
}

impl Step<Part, Said> for Groups {
    fn step(&mut self, at: Time, data: Vec<Part>, out: &mut Vec<Said>) {
        let came = !data.is_empty();
        let mut touched = self.add(at, data);
        if std::mem::take(&mut self.announce) {
            let group = self.groups.entry(Row::empty()).or_default();
            // Rows may have come at the same time.
            if group.sums.slots.len() < self.shape.slots.len() {
                group.sums = Accumulators::new(self.shape.slots.len());
            }
            touched.insert(Row::empty());
        }
        self.expire(at, out);
        let keys: Vec<Row> = touched.into_iter().filter(|k| self.groups.contains_key(k)).collect();
        let (rows, mut faults) = self.evaluate(&keys);
        let always = self.shape.group.is_empty();
        for (i, (key, row)) in keys.into_iter().zip(rows).enumerate() {
            let group = self.groups.get_mut(&key).expect("evaluated above");
            let stands = group.sums.rows > 0 || always;
            let fault = faults.remove(&i).filter(|_| stands);
            let new = (stands && fault.is_none()).then_some(row);
            if group.shown != new {
                if let Some(old) = group.shown.take() {
                    out.push((joined(&key, &old), at, -1));
                }
                if let Some(new) = &new {
                    out.push((joined(&key, new), at, 1));
                }
                group.shown = new;
            }
            let empty = group.sums == Accumulators::new(group.sums.slots.len())
                && group.values.iter().all(BTreeMap::is_empty);
            if empty && !always {
                // Nothing changes a settled group, so it is not met here.
                self.groups.remove(&key);
            }
            self.fail(&key, fault, at);
        }
        // Behind the rows of a tick, and never by being woken: of a past that comes in parts, rows
        // of the part that is on its way may be older than the clock.
        if came {
            self.settle(at);
        }
    }

    fn wake_at(&self) -> Option<Time> {
        if self.announce { Some(0) } else { self.due.keys().next().copied() }
    }
}

/// Groups whose aggregates may have no value: rows beside faults.
pub(super) struct Fallible(pub(super) Groups);

impl Keeps for Fallible {
    fn kept(&self) -> Kept {
        self.0.kept()
    }
}

impl Step<Part, Result<Said, Failed>> for Fallible {
    fn step(&mut self, at: Time, data: Vec<Part>, out: &mut Vec<Result<Said, Failed>>) {
        let mut said = Vec::new();
        self.0.step(at, data, &mut said);
        out.extend(said.into_iter().map(Ok));
        out.extend(self.0.failed.drain(..).map(Err));
    }

    fn wake_at(&self) -> Option<Time> {
        self.0.wake_at()
    }
}
