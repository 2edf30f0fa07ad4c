//! The rows of every view at the last complete tick, and for a while before.
//!
//! One lock: what is read under it is of one tick, whole. The rows of a view become a batch when
//! somebody asks, once a tick however many ask.
//!
//! A view made `WITH (on_error = 'fail')` is refused while a fault of it stands, and so is every
//! view that reads it: its rows would be missing there without a word. That is decided here, once
//! for all who read; the rows themselves are kept as those of any other view.
//!
//! A view that was made while the instance runs is here before it can be read: what its dataflow
//! says of the past is added up unseen, and [`Views::show`] makes it readable at one tick.
//!
//! # Bounds
//!
//! A view's rows; the changes of its last [`PAST_TICKS`] ticks, or of the time that it says
//! (`retain`), at most [`PAST_ROWS_MAX`]; what waits for each subscriber
//! ([`subscribe`](super::subscribe)).

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use schemas::contract::Changes;
use schemas::contract::Failing;
use schemas::contract::Fault;
use schemas::contract::ReadError;
use schemas::contract::Snapshot;
use schemas::contract::SubscribeFrom;
use schemas::contract::ViewReader;
use schemas::plan::OnError;
use schemas::plan::ViewPlan;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::time::Timestamp;
use schemas::view_error::ViewError;

use super::publish::Published;
use super::subscribe::Piece;
use super::subscribe::Subscriber;
use super::subscribe::subscription;
use crate::delta::Diff;
use crate::delta::add_to;
use crate::render::RenderError;
use crate::render::codec;
use crate::render::nullable;

/// Ticks before the last one that can still be read of a view that says nothing else: ten minutes
/// of 5 s ticks.
pub const PAST_TICKS: usize = 120;

/// Ticks before the last one that can be read of any view: a week of 5 s ticks.
pub const PAST_TICKS_MAX: usize = 120_960;

/// Changes kept for them, a view: a view that changes more can be read less far back.
pub const PAST_ROWS_MAX: usize = 1_000_000;

/// Rows and how often each is there.
pub(crate) type Multiset = HashMap<Row, Diff, FixedState>;

/// What one tick changed of a view.
type Shifts = Arc<Vec<(Row, Diff)>>;

/// The views of an instance.
pub struct Views {
    shared: Mutex<Shared>,
}

struct Shared {
    tick: Timestamp,
    /// By the number under which it is published.
    views: BTreeMap<usize, View>,
    /// The views that can be read.
    names: BTreeMap<String, usize>,
}

struct View {
    name: String,
    codec: Arc<RowCodec>,
    /// Views, itself among them, whose faults make this one unreadable.
    strict: Vec<usize>,

    rows: Multiset,
    faults: BTreeMap<Fault, Diff>,
    /// Whether the last who asked was told of faults.
    told: bool,
    /// The rows as a batch, until they change.
    batch: Option<RecordBatch>,
    /// What each of the last ticks changed.
    past: VecDeque<(Timestamp, Shifts)>,
    past_rows: usize,
    /// How far back it can be read, where it says so.
    retain_ms: Option<u64>,
    /// The first tick that can be read.
    since: Timestamp,
    subscribers: Vec<Subscriber>,
}

/// All views as of one tick.
#[derive(Clone, Debug)]
pub struct Image {
    /// The tick.
    pub tick: Timestamp,
    /// Their rows, in name order.
    pub views: Vec<(String, RecordBatch)>,
    /// What could not be computed, in order of view, expression, message and row.
    pub errors: Vec<ViewError>,
    /// The views that may not be read.
    pub failing: Vec<Failing>,
}

/// A view whose first fault came, or whose last one went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turned {
    /// The view.
    pub view: String,
    /// One of its faults, if there are any now.
    pub fault: Option<Fault>,
}

impl View {
    /// An empty view for this plan; `of` are the views that it may read.
    fn new(
        relation: usize,
        plan: &ViewPlan,
        of: &BTreeMap<usize, View>,
    ) -> Result<View, RenderError> {
        let own = (plan.on_error == OnError::Fail).then_some(relation);
        let read = of.values().filter(|view| plan.reads.contains(&view.name));
        let mut strict: Vec<usize> =
            own.into_iter().chain(read.flat_map(|view| view.strict.clone())).collect();
        strict.sort_unstable();
        strict.dedup();
        View::of(&plan.name, &plan.root.schema, (strict, plan.retain_ms))
    }

    /// An empty view of this name and columns.
    fn of(
        name: &str,
        schema: &SchemaRef,
        (strict, retain_ms): (Vec<usize>, Option<u64>),
    ) -> Result<View, RenderError> {
        Ok(View {
            name: name.to_owned(),
            codec: Arc::new(codec(&nullable(schema), "view")?),
            strict,
            told: false,
            rows: Multiset::default(),
            faults: BTreeMap::new(),
            batch: None,
            past: VecDeque::new(),
            past_rows: 0,
            retain_ms,
            since: Timestamp(0),
            subscribers: Vec::new(),
        })
    }

    fn change(&mut self, rows: &[(Row, Diff)]) {
        self.batch = None;
        for (row, diff) in rows {
            add(&mut self.rows, row.clone(), *diff);
        }
    }

    /// Notes what a tick changed and tells the subscribers.
    fn passed(&mut self, tick: Timestamp, changes: Vec<(Row, Diff)>) {
        let changes = Arc::new(changes);
        let piece = Piece { tick, changes: changes.clone() };
        self.subscribers.retain_mut(|subscriber| subscriber.tell(&piece));
        self.past_rows += changes.len();
        self.past.push_back((tick, changes));
        while let Some((first, _)) = self.past.front() {
            let far = match self.retain_ms {
                Some(ms) => first.plus(ms) <= tick || self.past.len() > PAST_TICKS_MAX,
                None => self.past.len() > PAST_TICKS,
            };
            if !far && self.past_rows <= PAST_ROWS_MAX {
                break;
            }
            let Some((tick, changes)) = self.past.pop_front() else { break };
            self.past_rows -= changes.len();
            self.since = self.since.max(tick);
        }
    }

    /// The rows after tick `at`.
    fn rows_at(&self, at: Timestamp) -> Multiset {
        let mut rows = self.rows.clone();
        for (tick, changes) in self.past.iter().rev() {
            if *tick <= at {
                break;
            }
            changes.iter().for_each(|(row, diff)| add(&mut rows, row.clone(), -diff));
        }
        rows
    }

    fn current(&mut self) -> RecordBatch {
        let View { batch, codec, rows, .. } = self;
        batch.get_or_insert_with(|| decode(codec, rows)).clone()
    }
}

fn add(rows: &mut Multiset, row: Row, diff: Diff) {
    match rows.entry(row) {
        Entry::Vacant(entry) => {
            if diff != 0 {
                entry.insert(diff);
            }
        }
        Entry::Occupied(mut entry) => {
            *entry.get_mut() += diff;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

/// The rows in order, each as often as it is there.
pub(super) fn decode(codec: &RowCodec, rows: &Multiset) -> RecordBatch {
    let mut rows: Vec<(&Row, &Diff)> = rows.iter().collect();
    rows.sort_unstable();
    let repeated: Vec<&[u8]> = (rows.into_iter())
        .flat_map(|(row, n)| std::iter::repeat_n(row.as_bytes(), (*n).max(0) as usize))
        .collect();
    codec.decode(repeated.into_iter()).expect("the view's own rows")
}

impl Views {
    /// Empty views for these plans, each after those it reads, published under their positions.
    ///
    /// # Errors
    /// A column has no row encoding.
    pub fn new(plans: &[ViewPlan]) -> Result<Views, RenderError> {
        let (mut views, mut names) = (BTreeMap::new(), BTreeMap::new());
        for (relation, plan) in plans.iter().enumerate() {
            let view = View::new(relation, plan, &views)?;
            views.insert(relation, view);
            names.insert(plan.name.clone(), relation);
        }
        Ok(Views { shared: Mutex::new(Shared { tick: Timestamp(0), views, names }) })
    }

    /// Makes room for what an agent keeps current, readable under this name.
    ///
    /// # Errors
    /// A column has no row encoding.
    pub fn keep(&self, relation: usize, name: &str, schema: &SchemaRef) -> Result<(), RenderError> {
        let view = View::of(name, schema, (Vec::new(), None))?;
        let mut shared = self.lock();
        shared.views.insert(relation, view);
        shared.names.insert(name.to_owned(), relation);
        Ok(())
    }

    /// Applies everything that was published of a tick.
    pub fn apply(&self, tick: Timestamp, published: Vec<Published>) {
        let mut shared = self.lock();
        let Shared { tick: last, views, names } = &mut *shared;
        *last = tick;
        let mut changed: BTreeMap<usize, Vec<(Row, Diff)>> = BTreeMap::new();
        for change in published {
            let Some(view) = views.get_mut(&change.relation) else { continue };
            for (fault, diff) in change.faults {
                add_to(&mut view.faults, fault, diff);
            }
            view.change(&change.rows);
            changed.entry(change.relation).or_default().extend(change.rows);
        }
        for relation in names.values() {
            let view = views.get_mut(relation).expect("what has a name is there");
            view.passed(tick, changed.remove(relation).unwrap_or_default());
        }
    }

    /// The last tick that was applied.
    pub fn tick(&self) -> Timestamp {
        self.lock().tick
    }

    /// How many rows each view has, in name order.
    pub fn counts(&self) -> Vec<(String, usize)> {
        let shared = self.lock();
        let count = |(name, at): (&String, &usize)| (name.clone(), shared.views[at].rows.len());
        shared.names.iter().map(count).collect()
    }

    /// All readable views as they stand.
    pub fn image(&self) -> Image {
        let mut shared = self.lock();
        let names: Vec<(String, usize)> =
            shared.names.iter().map(|(name, at)| (name.clone(), *at)).collect();
        let mut views = Vec::new();
        let mut failing = Vec::new();
        for (name, relation) in names {
            let view = shared.views.get_mut(&relation).expect("what has a name is there");
            views.push((name, view.current()));
            failing.extend(shared.failing(relation));
        }
        Image { tick: shared.tick, views, errors: shared.errors(), failing }
    }

    /// What could not be computed, in order of view, expression, message and row.
    pub fn errors(&self) -> Vec<ViewError> {
        self.lock().errors()
    }

    /// The views whose first fault came or whose last one went since this was asked last.
    pub fn turned(&self) -> Vec<Turned> {
        let mut turned = Vec::new();
        for view in self.lock().views.values_mut() {
            if view.told == view.faults.is_empty() {
                view.told = !view.told;
                let fault = view.faults.keys().next().cloned();
                turned.push(Turned { view: view.name.clone(), fault });
            }
        }
        turned
    }

    /// Makes room for a view that will be published as `relation` and cannot be read yet.
    ///
    /// # Errors
    /// A column has no row encoding.
    pub fn prepare(&self, relation: usize, plan: &ViewPlan) -> Result<(), RenderError> {
        let mut shared = self.lock();
        let view = View::new(relation, plan, &shared.views)?;
        shared.views.insert(relation, view);
        Ok(())
    }

    /// Makes a prepared view readable under this name from the last tick on. What had the name
    /// before is gone; its subscribers go on with the new one, and are told the difference.
    pub fn show(&self, relation: usize, name: &str) {
        let mut shared = self.lock();
        let tick = shared.tick;
        let before = shared.names.insert(name.to_owned(), relation);
        let before = before.filter(|old| *old != relation);
        let before = before.and_then(|old| shared.views.remove(&old));
        let Some(view) = shared.views.get_mut(&relation) else { return };
        view.since = tick;
        if let Some(before) = before {
            let changes = Arc::new(difference(&before.rows, &view.rows));
            let piece = Piece { tick, changes };
            view.subscribers = before.subscribers;
            view.subscribers.retain_mut(|s| s.becomes(&view.codec) && s.tell(&piece));
        }
    }

    /// Takes a view away, whether it can be read or not.
    pub fn remove(&self, relation: usize) {
        let mut shared = self.lock();
        shared.names.retain(|_, of| *of != relation);
        shared.views.remove(&relation);
    }

    /// Applies what was published of the past of views that cannot be read yet.
    pub fn absorb(&self, published: Vec<Published>) {
        let mut shared = self.lock();
        for change in published {
            let Some(view) = shared.views.get_mut(&change.relation) else { continue };
            view.change(&change.rows);
            for (fault, diff) in change.faults {
                add_to(&mut view.faults, fault, diff);
            }
        }
    }

    /// The columns of a view.
    pub(crate) fn schema(&self, relation: usize) -> Option<SchemaRef> {
        self.lock().views.get(&relation).map(|view| view.codec.schema().clone())
    }

    /// For each readable view: the last tick, its rows, and what could not be computed.
    pub(crate) fn stands(&self) -> BTreeMap<String, (Timestamp, usize, Vec<Fault>)> {
        let shared = self.lock();
        let stands = shared.names.iter().map(|(name, at)| {
            let view = &shared.views[at];
            let faults = view.faults.keys().cloned().collect();
            (name.clone(), (shared.tick, view.rows.len(), faults))
        });
        stands.collect()
    }

    /// The number under which a readable view is published.
    pub fn relation(&self, name: &str) -> Option<usize> {
        self.lock().names.get(name).copied()
    }

    /// The rows of a view at the last tick.
    pub fn rows(&self, relation: usize) -> Vec<(Row, Diff)> {
        let shared = self.lock();
        let view = shared.views.get(&relation);
        view.map_or_else(Vec::new, |v| v.rows.iter().map(|(r, n)| (r.clone(), *n)).collect())
    }

    /// What must change for the rows of `old` to become those of `new`.
    pub fn difference(&self, old: usize, new: usize) -> Vec<(Row, Diff)> {
        let shared = self.lock();
        match (shared.views.get(&old), shared.views.get(&new)) {
            (Some(old), Some(new)) => difference(&old.rows, &new.rows),
            _ => Vec::new(),
        }
    }

    /// The rows of several views at one tick: `at`, or the last one.
    ///
    /// # Errors
    /// A view is not there, or not kept as far back.
    pub fn read_at(
        &self,
        names: &[&str],
        at: Option<Timestamp>,
    ) -> Result<Vec<Snapshot>, ReadError> {
        let mut shared = self.lock();
        let latest = shared.tick;
        let tick = at.unwrap_or(latest);
        let mut read = Vec::new();
        for name in names {
            let unknown = || ReadError::Unknown { name: (*name).to_owned() };
            let relation = shared.names.get(*name).copied().ok_or_else(unknown)?;
            if let Some(failing) = shared.failing(relation).filter(|_| tick == latest) {
                return Err(failing.into());
            }
            let view = shared.views.get_mut(&relation).expect("what has a name is there");
            if tick < view.since || latest < tick {
                let (name, earliest) = ((*name).to_owned(), view.since);
                return Err(ReadError::OutOfWindow { name, at: tick, earliest, latest });
            }
            let rows = match tick == latest {
                true => view.current(),
                false => decode(&view.codec, &view.rows_at(tick)),
            };
            let faults = view.faults.keys().cloned().collect();
            read.push(Snapshot { tick, rows, faults });
        }
        Ok(read)
    }

    /// The changes of a view.
    ///
    /// # Errors
    /// The view is not there, or not kept as far back as asked.
    pub fn subscribe(
        &self,
        name: &str,
        from: &SubscribeFrom,
    ) -> Result<Box<dyn Changes>, ReadError> {
        let mut shared = self.lock();
        let latest = shared.tick;
        let at = from.at.unwrap_or(latest);
        let unknown = || ReadError::Unknown { name: name.to_owned() };
        let relation = shared.names.get(name).copied().ok_or_else(unknown)?;
        let view = shared.views.get_mut(&relation).expect("what has a name is there");
        if at < view.since || latest < at {
            let (name, earliest) = (name.to_owned(), view.since);
            return Err(ReadError::OutOfWindow { name, at, earliest, latest });
        }
        let first = from.snapshot.then(|| decode(&view.codec, &view.rows_at(at)));
        let missed = view.past.iter().filter(|(tick, _)| *tick > at);
        let missed = missed.map(|(tick, changes)| Piece { tick: *tick, changes: changes.clone() });
        let missed: Vec<Piece> = missed.collect();
        let (subscriber, changes) = subscription(name, &view.codec, at, first, missed);
        view.subscribers.push(subscriber);
        Ok(changes)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Why a view may not be read.
    fn failing(&self, relation: usize) -> Option<Failing> {
        let view = self.views.get(&relation)?;
        let strict = view.strict.iter().filter_map(|strict| self.views.get(strict));
        let of = strict.into_iter().find(|strict| !strict.faults.is_empty())?;
        let rows = of.faults.values().sum();
        Some(Failing { view: view.name.clone(), of: of.name.clone(), rows })
    }

    fn errors(&self) -> Vec<ViewError> {
        let of_view = |relation: &usize| {
            let view = &self.views[relation];
            let error = move |(fault, count): (&Fault, &Diff)| {
                let Fault { expression, message, row } = fault.clone();
                let view = view.name.clone();
                ViewError { view, expression, message, row, count: *count }
            };
            view.faults.iter().map(error).collect::<Vec<_>>()
        };
        self.names.values().flat_map(of_view).collect()
    }
}

fn difference(old: &Multiset, new: &Multiset) -> Vec<(Row, Diff)> {
    let come = new.iter().map(|(row, n)| (row, n - old.get(row).copied().unwrap_or(0)));
    let gone = old.iter().filter(|(row, _)| !new.contains_key(*row)).map(|(row, n)| (row, -n));
    let all = come.chain(gone).filter(|(_, n)| *n != 0);
    let mut all: Vec<(Row, Diff)> = all.map(|(row, n)| (row.clone(), n)).collect();
    all.sort_unstable();
    all
}

impl ViewReader for Views {
    fn views(&self) -> Vec<(String, SchemaRef)> {
        let shared = self.lock();
        let schema = |at: &usize| shared.views[at].codec.schema().clone();
        shared.names.iter().map(|(name, at)| (name.clone(), schema(at))).collect()
    }

    fn snapshot(&self, view: &str) -> Option<Snapshot> {
        let mut shared = self.lock();
        let (tick, relation) = (shared.tick, *shared.names.get(view)?);
        let view = shared.views.get_mut(&relation)?;
        let faults = view.faults.keys().cloned().collect();
        Some(Snapshot { tick, rows: view.current(), faults })
    }

    fn read(&self, view: &str) -> Result<Snapshot, ReadError> {
        let read = self.read_at(&[view], None)?.pop();
        Ok(read.expect("one for the one that was asked for"))
    }
}

#[cfg(test)]
pub(in crate::views) mod tests;
