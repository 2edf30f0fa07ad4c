//! Feeder cost: 10,000 meters on 100 feeders in 5 zones, 100 ticks of one reading a meter, priced
//! by zone.
//!
//! The workload and one digest, so that four ways of computing the view can be held against each
//! other: the SQL text maintained by the engine, the same with its tables as lookups, the same
//! written by hand in differential dataflow with typed structs (the ceiling), and the SQL text
//! asked once in batch DataFusion.

pub mod batch;
pub mod by_hand;
pub mod planned;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Float64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use schemas::catalog::Catalog;
use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::event::MeterReading;
use schemas::reference::Feeder;
use schemas::reference::Meter;
use schemas::relation::Relation;
use schemas::time::Timestamp;

/// Meters.
pub const METERS: usize = 10_000;
/// Feeders.
pub const FEEDERS: usize = 100;
/// Price zones.
pub const ZONES: usize = 5;
/// Ticks.
pub const TICKS: u64 = 100;
/// The seed of all readings.
pub const SEED: u64 = 88_172_645_463_325_252;

/// The view.
pub const SQL: &str = "
SELECT l.feeder_id, l.bin_at, l.kw, l.n, l.kw * p.price AS cost
FROM (SELECT m.feeder_id, f.zone_id, date_bin(INTERVAL '5 seconds', r.measured_at) AS bin_at,
             sum(r.active_power_kw) AS kw, count(*) AS n
      FROM meter_readings r JOIN meters m USING (meter_id) JOIN feeders f USING (feeder_id)
      GROUP BY 1, 2, 3) l
JOIN price_latest p USING (zone_id)";

/// The same with the tables looked up: a reading meets them as they are known when it comes.
pub const SQL_LOOKUP: &str = "
SELECT l.feeder_id, l.bin_at, l.kw, l.n, l.kw * p.price AS cost
FROM (SELECT m.feeder_id, f.zone_id, date_bin(INTERVAL '5 seconds', r.measured_at) AS bin_at,
             sum(r.active_power_kw) AS kw, count(*) AS n
      FROM meter_readings r
      JOIN meters FOR SYSTEM_TIME AS OF now() m ON m.meter_id = r.meter_id
      JOIN feeders FOR SYSTEM_TIME AS OF now() f ON f.feeder_id = m.feeder_id
      GROUP BY 1, 2, 3) l
JOIN price_latest p USING (zone_id)";

/// One variant of the workload.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Milliseconds between two readings of a meter.
    pub step_ms: u64,
    /// All zones change their price each tick, not one.
    pub all_prices: bool,
}

/// The variants that are measured.
pub const VARIANTS: [Variant; 4] = [
    Variant { step_ms: 1_000, all_prices: false },
    Variant { step_ms: 5_000, all_prices: false },
    Variant { step_ms: 1_000, all_prices: true },
    Variant { step_ms: 5_000, all_prices: true },
];

/// The epoch of the workload.
pub const BEGIN_MS: u64 = 1_472_601_600_000;

/// Readings, made ahead of the measurement.
pub struct Workload {
    /// The variant.
    pub variant: Variant,
    /// One batch a tick.
    pub readings: Vec<RecordBatch>,
    /// The price of each zone at each tick.
    pub prices: Vec<[f64; ZONES]>,
}

/// A meter's identifier.
pub fn meter_id(meter: usize) -> String {
    format!("m{meter:06}")
}

/// A feeder's identifier.
pub fn feeder_id(feeder: usize) -> String {
    format!("f{feeder:04}")
}

/// A zone's identifier.
pub fn zone_id(zone: usize) -> String {
    format!("z{zone}")
}

/// The columns of `price_latest`.
pub fn price_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("zone_id", DataType::Utf8, false),
        Field::new("price", DataType::Float64, false),
    ]))
}

/// Rows of `price_latest`.
pub fn price_batch(rows: &[(usize, f64)]) -> RecordBatch {
    let zones = StringArray::from_iter_values(rows.iter().map(|(zone, _)| zone_id(*zone)));
    let prices = Float64Array::from_iter_values(rows.iter().map(|(_, price)| *price));
    let columns: Vec<ArrayRef> = vec![Arc::new(zones), Arc::new(prices)];
    RecordBatch::try_new(price_schema(), columns).expect("columns of the schema")
}

/// The relations of the workload.
pub fn catalog() -> Catalog {
    let mut catalog = Catalog::built_in();
    let info = RelationInfo { schema: price_schema(), kind: RelationKind::Table };
    catalog.add("price_latest", info);
    catalog
}

/// The meters.
pub fn meters() -> RecordBatch {
    let meter = |i: usize| Meter {
        meter_id: meter_id(i),
        bus_id: format!("b{i:06}"),
        feeder_id: feeder_id(i % FEEDERS),
        origin: "measured".to_owned(),
    };
    Meter::to_batch(&(0..METERS).map(meter).collect::<Vec<_>>())
}

/// The feeders.
pub fn feeders() -> RecordBatch {
    let feeder = |i: usize| Feeder {
        feeder_id: feeder_id(i),
        zone_id: zone_id(i % ZONES),
        head_branch_id: format!("h{i:04}"),
        limit_kw: 1_000.0,
    };
    Feeder::to_batch(&(0..FEEDERS).map(feeder).collect::<Vec<_>>())
}

impl Workload {
    /// The workload of a variant. Readings are multiples of 2^-10 kW, so that every way of summing
    /// them is exact.
    pub fn new(variant: Variant) -> Workload {
        let mut state = SEED;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut readings = Vec::new();
        let mut prices: Vec<[f64; ZONES]> = Vec::new();
        for tick in 0..TICKS {
            let reading = |meter: usize| MeterReading {
                meter_id: meter_id(meter),
                measured_at: Timestamp(BEGIN_MS + tick * variant.step_ms),
                active_power_kw: (next() % 8_000) as f64 / 1_024.0,
                energy_import_kwh: None,
                energy_export_kwh: None,
                quality: "good".to_owned(),
                revision: 0,
            };
            let rows: Vec<MeterReading> = (0..METERS).map(reading).collect();
            readings.push(MeterReading::to_batch(&rows));
            let mut price = prices.last().copied().unwrap_or([32.0; ZONES]);
            for (zone, price) in price.iter_mut().enumerate() {
                if tick == 0 || variant.all_prices || tick as usize % ZONES == zone {
                    *price = 30.0 + ((tick * 37 + zone as u64 * 11) % 900) as f64 / 8.0;
                }
            }
            prices.push(price);
        }
        Workload { variant, readings, prices }
    }

    /// Readings in all.
    pub fn len(&self) -> usize {
        METERS * TICKS as usize
    }

    /// Never: a workload has readings.
    pub fn is_empty(&self) -> bool {
        self.readings.is_empty()
    }

    /// The zones whose price changed at a tick, with the old price if there was one and the new
    /// one.
    pub fn changes(&self, tick: usize) -> Vec<(usize, Option<f64>, f64)> {
        let old = |zone: usize| tick.checked_sub(1).map(|before| self.prices[before][zone]);
        (0..ZONES)
            .map(|zone| (zone, old(zone), self.prices[tick][zone]))
            .filter(|(_, old, new)| *old != Some(*new))
            .collect()
    }
}

/// An order-independent digest of result rows.
pub fn digest_row(feeder: usize, bin_ms: i64, kw: f64, n: i64, cost: f64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for word in [feeder as u64, bin_ms as u64, kw.to_bits(), n as u64, cost.to_bits()] {
        for byte in word.to_le_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

/// The digest of a batch of result rows.
pub fn digest(batch: &RecordBatch) -> u64 {
    use arrow::array::AsArray;
    use arrow::datatypes::Float64Type;
    use arrow::datatypes::Int64Type;
    use arrow::datatypes::TimestampMillisecondType;
    let feeders = batch.column(0).as_string::<i32>();
    let bins = batch.column(1).as_primitive::<TimestampMillisecondType>();
    let kw = batch.column(2).as_primitive::<Float64Type>();
    let n = batch.column(3).as_primitive::<Int64Type>();
    let cost = batch.column(4).as_primitive::<Float64Type>();
    (0..batch.num_rows())
        .map(|row| {
            let feeder = feeders.value(row)[1..].parse().expect("a feeder of ours");
            digest_row(feeder, bins.value(row), kw.value(row), n.value(row), cost.value(row))
        })
        .fold(0, u64::wrapping_add)
}

/// What one way of computing the view took.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Measured {
    /// Readings per processor-second of the whole process.
    pub readings_per_cpu_second: f64,
    /// Median processor time of a tick in ms.
    pub tick_p50_ms: f64,
    /// 99th percentile of the processor time of a tick in ms.
    pub tick_p99_ms: f64,
    /// Settled live heap per reading in bytes.
    pub state_bytes_per_reading: f64,
    /// Consolidated changes put out.
    pub changes: u64,
    /// The digest of the final rows.
    pub digest: u64,
}
