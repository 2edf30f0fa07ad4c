//! What one statement and one client may take. Every limit is here, and each refusal names its own.
//!
//! **Invariant:** nothing a client does makes the dataflow wait: what is computed for clients has
//! threads and a memory pool of its own.

use std::time::Duration;

/// The limits of a desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one statement's text.
    pub statement_bytes: usize,
    /// Rows of one answer.
    pub answer_rows: usize,
    /// Bytes of one answer, as Arrow keeps it.
    pub answer_bytes: usize,
    /// Bytes that all statements together may keep while they compute.
    pub memory_bytes: usize,
    /// How long a statement may take, the client's reading included.
    pub statement_time: Duration,
    /// Clients of one door.
    pub connections: usize,
    /// Statements that compute at once; others wait their turn.
    pub statements: usize,
    /// Threads that compute. More than cores, so that a short statement beside a long one gets its
    /// share from the system.
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            statement_bytes: 1 << 20,
            answer_rows: 5_000_000,
            answer_bytes: 1 << 30,
            memory_bytes: 512 << 20,
            statement_time: Duration::from_secs(60),
            connections: 1_000,
            statements: 32,
            threads: 4,
        }
    }
}

/// How much longer a message may be than a statement: names and parameters come beside the text.
pub(crate) const MESSAGE_BYTES_OVER: usize = 15 << 20;

/// How often it is looked whether a client is still there; half of what the promise allows (1 s).
pub(crate) const CLIENT_CHECK: Duration = Duration::from_millis(200);
