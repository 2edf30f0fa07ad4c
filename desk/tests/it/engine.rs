//! A small engine in memory: reference tables, an upsert stream, views that are SELECTs computed
//! anew at each tick, and every tick kept for a while. Its indexes keep nothing; views that read
//! what one is on, and are made after it, use it.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use arrow::array::ArrayRef;
use arrow::array::Float64Array;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::array::TimestampMillisecondArray;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use queries::batch::Rows;
use schemas::catalog::Catalog;
use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::catalog::StreamSettings;
use schemas::contract::ArrangementStatus;
use schemas::contract::ChangeError;
use schemas::contract::Changes;
use schemas::contract::Engine;
use schemas::contract::Fault;
use schemas::contract::IndexPlan;
use schemas::contract::IndexStatus;
use schemas::contract::ReadError;
use schemas::contract::Snapshot;
use schemas::contract::SourcePlan;
use schemas::contract::SourceStatus;
use schemas::contract::Status;
use schemas::contract::SubscribeFrom;
use schemas::contract::SubscriptionEnd;
use schemas::contract::Told;
use schemas::contract::ViewStatus;
use schemas::event::Envelope;
use schemas::event::StreamDef;
use schemas::plan::Node;
use schemas::plan::ViewPlan;
use schemas::plan::explain;
use schemas::plan::explain::Arranged;
use schemas::relation::UTC;
use schemas::relation::timestamp_type;
use schemas::time::Timestamp;

/// Milliseconds of a tick.
pub(crate) const STEP: u64 = 5_000;

/// The first tick.
pub(crate) const FIRST: u64 = 1_767_225_600_000;

/// Ticks that are kept.
const KEPT: usize = 20;

#[derive(Clone)]
struct View {
    sql: String,
    schema: SchemaRef,
    reads: Vec<String>,
    faults: Vec<Fault>,
    /// Its groups, as EXPLAIN prints them.
    groups: Option<Arranged>,
}

/// The groups of a plan.
fn groups(node: &Node) -> Option<Arranged> {
    let own = explain::arranged(node).into_iter().find(|kept| kept.node.starts_with("Reduce"));
    own.or_else(|| node.inputs().into_iter().find_map(groups))
}

struct State {
    tick: Timestamp,
    catalog: Catalog,
    views: BTreeMap<String, View>,
    history: VecDeque<(Timestamp, BTreeMap<String, RecordBatch>)>,
    hydrating: BTreeMap<String, u8>,
    /// Streams that came by a statement.
    fed: BTreeMap<String, RecordBatch>,
    indexes: BTreeMap<String, Index>,
}

struct Index {
    plan: IndexPlan,
    used_by: Vec<String>,
}

/// The engine.
pub(crate) struct Small {
    state: Arc<Mutex<State>>,
}

fn text(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// The meters: three in two feeders.
fn meters() -> RecordBatch {
    let field = |name: &str, kind| Field::new(name, kind, false);
    let schema = Schema::new(vec![
        field("meter_id", DataType::Utf8),
        field("feeder_id", DataType::Utf8),
        field("limit_kw", DataType::Float64),
    ]);
    let columns = vec![
        text(&["m1", "m2", "m3"]),
        text(&["f1", "f1", "f2"]),
        Arc::new(Float64Array::from(vec![5.0, 7.5, 11.0])) as ArrayRef,
    ];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn reading_schema() -> SchemaRef {
    let field = |name: &str, kind, nullable| Field::new(name, kind, nullable);
    Arc::new(Schema::new(vec![
        field("meter_id", DataType::Utf8, false),
        field("at", timestamp_type(), false),
        field("kw", DataType::Float64, true),
        field("n", DataType::Int64, false),
    ]))
}

/// The readings of a tick: their values grow with it.
fn readings(tick: Timestamp) -> RecordBatch {
    let n = ((tick.0 - FIRST) / STEP) as i64;
    let columns: Vec<ArrayRef> = vec![
        text(&["m1", "m2", "m3"]),
        Arc::new(TimestampMillisecondArray::from(vec![tick.0 as i64; 3]).with_timezone(UTC)),
        Arc::new(Float64Array::from(vec![Some(n as f64 + 0.5), Some(2.0 * n as f64), None])),
        Arc::new(Int64Array::from(vec![n; 3])),
    ];
    RecordBatch::try_new(reading_schema(), columns).unwrap()
}

impl Small {
    /// An engine at its first tick, with the view `feeder_kw`.
    pub(crate) fn new() -> Arc<Small> {
        let mut catalog = Catalog::default();
        let info = RelationInfo { schema: meters().schema(), kind: RelationKind::Table };
        catalog.add("meters", info);
        let def = StreamDef {
            name: "readings".to_owned(),
            schema: reading_schema(),
            event_time: "at".to_owned(),
            key: vec!["meter_id".to_owned()],
            envelope: Envelope::Upsert,
        };
        catalog.add_stream(StreamSettings { def, lateness_ms: 3_600_000, retain_ms: 7_200_000 });
        let state = State {
            tick: Timestamp(FIRST),
            catalog,
            views: BTreeMap::new(),
            history: VecDeque::new(),
            hydrating: BTreeMap::new(),
            fed: BTreeMap::new(),
            indexes: BTreeMap::new(),
        };
        let engine = Arc::new(Small { state: Arc::new(Mutex::new(state)) });
        engine.turn(Timestamp(FIRST));
        let sql = "CREATE MATERIALIZED VIEW feeder_kw AS SELECT m.feeder_id, count(*) AS meters, \
                   sum(r.kw) AS kw FROM readings r JOIN meters m ON r.meter_id = m.meter_id \
                   GROUP BY m.feeder_id";
        let plan = queries::Planner::new(engine.catalog()).view(sql).unwrap();
        engine.create(plan, false, "test").unwrap();
        engine
    }

    /// Lets the next tick come.
    pub(crate) fn step(&self) -> Timestamp {
        let next = self.state.lock().unwrap().tick.plus(STEP);
        self.turn(next);
        next
    }

    fn turn(&self, tick: Timestamp) {
        let mut state = self.state.lock().unwrap();
        state.tick = tick;
        let mut rows = BTreeMap::from([
            ("meters".to_owned(), meters()),
            ("readings".to_owned(), readings(tick)),
        ]);
        rows.extend(state.fed.clone());
        let views = state.views.clone();
        for _ in 0..views.len() {
            for (name, view) in &views {
                if view.reads.iter().all(|read| rows.contains_key(read)) {
                    rows.insert(name.clone(), compute(view, &rows, tick));
                }
            }
        }
        state.history.push_back((tick, rows));
        while state.history.len() > KEPT {
            state.history.pop_front();
        }
    }

    /// Says that a view still works off its history.
    pub(crate) fn hydrating(&self, view: &str, percent: u8) {
        self.state.lock().unwrap().hydrating.insert(view.to_owned(), percent);
    }

    /// Says that a row of a view could not be computed.
    pub(crate) fn fault(&self, view: &str) {
        let fault = Fault {
            expression: "(kw / 0)".to_owned(),
            message: "Divide by zero".to_owned(),
            row: "m1".to_owned(),
        };
        self.state.lock().unwrap().views.get_mut(view).unwrap().faults.push(fault);
    }
}

fn compute(view: &View, rows: &BTreeMap<String, RecordBatch>, tick: Timestamp) -> RecordBatch {
    let tables = rows.iter().map(|(name, rows)| (name.clone(), Rows::of(rows.clone()))).collect();
    // The oracle waits in a runtime of its own, which must not be within another.
    // It has one schema, without a name.
    let sql = view.sql.replace("\"gridloom\".\"public\".", "");
    let rows = std::thread::scope(|scope| {
        let asked = scope.spawn(|| queries::batch::query(&tables, &sql, tick).unwrap());
        asked.join().unwrap()
    });
    RecordBatch::try_new(Arc::clone(&view.schema), rows.columns().to_vec()).unwrap()
}

impl State {
    fn at(&self, name: &str, at: Option<Timestamp>) -> Result<&RecordBatch, ReadError> {
        let name = name.to_owned();
        if self.catalog.get(&name).is_none() {
            return Err(ReadError::Unknown { name });
        }
        if let Some(percent) = self.hydrating.get(&name) {
            return Err(ReadError::Hydrating { name, percent: *percent });
        }
        let tick = at.unwrap_or(self.tick);
        let kept = self.history.iter().find(|(kept, _)| *kept == tick);
        let earliest = self.history.front().map_or(self.tick, |(tick, _)| *tick);
        let rows = kept.and_then(|(_, rows)| rows.get(&name));
        rows.ok_or(ReadError::OutOfWindow { name, at: tick, earliest, latest: self.tick })
    }
}

impl State {
    /// The views and indexes that read a relation.
    fn readers(&self, relation: &str) -> Vec<String> {
        let reads = |view: &View| view.reads.iter().any(|read| read == relation);
        let views = self.views.iter().filter(|(_, view)| reads(view));
        let on = self.indexes.iter().filter(|(_, index)| index.plan.relation == relation);
        let on = on.map(|(name, _)| format!("the index {name}"));
        views.map(|(name, _)| name.clone()).chain(on).collect()
    }

    fn indexes(&self) -> Vec<IndexStatus> {
        let indexes = self.indexes.iter().map(|(name, index)| IndexStatus {
            name: name.clone(),
            relation: index.plan.relation.clone(),
            columns: index.plan.columns.clone(),
            sql: index.plan.view.sql.clone(),
            hydrated: self.hydrating.get(name).copied().unwrap_or(100),
            used_by: index.used_by.clone(),
        });
        indexes.collect()
    }

    /// A view uses the indexes on what it reads, or none any more.
    fn uses(&mut self, view: &str, reads: &[String]) {
        for index in self.indexes.values_mut() {
            index.used_by.retain(|user| user != view);
            if reads.contains(&index.plan.relation) {
                index.used_by.push(view.to_owned());
            }
        }
    }
}

impl Engine for Small {
    fn catalog(&self) -> Catalog {
        self.state.lock().unwrap().catalog.clone()
    }

    fn status(&self) -> Status {
        let state = self.state.lock().unwrap();
        let views = state.views.iter().map(|(name, view)| ViewStatus {
            name: name.clone(),
            sql: view.sql.clone(),
            tick: state.tick,
            rows: state.at(name, None).map_or(0, |rows| rows.num_rows() as u64),
            faults: view.faults.clone(),
            hydrated: state.hydrating.get(name).copied().unwrap_or(100),
            reads: view.reads.clone(),
        });
        let kept = state.views.iter().filter_map(|(name, view)| {
            let Arranged { node, bound } = view.groups.clone()?;
            let (view, shared_with) = (name.clone(), Vec::new());
            Some(ArrangementStatus { view, node, bound, rows: 2, bytes: 96, shared_with })
        });
        let arranged = state.indexes.iter().map(|(name, index)| ArrangementStatus {
            view: name.clone(),
            node: format!("Index {}", index.plan.relation),
            bound: "its rows".to_owned(),
            rows: 3,
            bytes: 120,
            shared_with: index.used_by.clone(),
        });
        Status {
            instance: "test".to_owned(),
            tick: state.tick,
            step_ms: STEP,
            views: views.collect(),
            indexes: state.indexes(),
            arrangements: kept.chain(arranged).collect(),
            sources: vec![SourceStatus {
                source: "meters".to_owned(),
                partition: "0".to_owned(),
                position: 7,
                watermark: Some(state.tick),
                ..SourceStatus::default()
            }],
            ..Status::default()
        }
    }

    fn tick(&self) -> Timestamp {
        self.state.lock().unwrap().tick
    }

    fn read(&self, names: &[&str], at: Option<Timestamp>) -> Result<Vec<Snapshot>, ReadError> {
        let state = self.state.lock().unwrap();
        let tick = at.unwrap_or(state.tick);
        let snapshot = |name: &&str| {
            let rows = state.at(name, at)?.clone();
            let faults = state.views.get(*name).map(|v| v.faults.clone()).unwrap_or_default();
            Ok(Snapshot { tick, rows, faults })
        };
        names.iter().map(snapshot).collect()
    }

    fn subscribe(&self, view: &str, from: &SubscribeFrom) -> Result<Box<dyn Changes>, ReadError> {
        let state = self.state.lock().unwrap();
        let rows = state.at(view, from.at)?;
        let begin = from.at.unwrap_or(state.tick);
        let told = from.snapshot.then(|| Told::Snapshot { tick: begin, rows: rows.clone() });
        Ok(Box::new(Follow {
            state: Arc::clone(&self.state),
            view: view.to_owned(),
            schema: rows.schema(),
            told: told.into_iter().collect(),
            upto: begin,
        }))
    }

    fn create(&self, plan: ViewPlan, replace: bool, _: &str) -> Result<Timestamp, ChangeError> {
        let tick = {
            let mut state = self.state.lock().unwrap();
            let there = state.catalog.get(&plan.name).map(|info| info.schema.clone());
            let of_index = state.indexes.contains_key(&plan.name);
            if of_index || there.is_some() && !replace {
                return Err(ChangeError::Exists { name: plan.name });
            }
            let schema = plan.root.schema.clone();
            let readers = state.readers(&plan.name);
            if there.is_some_and(|there| there.fields() != schema.fields()) && !readers.is_empty() {
                return Err(ChangeError::Read { name: plan.name, readers });
            }
            state.uses(&plan.name, &plan.reads);
            let info = RelationInfo { schema: schema.clone(), kind: RelationKind::View };
            state.catalog.add(&plan.name, info);
            let (groups, faults) = (groups(&plan.root), Vec::new());
            let view = View { sql: plan.sql, schema, reads: plan.reads, faults, groups };
            state.views.insert(plan.name, view);
            state.history.pop_back();
            state.tick
        };
        self.turn(tick);
        Ok(tick)
    }

    fn remove(&self, view: &str, _: &str) -> Result<Timestamp, ChangeError> {
        let mut state = self.state.lock().unwrap();
        let name = view.to_owned();
        let readers = state.readers(view);
        if !readers.is_empty() {
            return Err(ChangeError::Read { name, readers });
        }
        if state.views.remove(view).is_none() {
            return Err(ChangeError::Unknown { name });
        }
        state.uses(view, &[]);
        let mut left = Catalog::default();
        let catalog = state.catalog.clone();
        for (kept, info) in catalog.iter().filter(|(kept, _)| *kept != view) {
            left.add(kept, info.clone());
        }
        state.catalog = left;
        Ok(state.tick)
    }

    fn create_index(&self, plan: IndexPlan, _: &str) -> Result<Timestamp, ChangeError> {
        let mut state = self.state.lock().unwrap();
        let name = plan.name.clone();
        if state.catalog.get(&name).is_some() || state.indexes.contains_key(&name) {
            return Err(ChangeError::Exists { name });
        }
        state.indexes.insert(name, Index { plan, used_by: Vec::new() });
        Ok(state.tick)
    }

    fn remove_index(&self, index: &str, _: &str) -> Result<Timestamp, ChangeError> {
        let mut state = self.state.lock().unwrap();
        let name = index.to_owned();
        match state.indexes.get(index).map(|index| index.used_by.clone()) {
            None => return Err(ChangeError::NoIndex { name }),
            Some(readers) if !readers.is_empty() => {
                return Err(ChangeError::Read { name, readers });
            }
            Some(_) => {}
        }
        state.indexes.remove(index);
        Ok(state.tick)
    }

    fn create_source(&self, plan: SourcePlan, _: &str) -> Result<Timestamp, ChangeError> {
        self.source(&plan)?;
        let tick = self.tick();
        self.turn(tick);
        Ok(tick)
    }

    fn remove_source(&self, source: &str, _: &str) -> Result<Timestamp, ChangeError> {
        let mut state = self.state.lock().unwrap();
        let name = source.to_owned();
        if !state.fed.contains_key(source) {
            return Err(ChangeError::NoSource { name });
        }
        let readers = state.readers(source);
        if !readers.is_empty() {
            return Err(ChangeError::Read { name, readers });
        }
        state.fed.remove(source);
        state.catalog.remove(source);
        Ok(state.tick)
    }
}

impl Small {
    fn source(&self, plan: &SourcePlan) -> Result<(), ChangeError> {
        let mut state = self.state.lock().unwrap();
        let name = plan.settings.def.name.clone();
        if state.catalog.get(&name).is_some() {
            return Err(ChangeError::Exists { name });
        }
        if plan.kind != "file" {
            let message = format!("there is no kind {}", plan.kind);
            return Err(ChangeError::Door { name, message });
        }
        let rows = RecordBatch::new_empty(plan.settings.def.schema.clone());
        state.catalog.add_stream(plan.settings.clone());
        state.fed.insert(name, rows);
        state.history.pop_back();
        Ok(())
    }
}

/// A subscription that compares ticks.
struct Follow {
    state: Arc<Mutex<State>>,
    view: String,
    schema: SchemaRef,
    told: VecDeque<Told>,
    upto: Timestamp,
}

impl Changes for Follow {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn next(&mut self, _: Duration) -> Result<Option<Told>, SubscriptionEnd> {
        if let Some(told) = self.told.pop_front() {
            return Ok(Some(told));
        }
        let state = self.state.lock().unwrap();
        if !state.views.contains_key(&self.view) {
            return Err(SubscriptionEnd::Gone { name: self.view.clone() });
        }
        let find = |tick| {
            let kept = state.history.iter().find(|(kept, _)| *kept == tick);
            kept.and_then(|(_, rows)| rows.get(&self.view))
        };
        let next = self.upto.plus(STEP);
        let (Some(old), Some(new)) = (find(self.upto), find(next)) else { return Ok(None) };
        let both = arrow::compute::concat_batches(&self.schema, [old, new]).unwrap();
        let mut diffs = vec![-1; old.num_rows()];
        diffs.resize(both.num_rows(), 1);
        self.told.push_back(Told::Progress { tick: next });
        self.upto = next;
        Ok(Some(Told::Changes { tick: next, rows: both, diffs }))
    }
}
