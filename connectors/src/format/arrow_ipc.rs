//! Arrow IPC: the file format (with a footer) and the stream format (without), told apart by the
//! first bytes.
//!
//! Files are read by Arrow's own reader. A message of a topic is a whole stream (the module
//! `batches`), and is anybody's: it is read here, by `stream` and `column`.

pub(crate) mod batches;
mod column;
mod stream;

use std::fs::File;
use std::io::BufReader;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;

use arrow_array::RecordBatch;
use arrow_ipc::reader::FileReader;
use arrow_ipc::reader::StreamReader;
use arrow_schema::ArrowError;
use arrow_schema::SchemaRef;

/// What the file format begins with.
const FILE_MAGIC: &[u8] = b"ARROW1";

/// The batches of an open file, in order.
pub(crate) enum ArrowIpc {
    File(Box<FileReader<BufReader<File>>>),
    Stream(Box<StreamReader<BufReader<File>>>),
}

impl ArrowIpc {
    /// Reads the schema.
    pub(crate) fn open(mut file: File) -> Result<ArrowIpc, ArrowError> {
        let mut magic = Vec::with_capacity(FILE_MAGIC.len());
        file.by_ref().take(FILE_MAGIC.len() as u64).read_to_end(&mut magic)?;
        file.seek(SeekFrom::Start(0))?;
        let file = BufReader::new(file);
        if magic == FILE_MAGIC {
            return Ok(ArrowIpc::File(Box::new(FileReader::try_new(file, None)?)));
        }
        Ok(ArrowIpc::Stream(Box::new(StreamReader::try_new(file, None)?)))
    }

    /// The file's columns.
    pub(crate) fn schema(&self) -> SchemaRef {
        match self {
            ArrowIpc::File(reader) => reader.schema(),
            ArrowIpc::Stream(reader) => reader.schema(),
        }
    }
}

impl Iterator for ArrowIpc {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            ArrowIpc::File(reader) => reader.next(),
            ArrowIpc::Stream(reader) => reader.next(),
        }
    }
}

#[cfg(test)]
mod tests;
