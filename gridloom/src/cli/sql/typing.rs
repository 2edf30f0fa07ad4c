//! What helps who types: the end of a statement is found, and names are completed.
//!
//! A statement ends at a semicolon outside quotes, brackets of comments and names; until then Enter
//! begins another line. Words are completed to keywords and to the names of relations and columns.

use std::collections::BTreeSet;

use rustyline::Context;
use rustyline::Helper;
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::ValidationContext;
use rustyline::validate::ValidationResult;
use rustyline::validate::Validator;

use super::Listed;

/// Words that statements are made of.
const KEYWORDS: [&str; 60] = [
    "ALL",
    "ANALYZE",
    "AND",
    "AS OF TICK",
    "AS OF TIMESTAMP",
    "AS",
    "ASC",
    "AVG",
    "BEGIN",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COMMIT",
    "COPY",
    "COUNT",
    "CREATE MATERIALIZED VIEW",
    "CREATE OR REPLACE MATERIALIZED VIEW",
    "CROSS JOIN",
    "DESC",
    "DISTINCT",
    "DROP MATERIALIZED VIEW",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FILTER",
    "FROM",
    "FULL JOIN",
    "GROUP BY",
    "HAVING",
    "IN",
    "INTERSECT",
    "INTERVAL",
    "IS NULL",
    "JOIN",
    "LEFT JOIN",
    "LIKE",
    "LIMIT",
    "MAX",
    "MIN",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER BY",
    "RIGHT JOIN",
    "ROLLBACK",
    "SELECT",
    "SHOW",
    "SUBSCRIBE TO",
    "SUM",
    "THEN",
    "UNION",
    "VALUES",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Completions that are offered at most: more are no help.
const OFFERED_MAX: usize = 100;

/// Helps who types.
pub(super) struct Typing {
    names: BTreeSet<String>,
}

impl Typing {
    /// Knows these relations.
    pub(super) fn new(relations: &[Listed]) -> Typing {
        let columns = relations.iter().flat_map(|listed| &listed.columns);
        let columns = columns.map(|(name, _)| name.clone());
        let names = relations.iter().map(|listed| listed.name.clone()).chain(columns);
        Typing { names: names.collect() }
    }

    /// Where the word before `position` begins, and what it may become.
    fn offers(&self, line: &str, position: usize) -> (usize, Vec<String>) {
        let before = &line[..position];
        let of_name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let start = before
            .rfind(|c| !of_name(c))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let word = &before[start..];
        // Behind a dot stands a column, unless the whole is the name of a relation.
        let (whole, last) = (word.to_lowercase(), word.rsplit('.').next().unwrap_or(word));
        let names = |part: &str| -> Vec<String> {
            self.names.iter().filter(|name| name.starts_with(part)).cloned().collect()
        };
        let found = names(&whole);
        let (start, mut offered) = if found.is_empty() && last.len() < word.len() {
            (start + word.len() - last.len(), names(&last.to_lowercase()))
        } else {
            (start, found)
        };
        if !word.is_empty() && !word.contains('.') {
            let capital = word.to_uppercase();
            let keywords = KEYWORDS.iter().filter(|keyword| keyword.starts_with(&capital));
            offered.extend(keywords.map(|keyword| (*keyword).to_owned()));
        }
        offered.truncate(OFFERED_MAX);
        (start, offered)
    }
}

impl Completer for Typing {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.offers(line, position))
    }
}

impl Validator for Typing {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match is_whole(context.input()) {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

impl Hinter for Typing {
    type Hint = String;
}

impl Highlighter for Typing {}

impl Helper for Typing {}

/// Whether what was typed can be done: a command, nothing, or statements that all have an end.
pub(super) fn is_whole(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || text.starts_with('\\') || statements(text).1.trim().is_empty()
}

/// The statements that have an end, and what stands behind the last.
pub(super) fn statements(text: &str) -> (Vec<&str>, &str) {
    let (mut found, mut from) = (Vec::new(), 0);
    let mut within = Within::Text;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        let twice = match (within, c, next) {
            (Within::Text, ';', _) => {
                found.push(text[from..at].trim());
                from = at + 1;
                continue;
            }
            (Within::Text, '\'' | '"', _) => {
                within = Within::Quotes(c);
                false
            }
            (Within::Quotes(quote), c, _) if c == quote => {
                within = Within::Text;
                false
            }
            (Within::Text, '-', Some('-')) => {
                within = Within::Line;
                true
            }
            (Within::Line, '\n', _) => {
                within = Within::Text;
                false
            }
            (Within::Text, '/', Some('*')) => {
                within = Within::Comment;
                true
            }
            (Within::Comment, '*', Some('/')) => {
                within = Within::Text;
                true
            }
            _ => false,
        };
        if twice {
            chars.next();
        }
    }
    found.retain(|statement| !statement.is_empty());
    // A comment alone asks for nothing.
    let rest = if within == Within::Line && text[from..].trim().starts_with("--") {
        ""
    } else {
        &text[from..]
    };
    (found, rest)
}

/// What a character stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Text,
    Quotes(char),
    Line,
    Comment,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_outside_quotes_and_comments() {
        let (found, rest) = statements("SELECT ';'; -- a; b\nSELECT /* ; */ \"a;b\";SELECT 3");
        assert_eq!(found, ["SELECT ';'", "-- a; b\nSELECT /* ; */ \"a;b\""]);
        assert_eq!(rest, "SELECT 3");
        for whole in ["", "\\d meters", "SELECT 1;", "SELECT 'it''s';  ", "-- nothing"] {
            assert!(is_whole(whole), "{whole}");
        }
        for open in ["SELECT 1", "SELECT ';", "SELECT 1; SELECT", "SELECT 1 /* ;"] {
            assert!(!is_whole(open), "{open}");
        }
    }

    #[test]
    fn words_are_completed() {
        let column = |name: &str| (name.to_owned(), "text".to_owned());
        let meters = Listed {
            name: "meters".to_owned(),
            columns: vec![column("meter_id"), column("feeder_id")],
        };
        let views = Listed { name: "gridloom.views".to_owned(), columns: vec![column("sql")] };
        let typing = Typing::new(&[meters, views]);
        let offers = |line: &str| typing.offers(line, line.len());
        assert_eq!(offers("SELECT * FROM met").0, 14);
        assert_eq!(offers("SELECT * FROM met").1, ["meter_id", "meters"]);
        assert_eq!(offers("SELECT m.fee"), (9, vec!["feeder_id".to_owned()]));
        assert_eq!(offers("TABLE gridloom.v"), (6, vec!["gridloom.views".to_owned()]));
        assert_eq!(offers("sel").1, ["SELECT"]);
    }
}
