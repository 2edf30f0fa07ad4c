//! The agents together: closed over a small plant, and hosted by workers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod closed_loop;
mod hosted;
mod path;
mod plant;
