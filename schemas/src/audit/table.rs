//! The records of a kind as a table, `audit.actions` say: its columns, and records as its rows.
//!
//! The table is the same for whoever asks once and for a view that is maintained. A kind that has
//! no record yet has its columns all the same. Every column may be NULL: an old record lacks what
//! was added since.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::RecordBatch;
use arrow_array::new_null_array;
use arrow_schema::ArrowError;
use arrow_schema::DataType;
use arrow_schema::Field;
use arrow_schema::Schema;
use arrow_schema::SchemaRef;

use super::HASH;
use super::Kind;
use super::PREVIOUS_HASH;
use super::SUBJECT;
use super::common_fields;
use super::payload_of;
use crate::decision::Action;
use crate::decision::Alarm;
use crate::decision::Forecast;
use crate::decision::ModelVersion;
use crate::decision::ShortForecast;
use crate::definition::ConfigChange;
use crate::definition::ViewChange;
use crate::event::Command;
use crate::quarantine::Quarantined;
use crate::relation::Relation;

/// The SQL schema that the tables are in.
pub const SCHEMA: &str = "audit";

/// The table's full name.
pub fn name(kind: Kind) -> String {
    format!("{SCHEMA}.{}", kind.table())
}

/// The columns of a kind's table: the common ones, the kind's own, the links.
pub fn columns(kind: Kind) -> SchemaRef {
    // What became one of the common columns is not repeated among a kind's own.
    let own = match kind {
        Kind::Action => payload::<Action>(&["asset_id", "saw"]),
        Kind::Alarm => payload::<Alarm>(&[SUBJECT, "saw"]),
        Kind::Forecast => payload::<Forecast>(&["subject_id", "saw"]),
        Kind::Model => payload::<ModelVersion>(&["subject_id", "saw"]),
        Kind::ShortForecast => payload::<ShortForecast>(&["subject_id", "saw"]),
        Kind::Quarantine => payload::<Quarantined>(&[]),
        Kind::Command => payload::<Command>(&["asset_id", "actor"]),
        Kind::Config => payload::<ConfigChange>(&["setting"]),
        Kind::View => payload::<ViewChange>(&["view", "by"]),
        Kind::Tick => Vec::new(),
    };
    let hash = |name: &str| Field::new(name, DataType::Utf8, true);
    let fields = common_fields().into_iter().chain(own).chain([hash(PREVIOUS_HASH), hash(HASH)]);
    let fields = fields.map(|field| field.with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn payload<R: Relation>(without: &[&str]) -> Vec<Field> {
    let payload = payload_of(&R::to_batch(&[]), without);
    payload.into_iter().map(|(field, _)| field).collect()
}

/// Linked records of a kind as rows of its table; a column that a record does not have is NULL.
///
/// # Errors
/// A column of the records is of another type than the table's.
pub fn rows(kind: Kind, records: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = columns(kind);
    let column = |field: &Arc<Field>| match records.column_by_name(field.name()) {
        Some(values) => Arc::clone(values),
        None => new_null_array(field.data_type(), records.num_rows()),
    };
    let columns: Vec<ArrayRef> = schema.fields().iter().map(column).collect();
    RecordBatch::try_new(schema, columns)
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;

    use super::super::Entry;
    use super::super::Head;
    use super::super::Records;
    use super::super::chain;
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn linked_records_are_rows_of_their_table() {
        let tick = Timestamp(50_000);
        let mut records = Records::in_order(tick);
        records.push(&Entry { subject: "meters/0", actor: "ingest", ..Entry::default() });
        let unlinked = vec![(Kind::Tick, records.finish(Vec::new()).unwrap())];
        let links = chain(&Head::genesis("a"), tick, &unlinked).unwrap();
        let (kind, linked) = &links.batches[0];
        let rows = rows(*kind, linked).unwrap();
        assert_eq!(rows.schema(), columns(Kind::Tick));
        assert_eq!(rows.num_rows(), 1);
        let hash = rows.column_by_name(HASH).unwrap();
        assert_eq!(hash.null_count(), 0, "links are columns of the table");
    }

    #[test]
    fn a_column_that_was_added_since_is_null_in_an_old_record() {
        let alarms = Alarm::to_batch(&[]);
        let old: Vec<usize> = vec![alarms.schema().index_of("kind").unwrap()];
        let rows = rows(Kind::Alarm, &alarms.project(&old).unwrap()).unwrap();
        assert_eq!(rows.schema(), columns(Kind::Alarm));
    }

    #[test]
    fn every_kind_has_a_table_of_its_name() {
        for kind in Kind::ALL {
            assert_eq!(name(kind), format!("audit.{}", kind.table()));
            assert_eq!(columns(kind).field(0).name(), super::super::TICK_AT);
        }
    }
}
