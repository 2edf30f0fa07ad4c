//! The engine as the desk sees it: a handle for readers on other threads, while the instance runs.
//!
//! What is asked of views is answered from the store, what is asked of streams from the log, and
//! both at one tick. That a view shall come or go is checked here, where whoever asks can be told
//! no, and done by the instance between two ticks.
//!
//! # Bounds
//!
//! A read of a stream holds its retained rows, at most [`STREAM_ROWS_MAX`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use arrow_array::RecordBatch;
use connectors::error::ConnectorError;
use connectors::source::Source;
use crossbeam_channel::Sender;
use schemas::catalog::Catalog;
use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::contract::ChangeError;
use schemas::contract::Changes;
use schemas::contract::Engine;
use schemas::contract::IndexPlan;
use schemas::contract::IndexStatus;
use schemas::contract::ReadError;
use schemas::contract::Snapshot;
use schemas::contract::SourcePlan;
use schemas::contract::Status;
use schemas::contract::SubscribeFrom;
use schemas::contract::ViewStatus;
use schemas::plan::ViewPlan;
use schemas::time::Step;
use schemas::time::Timestamp;

mod history;

pub(crate) use self::history::kind_of;
use crate::gauge::Gauges;
use crate::index::serves;
use crate::instance::reader::Positions;
use crate::views::store::Views;

/// Rows of a stream that one read gives at most: what is larger wants a view.
pub const STREAM_ROWS_MAX: usize = 20_000_000;

/// What the instance is asked to do between two ticks.
pub(crate) enum Wish {
    /// Build a view.
    Create { plan: Box<ViewPlan>, by: String },
    /// Take a view away.
    Remove { view: String, by: String },
    /// Build an index.
    CreateIndex { plan: Box<IndexPlan>, by: String },
    /// Take an index away.
    RemoveIndex { index: String, by: String },
    /// Take rows from a source.
    CreateSource { plan: Box<SourcePlan>, source: Box<dyn Source>, by: String },
    /// Take no more rows from a source.
    RemoveSource { source: String, by: String },
}

/// Opens the door of a source that comes by a statement, to go on at these positions.
pub type Opener =
    Arc<dyn Fn(&SourcePlan, &Positions) -> Result<Box<dyn Source>, ConnectorError> + Send + Sync>;

/// A view, as far as changes of it are concerned.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) plan: ViewPlan,
    /// It stands in the folder of views.
    pub(crate) in_file: bool,
    /// It is part of the flow that was built at the start.
    pub(crate) in_flow: bool,
    /// It, or what takes its place, is working off its past.
    pub(crate) hydrating: Option<u8>,
    /// The indexes from which it reads.
    pub(crate) uses: Vec<String>,
    /// What it takes the place of, until it can be read.
    pub(crate) before: Option<Box<Standing>>,
}

/// An index, as far as others are concerned.
#[derive(Clone, Debug)]
pub(crate) struct StandingIndex {
    pub(crate) plan: IndexPlan,
    /// The number under which it runs, once it does.
    pub(crate) relation: Option<usize>,
    /// It is working off its past.
    pub(crate) hydrating: Option<u8>,
}

/// What the handles and the instance share.
pub(crate) struct Desk {
    pub(crate) catalog: Catalog,
    pub(crate) standing: BTreeMap<String, Standing>,
    pub(crate) indexes: BTreeMap<String, StandingIndex>,
    /// What the agents read.
    pub(crate) agents_read: Vec<String>,
    pub(crate) status: Status,
    pub(crate) tables: BTreeMap<String, RecordBatch>,
    /// Sources that came by a statement, each with the first tick whose rows are its own: what the
    /// log holds before that is another's of its name.
    pub(crate) sources: BTreeMap<String, Timestamp>,
    /// Opens doors, if sources may come.
    pub(crate) opener: Option<Opener>,
}

/// A handle on a running engine.
#[derive(Clone)]
pub struct Handle {
    pub(crate) step: Step,
    /// The folder of the log.
    pub(crate) log: PathBuf,
    pub(crate) views: Arc<Views>,
    pub(crate) desk: Arc<Mutex<Desk>>,
    pub(crate) wishes: Sender<Wish>,
    pub(crate) gauges: Gauges,
}

impl Handle {
    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the instance; the tick from which it will be so.
    fn wish(&self, name: &str, wish: Wish) -> Result<Timestamp, ChangeError> {
        let stopped = |_| ChangeError::Failed {
            name: name.to_owned(),
            message: "the instance has stopped".to_owned(),
        };
        self.wishes.send(wish).map_err(stopped)?;
        Ok(self.tick().plus(self.step.millis()))
    }
}

impl Desk {
    /// The views there are, without what they show.
    fn views(&self) -> Vec<ViewStatus> {
        let view = |(name, standing): (&String, &Standing)| ViewStatus {
            name: name.clone(),
            sql: standing.plan.sql.clone(),
            hydrated: standing.hydrating.unwrap_or(100),
            reads: standing.plan.reads.clone(),
            ..ViewStatus::default()
        };
        self.standing.iter().map(view).collect()
    }

    /// The indexes there are.
    fn indexes(&self) -> Vec<IndexStatus> {
        let index = |(name, of): (&String, &StandingIndex)| IndexStatus {
            name: name.clone(),
            relation: of.plan.relation.clone(),
            columns: of.plan.columns.clone(),
            sql: of.plan.view.sql.clone(),
            hydrated: of.hydrating.unwrap_or(100),
            used_by: self.users(name),
        };
        self.indexes.iter().map(index).collect()
    }

    /// The indexes from which a view reads, if it is made now: of each relation one, by whose key
    /// it joins if there is such.
    pub(crate) fn serving(&self, plan: &ViewPlan) -> Vec<String> {
        let of = |read: &String| {
            let there = |index: &&StandingIndex| {
                index.plan.relation == *read
                    && index.hydrating.is_none()
                    && index.relation.is_some()
            };
            let serving = (self.indexes.values().filter(there))
                .filter_map(|index| Some((serves(&index.plan, plan)?, index)));
            // Of equals the first by name.
            let best = serving.min_by_key(|(by_key, _)| !by_key);
            best.map(|(_, index)| index.plan.name.clone())
        };
        plan.reads.iter().filter_map(of).collect()
    }

    /// The views that read from an index.
    fn users(&self, index: &str) -> Vec<String> {
        let uses = |(_, standing): &(&String, &Standing)| {
            let before = standing.before.iter().flat_map(|before| &before.uses);
            standing.uses.iter().chain(before).any(|used| used == index)
        };
        self.standing.iter().filter(uses).map(|(name, _)| name.clone()).collect()
    }

    /// The views, agents and indexes that read a relation.
    fn readers_and_indexes(&self, relation: &str) -> Vec<String> {
        let mut readers = self.readers(relation);
        let on = self.indexes.iter().filter(|(_, index)| index.plan.relation == relation);
        readers.extend(on.map(|(name, _)| format!("the index {name}")));
        readers
    }

    /// The views and agents that read a view.
    fn readers(&self, view: &str) -> Vec<String> {
        let reads = |standing: &Standing| standing.plan.reads.iter().any(|read| read == view);
        let views = self.standing.iter().filter(|(_, standing)| reads(standing));
        let mut readers: Vec<String> = views.map(|(name, _)| name.clone()).collect();
        if self.agents_read.iter().any(|read| read == view) {
            readers.push("the agents".to_owned());
        }
        readers
    }

    /// Readers that were built together with the view and cannot turn to another one.
    fn bound(&self, view: &str) -> Vec<String> {
        let in_flow = |name: &str| self.standing.get(name).is_none_or(|s| s.in_flow);
        let here = self.standing.contains_key(view) && in_flow(view);
        self.readers(view).into_iter().filter(|reader| here && in_flow(reader)).collect()
    }

    fn may_create(&self, plan: &ViewPlan, replace: bool) -> Result<(), ChangeError> {
        let name = plan.name.clone();
        let failed = |message: String| Err(ChangeError::Failed { name: name.clone(), message });
        let there = self.catalog.get(&name);
        let taken = there.is_some_and(|info| info.kind != RelationKind::View || !replace);
        if taken || self.indexes.contains_key(&name) {
            return Err(ChangeError::Exists { name });
        }
        let busy = |read: &str| self.standing.get(read).is_some_and(|s| s.hydrating.is_some());
        if let Some(read) = plan.reads.iter().map(String::as_str).chain([&*name]).find(|r| busy(r))
        {
            return failed(format!("{read} is still hydrating: try again when it can be read"));
        }
        if plan.reads.contains(&name) {
            return failed("it would read itself".to_owned());
        }
        let bound = self.bound(&name);
        if !bound.is_empty() {
            return Err(ChangeError::Read { name, readers: bound });
        }
        let same = there.is_none_or(|info| {
            let new = plan.root.schema.fields().iter();
            let columns = info.schema.fields().iter().zip(new);
            info.schema.fields().len() == plan.root.schema.fields().len()
                && columns
                    .into_iter()
                    .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type())
        });
        let readers = self.readers_and_indexes(&name);
        if !same && !readers.is_empty() {
            return Err(ChangeError::Read { name, readers });
        }
        Ok(())
    }

    fn may_create_index(&self, plan: &IndexPlan) -> Result<(), ChangeError> {
        let name = plan.name.clone();
        // What tools take for the index of a key has such a name.
        let of_key = name.strip_suffix("_pkey").is_some_and(|of| self.catalog.get(of).is_some());
        if of_key || self.indexes.contains_key(&name) || self.catalog.get(&name).is_some() {
            return Err(ChangeError::Exists { name });
        }
        match self.catalog.get(&plan.relation) {
            Some(_) => Ok(()),
            None => Err(ChangeError::Unknown { name: plan.relation.clone() }),
        }
    }

    fn may_remove_index(&self, index: &str) -> Result<(), ChangeError> {
        let name = index.to_owned();
        if !self.indexes.contains_key(index) {
            return Err(ChangeError::NoIndex { name });
        }
        match self.users(index) {
            readers if readers.is_empty() => Ok(()),
            readers => Err(ChangeError::Read { name, readers }),
        }
    }

    fn may_create_source(&self, name: &str) -> Result<Opener, ChangeError> {
        let name = name.to_owned();
        if self.catalog.get(&name).is_some() || self.indexes.contains_key(&name) {
            return Err(ChangeError::Exists { name });
        }
        let closed = "this instance takes no sources while it runs";
        self.opener.clone().ok_or(ChangeError::Door { name, message: closed.to_owned() })
    }

    fn may_remove_source(&self, source: &str) -> Result<(), ChangeError> {
        let name = source.to_owned();
        if !self.sources.contains_key(source) {
            return Err(ChangeError::NoSource { name });
        }
        match self.readers_and_indexes(source) {
            readers if readers.is_empty() => Ok(()),
            readers => Err(ChangeError::Read { name, readers }),
        }
    }

    fn may_remove(&self, view: &str) -> Result<(), ChangeError> {
        let name = view.to_owned();
        let Some(standing) = self.standing.get(view) else {
            return Err(ChangeError::Unknown { name });
        };
        if standing.in_file {
            let message = "it stands in the folder of views: take its file away and start again";
            return Err(ChangeError::Failed { name, message: message.to_owned() });
        }
        let readers = self.readers_and_indexes(view);
        if !readers.is_empty() {
            return Err(ChangeError::Read { name, readers });
        }
        Ok(())
    }
}

impl Engine for Handle {
    fn catalog(&self) -> Catalog {
        self.desk().catalog.clone()
    }

    fn status(&self) -> Status {
        let desk = self.desk();
        let mut status = desk.status.clone();
        (status.views, status.indexes) = (desk.views(), desk.indexes());
        let indexes: Vec<(usize, String)> = (desk.indexes.iter())
            .filter_map(|(name, index)| Some((index.relation?, name.clone())))
            .collect();
        drop(desk);
        let stands = self.views.stands();
        for view in &mut status.views {
            if let Some((tick, rows, faults)) = stands.get(&view.name) {
                (view.tick, view.rows) = (*tick, *rows as u64);
                view.faults.clone_from(faults);
            }
        }
        let numbered = |view: &'_ ViewStatus| self.views.relation(&view.name);
        let views: Vec<(usize, &str)> = (status.views.iter())
            .filter_map(|view| Some((numbered(view)?, view.name.as_str())))
            .chain(indexes.iter().map(|(number, name)| (*number, name.as_str())))
            .collect();
        status.arrangements = self.gauges.read(&views);
        status
    }

    fn tick(&self) -> Timestamp {
        self.views.tick()
    }

    fn read(&self, names: &[&str], at: Option<Timestamp>) -> Result<Vec<Snapshot>, ReadError> {
        let (catalog, tables, sources) = {
            let desk = self.desk();
            for name in names {
                if let Some(percent) = desk.standing.get(*name).and_then(|s| s.hydrating)
                    && self.views.relation(name).is_none()
                {
                    return Err(ReadError::Hydrating { name: (*name).to_owned(), percent });
                }
            }
            (desk.catalog.clone(), desk.tables.clone(), desk.sources.clone())
        };
        let kind = |name: &str| catalog.get(name).map(|info| &info.kind);
        let of_views =
            |name: &&&str| matches!(kind(name), Some(RelationKind::View | RelationKind::State));
        let views: Vec<&str> = names.iter().filter(of_views).copied().collect();
        let mut read = self.views.read_at(&views, at)?.into_iter();
        let tick = read.as_slice().first().map(|snapshot| snapshot.tick);
        let tick = tick.or(at).unwrap_or_else(|| self.tick());
        let snapshot = |rows| Snapshot { tick, rows, faults: Vec::new() };
        let one = |name: &&str| {
            let unknown = || ReadError::Unknown { name: (*name).to_owned() };
            let info = catalog.get(name).ok_or_else(unknown)?;
            match &info.kind {
                RelationKind::View | RelationKind::State => {
                    Ok(read.next().expect("one for each that is kept"))
                }
                RelationKind::Table => {
                    let empty = || RecordBatch::new_empty(info.schema.clone());
                    Ok(snapshot(tables.get(*name).cloned().unwrap_or_else(empty)))
                }
                _ => {
                    let since = sources.get(*name).copied().unwrap_or_default();
                    self.history(name, info, (since, tick)).map(snapshot)
                }
            }
        };
        names.iter().map(one).collect()
    }

    fn subscribe(&self, view: &str, from: &SubscribeFrom) -> Result<Box<dyn Changes>, ReadError> {
        let hydrating = self.desk().standing.get(view).and_then(|standing| standing.hydrating);
        match hydrating {
            Some(percent) if self.views.relation(view).is_none() => {
                Err(ReadError::Hydrating { name: view.to_owned(), percent })
            }
            _ => self.views.subscribe(view, from),
        }
    }

    fn create(&self, plan: ViewPlan, replace: bool, by: &str) -> Result<Timestamp, ChangeError> {
        let name = plan.name.clone();
        let mut desk = self.desk();
        desk.may_create(&plan, replace)?;
        let uses = desk.serving(&plan);
        let before = desk.standing.remove(&name).map(Box::new);
        let (schema, kind) = (plan.root.schema.clone(), RelationKind::View);
        desk.catalog.add(&name, RelationInfo { schema, kind });
        let standing = Standing {
            plan: plan.clone(),
            in_file: false,
            in_flow: false,
            hydrating: Some(0),
            uses,
            before,
        };
        desk.standing.insert(name.clone(), standing);
        drop(desk);
        self.wish(&name, Wish::Create { plan: Box::new(plan), by: by.to_owned() })
    }

    fn remove(&self, view: &str, by: &str) -> Result<Timestamp, ChangeError> {
        let mut desk = self.desk();
        desk.may_remove(view)?;
        desk.standing.remove(view);
        desk.catalog.remove(view);
        drop(desk);
        self.wish(view, Wish::Remove { view: view.to_owned(), by: by.to_owned() })
    }

    fn create_index(&self, plan: IndexPlan, by: &str) -> Result<Timestamp, ChangeError> {
        let name = plan.name.clone();
        let mut desk = self.desk();
        desk.may_create_index(&plan)?;
        let of = StandingIndex { plan: plan.clone(), relation: None, hydrating: Some(0) };
        desk.indexes.insert(name.clone(), of);
        drop(desk);
        self.wish(&name, Wish::CreateIndex { plan: Box::new(plan), by: by.to_owned() })
    }

    fn remove_index(&self, index: &str, by: &str) -> Result<Timestamp, ChangeError> {
        let mut desk = self.desk();
        desk.may_remove_index(index)?;
        desk.indexes.remove(index);
        drop(desk);
        self.wish(index, Wish::RemoveIndex { index: index.to_owned(), by: by.to_owned() })
    }

    fn create_source(&self, plan: SourcePlan, by: &str) -> Result<Timestamp, ChangeError> {
        let name = plan.settings.def.name.clone();
        let opener = self.desk().may_create_source(&name)?;
        // Nobody waits at the desk while a door opens.
        let source = opener(&plan, &Positions::new()).map_err(|error| {
            let findings: Vec<String> = error.findings().iter().map(ToString::to_string).collect();
            ChangeError::Door { name: name.clone(), message: findings.join("; ") }
        })?;
        let mut desk = self.desk();
        desk.may_create_source(&name)?;
        desk.catalog.add_stream(plan.settings.clone());
        // Nothing that the log holds by now is its own.
        desk.sources.insert(name.clone(), Timestamp(u64::MAX));
        drop(desk);
        let (plan, by) = (Box::new(plan), by.to_owned());
        self.wish(&name, Wish::CreateSource { plan, source, by })
    }

    fn remove_source(&self, source: &str, by: &str) -> Result<Timestamp, ChangeError> {
        let mut desk = self.desk();
        desk.may_remove_source(source)?;
        desk.sources.remove(source);
        desk.catalog.remove(source);
        drop(desk);
        let (name, by) = (source.to_owned(), by.to_owned());
        self.wish(source, Wish::RemoveSource { source: name, by })
    }
}
