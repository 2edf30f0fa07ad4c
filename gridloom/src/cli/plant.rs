//! `gridloom plant`: the simulated neighbourhood as a process of its own.

use std::path::PathBuf;

use clap::Args;

/// What `plant` may be told.
#[derive(Args, Debug)]
pub(crate) struct Plant {
    /// The configuration of the instance that it surrounds.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Plant {
    /// Runs the plant.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        anyhow::bail!("the plant of {:?} cannot be run yet", self.config)
    }
}
