//! Mistakes of the person in front, told all at once: what, where, and what was probably meant.
//!
//! One mistake a start is one start a mistake. So whoever checks something gathers [`Problem`]s and
//! goes on; [`Problems`] is the error that carries them to the top, where it becomes exit code 2.
//!
//! ```text
//! error: unknown key
//!   --> gridloom.toml:7: instance.patince
//!   hint: did you mean patience?
//! ```
//!
//! It does not decide what is wrong; see [`crate::config`] and [`crate::check`].

use std::fmt;
use std::path::Path;
use std::path::PathBuf;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file it is in.
    pub file: PathBuf,
    /// The line, from 1; 0 where it is about the whole file.
    pub line: usize,
    /// The key or clause it is about; empty where there is none.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where we know it.
    pub hint: Option<String>,
}

impl Problem {
    /// A mistake in a file as a whole.
    pub fn new(file: &Path, message: impl Into<String>) -> Problem {
        let (file, message) = (file.to_owned(), message.into());
        Problem { file, line: 0, key: String::new(), message, hint: None }
    }

    /// The same at a line and key.
    #[must_use]
    pub fn at(self, line: usize, key: impl Into<String>) -> Problem {
        Problem { line, key: key.into(), ..self }
    }

    /// The same with a way to mend it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Problem {
        Problem { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\n  --> {}", self.message, self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  hint: {hint}"))
    }
}

/// All mistakes that were found, in order of file and line; never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// `Ok` if there are none.
    ///
    /// # Errors
    /// There are some.
    pub fn none(mut problems: Vec<Problem>) -> Result<(), Problems> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort();
        problems.dedup();
        Err(Problems(problems))
    }

    /// The mistakes.
    pub fn list(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        match self.0.len() {
            1 => write!(f, "1 error"),
            n => write!(f, "{n} errors"),
        }
    }
}

impl std::error::Error for Problems {}

/// A sentence with a way round, for what goes wrong while something is done; exit code 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Told {
    /// A sentence and a way round.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Told {
        Told { message: message.into(), hint: Some(hint.into()) }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
    }
}

impl std::error::Error for Told {}

/// The nearest of the right names, as a hint.
pub fn nearest<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> String {
    queries::plan::refuse::nearest(wrong, right)
}
