//! Parquet: rows in the order of the file's row groups.

use std::fs::File;

use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use crate::source::Position;

/// A file whose footer was read.
pub(crate) struct ParquetFile {
    builder: ParquetRecordBatchReaderBuilder<File>,
}

impl ParquetFile {
    /// Reads the footer.
    pub(crate) fn open(file: File) -> Result<ParquetFile, ParquetError> {
        Ok(ParquetFile { builder: ParquetRecordBatchReaderBuilder::try_new(file)? })
    }

    /// The file's columns.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.builder.schema().clone()
    }

    /// How many rows it holds.
    pub(crate) fn rows(&self) -> Position {
        self.builder.metadata().file_metadata().num_rows()
    }

    /// Its rows from `first` on, in batches of at most `rows_max`.
    pub(crate) fn read(
        self,
        first: usize,
        rows_max: usize,
    ) -> Result<ParquetRecordBatchReader, ParquetError> {
        self.builder.with_offset(first).with_batch_size(rows_max).build()
    }
}
