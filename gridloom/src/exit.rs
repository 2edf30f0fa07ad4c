//! How the process ends, and with which code.
//!
//! | code | meaning |
//! | ---- | ------- |
//! | 0 | done |
//! | 1 | something failed; the sentence is on stderr |
//! | 2 | the command line, the configuration or a view is wrong; all mistakes are on stderr |
//! | 70 | a worker of the dataflow broke an invariant; start again, the log holds every tick |
//!
//! Timely does not tell sibling threads when one panics: they would wait for ever. A worker's panic
//! is a broken invariant of ours, so it ends the process at once, and whoever supervises it starts it
//! again from the log.

use std::io::Write;
use std::process::ExitCode;

use gridloom::problem::Problems;

/// The exit code of a broken invariant (`EX_SOFTWARE` of sysexits.h).
pub(crate) const BROKEN: u8 = 70;

/// The exit code of a wrong configuration.
pub(crate) const WRONG: u8 = 2;

/// What the names of timely's threads begin with.
const WORKERS: &str = "timely:";

/// Makes a panic on a thread of the dataflow end the process with [`BROKEN`].
pub(crate) fn on_worker_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        let thread = std::thread::current();
        if thread.name().is_some_and(|name| name.starts_with(WORKERS)) {
            tracing::error!(
                "a dataflow worker panicked; exiting so that a restart replays the log"
            );
            std::process::exit(i32::from(BROKEN));
        }
    }));
}

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
