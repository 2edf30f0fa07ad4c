//! `gridloom check`: everything that is wrong with a configuration, before anything is started.

use std::io::Write;
use std::path::PathBuf;

use gridloom::check;

/// What to check.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "gridloom.toml")]
    pub(crate) config: PathBuf,
    /// Check the text alone: ask no broker and open no source.
    #[arg(long)]
    pub(crate) offline: bool,
}

/// Checks and says what was found good.
///
/// # Errors
/// All mistakes, for exit code 2.
pub(crate) fn run(args: &CheckArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let checked = check::check(&args.config, !args.offline)?;
    let config = &checked.config;
    let (views, sources) = (checked.plans.len(), config.sources.len());
    let agents = if config.agents.is_some() { "on" } else { "off" };
    let sink = config.setpoints.as_ref().map_or("nowhere", |sink| sink.kind.as_str());
    writeln!(out, "{}: no mistakes", args.config.display())?;
    writeln!(
        out,
        "instance {}: {views} views, {sources} sources, setpoints to {sink}, agents {agents}",
        config.instance.name
    )?;
    if let Some(network) = &checked.network {
        for part in network.networks.iter() {
            writeln!(out, "network {}: {}", part.feeder_id, part.network)?;
        }
        writeln!(out, "point map: {} points", network.points)?;
        network.remarks.iter().try_for_each(|remark| writeln!(out, "remark: {remark}"))?;
    }
    Ok(())
}
