//! How far something is: a bar on a terminal, a line every tenth elsewhere.
//!
//! Both go to stderr. A log file gets eleven lines of a day, not thousands of redrawn bars.

use std::io::IsTerminal;

use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;

use crate::exit::say;

/// How often a bar is drawn at most, a second.
const DRAWS_PER_SECOND: u8 = 10;

/// Lines that a whole run prints where there is no terminal.
const LINES: u64 = 10;

/// Something of known length, under way.
#[derive(Debug)]
pub(crate) struct Progress {
    total: u64,
    what: &'static str,
    unit: &'static str,
    bar: Option<ProgressBar>,

    done: u64,
    next_line: u64,
}

impl Progress {
    /// Nothing of `total` ticks is done; `what` says of what.
    pub(crate) fn new(what: &'static str, total: u64) -> Progress {
        Progress::counting(what, "ticks", total)
    }

    /// The same of anything that is counted.
    pub(crate) fn counting(what: &'static str, unit: &'static str, total: u64) -> Progress {
        Progress::on(std::io::stderr().is_terminal(), what, unit, total)
    }

    fn on(terminal: bool, what: &'static str, unit: &'static str, total: u64) -> Progress {
        let bar = terminal.then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
            let bar = ProgressBar::with_draw_target(Some(total), target);
            let shape = "{prefix}  {bar:32} {percent:>3}%  {pos}/{len} {msg}, {eta} left";
            let style = ProgressStyle::with_template(shape).expect("the template is constant");
            bar.set_style(style.progress_chars("=> "));
            bar.set_prefix(what);
            bar.set_message(unit);
            bar
        });
        Progress { total, what, unit, bar, done: 0, next_line: 0 }
    }

    /// So many are done.
    pub(crate) fn advance(&mut self, done: u64) {
        self.done = done;
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None => {
                if let Some(line) = self.line() {
                    say(&line);
                }
            }
        }
    }

    /// The line that is due, if one is.
    fn line(&mut self) -> Option<String> {
        let tenth = self.done * LINES / self.total.max(1);
        if tenth < self.next_line {
            return None;
        }
        self.next_line = tenth + 1;
        let percent = self.done * 100 / self.total.max(1);
        let (what, unit) = (self.what, self.unit);
        Some(format!("{what}  {percent:>3}%  {}/{} {unit}", self.done, self.total))
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_without_a_terminal_is_eleven_lines() {
        let mut progress = Progress::on(false, "a day", "ticks", 17_280);
        let mut lines = Vec::new();
        for done in 0..=17_280 {
            progress.done = done;
            lines.extend(progress.line());
        }
        assert_eq!(lines.len(), 11);
        assert_eq!(lines[0], "a day    0%  0/17280 ticks");
        assert_eq!(lines[10], "a day  100%  17280/17280 ticks");
    }
}
