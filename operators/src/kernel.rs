//! The contract of every agent: told what changed at a tick, it answers with rows.
//!
//! A kernel never sees the dataflow. It declares which views it reads (columns by name), which
//! column routes a row to the worker that judges it, and what it gives. Then it is stepped: once a
//! tick, in order, with the consolidated changes of each input. So it can be tested by table,
//! replayed from the audit log, and rehearsed.
//!
//! **Invariant:** the same changes at the same ticks give the same rows: no clock, no chance, no
//! I/O, and no order but that of keys. Rows that say what was *decided* are never taken back; an
//! output that says what *is* (the estimated state) holds a row a key, which goes when another
//! comes ([`Kernel::step_changing`]).
//!
//! # Bounds
//!
//! A kernel's tables hold what its views hold; what it remembers beside them names its own bound.
//!
//! # Memory
//!
//! [`Kernel::save`] holds what cannot be derived again: after a restart the views' rows come again
//! as changes. It is one JSON text a key (a feeder), so that a restart with another number of
//! workers hands each key to the worker that judges it. The texts are read by the version that
//! wrote them only.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use schemas::relation::Relation;
use schemas::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::RestoreError;

/// One view that a kernel reads.
#[derive(Clone, Debug)]
pub struct InputSpec {
    /// The view's name.
    pub view: &'static str,
    /// The columns that are read; a view may have more of them and in another order.
    pub schema: SchemaRef,
    /// The column whose value decides which worker judges a row; [`ONE_PLACE`]: all come to one.
    pub key: &'static str,
}

/// The key of an input whose rows are all judged in one place.
pub const ONE_PLACE: &str = "";

impl InputSpec {
    /// The columns of relation `R`, from the view of its name, routed by feeder.
    pub fn by_feeder<R: Relation>() -> InputSpec {
        InputSpec { view: R::NAME, schema: R::schema(), key: "feeder_id" }
    }

    /// The same, all in one place.
    pub fn in_one_place<R: Relation>() -> InputSpec {
        InputSpec { view: R::NAME, schema: R::schema(), key: ONE_PLACE }
    }
}

/// One relation that a kernel gives.
#[derive(Clone, Debug)]
pub struct OutputSpec {
    /// The relation's name.
    pub relation: &'static str,
    /// Its columns.
    pub schema: SchemaRef,
}

impl OutputSpec {
    /// The output of relation `R`.
    pub fn of<R: Relation>() -> OutputSpec {
        OutputSpec { relation: R::NAME, schema: R::schema() }
    }
}

/// What changed in one input at one tick.
#[derive(Clone, Debug)]
pub struct Change {
    /// The rows, in row order, each once.
    pub batch: RecordBatch,
    /// How often each row came (positive) or went (negative); never 0.
    pub diffs: Vec<i64>,
}

impl Change {
    /// No change of an input of these columns.
    pub fn none(schema: SchemaRef) -> Change {
        Change { batch: RecordBatch::new_empty(schema), diffs: Vec::new() }
    }

    /// These rows with their differences.
    pub fn of<R: Relation>(rows: &[R], diffs: Vec<i64>) -> Change {
        assert_eq!(rows.len(), diffs.len(), "one difference a row");
        Change { batch: R::to_batch(rows), diffs }
    }

    /// These rows came, and none went.
    pub fn came(batch: RecordBatch) -> Change {
        let diffs = vec![1; batch.num_rows()];
        Change { batch, diffs }
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.diffs.is_empty()
    }

    /// The rows with their differences.
    pub fn rows<R: Relation>(&self) -> impl Iterator<Item = (R, i64)> {
        let rows = R::from_batch(&self.batch).expect("the host gives the declared columns");
        rows.into_iter().zip(self.diffs.iter().copied())
    }

    /// The rows that came: for inputs whose rows are happenings, which nobody takes back.
    pub fn events<R: Relation>(&self) -> impl Iterator<Item = R> {
        self.of_sign(|diff| diff > 0)
    }

    /// The rows that went.
    pub fn gone<R: Relation>(&self) -> impl Iterator<Item = R> {
        self.of_sign(|diff| diff < 0)
    }

    fn of_sign<R: Relation>(&self, is: fn(i64) -> bool) -> impl Iterator<Item = R> {
        let rows = (0..self.diffs.len()).filter(|row| is(self.diffs[*row]));
        R::from_rows(&self.batch, rows).expect("the host gives the declared columns").into_iter()
    }
}

/// What a kernel remembers, by key.
pub type Memory = BTreeMap<String, Vec<u8>>;

/// Judgement, and nothing else.
pub trait Kernel {
    /// The views it reads.
    fn inputs(&self) -> Vec<InputSpec>;

    /// The relations it gives.
    fn outputs(&self) -> Vec<OutputSpec>;

    /// Advances to tick `at` with one change an input, and gives one batch an output: the rows of
    /// this tick.
    fn step(&mut self, at: Timestamp, changes: &[Change]) -> Vec<RecordBatch>;

    /// As [`Kernel::step`], with what goes: for outputs whose rows are a state. It is this that the
    /// host calls; a kernel has one of the two to write.
    fn step_changing(&mut self, at: Timestamp, changes: &[Change]) -> Vec<Change> {
        self.step(at, changes).into_iter().map(Change::came).collect()
    }

    /// Whether it must be stepped at every tick, also where nothing changed: it acts on time alone.
    fn needs_every_tick(&self) -> bool;

    /// What it remembers and could not derive again.
    fn save(&self) -> Memory;

    /// Takes back what was saved; keys that it holds already are replaced.
    ///
    /// # Errors
    /// A text that is not of this version.
    fn restore(&mut self, memory: &Memory) -> Result<(), RestoreError>;
}

/// The memory of a kernel that keeps one value a key.
pub fn save_by_key<M: Serialize>(memory: &BTreeMap<String, M>) -> Memory {
    let text = |m: &M| serde_json::to_vec(m).expect("memory is plain numbers, texts and lists");
    memory.iter().map(|(key, m)| (key.clone(), text(m))).collect()
}

/// The reverse of [`save_by_key`], into `memory`.
///
/// # Errors
/// A text that does not hold an `M`.
pub fn restore_by_key<M: DeserializeOwned>(
    memory: &mut BTreeMap<String, M>,
    saved: &Memory,
) -> Result<(), RestoreError> {
    for (key, text) in saved {
        let value = serde_json::from_slice(text);
        let value = value.map_err(|source| RestoreError { key: key.clone(), source })?;
        memory.insert(key.clone(), value);
    }
    Ok(())
}
