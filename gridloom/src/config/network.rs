//! `[network]`: a network file that the estimator runs on, with the map of its telemetry.
//!
//! Only what is said is read here; the files are opened by [`crate::network`].

use std::path::Path;
use std::path::PathBuf;

use super::reader::Section;

/// The section `[network]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkFile {
    /// The file or case folder.
    pub path: PathBuf,
    /// The point map, if the points are not all in the reference table.
    pub points: Option<PathBuf>,
    /// Of a case folder, the scenario whose switch positions are the normal ones.
    pub scenario: Option<String>,
    /// The feeder that it stands for; without, what the file calls itself, or is called.
    pub name: Option<String>,
    /// Transformers whose ratio is estimated, by identifier or unique name.
    pub taps: Vec<String>,
    /// The lines of `file`, `points`, `scenario` and `taps`, for messages.
    pub lines: [usize; 4],
}

/// Reads `[network]`; `None` if the file has none, or says nothing in it.
pub(super) fn read(root: &Section<'_>, base: &Path) -> Option<NetworkFile> {
    let section = root.maybe_section("network")?;
    let keys = ["file", "points", "scenario", "taps"];
    let lines = keys.map(|key| section.line_of(key));
    let file = section.text("file");
    let [points, scenario, name] = ["points", "scenario", "name"].map(|key| section.text(key));
    let taps = section.texts("taps").unwrap_or_default();
    if file.is_none() && keys[1..].iter().any(|key| section.has(key)) && !section.has("file") {
        section.missing("file", "add file = \"…\": a network in any format that is imported");
    }
    section.finish();
    Some(NetworkFile {
        path: base.join(file?),
        points: points.map(|points| base.join(points)),
        scenario,
        name,
        taps,
        lines,
    })
}
