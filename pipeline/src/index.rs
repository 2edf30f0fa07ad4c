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
//! # Bounds
//!
//! Each row that the relation retains, with its key; while batches merge, up to twice that.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use differential_dataflow::AsCollection;
use differential_dataflow::operators::arrange::Arranged;
use differential_dataflow::operators::arrange::ShutdownButton;
use differential_dataflow::operators::arrange::TraceAgent;
use differential_dataflow::trace::Cursor;
use differential_dataflow::trace::Navigable;
use differential_dataflow::trace::TraceReader;
use differential_dataflow::trace::implementations::ValSpine;
use differential_dataflow::trace::wrappers::frontier::TraceFrontier;
use schemas::contract::IndexPlan;
use schemas::plan::JoinKind;
use schemas::plan::Node;
use schemas::plan::Op;
use schemas::plan::ViewPlan;
use schemas::row::Row;
use schemas::row::Splice;
use timely::container::CapacityContainerBuilder;
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
/// GROUP BY over bins of time does, would see them go twice. And they come all at once, where a
/// lookup wants to know which were there when.
pub(crate) fn serves(index: &IndexPlan, view: &ViewPlan) -> Option<bool> {
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

    /// The index in another dataflow of the worker.
    pub(crate) fn import<'s>(&mut self, scope: Scope<'s, Time>) -> (Import<'s>, EndOfImport) {
        let (arranged, end) = self.trace.import_frontier(scope, "Import");
        let (key, schema) = (self.key.clone(), self.schema.clone());
        let gauge = Arc::clone(&self.gauge);
        (Import { scope, arranged, key, schema, gauge, rows: OnceCell::new() }, end)
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
        let rows = stream.unary::<CapacityContainerBuilder<Vec<(Row, Time, Diff)>>, _, _, _>(
            Pipeline,
            "Unpack",
            move |_, info| {
                let activator = scope.activator_for(info.address);
                let mut waiting: VecDeque<Waiting> = VecDeque::new();
                move |input, output| {
                    input.for_each(|cap, spans| {
                        let Some(cap) = cap.retain_least(0) else { return };
                        let batches = spans.drain(..).filter_map(|span| span.inner);
                        waiting.extend(batches.map(|batch| Waiting::new(cap.clone(), batch)));
                    });
                    let mut room = PIECE;
                    while let Some(Waiting { cap, rest }) = waiting.front_mut() {
                        let mut session = output.session(&*cap);
                        while room > 0
                            && let Some(changes) = rest.next()
                        {
                            room -= 1;
                            session.give_iterator(changes.into_iter());
                        }
                        drop(session);
                        if room == 0 {
                            activator.activate();
                            return;
                        }
                        waiting.pop_front();
                    }
                }
            },
        );
        rows.as_collection()
    }
}

/// A batch that is being unpacked.
struct Waiting {
    cap: Capability<Time>,
    rest: Rest,
}

impl Waiting {
    fn new(cap: Capability<Time>, batch: Batch) -> Waiting {
        let cursor = batch.cursor();
        Waiting { cap, rest: Rest { batch, cursor } }
    }
}

/// What was not unpacked yet.
struct Rest {
    batch: Batch,
    cursor: <Batch as Navigable>::Cursor,
}

impl Rest {
    /// The changes of the next row, unless there is none.
    fn next(&mut self) -> Option<Vec<(Row, Time, Diff)>> {
        let Rest { batch, cursor } = self;
        loop {
            cursor.get_key(batch)?;
            let Some(row) = cursor.get_val(batch).cloned() else {
                cursor.step_key(batch);
                continue;
            };
            let mut changes = Vec::new();
            cursor.map_times(batch, |time, diff| changes.push((row.clone(), *time, *diff)));
            cursor.step_val(batch);
            return Some(changes);
        }
    }
}
