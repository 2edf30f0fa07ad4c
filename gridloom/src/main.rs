//! `gridloom`: parse, do, exit code.
//!
//! The only place that reads the environment, prints, and exits.

mod cli;

mod exit;

mod progress;

mod telemetry;

use clap::Parser;

fn main() -> std::process::ExitCode {
    gridloom::broken::exit_on_worker_panic();
    cli::Cli::parse().run()
}
