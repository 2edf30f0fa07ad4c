//! All tests of the front door in one binary: on two cores, linking is the cost.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod bad_input;
mod broken;
mod cli;
mod config;
mod kafka;
mod oracle;
mod recovery;
mod tidy;
