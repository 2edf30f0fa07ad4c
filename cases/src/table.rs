//! A CSV file as a table whose cells know where they stand.
//!
//! Readers ask a [`Row`] for a cell by its column and get it or nothing; what is wrong with it is
//! added to a list of remarks with file, line and column, so that a file is mended once and not
//! once for each of its errors. Columns are named, in any order; `#` begins a comment line.

use std::path::Path;

use csv::StringRecord;
use grid::network::Severity;

use crate::Error;
use crate::Remark;

/// A CSV file in memory.
pub(crate) struct Table {
    file: String,
    columns: Vec<String>,
    records: Vec<(u64, StringRecord)>,
}

/// A row of a table.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    table: &'a Table,
    line: u64,
    record: &'a StringRecord,
}

impl Table {
    /// Reads a file with a header row.
    ///
    /// # Errors
    /// It cannot be read, is not UTF-8, has no header, or is separated by something else than
    /// commas. Rows with too many or too few cells are remarks.
    pub(crate) fn read(path: &Path, say: &mut Vec<Remark>) -> Result<Table, Error> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(read)?;
        let malformed = |problem: String| Error::Malformed { path: path.to_owned(), problem };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .comment(Some(b'#'))
            .from_reader(text.as_bytes());
        let headers = reader.headers().map_err(|error| malformed(error.to_string()))?.clone();
        let columns: Vec<String> = headers.iter().map(str::to_owned).collect();
        if columns.iter().all(String::is_empty) {
            return Err(malformed(
                "has no header row; the first line names the columns".to_owned(),
            ));
        }
        if columns.len() == 1 && columns[0].contains([';', '\t']) {
            return Err(malformed(
                "is separated by semicolons or tabs; write it with commas and decimal points"
                    .to_owned(),
            ));
        }
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let mut table = Table { file, columns, records: Vec::new() };
        let mut lines = Lines { text, at: 0, line: 1 };
        for record in reader.records() {
            let record = record.map_err(|error| malformed(error.to_string()))?;
            let line = lines.of(record.position().map_or(0, |position| position.byte() as usize));
            if record.len() != table.columns.len() {
                let (cells, columns) = (record.len(), table.columns.len());
                say.push(Remark {
                    severity: Severity::Fatal,
                    place: format!("{}:{line}", table.file),
                    element: record.get(0).unwrap_or_default().to_owned(),
                    problem: format!(
                        "has {cells} cells where the header names {columns} columns; quote text \
                         that holds a comma"
                    ),
                });
                continue;
            }
            table.records.push((line, record));
        }
        Ok(table)
    }

    /// What the file is called.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// True if there is such a column.
    pub(crate) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|c| c == column)
    }

    /// Demands columns; says which are missing and whether none is.
    pub(crate) fn demand(&self, columns: &[&str], say: &mut Vec<Remark>) -> bool {
        let missing: Vec<&str> = columns.iter().copied().filter(|c| !self.has(c)).collect();
        if !missing.is_empty() {
            say.push(Remark {
                severity: Severity::Fatal,
                place: format!("{}:1", self.file),
                element: String::new(),
                problem: format!(
                    "has no column {}; it names {}",
                    missing.join(", "),
                    self.columns.join(", ")
                ),
            });
        }
        missing.is_empty()
    }

    /// Says which columns are none of those known, and so are not read.
    pub(crate) fn name_others(&self, known: &[&str], say: &mut Vec<Remark>) {
        for column in self.columns.iter().filter(|column| !known.contains(&column.as_str())) {
            say.push(Remark {
                severity: Severity::Warning,
                place: format!("{}:1", self.file),
                element: String::new(),
                problem: format!(
                    "the column {column:?} is not read; known are {}",
                    known.join(", ")
                ),
            });
        }
    }

    /// The rows in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.records.iter().map(|(line, record)| Row { table: self, line: *line, record })
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }
}

/// Counts lines up to places of a text, in ascending order.
///
/// The reader's own count is of where it stood before a record: one line too few after a carriage
/// return, and before whatever blank lines it skips.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the record that is read from a place on.
    fn of(&mut self, byte: usize) -> u64 {
        let rest = self.text.get(byte..).unwrap_or_default();
        let mut start = byte + (rest.len() - rest.trim_start_matches(['\r', '\n']).len());
        while let Some(comment) = self.text.get(start..).filter(|rest| rest.starts_with('#')) {
            let end = comment.find('\n').unwrap_or(comment.len());
            let after = &comment[end..];
            start += end + (after.len() - after.trim_start_matches(['\r', '\n']).len());
        }
        let passed = self.text.get(self.at..start).unwrap_or_default();
        self.line += passed.bytes().filter(|&byte| byte == b'\n').count() as u64;
        self.at = start.max(self.at);
        self.line
    }
}

impl<'a> Row<'a> {
    /// The line it stands on.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// A cell, without blanks around it; empty where there is no such column.
    pub(crate) fn text(&self, column: &str) -> &'a str {
        let at = self.table.columns.iter().position(|c| c == column);
        at.and_then(|at| self.record.get(at)).unwrap_or_default()
    }

    /// Says what is wrong with a cell.
    pub(crate) fn fault(&self, column: &str, problem: String, say: &mut Vec<Remark>) {
        self.tell(Severity::Fatal, column, problem, say);
    }

    /// Says something of a cell.
    pub(crate) fn tell(
        &self,
        severity: Severity,
        column: &str,
        problem: String,
        say: &mut Vec<Remark>,
    ) {
        say.push(Remark {
            severity,
            place: format!("{}:{}, column {column}", self.table.file, self.line),
            element: self.record.get(0).unwrap_or_default().to_owned(),
            problem,
        });
    }

    /// A number; nothing where the cell is empty, or is none, which is said.
    pub(crate) fn optional(&self, column: &str, say: &mut Vec<Remark>) -> Option<f64> {
        let text = self.text(column);
        if text.is_empty() {
            return None;
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Some(value),
            Ok(_) => {
                self.fault(column, format!("{text} is no finite number"), say);
                None
            }
            Err(_) if text.contains(',') => {
                self.fault(column, format!("{text:?} has a comma; write a decimal point"), say);
                None
            }
            Err(_) => {
                self.fault(column, format!("{text:?} is not a number"), say);
                None
            }
        }
    }

    /// A number; that there is none is said.
    pub(crate) fn number(&self, column: &str, say: &mut Vec<Remark>) -> Option<f64> {
        if self.text(column).is_empty() {
            self.fault(column, "is empty; a number is needed".to_owned(), say);
            return None;
        }
        self.optional(column, say)
    }

    /// A number, or what stands for an empty cell.
    pub(crate) fn number_or(&self, column: &str, empty: f64, say: &mut Vec<Remark>) -> Option<f64> {
        if self.text(column).is_empty() { Some(empty) } else { self.optional(column, say) }
    }

    /// Yes or no, as 1 or 0, true or false; that it is neither is said.
    pub(crate) fn flag(&self, column: &str, say: &mut Vec<Remark>) -> Option<bool> {
        match self.text(column) {
            "1" | "true" | "True" | "TRUE" | "1.0" => Some(true),
            "0" | "false" | "False" | "FALSE" | "0.0" => Some(false),
            text => {
                self.fault(column, format!("{text:?} is neither 1 nor 0"), say);
                None
            }
        }
    }

    /// Yes or no; yes where the cell is empty.
    pub(crate) fn flag_or_yes(&self, column: &str, say: &mut Vec<Remark>) -> Option<bool> {
        if self.text(column).is_empty() { Some(true) } else { self.flag(column, say) }
    }
}
