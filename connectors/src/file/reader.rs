//! One open file as a sequence of pieces, from any record on.
//!
//! What is wrong with the file as a whole (not there, another format, a column that cannot fit) is
//! found when it is opened; what is wrong with one record is part of its piece.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::error::ConnectorError;
use crate::file::config::FileFormat;
use crate::file::records::RawRecord;
use crate::file::records::RecordReader;
use crate::format::Arrival;
use crate::format::Decoded;
use crate::format::Decoder;
use crate::format::PIECE_BYTES_MAX;
use crate::format::arrow_ipc::ArrowIpc;
use crate::format::avro::AvroConfig;
use crate::format::avro::Framing;
use crate::format::avro::container::Container;
use crate::format::columns;
use crate::format::parquet::ParquetFile;
use crate::format::too_long;
use crate::source::PartitionId;
use crate::source::Position;
use crate::source::Refused;

/// An open file.
pub(crate) trait Reader: Send {
    /// The next records, at most `rows_max`, and where to resume after them; `None` at the end.
    fn next(&mut self, rows_max: usize) -> Result<Option<(Decoded, Position)>, ConnectorError>;
}

/// What opening a file needs to know.
pub(crate) struct Opening<'a> {
    pub(crate) partition: &'a PartitionId,
    pub(crate) path: &'a Path,
    pub(crate) format: FileFormat,
    pub(crate) schema: &'a SchemaRef,
    pub(crate) batch_rows: usize,
    pub(crate) record_bytes_max: usize,
}

impl Opening<'_> {
    /// Opens the file so that the record at `at` comes next.
    pub(crate) fn open(&self, at: Position) -> Result<Box<dyn Reader>, ConnectorError> {
        let connector = self.partition.source.clone();
        let place = self.path.display().to_string();
        let file = File::open(self.path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => ConnectorError::Missing {
                connector,
                what: format!("file {place}"),
                hint: "give back the file, or correct `path`".to_owned(),
            },
            std::io::ErrorKind::PermissionDenied => {
                ConnectorError::Forbidden { connector, place, detail: error.to_string() }
            }
            _ => self.unreadable(&error),
        })?;
        match self.format {
            FileFormat::Csv | FileFormat::Ndjson => self.open_text(file, at),
            FileFormat::Parquet => self.open_parquet(file, at),
            FileFormat::ArrowIpc => self.open_arrow_ipc(file, at),
            FileFormat::Avro => self.open_avro(file, at),
        }
    }

    fn unreadable(&self, detail: &dyn std::fmt::Display) -> ConnectorError {
        ConnectorError::Unreadable {
            connector: self.partition.source.clone(),
            place: self.path.display().to_string(),
            detail: detail.to_string(),
        }
    }

    fn gone(&self, wanted: Position, next: Position) -> ConnectorError {
        ConnectorError::Gone {
            connector: self.partition.source.clone(),
            partition: self.partition.partition.clone(),
            wanted,
            first: 0,
            next,
        }
    }

    fn open_text(&self, file: File, at: Position) -> Result<Box<dyn Reader>, ConnectorError> {
        let quotes = self.format == FileFormat::Csv;
        let mut records = RecordReader::new(file, quotes, self.record_bytes_max);
        let decoder = if quotes {
            let header = match records.next().map_err(|error| self.unreadable(&error))? {
                Some(RawRecord::Whole(header)) => header,
                Some(RawRecord::TooLong(_)) => return Err(self.unreadable(&"no header line")),
                None => return Err(self.unreadable(&"the file is empty; expected a header line")),
            };
            Decoder::csv(self.schema, Some(header), self.record_bytes_max, Arrival::OfRecord)
        } else {
            Decoder::json(self.schema, self.record_bytes_max, Arrival::OfRecord)
        };
        let decoder = decoder.map_err(|detail| self.unreadable(&detail))?.keeping_records();
        for position in 0..at {
            if records.next().map_err(|error| self.unreadable(&error))?.is_none() {
                return Err(self.gone(at, position));
            }
        }
        let record_bytes_max = self.record_bytes_max;
        let failed = (self.partition.source.clone(), self.path.display().to_string());
        Ok(Box::new(TextReader { failed, record_bytes_max, records, decoder, position: at }))
    }

    fn open_parquet(&self, file: File, at: Position) -> Result<Box<dyn Reader>, ConnectorError> {
        let file = ParquetFile::open(file).map_err(|error| self.unreadable(&error))?;
        columns::fits(&file.schema(), self.schema)
            .map_err(|refusal| self.unreadable(&refusal.detail))?;
        if at > file.rows() {
            return Err(self.gone(at, file.rows()));
        }
        let batches =
            file.read(at as usize, self.batch_rows).map_err(|error| self.unreadable(&error))?;
        Ok(Box::new(self.columns(batches, at)))
    }

    fn open_arrow_ipc(&self, file: File, at: Position) -> Result<Box<dyn Reader>, ConnectorError> {
        let batches = ArrowIpc::open(file).map_err(|error| self.unreadable(&error))?;
        columns::fits(&batches.schema(), self.schema)
            .map_err(|refusal| self.unreadable(&refusal.detail))?;
        let mut reader = self.columns(batches, 0);
        while reader.position < at {
            let missing = (at - reader.position) as usize;
            match reader.batch(missing)? {
                Some(skipped) => reader.position += skipped.num_rows() as Position,
                None => return Err(self.gone(at, reader.position)),
            }
        }
        Ok(Box::new(reader))
    }

    fn open_avro(&self, file: File, at: Position) -> Result<Box<dyn Reader>, ConnectorError> {
        let records = Container::open(BufReader::new(file));
        let mut records = records.map_err(|detail| self.unreadable(&detail))?;
        let config = AvroConfig { schema: records.schema().clone(), framing: Framing::Bare };
        let (longest, arrival) = (self.record_bytes_max, Arrival::OfRecord);
        let decoder = Decoder::avro(self.schema, config, longest, arrival);
        let decoder = decoder.map_err(|detail| self.unreadable(&detail))?.keeping_records();
        let wanted = at.max(0) as u64;
        let skipped = records.skip(wanted).map_err(|detail| self.unreadable(&detail))?;
        if skipped < wanted {
            return Err(self.gone(at, skipped as Position));
        }
        let failed = (self.partition.source.clone(), self.path.display().to_string());
        Ok(Box::new(AvroReader { failed, records, decoder, position: at, broken: None }))
    }

    fn columns<I>(&self, batches: I, position: Position) -> ColumnReader<I> {
        let failed = (self.partition.source.clone(), self.path.display().to_string());
        ColumnReader { failed, schema: self.schema.clone(), batches, rest: None, position }
    }
}

/// Lines of text.
struct TextReader {
    failed: (String, String),
    record_bytes_max: usize,

    records: RecordReader<File>,
    decoder: Decoder,
    position: Position,
}

impl Reader for TextReader {
    fn next(&mut self, rows_max: usize) -> Result<Option<(Decoded, Position)>, ConnectorError> {
        while self.decoder.records() < rows_max && self.decoder.bytes() < PIECE_BYTES_MAX {
            let record = self
                .records
                .next()
                .map_err(|error| unreadable(&self.failed, self.position, &error))?;
            match record {
                None => break,
                Some(RawRecord::Whole(record)) => self.decoder.push(self.position, None, record),
                Some(RawRecord::TooLong(digest)) => {
                    let refusal = too_long(self.record_bytes_max);
                    let refused = Refused::kept(self.position, refusal, digest.finish());
                    self.decoder.refuse(refused);
                }
            }
            self.position += 1;
        }
        if self.decoder.records() == 0 {
            return Ok(None);
        }
        Ok(Some((self.decoder.finish(), self.position)))
    }
}

/// Records of an Avro object container.
struct AvroReader {
    failed: (String, String),

    records: Container<BufReader<File>>,
    decoder: Decoder,
    position: Position,
    /// Why nothing more can be read; told after what could.
    broken: Option<String>,
}

impl Reader for AvroReader {
    fn next(&mut self, rows_max: usize) -> Result<Option<(Decoded, Position)>, ConnectorError> {
        while self.broken.is_none()
            && self.decoder.records() < rows_max
            && self.decoder.bytes() < PIECE_BYTES_MAX
        {
            match self.records.next() {
                Ok(Some(record)) => self.decoder.push(self.position, None, record),
                Ok(None) => break,
                Err(detail) => {
                    self.broken = Some(detail);
                    break;
                }
            }
            self.position += 1;
        }
        match &self.broken {
            _ if self.decoder.records() > 0 => Ok(Some((self.decoder.finish(), self.position))),
            Some(detail) => Err(unreadable(&self.failed, self.position, detail)),
            None => Ok(None),
        }
    }
}

/// Batches of columns.
struct ColumnReader<I> {
    failed: (String, String),
    schema: SchemaRef,

    batches: I,
    /// What the last piece left of its batch.
    rest: Option<RecordBatch>,
    position: Position,
}

impl<I, E> ColumnReader<I>
where
    I: Iterator<Item = Result<RecordBatch, E>>,
    E: std::fmt::Display,
{
    /// The next rows as the file has them.
    fn batch(&mut self, rows_max: usize) -> Result<Option<RecordBatch>, ConnectorError> {
        let batch = loop {
            let batch = match self.rest.take() {
                Some(rest) => rest,
                None => match self.batches.next() {
                    Some(Ok(batch)) => batch,
                    Some(Err(error)) => {
                        return Err(unreadable(&self.failed, self.position, &error));
                    }
                    None => return Ok(None),
                },
            };
            if batch.num_rows() > 0 {
                break batch;
            }
        };
        if batch.num_rows() <= rows_max {
            return Ok(Some(batch));
        }
        self.rest = Some(batch.slice(rows_max, batch.num_rows() - rows_max));
        Ok(Some(batch.slice(0, rows_max)))
    }
}

impl<I, E> Reader for ColumnReader<I>
where
    I: Iterator<Item = Result<RecordBatch, E>> + Send,
    E: std::fmt::Display,
{
    fn next(&mut self, rows_max: usize) -> Result<Option<(Decoded, Position)>, ConnectorError> {
        let Some(batch) = self.batch(rows_max)? else { return Ok(None) };
        let decoded = columns::fit(&batch, &self.schema, self.position)
            .map_err(|detail| unreadable(&self.failed, self.position, &detail))?;
        self.position += batch.num_rows() as Position;
        Ok(Some((decoded, self.position)))
    }
}

fn unreadable(
    (connector, path): &(String, String),
    position: Position,
    detail: &dyn std::fmt::Display,
) -> ConnectorError {
    ConnectorError::Unreadable {
        connector: connector.clone(),
        place: format!("{path} at record {position}"),
        detail: detail.to_string(),
    }
}
