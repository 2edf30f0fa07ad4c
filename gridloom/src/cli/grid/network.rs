//! The network of a study: read, refused where it is not whole, switched as it is said to be.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use cases::Found;
use cases::Import;
use cases::Remark;
use cases::UnbalancedImport;
use grid::network::Severity;
use gridloom::problem::Problem;
use gridloom::problem::Problems;

use super::Which;
use crate::exit::say;

/// A network that may be solved.
pub(super) enum Study {
    /// Positive sequence.
    Balanced(Box<Balanced>),
    /// Phase by phase.
    Unbalanced(Box<UnbalancedImport>),
}

/// A balanced network as it is switched.
pub(super) struct Balanced {
    /// The network.
    pub import: Import,
    /// Positions of its switches.
    pub closed: Vec<bool>,
}

/// Reads what is to be studied.
///
/// # Errors
/// The network or the positions cannot be read, or not all of the network was understood and that
/// was not asked for.
pub(super) fn open(which: &Which) -> anyhow::Result<Study> {
    match cases::open(&which.network)? {
        Found::Balanced(mut import) => {
            refuse(which, &which.network, &import.remarks)?;
            if import.network.name.is_empty() {
                let stem = which.network.file_stem().unwrap_or_default();
                import.network.name = stem.to_string_lossy().into_owned();
            }
            let mut closed = import.network.switches.iter().map(|s| s.closed).collect();
            if let Some(file) = positions_file(which)? {
                let positions = cases::folder::switch_positions(&file, &import.network)?;
                refuse(which, &file, &positions.remarks)?;
                closed = positions.closed;
            }
            Ok(Study::Balanced(Box::new(Balanced { import: *import, closed })))
        }
        Found::Unbalanced(import) => {
            refuse(which, &which.network, &import.remarks)?;
            if which.switches.is_some() {
                anyhow::bail!("--switches is for balanced networks; this one is three-phase");
            }
            Ok(Study::Unbalanced(import))
        }
    }
}

/// A file by the path that was given or, of a scenario, in its folder.
pub(super) fn locate(which: &Which, path: &Path) -> PathBuf {
    let Some(scenario) = &which.scenario else { return path.to_owned() };
    let inside = which.network.join(scenario).join(path);
    if !path.exists() && inside.exists() { inside } else { path.to_owned() }
}

fn positions_file(which: &Which) -> anyhow::Result<Option<PathBuf>> {
    if let Some(file) = &which.switches {
        return Ok(Some(locate(which, file)));
    }
    let Some(scenario) = &which.scenario else { return Ok(None) };
    let file = which.network.join(scenario).join("switch_status.csv");
    let there = file.is_file();
    there
        .then_some(Some(file.clone()))
        .with_context(|| format!("there is no scenario {scenario}: {} is missing", file.display()))
}

/// Tells what was read with reservations; refuses what was not read whole.
fn refuse(which: &Which, file: &Path, remarks: &[Remark]) -> anyhow::Result<()> {
    let (fatal, others): (Vec<&Remark>, Vec<&Remark>) =
        remarks.iter().partition(|remark| remark.is_fatal());
    if which.partial || fatal.is_empty() {
        let worth_saying = |remark: &&&Remark| remark.severity != Severity::Note;
        fatal.iter().chain(&others).filter(worth_saying).for_each(|remark| {
            say(&format!("warning: {remark}"));
        });
        return Ok(());
    }
    let problem = |remark: &&Remark| {
        Problem::new(file, format!("{remark}")).hint("--partial goes on without it")
    };
    Ok(Problems::none(fatal.iter().map(problem).collect())?)
}
