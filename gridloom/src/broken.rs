//! What becomes of a broken invariant: the process ends, with a code of its own.
//!
//! Timely does not tell sibling threads when one panics: they would wait for ever, and so would the
//! grid; and a source whose thread is gone would look like one that has nothing to say. A panic of
//! either is a broken invariant of ours, so it ends the process at once; whoever supervises it
//! starts it again, and the log holds every tick that was acknowledged.

/// The exit code of a broken invariant (`EX_SOFTWARE` of sysexits.h).
pub const EXIT_CODE: i32 = 70;

/// What the names of timely's threads and of the sources' begin with.
const NEEDED: [&str; 2] = ["timely:", "source:"];

/// From now on a panic on a thread of the dataflow or of a source ends the process, with
/// [`EXIT_CODE`].
pub fn exit_on_worker_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        if NEEDED.iter().any(|needed| name.starts_with(needed)) {
            tracing::error!(thread = name, "panicked: exiting so that a restart replays the log");
            std::process::exit(EXIT_CODE);
        }
    }));
}
