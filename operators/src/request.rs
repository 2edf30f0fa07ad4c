//! Turns what other agents ask of devices into proposed actions, so that all wishes take one path.
//!
//! A command names a device, not a feeder. This kernel is routed by device, looks up the feeder,
//! and gives the command the life of an action: `proposed` by its sender, then judged by
//! [`guard`](crate::guard) like our own. A command for a device that nobody knows is proposed too,
//! without a feeder, and refused there: nothing is dropped in silence.
//!
//! # Bounds
//!
//! State is one short row a device.

pub mod kernel;

pub use self::kernel::RequestKernel;
use crate::error::HostError;
use crate::face::Scene;
use crate::host::Rows;

/// The face of this agent.
pub trait TakeRequests<'s> {
    /// Proposed rows of `actions`, one for each of `commands`.
    ///
    /// # Errors
    /// A view is missing, or lacks a column that the agent reads.
    fn request(&self) -> Result<Rows<'s>, HostError>;
}

impl<'s> TakeRequests<'s> for Scene<'_, 's> {
    fn request(&self) -> Result<Rows<'s>, HostError> {
        let [requests] = self.host("request", RequestKernel::new, &[])?;
        Ok(requests)
    }
}
