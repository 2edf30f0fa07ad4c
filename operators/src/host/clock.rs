//! Which ticks to step: decided from the frontier and from the ticks that data was seen of.
//!
//! Some kernels act on time alone and must be stepped at every tick, also where their feeders are
//! silent; and they must be stepped the same number of times for any number of workers. So a
//! schedule goes by ticks that data was seen of anywhere, and makes up those between.

use std::collections::BTreeSet;

use schemas::time::DAY_MS;

/// The ticks of an instance.
#[derive(Clone, Copy, Debug)]
pub struct TickClock {
    /// Length of a tick in milliseconds.
    pub step_ms: u64,
    /// The first tick, if it is known beforehand; else the first that data is seen of, time 0 not
    /// counted.
    pub first_tick: Option<u64>,
}

impl TickClock {
    /// The tick that a dataflow time belongs to.
    pub(crate) fn tick_of(&self, time: u64) -> u64 {
        time.div_ceil(self.step_ms).saturating_mul(self.step_ms)
    }

    /// Whether data at this tick says that the tick is; before the first tick there is only
    /// reference data.
    pub(crate) fn counts(&self, tick: u64) -> bool {
        tick >= self.first_tick.unwrap_or(self.step_ms)
    }
}

/// A silence after which ticks are not made up: the clock was moved, it did not tick so often.
/// Every-tick kernels go on at the next data.
const SILENCE_MS_MAX: u64 = DAY_MS;

/// Where the stepping stands.
#[derive(Debug)]
pub(crate) struct Schedule {
    clock: TickClock,
    /// Ticks without data are stepped too.
    every: bool,

    /// The last tick that was stepped.
    last: Option<u64>,
    /// Ticks that data was seen of, not yet stepped.
    marks: BTreeSet<u64>,
}

impl Schedule {
    pub(crate) fn new(clock: TickClock, every: bool) -> Schedule {
        Schedule { clock, every, last: None, marks: BTreeSet::new() }
    }

    /// Data of this tick was seen, here or at another worker.
    pub(crate) fn mark(&mut self, tick: u64) {
        if self.clock.counts(tick) {
            self.marks.insert(tick);
        }
    }

    /// The ticks to step now, in order: all that lie before `frontier`; `None` when the inputs are
    /// closed.
    pub(crate) fn due(&mut self, frontier: Option<u64>) -> Vec<u64> {
        let mut due = Vec::new();
        let open = match frontier {
            Some(frontier) => self.marks.split_off(&frontier),
            None => BTreeSet::new(),
        };
        for mark in std::mem::replace(&mut self.marks, open) {
            self.run_to(mark, true, &mut due);
        }
        if let Some(frontier) = frontier.filter(|frontier| *frontier > 0) {
            let step = self.clock.step_ms;
            self.run_to((frontier - 1) / step * step, false, &mut due);
        }
        due
    }

    /// Steps up to `tick`, which holds data or is merely past.
    fn run_to(&mut self, tick: u64, data: bool, due: &mut Vec<u64>) {
        let next = match self.last {
            Some(last) => last + self.clock.step_ms,
            None => self.clock.first_tick.unwrap_or(tick),
        };
        let made_up = self.last.is_some() || self.clock.first_tick.is_some();
        if self.every && made_up && tick >= next && tick - next <= SILENCE_MS_MAX {
            due.extend((next..=tick).step_by(self.clock.step_ms as usize));
            self.last = Some(tick);
        } else if data {
            due.push(tick);
            self.last = Some(tick);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks are named by their number; the first real one is a thousand.
    #[track_caller]
    fn check(every: bool, first: Option<u64>, told: &[(&[u64], Option<u64>)], expected: &[&[u64]]) {
        let clock = TickClock { step_ms: 10, first_tick: first.map(|tick| tick * 10) };
        let mut schedule = Schedule::new(clock, every);
        let stepped: Vec<Vec<u64>> = told
            .iter()
            .map(|(marks, frontier)| {
                marks.iter().for_each(|tick| schedule.mark(tick * 10));
                let due = schedule.due(frontier.map(|tick| tick * 10));
                due.into_iter().map(|tick| tick / 10).collect()
            })
            .collect();
        assert_eq!(stepped, expected);
    }

    #[test]
    fn nothing_is_stepped_before_the_first_data() {
        check(
            true,
            None,
            &[(&[0], Some(1)), (&[], Some(1_000)), (&[1_000], Some(1_000)), (&[], Some(1_001))],
            &[&[], &[], &[], &[1_000]],
        );
    }

    #[test]
    fn a_first_tick_that_is_known_is_stepped_without_data() {
        check(
            true,
            Some(1_000),
            &[(&[0, 5], Some(1_000)), (&[], Some(1_002))],
            &[&[], &[1_000, 1_001]],
        );
    }

    #[test]
    fn every_tick_that_the_frontier_passed_is_stepped() {
        check(true, None, &[(&[7], Some(8)), (&[], Some(11))], &[&[7], &[8, 9, 10]]);
        check(true, None, &[(&[7, 9], Some(11))], &[&[7, 8, 9, 10]]);
    }

    #[test]
    fn else_only_those_with_data_are() {
        check(false, None, &[(&[7, 9], Some(11)), (&[12], Some(13))], &[&[7, 9], &[12]]);
    }

    #[test]
    fn a_tick_is_not_complete_while_the_frontier_stands_at_it() {
        check(true, None, &[(&[7, 8], Some(8)), (&[], Some(8))], &[&[7], &[]]);
    }

    #[test]
    fn closed_inputs_are_stepped_to_the_last_data_and_no_further() {
        check(
            true,
            None,
            &[(&[7], Some(8)), (&[10], None), (&[], None)],
            &[&[7], &[8, 9, 10], &[]],
        );
    }

    #[test]
    fn a_clock_that_was_moved_is_not_followed_tick_by_tick() {
        let far = DAY_MS;
        check(
            true,
            None,
            &[(&[7], Some(8)), (&[], Some(far)), (&[far], Some(far + 1))],
            &[&[7], &[], &[far]],
        );
    }
}
