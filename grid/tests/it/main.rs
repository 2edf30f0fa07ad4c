//! Tests of the grid room against solutions found elsewhere and against Kirchhoff's laws.

#![expect(clippy::unwrap_used, reason = "a test stops where its set-up fails")]

mod accuracy;
mod bad_data;
mod batch;
mod document;
mod estimation;
mod kerber_dorfnetz;
mod library;
mod network_check;
mod places;
mod power_flow;
mod random_network;
mod sparse;
mod symmetric;
mod three_phase;
mod topology;
mod topology_error;
mod tracker;
