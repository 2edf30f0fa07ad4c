//! Forecasts net load, of each node, feeder and zone, of the system, and of meters that share a
//! node, for 24 hours.
//!
//! ```text
//!            by feeder                 in one place                  by feeder
//!  views ─▶ forecast ─ outlooks, ───▶ forecast-zones ─ moves ──────▶ forecast-spread ─▶ nodes,
//!               │      hours               └─▶ zones, system              ▲             feeders
//!               └───────────────── drafts ────────────────────────────────┘
//! ```
//!
//! Each node and each feeder has a model of its own ([`forecast::forecaster`]): ridges by the hour
//! of the day on the calendar, the weather and what was, a corrector of what they missed of late,
//! and quantiles that are learned from the errors. It learns each hour as the hour ends. Until a
//! series has nine days of past, [`rule`] answers: an hour is as it was yesterday, plus what the
//! last complete hour was above its own yesterday. Of a node without a yesterday the others of its
//! feeder say what is known ([`prior`]). `model_version` says who did.
//!
//! Issued each quarter of an hour of event time, 24 hourly points, the present hour first. The
//! medians of nodes and feeder are then moved so that they add up ([`reconcile`]). So far all is
//! judged by feeder. A node of several meters agrees with these first ([`meters`]). What a feeder
//! says upwards ([`rise`]) goes to one place, where zones and the system have models of their own
//! ([`zones`]); what moves it there comes down to its nodes and meters ([`spread`]).
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
//! Sixteen days of hours a node, one by one; three years as plain numbers, from which a model can
//! be trained; the models. What a view's retention takes back is kept here as long. At the top of
//! the tree, three years of hours more a feeder.
//!
//! # What it does not do
//!
//! The first model of a series with a long past (`load_history`) is made where the tick waits for
//! it; trees and reviews are held beside, and so is a version made ready that a person goes back to
//! ([`forecast::job`]). Days, and with them holidays, begin by a clock without summer time.

pub mod annotation;
pub mod because;
pub mod feeder;
pub mod heard;
pub mod kernel;
pub mod meters;
pub mod plant;
pub mod prior;
pub mod reconcile;
pub mod rise;
pub mod rows;
pub mod rule;
pub mod series;
pub mod short;
pub mod spread;
pub mod weather;
pub mod whole;
pub mod zones;

pub use self::kernel::ForecastKernel;
use self::rows::Draft;
use self::rows::FeederHour;
use self::rows::FeederMove;
use self::rows::Outlook;
pub use self::spread::SpreadKernel;
pub use self::zones::ZoneKernel;
use crate::error::HostError;
use crate::face::Scene;
use crate::face::said;
use crate::host::Rows;

/// What this agent says.
pub struct ForecastOutputs<'s> {
    /// Rows of `forecasts` of nodes and feeders.
    pub forecasts: Rows<'s>,
    /// Rows of `forecasts` of zones and the system.
    pub above: Rows<'s>,
    /// Rows of `alarms`, of kinds `forecast-drift` and `load-doubtful`.
    pub drift: Rows<'s>,
    /// Rows of `model_versions`.
    pub versions: Rows<'s>,
}

/// The face of this agent.
pub trait ForecastLoad<'s> {
    /// Forecasts and what is told of their models, from `feeders`, `load_history`, `node_hour`,
    /// `shared_meter_hour`, `weather_hour`, `weather_ahead`, `load_annotations` and `model_orders`.
    ///
    /// # Errors
    /// A view is missing, or lacks a column that the agent reads.
    fn forecast(&self) -> Result<ForecastOutputs<'s>, HostError>;
}

impl<'s> ForecastLoad<'s> for Scene<'_, 's> {
    fn forecast(&self) -> Result<ForecastOutputs<'s>, HostError> {
        let [drafts, drift, versions, outlooks, hours] =
            self.host("forecast", ForecastKernel::new, &[])?;
        let upwards = [said::<Outlook>(&outlooks), said::<FeederHour>(&hours)];
        let [above, moves, drift_above, versions_above] =
            self.host("forecast-zones", ZoneKernel::new, &upwards)?;
        let downwards = [said::<Draft>(&drafts), said::<FeederMove>(&moves)];
        let [forecasts] = self.host("forecast-spread", SpreadKernel::new, &downwards)?;
        let (drift, versions) = (drift.concat(drift_above), versions.concat(versions_above));
        Ok(ForecastOutputs { forecasts, above, drift, versions })
    }
}

#[cfg(test)]
mod tests;
