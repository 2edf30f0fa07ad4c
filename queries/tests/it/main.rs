//! The desk, tested by its texts: plans as EXPLAIN prints them, refusals as sentences, answers as
//! rows.

mod answers;
mod golden;
mod plans;
mod refusals;
mod shipped;
