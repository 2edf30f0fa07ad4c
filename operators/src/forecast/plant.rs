//! Forecasts what each PV and wind plant gives, for 24 hours.
//!
//! Plants stand beside the nodes and feeders of [`forecast`](super), and are not added to them: the
//! net load of a node holds what its plants give already. So nobody who reads net load reads rows
//! of scope `plant`, and a plant's power is positive where it injects, as its telemetry is.
//!
//! Each plant has a model of its own ([`forecast::plant`]): by the hour of the day, the weather
//! that is forecast and what was seen of late, with quantiles that are learned from the errors.
//! Night is zero where nothing was given at that hour, and rated power is a bound. Until a plant
//! has [`START_DAYS`](shape::START_DAYS) of past, [`rule`] answers: a PV plant as yesterday, a wind
//! plant as it is now. Of one without a yesterday the others of its feeder say what share of its
//! rated power is due. `model_version` says who did.
//!
//! Issued when an hour is over, at the first quarter that is due, 24 hourly points, the present
//! hour first; the quarters between say nothing that was not said.
//!
//! # Corrections
//!
//! An hour that is restated up to fifteen days late, or comes so late, makes the model what it
//! would have been, to the bit ([`forecast::rewind`]): it is told again from there, with the
//! weather as it was known. If the hour moved by more than
//! [`forecast_restate_kw`](crate::settings::Settings::forecast_restate_kw), the plant's forecasts
//! are issued anew once that is done.
//!
//! # What is not learned from
//!
//! Frozen and absurd readings are set aside by the model; a missing hour is missing. An alarm of
//! kind `load-doubtful` says so of an hour that is new, once a run. What is curtailed is not told
//! from what the weather left out, unless it is constant for hours.
//!
//! # Which model
//!
//! [`shape`] chooses the first: the station whose weather goes with the plant's power and is
//! forecast, cosines for plants of a megawatt. It answers until its weather is not forecast any
//! more, the plant is another, or another shape wins a contest ([`review`]). A model of the new
//! shape then learns the past in portions of ticks, and takes over when it has.
//!
//! # What is told
//!
//! `model_versions` has each version that begins to answer or ceases to, and what came of an order
//! (`model_orders` of scope `plant`: `hold`, `release`, `roll-back`). A hold is `released` too when
//! rated power or kind change. An alarm of kind `forecast-drift` says that a plant does not give
//! what was said of it a day before.
//!
//! # Frontiers
//!
//! A tick's forecast sees what was known when its frontier passed.
//!
//! # Bounds
//!
//! [`PAST_HOURS`](unit::PAST_HOURS) of a plant as plain numbers (38 kB), three models of it (135 kB
//! each for a roof with weather, as `forecast/examples/roofs.rs` measures); the weather of
//! a feeder as [`weather`](super::weather) keeps it, and what was told of it in sixteen days. A
//! tick costs a feeder [`STEPS_A_TICK`](fleet::STEPS_A_TICK) steps of models at most, and three
//! a plant more when an hour ends. A watch of some kB; while a contest is held, two models.
//!
//! # What it does not do
//!
//! It grows no trees, and it does not know what a plant was told to give: one that is curtailed for
//! days is alarmed as one that is broken.

pub mod fleet;
pub mod kernel;
pub mod review;
pub mod rule;
pub mod shape;
pub mod tape;
pub mod unit;

pub use self::kernel::PlantKernel;
use crate::error::HostError;
use crate::face::Scene;
use crate::host::Rows;

/// What this agent says.
pub struct PlantOutputs<'s> {
    /// Rows of `forecasts`, of scope `plant`.
    pub forecasts: Rows<'s>,
    /// Rows of `model_versions`.
    pub versions: Rows<'s>,
    /// Rows of `alarms`, of kinds `forecast-drift` and `load-doubtful`.
    pub drift: Rows<'s>,
}

/// The face of this agent.
pub trait ForecastPlants<'s> {
    /// Forecasts of plants and what is told of their models, from `assets`, `plant_hour`,
    /// `weather_hour`, `weather_ahead` and `model_orders`.
    ///
    /// # Errors
    /// A view is missing, or lacks a column that the agent reads.
    fn forecast_plants(&self) -> Result<PlantOutputs<'s>, HostError>;
}

impl<'s> ForecastPlants<'s> for Scene<'_, 's> {
    fn forecast_plants(&self) -> Result<PlantOutputs<'s>, HostError> {
        let [forecasts, versions, drift] = self.host("forecast-plants", PlantKernel::new, &[])?;
        Ok(PlantOutputs { forecasts, versions, drift })
    }
}

#[cfg(test)]
mod tests;
