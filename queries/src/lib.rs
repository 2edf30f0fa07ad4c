//! Floor 3: the desk. SQL becomes view plans here, and tables are asked here; nothing here knows
//! timely.
//!
//! Read in this order: [`plan`] makes a [`schemas::plan::ViewPlan`] of a view's text; [`batch`]
//! asks the same SELECT once, of rows at hand, and is the oracle of every test; [`table`] is what
//! `gridloom sql` asks.
//!
//! **Invariant:** one dialect. A SELECT that is maintained and a SELECT that is asked once go
//! through the same parser, the same session settings and the same total orders
//! ([`plan::canonical`]), and give the same rows.
//!
//! DataFusion is told only the inner query: statements are parsed here, with sqlparser's PostgreSQL
//! dialect.

mod apart;
pub mod batch;
mod date_bin;
mod extreme;
mod held;
mod hop;
pub mod index;
mod moving;
pub mod plan;
pub mod session;
pub mod shipped;
pub mod source;
mod spread;
pub mod table;

pub use plan::Planner;
pub use plan::refuse::PlanError;
pub use shipped::shipped;
