//! The network of a study: read, refused where it is not whole, switched as it is said to be.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use cases::Found;
use cases::Import;
use cases::Remark;
use cases::UnbalancedImport;
use grid::network::Fault;
use grid::network::Severity;
use grid::network::check;
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
/// The network or the positions cannot be read, an option has nothing to act on, or not all of the
/// network was understood and that was not asked for.
pub(super) fn open(which: &Which) -> anyhow::Result<Study> {
    let found = cases::open(&which.network)?;
    check_scenario(which, &found)?;
    match found {
        Found::Balanced(mut import) => {
            refuse(which, &which.network, &import.remarks)?;
            refuse(which, &which.network, &doubled(&import))?;
            if which.switches.is_some() && import.network.switches.is_empty() {
                anyhow::bail!("--switches has nothing to move: the network has no switches");
            }
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

/// Refuses a scenario of what has none.
fn check_scenario(which: &Which, found: &Found) -> anyhow::Result<()> {
    let Some(scenario) = &which.scenario else { return Ok(()) };
    let network = which.network.display();
    if !which.network.is_dir() {
        anyhow::bail!(
            "--scenario is for case folders; {network} is a file, its switches stand as it says \
             and --switches moves them"
        );
    }
    if matches!(found, Found::Unbalanced(_)) {
        anyhow::bail!("--scenario is for balanced networks; {network} is three-phase");
    }
    if !which.network.join(scenario).is_dir() {
        let there = scenarios(&which.network);
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        anyhow::bail!("there is no scenario {scenario} in {network}; there are: {there}");
    }
    Ok(())
}

/// The scenarios of a case folder, in order.
fn scenarios(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().join("switch_status.csv").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Identifiers that stand twice: an answer would have two rows of one name.
fn doubled(import: &Import) -> Vec<Remark> {
    let remark = |fault: Fault| Remark {
        severity: fault.severity,
        place: fault.element,
        element: String::new(),
        problem: format!("{}; {}", fault.problem, fault.hint),
    };
    check::twice(&import.network).into_iter().map(remark).collect()
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
