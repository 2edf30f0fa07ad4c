//! The life of one worker thread: the flow, and dataflows that are added beside it.
//!
//! The flow is built once and lives as long as the thread. An addition is one more dataflow for one
//! view. It reads streams and tables from the same ticks, and other views from what this worker
//! publishes of them: a tick is fed to it once everything before it is done with the tick. Until it
//! has worked off its past (from the log, in parts) it runs behind, ticks wait for it and not the
//! other way round; then it lives with the others, and a tick is done when it is done with it too.
//!
//! What reads the audit log *follows*: the records of a tick are known when the tick is done, and
//! so is what is made of them. Such an addition, and each that reads one, is given a tick once its
//! records have come; nobody waits for it to call the tick done, and whoever makes the tick visible
//! waits until it has followed.
//!
//! # Bounds
//!
//! Ticks that wait for an addition: as many as arrive while it works off its past.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use crossbeam_channel::Sender;
use crossbeam_channel::TryRecvError;
use schemas::time::Timestamp;
use timely::dataflow::ProbeHandle;
use timely::worker::Worker;

use super::FromWorker;
use super::Past;
use super::PastRows;
use super::Swap;
use super::TickInput;
use super::TickRecords;
use super::ToWorker;
use crate::delta::DeltaBatch;
use crate::delta::Time;
use crate::flow::Added;
use crate::flow::Addition;
use crate::flow::Built;
use crate::flow::Flow;
use crate::flow::Input1;
use crate::flow::OwnInput;
use crate::flow::ReadFrom;
use crate::flow::RowsInput;
use crate::index::Imports;
use crate::index::Index;
use crate::views::publish::Heard;
use crate::views::publish::Publisher;

/// How long a worker sleeps when nobody wakes it; it is woken for every tick.
const PARK: Duration = Duration::from_millis(50);

/// Which share of a batch's rows is this worker's.
#[derive(Clone, Copy)]
struct Share {
    index: usize,
    peers: usize,
}

impl Share {
    /// The first row, and the one behind the last.
    fn of(self, rows: usize) -> (usize, usize) {
        (rows * self.index / self.peers, rows * (self.index + 1) / self.peers)
    }

    fn batch(self, delta: &DeltaBatch) -> Option<DeltaBatch> {
        let (from, to) = self.of(delta.batch.num_rows());
        (from < to).then(|| delta.slice(from, to - from))
    }
}

/// Runs until the other side lets go.
pub(super) fn run(
    worker: &mut Worker,
    flow: &Flow,
    input: &Receiver<ToWorker>,
    tell: &Sender<FromWorker>,
    publisher: Publisher,
) {
    let built = worker.dataflow::<Time, _, _>(|scope| flow.build(scope, &publisher));
    let Built { inputs, clock, probe } = match built {
        Ok(built) => built,
        Err(error) => {
            // The other side may have given up on another worker's failure already.
            tell.send(FromWorker::Failed(error)).unwrap_or_default();
            return;
        }
    };
    let share = Share { index: worker.index(), peers: worker.peers() };
    if tell.send(FromWorker::Ready(std::thread::current())).is_err() {
        return;
    }
    let step = flow.step.millis();
    let open = VecDeque::new();
    let mut thread = Thread {
        share,
        step,
        publisher,
        inputs,
        clock,
        probe,
        open,
        passed: Timestamp(0),
        beside: Vec::new(),
        recorded: Timestamp(0),
        following: VecDeque::new(),
    };
    loop {
        match input.try_recv() {
            Ok(told) => {
                if thread.take(worker, told, tell).is_err() {
                    return;
                }
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => break,
        }
        let busy = thread.beside.iter().any(Beside::may_go_on) || !input.is_empty();
        worker.step_or_park(Some(if busy { Duration::ZERO } else { PARK }));
        if thread.look(tell).is_err() {
            return;
        }
    }
    let Thread { inputs, clock, probe, beside, .. } = thread;
    drop((inputs, clock, beside));
    while !probe.done() {
        worker.step_or_park(Some(PARK));
    }
}

/// The other side is gone.
struct Gone;

struct Thread {
    share: Share,
    step: u64,
    publisher: Publisher,

    inputs: Vec<Input1>,
    clock: RowsInput,
    probe: ProbeHandle<Time>,
    /// Ticks that were fed to the flow and are not done everywhere.
    open: VecDeque<Arc<TickInput>>,
    /// The last tick that the flow is done with.
    passed: Timestamp,
    /// Additions, each behind those it reads.
    beside: Vec<Beside>,
    /// The last tick whose records have come.
    recorded: Timestamp,
    /// Ticks whose records have come and were not followed yet.
    following: VecDeque<Timestamp>,
}

impl Thread {
    fn take(
        &mut self,
        worker: &mut Worker,
        told: ToWorker,
        tell: &Sender<FromWorker>,
    ) -> Result<(), Gone> {
        match told {
            ToWorker::Tick(tick) => {
                feed(&mut self.inputs, &tick, self.share, self.step);
                self.clock.advance_to(tick.tick.0 + self.step);
                self.beside.iter_mut().for_each(|b| b.waiting.push_back(tick.clone()));
                self.open.push_back(tick);
            }
            ToWorker::Records(records) => {
                let following = self.beside.iter_mut().filter(|b| b.follows);
                following.for_each(|b| b.records.push_back(records.clone()));
                self.recorded = records.tick;
                self.following.push_back(records.tick);
            }
            ToWorker::Add(addition) => {
                let publisher = &self.publisher;
                let indexes = self.beside.iter_mut();
                let mut indexes = indexes.filter_map(Beside::index).collect::<BTreeMap<_, _>>();
                let added = worker
                    .dataflow::<Time, _, _>(|scope| addition.build(scope, publisher, &mut indexes));
                match added {
                    Ok(added) => {
                        self.beside.push(Beside::new(addition, added));
                        self.see_who_follows();
                    }
                    Err(error) => {
                        let told = FromWorker::Unbuilt(addition.relation, error.to_string());
                        tell.send(told).map_err(|_| Gone)?;
                    }
                }
            }
            ToWorker::Past(past) => {
                let (share, relation) = (self.share, past.relation);
                let of = self.beside.iter_mut().find(|b| b.addition.relation == relation);
                if let Some(beside) = of {
                    beside.past(&past, share);
                }
            }
            ToWorker::Swap(swap) => {
                let (share, publisher) = (self.share, &self.publisher);
                self.beside.iter_mut().for_each(|b| b.swap(&swap, share, publisher));
                self.order();
            }
            ToWorker::Remove(relation) => {
                self.beside.retain(|b| b.addition.relation != relation);
            }
        }
        Ok(())
    }

    /// Puts each addition behind those it reads.
    fn order(&mut self) {
        let mut rest = std::mem::take(&mut self.beside);
        while !rest.is_empty() {
            let unplaced: Vec<usize> = rest.iter().map(|b| b.addition.relation).collect();
            let reads_none = |b: &Beside| {
                let heard = b.heard.iter().flatten().map(Heard::relation);
                let imported = b.addition.reads.iter().filter_map(|read| match read.from {
                    ReadFrom::Index(index) => Some(index),
                    _ => None,
                });
                !heard.chain(imported).any(|relation| unplaced.contains(&relation))
            };
            let next = rest.iter().position(reads_none).expect("views do not read in circles");
            self.beside.push(rest.remove(next));
        }
        self.see_who_follows();
    }

    /// Notes which additions read the audit log, themselves or through those before them.
    fn see_who_follows(&mut self) {
        let mut follow = BTreeSet::new();
        for beside in &mut self.beside {
            let heard = beside.heard.iter().flatten().map(Heard::relation);
            let from = beside.addition.reads.iter().map(|read| read.from);
            let imported = from.clone().filter_map(|from| match from {
                ReadFrom::Index(index) => Some(index),
                _ => None,
            });
            beside.follows = from.into_iter().any(|from| matches!(from, ReadFrom::Audit(_)))
                || heard.chain(imported).any(|relation| follow.contains(&relation));
            if beside.follows {
                follow.insert(beside.addition.relation);
            }
        }
    }

    /// Looks how far everything is, feeds additions, and says what is done.
    fn look(&mut self, tell: &Sender<FromWorker>) -> Result<(), Gone> {
        let (share, step) = (self.share, self.step);
        for tick in self.open.iter().map(|tick| tick.tick) {
            if tick > self.passed && !self.probe.less_than(&(tick.0 + 1)) {
                self.passed = tick;
            }
        }
        // An addition is given a tick once all before it that live are done with it.
        let mut ready = self.passed;
        let mut followed = self.recorded;
        for beside in &mut self.beside {
            beside.look(tell, self.recorded)?;
            if beside.follows {
                followed = followed.min(ready);
                beside.feed(followed, share, step);
                if beside.lives {
                    followed = followed.min(beside.passed);
                }
            } else {
                beside.feed(ready, share, step);
                if beside.lives {
                    ready = ready.min(beside.passed);
                }
            }
        }
        while let Some(tick) = self.following.pop_front_if(|tick| *tick <= followed) {
            tell.send(FromWorker::Followed(tick)).map_err(|_| Gone)?;
        }
        while let Some(tick) = self.open.front().map(|tick| tick.tick)
            && tick <= ready
        {
            self.open.pop_front();
            tell.send(FromWorker::Done(tick)).map_err(|_| Gone)?;
        }
        Ok(())
    }
}

/// A dataflow that was added.
struct Beside {
    addition: Arc<Addition>,
    inputs: Vec<OwnInput>,
    clock: RowsInput,
    probe: ProbeHandle<Time>,
    /// What this worker publishes of each view that it reads, by input.
    heard: Vec<Option<Heard>>,
    /// What it arranges for others.
    index: Option<Index>,
    /// What it reads from indexes; it ends with this.
    _imports: Imports,

    /// Parts of the past that were fed and are not done.
    past: VecDeque<Timestamp>,
    past_fed: bool,
    /// Ticks that were not fed yet.
    waiting: VecDeque<Arc<TickInput>>,
    /// Ticks that were fed and are not done.
    fed: VecDeque<Timestamp>,
    /// The last tick that it is done with.
    passed: Timestamp,
    /// It has caught up.
    lives: bool,
    /// It reads the audit log, itself or through another.
    follows: bool,
    /// Records of ticks that were not fed yet, if it follows.
    records: VecDeque<Arc<TickRecords>>,
}

impl Beside {
    fn new(addition: Arc<Addition>, added: Added) -> Beside {
        let Added { inputs, heard, probe, index, imports, clock } = added;
        Beside {
            addition,
            inputs,
            clock,
            probe,
            heard,
            index,
            _imports: imports,
            past: VecDeque::new(),
            past_fed: false,
            waiting: VecDeque::new(),
            fed: VecDeque::new(),
            passed: Timestamp(0),
            lives: false,
            follows: false,
            records: VecDeque::new(),
        }
    }

    /// The index that it is, by its number, if others may import it.
    fn index(&mut self) -> Option<(usize, &mut Index)> {
        let number = self.addition.relation;
        self.index.as_mut().filter(|_| self.lives).map(|index| (number, index))
    }

    /// Whether there is work that nothing else would wake the worker for.
    fn may_go_on(&self) -> bool {
        !self.past.is_empty() || !self.fed.is_empty() || (self.past_fed && !self.lives)
    }

    /// Takes this worker's share of a part of the past.
    fn past(&mut self, past: &Past, share: Share) {
        let time = past.until.0;
        self.inputs.iter_mut().for_each(|input| input.advance_to(time));
        for (input, rows) in &past.deltas {
            match (rows, &mut self.inputs[*input]) {
                (PastRows::Batch(delta), OwnInput::Batches(input)) => {
                    if let Some(delta) = share.batch(delta) {
                        input.send(DeltaBatch { time, ..delta });
                    }
                }
                (PastRows::Rows(rows), OwnInput::Rows(input)) => {
                    let (from, to) = share.of(rows.len());
                    for (row, diff) in &rows[from..to] {
                        input.send((row.clone(), time, *diff));
                    }
                }
                _ => unreachable!("the past of an input is of its form"),
            }
        }
        self.inputs.iter_mut().for_each(|input| input.advance_to(time + 1));
        self.clock.advance_to(time + 1);
        self.past.push_back(past.until);
        self.past_fed = past.last;
    }

    /// Looks how far it is.
    fn look(&mut self, tell: &Sender<FromWorker>, recorded: Timestamp) -> Result<(), Gone> {
        let relation = self.addition.relation;
        while self.past.front().is_some_and(|at| !self.probe.less_than(&(at.0 + 1))) {
            let done = self.past.pop_front();
            if let (Some(index), Some(done)) = (&mut self.index, done) {
                index.compact(done.0);
            }
            tell.send(FromWorker::PastDone(relation)).map_err(|_| Gone)?;
        }
        while self.fed.front().is_some_and(|at| !self.probe.less_than(&(at.0 + 1))) {
            self.passed = self.fed.pop_front().unwrap_or_default();
            if let Some(index) = &mut self.index {
                index.compact(self.passed.0);
            }
        }
        // Nobody knows yet what follows a tick that is on its way.
        let open = |tick: &Arc<TickInput>| self.follows && tick.tick > recorded;
        let waits = self.waiting.front().is_some_and(|tick| !open(tick));
        let idle = self.past.is_empty() && !waits && self.fed.is_empty();
        if !self.lives && self.past_fed && idle {
            self.lives = true;
            tell.send(FromWorker::CaughtUp(relation)).map_err(|_| Gone)?;
        }
        Ok(())
    }

    /// Feeds the ticks up to `ready`.
    fn feed(&mut self, ready: Timestamp, share: Share, step: u64) {
        while self.past_fed
            && let Some(tick) = self.waiting.front()
            && tick.tick <= ready
        {
            let tick = self.waiting.pop_front().expect("there is a first");
            let time = tick.tick.0;
            let records = self.records.pop_front_if(|records| records.tick <= tick.tick);
            let records = records.iter().flat_map(|records| &records.records);
            let reads = self.addition.reads.iter().zip(&self.heard);
            for (input, (read, heard)) in self.inputs.iter_mut().zip(reads) {
                input.advance_to(time);
                match (input, &read.from, heard) {
                    (OwnInput::Batches(input), ReadFrom::Outside(outside), _) => {
                        for (_, delta) in tick.deltas.iter().filter(|(of, _)| of == outside) {
                            share.batch(delta).into_iter().for_each(|delta| input.send(delta));
                        }
                    }
                    (OwnInput::Batches(input), ReadFrom::Audit(kind), _) => {
                        for (_, delta) in records.clone().filter(|(of, _)| of == kind) {
                            share.batch(delta).into_iter().for_each(|delta| input.send(delta));
                        }
                    }
                    (OwnInput::Rows(input), _, Some(heard)) => {
                        for (row, diff) in heard.take(time) {
                            input.send((row, time, diff));
                        }
                    }
                    (OwnInput::Imported, ..) => {}
                    _ => unreachable!("an input is of the form of what it reads"),
                }
            }
            self.inputs.iter_mut().for_each(|input| input.advance_to(time + step));
            self.clock.advance_to(time + step);
            self.fed.push_back(tick.tick);
        }
    }

    /// Reads one relation in the place of another from the next tick on.
    fn swap(&mut self, swap: &Swap, share: Share, publisher: &Publisher) {
        for heard in &mut self.heard {
            let Some(now) = heard.as_ref().filter(|now| now.relation() == swap.old) else {
                continue;
            };
            let (from, to) = share.of(swap.difference.len());
            let rest = now.rest();
            let new = publisher.listen(swap.new);
            new.put(rest);
            new.put(vec![(0, swap.difference[from..to].to_vec())]);
            *heard = Some(new);
        }
    }
}

/// Gives the flow this worker's share of a tick and closes the tick.
fn feed(inputs: &mut [Input1], tick: &TickInput, share: Share, step: u64) {
    for input in inputs.iter_mut() {
        input.advance_to(tick.tick.0);
    }
    for (relation, delta) in &tick.deltas {
        // Streams that came after the flow was built are read by additions alone.
        if let Some(input) = inputs.get_mut(*relation)
            && let Some(delta) = share.batch(delta)
        {
            input.send(delta);
        }
    }
    for input in inputs.iter_mut() {
        input.advance_to(tick.tick.0 + step);
    }
}
