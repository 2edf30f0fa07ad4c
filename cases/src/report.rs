//! A report on a network, worth reading before anything is solved.
//!
//! First what it is (counts, voltage levels, islands, the balance of power), so that somebody who
//! knows the grid sees at a glance whether it is the one they know; then what is wrong with it, the
//! worst first; then what of the file was not understood. What many elements have in common is
//! told for a few of them.

mod balanced;
mod supply;
mod unbalanced;

use std::fmt::Write;

use grid::network::Fault;
use grid::network::Severity;

use crate::Found;
use crate::Remark;

/// How many of a kind are told one by one.
const TOLD: usize = 4;

/// The report on a network as text: lines of up to a hundred columns or so, ending in a verdict.
pub fn report(found: &Found) -> String {
    match found {
        Found::Balanced(import) => balanced::report(import),
        Found::Unbalanced(import) => unbalanced::report(import),
    }
}

/// Text in the making. Writing to a string cannot fail.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(text.trim_end());
        self.0.push('\n');
    }

    /// A heading, with a blank line in front.
    fn heading(&mut self, text: &str) {
        self.line("");
        self.line(text);
    }

    /// A name, a count, and what there is to say of them.
    fn count(&mut self, name: &str, count: usize, more: &str) {
        if count > 0 {
            self.line(&format!("  {name:<28}{count:>7}   {more}"));
        }
    }

    /// What is wrong, the worst first.
    fn faults(&mut self, faults: &[Fault]) {
        let (mut at, mut shown) = (Severity::Note, false);
        for group in groups(faults) {
            let first = group[0];
            if !shown || first.severity != at {
                (at, shown) = (first.severity, true);
                self.heading(&title(at, faults.iter().filter(|f| f.severity == at).count()));
            }
            for fault in group.iter().take(TOLD) {
                self.line(&format!("  {} {}", fault.element, fault.problem));
            }
            if group.len() > TOLD {
                self.line(&format!("  … and {} more of this kind", group.len() - TOLD));
            }
            if !first.hint.is_empty() {
                self.line(&format!("      → {}", first.hint));
            }
        }
    }

    /// What was not understood, the worst first.
    fn remarks(&mut self, remarks: &[Remark]) {
        let titles = [
            (Severity::Fatal, "Left out of the network"),
            (Severity::Warning, "Taken otherwise than the file says"),
            (Severity::Note, "Worth knowing of the file"),
        ];
        for (severity, title) in titles {
            let of: Vec<&Remark> = remarks.iter().filter(|r| r.severity == severity).collect();
            if of.is_empty() {
                continue;
            }
            self.heading(&format!("{title}: {}", of.len()));
            let mut rest = of.as_slice();
            while let Some(first) = rest.first() {
                let alike = rest.iter().take_while(|remark| alike(remark, first)).count();
                for remark in rest.iter().take(alike.min(TOLD)) {
                    self.line(&format!("  {remark}"));
                }
                if alike > TOLD {
                    self.line(&format!("  … and {} more of this kind", alike - TOLD));
                }
                rest = &rest[alike..];
            }
        }
    }

    /// The last line: whether it can be used.
    fn verdict(&mut self, fatal: usize, left_out: usize, warnings: usize) {
        let count = |count: usize, one: &str, many: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {many}"),
        };
        let mut parts = Vec::new();
        if fatal > 0 {
            parts.push(count(fatal, "fault that must be mended", "faults that must be mended"));
        }
        if left_out > 0 {
            parts.push(count(
                left_out,
                "thing of the file left out",
                "things of the file left out",
            ));
        }
        if warnings > 0 {
            parts.push(count(warnings, "warning", "warnings"));
        }
        self.line("");
        match (fatal + left_out, warnings) {
            (0, 0) => self.line("Nothing is wrong with it."),
            (0, _) => self.line(&format!("It can be solved, with {}.", parts.join(", "))),
            _ => self.line(&format!("It cannot be used as it is: {}.", parts.join(", "))),
        }
    }
}

fn title(severity: Severity, count: usize) -> String {
    let what = match severity {
        Severity::Fatal => "What must be mended",
        Severity::Warning => "Probably not what is meant",
        Severity::Note => "Worth knowing",
    };
    format!("{what}: {count}")
}

/// Faults that say the same of elements of one kind, together, in the order of their first.
fn groups(faults: &[Fault]) -> Vec<Vec<&Fault>> {
    let mut groups: Vec<Vec<&Fault>> = Vec::new();
    let kind = |fault: &Fault| fault.element.split([' ', '.']).next().map(str::to_owned);
    for fault in faults {
        let same = groups.iter_mut().find(|group| {
            let first = group[0];
            let hinted = !fault.hint.is_empty() && first.hint == fault.hint;
            hinted && first.severity == fault.severity && kind(first) == kind(fault)
        });
        match same {
            Some(group) => group.push(fault),
            None => groups.push(vec![fault]),
        }
    }
    groups
}

/// True if two remarks say the same of two rows: their words are the same, but for numbers.
fn alike(a: &Remark, b: &Remark) -> bool {
    let words = |remark: &Remark| {
        let text = format!("{} {}", remark.place, remark.problem);
        text.split(' ').filter(|w| !w.contains(|c: char| c.is_ascii_digit())).collect::<String>()
    };
    words(a) == words(b)
}

/// A power with three digits that count and its unit, from W to GW.
fn power(mega: f64, unit: &str) -> String {
    // Without the sign of a negative zero.
    let mega = if mega == 0.0 { 0.0 } else { mega };
    let magnitude = mega.abs();
    let (value, prefix) = match magnitude {
        _ if magnitude >= 1e3 => (mega / 1e3, "G"),
        _ if magnitude >= 1.0 || magnitude == 0.0 => (mega, "M"),
        _ if magnitude >= 1e-3 => (mega * 1e3, "k"),
        _ => (mega * 1e6, ""),
    };
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    let mut text = String::new();
    write!(text, "{value:.digits$} {prefix}{unit}").expect("text takes text");
    text
}

/// The first of some names, and how many more there are.
fn few(names: &[String]) -> String {
    match names.len() {
        0..=3 => names.join(", "),
        count => format!("{} and {} more", names[..3].join(", "), count - 3),
    }
}
