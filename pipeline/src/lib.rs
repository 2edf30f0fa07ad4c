//! Floor 3, the engine: events become ticks, ticks become maintained views, decisions become
//! actions.
//!
//! It knows timely and differential dataflow and the log on disk; it knows nothing of SQL. What it
//! renders are the plans of [`schemas::plan`].
//!
//! Read in this order: [`flow`] (the whole dataflow), [`instance`] (the loop around it), [`ingest`]
//! (records to ticks), [`delta`] (what flows), [`stepwise`] (operators that work tick by tick),
//! [`render`] (plan to dataflow), [`mod@index`] (what dataflows share), [`views`] (what readers
//! see), [`log`] (what is durable), [`emit`] (what leaves), [`workers`] (the threads), and last
//! [`engine`] (a handle for readers on other threads).

pub mod delta;
pub mod emit;
pub mod engine;
pub mod flow;
pub mod gauge;
pub mod index;
pub mod ingest;
pub mod instance;
pub mod log;
pub mod render;
pub mod stepwise;
pub mod views;
pub mod workers;

use std::hash::BuildHasher;

/// Which worker a key belongs to, before the modulo: the same in every process of one binary.
pub(crate) fn route(key: &[u8]) -> u64 {
    foldhash::fast::FixedState::default().hash_one(key)
}
