//! The prompt: statements are read, asked and answered until there are no more.
//!
//! What was typed is remembered over sessions. A statement that is refused ends nothing where a
//! person types; where the statements come from a file or a pipe, the first refusal ends it, as a
//! script must not go on over what did not happen.

use std::io::BufRead;
use std::io::IsTerminal;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use rustyline::Config;
use rustyline::Editor;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;

use super::Asks;
use super::Listed;
use super::typing;
use super::typing::Typing;
use crate::exit::say;

/// What stands before what is typed.
const PROMPT: &str = "gridloom> ";

/// Entries of the history.
const HISTORY_MAX: usize = 2_000;

/// What `\?` says.
const HELP: &str = "\
A statement ends with ; and may go over several lines. Tab completes, Ctrl-C cancels.
  \\d          the relations
  \\d NAME     the columns of a relation
  \\timing     say how long answers take, or no longer
  \\?          this
  \\q, Ctrl-D  leave";

/// Reads, asks and answers until there is no more.
///
/// # Errors
/// Nobody reads the answers, or a statement of a script is refused.
pub(super) fn run(asked: &mut dyn Asks, out: &mut dyn Write) -> anyhow::Result<()> {
    let prompt = Prompt { asked, timing: false };
    let stdin = std::io::stdin();
    if stdin.is_terminal() { person(prompt, out) } else { script(prompt, stdin.lock(), out) }
}

/// Does what stands in a file or comes by a pipe.
fn script(mut prompt: Prompt<'_>, lines: impl BufRead, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut text = String::new();
    for line in lines.lines() {
        text.push_str(&line?);
        text.push('\n');
        if typing::is_whole(&text) {
            if prompt.done(text.trim(), out)? == Then::Leave {
                return Ok(());
            }
            out.flush()?;
            text.clear();
        }
    }
    // The last statement may do without its end.
    prompt.done(text.trim(), out)?;
    Ok(())
}

/// Reads what a person types.
fn person(mut prompt: Prompt<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    let config = Config::builder().max_history_size(HISTORY_MAX)?.auto_add_history(true).build();
    let mut editor: Editor<Typing, FileHistory> = Editor::with_config(config)?;
    editor.set_helper(Some(Typing::new(&prompt.asked.relations()?)));
    let history = history();
    if let Some(file) = &history {
        // There is none before the first time.
        editor.load_history(file).ok();
    }
    say("\\? for help");
    loop {
        let text = match editor.readline(PROMPT) {
            Ok(text) => text,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        };
        match prompt.done(text.trim(), out) {
            Ok(Then::Leave) => break,
            Ok(Then::GoOn) => {}
            Ok(Then::Changed) => {
                if let Ok(relations) = prompt.asked.relations() {
                    editor.set_helper(Some(Typing::new(&relations)));
                }
            }
            Err(error) if error.downcast_ref::<std::io::Error>().is_none() => {
                crate::exit::tell(&error);
            }
            Err(error) => return Err(error),
        }
        out.flush()?;
    }
    if let Some(file) = history {
        remember(&mut editor, &file);
    }
    Ok(())
}

/// Writes the history; one that cannot be written is only said.
fn remember(editor: &mut Editor<Typing, FileHistory>, file: &std::path::Path) {
    let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    let written = folder.map_err(ReadlineError::from).and_then(|()| editor.save_history(file));
    if let Err(error) = written {
        say(&format!("the history cannot be kept in {}: {error}", file.display()));
    }
}

/// Where the history is kept: among the user's states, as the XDG rules say.
fn history() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|at| !at.is_empty()).map(PathBuf::from);
    let home = || folder("HOME").map(|home| home.join(".local/state"));
    Some(folder("XDG_STATE_HOME").or_else(home)?.join("gridloom/history"))
}

/// What follows what was typed.
#[derive(Debug, PartialEq, Eq)]
enum Then {
    GoOn,
    /// There may be other relations now.
    Changed,
    Leave,
}

struct Prompt<'a> {
    asked: &'a mut dyn Asks,
    timing: bool,
}

impl Prompt<'_> {
    fn done(&mut self, text: &str, out: &mut dyn Write) -> anyhow::Result<Then> {
        if let Some(command) = text.strip_prefix('\\') {
            return self.command(command, out);
        }
        let (found, rest) = typing::statements(text);
        let mut then = Then::GoOn;
        for sql in found.into_iter().chain(Some(rest.trim()).filter(|rest| !rest.is_empty())) {
            let began = Instant::now();
            self.asked.ask(sql, out)?;
            if self.timing {
                writeln!(out, "{:.1} ms", began.elapsed().as_secs_f64() * 1e3)?;
            }
            let word = sql.split_whitespace().next().unwrap_or_default().to_uppercase();
            if ["CREATE", "DROP", "ALTER", "COMMIT"].contains(&word.as_str()) {
                then = Then::Changed;
            }
        }
        Ok(then)
    }

    fn command(&mut self, command: &str, out: &mut dyn Write) -> anyhow::Result<Then> {
        let mut words = command.trim_end_matches(';').split_whitespace();
        match (words.next(), words.next()) {
            (Some("q" | "quit"), _) => return Ok(Then::Leave),
            (Some("?" | "h" | "help"), _) => writeln!(out, "{HELP}")?,
            (Some("timing"), _) => {
                self.timing = !self.timing;
                writeln!(out, "timing is {}", if self.timing { "on" } else { "off" })?;
            }
            (Some("d"), None) => {
                for Listed { name, .. } in self.asked.relations()? {
                    writeln!(out, "{name}")?;
                }
            }
            (Some("d"), Some(asked)) => self.describe(asked, out)?,
            _ => say(&format!("there is no command \\{command}; \\? lists them")),
        }
        Ok(Then::GoOn)
    }

    fn describe(&mut self, asked: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        let relations = self.asked.relations()?;
        let Some(found) = relations.iter().find(|listed| listed.name == asked) else {
            say(&format!("there is no relation {asked}"));
            return Ok(());
        };
        let width = found.columns.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, kind) in &found.columns {
            writeln!(out, "{name:<width$}  {kind}")?;
        }
        Ok(())
    }
}
