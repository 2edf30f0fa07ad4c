//! Estimates the state of each feeder at every tick: voltages, flows, what is wrong, what is blind.
//!
//! From the reference tables or a file ([`networks`]) comes the network, from the point map what
//! each sensor, meter and phasor measurement unit says about it. A tick takes each point's latest
//! value; a value that is not renewed loses weight with its age, and past `stale_after_ms` it
//! counts no more. What is then known of a load is its forecast, or its share of what the head
//! measures, with a standard deviation of its own ([`stand_in`]). The arithmetic is
//! [`grid::estimation`]'s; [`adapter`] is all that knows its names.
//!
//! # Time
//!
//! The estimate of tick `T` is the state of its step, `[T - step, T)`. Values are taken by their
//! event time. One that comes late is in its place in the [`history`]; the ticks in which it would
//! have been the latest are estimated anew, each from all that is known of it by now and without
//! the ticks before, and where a bus comes out elsewhere than was said, `estimates.corrections`
//! says so. A switch that is heard of late does the same.
//!
//! # Frontiers
//!
//! A tick is estimated once every input has passed it, and at every tick: a value ages though
//! nobody says anything.
//!
//! # Bounds
//!
//! Of each feeder that was ever named: the values and switch moves of `estimate_reach_ms` and
//! one tick more, with the last word of each point and switch before, however old, also of
//! those that are gone from the tables; the voltages that were said of those ticks; forecasts of
//! hours that ended less than an hour before the history begins, as far ahead as they reach; a row
//! an element, and one a bus and tick that was corrected. The estimator keeps the values of the
//! same time once more. So it is without points and without a plan, too.
//!
//! What is older than the history is not corrected; `point_values` reaches back as far. At most
//! `estimate_late_ticks` past ticks are estimated at one tick.
//!
//! # What is wrong
//!
//! A value that its instrument or element cannot have is not told the estimator at all; one that
//! the others contradict is left out; where several do not fit, or something lives where the
//! switches leave nothing alive, a switch may be the reason, and is looked for. Each has a row or
//! an alarm.
//!
//! # Phasors
//!
//! The angle of a frame is turned on to the end of its tick by the frequency that came with it, so
//! that frames of one tick are of one instant. While any angle is measured in an island, its angles
//! are absolute; else they are against its source.
//!
//! # Unbalanced networks
//!
//! Of an unbalanced file a node takes a bus's place, a conductor a branch's, and what is connected
//! at a node an injection's ([`plan`]). Each of its ticks is estimated by itself, so that nothing
//! is held out from one tick to the next and the estimator remembers the words alone; its switches
//! are not asked.
//!
//! # Changes of the tables
//!
//! A feeder whose reference tables change has a new estimator, which is told what is in the history
//! and nothing else: a point that was held out counts again, and past ticks that waited to be
//! estimated anew are not. What is no longer in the network has no row any more.
//!
//! # What it does not do
//!
//! It estimates a feeder by itself: what crosses between feeders is behind their heads. Agents that
//! decide still read measurements.

pub mod adapter;
pub mod networks;
pub mod plan;

pub mod history;
pub mod stand_in;

pub mod shown;

pub mod feeder;
pub mod kernel;

use schemas::decision::Forecast;

pub use self::kernel::EstimateKernel;
use crate::error::HostError;
use crate::face::Scene;
use crate::face::said;
use crate::host::Rows;

/// The estimated state, each as rows of its relation in [`schemas::estimate`].
pub struct EstimateOutputs<'s> {
    /// Rows of `estimates.branches`.
    pub branches: Rows<'s>,
    /// Rows of `estimates.buses`.
    pub buses: Rows<'s>,
    /// Rows of `estimates.corrections`.
    pub corrections: Rows<'s>,
    /// Rows of `estimates.observability`.
    pub observability: Rows<'s>,
    /// Rows of `estimates.residuals`.
    pub residuals: Rows<'s>,
}

/// The face of this agent.
pub trait EstimateGrid<'s> {
    /// The estimated state, and rows of `alarms` about points that are wrong; from the reference
    /// tables, `points`, `point_values`, `switch_state` and `forecasts`.
    ///
    /// # Errors
    /// A view is missing, or lacks a column that the agent reads.
    fn estimate(&self, forecasts: &Rows<'s>) -> Result<(EstimateOutputs<'s>, Rows<'s>), HostError>;
}

impl<'s> EstimateGrid<'s> for Scene<'_, 's> {
    fn estimate(&self, forecasts: &Rows<'s>) -> Result<(EstimateOutputs<'s>, Rows<'s>), HostError> {
        let forecasts = said::<Forecast>(forecasts);
        let [branches, buses, corrections, observability, residuals, alarms] =
            self.host("estimate", EstimateKernel::new, &[forecasts])?;
        let kept = EstimateOutputs { branches, buses, corrections, observability, residuals };
        Ok((kept, alarms))
    }
}

#[cfg(test)]
mod tests;
