//! The physics against its peers: power flow, estimation, three phases, in one run.
//!
//! A race is one task on one network by several contestants: ours and each peer's, which runs in a
//! process of its own with its model kept. They take turns for a few rounds, so that whatever
//! else the machine does meets all of them; what is claimed is the median of the rounds' ratios.
//! All get the same network and the same draws, and a race says how far apart their answers are:
//! a fast wrong answer must not be a number.
//!
//! Not timed on any side: making the model, and for power flow handing over the changed loads. An
//! estimator's new values are part of its tick.

pub mod draw;

pub mod case;
pub mod plan;
pub mod radial;

pub mod field;
pub mod peers;

pub mod race;

pub mod ours;

pub mod tasks;

pub mod native;
pub mod table;

/// The seed of everything that is drawn.
pub const SEED: u64 = 88_172_645_463_325_252;

/// Largest mismatch at which a solution counts as one, per unit; given to all contestants.
pub const TOLERANCE_PU: f64 = 1e-8;
