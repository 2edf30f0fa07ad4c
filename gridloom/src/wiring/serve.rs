//! The desk of a running instance: its engine, its audit log, its users, behind the doors.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::array::BooleanArray;
use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::datatypes::TimestampMillisecondType;
use desk::Desk;
use desk::DeskError;
use desk::Doors;
use desk::Limits;
use desk::Openings;
use desk::Tables;
use desk::Users;
use desk::doors::DoorError;
use desk::tables::TableProvider;
use desk::tables::TableResult;
use desk::users::UsersError;
use pipeline::engine::Handle;
use queries::batch::Rows;
use schemas::audit::Kind;
use schemas::audit::TICK_AT;
use schemas::time::Timestamp;

use crate::audit_tables;

/// Why the doors stay closed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The users cannot be read.
    #[error("the users cannot be read")]
    Users(#[from] UsersError),
    /// The desk cannot be set up.
    #[error("the desk cannot be set up: {0}")]
    Desk(DeskError),
    /// A door cannot be opened.
    #[error("a door cannot be opened")]
    Door(#[from] DoorError),
}

/// Open doors, and what must be said of them once.
pub struct Served {
    /// The doors; they close when this is dropped.
    pub doors: Doors,
    /// The token of `admin`, where this start made it.
    pub token: Option<String>,
}

impl Served {
    /// Where to knock, a line a door.
    pub fn lines(&self) -> Vec<String> {
        let Doors { postgres, flight, http, .. } = &self.doors;
        let line = |name: &str, how: String| format!("{name:<12}{how}");
        let doors = [
            postgres.map(|at| {
                let (host, port) = (at.ip(), at.port());
                line("PostgreSQL", format!("psql -h {host} -p {port} -U admin gridloom"))
            }),
            flight.map(|at| line("Flight SQL", format!("grpc://{at}"))),
            http.map(|at| line("HTTP", format!("http://{at}"))),
        ];
        let token = self.token.iter().map(|token| {
            line("admin", format!("{token}   (password and bearer token; shown this once)"))
        });
        doors.into_iter().flatten().chain(token).collect()
    }
}

/// Opens the doors that are asked for over a running instance, or none if none is.
///
/// # Errors
/// The users cannot be read, or a door cannot be opened as asked for.
pub fn open(
    engine: Handle,
    data_dir: &Path,
    openings: &Openings,
) -> Result<Option<Served>, ServeError> {
    if *openings == Openings::default() {
        return Ok(None);
    }
    let (users, token) = Users::open(data_dir)?;
    let audit: Arc<dyn Tables> = Arc::new(AuditLog { data_dir: data_dir.to_owned() });
    let desk = Desk::new(Arc::new(engine), audit, Arc::new(users), Limits::default());
    let doors = Doors::open(&desk.map_err(ServeError::Desk)?, openings)?;
    Ok(Some(Served { doors, token }))
}

/// The records up to a tick.
fn until(batch: &RecordBatch, at: Timestamp) -> RecordBatch {
    let ticks = batch.column_by_name(TICK_AT).expect("every record has its tick");
    let ticks = ticks.as_primitive::<TimestampMillisecondType>();
    let keep: BooleanArray = ticks.iter().map(|ms| Some(ms? as u64 <= at.0)).collect();
    filter_record_batch(batch, &keep).expect("one answer a record")
}

/// The audit log and its archive as tables, read beside the writer.
struct AuditLog {
    data_dir: PathBuf,
}

impl Tables for AuditLog {
    fn list(&self) -> Vec<(String, SchemaRef)> {
        let of = |kind| (audit_tables::name(kind), audit_tables::columns(kind));
        let mut tables: Vec<(String, SchemaRef)> = Kind::ALL.into_iter().map(of).collect();
        tables.sort_by(|a, b| a.0.cmp(&b.0));
        tables
    }

    fn open(&self, name: &str, at: Timestamp) -> TableResult<Arc<dyn TableProvider>> {
        let kind = Kind::ALL.into_iter().find(|kind| audit_tables::name(*kind) == name);
        let Some(kind) = kind else {
            return Err(desk::tables::missing(name));
        };
        // The archive is read on a runtime of its own, which no thread of the desk's may wait for.
        let read = std::thread::scope(|scope| {
            let reader = scope.spawn(|| audit_tables::rows(&self.data_dir, kind));
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        let Rows { schema, batches } = read.map_err(|e| desk::tables::unreadable(e.into()))?;
        let batches = batches.iter().map(|batch| until(batch, at)).collect();
        desk::tables::in_memory(schema, batches)
    }
}
