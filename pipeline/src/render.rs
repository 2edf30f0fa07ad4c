//! From plan to dataflow: one `match`, one file an arm, no judgement.
//!
//! Everything that could be chosen was chosen by the planner. Here each node becomes operators
//! whose output is an [`Edge`]: rows, as batches or as bytes, beside the faults of everything
//! below. A node that another view has rendered already is taken from there, so that state is kept
//! once however many views ask for it.
//!
//! **Invariant:** for any number of workers and any order of arrival within a tick, the
//! consolidated output of a tick is the same: every operator's state is keyed, and what meets in it
//! adds up commutatively.

pub mod accumulate;
pub mod as_of;
pub mod candidate;
pub mod convert;
pub mod distinct;
pub mod get;
pub mod join;
mod key;
pub mod lookup;
pub mod map_filter;
pub mod recursive;
pub mod reduce;
pub mod temporal;
pub mod top_k;
pub mod unnest;
pub mod window;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::Schema;
use arrow_schema::SchemaRef;
use differential_dataflow::AsCollection;
use schemas::plan::Expiry;
use schemas::plan::Node;
use schemas::plan::OnError;
use schemas::plan::Op;
use schemas::plan::ViewPlan;
use schemas::plan::explain;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::row::RowError;
use schemas::time::Step;
use timely::dataflow::Scope;
use timely::dataflow::StreamVec;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::ToStream;

use self::join::indexed::Indexed;
use self::map_filter::Evaluator;
use crate::delta::Diff;
use crate::delta::Edge;
use crate::delta::Oks;
use crate::delta::Time;
use crate::gauge::Gauge;
use crate::gauge::Measured;
use crate::index::Import;

/// A node that keeps something, and a gauge for each arrangement.
type Listed = (Node, OnError, Vec<Arc<Gauge>>);

/// What was rendered already: a view that asks for the same again gets the same, and what it keeps
/// is kept once.
#[derive(Default)]
pub struct Shared<'s> {
    rendered: RefCell<Vec<(Node, OnError, Edge<'s>)>>,
    gauges: RefCell<Vec<Listed>>,
}

impl<'s> Shared<'s> {
    fn find(&self, node: &Node, on_error: OnError) -> Option<Edge<'s>> {
        let rendered = self.rendered.borrow();
        let found = rendered.iter().find(|(one, rule, _)| *rule == on_error && one == node);
        found.map(|(_, _, edge)| edge.clone())
    }

    fn add(&self, node: &Node, on_error: OnError, edge: &Edge<'s>) {
        self.rendered.borrow_mut().push((node.clone(), on_error, edge.clone()));
    }

    /// What a view keeps, in the order in which EXPLAIN prints it.
    pub(crate) fn measured(&self, view: &ViewPlan) -> Vec<Measured> {
        let mut measured = Vec::new();
        self.measure(&view.root, &view.root, view.on_error, &mut measured);
        measured
    }

    /// Adds what `node`, which was rendered as part of `whole`, and all below it keep.
    fn measure(&self, node: &Node, whole: &Node, on_error: OnError, out: &mut Vec<Measured>) {
        let gauges = self.gauges.borrow();
        let of = gauges.iter().find(|(one, rule, _)| *rule == on_error && one == whole);
        let of = of.into_iter().flat_map(|(_, _, gauges)| gauges.clone());
        let arranged = explain::arranged(node).into_iter().zip(of);
        out.extend(arranged.map(|(arranged, gauge)| Measured { arranged, gauge }));
        for input in node.inputs() {
            let whole = if joined(node).is_some() { node } else { input };
            self.measure(input, whole, on_error, out);
        }
    }
}

/// The outputs of a join that a projection right above it picks: the two are rendered as one.
fn joined(node: &Node) -> Option<Vec<usize>> {
    let Op::MapFilterProject { input, filters, projections, .. } = &node.op else { return None };
    let Op::Join { .. } = input.op else { return None };
    filters.is_empty().then(|| projections.iter().map(|p| p.column()).collect()).flatten()
}

/// What rendering a view needs to know.
pub struct Context<'a, 's> {
    /// The worker's scope.
    pub scope: Scope<'s, Time>,
    /// The relations there are so far.
    pub relations: &'a BTreeMap<String, Edge<'s>>,
    /// The relations that an index serves.
    pub imported: &'a BTreeMap<String, Import<'s>>,
    /// What other views rendered already.
    pub shared: &'a Shared<'s>,
    /// Nothing, tick by tick: whose frontier says how late it is where nothing else does.
    pub clock: &'a StreamVec<'s, Time, (Row, Time, Diff)>,
    /// The length of a tick.
    pub step: Step,
    /// What becomes of rows that cannot be computed.
    pub on_error: OnError,
}

/// Why a plan cannot be rendered; each is a defect of the planner, found before the first tick.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The plan reads a relation that is not there.
    #[error("relation {relation} is not there")]
    Relation {
        /// Its name.
        relation: String,
    },
    /// A column type has no row encoding.
    #[error("columns of {node} cannot be kept as rows")]
    Type {
        /// The node.
        node: &'static str,
        /// Why not.
        #[source]
        source: Option<RowError>,
    },
    /// The rows of a recursion are read outside of it.
    #[error("the rows of a recursion are read outside of it")]
    Recurrence,
    /// The agents cannot run on these views.
    #[error("the agents cannot run on these views")]
    Agents {
        /// Why not.
        #[source]
        source: operators::error::HostError,
    },
    /// An aggregate over a type it has no arithmetic for.
    #[error("{function} over {data_type} cannot be maintained")]
    Aggregate {
        /// The aggregate.
        function: String,
        /// The argument's type.
        data_type: arrow_schema::DataType,
    },
}

impl<'s> Context<'_, 's> {
    /// Renders a node and all below it, unless that was done already.
    ///
    /// # Errors
    /// The plan cannot be rendered.
    pub fn render(&self, node: &Node) -> Result<Edge<'s>, RenderError> {
        if matches!(node.op, Op::Get { expire: None, .. } | Op::Constant { .. }) {
            return self.node(node);
        }
        if let Some(edge) = self.shared.find(node, self.on_error) {
            return Ok(edge);
        }
        let edge = self.node(node)?;
        self.shared.add(node, self.on_error, &edge);
        Ok(edge)
    }

    /// Gauges for what a node keeps, one an arrangement.
    fn gauges<const N: usize>(&self, node: &Node) -> [Arc<Gauge>; N] {
        let gauges: [Arc<Gauge>; N] = std::array::from_fn(|_| Arc::default());
        self.list(node, gauges.to_vec());
        gauges
    }

    /// Lists the gauges of a node.
    fn list(&self, node: &Node, gauges: Vec<Arc<Gauge>>) {
        self.shared.gauges.borrow_mut().push((node.clone(), self.on_error, gauges));
    }

    fn gauge(&self, node: &Node) -> Arc<Gauge> {
        let [gauge] = self.gauges(node);
        gauge
    }

    fn node(&self, node: &Node) -> Result<Edge<'s>, RenderError> {
        match &node.op {
            Op::Get { relation, columns, expire } => self.get(node, relation, columns, *expire),
            Op::MapFilterProject { input, filters, projections, forget } => {
                if let Some(picks) = joined(node) {
                    return self.join(node, input, Some(picks));
                }
                let input = self.render(input)?;
                let evaluator = Evaluator {
                    filters: filters.clone(),
                    projections: projections.clone(),
                    schema: nullable(&node.schema),
                    on_error: self.on_error,
                    forget: *forget,
                };
                map_filter::map_filter(input, evaluator)
            }
            Op::Join { .. } => self.join(node, node, None),
            Op::Reduce { input, group, aggregates, expire } => {
                let input = self.render(input)?;
                let kept = (*expire, self.gauge(node));
                reduce::reduce(self, input, group, aggregates, kept, &node.schema)
            }
            Op::Distinct { input } | Op::Threshold { input } => {
                distinct::threshold(self.render(input)?, self.gauge(node))
            }
            Op::TopK { input, group, order, limit, expire } => {
                let in_place = input.append_only;
                let input = self.render(input)?;
                let kept = (*expire, self.gauge(node));
                top_k::top_k(input, group, order, *limit, in_place, kept)
            }
            Op::Window { input, expire, .. } => {
                let input = self.render(input)?;
                let kept = (*expire, self.gauge(node));
                window::window(self, input, window::Shape::new(node), kept)
            }
            Op::AsOf { left, right, .. } => {
                let (left, right) = (self.render(left)?, self.render(right)?);
                as_of::as_of(left, right, node, self.gauges(node))
            }
            Op::Lookup { left, right, .. } => {
                let (left, right) = (self.render(left)?, self.render(right)?);
                lookup::lookup(left, right, node, self.gauges(node))
            }
            Op::Recursive { start, step } => recursive::recursive(self, start, step, &node.schema),
            Op::Unnest { input, column } => {
                unnest::unnest(self.render(input)?, *column, &node.schema)
            }
            Op::Recurrence => Err(RenderError::Recurrence),
            Op::Union { inputs } => {
                let inputs = inputs.iter().map(|input| self.render(input));
                union(inputs.collect::<Result<_, _>>()?, &node.schema)
            }
            Op::Negate { input } => negate(self.render(input)?),
            Op::Temporal { input, from, until } => {
                let input = self.render(input)?;
                temporal::temporal(self, input, from.as_ref(), until.as_ref(), self.gauge(node))
            }
            Op::Constant { rows } => self.constant(rows),
        }
    }

    /// Rows of a relation; from its index, if one serves it.
    fn get(
        &self,
        node: &Node,
        relation: &str,
        columns: &[usize],
        expire: Option<Expiry>,
    ) -> Result<Edge<'s>, RenderError> {
        let Some(import) = self.imported.get(relation) else {
            let kept = expire.map(|expire| (expire, self.gauge(node)));
            return get::get(self, relation, columns, kept, &node.schema);
        };
        // What ages is taken away there.
        if expire.is_some() {
            self.list(node, vec![import.gauge()]);
        }
        get::picked(import.rows(), columns)
    }

    /// The join that `node` is, or picks columns of; with an index in the place of one side, if one
    /// serves it.
    fn join(
        &self,
        node: &Node,
        join: &Node,
        picks: Option<Vec<usize>>,
    ) -> Result<Edge<'s>, RenderError> {
        let Some(indexed) = Indexed::of(self, join) else {
            return join::join(self, join, picks, &node.schema, self.gauges(node));
        };
        let Op::Join { outputs, .. } = &join.op else { unreachable!("it is a join") };
        let outputs: Vec<usize> = match picks {
            Some(picks) => picks.into_iter().map(|pick| outputs[pick]).collect(),
            None => outputs.clone(),
        };
        let own = Arc::<Gauge>::default();
        self.list(node, indexed.gauges(&own));
        indexed.render(self, &outputs, &node.schema, own)
    }

    fn constant(&self, rows: &arrow_array::RecordBatch) -> Result<Edge<'s>, RenderError> {
        let schema = nullable(&rows.schema());
        let mut codec = codec(&schema, "Constant")?;
        let first = self.scope.index() == 0;
        let rows = if first { codec.rows(rows) } else { Ok(Vec::new()) };
        let rows =
            rows.map_err(|source| RenderError::Type { node: "Constant", source: Some(source) })?;
        // Rows that come once are over at once, and what waits for a time would never be woken.
        let rows = rows.into_iter().map(|row| (row, 0, 1)).to_stream(self.scope);
        let oks = Oks::Rows(rows.concat(self.clock.clone()).as_collection());
        Ok(Edge { schema, oks, faults: Vec::new() })
    }
}

fn union<'s>(inputs: Vec<Edge<'s>>, schema: &SchemaRef) -> Result<Edge<'s>, RenderError> {
    let faults = inputs.iter().flat_map(|input| input.faults.clone()).collect();
    let rows = inputs.into_iter().map(convert::to_rows).collect::<Result<Vec<_>, _>>()?;
    let oks = rows.into_iter().reduce(|all, one| all.concat(one));
    let oks = oks.ok_or(RenderError::Type { node: "Union", source: None })?;
    Ok(Edge { schema: nullable(schema), oks: Oks::Rows(oks), faults })
}

fn negate(input: Edge<'_>) -> Result<Edge<'_>, RenderError> {
    let (schema, faults) = (input.schema.clone(), input.faults.clone());
    let oks = Oks::Rows(convert::to_rows(input)?.negate());
    Ok(Edge { schema, oks, faults })
}

/// The schema with every column nullable: inside the dataflow NULL is a value like others.
pub fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A codec for rows of `schema`.
pub(crate) fn codec(schema: &SchemaRef, node: &'static str) -> Result<RowCodec, RenderError> {
    RowCodec::new(schema.clone()).map_err(|source| RenderError::Type { node, source: Some(source) })
}

/// The columns of a schema at these positions.
pub(crate) fn project(schema: &SchemaRef, columns: &[usize]) -> SchemaRef {
    let fields = columns.iter().map(|c| schema.field(*c).clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The byte layout of these columns.
pub(crate) fn layout(
    schema: &SchemaRef,
    node: &'static str,
) -> Result<schemas::row::Layout, RenderError> {
    schemas::row::Layout::new(schema.fields().iter().map(|f| f.data_type()))
        .ok_or(RenderError::Type { node, source: None })
}
