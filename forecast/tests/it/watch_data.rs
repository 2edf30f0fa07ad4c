//! Columns of the public series, for the tests that watch.

use std::path::Path;
use std::path::PathBuf;

use chrono::NaiveDateTime;

/// A column of a file: instants in milliseconds on the clock of the file, values or nothing.
pub(crate) type Column = Vec<(i64, Option<f64>)>;

/// Reads `column` of a file; see [`rows`].
pub(crate) fn column(file: &str, column: &str) -> Option<Column> {
    let mut reader = reader(file)?;
    let headers = reader.headers().expect("a header line").clone();
    let wanted = headers.iter().position(|name| name == column).expect("the column is there");
    let rows = reader.records().map(|record| {
        let record = record.expect("a row of the same width");
        (instant(&record[0]), record[wanted].parse().ok())
    });
    Some(rows.collect())
}

/// The rows of `forecast/{file}` under `GRIDLOOM_DATA` (`../shared/data` where that names nothing),
/// or `None`, said loudly.
///
/// Panics in continuous integration, where the data must be there.
pub(crate) fn rows(file: &str) -> Option<Vec<csv::StringRecord>> {
    let mut reader = reader(file)?;
    let rows = reader.records().map(|record| record.expect("a row of the same width"));
    Some(rows.collect())
}

fn reader(file: &str) -> Option<csv::Reader<std::fs::File>> {
    let folder = std::env::var_os("GRIDLOOM_DATA").map(PathBuf::from);
    let folder =
        folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let path = folder.join("forecast").join(file);
    csv::Reader::from_path(&path).ok().or_else(|| absent(file))
}

/// Milliseconds of `2016-07-01T07:15`, with or without a `Z`.
fn instant(text: &str) -> i64 {
    let text = text.trim_end_matches('Z');
    let at = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").expect("an instant");
    at.and_utc().timestamp_millis()
}

fn absent<T>(file: &str) -> Option<T> {
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!ci, "{file} is absent: set GRIDLOOM_DATA");
    eprintln!("NOT TESTED: {file} is absent. Set GRIDLOOM_DATA to the folder that holds forecast/");
    None
}

/// A fixed stream of numbers, even on [0, 1): a 64-bit linear congruence of Knuth's.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Self(seed);
        dice.even();
        dice
    }

    pub(crate) fn even(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Normal, mean 0 and deviation 1, as a sum of twelve even ones (tails end at six).
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }
}
