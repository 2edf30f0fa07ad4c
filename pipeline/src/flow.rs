//! The whole dataflow of one worker, in the order in which electrons and money move.
//!
//! Streams and reference tables come in as batches; the views that agents read are rendered; the
//! agents judge; the views over what they say are rendered; everything is published. The same
//! function runs on every worker.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use differential_dataflow::AsCollection;
use operators::control;
use operators::control::ControlOutputs;
use operators::error::HostError;
use operators::estimate::EstimateOutputs;
use operators::host::HostInput;
use operators::settings::Settings;
use schemas::audit::Kind;
use schemas::catalog::Catalog;
use schemas::catalog::RelationKind;
use schemas::decision::Action;
use schemas::decision::Alarm;
use schemas::decision::DECISIONS;
use schemas::decision::Forecast;
use schemas::decision::ModelVersion;
use schemas::decision::ShortForecast;
use schemas::estimate;
use schemas::event::Setpoint;
use schemas::plan::ViewPlan;
use schemas::plan::explain::Arranged;
use schemas::plan::explain::bound;
use schemas::relation::Relation;
use schemas::row::Row;
use schemas::time::Step;
use timely::dataflow::InputHandle;
use timely::dataflow::ProbeHandle;
use timely::dataflow::Scope;
use timely::dataflow::StreamVec;
use timely::dataflow::operators::Concatenate;
use timely::dataflow::operators::Input;
use timely::dataflow::operators::Probe;
use timely::dataflow::operators::vec::ToStream;

use crate::delta::DeltaBatch;
use crate::delta::Diff;
use crate::delta::Edge;
use crate::delta::Oks;
use crate::delta::Time;
use crate::gauge::Gauge;
use crate::gauge::Measured;
use crate::index::Import;
use crate::index::Imports;
use crate::index::Index;
use crate::render::Context;
use crate::render::RenderError;
use crate::render::Shared;
use crate::render::convert::to_rows;
use crate::views::publish::Heard;
use crate::views::publish::Publisher;

/// What a worker builds.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The length of a tick.
    pub step: Step,
    /// Streams and reference tables with their columns, in name order.
    pub inputs: Vec<(String, SchemaRef)>,
    /// The views, each after those it reads.
    pub views: Vec<ViewPlan>,
    /// The agents' settings; without, nobody decides.
    pub agents: Option<Settings>,
}

impl Flow {
    /// The flow of these views and, with settings, the agents. It takes in every stream and table:
    /// what no view reads yet, one that is made later may read.
    pub fn over(
        catalog: &Catalog,
        views: Vec<ViewPlan>,
        agents: Option<Settings>,
        step: Step,
    ) -> Flow {
        let outside =
            |kind: &RelationKind| matches!(kind, RelationKind::Stream(_) | RelationKind::Table);
        let inputs = (catalog.iter())
            .filter(|(_, info)| outside(&info.kind))
            .map(|(name, info)| (name.to_owned(), info.schema.clone()))
            .collect();
        Flow { step, inputs, views, agents }
    }

    /// Takes out the views that read the audit log, directly or through others: the records of a
    /// tick are known once the flow is done with it, so these follow in dataflows of their own.
    pub fn take_followers(&mut self, catalog: &Catalog) -> Vec<ViewPlan> {
        let mut follow: BTreeSet<String> = BTreeSet::new();
        let audit = |read: &String| {
            catalog.get(read).is_some_and(|info| matches!(info.kind, RelationKind::Audit(_)))
        };
        let follows = |view: &mut ViewPlan| {
            let follows = view.reads.iter().any(|read| audit(read) || follow.contains(read));
            if follows {
                follow.insert(view.name.clone());
            }
            follows
        };
        self.views.extract_if(.., follows).collect()
    }
}

/// A worker's end of an input.
pub type Input1 = InputHandle<Time, timely::container::CapacityContainerBuilder<Vec<DeltaBatch>>>;

/// One more view or index, in a dataflow of its own beside the flow.
#[derive(Clone, Debug)]
pub struct Addition {
    /// The number under which it is published.
    pub relation: usize,
    /// The view.
    pub view: ViewPlan,
    /// The relations that it reads, in the order of [`ViewPlan::reads`].
    pub reads: Vec<Read>,
    /// The length of a tick.
    pub step: Step,
    /// The columns by which its rows are arranged for others, of an index.
    pub index: Option<Vec<usize>>,
}

/// One relation that an addition reads.
#[derive(Clone, Debug)]
pub struct Read {
    /// Its name in the plan.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// Where its rows come from.
    pub from: ReadFrom,
}

/// Where the rows of a relation come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// From connectors or tables: the input of that number in [`Flow::inputs`].
    Outside(usize),
    /// From a dataflow: what is published under that number.
    Inside(usize),
    /// From the index of that number.
    Index(usize),
    /// The audit records of that kind, which follow a tick once it is committed.
    Audit(Kind),
}

/// A worker's end of an input of rows.
pub type RowsInput =
    InputHandle<Time, timely::container::CapacityContainerBuilder<Vec<(Row, Time, Diff)>>>;

/// An addition's input.
pub enum OwnInput {
    /// Of a stream or table.
    Batches(Input1),
    /// Of a view.
    Rows(RowsInput),
    /// Of an index, which feeds it by itself.
    Imported,
}

impl OwnInput {
    /// Says that nothing before `time` follows.
    pub fn advance_to(&mut self, time: Time) {
        match self {
            OwnInput::Batches(input) => input.advance_to(time),
            OwnInput::Rows(input) => input.advance_to(time),
            OwnInput::Imported => {}
        }
    }
}

/// An addition, built.
pub struct Added {
    /// One input a relation that it reads.
    pub inputs: Vec<OwnInput>,
    /// For each, what is published of it on this worker from now on; none for what comes from
    /// outside.
    pub heard: Vec<Option<Heard>>,
    /// Where its output stands.
    pub probe: ProbeHandle<Time>,
    /// What it arranges for others.
    pub index: Option<Index>,
    /// What ends its imports.
    pub(crate) imports: Imports,
    /// What says how late it is.
    pub clock: RowsInput,
}

impl Addition {
    /// Renders the view, or the index, into `scope`; `indexes` are those there are, by number.
    ///
    /// # Errors
    /// The plan cannot be rendered.
    pub fn build(
        &self,
        scope: Scope<'_, Time>,
        publisher: &Publisher,
        indexes: &mut BTreeMap<usize, &mut Index>,
    ) -> Result<Added, RenderError> {
        let (clock, time) = scope.new_input();
        let mut house = House::new(scope, publisher, time);
        let (mut inputs, mut heard) = (Vec::new(), Vec::new());
        let mut imports = Imports::default();
        let probe = ProbeHandle::new();
        for read in &self.reads {
            let schema = crate::render::nullable(&read.schema);
            let oks = match read.from {
                ReadFrom::Index(number) => {
                    let missing = || RenderError::Relation { relation: read.name.clone() };
                    let index = indexes.get_mut(&number).ok_or_else(missing)?;
                    let (import, end) = index.import(scope, &self.view, &probe);
                    house.imported.insert(read.name.clone(), import);
                    inputs.push(OwnInput::Imported);
                    heard.push(None);
                    imports.push(end);
                    continue;
                }
                ReadFrom::Outside(_) | ReadFrom::Audit(_) => {
                    let (input, batches) = scope.new_input();
                    inputs.push(OwnInput::Batches(input));
                    heard.push(None);
                    Oks::Batches(batches)
                }
                ReadFrom::Inside(relation) => {
                    let (input, rows) = scope.new_input();
                    inputs.push(OwnInput::Rows(input));
                    heard.push(Some(publisher.listen(relation)));
                    Oks::Rows(rows.as_collection())
                }
            };
            house.relations.insert(read.name.clone(), Edge { schema, oks, faults: Vec::new() });
        }
        let index = match &self.index {
            Some(key) => Some(house.index(self, key, &probe)?),
            None => {
                house.view(self.relation, &self.view, self.step)?;
                scope.concatenate(house.published).probe_with(&probe);
                None
            }
        };
        Ok(Added { inputs, heard, probe, index, imports, clock })
    }
}

/// The handles through which a worker feeds its dataflow and sees how far it is.
pub struct Built {
    /// One input a relation, in the order of [`Flow::inputs`].
    pub inputs: Vec<Input1>,
    /// What says how late it is: it is given no rows, and advanced with the inputs.
    pub clock: RowsInput,
    /// Where the published output stands.
    pub probe: ProbeHandle<Time>,
}

impl Flow {
    /// What is published, by index: the views in their order, then what the agents say, then what
    /// they keep; the last also where nobody decides, and then it stays empty.
    pub fn published(&self) -> Vec<(String, SchemaRef)> {
        let views = self.views.iter().map(|v| (v.name.clone(), v.root.schema.clone()));
        let decisions = self.agents.iter().flat_map(|_| said());
        views.chain(decisions).chain(estimate::tables()).collect()
    }

    /// What the agents say, by index in [`Flow::published`].
    pub fn decisions(&self) -> Range<usize> {
        let views = self.views.len();
        let said = if self.agents.is_some() { said().len() } else { 0 };
        views..views + said
    }

    /// What the agents keep current: index in [`Flow::published`], name and columns.
    pub fn kept(&self) -> Vec<(usize, String, SchemaRef)> {
        let from = self.decisions().end;
        let numbered = estimate::tables().into_iter().enumerate();
        numbered.map(|(offset, (name, schema))| (from + offset, name, schema)).collect()
    }

    /// Renders everything into `scope`.
    ///
    /// # Errors
    /// A plan cannot be rendered.
    pub fn build(
        &self,
        scope: Scope<'_, Time>,
        publisher: &Publisher,
    ) -> Result<Built, RenderError> {
        let mut inputs = Vec::new();
        let (clock, time) = scope.new_input();
        let mut house = House::new(scope, publisher, time);
        for (name, schema) in &self.inputs {
            let (handle, batches) = scope.new_input();
            inputs.push(handle);
            let schema = crate::render::nullable(schema);
            let edge = Edge { schema, oks: Oks::Batches(batches), faults: Vec::new() };
            house.relations.insert(name.clone(), edge);
        }
        let judged = self.judged();
        let indexed = || self.views.iter().enumerate();
        for (index, view) in indexed().filter(|(_, view)| !judged.contains(&view.name)) {
            house.view(index, view, self.step)?;
        }
        match &self.agents {
            Some(settings) => self.judge(settings, &mut house)?,
            // Views over decisions stand, and are empty unless somebody else brings decisions in.
            None => {
                for (name, schema) in said().into_iter().chain(estimate::tables()) {
                    house.relations.entry(name).or_insert_with(|| {
                        let none = Vec::new().to_stream(scope).as_collection();
                        Edge { schema, oks: Oks::Rows(none), faults: Vec::new() }
                    });
                }
            }
        }
        for (index, view) in indexed().filter(|(_, view)| judged.contains(&view.name)) {
            house.view(index, view, self.step)?;
        }
        let probe = ProbeHandle::new();
        scope.concatenate(house.published).probe_with(&probe);
        Ok(Built { inputs, clock, probe })
    }

    /// The views that read what agents say or keep, directly or through others.
    fn judged(&self) -> BTreeSet<String> {
        let mut judged: BTreeSet<String> = DECISIONS.iter().map(|d| (*d).to_owned()).collect();
        judged.extend(estimate::tables().into_iter().map(|(name, _)| name));
        for view in &self.views {
            if view.reads.iter().any(|read| judged.contains(read)) {
                judged.insert(view.name.clone());
            }
        }
        judged
    }

    fn judge(&self, settings: &Settings, house: &mut House<'_, '_>) -> Result<(), RenderError> {
        let mut read = BTreeMap::new();
        for name in control::READS {
            let edge = house.relations.get(name).cloned();
            let edge = edge.ok_or(RenderError::Relation { relation: name.to_owned() })?;
            let schema = edge.schema.clone();
            read.insert(name.to_owned(), HostInput { rows: to_rows(edge)?, schema });
        }
        let decided = control::build(house.scope, &read, settings, None)
            .map_err(|source: HostError| RenderError::Agents { source })?;
        let ControlOutputs { forecasts, short, alarms, actions, setpoints, versions, estimates } =
            decided;
        let EstimateOutputs { branches, buses, corrections, observability, residuals } = estimates;
        let rows = [actions, alarms, forecasts, versions, short, setpoints].into_iter().chain([
            branches,
            buses,
            corrections,
            observability,
            residuals,
        ]);
        let named = said().into_iter().chain(estimate::tables());
        for (offset, ((name, schema), rows)) in named.zip(rows).enumerate() {
            let index = self.views.len() + offset;
            house.published.push(house.publisher.rows(index, rows.clone()));
            let edge = Edge { schema, oks: Oks::Rows(rows), faults: Vec::new() };
            house.relations.insert(name, edge);
        }
        Ok(())
    }
}

/// A dataflow as it is built: what there is to read, and what goes out.
struct House<'a, 's> {
    scope: Scope<'s, Time>,
    publisher: &'a Publisher,
    clock: StreamVec<'s, Time, (Row, Time, Diff)>,

    relations: BTreeMap<String, Edge<'s>>,
    imported: BTreeMap<String, Import<'s>>,
    shared: Shared<'s>,
    published: Vec<StreamVec<'s, Time, ()>>,
}

impl<'a, 's> House<'a, 's> {
    fn new(
        scope: Scope<'s, Time>,
        publisher: &'a Publisher,
        clock: StreamVec<'s, Time, (Row, Time, Diff)>,
    ) -> House<'a, 's> {
        let (relations, imported) = (BTreeMap::new(), BTreeMap::new());
        let (shared, published) = (Shared::default(), Vec::new());
        House { scope, publisher, clock, relations, imported, shared, published }
    }

    fn rendered(&self, view: &ViewPlan, step: Step) -> Result<Edge<'s>, RenderError> {
        let House { scope, clock, relations, imported, shared, .. } = self;
        let (scope, on_error) = (*scope, view.on_error);
        Context { scope, relations, imported, shared, clock, step, on_error }.render(&view.root)
    }

    /// Renders an index, which publishes nothing.
    fn index(
        &self,
        of: &Addition,
        key: &[usize],
        probe: &ProbeHandle<Time>,
    ) -> Result<Index, RenderError> {
        let edge = self.rendered(&of.view, of.step)?;
        let gauge = Arc::<Gauge>::default();
        let rows = to_rows(edge.clone())?;
        let (index, arranged) = Index::arrange(&edge, rows, key, Arc::clone(&gauge))?;
        arranged.stream.probe_with(probe);
        let names: Vec<&str> =
            key.iter().map(|column| edge.schema.field(*column).name().as_str()).collect();
        let bound = bound(&of.view.root);
        let node = format!("Index: arranges rows by ({})", names.join(", "));
        let mut kept = self.shared.measured(&of.view);
        kept.insert(0, Measured { arranged: Arranged { node, bound }, gauge });
        self.publisher.keeps(of.relation, kept);
        Ok(index)
    }

    /// Renders a view and publishes it under its number.
    fn view(&mut self, index: usize, view: &ViewPlan, step: Step) -> Result<(), RenderError> {
        let edge = self.rendered(view, step)?;
        let House { scope, publisher, shared, .. } = &*self;
        let scope = *scope;
        publisher.keeps(index, shared.measured(view));
        let rows = publisher.rows(index, to_rows(edge.clone())?);
        let faults = publisher.faults(index, scope, edge.faults.clone());
        self.published.push(rows);
        self.published.extend(faults);
        // Readers of this view see its rows; its faults are its own.
        self.relations.insert(view.name.clone(), Edge { faults: Vec::new(), ..edge });
        Ok(())
    }
}

/// What the agents say, in the order in which it is published behind the views.
fn said() -> Vec<(String, SchemaRef)> {
    fn one<R: Relation>() -> (String, SchemaRef) {
        (R::NAME.to_owned(), R::schema())
    }
    vec![
        one::<Action>(),
        one::<Alarm>(),
        one::<Forecast>(),
        one::<ModelVersion>(),
        one::<ShortForecast>(),
        one::<Setpoint>(),
    ]
}
