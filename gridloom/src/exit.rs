//! How the process ends, and with which code.
//!
//! | code | meaning |
//! | ---- | ------- |
//! | 0 | done |
//! | 1 | something failed; the sentence is on stderr |
//! | 2 | the command line, the configuration or a view is wrong; all mistakes are on stderr |
//! | 70 | a worker of the dataflow broke an invariant ([`gridloom::broken`]); start again |

use std::io::Write;
use std::process::ExitCode;

use gridloom::problem::Problems;

/// The exit code of a wrong configuration.
pub(crate) const WRONG: u8 = 2;

/// Tells an error to the person in front, and gives the code that says the same to a script.
pub(crate) fn tell(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        // Whoever read us has seen enough.
        return ExitCode::SUCCESS;
    }
    if let Some(problems) = error.downcast_ref::<Problems>() {
        say(&problems.to_string());
        return ExitCode::from(WRONG);
    }
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("\ncaused by: {cause}"));
    }
    say(&text);
    ExitCode::FAILURE
}

/// Writes a line for people; where stderr is gone, nobody is there to be told.
pub(crate) fn say(text: &str) {
    writeln!(std::io::stderr().lock(), "{text}").unwrap_or_default();
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.into_iter().any(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
