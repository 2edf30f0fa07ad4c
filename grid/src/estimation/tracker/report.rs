//! What a tick says.

use std::fmt;

use crate::complex::Complex;
use crate::estimation::estimator::Outcome;

/// What came of a tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The instant.
    pub at_ms: u64,
    /// How it was solved.
    pub outcome: Outcome,
    /// Buses of the model whose voltage is to be said anew.
    pub moved: Vec<usize>,
    /// Of a revision: their voltages; none where not observable.
    pub voltages: Vec<Option<Complex>>,
    /// The sum of squared residuals over their variances.
    pub objective: f64,
    /// Rows more than needed.
    pub degrees_of_freedom: usize,
    /// What the objective exceeds in one of a hundred ticks without bad data.
    pub objective_limit: f64,
    /// Points that are not believed or worth a question, in order of points.
    pub suspects: Vec<Suspect>,
    /// Buses that are under voltage and cannot be observed.
    pub unobservable: Vec<usize>,
    /// Injections that something stood in for.
    pub stood_in: Vec<usize>,
    /// True if the factor was renewed.
    pub refreshed: bool,
}

/// A point whose word is doubted.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    /// The point.
    pub point: usize,
    /// What is held against it.
    pub verdict: Verdict,
    /// What it says, per unit or radians.
    pub value: f64,
    /// What it should say by everything else.
    pub expected: f64,
    /// How many standard deviations lie between.
    pub deviations: f64,
}

/// What is held against a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The others contradict it: its normalised residual is the largest and beyond the threshold.
    /// It is left out until it has agreed again for a while.
    Residual,
    /// It was left out at an earlier tick and has not agreed again yet.
    HeldOut,
    /// It is far from what its own history or forecast lets expect. It counts nevertheless.
    Innovation,
    /// Its element cannot do what it says. It counts nevertheless.
    Implausible,
    /// It says there is voltage or current where the switches say there is none.
    DeadButLive,
    /// One of several is wrong, and nothing tells them apart. All count nevertheless.
    Undecided,
}

impl Verdict {
    /// The verdict in a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Residual => "bad",
            Verdict::HeldOut => "held-out",
            Verdict::Innovation => "innovation",
            Verdict::Implausible => "implausible",
            Verdict::DeadButLive => "live-on-dead",
            Verdict::Undecided => "undecided",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Residual => "contradicted by the other measurements",
            Verdict::HeldOut => "left out until it agrees again",
            Verdict::Innovation => "far from its own history or forecast",
            Verdict::Implausible => "beyond what its element can do",
            Verdict::DeadButLive => "live where the switches say dead",
            Verdict::Undecided => "it or another that cannot be told apart from it is wrong",
        })
    }
}
