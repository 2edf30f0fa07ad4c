//! The desk: what all doors share.
//!
//! It knows the engine, the tables that the binary brings, the users, the limits, and the threads
//! on which statements compute. A [`Session`] is one client's.

use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::catalog::CatalogProvider;
use datafusion::catalog::CatalogProviderList;
use datafusion::catalog::MemoryCatalogProviderList;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::disk_manager::DiskManagerMode;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::memory_pool::TrackConsumersPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use schemas::contract::Engine;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use crate::catalog::Catalogs;
use crate::error::DeskError;
use crate::error::Kind;
use crate::limits::Limits;
use crate::metrics::Counters;
use crate::relations::DATABASE;
use crate::relations::PUBLIC;
use crate::role::Principal;
use crate::session::Session;
use crate::tables::Tables;
use crate::users::Users;

/// Memory users that are named when memory runs out.
const CONSUMERS: NonZeroUsize = NonZeroUsize::new(3).expect("it is not zero");

/// Answers statements for all doors.
pub struct Desk {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) tables: Arc<dyn Tables>,
    pub(crate) users: Arc<Users>,
    pub(crate) limits: Limits,

    pub(crate) catalogs: Catalogs,
    pub(crate) counters: Counters,
    pub(crate) permits: Semaphore,
    /// Views change one at a time, so that each is planned over those before it.
    pub(crate) changing: tokio::sync::Mutex<()>,
    base: SessionState,
    runtime: Option<Runtime>,
}

impl Desk {
    /// A desk over a running engine.
    ///
    /// # Errors
    /// The threads or the memory pool cannot be had.
    pub fn new(
        engine: Arc<dyn Engine>,
        tables: Arc<dyn Tables>,
        users: Arc<Users>,
        limits: Limits,
    ) -> Result<Arc<Desk>, DeskError> {
        let internal = |error: &dyn std::fmt::Display| {
            DeskError::new(Kind::Internal, format!("the desk cannot open: {error}"))
        };
        let pool = GreedyMemoryPool::new(limits.memory_bytes);
        // Nothing is spilled: a statement writes no files, not even in passing.
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(TrackConsumersPool::new(pool, CONSUMERS)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|error| internal(&error))?;
        let state = queries::session::state();
        let config = state
            .config()
            .clone()
            .with_default_catalog_and_schema(DATABASE, PUBLIC)
            .with_create_default_catalog_and_schema(false);
        let base = SessionStateBuilder::new_from_existing(state)
            .with_config(config)
            .with_runtime_env(environment)
            .build();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(limits.threads)
            .thread_name("desk")
            .enable_all()
            .build()
            .map_err(|error| internal(&error))?;
        let catalogs = Catalogs::new().map_err(|error| internal(&error))?;
        Ok(Arc::new(Desk {
            engine,
            tables,
            users,
            catalogs,
            counters: Counters::default(),
            permits: Semaphore::new(limits.statements),
            changing: tokio::sync::Mutex::default(),
            base,
            runtime: Some(runtime),
            limits,
        }))
    }

    /// A session of somebody who proved who they are.
    pub fn session(self: &Arc<Desk>, principal: Principal) -> Session {
        Session::new(Arc::clone(self), principal)
    }

    /// Who may come in.
    pub fn users(&self) -> &Users {
        &self.users
    }

    /// How many statements compute just now.
    pub fn computing(&self) -> usize {
        self.limits.statements - self.permits.available_permits()
    }

    /// Where statements compute.
    pub(crate) fn runtime(&self) -> &tokio::runtime::Handle {
        self.runtime.as_ref().expect("it is there until the desk is dropped").handle()
    }

    /// A DataFusion state over these relations.
    pub(crate) fn state(&self, catalog: Arc<dyn CatalogProvider>) -> SessionState {
        let list = MemoryCatalogProviderList::new();
        list.register_catalog(DATABASE.to_owned(), catalog);
        SessionStateBuilder::new_from_existing(self.base.clone())
            .with_catalog_list(Arc::new(list))
            .build()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // A desk may be dropped inside another runtime, where waiting is forbidden.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
