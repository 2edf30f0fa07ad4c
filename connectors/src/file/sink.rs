//! Rows appended to a file as JSON lines.
//!
//! Rows are gathered in memory and written at [`Sink::flush`], which syncs the file. A crash may
//! leave the last line torn; it is cut off when the file is opened, since a record whose line end
//! is not there was never acknowledged.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use schemas::time::Timestamp;

use crate::error::ConnectorError;
use crate::error::Finding;
use crate::file::config::FileSinkConfig;
use crate::format::Arrival;
use crate::format::Decoder;
use crate::format::RECORD_BYTES_MAX;
use crate::format::json;
use crate::sink::Sink;

/// How much is read at once when reading backwards, in bytes.
const READ_BYTES: u64 = 1 << 16;

/// A file that rows are appended to.
pub struct FileSink {
    name: String,
    config: FileSinkConfig,
    schema: SchemaRef,

    file: File,
    /// Lines that are not written yet.
    unwritten: String,
}

impl FileSink {
    /// Opens the file, makes it if need be, and cuts off a torn last line.
    ///
    /// # Errors
    /// The file cannot be opened or made.
    pub fn open(
        name: &str,
        schema: &SchemaRef,
        config: FileSinkConfig,
    ) -> Result<FileSink, ConnectorError> {
        decodable(name, schema)?;
        let file = open(&config.path).map_err(|error| cannot_open(name, &config, &error))?;
        let (name, schema) = (name.to_owned(), schema.clone());
        Ok(FileSink { name, config, schema, file, unwritten: String::new() })
    }

    /// Whether the file could be opened, without making it or changing it.
    ///
    /// # Errors
    /// It could not.
    pub fn check(
        name: &str,
        schema: &SchemaRef,
        config: &FileSinkConfig,
    ) -> Result<(), ConnectorError> {
        decodable(name, schema)?;
        let folder = folder_of(&config.path);
        let found = match config.path.exists() {
            true => OpenOptions::new().read(true).append(true).open(&config.path).map(drop),
            false => std::fs::metadata(folder).map(drop),
        };
        found.map_err(|error| cannot_open(name, config, &error))
    }

    fn place(&self) -> String {
        self.config.path.display().to_string()
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn decodable(name: &str, schema: &SchemaRef) -> Result<(), ConnectorError> {
    Decoder::json(schema, RECORD_BYTES_MAX, Arrival::OfMedium).map(drop).map_err(|message| {
        ConnectorError::Config {
            connector: name.to_owned(),
            findings: vec![Finding { key: None, message, hint: None }],
        }
    })
}

fn cannot_open(name: &str, config: &FileSinkConfig, error: &io::Error) -> ConnectorError {
    let (connector, place) = (name.to_owned(), config.path.display().to_string());
    let detail = error.to_string();
    match error.kind() {
        io::ErrorKind::NotFound => ConnectorError::Missing {
            connector,
            what: format!("the folder of {place}"),
            hint: "make the folder, or correct `path`".to_owned(),
        },
        io::ErrorKind::PermissionDenied => ConnectorError::Forbidden { connector, place, detail },
        _ => ConnectorError::NotWritten { connector, place, detail },
    }
}

fn open(path: &Path) -> io::Result<File> {
    let is_new = !path.exists();
    let mut file =
        OpenOptions::new().read(true).append(true).create(true).truncate(false).open(path)?;
    if is_new {
        // The file's name must survive a crash as its content does.
        File::open(folder_of(path))?.sync_all()?;
    }
    let length = file.metadata()?.len();
    let whole = line_start(&mut file, length, 0)?;
    if whole < length {
        file.set_len(whole)?;
        file.sync_all()?;
    }
    Ok(file)
}

/// Where the last `lines` whole lines before `end` begin; with 0 lines, where the last whole line
/// ends.
fn line_start(file: &mut File, end: u64, lines: usize) -> io::Result<u64> {
    let (mut found, mut upper) = (0, end);
    let mut chunk = Vec::new();
    while upper > 0 {
        let lower = upper.saturating_sub(READ_BYTES);
        chunk.resize((upper - lower) as usize, 0);
        file.seek(SeekFrom::Start(lower))?;
        file.read_exact(&mut chunk)?;
        for (at, _) in chunk.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            if found == lines {
                return Ok(lower + at as u64 + 1);
            }
            found += 1;
        }
        upper = lower;
    }
    Ok(0)
}

impl Sink for FileSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&mut self, rows: &RecordBatch) -> Result<(), ConnectorError> {
        for row in 0..rows.num_rows() {
            json::encode_row(rows, row, &mut self.unwritten);
            self.unwritten.push('\n');
        }
        Ok(())
    }

    fn mark(&mut self, _at: Timestamp) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ConnectorError> {
        let lines = std::mem::take(&mut self.unwritten);
        let before = self.file.metadata().map(|metadata| metadata.len());
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|error| {
            // Half a line must not become part of the next one.
            let mended = before.and_then(|length| self.file.set_len(length));
            let detail = match mended {
                Ok(()) => error.to_string(),
                Err(also) => format!("{error}; and it could not be cut back: {also}"),
            };
            let (connector, place) = (self.name.clone(), self.place());
            ConnectorError::NotWritten { connector, place, detail }
        })
    }

    fn tail(&mut self, records: usize) -> Result<RecordBatch, ConnectorError> {
        let mut read = || {
            let end = self.file.metadata()?.len();
            let start = line_start(&mut self.file, end, records)?;
            let mut lines = Vec::new();
            self.file.seek(SeekFrom::Start(start))?;
            (&self.file).take(end - start).read_to_end(&mut lines)?;
            io::Result::Ok(lines)
        };
        let lines = read().map_err(|error| ConnectorError::Unreadable {
            connector: self.name.clone(),
            place: self.place(),
            detail: error.to_string(),
        })?;
        let mut decoder = Decoder::json(&self.schema, RECORD_BYTES_MAX, Arrival::OfMedium)
            .expect("the schema was tried when the sink was opened");
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            decoder.push(0, None, line);
        }
        Ok(decoder.finish().rows)
    }
}
