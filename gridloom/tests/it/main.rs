//! All tests of the front door in one binary: on two cores, linking is the cost.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod archive;
mod audit_views;
mod bad_input;
mod batch_agents;
mod broken;
mod cli;
mod config;
mod day;
mod forecast;
mod functions;
mod fuzz;
mod grid;
mod index;
mod kafka;
mod kafka_day;
mod kafka_input;
mod live;
mod lookup;
mod network;
mod oracle;
mod own_sources;
mod prompt;
mod quarters;
mod recovery;
mod restart;
mod simulator;
mod slt;
mod sources;
mod sql_table;
mod standing;
mod tidy;
mod unbalanced;
mod upsert;
mod view_errors;
