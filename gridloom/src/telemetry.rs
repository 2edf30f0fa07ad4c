//! What the process says of itself: lines on stderr, chosen by `GRIDLOOM_LOG`.
//!
//! Results go to stdout, sentences and this to stderr, so that a pipe holds results alone. A
//! command that ends by itself says only what is unexpected; `run`, which does not, also says what
//! changes. `GRIDLOOM_LOG` takes the usual directives: `debug`, or `pipeline=debug,info`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The variable that chooses.
pub(crate) const VARIABLE: &str = "GRIDLOOM_LOG";

/// What is said when nobody chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// What is unexpected.
    Quiet,
    /// And what changes.
    Steady,
}

/// Begins to write. Only the first call of a process counts.
pub(crate) fn start(voice: Voice) {
    let default = match voice {
        Voice::Quiet => "warn",
        Voice::Steady => "info",
    };
    let chosen = std::env::var(VARIABLE).ok().filter(|text| !text.trim().is_empty());
    let (filter, refused) = match chosen.as_deref().map(EnvFilter::try_new) {
        None => (EnvFilter::new(default), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(default), Some(error)),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let started = match voice {
        Voice::Quiet => lines.without_time().try_init(),
        Voice::Steady => lines.try_init(),
    };
    if let (Ok(()), Some(error)) = (started, refused) {
        tracing::warn!(%error, "GRIDLOOM_LOG is no filter: write a level, or target=level");
    }
}
