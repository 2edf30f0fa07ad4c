//! `gridloom`: parse, do, exit code.
//!
//! The only place that reads the environment, prints, and exits.

mod cli;

mod exit;

mod progress;

mod telemetry;

use clap::Parser;

/// Rows longer than 23 bytes are many small boxes; the system's allocator spends twice as long on
/// them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    gridloom::broken::exit_on_worker_panic();
    cli::Cli::parse().run()
}
