//! `gridloom audit verify`: whether the log says what was written.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;

use crate::exit::say;
use gridloom::data_dir;
use gridloom::data_dir::DataArgs;

/// What to do with the log.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AuditArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
}

/// What can be done with the log.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check every checksum, every link and the signed head; name the first bad record.
    Verify(DataArgs),
}

/// Verifies; a log that is not intact is exit code 1.
///
/// # Errors
/// There is no log, or it cannot be read.
pub(crate) fn run(args: &AuditArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let AuditCommand::Verify(data) = &args.command;
    let dir = data_dir::find(data)?;
    say(&format!("audit log of {}", dir.shown()));
    let report = pipeline::log::verify(&dir.audit()).context("the log cannot be verified")?;
    writeln!(out, "{report}")?;
    Ok(if report.intact() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
