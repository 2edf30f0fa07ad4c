//! Floor 3: the doors. PostgreSQL wire, Arrow Flight SQL and HTTP on one desk.
//!
//! Read in this order: [`role`] and [`users`] say who may do what; [`desk`] and [`session`] answer
//! statements over a running [`schemas::contract::Engine`]; the rest are
//! the doors.
//!
//! **Invariant:** what all relations of one statement show is of one tick.
//! **Invariant:** nobody is answered before they proved who they are, save for `/healthz` and
//! `/readyz`.
//! **Invariant:** no statement reads or writes a file of the server.
//! **Invariant:** nothing a client does makes the dataflow wait.

#![allow(
    clippy::disallowed_types,
    clippy::field_reassign_with_default,
    clippy::needless_pass_by_value,
    clippy::redundant_guards,
    reason = "pgwire, tonic and Arrow ask for these shapes"
)]

mod catalog;
mod change;
pub mod desk;
pub mod doors;
pub mod error;
mod explain;
mod flight;
mod guard;
mod http;
mod index;
pub mod limits;
mod listen;
pub mod metrics;
mod relations;
pub mod role;
pub mod run;
pub mod scram;
pub mod session;
mod settings;
pub(crate) mod statement;
mod subscription;
mod system;
pub mod tables;
mod text;
pub mod tls;
mod transaction;
pub mod users;
mod wire;

pub use desk::Desk;
pub use doors::Doors;
pub use doors::Opening;
pub use doors::Openings;
pub use error::DeskError;
pub use limits::Limits;
pub use role::Principal;
pub use role::Role;
pub use session::Session;
pub use tables::Tables;
pub use users::Users;
