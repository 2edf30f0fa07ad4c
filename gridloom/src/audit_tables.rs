//! The audit log as tables: `audit.actions`, `audit.alarms` and the rest, one a kind.
//!
//! A kind that has no record yet has its columns all the same, so that counting alarms on a quiet
//! day gives 0 and not an error. What is sealed is read from the archive, the rest from the log.

use std::path::Path;
use std::sync::Arc;

use archive::AuditTable;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use queries::batch::Rows;
use schemas::audit::HASH;
use schemas::audit::Kind;
use schemas::audit::PREVIOUS_HASH;
use schemas::audit::SUBJECT;
use schemas::audit::common_fields;
use schemas::decision::Action;
use schemas::decision::Alarm;
use schemas::decision::Forecast;
use schemas::definition::ConfigChange;
use schemas::definition::ViewChange;
use schemas::event::Command;
use schemas::quarantine::Quarantined;
use schemas::relation::Relation;

use crate::sealed;
use crate::sealed::Segments;

/// The SQL schema that the tables are in.
pub const SCHEMA: &str = "audit";

/// The table's full name.
pub fn name(kind: Kind) -> String {
    format!("{SCHEMA}.{}", kind.table())
}

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

/// The columns of a kind's table while it has no record.
pub fn columns(kind: Kind) -> SchemaRef {
    // What became one of the common columns is not repeated among a kind's own.
    let own = match kind {
        Kind::Action => payload::<Action>(&["asset_id", "saw"]),
        Kind::Alarm => payload::<Alarm>(&[SUBJECT, "saw"]),
        Kind::Forecast => payload::<Forecast>(&["subject_id", "saw"]),
        Kind::Quarantine => payload::<Quarantined>(&[]),
        Kind::Command => payload::<Command>(&["asset_id", "actor"]),
        Kind::Config => payload::<ConfigChange>(&["setting"]),
        Kind::View => payload::<ViewChange>(&["view", "by"]),
        Kind::Tick => Vec::new(),
    };
    let hash = |name: &str| Field::new(name, DataType::Utf8, false);
    let fields = common_fields().into_iter().chain(own).chain([hash(PREVIOUS_HASH), hash(HASH)]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn payload<R: Relation>(without: &[&str]) -> Vec<Field> {
    let payload = schemas::audit::payload_of(&R::to_batch(&[]), without);
    payload.into_iter().map(|(field, _)| field).collect()
}
