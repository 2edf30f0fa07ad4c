//! Where the case folders are: some in the repository, some where they may not be copied from.

use std::path::Path;
use std::path::PathBuf;

/// Cases that stand in the repository; others may not be copied.
const OURS: [&str; 4] = ["ieee14", "ieee57", "case33bw", "cigre_mv"];

/// The public balanced cases.
pub(crate) const CASES: [&str; 6] =
    ["ieee14", "ieee57", "case33bw", "cigre_mv", "simbench_lv_rural1", "simbench_mv_rural"];

/// A public case; nothing, said loudly, where it is absent.
///
/// # Panics
/// It is absent in CI.
pub(crate) fn case(case: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    if OURS.contains(&case) {
        return Some(workspace.join("grid/tests/cases").join(case));
    }
    let data = std::env::var_os("GRIDLOOM_DATA").map(PathBuf::from);
    let folder = data.unwrap_or_else(|| workspace.join("../shared/data")).join("grid").join(case);
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

/// The scenarios of a case folder, in order.
pub(crate) fn scenarios(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut held: Vec<PathBuf> =
        entries.filter(|path| path.join("switch_status.csv").is_file()).collect();
    held.sort();
    assert!(!held.is_empty(), "{} has no scenario", folder.display());
    held
}
