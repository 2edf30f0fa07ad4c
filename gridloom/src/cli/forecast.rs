//! `gridloom forecast`: foresight without an instance, on a history that its owner has in a file.
//!
//! Everything is read from files; what is said about them goes to stdout, progress to stderr.

mod backtest;
mod columns;
mod issues;
mod models;
mod parquet;
mod plot;
mod print;
mod series;
mod table;
mod time;

use std::io::Write;
use std::process::ExitCode;

/// What to foresee.
#[derive(Debug, clap::Args)]
pub(crate) struct ForecastArgs {
    #[command(subcommand)]
    command: ForecastCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ForecastCommand {
    /// Tell a history again, ask every model at rolling origins, and score what it says.
    Backtest(Box<backtest::BacktestArgs>),
}

/// Does it.
///
/// # Errors
/// A file cannot be read or is not understood, or nothing of it can be scored.
pub(crate) fn run(args: &ForecastArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.command {
        ForecastCommand::Backtest(args) => backtest::run(args, out),
    }
}
