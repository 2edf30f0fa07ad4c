//! OpenDSS scripts: the part of the language that describes a circuit.
//!
//! A file is read as OpenDSS reads it, line by line, with what it redirects to; the objects it
//! defines become an unbalanced network with its controls. Understood are circuit (vsource), line,
//! linecode, transformer, xfmrcode, load, capacitor, reactor, regcontrol and capcontrol, their
//! properties as far as they matter for a power flow of one instant, `edit`, `open`, `close`,
//! `enable`, `disable`, `batchedit` by name, and values set by their full name
//! (`Transformer.Reg1.Taps=[1 1.05]`). Ratings, reliability, time series, output and coordinates do
//! not change the answer and are passed over. Everything else is named with file, line and element.
//!
//! `solve` solves nothing here: the network is as the file describes it at its end.
//!
//! ```text
//! file ──lexer──▶ words ──script──▶ objects ──build──▶ network ──bases──▶ voltage bases
//! ```

mod bases;
mod build;
mod class;
mod lexer;
mod object;
mod option;
mod script;

use std::path::Path;

use crate::Error;
use crate::UnbalancedImport;

/// Reads a script and all it redirects to.
///
/// # Errors
/// The file cannot be read. A file it redirects to that cannot be read is a remark.
pub fn read(path: &Path) -> Result<UnbalancedImport, Error> {
    read_with(path, "")
}

/// Reads a script and then some more lines, as if they stood at its end: taps at which a study
/// begins, delays of controls.
///
/// # Errors
/// As [`read`].
pub fn read_with(path: &Path, more: &str) -> Result<UnbalancedImport, Error> {
    let mut script = script::Script::default();
    script.run_file(path)?;
    script.run_text("(added)", more);
    let mut import = build::build(script);
    bases::set(&mut import.import, &import.bases_kv);
    Ok(import.import)
}
