//! Floor 0: the nouns that every other room shares.
//!
//! Streams, reference tables and decisions as typed relations; rows as bytes; view plans; the
//! contract between engine and desk; the one clock; the audit record. Nothing here keeps state,
//! opens a file, or knows how a dataflow or a query engine works.
//!
//! Read in this order: [`time`], [`relation`], [`event`], [`mod@reference`], [`state`],
//! [`decision`], [`estimate`], [`mod@example`], then [`row`], [`plan`], [`contract`].

pub mod audit;
pub mod catalog;
pub mod contract;
pub mod decision;
pub mod definition;
pub mod estimate;
pub mod event;
pub mod example;
pub mod id;
pub mod plan;
pub mod quarantine;
pub mod reference;
pub mod relation;
pub mod row;
pub mod state;
pub mod time;
pub mod view_error;
