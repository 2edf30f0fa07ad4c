//! The file door: recorded days, replayed; and a file that rows are appended to.
//!
//! A source reads one or more files of one format, each a partition named by its file name. A sink
//! appends JSON lines. Neither follows a file that something else still writes to: a source's files
//! are complete.

pub mod config;
mod reader;
mod records;
pub mod sink;
pub mod source;

pub use self::config::FileFormat;
pub use self::config::FileSinkConfig;
pub use self::config::FileSourceConfig;
pub use self::sink::FileSink;
pub use self::source::FileSource;

#[cfg(test)]
mod tests;
