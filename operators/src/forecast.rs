//! Forecasts net load, of each node and of the feeder, for 24 hours.
//!
//! Each node and each feeder has a model of its own ([`forecast::forecaster`]): ridges by the hour
//! of the day on the calendar, the weather and what was, a corrector of what they missed of late,
//! and quantiles that are learned from the errors. It learns each hour as the hour ends. Until a
//! series has nine days of past, [`rule`] answers: an hour is as it was yesterday, plus what the
//! last complete hour was above its own yesterday. Of a node without a yesterday the others of its
//! feeder say what is known ([`prior`]). `model_version` says who did.
//!
//! Issued each quarter of an hour of event time, 24 hourly points, the present hour first. The
//! medians of nodes and feeder are then moved so that they add up ([`reconcile`]).
//!
//! # Corrections
//!
//! An hour of a node that is restated, up to fifteen days late, changes the model to what it would
//! have been; what was issued stays as issued. If it moved by more than
//! [`forecast_restate_kw`](crate::settings::Settings::forecast_restate_kw), its feeder's forecasts
//! are issued anew at that tick, else at the next quarter of an hour. A missing hour is missing,
//! and not 0.
//!
//! # What people say
//!
//! `load_annotations` tells of hours in which a node is not as usual ([`annotation`]);
//! `model_orders` holds the version that answers, lets others take over again, or goes back to the
//! one before.
//!
//! # Frontiers
//!
//! A tick's forecast sees what was known when its frontier passed; an hour corrected later changes
//! the next one.
//!
//! # Bounds
//!
//! Sixteen days of hours a node, one by one; 64 weeks as plain numbers, from which a model can be
//! trained; the models. What a view's retention takes back is kept here as long.
//!
//! # What it does not do
//!
//! The first model of a series with a long past (`load_history`) is made where the tick waits for
//! it, and so is the one that a person goes back to; trees and reviews are held beside
//! ([`forecast::job`]). It knows no holidays, and forecasts no zone: that would be a second operator
//! over feeders, for this one sees one feeder at a time.

pub mod annotation;
pub mod feeder;
pub mod kernel;
pub mod prior;
pub mod reconcile;
pub mod rule;
pub mod series;
pub mod weather;

pub use self::kernel::ForecastKernel;
use crate::error::HostError;
use crate::face::Scene;
use crate::host::Rows;

/// What this agent says.
pub struct ForecastOutputs<'s> {
    /// Rows of `forecasts`.
    pub forecasts: Rows<'s>,
    /// Rows of `alarms`, of kind `forecast-drift`.
    pub drift: Rows<'s>,
    /// Rows of `model_versions`.
    pub versions: Rows<'s>,
}

/// The face of this agent.
pub trait ForecastLoad<'s> {
    /// Forecasts and what is told of their models, from `load_history`, `node_hour`,
    /// `weather_hour`, `weather_ahead`, `load_annotations` and `model_orders`.
    ///
    /// # Errors
    /// A view is missing, or lacks a column that the agent reads.
    fn forecast(&self) -> Result<ForecastOutputs<'s>, HostError>;
}

impl<'s> ForecastLoad<'s> for Scene<'_, 's> {
    fn forecast(&self) -> Result<ForecastOutputs<'s>, HostError> {
        let [forecasts, drift, versions] = self.host("forecast", ForecastKernel::new, &[])?;
        Ok(ForecastOutputs { forecasts, drift, versions })
    }
}

#[cfg(test)]
mod tests;
