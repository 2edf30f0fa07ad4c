//! Where things lie: the workspace, and a folder for what is downloaded and run.
//!
//! Everything made here lies in the target directory, wherever that was moved to, so that `cargo
//! clean` takes all of it away.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use anyhow::ensure;

/// The folders.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    /// The root of the workspace.
    pub(crate) workspace: PathBuf,
    /// What belongs to the broker, within the target directory.
    pub(crate) kafka: PathBuf,
    /// What belongs to the desk's clients, within the target directory.
    pub(crate) clients: PathBuf,
}

impl Paths {
    /// Asks cargo, which knows of every way to move the target directory.
    pub(crate) fn find() -> anyhow::Result<Paths> {
        let output = Command::new(cargo())
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .output()
            .context("cargo could not be run")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cargo metadata failed: {said}");
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let folder = |key: &str| {
            let path =
                metadata[key].as_str().with_context(|| format!("cargo does not say {key}"))?;
            anyhow::Ok(PathBuf::from(path))
        };
        let target = folder("target_directory")?;
        let (kafka, clients) = (target.join("xtask-kafka"), target.join("xtask-clients"));
        Ok(Paths { workspace: folder("workspace_root")?, kafka, clients })
    }
}

/// The cargo that runs us.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
