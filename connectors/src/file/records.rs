//! Cuts a file's bytes into records: lines, or lines that go on while a quote is open.
//!
//! No record longer than the limit is held in memory: what is longer is read past, hashed, and
//! handed on as a digest. A quote that is opened and never closed would swallow the rest of the
//! file; when it runs into the limit or the end, only the line it stands in is given up.
//!
//! # Bounds
//!
//! The buffer holds one record and one read ahead: `record_bytes_max` + 64 KiB.

use std::io;
use std::io::Read;

use crate::format::csv::Quotes;
use crate::source::RecordDigest;

/// How much is read at once, in bytes.
const READ_BYTES: usize = 1 << 16;

/// What some programs put at the beginning of a text file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A record's bytes, without its line end.
#[derive(Debug)]
pub(crate) enum RawRecord<'a> {
    Whole(&'a [u8]),
    /// Longer than the limit.
    TooLong(RecordDigest),
}

/// Reads records one after another.
pub(crate) struct RecordReader<R> {
    input: R,
    /// Whether a quoted field may hold line ends.
    quotes: bool,
    record_bytes_max: usize,

    buffer: Vec<u8>,
    /// Where the next record begins within the buffer.
    start: usize,
    ended: bool,
    begun: bool,
}

impl<R: Read> RecordReader<R> {
    pub(crate) fn new(input: R, quotes: bool, record_bytes_max: usize) -> RecordReader<R> {
        RecordReader {
            input,
            quotes,
            record_bytes_max,
            buffer: Vec::new(),
            start: 0,
            ended: false,
            begun: false,
        }
    }

    /// The next record, or `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<RawRecord<'_>>> {
        if !self.begun {
            self.begun = true;
            while !self.ended && self.buffer.len() < BYTE_ORDER_MARK.len() {
                self.fill()?;
            }
            self.start = if self.buffer.starts_with(BYTE_ORDER_MARK) { 3 } else { 0 };
        }
        let mut quotes = Quotes::new();
        // Both count from the record's start: the buffer moves under them.
        let (mut scanned, mut line) = (0, 0);
        let mut first_line = None;
        loop {
            let record = &self.buffer[self.start..];
            if let Some(at) = record[scanned..].iter().position(|b| *b == b'\n') {
                let end = scanned + at;
                let first_line = *first_line.get_or_insert(end);
                if !self.quotes || !quotes.feed(&record[line..=end]) {
                    return Ok(Some(self.take(end)));
                }
                if end > self.record_bytes_max {
                    return Ok(Some(self.take(first_line)));
                }
                (scanned, line) = (end + 1, end + 1);
                continue;
            }
            scanned = record.len();
            if let (true, Some(end)) = (scanned > self.record_bytes_max || self.ended, first_line) {
                let goes_on = self.ended && quotes.feed(&record[line..]);
                return Ok(Some(self.take(if self.ended && !goes_on { scanned } else { end })));
            }
            if self.ended {
                return Ok((scanned > 0).then(|| self.take(scanned)));
            }
            if scanned > self.record_bytes_max {
                return self.skip().map(Some);
            }
            self.fill()?;
        }
    }

    /// Gives the record that ends at `end`, counted from its start.
    fn take(&mut self, end: usize) -> RawRecord<'_> {
        let record = self.start..self.start + end;
        self.start = (record.end + 1).min(self.buffer.len());
        let record = &self.buffer[record];
        RawRecord::Whole(record.strip_suffix(b"\r").unwrap_or(record))
    }

    /// Reads past a record that is too long, up to its line end.
    fn skip(&mut self) -> io::Result<RawRecord<'static>> {
        let mut digest = RecordDigest::default();
        loop {
            let rest = &self.buffer[self.start..];
            if let Some(end) = rest.iter().position(|b| *b == b'\n') {
                digest.update(&rest[..end]);
                self.start += end + 1;
                return Ok(RawRecord::TooLong(digest));
            }
            digest.update(rest);
            self.start = self.buffer.len();
            if self.ended {
                return Ok(RawRecord::TooLong(digest));
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + READ_BYTES, 0);
        let read = loop {
            match self.input.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(filled + read.as_ref().copied().unwrap_or(0));
        self.ended = read? == 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads one byte at a time, so that every boundary falls everywhere.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            into[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    fn read(input: impl Read, quotes: bool) -> Vec<String> {
        let mut reader = RecordReader::new(input, quotes, 12);
        let mut records = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            records.push(match record {
                RawRecord::Whole(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                RawRecord::TooLong(digest) => {
                    let kept = digest.finish();
                    format!("{} bytes: {}", kept.bytes, kept.head)
                }
            });
        }
        records
    }

    #[track_caller]
    fn check(text: &str, quotes: bool, expected: &[&str]) {
        assert_eq!(read(text.as_bytes(), quotes), expected, "in one piece");
        assert_eq!(read(Drip(text.as_bytes()), quotes), expected, "byte by byte");
    }

    #[test]
    fn lines_are_records() {
        check("a\r\nb\n\nc", false, &["a", "b", "", "c"]);
        check("a\n", false, &["a"]);
        check("", false, &[]);
        check("\u{feff}a\n", false, &["a"]);
    }

    #[test]
    fn quoted_line_ends_are_part_of_a_record() {
        check("1,\"a\nb\"\n2,c\n", true, &["1,\"a\nb\"", "2,c"]);
        check("1,\"a\nb\"", true, &["1,\"a\nb\""]);
    }

    #[test]
    fn an_open_quote_gives_up_its_line_only() {
        check("1,\"a\n2,b\n3,c\n", true, &["1,\"a", "2,b", "3,c"]);
        check(
            "1,\"a\n2,b\n3,c\n4,d\n5,e\n6,f",
            true,
            &["1,\"a", "2,b", "3,c", "4,d", "5,e", "6,f"],
        );
    }

    #[test]
    fn long_records_are_passed_by() {
        let long = "x".repeat(200_000);
        let head = format!("200000 bytes: {}", "x".repeat(4096));
        check(&format!("a\n{long}\nb\n"), false, &["a", &head, "b"]);
        check(&format!("a\n{long}"), true, &["a", &head]);
    }
}
