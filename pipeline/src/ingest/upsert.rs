//! Upserts: the last row of a key is its value, and the row before is taken back.
//!
//! The order of arrival decides, which only the session knows; so the retractions are made here,
//! before the rows are shared among workers. What is kept is derived from the ticks alone: a replay
//! makes it again.
//!
//! Within a partition what arrived later counts, whatever the event times say: a value that was set
//! right and carries an older time is right all the same. The session sees to it that no row enters
//! an earlier tick than the row before it. Between partitions there is no order of arrival: the
//! later tick counts, and within a tick the partition whose name comes later. Who writes one key to
//! two partitions should not be surprised; brokers key their partitions for this reason.
//!
//! # Bounds
//!
//! One row a key, until the stream no longer retains that row. It is then forgotten here, too: the
//! dataflow has taken it away by itself.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_schema::ArrowError;
use arrow_select::concat::concat_batches;
use schemas::catalog::StreamSettings;
use schemas::plan::Expiry;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::row::RowError;
use schemas::time::Timestamp;

use crate::delta::Diff;
use crate::delta::Diffs;
use crate::ingest::session::DELETED;

/// A key's row, and the tick that takes it away.
#[derive(Clone, Debug, PartialEq)]
struct Value {
    row: Row,
    until: Option<Timestamp>,
}

/// The current rows of one upsert stream.
pub struct Upsert {
    key: Vec<usize>,
    codec: RowCodec,
    keys: RowCodec,
    event_time: usize,
    expiry: Option<Expiry>,

    values: BTreeMap<Row, Value>,
    /// Keys by the tick that takes their row away.
    ends: BTreeMap<Timestamp, BTreeSet<Row>>,
}

impl Upsert {
    /// No rows of `stream` yet.
    ///
    /// # Errors
    /// A column has no row encoding, or is not there.
    pub fn new(stream: &StreamSettings) -> Result<Upsert, RowError> {
        let def = &stream.def;
        let column = |name: &String| def.schema.index_of(name);
        let key: Vec<usize> = def.key.iter().map(column).collect::<Result<_, ArrowError>>()?;
        let event_time = column(&def.event_time)?;
        let retain_ms = stream.retain_ms;
        let expiry =
            (retain_ms > 0).then_some(Expiry { column: event_time, retain_ms, lateness_ms: None });
        Ok(Upsert {
            key,
            codec: RowCodec::new(def.schema.clone())?,
            keys: RowCodec::new(def.key_schema()?)?,
            event_time,
            expiry,
            values: BTreeMap::new(),
            ends: BTreeMap::new(),
        })
    }

    /// Rows of a tick, in order of arrival, with what they replace.
    ///
    /// # Errors
    /// The batch is not of the stream's columns.
    pub fn put(
        &mut self,
        tick: Timestamp,
        batch: &RecordBatch,
    ) -> Result<(RecordBatch, Diffs), RowError> {
        self.forget(tick);
        let keys = self.keys.rows(&batch.project(&self.key)?)?;
        let rows = self.codec.rows(batch)?;
        let times = batch.column(self.event_time).as_primitive::<TimestampMillisecondType>();
        let ends: Vec<Option<Timestamp>> = (times.values().iter())
            .map(|ms| Some(self.expiry?.at(Timestamp((*ms).max(0) as u64))))
            .collect();
        let mut before: BTreeMap<Row, Option<Row>> = BTreeMap::new();
        for ((key, row), until) in keys.into_iter().zip(rows).zip(ends) {
            let old = self.set(&key, Some(Value { row, until }));
            before.entry(key).or_insert(old.map(|old| old.row));
        }
        self.changes(before)
    }

    /// Takes away what these keys stand for.
    ///
    /// # Errors
    /// The batch is not of the stream's key columns.
    pub fn delete(
        &mut self,
        tick: Timestamp,
        keys: &RecordBatch,
    ) -> Result<(RecordBatch, Diffs), RowError> {
        self.forget(tick);
        let mut before: BTreeMap<Row, Option<Row>> = BTreeMap::new();
        for key in self.keys.rows(keys)? {
            let old = self.set(&key, None);
            before.entry(key).or_insert(old.map(|old| old.row));
        }
        self.changes(before)
    }

    /// What a piece of a tick changes, named as it is logged; `None` if it is of another stream.
    ///
    /// # Errors
    /// The batch is not of the stream's columns.
    pub fn apply(
        &mut self,
        tick: Timestamp,
        stream: &str,
        (logged, batch): (&str, &RecordBatch),
    ) -> Result<Option<(RecordBatch, Diffs)>, RowError> {
        match logged.strip_prefix(DELETED) {
            Some(of) if of == stream => self.delete(tick, batch).map(Some),
            None if logged == stream => self.put(tick, batch).map(Some),
            _ => Ok(None),
        }
    }

    /// How many keys have a row.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// What changed against the rows that these keys had before.
    fn changes(
        &mut self,
        before: BTreeMap<Row, Option<Row>>,
    ) -> Result<(RecordBatch, Diffs), RowError> {
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for (key, old) in before {
            let new = self.values.get(&key).map(|value| &value.row);
            if old.as_ref() != new {
                come.extend(new.cloned());
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

    /// Gives a key this value and returns the one it had.
    fn set(&mut self, key: &Row, value: Option<Value>) -> Option<Value> {
        if let Some(until) = value.as_ref().and_then(|value| value.until) {
            self.ends.entry(until).or_default().insert(key.clone());
        }
        let now = value.as_ref().and_then(|value| value.until);
        let old = match value {
            Some(value) => self.values.insert(key.clone(), value),
            None => self.values.remove(key),
        };
        let ended = old.as_ref().and_then(|old| old.until).filter(|until| Some(*until) != now);
        if let Some(until) = ended
            && let Some(keys) = self.ends.get_mut(&until)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.ends.remove(&until);
            }
        }
        old
    }

    /// Forgets what the dataflow has taken away by `tick`.
    fn forget(&mut self, tick: Timestamp) {
        while let Some(end) = self.ends.first_entry()
            && *end.key() <= tick
        {
            for key in end.remove() {
                self.values.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests;
