//! Why the archive could not do what it was asked.

use std::error::Error;

use datafusion::error::DataFusionError;
use deltalake_core::DeltaTableError;
use schemas::audit::ChainError;
use schemas::audit::Head;
use schemas::audit::Kind;

use crate::table::Position;

/// What whoever brings records may fail with.
pub type Outside = Box<dyn Error + Send + Sync>;

/// Why the archive could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The place where the table should be.
    #[error("{location} cannot be an archive: {problem}")]
    Location {
        /// What was named.
        location: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The table cannot be read or written.
    #[error("the archive {location} cannot be {action}")]
    Table {
        /// Where it lies.
        location: String,
        /// What was tried: `opened`, `sealed to`.
        action: &'static str,
        /// What the table said.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// The table cannot be asked.
    #[error("the archive {location} cannot be read")]
    Query {
        /// Where it lies.
        location: String,
        /// What the engine said.
        #[source]
        source: Box<DataFusionError>,
    },
    /// The table holds another instance's records, or is none of ours.
    #[error(
        "the archive {location} belongs to {found}, not to instance {wanted:?}; give this instance \
         an archive of its own"
    )]
    Foreign {
        /// Where it lies.
        location: String,
        /// Whose it is.
        found: String,
        /// Who asked.
        wanted: String,
    },
    /// The records that come next are not those that follow what is sealed.
    #[error(
        "the log does not go on where the archive {location} ends ({sealed}): after the next \
         commit the log counts {found}; run `gridloom audit verify`, and give a new log a new \
         archive"
    )]
    Gap {
        /// Where it lies.
        location: String,
        /// What is sealed.
        sealed: Position,
        /// Where the log stands after the next commit.
        found: Head,
    },
    /// Records whose links do not hold are not sealed.
    #[error("{record} does not follow from the records before it; run `gridloom audit verify`")]
    Broken {
        /// Which.
        record: String,
    },
    /// Records that are no linked records.
    #[error("the records of a commit cannot be sealed")]
    Chain(#[from] ChainError),
    /// A column that the table cannot hold.
    #[error("column {column} of the {kind} records cannot be sealed: {problem}")]
    Column {
        /// Whose column.
        kind: Kind,
        /// Its name.
        column: String,
        /// What is wrong.
        problem: String,
    },
    /// Whoever brings the records failed.
    #[error("the log cannot be read")]
    Log(#[source] Outside),
}

impl ArchiveError {
    /// Wraps what the table said.
    pub(crate) fn table(
        location: &str,
        action: &'static str,
    ) -> impl FnOnce(DeltaTableError) -> ArchiveError + use<> {
        let location = location.to_owned();
        move |source| ArchiveError::Table { location, action, source: Box::new(source) }
    }

    /// Wraps what the engine said.
    pub(crate) fn query(location: &str) -> impl FnOnce(DataFusionError) -> ArchiveError + use<> {
        let location = location.to_owned();
        move |source| ArchiveError::Query { location, source: Box::new(source) }
    }
}
