//! Floor 2: the verbs. Each agent is a *kernel* that judges and a thin *face* that hosts it.
//!
//! A kernel is pure: it is told what changed in the views it reads, tick by tick, and answers with
//! rows. The [`host`] runs any kernel in the dataflow, keyed by feeder so that workers share the
//! load; a [`face`] says what it reads and gives. [`control`] wires them into the decision path:
//!
//! ```text
//!  assets, plant_hour ──▶ forecast::plant ──▶ forecasts
//!  load_history, node_hour ──▶ forecast ──▶ forecasts
//!  node_quarter, plant_quarter ──▶ ├──▶ short ──▶ short_forecasts
//!                                  ▼      ▼
//!  feeder_now, asset_state ────▶ dispatch ──▶ proposed ─┐
//!  commands ───────────────────▶ request ───▶ proposed ─┴▶ guard ──▶ cleared | refused
//!                                                            │
//!  asset_state ────────────────────────────────────────────▶ emit ──▶ sent, …, setpoints
//!  bus_voltage, feeder_now, stale_sensors ─▶ detect ──▶ alarms
//!  point_values, switch_state, forecasts ──▶ estimate ─▶ estimates.*, alarms
//! ```
//!
//! **Invariant:** a decision depends only on what the views held at its tick, the settings, and the
//! kernel's own bounded memory; the same changes at the same ticks give the same rows, for any
//! number of workers.
//!
//! Nothing here sends: `emit` says what may leave, and whoever holds the audit log sends it once
//! that is durable.
//!
//! Read in this order: [`kernel`], [`table`], [`settings`], [`control`], then the agents, then
//! [`host`].

pub mod adapt;
pub mod control;
pub mod detect;
pub mod dispatch;
pub mod emit;
pub mod error;
pub mod estimate;
pub mod face;
pub mod forecast;
pub mod guard;
pub mod host;
pub mod kernel;
pub mod pace;
pub mod request;
pub mod settings;
pub mod table;
