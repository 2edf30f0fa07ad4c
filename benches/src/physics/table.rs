//! The table: one block a task, a row a network, as text and as Markdown.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::physics::race::Compared;
use crate::physics::race::Outcome;
use crate::physics::race::Target;

/// A task's rows.
pub struct Block {
    /// What the task is.
    pub title: String,
    /// Who heads the columns beside ours.
    pub columns: Vec<&'static str>,
    /// A row a network.
    pub rows: Vec<Outcome>,
}

impl Block {
    /// As text, aligned.
    pub fn text(&self) -> String {
        let rows: Vec<Vec<String>> =
            std::iter::once(self.head()).chain(self.rows.iter().map(row)).collect();
        let width = |column: usize| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
        let mut text = format!("{}\n", self.title);
        for row in &rows {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let padded = match column {
                    0 => format!("  {cell:<width$}"),
                    _ => format!("  {cell:>width$}"),
                };
                text.push_str(&padded);
            }
            text.push('\n');
        }
        for loud in self.failures() {
            writeln!(text, "  !! {loud}").expect("a string takes it");
        }
        text
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let head = self.head();
        let mut text = format!("**{}**\n\n{}", self.title, line(&head));
        text.push_str("|---|");
        text.push_str(&"---:|".repeat(head.len() - 1));
        text.push('\n');
        self.rows.iter().for_each(|outcome| text.push_str(&line(&row(outcome))));
        for loud in self.failures() {
            writeln!(text, "\n{loud}").expect("a string takes it");
        }
        text.push('\n');
        text
    }

    fn head(&self) -> Vec<String> {
        let mut head = vec!["network".to_owned(), "ours ms".to_owned()];
        head.extend(self.columns.iter().map(|name| format!("{name} ms")));
        head.extend(["ratio", "rounds", "target", "", "apart pu"].map(str::to_owned));
        head
    }

    /// Who could not, where, and why.
    fn failures(&self) -> Vec<String> {
        let mut failures: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for outcome in &self.rows {
            let ours = outcome.ours.as_ref().err().map(|why| ("ours", why));
            let others = self.columns.iter().zip(&outcome.entrants);
            let others = others.filter_map(|(name, e)| e.as_ref().err().map(|why| (*name, why)));
            for (name, why) in ours.into_iter().chain(others) {
                failures.entry((name, why)).or_default().push(&outcome.network);
            }
        }
        let line = |((name, why), on): (_, Vec<&str>)| format!("{name}, {}: {why}", on.join(", "));
        failures.into_iter().map(line).collect()
    }
}

fn row(outcome: &Outcome) -> Vec<String> {
    let ms = |time: Result<f64, &String>| time.map_or_else(|_| "fails".to_owned(), digits);
    let mut row = vec![outcome.network.clone(), ms(outcome.ours.as_ref().copied())];
    row.extend(outcome.entrants.iter().map(|entrant| ms(entrant.as_ref().map(|e| e.ms))));
    let ratio = outcome.ratio();
    row.push(ratio.map_or("-".to_owned(), |(ratio, ..)| format!("{ratio:.2}")));
    row.push(ratio.map_or("-".to_owned(), |(_, least, most)| format!("{least:.2}-{most:.2}")));
    row.push(match outcome.target {
        Target::Faster(at_least) => format!(">= {at_least}"),
        Target::Within(at_most) => format!("<= {at_most}"),
        Target::Shown => "-".to_owned(),
    });
    row.push(match (outcome.met(), outcome.target) {
        (Some(true), _) => "met".to_owned(),
        (Some(false), _) => "MISSED".to_owned(),
        (None, Target::Shown) => String::new(),
        (None, _) => "unknown".to_owned(),
    });
    let apart = |entrant: &Result<Compared, String>| {
        let apart = entrant.as_ref().ok().and_then(|e| e.apart_pu);
        apart.map_or("-".to_owned(), |pu| format!("{pu:.0e}"))
    };
    row.push(outcome.entrants.iter().map(apart).collect::<Vec<_>>().join(", "));
    row
}

/// Three digits that count.
fn digits(ms: f64) -> String {
    let places = (2.0 - ms.abs().max(1e-6).log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{ms:.places$}")
}
