//! An operator that works tick by tick: the frame of everything that keeps state of its own.
//!
//! Joins, aggregates, top-k and temporal filters keep their state in a form of their own. What they
//! share is here: gather what arrives, and once the frontier has passed a tick, hand the tick's
//! data over, ticks in order; wake up at ticks that were asked for even if nothing arrived.
//!
//! # Frontiers
//!
//! The operator holds one capability, at its input's frontier, and so delays nothing: a tick's
//! output leaves when the tick is complete. When the input closes, data already received is worked
//! off, but no one is woken: a shutdown must not look like the end of time.
//!
//! # Bounds
//!
//! It holds the data of open ticks, which admission limits (`ticks_in_flight`), and what the step
//! asks to be woken for.

use std::collections::BTreeMap;

use timely::Container;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::ParallelizationContract;
use timely::dataflow::operators::Operator;

use crate::delta::Time;

/// State that advances tick by tick.
pub trait Step<D, O> {
    /// Takes everything of one tick and says what follows; `None` in `data` when it was only woken.
    fn step(&mut self, at: Time, data: Vec<D>, out: &mut Vec<O>);

    /// The first tick at or after which to be woken though nothing arrives.
    fn wake_at(&self) -> Option<Time>;
}

/// Runs `state` over the stream, each datum at the time that `time_of` reads off it.
pub fn stepwise<'s, D, O, P, S>(
    stream: StreamVec<'s, Time, D>,
    pact: P,
    name: &str,
    time_of: impl Fn(&D) -> Time + 'static,
    mut state: S,
) -> StreamVec<'s, Time, O>
where
    D: Clone + 'static,
    O: Clone + 'static,
    P: ParallelizationContract<Time, Vec<D>>,
    S: Step<D, O> + 'static,
    Vec<D>: Container,
{
    stream.unary_frontier::<CapacityContainerBuilder<Vec<O>>, _, _, _>(pact, name, |initial, _| {
        let mut capability = Some(initial);
        let mut pending: BTreeMap<Time, Vec<D>> = BTreeMap::new();
        let mut out: Vec<O> = Vec::new();
        move |(input, frontier), output| {
            input.for_each(|_, data| {
                let expected = data.len();
                for datum in data.drain(..) {
                    let room = pending.entry(time_of(&datum));
                    room.or_insert_with(|| Vec::with_capacity(expected)).push(datum);
                }
            });
            let upper = frontier.frontier().first().copied();
            let Some(held) = capability.as_mut() else { return };
            while let Some(at) = next(&pending, &state, *held.time(), upper) {
                state.step(at, pending.remove(&at).unwrap_or_default(), &mut out);
                if !out.is_empty() {
                    let at = held.delayed(&at);
                    output.session_with_builder(&at).give_container(&mut out);
                    out.clear();
                }
            }
            match upper {
                Some(upper) if *held.time() < upper => held.downgrade(&upper),
                Some(_) => {}
                None => capability = None,
            }
        }
    })
}

/// State that advances tick by tick on what arrives at two inputs.
pub trait StepPair<C, D, O> {
    /// Takes everything of one tick and says what follows.
    fn step(&mut self, at: Time, left: Vec<C>, right: Vec<D>, out: &mut Vec<O>);
}

/// One of two inputs: the stream, its way to the workers, and what each datum changes at what time.
pub type Side<'s, A, P, F> = (StreamVec<'s, Time, A>, P, F);

/// Runs `state` over two streams.
pub fn stepwise_pair<'s, A, B, C, D, O, P, Q, F, G, S>(
    left: Side<'s, A, P, F>,
    right: Side<'s, B, Q, G>,
    name: &str,
    mut state: S,
) -> StreamVec<'s, Time, O>
where
    O: Clone + 'static,
    C: 'static,
    D: 'static,
    P: ParallelizationContract<Time, Vec<A>>,
    Q: ParallelizationContract<Time, Vec<B>>,
    F: FnMut(A) -> Option<(Time, C)> + 'static,
    G: FnMut(B) -> Option<(Time, D)> + 'static,
    S: StepPair<C, D, O> + 'static,
    Vec<A>: Container,
    Vec<B>: Container,
{
    let (left, left_pact, mut left_change) = left;
    let (right, right_pact, mut right_change) = right;
    left.binary_frontier::<_, CapacityContainerBuilder<Vec<O>>, _, _, _, _>(
        right,
        left_pact,
        right_pact,
        name,
        |initial, _| {
            let mut capability = Some(initial);
            let mut pending: BTreeMap<Time, (Vec<C>, Vec<D>)> = BTreeMap::new();
            let mut out: Vec<O> = Vec::new();
            move |(left, left_frontier), (right, right_frontier), output| {
                left.for_each(|_, data| {
                    for (at, change) in data.drain(..).filter_map(&mut left_change) {
                        pending.entry(at).or_default().0.push(change);
                    }
                });
                right.for_each(|_, data| {
                    for (at, change) in data.drain(..).filter_map(&mut right_change) {
                        pending.entry(at).or_default().1.push(change);
                    }
                });
                let uppers = [left_frontier, right_frontier].map(|f| f.frontier().first().copied());
                let upper = uppers.into_iter().flatten().min();
                let Some(held) = capability.as_mut() else { return };
                while let Some(tick) = pending.first_entry()
                    && upper.is_none_or(|upper| *tick.key() < upper)
                {
                    let (at, (left, right)) = tick.remove_entry();
                    state.step(at, left, right, &mut out);
                    if !out.is_empty() {
                        let at = held.delayed(&at);
                        output.session_with_builder(&at).give_container(&mut out);
                        out.clear();
                    }
                }
                match upper {
                    Some(upper) if *held.time() < upper => held.downgrade(&upper),
                    Some(_) => {}
                    None => capability = None,
                }
            }
        },
    )
}

/// The next tick to work on: the least that is complete and has data, or asks to be woken.
fn next<D, O, S: Step<D, O>>(
    pending: &BTreeMap<Time, Vec<D>>,
    state: &S,
    held: Time,
    upper: Option<Time>,
) -> Option<Time> {
    let complete = |at: &Time| upper.is_none_or(|upper| *at < upper);
    let data = pending.keys().next().copied().filter(complete);
    let wake = state.wake_at().map(|at| at.max(held));
    // What is to be said before the first tick is said also where nothing will ever come.
    let wake = wake.filter(|at| upper.map_or(*at == 0, |upper| *at < upper));
    match (data, wake) {
        (Some(data), Some(wake)) => Some(data.min(wake)),
        (data, wake) => data.or(wake),
    }
}
