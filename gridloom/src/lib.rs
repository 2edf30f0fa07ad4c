//! Floor 4, the front door: what introduces the rooms to each other, and to the person in front.
//!
//! The only package that knows all others. What it does is small: find out what is wanted, check
//! it, introduce engine, desk and doors to each other, and put results and mistakes into sentences.
//! The binary, with the command line, is in `main.rs`; what tests and benches need of it is here.
//!
//! Read in this order: [`config`], [`check`], [`wiring`].

pub mod config;

pub mod check;

pub mod view_files;

pub mod tables;

pub mod network;

pub mod data_dir;

pub mod story;

pub mod audit_tables;

pub mod sealed;

pub mod sealer;

pub mod problem;

pub mod wiring;

pub mod broken;
