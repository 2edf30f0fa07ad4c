//! The contract between the engine and the desk: what may be read of the relations and at which
//! tick, what may be subscribed to, and how views come and go while the workers run.
//!
//! `pipeline` implements it, `queries` and `desk` use it; neither knows the other.
//!
//! **Invariant:** everything one [`Engine::read`] gives is of one tick, and that tick is durable.
//! **Invariant:** a reader, a subscriber or a new view never makes the dataflow wait.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::catalog::Catalog;
use crate::catalog::StreamSettings;
use crate::plan::ViewPlan;
use crate::relation::Relation;
use crate::time::Timestamp;
use crate::view_error::ViewError;

/// A relation's rows as of one tick.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The tick it shows.
    pub tick: Timestamp,
    /// The rows, in row order, each as often as it stands in the relation.
    pub rows: RecordBatch,
    /// Rows that could not be computed.
    pub faults: Vec<Fault>,
}

/// A row that could not be computed, as data.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Fault {
    /// What failed, as EXPLAIN prints it.
    pub expression: String,
    /// What the evaluator said.
    pub message: String,
    /// The row it was given, as text.
    pub row: String,
}

/// Why a view may not be read: it stands on rows that cannot be computed, of a view that is made
/// `WITH (on_error = 'fail')`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("{view} cannot be read: {}", self.reason())]
pub struct Failing {
    /// The view.
    pub view: String,
    /// The view whose rows they are: itself, or one that it reads, directly or through others.
    pub of: String,
    /// How many they are.
    pub rows: i64,
}

impl Failing {
    /// What to ask to see the rows.
    pub fn hint(&self) -> String {
        format!("SELECT * FROM {} WHERE view = '{}'", ViewError::NAME, self.of)
    }

    fn reason(&self) -> String {
        let Failing { of, rows, .. } = self;
        let rows = if *rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
        format!("{rows} of {of} cannot be computed, and {of} has on_error = 'fail'")
    }
}

impl From<Failing> for ReadError {
    fn from(failing: Failing) -> ReadError {
        let message = format!("{}: {}", failing.reason(), failing.hint());
        ReadError::Failed { name: failing.view, message }
    }
}

/// Reads of maintained views.
pub trait ViewReader: Send + Sync {
    /// The views there are with their columns, in name order.
    fn views(&self) -> Vec<(String, SchemaRef)>;

    /// The rows and faults of a view at the last complete tick, or `None` if there is no such view.
    ///
    /// For who maintains views and tells of their faults; who asks for an answer takes
    /// [`ViewReader::read`].
    fn snapshot(&self, view: &str) -> Option<Snapshot>;

    /// The rows of a view at the last complete tick.
    ///
    /// # Errors
    /// There is no such view, or it is [`Failing`].
    fn read(&self, view: &str) -> Result<Snapshot, ReadError>;
}

/// A running engine, as the desk sees it. All calls return at once; none waits for a tick.
pub trait Engine: Send + Sync {
    /// The relations there are: streams, reference tables, what agents say, views.
    fn catalog(&self) -> Catalog;

    /// How the engine and everything in it stands.
    fn status(&self) -> Status;

    /// The last complete tick.
    fn tick(&self) -> Timestamp;

    /// The rows of several relations, all at one tick: `at`, or the last complete one. A stream's
    /// rows are those it retains.
    ///
    /// # Errors
    /// A relation is not there, is not complete yet, or not kept as far back as `at`.
    fn read(&self, names: &[&str], at: Option<Timestamp>) -> Result<Vec<Snapshot>, ReadError>;

    /// The changes of a view from now on, or from a tick within what is kept.
    ///
    /// # Errors
    /// The view is not there, is not complete yet, or not kept as far back as asked.
    fn subscribe(&self, view: &str, from: &SubscribeFrom) -> Result<Box<dyn Changes>, ReadError>;

    /// Adds a view, or with `replace` puts it in the place of the one of its name. It can be read
    /// once its history is worked off ([`ViewStatus::hydrated`]); until then a replaced view shows
    /// its old rows. `by` is who asked, for the audit log. Gives the tick at which it takes effect.
    ///
    /// # Errors
    /// The name is taken, or others read the view and would no longer fit.
    fn create(&self, view: ViewPlan, replace: bool, by: &str) -> Result<Timestamp, ChangeError>;

    /// Takes a view away. Gives the tick at which it is gone.
    ///
    /// # Errors
    /// It is not there, or others read it.
    fn remove(&self, view: &str, by: &str) -> Result<Timestamp, ChangeError>;

    /// Adds an index. Views that are made once its history is worked off
    /// ([`IndexStatus::hydrated`]) take their past from it, and share it where they join by its
    /// key. Gives the tick at which it takes effect.
    ///
    /// # Errors
    /// The name is taken.
    fn create_index(&self, index: IndexPlan, by: &str) -> Result<Timestamp, ChangeError>;

    /// Takes an index away. Gives the tick at which it is gone.
    ///
    /// # Errors
    /// It is not there, or views use it.
    fn remove_index(&self, index: &str, by: &str) -> Result<Timestamp, ChangeError>;

    /// Adds a stream of the user's own, fed from now on. Waits for its door to open, and for
    /// nothing else. Gives the tick from which its rows are taken.
    ///
    /// # Errors
    /// The name is taken, or the door does not open.
    fn create_source(&self, source: SourcePlan, by: &str) -> Result<Timestamp, ChangeError>;

    /// Takes such a stream away; what the log holds of it stays there. Gives the tick at which it
    /// is gone.
    ///
    /// # Errors
    /// It is not there, it stands in the configuration, or views read it.
    fn remove_source(&self, source: &str, by: &str) -> Result<Timestamp, ChangeError>;
}

/// The rows of a relation, arranged by some of its columns.
#[derive(Clone, Debug)]
pub struct IndexPlan {
    /// Its name, among those of views.
    pub name: String,
    /// The relation.
    pub relation: String,
    /// The names of its columns by which it is arranged.
    pub columns: Vec<String>,
    /// The same columns by position.
    pub key: Vec<usize>,
    /// All rows of the relation, as a view would read them; its text is the statement.
    pub view: ViewPlan,
}

/// A stream of the user's own, and the door that feeds it.
#[derive(Clone, Debug, PartialEq)]
pub struct SourcePlan {
    /// The stream.
    pub settings: StreamSettings,
    /// The kind of door.
    pub kind: String,
    /// How far out of order readings may be, in milliseconds.
    pub out_of_order_ms: u64,
    /// What the kind of door asks for.
    pub options: BTreeMap<String, serde_json::Value>,
    /// The statement that makes it.
    pub sql: String,
}

/// Why something cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no relation of this name.
    #[error("there is no relation {name}")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The view's history is still being worked off.
    #[error("{name} is hydrating ({percent} %)")]
    Hydrating {
        /// The view.
        name: String,
        /// How much of its history is worked off.
        percent: u8,
    },
    /// The tick is older than what is kept, or has not come yet.
    #[error("{name} is kept from tick {earliest} to tick {latest}, not at {at}")]
    OutOfWindow {
        /// The relation.
        name: String,
        /// What was asked for.
        at: Timestamp,
        /// The first tick that is kept.
        earliest: Timestamp,
        /// The last complete tick.
        latest: Timestamp,
    },
    /// The rows could not be got.
    #[error("{name} cannot be read: {message}")]
    Failed {
        /// The relation.
        name: String,
        /// Why.
        message: String,
    },
}

/// Why a view cannot come or go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is one already.
    #[error("{name} is there already")]
    Exists {
        /// The name.
        name: String,
    },
    /// There is none.
    #[error("there is no view {name}")]
    Unknown {
        /// The name.
        name: String,
    },
    /// There is no such source, or none that came by a statement.
    #[error("there is no source {name} that came by a statement")]
    NoSource {
        /// The name.
        name: String,
    },
    /// There is no such index.
    #[error("there is no index {name}")]
    NoIndex {
        /// The name.
        name: String,
    },
    /// Its door does not open.
    #[error("the door of {name} does not open: {message}")]
    Door {
        /// The source.
        name: String,
        /// Why not.
        message: String,
    },
    /// Others read it.
    #[error("{name} is read by {}", readers.join(", "))]
    Read {
        /// The view.
        name: String,
        /// Views and agents that read it.
        readers: Vec<String>,
    },
    /// It cannot be changed as asked.
    #[error("{name} cannot be changed so: {message}")]
    Failed {
        /// The view.
        name: String,
        /// Why.
        message: String,
    },
}

/// Where a subscription begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeFrom {
    /// The tick after which changes are told; the last complete one if `None`.
    pub at: Option<Timestamp>,
    /// Whether the rows at that tick come first.
    pub snapshot: bool,
}

/// What a subscriber is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// The rows at the beginning.
    Snapshot {
        /// The tick they show.
        tick: Timestamp,
        /// The rows.
        rows: RecordBatch,
    },
    /// What one tick changed.
    Changes {
        /// The tick.
        tick: Timestamp,
        /// The rows that come or go.
        rows: RecordBatch,
        /// How often each comes (positive) or goes.
        diffs: Vec<i64>,
    },
    /// Everything up to this tick has been told.
    Progress {
        /// The tick.
        tick: Timestamp,
    },
}

/// The changes of one view, in the order of their ticks.
pub trait Changes: Send {
    /// The columns of the rows.
    fn schema(&self) -> SchemaRef;

    /// What comes next; `None` if nothing came within `wait`.
    ///
    /// # Errors
    /// The subscription is over; it gives this from then on.
    fn next(&mut self, wait: Duration) -> Result<Option<Told>, SubscriptionEnd>;
}

/// Why a subscription is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionEnd {
    /// The reader did not keep up.
    #[error("the subscriber fell {ticks} ticks behind, and more are not kept for it")]
    TooSlow {
        /// How many ticks waited.
        ticks: usize,
    },
    /// The view was taken away.
    #[error("{name} is gone")]
    Gone {
        /// The view.
        name: String,
    },
    /// The engine stopped.
    #[error("the engine stopped")]
    Stopped,
}

/// How the engine stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The instance's name.
    pub instance: String,
    /// The last complete tick.
    pub tick: Timestamp,
    /// The length of a tick in milliseconds.
    pub step_ms: u64,
    /// Ticks since the process started.
    pub ticks: u64,
    /// Readings taken since the process started.
    pub readings: u64,
    /// Records refused since the process started.
    pub refused: u64,
    /// Ticks that the dataflow works on.
    pub ticks_in_flight: u64,
    /// From a tick's last reading admitted to every view past it, in milliseconds: median.
    pub tick_latency_p50_ms: f64,
    /// The same: 99th percentile.
    pub tick_latency_p99_ms: f64,
    /// Audit records in the chain.
    pub audit_records: u64,
    /// The views, in name order.
    pub views: Vec<ViewStatus>,
    /// The indexes, in name order.
    pub indexes: Vec<IndexStatus>,
    /// What views and indexes keep.
    pub arrangements: Vec<ArrangementStatus>,
    /// The sources' partitions.
    pub sources: Vec<SourceStatus>,
}

/// How a view stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewStatus {
    /// Its name.
    pub name: String,
    /// The statement that made it.
    pub sql: String,
    /// The tick its rows show.
    pub tick: Timestamp,
    /// Its rows.
    pub rows: u64,
    /// Rows that could not be computed.
    pub faults: Vec<Fault>,
    /// How much of its history is worked off, in percent; 100 once it can be read.
    pub hydrated: u8,
    /// The relations it reads.
    pub reads: Vec<String>,
}

/// How an index stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexStatus {
    /// Its name.
    pub name: String,
    /// The relation that it arranges.
    pub relation: String,
    /// The columns by which.
    pub columns: Vec<String>,
    /// The statement that made it.
    pub sql: String,
    /// How much of its history is worked off, in percent; 100 once views may use it.
    pub hydrated: u8,
    /// The views that use it.
    pub used_by: Vec<String>,
}

/// What one node of a view, or an index, keeps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArrangementStatus {
    /// The view or the index.
    pub view: String,
    /// The node, as EXPLAIN prints it.
    pub node: String,
    /// What bounds it, as EXPLAIN prints it.
    pub bound: String,
    /// Rows kept, over all workers.
    pub rows: u64,
    /// Bytes kept, estimated.
    pub bytes: u64,
    /// Other views that use the same.
    pub shared_with: Vec<String>,
}

/// How one partition of a source stands. A source that is broken and has given nothing yet stands
/// once, without a partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceStatus {
    /// The source.
    pub source: String,
    /// The partition within it.
    pub partition: String,
    /// The record to go on with.
    pub position: i64,
    /// What it has passed.
    pub watermark: Option<Timestamp>,
    /// How many ticks were closed without it.
    pub missed: u64,
    /// Nothing follows.
    pub ended: bool,
    /// Why its door is broken, and how to mend it; ticks do not wait for it then.
    pub error: Option<String>,
}
