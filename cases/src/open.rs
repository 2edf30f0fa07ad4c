//! Any network, by what the file says and not by its name.

use std::path::Path;

use grid::network::Fault;
use grid::network::check;
use grid::three_phase;
use serde_json::Value;

use crate::Error;
use crate::Import;
use crate::Remark;
use crate::UnbalancedImport;
use crate::elements;
use crate::folder;
use crate::matpower;
use crate::opendss;
use crate::pandapower;
use crate::pgm;

/// What a file or folder turned out to hold.
#[derive(Clone, Debug)]
pub enum Found {
    /// A balanced network: positive sequence, one node a bus.
    Balanced(Box<Import>),
    /// An unbalanced network, conductor by conductor.
    Unbalanced(Box<UnbalancedImport>),
}

impl Found {
    /// What the importer has to say.
    pub fn remarks(&self) -> &[Remark] {
        match self {
            Found::Balanced(import) => &import.remarks,
            Found::Unbalanced(import) => &import.remarks,
        }
    }

    /// True if nothing had to be left out, and nothing is wrong that must be mended before the
    /// network can be used: impossible numbers, identifiers that stand twice, no source.
    pub fn is_sound(&self) -> bool {
        match self {
            Found::Balanced(import) => {
                import.is_whole() && !check::check(&import.network).iter().any(Fault::is_fatal)
            }
            Found::Unbalanced(import) => {
                import.is_whole()
                    && !three_phase::check::check(&import.network).iter().any(Fault::is_fatal)
            }
        }
    }
}

/// Reads a network from a case folder or from a file of any format that is known here.
///
/// A folder is known by its tables. A file is known by what stands in it: JSON by its keys, a
/// MATPOWER case by its `mpc`, an OpenDSS script by its ending or its `Circuit`.
///
/// # Errors
/// It cannot be read, or is nothing that is known here; then the error says what it is instead.
pub fn open(path: &Path) -> Result<Found, Error> {
    if path.is_dir() {
        return open_folder(path);
    }
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if ending.eq_ignore_ascii_case("dss") {
        return opendss::read(path).map(unbalanced);
    }
    let read = |source| Error::Read { path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(read)?;
    let text = String::from_utf8_lossy(&bytes);
    let start = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    if start.starts_with(['{', '[']) {
        return open_json(path, start);
    }
    if ending.eq_ignore_ascii_case("m") || start.contains("mpc.bus") {
        return matpower::read(path).map(balanced);
    }
    if start.to_ascii_lowercase().contains("new circuit.") {
        return opendss::read(path).map(unbalanced);
    }
    let first = start.lines().next().unwrap_or_default();
    let found = if ending.eq_ignore_ascii_case("csv") {
        "is one table; a case is opened by its folder".to_owned()
    } else if first.is_empty() {
        "is empty".to_owned()
    } else {
        let first: String = first.chars().take(60).collect();
        format!("is no network that is known here; it begins with {first:?}")
    };
    Err(unknown(path, found))
}

fn open_folder(path: &Path) -> Result<Found, Error> {
    if folder::recognises(path) {
        return folder::read(path).map(balanced);
    }
    if elements::is_folder(path) {
        return elements::read_folder(path).map(unbalanced);
    }
    if path.join("elements.json").is_file() {
        return Err(unknown(path, "has elements.json and no nodes.csv beside it".to_owned()));
    }
    Err(unknown(path, "is a folder without buses.csv and branches.csv".to_owned()))
}

fn open_json(path: &Path, text: &str) -> Result<Found, Error> {
    let json = |source| Error::Json { path: path.to_owned(), source };
    let value: Value = serde_json::from_str(text).map_err(json)?;
    if pandapower::recognises(&value) {
        return pandapower::from_value(path, &value).map(balanced);
    }
    if pgm::is_dataset(&value) {
        return pgm::read(path).map(balanced);
    }
    if value.get("base_mva").is_some() || value.get("elements").is_some() {
        return Err(unknown(path, "is part of a case folder; open the folder".to_owned()));
    }
    let keys = value
        .as_object()
        .map(|object| object.keys().take(6).map(String::as_str).collect::<Vec<&str>>().join(", "));
    let keys = keys.unwrap_or_else(|| "no keys".to_owned());
    Err(unknown(path, format!("is JSON of another kind, with {keys}")))
}

fn balanced(import: Import) -> Found {
    Found::Balanced(Box::new(import))
}

fn unbalanced(import: UnbalancedImport) -> Found {
    Found::Unbalanced(Box::new(import))
}

fn unknown(path: &Path, found: String) -> Error {
    Error::Unknown { path: path.to_owned(), found }
}
