//! `[archive]`: whether audit records are sealed, where, how often, and how long they stay.

use std::path::Path;

use archive::Location;
use archive::Policy;
use schemas::time::DAY_MS;

use super::reader::Section;

/// Ticks between two seals: an hour at 5 s, so that a day is two dozen files of a kind until they
/// become one.
const SEAL_EVERY: u64 = 720;

/// Files of one kind and day that become one: a day of seals, so that each row is written twice.
const COMPACT_FILES: usize = 24;

/// The section `[archive]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Whether a running instance seals.
    pub enabled: bool,
    /// Where: a folder or a URL; `None` for the folder `archive` of the data folder.
    pub path: Option<String>,
    /// Ticks between two seals.
    pub seal_every: u64,
    /// When files become one, and when days leave.
    pub policy: Policy,
}

impl Default for Archive {
    fn default() -> Archive {
        let policy = Policy { compact_files: COMPACT_FILES, retain_ms: None };
        Archive { enabled: true, path: None, seal_every: SEAL_EVERY, policy }
    }
}

/// Reads `[archive]`.
pub(super) fn read(section: &Section<'_>, base: &Path) -> Archive {
    let default = Archive::default();
    let path = section.text("path").and_then(|text| match Location::parse(&text, base) {
        // Said in full, so that it means the same from any working directory.
        Ok(location) => Some(location.to_string()),
        Err(error) => {
            let hint = "write a folder, or the URL of one, as in \"file:///var/lib/gridloom\"";
            section.wrong("path", error.to_string(), hint);
            None
        }
    });
    let policy = Policy {
        compact_files: section
            .whole("compact_files", 2, 10_000)
            .map_or(default.policy.compact_files, |n| n as usize),
        retain_ms: retain(section),
    };
    let archive = Archive {
        enabled: section.flag("enabled").unwrap_or(default.enabled),
        path,
        seal_every: section.whole("seal_every", 1, u64::MAX >> 1).unwrap_or(default.seal_every),
        policy,
    };
    section.finish();
    archive
}

/// A duration of a day or more, or `"forever"`.
fn retain(section: &Section<'_>) -> Option<u64> {
    if section.peek("retain") == Some("forever") {
        return None;
    }
    let ms = section.duration("retain")?;
    if ms < DAY_MS {
        let hint = "write \"forever\", or a day and more, as in \"3650d\"";
        section.wrong("retain", "records leave by whole days", hint);
        return None;
    }
    Some(ms)
}
