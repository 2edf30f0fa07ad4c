//! Sparse linear algebra on one dense block per node: LU on a pattern that is known beforehand.
//!
//! Grid matrices keep their pattern from one factorisation to the next, for as long as the topology
//! stands. So the order of elimination, the fill, and where each product of the elimination lands
//! are found once, in [`Pattern::new`]; a factorisation is straight arithmetic over lists. Pivots
//! are not sought across blocks (the matrices are structurally symmetric, their diagonal blocks
//! regular); within a block the pivot is the largest of its column. Whoever solves watches the
//! weakest pivot and the residual, and falls back where they are bad.
//!
//! Measured against a general sparse LU that repeats its pivot search with every factorisation,
//! this is an order of magnitude faster (see `benches/benches/grid.rs`).

pub mod block;
pub mod lanes;
pub mod layout;
pub mod lu;
pub mod pattern;
pub mod pivoting;
pub mod selected_inverse;
pub mod symmetric;

pub use self::block::Block;
pub use self::lanes::Lanes;
pub use self::layout::Layout;
pub use self::lu::Weakest;
pub use self::pattern::Pattern;
pub use self::symmetric::Symmetric;
