//! Indexes: the rows of a relation, arranged by key once, for views that are made later.
//!
//! An index is a dataflow of its own, as a view that is added is, but what comes out is kept in a
//! differential arrangement that other dataflows of the worker import. A view that is made over an
//! indexed relation takes the past from there and not from the log, unpacked in pieces of [`PIECE`]
//! rows between which the worker does other work; a join by just the key of an index reads the
//! arrangement in place and keeps nothing of that side.
//!
//! # Frontiers
//!
//! The arrangement is compacted to the last tick that the index is done with. A view begins at a
//! pause, when no tick is on its way, so what it imports is as of exactly that tick, and after it
//! tick by tick.
//!
//! Operators take a tick in one step, so a past that came at one tick would be one step, however
//! long. It comes in pieces instead, each at a millisecond of its own: one of the [`PIECES`] that
//! end with the tick. Nobody sees the view before it is done with the tick, and what it shows there
//! is a function of the rows that there are, not of when they came ([`serves`] leaves out lookups,
//! for which that is not so); a part of the log that comes before, between or behind the pieces is
//! as good as one at the same time. The pieces stand right before the tick, and not at the
//! beginning of time, so that a row which a comparison with `now()` has ended by then does not show
//! first and go after. Those of two imports of a view begin together and go side by side.
//!
//! A piece is given once all but the one before it are worked off, on every worker, and so is what
//! the log has of earlier ticks. Batches of later ticks wait behind the last one.
//!
//! Two things stay whole. A join that reads the arrangement in place finds all of it at the tick,
//! so its output is of the tick, whenever the rows of its other side came. And a view is given its
//! past at the tick if one of its operators looks at more than what changed ([`in_steps`]): it
//! would look at all of that once a piece.
//!
//! # Bounds
//!
//! Each row that the relation retains, with its key; while batches merge, up to twice that. Of an
//! import two pieces, each of [`PIECE`] rows, or of as many as make [`PIECES`] of the whole; of one
//! that is given at once, the whole.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;
use differential_dataflow::AsCollection;
use differential_dataflow::operators::arrange::Arranged;
use differential_dataflow::operators::arrange::ShutdownButton;
use differential_dataflow::operators::arrange::TraceAgent;
use differential_dataflow::trace::Cursor;
use differential_dataflow::trace::Navigable;
use differential_dataflow::trace::TraceReader;
use differential_dataflow::trace::implementations::ValSpine;
use differential_dataflow::trace::implementations::spine_fueled::SpineBatch;
use differential_dataflow::trace::wrappers::frontier::TraceFrontier;
use schemas::contract::IndexPlan;
use schemas::plan::AggregateFunction;
use schemas::plan::JoinKind;
use schemas::plan::Node;
use schemas::plan::Op;
use schemas::plan::ViewPlan;
use schemas::row::Row;
use schemas::row::Splice;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::ProbeHandle;
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::CapabilitySet;
use timely::dataflow::operators::Operator;
use timely::progress::frontier::AntichainRef;

use crate::delta::Diff;
use crate::delta::Edge;
use crate::delta::Oks;
use crate::delta::Rows;
use crate::delta::Time;
use crate::gauge::Gauge;
use crate::gauge::Kept;
use crate::render::RenderError;
use crate::render::layout;

/// Rows of an import between which a worker does other work: some ten milliseconds of it.
const PIECE: usize = 16_384;

/// Pieces of a past at most: beyond 16 M rows on a worker they are longer. More would cost more
/// where a group or a key is touched by many of them, and at ticks of a second would come before
/// the tick before.
const PIECES: usize = 1_000;

/// How soon to look again whether the pieces that were given are worked off.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

type Trace = TraceAgent<ValSpine<Row, Row, Time, Diff>>;

/// An arrangement of rows by key, as another dataflow has it.
pub(crate) type Imported<'s> = Arranged<'s, TraceFrontier<Trace>>;

/// Ends an import.
pub(crate) type EndOfImport = ShutdownButton<CapabilitySet<Time>>;

/// What is arranged of a row.
pub(crate) type Change = ((Row, Row), Time, Diff);

/// The imports of a dataflow, which end with it: by themselves they would go on as long as their
/// indexes do.
#[derive(Default)]
pub(crate) struct Imports(Vec<EndOfImport>);

impl Imports {
    pub(crate) fn push(&mut self, end: EndOfImport) {
        self.0.push(end);
    }
}

impl Drop for Imports {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(EndOfImport::press);
    }
}

/// A batch of an import.
type Batch = <TraceFrontier<Trace> as TraceReader>::Batch;

/// Whether a view can read a relation from an index; `Some(true)` if it also joins by its key.
///
/// The rows of an index go when the stream forgets them. A view that forgets in another place, as a
/// GROUP BY over bins of time does, would see them go twice. And they come as of one tick, where a
/// lookup wants to know which were there when.
pub fn serves(index: &IndexPlan, view: &ViewPlan) -> Option<bool> {
    let Op::Get { expire: until, .. } = &index.view.root.op else { return None };
    let mut reads = 0;
    let mut alike = true;
    each_node(&view.root, &mut |node| {
        if let Op::Get { relation, expire, .. } = &node.op
            && *relation == index.relation
        {
            reads += 1;
            alike &= expire == until;
        }
    });
    let (mut by_key, mut looked_up) = (false, false);
    each_node(&view.root, &mut |node| {
        by_key |= joins_by(node, index);
        looked_up |= matches!(node.op, Op::Lookup { .. }) && reads_from(node, &index.relation);
    });
    (reads > 0 && alike && !looked_up).then_some(by_key)
}

/// Whether what each operator of a view does at a tick is of the size of what changed there, so
/// that a past in many steps costs about what it costs in one.
///
/// Windows and AS OF joins compute the surroundings of a change anew, an aggregate that is not
/// accumulable or ordered sees all values of its group, and a recursion may reach everything from
/// one row.
fn in_steps(view: &ViewPlan) -> bool {
    let mut in_steps = true;
    each_node(&view.root, &mut |node| {
        in_steps &= match &node.op {
            Op::Window { .. } | Op::AsOf { .. } | Op::Recursive { .. } => false,
            Op::Reduce { aggregates, .. } => {
                !aggregates.iter().any(|a| matches!(a.function, AggregateFunction::Basic(_)))
            }
            _ => true,
        };
    });
    in_steps
}

/// Whether a node reads a relation, itself or below.
fn reads_from(node: &Node, relation: &str) -> bool {
    let mut found = false;
    each_node(node, &mut |node| {
        found |= matches!(&node.op, Op::Get { relation: of, .. } if of == relation);
    });
    found
}

fn each_node(node: &Node, each: &mut dyn FnMut(&Node)) {
    each(node);
    node.inputs().into_iter().for_each(|input| each_node(input, each));
}

/// Whether a node joins the relation of an index by its key.
fn joins_by(node: &Node, index: &IndexPlan) -> bool {
    let Op::Join { left, right, left_key, right_key, kind: JoinKind::Inner, .. } = &node.op else {
        return false;
    };
    let mut sides = [(left, left_key), (right, right_key)].into_iter();
    sides.any(|(side, key)| match &side.op {
        Op::Get { relation, columns, .. } if *relation == index.relation => {
            places(&index.key, columns, key).is_some()
        }
        _ => false,
    })
}

/// Where each column of an index stands in a join's key over these columns of the relation, if the
/// join is by just the key of the index.
pub(crate) fn places(index: &[usize], columns: &[usize], key: &[usize]) -> Option<Vec<usize>> {
    let place = |of: &usize| key.iter().position(|column| columns[*column] == *of);
    (index.len() == key.len()).then(|| index.iter().map(place).collect())?
}

/// An index on one worker.
pub struct Index {
    trace: Trace,
    /// The columns by which it is arranged.
    key: Vec<usize>,
    schema: SchemaRef,
    gauge: Arc<Gauge>,
}

impl Index {
    /// Arranges the rows of an edge by `key`; `gauge` is told what is kept. Beside the index comes
    /// what stands for its output.
    ///
    /// # Errors
    /// A column has no row encoding.
    pub(crate) fn arrange<'s>(
        edge: &Edge<'s>,
        rows: Rows<'s>,
        key: &[usize],
        gauge: Arc<Gauge>,
    ) -> Result<(Index, Arranged<'s, Trace>), RenderError> {
        let mut splice = Splice::new(vec![layout(&edge.schema, "Index")?], key);
        let mut kept = Kept::default();
        let told = Arc::clone(&gauge);
        let keyed = rows.inspect_batch(move |_, changes| {
            for (row, _, diff) in changes {
                kept.add(*diff, size_of::<Change>() + 2 * row.heap_bytes());
            }
            told.tell(kept);
        });
        let keyed = keyed.map(move |row| (splice.row(&[row.as_bytes()]), row));
        let arranged = by_key(keyed, "Index");
        let (trace, key, schema) = (arranged.trace.clone(), key.to_vec(), edge.schema.clone());
        Ok((Index { trace, key, schema, gauge }, arranged))
    }

    /// Lets go of what was before a tick that is done.
    pub(crate) fn compact(&mut self, done: Time) {
        self.trace.set_logical_compaction(AntichainRef::new(&[done]));
        self.trace.set_physical_compaction(AntichainRef::new(&[done]));
    }

    /// The index in the dataflow of a view on the same worker, whose output stands where `probe`
    /// says.
    pub(crate) fn import<'s>(
        &mut self,
        scope: Scope<'s, Time>,
        view: &ViewPlan,
        probe: &ProbeHandle<Time>,
    ) -> (Import<'s>, EndOfImport) {
        let at = self.trace.get_logical_compaction().first().copied().unwrap_or_default();
        let course = Course::new(at, in_steps(view));
        let (arranged, end) = self.trace.import_frontier(scope, "Import");
        let (key, schema) = (self.key.clone(), self.schema.clone());
        let (gauge, probe) = (Arc::clone(&self.gauge), probe.clone());
        let rows = OnceCell::new();
        (Import { scope, arranged, key, schema, gauge, course, probe, rows }, end)
    }
}

/// Arranges rows by their keys.
#[expect(clippy::disallowed_methods, reason = "its plan names it, and its gauge counts it")]
pub(crate) fn by_key<'s>(
    keyed: differential_dataflow::VecCollection<'s, Time, (Row, Row), Diff>,
    name: &str,
) -> Arranged<'s, Trace> {
    keyed.arrange_by_key_named(name)
}

/// An index as a dataflow that is being built has it.
pub struct Import<'s> {
    scope: Scope<'s, Time>,
    arranged: Imported<'s>,
    key: Vec<usize>,
    schema: SchemaRef,
    gauge: Arc<Gauge>,
    course: Course,
    /// Where the output of the dataflow stands.
    probe: ProbeHandle<Time>,
    /// Its rows, if somebody asked for them.
    rows: OnceCell<Edge<'s>>,
}

impl<'s> Import<'s> {
    /// Its rows by key, as they stand.
    pub(crate) fn arranged(&self) -> Imported<'s> {
        self.arranged.clone()
    }

    /// The columns by which it is arranged.
    pub(crate) fn key(&self) -> &[usize] {
        &self.key
    }

    /// The columns of its rows.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What it keeps.
    pub(crate) fn gauge(&self) -> Arc<Gauge> {
        Arc::clone(&self.gauge)
    }

    /// Its rows.
    pub(crate) fn rows(&self) -> Edge<'s> {
        let made = || {
            let (schema, oks) = (self.schema.clone(), Oks::Rows(self.unpacked()));
            Edge { schema, oks, faults: Vec::new() }
        };
        self.rows.get_or_init(made).clone()
    }

    /// The rows of its batches, piece by piece.
    fn unpacked(&self) -> Rows<'s> {
        let (scope, stream) = (self.scope, self.arranged.stream.clone());
        let mut unpacking = Unpacking::new(self.course, self.probe.clone());
        let rows = stream.unary_frontier::<CapacityContainerBuilder<Vec<Given>>, _, _, _>(
            Pipeline,
            "Unpack",
            move |_, info| {
                let activator = scope.activator_for(info.address);
                move |(input, frontier), output| {
                    input.for_each(|cap, spans| {
                        let Some(cap) = cap.retain_least(0) else { return };
                        let batches = spans.drain(..).filter_map(|span| span.inner);
                        batches.for_each(|batch| unpacking.take(cap.clone(), batch));
                    });
                    if frontier.is_empty() {
                        // The view was taken away, or everything ends.
                        unpacking.forget();
                        return;
                    }
                    let ready = unpacking.ready();
                    if ready && let Some((cap, mut rows)) = unpacking.piece() {
                        output.session(&cap).give_container(&mut rows);
                    }
                    match unpacking.over() {
                        true => {}
                        false if ready => activator.activate(),
                        false => activator.activate_after(LOOK_AGAIN),
                    }
                }
            },
        );
        rows.as_collection()
    }
}

/// A change of a row, as it comes out.
type Given = (Row, Time, Diff);

/// When the pieces of a past come.
#[derive(Clone, Copy, Debug)]
struct Course {
    /// The tick as of which the past is.
    at: Time,
    /// When the next piece comes.
    next: Time,
}

impl Course {
    /// The course of a past as of a tick: in steps before it, or all of it there.
    fn new(at: Time, in_steps: bool) -> Course {
        let first = at.saturating_sub(PIECES as Time) + 1;
        Course { at, next: if in_steps { at.min(first) } else { at } }
    }

    /// Goes on to the next piece; what is left behind the last one comes with it.
    fn pass(&mut self) {
        self.next = self.at.min(self.next + 1);
    }
}

/// An import that is being unpacked.
struct Unpacking {
    course: Course,
    probe: ProbeHandle<Time>,

    /// What is left of the past, and the capability of its next piece.
    past: VecDeque<Rest>,
    held: Option<Capability<Time>>,
    /// Changes of the past, given or not.
    changes: usize,
    /// What is left of batches that came since, in order.
    since: VecDeque<(Capability<Time>, Rest)>,
}

impl Unpacking {
    fn new(course: Course, probe: ProbeHandle<Time>) -> Unpacking {
        let (past, since) = (VecDeque::new(), VecDeque::new());
        Unpacking { course, probe, past, held: None, changes: 0, since }
    }

    /// Takes a batch. Those of the past come as if from the beginning of time.
    fn take(&mut self, cap: Capability<Time>, batch: Batch) {
        let Course { at, next } = self.course;
        if *cap.time() >= at {
            self.since.push_back((cap, Rest::new(batch)));
            return;
        }
        self.held.get_or_insert_with(|| cap.delayed(&next));
        self.changes += batch.inner().len();
        self.past.push_back(Rest::new(batch));
    }

    /// Whether the next piece may be given: all but the one before it are worked off.
    fn ready(&self) -> bool {
        let Course { at, next } = self.course;
        self.held.is_none() || next == at || !self.probe.less_than(&(next - 1))
    }

    /// Whether there is nothing left.
    fn over(&self) -> bool {
        self.held.is_none() && self.since.is_empty()
    }

    /// Lets go of everything.
    fn forget(&mut self) {
        self.past.clear();
        self.since.clear();
        self.held = None;
    }

    /// The next piece, if there is one.
    fn piece(&mut self) -> Option<(Capability<Time>, Vec<Given>)> {
        let Some(held) = &mut self.held else { return self.piece_since() };
        let cap = held.clone();
        let mut rows = Vec::new();
        for _ in 0..PIECE.max(self.changes.div_ceil(PIECES)) {
            let Some(rest) = self.past.front_mut() else { break };
            // All of it is of one tick.
            let mut sum: Diff = 0;
            match rest.next(|_, diff| sum += diff) {
                Some(row) if sum != 0 => rows.push((row, *cap.time(), sum)),
                Some(_) => {}
                None => drop(self.past.pop_front()),
            }
        }
        if self.past.is_empty() {
            self.held = None;
        } else {
            self.course.pass();
            held.downgrade(&self.course.next);
        }
        Some((cap, rows))
    }

    /// The next piece of what came since.
    fn piece_since(&mut self) -> Option<(Capability<Time>, Vec<Given>)> {
        let (cap, rest) = self.since.front_mut()?;
        let cap = cap.clone();
        let (mut rows, mut changes) = (Vec::new(), Vec::new());
        for _ in 0..PIECE {
            let Some(row) = rest.next(|time, diff| changes.push((time, diff))) else {
                self.since.pop_front();
                break;
            };
            rows.extend(changes.drain(..).map(|(time, diff)| (row.clone(), time, diff)));
        }
        Some((cap, rows))
    }
}

/// What was not unpacked yet of a batch.
struct Rest {
    batch: Batch,
    cursor: <Batch as Navigable>::Cursor,
}

impl Rest {
    fn new(batch: Batch) -> Rest {
        let cursor = batch.cursor();
        Rest { batch, cursor }
    }

    /// The next row, unless there is none; its changes are told to `each`.
    fn next(&mut self, mut each: impl FnMut(Time, Diff)) -> Option<Row> {
        let Rest { batch, cursor } = self;
        loop {
            cursor.get_key(batch)?;
            let Some(row) = cursor.get_val(batch).cloned() else {
                cursor.step_key(batch);
                continue;
            };
            cursor.map_times(batch, |time, diff| each(*time, *diff));
            cursor.step_val(batch);
            return Some(row);
        }
    }
}
