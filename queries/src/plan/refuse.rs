//! Why a text is not a view that can be maintained: a sentence, a way round, a place.
//!
//! Whoever writes views meets this file more than any other. Each refusal names the clause as SQL
//! writes it, never as a plan calls it, and says what to write instead where we know it.

use std::fmt;

use schemas::contract::Failing;

/// A place in the text, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a view could not be planned. `Display` is the primary sentence; hint and place stand beside
/// it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The text is not SQL.
    #[error("{message}")]
    Syntax {
        /// What the parser said.
        message: String,
        /// Where.
        at: Option<Location>,
    },
    /// The text is SQL, but not one `CREATE MATERIALIZED VIEW`.
    #[error("expected {expected}, found {found}")]
    Statement {
        /// What may stand here.
        expected: &'static str,
        /// What stands here.
        found: String,
        /// A way round.
        hint: String,
    },
    /// `WITH (…)` names an option or a value that there is not.
    #[error("{message}")]
    Option {
        /// What is wrong.
        message: String,
        /// A way round.
        hint: String,
        /// Where.
        at: Option<Location>,
    },
    /// No such table, stream or view.
    #[error("there is no relation {name}")]
    UnknownRelation {
        /// The name as written.
        name: String,
        /// The nearest name, or all of them.
        hint: String,
        /// Where.
        at: Option<Location>,
    },
    /// No such column.
    #[error("there is no column {name}")]
    UnknownColumn {
        /// The name as written.
        name: String,
        /// The nearest name, or all of them.
        hint: String,
        /// Where.
        at: Option<Location>,
    },
    /// The clause has no maintained form here.
    #[error("{clause} cannot be maintained")]
    Refused {
        /// The clause, as SQL writes it.
        clause: String,
        /// What to write instead.
        hint: String,
        /// Where.
        at: Option<Location>,
    },
    /// State would grow for ever.
    #[error("the state of {clause} grows for ever: {relation} forgets nothing")]
    Unbounded {
        /// What keeps the state.
        clause: String,
        /// The stream without retention.
        relation: String,
    },
    /// Two output columns have one name.
    #[error("two columns are called {name}")]
    DuplicateColumn {
        /// The name.
        name: String,
    },
    /// Two views, or a view and a table, have one name.
    #[error("there is a {what} {name} already")]
    DuplicateName {
        /// The name.
        name: String,
        /// What has it.
        what: &'static str,
    },
    /// Views read each other in a circle.
    #[error("views read each other in a circle: {}", path.join(" → "))]
    Cycle {
        /// The views on it; the first one again at the end.
        path: Vec<String>,
    },
    /// A view stands on rows that cannot be computed, and one of them must not be left out.
    #[error("{failing}")]
    Failing {
        /// The view and why.
        failing: Failing,
        /// What shows the rows.
        hint: String,
        /// Where it is named.
        at: Option<Location>,
    },
    /// Anything else that DataFusion says of the query.
    #[error("{message}")]
    Query {
        /// What it said.
        message: String,
        /// Where, if it says so.
        at: Option<Location>,
    },
}

impl PlanError {
    /// What to write instead, where we know it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            PlanError::Statement { hint, .. }
            | PlanError::Option { hint, .. }
            | PlanError::UnknownRelation { hint, .. }
            | PlanError::UnknownColumn { hint, .. }
            | PlanError::Refused { hint, .. }
            | PlanError::Failing { hint, .. } => Some(hint),
            PlanError::Unbounded { .. } => {
                Some("give the stream a `retain`, or write WITH (allow_unbounded_state = true)")
            }
            PlanError::DuplicateColumn { .. } => {
                Some("write which table it is of, or name one with AS")
            }
            PlanError::DuplicateName { .. } => Some("call this view something else"),
            PlanError::Syntax { .. } | PlanError::Cycle { .. } | PlanError::Query { .. } => None,
        }
    }

    /// Where in the text, where that is known.
    pub fn location(&self) -> Option<Location> {
        match self {
            PlanError::Syntax { at, .. }
            | PlanError::Option { at, .. }
            | PlanError::UnknownRelation { at, .. }
            | PlanError::UnknownColumn { at, .. }
            | PlanError::Refused { at, .. }
            | PlanError::Failing { at, .. }
            | PlanError::Query { at, .. } => *at,
            _ => None,
        }
    }

    /// Sentence, place and hint in one line.
    pub fn full(&self) -> String {
        let at = self.location().map_or(String::new(), |at| format!(" ({at})"));
        let hint = self.hint().map_or(String::new(), |hint| format!("; hint: {hint}"));
        format!("{self}{at}{hint}")
    }

    /// A refusal without a place.
    pub(crate) fn refused(clause: impl Into<String>, hint: impl Into<String>) -> PlanError {
        PlanError::Refused { clause: clause.into(), hint: hint.into(), at: None }
    }
}

/// The nearest of the right names, as a hint.
pub fn nearest<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> String {
    let right: Vec<&str> = right.into_iter().collect();
    let close = right
        .iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), *name))
        .filter(|(score, _)| *score > NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)));
    match close {
        Some((_, name)) => format!("did you mean {name}?"),
        None if right.is_empty() => "there is none".to_owned(),
        None => format!("there are {}", right.join(", ")),
    }
}

/// Jaro-Winkler similarity above which a name is taken for a slip of another; 0.8 takes two slips
/// in ten letters.
const NEAR: f64 = 0.8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let names = ["meters", "meter_readings", "prices"];
        assert_eq!(nearest("meter_reading", names), "did you mean meter_readings?");
        assert_eq!(nearest("xyz", names), "there are meters, meter_readings, prices");
    }
}
