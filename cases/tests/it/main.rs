//! Tests of the importers against solutions found elsewhere and against Kirchhoff's laws.

#![expect(clippy::unwrap_used, reason = "a test stops where its set-up fails")]

mod balance;
mod folder;
mod golden;
mod kirchhoff;
mod matpower;
mod open;
mod opendss;
mod opendss_bounds;
mod pandapower;
mod pgm;
mod places;
mod point_map;
mod solve;
mod unbalanced;
mod windings;
