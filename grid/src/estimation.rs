//! State estimation: the voltages under which what was measured is least surprising.
//!
//! Weighted least squares over everything measured, with what is known exactly (nothing is injected
//! where nothing stands) as constraints. The unknowns of a node are its angle, its magnitude and
//! two multipliers, so that the matrix has exactly the pattern of the admittance matrix:
//!
//! ```text
//! ⎡ Hᵀ W H    Qᵀ ⎤ ⎡ dx ⎤   ⎡ Hᵀ W (z - h) - Qᵀ λ ⎤     H  voltages, flows, currents: one hop
//! ⎣   Q      -Σ  ⎦ ⎣ dλ ⎦ = ⎣    z - s + Σ λ      ⎦     Q  injections: would be two hops in H
//! ```
//!
//! (F. C. Schweppe, J. Wildes, *Power system static-state estimation*, IEEE PAS-89, 1970; the
//! augmented rows are Hachtel's, A. Gjelsvik, S. Aam, L. Holten, IEEE PAS-104, 1985.) A zero
//! injection has Σ = 0 and is a balance of *currents*: its row is not derived by the voltage that
//! turns the current into a power, which makes the step the one of `Y V = 0`. The power form has a
//! spurious root at `V = 0`.
//!
//! The right-hand side is the true gradient at the carried multipliers, so a frozen factor lands on
//! the same optimum as a fresh one: [`Estimator::solve`](estimator::Estimator::solve) from flat and
//! [`Estimator::track`](estimator::Estimator::track) from where it stands are the same passes.
//!
//! The core knows nodes, admittances, and terminals whose current is linear in some voltages
//! ([`Circuit`]); a balanced network and a three-phase one differ in who makes the circuit.

pub mod circuit;
pub mod row;

pub mod measurement;

mod system;

pub mod estimator;

pub mod covariance;
pub mod observability;
pub mod robust;
pub mod tap;

pub mod statistics;

pub mod influence;

pub mod bad_data;
pub mod topology_error;
pub mod units;

pub mod tracker;

pub use self::circuit::Circuit;
pub use self::circuit::Terminal;
pub use self::estimator::Estimator;
pub use self::estimator::Outcome;
pub use self::estimator::Settings;
pub use self::measurement::Unused;
pub use self::measurement::WhyUnused;
pub use self::observability::Observability;
pub use self::row::Row;
pub use self::row::What;
pub(crate) use self::system::MOST as TERMS_MAX;
pub use self::tap::Ratio;
