//! What a run has compared, and where maintained and asked differ.

use std::fmt;
use std::ops::AddAssign;

use super::feature::Features;

/// What a run has compared.
#[derive(Clone, Debug, Default)]
pub(super) struct Compared {
    /// Queries maintained.
    pub(super) queries: usize,
    /// Queries refused by name.
    pub(super) refused: usize,
    /// Answers that batch could not give.
    pub(super) failed: usize,
    /// Answers compared.
    pub(super) answers: usize,
    /// Those of views that came half-way.
    pub(super) midway: usize,
    /// Views that took another's place.
    pub(super) swapped: usize,
    /// Rows in the answers.
    pub(super) rows: usize,
    /// What the queries show of the dialect.
    pub(super) features: Features,
}

impl AddAssign for Compared {
    fn add_assign(&mut self, other: Compared) {
        self.queries += other.queries;
        self.refused += other.refused;
        self.failed += other.failed;
        self.answers += other.answers;
        self.midway += other.midway;
        self.swapped += other.swapped;
        self.rows += other.rows;
        self.features += other.features;
    }
}

/// Where maintained and asked differ.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    /// The query, by position.
    pub(super) query: usize,
    /// Ticks after which it was seen.
    pub(super) ticks: usize,
    what: String,
}

impl Difference {
    pub(super) fn new(query: usize, ticks: usize, what: String) -> Difference {
        Difference { query, ticks, what }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}
