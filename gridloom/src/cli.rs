//! The command line: what is wanted, and who does it.
//!
//! Each command is a file. It is given its arguments and where results go, and gives back nothing
//! or an error; [`exit`] makes the one sentence and exit code of that. Results are on stdout,
//! everything that is said about them on stderr.

mod audit;
mod check;
mod demo;
mod explain;
mod forecast;
mod grid;
mod plant;
mod run;
mod sql;
mod user;
mod why;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::Subcommand;

use crate::exit;
use crate::telemetry;
use crate::telemetry::Voice;

/// Keeps a grid in view, and within its limits: readings to SQL views, views to actions, actions to
/// an audit log.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a recorded day of a neighbourhood through the whole loop.
    Demo(demo::Demo),
    /// Run an instance from its configuration, until told to stop.
    Run(run::Run),
    /// Simulate a neighbourhood around a running instance.
    Plant(plant::Plant),
    /// Check configuration, views and connections; tell all mistakes at once.
    Check(check::CheckArgs),
    /// Ask the views' last state and the audit log.
    Sql(sql::SqlArgs),
    /// Show how a SELECT or a view is maintained, and what it keeps.
    Explain(explain::ExplainArgs),
    /// Check, solve or estimate a network, without an instance.
    Grid(grid::GridArgs),
    /// Foresee a series from its history, without an instance.
    Forecast(forecast::ForecastArgs),
    /// Look after the audit log.
    Audit(audit::AuditArgs),
    /// Say who may come in through the doors.
    User(user::UserArgs),
    /// Tell the story of one action: what it saw, why, what came of it.
    Why(why::WhyArgs),
}

impl Cli {
    /// Does what is wanted.
    pub(crate) fn run(self) -> ExitCode {
        telemetry::start(match self.command {
            Command::Run(_) | Command::Plant(_) => Voice::Steady,
            _ => Voice::Quiet,
        });
        let mut out = std::io::stdout().lock();
        let done = self.command.run(&mut out).and_then(|code| {
            out.flush()?;
            Ok(code)
        });
        done.unwrap_or_else(|error| exit::tell(&error))
    }
}

impl Command {
    fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        match self {
            Command::Demo(demo) => demo.run()?,
            Command::Run(run) => run.run()?,
            Command::Plant(plant) => plant.run()?,
            Command::Check(args) => check::run(&args, out)?,
            Command::Sql(args) => sql::run(&args, out)?,
            Command::Explain(args) => explain::run(&args, out)?,
            Command::Grid(args) => return grid::run(&args, out),
            Command::Forecast(args) => return forecast::run(&args, out),
            Command::Audit(args) => return audit::run(&args, out),
            Command::User(args) => user::run(&args, out)?,
            Command::Why(args) => why::run(&args, out)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
