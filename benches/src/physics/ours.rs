//! Ours: each task of the bench by our own solvers.
//!
//! Times are processor time of the process, without what the clock itself costs; nothing else runs
//! in it while a peer is not asked. Changing the loads is not timed, as it is not for the peers.

pub mod topology;

pub mod flow;

pub mod estimation;

pub mod three_phase;

use crate::meter::cpu_seconds;
use crate::meter::quantile;

/// A clock whose own cost is known.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    cost_s: f64,
}

impl Default for Stopwatch {
    /// Finds what two readings cost.
    fn default() -> Stopwatch {
        let between = |_| {
            let begin = cpu_seconds();
            cpu_seconds() - begin
        };
        let costs: Vec<f64> = (0..2_001).map(between).collect();
        Stopwatch { cost_s: quantile(&costs, 0.5) }
    }
}

impl Stopwatch {
    /// Does something, and says how many milliseconds of processor time it took.
    pub fn time<T>(self, task: impl FnOnce() -> T) -> (T, f64) {
        let begin = cpu_seconds();
        let done = task();
        let took = cpu_seconds() - begin - self.cost_s;
        (done, 1e3 * took.max(1e-9))
    }
}
