//! One frame: the unit that is whole or not there.
//!
//! ```text
//! magic:4  role:1  flags:1  name length:2  tick:8  stored length:4  plain length:4  CRC-32C:4
//! name  body
//! ```
//!
//! Numbers are little-endian. The CRC covers all of the frame but itself. A body is stored
//! compressed (Snappy, raw) where that is shorter. These bytes are promised: a reader of version 1
//! reads every version 1 log.
//!
//! **Invariant:** [`read`] gives back exactly what [`Writer::put`] was given, or says what is
//! wrong.
//!
//! A frame does not know what its body means, nor whether its commit was completed.

use std::io;
use std::io::Read;

use schemas::time::Timestamp;

/// What every frame begins with; its last byte is the version.
pub(super) const MAGIC: [u8; 4] = *b"GLF\x01";

/// Bytes before the name.
pub(super) const HEADER_LEN: usize = 28;

/// The largest body, plain or stored. A tick holds thousands of rows, not millions; a length beyond
/// this is taken for damage rather than allocated.
pub(super) const BODY_BYTES_MAX: usize = 256 << 20;

/// Bodies below this are stored plain: compressing a schema-less handful of rows gains nothing.
const COMPRESS_FROM: usize = 128;

const FLAG_COMPRESSED: u8 = 1;
const FLAG_STARTS: u8 = 2;

/// What a frame's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// The head of a segment: JSON.
    Segment = 1,
    /// Rows of an input stream: a piece of an Arrow IPC stream.
    Input = 2,
    /// Positions and watermarks of the sources: bytes of whoever appends.
    Offsets = 3,
    /// What else belongs to the tick: bytes of whoever appends.
    Meta = 4,
    /// Linked audit records of one kind: the link before them, then a piece of an Arrow IPC stream.
    Audit = 5,
    /// The end of a commit.
    Commit = 6,
}

impl Role {
    fn from_byte(byte: u8) -> Option<Role> {
        [Role::Segment, Role::Input, Role::Offsets, Role::Meta, Role::Audit, Role::Commit]
            .into_iter()
            .find(|role| *role as u8 == byte)
    }
}

/// A frame as read.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Where it begins in its segment.
    pub(super) offset: u64,
    /// Its length in the segment.
    pub(super) len: u64,
    /// What its body is.
    pub(super) role: Role,
    /// Whether its body begins a new Arrow IPC stream, with a schema.
    pub(super) starts: bool,
    /// The commit it belongs to.
    pub(super) tick: Timestamp,
    /// Stream or kind; empty for the other roles.
    pub(super) name: String,
    stored: Vec<u8>,
    compressed: bool,
    plain_len: usize,
}

impl Frame {
    /// The body as it was put. Decompressed here and not when read: most readers want few frames.
    pub(super) fn into_body(self) -> Result<Vec<u8>, String> {
        let body = if self.compressed {
            match snap::raw::decompress_len(&self.stored) {
                Ok(len) if len == self.plain_len => snap::raw::Decoder::new()
                    .decompress_vec(&self.stored)
                    .map_err(|error| format!("a body cannot be decompressed: {error}"))?,
                _ => return Err("a body's two lengths differ".to_owned()),
            }
        } else {
            self.stored
        };
        if body.len() == self.plain_len {
            Ok(body)
        } else {
            Err("a body's two lengths differ".to_owned())
        }
    }
}

/// A frame to write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Put<'a> {
    pub(super) role: Role,
    pub(super) starts: bool,
    pub(super) tick: Timestamp,
    pub(super) name: &'a str,
    pub(super) body: &'a [u8],
}

/// A name or body that no frame can hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {bytes} bytes long; a frame holds {max}")]
pub(super) struct TooLong {
    what: &'static str,
    bytes: usize,
    max: usize,
}

/// Appends frames to a buffer.
pub(super) struct Writer {
    snappy: snap::raw::Encoder,
    scratch: Vec<u8>,
    compress: bool,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("compress", &self.compress).finish_non_exhaustive()
    }
}

impl Writer {
    pub(super) fn new(compress: bool) -> Writer {
        Writer { snappy: snap::raw::Encoder::new(), scratch: Vec::new(), compress }
    }

    /// Appends one frame to `out`.
    pub(super) fn put(&mut self, put: Put<'_>, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let name_len = u16::try_from(put.name.len()).map_err(|_| TooLong {
            what: "a name",
            bytes: put.name.len(),
            max: usize::from(u16::MAX),
        })?;
        if put.body.len() > BODY_BYTES_MAX {
            let bytes = put.body.len();
            return Err(TooLong { what: "a body", bytes, max: BODY_BYTES_MAX });
        }
        let compressed = self.compressed(put.body);
        let stored = compressed.map_or(put.body, |len| &self.scratch[..len]);
        let mut flags = if compressed.is_some() { FLAG_COMPRESSED } else { 0 };
        if put.starts {
            flags |= FLAG_STARTS;
        }
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.push(put.role as u8);
        out.push(flags);
        out.extend_from_slice(&name_len.to_le_bytes());
        out.extend_from_slice(&put.tick.0.to_le_bytes());
        out.extend_from_slice(&(stored.len() as u32).to_le_bytes());
        out.extend_from_slice(&(put.body.len() as u32).to_le_bytes());
        let crc = checksum(&out[start..], put.name.as_bytes(), stored);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(put.name.as_bytes());
        out.extend_from_slice(stored);
        Ok(())
    }

    /// Compresses into the scratch; gives the length if that is shorter.
    fn compressed(&mut self, body: &[u8]) -> Option<usize> {
        if !self.compress || body.len() < COMPRESS_FROM {
            return None;
        }
        self.scratch.resize(snap::raw::max_compress_len(body.len()), 0);
        let len = self.snappy.compress(body, &mut self.scratch).ok()?;
        (len < body.len()).then_some(len)
    }
}

/// CRC-32C over the header (without the checksum itself), the name and the stored body.
pub(super) fn checksum(header: &[u8], name: &[u8], stored: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(header), name), stored)
}

/// What stands where a frame should.
#[derive(Debug)]
pub(super) enum Next {
    /// A frame.
    Frame(Frame),
    /// Nothing more.
    End,
    /// Bytes that are no frame, and why.
    Broken(String),
}

/// Reads the frame that begins at `offset`, where `input` stands.
pub(super) fn read(input: &mut impl Read, offset: u64) -> io::Result<Next> {
    let mut header = [0; HEADER_LEN];
    match read_up_to(input, &mut header)? {
        0 => return Ok(Next::End),
        HEADER_LEN => {}
        len => return Ok(Next::Broken(format!("a frame header is cut after {len} bytes"))),
    }
    let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let word = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    if header[..4] != MAGIC {
        return Ok(Next::Broken("no frame begins here".to_owned()));
    }
    let Some(role) = Role::from_byte(header[4]) else {
        return Ok(Next::Broken(format!("a frame has the unknown role {}", header[4])));
    };
    let (name_len, stored_len, plain_len) =
        (usize::from(short(6)), word(16) as usize, word(20) as usize);
    if stored_len > BODY_BYTES_MAX || plain_len > BODY_BYTES_MAX {
        return Ok(Next::Broken(format!("a frame says it holds {plain_len} bytes")));
    }
    let mut rest = Vec::new();
    let wanted = name_len + stored_len;
    // Not `vec![0; wanted]`: a damaged length must not allocate more than there is to read.
    let got = input.by_ref().take(wanted as u64).read_to_end(&mut rest)?;
    if got < wanted {
        return Ok(Next::Broken(format!("a frame of {wanted} bytes is cut after {got}")));
    }
    let (name, stored) = rest.split_at(name_len);
    if checksum(&header[..HEADER_LEN - 4], name, stored) != word(HEADER_LEN - 4) {
        return Ok(Next::Broken("a frame's checksum does not match".to_owned()));
    }
    let Ok(name) = std::str::from_utf8(name) else {
        return Ok(Next::Broken("a frame's name is not UTF-8".to_owned()));
    };
    if header[5] & !(FLAG_COMPRESSED | FLAG_STARTS) != 0 {
        return Ok(Next::Broken(format!("a frame has the unknown flags {}", header[5])));
    }
    let name = name.to_owned();
    rest.drain(..name_len);
    let mut tick = [0; 8];
    tick.copy_from_slice(&header[8..16]);
    Ok(Next::Frame(Frame {
        offset,
        len: (HEADER_LEN + wanted) as u64,
        role,
        starts: header[5] & FLAG_STARTS != 0,
        tick: Timestamp(u64::from_le_bytes(tick)),
        name,
        stored: rest,
        compressed: header[5] & FLAG_COMPRESSED != 0,
        plain_len,
    }))
}

/// Fills `buffer` as far as there is something to read.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
