//! Rows of streams and of what agents said, as they are retained at a tick, from the log.

use std::collections::BTreeMap;

use arrow_array::BooleanArray;
use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use schemas::audit::Kind;
use schemas::catalog::DEFAULT_RETAIN_MS;
use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::catalog::StreamSettings;
use schemas::contract::ReadError;
use schemas::event::Envelope;
use schemas::plan::Expiry;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::row::RowError;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::Handle;
use super::STREAM_ROWS_MAX;
use crate::delta::Diff;
use crate::delta::add_to;
use crate::emit::records::as_said;
use crate::ingest::upsert::Upsert;
use crate::log::Committed;
use crate::log::TickCommit;
use crate::log::read_commits;
use crate::render::get::millis;

/// The kind of audit record that holds what an agent said.
pub(crate) fn kind_of(relation: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.table() == relation)
}

/// When rows of a relation grow too old.
fn expiry(info: &RelationInfo) -> Option<Expiry> {
    let (column, retain_ms) = match &info.kind {
        RelationKind::Stream(settings) => {
            (info.schema.index_of(&settings.def.event_time).ok()?, settings.retain_ms)
        }
        RelationKind::Decision { event_time } => (*event_time, DEFAULT_RETAIN_MS),
        RelationKind::Table | RelationKind::View | RelationKind::State | RelationKind::Audit(_) => {
            (0, 0)
        }
    };
    (retain_ms > 0).then_some(Expiry { column, retain_ms, lateness_ms: None })
}

impl Handle {
    /// The retained rows of a stream or decision after tick `tick`; what the log holds of it before
    /// `since` is another's of its name.
    pub(super) fn history(
        &self,
        name: &str,
        info: &RelationInfo,
        (since, tick): (Timestamp, Timestamp),
    ) -> Result<RecordBatch, ReadError> {
        if since > tick {
            return Ok(RecordBatch::new_empty(info.schema.clone()));
        }
        let failed = |message: String| ReadError::Failed { name: name.to_owned(), message };
        let expiry = expiry(info);
        let retained = |batch: &RecordBatch| match expiry {
            Some(expiry) => retained(batch, expiry, tick),
            None => batch.clone(),
        };
        if let RelationKind::Stream(stream) = &info.kind
            && stream.def.envelope == Envelope::Upsert
        {
            let mut last = Last::new(stream).map_err(|error| failed(error.to_string()))?;
            for committed in read_commits(&self.log, since, tick) {
                let committed = committed.map_err(|error| failed(error.to_string()))?;
                last.take(name, &committed.commit).map_err(|error| failed(error.to_string()))?;
            }
            return last.rows().map(|r| retained(&r)).map_err(|error| failed(error.to_string()));
        }
        // A row enters at the tick of its time or later, so older commits hold only older rows.
        let from = expiry.map_or(0, |e| tick.0.saturating_sub(e.retain_ms + HOUR_MS));
        let (mut batches, mut rows) = (Vec::new(), 0usize);
        for committed in read_commits(&self.log, since.max(Timestamp(from)), tick) {
            let committed = committed.map_err(|error| failed(error.to_string()))?;
            let pieces = pieces(name, info, &committed).map_err(&failed)?;
            batches.extend(pieces.iter().map(retained));
            rows += pieces.iter().map(RecordBatch::num_rows).sum::<usize>();
            if rows > STREAM_ROWS_MAX {
                return Err(failed(format!(
                    "it retains more than {STREAM_ROWS_MAX} rows: make a view of what is asked"
                )));
            }
        }
        concat_batches(&info.schema, &batches).map_err(|error| failed(error.to_string()))
    }
}

/// What a commit holds of the relation.
fn pieces(
    name: &str,
    info: &RelationInfo,
    committed: &Committed,
) -> Result<Vec<RecordBatch>, String> {
    let commit = &committed.commit;
    if let RelationKind::Decision { .. } = info.kind {
        let Some(kind) = kind_of(name) else { return Ok(Vec::new()) };
        let records = commit.audit.iter().filter(|(of, _)| *of == kind);
        let said = records.map(|(_, batch)| as_said(kind, batch, &info.schema));
        return said.collect::<Result<_, _>>().map_err(|error| error.to_string());
    }
    let inputs = commit.inputs.iter().filter(|(of, _)| of == name);
    Ok(inputs.map(|(_, batch)| batch.clone()).collect())
}

fn retained(batch: &RecordBatch, expiry: Expiry, tick: Timestamp) -> RecordBatch {
    let times = millis(batch.column(expiry.column));
    let stands = |at: i64| expiry.at(Timestamp(at.max(0) as u64)) > tick;
    let keep: BooleanArray = times.values().iter().map(|at| Some(stands(*at))).collect();
    filter_record_batch(batch, &keep).expect("one answer a row")
}

/// The rows of a stream in which rows replace each other.
struct Last {
    upsert: Upsert,
    codec: RowCodec,
    rows: BTreeMap<Row, Diff>,
}

impl Last {
    fn new(stream: &StreamSettings) -> Result<Last, RowError> {
        let codec = RowCodec::new(stream.def.schema.clone())?;
        Ok(Last { upsert: Upsert::new(stream)?, codec, rows: BTreeMap::new() })
    }

    fn take(&mut self, name: &str, commit: &TickCommit) -> Result<(), RowError> {
        for (logged, batch) in &commit.inputs {
            let changes = self.upsert.apply(commit.tick, name, (logged, batch))?;
            let Some((batch, diffs)) = changes else { continue };
            for (at, row) in self.codec.rows(&batch)?.into_iter().enumerate() {
                add_to(&mut self.rows, row, diffs.at(at));
            }
        }
        Ok(())
    }

    fn rows(self) -> Result<RecordBatch, RowError> {
        self.codec.decode(self.rows.keys().map(Row::as_bytes))
    }
}
