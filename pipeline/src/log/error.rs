//! Why the log could not do what it was asked.
//!
//! Every message says what, where and how to mend it, since the first to read it is a person whose
//! grid does not start.

use std::io;
use std::path::PathBuf;

use arrow_schema::ArrowError;
use schemas::audit::ChainError;
use schemas::time::Timestamp;

use super::verify::Finding;

/// Why the log could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The folder is another instance's.
    #[error(
        "audit folder {path} belongs to instance {found:?}, not to {wanted:?}; give this instance \
         a data_dir of its own, or start it under the name {found:?}"
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Who asked.
        wanted: String,
    },
    /// Another process writes here.
    #[error(
        "audit folder {path} is in use by another process; stop that process, or give this \
         instance a data_dir of its own"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A file that the folder needs is missing or says something it cannot say.
    #[error("{path}: {problem}; {remedy}")]
    Folder {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// How to mend it.
        remedy: &'static str,
    },
    /// Bytes that were durable are damaged: dropping them would lose what was acknowledged.
    #[error(
        "the log is damaged at byte {offset} of {path}: {problem}; run `gridloom audit verify` and \
         restore the folder from a copy"
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// The chain does not hold.
    #[error(
        "the log in {path} does not hold: {finding}; restore the folder from a copy, or start with \
         an empty one"
    )]
    Broken {
        /// The folder.
        path: PathBuf,
        /// Where, first.
        finding: Box<Finding>,
    },
    /// A commit for a tick that is not after the last one.
    #[error("tick {tick} cannot be committed after tick {last}")]
    TickOrder {
        /// The tick.
        tick: Timestamp,
        /// The last one.
        last: Timestamp,
    },
    /// The audit records cannot be linked.
    #[error("the audit records of tick {tick} cannot be linked")]
    Chain {
        /// The tick.
        tick: Timestamp,
        /// Why.
        #[source]
        source: ChainError,
    },
    /// A batch cannot be written.
    #[error("{name} of tick {tick} cannot be written: {problem}")]
    Batch {
        /// Stream or kind.
        name: String,
        /// The tick.
        tick: Timestamp,
        /// Why.
        problem: String,
    },
    /// A write failed before: what is on disk is unknown until the log is opened again.
    #[error("the log at {path} failed before; it must be opened again")]
    Poisoned {
        /// The folder.
        path: PathBuf,
    },
}

impl LogError {
    /// Wraps what the system said.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> LogError {
        let path = path.into();
        move |source| LogError::Io { action, path, source }
    }

    /// Wraps what Arrow said of a batch.
    pub(super) fn batch(name: &str, tick: Timestamp, error: &ArrowError) -> LogError {
        LogError::Batch { name: name.to_owned(), tick, problem: error.to_string() }
    }
}
