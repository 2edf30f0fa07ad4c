//! What becomes of a broken invariant: the process ends, with a code of its own.
//!
//! Timely does not tell sibling threads when one panics: they would wait for ever, and so would the
//! grid. A worker's panic is a broken invariant of ours, so it ends the process at once; whoever
//! supervises it starts it again, and the log holds every tick that was acknowledged.

/// The exit code of a broken invariant (`EX_SOFTWARE` of sysexits.h).
pub const EXIT_CODE: i32 = 70;

/// What the names of timely's threads begin with.
const WORKERS: &str = "timely:";

/// From now on a panic on a thread of the dataflow ends the process with [`EXIT_CODE`].
pub fn exit_on_worker_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        let thread = std::thread::current();
        if thread.name().is_some_and(|name| name.starts_with(WORKERS)) {
            tracing::error!(
                "a dataflow worker panicked: exiting so that a restart replays the log"
            );
            std::process::exit(EXIT_CODE);
        }
    }));
}
