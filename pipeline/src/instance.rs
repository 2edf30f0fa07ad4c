//! One instance: the loop from record to durable tick to what leaves.
//!
//! ```text
//!  sources ─▶ session ─▶ closed tick ─▶ workers ─▶ commit ─▶ sync ─▶ views, setpoints
//! ```
//!
//! Each tick's rows, offsets and audit records are one commit. Nobody sees a tick before its commit
//! is durable: views are applied and setpoints sent behind the sync. Ticks that finish together
//! share one sync; the dataflow may be ahead by [`InstanceSettings::ticks_in_flight`].
//!
//! At start the log is replayed: the same ticks go through the same dataflow, what the agents said
//! then is compared with what they say now, and the sources go on where the last commit left off.
//!
//! **Invariant:** the audit record is durable before the action leaves; a tick is visible whole or
//! not at all.

mod changes;
mod hydrate;
pub mod reader;
mod replay;
mod sources;
mod status;
mod tables;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use arrow_array::RecordBatch;
use connectors::error::ConnectorError;
use connectors::source::PartitionId;
use connectors::source::Polled;
use connectors::source::Position;
use crossbeam_channel::Receiver;
use operators::control;
use schemas::audit::Kind;
use schemas::audit::table;
use schemas::catalog::Catalog;
use schemas::contract::IndexPlan;
use schemas::decision::Action;
use schemas::decision::Alarm;
use schemas::decision::Forecast;
use schemas::decision::ModelVersion;
use schemas::decision::ShortForecast;
use schemas::event::Command;
use schemas::event::Envelope;
use schemas::event::Setpoint;
use schemas::plan::ViewPlan;
use schemas::relation::Relation;
use schemas::row::Row;
use schemas::time::Clock;
use schemas::time::Timestamp;

use self::changes::Additions;
use self::sources::Doors;
use self::status::Measured;
use self::status::handle;
use self::tables::Tables;
use crate::delta::DeltaBatch;
use crate::delta::Diffs;
use crate::emit::definitions::Defined;
use crate::emit::definitions::Definitions;
use crate::emit::definitions::OPERATOR;
use crate::emit::outbox::Outbox;
use crate::emit::records::Said;
use crate::emit::records::of_changes;
use crate::engine::Handle;
use crate::engine::Wish;
use crate::flow::Flow;
use crate::ingest::ClosedTick;
use crate::ingest::IngestSettings;
use crate::ingest::Session;
use crate::ingest::session::DELETED;
use crate::ingest::upsert::Upsert;
use crate::log::InstanceId;
use crate::log::Log;
use crate::log::LogError;
use crate::log::Options;
use crate::log::TickCommit;
use crate::render::RenderError;
use crate::views::publish::Published;
use crate::views::snapshot;
use crate::views::snapshot::SnapshotError;
use crate::views::store::Views;
use crate::views::tell::tell;
use crate::workers::TickInput;
use crate::workers::TickOutput;
use crate::workers::TickRecords;
use crate::workers::Workers;
use crate::workers::WorkersError;

/// How an instance runs.
#[derive(Clone, Debug)]
pub struct InstanceSettings {
    /// Its name; its data folder belongs to it alone.
    pub instance: InstanceId,
    /// Its data folder.
    pub data_dir: PathBuf,
    /// Dataflow threads.
    pub workers: usize,
    /// How far the dataflow may be ahead of what is durable, in ticks.
    pub ticks_in_flight: usize,
    /// Views are written to disk every so many ticks, and at a clean stop.
    pub snapshot_every: u64,
    /// How records become ticks.
    pub ingest: IngestSettings,
    /// How the log is written.
    pub log: Options,
    /// Where wall time comes from.
    pub clock: Clock,
}

/// Ticks in flight of an instance that says nothing: latency grows with it, throughput hardly.
pub const DEFAULT_TICKS_IN_FLIGHT: usize = 2;

/// Ticks between two snapshots of an instance that says nothing: an hour of 5 s ticks.
pub const DEFAULT_SNAPSHOT_EVERY: u64 = 720;

/// Why an instance stops.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// The dataflow does not run.
    #[error("the dataflow does not run")]
    Workers(#[from] WorkersError),
    /// A view cannot be rendered.
    #[error("a view cannot be rendered")]
    Render(#[from] RenderError),
    /// The log refused.
    #[error("the log refused")]
    Log(#[from] LogError),
    /// The views could not be written.
    #[error("the views could not be written")]
    Snapshot(#[from] SnapshotError),
    /// A source or sink is broken.
    #[error("a connector is broken")]
    Connector(#[from] ConnectorError),
    /// A replay said something else than the log.
    #[error(
        "replaying tick {tick} gave other {kind} records than the log holds: {changed} changed \
         since. Run with what wrote it, or begin a new data folder"
    )]
    Diverged {
        /// The tick.
        tick: Timestamp,
        /// The kind of record.
        kind: Kind,
        /// The settings and views that are not as they were, or the program.
        changed: String,
    },
    /// An agent would have to know a record before it is made.
    #[error(
        "the agents read {view}, and {view} reads the audit log: what is decided at a tick cannot \
         depend on the record of it. Make {view} of streams, and another view of the audit log"
    )]
    Follows {
        /// The view.
        view: String,
    },
    /// A commit does not say what a commit must.
    #[error("the log's tick {tick} cannot be replayed: {message}")]
    Replay {
        /// The tick.
        tick: Timestamp,
        /// Why not.
        message: String,
    },
}

/// Points at which a test may end the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A tick's commit is appended, not yet durable.
    Appended,
    /// A tick is durable, its setpoints have not left.
    Synced,
    /// A tick's setpoints have left.
    Sent,
}

/// What a test hangs into an instance.
pub type Hook = Box<dyn FnMut(Point, Timestamp) + Send>;

/// A tick that is durable and visible.
#[derive(Clone, Debug)]
pub struct Done {
    /// The tick.
    pub tick: Timestamp,
    /// Rows that came in.
    pub rows: usize,
    /// Records that were refused.
    pub refused: usize,
    /// What the agents said.
    pub said: Said,
    /// From the tick's last row admitted to every view past it.
    pub latency: Duration,
    /// From the tick's last row admitted to durable and visible.
    pub durable: Duration,
}

/// A tick that the workers have.
struct Submitted {
    closed: ClosedTick,
    /// Table rows that go with it, as they are logged.
    tables: Vec<(String, RecordBatch)>,
    at: Instant,
}

/// A running instance.
pub struct Instance {
    settings: InstanceSettings,
    catalog: Catalog,
    flow: Flow,
    session: Session,
    workers: Workers,
    views: Arc<Views>,
    log: Log,
    outbox: Option<Outbox>,
    hook: Option<Hook>,

    upserts: BTreeMap<String, Upsert>,
    tables: Tables,
    submitted: VecDeque<Submitted>,
    silence: Silence,
    /// Settings and views as the log knows them, and as they are.
    logged: Definitions,
    defined: Definitions,
    /// For readers on other threads, and what they wish.
    handle: Handle,
    wished: Receiver<Wish>,
    additions: Additions,
    doors: Doors,
    measured: Measured,
    ticks: u64,
    /// The tick of the last snapshot that this process wrote.
    snapshot_at: Option<Timestamp>,
}

/// Partitions that ticks were closed without.
#[derive(Default)]
struct Silence {
    /// How many, since the process started.
    missed: BTreeMap<PartitionId, u64>,
    /// Those that were not waited for last.
    silent: BTreeSet<PartitionId>,
}

impl Silence {
    /// Counts, and says when a partition falls silent and when it speaks again.
    fn note(&mut self, closed: &ClosedTick) {
        let silent: BTreeSet<PartitionId> = closed.missing.iter().cloned().collect();
        for partition in silent.difference(&self.silent) {
            tracing::warn!(%partition, tick = %closed.tick, "silent: ticks close without it");
        }
        for partition in self.silent.difference(&silent) {
            tracing::warn!(%partition, tick = %closed.tick, "speaks again");
        }
        for partition in &silent {
            *self.missed.entry(partition.clone()).or_default() += 1;
        }
        self.silent = silent;
    }
}

/// What is needed to open an instance.
pub struct Parts {
    /// What the workers build.
    pub flow: Flow,
    /// The relations.
    pub catalog: Catalog,
    /// The reference tables' rows.
    pub tables: Vec<(String, RecordBatch)>,
    /// The partitions of the sources in the configuration, each with how far out of order its
    /// readings may be, in milliseconds.
    pub partitions: Vec<(PartitionId, u64)>,
    /// Which of the flow's views, and which streams, came by a statement while the instance ran.
    pub stated: BTreeMap<String, Defined>,
    /// The indexes among them.
    pub indexes: Vec<IndexPlan>,
    /// Where setpoints go; without, they are only recorded.
    pub outbox: Option<Outbox>,
    /// What a test hangs in.
    pub hook: Option<Hook>,
}

/// The session of an instance that begins.
fn session(
    settings: &InstanceSettings,
    catalog: &Catalog,
    tables: &[(String, RecordBatch)],
    partitions: Vec<(PartitionId, u64)>,
) -> Session {
    let mut session = Session::new(settings.ingest.clone(), catalog.streams());
    for (stream, column, table, key) in REFERENCES {
        let rows = tables.iter().find(|(name, _)| name == table);
        if let Some(known) = rows.and_then(|(_, rows)| tables::names(rows, key)) {
            session.expect_known(stream, column, known);
        }
    }
    for (partition, out_of_order_ms) in partitions {
        session.add_partition(partition, out_of_order_ms);
    }
    session
}

/// The first of these views that the agents of a flow read.
fn agents_follow(flow: &Flow, followers: &[ViewPlan]) -> Option<String> {
    let read = |view: &&ViewPlan| control::READS.contains(&view.name.as_str());
    let first = followers.iter().find(read).filter(|_| flow.agents.is_some());
    first.map(|view| view.name.clone())
}

/// Streams whose rows must name something known: stream, column, table, its column.
const REFERENCES: [(&str, &str, &str, &str); 5] = [
    ("meter_readings", "meter_id", "meters", "meter_id"),
    ("scada_measurements", "sensor_id", "sensors", "sensor_id"),
    ("asset_telemetry", "asset_id", "assets", "asset_id"),
    ("switch_positions", "switch_id", "switches", "switch_id"),
    ("prices", "zone_id", "zones", "zone_id"),
];

impl Instance {
    /// Opens an instance: starts the dataflow, replays the log, and sends what a crash kept from
    /// leaving.
    ///
    /// # Errors
    /// The folder is not this instance's, a plan cannot be rendered, the replay diverges, the sink
    /// is broken.
    pub fn open(settings: InstanceSettings, parts: Parts) -> Result<Instance, InstanceError> {
        let Parts { mut flow, catalog, tables, partitions, stated, indexes, outbox, hook } = parts;
        let followers = flow.take_followers(&catalog);
        if let Some(view) = agents_follow(&flow, &followers) {
            return Err(InstanceError::Follows { view });
        }
        let audit = settings.data_dir.join("audit");
        let (log, recovered) = Log::open(&audit, &settings.instance, settings.log.clone())?;
        let session = session(&settings, &catalog, &tables, partitions);
        let workers = Workers::start(&flow, settings.workers)?;
        let views = Arc::new(Views::new(&flow.views)?);
        for (relation, name, schema) in flow.kept() {
            views.keep(relation, &name, &schema)?;
        }
        let defs = (&followers[..], &stated, &indexes[..]);
        let (handle, wished) = handle(&settings, &flow, &catalog, defs, &views, workers.gauges());
        let upserts = (catalog.streams().filter(|s| s.def.envelope == Envelope::Upsert))
            .map(|s| Upsert::new(s).map(|upsert| (s.def.name.clone(), upsert)))
            .collect::<Result<_, _>>()
            .map_err(|e| RenderError::Type { node: "upsert", source: Some(e) })?;
        let in_files = (flow.views.iter().chain(&followers))
            .filter(|view| !stated.contains_key(&view.name))
            .map(|view| (view.name.clone(), Defined::in_file(&view.sql)));
        let defined = stated.clone().into_iter().chain(in_files);
        let defined = Definitions::of(flow.step, flow.agents.as_ref(), &catalog, defined.collect());
        let mut instance = Instance {
            settings,
            catalog,
            flow,
            session,
            workers,
            views,
            log,
            outbox,
            hook,
            upserts,
            tables: Tables::default(),
            submitted: VecDeque::new(),
            silence: Silence::default(),
            logged: Definitions::default(),
            defined,
            handle,
            wished,
            additions: Additions::default(),
            doors: Doors::of(&stated),
            measured: Measured::default(),
            ticks: 0,
            snapshot_at: None,
        };
        // The log is ours, so whoever had the sink is gone.
        instance.outbox.as_mut().map_or(Ok(()), Outbox::take_over)?;
        let open = instance.replay(&recovered)?;
        tell(&instance.views);
        instance.tables.expect(tables);
        if let (Some(outbox), Some(tick)) = (&mut instance.outbox, recovered.last_tick()) {
            let sent = outbox.catch_up(tick, &open)?;
            if sent > 0 {
                tracing::info!(sent, %tick, "sent what a crash had kept from leaving");
            }
        }
        instance.follow(followers)?;
        for index in indexes {
            let by = stated.get(&index.name).map_or(OPERATOR, |defined| &defined.by);
            instance.create_index(index, by)?;
        }
        instance.note_status();
        Ok(instance)
    }

    /// The views, for readers on other threads.
    pub fn views(&self) -> Arc<Views> {
        self.views.clone()
    }

    /// A handle for readers on other threads.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The last durable tick; the epoch before the first.
    pub fn tick(&self) -> Timestamp {
        self.log.head().tick
    }

    /// Where the sources must go on.
    pub fn positions(&mut self) -> BTreeMap<PartitionId, Position> {
        let tick = self.tick();
        self.session.positions(tick)
    }

    /// How many ticks were closed without each partition, since the process started.
    pub fn missed(&self) -> &BTreeMap<PartitionId, u64> {
        &self.silence.missed
    }

    /// The partitions that must wait for others.
    pub fn held(&self) -> BTreeSet<PartitionId> {
        self.session.held()
    }

    /// Whether more input is welcome now.
    pub fn wants_input(&self) -> bool {
        self.workers.in_flight() < self.settings.ticks_in_flight
    }

    /// Whether every source has ended and every tick is durable. One whose door is broken has not
    /// ended.
    pub fn finished(&self) -> bool {
        self.session.finished() && self.submitted.is_empty() && self.doors.broken().is_empty()
    }

    /// Takes what a source gave.
    pub fn take(&mut self, polled: Polled) {
        self.session.take(polled);
    }

    /// Closes what may be closed, waits up to `wait` for the dataflow, makes what is finished
    /// durable and visible.
    ///
    /// # Errors
    /// A worker died, the log or the sink refused: the instance must be opened again.
    pub fn turn(&mut self, wait: Duration) -> Result<Vec<Done>, InstanceError> {
        self.changes()?;
        self.admit()?;
        let mut finished = Vec::new();
        let mut patience = if self.workers.in_flight() > 0 { wait } else { Duration::ZERO };
        // No more ticks share a sync than were in flight: setpoints run out while they wait.
        while finished.len() < self.settings.ticks_in_flight
            && self.workers.in_flight() > 0
            && let Some(output) = self.workers.finished(patience)?
        {
            finished.push((output, Instant::now()));
            self.admit()?;
            patience = Duration::ZERO;
        }
        self.commit(finished)
    }

    fn admit(&mut self) -> Result<(), InstanceError> {
        if self.additions.want_a_pause() {
            return Ok(());
        }
        while self.workers.in_flight() < self.settings.ticks_in_flight {
            let Some(closed) = self.session.close(self.settings.clock.now()) else { break };
            self.silence.note(&closed);
            let at = Instant::now();
            let tables = self.tables.due();
            self.submit(closed.tick, &tables, &closed.streams)?;
            self.submitted.push_back(Submitted { closed, tables, at });
        }
        Ok(())
    }

    /// Hands a tick's rows to the workers.
    fn submit(
        &mut self,
        tick: Timestamp,
        tables: &[(String, RecordBatch)],
        streams: &[(String, RecordBatch)],
    ) -> Result<(), InstanceError> {
        let mut deltas = Vec::new();
        let time = tick.0;
        for (name, batch) in tables {
            let (name, diff) = tables::signed(name);
            if let Some(input) = self.input(name) {
                let (batch, diffs) = (batch.clone(), Diffs::All(diff));
                deltas.push((input, DeltaBatch { time, batch, diffs }));
            }
        }
        for (name, batch) in streams {
            let stream = name.strip_prefix(DELETED).unwrap_or(name);
            // A source that was taken away left rows in the log; another may have its name now.
            let fits = |input: &usize| self.fits(*input, tick, name, batch);
            let Some(input) = self.input(stream).filter(fits) else { continue };
            let changes = match self.upserts.get_mut(stream) {
                None => Ok(Some((batch.clone(), Diffs::All(1)))),
                Some(upsert) => upsert.apply(tick, stream, (name, batch)),
            };
            let changes = changes.map_err(|error| InstanceError::Replay {
                tick,
                message: format!("{stream}: {error}"),
            })?;
            let Some((batch, diffs)) = changes else { continue };
            deltas.push((input, DeltaBatch { time, batch, diffs }));
        }
        self.additions.swapped.clear();
        Ok(self.workers.submit(TickInput { tick, deltas })?)
    }

    fn input(&self, name: &str) -> Option<usize> {
        self.flow.inputs.iter().position(|(input, _)| input == name)
    }

    /// Makes finished ticks durable with one sync, then visible, then sends.
    fn commit(&mut self, finished: Vec<(TickOutput, Instant)>) -> Result<Vec<Done>, InstanceError> {
        let mut done = Vec::new();
        let mut visible = Vec::new();
        let follows = !self.additions.of_audit.is_empty();
        for (output, at) in finished {
            let submitted = self.submitted.pop_front().expect("ticks finish in order");
            assert_eq!(submitted.closed.tick, output.tick, "ticks finish in order");
            let (published, said) = self.split(output.published);
            let Submitted { closed, tables, at: began } = submitted;
            let rows = closed.streams.iter().map(|(_, batch)| batch.num_rows()).sum();
            let refused = closed.quarantine.len();
            let records = self.append(&closed, tables, &said)?;
            if follows {
                self.workers.records(as_rows(output.tick, &records)?)?;
            }
            let latency = at - began;
            let tick = output.tick;
            done.push((Done { tick, rows, refused, said, latency, durable: latency }, began));
            visible.push((tick, published));
        }
        if done.is_empty() {
            return Ok(Vec::new());
        }
        self.log.sync()?;
        for (tick, mut published) in visible {
            if follows {
                published.extend(self.workers.followed(tick)?);
            }
            self.views.apply(tick, published);
            self.ticks += 1;
            if self.ticks.is_multiple_of(self.settings.snapshot_every) {
                self.snapshot()?;
            }
        }
        tell(&self.views);
        for (done, began) in &mut done {
            self.reached(Point::Synced, done.tick);
            if let Some(outbox) = &mut self.outbox {
                outbox.send(done.tick, &done.said.setpoints)?;
            }
            self.reached(Point::Sent, done.tick);
            done.durable = began.elapsed();
        }
        let done: Vec<Done> = done.into_iter().map(|(done, _)| done).collect();
        self.measure(&done);
        Ok(done)
    }

    /// Writes the views to disk, unless they are there.
    fn snapshot(&mut self) -> Result<(), InstanceError> {
        let tick = self.views.tick();
        if self.snapshot_at != Some(tick) {
            snapshot::write(&self.settings.data_dir, &self.views)?;
            self.snapshot_at = Some(tick);
        }
        Ok(())
    }

    /// Writes a tick's commit; its records as they are linked.
    fn append(
        &mut self,
        closed: &ClosedTick,
        tables: Vec<(String, RecordBatch)>,
        said: &Said,
    ) -> Result<Vec<(Kind, RecordBatch)>, InstanceError> {
        let tick = closed.tick;
        let failed = |message: String| InstanceError::Replay { tick, message };
        let missing = closed.missing.iter().map(|p| (p.to_string(), closed.broken.contains(p)));
        let missing: Vec<(String, bool)> = missing.collect();
        let mut commit = TickCommit::new(tick);
        commit.inputs = tables;
        commit.inputs.extend(closed.streams.iter().cloned());
        commit.set_offsets(&closed.progress).map_err(|e| failed(e.to_string()))?;
        let records = said.records(tick, &closed.quarantine, &missing);
        commit.audit = records.map_err(|e| failed(e.to_string()))?;
        let commands = closed.streams.iter().find(|(name, _)| name == Command::NAME);
        let commands = commands.map_or(Ok(Vec::new()), |(_, rows)| Command::from_batch(rows));
        let commands = commands.map_err(|e| failed(e.to_string()))?;
        let (configs, views) = self.logged.changes_to(&self.defined, tick);
        let changes = of_changes(tick, &commands, &configs, &views);
        commit.audit.extend(changes.map_err(|e| failed(e.to_string()))?);
        let appended = self.log.append(&commit)?;
        self.logged.logged(configs, views);
        self.defined.recorded();
        self.reached(Point::Appended, tick);
        Ok(appended.audit)
    }

    fn reached(&mut self, point: Point, tick: Timestamp) {
        if let Some(hook) = &mut self.hook {
            hook(point, tick);
        }
    }

    /// What was published of the views, and what the agents said.
    fn split(&self, published: Vec<Published>) -> (Vec<Published>, Said) {
        // Before the decisions are views, behind them is what agents keep, and views that were
        // added.
        let decisions = self.flow.decisions();
        let (decided, published): (Vec<_>, Vec<_>) =
            published.into_iter().partition(|p| decisions.contains(&p.relation));
        let mut rows: [Vec<Row>; 6] = Default::default();
        for decision in decided {
            let of = &mut rows[decision.relation - decisions.start];
            of.extend(decision.rows.into_iter().map(|(row, _)| row));
        }
        let [actions, alarms, forecasts, versions, short_forecasts, setpoints] = rows;
        let mut said = Said {
            actions: read::<Action>(&actions),
            alarms: read::<Alarm>(&alarms),
            forecasts: read::<Forecast>(&forecasts),
            versions: read::<ModelVersion>(&versions),
            short_forecasts: read::<ShortForecast>(&short_forecasts),
            setpoints: read::<Setpoint>(&setpoints),
        };
        said.sort();
        (published, said)
    }

    /// Ends the instance: everything finished is durable, the views are on disk, the head is
    /// signed.
    ///
    /// # Errors
    /// The log or the file system refused.
    pub fn stop(mut self) -> Result<schemas::audit::Head, InstanceError> {
        while self.workers.in_flight() > 0 {
            match self.workers.finished(Duration::from_secs(1))? {
                Some(output) => self.commit(vec![(output, Instant::now())])?,
                None => continue,
            };
        }
        self.snapshot()?;
        drop(self.workers);
        Ok(self.log.close()?)
    }
}

/// The records of a tick as rows of their kinds' tables.
fn as_rows(tick: Timestamp, records: &[(Kind, RecordBatch)]) -> Result<TickRecords, InstanceError> {
    let rows = records.iter().map(|(kind, records)| {
        let batch = table::rows(*kind, records);
        let batch = batch.map_err(|e| InstanceError::Replay { tick, message: e.to_string() })?;
        Ok((*kind, DeltaBatch { time: tick.0, batch, diffs: Diffs::All(1) }))
    });
    Ok(TickRecords { tick, records: rows.collect::<Result<_, InstanceError>>()? })
}

/// Rows of a relation back as what they are.
fn read<R: Relation>(rows: &[Row]) -> Vec<R> {
    if rows.is_empty() {
        return Vec::new();
    }
    let codec = schemas::row::RowCodec::new(R::schema()).expect("decisions have plain columns");
    let batch = codec.decode(rows.iter().map(Row::as_bytes)).expect("the agents' own rows");
    R::from_batch(&batch).expect("the agents' own columns")
}
