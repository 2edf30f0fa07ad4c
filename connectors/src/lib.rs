//! Floor 2, the doors: where readings come in and setpoints leave.
//!
//! Bytes and meaning are two lists. A *door* ([`mod@file`], [`kafka`]) knows a medium: how to
//! connect, what a partition is, how to resume. A *format* ([`format`](mod@format)) knows how one
//! record becomes a row of a stream. Every source keeps the contract of [`source`], every sink that
//! of [`sink`]; [`registry`] makes them from configuration. [`simulator`] stands in for a whole
//! plant.
//!
//! Read in this order: [`source`], [`sink`], [`registry`], then a door.
//!
//! No door decides about time, lateness or unknown keys: that is `pipeline`'s ingest.

pub mod source;

pub mod sink;

pub mod error;

pub mod format;

pub mod options;

pub mod file;

pub mod kafka;

pub mod registry;

#[cfg(test)]
mod contract;

pub mod simulator;
