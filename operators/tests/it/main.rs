//! The agents together: closed over a small plant, hosted by workers, on a network from a file.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod closed_loop;
mod hierarchy;
mod hosted;
mod network;
mod path;
mod plant;
mod unbalanced;
