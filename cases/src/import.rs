//! What an importer gives back: the network, what was measured, and all that it has to say.
//!
//! An importer never stops at the first thing it does not understand and never drops one in
//! silence: it leaves the element out, says so in a [`Remark`], and goes on. Only a file of which
//! nothing can be read is an [`Error`]. Whether a network with remarks may be used is for its user
//! to decide: [`Import::is_whole`] is what a command asks.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use grid::Network;
use grid::measurement::Measurement;
use grid::network::Severity;

/// A network as it was read.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// The network.
    pub network: Network,
    /// Measured values that came with it, per unit.
    pub measurements: Vec<Measurement>,
    /// Everything that was not understood, assumed or left out.
    pub remarks: Vec<Remark>,
    /// Positions of buses whose nominal voltage is a placeholder, because the file has none: what
    /// is per unit does not depend on it, ohms, kV and kA do.
    pub placeholders: BTreeSet<usize>,
}

/// Something that an importer has to say about an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// [`Severity::Fatal`] where the network is not the one in the file without it,
    /// [`Severity::Warning`] where something was assumed that may change the answer, and
    /// [`Severity::Note`] where it is only worth knowing.
    pub severity: Severity,
    /// Where it stands: a file with line and column, or a table with its row.
    pub place: String,
    /// The element by kind, identifier and name; may be empty.
    pub element: String,
    /// What is the matter with it, and what to do.
    pub problem: String,
}

impl Import {
    /// True if no part of the network had to be left out.
    pub fn is_whole(&self) -> bool {
        !self.remarks.iter().any(Remark::is_fatal)
    }

    /// Says something about an element.
    pub fn remark(
        &mut self,
        severity: Severity,
        place: impl Into<String>,
        element: impl Into<String>,
        problem: impl Into<String>,
    ) {
        self.remarks.push(Remark {
            severity,
            place: place.into(),
            element: element.into(),
            problem: problem.into(),
        });
    }
}

impl Remark {
    /// True if the network is not the one in the file.
    pub fn is_fatal(&self) -> bool {
        self.severity == Severity::Fatal
    }

    /// True if something was assumed that may change the answer.
    pub fn is_warning(&self) -> bool {
        self.severity == Severity::Warning
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        if !self.element.is_empty() {
            write!(f, ", {}", self.element)?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// Why nothing of a file or folder can be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened or is not text.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: std::io::Error,
    },
    /// It is not the JSON that its name promises.
    #[error("{} is not JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where it breaks.
        #[source]
        source: serde_json::Error,
    },
    /// It is no format that is known here.
    #[error("{}: {found}; known are a case folder (buses.csv, branches.csv …), pandapower JSON, \
             Power Grid Model JSON, MATPOWER .m and OpenDSS .dss", path.display())]
    Unknown {
        /// The file or folder.
        path: PathBuf,
        /// What stands there instead.
        found: String,
    },
    /// The format is known and the file does not keep to it.
    #[error("{}: {problem}", path.display())]
    Malformed {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, where, and how to mend it.
        problem: String,
    },
}
