//! The yard: workloads, and the instruments they are measured with.
//!
//! Speed is claimed as readings per processor-second of the whole process, and as ratios between
//! ways of computing the same thing in one run, because a shared machine makes wall time a rumour.
//! Memory is live heap, counted by the allocator. No number leaves without workload, seed, cores
//! and memory.

pub mod extremes;
pub mod feeder_cost;
pub mod foresight;
pub mod live;
pub mod meter;
pub mod physics;
pub mod tpch;
