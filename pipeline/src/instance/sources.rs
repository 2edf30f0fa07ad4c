//! Sources that come and go while the instance runs.
//!
//! A stream of the user's own is not part of the flow that was built at the start: nothing there
//! reads it. Its rows are taken, judged, logged and handed over like all others, and views that are
//! made later read them, each in a dataflow of its own. At the next start the stream is there from
//! the beginning. The door is opened by whoever asks; whoever drives the instance reads it.
//!
//! What the log holds of a source stays there when it goes. Another of its name with other columns
//! does not see it.
//!
//! # Bounds
//!
//! Sources that wait to be read: as many as come between two turns.

use arrow_array::RecordBatch;
use connectors::source::Source;
use schemas::contract::SourcePlan;
use schemas::event::Envelope;

use super::Instance;
use super::InstanceError;
use crate::emit::definitions::Defined;
use crate::engine::Opener;
use crate::ingest::session::DELETED;
use crate::ingest::upsert::Upsert;
use crate::render::RenderError;

/// Sources for whoever drives the instance.
#[derive(Default)]
pub(super) struct Doors {
    opened: Vec<Box<dyn Source>>,
    closed: Vec<String>,
}

impl Instance {
    /// Lets sources come by statements; `opener` opens their doors.
    pub fn take_sources_with(&mut self, opener: Opener) {
        self.handle.desk().opener = Some(opener);
    }

    /// Sources that came since this was asked last: they are to be read from now on.
    pub fn opened(&mut self) -> Vec<Box<dyn Source>> {
        std::mem::take(&mut self.doors.opened)
    }

    /// The names of sources that went since this was asked last: they are read no more.
    pub fn closed(&mut self) -> Vec<String> {
        std::mem::take(&mut self.doors.closed)
    }

    pub(super) fn create_source(
        &mut self,
        plan: SourcePlan,
        source: Box<dyn Source>,
        by: &str,
    ) -> Result<(), InstanceError> {
        let SourcePlan { settings, out_of_order_ms, sql, .. } = plan;
        let (name, schema) = (settings.def.name.clone(), settings.def.schema.clone());
        if settings.def.envelope == Envelope::Upsert {
            let upsert = Upsert::new(&settings)
                .map_err(|e| RenderError::Type { node: "upsert", source: Some(e) })?;
            self.upserts.insert(name.clone(), upsert);
        }
        match self.flow.inputs.iter_mut().find(|(input, _)| *input == name) {
            Some((_, columns)) => *columns = schema,
            None => self.flow.inputs.push((name.clone(), schema)),
        }
        self.session.add_stream(&settings);
        for partition in source.partitions() {
            self.session.add_partition(partition, out_of_order_ms);
        }
        self.catalog.add_stream(settings);
        self.defined.define(&name, Defined::stated(by, &sql));
        tracing::info!(source = %name, tick = %self.tick(), "source opened");
        self.doors.opened.push(source);
        Ok(())
    }

    pub(super) fn remove_source(&mut self, name: &str, by: &str) {
        self.session.remove_stream(name);
        self.upserts.remove(name);
        self.catalog.remove(name);
        self.defined.undefine(name, by);
        tracing::info!(source = %name, tick = %self.tick(), "source closed");
        self.doors.closed.push(name.to_owned());
    }

    /// Whether rows that are called `name` in the log are of an input's columns.
    pub(super) fn fits(&self, input: usize, name: &str, batch: &RecordBatch) -> bool {
        let columns = self.flow.inputs[input].1.fields();
        let fields = batch.schema_ref().fields();
        // Keys that are gone have the columns of the key alone.
        let known = |field: &arrow_schema::FieldRef| {
            let same = |one: &arrow_schema::FieldRef| {
                one.name() == field.name() && one.data_type() == field.data_type()
            };
            columns.iter().any(same)
        };
        let whole = name.starts_with(DELETED) || fields.len() == columns.len();
        whole && fields.iter().all(known)
    }
}
