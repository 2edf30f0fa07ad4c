//! How the rooms meet: SQL texts become plans, plans and agents become a flow, a flow and a log
//! become an instance.
//!
//! Only this module knows both the desk and the engine.

pub mod bundled;
pub mod day;
pub mod foresight;
pub mod lockstep;
pub mod open;
pub mod plant;
pub mod plants;
pub mod score;
pub mod serve;
pub mod views;
