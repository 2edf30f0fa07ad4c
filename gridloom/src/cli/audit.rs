//! `gridloom audit`: whether log and archive say what was written, and sealing by hand.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use archive::Location;
use clap::Subcommand;

use crate::exit::say;
use gridloom::config;
use gridloom::config::Config;
use gridloom::data_dir;
use gridloom::data_dir::DataArgs;
use gridloom::sealed;
use gridloom::sealed::Sealing;

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
    /// Check every checksum, every link and the signed head, in log and archive; name the first
    /// bad record.
    Verify(DataArgs),
    /// Copy the records that are signed into the archive, a Delta table, beside a running instance
    /// or without one.
    Seal(DataArgs),
}

/// Does it; a log or archive that is not intact is exit code 1.
///
/// # Errors
/// There is no log, or it or the archive cannot be read or written.
pub(crate) fn run(args: &AuditArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.command {
        AuditCommand::Verify(data) => verify(data, out),
        AuditCommand::Seal(data) => seal(data, out).map(|()| ExitCode::SUCCESS),
    }
}

fn verify(data: &DataArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let dir = data_dir::find(data)?;
    say(&format!("audit log of {}", dir.shown()));
    let verified = sealed::verify(&dir.path)?;
    writeln!(out, "{verified}")?;
    Ok(if verified.intact() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn seal(data: &DataArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let dir = data_dir::find(data)?;
    say(&format!("audit log of {}", dir.shown()));
    let (settings, at) = match &data.config {
        Some(file) => {
            let config = Config::read(file)?;
            let path = config.archive.path.as_deref();
            let at = path.map(|path| Location::parse(path, config.base())).transpose()?;
            (config.archive, at)
        }
        None => (config::Archive::default(), None),
    };
    let mut sealing = Sealing::open(&dir.path, at)?;
    let mut hook = super::run::seal_hook()?;
    let sealed = sealing.seal(settings.policy, &mut hook);
    let (seal, kept) = sealed.context("the records cannot be sealed, and stay in the log")?;
    let archive = sealing.archive();
    writeln!(out, "sealed {} records: now {}", seal.records, seal.sealed)?;
    write!(out, "archive: {} files, {}", archive.files()?, archive.location())?;
    if kept.compacted > 0 {
        write!(out, "; {} files became fewer", kept.compacted)?;
    }
    if kept.retired > 0 {
        write!(out, "; {} files left by policy", kept.retired)?;
    }
    writeln!(out)?;
    Ok(())
}
