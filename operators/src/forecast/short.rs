//! Forecasts the next hour by quarters, of each node and of its feeder, for the control loop.
//!
//! Each time a quarter of an hour ends: the mean net load of the coming four. What
//! [`forecast`](super) says of the hours, drawn as quarters, is corrected by what the newest
//! quarters knew better; each series learns how much of that lasts ([`forecast::short`]). Where no
//! hour is forecast, the newest quarter stays (`persistence-1`). Medians of nodes and feeder are
//! moved so that they add up ([`reconcile`](super::reconcile)).
//!
//! It is a relation of its own and not rows of `forecasts`: who reads those takes `target_at` for
//! an hour.
//!
//! # Corrections
//!
//! A quarter that is restated within an hour after its end counts in what is learned as if it had
//! come so; later it is only looked at, as yesterday's, for a day and a quarter. What was issued
//! stays as issued, and nothing is issued anew: the next quarter is near. What stood in for a
//! silent node in its feeder's sum stays, until the node is heard.
//!
//! # Bounds
//!
//! 4 kB a node and a feeder, and the quarters in which a node was silent: 120 at most.
//!
//! # What it does not do
//!
//! It is not reviewed, held or rolled back: what it learns fades within weeks. It sees no weather
//! but through the hours.

pub mod feeder;
pub mod kernel;

use schemas::decision::Forecast;

pub use self::kernel::ShortKernel;
use crate::error::HostError;
use crate::face::Scene;
use crate::face::said;
use crate::host::Rows;

/// The face of this agent.
pub trait ForecastQuarters<'s> {
    /// Rows of `short_forecasts`, from `node_quarter` and what was just forecast of the hours.
    ///
    /// # Errors
    /// A view is missing, or lacks a column that the agent reads.
    fn quarters(&self, forecasts: &Rows<'s>) -> Result<Rows<'s>, HostError>;
}

impl<'s> ForecastQuarters<'s> for Scene<'_, 's> {
    fn quarters(&self, forecasts: &Rows<'s>) -> Result<Rows<'s>, HostError> {
        let [short] = self.host("short", ShortKernel::new, &[said::<Forecast>(forecasts)])?;
        Ok(short)
    }
}

#[cfg(test)]
mod tests;
