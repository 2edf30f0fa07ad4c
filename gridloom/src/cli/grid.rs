//! `gridloom grid`: the physics without an instance. A network in the format its owner has is
//! checked, solved for given powers, or estimated from given measurements.
//!
//! Everything is read from files and written to files, so that a study can be repeated; what is
//! said about it goes to stdout. A network of which a part had to be left out is solved only when
//! that is asked for: an answer about half of a network is worse than none.

mod check;
mod estimate;
mod network;
mod powerflow;
mod state;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// What to do with a network.
#[derive(Debug, clap::Args)]
pub(crate) struct GridArgs {
    #[command(subcommand)]
    command: GridCommand,
}

#[derive(Debug, clap::Subcommand)]
enum GridCommand {
    /// Read a network and say what is in it, and everything that is wrong with it.
    Check(check::CheckArgs),
    /// Solve for the voltages under the powers that the network states.
    Powerflow(powerflow::PowerflowArgs),
    /// Estimate the state from measurements, name bad ones, wrong switches and blind spots.
    Estimate(estimate::EstimateArgs),
}

/// Which network, and how its switches stand.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Which {
    /// A case folder, or a file: pandapower or Power Grid Model JSON, MATPOWER .m, OpenDSS .dss.
    #[arg(long, value_name = "CASE")]
    network: PathBuf,
    /// Switch positions as CSV: switch_id, closed (1 or 0). Others stand as the network says.
    #[arg(long, value_name = "FILE")]
    switches: Option<PathBuf>,
    /// A scenario of a case folder: its folder's switch_status.csv is taken, and files that are not
    /// found from here are looked for in it.
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Go on although a part of the network was not understood.
    #[arg(long)]
    partial: bool,
}

/// Does it.
///
/// # Errors
/// The network cannot be read or solved, or a file cannot be written.
pub(crate) fn run(args: &GridArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.command {
        GridCommand::Check(args) => check::run(args, out),
        GridCommand::Powerflow(args) => powerflow::run(args, out),
        GridCommand::Estimate(args) => estimate::run(args, out),
    }
}
