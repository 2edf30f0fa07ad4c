//! The way out of the dataflow: each tick's consolidated changes, per relation and worker.
//!
//! A publishing operator holds its tick's capability until it has handed the changes over, so when
//! the probe has passed a tick, everything of that tick is in the channel, and with those of this
//! worker's dataflows that listen to the relation.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::hash::Hash;
use std::rc::Rc;

use crossbeam_channel::Sender;
use differential_dataflow::AsCollection;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use schemas::contract::Fault;
use schemas::row::Row;
use timely::dataflow::Scope;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Concatenate;

use crate::delta::Diff;
use crate::delta::Faults;
use crate::delta::Rows;
use crate::delta::Time;
use crate::gauge::Gauges;
use crate::gauge::Measured;
use crate::stepwise::Step;
use crate::stepwise::stepwise;

/// What one worker says about one relation at one tick.
#[derive(Clone, Debug)]
pub struct Published {
    /// The relation, by its index in [`crate::flow::Flow::published`].
    pub relation: usize,
    /// The tick.
    pub tick: Time,
    /// Changes of its rows; each row once.
    pub rows: Vec<(Row, Diff)>,
    /// Changes of what could not be computed.
    pub faults: Vec<(Fault, Diff)>,
}

/// What was published of one relation, by tick, for a dataflow on the same worker.
type Queue = Rc<RefCell<VecDeque<(Time, Vec<(Row, Diff)>)>>>;

/// Publishes to a channel, and to whoever listens on this worker.
#[derive(Clone)]
pub struct Publisher {
    to: Sender<Published>,
    worker: usize,
    gauges: Gauges,
    listening: Rc<RefCell<BTreeMap<usize, Vec<Queue>>>>,
}

/// A dataflow's ear at one relation.
pub struct Heard {
    relation: usize,
    queue: Queue,
}

impl Heard {
    /// The relation that it listens to.
    pub fn relation(&self) -> usize {
        self.relation
    }

    /// What was published up to tick `until` and not taken yet.
    pub fn take(&self, until: Time) -> Vec<(Row, Diff)> {
        let mut queue = self.queue.borrow_mut();
        let mut taken = Vec::new();
        while queue.front().is_some_and(|(at, _)| *at <= until) {
            taken.extend(queue.pop_front().into_iter().flat_map(|(_, rows)| rows));
        }
        taken
    }

    /// Everything that was not taken yet.
    pub fn rest(&self) -> Vec<(Time, Vec<(Row, Diff)>)> {
        self.queue.borrow_mut().drain(..).collect()
    }

    /// Puts something behind what waits already.
    pub fn put(&self, pieces: Vec<(Time, Vec<(Row, Diff)>)>) {
        self.queue.borrow_mut().extend(pieces);
    }
}

impl Publisher {
    /// Publishes to this channel.
    pub fn new(to: Sender<Published>) -> Publisher {
        Publisher { to, worker: 0, gauges: Gauges::default(), listening: Rc::default() }
    }

    /// Says there what views keep on the worker of this number.
    #[must_use]
    pub fn measured(self, worker: usize, gauges: Gauges) -> Publisher {
        Publisher { worker, gauges, ..self }
    }

    /// Lets others see what a view keeps on this worker.
    pub fn keeps(&self, relation: usize, measured: Vec<Measured>) {
        self.gauges.list(relation, self.worker, measured);
    }

    /// Listens to a relation from now on, until the ear is dropped.
    pub fn listen(&self, relation: usize) -> Heard {
        let queue = Queue::default();
        self.listening.borrow_mut().entry(relation).or_default().push(queue.clone());
        Heard { relation, queue }
    }

    fn tell(&self, relation: usize, tick: Time, rows: &[(Row, Diff)]) {
        let mut listening = self.listening.borrow_mut();
        let Some(queues) = listening.get_mut(&relation) else { return };
        // Ours is the only one left of an ear that was dropped.
        queues.retain(|queue| Rc::strong_count(queue) > 1);
        for queue in queues {
            queue.borrow_mut().push_back((tick, rows.to_vec()));
        }
    }

    /// Publishes the rows of a relation; gives the stream that has passed a tick once they are out.
    pub fn rows<'s>(&self, relation: usize, rows: Rows<'s>) -> StreamVec<'s, Time, ()> {
        let publisher = self.clone();
        let send = move |tick, rows: Vec<(Row, Diff)>| {
            publisher.tell(relation, tick, &rows);
            let published = Published { relation, tick, rows, faults: Vec::new() };
            publisher.to.send(published).expect("the instance outlives its workers");
        };
        stepwise(rows.inner, Pipeline, "Publish", |(_, time, _)| *time, Out { send })
    }

    /// Publishes the faults of a relation; gives the stream that has passed a tick once they are
    /// out.
    pub fn faults<'s>(
        &self,
        relation: usize,
        scope: Scope<'s, Time>,
        faults: Vec<Faults<'s>>,
    ) -> Option<StreamVec<'s, Time, ()>> {
        if faults.is_empty() {
            return None;
        }
        let to = self.to.clone();
        let send = move |tick, faults| {
            let published = Published { relation, tick, rows: Vec::new(), faults };
            to.send(published).expect("the instance outlives its workers");
        };
        let streams = faults.into_iter().map(|faults| faults.inner);
        let faults = scope.concatenate(streams).as_collection();
        let time_of = |(_, time, _): &(Fault, Time, Diff)| *time;
        Some(stepwise(faults.inner, Pipeline, "Publish: faults", time_of, Out { send }))
    }
}

struct Out<F> {
    send: F,
}

impl<D: Eq + Hash, F: Fn(Time, Vec<(D, Diff)>)> Step<(D, Time, Diff), ()> for Out<F> {
    fn step(&mut self, at: Time, mut data: Vec<(D, Time, Diff)>, _: &mut Vec<()>) {
        // Readers apply changes in any order, so a hash is enough to add up equal rows.
        let mut sums = HashMap::with_capacity_and_hasher(data.len(), FixedState::default());
        for (row, _, diff) in data.drain(..) {
            *sums.entry(row).or_insert(0) += diff;
        }
        let changes: Vec<(D, Diff)> = sums.into_iter().filter(|(_, diff)| *diff != 0).collect();
        if !changes.is_empty() {
            (self.send)(at, changes);
        }
    }

    fn wake_at(&self) -> Option<Time> {
        None
    }
}
