//! What the configuration says of files.
//!
//! Everything that can be known without reading a file is checked here: that it is there, which
//! format it has, that no two of a source share a name, since partitions are named by their files.
//! What is in them is found out when they are opened.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;

use crate::error::ConnectorError;
use crate::error::Finding;
use crate::format::RECORD_BYTES_LIMIT;
use crate::format::RECORD_BYTES_MAX;
use crate::options::Options;

/// Rows of one piece unless told otherwise: enough to amortise a batch, little enough to wait for.
pub const DEFAULT_BATCH_ROWS: usize = 8_192;

/// The greatest piece that may be asked for.
const BATCH_ROWS_MAX: usize = 1 << 20;

/// How a file's bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// A header line, then one record a line.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow IPC, file or stream.
    ArrowIpc,
    /// An Apache Avro object container.
    Avro,
}

/// The formats by their names in the configuration.
const FORMATS: [(&str, FileFormat); 5] = [
    ("csv", FileFormat::Csv),
    ("ndjson", FileFormat::Ndjson),
    ("parquet", FileFormat::Parquet),
    ("arrow-ipc", FileFormat::ArrowIpc),
    ("avro", FileFormat::Avro),
];

impl FileFormat {
    /// The format that a file's extension tells.
    pub fn of(path: &Path) -> Option<FileFormat> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(FileFormat::Csv),
            "ndjson" | "jsonl" | "json" => Some(FileFormat::Ndjson),
            "parquet" => Some(FileFormat::Parquet),
            "arrow" | "arrows" | "ipc" | "feather" => Some(FileFormat::ArrowIpc),
            "avro" => Some(FileFormat::Avro),
            _ => None,
        }
    }
}

/// What the configuration says of a file source.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSourceConfig {
    /// The files, each a partition, in partition order.
    pub files: Vec<(PathBuf, FileFormat)>,
    /// Event milliseconds a wall millisecond; `None` is as fast as pulled.
    pub speed: Option<f64>,
    /// Most rows of one piece.
    pub batch_rows: usize,
    /// Longest record that is looked into, in bytes; lines and Avro records are limited, rows of
    /// columns are not.
    pub record_bytes_max: usize,
}

impl FileSourceConfig {
    /// One file, as fast as pulled.
    pub fn file(path: &Path, format: FileFormat) -> FileSourceConfig {
        FileSourceConfig {
            files: vec![(path.to_owned(), format)],
            speed: None,
            batch_rows: DEFAULT_BATCH_ROWS,
            record_bytes_max: RECORD_BYTES_MAX,
        }
    }

    /// Reads the options of the source `name`; relative paths start at `base`.
    ///
    /// # Errors
    /// All mistakes at once, files that are not there among them.
    pub fn read(
        name: &str,
        values: &BTreeMap<String, Value>,
        base: &Path,
    ) -> Result<FileSourceConfig, ConnectorError> {
        let mut options = Options::new(values);
        let format = options.choice("format", &FORMATS);
        let mut files = Vec::new();
        for path in options.texts("path", "the file or folder to read, or a list of them") {
            match expand(&base.join(&path), format) {
                Ok(found) => files.extend(found),
                Err(finding) => options.find(finding),
            }
        }
        let mut names: Vec<_> = files.iter().map(|(path, _)| path.file_name()).collect();
        names.sort();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let name = twice[0].unwrap_or_default().to_string_lossy();
            options.find(
                Finding::at("path", format!("two files are named {name}"))
                    .hint("partitions are named by their files: rename one".to_owned()),
            );
        }
        let config = FileSourceConfig {
            files,
            speed: options.positive("speed"),
            batch_rows: options.count("batch_rows", DEFAULT_BATCH_ROWS, 1..=BATCH_ROWS_MAX),
            record_bytes_max: options.count(
                "record_bytes_max",
                RECORD_BYTES_MAX,
                1..=RECORD_BYTES_LIMIT,
            ),
        };
        options.finish(name)?;
        Ok(config)
    }
}

/// A file itself, or the files of a folder that have a format we know, in name order.
fn expand(path: &Path, format: Option<FileFormat>) -> Result<Vec<(PathBuf, FileFormat)>, Finding> {
    let at = |message: String| Finding::at("path", message);
    let shown = path.display();
    let io = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => at(format!("{shown} does not exist"))
            .hint("relative paths start at the folder of the configuration file".to_owned()),
        _ => at(format!("{shown} cannot be read: {error}")),
    };
    if !std::fs::metadata(path).map_err(io)?.is_dir() {
        let format = format.or_else(|| FileFormat::of(path)).ok_or_else(|| {
            at(format!("the name {shown} does not tell a format"))
                .hint("add `format`: csv, ndjson, parquet, arrow-ipc or avro".to_owned())
        })?;
        return Ok(vec![(path.to_owned(), format)]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let file = entry.map_err(io)?.path();
        match FileFormat::of(&file) {
            Some(told) if file.is_file() && format.is_none_or(|format| format == told) => {
                found.push((file, told));
            }
            _ => {}
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    if found.is_empty() {
        return Err(at(format!("the folder {shown} holds no file of a format we know")));
    }
    Ok(found)
}

/// What the configuration says of a file sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSinkConfig {
    /// The file that JSON lines are appended to.
    pub path: PathBuf,
}

impl FileSinkConfig {
    /// Reads the options of the sink `name`; relative paths start at `base`.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn read(
        name: &str,
        values: &BTreeMap<String, Value>,
        base: &Path,
    ) -> Result<FileSinkConfig, ConnectorError> {
        let mut options = Options::new(values);
        let path = base.join(options.required_text("path", "the file to append to"));
        options.choice("format", &[("ndjson", ())]);
        options.finish(name)?;
        Ok(FileSinkConfig { path })
    }
}
