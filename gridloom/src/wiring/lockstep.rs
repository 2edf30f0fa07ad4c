//! The plant and an instance hand in hand: one tick in flight, each waiting for the other.
//!
//! The plant's mark closes each tick; what it delays arrives later as a correction. Setpoints take
//! the same way out as everywhere (audit, sync, outbox, sink); only the sink is in this process.
//! With the same seed, two runs write the same log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use arrow::array::RecordBatch;
use connectors::error::ConnectorError;
use connectors::simulator::Plant;
use connectors::simulator::PlantStep;
use connectors::simulator::STREAMS;
use connectors::simulator::Truth;
use connectors::sink::Sink;
use connectors::source::Fetched;
use connectors::source::PartitionId;
use connectors::source::Polled;
use connectors::source::Position;
use pipeline::emit::outbox::Outbox;
use pipeline::instance::Done;
use pipeline::instance::Instance;
use pipeline::instance::InstanceError;
use pipeline::instance::InstanceSettings;
use pipeline::instance::Parts;
use schemas::catalog::Catalog;
use schemas::event::Setpoint;
use schemas::relation::Relation;
use schemas::time::Timestamp;

use pipeline::flow::Flow;

/// The name of the plant as a source.
const SOURCE: &str = "plant";

/// How often it is looked for wishes while nothing else happens.
const LOOK: Duration = Duration::from_millis(20);

/// How long to wait for a tick before looking whether the dataflow lives.
const WAIT: Duration = Duration::from_secs(1);

/// Setpoints on their way from the outbox to the plant.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Vec<Setpoint>>>);

impl Wire {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Setpoint>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Wire {
    fn name(&self) -> &str {
        "plant"
    }

    fn send(&mut self, rows: &RecordBatch) -> Result<(), ConnectorError> {
        let rows = Setpoint::from_batch(rows).expect("the outbox sends setpoints");
        self.lock().extend(rows);
        Ok(())
    }

    fn mark(&mut self, _: Timestamp) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn tail(&mut self, _: usize) -> Result<RecordBatch, ConnectorError> {
        Ok(Setpoint::to_batch(&[]))
    }
}

/// A plant and the instance that runs it.
pub struct Lockstep {
    plant: Plant,
    instance: Instance,
    wire: Wire,
    control: bool,

    positions: BTreeMap<&'static str, Position>,
}

/// One tick of both.
pub struct Stepped {
    /// What the instance did.
    pub done: Done,
    /// What really was in the plant.
    pub truth: Truth,
}

impl Lockstep {
    /// Opens an instance around a plant; without `control` its setpoints are decided but not handed
    /// over.
    ///
    /// # Errors
    /// The instance cannot be opened.
    pub fn open(
        settings: InstanceSettings,
        plant: Plant,
        flow: Flow,
        catalog: Catalog,
        control: bool,
    ) -> Result<Lockstep, InstanceError> {
        let wire = Wire::default();
        let parts = Parts {
            flow,
            catalog,
            tables: super::bundled::tables(&plant),
            partitions: STREAMS.iter().map(|s| (PartitionId::new(SOURCE, s), 0)).collect(),
            stated: BTreeMap::new(),
            indexes: Vec::new(),
            outbox: Some(Outbox::new(Box::new(wire.clone()))),
            hook: None,
        };
        let instance = Instance::open(settings, parts)?;
        let positions = STREAMS.iter().map(|stream| (*stream, 0)).collect();
        Ok(Lockstep { plant, instance, wire, control, positions })
    }

    /// The plant.
    pub fn plant(&self) -> &Plant {
        &self.plant
    }

    /// The instance.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// One step of the plant and the tick it makes.
    ///
    /// # Errors
    /// The instance stops.
    pub fn step(&mut self) -> Result<Stepped, InstanceError> {
        let setpoints = std::mem::take(&mut *self.wire.lock());
        let setpoints = if self.control { setpoints } else { Vec::new() };
        let step = self.plant.step(self.plant.next_at(), &setpoints);
        self.give(&step);
        loop {
            if let Some(done) = self.instance.turn(WAIT)?.pop() {
                return Ok(Stepped { done, truth: step.truth });
            }
        }
    }

    /// Lets `pause` pass between two steps: who reads or changes views is served meanwhile.
    ///
    /// # Errors
    /// The instance stops.
    pub fn rest(&mut self, pause: Duration) -> Result<(), InstanceError> {
        let end = Instant::now() + pause;
        loop {
            self.instance.turn(Duration::ZERO)?;
            self.instance.note_status();
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    fn give(&mut self, step: &PlantStep) {
        for (stream, rows) in STREAMS.into_iter().zip(step.rows()) {
            let partition = PartitionId::new(SOURCE, stream);
            let position = self.positions.entry(stream).or_default();
            let count = rows.num_rows() as Position;
            if count > 0 {
                let rows = Fetched::of_rows(partition.clone(), stream, rows, *position);
                *position += count;
                self.instance.take(Polled::Batch(rows));
            }
            *position += 1;
            let mark = Polled::Mark { partition, at: step.at, position: *position };
            self.instance.take(mark);
        }
    }

    /// Ends the instance cleanly; the plant is gone.
    ///
    /// # Errors
    /// The log or the file system refused.
    pub fn stop(self) -> Result<schemas::audit::Head, InstanceError> {
        self.instance.stop()
    }
}
