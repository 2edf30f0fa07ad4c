//! The fast alert: a bias that keeps its sign.
//!
//! Page's test (Page, "Continuous inspection schemes", Biometrika 1954; Hinkley 1971) in the form
//! with a known mean: an unbiased forecast errs by zero on average, so the mean that Page-Hinkley
//! would estimate is not estimated, and a bias that was there from the start is found too.
//!
//! ```text
//! up_t   = max(0, up_{t-1} + w (x_t - delta))        forecast too low
//! down_t = max(0, down_{t-1} - w (x_t + delta))      forecast too high
//! ```
//!
//! `w` is the part of a day that an outcome stands for, so that hours and quarter hours add up to
//! the same daily sums. `x_t` is measured less forecast over the mean level, so that nothing here
//! has a unit. An alarm is raised when one exceeds `threshold`, and both begin again.

use serde::Deserialize;
use serde::Serialize;

/// A two-sided test of signed relative errors. Its state is two numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PageHinkley {
    delta: f64,
    threshold: f64,

    up: f64,
    down: f64,
}

impl PageHinkley {
    /// Forgives a bias of `delta` and alarms at a sum of `threshold`, both shares of the mean
    /// level: (0.01, 1.0) a day was measured on four years of GEFCom2012.
    #[must_use]
    pub fn new(delta: f64, threshold: f64) -> Self {
        Self { delta, threshold, up: 0.0, down: 0.0 }
    }

    /// Takes the next relative error (measured less forecast over level), which stands for `weight`
    /// days, and returns the sum that passed the threshold, positive where the forecast is too low.
    /// What is not finite is ignored.
    pub fn observe(&mut self, error_share: f64, weight: f64) -> Option<f64> {
        if !error_share.is_finite() {
            return None;
        }
        self.up = (self.up + weight * (error_share - self.delta)).max(0.0);
        self.down = (self.down - weight * (error_share + self.delta)).max(0.0);
        let (up, down) = (self.up, self.down);
        if up.max(down) <= self.threshold {
            return None;
        }
        (self.up, self.down) = (0.0, 0.0);
        Some(if up > down { up } else { -down })
    }

    /// The sum at which an alarm is raised.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.threshold
    }
}
