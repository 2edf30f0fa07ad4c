//! Dispatches batteries so that each feeder stays under its limit.
//!
//! What a feeder would draw without its batteries is what its head measures plus what they inject,
//! both of one instant. Above 0.96 of the limit batteries give the difference; below 0.92 they
//! charge from what is left. Because the *load* is answered, never the head alone, a command that
//! is already on its way is not given twice: the loop has one tick of delay and no cycle, also
//! where telemetry was lost (see [`device`]).
//!
//! While stored energy is short of what the forecast puts above the limit (see [`reserve`]),
//! batteries give only above 0.99 of the limit: the margin is spent before the energy.
//!
//! Where commands get lost, devices give a steady share less than asked; what that came to in the
//! last minutes is asked for on top, up to 2 % of the limit.
//!
//! [`fill`] splits the total. A command leaves when the wish moved by more than 0.1 kW, when the
//! device visibly does something else (the command was lost), and, unless it is 0, again before it
//! runs out.
//!
//! # Frontiers
//!
//! A tick is decided once every input has passed it. Telemetry that comes late changes what is
//! known of a past tick, not what was decided at it.
//!
//! # What it does not do
//!
//! It does not plan: prices, comfort and the network's voltages are not weighed. It does not judge
//! commands of others; [`guard`](crate::guard) does, its own too.

pub mod device;
pub mod fill;
pub mod kernel;
pub mod reserve;

use schemas::decision::Forecast;
use schemas::decision::ShortForecast;

pub use self::kernel::DispatchKernel;
use crate::error::HostError;
use crate::face::Scene;
use crate::face::said;
use crate::host::Rows;

/// The face of this agent.
pub trait DispatchDevices<'s> {
    /// Proposed rows of `actions`, from `forecasts`, `short_forecasts`, `feeder_now` and
    /// `asset_state`.
    ///
    /// # Errors
    /// A view is missing, or lacks a column that the agent reads.
    fn dispatch(&self, forecasts: &Rows<'s>, short: &Rows<'s>) -> Result<Rows<'s>, HostError>;
}

impl<'s> DispatchDevices<'s> for Scene<'_, 's> {
    fn dispatch(&self, forecasts: &Rows<'s>, short: &Rows<'s>) -> Result<Rows<'s>, HostError> {
        let said = [said::<Forecast>(forecasts), said::<ShortForecast>(short)];
        let [wishes] = self.host("dispatch", DispatchKernel::new, &said)?;
        Ok(wishes)
    }
}

#[cfg(test)]
mod tests;
