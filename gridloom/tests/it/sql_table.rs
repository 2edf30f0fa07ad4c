//! The tables of `docs/sql.md`, made of the tests that stand behind them.
//!
//! What is maintained is said in the files of `tests/slt`, above the queries that show it:
//!
//! ```text
//! # clause: `FULL JOIN`
//! # how: a left join, and the right rows without a match
//! # state: both sides twice
//! query II rowsort
//! SELECT …
//! ```
//!
//! A line that begins with none of these words goes on with the one before. The queries from there
//! to the next clause show it: each word of SQL that the clause names must be written in one of
//! them. What is refused is what `queries/tests/it/refusals.txt` says cannot be maintained. A case
//! called `name | clause` stands in the table as its clause, any other by its name, and beside it
//! stands the planner's hint. The functions are those of [`functions`].
//!
//! `UPDATE_EXPECT=1` writes the tables.

use std::collections::BTreeSet;
use std::path::Path;

use expect_test::expect_file;
use sqllogictest::Condition;
use sqllogictest::DefaultColumnType;
use sqllogictest::QueryExpect;
use sqllogictest::Record;

use crate::functions;
use crate::slt;

/// What is said of a clause, in this order.
const LABELS: [&str; 3] = ["clause", "how", "state"];

/// A row of what is maintained.
struct Clause {
    file: &'static str,
    cells: [String; 3],
    /// The maintained queries that show it.
    queries: Vec<String>,
}

/// The clauses of every file, in the order of the document.
fn clauses() -> Vec<Clause> {
    let mut clauses: Vec<Clause> = Vec::new();
    for file in slt::files() {
        let path = slt::folder().join(file);
        for record in sqllogictest::parse_file::<DefaultColumnType>(path).unwrap() {
            match record {
                Record::Comment(lines) => {
                    let clause = |cells| Clause { file, cells, queries: Vec::new() };
                    clauses.extend(cells(&lines).map(clause));
                }
                Record::Query { conditions, sql, expected, .. } => {
                    let answered = matches!(expected, QueryExpect::Results { .. });
                    let shown = clauses.last_mut().filter(|clause| clause.file == file);
                    if let Some(clause) = shown
                        && answered
                        && conditions.iter().all(maintained)
                    {
                        clause.queries.push(sql);
                    }
                }
                _ => {}
            }
        }
    }
    clauses
}

/// What a comment says of a clause, if it speaks of one.
fn cells(comment: &[String]) -> Option<[String; 3]> {
    let mut cells: Vec<String> = Vec::new();
    for line in comment {
        let line = line.trim();
        let label = LABELS.get(cells.len()).copied();
        let begun = label.and_then(|label| line.strip_prefix(label)?.strip_prefix(':'));
        if let Some(text) = begun {
            cells.push(text.trim().to_owned());
        } else if let Some(cell) = cells.last_mut() {
            *cell = format!("{cell} {line}");
        }
    }
    if cells.is_empty() {
        return None;
    }
    let whole = <[String; 3]>::try_from(cells);
    Some(whole.unwrap_or_else(|cells| panic!("not {}: {cells:?}", LABELS.join(", "))))
}

/// Whether a record with this condition is run against what is maintained.
fn maintained(condition: &Condition) -> bool {
    match condition {
        Condition::OnlyIf { label } => label == "maintained",
        Condition::SkipIf { label } => label != "maintained",
    }
}

/// The words of a text that are more than a letter.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let between = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    text.split(between).filter(|word| word.len() > 1)
}

/// The words of SQL that a clause names: in code, what is in capitals and what is called.
fn named(clause: &str) -> Vec<&str> {
    let mut named = Vec::new();
    for code in clause.split('`').skip(1).step_by(2) {
        for word in words(code) {
            let capitals = !word.contains(|c: char| c.is_ascii_lowercase());
            if capitals || word == code || code.contains(&format!("{word}(")) {
                named.push(word);
            }
        }
    }
    named
}

/// A row of a table.
pub(crate) fn row(cells: &[&str]) -> String {
    let cell = |text: &&str| match *text {
        "" => " |".to_owned(),
        text => format!(" {} |", text.replace('|', "\\|")),
    };
    let cells: String = cells.iter().map(cell).collect();
    format!("|{cells}\n")
}

/// What is maintained.
fn maintained_table() -> String {
    let mut table = row(&["clause", "how", "state", "shown in"]) + &row(&["---"; 4]);
    for clause in clauses() {
        let [written, how, state] = &clause.cells;
        let shown = format!("[{0}](../gridloom/tests/slt/{0})", clause.file);
        table += &row(&[written, how, state, &shown]);
    }
    table
}

/// What is refused; clauses with one way round are one row.
fn refused_table() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../queries/tests/it/refusals.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let mut rows: Vec<(&str, Vec<&str>)> = Vec::new();
    for case in text.split("== ").skip(1) {
        let (name, rest) = case.split_once('\n').expect("a case begins with its name");
        let (_, said) = rest.split_once("\n----\n").expect("a case ends with what is said");
        let sentence = said.lines().next().unwrap_or_default();
        if !sentence.ends_with("cannot be maintained") {
            continue;
        }
        let hint = said.lines().find_map(|line| line.strip_prefix("hint: "));
        let hint = hint.expect("what cannot be maintained has a way round");
        let clause = name.split_once(" | ").map_or(name, |(_, clause)| clause);
        match rows.iter().position(|(known, _)| *known == hint) {
            Some(at) => rows[at].1.push(clause),
            None => rows.push((hint, vec![clause])),
        }
    }
    let mut table = row(&["written", "instead"]) + &row(&["---"; 2]);
    for (hint, clauses) in rows {
        table += &row(&[&clauses.join("; "), hint]);
    }
    table
}

/// The document with a table in its place: between `<!-- name: … -->` and `<!-- end -->`.
fn with_table(document: &str, name: &str, table: &str) -> String {
    let begins = format!("<!-- {name}: ");
    let (before, rest) = document.split_once(&begins).expect("the table has a place");
    let (note, rest) = rest.split_once(" -->\n").expect("the comment ends");
    let (_, after) = rest.split_once("<!-- end -->\n").expect("the place ends");
    format!("{before}{begins}{note} -->\n\n{table}\n<!-- end -->\n{after}")
}

#[test]
fn each_clause_is_shown() {
    for Clause { file, cells: [clause, ..], queries } in clauses() {
        assert!(!queries.is_empty(), "{file}: no maintained query shows {clause}");
        let written: BTreeSet<String> =
            queries.iter().flat_map(|sql| words(sql)).map(str::to_uppercase).collect();
        let missing = named(&clause).into_iter().filter(|w| !written.contains(&w.to_uppercase()));
        let missing: Vec<&str> = missing.collect();
        assert!(missing.is_empty(), "{file}: {clause}: no query with {}", missing.join(", "));
    }
}

#[test]
fn the_document_says_what_the_tests_show() {
    let file = expect_file!["../../../docs/sql.md"];
    let tables = [
        ("maintained", maintained_table()),
        ("functions", functions::table()),
        ("functions without a value", functions::refused_table()),
        ("refused", refused_table()),
    ];
    let mut document = file.data();
    for (name, table) in tables {
        document = with_table(&document, name, &table);
    }
    file.assert_eq(&document);
}

#[test]
fn a_comment_speaks_of_a_clause_over_several_lines() {
    assert_eq!(cells(&[" Only words.".to_owned()]), None);
    let comment = [" Why.", " clause: `A`,", "   `B`", " how:", " state: each row once"];
    let expected = ["`A`, `B`", "", "each row once"].map(str::to_owned);
    assert_eq!(cells(&comment.map(str::to_owned)), Some(expected));
    assert_eq!(named("`f(…) OVER (BY k)`: `lag`, `hop(t)`"), ["OVER", "BY", "lag", "hop"]);
}
