//! Forecasts the next hour by quarters, for the control loop: of each node, feeder and zone, of the
//! system, and of each PV and wind plant.
//!
//! ```text
//!                     by feeder                   in one place
//!  node_quarter ────▶ short ─ outlooks, ────────▶ short-above ─▶ zones, system
//!  forecasts ───────▶   │     feeders' quarters
//!                       └─▶ nodes, feeders ─▶ dispatch
//!  plant_quarter,     by feeder
//!  assets, forecasts▶ short-plants ─▶ plants
//! ```
//!
//! Each time a quarter of an hour ends: the mean of the coming four. What
//! [`forecast`](super) says of the hours, drawn as quarters, is corrected by what the newest
//! quarters knew better; each series learns how much of that lasts ([`forecast::short`]). Where no
//! hour is forecast, the newest quarter stays (`persistence-1`). Medians of nodes and feeder are
//! moved so that they add up ([`reconcile`](super::reconcile)); those of zones and the system are
//! sums, with bands of their own ([`above`]). Plants stand beside ([`plant`]).
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
//! 4 kB a node, feeder, zone and plant, and the quarters in which a node was silent: 120 at most.
//!
//! # What it does not do
//!
//! It is not reviewed, held or rolled back: what it learns fades within weeks. It sees no weather
//! but through the hours.

pub mod above;
pub mod feeder;
pub mod kernel;
mod open;
pub mod plant;
pub mod rows;
pub mod series;

use schemas::decision::Forecast;

pub use self::above::AboveKernel;
pub use self::kernel::ShortKernel;
pub use self::plant::PlantQuarterKernel;
use self::rows::FeederQuarter;
use self::rows::QuarterOutlook;
use crate::error::HostError;
use crate::face::Scene;
use crate::face::said;
use crate::host::Rows;

/// What these agents say: rows of `short_forecasts`.
pub struct QuarterOutputs<'s> {
    /// Of nodes and feeders.
    pub short: Rows<'s>,
    /// Of zones and the system.
    pub above: Rows<'s>,
    /// Of plants.
    pub plants: Rows<'s>,
}

/// The face of these agents.
pub trait ForecastQuarters<'s> {
    /// Rows of `short_forecasts`, from `feeders`, `assets`, `node_quarter`, `plant_quarter` and
    /// what was just forecast of the hours: of nodes and feeders, of what lies `above` them, of
    /// plants.
    ///
    /// # Errors
    /// A view is missing, or lacks a column that the agent reads.
    fn quarters(
        &self,
        forecasts: &Rows<'s>,
        above: &Rows<'s>,
        plants: &Rows<'s>,
    ) -> Result<QuarterOutputs<'s>, HostError>;
}

impl<'s> ForecastQuarters<'s> for Scene<'_, 's> {
    fn quarters(
        &self,
        forecasts: &Rows<'s>,
        above: &Rows<'s>,
        plants: &Rows<'s>,
    ) -> Result<QuarterOutputs<'s>, HostError> {
        let hours = [said::<Forecast>(forecasts)];
        let [short, outlooks, quarters] = self.host("short", ShortKernel::new, &hours)?;
        let upwards = [
            said::<Forecast>(above),
            said::<QuarterOutlook>(&outlooks),
            said::<FeederQuarter>(&quarters),
        ];
        let [above] = self.host("short-above", AboveKernel::new, &upwards)?;
        let hours = [said::<Forecast>(plants)];
        let [plants] = self.host("short-plants", PlantQuarterKernel::new, &hours)?;
        Ok(QuarterOutputs { short, above, plants })
    }
}

#[cfg(test)]
mod tests;
