//! Views and indexes that come and go while the instance runs.
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
use std::collections::BTreeSet;
use std::time::Duration;

use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::contract::IndexPlan;
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
use crate::index::serves;
use crate::ingest::upsert::Upsert;
use crate::workers::Past;
use crate::workers::PastRows;
use crate::workers::Swap;

/// Parts of a past that may be on their way to the workers.
const PARTS_IN_FLIGHT: u64 = 2;

/// How often to look how far a past is that everything waits for.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Additions and what becomes of them.
#[derive(Default)]
pub(super) struct Additions {
    /// The number of the next addition; 0 before the first.
    next: usize,
    /// Those that can be read, by name.
    shown: BTreeMap<String, usize>,
    /// The indexes, by name.
    indexes: BTreeMap<String, usize>,
    hydrating: Vec<Hydrating>,
    /// Relations that another view has taken since the last tick; their indexes learn of it with
    /// the next.
    pub(super) swapped: BTreeSet<String>,
    /// Indexes on views that work off their past, and who asked for them.
    waiting: Vec<(IndexPlan, String)>,
    /// Additions that read the audit log themselves.
    pub(super) of_audit: BTreeSet<usize>,
    /// How views were defined that others take the place of, until these can be read.
    replaced: BTreeMap<String, Defined>,
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

/// A view or an index that works off its past.
struct Hydrating {
    name: String,
    relation: usize,
    /// It is an index.
    index: bool,
    /// The indexes from which it reads.
    uses: Vec<String>,
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
                Wish::CreateIndex { plan, by } => self.create_index(*plan, &by)?,
                Wish::RemoveIndex { index, by } => self.remove_index(&index, &by)?,
                Wish::CreateSource { plan, source, by } => {
                    self.create_source(*plan, source, &by)?;
                }
                Wish::RemoveSource { source, by } => self.remove_source(&source, &by),
            }
        }
        Ok(())
    }

    fn create(&mut self, plan: ViewPlan, by: &str) -> Result<(), InstanceError> {
        let before = self.defined.define(&plan.name, Defined::stated(by, &plan.sql));
        self.additions.replaced.extend(before.map(|before| (plan.name.clone(), before)));
        self.begin_view(plan)
    }

    fn begin_view(&mut self, plan: ViewPlan) -> Result<(), InstanceError> {
        let relation = self.numbered();
        self.views.prepare(relation, &plan)?;
        self.begin(relation, plan, None)
    }

    /// Builds the views that read the audit log, each after those it reads, and waits until they
    /// have worked off what was recorded: nothing else goes on yet.
    pub(super) fn follow(&mut self, followers: Vec<ViewPlan>) -> Result<(), InstanceError> {
        for plan in followers {
            self.begin_view(plan)?;
            while !self.additions.hydrating.is_empty() {
                self.changes()?;
                std::thread::sleep(LOOK_EVERY);
            }
        }
        Ok(())
    }

    pub(super) fn create_index(&mut self, plan: IndexPlan, by: &str) -> Result<(), InstanceError> {
        self.defined.define(&plan.name, Defined::stated(by, &plan.view.sql));
        let working = self.additions.hydrating.iter().any(|h| !h.index && h.name == plan.relation);
        if working {
            self.additions.waiting.push((plan, by.to_owned()));
            return Ok(());
        }
        let IndexPlan { name, key, view, .. } = plan;
        let relation = self.numbered();
        self.additions.indexes.insert(name.clone(), relation);
        if let Some(index) = self.handle.desk().indexes.get_mut(&name) {
            index.relation = Some(relation);
        }
        self.begin(relation, view, Some(key))
    }

    /// The number of the next addition; views and what agents say come first.
    fn numbered(&mut self) -> usize {
        let relation = self.additions.next.max(self.flow.published().len());
        self.additions.next = relation + 1;
        relation
    }

    /// Begins a view, or with a key an index, with its past.
    fn begin(
        &mut self,
        relation: usize,
        plan: ViewPlan,
        index: Option<Vec<usize>>,
    ) -> Result<(), InstanceError> {
        let name = plan.name.clone();
        let serving = match &index {
            Some(_) => BTreeMap::new(),
            None => self.serving(&plan),
        };
        let mut reads = Vec::new();
        let mut takes = Vec::new();
        let mut views = Vec::new();
        for (input, read) in plan.reads.iter().enumerate() {
            let found = match serving.get(read) {
                Some((_, index)) => self.imported(read, *index),
                None => self.read_of(read),
            };
            let Some((read, take)) = found else {
                self.give_up(&name, relation, &format!("{read} is not there any more"));
                return Ok(());
            };
            if let (ReadFrom::Inside(of), Takes::Nothing) = (read.from, &take) {
                views.push((input, PastRows::Rows(self.views.rows(of).into())));
            }
            takes.push((read.name.clone(), take));
            reads.push(read);
        }
        if reads.iter().any(|read| matches!(read.from, ReadFrom::Audit(_))) {
            self.additions.of_audit.insert(relation);
        }
        let step = self.flow.step;
        let (is_index, uses) = (index.is_some(), serving.into_values().map(|(n, _)| n).collect());
        self.workers.add(Addition { relation, view: plan, reads, step, index })?;
        let dir = self.settings.data_dir.join("audit");
        let past = PastReader::start(dir, self.tick(), takes, self.doors.since().clone());
        let past = past.map_err(|error| InstanceError::Replay {
            tick: self.tick(),
            message: format!("the past of {name} cannot be read: {error}"),
        })?;
        tracing::info!(view = %name, tick = %self.tick(), "hydrating");
        let over = false;
        let hydrating = Hydrating { name, relation, index: is_index, uses, past, views, over };
        self.additions.hydrating.push(hydrating);
        Ok(())
    }

    /// The indexes from which a view was promised to read, by relation, with their numbers.
    fn serving(&self, plan: &ViewPlan) -> BTreeMap<String, (String, usize)> {
        let desk = self.handle.desk();
        let uses = desk.standing.get(&plan.name).map_or(&[][..], |standing| &standing.uses);
        let mut serving = BTreeMap::new();
        for name in uses {
            let Some(index) = desk.indexes.get(name) else { continue };
            let relation = &index.plan.relation;
            let fresh = !self.additions.swapped.contains(relation);
            if let (true, Some(_), Some(at)) = (fresh, serves(&index.plan, plan), index.relation) {
                serving.entry(relation.clone()).or_insert((name.clone(), at));
            }
        }
        serving
    }

    /// A relation from its index, which has its past.
    fn imported(&self, name: &str, index: usize) -> Option<(Read, Takes)> {
        let (read, _) = self.read_of(name)?;
        Some((Read { from: ReadFrom::Index(index), ..read }, Takes::Nothing))
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
                RelationKind::Table => Takes::Table(info.schema.clone()),
                _ => Takes::Rows(info.schema.clone()),
            };
            return Some((read(info.schema, ReadFrom::Outside(input)), takes));
        }
        if let Some(RelationInfo { schema, kind: RelationKind::Audit(kind) }) = &info {
            let takes = Takes::Audit(*kind, schema.clone());
            return Some((read(schema.clone(), ReadFrom::Audit(*kind)), takes));
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
            let mut desk = self.handle.desk();
            if hydrating.index {
                let index = desk.indexes.get_mut(&hydrating.name);
                index.into_iter().for_each(|index| index.hydrating = Some(percent));
            } else if let Some(standing) = desk.standing.get_mut(&hydrating.name) {
                standing.hydrating = Some(percent);
            }
        }
        for (relation, why) in failed {
            let of = self.additions.hydrating.iter().find(|h| h.relation == relation);
            if let Some(name) = of.map(|hydrating| hydrating.name.clone()) {
                self.end(relation)?;
                self.give_up(&name, relation, &why);
            }
        }
        Ok(())
    }

    /// Ends an addition.
    fn end(&mut self, relation: usize) -> Result<(), InstanceError> {
        self.additions.of_audit.remove(&relation);
        Ok(self.workers.remove(relation)?)
    }

    /// A view cannot be built: it is as if it had not been asked for.
    fn give_up(&mut self, name: &str, relation: usize, why: &str) {
        tracing::error!(view = name, why, "the view cannot be built and is taken away");
        self.additions.hydrating.retain(|hydrating| hydrating.relation != relation);
        self.views.remove(relation);
        let mut desk = self.handle.desk();
        if desk.indexes.remove(name).is_some() {
            self.defined.undefine(name, OPERATOR);
            return;
        }
        if self.views.relation(name).is_none() {
            self.defined.undefine(name, OPERATOR);
            desk.catalog.remove(name);
            desk.standing.remove(name);
            for (plan, _) in self.additions.waiting.extract_if(.., |(p, _)| p.relation == name) {
                desk.indexes.remove(&plan.name);
                self.defined.undefine(&plan.name, OPERATOR);
            }
        } else if let Some(before) = desk.standing.remove(name).and_then(|new| new.before) {
            let (schema, kind) = (before.plan.root.schema.clone(), RelationKind::View);
            desk.catalog.add(name, RelationInfo { schema, kind });
            desk.standing.insert(name.to_owned(), *before);
            if let Some(defined) = self.additions.replaced.remove(name) {
                self.defined.define(name, defined);
            }
            // What waited for the one that failed is on the one that stays.
            let waiting = self.additions.waiting.extract_if(.., |(p, _)| p.relation == name);
            let wishes = waiting.map(|(plan, by)| Wish::CreateIndex { plan: Box::new(plan), by });
            self.additions.wishes.extend(wishes);
        }
    }

    /// Makes a view that has caught up readable; what had its name is gone.
    fn show(&mut self, relation: usize) -> Result<(), InstanceError> {
        let published = self.workers.take_past(self.tick().plus(1));
        self.views.absorb(published);
        let at = self.additions.hydrating.iter().position(|h| h.relation == relation);
        let Some(at) = at else { return Ok(()) };
        let Hydrating { name, index, uses, .. } = self.additions.hydrating.remove(at);
        if index {
            if let Some(index) = self.handle.desk().indexes.get_mut(&name) {
                index.hydrating = None;
            }
            tracing::info!(index = %name, tick = %self.tick(), "can be used");
            return Ok(());
        }
        if let Some(old) = self.views.relation(&name) {
            let difference = self.views.difference(old, relation);
            self.workers.swap(Swap { old, new: relation, difference })?;
            self.additions.swapped.insert(name.clone());
        }
        self.views.show(relation, &name);
        self.additions.replaced.remove(&name);
        if let Some(old) = self.additions.shown.insert(name.clone(), relation) {
            self.end(old)?;
        }
        if let Some(standing) = self.handle.desk().standing.get_mut(&name) {
            (standing.hydrating, standing.uses, standing.before) = (None, uses, None);
        }
        tracing::info!(view = %name, tick = %self.tick(), "can be read");
        for (plan, by) in std::mem::take(&mut self.additions.waiting) {
            self.create_index(plan, &by)?;
        }
        Ok(())
    }

    fn remove(&mut self, view: &str, by: &str) -> Result<(), InstanceError> {
        let of = |h: &Hydrating| !h.index && h.name == view;
        let hydrating = self.additions.hydrating.iter().position(of);
        let hydrating = hydrating.map(|at| self.additions.hydrating.remove(at).relation);
        for relation in hydrating.into_iter().chain(self.additions.shown.remove(view)) {
            self.end(relation)?;
            self.views.remove(relation);
        }
        self.additions.replaced.remove(view);
        // One that was built at the start goes on unseen until the next.
        if let Some(relation) = self.views.relation(view) {
            self.views.remove(relation);
        }
        self.defined.undefine(view, by);
        Ok(())
    }

    /// Ends an index; nobody uses it.
    fn remove_index(&mut self, index: &str, by: &str) -> Result<(), InstanceError> {
        self.additions.hydrating.retain(|h| !(h.index && h.name == index));
        self.additions.waiting.retain(|(plan, _)| plan.name != index);
        if let Some(relation) = self.additions.indexes.remove(index) {
            self.end(relation)?;
        }
        self.defined.undefine(index, by);
        Ok(())
    }
}
