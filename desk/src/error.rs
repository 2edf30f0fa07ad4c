//! Why the desk refuses, in one form for all doors: what kind, a sentence, a way round, a place.
//!
//! The PostgreSQL door sends the SQLSTATE, the HTTP door a status, Flight a gRPC code; the sentence
//! is the same everywhere.

use datafusion::common::DataFusionError;
use queries::PlanError;
use schemas::contract::ChangeError;
use schemas::contract::ReadError;
use schemas::contract::SubscriptionEnd;

/// What kind of refusal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The text is not SQL.
    Syntax,
    /// No such relation.
    UnknownRelation,
    /// No such column.
    UnknownColumn,
    /// No such user setting.
    UnknownSetting,
    /// No such index.
    UnknownIndex,
    /// The name is taken.
    Exists,
    /// Others depend on it.
    InUse,
    /// It is SQL, and not done here.
    Unsupported,
    /// The role does not allow it.
    Denied,
    /// Nobody of this name and password or token.
    Unknown,
    /// The text or the answer is beyond a limit.
    TooLarge,
    /// Too much memory.
    Memory,
    /// Too long.
    Timeout,
    /// The client asked to stop.
    Cancelled,
    /// Too many clients.
    TooMany,
    /// It cannot be read yet, or not that far back.
    NotReadable,
    /// A row cannot be computed.
    Data,
    /// A parameter is missing or of the wrong type.
    Parameter,
    /// The engine stopped, or the view is gone.
    Gone,
    /// A statement of the transaction failed before.
    Aborted,
    /// Our mistake.
    Internal,
}

impl Kind {
    /// The SQLSTATE.
    pub fn sqlstate(self) -> &'static str {
        match self {
            Kind::Syntax => "42601",
            Kind::UnknownRelation => "42P01",
            Kind::UnknownColumn => "42703",
            Kind::UnknownSetting | Kind::UnknownIndex => "42704",
            Kind::Exists => "42P07",
            Kind::InUse => "2BP01",
            Kind::Unsupported => "0A000",
            Kind::Denied => "42501",
            Kind::Unknown => "28P01",
            Kind::TooLarge => "54000",
            Kind::Memory => "53200",
            Kind::Timeout | Kind::Cancelled => "57014",
            Kind::TooMany => "53300",
            Kind::NotReadable => "55000",
            Kind::Data => "22000",
            Kind::Parameter => "22023",
            Kind::Gone => "57P01",
            Kind::Aborted => "25P02",
            Kind::Internal => "XX000",
        }
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DeskError {
    /// What kind.
    pub kind: Kind,
    /// The sentence.
    pub message: String,
    /// A way round.
    pub hint: Option<String>,
    /// Where in the text, in characters from 1.
    pub position: Option<usize>,
}

impl DeskError {
    /// A refusal without hint and place.
    pub fn new(kind: Kind, message: impl Into<String>) -> DeskError {
        DeskError { kind, message: message.into(), hint: None, position: None }
    }

    /// With a way round.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> DeskError {
        self.hint = Some(hint.into());
        self
    }

    /// What is said of a text in which a plan failed.
    pub(crate) fn planned(error: &PlanError, sql: &str) -> DeskError {
        let kind = match error {
            PlanError::Syntax { .. } | PlanError::Option { .. } => Kind::Syntax,
            PlanError::UnknownRelation { .. } => Kind::UnknownRelation,
            PlanError::UnknownColumn { .. } => Kind::UnknownColumn,
            PlanError::DuplicateName { .. } => Kind::Exists,
            PlanError::Statement { .. } | PlanError::Refused { .. } => Kind::Unsupported,
            PlanError::Unbounded { .. } => Kind::Unsupported,
            PlanError::DuplicateColumn { .. } | PlanError::Cycle { .. } => Kind::Syntax,
            PlanError::Query { .. } => Kind::Syntax,
            PlanError::Failing { .. } => Kind::Data,
        };
        let position = error.location().and_then(|at| position(sql, at.line, at.column));
        let hint = error.hint().map(str::to_owned);
        DeskError { kind, message: error.to_string(), hint, position }
    }

    /// What DataFusion said while it planned or computed.
    pub(crate) fn computed(error: &DataFusionError, sql: &str) -> DeskError {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => {
                let hint = "ask for fewer rows at once: add WHERE, or aggregate first";
                DeskError::new(Kind::Memory, "the statement needs more memory than it may have")
                    .hint(hint)
            }
            DataFusionError::External(inner) if inner.downcast_ref::<DeskError>().is_some() => {
                inner.downcast_ref::<DeskError>().expect("it was just seen").clone()
            }
            DataFusionError::ArrowError(inner, _) => DeskError::new(Kind::Data, inner.to_string()),
            DataFusionError::Execution(message) => DeskError::new(Kind::Data, message.clone()),
            DataFusionError::Internal(message) => {
                DeskError::new(Kind::Internal, message.lines().next().unwrap_or_default())
            }
            _ => DeskError::planned(&queries::plan::said(error), sql),
        }
    }
}

impl From<ReadError> for DeskError {
    fn from(error: ReadError) -> DeskError {
        let message = error.to_string();
        match error {
            ReadError::Unknown { .. } => DeskError::new(Kind::UnknownRelation, message),
            ReadError::Hydrating { .. } => DeskError::new(Kind::NotReadable, message)
                .hint("its progress stands in gridloom.views"),
            ReadError::OutOfWindow { .. } => DeskError::new(Kind::NotReadable, message),
            ReadError::Failed { .. } => DeskError::new(Kind::Internal, message),
        }
    }
}

impl From<ChangeError> for DeskError {
    fn from(error: ChangeError) -> DeskError {
        let message = error.to_string();
        match error {
            ChangeError::Exists { .. } => DeskError::new(Kind::Exists, message)
                .hint("CREATE OR REPLACE MATERIALIZED VIEW puts another in its place"),
            ChangeError::Unknown { .. } => DeskError::new(Kind::UnknownRelation, message),
            ChangeError::Read { .. } => {
                DeskError::new(Kind::InUse, message).hint("drop those that read it first")
            }
            ChangeError::NoSource { .. } => DeskError::new(Kind::UnknownRelation, message)
                .hint("those of the configuration are changed there, and at a start"),
            ChangeError::NoIndex { .. } => DeskError::new(Kind::UnknownIndex, message)
                .hint("gridloom.indexes lists those that there are"),
            ChangeError::Door { .. } => DeskError::new(Kind::Unsupported, message),
            ChangeError::Failed { .. } => DeskError::new(Kind::Internal, message),
        }
    }
}

impl From<SubscriptionEnd> for DeskError {
    fn from(end: SubscriptionEnd) -> DeskError {
        let kind = match end {
            SubscriptionEnd::TooSlow { .. } => Kind::TooLarge,
            SubscriptionEnd::Gone { .. } | SubscriptionEnd::Stopped => Kind::Gone,
        };
        DeskError::new(kind, end.to_string())
    }
}

/// A line and a column, both from 1, as characters from the start of the text, from 1.
fn position(sql: &str, line: u64, column: u64) -> Option<usize> {
    let before = usize::try_from(line.checked_sub(1)?).ok()?;
    let column = usize::try_from(column).ok()?;
    let lines = sql.split('\n').take(before);
    let chars: usize = lines.map(|line| line.chars().count() + 1).sum();
    let all = sql.chars().count();
    Some((chars + column).min(all.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters_over_lines() {
        let sql = "SELECT ä,\n  b FROM t";
        assert_eq!(position(sql, 1, 8), Some(8));
        assert_eq!(position(sql, 2, 3), Some(13));
        assert_eq!(sql.chars().nth(12), Some('b'));
    }
}
