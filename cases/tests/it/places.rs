//! Where the case folders are: some in the repository, some where they may not be copied from.

use std::path::Path;
use std::path::PathBuf;

/// Cases that stand in the repository; others may not be copied.
pub(crate) const OURS: [&str; 4] = ["ieee14", "ieee57", "case33bw", "cigre_mv"];

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A case folder of the repository.
pub(crate) fn ours(case: &str) -> PathBuf {
    workspace().join("grid/tests/cases").join(case)
}

/// A folder outside the repository; nothing, said loudly, where it is absent.
///
/// # Panics
/// It is absent in CI.
pub(crate) fn theirs(case: &str) -> Option<PathBuf> {
    let data = std::env::var_os("GRIDLOOM_DATA").map(PathBuf::from);
    let data = data.unwrap_or_else(|| workspace().join("../shared/data"));
    let folder = data.join("grid").join(case);
    if folder.is_dir() {
        return Some(folder);
    }
    let absent = format!(
        "NOT TESTED: {} is not there; GRIDLOOM_DATA names the folder that holds grid/",
        folder.display()
    );
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{absent}");
    eprintln!("{absent}");
    None
}

/// A public case, wherever it is.
pub(crate) fn case(case: &str) -> Option<PathBuf> {
    if OURS.contains(&case) { Some(ours(case)) } else { theirs(case) }
}

/// The scenarios of a case folder, in order.
pub(crate) fn scenarios(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let held = entries.filter(|path| path.join("switch_status.csv").is_file());
    let mut names: Vec<String> =
        held.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert!(!names.is_empty(), "{} has no scenario", folder.display());
    names
}
