//! Whether the band still holds its share.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::Serialize;

use crate::score::Coverage;

/// A share that is wrong, with the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BandFault {
    /// Share inside over the window.
    pub share: f64,
    /// The end of the permitted range that it passed.
    pub limit: f64,
    /// Outcomes in the window.
    pub n: u64,
}

/// The share of outcomes inside a band over the last days.
///
/// A fault needs two things: a share outside the permitted range, and a count so far from the
/// nominal share that the binomial interval of Clopper and Pearson excludes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Band {
    nominal: f64,
    range: (f64, f64),
    days: usize,
    confidence: f64,
    dependence: f64,

    closed: VecDeque<Coverage>,
}

impl Band {
    /// A band that should hold the share `nominal` and may hold `range`, over the last `days`;
    /// `dependence` neighbouring outcomes are worth one independent draw.
    #[must_use]
    pub fn new(
        nominal: f64,
        range: (f64, f64),
        days: usize,
        confidence: f64,
        dependence: f64,
    ) -> Self {
        let days = days.max(1);
        Self { nominal, range, days, confidence, dependence, closed: VecDeque::new() }
    }

    /// Takes the counts of one day and says what is wrong with the window, if anything is. Nothing
    /// is said before the window holds half of its days.
    pub fn close_day(&mut self, day: Coverage) -> Option<BandFault> {
        if self.closed.len() == self.days {
            self.closed.pop_front();
        }
        self.closed.push_back(day);
        if 2 * self.closed.len() < self.days {
            return None;
        }
        let window = self.window();
        let share = window.share()?;
        let (low, high) = window.bounds(self.confidence, self.dependence)?;
        let n = window.n();
        if share < self.range.0 && high < self.nominal {
            Some(BandFault { share, limit: self.range.0, n })
        } else if share > self.range.1 && low > self.nominal {
            Some(BandFault { share, limit: self.range.1, n })
        } else {
            None
        }
    }

    /// The counts of the window.
    #[must_use]
    pub fn window(&self) -> Coverage {
        let mut window = Coverage::default();
        self.closed.iter().for_each(|day| window.merge(*day));
        window
    }
}
