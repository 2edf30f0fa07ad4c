//! The dataflow's threads: fed tick by tick, drained tick by tick.
//!
//! Every worker runs the same [`Flow`] and takes an even share of each batch's rows; what a worker
//! holds of a view is decided by key, not by who brought the row. A tick is done when every
//! worker's probe has passed it.
//!
//! Timely does not tell sibling threads when one panics, so the one place that starts the threads
//! also watches them: a worker that is gone ends the instance ([`WorkersError::Died`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread::Thread;
use std::time::Duration;

use crossbeam_channel::Receiver;
use crossbeam_channel::RecvTimeoutError;
use crossbeam_channel::Sender;
use crossbeam_channel::unbounded;
use schemas::audit::Kind;
use schemas::time::Timestamp;
use timely::CommunicationConfig;
use timely::WorkerConfig;
use timely::communication::WorkerGuards;

use crate::delta::DeltaBatch;
use crate::delta::Diff;
use crate::delta::Time;
use crate::flow::Addition;
use crate::flow::Flow;
use crate::gauge::Gauges;
use crate::render::RenderError;
use crate::views::publish::Published;
use crate::views::publish::Publisher;
use schemas::row::Row;

mod run;

/// How often to look whether the workers are alive while they are waited for.
const ALIVE_EVERY: Duration = Duration::from_secs(1);

/// One tick's input, shared by all workers.
#[derive(Clone, Debug)]
pub struct TickInput {
    /// The tick.
    pub tick: Timestamp,
    /// Changes by input, numbered as in [`Flow::inputs`].
    pub deltas: Vec<(usize, DeltaBatch)>,
}

/// The audit records of a tick, shared by all workers.
#[derive(Clone, Debug)]
pub struct TickRecords {
    /// The tick.
    pub tick: Timestamp,
    /// The records, linked, as rows of their kinds' tables.
    pub records: Vec<(Kind, DeltaBatch)>,
}

/// Everything that was published of a tick.
#[derive(Clone, Debug)]
pub struct TickOutput {
    /// The tick.
    pub tick: Timestamp,
    /// What was published, in no order.
    pub published: Vec<Published>,
}

/// Why the workers do not work.
#[derive(Debug, thiserror::Error)]
pub enum WorkersError {
    /// Timely could not start its threads.
    #[error("the dataflow's threads cannot be started: {message}")]
    Start {
        /// Why.
        message: String,
    },
    /// A plan cannot be rendered.
    #[error("a view cannot be rendered")]
    Render(#[from] RenderError),
    /// A worker is gone: a broken invariant.
    #[error(
        "a dataflow worker stopped; its last words are above. Start again: the log holds every tick"
    )]
    Died,
}

/// What a worker is told, in the same order as all others.
#[derive(Clone, Debug)]
enum ToWorker {
    /// A tick's input.
    Tick(Arc<TickInput>),
    /// The audit records of a tick that is done: what reads them follows.
    Records(Arc<TickRecords>),
    /// Build one more dataflow; it lives on ticks after the last one handed over.
    Add(Arc<Addition>),
    /// A part of the past of an addition.
    Past(Arc<Past>),
    /// An addition that others read takes the place of another: from the next tick on they read it,
    /// and are given the difference.
    Swap(Arc<Swap>),
    /// End an addition.
    Remove(usize),
}

/// A part of the past of a dataflow that was added.
#[derive(Clone, Debug)]
pub struct Past {
    /// The addition.
    pub relation: usize,
    /// The last tick of this part.
    pub until: Timestamp,
    /// Changes by input, numbered as in [`Addition::reads`].
    pub deltas: Vec<(usize, PastRows)>,
    /// Whether it is the last part.
    pub last: bool,
}

/// Changes of the past, as they are at hand.
#[derive(Clone, Debug)]
pub enum PastRows {
    /// Of a stream or table, from the log.
    Batch(DeltaBatch),
    /// Of a view, from the store.
    Rows(Arc<Vec<(Row, Diff)>>),
}

/// One relation in the place of another.
#[derive(Clone, Debug)]
pub struct Swap {
    /// The relation that others read until now.
    pub old: usize,
    /// The one that they read from the next tick on.
    pub new: usize,
    /// What must change for the rows of the old one to become those of the new.
    pub difference: Vec<(Row, Diff)>,
}

enum FromWorker {
    Ready(Thread),
    Failed(RenderError),
    /// This addition cannot be rendered.
    Unbuilt(usize, String),
    Done(Timestamp),
    /// What reads the audit log is done with this tick.
    Followed(Timestamp),
    /// A part of the past of this addition is worked off.
    PastDone(usize),
    /// This addition has worked off its past and every tick so far, and lives with the others.
    CaughtUp(usize),
}

/// How an addition stands.
#[derive(Clone, Debug, Default)]
struct Catching {
    /// Parts of its past that each worker has worked off, added up.
    parts: u64,
    /// Workers on which it lives with the others.
    caught_up: usize,
    /// Why it cannot be built.
    unbuilt: Option<String>,
}

/// The running workers.
pub struct Workers {
    step: u64,
    inputs: Vec<Sender<ToWorker>>,
    threads: Vec<Thread>,
    told: Receiver<FromWorker>,
    published: Receiver<Published>,
    guards: Option<WorkerGuards<()>>,
    gauges: Gauges,

    /// How many workers have finished each open tick.
    done: BTreeMap<Timestamp, usize>,
    /// How many workers have finished each tick with its records.
    followed: BTreeMap<Timestamp, usize>,
    /// What was published of ticks that are not done.
    waiting: BTreeMap<Time, Vec<Published>>,
    /// Additions that have not caught up yet.
    catching: BTreeMap<usize, Catching>,
}

impl Workers {
    /// Starts `count` workers on `flow`.
    ///
    /// # Errors
    /// The threads cannot be started, or a plan cannot be rendered.
    pub fn start(flow: &Flow, count: usize) -> Result<Workers, WorkersError> {
        let (tell, told) = unbounded();
        let (publish, published) = unbounded();
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| unbounded()).unzip();
        let receivers = Mutex::new(receivers.into_iter().map(Some).collect::<Vec<_>>());
        let communication = match count {
            1 => CommunicationConfig::Thread,
            _ => CommunicationConfig::Process(count),
        };
        let worker = WorkerConfig::default().idle_spin(Duration::ZERO);
        let config = timely::Config { communication, worker };
        let (flow, step) = (flow.clone(), flow.step.millis());
        let gauges = Gauges::default();
        let measured = gauges.clone();
        let guards = timely::execute(config, move |worker| {
            let mut receivers = receivers.lock().unwrap_or_else(PoisonError::into_inner);
            let input = receivers[worker.index()].take().expect("each index runs once");
            drop(receivers);
            let publisher = Publisher::new(publish.clone());
            let publisher = publisher.measured(worker.index(), measured.clone());
            run::run(worker, &flow, &input, &tell, publisher);
        });
        let guards = guards.map_err(|message| WorkersError::Start { message })?;
        let mut workers = Workers {
            step,
            inputs: senders,
            threads: Vec::new(),
            told,
            published,
            guards: Some(guards),
            gauges,
            done: BTreeMap::new(),
            followed: BTreeMap::new(),
            waiting: BTreeMap::new(),
            catching: BTreeMap::new(),
        };
        while workers.threads.len() < count {
            match workers.told.recv() {
                Ok(FromWorker::Ready(thread)) => workers.threads.push(thread),
                Ok(FromWorker::Failed(error)) => return Err(error.into()),
                Ok(_) => {}
                Err(_) => return Err(WorkersError::Died),
            }
        }
        Ok(workers)
    }

    /// Hands a tick to the workers; ticks are handed over in order.
    ///
    /// # Errors
    /// A worker is gone.
    pub fn submit(&mut self, mut input: TickInput) -> Result<(), WorkersError> {
        self.done.insert(input.tick, 0);
        input.deltas.iter_mut().for_each(|(_, delta)| make_canonical(delta));
        self.tell(&ToWorker::Tick(Arc::new(input)))
    }

    /// Hands over the audit records of a tick that is done, for what reads them; ticks are handed
    /// over in order, and each is waited for with [`Workers::followed`].
    ///
    /// # Errors
    /// A worker is gone.
    pub fn records(&mut self, mut records: TickRecords) -> Result<(), WorkersError> {
        self.followed.insert(records.tick, 0);
        records.records.iter_mut().for_each(|(_, delta)| make_canonical(delta));
        self.tell(&ToWorker::Records(Arc::new(records)))
    }

    /// Waits until what reads the audit log is done with a tick; what was published of it then.
    ///
    /// # Errors
    /// A worker is gone.
    pub fn followed(&mut self, tick: Timestamp) -> Result<Vec<Published>, WorkersError> {
        while self.followed.get(&tick).is_some_and(|done| *done < self.inputs.len()) {
            match self.told.recv_timeout(ALIVE_EVERY) {
                Ok(told) => self.hear(told)?,
                Err(RecvTimeoutError::Timeout) if self.alive() => {}
                Err(_) => return Err(WorkersError::Died),
            }
        }
        self.followed.remove(&tick);
        Ok(self.take_past(tick.plus(1)))
    }

    /// Builds one more dataflow beside what runs. Its past follows in parts ([`Workers::past`]).
    ///
    /// # Errors
    /// A worker is gone.
    pub fn add(&mut self, addition: Addition) -> Result<(), WorkersError> {
        self.catching.insert(addition.relation, Catching::default());
        self.tell(&ToWorker::Add(Arc::new(addition)))
    }

    /// Hands over a part of an addition's past; parts are handed over in order.
    ///
    /// # Errors
    /// A worker is gone.
    pub fn past(&mut self, mut past: Past) -> Result<(), WorkersError> {
        for (_, rows) in &mut past.deltas {
            if let PastRows::Batch(delta) = rows {
                make_canonical(delta);
            }
        }
        self.tell(&ToWorker::Past(Arc::new(past)))
    }

    /// Lets one relation take the place of another with those that read it.
    ///
    /// # Errors
    /// A worker is gone.
    pub fn swap(&mut self, swap: Swap) -> Result<(), WorkersError> {
        self.tell(&ToWorker::Swap(Arc::new(swap)))
    }

    /// Ends an addition.
    ///
    /// # Errors
    /// A worker is gone.
    pub fn remove(&mut self, relation: usize) -> Result<(), WorkersError> {
        self.catching.remove(&relation);
        self.gauges.forget(relation);
        self.tell(&ToWorker::Remove(relation))
    }

    /// How many parts of an addition's past all workers have worked off.
    pub fn parts_done(&self, relation: usize) -> u64 {
        let parts = self.catching.get(&relation).map_or(0, |catching| catching.parts);
        parts / self.inputs.len() as u64
    }

    /// The additions that live with the others since this was asked last: every tick that is
    /// submitted from now on is done when they are done with it too.
    pub fn caught_up(&mut self) -> Vec<usize> {
        let all = self.inputs.len();
        let done = self.catching.iter().filter(|(_, catching)| catching.caught_up == all);
        let done: Vec<usize> = done.map(|(relation, _)| *relation).collect();
        done.iter().for_each(|relation| {
            self.catching.remove(relation);
        });
        done
    }

    /// Why an addition cannot be built, if it cannot.
    pub fn unbuilt(&self, relation: usize) -> Option<String> {
        self.catching.get(&relation).and_then(|catching| catching.unbuilt.clone())
    }

    fn tell(&self, what: &ToWorker) -> Result<(), WorkersError> {
        for worker in &self.inputs {
            worker.send(what.clone()).map_err(|_| WorkersError::Died)?;
        }
        self.threads.iter().for_each(Thread::unpark);
        Ok(())
    }

    /// What views keep.
    pub fn gauges(&self) -> Gauges {
        self.gauges.clone()
    }

    /// Ticks that were handed over and are not done.
    pub fn in_flight(&self) -> usize {
        self.done.len()
    }

    /// The next finished tick, in order; waits up to `wait` for it.
    ///
    /// # Errors
    /// A worker is gone.
    pub fn finished(&mut self, wait: Duration) -> Result<Option<TickOutput>, WorkersError> {
        loop {
            if let Some(first) = self.done.first_entry()
                && *first.get() == self.inputs.len()
            {
                let (tick, _) = first.remove_entry();
                self.drain();
                let later = self.waiting.split_off(&(tick.0 + 1));
                let published = std::mem::replace(&mut self.waiting, later);
                let published = published.into_values().flatten().collect();
                return Ok(Some(TickOutput { tick, published }));
            }
            match self.told.recv_timeout(wait) {
                Ok(told) => self.hear(told)?,
                Err(RecvTimeoutError::Timeout) if self.alive() => return Ok(None),
                Err(_) => return Err(WorkersError::Died),
            }
        }
    }

    fn hear(&mut self, told: FromWorker) -> Result<(), WorkersError> {
        match told {
            FromWorker::Done(tick) => *self.done.entry(tick).or_default() += 1,
            FromWorker::Followed(tick) => *self.followed.entry(tick).or_default() += 1,
            FromWorker::PastDone(relation) => self.of(relation, |catching| catching.parts += 1),
            FromWorker::CaughtUp(relation) => self.of(relation, |catching| catching.caught_up += 1),
            FromWorker::Unbuilt(relation, why) => {
                self.of(relation, |catching| catching.unbuilt = Some(why));
            }
            FromWorker::Failed(error) => return Err(error.into()),
            FromWorker::Ready(_) => {}
        }
        Ok(())
    }

    /// Notes something of an addition, unless it was taken away.
    fn of(&mut self, relation: usize, note: impl FnOnce(&mut Catching)) {
        if let Some(catching) = self.catching.get_mut(&relation) {
            note(catching);
        }
    }

    /// Hears what workers have to say without waiting, though no tick is on its way.
    ///
    /// # Errors
    /// A worker is gone, or cannot render an addition.
    pub fn listen(&mut self) -> Result<(), WorkersError> {
        while let Ok(told) = self.told.try_recv() {
            self.hear(told)?;
        }
        if self.alive() { Ok(()) } else { Err(WorkersError::Died) }
    }

    /// What was published of the past of additions, so far.
    pub fn take_past(&mut self, before: Timestamp) -> Vec<Published> {
        self.drain();
        let later = self.waiting.split_off(&before.0);
        std::mem::replace(&mut self.waiting, later).into_values().flatten().collect()
    }

    fn drain(&mut self) {
        for published in self.published.try_iter() {
            self.waiting.entry(published.tick).or_default().push(published);
        }
    }

    fn alive(&self) -> bool {
        self.guards.as_ref().is_some_and(|g| !g.guards().iter().any(|g| g.is_finished()))
    }

    /// The length of a tick in milliseconds.
    pub fn step_ms(&self) -> u64 {
        self.step
    }
}

/// A row has one zero and one NaN from the first operator on, not only where it is kept.
fn make_canonical(delta: &mut DeltaBatch) {
    delta.batch = schemas::row::canonical(&delta.batch);
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.inputs.clear();
        self.threads.iter().for_each(Thread::unpark);
        if let Some(guards) = self.guards.take() {
            for worker in guards.join() {
                if let Err(error) = worker {
                    tracing::error!(%error, "a dataflow worker ended badly");
                }
            }
        }
    }
}
