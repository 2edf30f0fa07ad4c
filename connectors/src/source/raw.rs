//! What is kept of records: all bytes of a piece until its rows are judged, and of a refused one
//! its length, hash and beginning.
//!
//! A row may be refused long after it was read: it is too late, or of a meter that nobody knows.
//! What quarantine shows must then be the record as it came, not what we made of it, so that the
//! sender can find it by its hash. The bytes of a piece are one buffer, shared by those who cut it.
//!
//! Rows of column formats were never records. Their rendering as JSON, columns in the order of the
//! stream, stands for them.
//!
//! # Bounds
//!
//! As many bytes as the piece's records have; the doors bound those.

use std::fmt::Write;
use std::ops::Range;

use bytes::Bytes;
use schemas::quarantine::QUARANTINE_BYTES_MAX;
use sha2::Digest;
use sha2::Sha256;

/// The bytes of the records that became a piece's rows.
#[derive(Clone, Debug, Default)]
pub struct RawRecords {
    bytes: Bytes,
    /// Where each record stands in them; empty where rows have no records.
    ranges: Vec<Range<u32>>,
}

impl RawRecords {
    /// The record of a row, if rows have records.
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        let range = self.ranges.get(row)?;
        Some(&self.bytes[range.start as usize..range.end as usize])
    }

    /// Cuts off the records from `row` on.
    #[must_use]
    pub(crate) fn split_off(&mut self, row: usize) -> RawRecords {
        let ranges = if self.ranges.is_empty() { Vec::new() } else { self.ranges.split_off(row) };
        RawRecords { bytes: self.bytes.clone(), ranges }
    }
}

/// [`RawRecords`] under construction.
#[derive(Debug, Default)]
pub(crate) struct RawBuilder {
    bytes: Vec<u8>,
    ranges: Vec<Range<u32>>,
}

impl RawBuilder {
    /// Adds the next row's record.
    pub(crate) fn push(&mut self, record: &[u8]) {
        let start = u32::try_from(self.bytes.len());
        self.bytes.extend_from_slice(record);
        let end = u32::try_from(self.bytes.len());
        let fits = "a piece ends soon after PIECE_BYTES_MAX";
        self.ranges.push(start.expect(fits)..end.expect(fits));
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The records; a new piece begins, which will probably be as long.
    pub(crate) fn finish(&mut self) -> RawRecords {
        let next = Vec::with_capacity(self.bytes.len());
        let bytes = Bytes::from(std::mem::replace(&mut self.bytes, next));
        RawRecords { bytes, ranges: std::mem::take(&mut self.ranges) }
    }
}

/// What is kept of a record that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its length in bytes.
    pub bytes: i64,
    /// SHA-256 of all of it, in hexadecimal.
    pub sha256: String,
    /// Its first [`QUARANTINE_BYTES_MAX`] bytes, invalid UTF-8 replaced.
    pub head: String,
}

impl Kept {
    /// What is kept of this record.
    pub fn of(record: &[u8]) -> Kept {
        let mut digest = RecordDigest::default();
        digest.update(record);
        digest.finish()
    }
}

/// Length, hash and head of a record that passes by in pieces because it is too long to keep.
#[derive(Clone, Debug, Default)]
pub struct RecordDigest {
    bytes: i64,
    sha256: Sha256,
    head: Vec<u8>,
}

impl RecordDigest {
    /// Takes in the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as i64;
        self.sha256.update(piece);
        let room = QUARANTINE_BYTES_MAX.saturating_sub(self.head.len());
        self.head.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// What is kept of the record.
    pub fn finish(self) -> Kept {
        let mut sha256 = String::with_capacity(64);
        for byte in self.sha256.finalize() {
            write!(sha256, "{byte:02x}").expect("a String takes what is written");
        }
        let head = String::from_utf8_lossy(&self.head).into_owned();
        Kept { bytes: self.bytes, sha256, head }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_keeps_its_records() {
        let mut builder = RawBuilder::default();
        for record in ["one", "", "three"] {
            builder.push(record.as_bytes());
        }
        assert_eq!(builder.len(), 8);
        let mut first = builder.finish();
        let second = first.split_off(1);
        assert_eq!(first.get(0), Some(&b"one"[..]));
        assert_eq!(first.get(1), None);
        assert_eq!([second.get(0), second.get(1)], [Some(&b""[..]), Some(&b"three"[..])]);
        builder.push(b"four");
        assert_eq!(builder.finish().get(0), Some(&b"four"[..]), "a new piece begins");
        assert_eq!(RawRecords::default().split_off(7).get(0), None, "columns have no records");
    }
}
