//! Floor 4, the front door: what introduces the rooms to each other.
//!
//! The binary is in `main.rs`; what tests and benches need of it is here.

pub mod wiring;
