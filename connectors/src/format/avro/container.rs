//! Avro object container files: a head with the schema, then blocks of records.
//!
//! Blocks know how many records and how many bytes they have and end with a mark of the file's own,
//! so that a reader that goes on somewhere passes over whole blocks unread. Within a block records
//! follow each other without marks; where one cannot be told from the next, the rest of the file
//! is lost, and that is the file's fault and not a record's.
//!
//! # Bounds
//!
//! A block as it is stored and unpacked, each [`BLOCK_BYTES_MAX`] at most: writers begin a new one
//! every 16 KiB to 4 MiB.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::io::Read;

use crate::format::avro::datum::Datum;
use crate::format::avro::schema::AvroSchema;

/// What a file begins with.
const MAGIC: [u8; 4] = *b"Obj\x01";

/// The length of the mark after each block.
const MARK_BYTES: usize = 16;

/// The longest value in a file's head, and the longest head: the schema, most of all.
const HEAD_BYTES_MAX: usize = 16 << 20;

/// The longest block, stored and unpacked.
const BLOCK_BYTES_MAX: usize = 64 << 20;

/// An open file, or what else can be read from its beginning.
pub(crate) struct Container<R> {
    input: R,
    schema: AvroSchema,
    codec: Codec,
    mark: [u8; MARK_BYTES],

    /// The block being given, unpacked.
    block: Vec<u8>,
    /// Where its next record begins.
    at: usize,
    /// How many of its records were not given.
    left: u64,
}

/// How blocks are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codec {
    Null,
    Deflate,
    Snappy,
}

/// What a block says of itself.
struct Head {
    records: u64,
    bytes: usize,
}

impl<R: Read> Container<R> {
    /// Reads the file's head.
    pub(crate) fn open(mut input: R) -> Result<Container<R>, String> {
        if bytes(&mut input, MAGIC.len()).ok().as_deref() != Some(&MAGIC[..]) {
            return Err("it is no Avro object container file".to_owned());
        }
        let entries = entries(&mut input)?;
        let text = entries.get("avro.schema").ok_or("its head has no schema")?;
        let text = std::str::from_utf8(text).map_err(|error| format!("its schema: {error}"))?;
        let schema = AvroSchema::parse(text).map_err(|detail| format!("its schema: {detail}"))?;
        let codec = match entries.get("avro.codec").map_or(&b"null"[..], Vec::as_slice) {
            b"null" => Codec::Null,
            b"deflate" => Codec::Deflate,
            b"snappy" => Codec::Snappy,
            other => {
                let other = String::from_utf8_lossy(other);
                return Err(format!(
                    "its blocks are packed with {other:?}; write it with null, deflate or snappy"
                ));
            }
        };
        let mut mark = [0; MARK_BYTES];
        input.read_exact(&mut mark).map_err(|_| cut())?;
        Ok(Container { input, schema, codec, mark, block: Vec::new(), at: 0, left: 0 })
    }

    /// What records were written with.
    pub(crate) fn schema(&self) -> &AvroSchema {
        &self.schema
    }

    /// The next record's bytes, or `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, String> {
        while self.left == 0 {
            let Some(head) = self.head()? else { return Ok(None) };
            self.load(&head)?;
        }
        let start = self.at;
        self.at += self.schema.length(&self.block[start..])?;
        self.left -= 1;
        if self.left == 0 && self.at < self.block.len() {
            let more = self.block.len() - self.at;
            return Err(format!("{more} bytes follow the last record of a block"));
        }
        Ok(Some(&self.block[start..self.at]))
    }

    /// Passes over records; returns how many there were, at most `count`.
    pub(crate) fn skip(&mut self, count: u64) -> Result<u64, String> {
        let mut skipped = 0;
        while skipped < count {
            if self.left > 0 {
                self.next()?;
                skipped += 1;
                continue;
            }
            let Some(head) = self.head()? else { break };
            if head.records <= count - skipped {
                bytes(&mut self.input, head.bytes)?;
                self.marked()?;
                skipped += head.records;
            } else {
                self.load(&head)?;
            }
        }
        Ok(skipped)
    }

    /// The head of the next block, or `None` at the end.
    fn head(&mut self) -> Result<Option<Head>, String> {
        let Some(records) = long(&mut self.input)? else { return Ok(None) };
        let size = long(&mut self.input)?.ok_or_else(cut)?;
        let records = u64::try_from(records).map_err(|_| "a block of less than no records")?;
        let fits = |bytes: &usize| *bytes <= BLOCK_BYTES_MAX;
        let Some(bytes) = usize::try_from(size).ok().filter(fits) else {
            return Err(format!("a block of {size} bytes; they have up to {BLOCK_BYTES_MAX}"));
        };
        Ok(Some(Head { records, bytes }))
    }

    /// Reads and unpacks a block.
    fn load(&mut self, head: &Head) -> Result<(), String> {
        let stored = bytes(&mut self.input, head.bytes)?;
        self.marked()?;
        self.block = self.codec.unpack(stored)?;
        if head.records > self.block.len() as u64 {
            let (records, bytes) = (head.records, self.block.len());
            return Err(format!("a block of {records} records has only {bytes} bytes"));
        }
        (self.at, self.left) = (0, head.records);
        Ok(())
    }

    /// Reads the mark after a block.
    fn marked(&mut self) -> Result<(), String> {
        match bytes(&mut self.input, MARK_BYTES)? == self.mark {
            true => Ok(()),
            false => Err("a block does not end with the file's mark".to_owned()),
        }
    }
}

impl Codec {
    fn unpack(self, stored: Vec<u8>) -> Result<Vec<u8>, String> {
        let failed = |error: &dyn std::fmt::Display| format!("a block cannot be unpacked: {error}");
        match self {
            Codec::Null => Ok(stored),
            Codec::Deflate => {
                miniz_oxide::inflate::decompress_to_vec_with_limit(&stored, BLOCK_BYTES_MAX)
                    .map_err(|error| failed(&error))
            }
            Codec::Snappy => {
                // The sum of the unpacked bytes stands behind the packed ones.
                let Some((packed, sum)) = stored.split_last_chunk::<4>() else {
                    return Err(failed(&"it is cut off"));
                };
                let size = snap::raw::decompress_len(packed).map_err(|error| failed(&error))?;
                if size > BLOCK_BYTES_MAX {
                    return Err(failed(&format!("it has more than {BLOCK_BYTES_MAX} bytes")));
                }
                let unpacked = snap::raw::Decoder::new().decompress_vec(packed);
                let unpacked = unpacked.map_err(|error| failed(&error))?;
                match crc32fast::hash(&unpacked) == u32::from_be_bytes(*sum) {
                    true => Ok(unpacked),
                    false => Err(failed(&"its sum is another")),
                }
            }
        }
    }
}

/// The entries of the file's head, by name.
fn entries(input: &mut impl Read) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut entries = BTreeMap::new();
    let mut room = HEAD_BYTES_MAX;
    loop {
        let count = long(input)?.ok_or_else(cut)?;
        if count == 0 {
            return Ok(entries);
        }
        if count < 0 {
            // How many bytes the block has, for those who pass over it.
            long(input)?.ok_or_else(cut)?;
        }
        for _ in 0..count.unsigned_abs() {
            let name = entry(input, &mut room)?;
            let value = entry(input, &mut room)?;
            entries.insert(String::from_utf8_lossy(&name).into_owned(), value);
        }
    }
}

/// A name or a value of the file's head, within what room is left.
fn entry(input: &mut impl Read, room: &mut usize) -> Result<Vec<u8>, String> {
    let size = long(input)?.ok_or_else(cut)?;
    // An entry without bytes has its length still.
    let left = usize::try_from(size).ok().and_then(|size| room.checked_sub(size + 1));
    let Some(left) = left else {
        return Err(format!("its head has more than {HEAD_BYTES_MAX} bytes"));
    };
    *room = left;
    bytes(input, size as usize)
}

/// So many bytes.
fn bytes(input: &mut impl Read, count: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = input.by_ref().take(count as u64).read_to_end(&mut bytes);
    match read.map_err(|error| error.to_string())? < count {
        true => Err(cut()),
        false => Ok(bytes),
    }
}

/// A whole number, or `None` where nothing follows.
fn long(input: &mut impl Read) -> Result<Option<i64>, String> {
    let mut bytes = [0; 10];
    for at in 0..bytes.len() {
        match input.read_exact(&mut bytes[at..=at]) {
            Ok(()) => {}
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => {
                return Err(error.to_string());
            }
            Err(_) if at == 0 => return Ok(None),
            Err(_) => return Err(cut()),
        }
        if bytes[at] & 0x80 == 0 {
            return Datum::new(&bytes[..=at]).long().map(Some);
        }
    }
    Datum::new(&bytes).long().map(Some)
}

fn cut() -> String {
    "the file is cut off".to_owned()
}
