//! The tables of `docs/physics.md` that tests write (`UPDATE_EXPECT=1`) and compare.
//!
//! A table stands between two comments that name it. Several tests write one file, so they take
//! turns.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;

static TURN: Mutex<()> = Mutex::new(());

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/physics.md")
}

/// What stands in the document under a name, without blank lines around it; first, if
/// `UPDATE_EXPECT` is set and `whole` is true, it is written anew.
///
/// # Panics
/// The name's comments are missing, or the table is to be written and is not whole.
#[track_caller]
pub(crate) fn table(name: &str, anew: &str, whole: bool) -> String {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (begin, end) = (format!("<!-- {name}: begin -->"), format!("<!-- {name}: end -->"));
    let document = std::fs::read_to_string(path()).unwrap();
    let (before, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
    let (written, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end}"));
    if std::env::var_os("UPDATE_EXPECT").is_none() {
        return written.trim().to_owned();
    }
    assert!(whole, "the table {name} needs all cases");
    let anew = anew.trim();
    std::fs::write(path(), format!("{before}{begin}\n\n{anew}\n\n{end}{after}")).unwrap();
    anew.to_owned()
}
