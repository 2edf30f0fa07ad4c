//! Estimation against the stored optima of the public cases, and against laws that hold anywhere.

mod accuracy;
mod balanced;
pub(crate) mod conductors;
mod laws;
mod observable;
pub(crate) mod sets;
mod speed;
pub(crate) mod unbalanced;
mod units;
