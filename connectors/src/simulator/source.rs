//! The village as a source: all its streams as partitions, without a broker and without a file.
//!
//! For trying an instance before there is a grid to connect it to. What is given is what the
//! village says when nobody controls it: a source takes no setpoints, so what an instance decides
//! is written down and changes nothing. `gridloom plant` is the village that obeys.
//!
//! # Positions
//!
//! A partition is a stream, a position a step and a record within it: `step << 20 | record`. Behind
//! the last record of each step stands its mark, so the first record of step *n* is at `n << 20`.
//! Positions mean the same record for ever, since the village is a function of its seed and its
//! start; to go on at one, it lives again up to there. A day takes seconds.
//!
//! # Pace
//!
//! With a `speed`, a step is given when it is over: the first step asked for anchors the village's
//! time to the clock. Records that the village's own link delays come with the step in which they
//! arrive; every record's arrival is the end of that step.
//!
//! # Bounds
//!
//! The last [`RECENT_STEPS`] steps are kept. A partition that is held while others go on by more
//! than that is read again from the beginning when it is wanted.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

use arrow_array::RecordBatch;
use schemas::time::Clock;
use schemas::time::Timestamp;

use crate::error::ConnectorError;
use crate::simulator::config::SimulatorConfig;
use crate::simulator::plant::Plant;
use crate::simulator::plant::PlantStep;
use crate::simulator::streams::STREAMS;
use crate::source::Fetched;
use crate::source::Guarantee;
use crate::source::PartitionId;
use crate::source::Polled;
use crate::source::Position;
use crate::source::Source;

/// Steps that are kept for partitions that lag: twice what an engine lets one be ahead of another.
const RECENT_STEPS: usize = 24;

/// Bits of a position that number the records of a step.
const RECORD_BITS: u32 = 20;

/// The first position of a step.
fn first_of(step: u64) -> Position {
    (step << RECORD_BITS) as Position
}

/// The step of a position, and the record within it.
fn split(position: Position) -> (u64, usize) {
    let position = position.max(0) as u64;
    (position >> RECORD_BITS, (position & ((1 << RECORD_BITS) - 1)) as usize)
}

/// A step as it is given.
struct Lived {
    number: u64,
    at: Timestamp,
    rows: [RecordBatch; STREAMS.len()],
}

/// One stream of the village.
struct Part {
    id: PartitionId,
    next: Position,
    ended: bool,
}

/// A simulated village as a source.
pub struct SimulatorSource {
    name: String,
    speed: Option<f64>,
    clock: Clock,
    /// The village before its first step.
    start: Plant,
    /// How many steps it lives; what is then still on its way follows as one more.
    steps: u64,
    /// [`RECENT_STEPS`]; tests make do with fewer.
    pub(super) recent_steps: usize,

    plant: Plant,
    recent: VecDeque<Lived>,
    /// The number of the step that the village lives next.
    coming: u64,
    parts: Vec<Part>,
    held: BTreeSet<PartitionId>,
    /// The clock and the step that belong together, once a step was given.
    anchor: Option<(Timestamp, u64)>,
}

impl SimulatorSource {
    /// The village at its first step.
    pub fn open(name: &str, config: &SimulatorConfig, start: Plant, clock: Clock) -> Self {
        let step_ms = start.config().step_ms;
        let begin_at = start.next_at().minus(step_ms);
        let whole = start.ends_at().millis().saturating_sub(begin_at.millis()) / step_ms;
        let part =
            |stream: &str| Part { id: PartitionId::new(name, stream), next: 0, ended: false };
        SimulatorSource {
            name: name.to_owned(),
            speed: config.speed,
            clock,
            steps: config.steps.unwrap_or(whole).min(whole),
            recent_steps: RECENT_STEPS,
            plant: start.clone(),
            start,
            recent: VecDeque::new(),
            coming: 0,
            parts: STREAMS.into_iter().map(part).collect(),
            held: BTreeSet::new(),
            anchor: None,
        }
    }

    /// The partition that is furthest behind of those that are wanted.
    fn furthest_behind(&self) -> Option<usize> {
        let wanted = |part: &&Part| !part.ended && !self.held.contains(&part.id);
        let parts = self.parts.iter().enumerate().filter(|(_, part)| wanted(part));
        parts.min_by_key(|(at, part)| (split(part.next).0, *at)).map(|(at, _)| at)
    }

    /// Lives until `step` is among the recent ones; `false` if it is not so far within `wait`.
    /// Each call gets on by a step at least, unless it must wait for one to be over.
    fn reach(&mut self, step: u64, wait: Duration) -> bool {
        let began = Instant::now();
        if self.recent.front().map_or(self.coming, |oldest| oldest.number) > step {
            self.plant = self.start.clone();
            self.recent.clear();
            self.coming = 0;
        }
        while self.coming <= step {
            let missing = self.missing(self.coming, step);
            if !missing.is_zero() {
                std::thread::sleep(missing.min(wait.saturating_sub(began.elapsed())));
                if !self.missing(self.coming, step).is_zero() {
                    return false;
                }
            }
            self.live();
            if self.coming <= step && began.elapsed() >= wait {
                return false;
            }
        }
        true
    }

    /// How long until the step is over; nothing for one that is only lived again on the way to
    /// `wanted`.
    fn missing(&mut self, step: u64, wanted: u64) -> Duration {
        let Some(speed) = self.speed.filter(|_| step == wanted) else { return Duration::ZERO };
        let now = self.clock.now();
        let (wall, first) = *self.anchor.get_or_insert((now, step));
        let due_ms = (step.saturating_sub(first) * self.start.config().step_ms) as f64 / speed;
        let passed_ms = now.millis().saturating_sub(wall.millis()) as f64;
        Duration::from_millis((due_ms - passed_ms).max(0.0).ceil() as u64)
    }

    /// Lives one step, the last of which is what was still on its way.
    fn live(&mut self) {
        let step: PlantStep = if self.coming < self.steps {
            let at = self.plant.next_at();
            self.plant.step(at, &[])
        } else {
            self.plant.drain()
        };
        self.recent.push_back(Lived { number: self.coming, at: step.at, rows: step.rows() });
        self.coming += 1;
        if self.recent.len() > self.recent_steps {
            self.recent.pop_front();
        }
    }

    /// What stands next in a partition whose step is among the recent ones.
    fn give(&mut self, at: usize) -> Polled {
        let part = &mut self.parts[at];
        let (number, record) = split(part.next);
        let lived = self.recent.iter().find(|lived| lived.number == number);
        let lived = lived.expect("the step was reached");
        let rows = &lived.rows[at];
        let partition = part.id.clone();
        if record < rows.num_rows() {
            let left = rows.slice(record, rows.num_rows() - record);
            let arrived_at = vec![Some(lived.at); left.num_rows()];
            let fetched = Fetched::of_rows(partition, STREAMS[at], left, part.next);
            part.next = fetched.next;
            return Polled::Batch(Fetched { arrived_at, ..fetched });
        }
        if number >= self.steps {
            part.ended = true;
            return Polled::End { partition };
        }
        part.next = first_of(number + 1);
        Polled::Mark { partition, at: lived.at, position: part.next }
    }

    /// Whether a position is one that this village has.
    fn has(&mut self, at: usize, position: Position) -> bool {
        let (step, record) = split(position);
        if position < 0 || step > self.steps {
            return false;
        }
        if step < self.steps || record == 0 {
            return true;
        }
        // What is on its way at the end is known at the end.
        while !self.reach(step, Duration::MAX) {}
        let last = self.recent.back().expect("it was reached");
        record <= last.rows[at].num_rows()
    }
}

impl Source for SimulatorSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn streams(&self) -> Vec<&str> {
        STREAMS.to_vec()
    }

    fn partitions(&self) -> Vec<PartitionId> {
        self.parts.iter().map(|part| part.id.clone()).collect()
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn resume(
        &mut self,
        positions: &BTreeMap<PartitionId, Position>,
    ) -> Result<(), ConnectorError> {
        let known = self.partitions();
        if let Some(unknown) = positions.keys().find(|id| !known.contains(id)) {
            return Err(ConnectorError::Missing {
                connector: self.name.clone(),
                what: format!("stream {}, which was read before,", unknown.partition),
                hint: "another simulator wrote this data folder: start with an empty one"
                    .to_owned(),
            });
        }
        // The pace begins anew; what is lived on the way is not waited for.
        let speed = self.speed.take();
        let at = |id| positions.get(id).copied().unwrap_or(0);
        let gone = known.iter().enumerate().find(|(part, id)| !self.has(*part, at(id)));
        if gone.is_none() {
            let first = known.iter().map(|id| split(at(id)).0).min().unwrap_or(0);
            while first > 0 && !self.reach(first - 1, Duration::MAX) {}
        }
        self.speed = speed;
        if let Some((_, id)) = gone {
            return Err(ConnectorError::Gone {
                connector: self.name.clone(),
                partition: id.partition.clone(),
                wanted: at(id),
                first: 0,
                next: first_of(self.steps),
            });
        }
        for (part, id) in self.parts.iter_mut().zip(&known) {
            (part.next, part.ended) = (at(id), false);
        }
        self.held.clear();
        self.anchor = None;
        Ok(())
    }

    fn hold(&mut self, partitions: &BTreeSet<PartitionId>) {
        self.held.clone_from(partitions);
    }

    fn poll(&mut self, wait: Duration) -> Result<Polled, ConnectorError> {
        let Some(at) = self.furthest_behind() else {
            std::thread::sleep(wait);
            return Ok(Polled::Idle);
        };
        let (step, _) = split(self.parts[at].next);
        Ok(if self.reach(step, wait) { self.give(at) } else { Polled::Idle })
    }
}
