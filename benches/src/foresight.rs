//! Foresight's workloads: thousands of made nodes, and real series beside LightGBM.

pub mod nodes;
pub mod real;
