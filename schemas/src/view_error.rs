//! What a view could not compute, kept where it can be queried.

use crate::relation;

relation! {
    /// Rows of one view that cannot be computed, as they stand at the snapshot's tick.
    ///
    /// They go when their row is taken back, corrected or forgotten, as the rows of the view do.
    pub struct ViewError in "view_errors" {
        /// The view that leaves them out.
        pub view: String,
        /// What fails, as EXPLAIN prints it.
        pub expression: String,
        /// Why.
        pub message: String,
        /// The row that the expression is given, as `column=value` text.
        pub row: String,
        /// How often that row stands.
        pub count: i64,
    }
}
