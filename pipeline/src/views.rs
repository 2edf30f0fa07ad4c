//! The maintained views, as readers see them: complete ticks only.
//!
//! Each worker publishes what changed in its share of a view at a tick; the instance applies a
//! tick's changes here once the tick is durable. So a reader never sees half a tick, nor one that a
//! crash could take back.
//!
//! # Bounds
//!
//! The rows of every view, once, and the text of every row that cannot be computed; views bound
//! themselves by their relations' retention, and a row that fails stands as long as it would
//! otherwise.

pub mod publish;
pub mod snapshot;
pub mod store;
mod subscribe;
pub mod tell;
