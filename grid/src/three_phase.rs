//! Unbalanced networks: every conductor by itself.
//!
//! A node is one conductor of one bus (`671.2`). An element is its primitive admittance matrix over
//! the nodes of its terminals, `i = Y v` in amperes into the element; ground is no node. Nothing is
//! per unit: the voltages of a split-phase secondary and of a 115 kV source meet in one matrix of
//! siemens, and what is per unit is told so on the way out.
//!
//! ```text
//! data sheet ──(line, transformer, source, shunt)──▶ Element ─┐
//!                                               Load ─────────┼─▶ Network ─▶ Solver ─▶ voltages
//!                                  Regulator, CapacitorControl ┘     │          ▲
//!                                                                    │    control loop
//!                                                                    └─▶ system, for an estimator
//! ```
//!
//! The equations of the elements are those of the OpenDSS engine (R. C. Dugan, *Reference Guide:
//! The Open Distribution System Simulator*, EPRI), down to what it adds so that floating parts have
//! a voltage to ground; the tests compare with it.

pub mod check;
pub mod control;
pub mod element;
pub mod estimate;
pub mod line;
pub mod load;
pub mod matrix;
pub mod measurement;
pub mod network;
pub mod shunt;
pub mod solver;
pub mod source;
pub mod system;
pub mod tracker;
pub mod transformer;

pub use self::control::CapacitorControl;
pub use self::control::Control;
pub use self::control::Regulator;
pub use self::element::Element;
pub use self::element::Kind;
pub use self::estimate::Estimate;
pub use self::load::Law;
pub use self::load::Limits;
pub use self::load::Load;
pub use self::matrix::Matrix;
pub use self::network::Network;
pub use self::network::Node;
pub use self::solver::Outcome;
pub use self::solver::Settings;
pub use self::solver::Solver;
pub use self::transformer::Transformer;
pub use self::transformer::Winding;
