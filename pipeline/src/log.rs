//! The commit log: what came in, where from, and what was done about it, tick by tick.
//!
//! A tick's commit is its input rows, the source positions it ends at, and its audit records,
//! linked ([`schemas::audit`]). It is appended in one write to one file, so one `fdatasync` makes
//! all of it durable, and ticks that are ready together share that. A restart replays the log
//! instead of asking the sources again: the same ticks, whatever the wall clock decided then.
//!
//! ```text
//!  TickCommit ──append──► segment ──sync──► durable ──► head.json, signed
//!                            │
//!                            ├── replay      commits, for a restart
//!                            ├── read_kind   records of one kind, for queries
//!                            ├── read_audit  records alone, for the archive
//!                            └── verify      every checksum, every link, the head
//! ```
//!
//! A schema is written once a segment (`ipc`), bodies are compressed, and a link is kept once
//! (`frame` and `segment` say which bytes are promised).
//!
//! **Invariants:**
//! - One writer a folder, of one instance.
//! - A commit is there whole or not at all.
//! - Once [`Log::sync`] has returned, what was appended before is never dropped.
//! - The same commits give the same head, whatever was synced together, and wherever it restarted.
//!
//! It does not decide what a tick holds, remove old segments, or keep snapshots that would let them
//! go.
//!
//! # Bounds
//!
//! One commit is buffered. The log grows with the input: a restart replays all of it, so no segment
//! may go. Sealing copies audit records out of it; once snapshots bound the replay, segments that
//! are sealed and no longer replayed may be removed.

mod error;
mod folder;
mod frame;
mod ipc;
mod recover;
mod replay;
mod segment;
mod verify;

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use schemas::audit::Head;
use schemas::audit::Kind;
use schemas::audit::Links;
use schemas::audit::chain;
use schemas::time::Clock;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::error::LogError;
pub use self::folder::SignedHead;
pub use self::folder::signed_head;
pub use self::replay::AuditCommit;
pub use self::replay::AuditReader;
pub use self::replay::KindReader;
pub use self::replay::Replay;
pub use self::replay::read_audit;
pub use self::replay::read_commits;
pub use self::replay::read_kind;
pub use self::replay::read_kind_after;
pub use self::segment::Committed;
pub use self::verify::Finding;
pub use self::verify::Problem;
pub use self::verify::Report;
pub use self::verify::verify;
pub use self::verify::verify_against;

use self::folder::Folder;
use self::frame::Put;
use self::frame::Role;
use self::ipc::Encoders;
use self::segment::Header;
use self::segment::Mark;

/// Which instance a log belongs to: letters, digits, `-`, `_` and `.`, at most
/// [`InstanceId::LEN_MAX`] of them. It is part of the chain's beginning and of what is signed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceId(String);

impl InstanceId {
    /// The longest name.
    pub const LEN_MAX: usize = 64;

    /// The instance of that name, if it may be one.
    pub fn new(name: &str) -> Option<InstanceId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let fits = !name.is_empty() && name.len() <= InstanceId::LEN_MAX;
        (fits && name.bytes().all(allowed)).then(|| InstanceId(name.to_owned()))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for InstanceId {
    type Error = String;

    fn try_from(name: String) -> Result<InstanceId, String> {
        InstanceId::new(&name).ok_or_else(|| {
            format!("{name:?} cannot name an instance: use up to 64 letters, digits, '-', '_', '.'")
        })
    }
}

impl From<InstanceId> for String {
    fn from(instance: InstanceId) -> String {
        instance.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a log is written.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes after which the next segment begins.
    pub segment_bytes: u64,
    /// Whether bodies are compressed.
    pub compress: bool,
    /// Milliseconds between two signed heads, at least: replacing a file costs as much as a sync.
    /// An instance in real time signs after every sync; a fast replay leaves this much unsigned.
    pub head_ms: u64,
    /// Milliseconds between two syncs of the signed head itself, at least.
    pub head_sync_ms: u64,
    /// What tells those milliseconds.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_bytes: 64 << 20,
            compress: true,
            head_ms: 50,
            head_sync_ms: 1_000,
            clock: Clock::Wall,
        }
    }
}

/// One tick, to be committed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TickCommit {
    /// Which tick: its end.
    pub tick: Timestamp,
    /// Rows by stream; a stream may come more than once, batches without rows are not kept.
    pub inputs: Vec<(String, RecordBatch)>,
    /// The source positions the tick ends at, as the reader of sources spells them.
    pub offsets: Vec<u8>,
    /// What else a replay must know: how the tick was closed, say.
    pub meta: Vec<u8>,
    /// Audit records by kind, unlinked, in any order. When read back: linked, one batch a kind.
    pub audit: Vec<(Kind, RecordBatch)>,
}

impl TickCommit {
    /// A commit that holds nothing yet.
    pub fn new(tick: Timestamp) -> TickCommit {
        TickCommit { tick, ..TickCommit::default() }
    }

    /// Sets the offsets to `value`, as JSON.
    ///
    /// # Errors
    /// The value cannot be JSON: a map with keys that are no text.
    pub fn set_offsets<T: Serialize>(&mut self, value: &T) -> serde_json::Result<()> {
        self.offsets = serde_json::to_vec(value)?;
        Ok(())
    }

    /// The offsets that [`TickCommit::set_offsets`] set; `None` if there are none.
    ///
    /// # Errors
    /// They are something else.
    pub fn offsets_as<T: DeserializeOwned>(&self) -> serde_json::Result<Option<T>> {
        if self.offsets.is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(&self.offsets).map(Some)
    }
}

/// What opening a log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The chain and tick of the last commit.
    pub head: Head,
    /// Bytes at the end that no commit closed: what a crash cut short. They are gone.
    pub dropped_bytes: u64,
    dir: PathBuf,
}

impl Recovered {
    /// The last committed tick; `None` in a new log.
    pub fn last_tick(&self) -> Option<Timestamp> {
        (self.head.tick > Timestamp(0)).then_some(self.head.tick)
    }

    /// The commits from tick `from` on, up to the last one found, read as they are asked for.
    pub fn replay(&self, from: Timestamp) -> Replay {
        Replay::new(&self.dir, from, self.head.tick)
    }
}

/// What an append gave.
#[derive(Clone, Debug)]
pub struct Appended {
    /// The chain after it.
    pub head: Head,
    /// The audit records, linked: one batch a kind, with hash columns.
    pub audit: Vec<(Kind, RecordBatch)>,
}

/// The log of a running instance: its only writer.
#[derive(Debug)]
pub struct Log {
    folder: Folder,
    options: Options,

    head: Head,
    next_index: u64,
    current: Option<Current>,
    frames: frame::Writer,
    buffer: Vec<u8>,
    body: Vec<u8>,
    unsynced: bool,
    head_signed_at: Timestamp,
    head_synced_at: Timestamp,
    poisoned: bool,
}

/// The segment that is being written.
#[derive(Debug)]
struct Current {
    path: PathBuf,
    file: File,
    len: u64,
    durable: u64,
    encoders: Encoders,
}

impl Log {
    /// Opens the log of `instance` in `dir`, making it if there is none, and drops what a crash
    /// left uncommitted.
    ///
    /// # Errors
    /// The folder is another instance's, in use, or damaged in what was durable.
    pub fn open(
        dir: &Path,
        instance: &InstanceId,
        options: Options,
    ) -> Result<(Log, Recovered), LogError> {
        let folder = Folder::open(dir, instance)?;
        let resume = recover::recover(&folder)?;
        folder.write_head(&resume.head, true)?;
        if resume.dropped_bytes > 0 {
            let bytes = resume.dropped_bytes;
            tracing::warn!(bytes, tick = %resume.head.tick, "dropped an uncommitted tail");
        }
        let now = options.clock.now();
        let log = Log {
            frames: frame::Writer::new(options.compress),
            head_signed_at: now,
            head_synced_at: now,
            folder,
            options,
            head: resume.head,
            next_index: resume.next_index,
            current: None,
            buffer: Vec::new(),
            body: Vec::new(),
            unsynced: false,
            poisoned: false,
        };
        let (head, dropped_bytes) = (resume.head, resume.dropped_bytes);
        Ok((log, Recovered { head, dropped_bytes, dir: dir.to_owned() }))
    }

    /// Where the chain stands, synced or not.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.folder.dir
    }

    /// Links a tick's audit records and writes its commit. It is durable after the next
    /// [`Log::sync`].
    ///
    /// # Errors
    /// A tick that is not after the last, records that cannot be linked: the log is as before. Any
    /// other error leaves the log unusable until it is opened again.
    pub fn append(&mut self, commit: &TickCommit) -> Result<Appended, LogError> {
        self.check_usable()?;
        let tick = commit.tick;
        if tick <= self.head.tick {
            return Err(LogError::TickOrder { tick, last: self.head.tick });
        }
        let links = chain(&self.head, tick, &commit.audit)
            .map_err(|source| LogError::Chain { tick, source })?;
        self.poisoned = true;
        self.roll()?;
        self.encode(commit, &links)?;
        let current = self.current.as_mut().expect("roll opened one");
        current
            .file
            .write_all(&self.buffer)
            .map_err(LogError::io("append to", current.path.as_path()))?;
        current.len += self.buffer.len() as u64;
        self.head = links.head;
        self.unsynced = true;
        self.poisoned = false;
        Ok(Appended { head: links.head, audit: links.batches })
    }

    /// Makes everything appended durable, then says so in the signed head if that is due.
    ///
    /// # Errors
    /// The system could not sync; the log is unusable until it is opened again, since what a failed
    /// sync left on disk is unknown.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.check_usable()?;
        if !self.unsynced {
            return Ok(());
        }
        self.poisoned = true;
        if let Some(current) = &mut self.current {
            current.sync()?;
        }
        let now = self.options.clock.now();
        // A clock that was set back must not keep the head unsigned.
        let due = |at: Timestamp, every_ms| now < at || now >= at.plus(every_ms);
        if due(self.head_synced_at, self.options.head_sync_ms) {
            self.folder.write_head(&self.head, true)?;
            (self.head_signed_at, self.head_synced_at) = (now, now);
        } else if due(self.head_signed_at, self.options.head_ms) {
            self.folder.write_head(&self.head, false)?;
            self.head_signed_at = now;
        }
        self.unsynced = false;
        self.poisoned = false;
        Ok(())
    }

    /// Syncs everything, the signed head too, and lets the folder go.
    ///
    /// # Errors
    /// As [`Log::sync`].
    pub fn close(mut self) -> Result<Head, LogError> {
        self.sync()?;
        self.folder.write_head(&self.head, true)?;
        Ok(self.head)
    }

    fn check_usable(&self) -> Result<(), LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned { path: self.folder.dir.clone() });
        }
        Ok(())
    }

    /// Begins the next segment if there is none or the current one is full.
    fn roll(&mut self) -> Result<(), LogError> {
        if let Some(current) = &mut self.current {
            if current.len < self.options.segment_bytes {
                return Ok(());
            }
            // Only the last segment may have a torn end.
            current.sync()?;
        }
        let header = Header {
            version: segment::VERSION,
            instance: self.folder.owner.instance.clone(),
            index: self.next_index,
            start: self.head,
        };
        let json = serde_json::to_vec(&header).expect("a header has no unserialisable part");
        self.buffer.clear();
        let put =
            Put { role: Role::Segment, starts: false, tick: self.head.tick, name: "", body: &json };
        self.frames.put(put, &mut self.buffer).expect("a header is short");
        let path = segment::path_of(&self.folder.dir, self.next_index);
        let write = || -> std::io::Result<File> {
            let mut file = OpenOptions::new().create_new(true).append(true).open(&path)?;
            file.write_all(&self.buffer)?;
            file.sync_all()?;
            Ok(file)
        };
        let file = write().map_err(LogError::io("create", &path))?;
        folder::sync_dir(&self.folder.dir)?;
        let len = self.buffer.len() as u64;
        let encoders = Encoders::default();
        self.current = Some(Current { path, file, len, durable: len, encoders });
        self.next_index += 1;
        Ok(())
    }

    /// Fills the buffer with the commit's frames and its mark.
    fn encode(&mut self, commit: &TickCommit, links: &Links) -> Result<(), LogError> {
        let tick = commit.tick;
        let current = self.current.as_mut().expect("roll opened one");
        self.buffer.clear();
        let frames = Cell::new(0);
        let mut put = |role, starts, name: &str, body: &[u8], out: &mut Vec<u8>| {
            frames.set(frames.get() + 1);
            let error = |error: frame::TooLong| LogError::Batch {
                name: name.to_owned(),
                tick,
                problem: error.to_string(),
            };
            self.frames.put(Put { role, starts, tick, name, body }, out).map_err(error)
        };
        for (name, batch) in &commit.inputs {
            if batch.num_rows() == 0 {
                continue;
            }
            self.body.clear();
            let starts = current
                .encoders
                .encode(Role::Input, name, batch, &mut self.body)
                .map_err(|error| LogError::batch(name, tick, &error))?;
            put(Role::Input, starts, name, &self.body, &mut self.buffer)?;
        }
        for (role, bytes) in [(Role::Offsets, &commit.offsets), (Role::Meta, &commit.meta)] {
            if !bytes.is_empty() {
                put(role, false, "", bytes, &mut self.buffer)?;
            }
        }
        for (kind, previous, batch) in &links.stored {
            self.body.clear();
            self.body.extend_from_slice(&previous.0);
            let starts = current
                .encoders
                .encode(Role::Audit, kind.name(), batch, &mut self.body)
                .map_err(|error| LogError::batch(kind.name(), tick, &error))?;
            put(Role::Audit, starts, kind.name(), &self.body, &mut self.buffer)?;
        }
        let mark = Mark {
            frames: frames.get(),
            bytes: self.buffer.len() as u64,
            durable: current.durable,
            previous: self.head.tick,
            count: links.head.count,
            hash: links.head.hash,
        };
        put(Role::Commit, false, "", &mark.to_bytes(), &mut self.buffer)
    }
}

impl Current {
    fn sync(&mut self) -> Result<(), LogError> {
        self.file.sync_data().map_err(LogError::io("sync", self.path.as_path()))?;
        self.durable = self.len;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
