//! Segments: files of commits, and how commits are read from them.
//!
//! A segment is named by its number, begins with a frame that says whose it is and where the chain
//! stood, and then holds commits: a tick's frames, closed by a [`Mark`]. What is not closed was not
//! committed. A segment is written by one process only: a restart begins the next one, so bytes
//! that went through a crash are never written after.
//!
//! **Invariant:** a commit is given whole, with its mark, or as what is broken and where.

use std::fs::File;
use std::io::BufReader;
use std::io::Read;
use std::io::Take;
use std::path::Path;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use schemas::audit::Hash;
use schemas::audit::Head;
use schemas::audit::Kind;
use schemas::audit::expand;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::InstanceId;
use super::TickCommit;
use super::error::LogError;
use super::frame;
use super::frame::Frame;
use super::frame::Next;
use super::frame::Role;
use super::ipc::Decoders;

/// How a segment's name ends.
const SUFFIX: &str = ".segment";

/// Read ahead of the frames: one system call for many of them.
const READ_BYTES: usize = 1 << 20;

/// The version of the layout described here and in [`frame`](super::frame).
pub(super) const VERSION: u32 = 1;

/// The first frame of a segment, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// [`VERSION`].
    pub(super) version: u32,
    /// Whose it is.
    pub(super) instance: InstanceId,
    /// Its number, from 0 without gaps.
    pub(super) index: u64,
    /// The chain before its first record.
    pub(super) start: Head,
}

/// The last frame of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Frames of the commit without this one.
    pub(super) frames: u32,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Bytes of the segment that were known to be durable when this was written.
    pub(super) durable: u64,
    /// The tick committed before; 0 if none.
    pub(super) previous: Timestamp,
    /// Records in the chain, with this commit's.
    pub(super) count: u64,
    /// The chain's last link, with this commit's.
    pub(super) hash: Hash,
}

const MARK_LEN: usize = 4 + 8 + 8 + 8 + 8 + Hash::LEN;

impl Mark {
    pub(super) fn to_bytes(self) -> [u8; MARK_LEN] {
        let mut bytes = [0; MARK_LEN];
        bytes[0..4].copy_from_slice(&self.frames.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.durable.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.previous.0.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.count.to_le_bytes());
        bytes[36..].copy_from_slice(&self.hash.0);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Mark> {
        let bytes: &[u8; MARK_LEN] = bytes.try_into().ok()?;
        let long = |at: usize| {
            let mut value = [0; 8];
            value.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(value)
        };
        let mut hash = [0; Hash::LEN];
        hash.copy_from_slice(&bytes[36..]);
        Some(Mark {
            frames: u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            bytes: long(4),
            durable: long(12),
            previous: Timestamp(long(20)),
            count: long(28),
            hash: Hash(hash),
        })
    }
}

/// A commit as it stands in its segment.
#[derive(Debug)]
pub(super) struct RawCommit {
    pub(super) tick: Timestamp,
    pub(super) offset: u64,
    pub(super) frames: Vec<Frame>,
    pub(super) mark: Mark,
    /// The mark speaks of other frames than there are.
    pub(super) mismatch: Option<String>,
}

impl RawCommit {
    /// The chain after it.
    pub(super) fn head(&self) -> Head {
        Head { count: self.mark.count, hash: self.mark.hash, tick: self.tick }
    }

    /// The commit as it was appended, its audit records linked.
    pub(super) fn decode(self, decoders: &mut Decoders) -> Result<Committed, String> {
        let head = self.head();
        let mut commit = TickCommit::new(self.tick);
        for frame in self.frames {
            match frame.role {
                Role::Input => {
                    let name = frame.name.clone();
                    commit.inputs.push((name, input(frame, decoders)?));
                }
                Role::Offsets => commit.offsets = frame.into_body()?,
                Role::Meta => commit.meta = frame.into_body()?,
                Role::Audit => {
                    let (kind, previous, batch) = audit(frame, decoders)?;
                    let batch = expand(kind, &previous, &batch).map_err(|e| e.to_string())?;
                    commit.audit.push((kind, batch));
                }
                Role::Segment | Role::Commit => return Err("a frame out of place".to_owned()),
            }
        }
        Ok(Committed { commit, head })
    }
}

/// A commit as read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    /// What was appended; its audit records in chain order, numbered, with their hash columns.
    pub commit: TickCommit,
    /// The chain after it.
    pub head: Head,
}

/// The rows of an input frame.
pub(super) fn input(frame: Frame, decoders: &mut Decoders) -> Result<RecordBatch, String> {
    let (role, name, starts) = (frame.role, frame.name.clone(), frame.starts);
    let body = frame.into_body()?;
    decoders
        .decode(role, &name, starts, Buffer::from_vec(body))
        .map_err(|error| format!("{name}: {error}"))
}

/// The records of an audit frame, in the store's spelling, and the link before them.
pub(super) fn audit(
    frame: Frame,
    decoders: &mut Decoders,
) -> Result<(Kind, Hash, RecordBatch), String> {
    let (role, name, starts) = (frame.role, frame.name.clone(), frame.starts);
    let body = frame.into_body()?;
    let kind = Kind::from_name(&name).ok_or_else(|| format!("the audit kind {name} is unknown"))?;
    let previous = body.get(..Hash::LEN).and_then(|bytes| bytes.try_into().ok()).map(Hash);
    let previous = previous.ok_or_else(|| format!("records of kind {name} are cut"))?;
    let body = Buffer::from_vec(body).slice(Hash::LEN);
    let batch = decoders.decode(role, &name, starts, body);
    Ok((kind, previous, batch.map_err(|error| format!("{name}: {error}"))?))
}

/// What stands next in a segment.
#[derive(Debug)]
pub(super) enum NextCommit {
    /// A commit.
    Commit(Box<RawCommit>),
    /// Nothing more.
    End,
    /// Bytes from `offset` on belong to no commit; `at` is where they cannot be read further.
    Broken { offset: u64, at: u64, problem: String },
}

/// Reads a segment's commits, one after another.
#[derive(Debug)]
pub(super) struct SegmentReader {
    pub(super) path: PathBuf,
    input: BufReader<Take<File>>,
    offset: u64,
    /// The file's length when it was opened: what a writer adds later is not read.
    pub(super) len: u64,
}

impl SegmentReader {
    /// Opens a segment and reads its header: `Err(problem)` inside if that is not whole.
    pub(super) fn open(path: &Path) -> Result<(SegmentReader, Result<Header, String>), LogError> {
        let file = File::open(path).map_err(LogError::io("open", path))?;
        let len = file.metadata().map_err(LogError::io("read", path))?.len();
        let input = BufReader::with_capacity(READ_BYTES, file.take(len));
        let mut reader = SegmentReader { path: path.to_owned(), input, offset: 0, len };
        let header = match reader.frame()? {
            Next::Frame(frame) if frame.role == Role::Segment => {
                let read = |body: Vec<u8>| serde_json::from_slice(&body).map_err(|e| e.to_string());
                frame.into_body().and_then(read)
            }
            Next::Frame(_) => Err("the first frame does not describe the segment".to_owned()),
            Next::End => Err("the file is empty".to_owned()),
            Next::Broken(problem) => Err(problem),
        };
        let header = header.and_then(|header: Header| match header.version {
            VERSION => Ok(header),
            other => Err(format!("layout version {other} is newer than this program's {VERSION}")),
        });
        Ok((reader, header))
    }

    fn frame(&mut self) -> Result<Next, LogError> {
        let next = frame::read(&mut self.input, self.offset)
            .map_err(LogError::io("read", self.path.as_path()))?;
        if let Next::Frame(frame) = &next {
            self.offset += frame.len;
        }
        Ok(next)
    }

    /// The next commit.
    pub(super) fn commit(&mut self) -> Result<NextCommit, LogError> {
        let offset = self.offset;
        let mut frames: Vec<Frame> = Vec::new();
        loop {
            let at = self.offset;
            let broken = |problem| Ok(NextCommit::Broken { offset, at, problem });
            match self.frame()? {
                Next::Frame(frame) if frame.role == Role::Commit => {
                    let (tick, bytes) = (frame.tick, at - offset);
                    let mark = frame.into_body().ok().and_then(|body| Mark::from_bytes(&body));
                    let Some(mark) = mark else {
                        return broken("a commit mark has another length".to_owned());
                    };
                    let mismatch = mismatch(&mark, tick, bytes, &frames);
                    let commit = RawCommit { tick, offset, frames, mark, mismatch };
                    return Ok(NextCommit::Commit(Box::new(commit)));
                }
                Next::Frame(frame) => frames.push(frame),
                Next::End if frames.is_empty() => return Ok(NextCommit::End),
                Next::End => return broken("the last commit is not closed".to_owned()),
                Next::Broken(problem) => return broken(problem),
            }
        }
    }

    /// How far the segment was durable, by any mark after `from`: after damage the marks behind it
    /// tell whether what is damaged had been acknowledged.
    pub(super) fn durable_by_later_marks(&self, from: u64) -> Result<u64, LogError> {
        let mut bytes = Vec::new();
        File::open(&self.path)
            .and_then(|file| file.take(self.len).read_to_end(&mut bytes))
            .map_err(LogError::io("read", self.path.as_path()))?;
        let mut durable = 0;
        let start = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
        for at in start..bytes.len() {
            if bytes[at..].starts_with(&frame::MAGIC)
                && let Ok(Next::Frame(frame)) = frame::read(&mut &bytes[at..], at as u64)
                && frame.role == Role::Commit
                && let Ok(body) = frame.into_body()
                && let Some(mark) = Mark::from_bytes(&body)
            {
                durable = durable.max(mark.durable);
            }
        }
        Ok(durable)
    }
}

/// In what a mark differs from the frames before it.
fn mismatch(mark: &Mark, tick: Timestamp, bytes: u64, frames: &[Frame]) -> Option<String> {
    if mark.frames as usize != frames.len() || mark.bytes != bytes {
        return Some(format!(
            "the commit of tick {tick} closes {} frames of {} bytes; there are {} of {bytes}",
            mark.frames,
            mark.bytes,
            frames.len()
        ));
    }
    frames
        .iter()
        .find(|frame| frame.tick != tick)
        .map(|frame| format!("the commit of tick {tick} holds a frame of tick {}", frame.tick))
}

/// The segments of a folder, in order, with their numbers.
pub(super) fn list(dir: &Path) -> Result<Vec<(u64, PathBuf)>, LogError> {
    let mut segments = Vec::new();
    let entries = std::fs::read_dir(dir).map_err(LogError::io("list", dir))?;
    for entry in entries {
        let path = entry.map_err(LogError::io("list", dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(number) = name.strip_suffix(SUFFIX).and_then(|stem| stem.parse().ok()) {
            segments.push((number, path));
        }
    }
    segments.sort();
    Ok(segments)
}

/// Where the segment with that number lies.
pub(super) fn path_of(dir: &Path, index: u64) -> PathBuf {
    dir.join(format!("{index:08}{SUFFIX}"))
}
