//! Upserts: the last row of a key is its value, and the row before is taken back.
//!
//! The order of arrival decides, which only the session knows; so the retractions are made here,
//! before the rows are shared among workers. What is kept is derived from the ticks alone: a replay
//! makes it again.
//!
//! # Bounds
//!
//! One row a key.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use schemas::event::StreamDef;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::row::RowError;

use crate::delta::Diff;
use crate::delta::Diffs;

/// The current rows of one upsert stream.
pub struct Upsert {
    key: Vec<usize>,
    codec: RowCodec,
    keys: RowCodec,

    rows: BTreeMap<Row, Row>,
}

impl Upsert {
    /// No rows of `stream` yet.
    ///
    /// # Errors
    /// A column has no row encoding.
    pub fn new(stream: &StreamDef) -> Result<Upsert, RowError> {
        let key: Vec<usize> =
            stream.key.iter().filter_map(|k| stream.schema.index_of(k).ok()).collect();
        let keys = Arc::new(stream.schema.project(&key)?);
        let (codec, keys) = (RowCodec::new(stream.schema.clone())?, RowCodec::new(keys)?);
        Ok(Upsert { key, codec, keys, rows: BTreeMap::new() })
    }

    /// The rows of one tick, in order of arrival, with what they replace.
    ///
    /// # Errors
    /// The batch is not of the stream's columns.
    pub fn apply(&mut self, batch: &RecordBatch) -> Result<(RecordBatch, Diffs), RowError> {
        let keys = self.keys.rows(&batch.project(&self.key)?)?;
        let rows = self.codec.rows(batch)?;
        let mut changed: BTreeMap<Row, Option<Row>> = BTreeMap::new();
        for (key, row) in keys.into_iter().zip(rows) {
            let old = self.rows.insert(key.clone(), row);
            changed.entry(key).or_insert(old);
        }
        let mut gone = Vec::new();
        let mut come = Vec::new();
        for (key, old) in changed {
            let new = &self.rows[&key];
            if old.as_ref() != Some(new) {
                come.push(new.clone());
                gone.extend(old);
            }
        }
        let decode = |rows: &[Row]| self.codec.decode(rows.iter().map(Row::as_bytes));
        let both = concat_batches(self.codec.schema(), [&decode(&gone)?, &decode(&come)?])?;
        let diffs: Vec<Diff> = (std::iter::repeat_n(-1, gone.len()))
            .chain(std::iter::repeat_n(1, come.len()))
            .collect();
        Ok((both, Diffs::Each(diffs.into())))
    }
}
