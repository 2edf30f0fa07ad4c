//! `gridloom grid check`: a report on a network, worth reading before anything is solved.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::exit::WRONG;

/// What to check.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// A case folder, or a file: pandapower or Power Grid Model JSON, MATPOWER .m, OpenDSS .dss.
    #[arg(value_name = "CASE")]
    network: PathBuf,
}

/// Prints the report. The exit code is 2 where something fatal was found.
///
/// # Errors
/// Nothing of the file can be read.
pub(super) fn run(args: &CheckArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let found = cases::open(&args.network)?;
    write!(out, "{}", cases::report(&found))?;
    Ok(if found.is_sound() { ExitCode::SUCCESS } else { ExitCode::from(WRONG) })
}
