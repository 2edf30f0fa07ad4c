//! The audit log as tables: `audit.actions`, `audit.alarms` and the rest, one a kind.
//!
//! A kind that has no record yet has its columns all the same, so that counting alarms on a quiet
//! day gives 0 and not an error. What is sealed is read from the archive, the rest from the log.

use std::path::Path;
use std::sync::Arc;

use archive::AuditTable;
use queries::batch::Rows;
use schemas::audit::Kind;
pub use schemas::audit::table::columns;
pub use schemas::audit::table::name;

use crate::sealed;
use crate::sealed::Segments;

/// The records of a kind of the instance whose data folder is `data_dir`.
///
/// # Errors
/// The log or the archive cannot be read.
pub fn rows(data_dir: &Path, kind: Kind) -> anyhow::Result<Rows> {
    let (schema, batches) = table(data_dir, kind)?.rows()?;
    Ok(Rows { schema, batches })
}

/// The table of a kind, for a session that outlives one question: every scan sees what is there
/// then.
///
/// # Errors
/// The log or the archive cannot be read.
pub fn table(data_dir: &Path, kind: Kind) -> anyhow::Result<AuditTable> {
    let reader = sealed::reader(data_dir)?;
    let fresh = Arc::new(Segments::of(data_dir));
    Ok(AuditTable::new(kind, &columns(kind), reader.map(Arc::new), fresh))
}
