//! Sources that come and go while the instance runs.
//!
//! A stream of the user's own is not part of the flow that was built at the start: nothing there
//! reads it. Its rows are taken, judged, logged and handed over like all others, and views that are
//! made later read them, each in a dataflow of its own. At the next start the stream is there from
//! the beginning. The door is opened by whoever asks; whoever drives the instance reads it.
//!
//! What the log holds of a source stays there when it goes. Another of its name does not see it:
//! its rows are those of the ticks since it came, whatever their columns.
//!
//! A source whose door is broken is there all the same, with the reason in its status; ticks do not
//! wait for it, and its reader tries the door again. That holds for those of the configuration,
//! too, once they have been open: one feed less is no reason to leave a grid alone.
//!
//! # Bounds
//!
//! Sources that wait to be read: as many as come between two turns.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use connectors::error::ConnectorError;
use connectors::error::Finding;
use connectors::source::PartitionId;
use connectors::source::Source;
use schemas::contract::SourcePlan;
use schemas::event::Envelope;
use schemas::time::Timestamp;

use super::Instance;
use super::InstanceError;
use super::reader::Feed;
use super::reader::Heard;
use super::reader::Positions;
use crate::emit::definitions::Defined;
use crate::engine::Opener;
use crate::ingest::session::DELETED;
use crate::ingest::upsert::Upsert;
use crate::render::RenderError;

/// Sources for whoever drives the instance, and how their doors stand.
#[derive(Default)]
pub(super) struct Doors {
    opened: Vec<Feed>,
    closed: Vec<String>,
    /// The first tick of what came by a statement: what the log holds under the name of a source
    /// before that is another's.
    since: BTreeMap<String, Timestamp>,
    /// How far out of order readings of sources that came by a statement may be, in milliseconds.
    out_of_order_ms: BTreeMap<String, u64>,
    /// Why doors are broken, by source.
    broken: BTreeMap<String, String>,
}

impl Doors {
    /// Nothing is open of what came by statements of earlier starts.
    pub(super) fn of(stated: &BTreeMap<String, Defined>) -> Doors {
        let since = stated.iter().map(|(name, of)| (name.clone(), of.since));
        Doors { since: since.collect(), ..Doors::default() }
    }

    /// The first tick of each that came by a statement.
    pub(super) fn since(&self) -> &BTreeMap<String, Timestamp> {
        &self.since
    }

    /// Why doors are broken, by source.
    pub(super) fn broken(&self) -> &BTreeMap<String, String> {
        &self.broken
    }
}

impl Instance {
    /// Lets sources come by statements; `opener` opens their doors.
    pub fn take_sources_with(&mut self, opener: Opener) {
        // Positions are kept by a source's name, so it belongs to one alone.
        let taken = self.session.sources();
        let opener: Opener = Arc::new(move |plan: &SourcePlan, positions: &Positions| {
            let connector = plan.settings.def.name.clone();
            if taken.contains(&connector) {
                let message = format!("there is a source {connector} in the configuration");
                let findings = vec![Finding::at("name", message)];
                return Err(ConnectorError::Config { connector, findings });
            }
            opener(plan, positions)
        });
        self.handle.desk().opener = Some(opener);
    }

    /// Opens the sources again that came by statements of earlier starts, each where it goes on.
    /// One whose door does not open stands as broken, and is tried again.
    ///
    /// # Panics
    /// Nobody said how they are opened ([`Instance::take_sources_with`]).
    pub fn reopen_sources(&mut self, plans: Vec<SourcePlan>) {
        let positions = self.positions();
        for plan in plans {
            let name = &plan.settings.def.name;
            let own = positions.iter().filter(|(partition, _)| partition.source == *name);
            let own: Positions = own.map(|(partition, at)| (partition.clone(), *at)).collect();
            let opener = self.handle.desk().opener.clone();
            let opener = opener.expect("whoever opens sources again says how");
            let tried = opener(&plan, &own);
            self.read_source(plan, opener, (tried, own));
        }
    }

    /// Has a source read that came by a statement, and whose door was tried at these positions.
    fn read_source(
        &mut self,
        plan: SourcePlan,
        opener: Opener,
        (tried, positions): (Result<Box<dyn Source>, ConnectorError>, Positions),
    ) {
        let name = plan.settings.def.name.clone();
        self.doors.out_of_order_ms.insert(name.clone(), plan.out_of_order_ms);
        let anew = move |positions: &Positions| opener(&plan, positions);
        let feed = Feed::opened(name.clone(), tried, positions, anew);
        match feed.broken() {
            None => self.join(&name, feed.partitions()),
            // Its reader says so, too, but does so later.
            Some(why) => self.hear(Heard::Broken { source: name, why: why.to_owned() }),
        }
        self.doors.opened.push(feed);
    }

    /// Takes what the readers of sources say.
    pub fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Piece(piece) => self.take(piece),
            Heard::Broken { source, why } => {
                self.session.broken(&source, true);
                self.doors.broken.insert(source, why);
            }
            Heard::Mended { source, partitions } => {
                self.join(&source, partitions);
                self.session.broken(&source, false);
                self.doors.broken.remove(&source);
            }
        }
    }

    /// Counts with these partitions, if their source came by a statement: those of the
    /// configuration are there from the beginning.
    fn join(&mut self, source: &str, partitions: Vec<PartitionId>) {
        let Some(out_of_order_ms) = self.doors.out_of_order_ms.get(source).copied() else { return };
        for partition in partitions {
            self.session.join_partition(partition, out_of_order_ms);
        }
    }

    /// Sources that came since this was asked last: they are to be read from now on. Those that
    /// went ([`Instance::closed`]) may have had their names, so ask for them first.
    pub fn opened(&mut self) -> Vec<Feed> {
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
        let (settings, sql) = (plan.settings.clone(), plan.sql.clone());
        let (name, schema) = (settings.def.name.clone(), settings.def.schema.clone());
        if settings.def.envelope == Envelope::Upsert {
            let upsert = Upsert::new(&settings)
                .map_err(|e| RenderError::Type { node: "upsert", source: Some(e) })?;
            self.upserts.insert(name.clone(), upsert);
        }
        self.flow.inputs.push((name.clone(), schema));
        self.session.add_stream(&settings);
        self.catalog.add_stream(settings);
        self.defined.define(&name, Defined::stated(by, &sql));
        // No tick is on its way: the next is the first.
        let since = self.tick().plus(1);
        self.doors.since.insert(name.clone(), since);
        let opener = {
            let mut desk = self.handle.desk();
            // Another wish may have taken it away already.
            desk.sources.get_mut(&name).into_iter().for_each(|known| *known = since);
            desk.opener.clone().expect("its door was opened with it")
        };
        tracing::info!(source = %name, tick = %self.tick(), "source opened");
        self.read_source(plan, opener, (Ok(source), Positions::new()));
        Ok(())
    }

    pub(super) fn remove_source(&mut self, name: &str, by: &str) {
        self.session.remove_stream(name);
        self.upserts.remove(name);
        // What was built at the start may go on with it unseen: another of its name has columns of
        // its own, and so an input of its own.
        let inputs = self.flow.inputs.iter_mut();
        inputs.filter(|(input, _)| input == name).for_each(|(input, _)| input.clear());
        self.catalog.remove(name);
        self.defined.undefine(name, by);
        self.doors.since.remove(name);
        self.doors.out_of_order_ms.remove(name);
        self.doors.broken.remove(name);
        self.silence.missed.retain(|partition, _| partition.source != name);
        self.silence.silent.retain(|partition| partition.source != name);
        tracing::info!(source = %name, tick = %self.tick(), "source closed");
        // One that nobody has begun to read never will be.
        self.doors.opened.retain(|feed| feed.name() != name);
        self.doors.closed.push(name.to_owned());
    }

    /// Whether rows of a tick that are called `name` in the log are an input's own: not those of
    /// another source that had its name before, and of its columns.
    pub(super) fn fits(
        &self,
        input: usize,
        tick: Timestamp,
        name: &str,
        batch: &RecordBatch,
    ) -> bool {
        let stream = name.strip_prefix(DELETED).unwrap_or(name);
        if self.doors.since.get(stream).is_some_and(|since| tick < *since) {
            return false;
        }
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
