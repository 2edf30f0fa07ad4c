//! Floor 1: the physics. A network of buses, branches and transformers, and the flow of power in
//! it.
//!
//! The room is pure: no clock, no files, no Arrow. It is given numbers and gives numbers back, so
//! the plant, the estimator and the twin can all stand on it.
//!
//! # Sign convention
//!
//! **Injection into a bus is positive**: generation and discharge are positive, load and charging
//! negative. At the end of a branch or a winding, **flow from the bus into the branch is
//! positive**; the two ends of a lossless branch therefore carry opposite signs. Reactive power
//! follows the same rule, with inductive consumption as a negative injection. Where three phases
//! are taken as balanced, powers are three-phase totals and voltages line to line.
//!
//! Angles leave the room in degrees, everything inside is per unit (see [`per_unit`]).

pub mod complex;
pub mod estimation;
pub mod measurement;
pub mod model;
pub mod network;
pub mod per_unit;
pub mod power_flow;
pub mod sparse;
pub mod three_phase;
pub mod topology;

pub use crate::complex::Complex;
pub use crate::model::Model;
pub use crate::network::BusIndex;
pub use crate::network::Network;
pub use crate::topology::Topology;
