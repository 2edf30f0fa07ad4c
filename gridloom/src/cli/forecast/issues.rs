//! Weather forecasts with their issue times: what was said when, hour by hour.
//!
//! Columns `issue_time_utc` and `lead_h`, then one a quantity. Leads may be missing: then the
//! newest earlier issue that covers the hour is what is known. What is issued at a time is known
//! together with the reading that bears that time, so the first target is one step after the issue
//! and has its lead of one step, as in GEFCom2012.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use forecast::model::Quantity;
use forecast::model::Said;
use gridloom::problem::Problem;

use super::columns;
use super::columns::Recognised;
use super::table;
use super::time;

/// Milliseconds of an hour.
const HOUR_MS: f64 = 3_600_000.0;

/// Bytes of a first line, beyond which it is none.
const HEADER_MAX: u64 = 65_536;

/// The name of the column of issue times.
pub(super) const ISSUED: &str = "issue_time_utc";

/// The name of the column of leads in hours.
pub(super) const LEAD: &str = "lead_h";

/// What a file of issues holds.
#[derive(Clone, Debug)]
pub(super) struct Issues {
    /// Its columns.
    pub quantities: Vec<Quantity>,
    /// Every word: issue in milliseconds UTC, lead in milliseconds, quantity, value.
    words: Vec<(i64, i64, usize, f64)>,
}

/// Whether a file is one of issues, by its first line.
pub(super) fn is_issues(path: &Path) -> bool {
    let mut first = Vec::new();
    if let Ok(file) = File::open(path) {
        // A file that cannot be read is told where it is read.
        BufReader::new(file.take(HEADER_MAX)).read_until(b'\n', &mut first).unwrap_or_default();
    }
    let first = String::from_utf8_lossy(&first);
    first.contains(ISSUED) && first.contains(LEAD)
}

/// Reads the columns of `wanted`, or all that are recognised as weather where none is named.
///
/// # Errors
/// The file cannot be read, a column is missing, or a cell is not what it should be.
pub(super) fn read(path: &Path, wanted: &[String]) -> Result<Issues, Problem> {
    let all = table::csv_rows(path)?;
    let column = |name: &str| {
        let at = all.names.iter().position(|own| own == name);
        at.ok_or_else(|| {
            let hint = gridloom::problem::nearest(name, all.names.iter().map(String::as_str));
            Problem::new(path, format!("there is no column {name}")).hint(hint)
        })
    };
    let (issued_at, lead_at) = (column(ISSUED)?, column(LEAD)?);
    let others = || all.names.iter().filter(|name| *name != ISSUED && *name != LEAD);
    let chosen: Vec<(usize, Recognised)> = match wanted {
        [] => others()
            .filter_map(|name| {
                let at = all.names.iter().position(|own| own == name)?;
                Some((at, columns::recognise(name, f64::NAN)?))
            })
            .collect(),
        wanted => {
            let mut chosen = Vec::new();
            for name in wanted.iter().filter(|name| others().any(|own| own == *name)) {
                chosen.push((column(name)?, columns::recognise_or_other(name, f64::NAN)));
            }
            chosen
        }
    };
    if chosen.is_empty() {
        let hint = "name columns as u_ms, v_ms, wind100m_ms, temp_c, ghi_wm2, or --weather them";
        return Err(Problem::new(path, "no column is recognised as weather").hint(hint));
    }
    let mut words = Vec::new();
    for (line, record) in &all.rows {
        let cell = |at: usize| record.get(at).unwrap_or_default();
        let wrong = |at: usize, what: &str| {
            let message = format!("{:?} is no {what}", cell(at));
            Problem::new(path, message).at(*line, &*all.names[at])
        };
        let issued = time::parse(cell(issued_at)).ok_or_else(|| {
            wrong(issued_at, "time").hint("write issue times as 2009-07-01T00 or 20090701T00")
        })?;
        let lead_h = all.number(cell(lead_at)).filter(|lead| lead.is_finite() && *lead >= 0.0);
        let lead_h = lead_h.ok_or_else(|| wrong(lead_at, "lead").hint("write leads in hours"))?;
        for (quantity, (at, found)) in chosen.iter().enumerate() {
            let value = all.number(cell(*at)).ok_or_else(|| wrong(*at, "number"))?;
            let value = found.convert.value(value);
            words.push((issued.at_ms(), (lead_h * HOUR_MS).round() as i64, quantity, value));
        }
    }
    let quantity = |(at, found): &(usize, Recognised)| {
        let name = all.names[*at].clone();
        Quantity { name, role: found.role }
    };
    Ok(Issues { quantities: chosen.iter().map(quantity).collect(), words })
}

impl Issues {
    /// What was said, on a clock that is `ahead_ms` ahead of UTC with steps of `step_ms`, its
    /// quantities counted from `quantity`.
    pub(super) fn said(&self, ahead_ms: i64, step_ms: i64, quantity: usize) -> Vec<Said> {
        let mut latest: BTreeMap<(i64, i64, usize), f32> = BTreeMap::new();
        for &(issued_ms, lead_ms, own, value) in &self.words {
            if value.is_finite() {
                let issued = (issued_ms + ahead_ms).div_euclid(step_ms);
                let index = (issued_ms + ahead_ms + lead_ms).div_euclid(step_ms);
                latest.insert((issued, index, quantity + own), value as f32);
            }
        }
        let word = |((issued, index, quantity), value)| Said { issued, quantity, index, value };
        latest.into_iter().map(word).collect()
    }

    /// After which readings weather was issued, ascending, each once.
    pub(super) fn origins(&self, ahead_ms: i64, step_ms: i64) -> Vec<i64> {
        let issued = self.words.iter().map(|word| (word.0 + ahead_ms).div_euclid(step_ms));
        let mut origins: Vec<i64> = issued.collect();
        origins.sort_unstable();
        origins.dedup();
        origins
    }
}

/// Splits the files that hold issues off those that hold series.
pub(super) fn split(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<PathBuf>) {
    paths.iter().cloned().partition(|path| is_issues(path))
}
