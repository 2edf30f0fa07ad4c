//! The SQL text asked once in batch DataFusion, over everything: what a recomputation costs.

use std::collections::BTreeMap;

use queries::batch::Rows;
use schemas::event::MeterReading;
use schemas::reference::Feeder;
use schemas::reference::Meter;
use schemas::relation::Relation;
use schemas::time::Timestamp;

use super::Measured;
use super::SQL;
use super::Workload;
use super::digest;
use super::feeders;
use super::meters;
use super::price_batch;
use crate::meter::cpu_seconds;

/// Asks for the view after the last tick.
pub fn run(workload: &Workload) -> Measured {
    let last = workload.prices.last().expect("there are ticks");
    let prices: Vec<(usize, f64)> = last.iter().copied().enumerate().collect();
    let readings = Rows { schema: MeterReading::schema(), batches: workload.readings.clone() };
    let tables = BTreeMap::from([
        (MeterReading::NAME.to_owned(), readings),
        (Meter::NAME.to_owned(), Rows::of(meters())),
        (Feeder::NAME.to_owned(), Rows::of(feeders())),
        ("price_latest".to_owned(), Rows::of(price_batch(&prices))),
    ]);
    let begin = cpu_seconds();
    let rows = queries::batch::query(&tables, SQL, Timestamp(0)).expect("DataFusion runs it");
    let took = cpu_seconds() - begin;
    Measured {
        readings_per_cpu_second: workload.len() as f64 / took,
        tick_p50_ms: f64::NAN,
        tick_p99_ms: f64::NAN,
        state_bytes_per_reading: f64::NAN,
        changes: rows.num_rows() as u64,
        digest: digest(&rows),
    }
}
