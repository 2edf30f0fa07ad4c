//! Forecasts net load, of each node and of the feeder, for 24 hours.
//!
//! Seasonal naive: an hour is as it was yesterday, plus what the last complete hour was above its
//! own yesterday. Issued each quarter of an hour of event time, 24 hourly points, the present hour
//! first. The rule is linear, so a feeder's p50 is the sum of its nodes'.
//!
//! The p10 and p90 are the p50 plus the quantiles of the same rule's errors over the past seven
//! days: of the subject, at the same **horizon** (present hour, next, …), all hours of the day
//! together. By horizon there are up to 168 errors to rank; by hour of the day there would be
//! seven.
//!
//! # Frontiers
//!
//! A tick's forecast sees what was known when its frontier passed; an hour corrected later changes
//! the next one.
//!
//! # Bounds
//!
//! Eight days of hours a node: 192 numbers. What a view's retention takes back is kept here as
//! long.
//!
//! # What it does not do
//!
//! It knows no weather, weekday or holiday.

pub mod kernel;
pub mod rule;

pub use self::kernel::ForecastKernel;
use crate::error::HostError;
use crate::face::Scene;
use crate::host::Rows;

/// The face of this agent.
pub trait ForecastLoad<'s> {
    /// Rows of `forecasts`, from `load_history` and `node_hour`.
    ///
    /// # Errors
    /// A view is missing, or lacks a column that the agent reads.
    fn forecast(&self) -> Result<Rows<'s>, HostError>;
}

impl<'s> ForecastLoad<'s> for Scene<'_, 's> {
    fn forecast(&self) -> Result<Rows<'s>, HostError> {
        let [forecasts] = self.host("forecast", ForecastKernel::new, &[])?;
        Ok(forecasts)
    }
}

#[cfg(test)]
mod tests;
