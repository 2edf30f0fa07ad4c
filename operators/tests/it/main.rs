//! The agents together: closed over a small plant, and hosted by workers.

mod closed_loop;
mod hosted;
mod path;
mod plant;
