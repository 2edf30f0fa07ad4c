//! The desk with its doors, and the clients that people use.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod curl;
mod desk;
mod engine;
mod indexes;
mod jdbc;
mod psql;
mod python;
mod tools;
mod transactions;
