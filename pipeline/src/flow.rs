//! The whole dataflow of one worker, in the order in which electrons and money move.
//!
//! Streams and reference tables come in as batches; the views that agents read are rendered; the
//! agents judge; the views over what they say are rendered; everything is published. The same
//! function runs on every worker.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use arrow_schema::SchemaRef;
use differential_dataflow::AsCollection;
use operators::control;
use operators::control::ControlOutputs;
use operators::error::HostError;
use operators::host::HostInput;
use operators::settings::Settings;
use schemas::decision::Action;
use schemas::decision::Alarm;
use schemas::decision::DECISIONS;
use schemas::decision::Forecast;
use schemas::event::Setpoint;
use schemas::plan::ViewPlan;
use schemas::relation::Relation;
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
use crate::delta::Edge;
use crate::delta::Oks;
use crate::delta::Time;
use crate::render::Context;
use crate::render::RenderError;
use crate::render::convert::to_rows;
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

/// A worker's end of an input.
pub type Input1 = InputHandle<Time, timely::container::CapacityContainerBuilder<Vec<DeltaBatch>>>;

/// The handles through which a worker feeds its dataflow and sees how far it is.
pub struct Built {
    /// One input a relation, in the order of [`Flow::inputs`].
    pub inputs: Vec<Input1>,
    /// Where the published output stands.
    pub probe: ProbeHandle<Time>,
}

impl Flow {
    /// What is published, by index: the views in their order, then what the agents say.
    pub fn published(&self) -> Vec<(String, SchemaRef)> {
        let views = self.views.iter().map(|v| (v.name.clone(), v.root.schema.clone()));
        let decisions = self.agents.iter().flat_map(|_| said());
        views.chain(decisions).collect()
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
        let mut relations = BTreeMap::new();
        let mut inputs = Vec::new();
        for (name, schema) in &self.inputs {
            let (handle, batches) = scope.new_input();
            inputs.push(handle);
            let schema = crate::render::nullable(schema);
            let edge = Edge { schema, oks: Oks::Batches(batches), faults: Vec::new() };
            relations.insert(name.clone(), edge);
        }
        let mut published = Vec::new();
        let judged = self.judged();
        let indexed = || self.views.iter().enumerate();
        for (index, view) in indexed().filter(|(_, view)| !judged.contains(&view.name)) {
            self.view(scope, index, view, &mut relations, publisher, &mut published)?;
        }
        match &self.agents {
            Some(settings) => {
                self.judge(scope, settings, &mut relations, publisher, &mut published)?;
            }
            // Views over decisions stand, and are empty unless somebody else brings decisions in.
            None => {
                for (name, schema) in said() {
                    relations.entry(name).or_insert_with(|| {
                        let none = Vec::new().to_stream(scope).as_collection();
                        Edge { schema, oks: Oks::Rows(none), faults: Vec::new() }
                    });
                }
            }
        }
        for (index, view) in indexed().filter(|(_, view)| judged.contains(&view.name)) {
            self.view(scope, index, view, &mut relations, publisher, &mut published)?;
        }
        let probe = ProbeHandle::new();
        scope.concatenate(published).probe_with(&probe);
        Ok(Built { inputs, probe })
    }

    /// The views that read what agents say, directly or through others.
    fn judged(&self) -> BTreeSet<String> {
        let mut judged: BTreeSet<String> = DECISIONS.iter().map(|d| (*d).to_owned()).collect();
        for view in &self.views {
            if view.reads.iter().any(|read| judged.contains(read)) {
                judged.insert(view.name.clone());
            }
        }
        judged
    }

    fn view<'s>(
        &self,
        scope: Scope<'s, Time>,
        index: usize,
        view: &ViewPlan,
        relations: &mut BTreeMap<String, Edge<'s>>,
        publisher: &Publisher,
        published: &mut Vec<StreamVec<'s, Time, ()>>,
    ) -> Result<(), RenderError> {
        let (step, on_error) = (self.step, view.on_error);
        let edge = Context { scope, relations, step, on_error }.render(&view.root)?;
        let rows = to_rows(edge.clone())?;
        published.push(publisher.rows(index, rows));
        published.extend(publisher.faults(index, scope, edge.faults.clone()));
        // Readers of this view see its rows; its faults are its own.
        relations.insert(view.name.clone(), Edge { faults: Vec::new(), ..edge });
        Ok(())
    }

    fn judge<'s>(
        &self,
        scope: Scope<'s, Time>,
        settings: &Settings,
        relations: &mut BTreeMap<String, Edge<'s>>,
        publisher: &Publisher,
        published: &mut Vec<StreamVec<'s, Time, ()>>,
    ) -> Result<(), RenderError> {
        let mut read = BTreeMap::new();
        for name in control::READS {
            let edge = relations.get(name).cloned();
            let edge = edge.ok_or(RenderError::Relation { relation: name.to_owned() })?;
            let schema = edge.schema.clone();
            read.insert(name.to_owned(), HostInput { rows: to_rows(edge)?, schema });
        }
        let decided = control::build(scope, &read, settings, None)
            .map_err(|source: HostError| RenderError::Agents { source })?;
        let ControlOutputs { forecasts, alarms, actions, setpoints } = decided;
        let rows = [actions, alarms, forecasts, setpoints];
        for (offset, ((name, schema), rows)) in said().into_iter().zip(rows).enumerate() {
            published.push(publisher.rows(self.views.len() + offset, rows.clone()));
            let edge = Edge { schema, oks: Oks::Rows(rows), faults: Vec::new() };
            relations.insert(name, edge);
        }
        Ok(())
    }
}

/// What the agents say, in the order in which it is published behind the views.
fn said() -> Vec<(String, SchemaRef)> {
    fn one<R: Relation>() -> (String, SchemaRef) {
        (R::NAME.to_owned(), R::schema())
    }
    vec![one::<Action>(), one::<Alarm>(), one::<Forecast>(), one::<Setpoint>()]
}
