//! The same view by hand in differential dataflow, on typed readings: with one reduce, and with a
//! hierarchy of them.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::VecCollection;
use differential_dataflow::input::Input;
use timely::dataflow::ProbeHandle;

use super::Measured;
use super::Run;
use super::Workload;
use crate::meter::cpu_seconds;

/// Buckets of one level whose extremes meet in one bucket of the next.
const FAN: u32 = 16;

/// Levels: the last one has one bucket of a group, the first one has 65,536.
const LEVELS: u32 = 5;

/// Buckets of a group on the first level.
const BUCKETS: u32 = FAN.pow(LEVELS - 1);

/// Readings by group.
type Held<'s> = VecCollection<'s, u64, (u32, i64), i64>;

/// The least and the greatest reading by group.
type Extremes<'s> = VecCollection<'s, u64, (u32, (i64, i64)), i64>;

/// A change of a row that is put out.
type Said = ((u32, (i64, i64)), i64);

/// Maintains the view with one reduce.
pub fn reduce(workload: Arc<Workload>) -> Measured {
    run(workload, "one reduce", one)
}

/// Maintains the view with a hierarchy of reduces.
pub fn hierarchy(workload: Arc<Workload>) -> Measured {
    run(workload, "a hierarchy", levels)
}

/// One reduce sees all readings of a group that changes, in order.
fn one(held: Held<'_>) -> Extremes<'_> {
    held.reduce(|_, held, out| out.push(((*held[0].0, *held[held.len() - 1].0), 1)))
}

/// Each level sees of a bucket that changes the extremes of those that meet in it.
fn levels(held: Held<'_>) -> Extremes<'_> {
    let mut level = held.map(|(group, reading)| ((group, bucket(reading)), (reading, reading)));
    for _ in 0..LEVELS {
        let reduced = level.reduce(|_, held, out| {
            // In order of the least reading first.
            let (least, _) = *held[0].0;
            let greatest = held.iter().map(|(extremes, _)| extremes.1).fold(i64::MIN, i64::max);
            out.push(((least, greatest), 1i64));
        });
        level = reduced.map(|((group, bucket), extremes)| ((group, bucket / FAN), extremes));
    }
    level.map(|((group, _), extremes)| (group, extremes))
}

/// The bucket of a reading on the first level.
fn bucket(reading: i64) -> u32 {
    let hash = (reading as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    hash as u32 % BUCKETS
}

fn run(
    workload: Arc<Workload>,
    how: &'static str,
    way: for<'s> fn(Held<'s>) -> Extremes<'s>,
) -> Measured {
    timely::execute_directly(move |worker| {
        let probe = ProbeHandle::new();
        let out = Rc::new(RefCell::new(Vec::<Said>::new()));
        let to = Rc::clone(&out);
        let mut input = worker.dataflow::<u64, _, _>(|scope| {
            let (input, held) = scope.new_collection::<(u32, i64), i64>();
            way(held)
                .inspect(move |(row, _, diff)| to.borrow_mut().push((*row, *diff)))
                .probe_with(&probe);
            input
        });
        let mut run = Run::new(&workload, how);
        for (batch, changes) in workload.batches.iter().enumerate() {
            let began = cpu_seconds();
            for (group, reading, diff) in changes.each() {
                input.update((group as u32, reading), diff);
            }
            let next = batch as u64 + 1;
            input.advance_to(next);
            input.flush();
            while probe.less_than(&next) {
                worker.step();
            }
            let took = cpu_seconds() - began;
            let changed = std::mem::take(&mut *out.borrow_mut()).into_iter();
            let row = |((group, (least, greatest)), diff): Said| {
                ((i64::from(group), least, greatest), diff)
            };
            run.batch(took, changed.map(row));
        }
        run.end()
    })
}
