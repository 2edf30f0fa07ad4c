//! Tests of the grid room against solutions found elsewhere and against Kirchhoff's laws.

#![expect(clippy::unwrap_used, reason = "a test stops where its set-up fails")]

mod kerber_dorfnetz;
mod sweep;
