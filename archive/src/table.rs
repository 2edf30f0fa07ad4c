//! The Delta table: whose it is, how far it is sealed, and its files.
//!
//! The sealed position is kept as the application transactions of the Delta protocol, which a
//! commit carries beside its files and a checkpoint keeps: under the instance's name the records
//! that are sealed, under `NAME/tick` the last sealed tick. Nothing else says how far a seal came,
//! so nothing can disagree with the files. What a policy retired from the beginning is kept
//! likewise.
//!
//! **Invariant:** position and files are of one version of the table.

use std::fmt;
use std::path::Path;

use deltalake_core::DeltaTable;
use deltalake_core::DeltaTableError;
use deltalake_core::kernel::Action;
use deltalake_core::kernel::Add;
use deltalake_core::kernel::Transaction;
use deltalake_core::kernel::transaction::CommitBuilder;
use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::DeltaOperation;
use deltalake_core::protocol::SaveMode;
use schemas::time::Timestamp;
use tokio::runtime::Runtime;

use crate::columns;
use crate::error::ArchiveError;
use crate::location::Location;

/// The property of the table that says whose it is.
const INSTANCE: &str = "gridloom.instance";

/// Commits between two checkpoints: a reader opens at most so many small files.
const CHECKPOINT_EVERY: &str = "10";

/// How far a chain has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Records, from the first of the chain.
    pub count: u64,
    /// The last tick with all of its records; 0 before the first.
    pub tick: Timestamp,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records to tick {}", self.count, self.tick)
    }
}

/// One version of the table, with what it says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// The table, loaded.
    pub(crate) table: DeltaTable,
    /// What is sealed.
    pub(crate) sealed: Position,
    /// What a policy took away of that.
    pub(crate) retired: Position,
}

/// Which table, of whom.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) location: Location,
    pub(crate) instance: String,
}

impl Place {
    /// The newest version of the table; `None` if there is no table yet.
    pub(crate) async fn load(&self) -> Result<Option<Loaded>, ArchiveError> {
        let shown = self.location.to_string();
        let mut table = self.location.table(false)?;
        let there = table.verify_deltatable_existence().await;
        if !there.map_err(ArchiveError::table(&shown, "opened"))? {
            return Ok(None);
        }
        table.load().await.map_err(ArchiveError::table(&shown, "opened"))?;
        self.positions(table).await.map(Some)
    }

    /// The newest version of a table that is loaded already.
    pub(crate) async fn newest(&self, mut table: DeltaTable) -> Result<Loaded, ArchiveError> {
        let shown = self.location.to_string();
        table.update_state().await.map_err(ArchiveError::table(&shown, "opened"))?;
        self.positions(table).await
    }

    async fn positions(&self, table: DeltaTable) -> Result<Loaded, ArchiveError> {
        let shown = self.location.to_string();
        let read = async {
            let snapshot = table.snapshot()?;
            let owner = snapshot.metadata().configuration().get(INSTANCE).cloned();
            let log = table.log_store();
            let mut numbers = [0_u64; 4];
            for (number, id) in numbers.iter_mut().zip(transactions(&self.instance)) {
                let version = snapshot.transaction_version(log.as_ref(), id).await?;
                *number = version.map_or(0, |version| version.max(0) as u64);
            }
            Ok((owner, numbers))
        };
        let (owner, [count, tick, gone, gone_tick]) =
            read.await.map_err(ArchiveError::table(&shown, "opened"))?;
        if owner.as_deref() != Some(self.instance.as_str()) {
            return Err(ArchiveError::Foreign {
                location: shown,
                found: owner.map_or("nobody we know".to_owned(), |o| format!("instance {o:?}")),
                wanted: self.instance.clone(),
            });
        }
        let sealed = Position { count, tick: Timestamp(tick) };
        let retired = Position { count: gone, tick: Timestamp(gone_tick) };
        Ok(Loaded { table, sealed, retired })
    }

    async fn create(&self) -> Result<(), ArchiveError> {
        let table = self.location.table(true)?;
        let properties = [
            (INSTANCE, Some(self.instance.as_str())),
            ("delta.checkpointInterval", Some(CHECKPOINT_EVERY)),
        ];
        let created = CreateBuilder::new()
            .with_log_store(table.log_store())
            .with_table_name("audit")
            .with_comment("gridloom's audit records; previous_hash and hash are their chain")
            .with_columns(columns::first())
            .with_partition_columns(columns::PARTITION)
            .with_raise_if_key_not_exists(false)
            .with_configuration(properties)
            // Whoever was quicker made as good a table.
            .with_save_mode(SaveMode::Ignore)
            .await;
        created.map_err(ArchiveError::table(&self.location.to_string(), "created"))?;
        Ok(())
    }
}

/// Under which names the table keeps records sealed, tick sealed, records retired, tick retired. An
/// instance's name has no slash.
fn transactions(instance: &str) -> [String; 4] {
    ["", "/tick", "/retired", "/retired-tick"].map(|what| format!("{instance}{what}"))
}

/// The transactions that say `sealed`.
pub(crate) fn sealed_to(instance: &str, sealed: Position) -> Vec<Transaction> {
    let [count, tick, ..] = transactions(instance);
    said(count, tick, sealed)
}

/// The transactions that say `retired`.
pub(crate) fn retired_to(instance: &str, retired: Position) -> Vec<Transaction> {
    let [_, _, count, tick] = transactions(instance);
    said(count, tick, retired)
}

fn said(count: String, tick: String, position: Position) -> Vec<Transaction> {
    let number = |n: u64| i64::try_from(n).expect("neither records nor milliseconds reach 2^63");
    vec![
        Transaction::new(count, number(position.count)),
        Transaction::new(tick, number(position.tick.0)),
    ]
}

/// The archive, for whoever writes it. Its methods wait; they are not for asynchronous code.
#[derive(Debug)]
pub struct Archive {
    pub(crate) place: Place,
    pub(crate) loaded: Loaded,
    runtime: Runtime,
}

impl Archive {
    /// Opens the archive of `instance`, making it if there is none.
    ///
    /// # Errors
    /// The place cannot be written, or what is there is not the instance's.
    pub fn open(location: Location, instance: &str) -> Result<Archive, ArchiveError> {
        let place = Place { location, instance: instance.to_owned() };
        let runtime = runtime();
        let loaded = runtime.block_on(async {
            if place.load().await?.is_none() {
                place.create().await?;
            }
            place.load().await
        })?;
        let loaded = loaded.expect("a table that was made is there");
        Ok(Archive { place, loaded, runtime })
    }

    /// Opens the archive of `instance`, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or is not the instance's.
    pub fn existing(location: Location, instance: &str) -> Result<Option<Archive>, ArchiveError> {
        let place = Place { location, instance: instance.to_owned() };
        let runtime = runtime();
        let loaded = runtime.block_on(place.load())?;
        Ok(loaded.map(|loaded| Archive { place, loaded, runtime }))
    }

    /// Where it lies.
    pub fn location(&self) -> &Location {
        &self.place.location
    }

    /// How far it is sealed.
    pub fn sealed(&self) -> Position {
        self.loaded.sealed
    }

    /// What a policy took away from its beginning.
    pub fn retired(&self) -> Position {
        self.loaded.retired
    }

    /// Files in it.
    ///
    /// # Errors
    /// The table's log cannot be read.
    pub fn files(&self) -> Result<usize, ArchiveError> {
        let state = self.loaded.table.snapshot().map_err(self.cannot("opened"))?;
        Ok(state.log_data().num_files())
    }

    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Takes the newest version: another process may have written.
    pub(crate) fn refresh(&mut self) -> Result<(), ArchiveError> {
        let table = self.loaded.table.clone();
        self.loaded = self.wait(self.place.newest(table))?;
        Ok(())
    }

    pub(crate) fn cannot(
        &self,
        action: &'static str,
    ) -> impl FnOnce(DeltaTableError) -> ArchiveError + use<> {
        ArchiveError::table(&self.place.location.to_string(), action)
    }

    /// Commits files and transactions as one version, and takes that version. A commit that
    /// somebody else's has overtaken is refused where both move the same position.
    pub(crate) fn commit(
        &mut self,
        actions: Vec<Action>,
        transactions: Vec<Transaction>,
        operation: DeltaOperation,
    ) -> Result<(), ArchiveError> {
        let properties = CommitProperties::default().with_application_transactions(transactions);
        let table = &self.loaded.table;
        let committed = self.wait(async {
            let state = table.snapshot()?;
            let builder = CommitBuilder::from(properties).with_actions(actions);
            builder.build(Some(state), table.log_store(), operation).await
        });
        let version = committed.map_err(self.cannot("written"))?.version();
        self.durable([format!("_delta_log/{version:020}.json")].iter())?;
        self.refresh()
    }

    /// Makes files durable that are about to be committed.
    pub(crate) fn durable_files(&self, adds: &[Add]) -> Result<(), ArchiveError> {
        self.durable(adds.iter().map(|add| &add.path))
    }

    /// Syncs files of a folder, and the folders they are in. An object store needs no such word.
    fn durable<'a>(&self, files: impl Iterator<Item = &'a String>) -> Result<(), ArchiveError> {
        let Some(root) = self.place.location.path() else { return Ok(()) };
        let sync = |path: &Path| std::fs::File::open(path).and_then(|file| file.sync_all());
        for file in files {
            let path = root.join(file);
            let within = path.ancestors().take_while(|path| path.starts_with(&root));
            for path in within {
                sync(path).map_err(|error| ArchiveError::Location {
                    location: path.display().to_string(),
                    problem: error.to_string(),
                })?;
            }
        }
        Ok(())
    }
}

/// A runtime of its own: sealing must not wait for, nor hold up, anybody else's.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("archive")
        .enable_all()
        .build()
        .expect("a runtime of one thread can be made")
}
