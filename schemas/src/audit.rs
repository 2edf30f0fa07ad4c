//! The audit record: what happened, to what, by whom, from which inputs, in one chain that shows
//! tampering.
//!
//! A commit's audit part is one Arrow batch a [`Kind`]. Its first columns are the same for every
//! kind ([`common_fields`]); the kind's own typed columns follow; [`PREVIOUS_HASH`] and [`HASH`]
//! end it once [`chain()`] has linked it. Typed columns, not one JSON text: a question about
//! actions is then a plain SQL query, and a value has one spelling to hash.
//!
//! There is one chain an instance. Its order is (tick, kind, subject, sequence), kinds by name, so
//! it does not depend on which worker produced a record first. A link covers the link before it and
//! a canonical encoding of the record's columns ([`canonical`] says which bytes), never the bytes
//! of a file: records may be compacted, compressed or moved to other table formats and still
//! verify.
//!
//! **Invariant:** the same records in any order, split over any batches of a kind, give the same
//! chain.
//!
//! It does not store or sign; that is the commit log's work.

pub mod canonical;
pub mod chain;
pub mod check;
pub mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::Int64Array;
use arrow_array::RecordBatch;
use arrow_array::TimestampMillisecondArray;
use arrow_array::builder::ArrayBuilder;
use arrow_array::builder::Int64Builder;
use arrow_array::builder::StringBuilder;
use arrow_schema::ArrowError;
use arrow_schema::DataType;
use arrow_schema::Field;
use arrow_schema::Schema;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

pub use self::canonical::CanonicalError;
pub use self::chain::ChainError;
pub use self::chain::Links;
pub use self::chain::chain;
pub use self::check::Break;
pub use self::check::BreakKind;
pub use self::check::Checked;
pub use self::check::check;
pub use self::check::compact;
pub use self::check::expand;
pub use self::check::record_ids;
use crate::relation::UTC;
use crate::relation::timestamp_type;
use crate::time::Timestamp;

/// The tick of the record: the end of the step in which it became known.
pub const TICK_AT: &str = "tick_at";
/// The record's number among those of its tick, kind and subject, from 0.
pub const SEQUENCE: &str = "sequence";
/// What it happened to: an asset, a bus, a view, a stream.
pub const SUBJECT: &str = "subject";
/// Who did it: an operator of ours, a role, a person, another agent.
pub const ACTOR: &str = "actor";
/// The action it belongs to; empty if none.
pub const ACTION_ID: &str = "action_id";
/// Views and ticks read, source offsets.
pub const INPUTS: &str = "inputs";
/// The version of the rule or model that decided; empty if none did.
pub const MODEL_VERSION: &str = "model_version";
/// Why, in words or as a rule's name.
pub const REASON: &str = "reason";
/// The link before, in hexadecimal.
pub const PREVIOUS_HASH: &str = "previous_hash";
/// This record's link, in hexadecimal.
pub const HASH: &str = "hash";

/// What kind of happening a record tells. Declared in name order, which is the chain's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A state of an action: proposed, cleared, refused, sent, confirmed, superseded, failed.
    Action,
    /// A limit crossed, a sensor gone stale; raised or cleared.
    Alarm,
    /// What another agent asked of a device, and how it was judged.
    Command,
    /// A setting that changed an answer.
    Config,
    /// A forecast that was issued.
    Forecast,
    /// A version of a model began to answer, or ceased to.
    Model,
    /// An input that was set aside.
    Quarantine,
    /// A forecast of the coming quarters of an hour.
    ShortForecast,
    /// How a tick closed: its input and what decided its end.
    Tick,
    /// A view installed, replaced or dropped.
    View,
}

impl Kind {
    /// Every kind, in the chain's order.
    pub const ALL: [Kind; 10] = [
        Kind::Action,
        Kind::Alarm,
        Kind::Command,
        Kind::Config,
        Kind::Forecast,
        Kind::Model,
        Kind::Quarantine,
        Kind::ShortForecast,
        Kind::Tick,
        Kind::View,
    ];

    /// Its name, as hashed.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Action => "action",
            Kind::Alarm => "alarm",
            Kind::Command => "command",
            Kind::Config => "config",
            Kind::Forecast => "forecast",
            Kind::Model => "model",
            Kind::Quarantine => "quarantine",
            Kind::ShortForecast => "short-forecast",
            Kind::Tick => "tick",
            Kind::View => "view",
        }
    }

    /// The name of its table in the SQL schema `audit`.
    pub const fn table(self) -> &'static str {
        match self {
            Kind::Action => "actions",
            Kind::Alarm => "alarms",
            Kind::Command => "commands",
            Kind::Config => "configs",
            Kind::Forecast => "forecasts",
            Kind::Model => "models",
            Kind::Quarantine => "quarantine",
            Kind::ShortForecast => "short_forecasts",
            Kind::Tick => "ticks",
            Kind::View => "views",
        }
    }

    /// The kind of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One link of the chain: a SHA-256, written in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; Hash::LEN]);

impl Hash {
    /// Bytes in a hash.
    pub const LEN: usize = 32;
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0_u8; 2 * Hash::LEN];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text).expect("hexadecimal digits are ASCII"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not 64 hexadecimal digits")]
pub struct HashError {
    /// The text.
    pub text: String,
}

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Hash, HashError> {
        let error = || HashError { text: text.to_owned() };
        let digits = text.as_bytes();
        if digits.len() != 2 * Hash::LEN {
            return Err(error());
        }
        let mut hash = [0; Hash::LEN];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16).ok_or_else(error)?;
            let low = char::from(pair[1]).to_digit(16).ok_or_else(error)?;
            *byte = (high << 4 | low) as u8;
        }
        Ok(Hash(hash))
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where a chain stands: what the next record is linked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Records in the chain.
    pub count: u64,
    /// The last link.
    pub hash: Hash,
    /// The last tick that was committed, with records or without; 0 before the first.
    pub tick: Timestamp,
}

impl Head {
    /// The head of an instance that has recorded nothing. It names the instance, so that records of
    /// one cannot pass for another's.
    pub fn genesis(instance: &str) -> Head {
        let mut hasher = Sha256::new();
        hasher.update(b"gridloom audit chain 1\n");
        hasher.update(instance.as_bytes());
        Head { count: 0, hash: Hash(hasher.finalize().into()), tick: Timestamp(0) }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records, tick {}, head {}", self.count, self.tick, self.hash)
    }
}

/// Which record: its place in the chain, in the chain's order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId {
    /// Its tick.
    pub tick: Timestamp,
    /// Its kind.
    pub kind: Kind,
    /// Its subject.
    pub subject: String,
    /// Its number within those.
    pub sequence: i64,
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RecordId { tick, kind, subject, sequence } = self;
        write!(f, "{kind} {subject:?} number {sequence} of tick {tick}")
    }
}

/// The columns that open every audit batch, before it is linked. [`SEQUENCE`] may be NULL until
/// then.
pub fn common_fields() -> Vec<Field> {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    vec![
        Field::new(TICK_AT, timestamp_type(), false),
        Field::new(SEQUENCE, DataType::Int64, true),
        text(SUBJECT),
        text(ACTOR),
        text(ACTION_ID),
        text(INPUTS),
        text(MODEL_VERSION),
        text(REASON),
    ]
}

/// The common part of one record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entry<'a> {
    /// See [`SUBJECT`].
    pub subject: &'a str,
    /// See [`ACTOR`].
    pub actor: &'a str,
    /// See [`ACTION_ID`].
    pub action_id: &'a str,
    /// See [`INPUTS`].
    pub inputs: &'a str,
    /// See [`MODEL_VERSION`].
    pub model_version: &'a str,
    /// See [`REASON`].
    pub reason: &'a str,
}

/// The columns of `batch` that may follow the common ones: all but those named as common ones are,
/// and those in `without` (the column that became the subject, say).
pub fn payload_of(batch: &RecordBatch, without: &[&str]) -> Vec<(Field, ArrayRef)> {
    let common = common_fields();
    let taken = |name: &str| {
        without.contains(&name) || common.iter().any(|field| field.name().as_str() == name)
    };
    let fields = batch.schema_ref().fields().iter();
    fields
        .zip(batch.columns())
        .filter(|(field, _)| !taken(field.name()))
        .map(|(field, values)| (field.as_ref().clone(), values.clone()))
        .collect()
}

/// Builds one kind's batch of one tick, unlinked.
#[derive(Debug)]
pub struct Records {
    tick: Timestamp,
    /// Records so far by subject, where the order of adding is the order of happening.
    counts: Option<BTreeMap<String, u32>>,
    sequence: Int64Builder,
    texts: [StringBuilder; 6],
}

impl Records {
    /// No records yet, of `tick`. What is pushed is a set: [`chain()`] orders records of one
    /// subject by their content. For things whose order nobody knows, such as refusals by several
    /// workers.
    pub fn new(tick: Timestamp) -> Records {
        let texts = std::array::from_fn(|_| StringBuilder::new());
        Records { tick, counts: None, sequence: Int64Builder::new(), texts }
    }

    /// No records yet, of `tick`. What is pushed is a story: records of one subject are numbered as
    /// they come, so proposed stays before sent. Whoever pushes answers for one order on any number
    /// of workers.
    pub fn in_order(tick: Timestamp) -> Records {
        Records { counts: Some(BTreeMap::new()), ..Records::new(tick) }
    }

    /// Adds a record; its sequence is given when it is linked, or here where order counts.
    pub fn push(&mut self, entry: &Entry<'_>) {
        let sequence = self.counts.as_mut().map(|counts| {
            let next = counts.entry(entry.subject.to_owned()).or_default();
            *next += 1;
            *next - 1
        });
        self.add(sequence, entry);
    }

    /// Adds a record that has its sequence already (an action's identifier may hold it).
    pub fn push_numbered(&mut self, sequence: u32, entry: &Entry<'_>) {
        self.add(Some(sequence), entry);
    }

    fn add(&mut self, sequence: Option<u32>, entry: &Entry<'_>) {
        self.sequence.append_option(sequence.map(i64::from));
        let values = [
            entry.subject,
            entry.actor,
            entry.action_id,
            entry.inputs,
            entry.model_version,
            entry.reason,
        ];
        for (text, value) in self.texts.iter_mut().zip(values) {
            text.append_value(value);
        }
    }

    /// Records so far.
    pub fn len(&self) -> usize {
        self.sequence.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sequence.is_empty()
    }

    /// The batch: the common columns, then `payload`, one value a record in the order they were
    /// added.
    ///
    /// # Errors
    /// A payload column of another length.
    pub fn finish(mut self, payload: Vec<(Field, ArrayRef)>) -> Result<RecordBatch, ArrowError> {
        let rows = self.len();
        let ticks = TimestampMillisecondArray::from_value(self.tick.0 as i64, rows);
        let mut fields = common_fields();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(ticks.with_timezone(UTC))];
        let sequence: Int64Array = self.sequence.finish();
        columns.push(Arc::new(sequence));
        columns.extend(self.texts.iter_mut().map(|text| Arc::new(text.finish()) as ArrayRef));
        for (field, values) in payload {
            fields.push(field);
            columns.push(values);
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
    }
}

#[cfg(test)]
mod tests;
