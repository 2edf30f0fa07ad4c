//! Reading back: commits for a restart, records of one kind for queries, records alone for sealing.
//!
//! All stream, a commit at a time, and need no lock. None checks links; see
//! [`verify`](super::verify()).
//!
//! **Invariant:** replay gives what was appended, tick by tick, and stops at the commit that was
//! last when the log was opened.
//!
//! # Bounds
//!
//! One commit in memory, and a megabyte read ahead.

use std::path::Path;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use schemas::audit::Head;
use schemas::audit::Kind;
use schemas::audit::expand;
use schemas::time::Timestamp;

use super::error::LogError;
use super::frame::Frame;
use super::frame::Role;
use super::ipc::Decoders;
use super::segment;
use super::segment::Committed;
use super::segment::NextCommit;
use super::segment::RawCommit;
use super::segment::SegmentReader;

/// The commits of a folder's segments, in order.
#[derive(Debug)]
struct Commits {
    segments: std::vec::IntoIter<(u64, PathBuf)>,
    current: Option<(SegmentReader, Decoders)>,
}

impl Commits {
    /// From the segment that holds the first commit at or after `from`.
    fn open(dir: &Path, from: Timestamp) -> Result<Commits, LogError> {
        let mut segments = segment::list(dir)?;
        let mut first = 0;
        if from > Timestamp(0) {
            for (position, (_, path)) in segments.iter().enumerate().rev() {
                let (_, header) = SegmentReader::open(path)?;
                if header.is_ok_and(|header| header.start.tick < from) {
                    first = position;
                    break;
                }
            }
        }
        segments.drain(..first);
        Ok(Commits { segments: segments.into_iter(), current: None })
    }

    /// The next commit; the torn end of the last segment is the end.
    fn next(&mut self) -> Result<Option<(RawCommit, &mut Decoders)>, LogError> {
        loop {
            if self.current.is_none() {
                let Some((_, path)) = self.segments.next() else { return Ok(None) };
                let (reader, header) = match SegmentReader::open(&path) {
                    // A writer that just started may have removed what a crash left of it.
                    Err(LogError::Io { source, .. })
                        if source.kind() == std::io::ErrorKind::NotFound && self.at_end() =>
                    {
                        return Ok(None);
                    }
                    opened => opened?,
                };
                if let Err(problem) = header {
                    if self.at_end() {
                        return Ok(None);
                    }
                    return Err(LogError::Damaged { path, offset: 0, problem });
                }
                self.current = Some((reader, Decoders::default()));
            }
            let at_end = self.at_end();
            let (reader, _) = self.current.as_mut().expect("opened above");
            match reader.commit()? {
                NextCommit::Commit(commit) => {
                    if let Some(problem) = commit.mismatch {
                        let (path, offset) = (reader.path.clone(), commit.offset);
                        return Err(LogError::Damaged { path, offset, problem });
                    }
                    let (_, decoders) = self.current.as_mut().expect("opened above");
                    return Ok(Some((*commit, decoders)));
                }
                NextCommit::End => self.current = None,
                NextCommit::Broken { offset, at, .. }
                    if at_end && reader.durable_by_later_marks(at)? <= offset =>
                {
                    self.current = None;
                }
                NextCommit::Broken { at, problem, .. } => {
                    return Err(LogError::Damaged {
                        path: reader.path.clone(),
                        offset: at,
                        problem,
                    });
                }
            }
        }
    }

    /// Whether no segment follows the current one.
    fn at_end(&self) -> bool {
        self.segments.as_slice().is_empty()
    }

    /// An error about the current segment.
    fn damaged(&self, offset: u64, problem: String) -> LogError {
        let path = self.current.as_ref().map(|(reader, _)| reader.path.clone());
        LogError::Damaged { path: path.unwrap_or_default(), offset, problem }
    }
}

/// Committed ticks, read back in order.
#[derive(Debug)]
pub struct Replay {
    dir: PathBuf,
    from: Timestamp,
    until: Timestamp,

    commits: Option<Commits>,
    done: bool,
}

impl Replay {
    pub(super) fn new(dir: &Path, from: Timestamp, until: Timestamp) -> Replay {
        Replay { dir: dir.to_owned(), from, until, commits: None, done: until == Timestamp(0) }
    }

    fn step(&mut self) -> Result<Option<Committed>, LogError> {
        let commits = match &mut self.commits {
            Some(commits) => commits,
            None => self.commits.insert(Commits::open(&self.dir, self.from)?),
        };
        loop {
            let Some((commit, decoders)) = commits.next()? else { return Ok(None) };
            let (tick, offset) = (commit.tick, commit.offset);
            if tick > self.until {
                return Ok(None);
            }
            // Ticks before `from` are decoded too: a later batch may lean on their schema.
            let decoded = commit.decode(decoders);
            let committed = decoded.map_err(|problem| commits.damaged(offset, problem))?;
            if tick >= self.from {
                return Ok(Some(committed));
            }
        }
    }
}

impl Iterator for Replay {
    type Item = Result<Committed, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step().transpose();
        self.done = !matches!(step, Some(Ok(_)));
        step
    }
}

/// Reads the commits of the ticks `from` to `until` in `dir`, as far as they are committed. Needs
/// no lock and tolerates a writer at work.
pub fn read_commits(dir: &Path, from: Timestamp, until: Timestamp) -> Replay {
    Replay::new(dir, from, until)
}

/// The records of one kind, in chain order, one batch a tick.
#[derive(Debug)]
pub struct KindReader {
    kind: Kind,
    after: Timestamp,
    until: Timestamp,

    commits: Commits,
    done: bool,
}

/// Reads the records of `kind` in `dir`, as far as they are committed. Needs no lock and tolerates
/// a writer at work; a reader beside one may pass it the last durable tick with
/// [`KindReader::until`].
///
/// # Errors
/// The folder cannot be read.
pub fn read_kind(dir: &Path, kind: Kind) -> Result<KindReader, LogError> {
    read_kind_after(dir, kind, Timestamp(0))
}

/// As [`read_kind`], the records of the ticks after `after` only. Segments that end before it are
/// not opened.
///
/// # Errors
/// The folder cannot be read.
pub fn read_kind_after(dir: &Path, kind: Kind, after: Timestamp) -> Result<KindReader, LogError> {
    let commits = Commits::open(dir, after.plus(1))?;
    Ok(KindReader { kind, after, until: Timestamp(u64::MAX), commits, done: false })
}

impl KindReader {
    /// Stops after `tick`.
    #[must_use]
    pub fn until(self, tick: Timestamp) -> KindReader {
        KindReader { until: tick, ..self }
    }

    fn step(&mut self) -> Result<Option<RecordBatch>, LogError> {
        loop {
            let Some((commit, decoders)) = self.commits.next()? else { return Ok(None) };
            if commit.tick > self.until {
                return Ok(None);
            }
            let wanted = |name: &str| name == self.kind.name();
            let frame =
                commit.frames.into_iter().find(|f| f.role == Role::Audit && wanted(&f.name));
            let Some(frame) = frame else { continue };
            let offset = frame.offset;
            // Ticks that are not wanted are decoded too: a later batch may lean on their schema.
            match linked(frame, decoders) {
                Ok(_) if commit.tick <= self.after => {}
                Ok((_, batch)) => return Ok(Some(batch)),
                Err(problem) => return Err(self.commits.damaged(offset, problem)),
            }
        }
    }
}

impl Iterator for KindReader {
    type Item = Result<RecordBatch, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step().transpose();
        self.done = !matches!(step, Some(Ok(_)));
        step
    }
}

/// The records of one commit.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditCommit {
    /// The chain after it.
    pub head: Head,
    /// Its records, linked, in the chain's order: one batch a kind. None in a quiet tick.
    pub audit: Vec<(Kind, RecordBatch)>,
}

/// The audit records of a log, a commit at a time; input is passed over unread.
#[derive(Debug)]
pub struct AuditReader {
    after: Timestamp,
    until: Timestamp,

    commits: Commits,
    done: bool,
}

/// Reads the audit records of the ticks after `after`, up to and with `until`. Needs no lock and
/// tolerates a writer at work.
///
/// # Errors
/// The folder cannot be read.
pub fn read_audit(dir: &Path, after: Timestamp, until: Timestamp) -> Result<AuditReader, LogError> {
    let commits = Commits::open(dir, after.plus(1))?;
    Ok(AuditReader { after, until, commits, done: false })
}

impl AuditReader {
    fn step(&mut self) -> Result<Option<AuditCommit>, LogError> {
        loop {
            let Some((commit, decoders)) = self.commits.next()? else { return Ok(None) };
            if commit.tick > self.until {
                return Ok(None);
            }
            let (head, mut audit) = (commit.head(), Vec::new());
            let mut damage = None;
            for frame in commit.frames.into_iter().filter(|frame| frame.role == Role::Audit) {
                let offset = frame.offset;
                match linked(frame, decoders) {
                    Ok(records) => audit.push(records),
                    Err(problem) => damage = damage.or(Some((offset, problem))),
                }
            }
            if let Some((offset, problem)) = damage {
                return Err(self.commits.damaged(offset, problem));
            }
            if head.tick > self.after {
                return Ok(Some(AuditCommit { head, audit }));
            }
        }
    }
}

impl Iterator for AuditReader {
    type Item = Result<AuditCommit, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step().transpose();
        self.done = !matches!(step, Some(Ok(_)));
        step
    }
}

/// The records of an audit frame as readers see them.
fn linked(frame: Frame, decoders: &mut Decoders) -> Result<(Kind, RecordBatch), String> {
    let (kind, previous, batch) = segment::audit(frame, decoders)?;
    let batch = expand(kind, &previous, &batch).map_err(|error| error.to_string())?;
    Ok((kind, batch))
}
