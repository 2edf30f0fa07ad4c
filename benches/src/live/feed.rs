//! Readings, made so cheaply that making them is not what is measured: the columns that do not
//! change are made once and shared.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::Float64Array;
use arrow::array::RecordBatch;
use arrow::array::TimestampMillisecondArray;
use connectors::source::Fetched;
use connectors::source::PartitionId;
use connectors::source::Polled;
use connectors::source::Position;
use pipeline::instance::Instance;
use schemas::event::MeterReading;
use schemas::relation::Relation;
use schemas::relation::timestamp_type;
use schemas::time::Timestamp;

use super::STEP_MS;
use crate::feeder_cost::BEGIN_MS;
use crate::feeder_cost::METERS;
use crate::feeder_cost::SEED;
use crate::feeder_cost::meter_id;

/// The only partition.
pub fn partition() -> PartitionId {
    PartitionId::new("meters", 0)
}

/// Readings of all meters, so many of each a second.
pub struct Feed {
    template: RecordBatch,
    /// Powers of which each second takes a stretch.
    powers: Float64Array,
    /// Milliseconds into the second of each reading.
    offsets: Vec<i64>,
    /// Seconds that were given.
    given: u64,
}

impl Feed {
    /// `each` readings of a meter a second.
    pub fn new(each: usize) -> Feed {
        let rows = METERS * each;
        let reading = |n: usize| MeterReading {
            meter_id: meter_id(n % METERS),
            measured_at: Timestamp(BEGIN_MS),
            active_power_kw: 0.0,
            energy_import_kwh: None,
            energy_export_kwh: None,
            quality: "good".to_owned(),
            revision: 0,
        };
        let template = MeterReading::to_batch(&(0..rows).map(reading).collect::<Vec<_>>());
        let mut state = SEED;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % 8_000) as f64 / 1_024.0
        };
        let powers = (0..2 * rows).map(|_| next()).collect();
        let offset = |n: usize| (n / METERS) as i64 * STEP_MS as i64 / each as i64;
        Feed { template, powers, offsets: (0..rows).map(offset).collect(), given: 0 }
    }

    /// Readings a second.
    pub fn rows(&self) -> usize {
        self.offsets.len()
    }

    /// Readings that were given.
    pub fn taken(&self) -> usize {
        self.given as usize * self.rows()
    }

    /// Gives the instance the next second, and the word that it is over.
    pub fn give(&mut self, instance: &mut Instance) -> Timestamp {
        let from = BEGIN_MS + self.given * STEP_MS;
        let first = (self.given as usize * self.rows()) as Position;
        let rows = self.rows();
        let times = self.offsets.iter().map(|ms| from as i64 + ms);
        let times = TimestampMillisecondArray::from_iter_values(times);
        let times = times.with_data_type(timestamp_type());
        let powers = self.powers.slice((self.given as usize * 7_919) % rows, rows);
        let schema = self.template.schema();
        let columns = schema.fields().iter().zip(self.template.columns());
        let columns = columns.map(|(field, column)| match field.name().as_str() {
            "measured_at" => Arc::new(times.clone()) as ArrayRef,
            "active_power_kw" => Arc::new(powers.clone()) as ArrayRef,
            _ => column.clone(),
        });
        let batch = RecordBatch::try_new(schema.clone(), columns.collect());
        let batch = batch.expect("columns of the schema");
        let fetched = Fetched::of_rows(partition(), MeterReading::NAME, batch, first);
        instance.take(Polled::Batch(fetched));
        self.given += 1;
        let at = Timestamp(from + STEP_MS);
        let position = first + rows as Position;
        instance.take(Polled::Mark { partition: partition(), at, position });
        at
    }
}
