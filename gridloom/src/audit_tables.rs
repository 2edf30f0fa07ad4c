//! The audit log as tables: `audit.actions`, `audit.alarms` and the rest, one a kind.
//!
//! A kind that has no record yet has its columns all the same, so that counting alarms on a quiet
//! day gives 0 and not an error.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use pipeline::log::LogError;
use pipeline::log::read_kind;
use queries::batch::Rows;
use schemas::audit::HASH;
use schemas::audit::Kind;
use schemas::audit::PREVIOUS_HASH;
use schemas::audit::SUBJECT;
use schemas::audit::common_fields;
use schemas::decision::Action;
use schemas::decision::Alarm;
use schemas::decision::Forecast;
use schemas::quarantine::Quarantined;
use schemas::relation::Relation;

/// The SQL schema that the tables are in.
pub const SCHEMA: &str = "audit";

/// The table's full name.
pub fn name(kind: Kind) -> String {
    format!("{SCHEMA}.{}", kind.table())
}

/// The records of a kind in the log in `dir`.
///
/// # Errors
/// The log cannot be read.
pub fn rows(dir: &Path, kind: Kind) -> Result<Rows, LogError> {
    let batches = read_kind(dir, kind)?.collect::<Result<Vec<_>, _>>()?;
    let schema = batches.first().map_or_else(|| columns(kind), |batch| batch.schema());
    Ok(Rows { schema, batches })
}

/// The columns of a kind's table while it has no record.
pub fn columns(kind: Kind) -> SchemaRef {
    // What became one of the common columns is not repeated among a kind's own.
    let own = match kind {
        Kind::Action => payload::<Action>(&["asset_id", "saw"]),
        Kind::Alarm => payload::<Alarm>(&[SUBJECT]),
        Kind::Forecast => payload::<Forecast>(&["subject_id"]),
        Kind::Quarantine => payload::<Quarantined>(&["detail"]),
        Kind::Command | Kind::Config | Kind::Tick | Kind::View => Vec::new(),
    };
    let hash = |name: &str| Field::new(name, DataType::Utf8, false);
    let fields = common_fields().into_iter().chain(own).chain([hash(PREVIOUS_HASH), hash(HASH)]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn payload<R: Relation>(without: &[&str]) -> Vec<Field> {
    let payload = schemas::audit::payload_of(&R::to_batch(&[]), without);
    payload.into_iter().map(|(field, _)| field).collect()
}
