//! What can go wrong at a door, as one enum: what, where, and how to mend it.
//!
//! A *record* that cannot be read is never an error here: it is data (see
//! [`crate::source::Refused`]). An error means that the door itself does not work. `Display` says
//! what happened and where; [`ConnectorError::hint`] says what to do about it;
//! [`ConnectorError::retry`] whether trying again may help.

use crate::source::Position;

/// Why a connector cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// The configuration says something that cannot be.
    #[error("{connector}: {}", join(findings))]
    Config {
        /// The connector's name.
        connector: String,
        /// Everything that is wrong, all at once.
        findings: Vec<Finding>,
    },
    /// Nobody answers.
    #[error("{connector}: {place} does not answer: {detail}")]
    Unreachable {
        /// The connector's name.
        connector: String,
        /// The address.
        place: String,
        /// What the client said.
        detail: String,
    },
    /// Somebody answers, and says no.
    #[error("{connector}: {place} refuses us: {detail}")]
    Forbidden {
        /// The connector's name.
        connector: String,
        /// The address or path.
        place: String,
        /// What was said.
        detail: String,
    },
    /// What should be read or written is not there.
    #[error("{connector}: {what} does not exist")]
    Missing {
        /// The connector's name.
        connector: String,
        /// The file or topic, with where it was looked for.
        what: String,
        /// How to mend it.
        hint: String,
    },
    /// The records that come next were there, and are not any more.
    #[error(
        "{connector}: partition {partition} should go on at {wanted}, but holds only records \
         {first} to {next}"
    )]
    Gone {
        /// The connector's name.
        connector: String,
        /// The partition.
        partition: String,
        /// The position to resume at.
        wanted: Position,
        /// The first position that is there.
        first: Position,
        /// The position after the last one.
        next: Position,
    },
    /// The medium itself cannot be understood, so that records cannot be told apart.
    #[error("{connector}: {place} cannot be read: {detail}")]
    Unreadable {
        /// The connector's name.
        connector: String,
        /// The file or topic and position.
        place: String,
        /// What is wrong with it.
        detail: String,
    },
    /// What should leave did not, or it is not known whether it did.
    #[error("{connector}: {place} did not take what was sent: {detail}")]
    NotWritten {
        /// The connector's name.
        connector: String,
        /// The file or topic.
        place: String,
        /// What was said.
        detail: String,
    },
}

/// One mistake in a connector's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The key it concerns, so that the reader of the file can name the line; `None` for the whole
    /// entry.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// How to mend it, often the nearest right name.
    pub hint: Option<String>,
}

impl Finding {
    /// A mistake at one key.
    pub fn at(key: &str, message: String) -> Finding {
        Finding { key: Some(key.to_owned()), message, hint: None }
    }

    /// The same with a way to mend it.
    #[must_use]
    pub fn hint(mut self, hint: String) -> Finding {
        self.hint = Some(hint);
        self
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "`{key}`: ")?;
        }
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

fn join(findings: &[Finding]) -> String {
    findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("; ")
}

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// The configuration's.
    User,
    /// The world's: a broker, a disk, a network.
    Outside,
}

impl ConnectorError {
    /// Whose fault it is.
    pub fn domain(&self) -> Domain {
        match self {
            ConnectorError::Config { .. }
            | ConnectorError::Missing { .. }
            | ConnectorError::Forbidden { .. } => Domain::User,
            ConnectorError::Unreachable { .. }
            | ConnectorError::Gone { .. }
            | ConnectorError::Unreadable { .. }
            | ConnectorError::NotWritten { .. } => Domain::Outside,
        }
    }

    /// Whether trying again may help without anybody changing anything.
    pub fn retry(&self) -> bool {
        matches!(self, ConnectorError::Unreachable { .. } | ConnectorError::NotWritten { .. })
    }

    /// How to mend it.
    pub fn hint(&self) -> String {
        match self {
            ConnectorError::Config { .. } => "correct the keys named above".to_owned(),
            ConnectorError::Unreachable { place, .. } => format!(
                "check that something listens at {place}, that the address is reachable from here, \
                 and that `security.protocol` fits the port"
            ),
            ConnectorError::Forbidden { place, .. } => {
                format!("check user, password, certificates and rights at {place}")
            }
            ConnectorError::Missing { hint, .. } => hint.clone(),
            ConnectorError::Gone { partition, wanted, next, .. } if wanted > next => format!(
                "partition {partition} is shorter than what was already read: it was cut or made \
                 anew; give back the old data, or start with an empty data folder"
            ),
            ConnectorError::Gone { partition, .. } => format!(
                "records of partition {partition} were deleted before they were read: lengthen its \
                 retention, and start with an empty data folder"
            ),
            ConnectorError::Unreadable { place, .. } => {
                format!("repair or replace {place}; what was read before it stays valid")
            }
            ConnectorError::NotWritten { place, .. } => {
                format!(
                    "check space, rights and health of {place}; it is tried again at the next start"
                )
            }
        }
    }

    /// The mistakes as a list, for a report that shows all at once.
    pub fn findings(self) -> Vec<Finding> {
        match self {
            ConnectorError::Config { findings, .. } => findings,
            other => {
                let hint = other.hint();
                vec![Finding { key: None, message: other.to_string(), hint: Some(hint) }]
            }
        }
    }
}
