//! The way out of the dataflow: each tick's consolidated changes, per relation and worker.
//!
//! A publishing operator holds its tick's capability until it has handed the changes over, so when
//! the probe has passed a tick, everything of that tick is in the channel.

use std::hash::Hash;

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

/// Publishes to a channel.
#[derive(Clone)]
pub struct Publisher(pub Sender<Published>);

impl Publisher {
    /// Publishes the rows of a relation; gives the stream that has passed a tick once they are out.
    pub fn rows<'s>(&self, relation: usize, rows: Rows<'s>) -> StreamVec<'s, Time, ()> {
        let to = self.0.clone();
        let send = move |tick, rows| {
            let published = Published { relation, tick, rows, faults: Vec::new() };
            to.send(published).expect("the instance outlives its workers");
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
        let to = self.0.clone();
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
