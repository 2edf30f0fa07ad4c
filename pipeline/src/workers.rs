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
use schemas::time::Timestamp;
use timely::CommunicationConfig;
use timely::WorkerConfig;
use timely::communication::WorkerGuards;
use timely::worker::Worker;

use crate::delta::DeltaBatch;
use crate::delta::Time;
use crate::flow::Built;
use crate::flow::Flow;
use crate::render::RenderError;
use crate::views::publish::Published;
use crate::views::publish::Publisher;

/// How long a worker sleeps when nobody wakes it; it is woken for every tick.
const PARK: Duration = Duration::from_millis(50);

/// One tick's input, shared by all workers.
#[derive(Clone, Debug)]
pub struct TickInput {
    /// The tick.
    pub tick: Timestamp,
    /// Changes by input, numbered as in [`Flow::inputs`].
    pub deltas: Vec<(usize, DeltaBatch)>,
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

enum FromWorker {
    Ready(Thread),
    Failed(RenderError),
    Done(Timestamp),
}

/// The running workers.
pub struct Workers {
    step: u64,
    inputs: Vec<Sender<Arc<TickInput>>>,
    threads: Vec<Thread>,
    told: Receiver<FromWorker>,
    published: Receiver<Published>,
    guards: Option<WorkerGuards<()>>,

    /// How many workers have finished each open tick.
    done: BTreeMap<Timestamp, usize>,
    /// What was published of ticks that are not done.
    waiting: BTreeMap<Time, Vec<Published>>,
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
        let guards = timely::execute(config, move |worker| {
            let mut receivers = receivers.lock().unwrap_or_else(PoisonError::into_inner);
            let input = receivers[worker.index()].take().expect("each index runs once");
            drop(receivers);
            run(worker, &flow, &input, &tell, Publisher(publish.clone()));
        });
        let guards = guards.map_err(|message| WorkersError::Start { message })?;
        let mut workers = Workers {
            step,
            inputs: senders,
            threads: Vec::new(),
            told,
            published,
            guards: Some(guards),
            done: BTreeMap::new(),
            waiting: BTreeMap::new(),
        };
        while workers.threads.len() < count {
            match workers.told.recv() {
                Ok(FromWorker::Ready(thread)) => workers.threads.push(thread),
                Ok(FromWorker::Failed(error)) => return Err(error.into()),
                Ok(FromWorker::Done(_)) => {}
                Err(_) => return Err(WorkersError::Died),
            }
        }
        Ok(workers)
    }

    /// Hands a tick to the workers; ticks are handed over in order.
    ///
    /// # Errors
    /// A worker is gone.
    pub fn submit(&mut self, input: TickInput) -> Result<(), WorkersError> {
        self.done.insert(input.tick, 0);
        let input = Arc::new(input);
        for worker in &self.inputs {
            worker.send(input.clone()).map_err(|_| WorkersError::Died)?;
        }
        self.threads.iter().for_each(Thread::unpark);
        Ok(())
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
                Ok(FromWorker::Done(tick)) => *self.done.entry(tick).or_default() += 1,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) if self.alive() => return Ok(None),
                Err(_) => return Err(WorkersError::Died),
            }
        }
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

/// The life of one worker thread.
fn run(
    worker: &mut Worker,
    flow: &Flow,
    input: &Receiver<Arc<TickInput>>,
    tell: &Sender<FromWorker>,
    publisher: Publisher,
) {
    let built = worker.dataflow::<Time, _, _>(|scope| flow.build(scope, &publisher));
    let Built { mut inputs, probe } = match built {
        Ok(built) => built,
        Err(error) => {
            // The other side may have given up on another worker's failure already.
            tell.send(FromWorker::Failed(error)).unwrap_or_default();
            return;
        }
    };
    drop(publisher);
    let (index, peers, step) = (worker.index(), worker.peers(), flow.step.millis());
    if tell.send(FromWorker::Ready(std::thread::current())).is_err() {
        return;
    }
    let mut open: std::collections::VecDeque<Timestamp> = std::collections::VecDeque::new();
    loop {
        match input.try_recv() {
            Ok(tick) => {
                feed(&mut inputs, &tick, index, peers, step);
                open.push_back(tick.tick);
            }
            Err(crossbeam_channel::TryRecvError::Empty) => {}
            Err(crossbeam_channel::TryRecvError::Disconnected) => break,
        }
        worker.step_or_park(if input.is_empty() { Some(PARK) } else { Some(Duration::ZERO) });
        while let Some(tick) = open.front()
            && !probe.less_than(&(tick.0 + 1))
        {
            let tick = *tick;
            open.pop_front();
            if tell.send(FromWorker::Done(tick)).is_err() {
                return;
            }
        }
    }
    drop(inputs);
    while !probe.done() {
        worker.step_or_park(Some(PARK));
    }
}

/// Gives a worker its share of a tick and closes the tick.
fn feed(
    inputs: &mut [crate::flow::Input1],
    tick: &TickInput,
    index: usize,
    peers: usize,
    step: u64,
) {
    for input in inputs.iter_mut() {
        input.advance_to(tick.tick.0);
    }
    for (relation, delta) in &tick.deltas {
        let rows = delta.batch.num_rows();
        let (from, to) = (rows * index / peers, rows * (index + 1) / peers);
        if from < to {
            inputs[*relation].send(delta.slice(from, to - from));
        }
    }
    for input in inputs.iter_mut() {
        input.advance_to(tick.tick.0 + step);
    }
}
