//! Tables of numbers over time, from CSV or Parquet, as their owners have them.
//!
//! A file has one column of times, recognised by name (`time_utc`, `time_local`, `timestamp`, …) or
//! by what is in it, and columns of numbers. Several files are joined on time: a column that is in
//! two of them is one column, where they do not contradict each other. What cannot be read is an
//! error only if it is asked for: a column of words does no harm.
//!
//! **Invariant:** a missing cell stays missing (NaN); nothing is filled in.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use gridloom::problem::Problem;

use super::time;
use super::time::Stamp;

/// Cells that say that there is nothing.
const NOTHING: [&str; 8] = ["", "na", "nan", "n/a", "null", "none", "-", "?"];

/// Names of a time column, the likeliest first.
const TIME_NAMES: [&str; 10] = [
    "time_utc",
    "time_local",
    "timestamp",
    "datetime",
    "date_time",
    "time",
    "utc_timestamp",
    "ds",
    "date",
    "index",
];

/// A column of numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    /// One a row.
    pub values: Vec<f64>,
    /// The first cell that is no number, with its file and line.
    pub strange: Option<(PathBuf, usize, String)>,
}

/// A file as it was read.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// Where it is.
    pub path: PathBuf,
    /// What the column of times is called.
    pub time_name: String,
    /// One a row, in the order of the file.
    pub times: Vec<Stamp>,
    /// By name, one value a row.
    pub columns: Vec<(String, Column)>,
}

impl File {
    /// Whether its times are instants rather than what a clock on a wall says.
    fn utc(&self) -> bool {
        let named = self.time_name.to_lowercase().contains("utc");
        named || self.times.iter().any(|stamp| stamp.ahead_ms.is_some())
    }
}

/// Files joined on time.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// The first file, for what is said of all of them.
    pub path: PathBuf,
    /// Milliseconds since the epoch, ascending, each once.
    pub times_ms: Vec<i64>,
    /// Whether they are in UTC; else they are of a wall clock that the file does not name.
    pub utc: bool,
    /// What every time is ahead of UTC as it is written, in milliseconds, if all are alike.
    pub ahead_ms: Option<i64>,
    /// Names in the order of the files.
    pub names: Vec<String>,
    /// By name, one value a time.
    pub columns: BTreeMap<String, Column>,
}

impl Table {
    /// A column.
    ///
    /// # Errors
    /// There is none of the name, or it holds something that is no number.
    pub(super) fn numbers(&self, name: &str) -> Result<&[f64], Problem> {
        let column = self.columns.get(name).ok_or_else(|| self.unknown(name))?;
        match &column.strange {
            None => Ok(&column.values),
            Some((path, line, cell)) => {
                let message = format!("{cell:?} is no number");
                let hint = "leave a cell empty where nothing was measured";
                Err(Problem::new(path, message).at(*line, name).hint(hint))
            }
        }
    }

    /// That a column is not there, with the nearest that are.
    pub(super) fn unknown(&self, name: &str) -> Problem {
        let names = self.names.iter().map(String::as_str);
        let hint = gridloom::problem::nearest(name, names);
        Problem::new(&self.path, format!("there is no column {name}")).hint(hint)
    }
}

/// Reads files and joins them on time.
///
/// # Errors
/// A file cannot be read, has no times or the same time twice, or two of them contradict.
pub(super) fn read(paths: &[PathBuf]) -> Result<Table, Vec<Problem>> {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        match read_file(path) {
            Ok(file) => files.push(file),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    join(&files).map_err(|problem| vec![problem])
}

/// Reads a file by what its name ends with.
pub(super) fn read_file(path: &Path) -> Result<File, Problem> {
    let kind = path.extension().map(|kind| kind.to_string_lossy().to_lowercase());
    match kind.as_deref() {
        Some("parquet" | "pq") => super::parquet::read(path),
        _ => read_csv(path),
    }
}

/// The names and the rows of a CSV file, with the line of each.
pub(super) struct Rows {
    /// As in the first line.
    pub names: Vec<String>,
    /// Line and cells.
    pub rows: Vec<(usize, csv::StringRecord)>,
    /// What is between cells.
    pub delimiter: u8,
}

impl Rows {
    /// A number, with a decimal comma where cells are not separated by one.
    pub(super) fn number(&self, cell: &str) -> Option<f64> {
        let lower = cell.to_ascii_lowercase();
        if NOTHING.contains(&lower.as_str()) {
            return Some(f64::NAN);
        }
        let comma = self.delimiter != b',' && cell.contains(',') && !cell.contains('.');
        let read = if comma { cell.replace(',', ".").parse() } else { cell.parse() };
        let truth = || match lower.as_str() {
            "true" | "yes" => Some(1.0),
            "false" | "no" => Some(0.0),
            _ => None,
        };
        read.ok().filter(|value: &f64| !value.is_infinite()).or_else(truth)
    }
}

/// Reads the rows of a CSV file separated by commas, semicolons or tabs.
///
/// # Errors
/// It cannot be opened, or a row has more or fewer cells than the first.
pub(super) fn csv_rows(path: &Path) -> Result<Rows, Problem> {
    let bytes = std::fs::read(path).map_err(|error| {
        Problem::new(path, format!("cannot be opened: {error}")).hint("check the path")
    })?;
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |sign: u8| first.iter().filter(|byte| **byte == sign).count();
    let delimiter = *[b',', b';', b'\t']
        .iter()
        .max_by_key(|sign| (count(**sign), **sign == b','))
        .expect("there are three");
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(bytes.as_slice());
    let wrong = |error: csv::Error| {
        let line = error.position().map_or(0, |at| at.line() as usize);
        let message = match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("{len} cells where the first line has {expected_len}")
            }
            csv::ErrorKind::Utf8 { .. } => "not UTF-8 text".to_owned(),
            _ => format!("not CSV: {error}"),
        };
        let hint = "write CSV with a header, or name a Parquet file .parquet";
        Problem::new(path, message).at(line, "").hint(hint)
    };
    let names = reader.headers().map_err(wrong)?;
    let strip = |name: &str| name.trim_start_matches('\u{feff}').to_owned();
    let names: Vec<String> = names.iter().map(strip).collect();
    let mut rows = Vec::new();
    for record in reader.into_records() {
        let record = record.map_err(wrong)?;
        rows.push((record.position().map_or(0, |at| at.line() as usize), record));
    }
    if rows.is_empty() {
        let hint = "a header line with names, then a row a step";
        return Err(Problem::new(path, "there are no rows").hint(hint));
    }
    Ok(Rows { names, rows, delimiter })
}

fn read_csv(path: &Path) -> Result<File, Problem> {
    let all = csv_rows(path)?;
    if let Some(twice) = repeated(&all.names) {
        let hint = "give each column a name of its own";
        return Err(Problem::new(path, "two columns have one name").at(1, twice).hint(hint));
    }
    let first = &all.rows[0].1;
    let reads = |at: usize| first.get(at).is_some_and(|cell| time::parse(cell).is_some());
    let at = time_column(&all.names, &reads).ok_or_else(|| no_times(path, &all.names))?;
    let mut times = Vec::with_capacity(all.rows.len());
    for (line, record) in &all.rows {
        let cell = record.get(at).unwrap_or_default();
        let stamp = time::parse(cell).ok_or_else(|| {
            let hint =
                "write times as 2013-07-01T00:30, with Z or an offset where they are instants";
            Problem::new(path, format!("{cell:?} is no time")).at(*line, &*all.names[at]).hint(hint)
        })?;
        times.push(stamp);
    }
    let others = (0..all.names.len()).filter(|other| *other != at);
    let columns = others.map(|other| (all.names[other].clone(), csv_column(path, &all, other)));
    let columns = columns.collect();
    Ok(File { path: path.to_owned(), time_name: all.names[at].clone(), times, columns })
}

fn csv_column(path: &Path, all: &Rows, at: usize) -> Column {
    let mut column = Column::default();
    for (line, record) in &all.rows {
        let cell = record.get(at).unwrap_or_default();
        let value = all.number(cell);
        if value.is_none() && column.strange.is_none() {
            column.strange = Some((path.to_owned(), *line, cell.to_owned()));
        }
        column.values.push(value.unwrap_or(f64::NAN));
    }
    column
}

fn repeated(names: &[String]) -> Option<&str> {
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// Which column holds the times: by name, or the first whose cells are times.
pub(super) fn time_column(names: &[String], reads: &dyn Fn(usize) -> bool) -> Option<usize> {
    let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    let by_name = TIME_NAMES.iter().filter_map(|wanted| lower.iter().position(|n| n == wanted));
    let within = (0..names.len()).filter(|at| {
        let name = &lower[*at];
        name.contains("time") || name.contains("date")
    });
    by_name.chain(within).chain(0..names.len()).find(|at| reads(*at))
}

/// That no column holds times.
pub(super) fn no_times(path: &Path, names: &[String]) -> Problem {
    let message = format!("no column holds times (there are {})", names.join(", "));
    let hint = "name one time_utc or time_local, with times such as 2013-07-01T00:30";
    Problem::new(path, message).hint(hint)
}

/// Joins files on time.
fn join(files: &[File]) -> Result<Table, Problem> {
    let first = files.first().expect("the command line asks for one at least");
    let utc = first.utc();
    if let Some(other) = files.iter().find(|file| file.utc() != utc) {
        let message = format!(
            "{} has {}, {} has not: which hours belong together cannot be told",
            if utc { first.path.display() } else { other.path.display() },
            "times in UTC",
            if utc { other.path.display() } else { first.path.display() },
        );
        let hint = "write the times of both in UTC, with Z";
        return Err(Problem::new(&other.path, message).hint(hint));
    }
    for file in files {
        once(file)?;
    }
    let stamps = || files.iter().flat_map(|file| &file.times);
    let mut times_ms: Vec<i64> = stamps().map(|stamp| stamp.at_ms()).collect();
    times_ms.sort_unstable();
    times_ms.dedup();
    let ahead_ms = first.times[0].ahead_ms;
    let ahead_ms = ahead_ms.filter(|ahead| stamps().all(|stamp| stamp.ahead_ms == Some(*ahead)));
    let mut names: Vec<String> = Vec::new();
    let mut columns: BTreeMap<String, Column> = BTreeMap::new();
    for file in files {
        for (name, column) in &file.columns {
            if !columns.contains_key(name) {
                names.push(name.clone());
            }
            let joined = columns.entry(name.clone()).or_default();
            joined.values.resize(times_ms.len(), f64::NAN);
            add(joined, file, name, column, &times_ms)?;
        }
    }
    Ok(Table { path: first.path.clone(), times_ms, utc, ahead_ms, names, columns })
}

fn add(
    joined: &mut Column,
    file: &File,
    name: &str,
    column: &Column,
    times_ms: &[i64],
) -> Result<(), Problem> {
    for (stamp, value) in file.times.iter().zip(&column.values) {
        let at = times_ms.binary_search(&stamp.at_ms()).expect("all times are in");
        let cell = &mut joined.values[at];
        if cell.is_finite() && value.is_finite() && *cell != *value {
            let when = time::show(stamp.at_ms());
            let message = format!("{value} at {when}, where a file before it has {cell}");
            let hint = "rename the column in one of the files";
            return Err(Problem::new(&file.path, message).at(0, name).hint(hint));
        }
        if value.is_finite() {
            *cell = *value;
        }
    }
    if joined.strange.is_none() {
        joined.strange.clone_from(&column.strange);
    }
    Ok(())
}

/// That no time of a file is there twice.
fn once(file: &File) -> Result<(), Problem> {
    let mut sorted: Vec<(i64, usize)> =
        file.times.iter().enumerate().map(|(row, stamp)| (stamp.at_ms(), row)).collect();
    sorted.sort_unstable();
    let twice = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0);
    twice.map_or(Ok(()), |pair| {
        let when = time::show(pair[1].0);
        let message =
            format!("{when} is there twice: rows {} and {}", pair[0].1 + 1, pair[1].1 + 1);
        let hint = "a clock with summer time has an hour twice: write the times in UTC, with Z";
        Err(Problem::new(&file.path, message).at(0, &*file.time_name).hint(hint))
    })
}
