//! Extremes: the least and the greatest reading of each group, under readings that come and go.
//!
//! The workload and one digest, so that three ways of maintaining the view can be held against each
//! other: the SQL text planned and rendered by the engine, which keeps a group's readings in order;
//! by hand in differential dataflow with one reduce, which looks at all readings of a group that
//! changes; and by hand with a hierarchy of reduces over hashed buckets, as Materialize does it.
//!
//! A change takes one reading away and brings another to the same group. Every other one that goes
//! is the least or the greatest of its group: that is when the next one must be found.

pub mod by_hand;
pub mod planned;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Int64Type;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;

use crate::meter::live_bytes;
use crate::meter::quantile;

/// The seed of all readings.
pub const SEED: u64 = 88_172_645_463_325_252;

/// The relation.
pub const RELATION: &str = "samples";

/// The view.
pub const SQL: &str = "
SELECT group_id, min(reading) AS least, max(reading) AS greatest FROM samples GROUP BY group_id";

/// One variant of the workload.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Groups.
    pub groups: usize,
    /// Readings of each.
    pub readings: usize,
    /// Readings that go in a batch, and as many that come.
    pub changes: usize,
    /// Batches.
    pub batches: usize,
}

const fn variant(groups: usize, readings: usize, changes: usize, batches: usize) -> Variant {
    Variant { groups, readings, changes, batches }
}

/// The variants that are measured: a million readings in few groups and in many, with small batches
/// and with large ones.
pub const VARIANTS: [Variant; 4] = [
    variant(10, 100_000, 50, 100),
    variant(10, 100_000, 5_000, 100),
    variant(100_000, 10, 50, 100),
    variant(100_000, 10, 5_000, 100),
];

/// Small ones, for `cargo test`; where a group has two readings they are often equal.
pub const SMOKE: [Variant; 2] = [variant(3, 2_000, 25, 20), variant(300, 2, 25, 20)];

/// The columns of the relation.
pub fn schema() -> SchemaRef {
    let fields = ["group_id", "reading"].map(|name| Field::new(name, DataType::Int64, false));
    Arc::new(Schema::new(fields.to_vec()))
}

/// What comes and goes in a batch.
pub struct Changes {
    /// Group and reading.
    pub rows: RecordBatch,
    /// 1 for each that comes and −1 for each that goes.
    pub diffs: Arc<[i64]>,
}

impl Changes {
    fn new(changes: &[(i64, i64, i64)]) -> Changes {
        let groups = Int64Array::from_iter_values(changes.iter().map(|(group, _, _)| *group));
        let readings = Int64Array::from_iter_values(changes.iter().map(|(_, reading, _)| *reading));
        let columns: Vec<ArrayRef> = vec![Arc::new(groups), Arc::new(readings)];
        let rows = RecordBatch::try_new(schema(), columns).expect("columns of the schema");
        Changes { rows, diffs: changes.iter().map(|(_, _, diff)| *diff).collect() }
    }

    /// Group, reading and difference of each.
    fn each(&self) -> impl Iterator<Item = (i64, i64, i64)> {
        let groups = self.rows.column(0).as_primitive::<Int64Type>();
        let readings = self.rows.column(1).as_primitive::<Int64Type>();
        let change = move |n: usize| (groups.value(n), readings.value(n), self.diffs[n]);
        (0..self.rows.num_rows()).map(change)
    }
}

/// Changes, made ahead of the measurement.
pub struct Workload {
    /// The variant.
    pub variant: Variant,
    /// All readings that there are at first, then the batches.
    pub batches: Vec<Changes>,

    /// The digest of the right rows after each of them.
    digests: Vec<u64>,
}

impl Workload {
    /// The workload of a variant.
    pub fn new(variant: Variant) -> Workload {
        let mut maker = Maker::new(variant);
        for group in 0..variant.groups {
            (0..variant.readings).for_each(|_| maker.come(group));
        }
        maker.close();
        for _ in 0..variant.batches {
            for _ in 0..variant.changes {
                let group = maker.below(variant.groups as u64) as usize;
                maker.go(group);
                maker.come(group);
            }
            maker.close();
        }
        let Maker { batches, digests, .. } = maker;
        Workload { variant, batches, digests }
    }
}

/// Makes a workload, with what is right beside it.
struct Maker {
    state: u64,
    /// Readings are below this: some of a group are equal.
    range: u64,
    groups: Vec<BTreeMap<i64, u64>>,
    /// The digest of each group's row, and of all.
    shown: Vec<u64>,
    digest: u64,
    open: Vec<(i64, i64, i64)>,

    batches: Vec<Changes>,
    digests: Vec<u64>,
}

impl Maker {
    fn new(variant: Variant) -> Maker {
        Maker {
            state: SEED,
            range: 8 * variant.readings as u64,
            groups: vec![BTreeMap::new(); variant.groups],
            shown: vec![0; variant.groups],
            digest: 0,
            open: Vec::new(),
            batches: Vec::new(),
            digests: Vec::new(),
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % bound
    }

    /// Brings a reading.
    fn come(&mut self, group: usize) {
        let reading = self.below(self.range) as i64;
        *self.groups[group].entry(reading).or_default() += 1;
        self.open.push((group as i64, reading, 1));
    }

    /// Takes one away: by chance the least, the greatest or, as often as both, any other.
    fn go(&mut self, group: usize) {
        let (which, from) = (self.below(4), self.below(self.range) as i64);
        let held = &mut self.groups[group];
        let (least, greatest) = extremes(held);
        let reading = match which {
            0 => least,
            1 => greatest,
            _ => held.range(from..).next().map_or(least, |(reading, _)| *reading),
        };
        let count = held.get_mut(&reading).expect("it is one of those held");
        *count -= 1;
        if *count == 0 {
            held.remove(&reading);
        }
        self.open.push((group as i64, reading, -1));
    }

    /// Ends a batch.
    fn close(&mut self) {
        let touched: BTreeSet<usize> = self.open.iter().map(|(g, _, _)| *g as usize).collect();
        for group in touched {
            let (least, greatest) = extremes(&self.groups[group]);
            let now = digest_row((group as i64, least, greatest));
            self.digest = self.digest.wrapping_sub(self.shown[group]).wrapping_add(now);
            self.shown[group] = now;
        }
        self.digests.push(self.digest);
        self.batches.push(Changes::new(&self.open));
        self.open.clear();
    }
}

/// The least and the greatest of a group.
fn extremes(held: &BTreeMap<i64, u64>) -> (i64, i64) {
    let least = held.first_key_value().expect("what goes is followed by what comes");
    let greatest = held.last_key_value().expect("there is a first");
    (*least.0, *greatest.0)
}

/// A row of the view: group, least, greatest.
type Row = (i64, i64, i64);

/// The digest of a row; those of all rows are added up, so that their order does not matter.
fn digest_row((group, least, greatest): Row) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for word in [group, least, greatest] {
        for byte in word.to_le_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

/// What one way of maintaining the view took.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Measured {
    /// Readings that come or go per processor-second of the whole process, after the load.
    pub changes_per_cpu_second: f64,
    /// Processor time of the load in ms.
    pub load_ms: f64,
    /// Median processor time of a batch in ms.
    pub batch_p50_ms: f64,
    /// 99th percentile of the processor time of a batch in ms.
    pub batch_p99_ms: f64,
    /// Live heap at the end per reading that is held, in bytes.
    pub state_bytes_per_reading: f64,
    /// Changes of rows that were put out after the load.
    pub said: u64,
    /// The digest of the rows at the end.
    pub digest: u64,
}

/// A run over a workload, batch by batch.
struct Run<'a> {
    workload: &'a Workload,
    how: &'static str,
    /// Live heap before the load.
    before: usize,

    /// Processor time of the load and of each batch, in seconds.
    took: Vec<f64>,
    said: u64,
    digest: u64,
}

impl<'a> Run<'a> {
    /// Begins a run, with everything built and nothing fed.
    fn new(workload: &'a Workload, how: &'static str) -> Run<'a> {
        let took = Vec::with_capacity(workload.batches.len());
        Run { workload, how, before: live_bytes(), took, said: 0, digest: 0 }
    }

    /// Takes what a batch took and what it changed of the view's rows, which must be right then.
    fn batch(&mut self, took: f64, changed: impl Iterator<Item = (Row, i64)>) {
        let batch = self.took.len();
        for (row, diff) in changed {
            self.digest = self.digest.wrapping_add(digest_row(row).wrapping_mul(diff as u64));
            self.said += u64::from(batch > 0);
        }
        let (how, variant) = (self.how, self.workload.variant);
        let right = self.workload.digests[batch];
        assert_eq!(self.digest, right, "{how} after batch {batch} of {variant:?}");
        self.took.push(took);
    }

    /// Ends a run, with everything still there that the way keeps.
    fn end(self) -> Measured {
        let kept = live_bytes() as f64 - self.before as f64;
        let Variant { groups, readings, changes, batches } = self.workload.variant;
        let (load, later) = self.took.split_first().expect("the load comes first");
        let ms: Vec<f64> = later.iter().map(|seconds| seconds * 1e3).collect();
        Measured {
            changes_per_cpu_second: (2 * changes * batches) as f64 / later.iter().sum::<f64>(),
            load_ms: load * 1e3,
            batch_p50_ms: quantile(&ms, 0.5),
            batch_p99_ms: quantile(&ms, 0.99),
            state_bytes_per_reading: kept / (groups * readings) as f64,
            said: self.said,
            digest: self.digest,
        }
    }
}
