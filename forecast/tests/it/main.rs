//! The tests of this room, as one binary.

mod backtest;
mod boost;
mod calendar;
mod conformal;
mod correction;
mod drift;
mod heard;
mod hierarchy;
mod look_ahead;
mod online;
mod plant;
mod quality;
mod real;
mod restated;
mod rewind;
mod score;
mod series;
mod short;
mod short_above;
mod solar;
mod watch_data;
mod watched;
