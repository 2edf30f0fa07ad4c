//! Views that come and go while the instance runs.
//!
//! What is wished waits until no tick is on its way: then the store, the workers and the log agree
//! on what the last tick is, and a view begins, takes another's place or ends exactly there. That
//! is a pause of one tick's work. A new view then works off its past beside everything else
//! ([`hydrate`](super::hydrate)), and is shown at a like pause once it has caught up.
//!
//! What is defined is recorded with the next tick, so that the next start builds it from the
//! beginning.
//!
//! # Bounds
//!
//! Two parts of the past of each view that hydrates.

use std::collections::BTreeMap;

use schemas::catalog::RelationKind;
use schemas::event::Envelope;
use schemas::plan::ViewPlan;

use super::Instance;
use super::InstanceError;
use super::hydrate::PastReader;
use super::hydrate::Takes;
use crate::emit::definitions::Defined;
use crate::emit::definitions::OPERATOR;
use crate::engine::Wish;
use crate::engine::kind_of;
use crate::flow::Addition;
use crate::flow::Read;
use crate::flow::ReadFrom;
use crate::ingest::upsert::Upsert;
use crate::workers::Past;
use crate::workers::PastRows;
use crate::workers::Swap;

/// Parts of a past that may be on their way to the workers.
const PARTS_IN_FLIGHT: u64 = 2;

/// Additions and what becomes of them.
#[derive(Default)]
pub(super) struct Additions {
    /// The number of the next addition; 0 before the first.
    next: usize,
    /// Those that can be read, by name.
    shown: BTreeMap<String, usize>,
    hydrating: Vec<Hydrating>,
    /// Wishes that wait for a pause.
    wishes: Vec<Wish>,
    /// Those that have caught up and wait for a pause to be shown.
    ready: Vec<usize>,
}

impl Additions {
    /// Whether something waits for a moment at which no tick is on its way.
    pub(super) fn want_a_pause(&self) -> bool {
        !self.wishes.is_empty() || !self.ready.is_empty()
    }
}

/// A view that works off its past.
struct Hydrating {
    name: String,
    relation: usize,
    past: PastReader,
    /// The rows of other views, which go with the last part.
    views: Vec<(usize, PastRows)>,
    over: bool,
}

impl Instance {
    /// Hears what is wished, feeds pasts, and where no tick is on its way does what waits for that.
    pub(super) fn changes(&mut self) -> Result<(), InstanceError> {
        let wishes: Vec<Wish> = self.wished.try_iter().collect();
        self.additions.wishes.extend(wishes);
        if self.additions.hydrating.is_empty() && !self.additions.want_a_pause() {
            return Ok(());
        }
        self.workers.listen()?;
        self.feed_pasts()?;
        let caught_up = self.workers.caught_up();
        self.additions.ready.extend(caught_up);
        if self.workers.in_flight() > 0 || !self.submitted.is_empty() {
            return Ok(());
        }
        for relation in std::mem::take(&mut self.additions.ready) {
            self.show(relation)?;
        }
        for wish in std::mem::take(&mut self.additions.wishes) {
            match wish {
                Wish::Create { plan, by } => self.create(*plan, &by)?,
                Wish::Remove { view, by } => self.remove(&view, &by)?,
                Wish::CreateSource { plan, source, by } => {
                    self.create_source(*plan, source, &by)?;
                }
                Wish::RemoveSource { source, by } => self.remove_source(&source, &by),
            }
        }
        Ok(())
    }

    fn create(&mut self, plan: ViewPlan, by: &str) -> Result<(), InstanceError> {
        let name = plan.name.clone();
        // Views and what agents say come first.
        let relation = self.additions.next.max(self.flow.published().len());
        self.additions.next = relation + 1;
        let mut reads = Vec::new();
        let mut takes = Vec::new();
        let mut views = Vec::new();
        for (input, read) in plan.reads.iter().enumerate() {
            let Some((read, take)) = self.read_of(read) else {
                self.give_up(&name, relation, &format!("{read} is not there any more"));
                return Ok(());
            };
            if let (ReadFrom::Inside(of), Takes::Nothing) = (read.from, &take) {
                views.push((input, PastRows::Rows(self.views.rows(of).into())));
            }
            takes.push((read.name.clone(), take));
            reads.push(read);
        }
        self.views.prepare(relation, &plan)?;
        self.defined.define(&name, Defined::stated(by, &plan.sql));
        let step = self.flow.step;
        self.workers.add(Addition { relation, view: plan, reads, step })?;
        let dir = self.settings.data_dir.join("audit");
        let past = PastReader::start(dir, self.tick(), takes);
        let past = past.map_err(|error| InstanceError::Replay {
            tick: self.tick(),
            message: format!("the past of {name} cannot be read: {error}"),
        })?;
        tracing::info!(view = %name, tick = %self.tick(), "hydrating");
        let over = false;
        self.additions.hydrating.push(Hydrating { name, relation, past, views, over });
        Ok(())
    }

    /// Where the rows of a relation come from, and what of the log is their past.
    fn read_of(&self, name: &str) -> Option<(Read, Takes)> {
        let info = self.catalog.get(name).cloned();
        let read = |schema, from| Read { name: name.to_owned(), schema, from };
        if let Some(input) = self.input(name) {
            let info = info?;
            let takes = match &info.kind {
                RelationKind::Stream(s) if s.def.envelope == Envelope::Upsert => {
                    Takes::Upserts(Box::new(Upsert::new(s).ok()?))
                }
                _ => Takes::Rows(info.schema.clone()),
            };
            return Some((read(info.schema, ReadFrom::Outside(input)), takes));
        }
        if let Some(info) = info.filter(|i| matches!(i.kind, RelationKind::Decision { .. })) {
            let published = self.flow.published();
            let of = published.iter().position(|(published, _)| published == name)?;
            let takes = Takes::Said(kind_of(name)?, info.schema.clone());
            return Some((read(info.schema, ReadFrom::Inside(of)), takes));
        }
        let of = self.views.relation(name)?;
        let schema = self.views.schema(of)?;
        Some((read(schema, ReadFrom::Inside(of)), Takes::Nothing))
    }

    fn feed_pasts(&mut self) -> Result<(), InstanceError> {
        let mut failed = Vec::new();
        for hydrating in &mut self.additions.hydrating {
            let relation = hydrating.relation;
            if let Some(why) = self.workers.unbuilt(relation) {
                failed.push((relation, why));
                continue;
            }
            while !hydrating.over
                && hydrating.past.sent < self.workers.parts_done(relation) + PARTS_IN_FLIGHT
            {
                let part = match hydrating.past.next() {
                    Ok(Some(part)) => part,
                    Ok(None) => break,
                    Err(why) => {
                        failed.push((relation, why));
                        break;
                    }
                };
                let mut deltas = part.deltas;
                if part.last {
                    deltas.append(&mut hydrating.views);
                    hydrating.over = true;
                }
                let (until, last) = (part.until, part.last);
                self.workers.past(Past { relation, until, deltas, last })?;
            }
            let percent = hydrating.past.percent();
            if let Some(standing) = self.handle.desk().standing.get_mut(&hydrating.name) {
                standing.hydrating = Some(percent);
            }
        }
        for (relation, why) in failed {
            let of = self.additions.hydrating.iter().find(|h| h.relation == relation);
            if let Some(name) = of.map(|hydrating| hydrating.name.clone()) {
                self.workers.remove(relation)?;
                self.give_up(&name, relation, &why);
            }
        }
        Ok(())
    }

    /// A view cannot be built: it is as if it had not been asked for.
    fn give_up(&mut self, name: &str, relation: usize, why: &str) {
        tracing::error!(view = name, why, "the view cannot be built and is taken away");
        self.additions.hydrating.retain(|hydrating| hydrating.relation != relation);
        self.views.remove(relation);
        let mut desk = self.handle.desk();
        if self.views.relation(name).is_none() {
            self.defined.undefine(name, OPERATOR);
            desk.catalog.remove(name);
            desk.standing.remove(name);
        } else if let Some(standing) = desk.standing.get_mut(name) {
            standing.hydrating = None;
        }
    }

    /// Makes a view that has caught up readable; what had its name is gone.
    fn show(&mut self, relation: usize) -> Result<(), InstanceError> {
        let published = self.workers.take_past(self.tick().plus(1));
        self.views.absorb(published);
        let at = self.additions.hydrating.iter().position(|h| h.relation == relation);
        let Some(at) = at else { return Ok(()) };
        let Hydrating { name, .. } = self.additions.hydrating.remove(at);
        if let Some(old) = self.views.relation(&name) {
            let difference = self.views.difference(old, relation);
            self.workers.swap(Swap { old, new: relation, difference })?;
        }
        self.views.show(relation, &name);
        if let Some(old) = self.additions.shown.insert(name.clone(), relation) {
            self.workers.remove(old)?;
        }
        if let Some(standing) = self.handle.desk().standing.get_mut(&name) {
            standing.hydrating = None;
        }
        tracing::info!(view = %name, tick = %self.tick(), "can be read");
        Ok(())
    }

    fn remove(&mut self, view: &str, by: &str) -> Result<(), InstanceError> {
        let hydrating = self.additions.hydrating.iter().position(|h| h.name == view);
        let hydrating = hydrating.map(|at| self.additions.hydrating.remove(at).relation);
        for relation in hydrating.into_iter().chain(self.additions.shown.remove(view)) {
            self.workers.remove(relation)?;
            self.views.remove(relation);
        }
        // One that was built at the start goes on unseen until the next.
        if let Some(relation) = self.views.relation(view) {
            self.views.remove(relation);
        }
        self.defined.undefine(view, by);
        Ok(())
    }
}
